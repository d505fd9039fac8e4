"""Procedure: CAR T infusions, transplants, collections of cells, drugs coded as procedures, eye examinations."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from fhir_mapping import wire
from fhir_mapping.catalog.care_words import teaches
from fhir_mapping.catalog.drug_match import DrugMatch
from fhir_mapping.catalog.loader import Catalog, texts_of
from fhir_mapping.catalog.texts import has_phrase, words
from fhir_mapping.model.care import Education, EyeExamination
from fhir_mapping.model.dates import ClinicalDate
from fhir_mapping.model.treatment import (
    CarTInfusion,
    Dose,
    Exposure,
    OtherCellTherapy,
    SourceRef,
    StemCellCollection,
    TCellCollection,
    Transplant,
    TransplantKind,
    UnrecognisedTreatment,
)
from fhir_mapping.model.vocabulary import Certainty, Drug, DrugClass, Tier
from fhir_mapping.readers.context import Context, Standing, label_of, source_of
from fhir_mapping.readers.reports import names_eye_examination

_PROCEDURE = {
    "in-progress": Standing.ACTIVE,
    "completed": Standing.ENDED,
    "stopped": Standing.ENDED,
    "on-hold": Standing.POSSIBLE,
    "unknown": Standing.POSSIBLE,
    "preparation": Standing.PLANNED,
    "not-done": Standing.NOT_GIVEN,
}
_INFUSIONS = frozenset({"car-t-infusion", "car-t-infusion-allogeneic"})
_TRANSPLANTS = {
    "autologous-stem-cell-transplant": TransplantKind.AUTOLOGOUS,
    "allogeneic-stem-cell-transplant": TransplantKind.ALLOGENEIC,
    "stem-cell-transplant": TransplantKind.UNKNOWN,
}
# Of care beside the treatment: an examination that was stopped is none, and neither is teaching that only began
_COUNTS = {EyeExamination: frozenset({"completed", "in-progress"}), Education: frozenset({"completed"})}
_CACHED_PROCEDURES = 4_096
_Care = type[EyeExamination | Education]
_Cells = CarTInfusion | Transplant | TCellCollection | StemCellCollection
Fact = _Cells | Exposure | Dose | OtherCellTherapy | UnrecognisedTreatment | EyeExamination | Education


@dataclass(frozen=True, slots=True)
class ProcedureMatch:
    """What a procedure or a request for one is: an infusion with or without product, a collection, a drug given.

    `is_collection` means T cells. The products of a collection are those that it is meant for; possible products are
    named without a word that they were infused. `may_be_collection` says no more than leukapheresis. Other cells are
    those against another disease.
    """

    is_infusion: bool = False
    is_collection: bool = False
    is_stem_cell_collection: bool = False
    transplant: TransplantKind | None = None
    may_be_collection: bool = False
    is_lymphodepletion: bool = False
    products: tuple[Drug, ...] = ()
    possible_products: tuple[Drug, ...] = ()
    drugs: tuple[Drug, ...] = ()
    is_unrecognised: bool = False
    may_be_cell_therapy: bool = False
    is_other_cells: bool = False
    certainty: Certainty = Certainty.STATED

    @property
    def gives_treatment(self) -> bool:
        """Whether it gives, or collects, what counts as treatment of myeloma; a transplant is known by other words."""
        return bool(self.is_infusion or self.is_collection or self.products or self.drugs or self.is_unrecognised)

    @property
    def has_cells(self) -> bool:
        """Whether it collects or gives cells, as far as we know them."""
        collects = self.is_collection or self.is_stem_cell_collection
        gives = self.is_infusion or self.products or self.possible_products
        return bool(collects or gives) or self.transplant is not None


@lru_cache(maxsize=_CACHED_PROCEDURES)
def match_procedure(code: wire.Concept, catalog: Catalog) -> ProcedureMatch | None:
    """Say what a procedure code or text stands for; None for one that no rule looks at.

    A drug that is only mentioned in a text ("education about ...") was not given by it, unless the text says so or
    the code bills a drug without naming it. A text that both gives and mentions ("infusion with monitoring") leaves it
    open. "Collection for CAR T infusion" is a collection, unless a code differs.
    """
    mentions = [words(mention) for mention in catalog.recognition["procedure_text"]["mentions"]]
    texts = texts_of(code)
    sure = [text for text in texts if not any(has_phrase(words(text), mention) for mention in mentions)]
    match = _match(code, sure, catalog)
    if match is None and len(sure) < len(texts):
        match = _match_of_mention(code, texts, catalog)
    return match


def _match_of_mention(code: wire.Concept, texts: list[str], catalog: Catalog) -> ProcedureMatch | None:
    """Read texts that also speak of a procedure: what they name may have been given, where some word says so.

    One that begins with such a word ("education about an infusion") speaks of it and no more.
    """
    pages = catalog.recognition["procedure_text"]
    mentions = tuple(words(mention) for mention in pages["mentions"])
    gives = [words(phrase) for page in ("given", "infusion") for phrase in pages[page]]
    open_texts = [t for t in texts if not any(words(t)[: len(mention)] == mention for mention in mentions)]
    says_given = any(has_phrase(words(text), phrase) for text in open_texts for phrase in gives)
    if not (says_given or catalog.bills_unnamed_drug(code)):
        return None
    match = _match(code, open_texts, catalog)
    if match is None or not (match.gives_treatment or match.is_other_cells):
        return None
    return replace(match, certainty=Certainty.POSSIBLE)


def _match(code: wire.Concept, texts: list[str], catalog: Catalog) -> ProcedureMatch | None:
    """Match the codes together with those texts that count."""
    concepts = catalog.concepts("procedure", code)
    pages = catalog.recognition["procedure_text"]

    def says(page: str) -> bool:
        return any(has_phrase(words(text), words(phrase)) for text in texts for phrase in pages[page])

    named = catalog.drug(code)
    if named.is_known_other:
        return _match_of_others(named, texts, concepts, says("given") or says("infusion"), catalog)
    coded = catalog.drug(wire.Concept(tuple(wire.Coding(c.system, c.code) for c in code.coding))).drugs
    is_infusion = bool(concepts & _INFUSIONS)
    if "car-t-cell-processing" in concepts and not is_infusion:
        return None  # transport or receipt of cells that are yet to be given
    is_stem_cells = not is_infusion and _collects_stem_cells(concepts, texts, catalog)
    may_collect = not (is_infusion or is_stem_cells) and says("leukapheresis")
    for_product = may_collect and bool(_products(named.drugs))
    is_collection = not (is_infusion or is_stem_cells) and ("leukapheresis" in concepts or says("collection"))
    is_collection = is_collection or for_product
    gives_cells = is_infusion or (not is_collection and says("infusion"))
    transplant = None if gives_cells or is_collection else _transplant(concepts, texts, catalog)
    is_given = bool(concepts) or says("given") or says("infusion")
    is_unnamed = catalog.bills_unnamed_drug(code)
    by_text = named.drugs if texts else coded
    by_name = by_text if is_given or is_collection or is_unnamed else coded
    # "Infusion of stem cells after melphalan" gives cells: the drug came before
    given = by_text if is_unnamed or (says("given") and transplant is None) else coded
    is_cell_therapy = named.may_be_cell_therapy and bool(texts)
    is_unrecognised = named.is_unrecognised_treatment and (is_unnamed or is_cell_therapy)
    products = _products(by_name)
    # Cells against CD19 are of another disease, unless a product says otherwise
    may_be_others = gives_cells and not products and says("other_cells")
    match = ProcedureMatch(
        is_infusion=gives_cells,
        is_collection=is_collection,
        may_be_collection=may_collect and not is_collection,
        is_stem_cell_collection=is_stem_cells,
        transplant=transplant,
        is_lymphodepletion=says("lymphodepletion"),
        products=products,
        possible_products=() if products else _products(by_text),
        drugs=tuple(drug for drug in given if drug.antimyeloma and drug.drug_class is not DrugClass.CAR_T),
        is_unrecognised=is_unrecognised,
        may_be_cell_therapy=is_unrecognised and named.may_be_cell_therapy,
        certainty=Certainty.POSSIBLE if may_be_others else Certainty.STATED,
    )
    return None if match == ProcedureMatch() else match


def _match_of_others(
    named: DrugMatch, texts: list[str], concepts: frozenset[str], says_given: bool, catalog: Catalog
) -> ProcedureMatch | None:
    """Match a name of none of our drugs: only cells against another disease are worth telling, once they are given."""
    pages = catalog.recognition["procedure_text"]
    prepares = any(
        has_phrase(words(text), words(phrase))
        for text in texts
        for page in ("collection", "leukapheresis", "lymphodepletion")
        for phrase in pages[page]
    )
    is_infusion = bool(concepts & _INFUSIONS)
    if not (named.may_be_cell_therapy and texts) or ((prepares or concepts) and not is_infusion):
        return None
    certainty = Certainty.STATED if says_given or is_infusion else Certainty.POSSIBLE
    return ProcedureMatch(is_other_cells=True, certainty=certainty)


def _collects_stem_cells(concepts: frozenset[str], texts: list[str], catalog: Catalog) -> bool:
    """Whether stem cells were collected: a leukapheresis of which one code or word says so is none of T cells."""
    if "stem-cell-collection" in concepts:
        return True
    in_words = any(catalog.signs["stem_cell_collection"].found_in(text) for text in texts)
    return in_words and concepts.isdisjoint(_TRANSPLANTS)


def _transplant(concepts: frozenset[str], texts: list[str], catalog: Catalog) -> TransplantKind | None:
    """Say whose stem cells were given; None for no transplant, such as an infusion of donor lymphocytes.

    A code that leaves it open takes the word of the text; where code and text differ, it stays open.
    """
    if "donor-lymphocyte-infusion" in concepts:
        return None
    page = catalog.recognition["transplant"]
    plain = [words(text) for text in texts]
    mentioned = any(has_phrase(text, words(mention)) for text in plain for mention in page["mentions"])
    in_words = not mentioned and any(catalog.signs["transplant"].found_in(text) for text in texts)
    coded = {_TRANSPLANTS[concept] for concept in concepts & _TRANSPLANTS.keys()}
    if not coded and not in_words:
        return None
    worded = {
        kind
        for kind in (TransplantKind.AUTOLOGOUS, TransplantKind.ALLOGENEIC)
        if any(has_phrase(text, words(word)) for text in plain for word in page[kind.value])
    }
    kinds = (coded | worded) - {TransplantKind.UNKNOWN}
    return kinds.pop() if len(kinds) == 1 else TransplantKind.UNKNOWN


def _products(drugs: tuple[Drug, ...]) -> tuple[Drug, ...]:
    return tuple(drug for drug in drugs if drug.drug_class is DrugClass.CAR_T)


def read_procedures(procedures: Iterable[wire.Procedure], context: Context) -> Iterator[Fact]:
    """Turn procedures into facts; most are none that a rule looks at."""
    catalog = context.catalog
    for procedure in procedures:
        code = procedure.code
        if code is not None and (meaning := _meaning(code, catalog)) is not None:
            yield from _facts_of(procedure, code, *meaning, context)


@lru_cache(maxsize=_CACHED_PROCEDURES)
def _meaning(code: wire.Concept, catalog: Catalog) -> tuple[ProcedureMatch | None, Sequence[_Care]] | None:
    """Say which treatment a procedure is, or else which care beside it; None for neither."""
    match = match_procedure(code, catalog)
    kinds = _care_kinds(code, catalog) if match is None else ()
    return (match, kinds) if match is not None or kinds else None


def _facts_of(
    procedure: wire.Procedure,
    code: wire.Concept,
    match: ProcedureMatch | None,
    kinds: Sequence[_Care],
    context: Context,
) -> Iterator[Fact]:
    """Read one procedure; one that was prepared or not done yields nothing."""
    standing = _PROCEDURE.get(procedure.status or "", Standing.POSSIBLE)
    if procedure.not_done or procedure.not_performed:
        standing = Standing.NOT_GIVEN
    if standing is Standing.PLANNED or standing is Standing.NOT_GIVEN:
        return
    if match is None:
        yield from _care(procedure, kinds, context)
        return
    performed = _performed(procedure, context)
    is_possible = match.certainty is Certainty.POSSIBLE
    certainty = context.certainty(procedure, Standing.POSSIBLE if is_possible else standing)
    source = source_of(procedure, performed)
    if match.is_other_cells:
        yield OtherCellTherapy(label_of(code), performed, certainty, source)
        return
    yield from _cells(match, performed, certainty, source)
    if match.is_unrecognised and not match.has_cells:
        yield UnrecognisedTreatment(label_of(code), match.may_be_cell_therapy, source)
    for drug in match.drugs:
        if drug.drug_class is DrugClass.BISPECIFIC:
            yield Dose(drug, performed, None, False, Tier.PROVEN, certainty, source)
        yield Exposure(
            drug=drug,
            first_dose=performed,
            last_dose=performed,
            ongoing=False,
            ended=True,
            tier=Tier.PROVEN,
            certainty=certainty,
            source=source,
        )


def _care(procedure: wire.Procedure, kinds: Sequence[_Care], context: Context) -> list[EyeExamination | Education]:
    """Read care beside the treatment that certainly took place."""
    done = [kind for kind in kinds if procedure.status in _COUNTS[kind]]
    if not done or context.certainty(procedure) is not Certainty.STATED:
        return []
    on = _performed(procedure, context)
    source = source_of(procedure, on)
    return [kind(on, source) for kind in done]


def _care_kinds(code: wire.Concept, catalog: Catalog) -> Sequence[_Care]:
    """Say which care beside the treatment a procedure is, where it is some."""
    kinds: list[_Care] = []
    if names_eye_examination(code, catalog):
        kinds.append(EyeExamination)
    if teaches((code,), catalog):
        kinds.append(Education)
    return tuple(kinds)


def _cells(
    match: ProcedureMatch, performed: ClinicalDate | None, certainty: Certainty, source: SourceRef
) -> Iterator[_Cells]:
    """Read cells that were collected or given; a collection of stem cells counts only where it took place for sure."""
    if match.is_collection:
        yield TCellCollection(performed, source, certainty)
    elif match.is_stem_cell_collection:
        if certainty is Certainty.STATED:
            yield StemCellCollection(performed, source)
    elif match.transplant is not None:
        yield Transplant(match.transplant, performed, Tier.PROVEN, certainty, (source,))
    elif match.is_lymphodepletion and not match.is_infusion:
        return  # the cells that it prepares for are yet to come
    elif match.is_infusion or match.products:
        product = match.products[0] if len(match.products) == 1 else None
        yield CarTInfusion(product, performed, Tier.PROVEN, certainty, (source,))
    elif match.possible_products:
        yield CarTInfusion(match.possible_products[0], performed, Tier.PROVEN, Certainty.POSSIBLE, (source,))


def _performed(procedure: wire.Procedure, context: Context) -> ClinicalDate | None:
    period = procedure.performed_period or wire.NO_PERIOD
    day = procedure.performed_date_time or period.start or period.end
    return context.past_day(day, "Procedure")

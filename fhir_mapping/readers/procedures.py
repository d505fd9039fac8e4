"""Procedure: CAR T infusions, T-cell collections, and drugs that are coded as procedures."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from fhir_mapping import wire
from fhir_mapping.catalog.loader import Catalog, texts_of
from fhir_mapping.catalog.texts import has_phrase, words
from fhir_mapping.model.dates import ClinicalDate
from fhir_mapping.model.history import (
    CarTInfusion,
    Exposure,
    TCellCollection,
    UnrecognisedTreatment,
)
from fhir_mapping.model.vocabulary import Certainty, Drug, DrugClass, Tier
from fhir_mapping.readers.context import Context, Standing, source_of
from fhir_mapping.readers.medications import label_of

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
_CACHED_PROCEDURES = 4_096


@dataclass(frozen=True, slots=True)
class ProcedureMatch:
    """What a procedure or a request for one is: an infusion with or without product, a collection, a drug given.

    The products of a collection are those that it is meant for; possible products are named without a word that
    they were infused.
    """

    is_infusion: bool = False
    is_collection: bool = False
    is_lymphodepletion: bool = False
    products: tuple[Drug, ...] = ()
    possible_products: tuple[Drug, ...] = ()
    drugs: tuple[Drug, ...] = ()
    is_unrecognised: bool = False
    may_be_cell_therapy: bool = False


@lru_cache(maxsize=_CACHED_PROCEDURES)
def match_procedure(code: wire.Concept, catalog: Catalog) -> ProcedureMatch | None:
    """Say what a procedure code or text stands for; None for one that no rule looks at.

    A drug that is only mentioned in a text ("education about ...") was not given by it, unless the text says so or
    the code bills a drug without naming it. "Collection for CAR T infusion" is a collection, unless a code differs.
    """
    concepts = catalog.concepts("procedure", code)
    pages = catalog.recognition["procedure_text"]
    mentions = [words(mention) for mention in pages["mentions"]]
    texts = [t for t in map(words, texts_of(code)) if not any(has_phrase(t, mention) for mention in mentions)]

    def says(page: str) -> bool:
        return any(has_phrase(text, words(phrase)) for text in texts for phrase in pages[page])

    named = catalog.drug(code)
    if named.is_known_other:
        return None  # cells against another disease, for example
    coded = catalog.drug(wire.Concept(tuple(wire.Coding(c.system, c.code) for c in code.coding))).drugs
    is_infusion = bool(concepts & _INFUSIONS)
    if "car-t-cell-processing" in concepts and not is_infusion:
        return None  # transport or receipt of cells that are yet to be given
    is_collection = not is_infusion and ("leukapheresis" in concepts or says("collection"))
    is_given = bool(concepts) or says("given") or says("infusion")
    is_unnamed = catalog.bills_unnamed_drug(code)
    by_text = named.drugs if texts else coded
    by_name = by_text if is_given or is_collection or is_unnamed else coded
    given = by_text if is_unnamed or says("given") else coded
    is_cell_therapy = named.may_be_cell_therapy and bool(texts)
    is_unrecognised = named.is_unrecognised_treatment and (is_unnamed or is_cell_therapy)
    products = _products(by_name)
    match = ProcedureMatch(
        is_infusion=is_infusion or (not is_collection and says("infusion")),
        is_collection=is_collection,
        is_lymphodepletion=says("lymphodepletion"),
        products=products,
        possible_products=() if products else _products(by_text),
        drugs=tuple(drug for drug in given if drug.antimyeloma and drug.drug_class is not DrugClass.CAR_T),
        is_unrecognised=is_unrecognised,
        may_be_cell_therapy=is_unrecognised and named.may_be_cell_therapy,
    )
    return None if match == ProcedureMatch() else match


def _products(drugs: tuple[Drug, ...]) -> tuple[Drug, ...]:
    return tuple(drug for drug in drugs if drug.drug_class is DrugClass.CAR_T)


def read_procedure(
    procedure: wire.Procedure, context: Context
) -> Iterator[CarTInfusion | TCellCollection | Exposure | UnrecognisedTreatment]:
    """Turn one procedure into facts; one that was prepared or not done yields none."""
    match = match_procedure(procedure.code, context.catalog) if procedure.code is not None else None
    standing = _PROCEDURE.get(procedure.status or "", Standing.POSSIBLE)
    if procedure.not_done:
        standing = Standing.NOT_GIVEN
    if match is None or procedure.code is None or (standing is Standing.PLANNED or standing is Standing.NOT_GIVEN):
        return
    performed = _performed(procedure, context)
    certainty = context.certainty(procedure, standing)
    source = source_of(procedure, performed)
    if match.is_collection:
        if certainty is Certainty.STATED:
            yield TCellCollection(performed, source)
    elif match.is_infusion or match.products:
        product = match.products[0] if len(match.products) == 1 else None
        yield CarTInfusion(product, performed, Tier.PROVEN, certainty, (source,))
    elif match.possible_products:
        yield CarTInfusion(match.possible_products[0], performed, Tier.PROVEN, Certainty.POSSIBLE, (source,))
    elif match.is_unrecognised:
        yield UnrecognisedTreatment(label_of(procedure.code), match.may_be_cell_therapy, source)
    for drug in match.drugs:
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


def _performed(procedure: wire.Procedure, context: Context) -> ClinicalDate | None:
    period = procedure.performed_period or wire.NO_PERIOD
    day = procedure.performed_date_time or period.start or period.end
    return context.past_day(day, "Procedure")

"""The catalogue: from codes and words in a chart to our own concepts, loaded and checked once at start."""

import csv
import io
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any

from fhir_mapping.catalog.codes import Codes, Pair, codings_of, how_coded, look_up
from fhir_mapping.catalog.drug_match import DrugMatch, sole_treatment
from fhir_mapping.catalog.names import DrugNames, How, read_names
from fhir_mapping.catalog.phrases import (
    DiagnosisWords,
    Phrases,
    Said,
    Words,
    name_part,
    read_diagnosis,
    read_signs,
    read_words,
)
from fhir_mapping.catalog.short_names import ShortNames, read_short_names
from fhir_mapping.catalog.texts import read_text, words
from fhir_mapping.model.treatment import Recognition, UnmappedDrug
from fhir_mapping.model.vocabulary import Antigen, Certainty, ChartText, Cover, Drug, DrugClass
from fhir_mapping.wire import Coding, Concept

_LONGEST_TEXT_READ = 1_000  # characters; a drug or diagnosis is named before that
_CACHED_CONCEPTS = 4_096
KNOWN_OTHER = ""  # stands for every drug that only looks like one of ours
OTHER_TREATMENT = "-"  # and this for those that redirect T cells, or are cells, in another disease
_OTHER_CELLS = "--"  # and this for CAR T cells against another disease

DRUGS = "drug"  # the group of all drugs among the texts of a site; the other groups are those of the table
SITE_MAP = "site map"  # how a code or text was recognised that a site has added


class CatalogError(Exception):
    """The catalogue is faulty and the service must not start; the message lists every fault."""


@dataclass(frozen=True, slots=True, eq=False)
class Catalog:
    """Codes and words of the product's own tables; compared by identity, so that it can key the caches below.

    What a site adds stands among the codes, and in `site_texts` and `site_codes`: see `site_map`.
    """

    drugs: Mapping[str, Drug]
    drug_codes: Codes
    how_coded: Mapping[Pair, str]
    names: DrugNames
    within: Mapping[str, frozenset[str]]  # drug -> those whose names and codes cover it too
    short_names: ShortNames
    concept_codes: Mapping[str, Codes]  # group -> codes
    signs: Mapping[str, Phrases]
    myeloma: DiagnosisWords
    recognition: Mapping[str, Any]
    labs: Mapping[str, Mapping[str, Any]]
    definitions: Mapping[str, Mapping[str, Any]]
    site_texts: Mapping[str, Mapping[Words, frozenset[str]]] = field(default_factory=dict)  # group -> whole texts
    site_codes: Mapping[Pair, str] = field(default_factory=dict)  # as the site writes them: "system|code"

    def days(self, definition: str) -> int:
        """Give the day limit of one entry of `definitions.toml`."""
        days = self.definitions[definition]["days"]
        assert isinstance(days, int)  # noqa: S101 - checked when the catalogue was loaded
        return days

    def concepts(self, group: str, concept: Concept | None) -> frozenset[str]:
        """Give the concepts of one group that the codes of a CodeableConcept stand for."""
        if concept is None:
            return frozenset()
        return _concepts(self, group, concept)

    def condition(self, concept: Concept | None) -> frozenset[str]:
        """Give the concepts of a problem by its codes; where no code is known, by its words.

        "possible-multiple-myeloma" and "named-cell-therapy" come from words alone; "comfort-care" is added to
        whatever the words of hospice or comfort care stand in.
        """
        return frozenset() if concept is None else _condition(self, concept)

    def drug(self, concept: Concept) -> DrugMatch:
        """Say which drugs a medication entry names, by all its codes and texts."""
        return _drug(self, concept)

    def bills_unnamed_drug(self, concept: Concept) -> bool:
        """Whether the codes bill cancer treatment, or any drug, without saying which: a text beside them may."""
        codings = codings_of(concept)
        return _has_treatment_code(self, codings) and not any(pair in self.drug_codes for pair in codings)


def texts_of(concept: Concept) -> list[str]:
    """List the texts of a CodeableConcept, its own first, each cut to a readable length."""
    texts = [concept.text, *(coding.display for coding in concept.coding)]
    return [text[:_LONGEST_TEXT_READ] for text in texts if text and text.strip()]


@lru_cache(maxsize=_CACHED_CONCEPTS)
def _concepts(catalog: Catalog, group: str, concept: Concept) -> frozenset[str]:
    codes = catalog.concept_codes[group]
    found = frozenset().union(*(look_up(codes, coding)[1] for coding in concept.coding))
    if catalog.site_texts:
        found = found.union(*(_mapped(catalog, group, text) for text in texts_of(concept)))
    return found


def _mapped(catalog: Catalog, group: str, text: str) -> frozenset[str]:
    """Give what the site says that a whole text stands for."""
    return catalog.site_texts.get(group, {}).get(words(text), frozenset())


@lru_cache(maxsize=_CACHED_CONCEPTS)
def _condition(catalog: Catalog, concept: Concept) -> frozenset[str]:
    found = _concepts(catalog, "condition", concept)
    texts = texts_of(concept)
    if not found:
        found = frozenset().union(*(_condition_in_words(catalog, text) for text in texts))
    if _names(catalog, "comfort_care", texts):
        found |= {"comfort-care"}
    return found


def _condition_in_words(catalog: Catalog, text: str) -> Iterator[str]:
    """Read a problem that has no known code."""
    myeloma = catalog.myeloma.said_in(text)
    if myeloma is Said.STATED:
        is_relapse = catalog.signs["myeloma_relapse"].said_in(text) is Said.STATED
        yield "multiple-myeloma-relapse" if is_relapse else "multiple-myeloma"
    elif myeloma is Said.UNCLEAR:
        yield "possible-multiple-myeloma"
    if _speaks_of_cells_given(catalog, text):
        yield "named-cell-therapy"
    allergy = tuple(catalog.recognition["allergy_words"]["word_beginnings"])
    if any(word.startswith(allergy) for word in words(text)) and catalog.signs["sulfonamide_allergy"].found_in(text):
        yield "sulfonamide-allergy"


def _speaks_of_cells_given(catalog: Catalog, text: str) -> bool:
    """Whether a clause names cell therapy or a product, and not only a visit about it."""
    mention = tuple(catalog.recognition["cell_therapy_mention"]["word_beginnings"])
    return any(
        not any(word.startswith(mention) for word in clause.split())
        and (
            catalog.signs["cell_therapy"].found_in(clause)
            or any(_is_cells(catalog, name) for name in catalog.names.found_in(tuple(clause.split())))
        )
        for clause in read_words(text).in_clauses()
    )


def _is_cells(catalog: Catalog, name: str) -> bool:
    return name in catalog.drugs and catalog.drugs[name].drug_class is DrugClass.CAR_T


@lru_cache(maxsize=_CACHED_CONCEPTS)
def _drug(catalog: Catalog, concept: Concept) -> DrugMatch:
    codings, texts = codings_of(concept), texts_of(concept)
    label = ChartText(texts[0] if texts else "")
    named: dict[str, How] = {}
    for i, text in enumerate(texts):
        texts[i] = name_part(text, catalog.recognition["drug_comment"])
        named[text] = catalog.names.found_in(words(texts[i]))
        if catalog.site_texts:
            named[text] = {**named[text], **dict.fromkeys(sorted(_mapped(catalog, DRUGS, text)), SITE_MAP)}
    coded = [_drugs_coded(catalog, coding) for coding in concept.coding]
    found: dict[str, str] = {}
    for source in (*coded, *named.values()):
        for name, how in source.items():
            found.setdefault(name, how)
    covering = frozenset().union(*(catalog.within.get(name, frozenset()) for name in found))
    known = sorted(name for name in found.keys() & catalog.drugs.keys() if name not in covering)
    if known:
        is_contradicted = _contradict(catalog, concept, coded, named)
        drugs = tuple(catalog.drugs[name] for name in known)
        return DrugMatch(
            drugs,
            tuple(found[name] for name in known),
            certainty=Certainty.POSSIBLE if is_contradicted else Certainty.STATED,
            possible_drugs=_drugs_in_short(catalog, codings, texts, known),
            recognised=tuple(Recognition(drug, found[drug.id]) for drug in drugs),
            sole_treatment=None if is_contradicted else sole_treatment(drugs),
        )
    if not found.keys().isdisjoint({OTHER_TREATMENT, _OTHER_CELLS}) or (
        KNOWN_OTHER in found and not _names(catalog, "sure_treatment", texts)
    ):
        return DrugMatch(is_known_other=True, may_be_cell_therapy=_OTHER_CELLS in found, text=label)
    possible = () if found else _drugs_in_short(catalog, codings, texts, known)
    if not found and not possible and not _may_be_treatment(catalog, codings, texts):
        codes = tuple(f"{coding.system or ''}|{coding.code or ''}" for coding in concept.coding)
        return DrugMatch(text=label, unmapped=UnmappedDrug(label, codes))
    cell = _names(catalog, "cell_therapy", texts)
    return DrugMatch(
        certainty=Certainty.POSSIBLE,
        possible_drugs=possible,
        is_unrecognised_treatment=True,
        may_be_cell_therapy=cell,
        text=label,
    )


def _drugs_coded(catalog: Catalog, coding: Coding) -> How:
    pair, names = look_up(catalog.drug_codes, coding)
    return {} if pair is None else dict.fromkeys(sorted(names), catalog.how_coded[pair])


def _drugs_in_short(catalog: Catalog, codings: list[Pair], texts: list[str], known: list[str]) -> tuple[Drug, ...]:
    in_oncology = _has_treatment_code(catalog, codings) or any(catalog.drugs[name].antimyeloma for name in known)
    found = {
        name
        for text in texts
        for name in catalog.short_names.drugs_in(text, catalog.names.by_first, in_oncology=in_oncology, alone=not known)
    }
    meant = {other for name in known for other in _reach(catalog, name)}
    return tuple(catalog.drugs[name] for name in sorted(found - meant))


def _contradict(catalog: Catalog, concept: Concept, coded: list[How], named: Mapping[str, How]) -> bool:
    """Whether two codes, or the codes and the text, or a code and its own display name drugs that do not agree."""

    def said_by(text: str | None) -> How:
        return named.get((text or "")[:_LONGEST_TEXT_READ], {})

    pairs: list[tuple[Iterable[str], Iterable[str]]] = [(set().union(*coded), said_by(concept.text))]
    for i, (coding, by_code) in enumerate(zip(concept.coding, coded, strict=True)):
        pairs.append((by_code, said_by(coding.display)))
        pairs += [(by_code, other) for other in coded[i + 1 :]]
    return any(a and b and not _agree(catalog, a, b) for a, b in pairs)


def _agree(catalog: Catalog, some: Iterable[str], others: Iterable[str]) -> bool:
    """Whether at least one drug of both is the same, or covered by the other."""
    reached = {name for other in others for name in _reach(catalog, other)}
    return any(not reached.isdisjoint(_reach(catalog, name)) for name in some)


def _reach(catalog: Catalog, name: str) -> frozenset[str]:
    return catalog.within.get(name, frozenset()) | {name}


def _names(catalog: Catalog, sign: str, texts: list[str]) -> bool:
    return any(catalog.signs[sign].found_in(text) for text in texts)


def _has_treatment_code(catalog: Catalog, codings: list[tuple[str, str]]) -> bool:
    """Whether a code stands for cancer treatment, or bills a drug without naming it."""
    signs = catalog.recognition["cancer_treatment"]
    for system, code in codings:
        if system == "atc" and code.startswith(tuple(signs["atc_prefixes"])):
            return True
        if system == "hcpcs" and (
            code.startswith(tuple(signs["hcpcs_prefixes"])) or code in signs["hcpcs_unclassified"]
        ):
            return True
    return False


def _may_be_treatment(catalog: Catalog, codings: list[tuple[str, str]], texts: list[str]) -> bool:
    """Tell unrecognised treatment from some other drug; what cannot be told apart is unrecognised."""
    if _has_treatment_code(catalog, codings):
        return True
    if any(pair in catalog.drug_codes for pair in codings):  # a bare NDC that may stand for several drugs
        return True
    if _names(catalog, "cancer_treatment", texts):
        return True
    if texts:
        return False
    public = catalog.recognition["public_drug_systems"]
    return not any(
        system in public["systems"]
        and not (system == "atc" and code.startswith(tuple(public["atc_uncertain_prefixes"])))
        for system, code in codings
    )


@cache
def load() -> Catalog:
    """Load the shipped catalogue.

    Raises CatalogError with the list of all faults.
    """
    faults: list[str] = []
    drugs_toml = tomllib.loads(read_text("drugs.toml"))
    recognition = tomllib.loads(read_text("recognition.toml"))
    drugs = {drug.id: drug for entry in drugs_toml["drug"] if (drug := _read_drug(entry, faults)) is not None}
    others = drugs_toml["known_other"]
    known_others = (
        {"id": KNOWN_OTHER, "synonyms": others["names"]},
        {"id": OTHER_TREATMENT, "synonyms": others["treatments"]},
        {"id": _OTHER_CELLS, "synonyms": others["cells"]},
    )
    names = read_names([*drugs_toml["drug"], *known_others], faults)
    grouped: dict[str, dict[Pair, set[str]]] = defaultdict(lambda: defaultdict(set))
    how: dict[Pair, str] = {}
    for row in csv.DictReader(io.StringIO(read_text("codes.csv"))):
        pair = (row["system"], row["code"])
        grouped[row["group"]][pair].add(row["concept"])
        how[pair] = how_coded(row["system"], row["kind"])
    drug_codes: dict[Pair, set[str]] = defaultdict(set)
    for group in ("agent", "supportive"):
        for pair, concepts in grouped[group].items():
            drug_codes[pair] |= concepts & drugs.keys()
            if not concepts.isdisjoint(others["concepts"]):
                drug_codes[pair].add(KNOWN_OTHER)
    faults += [
        f"drugs.toml has no entry for {concept}"
        for concept in sorted(set().union(*grouped["agent"].values()) - drugs.keys() - set(others["concepts"]))
    ]
    within = {entry["id"]: frozenset(entry["within"]) for entry in drugs_toml["drug"] if "within" in entry}
    short_names = read_short_names(
        tomllib.loads(read_text("short_names.toml")), recognition["drug_comment"]["names_nothing"]
    )
    faults += [
        f"no such drug: {name}"
        for name in sorted(set().union(*within.values(), *short_names.all_drugs()) - drugs.keys())
    ]
    if faults:
        raise CatalogError("; ".join(faults))
    return Catalog(
        drugs=drugs,
        drug_codes=_frozen({pair: found for pair, found in drug_codes.items() if found}),
        how_coded=how,
        names=names,
        within=within,
        short_names=short_names,
        concept_codes={group: _frozen(codes) for group, codes in grouped.items()},
        signs=read_signs(recognition),
        myeloma=read_diagnosis(recognition["myeloma"]),
        recognition=recognition,
        labs=tomllib.loads(read_text("labs.toml")),
        definitions=tomllib.loads(read_text("definitions.toml")),
    )


def _frozen(codes: Mapping[Pair, set[str]]) -> Codes:
    return {pair: frozenset(concepts) for pair, concepts in codes.items()}


def _read_drug(entry: Mapping[str, Any], faults: list[str]) -> Drug | None:
    try:
        return Drug(
            id=entry["id"],
            name=entry["name"],
            drug_class=DrugClass(entry["class"]),
            antigens=frozenset(Antigen(antigen) for antigen in entry.get("antigens", ())),
            antimyeloma=entry["antimyeloma"],
            covers=frozenset(Cover(cover) for cover in entry.get("covers", ())),
        )
    except (KeyError, ValueError) as fault:
        faults.append(f"drugs.toml, {entry.get('id', 'an entry without id')}: {fault}")
        return None

"""The catalogue: from codes and words in a chart to our own concepts, loaded and checked once at start."""

import csv
import io
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

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
from fhir_mapping.catalog.texts import possible_codes, read_text, system_name, words
from fhir_mapping.model.vocabulary import Antigen, ChartText, Cover, Drug, DrugClass
from fhir_mapping.wire import Concept

_LONGEST_TEXT_READ = 1_000  # characters; a drug or diagnosis is named before that
_CACHED_CONCEPTS = 4_096
_KNOWN_OTHER = ""  # stands for every drug that only looks like one of ours
_OTHER_TREATMENT = "-"  # and this for those that redirect T cells, or are cells, in another disease

_NO_TEXT = ChartText()

Codes = Mapping[tuple[str, str], frozenset[str]]


class CatalogError(Exception):
    """The catalogue is faulty and the service must not start; the message lists every fault."""


@dataclass(frozen=True, slots=True)
class DrugMatch:
    """What a medication entry turned out to be: known drugs, treatment we do not know, or some other drug.

    `is_known_other` is true where only a drug is named that the catalogue lists as being none of ours.
    """

    drugs: tuple[Drug, ...] = ()
    is_unrecognised_treatment: bool = False
    is_known_other: bool = False
    may_be_cell_therapy: bool = False
    text: ChartText = _NO_TEXT


@dataclass(frozen=True, slots=True, eq=False)
class Catalog:
    """Codes and words of the product's own tables; compared by identity, so that it can key the caches below."""

    drugs: Mapping[str, Drug]
    drug_codes: Codes
    drug_names: Mapping[str, tuple[tuple[Words, str], ...]]  # first word -> names, longest first
    drug_word_sets: tuple[tuple[frozenset[str], str], ...]
    concept_codes: Mapping[str, Codes]  # group -> codes
    signs: Mapping[str, Phrases]
    myeloma: DiagnosisWords
    recognition: Mapping[str, Any]
    labs: Mapping[str, Mapping[str, Any]]
    definitions: Mapping[str, Mapping[str, Any]]

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


def codings_of(concept: Concept) -> list[tuple[str, str]]:
    """List the (system name, canonical code) pairs of a CodeableConcept."""
    return [
        (name, code)
        for coding in concept.coding
        if coding.code
        for name in (system_name(coding.system or ""),)
        for code in possible_codes(name, coding.code)
    ]


def texts_of(concept: Concept) -> list[str]:
    """List the texts of a CodeableConcept, its own first, each cut to a readable length."""
    texts = [concept.text, *(coding.display for coding in concept.coding)]
    return [text[:_LONGEST_TEXT_READ] for text in texts if text and text.strip()]


@lru_cache(maxsize=_CACHED_CONCEPTS)
def _concepts(catalog: Catalog, group: str, concept: Concept) -> frozenset[str]:
    codes = catalog.concept_codes[group]
    return frozenset().union(*(codes.get(pair, frozenset()) for pair in codings_of(concept)))


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
            or any(_is_cells(catalog, name) for name in _drugs_named(catalog, tuple(clause.split())))
        )
        for clause in read_words(text).in_clauses()
    )


def _is_cells(catalog: Catalog, name: str) -> bool:
    return name in catalog.drugs and catalog.drugs[name].drug_class is DrugClass.CAR_T


@lru_cache(maxsize=_CACHED_CONCEPTS)
def _drug(catalog: Catalog, concept: Concept) -> DrugMatch:
    codings, texts = codings_of(concept), texts_of(concept)
    label = ChartText(texts[0] if texts else "")
    texts = [name_part(text, catalog.recognition["drug_comment"]) for text in texts]
    found = {name for pair in codings for name in catalog.drug_codes.get(pair, ())}
    for text in texts:
        found |= _drugs_named(catalog, words(text))
    known = found & catalog.drugs.keys()
    if known:
        return DrugMatch(tuple(catalog.drugs[name] for name in sorted(known)))
    if _OTHER_TREATMENT in found or (_KNOWN_OTHER in found and not _names(catalog, "sure_treatment", texts)):
        return DrugMatch(is_known_other=True, text=label)
    if not found and not _may_be_treatment(catalog, codings, texts):
        return DrugMatch(text=label)
    cell = _names(catalog, "cell_therapy", texts)
    return DrugMatch(is_unrecognised_treatment=True, may_be_cell_therapy=cell, text=label)


def _names(catalog: Catalog, sign: str, texts: list[str]) -> bool:
    return any(catalog.signs[sign].found_in(text) for text in texts)


def _drugs_named(catalog: Catalog, text: Words) -> set[str]:
    """Find drug names in a text, the longest first, so that no part of a longer name counts on its own."""
    found: set[str] = set()
    position = 0
    while position < len(text):
        for name, drug in catalog.drug_names.get(text[position], ()):
            if text[position : position + len(name)] == name:
                found.add(drug)
                position += len(name) - 1
                break
        position += 1
    present = frozenset(text)
    found |= {drug for needed, drug in catalog.drug_word_sets if needed <= present}
    return found


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
        {"id": _KNOWN_OTHER, "synonyms": others["names"]},
        {"id": _OTHER_TREATMENT, "synonyms": others["treatments"]},
    )
    names, word_sets = _read_names([*drugs_toml["drug"], *known_others], faults)
    grouped: dict[str, dict[tuple[str, str], set[str]]] = defaultdict(lambda: defaultdict(set))
    for row in csv.DictReader(io.StringIO(read_text("codes.csv"))):
        grouped[row["group"]][row["system"], row["code"]].add(row["concept"])
    drug_codes: dict[tuple[str, str], set[str]] = defaultdict(set)
    for group in ("agent", "supportive"):
        for pair, concepts in grouped[group].items():
            drug_codes[pair] |= concepts & drugs.keys()
    faults += [
        f"drugs.toml has no entry for {concept}"
        for concept in sorted(set().union(*grouped["agent"].values()) - drugs.keys())
    ]
    if faults:
        raise CatalogError("; ".join(faults))
    return Catalog(
        drugs=drugs,
        drug_codes=_frozen({pair: found for pair, found in drug_codes.items() if found}),
        drug_names=names,
        drug_word_sets=word_sets,
        concept_codes={group: _frozen(codes) for group, codes in grouped.items()},
        signs=read_signs(recognition),
        myeloma=read_diagnosis(recognition["myeloma"]),
        recognition=recognition,
        labs=tomllib.loads(read_text("labs.toml")),
        definitions=tomllib.loads(read_text("definitions.toml")),
    )


def _frozen(codes: Mapping[tuple[str, str], set[str]]) -> Codes:
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


def _read_names(
    entries: list[Mapping[str, Any]], faults: list[str]
) -> tuple[Mapping[str, tuple[tuple[Words, str], ...]], tuple[tuple[frozenset[str], str], ...]]:
    """Index every name by its first word; "a + b" names a drug by words that may stand apart."""
    owners: dict[Words, str] = {}
    word_sets: list[tuple[frozenset[str], str]] = []
    for entry in entries:
        for name in filter(words, (entry["id"], entry.get("name", ""), *entry.get("synonyms", ()))):
            if " + " in name:
                word_sets.append((frozenset(words(name)), entry["id"]))
                continue
            spaced = words(name)
            for spelling in {spaced, ("".join(spaced),)}:
                if owners.setdefault(spelling, entry["id"]) != entry["id"]:
                    faults.append(f"drugs.toml: {name!r} stands for both {owners[spelling]!r} and {entry['id']!r}")
    by_first: dict[str, list[tuple[Words, str]]] = defaultdict(list)
    for spelling, drug in owners.items():
        by_first[spelling[0]].append((spelling, drug))
    for found in by_first.values():
        found.sort(key=lambda item: -len(item[0]))
    return {first: tuple(found) for first, found in by_first.items()}, tuple(word_sets)

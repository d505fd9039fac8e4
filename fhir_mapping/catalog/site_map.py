"""What a site adds to the catalogue: its local codes and texts, each for one of our concepts."""

import tomllib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

from fhir_mapping.catalog.codes import Codes, Pair, pairs_of
from fhir_mapping.catalog.loader import DRUGS, KNOWN_OTHER, OTHER_TREATMENT, SITE_MAP, Catalog
from fhir_mapping.catalog.phrases import Said, Words, read_diagnosis
from fhir_mapping.catalog.texts import has_phrase, read_text, words
from fhir_mapping.model.vocabulary import DrugClass
from fhir_mapping.wire import Coding, Concept

CONCEPT_SYSTEM = "urn:mmcds:concept"  # what a map leads to: the ids of codes.csv and drugs.toml
TEXT_SYSTEM = "urn:mmcds:text"  # the "code" is the whole text of an entry that has no code
OTHER_DRUG = "other-drug"  # the concept of whatever a site knows to be none of our drugs

DRUG_GROUPS = frozenset({"agent", "supportive"})  # of the table; together they are all drugs

NO_SUCH_CONCEPT = "there is no such concept"
SHIPPED = "the shipped table gives this code another meaning"
SPOKEN_FOR = "the product reads this text as something else"
CONTRADICTED = "mapped to another concept too"
UNREADABLE_CODE = "no code that can be read in one way; write an NDC in full"
BILLS_ANYTHING = "this code bills drugs of any name"
SEVERAL_DRUGS = "the text may name several drugs, e.g. a regimen, and would be read as this one alone"
NO_WORDS = "the text has no word"
NO_ANSWERS = "what a result says is mapped by its code alone; the product reads the words of results itself"

_STATUSES = "disease-status-"  # the beginning of each concept that a status of the disease has for its value
_OTHER_B_CELLS = "other-b-cell-malignancy"
_HISTORY_OF_CELLS = frozenset({"history-car-t", "history-cellular-therapy-other"})
_GIVES_T_CELLS = frozenset({"car-t-infusion", "car-t-infusion-allogeneic"})
_COLLECTS_T_CELLS = frozenset({"leukapheresis"})
_COLLECTS_STEM_CELLS = frozenset({"stem-cell-collection"})
_TRANSPLANTS = frozenset({"autologous-stem-cell-transplant", "allogeneic-stem-cell-transplant", "stem-cell-transplant"})
_CELLS = _GIVES_T_CELLS | _COLLECTS_T_CELLS | _COLLECTS_STEM_CELLS | _TRANSPLANTS


class Entry(NamedTuple):
    """One local code, or text, and what the site says it is; `place` is where the site says so."""

    system: str
    code: str
    concept: str
    place: str

    @property
    def is_text(self) -> bool:
        """Whether the code is the whole text of an entry."""
        return self.system == TEXT_SYSTEM


def faults_of(catalog: Catalog, entries: Sequence[Entry]) -> list[tuple[Entry, str]]:
    """Say what is wrong with the entries of all maps together, held against the shipped catalogue.

    A site adds to what is shipped and never changes it: a shipped code that meant something else in one hospital
    would silently disarm the rules there.
    """
    groups = _groups(catalog)
    shipped = _concepts_by_code(catalog)
    faults = []
    meant: dict[tuple[str, Pair | Words], str] = {}
    for entry in entries:
        fault = _fault(catalog, entry, groups, shipped)
        if fault is None and any(
            meant.setdefault((group, key), entry.concept) != entry.concept
            for group in groups[entry.concept]
            for key in _keys(entry)
        ):
            fault = CONTRADICTED
        if fault is not None:
            faults.append((entry, fault))
    return faults


def with_entries(catalog: Catalog, entries: Iterable[Entry]) -> Catalog:
    """Give a catalogue that knows the entries too, which must have no fault."""
    groups, shipped = _groups(catalog), _concepts_by_code(catalog)
    drug_codes, how, written = dict(catalog.drug_codes), dict(catalog.how_coded), dict(catalog.site_codes)
    concept_codes = {group: dict(codes) for group, codes in catalog.concept_codes.items()}
    texts: dict[str, dict[Words, frozenset[str]]] = defaultdict(dict)
    texts.update({group: dict(known) for group, known in catalog.site_texts.items()})
    for entry in entries:
        for group in groups[entry.concept]:
            stands_for = _drugs_of(catalog, entry) if group == DRUGS else frozenset({entry.concept})
            if not stands_for:
                continue  # a supply beside a drug, which the catalogue reads nothing from
            if entry.is_text:
                texts[group][words(entry.code)] = stands_for
                continue
            (pair,) = pairs_of(Coding(entry.system, entry.code))
            if pair in shipped:
                continue  # it is known already, and by a better name than "site map"
            codes = drug_codes if group == DRUGS else concept_codes[group]
            codes[pair] = codes.get(pair, frozenset()) | stands_for
            how[pair] = SITE_MAP
            written[pair] = f"{entry.system.strip()}|{entry.code.strip()}"
    return replace(
        catalog,
        drug_codes=drug_codes,
        how_coded=how,
        concept_codes=concept_codes,
        site_texts=dict(texts),
        site_codes=written,
    )


def can_be_mapped(catalog: Catalog, coding: Coding) -> bool:
    """Whether a coding can be read in one way, and stands for one thing at all."""
    return _fault_of_code(catalog, pairs_of(coding)) is None


def count_added(catalog: Catalog, entries: Iterable[Entry]) -> tuple[int, int]:
    """Count the codes and the texts that entries without fault add to a catalogue."""
    extended = with_entries(catalog, entries)
    texts, known = ({text for group in c.site_texts.values() for text in group} for c in (extended, catalog))
    return len(extended.site_codes) - len(catalog.site_codes), len(texts) - len(known)


def _groups(catalog: Catalog) -> Mapping[str, Collection[str]]:
    """Map every concept to the groups that it stands in; all drugs are one."""
    groups: dict[str, set[str]] = defaultdict(set)
    for group, codes in catalog.concept_codes.items():
        for concept in set().union(*codes.values()):
            groups[concept].add(DRUGS if group in DRUG_GROUPS else group)
    return {**groups, **{name: groups.get(name, set()) | {DRUGS} for name in (*catalog.drugs, OTHER_DRUG)}}


def _concepts_by_code(catalog: Catalog) -> Codes:
    """Map every code of the table to all that it stands for; what a site has added is not of the table."""
    found: dict[Pair, set[str]] = defaultdict(set)
    for codes in catalog.concept_codes.values():
        for pair, concepts in codes.items():
            if pair not in catalog.site_codes:
                found[pair] |= concepts
    return {pair: frozenset(concepts) for pair, concepts in found.items()}


def _keys(entry: Entry) -> Iterator[Pair | Words]:
    yield from [words(entry.code)] if entry.is_text else pairs_of(Coding(entry.system, entry.code))


def _drugs_of(catalog: Catalog, entry: Entry) -> frozenset[str]:
    """Give what stands in the catalogue's drug codes for a concept: the drug, or the mark of some other one.

    A code for some other drug may be one that a hospital uses for whatever it has no code for, so the signs of T-cell
    redirection in the text beside it still count. A whole text says for itself what it is.
    """
    if entry.concept in catalog.drugs:
        return frozenset({entry.concept})
    if entry.concept == OTHER_DRUG:
        return frozenset({OTHER_TREATMENT if entry.is_text else KNOWN_OTHER})
    codes = (codes for group, codes in catalog.concept_codes.items() if group in DRUG_GROUPS)
    alike = [pair for known in codes for pair, concepts in known.items() if entry.concept in concepts]
    return frozenset().union(*(catalog.drug_codes.get(pair, frozenset()) for pair in alike)) & {KNOWN_OTHER}


def _fault(catalog: Catalog, entry: Entry, groups: Mapping[str, Collection[str]], shipped: Codes) -> str | None:
    if entry.concept not in groups:
        return NO_SUCH_CONCEPT
    if entry.is_text:
        return _fault_of_text(catalog, entry, groups)
    pairs = pairs_of(Coding(entry.system, entry.code))
    fault = _fault_of_code(catalog, pairs)
    if fault is not None:
        return fault
    known = shipped.get(pairs[0]) or _shipped_by_prefix(catalog, pairs[0])
    return SHIPPED if known and entry.concept not in known else None


def _shipped_by_prefix(catalog: Catalog, pair: Pair) -> frozenset[str]:
    """Give what the product reads a whole family of codes as."""
    system, code = pair
    prefixes = tuple(catalog.recognition["other_b_cell_malignancy"]["icd10cm_prefixes"])
    return frozenset({_OTHER_B_CELLS} if system == "icd10cm" and code.startswith(prefixes) else ())


def _fault_of_code(catalog: Catalog, pairs: Sequence[Pair]) -> str | None:
    if len(pairs) != 1 or not pairs[0][1]:
        return UNREADABLE_CODE
    ((system, code),) = pairs
    bills_anything = system == "hcpcs" and code in catalog.recognition["cancer_treatment"]["hcpcs_unclassified"]
    return BILLS_ANYTHING if bills_anything else None


def _fault_of_text(catalog: Catalog, entry: Entry, groups: Mapping[str, Collection[str]]) -> str | None:
    """Refuse a text that has no word, or that the product already reads, and reads otherwise."""
    if not words(entry.code):
        return NO_WORDS
    concept = Concept(text=entry.code)
    if DRUGS in groups[entry.concept]:
        match = catalog.drug(concept)
        names = {drug.id for drug in match.drugs}
        possible = {drug.id for drug in match.possible_drugs}  # a site may know which drug it calls by a short name
        covered = set().union(*(catalog.within.get(name, frozenset()) for name in names))
        is_other = match.is_known_other and entry.concept != OTHER_DRUG
        if is_other or (names and entry.concept not in names | covered | possible):
            return SPOKEN_FOR
        if len(possible) > 1:
            return SEVERAL_DRUGS
    if "answer" in groups[entry.concept] or entry.concept.startswith(_STATUSES):
        return NO_ANSWERS
    for group, read_in in _READ_IN.items():
        if group in groups[entry.concept] and not read_in(catalog, entry):
            return SPOKEN_FOR
    return None


def _may_be_condition(catalog: Catalog, entry: Entry) -> bool:
    """Whether the words of a problem leave room for what the site says; it may settle what is only possible."""
    read = set(catalog.condition(Concept(text=entry.code))) - {"possible-multiple-myeloma"}
    if "named-cell-therapy" in read:
        read = read - {"named-cell-therapy"} | _HISTORY_OF_CELLS
    if read_diagnosis(catalog.recognition["other_b_cell_malignancy"]).said_in(entry.code) is Said.STATED:
        read.add(_OTHER_B_CELLS)
    is_denied = catalog.myeloma.said_in(entry.code) is Said.DENIED and entry.concept.startswith("multiple-myeloma")
    return not is_denied and (not read or entry.concept in read)


def _may_be_test(catalog: Catalog, entry: Entry) -> bool:
    """Whether a text is no name of another test; one that is close to it may stand under its name."""
    results = _results()
    named = {**{name: block.get("names", ()) for name, block in catalog.labs.items()}, **results["names"]}
    plain, endings = words(entry.code), results["naming"]["endings"]
    texts = [plain]
    while texts[-1] and texts[-1][-1] in endings:
        texts.append(texts[-1][:-1])
    found = {test for test, names in named.items() if any(words(name) in texts for name in names)}
    kindred = {one for tests in results["naming"]["kindred"] if entry.concept in tests for one in tests}
    return not found or not found.isdisjoint({entry.concept, *kindred})


def _may_be_procedure(catalog: Catalog, entry: Entry) -> bool:
    """Whether a text does not tell of cells that are collected or given, or else tells of those that the site means."""
    pages, plain = catalog.recognition["procedure_text"], words(entry.code)

    def says(page: str) -> bool:
        return any(has_phrase(plain, words(phrase)) for phrase in pages[page])

    products = [d for d in catalog.drug(Concept(text=entry.code)).drugs if d.drug_class is DrugClass.CAR_T]
    read: frozenset[str] | None = None
    if catalog.signs["stem_cell_collection"].found_in(entry.code):
        read = _COLLECTS_STEM_CELLS
    elif says("collection"):
        read = _COLLECTS_T_CELLS
    elif says("infusion") or (products and says("given")):
        read = _GIVES_T_CELLS
    elif catalog.signs["transplant"].found_in(entry.code):
        read = _TRANSPLANTS
    elif says("leukapheresis"):
        read = _COLLECTS_T_CELLS | _COLLECTS_STEM_CELLS
    only_mentions = (says("mentions") or read is _TRANSPLANTS) and entry.concept not in _CELLS
    return read is None or entry.concept in read or only_mentions


_READ_IN: Mapping[str, Callable[[Catalog, Entry], bool]] = {
    "condition": _may_be_condition,
    "lab": _may_be_test,
    "procedure": _may_be_procedure,
}


@cache
def _results() -> Mapping[str, Any]:
    return tomllib.loads(read_text("results.toml"))

"""Findings of tests for infections and antibodies: positive, negative, or what must be left open."""

from collections.abc import Mapping
from functools import cache, lru_cache
from typing import NamedTuple

from msgspec import UNSET

from fhir_mapping import wire
from fhir_mapping.catalog.codes import Pair
from fhir_mapping.catalog.loader import Catalog, texts_of
from fhir_mapping.catalog.texts import system_name, words
from fhir_mapping.elements import concepts_in
from fhir_mapping.model.results import Finding
from fhir_mapping.readers.results import Valued, count_of_values, names_of, page
from fhir_mapping.readers.wording import LONGEST_TEXT, Vocabulary, read_vocabulary

_CACHED_TEXTS = 1_024
_PAGES_OF_SOME_TESTS = ("finding_words_of_immunity", "finding_words_of_cultures")


class _Said(NamedTuple):
    """What one element says; nothing where it is a number. `is_understood` is false where words are left over."""

    findings: frozenset[Finding] = frozenset()
    is_understood: bool = True


_NOTHING: frozenset[Finding] = frozenset()
_NOT_UNDERSTOOD = _Said(is_understood=False)


class Reading(NamedTuple):
    """The finding of a result, and whether its value could be read at all."""

    finding: Finding
    is_understood: bool = True


def finding_of(item: Valued, test: str, catalog: Catalog) -> Reading | None:
    """Read what a test found; None where there is no result.

    A number tells nothing without an interpretation: whether "< 20 IU/mL" was detected, and whether an antibody
    protects, is the laboratory's to say. Value and interpretation that contradict each other leave it open.
    """
    interpreted = _NOTHING
    if item.interpretation is not UNSET:
        interpretation = concepts_in(item.interpretation)
        if not interpretation.is_whole:
            return Reading(Finding.INDETERMINATE, is_understood=False)
        interpreted = _NOTHING.union(*(_interpreted(said, test) for said in interpretation.read))
    if not count_of_values(item):
        if item.data_absent_reason is not UNSET or not interpreted:
            return None
        return Reading(_one(interpreted))
    if item.data_absent_reason is not UNSET:
        return Reading(Finding.INDETERMINATE, is_understood=False)
    said = _said_by_value(item, test, catalog)
    if not said.is_understood:
        return Reading(Finding.INDETERMINATE, is_understood=False)
    return Reading(_one(said.findings | interpreted))


def _one(findings: frozenset[Finding]) -> Finding:
    return next(iter(findings)) if len(findings) == 1 else Finding.INDETERMINATE


def _said_by_value(item: Valued, test: str, catalog: Catalog) -> _Said:
    """Read every value that is there; a valid item has one."""
    said: list[_Said] = []
    if item.value_codeable_concept is not UNSET:
        concept = wire.decode(item.value_codeable_concept, wire.Concept)
        said.append(_NOT_UNDERSTOOD if concept is None else _in_concept(concept, test, catalog))
    if item.value_string is not UNSET:
        text = wire.decode(item.value_string, str)
        said.append(_NOT_UNDERSTOOD if text is None or len(text) > LONGEST_TEXT else _in_text(text, test))
    if item.value_boolean is not UNSET:
        answer = wire.decode(item.value_boolean, bool)
        finding = Finding.POSITIVE if answer else Finding.NEGATIVE
        said.append(_NOT_UNDERSTOOD if answer is None else _Said(frozenset({finding})))
    if len(said) == 1:
        return said[0]
    return _Said(_NOTHING.union(*(one.findings for one in said)), all(one.is_understood for one in said))


@cache
def _vocabulary(test: str) -> Vocabulary:
    """Give the words in which a test is answered: those of all tests, and the names of this one, which add nothing."""
    common, own = page("finding_words"), (page(name) for name in _PAGES_OF_SOME_TESTS)
    pages = [common, *(p for p in own if test in p["tests"])]
    fillers = [word for p in pages for word in p.get("fillers", ())]
    fillers += {word for name in names_of(test) for word in words(name)}
    phrases = {finding.value: [phrase for p in pages for phrase in p.get(finding, ())] for finding in Finding}
    return read_vocabulary({**common, **phrases, "fillers": fillers}, Finding, Finding.NEGATIVE)


@lru_cache(maxsize=_CACHED_TEXTS)
def _in_text(text: str, test: str) -> _Said:
    wording = _vocabulary(test).read(text)
    return _Said(frozenset(map(Finding, wording.meanings)), wording.is_understood)


@lru_cache(maxsize=_CACHED_TEXTS)
def _in_concept(concept: wire.Concept, test: str, catalog: Catalog) -> _Said:
    """Read the codes and the texts of an answer, which must not contradict each other."""
    answers = catalog.concepts("answer", concept)
    coded = frozenset(finding for finding in Finding if f"finding-{finding}" in answers)
    said = [_in_text(text, test) for text in texts_of(concept)]
    findings = coded.union(*(one.findings for one in said))
    return _Said(findings, bool(coded or said) and all(one.is_understood for one in said))


@cache
def _interpretations() -> Mapping[Pair, Finding]:
    interpretation = page("interpretation")
    systems = {system_name(system).casefold() for system in interpretation["systems"]}
    return {(system, code): finding for finding in Finding for code in interpretation[finding] for system in systems}


@lru_cache(maxsize=_CACHED_TEXTS)
def _interpreted(concept: wire.Concept, test: str) -> frozenset[Finding]:
    """Read an interpretation by its codes and words; "high", "normal" and what is not understood say nothing."""
    coded = [
        _interpretations().get((system_name(coding.system or "").casefold(), (coding.code or "").strip().upper()))
        for coding in concept.coding
    ]
    said = [_in_text(text, test) for text in texts_of(concept)]
    return frozenset(finding for finding in coded if finding).union(*(s.findings for s in said if s.is_understood))

"""What the code of an Observation stands for: its tests by code, or else by name, and how each of them is read."""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, Raw, UnsetType

from fhir_mapping import wire
from fhir_mapping.catalog.codes import Pair, codings_of, pairs_of
from fhir_mapping.catalog.loader import Catalog, texts_of
from fhir_mapping.catalog.texts import read_text, words
from fhir_mapping.model.results import LabTest
from fhir_mapping.readers.units import Units, plain_unit, read_units

_CACHED_CODES = 4_096
_STATUS = "cancer-disease-status"
_EYE_EXAMINATION = "eye-exam"

Words = tuple[str, ...]


class Component(msgspec.Struct, rename="camel", gc=False, frozen=True):
    """One part of an Observation that has a code and a value of its own."""

    code: wire.Concept | None = None
    value_quantity: Raw | UnsetType = UNSET
    value_codeable_concept: Raw | UnsetType = UNSET
    value_string: Raw | UnsetType = UNSET
    value_integer: Raw | UnsetType = UNSET
    value_boolean: Raw | UnsetType = UNSET
    value_range: Raw | UnsetType = UNSET
    data_absent_reason: Raw | UnsetType = UNSET
    interpretation: Raw | UnsetType = UNSET


Valued = wire.Observation | Component


def count_of_values(item: Valued) -> int:
    """Count the values of the kinds that a reader knows; FHIR allows one."""
    return (
        (item.value_quantity is not UNSET)
        + (item.value_string is not UNSET)
        + (item.value_codeable_concept is not UNSET)
        + (item.value_integer is not UNSET)
        + (item.value_range is not UNSET)
        + (item.value_boolean is not UNSET)
    )


@dataclass(frozen=True, slots=True, eq=False)
class Quantity:
    """A test that comes as a number: its units, and for a score its greatest value and what its answers stand for.

    `other_quantity` are units in which something else is reported under the same code. Compared by identity.
    """

    test: LabTest
    units: Units
    other_quantity: frozenset[str]
    most: float | None = None
    is_whole: bool = False
    prefixes: tuple[str, ...] = ()
    answers: Mapping[Pair, float] | None = None


class Serology(NamedTuple):
    """A test for an infection or for antibodies; one that is unclear is never taken for positive or negative."""

    test: str
    is_unclear: bool = False


class Meaning(NamedTuple):
    """What an Observation is about; where its codes and names contradict each other, of no test anything is known.

    `only` is the one quantity that is meant, where nothing else is: what most Observations are.
    """

    quantities: tuple[Quantity, ...] = ()
    serology: tuple[Serology, ...] = ()
    is_disease_status: bool = False
    is_eye_examination: bool = False
    is_contradictory: bool = False
    only: Quantity | None = None


@cache
def page(name: str) -> Mapping[str, Any]:
    """Give one page of `results.toml`."""
    found: Mapping[str, Any] = _pages()[name]
    return found


@cache
def _pages() -> Mapping[str, Mapping[str, Any]]:
    return tomllib.loads(read_text("results.toml"))


@cache
def quantity_of(test: LabTest, catalog: Catalog) -> Quantity:
    """Give the way in which a test is read."""
    block = catalog.labs[test.value]
    answers = block.get("answers")
    return Quantity(
        test=test,
        units=read_units(catalog.labs["units"][block["units"]], block["unit"], catalog.labs["spellings"]),
        other_quantity=frozenset(
            plain_unit(unit, catalog.labs["spellings"]) for unit in block.get("other_quantity", ())
        ),
        most=block.get("most"),
        is_whole=block.get("whole", False),
        prefixes=tuple(block.get("prefixes", ())),
        answers=_answers_of(answers, catalog) if answers else None,
    )


def _answers_of(scale: str, catalog: Catalog) -> Mapping[Pair, float]:
    """Give the scores that answer codes stand for: those of the concept "ecog-grade-2" stand for 2."""
    named = [(pair, c.rpartition("-")) for pair, found in catalog.concept_codes["answer"].items() for c in found]
    return {pair: float(score) for pair, (name, _, score) in named if name == scale}


@lru_cache(maxsize=_CACHED_CODES)
def sole_test(code: wire.Concept | None, catalog: Catalog) -> LabTest | None:
    """Give the test of a code that stands for one number and nothing else, as most do."""
    meaning = meaning_of(code, catalog)
    return meaning.only.test if meaning is not None and meaning.only is not None else None


@lru_cache(maxsize=_CACHED_CODES)
def meaning_of(code: wire.Concept | None, catalog: Catalog) -> Meaning | None:
    """Say what a code stands for; None where no rule asks for it.

    Names count only where no code is known. Then each LOINC code must bear such a name itself: one that we do not know
    is another test, whatever short name the sender gives it, e.g. creatinine in urine.
    """
    if code is None:
        return None
    texts = texts_of(code)
    coded = catalog.concepts("lab", code)
    named = frozenset(name for text in texts if (name := _name_in(text, catalog)) is not None)
    is_eye_examination = _EYE_EXAMINATION in catalog.concepts("procedure", code)
    if coded:
        contradicts = not named <= _with_kindred(coded)
        found = coded | named if contradicts else coded
        contradicts = contradicts or _is_elsewhere(texts, coded, catalog)
    else:
        contradicts = len(named) > 1
        found = frozenset() if _may_be_another(code, texts, catalog) else named
    quantities = tuple(quantity_of(test, catalog) for test in LabTest if test.value in found)
    serology = tuple(Serology(test, _is_unclear(test, code)) for test in _serology_tests() if test in found)
    if not (quantities or serology or _STATUS in found or is_eye_examination):
        return None
    kinds = len(quantities) + bool(serology) + (_STATUS in found)
    contradicts = contradicts or kinds > 1
    only = quantities[0] if quantities and not contradicts and not is_eye_examination else None
    return Meaning(quantities, serology, _STATUS in found, is_eye_examination, contradicts, only)


def tests_in(code: wire.Concept, catalog: Catalog) -> frozenset[str]:
    """Name the tests that an order asks for in words: one name as a whole, and no sign of another specimen."""
    texts = texts_of(code)
    named = frozenset(name for text in texts if (name := _name_in(text, catalog)) is not None)
    return frozenset() if len(named) > 1 or _may_be_another(code, texts, catalog) else named


@cache
def _serology_tests() -> tuple[str, ...]:
    return tuple(test for test in page("names") if test != _STATUS)


def names_of(test: str) -> list[str]:
    """List the names of a test for an infection or antibodies, the usual one first.

    Those of tests so close to it that one may stand under the name of the other follow.
    """
    kindred = next((tests for tests in page("naming")["kindred"] if test in tests), ())
    return [name for one in dict.fromkeys((test, *kindred)) for name in page("names").get(one, ())]


@cache
def _names(catalog: Catalog) -> Mapping[Words, str]:
    """Index every name of a test by its words."""
    blocks = {test.value: catalog.labs[test.value]["names"] for test in LabTest} | dict(page("names"))
    return {words(name): concept for concept, names in blocks.items() for name in names}


def _name_in(text: str, catalog: Catalog) -> str | None:
    """Give the test that a text names as a whole, but for words at its end that change nothing."""
    names, endings = _names(catalog), page("naming")["endings"]
    plain = words(text)
    while plain:
        if plain in names:
            return names[plain]
        if plain[-1] not in endings:
            return None
        plain = plain[:-1]
    return None


def _is_elsewhere(texts: Iterable[str], coded: frozenset[str], catalog: Catalog) -> bool:
    """Whether a text beside a known code says that it is another test, e.g. another specimen."""
    names = [name for c in coded for name in (*catalog.labs.get(c, {}).get("names", ()), *names_of(c))]
    own = {word for name in names for word in words(name)}
    elsewhere = frozenset(page("naming")["elsewhere"]) - own
    return any(not elsewhere.isdisjoint(words(text)) for text in texts)


def _may_be_another(code: wire.Concept, texts: Iterable[str], catalog: Catalog) -> bool:
    """Whether a LOINC code that we do not know, or some text beside the name, makes it another test."""
    if any(
        system == "loinc" and _name_in(coding.display or "", catalog) is None
        for coding in code.coding
        for system, _ in pairs_of(coding)
    ):
        return True
    words_of_others = frozenset((*page("naming")["elsewhere"], *page("naming")["derived"]))
    return any(_name_in(text, catalog) is None and not words_of_others.isdisjoint(words(text)) for text in texts)


def _with_kindred(concepts: frozenset[str]) -> frozenset[str]:
    kindred = [frozenset(tests) for tests in page("naming")["kindred"]]
    return concepts.union(*(tests for tests in kindred if not tests.isdisjoint(concepts)))


def _is_unclear(test: str, code: wire.Concept) -> bool:
    return any(coded in page("unclear_codes").get(test, ()) for _, coded in codings_of(code))


def components_of(observation: wire.Observation) -> Sequence[Component]:
    """Give the parts of an Observation; one that cannot be read is passed over alone."""
    parts = wire.decode(observation.component, tuple[Component, ...])
    if parts is not None:
        return parts
    raws = wire.decode(observation.component, tuple[Raw, ...]) or ()
    return [part for raw in raws if (part := wire.decode(raw, Component)) is not None]

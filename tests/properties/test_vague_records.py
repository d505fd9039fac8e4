"""A chart in which one date says less never answers more: neither a rule, nor the lines of therapy, nor a class."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cards.finding import Hook
from cards.knowledge.loader import load as load_knowledge
from cards.situation import candidacy
from fhir_mapping.catalog.loader import load
from fhir_mapping.lines import lines_of_therapy
from fhir_mapping.model.dates import Answer
from fhir_mapping.model.lines import LineCount
from fhir_mapping.refractory import penta_drug, triple_class
from tests.build import (
    AS_OF,
    SNOMED,
    Resource,
    chart,
    coded,
    dispensed,
    draft_collection,
    draft_drug,
    draft_infusion,
    infusion,
    lab,
    ordered,
    procedure,
    progression,
    relapse,
    reported,
)
from tests.build import given as dosed
from tests.mapping.reading import ALL_READ, read
from tests.properties.test_outcomes import SILENT, outcomes

DRUGS = ["teclistamab", "elranatamab", "talquetamab", "bortezomib", "lenalidomide", "daratumumab", "melphalan"]
SUPPORT = ["acyclovir", "atovaquone"]
DRAFTS = [
    [draft_infusion()],
    [draft_collection()],
    [draft_drug("Carvykti")],
    [draft_drug("linvoseltamab")],
    [draft_drug("belantamab mafodotin"), draft_drug("dexamethasone")],
    [draft_drug("teclistamab")],
    [draft_drug("talquetamab"), draft_drug("fludarabine")],
    [draft_drug("bortezomib")],
]
# What only accompanies the finding of another rule is no answer of its own
COMPANIONS = {rule for rule, active in load_knowledge().rules.items() if active.text.companion_of}
# What speaks against a preference keeps it silent only where it is certain: a doubtful obstacle hides no option
PREFERENCES = {rule for rule, active in load_knowledge().rules.items() if active.rule.heeds >= candidacy.TOPICS}
# R17 leaves to R15 and R16 what they ask for, and asks itself where a vague infusion keeps them from it
LEFT_TO_OTHERS = {"R17"}


@st.composite
def records(draw: st.DrawFn) -> list[Resource]:
    """Draw a few records of exact dates, of some months or of years, with one infusion and one transplant at most.

    Two records of one product, or of one transplant, of which one is vague, are taken as one.
    """
    within = draw(st.sampled_from([100, 400, 1_000]))
    day = st.dates(AS_OF - timedelta(within), AS_OF).map(date.isoformat)
    drugs, support = st.sampled_from(DRUGS), st.sampled_from(SUPPORT)
    periods = st.tuples(day, day).map(sorted)
    one = st.one_of(
        st.builds(dosed, drugs, day),
        st.builds(dosed, st.sampled_from([*DRUGS, *SUPPORT]), day),
        st.builds(_taken, st.sampled_from([*DRUGS, *SUPPORT]), periods, st.sampled_from(["active", "completed"])),
        st.builds(ordered, st.sampled_from([*DRUGS, *SUPPORT]), day, st.sampled_from(["active", "completed"])),
        st.builds(dispensed, support, day, st.sampled_from([None, 30, 200])),
        st.builds(procedure, st.sampled_from(["38225", "38206"]), day),
        st.builds(reported, drugs, day, st.none(), st.sampled_from(["active", "completed"]), day),
        st.builds(progression, day),
        st.builds(_in_remission, day),
        st.builds(relapse, day),
        st.builds(lab, st.just("24467-3"), st.sampled_from([50, 300]), st.just("/uL"), day),
    )
    products = st.sampled_from(["ciltacabtagene autoleucel", "idecabtagene vicleucel"])
    cells = st.lists(st.builds(infusion, day, products), max_size=1)
    transplant = st.lists(st.builds(procedure, st.sampled_from(["38241", "38240"]), day), max_size=1)
    return [*draw(st.lists(one, max_size=5)), *draw(cells), *draw(transplant)]


def _taken(name: str, period: list[str], status: str) -> Resource:
    return reported(name, period[0], period[1], status)


def _in_remission(on: str) -> Resource:
    return progression(on, valueCodeableConcept=coded(SNOMED, "103338009"))


def less_dated(chart: list[Resource], length: int) -> Iterator[list[Resource]]:
    """Cut each date in turn to a month or a year."""
    for place, record in enumerate(chart):
        for vague in _cut(record, length):
            yield [*chart[:place], vague, *chart[place + 1 :]]


def _cut(node: Any, length: int) -> Iterator[Any]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from (node | {key: vague} for vague in _cut(value, length))
    elif isinstance(node, str) and _is_day(node):
        yield node[:length]


def _is_day(text: str) -> bool:
    try:
        return bool(date.fromisoformat(text))
    except ValueError:
        return False


@given(records(), st.sampled_from([4, 7]), st.sampled_from(DRAFTS), st.sampled_from(Hook))
def test_no_rule_answers_more_surely(known: list[Resource], length: int, drafts: list[Resource], hook: Hook) -> None:
    # An order that may go on with a course is judged like a new one, which the exact date would spare it
    begun = [draft for draft in drafts if _name_of(draft) not in map(_name_of, known) or _name_of(draft) is None]
    exact = outcomes(chart(*known), hook, *begun)
    for less in less_dated(known, length):
        vague = outcomes(chart(*less), hook, *begun)
        for rule in (exact.keys() | vague.keys()) - COMPANIONS:
            if rule in PREFERENCES | LEFT_TO_OTHERS and exact.get(rule) == "satisfied":
                continue
            assert vague.get(rule, SILENT) in {exact.get(rule, SILENT), "cannot_tell"}, rule


def _name_of(record: Resource) -> str | None:
    name: str | None = record.get("medicationCodeableConcept", {}).get("text")
    return name


@given(records(), st.sampled_from([4, 7]))
def test_nothing_is_inferred_more_surely(known: list[Resource], length: int) -> None:
    lines, classes = _inferred(known)
    for less in less_dated(known, length):
        vague, open_classes = _inferred(less)
        assert vague.minimum <= lines.minimum
        assert vague.maximum is None or (lines.maximum is not None and lines.maximum <= vague.maximum)
        for answer, before in zip(open_classes, classes, strict=True):
            assert answer in {before, Answer.UNKNOWN}


def _inferred(known: list[Resource]) -> tuple[LineCount, list[Answer]]:
    history = replace(read(*known), coverage=ALL_READ)
    triple, penta = triple_class(history, load()), penta_drug(history, load())
    return lines_of_therapy(history, load()), [triple.exposed, triple.refractory, penta.exposed, penta.refractory]

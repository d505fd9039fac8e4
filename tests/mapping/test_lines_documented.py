"""Line numbers that someone wrote down, against those that the treatment on record makes."""

from dataclasses import replace
from datetime import date, timedelta
from itertools import permutations
from typing import NamedTuple

import pytest

from fhir_mapping.catalog.loader import load
from fhir_mapping.lines import lines_of_therapy
from fhir_mapping.model.care import DocumentedLine
from fhir_mapping.model.lines import LineCount
from fhir_mapping.model.treatment import SourceRef
from fhir_mapping.model.vocabulary import ChartText, Topic
from tests.build import Resource, given, infusion, progression, reported
from tests.mapping.reading import fully_read, span

VRD = [reported(name, "2020-11-10", "2021-03-20") for name in ("bortezomib", "lenalidomide")]
DKD = [reported(name, "2024-10-01", "2026-10-30") for name in ("daratumumab", "carfilzomib")]
TWO_LINES = [*VRD, progression("2024-09-10"), *DKD]
ONE_OR_TWO = [*VRD, *DKD]


def line(number: int, on: str | None, until: str | None = None) -> DocumentedLine:
    """Write down a line number on a day, or in some days."""
    source = SourceRef(ChartText(f"Observation/line-{number}-{on}"))
    return DocumentedLine(number, span(on, until) if on else None, source)


def count(records: list[Resource], *documented: DocumentedLine, unread: Topic | None = None) -> LineCount:
    """Count the lines of a chart with some documented numbers."""
    history = replace(fully_read(*records, unread=unread), documented_lines=documented)
    return lines_of_therapy(history, load())


class Row(NamedTuple):
    """A chart, what was written down, the range, whether it is called a contradiction, and the reason."""

    records: list[Resource]
    documented: list[DocumentedLine]
    lines: tuple[int, int | None]
    disagrees: bool
    why: str


ROWS = [
    Row(ONE_OR_TWO, [], (1, 2), False, "nothing was written down"),
    Row(ONE_OR_TWO, [line(2, "2025-01-10")], (2, 2), False, "second line during DKd: the computation left it open"),
    Row(ONE_OR_TWO, [line(1, "2025-01-10")], (1, 1), False, "still the first line during DKd"),
    Row(ONE_OR_TWO, [line(2, "2024-10-01")], (2, 2), False, "written on the first day of DKd"),
    Row(ONE_OR_TWO, [line(2, "2024-09-20")], (2, 2), False, "planned before DKd began"),
    Row(ONE_OR_TWO, [line(1, "2021-01-10")], (1, 2), False, "first line during VRd says nothing of DKd"),
    Row(
        TWO_LINES, [line(1, "2021-01-10")], (2, 2), False, "first line during VRd, DKd after progression is the second"
    ),
    Row(TWO_LINES, [line(2, "2025-01-10")], (2, 2), False, "both agree"),
    Row(TWO_LINES, [line(2, None)], (2, 2), False, "written on an unknown day"),
    Row(TWO_LINES, [line(2, "2024-01-01", "2026-11-20")], (2, 2), False, "written some day since 2024"),
    Row(TWO_LINES, [line(3, "2025-01-10")], (2, 3), True, "third line: one is missing from the record, or was counted"),
    Row(TWO_LINES, [line(1, "2025-01-10")], (1, 2), True, "first line, although treatment was changed for progression"),
    Row(TWO_LINES, [line(4, "2020-12-01")], (2, 5), True, "fourth line during VRd, and DKd came after it"),
    Row([], [line(2, None)], (0, 2), True, "no treatment is on record"),
    Row(
        [*TWO_LINES, infusion("2026-11-15")], [line(3, "2026-11-10")], (3, 3), False, "cells planned as the third line"
    ),
    Row([*TWO_LINES, infusion("2026-11-15")], [line(2, "2026-11-10")], (3, 3), False, "cells come after the second"),
    Row(
        [*ONE_OR_TWO, given("selinexor", "2026-11-10")],
        [line(2, "2025-01-10")],
        (2, 3),
        False,
        "second line during DKd; why selinexor was added is not recorded",
    ),
    Row(ONE_OR_TWO, [line(1, "2021-01-10"), line(2, "2025-01-10")], (2, 2), False, "one number after the other"),
    Row(ONE_OR_TWO, [line(1, "2025-01-10"), line(2, "2025-01-10")], (1, 2), True, "two numbers on one day"),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.why)
def test_a_documented_number_counts_for_more_than_the_computation(row: Row) -> None:
    for records in (row.records, row.records[::-1]):
        for documented in permutations(row.documented):
            found = count(records, *documented)
            assert (found.minimum, found.maximum) == row.lines
            said = [reason for reason in found.reasons if "documented" in reason]
            assert bool(said) is row.disagrees
            assert set(found.documented) == set(row.documented)


@pytest.mark.parametrize(
    ("days", "most"),
    [
        pytest.param(0, 2, id="on the day on which DKd began: it is the line meant"),
        pytest.param(-1, 3, id="the day before: DKd may come on top, as far as the number tells"),
    ],
)
def test_a_line_that_begins_after_the_number_may_come_on_top(days: int, most: int) -> None:
    on = date(2024, 10, 1) + timedelta(days)
    assert count(ONE_OR_TWO, line(2, on.isoformat())).maximum == 2
    assert count([*ONE_OR_TWO, given("selinexor", "2026-11-10")], line(2, on.isoformat())).maximum == 3
    assert count(TWO_LINES, line(4, on.isoformat())).maximum == 2 + most


def test_numbers_that_were_written_down_stand_although_not_all_treatment_was_read() -> None:
    found = count(ONE_OR_TWO, line(4, "2025-01-10"), unread=Topic.TREATMENT)
    assert (found.minimum, found.maximum) == (4, None)


def test_a_contradiction_is_said_in_words() -> None:
    assert count(TWO_LINES, line(3, "2025-01-10")).reasons == (
        "Line 3 was documented (2025-01-10), but the treatment on record makes 2.",
    )
    assert count(ONE_OR_TWO, line(1, "2025-01-10"), line(2, "2025-01-10")).reasons == (
        "The documented line numbers contradict each other.",
    )


def test_the_lines_stay_those_that_the_treatment_shows() -> None:
    assert count(ONE_OR_TWO, line(4, "2025-01-10")).lines == count(ONE_OR_TWO).lines

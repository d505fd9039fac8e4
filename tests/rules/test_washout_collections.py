"""R01 where it is open whether, or when, T cells were collected: no answer may rest on the more convenient reading.

"Today" is 2026-11-20. Teclistamab was last given 214 days before, which is long enough for a collection today, and too
short for one in June.
"""

import pytest

from tests.build import (
    Resource,
    card,
    dispensed,
    draft_collection,
    draft_drug,
    draft_infusion,
    given,
    infusion,
    outcome,
    procedure,
    reported,
)
from tests.rules.table import CANNOT_TELL, FLAGGED, SATISFIED, row, sign

TECLISTAMAB = given("teclistamab", "2026-04-20")
IN_JUNE = procedure("38225", "2026-06-01")


@pytest.mark.parametrize(
    ("collections", "expected"),
    [
        row("none", [], SATISFIED),
        row("done 42 days after the dose", [IN_JUNE], FLAGGED),
        row("of unknown status", [IN_JUNE | {"status": "unknown"}], CANNOT_TELL),
        row("on hold", [IN_JUNE | {"status": "on-hold"}], CANNOT_TELL),
        row("of a status that R4 does not know", [IN_JUNE | {"status": "active"}], CANNOT_TELL),
        row("with a modifier", [IN_JUNE | {"modifierExtension": [{"url": "urn:x"}]}], CANNOT_TELL),
        row("with an element that cannot be read", [IN_JUNE | {"note": 1, "performedPeriod": 1}], CANNOT_TELL),
        row("possible, and used up", [IN_JUNE | {"status": "unknown"}, infusion("2026-07-01")], SATISFIED),
        row("possible, before the drug", [procedure("38225", "2026-01-10", "unknown")], SATISFIED),
        row("not done", [IN_JUNE | {"status": "not-done"}], SATISFIED),
        row("before the drug", [procedure("38225", "2026-01-10")], SATISFIED),
        row("a second one undated", [procedure("38225", "2026-01-10"), procedure("38225", "soon")], CANNOT_TELL),
        row("undated, of cells that may be used up", [procedure("38225", None), infusion("2022-01-01")], CANNOT_TELL),
        row("possible and undated", [procedure("38225", None, "unknown")], CANNOT_TELL),
    ],
)
def test_an_infusion_counts_from_its_collection(collections: list[Resource], expected: str) -> None:
    answer = sign([TECLISTAMAB, *collections], draft_infusion())

    assert outcome(answer, "R01") == expected


def test_the_card_says_that_a_collection_is_in_doubt() -> None:
    answer = sign([TECLISTAMAB, IN_JUNE | {"status": "unknown"}], draft_infusion())

    assert "whether, and when, T cells were collected" in card(answer, "R00")["detail"]


def test_a_possible_collection_takes_no_warning_back() -> None:
    history = [given("teclistamab", "2026-11-01"), IN_JUNE | {"status": "unknown"}]

    assert outcome(sign(history, draft_infusion()), "R01") == FLAGGED


@pytest.mark.parametrize(
    ("collected", "expected"),
    [
        row("181 to 211 days ago", "2026-04", SATISFIED),
        row("173 to 203 days ago: may still count", "2026-05", CANNOT_TELL),
    ],
)
def test_a_collection_of_a_vague_day_may_still_count(collected: str, expected: str) -> None:
    history = [TECLISTAMAB, procedure("38225", collected)]

    assert outcome(sign(history, draft_drug("ciltacabtagene autoleucel")), "R01") == expected


ELRANATAMAB = given("elranatamab", "2026-11-05")


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("collected before the drug was given", [ELRANATAMAB, procedure("38225", "2026-10-18")], SATISFIED),
        row("on some day of the year: before it or after", [ELRANATAMAB, procedure("38225", "2026")], CANNOT_TELL),
        row(
            "the drug was given on some day of the month of the collection",
            [given("elranatamab", "2026-11"), procedure("38225", "2026-11-02")],
            CANNOT_TELL,
        ),
        row(
            "the cells were infused since, and are used up",
            [ELRANATAMAB, procedure("38225", "2026-08-17"), infusion("2026-08-27")],
            FLAGGED,
        ),
        row(
            "infused on some day of the year: used up, or not yet collected then",
            [ELRANATAMAB, procedure("38225", "2026-08-17"), infusion("2026")],
            CANNOT_TELL,
        ),
    ],
)
def test_a_vague_day_leaves_open_which_collection_counts(history: list[Resource], expected: str) -> None:
    assert outcome(sign(history, draft_infusion()), "R01") == expected


@pytest.mark.parametrize(
    "duplicate",
    [
        row("without date", procedure("38225", None)),
        row("of the same day, of unknown status", procedure("38225", "2026-06-10", "unknown")),
        row("the drug once more, between a year and a month", reported("teclistamab", "2026", "2026-05")),
    ],
)
def test_what_is_vague_beside_it_takes_no_certain_warning_back(duplicate: Resource) -> None:
    history = [given("teclistamab", "2026-04-20"), procedure("38225", "2026-06-10"), duplicate]

    assert outcome(sign(history, draft_infusion()), "R01") == FLAGGED


def test_without_procedures_nobody_knows_of_a_collection() -> None:
    unread = sign([TECLISTAMAB], draft_infusion(), without=["procedures"])

    assert outcome(unread, "R01") == CANNOT_TELL


def test_an_order_of_a_collection_needs_no_collection_of_the_past() -> None:
    for history in ([IN_JUNE | {"status": "unknown"}], [procedure("38225", None)]):
        assert outcome(sign([TECLISTAMAB, *history], draft_collection()), "R01") == SATISFIED
    assert outcome(sign([TECLISTAMAB], draft_collection(), without=["procedures"]), "R01") == SATISFIED


@pytest.mark.parametrize(
    "lost",
    [dispensed("teclistamab", "2026-10-20", 28), procedure("J9380", "2026-10-20")],
    ids=["a supply", "a billed dose"],
)
def test_a_record_lost_from_a_search_that_nothing_waits_for_leaves_it_open(lost: Resource) -> None:
    assert outcome(sign([lost | {"status": {"a": 1}}], draft_collection()), "R01") == CANNOT_TELL


def test_a_search_that_nothing_waits_for_may_be_missing() -> None:
    without = ["medicationDispenses", "reports", "immunizations"]

    assert outcome(sign([], draft_collection(), without=without), "R01") == SATISFIED

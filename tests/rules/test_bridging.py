"""R08: T cells were collected and wait for their infusion, and nothing bridges the time.

"Today" is 2026-11-20. Unless a row says otherwise, the chart is opened, and T cells were collected 53 days ago.
"""

from typing import Any

import pytest

from tests.build import (
    CPT,
    SNOMED,
    Resource,
    card,
    cards_of,
    coded,
    dispensed,
    draft_collection,
    draft_drug,
    draft_infusion,
    draft_service,
    given,
    infusion,
    myeloma,
    ordered,
    outcome,
    procedure,
    progression,
    relapse,
    reported,
)
from tests.rules.table import (
    CANNOT_TELL,
    FLAGGED,
    NOT_APPLICABLE,
    SATISFIED,
    codes_besides_care,
    days_ago,
    drafts_in,
    row,
    select,
    sign,
    text_of,
    view,
)

DAY = "2026-09-28"
COLLECTED = procedure("38225", DAY)
FULL_REMISSION, PARTIAL_REMISSION, STABLE = "103338009", "103337004", "359746009"


def status(on: str | None, code: str = FULL_REMISSION, **more: Any) -> Resource:
    """Record how the myeloma stands."""
    return progression(on, **({"valueCodeableConcept": coded(SNOMED, code)} | more))


@pytest.mark.parametrize(
    ("collected", "expected"),
    [
        row("today", days_ago(0), NOT_APPLICABLE),
        row("6 days ago: too early to miss it", days_ago(6), NOT_APPLICABLE),
        row("7 days ago: the first day on which it is missed", days_ago(7), FLAGGED),
        row("180 days ago: the last day on which the collection counts", days_ago(180), FLAGGED),
        row("181 days ago: taken as abandoned", days_ago(181), NOT_APPLICABLE),
        row("some day in October, 20 to 50 days ago", "2026-10", FLAGGED),
        row("some day in November: today, or 19 days ago", "2026-11", CANNOT_TELL),
        row("some day in May, 173 to 203 days ago: abandoned or not", "2026-05", CANNOT_TELL),
        row("some day in April, 204 days ago or more", "2026-04", NOT_APPLICABLE),
        row("some day of the year", "2026", CANNOT_TELL),
        row("some day of the year before", "2025", NOT_APPLICABLE),
        row("on an unknown day", None, CANNOT_TELL),
    ],
)
def test_days_since_the_collection(collected: str | None, expected: str) -> None:
    assessment = view([procedure("38225", collected)])

    assert outcome(assessment, "R08") == expected
    assert ("R08" in codes_besides_care(assessment)) == (expected == FLAGGED)


def test_the_card() -> None:
    shown = card(view([COLLECTED]), "R08")

    assert shown["indicator"] == "info"
    assert shown["summary"] == (
        "T cells collected 2026-09-28 (53 d ago): no bridging therapy found before CAR T infusion."
    )
    assert "Collection on 2026-09-28, 53 days ago; no infusion since." in shown["detail"]
    assert "Procedure 2026-09-28" in shown["detail"]
    (draft,) = drafts_in(shown)
    assert draft.startswith("Please confirm whether and how the time between")


def test_what_cannot_be_told_is_not_shown() -> None:
    shown = cards_of(view([procedure("38225", None)]))

    assert not [each for each in shown if "R08" in text_of(each)]


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("nothing", [], FLAGGED),
        row("dexamethasone alone", [given("dexamethasone", "2026-10-05")], SATISFIED),
        row("talquetamab", [given("talquetamab", "2026-10-05")], SATISFIED),
        row("reported over weeks", [reported("bortezomib", "2026-10-05", "2026-11-10")], SATISFIED),
        row("reported from before on", [reported("lenalidomide", "2026-01-05", "2026-10-20")], SATISFIED),
        row("going on", [reported("lenalidomide", "2026-01-05", status="active", asserted="2026-11-10")], SATISFIED),
        row("a bridging order alone", [ordered("bortezomib", "2026-10-05")], SATISFIED),
        row("a supply alone", [dispensed("lenalidomide", "2026-10-05", 21)], SATISFIED),
        row("the day after the collection", [given("bortezomib", "2026-09-29")], SATISFIED),
        row("on the day of the collection: before it, if at all", [given("bortezomib", DAY)], FLAGGED),
        row("the day before the collection", [given("bortezomib", "2026-09-27")], FLAGGED),
        row("until the day of the collection", [reported("bortezomib", "2026-06-01", DAY)], FLAGGED),
        row("ordered on the day of the collection: given since, or not", [ordered("bortezomib", DAY)], CANNOT_TELL),
        row("an order from before, still open", [ordered("lenalidomide", "2026-06-01")], CANNOT_TELL),
        row(
            "an order from before, used up by then",
            [ordered("lenalidomide", "2026-06-01", until="2026-09-01")],
            FLAGGED,
        ),
        row("some day in October", [given("bortezomib", "2026-10")], SATISFIED),
        row("in the month of the collection", [given("bortezomib", "2026-09")], CANNOT_TELL),
        row("some day of the year", [given("bortezomib", "2026")], CANNOT_TELL),
        row("on an unknown day", [given("bortezomib", None)], CANNOT_TELL),
        row("of unknown status", [given("bortezomib", "2026-10-05", "unknown")], CANNOT_TELL),
        row("on hold", [reported("lenalidomide", "2026-10-05", status="on-hold")], CANNOT_TELL),
        row("on a list that nobody closed", [reported("lenalidomide", "2026-01-05", status="active")], CANNOT_TELL),
        row("not taken", [reported("lenalidomide", "2026-10-05", status="not-taken")], FLAGGED),
        row("planned", [reported("lenalidomide", "2026-12-05", status="intended")], FLAGGED),
        row("not done", [given("bortezomib", "2026-10-05", "not-done")], FLAGGED),
        row("cancelled", [ordered("bortezomib", "2026-10-05", "cancelled")], FLAGGED),
        row("entered in error", [given("bortezomib", "2026-10-05", "entered-in-error")], FLAGGED),
        row("supportive drugs are no bridge", [given("zoledronic acid", "2026-10-05")], FLAGGED),
        row("treatment that is not recognised may be one", [given("INV-777 study drug", "2026-10-05")], CANNOT_TELL),
        row(
            "what is recognised beside it is one",
            [given("INV-777 study drug", "2026-10-05"), given("bortezomib", "2026-10-06")],
            SATISFIED,
        ),
    ],
)
def test_what_bridges_the_time(history: list[Resource], expected: str) -> None:
    assert outcome(view([COLLECTED, *history]), "R08") == expected


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("complete remission after the collection", [status("2026-10-20")], SATISFIED),
        row("complete remission before the collection", [status("2026-09-10")], SATISFIED),
        row("complete remission, and stable since", [status("2026-09-10"), status("2026-10-20", STABLE)], FLAGGED),
        row("stable, and complete remission since", [status("2026-09-10", STABLE), status("2026-10-20")], SATISFIED),
        row("partial remission", [status("2026-10-20", PARTIAL_REMISSION)], FLAGGED),
        row("stable", [status("2026-10-20", STABLE)], FLAGGED),
        row("worsened since", [status("2026-09-10"), progression("2026-10-20")], FLAGGED),
        row("a relapse recorded since", [myeloma(), status("2026-09-10"), relapse("2026-10-20")], FLAGGED),
        row("a relapse recorded on an unknown day", [myeloma(), status("2026-09-10"), relapse(None)], CANNOT_TELL),
        row("worsened before or since", [status("2026-09-10"), progression("2026-09")], CANNOT_TELL),
        row("complete remission on an unknown day", [status(None)], CANNOT_TELL),
        row(
            "complete remission on an unknown day, and worse on another", [status(None), progression(None)], CANNOT_TELL
        ),
        row("a preliminary result", [status("2026-10-20", status="preliminary")], FLAGGED),
        row("entered in error", [status("2026-10-20", status="entered-in-error")], FLAGGED),
    ],
)
def test_a_complete_remission_needs_no_bridge(history: list[Resource], expected: str) -> None:
    assert outcome(view([COLLECTED, *history]), "R08") == expected


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("no collection", [], NOT_APPLICABLE),
        row("infused since", [COLLECTED, infusion("2026-11-05")], NOT_APPLICABLE),
        row("infused since, product unknown", [COLLECTED, infusion("2026-11-05", None)], NOT_APPLICABLE),
        row("infused before: these cells are others", [infusion("2024-03-01"), COLLECTED], FLAGGED),
        row("infused on an unknown day", [COLLECTED, infusion(None)], CANNOT_TELL),
        row("infused some day of the year, before or since", [COLLECTED, infusion("2026")], CANNOT_TELL),
        row("may have been infused since", [COLLECTED, infusion("2026-11-05", status="unknown")], CANNOT_TELL),
        row("the infusion was not done", [COLLECTED, infusion("2026-11-05", status="not-done")], FLAGGED),
        row("the collection was not done", [procedure("38225", DAY, "not-done")], NOT_APPLICABLE),
        row("the collection is being prepared", [procedure("38225", DAY, "preparation")], NOT_APPLICABLE),
        row("entered in error", [procedure("38225", DAY, "entered-in-error")], NOT_APPLICABLE),
        row("of unknown status", [procedure("38225", DAY, "unknown")], CANNOT_TELL),
        row("blood stem cells were collected", [procedure("38206", DAY)], NOT_APPLICABLE),
        row("stem cells, by a record of that day", [COLLECTED, procedure("38206", DAY)], NOT_APPLICABLE),
        row(
            "stem cells some day of the month, perhaps that day",
            [COLLECTED, procedure("38206", "2026-09")],
            CANNOT_TELL,
        ),
        row("stem cells in another month", [COLLECTED, procedure("38206", "2026-08")], FLAGGED),
        row(
            "a mobiliser some day of the month, perhaps the day before",
            [COLLECTED, given("plerixafor", "2026-09")],
            CANNOT_TELL,
        ),
        row("stem cells, as the mobiliser shows", [COLLECTED, given("plerixafor", "2026-09-27")], NOT_APPLICABLE),
        row(
            "collected without a date, and infused: of other cells or of these",
            [procedure("38225", None), infusion("2024-03-01")],
            NOT_APPLICABLE,
        ),
        row(
            "collected without a date, and perhaps infused: the cells may wait",
            [procedure("38225", None), infusion("2024-03-01", status="unknown")],
            CANNOT_TELL,
        ),
    ],
)
def test_whether_cells_wait(history: list[Resource], expected: str) -> None:
    assert outcome(view(history), "R08") == expected


BORTEZOMIB = given("bortezomib", "2026-07-20")


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("the later one counts", [procedure("38225", "2026-07-06", id="b"), COLLECTED, BORTEZOMIB], FLAGGED),
        row(
            "whatever the records are called",
            [procedure("38225", "2026-07-06", id="z"), COLLECTED, BORTEZOMIB],
            FLAGGED,
        ),
        row(
            "bridged after the later one",
            [procedure("38225", "2026-07-06"), COLLECTED, given("bortezomib", "2026-10-05")],
            SATISFIED,
        ),
        row("the later one is 6 days old", [COLLECTED, procedure("38225", days_ago(6))], NOT_APPLICABLE),
        row(
            "the earlier one was used up",
            [procedure("38225", "2026-05-28"), infusion("2026-08-01"), COLLECTED],
            FLAGGED,
        ),
        row("the earlier one is abandoned", [procedure("38225", "2026-01-06"), COLLECTED], FLAGGED),
        row(
            "bridged between them, which of them is the later one?",
            [procedure("38225", "2026-07-06"), procedure("38225", "2026"), BORTEZOMIB],
            CANNOT_TELL,
        ),
        row(
            "another one of unknown status: it may be the later one",
            [procedure("38225", "2026-07-06"), procedure("38225", DAY, "unknown"), BORTEZOMIB],
            CANNOT_TELL,
        ),
        row(
            "another one of unknown status: nothing since either",
            [procedure("38225", "2026-07-06"), procedure("38225", DAY, "unknown")],
            FLAGGED,
        ),
        row(
            "another one of unknown status before it", [procedure("38225", "2026-07-06", "unknown"), COLLECTED], FLAGGED
        ),
        row("another one without a date", [COLLECTED, procedure("38225", None)], CANNOT_TELL),
        row("the later one may be of this week", [COLLECTED, procedure("38225", "2026-11")], CANNOT_TELL),
    ],
)
def test_two_collections(history: list[Resource], expected: str) -> None:
    assert outcome(view(history), "R08") == expected


def test_the_card_names_the_collection_that_was_done_for_sure() -> None:
    doubtful = procedure("38225", DAY, "unknown", id="a")

    shown = card(view([doubtful, procedure("38225", "2026-07-06", id="b")]), "R08")

    assert shown["summary"].startswith("T cells collected 2026-07-06 (137 d ago)")


@pytest.mark.parametrize(
    ("orders", "expected"),
    [
        row("the product", [draft_drug("ciltacabtagene autoleucel")], FLAGGED),
        row("the infusion", [draft_infusion()], FLAGGED),
        row("lymphodepletion", [draft_drug("fludarabine")], FLAGGED),
        row("a new collection", [draft_collection()], FLAGGED),
        row(
            "the product beside a bridge",
            [draft_drug("ciltacabtagene autoleucel"), draft_drug("dexamethasone")],
            SATISFIED,
        ),
        row("both drugs of lymphodepletion", [draft_drug("fludarabine"), draft_drug("cyclophosphamide")], FLAGGED),
        row(
            "the product beside cyclophosphamide",
            [draft_drug("ciltacabtagene autoleucel"), draft_drug("cyclophosphamide")],
            SATISFIED,
        ),
        row("a bridge alone", [draft_drug("bortezomib")], NOT_APPLICABLE),
        row("a bispecific", [draft_drug("talquetamab")], NOT_APPLICABLE),
        row("stem cells", [draft_service("38206", system=CPT)], NOT_APPLICABLE),
    ],
)
def test_which_orders_ask_when_signed(orders: list[Resource], expected: str) -> None:
    assert outcome(sign([COLLECTED], *orders), "R08") == expected
    assert outcome(select([COLLECTED], *orders), "R08") == NOT_APPLICABLE


MEDICATIONS = ["medicationStatements", "medicationRequests", "medicationAdministrations"]


@pytest.mark.parametrize("without", MEDICATIONS)
def test_unread_medication_may_hold_the_bridge(without: str) -> None:
    assert outcome(view([COLLECTED], without=[without]), "R08") == CANNOT_TELL


@pytest.mark.parametrize("without", ["procedures", "medicationAdministrations"])
def test_unread_procedures_may_hold_the_collection_or_the_infusion(without: str) -> None:
    assert outcome(view([], without=[without]), "R08") == CANNOT_TELL
    assert outcome(view([COLLECTED], without=[without]), "R08") == CANNOT_TELL


def test_observations_that_are_unread_keep_nothing_open() -> None:
    assert outcome(view([COLLECTED], without=["observations"]), "R08") == FLAGGED


def test_a_bridge_that_is_there_stands_whatever_is_unread() -> None:
    history = [COLLECTED, given("bortezomib", "2026-10-05")]

    assert outcome(view(history, without=["medicationStatements", "medicationRequests"]), "R08") == SATISFIED

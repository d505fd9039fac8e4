"""R10: teclistamab and talquetamab together. R14: another T-cell engager that may still be running.

"Today" is 2026-11-20. Unless a row says otherwise, a drug is selected and the other one stands in the chart.
"""

import pytest

from tests.build import (
    CPT,
    Resource,
    card,
    cards_of,
    condition,
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
    PREFERENCES,
    PROTECTED,
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

TECLISTAMAB, TALQUETAMAB, ELRANATAMAB, CILTA_CEL = (
    "teclistamab",
    "talquetamab",
    "elranatamab",
    "ciltacabtagene autoleucel",
)
PAIR = " + {}: active, but high infection rate; confirm prophylaxis, IgG plan and screening."


# --- R10: the pair ---


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("never given", [], SATISFIED),
        row("given yesterday", [given(TALQUETAMAB, days_ago(1))], FLAGGED),
        row("28 days ago: the last day that counts", [given(TALQUETAMAB, days_ago(28))], FLAGGED),
        row("29 days ago", [given(TALQUETAMAB, days_ago(29))], SATISFIED),
        row("reported until 10 days ago: it has ended", [reported(TALQUETAMAB, "2026-05-01", days_ago(10))], SATISFIED),
        row(
            "given 15 days ago, progression since",
            [given(TALQUETAMAB, days_ago(15)), progression(days_ago(10))],
            SATISFIED,
        ),
        row(
            "given 15 days ago, progression before",
            [given(TALQUETAMAB, days_ago(15)), progression(days_ago(20))],
            FLAGGED,
        ),
        row("and some day of this month", [given(TALQUETAMAB, days_ago(15)), progression("2026-11")], CANNOT_TELL),
        row(
            "listed as active, 90 days old",
            [reported(TALQUETAMAB, "2026-05-01", status="active", asserted=days_ago(90))],
            FLAGGED,
        ),
        row(
            "listed as active, 91 days old",
            [reported(TALQUETAMAB, "2026-05-01", status="active", asserted=days_ago(91))],
            CANNOT_TELL,
        ),
        row("some day of this month, up to 19 days ago", [given(TALQUETAMAB, "2026-11")], FLAGGED),
        row("some day in October, 20 to 50 days ago", [given(TALQUETAMAB, "2026-10")], CANNOT_TELL),
        row("some day in September, 51 days ago or more", [given(TALQUETAMAB, "2026-09")], SATISFIED),
        row("some day of the year", [given(TALQUETAMAB, "2026")], CANNOT_TELL),
        row("a dose without a date", [given(TALQUETAMAB, None)], CANNOT_TELL),
        row("only ordered", [ordered(TALQUETAMAB, "2026-11-10")], CANNOT_TELL),
        row("only dispensed", [dispensed(TALQUETAMAB, "2026-11-10", 28)], CANNOT_TELL),
        row("on hold, with no word of a dose", [reported(TALQUETAMAB, "2026-11-01", status="on-hold")], CANNOT_TELL),
        row("of unknown status", [given(TALQUETAMAB, "2026-11-10", "unknown")], CANNOT_TELL),
        row("not taken", [reported(TALQUETAMAB, "2026-11-01", status="not-taken")], SATISFIED),
        row("planned", [reported(TALQUETAMAB, "2026-12-01", status="intended")], SATISFIED),
        row("entered in error", [given(TALQUETAMAB, "2026-11-10", "entered-in-error")], SATISFIED),
        row("another bispecific is none of the pair", [given(ELRANATAMAB, "2026-11-10")], SATISFIED),
        row("cells are none of the pair", [infusion("2026-11-10")], SATISFIED),
    ],
)
def test_teclistamab_beside_talquetamab(history: list[Resource], expected: str) -> None:
    assert outcome(select(history, draft_drug(TECLISTAMAB)), "R10") == expected
    assert outcome(sign(history, draft_drug(TECLISTAMAB)), "R10") == expected


@pytest.mark.parametrize(
    ("history", "order", "expected"),
    [
        row("the other way round, 28 days", [given(TECLISTAMAB, days_ago(28))], TALQUETAMAB, FLAGGED),
        row("the other way round, 29 days", [given(TECLISTAMAB, days_ago(29))], TALQUETAMAB, SATISFIED),
        row(
            "the next dose of a course beside the other",
            [given(TECLISTAMAB, days_ago(7)), given(TALQUETAMAB, days_ago(7))],
            TECLISTAMAB,
            FLAGGED,
        ),
        row("another bispecific", [given(TECLISTAMAB, days_ago(7))], ELRANATAMAB, NOT_APPLICABLE),
        row("cells", [given(TECLISTAMAB, days_ago(7))], CILTA_CEL, NOT_APPLICABLE),
        row("conventional treatment", [given(TECLISTAMAB, days_ago(7))], "daratumumab", NOT_APPLICABLE),
    ],
)
def test_which_orders_make_the_pair(history: list[Resource], order: str, expected: str) -> None:
    assert outcome(select(history, draft_drug(order)), "R10") == expected


def test_both_among_the_drafts() -> None:
    orders = [draft_drug(TECLISTAMAB), draft_drug(TALQUETAMAB)]

    for assessment in (select([], *orders), sign([], *orders), select([], orders[0], beside=orders[1:])):
        shown = card(assessment, "R10")
        assert shown["indicator"] == "warning"
        assert shown["summary"] == "Teclistamab" + PAIR.format(TALQUETAMAB)
        assert "Teclistamab and talquetamab are both among the draft orders." in shown["detail"]
        assert outcome(assessment, "R14") == SATISFIED


def test_both_among_the_drafts_whatever_is_unread() -> None:
    orders = [draft_drug(TECLISTAMAB), draft_drug(TALQUETAMAB)]

    assert outcome(sign([], *orders, without=["medicationAdministrations"]), "R10") == FLAGGED


@pytest.mark.parametrize(
    ("history", "because"),
    [
        row(
            "a dose", given(TECLISTAMAB, "2026-11-05"), "Talquetamab is ordered; teclistamab was last given 2026-11-05."
        ),
        row(
            "a list",
            reported(TECLISTAMAB, "2026-05-01", status="active", asserted="2026-11-01"),
            "Talquetamab is ordered; teclistamab is listed as being given.",
        ),
    ],
)
def test_the_card_of_the_pair_says_why(history: Resource, because: str) -> None:
    assessment = select([history, *PROTECTED], draft_drug(TALQUETAMAB))

    shown = card(assessment, "R10")
    assert shown["summary"] == "Talquetamab" + PAIR.format(TECLISTAMAB)
    assert because in shown["detail"]
    assert drafts_in(shown) == ["Myeloma board review"]
    assert outcome(assessment, "R14") == SATISFIED


@pytest.mark.parametrize("without", ["medicationStatements", "medicationRequests", "medicationAdministrations"])
def test_what_was_not_read_may_be_the_other_of_the_pair(without: str) -> None:
    assert outcome(select([], draft_drug(TECLISTAMAB), without=[without]), "R10") == CANNOT_TELL
    listed = reported(TALQUETAMAB, days_ago(14), status="active", asserted=days_ago(7))
    recent = [given(TALQUETAMAB, days_ago(7)), listed]
    assert outcome(select(recent, draft_drug(TECLISTAMAB), without=[without]), "R10") == FLAGGED


def test_treatment_that_is_not_recognised_may_be_the_other_of_the_pair() -> None:
    history = [given("INV-777 study drug", "2026-11-10")]

    assert outcome(select(history, draft_drug(TECLISTAMAB)), "R10") == CANNOT_TELL


def test_what_cannot_be_told_of_the_pair_is_not_shown() -> None:
    assessment = select([given(TALQUETAMAB, "2026-10")], draft_drug(TECLISTAMAB))

    assert outcome(assessment, "R10") == CANNOT_TELL
    assert not [shown for shown in cards_of(assessment) if "R10" in text_of(shown)]


# --- R14: another engager ---

ACTIVE = {"status": "active"}
TOXICITY = {"statusReason": [{"text": "Toxicity: cytokine release"}]}


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("never given", [], SATISFIED),
        row("given today", [given(ELRANATAMAB, days_ago(0))], FLAGGED),
        row("28 days ago: the last day that counts", [given(ELRANATAMAB, days_ago(28))], FLAGGED),
        row("29 days ago", [given(ELRANATAMAB, days_ago(29))], SATISFIED),
        row("some day of this month", [given(ELRANATAMAB, "2026-11")], FLAGGED),
        row("some day in October, 20 to 50 days ago", [given(ELRANATAMAB, "2026-10")], CANNOT_TELL),
        row("some day in September", [given(ELRANATAMAB, "2026-09")], SATISFIED),
        row("some day of the year", [given(ELRANATAMAB, "2026")], CANNOT_TELL),
        row("a dose without a date", [given(ELRANATAMAB, None)], CANNOT_TELL),
        row(
            "listed as active, 90 days old",
            [reported(ELRANATAMAB, "2026-05-01", asserted=days_ago(90), **ACTIVE)],
            FLAGGED,
        ),
        row(
            "listed as active, 91 days old: stale",
            [reported(ELRANATAMAB, "2026-05-01", asserted=days_ago(91), **ACTIVE)],
            CANNOT_TELL,
        ),
        row("listed as active, nobody knows since when", [reported(ELRANATAMAB, "2026-05-01", **ACTIVE)], CANNOT_TELL),
        row("its record was closed yesterday", [reported(ELRANATAMAB, "2026-05-01", days_ago(1))], SATISFIED),
        row("closed as stopped", [reported(ELRANATAMAB, "2026-05-01", days_ago(1), "stopped")], SATISFIED),
        row("closed on some day of this month", [reported(ELRANATAMAB, "2026-05-01", "2026-11")], SATISFIED),
        row("closed, without dates", [reported(ELRANATAMAB)], SATISFIED),
        row(
            "doses, and a statement that closes them",
            [given(ELRANATAMAB, days_ago(10)), reported(ELRANATAMAB, "2026-05-01", days_ago(10))],
            SATISFIED,
        ),
        row(
            "a statement was closed, but doses followed",
            [reported(ELRANATAMAB, "2026-05-01", days_ago(20)), given(ELRANATAMAB, days_ago(10))],
            FLAGGED,
        ),
        row(
            "a statement was closed in the month of the last dose: before or after it?",
            [reported(ELRANATAMAB, "2026-05-01", "2026-11"), given(ELRANATAMAB, days_ago(10))],
            CANNOT_TELL,
        ),
        row(
            "a statement was closed on some day of the year: before or after the last dose?",
            [reported(ELRANATAMAB, "2026", "2026"), given(ELRANATAMAB, days_ago(10))],
            CANNOT_TELL,
        ),
        row(
            "one statement twice, closed on some day",
            [reported(ELRANATAMAB, "2026-05-01", asserted=days_ago(10)) for _ in range(2)],
            SATISFIED,
        ),
        row(
            "an earlier course was closed, a new one runs",
            [reported(ELRANATAMAB, "2025-01-05", "2025-06-01"), given(ELRANATAMAB, days_ago(10))],
            FLAGGED,
        ),
        row(
            "one infusion was broken off for toxicity",
            [given(ELRANATAMAB, days_ago(10), "stopped", **TOXICITY)],
            FLAGGED,
        ),
        row("on hold, with no word of a dose", [reported(ELRANATAMAB, "2026-11-01", status="on-hold")], CANNOT_TELL),
        row(
            "on hold after a dose: it may go on",
            [reported(ELRANATAMAB, "2026-05-01", status="on-hold"), given(ELRANATAMAB, days_ago(10))],
            FLAGGED,
        ),
        row("only ordered", [ordered(ELRANATAMAB, "2026-11-01")], CANNOT_TELL),
        row("only ordered, long ago, and the order still open", [ordered(ELRANATAMAB, "2025-11-01")], CANNOT_TELL),
        row("only ordered, and the order is closed", [ordered(ELRANATAMAB, "2026-11-01", "stopped")], SATISFIED),
        row("an order on hold", [ordered(ELRANATAMAB, "2026-11-01", "on-hold")], SATISFIED),
        row("an order that was cancelled", [ordered(ELRANATAMAB, "2026-11-01", "cancelled")], SATISFIED),
        row("only handed over: a supply ends no course", [dispensed(ELRANATAMAB, "2026-11-01", 28)], CANNOT_TELL),
        row(
            "a dose, and what was handed over for it",
            [given(ELRANATAMAB, days_ago(10)), dispensed(ELRANATAMAB, days_ago(10), 7)],
            FLAGGED,
        ),
        row("of unknown status", [given(ELRANATAMAB, days_ago(10), "unknown")], CANNOT_TELL),
        row("not taken", [reported(ELRANATAMAB, "2026-05-01", status="not-taken")], SATISFIED),
        row("planned", [reported(ELRANATAMAB, "2026-12-01", status="intended")], SATISFIED),
        row("not done", [given(ELRANATAMAB, days_ago(10), "not-done")], SATISFIED),
        row("entered in error", [given(ELRANATAMAB, days_ago(10), "entered-in-error")], SATISFIED),
        row("an earlier CAR T infusion is no course", [infusion(days_ago(10))], SATISFIED),
        row("nor are cells that are history alone", [myeloma(), condition("Z92.850")], SATISFIED),
        row("the conjugate is no engager", [given("belantamab mafodotin", days_ago(10))], SATISFIED),
        row("nor is a CD38 antibody", [given("daratumumab", days_ago(10))], SATISFIED),
        row("one of several", [given("cevostamab", days_ago(100)), given(ELRANATAMAB, days_ago(10))], FLAGGED),
    ],
)
def test_another_engager_beside_talquetamab(history: list[Resource], expected: str) -> None:
    assessment = sign(history, draft_drug(TALQUETAMAB))

    assert outcome(assessment, "R14") == expected
    assert outcome(select(history, draft_drug(TALQUETAMAB)), "R14") == expected
    assert ("R14" in codes_besides_care(assessment)) == (expected == FLAGGED)


LAST = days_ago(10)


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        row("the day before the last dose: given on nevertheless", progression(days_ago(11)), FLAGGED),
        row("on the day of the last dose: the new drug replaces it", progression(LAST), SATISFIED),
        row("the day after", progression(days_ago(9)), SATISFIED),
        row("today", progression(days_ago(0)), SATISFIED),
        row("a relapse recorded after", relapse(days_ago(5)), SATISFIED),
        row("long before", progression("2026-01-10"), FLAGGED),
        row("in the month of the last dose: before or after it?", progression("2026-11"), CANNOT_TELL),
        row("on an unknown day", progression(None), CANNOT_TELL),
        row("a preliminary result is none", progression(days_ago(9), "preliminary"), FLAGGED),
        row(
            "a status that nobody understands",
            progression(days_ago(9), valueCodeableConcept={"text": "see note"}),
            CANNOT_TELL,
        ),
        row(
            "a status that was not understood, before the last dose",
            progression(days_ago(20), valueCodeableConcept={"text": "see note"}),
            FLAGGED,
        ),
    ],
)
def test_progression_replaces_the_old_drug(event: Resource, expected: str) -> None:
    history = [myeloma(), given(ELRANATAMAB, days_ago(40)), given(ELRANATAMAB, LAST), event]

    assert outcome(sign(history, draft_drug(TALQUETAMAB)), "R14") == expected


def test_progression_unread_keeps_nothing_open() -> None:
    history = [given(ELRANATAMAB, LAST)]

    assert outcome(sign(history, draft_drug(TALQUETAMAB), without=["observations"]), "R14") == FLAGGED


def test_a_list_that_goes_on_after_progression_is_asked_about() -> None:
    listed = reported(ELRANATAMAB, "2026-05-01", status="active", asserted=days_ago(3))

    assert outcome(sign([listed, progression(days_ago(9))], draft_drug(TALQUETAMAB)), "R14") == FLAGGED


def test_a_dose_that_was_stopped_for_progression_is_the_last() -> None:
    stopped = given(ELRANATAMAB, LAST, "stopped", statusReason=[{"text": "Progressive disease"}])

    assert outcome(sign([stopped], draft_drug(TALQUETAMAB)), "R14") == SATISFIED


@pytest.mark.parametrize(
    ("history", "order", "expected"),
    [
        row("a BCMA bispecific before cells", [given(ELRANATAMAB, LAST)], draft_drug(CILTA_CEL), FLAGGED),
        row(
            "a BCMA bispecific before an infusion without product",
            [given(ELRANATAMAB, LAST)],
            draft_infusion(),
            FLAGGED,
        ),
        row(
            "talquetamab as bridge to cells",
            [procedure("38225", "2026-09-28"), given(TALQUETAMAB, LAST)],
            draft_drug(CILTA_CEL),
            SATISFIED,
        ),
        row(
            "talquetamab as bridge to an infusion without product",
            [given(TALQUETAMAB, LAST)],
            draft_infusion(),
            SATISFIED,
        ),
        row(
            "talquetamab and a BCMA bispecific before cells",
            [given(TALQUETAMAB, LAST), given(ELRANATAMAB, LAST)],
            draft_drug(CILTA_CEL),
            FLAGGED,
        ),
        row("the collection is no engager", [given(ELRANATAMAB, LAST)], draft_collection(), NOT_APPLICABLE),
        row("nor is lymphodepletion", [given(ELRANATAMAB, LAST)], draft_drug("fludarabine"), NOT_APPLICABLE),
        row("nor the conjugate", [given(ELRANATAMAB, LAST)], draft_drug("belantamab mafodotin"), NOT_APPLICABLE),
        row("nor stem cells", [given(ELRANATAMAB, LAST)], draft_service("38206", system=CPT), NOT_APPLICABLE),
        row("the same drug goes on", [given(ELRANATAMAB, LAST)], draft_drug(ELRANATAMAB), SATISFIED),
        row(
            "the same drug goes on beside another",
            [given(ELRANATAMAB, LAST), given(TALQUETAMAB, LAST)],
            draft_drug(ELRANATAMAB),
            FLAGGED,
        ),
        row("the pair of R10", [given(TECLISTAMAB, LAST)], draft_drug(TALQUETAMAB), SATISFIED),
        row("the pair of R10, the other way round", [given(TALQUETAMAB, LAST)], draft_drug(TECLISTAMAB), SATISFIED),
        row(
            "one of the pair and a third",
            [given(TECLISTAMAB, LAST), given(ELRANATAMAB, LAST)],
            draft_drug(TALQUETAMAB),
            FLAGGED,
        ),
        row("one of the pair beside another drug", [given(TECLISTAMAB, LAST)], draft_drug(ELRANATAMAB), FLAGGED),
    ],
)
def test_which_orders_ask(history: list[Resource], order: Resource, expected: str) -> None:
    assert outcome(sign(history, order), "R14") == expected
    assert outcome(select(history, order), "R14") == expected


@pytest.mark.parametrize(
    ("history", "order", "summary", "why"),
    [
        row(
            "a dose",
            given(ELRANATAMAB, LAST),
            draft_drug(TALQUETAMAB),
            "Elranatamab (last dose 2026-11-10) may still be running; confirm its end before starting talquetamab.",
            "Last dose of elranatamab: 2026-11-10. No record says that it has ended",
        ),
        row(
            "some day of the month",
            given(ELRANATAMAB, "2026-11"),
            draft_infusion(),
            "Elranatamab (last dose some day between 2026-11-01 and 2026-11-20) may still be running; "
            "confirm its end before starting CAR T cells.",
            "Last dose of elranatamab: some day between 2026-11-01 and 2026-11-20",
        ),
        row(
            "an entry of the medication list",
            reported(ELRANATAMAB, "2026-05-01", status="active", asserted="2026-11-01"),
            draft_drug(CILTA_CEL),
            "Elranatamab is still listed as being given; "
            "confirm that it has ended before starting ciltacabtagene autoleucel.",
            "No record says that elranatamab has ended; it is listed as being given.",
        ),
    ],
)
def test_the_card_of_another_engager(history: Resource, order: Resource, summary: str, why: str) -> None:
    shown = card(sign([history, *PROTECTED], order), "R14")

    assert (shown["indicator"], shown["summary"]) == ("warning", summary)
    assert why in shown["detail"]
    assert drafts_in(shown) == []


@pytest.mark.parametrize(
    ("history", "said"),
    [
        row(
            "stale",
            reported(ELRANATAMAB, "2026-05-01", asserted=days_ago(91), **ACTIVE),
            "whether elranatamab is still being given (its record is old, or its dates are vague)",
        ),
        row("only ordered", ordered(ELRANATAMAB, "2026-11-01"), "whether elranatamab was given at all, and when last"),
    ],
)
def test_what_cannot_be_told_is_said(history: Resource, said: str) -> None:
    assert said in text_of(card(sign([history], draft_drug(TALQUETAMAB)), "R00"))


@pytest.mark.parametrize("without", ["medicationStatements", "medicationRequests", "medicationAdministrations"])
def test_what_was_not_read_may_be_another_engager(without: str) -> None:
    assert outcome(sign([], draft_drug(TALQUETAMAB), without=[without]), "R14") == CANNOT_TELL
    recent = [given(ELRANATAMAB, LAST), reported(ELRANATAMAB, "2026-05-01", asserted=LAST, **ACTIVE)]
    assert outcome(sign(recent, draft_drug(TALQUETAMAB), without=[without]), "R14") == FLAGGED


def test_both_rules_are_silent_when_the_chart_is_opened() -> None:
    history = [given(TECLISTAMAB, LAST), given(TALQUETAMAB, LAST), given(ELRANATAMAB, LAST)]

    assert {outcome(view(history), rule) for rule in ("R10", "R14")} == {NOT_APPLICABLE}


def test_two_engagers_far_apart_need_no_card() -> None:
    history = [given(TECLISTAMAB, days_ago(200)), given(ELRANATAMAB, days_ago(300)), *PROTECTED]

    assert codes_besides_care(sign(history, draft_drug(TALQUETAMAB)), besides=PREFERENCES) == []

"""R05: after progression on or shortly after BCMA-directed therapy, another antigen or another mechanism.

Progression within 60 days of the last dose is failure of that drug, up to 183 days it came shortly after; after
CAR T cells, up to 183 days from the infusion. "Today" is 2026-11-20.
"""

from typing import Any

import pytest

from cards.finding import Hook
from tests.build import (
    SNOMED,
    Resource,
    ask,
    bundle,
    card,
    chart,
    coded,
    condition,
    draft_collection,
    draft_drug,
    draft_infusion,
    given,
    hook_request,
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
    days_after,
    days_ago,
    drafts_in,
    row,
    select,
    sign,
)

LAST = "2026-03-01"
TECLISTAMAB = reported("teclistamab", "2025-11-03", LAST)
CILTA_CEL = infusion(LAST)
DURING, AFTER, AFTER_CELLS, LATER = (
    "Progressed on teclistamab",
    "IMWG advises another antigen or mechanism",
    "d after ciltacabtagene autoleucel",
    "consider another antigen or mechanism",
)
TOXICITY: dict[str, Any] = {"status": "stopped", "statusReason": [{"text": "Toxicity: cytokine release"}]}
COMPLETION: dict[str, Any] = {"statusReason": [{"text": "Planned course completed"}]}
PROGRESSED: dict[str, Any] = {"status": "stopped", "statusReason": [{"text": "Progressive disease"}]}


def after(days: int) -> Resource:
    """Record progression so many days after the last dose, or the infusion."""
    return progression(days_after(LAST, days))


@pytest.mark.parametrize(
    ("history", "indicator", "summary"),
    [
        row("while it was being given", [TECLISTAMAB, after(-40)], "warning", DURING),
        row("on the day of the last dose", [TECLISTAMAB, after(0)], "warning", DURING),
        row("one day after the last dose", [TECLISTAMAB, after(1)], "warning", "Progressed 1 d after teclistamab"),
        row("60 days after: still refractory", [TECLISTAMAB, after(60)], "warning", AFTER),
        row("61 days after: later, said softly", [TECLISTAMAB, after(61)], "info", LATER),
        row("183 days after: the last day that counts", [TECLISTAMAB, after(183)], "info", LATER),
        row("CAR T cells, 30 days", [CILTA_CEL, after(30)], "warning", AFTER_CELLS),
        row("CAR T cells, 61 days: one window for them", [CILTA_CEL, after(61)], "warning", AFTER_CELLS),
        row("CAR T cells, 136 days", [CILTA_CEL, progression("2026-07-15")], "warning", "Progressed 136 d after"),
        row("CAR T cells, 183 days: the last day that counts", [CILTA_CEL, after(183)], "warning", AFTER_CELLS),
        row("some day in April, 31 to 60 days", [TECLISTAMAB, progression("2026-04")], "warning", AFTER),
        row("some day in May, 61 to 91 days", [TECLISTAMAB, progression("2026-05")], "info", LATER),
        row(
            "some day from 52 to 82 days: what is not sure is said softly",
            [reported("teclistamab", "2025-11-03", "2026-03-10"), progression("2026-05")],
            "info",
            LATER,
        ),
        row(
            "infused some day in April, 75 to 104 days",
            [infusion("2026-04"), progression("2026-07-14")],
            "warning",
            "Progressed 75 to 104 d after",
        ),
    ],
)
def test_progression_early_enough_to_change_antigen_or_mechanism(
    history: list[Resource], indicator: str, summary: str
) -> None:
    assessment = select([*history, *PROTECTED], draft_drug("elranatamab"))

    assert codes_besides_care(assessment, besides=PREFERENCES) == ["R05"]
    shown = card(assessment, "R05")
    assert shown["indicator"] == indicator
    assert summary in shown["summary"]
    assert drafts_in(shown) == ["talquetamab", "Myeloma board review"]


@pytest.mark.parametrize(
    "history",
    [
        row("184 days after the last dose", [TECLISTAMAB, after(184)]),
        row("184 days after the infusion", [CILTA_CEL, after(184)]),
        row("955 days after the infusion", [infusion("2024-03-01"), progression("2026-10-12")]),
        row("some day in September, 184 to 213 days", [TECLISTAMAB, progression("2026-09")]),
        row("never BCMA-directed therapy", [given("bortezomib", "2026-11-05"), progression("2026-11-10")]),
        row("only CD19 cells for a lymphoma", [given("axicabtagene ciloleucel", LAST), after(30)]),
        row("only GPRC5D therapy", [given("talquetamab", LAST), after(30)]),
        row("ended for toxicity, no progression on record", [reported("teclistamab", "2026-01-05", LAST, **TOXICITY)]),
        row("ended as planned, no progression on record", [reported("teclistamab", "2026-01-05", LAST, **COMPLETION)]),
        row("a conjugate before: another mechanism", [reported("belantamab mafodotin", "2026-01-05", LAST), after(30)]),
        row(
            "the latest BCMA therapy was a conjugate",
            [TECLISTAMAB, after(10), reported("belantamab mafodotin", "2026-04-01", "2026-08-01")],
        ),
        row(
            "the latest BCMA therapy failed late, an earlier one soon",
            [
                reported("linvoseltamab", "2023-01-05", "2023-06-01"),
                progression("2023-06-20"),
                infusion("2024-03-01"),
                progression("2026-10-12"),
            ],
        ),
        row("entered in error", [reported("teclistamab", "2026-01-05", LAST, "entered-in-error"), after(30)]),
        row("not taken", [reported("teclistamab", "2026-01-05", LAST, "not-taken"), after(30)]),
        row("not done", [given("teclistamab", LAST, "not-done"), after(30)]),
        row("intended", [reported("teclistamab", "2026-12-05", status="intended"), after(30)]),
    ],
)
def test_no_reason_to_change(history: list[Resource]) -> None:
    assessment = select([*history, *PROTECTED], draft_drug("elranatamab"))

    assert outcome(assessment, "R05") == SATISFIED
    assert codes_besides_care(assessment, besides=PREFERENCES) == []


@pytest.mark.parametrize(
    "history",
    [
        row("an older statement of the drug, never closed", [reported("teclistamab", "2025-05-01", None, "active")]),
        row("one of the year before, never closed", [reported("teclistamab", "2025", None, "active")]),
        row("its doses once more, between a year and a month", [reported("teclistamab", "2026", "2026-03")]),
        row("another drug on some day, and a later progression", [given("daratumumab", "2026"), after(100)]),
        row("another drug never closed, and a later progression", [reported("lenalidomide", "2026"), after(100)]),
    ],
)
def test_what_is_vague_beside_it_takes_no_certain_failure_back(history: list[Resource]) -> None:
    doses = [given("teclistamab", days_after(LAST, -days)) for days in (90, 60, 30, 0)]

    assert outcome(select([*doses, after(20), *history], draft_drug("elranatamab")), "R05") == FLAGGED


@pytest.mark.parametrize(
    ("history", "missing"),
    [
        row("no word on progression", [TECLISTAMAB], "whether and when the myeloma progressed on or after teclistamab"),
        row(
            "`stopped` alone is no reason", [reported("teclistamab", "2026-01-05", LAST, "stopped")], "whether and when"
        ),
        row("no word on progression after CAR T cells", [CILTA_CEL], "whether and when the myeloma progressed"),
        row("progression before the therapy", [TECLISTAMAB, progression("2025-10-20")], "whether and when"),
        row("progression on the day of the infusion led to it", [CILTA_CEL, after(0)], "whether and when"),
        row("a preliminary result", [TECLISTAMAB, progression("2026-04-01", "preliminary")], "whether and when"),
        row(
            "a refuted relapse",
            [myeloma(), TECLISTAMAB, relapse("2026-04-01") | {"verificationStatus": {"coding": [{"code": "refuted"}]}}],
            "whether and when",
        ),
        row("progression without a date", [TECLISTAMAB, progression(None)], "a date of progression"),
        row("relapse without a date", [TECLISTAMAB, relapse(None)], "a date of progression"),
        row(
            "a suspected relapse",
            [
                myeloma(),
                TECLISTAMAB,
                relapse("2026-04-01") | {"verificationStatus": {"coding": [{"code": "provisional"}]}},
            ],
            "a date of progression",
        ),
        row(
            "relapse as the state of an old entry: since when?",
            [TECLISTAMAB, myeloma(clinicalStatus={"coding": [{"code": "relapse"}]})],
            "a date of progression",
        ),
        row(
            "some day from 175 to 204 days: the month crosses six months",
            [reported("teclistamab", "2025-11-03", "2026-03-10"), progression("2026-09")],
            "a date of progression",
        ),
        row("infused some day in 2025", [infusion("2025"), progression("2026-02-01")], "a date of progression"),
        row(
            "progression in the month of the infusion: before or after it?",
            [infusion("2026-03-20"), progression("2026-03")],
            "a date of progression",
        ),
        row("cells without a date", [reported("ciltacabtagene autoleucel"), after(30)], "when ciltacabtagene"),
        row(
            "doses without a date",
            [reported("teclistamab"), after(30)],
            "whether teclistamab was given at all, and when",
        ),
        row("infused, product unknown", [infusion(LAST, None), after(30)], "which CAR T product was infused"),
        row("CAR T cells as history alone", [myeloma(), condition("Z92.850"), after(30)], "which CAR T product"),
        row(
            "of unknown status", [reported("teclistamab", "2026-01-05", LAST, "unknown"), after(30)], "was given at all"
        ),
        row(
            "on hold, with no word of a dose",
            [reported("teclistamab", "2026-01-05", status="on-hold", asserted="2026-03-01"), after(30)],
            "whether teclistamab was given at all",
        ),
        row("ordered alone", [ordered("teclistamab", "2026-01-05"), after(30)], "whether teclistamab was given at all"),
        row(
            "cells ordered and completed, no word of an infusion",
            [ordered("ciltacabtagene autoleucel", "2026-01-05", "completed"), after(30)],
            "whether ciltacabtagene autoleucel was given at all",
        ),
        row(
            "ended for toxicity, and a status of the disease since that was not understood",
            [
                reported("teclistamab", "2026-01-05", LAST, "stopped", statusReason=[{"text": "toxicity"}]),
                progression("2026-03-31", valueCodeableConcept={"text": "see note"}),
            ],
            "a date of progression",
        ),
        row(
            "ended for toxicity and something that cannot be read",
            [reported("teclistamab", "2026-01-05", LAST, "stopped", statusReason=[{"text": "toxicity"}, {"text": {}}])],
            "whether and when",
        ),
        row(
            "cells that failed, and another BCMA drug on some day of the year",
            [CILTA_CEL, after(30), given("teclistamab", "2026")],
            "when teclistamab was given",
        ),
        row(
            "a drug that failed, on and on, and cells on some day of the year: which was the last?",
            [reported("teclistamab", "2026-08-14"), progression("2026-10-31"), infusion("2026")],
            "when ciltacabtagene autoleucel was given",
        ),
        row(
            "treated on some day of the year, perhaps between two progressions",
            [TECLISTAMAB, after(30), given("bortezomib", "2026"), after(200)],
            "a date of progression",
        ),
        row("treatment that nobody knows", [given("xyzutamab", LAST)], "a treatment that is not recognised"),
    ],
)
def test_what_the_chart_does_not_say(history: list[Resource], missing: str) -> None:
    assessment = select([*history, *PROTECTED], draft_drug("elranatamab"))

    assert outcome(assessment, "R05") == CANNOT_TELL
    assert codes_besides_care(assessment, besides=PREFERENCES) == ["R00"]
    assert missing in card(assessment, "R00")["detail"]


@pytest.mark.parametrize(
    ("history", "days"),
    [
        row("coded as relapse", [TECLISTAMAB, relapse("2026-03-31")], "30"),
        row("the reason why the drug was ended", [reported("teclistamab", "2026-01-05", LAST, **PROGRESSED)], None),
        row(
            "the reason, by code",
            [
                reported(
                    "teclistamab",
                    "2026-01-05",
                    LAST,
                    "stopped",
                    statusReason=[coded(SNOMED, "271299001")],
                )
            ],
            None,
        ),
        row(
            "ended for toxicity, and progression soon after it",
            [reported("teclistamab", "2026-01-05", LAST, **TOXICITY), after(30)],
            "30",
        ),
        row("stopped doses count as given", [reported("teclistamab", "2026-01-05", LAST, "stopped"), after(30)], "30"),
        row(
            "a history code says nothing that the dated infusion does not",
            [myeloma(), condition("Z92.850"), CILTA_CEL, after(30)],
            "30",
        ),
        row(
            "the bare procedure and the product, a week apart, are one infusion",
            [CILTA_CEL, procedure("38228", days_after(LAST, 7)), after(30)],
            "30",
        ),
        row(
            "cells after a bispecific: the latest therapy is judged",
            [reported("teclistamab", "2025-01-05", "2025-06-01"), progression("2025-06-20"), CILTA_CEL, after(90)],
            "90",
        ),
        row(
            "a bispecific after cells: the latest therapy is judged",
            [infusion("2024-03-01"), progression("2025-10-12"), TECLISTAMAB, after(20)],
            "20",
        ),
        row(
            "two worsenings without treatment in between are one failure",
            [TECLISTAMAB, after(30), after(240)],
            "30",
        ),
        row(
            "a steroid in between is no new treatment",
            [TECLISTAMAB, after(30), reported("dexamethasone", "2026-05-01", "2026-05-04"), after(240)],
            "30",
        ),
        row(
            "nor is acyclovir",
            [TECLISTAMAB, after(30), reported("acyclovir", "2026-05-01", status="active"), after(240)],
            "30",
        ),
    ],
)
def test_which_progression_of_which_therapy(history: list[Resource], days: str | None) -> None:
    assessment = select([*history, *PROTECTED], draft_drug("elranatamab"))

    summary = card(assessment, "R05")["summary"]
    assert summary.startswith(f"Progressed {days} d after" if days else "Progressed on teclistamab")


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row(
            "new treatment between two worsenings: the later one failed that treatment",
            [TECLISTAMAB, after(30), reported("lenalidomide", "2026-05-01", "2026-09-01"), after(240)],
            SATISFIED,
        ),
        row(
            "30 days apart they are one worsening, dated by its first record",
            [
                TECLISTAMAB,
                after(170),
                reported("lenalidomide", days_after(LAST, 172), days_after(LAST, 190)),
                after(200),
            ],
            FLAGGED,
        ),
        row(
            "31 days apart they are two",
            [
                TECLISTAMAB,
                after(170),
                reported("lenalidomide", days_after(LAST, 172), days_after(LAST, 190)),
                after(201),
            ],
            SATISFIED,
        ),
    ],
)
def test_two_worsenings(history: list[Resource], expected: str) -> None:
    assert outcome(select(history, draft_drug("elranatamab")), "R05") == expected


@pytest.mark.parametrize(
    ("history", "order", "expected"),
    [
        row("bispecific after bispecific", TECLISTAMAB, draft_drug("linvoseltamab"), FLAGGED),
        row("BCMA cells after a bispecific", TECLISTAMAB, draft_drug("idecabtagene vicleucel"), FLAGGED),
        row("an infusion that names no product", TECLISTAMAB, draft_infusion(), FLAGGED),
        row("bispecific after cells", CILTA_CEL, draft_drug("teclistamab"), FLAGGED),
        row("cells after cells", CILTA_CEL, draft_drug("idecabtagene vicleucel"), FLAGGED),
        row(
            "conjugate after conjugate",
            reported("belantamab mafodotin", "2026-01-05", LAST),
            draft_drug("belantamab mafodotin"),
            FLAGGED,
        ),
        row("conjugate after cells: another mechanism", CILTA_CEL, draft_drug("belantamab mafodotin"), SATISFIED),
        row("conjugate after a bispecific", TECLISTAMAB, draft_drug("belantamab mafodotin"), SATISFIED),
        row("talquetamab binds another antigen", CILTA_CEL, draft_drug("talquetamab"), NOT_APPLICABLE),
        row("so do GPRC5D cells", TECLISTAMAB, draft_drug("arlocabtagene autoleucel"), NOT_APPLICABLE),
        row("an antibody against CD38", TECLISTAMAB, draft_drug("daratumumab"), NOT_APPLICABLE),
        row("collection is a step, not the drug", TECLISTAMAB, draft_collection(), NOT_APPLICABLE),
        row("nor is lymphodepletion the drug", TECLISTAMAB, draft_drug("fludarabine"), NOT_APPLICABLE),
    ],
)
def test_what_is_ordered(history: Resource, order: Resource, expected: str) -> None:
    both = [history, after(30)]

    assert outcome(select(both, order), "R05") == expected
    assert outcome(sign(both, order), "R05") == expected


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("112 days since the same drug: the course goes on", [given("teclistamab", days_ago(112))], NOT_APPLICABLE),
        row("113 days since the same drug: a new start", [given("teclistamab", days_ago(113))], FLAGGED),
        row("another drug is a new start", [given("elranatamab", days_ago(112))], FLAGGED),
        row("an order is no dose: not known to go on", [ordered("teclistamab", days_ago(20))], CANNOT_TELL),
        row(
            "a reported course goes on too",
            [reported("teclistamab", "2026-01-05", status="active", asserted=days_ago(3))],
            NOT_APPLICABLE,
        ),
    ],
)
def test_a_new_start_or_the_next_dose(history: list[Resource], expected: str) -> None:
    both = [*history, progression(days_ago(5)), progression(days_ago(60))]

    assert outcome(select(both, draft_drug("teclistamab")), "R05") == expected


def test_doses_of_one_drug_far_apart_are_two_courses() -> None:
    """Progression after the first course is not progression on the second, which began later."""
    far = [given("teclistamab", "2026-01-05"), progression("2026-02-01"), given("teclistamab", "2026-04-28")]
    near = [given("teclistamab", "2026-01-05"), progression("2026-02-01"), given("teclistamab", "2026-04-27")]

    assert outcome(select(far, draft_drug("elranatamab")), "R05") == CANNOT_TELL
    assert outcome(select(near, draft_drug("elranatamab")), "R05") == FLAGGED


def test_the_order_itself_is_no_history() -> None:
    order = draft_drug("teclistamab", id="new")
    stored = ordered("teclistamab", days_ago(0), id="stored-by-the-system")

    assert outcome(select([], order), "R05") == SATISFIED
    assert outcome(select([stored], order), "R05") == SATISFIED


@pytest.mark.parametrize(
    ("history", "without", "expected"),
    [
        row("no BCMA therapy found, procedures unread", [], "procedures", CANNOT_TELL),
        row("no BCMA therapy found, statements unread", [], "medicationStatements", CANNOT_TELL),
        row(
            "ended for toxicity, observations unread",
            [reported("teclistamab", "2026-01-05", LAST, **TOXICITY)],
            "observations",
            CANNOT_TELL,
        ),
        row("progressed late, a later therapy may be unread", [CILTA_CEL, after(184)], "procedures", CANNOT_TELL),
        row("another mechanism, allergies unread", [given("belantamab mafodotin", LAST)], "allergies", SATISFIED),
        row("progressed early, whatever else is unread", [CILTA_CEL, after(30)], "procedures", FLAGGED),
    ],
)
def test_what_was_not_read(history: list[Resource], without: str, expected: str) -> None:
    request = hook_request(Hook.ORDER_SELECT, chart(*history, without=[without]), [draft_drug("elranatamab")])

    assert outcome(ask(request), "R05") == expected


def test_talquetamab_is_not_offered_after_it_has_failed() -> None:
    history = [reported("talquetamab", "2025-01-05", "2025-05-01"), progression("2025-05-05"), TECLISTAMAB, after(30)]

    shown = card(select(history, draft_drug("elranatamab")), "R05")

    assert drafts_in(shown) == ["Myeloma board review"]


def test_the_proposal_is_no_order_and_carries_no_dose() -> None:
    shown = card(select([CILTA_CEL, after(30)], draft_drug("elranatamab")), "R05")

    proposal = shown["suggestions"][0]["actions"][0]["resource"]
    assert (proposal["status"], proposal["intent"]) == ("draft", "proposal")
    assert "dosageInstruction" not in proposal
    assert not any(suggestion["isRecommended"] for suggestion in shown["suggestions"])


def test_one_unread_bundle_does_not_hide_a_progression() -> None:
    history = chart(CILTA_CEL, after(30), medicationRequests=bundle([]))

    assert outcome(ask(hook_request(Hook.ORDER_SELECT, history, [draft_drug("elranatamab")])), "R05") == FLAGGED


def test_days_between_are_never_negative() -> None:
    ongoing_until = reported("teclistamab", "2026-01-05", status="active", asserted="2026-08-10")

    detail = card(select([ongoing_until, progression("2026-09-20")], draft_drug("elranatamab")), "R05")["detail"]

    assert "0 to 41 days after" in detail


def test_talquetamab_is_not_proposed_where_it_is_being_ordered() -> None:
    orders = [draft_drug("elranatamab"), draft_drug("talquetamab")]

    shown = card(select([given("teclistamab", "2026-11-05"), progression("2026-11-10")], *orders), "R05")

    assert "Propose talquetamab" not in [suggestion["label"] for suggestion in shown["suggestions"]]


def test_the_card_says_why_talquetamab_is_not_proposed_once_it_has_failed() -> None:
    history = [
        reported("talquetamab", "2025-06-01", "2025-12-01"),
        progression("2025-12-10"),
        given("teclistamab", "2026-11-05"),
        progression("2026-11-10"),
    ]

    shown = card(select(history, draft_drug("elranatamab")), "R05")

    assert "No talquetamab is proposed" in shown["detail"]
    assert "Propose talquetamab" not in [suggestion["label"] for suggestion in shown["suggestions"]]


def test_of_a_drug_that_goes_on_no_last_dose_is_told() -> None:
    listed = reported("elranatamab", "2026-03-02", status="active", asserted="2026-11-01")

    shown = card(select([listed, progression("2026-10-10")], draft_drug("ciltacabtagene autoleucel")), "R05")

    assert "recorded 2026-10-10, while elranatamab was being given (still listed as ongoing)" in shown["detail"]

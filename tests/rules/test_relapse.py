"""R27: referral for CAR T cells at relapse. R29: T-cell redirection after CAR T cells failed. R30: second CAR T cells.

"Today" is 2026-11-20. The usual patient had bortezomib and lenalidomide until a first relapse, daratumumab and
carfilzomib until a second one ten days ago, and no T-cell redirection; pomalidomide is selected.
"""

from datetime import date

import pytest

from cards.finding import Hook
from tests.build import (
    Resource,
    ask,
    card,
    chart,
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
from tests.mapping.care_builders import appointment, flag, request, revoked, trial
from tests.rules.table import (
    CANNOT_TELL,
    FLAGGED,
    NOT_APPLICABLE,
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

FIRST_LINE = [
    reported("bortezomib", "2020-11-09", "2021-04-30"),
    reported("lenalidomide", "2020-11-09", "2024-09-10"),
]
SECOND_LINE = [
    reported("daratumumab", "2024-10-01", "2026-10-30"),
    reported("carfilzomib", "2024-10-01", "2026-10-30"),
]
FIRST_RELAPSE = progression("2024-09-10")
TREATED = [*FIRST_LINE, FIRST_RELAPSE, *SECOND_LINE]
RELAPSED = [*TREATED, progression("2026-11-10")]
POMALIDOMIDE = draft_drug("pomalidomide")


def suspected_relapse(recorded: str) -> Resource:
    """Make a relapse on the problem list that nobody has confirmed, beside the myeloma itself."""
    return condition("C90.02", recorded, verificationStatus={"coding": [{"code": "provisional"}]})


def refer_on_selecting(history: list[Resource], *orders: Resource) -> str:
    """Give the answer of R27 when treatment is selected."""
    return outcome(select(history, *(orders or (POMALIDOMIDE,))), "R27")


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        row("an IMiD", "pomalidomide", FLAGGED),
        row("a proteasome inhibitor of an earlier line", "bortezomib", FLAGGED),
        row("another anti-CD38 antibody", "isatuximab", FLAGGED),
        row("an alkylator", "cyclophosphamide", FLAGGED),
        row("selinexor", "selinexor", FLAGGED),
        row("a conjugate redirects no T cells", "belantamab mafodotin", FLAGGED),
        row("daratumumab goes on: the same course", "daratumumab", NOT_APPLICABLE),
        row("a steroid alone", "dexamethasone", NOT_APPLICABLE),
        row("prophylaxis", "acyclovir", NOT_APPLICABLE),
        row("care of the bones", "zoledronic acid", NOT_APPLICABLE),
        row("growth factor", "filgrastim", NOT_APPLICABLE),
        row("immunoglobulin", "immune globulin", NOT_APPLICABLE),
        row("a bispecific redirects T cells", "teclistamab", NOT_APPLICABLE),
        row("a bispecific against another antigen as well", "talquetamab", NOT_APPLICABLE),
        row("CAR T cells", "ciltacabtagene autoleucel", NOT_APPLICABLE),
        row("lymphodepletion", "fludarabine", NOT_APPLICABLE),
    ],
)
def test_which_orders_ask_for_a_referral(order: str, expected: str) -> None:
    assert refer_on_selecting(RELAPSED, draft_drug(order)) == expected


@pytest.mark.parametrize("order", [draft_collection(), draft_infusion()])
def test_a_step_towards_car_t_asks_for_no_referral(order: Resource) -> None:
    assert refer_on_selecting(RELAPSED, order) == NOT_APPLICABLE


def test_three_drugs_of_one_regimen_make_one_card() -> None:
    regimen = [draft_drug(name) for name in ("pomalidomide", "bortezomib", "dexamethasone")]

    assert codes_besides_care(select(RELAPSED, *regimen)) == ["R27"]


def test_a_regimen_with_a_bispecific_asks_for_no_referral() -> None:
    assert refer_on_selecting(RELAPSED, POMALIDOMIDE, draft_drug("talquetamab")) == NOT_APPLICABLE


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("the relapse before an earlier line", TREATED, FLAGGED),
        row("a relapse coded on the problem list", [*FIRST_LINE, relapse("2024-09-10")], FLAGGED),
        row("relapsed in some month", [*FIRST_LINE, progression("2024-09")], FLAGGED),
        row("relapsed, nobody knows when", [*FIRST_LINE, progression(None)], CANNOT_TELL),
        row("relapsed on the day on which treatment began", [*FIRST_LINE, progression("2020-11-09")], CANNOT_TELL),
        row("progression before any treatment", [*FIRST_LINE, progression("2020-10-01")], CANNOT_TELL),
        row("some day of the year in which treatment began", [*FIRST_LINE, progression("2020")], CANNOT_TELL),
        row("a relapse that is only suspected", [*FIRST_LINE, myeloma(), suspected_relapse("2024-09-10")], CANNOT_TELL),
        row("treated, and no word of a relapse", FIRST_LINE, CANNOT_TELL),
        row("a relapse recorded in error", [*FIRST_LINE, progression("2024-09-10", "entered-in-error")], CANNOT_TELL),
        row("the first treatment ever", [], NOT_APPLICABLE),
        row("dexamethasone before the first treatment", [reported("dexamethasone", "2026-11-01")], NOT_APPLICABLE),
        row("a relapse, and no word of any treatment", [progression("2026-11-10")], CANNOT_TELL),
        row("treatment was ordered, no word of a dose", [ordered("bortezomib", "2020-11-09")], CANNOT_TELL),
        row("treatment without a date", [reported("lenalidomide"), progression("2026-11-10")], CANNOT_TELL),
    ],
)
def test_a_relapse_after_treatment(history: list[Resource], expected: str) -> None:
    assessment = select(history, draft_drug("selinexor"))

    assert outcome(assessment, "R27") == expected
    assert ("R27" in codes_besides_care(assessment)) == (expected == FLAGGED)


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("the same drug, 112 days ago: the course goes on", [given("pomalidomide", days_ago(112))], NOT_APPLICABLE),
        row("the same drug, 113 days ago: a new course", [given("pomalidomide", days_ago(113))], FLAGGED),
        row(
            "under way", [reported("pomalidomide", "2026-11-12", status="active", asserted=days_ago(1))], NOT_APPLICABLE
        ),
        row("ordered last month: perhaps the next cycle", [ordered("pomalidomide", days_ago(5))], CANNOT_TELL),
        row("ordered long ago without an end", [ordered("pomalidomide", "2022-01-05")], CANNOT_TELL),
        row(
            "ordered for a time before the relapse",
            [ordered("pomalidomide", "2022-01-05", until="2022-06-30")],
            FLAGGED,
        ),
        row("the order was taken back", [ordered("pomalidomide", days_ago(5), "cancelled")], FLAGGED),
        row("another drug was ordered", [ordered("selinexor", days_ago(5))], FLAGGED),
    ],
)
def test_the_next_cycle_asks_for_no_referral(history: list[Resource], expected: str) -> None:
    assert refer_on_selecting([*RELAPSED, *history]) == expected


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("cells before", [infusion("2025-03-01")], SATISFIED),
        row("cells by a history code alone", [myeloma(), condition("Z92.850")], SATISFIED),
        row(
            "cells that may have been for a lymphoma",
            [myeloma(), condition("Z92.850"), condition("C83.30")],
            CANNOT_TELL,
        ),
        row("a dated infusion that names no product", [infusion("2025-03-01", None)], CANNOT_TELL),
        row("an infusion that may have been done", [infusion("2025-03-01", status="unknown")], CANNOT_TELL),
        row("an infusion that was not done", [infusion("2025-03-01", status="not-done")], FLAGGED),
        row("unrecognised treatment that may be cells", [given("CAR-T study product", "2025-03-01")], CANNOT_TELL),
        row("an earlier bispecific is no CAR T", [given("teclistamab", "2025-03-01")], FLAGGED),
        row("referred 180 days ago", [request("CAR T evaluation", authoredOn=days_ago(180))], SATISFIED),
        row("referred 181 days ago", [request("CAR T evaluation", authoredOn=days_ago(181))], FLAGGED),
        row("an appointment for the evaluation", [appointment()], SATISFIED),
        row("T cells were collected", [procedure("38225", days_ago(30))], SATISFIED),
        row("a CAR T infusion is on order", [request("CAR T infusion")], SATISFIED),
        row("no candidate, by a flag", [flag()], SATISFIED),
        row("the patient declined a bispecific alone", [flag("Patient declined bispecific antibodies")], FLAGGED),
        row("called off: the patient's choice", [revoked(reason="Patient declined")], SATISFIED),
        row("on a study", [trial()], SATISFIED),
        row("off study", [trial("off-study")], FLAGGED),
    ],
)
def test_what_speaks_against_a_referral(history: list[Resource], expected: str) -> None:
    assert refer_on_selecting([*RELAPSED, *history]) == expected
    assert outcome(view([*RELAPSED, *history]), "R27") == expected


IDE_CEL, CILTA_CEL = "idecabtagene vicleucel", "ciltacabtagene autoleucel"
UNCLEAR_LINES = [
    reported("bortezomib", "2020-11-09", "2021-04-30"),
    reported("lenalidomide", "2020-11-09", "2021-04-30"),
    reported("daratumumab", "2021", "2022"),
]
NO_PI_NO_IMID = [reported("daratumumab", "2020-11-09", "2024-09-01"), FIRST_RELAPSE]
ORDERED_IMID = [
    reported("bortezomib", "2020-11-09", "2021-04-30"),
    ordered("lenalidomide", "2020-11-09"),
    FIRST_RELAPSE,
]


@pytest.mark.parametrize(
    ("history", "expected", "in_short", "products"),
    [
        row(
            "two lines, three classes, refractory to lenalidomide",
            RELAPSED,
            FLAGGED,
            "meets labels of 2 products",
            f"meets the {IDE_CEL} label, meets the {CILTA_CEL} label",
        ),
        row(
            "one line, refractory to lenalidomide",
            [*FIRST_LINE, FIRST_RELAPSE],
            FLAGGED,
            f"meets the {CILTA_CEL} label",
            f"meets the {CILTA_CEL} label",
        ),
        row(
            "one line or two, three classes",
            [*UNCLEAR_LINES, FIRST_RELAPSE],
            FLAGGED,
            f"may meet the {IDE_CEL} label",
            f"may meet the {IDE_CEL} label",
        ),
        row("no proteasome inhibitor and no IMiD", NO_PI_NO_IMID, SATISFIED, "", ""),
        row("the IMiD was ordered, no word of a dose", ORDERED_IMID, CANNOT_TELL, "", ""),
    ],
)
def test_a_label_that_is_met_or_may_be(history: list[Resource], expected: str, in_short: str, products: str) -> None:
    assessment = select(history, draft_drug("selinexor"))

    assert outcome(assessment, "R27") == expected
    if expected == FLAGGED:
        shown = card(assessment, "R27")
        assert shown["summary"].endswith(f"consider CAR T referral now ({in_short}).")
        assert f"classes and refractoriness on record the patient {products}." in shown["detail"]


@pytest.mark.parametrize(
    ("day", "outcome_then"),
    [
        row("the last day on which the labels are vouched for", date(2027, 5, 20), FLAGGED),
        row("the day after: nobody says what the labels ask for now", date(2027, 5, 21), CANNOT_TELL),
    ],
)
def test_labels_that_have_expired_tell_nothing(day: date, outcome_then: str) -> None:
    asked = hook_request(Hook.ORDER_SELECT, chart(*RELAPSED), [POMALIDOMIDE])

    assert outcome(ask(asked, today=day), "R27") == outcome_then


@pytest.mark.parametrize(
    ("relapsed", "expected"),
    [
        row("today", days_ago(0), FLAGGED),
        row("60 days ago: recent", days_ago(60), FLAGGED),
        row("61 days ago: no news any more", days_ago(61), NOT_APPLICABLE),
        row("some day in October, 20 to 50 days ago", "2026-10", FLAGGED),
        row("some day in September, 51 to 81 days ago", "2026-09", CANNOT_TELL),
        row("some day in August, 81 to 111 days ago", "2026-08", NOT_APPLICABLE),
        row("some day of this year", "2026", CANNOT_TELL),
        row("nobody knows when", None, CANNOT_TELL),
    ],
)
def test_a_relapse_on_opening_the_chart(relapsed: str | None, expected: str) -> None:
    assessment = view([*TREATED, progression(relapsed)])

    assert outcome(assessment, "R27") == expected
    assert codes_besides_care(assessment) == (["R27"] if expected == FLAGGED else [])


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("no relapse since long", TREATED, NOT_APPLICABLE),
        row("untreated", [], NOT_APPLICABLE),
        row(
            "progression before any treatment",
            [progression(days_ago(5)), reported("bortezomib", days_ago(3))],
            NOT_APPLICABLE,
        ),
        row("a relapse, and no word of any treatment", [progression(days_ago(5))], CANNOT_TELL),
        row("a relapse that is only suspected", [*TREATED, myeloma(), suspected_relapse(days_ago(5))], CANNOT_TELL),
        row("a preliminary result is none", [*TREATED, progression(days_ago(5), "preliminary")], NOT_APPLICABLE),
        row(
            "an older relapse with a day, a later one without",
            [*TREATED, progression(days_ago(30)), progression(None)],
            FLAGGED,
        ),
        row("after CAR T cells", [*TREATED, infusion("2025-03-01"), progression(days_ago(5)), *PROTECTED], SATISFIED),
    ],
)
def test_opening_the_chart_of_others(history: list[Resource], expected: str) -> None:
    assert outcome(view(history), "R27") == expected


def test_the_card_of_a_referral() -> None:
    shown = card(view(RELAPSED), "R27")

    assert shown["summary"] == (
        "Relapse (2026-11-10), no CAR T cells on record: consider CAR T referral now (meets labels of 2 products)."
    )
    assert shown["indicator"] == "info"
    assert drafts_in(shown) == ["CAR T-cell therapy evaluation"]
    assert [reason["code"] for reason in shown["overrideReasons"]] == ["not-candidate", "patient", "later", "mdt"]
    assert "Progression recorded 2026-11-10, after earlier treatment." in shown["detail"]


def test_the_longest_summary_of_a_referral_is_shown_whole() -> None:
    history = [*UNCLEAR_LINES, progression("2024-09")]

    assert card(select(history, draft_drug("selinexor")), "R27")["summary"].endswith("label).")


def test_the_offered_referral_answers_the_relapse() -> None:
    (suggestion,) = card(view(RELAPSED), "R27")["suggestions"]
    accepted = suggestion["actions"][0]["resource"] | {"id": "accepted"}

    assert outcome(select(RELAPSED, POMALIDOMIDE, beside=[accepted]), "R27") == SATISFIED


@pytest.mark.parametrize(
    ("unread", "expected"),
    [
        row("procedures: cells may have been infused", "procedures", CANNOT_TELL),
        row("doses: cells may be among them", "medicationAdministrations", CANNOT_TELL),
        row("orders are no cells", "medicationRequests", FLAGGED),
        row("reports of the disease: one progression is known", "reports", FLAGGED),
        row("referrals: nothing waits for them", "serviceRequests", FLAGGED),
        row("flags", "flags", FLAGGED),
        row("line numbers", "carePlans", FLAGGED),
        row("trials", "researchSubjects", FLAGGED),
    ],
)
def test_what_was_not_read_before_a_referral(unread: str, expected: str) -> None:
    assert outcome(select(RELAPSED, POMALIDOMIDE, without=[unread]), "R27") == expected
    assert outcome(view(RELAPSED, without=[unread]), "R27") == expected


@pytest.mark.parametrize("unread", ["medicationStatements", "medicationRequests", "observations"])
def test_a_first_treatment_cannot_be_told_where_earlier_ones_were_not_read(unread: str) -> None:
    assert outcome(select([], POMALIDOMIDE), "R27") == NOT_APPLICABLE
    assert outcome(select([], POMALIDOMIDE, without=[unread]), "R27") == CANNOT_TELL


AFTER_CELLS = [*TREATED, infusion("2025-03-01"), progression("2026-11-10"), *PROTECTED]
ONCE_INFUSED = [*TREATED, infusion("2025-03-01"), *PROTECTED]
SELINEXOR = draft_drug("selinexor")


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        row("an IMiD", "pomalidomide", FLAGGED),
        row("a conjugate", "belantamab mafodotin", FLAGGED),
        row("daratumumab goes on", "daratumumab", NOT_APPLICABLE),
        row("a steroid alone", "dexamethasone", NOT_APPLICABLE),
        row("prophylaxis", "valacyclovir", NOT_APPLICABLE),
        row("a BCMA bispecific", "elranatamab", NOT_APPLICABLE),
        row("a GPRC5D bispecific", "talquetamab", NOT_APPLICABLE),
        row("second cells", "idecabtagene vicleucel", NOT_APPLICABLE),
    ],
)
def test_which_orders_after_failed_cells_are_pointed_to_redirection(order: str, expected: str) -> None:
    assert outcome(select(AFTER_CELLS, draft_drug(order)), "R29") == expected


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        row("progressed", [progression("2026-11-10")], FLAGGED),
        row("progressed the day after the infusion", [progression("2025-03-02")], FLAGGED),
        row("progressed on the day of the infusion", [progression("2025-03-01")], CANNOT_TELL),
        row("progressed in the month of the infusion", [progression("2025-03")], CANNOT_TELL),
        row("progressed in the month after", [progression("2025-04")], FLAGGED),
        row("progressed before the cells alone", [], CANNOT_TELL),
        row("progressed, nobody knows when", [progression(None)], CANNOT_TELL),
        row("a relapse that is only suspected", [myeloma(), suspected_relapse("2026-11-10")], CANNOT_TELL),
    ],
)
def test_progression_after_the_cells(since: list[Resource], expected: str) -> None:
    assessment = select([*ONCE_INFUSED, *since], SELINEXOR)

    assert outcome(assessment, "R29") == expected
    assert ("R29" in codes_besides_care(assessment)) == (expected == FLAGGED)
    assert outcome(assessment, "R27") == SATISFIED


PROGRESSED = [*TREATED, progression("2026-11-10"), *PROTECTED]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        row("no cells: the referral is R27's", [], NOT_APPLICABLE),
        row("cells in some month", [infusion("2025-03")], FLAGGED),
        row("cells in some year before", [infusion("2025")], FLAGGED),
        row("cells in some year that holds the progression", [infusion("2026")], CANNOT_TELL),
        row("cells without a date", [infusion(None)], CANNOT_TELL),
        row("cells by a history code alone", [myeloma(), condition("Z92.850")], CANNOT_TELL),
        row("an infusion that names no product", [infusion("2025-03-01", None)], CANNOT_TELL),
        row("an infusion that may have been done", [infusion("2025-03-01", status="unknown")], CANNOT_TELL),
        row("an infusion that was not done", [infusion("2025-03-01", status="not-done")], NOT_APPLICABLE),
        row(
            "two infusions, progression after the last",
            [infusion("2023-03-01", "idecabtagene vicleucel"), infusion("2025-03-01")],
            FLAGGED,
        ),
        row(
            "two infusions, progression between them",
            [infusion("2025-03-01"), infusion("2026-11-15", "idecabtagene vicleucel")],
            CANNOT_TELL,
        ),
        row(
            "second cells that were ordered, and may have been given",
            [infusion("2025-03-01"), ordered("idecabtagene vicleucel", "2026-11-15", "completed")],
            CANNOT_TELL,
        ),
        row(
            "first cells that may have been given, and second ones that were",
            [infusion("2024-03-01", "idecabtagene vicleucel", status="unknown"), infusion("2025-03-01")],
            FLAGGED,
        ),
    ],
)
def test_which_cells_have_failed(cells: list[Resource], expected: str) -> None:
    assert outcome(select([*PROGRESSED, *cells], SELINEXOR), "R29") == expected


@pytest.mark.parametrize(
    ("history", "beside", "expected"),
    [
        row("a bispecific since the cells", [given("talquetamab", "2026-01-05")], (), SATISFIED),
        row("a bispecific before the cells alone", [given("teclistamab", "2025-01-05")], (), FLAGGED),
        row("a bispecific on the day of the infusion", [given("teclistamab", "2025-03-01")], (), FLAGGED),
        row("a bispecific in the month of the infusion", [given("teclistamab", "2025-03")], (), CANNOT_TELL),
        row("a bispecific, nobody knows when", [given("teclistamab", None)], (), CANNOT_TELL),
        row("a bispecific was ordered since", [ordered("teclistamab", "2026-01-05")], (), CANNOT_TELL),
        row("a bispecific was not taken", [reported("teclistamab", "2026-01-05", status="not-taken")], (), FLAGGED),
        row("a bispecific is drafted beside it", [], [draft_drug("talquetamab")], NOT_APPLICABLE),
        row("second cells are drafted beside it", [], [draft_collection()], SATISFIED),
        row("the referral is drafted beside it", [], [request("CAR T evaluation", "draft")], SATISFIED),
        row("the referral that led to the cells", [request("CAR T evaluation", authoredOn="2025-01-05")], (), FLAGGED),
        row("a referral since", [request("CAR T evaluation", authoredOn="2026-11-12")], (), SATISFIED),
        row("no candidate, by a flag", [flag()], (), SATISFIED),
        row("the patient declined a bispecific", [flag("Patient declined bispecific antibodies")], (), SATISFIED),
        row("on a study", [trial()], (), SATISFIED),
        row(
            "the drug was ordered last month: perhaps the next cycle",
            [ordered("selinexor", "2026-11-12")],
            (),
            CANNOT_TELL,
        ),
        row("unrecognised treatment that may be cells", [given("CAR-T study product", "2026-01-05")], (), CANNOT_TELL),
    ],
)
def test_what_followed_the_cells(history: list[Resource], beside: list[Resource], expected: str) -> None:
    assessment = select([*AFTER_CELLS, *history], SELINEXOR, beside=beside)

    assert outcome(assessment, "R29") == expected
    assert ("R29" in codes_besides_care(assessment)) == (expected == FLAGGED)


def test_the_referral_that_led_to_cells_of_this_year_does_not_keep_their_failure_silent() -> None:
    led_to_cells = [request("CAR T evaluation", authoredOn=days_ago(150)), procedure("38225", days_ago(120))]
    failed = [infusion(days_ago(80)), progression(days_ago(10)), *PROTECTED]

    assert outcome(select([*TREATED, *led_to_cells, *failed], SELINEXOR), "R29") == FLAGGED


@pytest.mark.parametrize("unread", ["medicationStatements", "medicationRequests", "procedures"])
def test_a_bispecific_may_hide_in_what_was_not_read(unread: str) -> None:
    assert outcome(select(AFTER_CELLS, SELINEXOR, without=[unread]), "R29") == CANNOT_TELL


@pytest.mark.parametrize("unread", ["serviceRequests", "flags", "researchSubjects"])
def test_nothing_waits_for_what_speaks_against_redirection(unread: str) -> None:
    assert outcome(select(AFTER_CELLS, SELINEXOR, without=[unread]), "R29") == FLAGGED


def test_the_card_after_failed_cells() -> None:
    shown = card(select(AFTER_CELLS, SELINEXOR), "R29")

    assert shown["summary"] == (
        "Relapse (2026-11-10) after CAR T (2025-03-01): T-cell-redirecting salvage did best in retrospective series."
    )
    assert shown["indicator"] == "info"
    assert drafts_in(shown) == ["Myeloma board review"]
    assert [reason["code"] for reason in shown["overrideReasons"]] == ["mdt", "trial", "not-candidate"]


def test_the_card_names_the_cells_that_failed_last() -> None:
    cells = [infusion("2023-03-01", "idecabtagene vicleucel"), infusion("2025-03-01")]

    shown = card(select([*PROGRESSED, *cells], SELINEXOR), "R29")

    assert "after CAR T (2025-03-01)" in shown["summary"]
    assert "MedicationAdministration 2025-03-01" in shown["detail"]
    assert "2023-03-01" not in shown["detail"]


@pytest.mark.parametrize("history", [RELAPSED, AFTER_CELLS])
def test_referral_and_salvage_are_never_said_together(history: list[Resource]) -> None:
    assessment = select(history, SELINEXOR)

    assert len({"R27", "R29"}.intersection(codes_besides_care(assessment))) == 1


SAME, OTHER, GPRC5D = "ciltacabtagene autoleucel", "idecabtagene vicleucel", "arlocabtagene autoleucel"


@pytest.mark.parametrize(
    ("history", "order", "expected", "indicator"),
    [
        row("the same product", [infusion("2025-03-01")], SAME, FLAGGED, "warning"),
        row("the same product, nobody knows when", [infusion(None)], SAME, FLAGGED, "warning"),
        row("the same product, in some month", [infusion("2025-03")], SAME, FLAGGED, "warning"),
        row("another product against the same antigen", [infusion("2025-03-01")], OTHER, FLAGGED, "info"),
        row("another antigen", [infusion("2025-03-01")], GPRC5D, SATISFIED, ""),
        row("another antigen was infused before", [infusion("2025-03-01", GPRC5D)], SAME, SATISFIED, ""),
        row("an infusion that names no product", [infusion("2025-03-01", None)], SAME, FLAGGED, "info"),
        row("cells by a history code alone", [myeloma(), condition("Z92.850")], SAME, FLAGGED, "info"),
        row(
            "cells that may have been for a lymphoma",
            [myeloma(), condition("Z92.850"), condition("C83.30")],
            SAME,
            CANNOT_TELL,
            "",
        ),
        row("cells for a lymphoma", [given("axicabtagene ciloleucel", "2022-03-01")], SAME, SATISFIED, ""),
        row(
            "two infusions: the same product speaks first",
            [infusion("2023-03-01", OTHER), infusion("2025-03-01")],
            SAME,
            FLAGGED,
            "warning",
        ),
        row(
            "the same product first, no product later",
            [infusion("2023-03-01", None), infusion("2025-03-01")],
            SAME,
            FLAGGED,
            "warning",
        ),
        row("no cells", [], SAME, SATISFIED, ""),
        row(
            "ordered again: the infusion was not done",
            [procedure("38228", "2026-11-01", "not-done")],
            SAME,
            SATISFIED,
            "",
        ),
        row(
            "ordered again: the product was not given", [infusion("2026-11-01", status="not-done")], SAME, SATISFIED, ""
        ),
        row("ordered again: the first order still stands", [ordered(SAME, "2026-10-01")], SAME, SATISFIED, ""),
        row(
            "ordered again: the first order was stopped", [ordered(SAME, "2026-10-01", "stopped")], SAME, SATISFIED, ""
        ),
        row(
            "an order that was completed, no word of an infusion",
            [ordered(SAME, "2026-10-01", "completed")],
            SAME,
            CANNOT_TELL,
            "",
        ),
        row("an infusion that may have been done", [infusion("2025-03-01", status="unknown")], SAME, CANNOT_TELL, ""),
        row("an infusion recorded in error", [infusion("2025-03-01", status="entered-in-error")], SAME, SATISFIED, ""),
        row(
            "unrecognised treatment that may be cells",
            [given("CAR-T study product", "2025-03-01")],
            SAME,
            CANNOT_TELL,
            "",
        ),
    ],
)
def test_second_cells(history: list[Resource], order: str, expected: str, indicator: str) -> None:
    assessment = select([*history, *PROTECTED], draft_drug(order))

    assert outcome(assessment, "R30") == expected
    assert ("R30" in codes_besides_care(assessment)) == (expected == FLAGGED)
    if expected == FLAGGED:
        assert card(assessment, "R30")["indicator"] == indicator
    if "R00" in codes_besides_care(assessment):
        assert "(R30)" not in text_of(card(assessment, "R00"))


@pytest.mark.parametrize("order", [draft_collection(), draft_infusion(), draft_drug("teclistamab"), SELINEXOR])
def test_a_product_alone_asks_whether_second_cells_are_meant(order: Resource) -> None:
    assert outcome(select([infusion("2025-03-01"), *PROTECTED], order), "R30") == NOT_APPLICABLE


@pytest.mark.parametrize("unread", ["procedures", "conditions", "medicationAdministrations", "medicationStatements"])
def test_earlier_cells_may_hide_in_what_was_not_read(unread: str) -> None:
    assert outcome(select([], draft_drug(SAME), without=[unread]), "R30") == CANNOT_TELL


@pytest.mark.parametrize(
    ("history", "order", "summary"),
    [
        row(
            "the same product",
            infusion("2025-03-01"),
            SAME,
            "Prior CAR T ciltacabtagene autoleucel on 2025-03-01: "
            "confirm that a second infusion of the same product is intended.",
        ),
        row(
            "the same antigen",
            infusion("2025-03-01"),
            OTHER,
            "Prior CAR T ciltacabtagene autoleucel on 2025-03-01: "
            "confirm that a second CAR T against the same antigen is intended.",
        ),
        row(
            "the same antigen, some day in March",
            infusion("2025-03"),
            OTHER,
            "Prior CAR T ciltacabtagene autoleucel some day in March 2025: "
            "confirm that a second CAR T against the same antigen is intended.",
        ),
        row(
            "no product",
            infusion("2025-03-01", None),
            SAME,
            "CAR T cells (product not on record) infused on 2025-03-01: confirm that a second CAR T is intended.",
        ),
        row(
            "neither product nor date",
            infusion(None, None),
            SAME,
            "CAR T cells (product not on record) infused on a day that is not on record: "
            "confirm that a second CAR T is intended.",
        ),
    ],
)
def test_the_card_of_second_cells(history: Resource, order: str, summary: str) -> None:
    shown = card(select([history, *PROTECTED], draft_drug(order)), "R30")

    assert shown["summary"] == summary
    assert drafts_in(shown) == []
    assert [reason["code"] for reason in shown["overrideReasons"]] == ["trial", "mdt", "wrong-data"]


@pytest.mark.parametrize(
    ("history", "order", "rule"),
    [
        (RELAPSED, POMALIDOMIDE, "R27"),
        (AFTER_CELLS, SELINEXOR, "R29"),
        ([infusion("2025-03-01"), *PROTECTED], draft_drug(SAME), "R30"),
    ],
)
def test_what_is_said_on_selecting_is_not_repeated_on_signing(
    history: list[Resource], order: Resource, rule: str
) -> None:
    assert rule in codes_besides_care(select(history, order))
    assert outcome(sign(history, order), rule) == NOT_APPLICABLE


@pytest.mark.parametrize(("history", "rule"), [(AFTER_CELLS, "R29"), ([infusion("2025-03-01"), *PROTECTED], "R30")])
def test_failed_or_second_cells_are_no_matter_of_opening_the_chart(history: list[Resource], rule: str) -> None:
    assert outcome(view(history), rule) == NOT_APPLICABLE

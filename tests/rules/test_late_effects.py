"""R37, R38, R38A: enterocolitis and delayed neurotoxicity after CAR T cells; R39: second cancers, for life.

"Today" is 2026-11-20; day 0 is the infusion. A problem is new for 30 days.
"""

from collections.abc import Callable
from typing import Any

import pytest

from cards.finding import Hook
from cds_service.assess import Assessment
from tests.build import (
    SNOMED,
    Resource,
    ask_with,
    card,
    cards_of,
    chart,
    condition,
    draft_drug,
    draft_service,
    given,
    hook_request,
    infusion,
    lab,
    myeloma,
    ordered,
    outcome,
    procedure,
    reported,
)
from tests.rules.table import (
    CANNOT_TELL,
    FLAGGED,
    NOT_APPLICABLE,
    PROTECTED,
    SATISFIED,
    codes_of,
    days_ago,
    drafts_in,
    row,
    select,
    sign,
    text_of,
    view,
)

MONTHS_AGO = infusion("2026-08-20")  # 92 days
IDE_CEL = "idecabtagene vicleucel"
DIARRHOEA, COLITIS = "R19.7", "K52.9"
PARKINSONISM, PARKINSON, BELL, THIRD_NERVE = "G21.9", "G20.A1", "G51.0", "H49.01"
LYMPHOMA = "C83.30"
ALC = "731-0"


def problem(code: str, recorded: str | None = None, onset: str | None = None, **more: Any) -> Resource:
    """Make a problem, active unless another status is given."""
    active = {"clinicalStatus": {"coding": [{"code": "active"}]}}
    return condition(code, recorded, **({"onsetDateTime": onset} if onset else {}), **(active | more))


def suspected(code: str, recorded: str) -> Resource:
    """Make a problem that is only suspected."""
    return problem(code, recorded, verificationStatus={"coding": [{"code": "provisional"}]})


def resolved(code: str, recorded: str) -> Resource:
    """Make a problem that is over."""
    return problem(code, recorded, clinicalStatus={"coding": [{"code": "resolved"}]})


def loperamide(history: list[Resource]) -> Assessment:
    """Select loperamide."""
    return select([*history, *PROTECTED], draft_drug("loperamide"))


def levodopa(history: list[Resource]) -> Assessment:
    """Select carbidopa with levodopa."""
    return select([*history, *PROTECTED], draft_drug("carbidopa/levodopa"))


ASKED = [pytest.param(loperamide, "R37", id="R37"), pytest.param(levodopa, "R38", id="R38")]


# --- the day after the infusion ---


@pytest.mark.parametrize(("order", "rule"), ASKED)
@pytest.mark.parametrize(
    ("infused", "expected"),
    [
        row("infused today", days_ago(0), FLAGGED),
        row("day 92", "2026-08-20", FLAGGED),
        row("day 364", days_ago(364), FLAGGED),
        row("day 365", days_ago(365), FLAGGED),
        row("day 366", days_ago(366), SATISFIED),
        row("some day in December last year, days 324 to 354", "2025-12", FLAGGED),
        row("some day in November last year, days 355 to 384", "2025-11", CANNOT_TELL),
        row("some day in October last year", "2025-10", SATISFIED),
        row("some day this year", "2026", FLAGGED),
        row("some day last year", "2025", CANNOT_TELL),
        row("some day in 2024", "2024", SATISFIED),
        row("without a date", None, CANNOT_TELL),
        row("dated tomorrow: not a date of something done", days_ago(-1), CANNOT_TELL),
    ],
)
def test_days_since_the_infusion(
    order: Callable[[list[Resource]], Assessment], rule: str, infused: str | None, expected: str
) -> None:
    assert outcome(order([infusion(infused)]), rule) == expected


@pytest.mark.parametrize(
    ("history", "gut", "nerves"),
    [
        row("cilta-cel", [MONTHS_AGO], FLAGGED, FLAGGED),
        row("ide-cel", [infusion("2026-08-20", IDE_CEL)], FLAGGED, FLAGGED),
        row("anito-cel", [given("anito-cel", "2026-08-20")], FLAGGED, FLAGGED),
        row("GPRC5D cells: no BCMA", [given("arlo-cel", "2026-08-20")], FLAGGED, NOT_APPLICABLE),
        row("product unknown", [infusion("2026-08-20", None)], FLAGGED, FLAGGED),
        row("reported", [reported("cilta-cel", "2026-08-20", "2026-08-20")], FLAGGED, FLAGGED),
        row("a history code without date", [myeloma(), condition("Z92.850")], CANNOT_TELL, CANNOT_TELL),
        row(
            "a history code beside an old infusion",
            [infusion("2024-05-04"), myeloma(), condition("Z92.850")],
            SATISFIED,
            SATISFIED,
        ),
        row(
            "an old infusion and a recent one",
            [infusion("2024-05-04"), infusion("2026-08-20", IDE_CEL)],
            FLAGGED,
            FLAGGED,
        ),
        row(
            "an old infusion and one without date",
            [infusion("2024-05-04"), infusion(None, IDE_CEL)],
            CANNOT_TELL,
            CANNOT_TELL,
        ),
        row(
            "ordered and completed, no word of an infusion",
            [ordered("cilta-cel", "2026-08-20", "completed")],
            CANNOT_TELL,
            CANNOT_TELL,
        ),
        row(
            "ordered and completed two years ago",
            [ordered("cilta-cel", "2024-08-20", "completed")],
            CANNOT_TELL,
            CANNOT_TELL,
        ),
        row("of unknown status", [infusion("2026-08-20", status="unknown")], CANNOT_TELL, CANNOT_TELL),
        row("of unknown status, long ago", [infusion("2024-08-20", status="unknown")], SATISFIED, SATISFIED),
        row("ordered", [ordered("cilta-cel", "2026-08-20")], NOT_APPLICABLE, NOT_APPLICABLE),
        row("not done", [infusion("2026-08-20", status="not-done")], NOT_APPLICABLE, NOT_APPLICABLE),
        row("entered in error", [infusion("2026-08-20", status="entered-in-error")], NOT_APPLICABLE, NOT_APPLICABLE),
        row("intended", [reported("cilta-cel", "2026-12-04", status="intended")], NOT_APPLICABLE, NOT_APPLICABLE),
        row("collected, not infused", [procedure("38225", "2026-08-20")], NOT_APPLICABLE, NOT_APPLICABLE),
        row("cells against another disease", [given("axi-cel", "2026-08-20")], NOT_APPLICABLE, NOT_APPLICABLE),
        row("a bispecific antibody", [given("teclistamab", "2026-08-20")], NOT_APPLICABLE, NOT_APPLICABLE),
        row("no CAR T cells", [], NOT_APPLICABLE, NOT_APPLICABLE),
    ],
)
def test_what_counts_as_an_infusion(history: list[Resource], gut: str, nerves: str) -> None:
    assert (outcome(loperamide(history), "R37"), outcome(levodopa(history), "R38")) == (gut, nerves)


def test_without_myeloma_nothing_is_said() -> None:
    lymphoma = [condition(LYMPHOMA, "2020-01-01"), MONTHS_AGO]

    assert cards_of(select(lymphoma, draft_drug("loperamide"), draft_drug("carbidopa/levodopa"))) == []
    assert cards_of(select([condition("I10", "2020-01-01")], draft_drug("loperamide"))) == []


@pytest.mark.parametrize("order", [loperamide, levodopa])
def test_without_car_t_cells_nothing_is_said(order: Callable[[list[Resource]], Assessment]) -> None:
    assert cards_of(order([])) == []


def test_unread_procedures_are_no_word_of_car_t_cells() -> None:
    assessment = select([*PROTECTED], draft_drug("loperamide"), without=["procedures"])

    assert outcome(assessment, "R37") == CANNOT_TELL
    assert (
        outcome(select([infusion("2024-05-04")], draft_drug("loperamide"), without=["procedures"]), "R37")
        == CANNOT_TELL
    )


# --- what is ordered ---


@pytest.mark.parametrize(
    ("draft", "gut", "nerves"),
    [
        row("loperamide", draft_drug("loperamide"), FLAGGED, NOT_APPLICABLE),
        row("diphenoxylate with atropine", draft_drug("diphenoxylate-atropine"), FLAGGED, NOT_APPLICABLE),
        row("a C. difficile test", draft_service("87493"), FLAGGED, NOT_APPLICABLE),
        row("a stool culture", draft_service("87045"), FLAGGED, NOT_APPLICABLE),
        row("a colonoscopy", draft_service("45378"), FLAGGED, NOT_APPLICABLE),
        row("parenteral nutrition", draft_drug("Total parenteral nutrition"), FLAGGED, NOT_APPLICABLE),
        row("a gastroenterology consult", draft_service("183523005", system=SNOMED), FLAGGED, NOT_APPLICABLE),
        row("carbidopa with levodopa", draft_drug("Sinemet"), NOT_APPLICABLE, FLAGGED),
        row("pramipexole", draft_drug("pramipexole"), NOT_APPLICABLE, FLAGGED),
        row("a neurology consult", draft_service("183901002", system=SNOMED), NOT_APPLICABLE, FLAGGED),
        row("an MRI of the brain", draft_service("70553"), NOT_APPLICABLE, FLAGGED),
        row("an eye examination", draft_service("92014"), NOT_APPLICABLE, NOT_APPLICABLE),
        row("influenza vaccine", draft_drug("Fluzone"), NOT_APPLICABLE, NOT_APPLICABLE),
        row("acyclovir", draft_drug("acyclovir"), NOT_APPLICABLE, NOT_APPLICABLE),
    ],
)
def test_which_orders_it_concerns(draft: Resource, gut: str, nerves: str) -> None:
    assessment = select([MONTHS_AGO, *PROTECTED], draft)

    assert (outcome(assessment, "R37"), outcome(assessment, "R38")) == (gut, nerves)


def test_what_is_not_selected_and_what_is_signed_is_not_asked_about() -> None:
    beside = select([MONTHS_AGO, *PROTECTED], draft_drug("acyclovir"), beside=[draft_drug("loperamide")])

    assert outcome(beside, "R37") == NOT_APPLICABLE
    assert outcome(sign([MONTHS_AGO], draft_drug("loperamide")), "R37") == NOT_APPLICABLE
    assert outcome(sign([MONTHS_AGO], draft_drug("Sinemet")), "R38") == NOT_APPLICABLE


def test_several_orders_make_one_card() -> None:
    work_up = [draft_drug("loperamide"), draft_service("87493"), draft_service("45378")]

    assert codes_of(select([MONTHS_AGO, *PROTECTED], *work_up)).count("R37") == 1


# --- the problem list ---


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        row("recorded today", problem(DIARRHOEA, days_ago(0)), FLAGGED),
        row("recorded 30 days ago", problem(DIARRHOEA, days_ago(30)), FLAGGED),
        row("recorded 31 days ago", problem(DIARRHOEA, days_ago(31)), SATISFIED),
        row("began 30 days ago", problem(COLITIS, None, days_ago(30)), FLAGGED),
        row("began 31 days ago", problem(COLITIS, None, days_ago(31)), SATISFIED),
        row("began 31 days ago, and recorded lately", problem(COLITIS, days_ago(2), days_ago(31)), FLAGGED),
        row("began some day this month", problem(COLITIS, None, "2026-11"), FLAGGED),
        row("began some day in October, 20 to 50 days ago", problem(COLITIS, None, "2026-10"), CANNOT_TELL),
        row("began some day in September", problem(COLITIS, None, "2026-09"), SATISFIED),
        row("without any date", problem(DIARRHOEA), CANNOT_TELL),
        row("began before the infusion, recorded lately", problem(DIARRHOEA, days_ago(2), "2026-08-19"), SATISFIED),
        row(
            "began on the day of the infusion, recorded lately", problem(DIARRHOEA, days_ago(2), "2026-08-20"), FLAGGED
        ),
        row(
            "began in the month of the infusion, recorded lately",
            problem(DIARRHOEA, days_ago(2), "2026-08"),
            CANNOT_TELL,
        ),
        row("only suspected", suspected(DIARRHOEA, days_ago(2)), CANNOT_TELL),
        row("only suspected, long ago", suspected(DIARRHOEA, days_ago(40)), SATISFIED),
        row("over", resolved(DIARRHOEA, days_ago(2)), NOT_APPLICABLE),
        row("status not stated", condition(DIARRHOEA, days_ago(2)), FLAGGED),
        row("another problem", problem("I10", days_ago(2)), NOT_APPLICABLE),
        row("parkinsonism is another rule's question", problem(PARKINSONISM, days_ago(2)), NOT_APPLICABLE),
    ],
)
def test_a_new_problem_of_the_gut(entry: Resource, expected: str) -> None:
    assert outcome(view([myeloma(), MONTHS_AGO, entry]), "R37") == expected


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        row("parkinsonism", problem(PARKINSONISM, days_ago(30)), FLAGGED),
        row("Parkinson's disease", problem(PARKINSON, days_ago(30)), FLAGGED),
        row("facial palsy", problem(BELL, days_ago(30)), FLAGGED),
        row("palsy of the third cranial nerve", problem(THIRD_NERVE, days_ago(30)), FLAGGED),
        row("recorded 31 days ago", problem(BELL, days_ago(31)), SATISFIED),
        row("known before the infusion, recorded lately", problem(PARKINSON, days_ago(2), "2024-03"), SATISFIED),
        row("began in the month of the infusion, recorded lately", problem(BELL, days_ago(2), "2026-08"), CANNOT_TELL),
        row("only suspected", suspected(PARKINSONISM, days_ago(2)), CANNOT_TELL),
        row("over", resolved(BELL, days_ago(2)), NOT_APPLICABLE),
        row("diarrhoea is another rule's question", problem(DIARRHOEA, days_ago(2)), NOT_APPLICABLE),
    ],
)
def test_a_new_problem_of_the_nerves(entry: Resource, expected: str) -> None:
    assert outcome(view([myeloma(), MONTHS_AGO, entry]), "R38") == expected


def test_a_problem_before_one_infusion_may_come_after_another() -> None:
    earlier = infusion("2026-02-01")
    later = infusion("2026-11-10", IDE_CEL)

    assert outcome(view([myeloma(), earlier, later, problem(BELL, "2026-11-01")]), "R38") == FLAGGED


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        row("recorded before the infusion", problem(PARKINSON, "2026-08-19"), SATISFIED),
        row("recorded on its day", problem(PARKINSON, "2026-08-20"), FLAGGED),
        row("recorded after it, but there for years", problem(PARKINSON, "2026-10-01", "2019"), SATISFIED),
        row("in the month of the infusion", problem(PARKINSON, None, "2026-08"), FLAGGED),
        row("without any date", problem(PARKINSON), FLAGGED),
        row("only suspected before", suspected(PARKINSONISM, "2026-08-01"), FLAGGED),
        row("facial palsy explains no levodopa", problem(BELL, "2026-08-01"), FLAGGED),
    ],
)
def test_levodopa_for_a_disease_that_was_there_before_the_cells(known: Resource, expected: str) -> None:
    assert outcome(levodopa([myeloma(), MONTHS_AGO, known]), "R38") == expected


def test_a_known_disease_does_not_silence_a_consult() -> None:
    history = [myeloma(), MONTHS_AGO, problem(PARKINSON, "2020-01-01")]

    assert outcome(select(history, draft_service("183901002", system=SNOMED)), "R38") == FLAGGED


# --- the cards ---


def test_the_card_after_cilta_cel() -> None:
    shown = card(loperamide([MONTHS_AGO]), "R37")

    assert shown["indicator"] == "warning"
    assert shown["summary"] == (
        "Consider CAR T enterocolitis as one cause, with GI and ID: "
        "loperamide ordered 92 d after ciltacabtagene autoleucel."
    )
    assert drafts_in(shown) == ["Gastroenterology consult", "C. difficile test, stool", "CMV DNA, blood"]
    assert "T-cell lymphoma of the gut" in text_of(shown)
    assert "safe" not in text_of(shown)


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        row("ide-cel", infusion("2026-08-20", IDE_CEL), "no such warning was found for this product"),
        row("anito-cel", given("anito-cel", "2026-08-20"), "92 d after anitocabtagene autoleucel"),
        row("unknown", infusion("2026-08-20", None), "if it was ciltacabtagene autoleucel, the boxed warning applies"),
    ],
)
def test_the_card_after_another_product(cells: Resource, words: str) -> None:
    shown = card(loperamide([cells]), "R37")

    assert shown["indicator"] == "info"
    assert words in text_of(shown)


def test_the_box_speaks_of_the_earlier_of_two_products() -> None:
    shown = card(loperamide([infusion("2026-03-01"), infusion("2026-08-20", IDE_CEL)]), "R37")

    assert shown["indicator"] == "warning"
    assert "264 d after ciltacabtagene autoleucel" in shown["summary"]


def test_an_old_product_with_the_box_does_not_speak_for_a_recent_one_without() -> None:
    shown = card(loperamide([infusion("2024-03-01"), infusion("2026-08-20", IDE_CEL)]), "R37")

    assert (shown["indicator"], "92 d after idecabtagene vicleucel" in shown["summary"]) == ("info", True)


def test_the_card_names_the_problem_and_its_record() -> None:
    entry = problem(DIARRHOEA, days_ago(3))
    shown = card(view([myeloma(), MONTHS_AGO, entry, *PROTECTED]), "R37")

    assert "diarrhoea on the problem list 92 d after" in shown["summary"]
    assert "Condition 2026-11-17" in shown["detail"]


def test_the_card_of_delayed_neurotoxicity() -> None:
    shown = card(levodopa([MONTHS_AGO]), "R38")

    assert shown["indicator"] == "warning"
    assert shown["summary"] == (
        "Consider delayed CAR T neurotoxicity as one cause: levodopa ordered 92 d after ciltacabtagene autoleucel."
    )
    assert drafts_in(shown) == [
        "Neurology consult",
        "New movement or cranial nerve symptoms, or their work-up, after CAR T cells: "
        "please advise on delayed neurotoxicity.",
    ]
    assert "taken to be directed against BCMA" not in text_of(shown)
    assert "taken to be directed against BCMA" in text_of(card(levodopa([infusion("2026-08-20", None)]), "R38"))


@pytest.mark.parametrize(
    ("cells", "indicator", "product"),
    [
        row("cilta-cel", [MONTHS_AGO], "warning", "ciltacabtagene autoleucel"),
        row("ide-cel", [infusion("2026-08-20", IDE_CEL)], "warning", IDE_CEL),
        row("product unknown", [infusion("2026-08-20", None)], "warning", "CAR T cells"),
        row("another that is not approved yet", [given("zevor-cel", "2026-08-20")], "warning", "zevorcabtagene"),
        row("anito-cel", [given("anito-cel", "2026-08-20")], "info", "anitocabtagene autoleucel"),
        row(
            "anito-cel after cilta-cel: the earlier ones speak",
            [infusion("2026-03-01"), given("anito-cel", "2026-08-20")],
            "warning",
            "264 d after ciltacabtagene autoleucel",
        ),
        row(
            "anito-cel long after cilta-cel",
            [infusion("2024-03-01"), given("anito-cel", "2026-08-20")],
            "info",
            "anitocabtagene autoleucel",
        ),
    ],
)
def test_of_which_cells_neurotoxicity_was_reported(cells: list[Resource], indicator: str, product: str) -> None:
    shown = card(levodopa(cells), "R38")

    assert shown["indicator"] == indicator
    assert product in shown["summary"]


def test_the_card_after_cells_of_which_none_was_reported() -> None:
    shown = card(levodopa([given("anito-cel", "2026-08-20")]), "R38")

    assert shown["summary"] == (
        "Delayed CAR T neurotoxicity is one cause to consider: levodopa ordered 92 d after anitocabtagene autoleucel."
    )
    assert "no delayed neurotoxicity was reported; that is no proof that there is none" in shown["detail"]
    assert shown["source"]["label"] == "Anitocabtagene autoleucel status, company analyses (2026)"
    assert drafts_in(shown)[0] == "Neurology consult"


def test_the_longest_summary_of_the_nerves_is_whole() -> None:
    history = [myeloma(), given("anito-cel", "2025-12"), problem(PARKINSON, days_ago(3)), *PROTECTED]

    assert card(view(history), "R38")["summary"].endswith("324 to 354 d after anitocabtagene autoleucel.")


@pytest.mark.parametrize(
    ("drafts", "offered"),
    [
        row(
            "a consult is being ordered",
            [draft_service("183523005", system=SNOMED)],
            ["C. difficile test, stool", "CMV DNA, blood"],
        ),
        row("C. difficile is being tested", [draft_service("87493")], ["Gastroenterology consult", "CMV DNA, blood"]),
        row(
            "both, and CMV DNA",
            [
                draft_service("183523005", system=SNOMED),
                draft_service("87493"),
                draft_service("4996-5", system="http://loinc.org"),
            ],
            [],
        ),
    ],
)
def test_what_is_being_ordered_is_not_offered_again(drafts: list[Resource], offered: list[str]) -> None:
    shown = card(select([MONTHS_AGO, *PROTECTED], draft_drug("loperamide"), beside=drafts), "R37")

    assert drafts_in(shown) == offered


def test_no_second_neurology_consult_is_offered() -> None:
    shown = card(select([MONTHS_AGO, *PROTECTED], draft_service("183901002", system=SNOMED)), "R38")

    assert [draft.split()[0] for draft in drafts_in(shown)] == ["New"]


@pytest.mark.parametrize(("order", "rule"), ASKED)
def test_an_infusion_without_date_is_asked_for(order: Callable[[list[Resource]], Assessment], rule: str) -> None:
    assessment = order([myeloma(), condition("Z92.850")])

    assert outcome(assessment, rule) == CANNOT_TELL
    assert "the date of the CAR T infusion" in text_of(card(assessment, "R00"))
    assert rule not in codes_of(assessment)


def test_a_problem_that_is_open_is_not_shown() -> None:
    assessment = view([myeloma(), MONTHS_AGO, *PROTECTED, suspected(BELL, days_ago(2))])

    assert "R00" not in codes_of(assessment)


# --- R38A, as of a hospital that has switched it on ---


def weeks_after(infused: str, *counts: Resource, product: str | None = "ciltacabtagene autoleucel") -> Assessment:
    """Open the chart, with the lymphocyte rule switched on."""
    history = chart(infusion(infused, product), *counts, *PROTECTED)
    return ask_with(["R38A"], hook_request(Hook.PATIENT_VIEW, history))


def alc(value: float, on: str | None, unit: str = "10*9/L") -> Resource:
    """Make a lymphocyte count."""
    return lab(ALC, value, unit, on)


@pytest.mark.parametrize(
    ("infused", "counts", "expected"),
    [
        row("above 3 on day 12", days_ago(15), [alc(3.1, days_ago(3))], FLAGGED),
        row("3, not above it", days_ago(15), [alc(3.0, days_ago(3))], SATISFIED),
        row("per microlitre", days_ago(15), [alc(3100, days_ago(3), "/uL")], FLAGGED),
        row("an older count was high", days_ago(20), [alc(4.0, days_ago(8)), alc(1.0, days_ago(1))], FLAGGED),
        row("counted on day 10", days_ago(15), [alc(4.0, days_ago(5))], FLAGGED),
        row("counted on day 9", days_ago(15), [alc(4.0, days_ago(6))], SATISFIED),
        row("today is day 10", days_ago(10), [alc(4.0, days_ago(0))], FLAGGED),
        row("today is day 9", days_ago(9), [alc(4.0, days_ago(0))], NOT_APPLICABLE),
        row("today is day 30", days_ago(30), [alc(4.0, days_ago(0))], FLAGGED),
        row("today is day 31", days_ago(31), [alc(4.0, days_ago(5))], NOT_APPLICABLE),
        row("infused some day in October, days 20 to 50", "2026-10", [alc(4.0, days_ago(0))], CANNOT_TELL),
        row("unknown unit", days_ago(15), [alc(4.0, days_ago(3), "furlongs")], CANNOT_TELL),
        row("counted on an unknown day", days_ago(15), [alc(4.0, None)], CANNOT_TELL),
        row("not counted", days_ago(15), [], SATISFIED),
    ],
)
def test_lymphocytes_in_the_weeks_after_the_infusion(infused: str, counts: list[Resource], expected: str) -> None:
    assert outcome(weeks_after(infused, *counts), "R38A") == expected


def test_lymphocytes_matter_after_cilta_cel_alone() -> None:
    high = alc(4.0, days_ago(3))

    assert outcome(weeks_after(days_ago(15), high, product=IDE_CEL), "R38A") == NOT_APPLICABLE
    assert outcome(view([infusion(days_ago(15)), high]), "R38A") == NOT_APPLICABLE


def test_the_card_of_a_lymphocyte_peak() -> None:
    shown = card(weeks_after(days_ago(15), alc(4.2, days_ago(3))), "R38A")

    assert shown["indicator"] == "info"
    assert shown["summary"].startswith("ALC 4.2 x 10⁹/L on day 12 after ciltacabtagene autoleucel (2026-11-05)")


# --- R39 ---


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("infused today", [infusion(days_ago(0))], FLAGGED),
        row("years ago", [infusion("2021-03-01")], FLAGGED),
        row("some year", [infusion("2023")], FLAGGED),
        row("without a date", [infusion(None)], FLAGGED),
        row("a history code", [myeloma(), condition("Z92.850")], FLAGGED),
        row(
            "a history code beside a lymphoma: of either disease",
            [myeloma(), condition(LYMPHOMA), condition("Z92.850")],
            FLAGGED,
        ),
        row("cells against another disease", [given("axi-cel", "2022-01-01")], FLAGGED),
        row("GPRC5D cells", [given("arlo-cel", "2024-01-01")], FLAGGED),
        row("product unknown", [infusion("2024-01-01", None)], FLAGGED),
        row("of unknown status", [infusion("2024-01-01", status="unknown")], CANNOT_TELL),
        row(
            "cells against another disease, of unknown status", [given("axi-cel", "2022-01-01", "unknown")], CANNOT_TELL
        ),
        row(
            "ordered and completed, no word of an infusion",
            [ordered("cilta-cel", "2026-05-04", "completed")],
            CANNOT_TELL,
        ),
        row("not done", [infusion("2024-01-01", status="not-done")], SATISFIED),
        row("entered in error", [infusion("2024-01-01", status="entered-in-error")], SATISFIED),
        row("collected, not infused", [procedure("38225", "2026-05-04")], SATISFIED),
        row("a transplant", [procedure("38241", "2021-05-04")], SATISFIED),
        row("no cells", [], SATISFIED),
    ],
)
def test_whom_the_lifelong_watch_concerns(history: list[Resource], expected: str) -> None:
    assert outcome(view(history), "R39") == expected


def test_the_watch_is_not_brought_up_with_orders() -> None:
    assert outcome(select([infusion("2024-01-01")], draft_drug("lenalidomide")), "R39") == NOT_APPLICABLE


def test_unread_procedures_leave_the_watch_open_and_are_not_pointed_out_for_it() -> None:
    assessment = view([*PROTECTED], without=["procedures"])

    assert outcome(assessment, "R39") == CANNOT_TELL


@pytest.mark.parametrize(
    ("history", "given_words", "day"),
    [
        row(
            "with product and day",
            [infusion("2024-03-01")],
            "Ciltacabtagene autoleucel on record: lifelong",
            "(2024-03-01)",
        ),
        row(
            "the later of two",
            [infusion("2023-03-01"), infusion("2024-03-01", IDE_CEL)],
            "Idecabtagene vicleucel on record:",
            "(2024-03-01)",
        ),
        row(
            "one of them without a date",
            [infusion("2023-03-01"), infusion(None, IDE_CEL)],
            "Ciltacabtagene autoleucel on record:",
            "(2023-03-01)",
        ),
        row(
            "a history code",
            [myeloma(), condition("Z92.850")],
            "CAR T cells on record: lifelong",
            "(no date on record)",
        ),
        row("another disease", [given("axi-cel", "2022-01-01")], "CAR T cells on record: lifelong", "(2022-01-01)"),
    ],
)
def test_the_card_of_the_lifelong_watch(history: list[Resource], given_words: str, day: str) -> None:
    shown = card(view([*history, *PROTECTED]), "R39")

    assert shown["indicator"] == "info"
    assert shown["summary"].startswith(given_words)
    assert "CAR transgene" in shown["summary"]
    assert day in shown["detail"]
    assert "suggestions" not in shown


def test_cells_against_another_disease_are_called_so() -> None:
    assert "against another disease" in text_of(card(view([given("axi-cel", "2022-01-01"), *PROTECTED]), "R39"))
    assert "against another disease" not in text_of(card(view([infusion("2024-03-01"), *PROTECTED]), "R39"))

"""R25: live vaccines while immunity is too weak for them, and other vaccines before they can do much.

Live ones wait 365 days after CAR T cells, and 28 days before and after a bispecific antibody; they come 42 days before
lymphodepletion. A bispecific antibody without an end on record goes on for 35 days after its last dose, and may go on
for 183. Inactivated ones wait 183 days after CAR T cells, influenza and COVID-19 vaccines 90. "Today" is 2026-11-20.
"""

from typing import Any

import pytest

from tests.build import (
    Resource,
    card,
    cards_of,
    coded,
    condition,
    draft_collection,
    draft_drug,
    draft_infusion,
    draft_service,
    given,
    infusion,
    lab,
    myeloma,
    ordered,
    outcome,
    reported,
)
from tests.rules.table import (
    CANNOT_TELL,
    FLAGGED,
    NOT_APPLICABLE,
    SATISFIED,
    days_after,
    days_ago,
    drafts_in,
    moves_in,
    row,
    select,
    sign,
    view,
)

CVX = "http://hl7.org/fhir/sid/cvx"
CVX_OF = {
    "MMR": "03",
    "varicella": "21",
    "live zoster": "121",
    "nasal influenza": "149",
    "recombinant zoster": "187",
    "zoster": "188",
    "COVID-19": "300",
    "pneumococcal": "215",
    "RSV": "303",
}
TODAY = days_ago(0)
CD4 = "24467-3"
UNDATED = [myeloma(), condition("Z92.850")]


def vaccine(name: str = "MMR", on: str | None = None, **more: Any) -> Resource:
    """Make a draft order of a vaccine as a drug."""
    code = coded(CVX, CVX_OF[name], name)
    return draft_drug(name, on, **{"medicationCodeableConcept": code, **more})


FLU = draft_drug("influenza vaccine")


def igg(on: str | None, name: str = "IVIG", status: str = "completed") -> Resource:
    """Make a dose of immunoglobulin."""
    return given(name, on, status)


def indicator(history: list[Resource], order: Resource) -> str | None:
    """Give the outcome of R25, or the indicator of its card where it is shown."""
    assessment = select(history, order)
    found = outcome(assessment, "R25")
    return card(assessment, "R25")["indicator"] if found == FLAGGED else found


# --- after CAR T cells ---


@pytest.mark.parametrize(
    ("infused", "live", "inactivated", "influenza"),
    [
        row("today", days_ago(0), "critical", "info", "info"),
        row("89 days ago", days_ago(89), "critical", "info", "info"),
        row("90 days ago: influenza may come", days_ago(90), "critical", "info", NOT_APPLICABLE),
        row("182 days ago", days_ago(182), "critical", "info", NOT_APPLICABLE),
        row("183 days ago: inactivated ones may come", days_ago(183), "critical", NOT_APPLICABLE, NOT_APPLICABLE),
        row("10 months ago", days_ago(300), "critical", NOT_APPLICABLE, NOT_APPLICABLE),
        row("364 days ago", days_ago(364), "critical", NOT_APPLICABLE, NOT_APPLICABLE),
        row("365 days ago: live ones may come", days_ago(365), SATISFIED, NOT_APPLICABLE, NOT_APPLICABLE),
        row("some day in October, 20 to 50 days ago", "2026-10", "critical", "info", "info"),
        row("some day in August, 81 to 111 days ago", "2026-08", "critical", "info", CANNOT_TELL),
        row("some day in May, 173 to 203 days ago", "2026-05", "critical", CANNOT_TELL, NOT_APPLICABLE),
        row("some day in November last year", "2025-11", CANNOT_TELL, NOT_APPLICABLE, NOT_APPLICABLE),
        row("some day this year", "2026", "critical", CANNOT_TELL, CANNOT_TELL),
        row("some day in 2025", "2025", CANNOT_TELL, NOT_APPLICABLE, NOT_APPLICABLE),
        row("some day in 2024", "2024", SATISFIED, NOT_APPLICABLE, NOT_APPLICABLE),
        row("nobody knows when", None, CANNOT_TELL, CANNOT_TELL, CANNOT_TELL),
    ],
)
def test_days_after_car_t_cells(infused: str | None, live: str, inactivated: str, influenza: str) -> None:
    history = [infusion(infused)]

    found = [indicator(history, order) for order in (vaccine(), vaccine("pneumococcal"), FLU)]

    assert found == [live, inactivated, influenza]


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("of any product", [infusion(days_ago(300), "idecabtagene vicleucel")], FLAGGED),
        row("of a product that nobody named", [infusion(days_ago(300), None)], FLAGGED),
        row("the later of two counts", [infusion(days_ago(900)), infusion(days_ago(300))], FLAGGED),
        row("a history code alone", UNDATED, CANNOT_TELL),
        row("a history code beside a dated infusion", [*UNDATED, infusion(days_ago(900))], SATISFIED),
        row("perhaps infused", [infusion(days_ago(300), status="unknown")], CANNOT_TELL),
        row(
            "perhaps infused, long after one that was",
            [infusion(days_ago(900)), infusion(days_ago(300), "idecabtagene vicleucel", status="unknown")],
            CANNOT_TELL,
        ),
        row(
            "perhaps infused again, beside one that was",
            [infusion(days_ago(300)), infusion(days_ago(100), "idecabtagene vicleucel", status="unknown")],
            FLAGGED,
        ),
        row("not done", [infusion(days_ago(300), status="not-done")], SATISFIED),
        row("in error", [infusion(days_ago(300), status="entered-in-error")], SATISFIED),
        row("ordered", [ordered("cilta-cel", days_ago(300))], SATISFIED),
        row("no CAR T cells", [], SATISFIED),
    ],
)
def test_what_counts_as_an_infusion(history: list[Resource], expected: str) -> None:
    assert outcome(select(history, vaccine()), "R25") == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        row("measles, mumps, rubella", "MMR", "critical"),
        row("varicella", "varicella", "critical"),
        row("zoster, live", "live zoster", "critical"),
        row("influenza, live", "nasal influenza", "critical"),
        row("zoster, and nobody says which", "zoster", "info"),
        row("zoster, recombinant", "recombinant zoster", "info"),
        row("pneumococcal", "pneumococcal", NOT_APPLICABLE),
        row("respiratory syncytial virus", "RSV", NOT_APPLICABLE),
        row("COVID-19", "COVID-19", NOT_APPLICABLE),
    ],
)
def test_which_vaccine_on_day_300(name: str, expected: str) -> None:
    assert indicator([infusion(days_ago(300))], vaccine(name)) == expected


@pytest.mark.parametrize(
    ("name", "days", "expected"),
    [
        row("COVID-19, day 89", "COVID-19", 89, "info"),
        row("COVID-19, day 90", "COVID-19", 90, NOT_APPLICABLE),
        row("RSV, day 182", "RSV", 182, "info"),
        row("RSV, day 183", "RSV", 183, NOT_APPLICABLE),
        row("recombinant zoster, day 364", "recombinant zoster", 364, "info"),
        row("recombinant zoster, day 365", "recombinant zoster", 365, NOT_APPLICABLE),
        row("zoster of some kind, day 364", "zoster", 364, "info"),
        row("zoster of some kind, day 365", "zoster", 365, SATISFIED),
    ],
)
def test_the_last_day_of_other_vaccines(name: str, days: int, expected: str) -> None:
    assert indicator([infusion(days_ago(days))], vaccine(name)) == expected


@pytest.mark.parametrize(
    ("planned", "expected"),
    [
        row("today", TODAY, FLAGGED),
        row("on day 364", days_after(TODAY, 64), FLAGGED),
        row("on day 365", days_after(TODAY, 65), SATISFIED),
        row("for a day that is past: still to come", days_ago(300), FLAGGED),
        row("some day in January, days 342 to 372", "2027-01", CANNOT_TELL),
        row("some day in February", "2027-02", SATISFIED),
    ],
)
def test_the_days_are_counted_to_the_day_of_the_vaccine(planned: str, expected: str) -> None:
    assert outcome(select([infusion(days_ago(300))], vaccine(on=planned)), "R25") == expected


# --- bispecific antibodies ---


def course(last: str, end: str | None = None, name: str = "teclistamab") -> Resource:
    """Make a course of a bispecific antibody that is over, or goes on."""
    return reported(name, "2026-01-05", end or last)


def reported_active(asserted: str) -> Resource:
    """Make a bispecific antibody that was called active on a day."""
    return reported("teclistamab", "2026-01-05", status="active", asserted=asserted)


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("27 days after the last dose", [course(days_ago(27))], FLAGGED),
        row("28 days", [course(days_ago(28))], SATISFIED),
        row("being given", [reported("teclistamab", "2026-01-05", status="active", asserted=TODAY)], FLAGGED),
        row("a dose 27 days ago, no end on record", [given("teclistamab", days_ago(27))], FLAGGED),
        row("a dose 35 days ago, no end on record", [given("teclistamab", days_ago(35))], FLAGGED),
        row("a dose 36 days ago, no end on record: it may go on", [given("teclistamab", days_ago(36))], CANNOT_TELL),
        row("a dose 183 days ago, no end on record", [given("teclistamab", days_ago(183))], CANNOT_TELL),
        row("a dose 184 days ago, no end on record", [given("teclistamab", days_ago(184))], SATISFIED),
        row("a dose some day in May, 173 to 203 days ago", [given("teclistamab", "2026-05")], CANNOT_TELL),
        row("a dose some day in April", [given("teclistamab", "2026-04")], SATISFIED),
        row("called active, last confirmed 100 days ago", [reported_active("2026-08-12")], CANNOT_TELL),
        row("ended on record 36 days ago", [course(days_ago(36))], SATISFIED),
        row(
            "a dose after the end on record",
            [course(days_ago(60)), given("teclistamab", days_ago(40))],
            CANNOT_TELL,
        ),
        row("a dose before the end on record", [course(days_ago(40)), given("teclistamab", days_ago(60))], SATISFIED),
        row(
            "a dose before CAR T cells, which end what was given before them",
            [given("teclistamab", days_ago(20)), infusion(days_ago(19))],
            FLAGGED,
        ),
        row("one against GPRC5D", [given("talquetamab", days_ago(10))], FLAGGED),
        row("a dose some day in November", [given("teclistamab", "2026-11")], FLAGGED),
        row("a dose some day in October, 20 to 50 days ago", [given("teclistamab", "2026-10")], CANNOT_TELL),
        row("over some day in October", [course("2026-10")], CANNOT_TELL),
        row("over some day in September", [course("2026-09")], SATISFIED),
        row("given, nobody knows when", [given("teclistamab", None)], CANNOT_TELL),
        row("perhaps given 10 days ago", [given("teclistamab", days_ago(10), "unknown")], CANNOT_TELL),
        row("perhaps given 100 days ago", [given("teclistamab", days_ago(100), "unknown")], CANNOT_TELL),
        row("perhaps given long ago", [given("teclistamab", days_ago(184), "unknown")], SATISFIED),
        row("ordered last week", [ordered("teclistamab", days_ago(7))], CANNOT_TELL),
        row("not given", [given("teclistamab", days_ago(10), "not-done")], SATISFIED),
        row("in error", [given("teclistamab", days_ago(10), "entered-in-error")], SATISFIED),
        row("a conjugate is no bispecific antibody", [given("belantamab mafodotin", days_ago(10))], SATISFIED),
        row("an unknown antibody may be one", [given("newtamab", days_ago(10))], CANNOT_TELL),
    ],
)
def test_a_live_vaccine_and_a_bispecific_antibody(history: list[Resource], expected: str) -> None:
    assert outcome(select(history, vaccine()), "R25") == expected


@pytest.mark.parametrize(
    ("planned", "expected"),
    [
        row("today", None, FLAGGED),
        row("in 27 days", days_after(TODAY, 27), FLAGGED),
        row("in 28 days", days_after(TODAY, 28), SATISFIED),
        row("some day in December, in 11 to 41 days", "2026-12", CANNOT_TELL),
    ],
)
def test_a_live_vaccine_before_a_bispecific_antibody_that_is_being_ordered(planned: str | None, expected: str) -> None:
    assessment = select([], vaccine(), beside=[draft_drug("teclistamab", planned)])

    assert outcome(assessment, "R25") == expected


# --- CAR T cells to come ---


@pytest.mark.parametrize(
    ("drafts", "expected"),
    [
        row("lymphodepletion, without a day: now", [draft_drug("fludarabine")], FLAGGED),
        row("lymphodepletion in 41 days", [draft_drug("fludarabine", days_after(TODAY, 41))], FLAGGED),
        row("lymphodepletion in 42 days", [draft_drug("fludarabine", days_after(TODAY, 42))], SATISFIED),
        row("lymphodepletion in December, in 11 to 41 days", [draft_drug("fludarabine", "2026-12")], FLAGGED),
        row("lymphodepletion in January, in 42 to 72 days", [draft_drug("fludarabine", "2027-01")], SATISFIED),
        row("an infusion, without a day", [draft_infusion()], FLAGGED),
        row("cilta-cel", [draft_drug("ciltacabtagene autoleucel")], FLAGGED),
        row("cells that nobody approved yet", [draft_drug("anito-cel")], FLAGGED),
        row("an infusion in 41 days", [draft_infusion(days_after(TODAY, 41))], FLAGGED),
        row("in 42 days: lymphodepletion comes before", [draft_infusion(days_after(TODAY, 42))], CANNOT_TELL),
        row("in 48 days: lymphodepletion may be in 41", [draft_infusion(days_after(TODAY, 48))], CANNOT_TELL),
        row("in 49 days", [draft_infusion(days_after(TODAY, 49))], SATISFIED),
        row(
            "in 48 days, lymphodepletion in 42",
            [draft_infusion(days_after(TODAY, 48)), draft_drug("fludarabine", days_after(TODAY, 42))],
            SATISFIED,
        ),
        row("a collection: lymphodepletion is weeks away", [draft_collection()], SATISFIED),
        row("another drug", [draft_drug("lenalidomide")], SATISFIED),
    ],
)
def test_a_live_vaccine_before_car_t_cells_that_are_being_ordered(drafts: list[Resource], expected: str) -> None:
    assert outcome(select([], vaccine(), beside=drafts), "R25") == expected


@pytest.mark.parametrize(
    ("planned", "expected"),
    [
        row("364 days after the planned infusion", days_after(TODAY, 374), FLAGGED),
        row("365 days after it", days_after(TODAY, 375), SATISFIED),
    ],
)
def test_a_live_vaccine_planned_for_long_after_the_cells(planned: str, expected: str) -> None:
    cells = draft_infusion(days_after(TODAY, 10))

    assert outcome(select([], vaccine(on=planned), beside=[cells]), "R25") == expected


@pytest.mark.parametrize("name", ["pneumococcal", "recombinant zoster", "COVID-19"])
def test_other_vaccines_may_come_before_car_t_cells(name: str) -> None:
    assert indicator([], vaccine(name)) == NOT_APPLICABLE
    assert outcome(select([], vaccine(name), beside=[draft_infusion()]), "R25") == NOT_APPLICABLE


@pytest.mark.parametrize(
    ("draft", "on", "says"),
    [
        row(
            "lymphodepletion",
            draft_drug("fludarabine", days_after(TODAY, 10)),
            None,
            "10 d before planned lymphodepletion",
        ),
        row("today", draft_drug("fludarabine"), None, "around the day of planned lymphodepletion"),
        row("cells", draft_infusion(days_after(TODAY, 10)), None, "10 d before planned CAR T cells"),
        row("later", draft_infusion(days_after(TODAY, 10)), days_after(TODAY, 40), "30 d after planned CAR T cells"),
    ],
)
def test_the_words_before_car_t_cells(draft: Resource, on: str | None, says: str) -> None:
    shown = card(select([], vaccine(on=on), beside=[draft]), "R25")

    assert shown["summary"] == f"MMR vaccine (live) {says}: not advised until 365 d after the cells."
    assert shown["indicator"] == "critical"
    assert shown["source"]["label"] == "Vaccines and Carvykti (J&J medical information, 2025)"
    assert moves_in(shown) == []


def test_no_other_vaccine_is_asked_about_during_a_bispecific_antibody() -> None:
    history = [given("teclistamab", days_ago(3))]

    assert indicator(history, vaccine("pneumococcal")) == NOT_APPLICABLE
    assert indicator(history, vaccine("recombinant zoster")) == NOT_APPLICABLE
    assert indicator(history, vaccine("zoster")) == "info"


# --- CD4 count and immunoglobulin ---


@pytest.mark.parametrize(
    ("count", "on", "expected"),
    [
        row("200: low", 200, days_ago(3), "critical"),
        row("201", 201, days_ago(3), SATISFIED),
        row("180 days ago", 150, days_ago(180), "critical"),
        row("181 days ago", 150, days_ago(181), SATISFIED),
        row("some day in May, 173 to 203 days ago", 150, "2026-05", CANNOT_TELL),
        row("without a date", 150, None, CANNOT_TELL),
    ],
)
def test_a_live_vaccine_with_a_low_cd4_count(count: float, on: str | None, expected: str) -> None:
    assert indicator([lab(CD4, count, "/uL", on)], vaccine()) == expected


def test_a_cd4_count_in_an_unknown_unit_leaves_it_open() -> None:
    assert indicator([lab(CD4, 150, "x", days_ago(3))], vaccine()) == CANNOT_TELL


def test_a_cd4_count_is_of_live_vaccines_alone() -> None:
    assert indicator([lab(CD4, 150, "/uL", days_ago(3))], vaccine("pneumococcal")) == NOT_APPLICABLE


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("242 days ago", [igg(days_ago(242))], "info"),
        row("243 days ago", [igg(days_ago(243))], SATISFIED),
        row("under the skin", [igg(days_ago(10), "SCIG")], "info"),
        row("the last dose counts", [igg(days_ago(400)), igg(days_ago(10))], "info"),
        row("being given", [reported("IVIG", "2026-01-05", status="active", asserted=TODAY)], "info"),
        row("not given", [igg(days_ago(10), status="not-done")], SATISFIED),
        row("only ordered", [ordered("IVIG", days_ago(10))], SATISFIED),
        row("some day in March, 234 to 264 days ago: nothing is said", [igg("2026-03")], SATISFIED),
        row("without a date", [igg(None)], SATISFIED),
    ],
)
def test_a_live_vaccine_after_immunoglobulin_alone(history: list[Resource], expected: str) -> None:
    assert indicator(history, vaccine()) == expected


@pytest.mark.parametrize(
    ("history", "order", "expected"),
    [
        row("60 days ago", [infusion(days_ago(300)), igg(days_ago(60))], vaccine("pneumococcal"), "info"),
        row("61 days ago", [infusion(days_ago(300)), igg(days_ago(61))], vaccine("pneumococcal"), NOT_APPLICABLE),
        row("influenza does not wait", [infusion(days_ago(300)), igg(days_ago(5))], FLU, NOT_APPLICABLE),
        row("without CAR T cells nothing is said", [igg(days_ago(5))], vaccine("pneumococcal"), NOT_APPLICABLE),
    ],
)
def test_an_inactivated_vaccine_after_immunoglobulin(history: list[Resource], order: Resource, expected: str) -> None:
    assert indicator(history, order) == expected


# --- how a vaccine is ordered ---


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        row("as a drug, by code", vaccine(), FLAGGED),
        row("as a drug, in words", draft_drug("MMR vaccine"), FLAGGED),
        row("by brand", draft_drug("Varivax"), FLAGGED),
        row("as a service, by code", draft_service("03", system=CVX), FLAGGED),
        row("a nasal influenza vaccine in words", draft_drug("FluMist"), FLAGGED),
        row("Shingrix", draft_drug("Shingrix"), FLAGGED),
        row("immunoglobulin against zoster is none", draft_drug("varicella zoster immune globulin"), NOT_APPLICABLE),
        row("acyclovir", draft_drug("acyclovir"), NOT_APPLICABLE),
        row("a titer", draft_service("35275-7", system="http://loinc.org"), NOT_APPLICABLE),
    ],
)
def test_how_a_vaccine_is_ordered(order: Resource, expected: str) -> None:
    assert outcome(select([infusion(days_ago(300))], order), "R25") == expected


def test_it_is_asked_when_a_vaccine_is_selected_or_signed() -> None:
    history = [infusion(days_ago(300))]

    assert outcome(sign(history, vaccine()), "R25") == FLAGGED
    assert outcome(view(history), "R25") == NOT_APPLICABLE
    assert outcome(select(history, draft_drug("lenalidomide"), beside=[vaccine()]), "R25") == NOT_APPLICABLE


# --- what was not read ---


@pytest.mark.parametrize(
    ("key", "live", "inactivated"),
    [
        row("procedures", "procedures", CANNOT_TELL, CANNOT_TELL),
        row("doses", "medicationAdministrations", CANNOT_TELL, CANNOT_TELL),
        row("laboratory results", "observations", CANNOT_TELL, NOT_APPLICABLE),
    ],
)
def test_what_was_not_read(key: str, live: str, inactivated: str) -> None:
    assert outcome(select([], vaccine(), without=[key]), "R25") == live
    assert outcome(select([], vaccine("pneumococcal"), without=[key]), "R25") == inactivated


def test_what_was_found_stands_although_something_else_was_not_read() -> None:
    assessment = select([infusion(days_ago(300))], vaccine(), without=["observations"])

    assert outcome(assessment, "R25") == FLAGGED


def test_an_infusion_on_an_unknown_day_is_said() -> None:
    (gap,) = [shown for shown in cards_of(select(UNDATED, vaccine())) if shown["source"]["topic"]["code"] == "R00"]

    assert "Missing the date of the CAR T infusion" in gap["detail"]
    assert "Vaccine too early after T-cell therapy (R25)" in gap["detail"]


# --- the card ---


def test_a_live_vaccine_ten_months_after_car_t_cells() -> None:
    shown = card(select([infusion(days_ago(300))], vaccine()), "R25")

    assert shown["indicator"] == "critical"
    assert shown["summary"] == (
        "MMR vaccine (live) 300 d after ciltacabtagene autoleucel: not advised until 2027-01-24."
    )
    assert "300 d after ciltacabtagene autoleucel (until 2027-01-24)" in shown["detail"]
    assert "is the clinician's decision" in shown["detail"]
    assert "MedicationAdministration 2026-01-24" in shown["detail"]


@pytest.mark.parametrize(
    ("history", "says"),
    [
        row("over", [course(days_ago(10))], "10 d after teclistamab: not advised until 2026-12-08."),
        row(
            "being given",
            [given("teclistamab", days_ago(10))],
            "10 d after teclistamab, no end on record: not advised until 28 d after it has ended.",
        ),
        row(
            "every 4 weeks, or paused: its last dose may lie further back than the days that count after it",
            [given("elranatamab", days_ago(30))],
            "30 d after elranatamab, no end on record: not advised until 28 d after it has ended.",
        ),
        row(
            "called active",
            [reported_active(TODAY)],
            "while teclistamab is being given: not advised until 28 d after it has ended.",
        ),
        row(
            "CD4",
            [lab(CD4, 150, "/uL", days_ago(3))],
            "with a CD4 count of 150/µL (2026-11-17): not advised until it is above 200/µL.",
        ),
    ],
)
def test_the_words_of_a_critical_card(history: list[Resource], says: str) -> None:
    assert card(select(history, vaccine()), "R25")["summary"] == f"MMR vaccine (live) {says}"


@pytest.mark.parametrize(
    ("history", "beside", "says"),
    [
        row(
            "after cells, and a bispecific antibody is being started",
            [infusion(days_ago(5))],
            [draft_drug("teclistamab")],
            "5 d after ciltacabtagene autoleucel: not advised until 2027-11-15 and 28 d off teclistamab.",
        ),
        row(
            "after cells, and one is being given",
            [infusion(days_ago(300)), given("elranatamab", days_ago(10))],
            [],
            "300 d after ciltacabtagene autoleucel: not advised until 2027-01-24 and 28 d off elranatamab.",
        ),
        row(
            "after cells, and CD4",
            [infusion(days_ago(300)), lab(CD4, 150, "/uL", days_ago(3))],
            [],
            "300 d after ciltacabtagene autoleucel: not advised until 2027-01-24 and a CD4 count above 200/µL.",
        ),
        row(
            "being given, and immunoglobulin",
            [given("teclistamab", days_ago(10)), igg(days_ago(10))],
            [],
            "10 d after teclistamab, no end on record: not advised until 2027-07-11 and 28 d off teclistamab.",
        ),
    ],
)
def test_no_end_is_named_as_that_of_another_reason(history: list[Resource], beside: list[Resource], says: str) -> None:
    shown = card(select(history, vaccine(), beside=beside), "R25")

    assert shown["summary"] == f"MMR vaccine (live) {says}"
    assert moves_in(shown) == []


@pytest.mark.parametrize("name", ["MMR", "varicella", "live zoster", "nasal influenza", "zoster"])
def test_two_ends_fit_into_the_summary(name: str) -> None:
    history = [infusion("2026-01"), given("linvoseltamab", days_ago(10))]

    assert card(select(history, vaccine(name)), "R25")["summary"].endswith(" and 28 d off linvoseltamab.")


UNDATED_BISPECIFIC = given("teclistamab", None)


@pytest.mark.parametrize(
    ("history", "says", "notes"),
    [
        row(
            "a bispecific antibody may go on",
            [infusion(days_ago(200)), given("teclistamab", days_ago(100))],
            "200 d after ciltacabtagene autoleucel: not advised at least until 2027-05-04.",
            "without an end on record may still go on",
        ),
        row(
            "nobody knows when one was given",
            [infusion(days_ago(300)), UNDATED_BISPECIFIC],
            "300 d after ciltacabtagene autoleucel: not advised at least until 2027-01-24.",
            "of which the last or the next dose is not known exactly",
        ),
        row(
            "one was perhaps given, the other ended",
            [course(days_ago(10)), given("talquetamab", days_ago(50), "unknown")],
            "10 d after teclistamab: not advised at least until 2026-12-08.",
            "of which the last or the next dose is not known exactly",
        ),
        row(
            "cells may have been infused again",
            [infusion(days_ago(300)), infusion(days_ago(100), "idecabtagene vicleucel", status="unknown")],
            "300 d after ciltacabtagene autoleucel: not advised at least until 2027-01-24.",
            "CAR T cells that were ordered, or may have been infused",
        ),
        row(
            "cells were infused again, nobody knows when",
            [infusion(days_ago(300)), infusion(None, "idecabtagene vicleucel")],
            "300 d after ciltacabtagene autoleucel: not advised at least until 2027-01-24.",
            "CAR T cells on a day that is not on record",
        ),
        row(
            "a CD4 count may be low",
            [infusion(days_ago(300)), lab(CD4, 150, "/uL", None)],
            "300 d after ciltacabtagene autoleucel: not advised at least until 2027-01-24.",
            "a CD4 count of which the date or the value is not clear",
        ),
        row(
            "no day at all, and something open",
            [lab(CD4, 150, "/uL", days_ago(3)), UNDATED_BISPECIFIC],
            "with a CD4 count of 150/µL (2026-11-17): not advised at least until it is above 200/µL.",
            "of which the last or the next dose is not known exactly",
        ),
        row(
            "two that have no day",
            [given("teclistamab", days_ago(10)), lab(CD4, 150, "/uL", days_ago(3))],
            "10 d after teclistamab, no end on record: not advised at least until 28 d after it has ended.",
            "",
        ),
    ],
)
def test_a_day_is_the_earliest_where_something_is_open(history: list[Resource], says: str, notes: str) -> None:
    shown = card(select(history, vaccine(on=TODAY)), "R25")

    assert shown["summary"] == f"MMR vaccine (live) {says}"
    assert ("**Please note**" in shown["detail"]) is bool(notes)
    assert notes in shown["detail"]
    assert moves_in(shown) == []


def test_a_day_is_the_earliest_where_the_day_of_lymphodepletion_is_open() -> None:
    beside = [draft_infusion(days_after(TODAY, 45))]

    shown = card(select([course(days_ago(10))], vaccine(on=TODAY), beside=beside), "R25")

    assert shown["summary"].endswith("10 d after teclistamab: not advised at least until 2026-12-08.")
    assert "lymphodepletion or CAR T cells among the drafts" in shown["detail"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        row("inactivated", "pneumococcal", "the response is likely poor at least until 2027-02-12."),
        row("adjuvanted", "recombinant zoster", "not live, but one source waits at least until 2027-08-13."),
        row("of an unstated kind", "zoster", "a live one is not advised at least until 2027-08-13."),
    ],
)
def test_so_is_that_of_another_vaccine(name: str, says: str) -> None:
    perhaps = infusion(days_ago(20), "idecabtagene vicleucel", status="unknown")

    shown = card(select([infusion(days_ago(99)), perhaps], vaccine(name, TODAY)), "R25")

    assert shown["summary"].endswith(says)
    assert moves_in(shown) == []


def test_cells_end_a_bispecific_antibody_before_them() -> None:
    shown = card(select([given("talquetamab", days_ago(20)), infusion(days_ago(10))], vaccine(on=TODAY)), "R25")

    assert shown["summary"].endswith("10 d after ciltacabtagene autoleucel: not advised until 2027-11-10.")
    assert "20 d after talquetamab (until 2026-11-28)" in shown["detail"]
    assert moves_in(shown) == ["Move the vaccine to 2027-11-10"]


def test_a_treatment_that_may_go_on_is_asked_for_by_name() -> None:
    (gap,) = cards_of(select([given("elranatamab", days_ago(60))], vaccine()))

    assert (
        "whether elranatamab is still being given (its last dose on record: 2026-09-21; no end is on record)"
        in (gap["detail"])
    )


@pytest.mark.parametrize(
    ("history", "label"),
    [
        row("cells", [infusion(days_ago(300))], "Vaccination after CAR T, table on an ASH publications site"),
        row("teclistamab", [course(days_ago(10))], "EU product information, Tecvayli (teclistamab)"),
        row(
            "another one",
            [course(days_ago(10), name="elranatamab")],
            "EU product information, elranatamab and talquetamab",
        ),
        row(
            "cells come first",
            [infusion(days_ago(30)), course(days_ago(10))],
            "Vaccination after CAR T, table on an ASH publications site",
        ),
    ],
)
def test_the_source_is_that_of_the_reason(history: list[Resource], label: str) -> None:
    assert card(select(history, vaccine()), "R25")["source"]["label"] == label


def test_the_words_before_a_bispecific_antibody() -> None:
    planned = draft_drug("teclistamab", days_after(TODAY, 10))

    shown = card(select([], vaccine(), beside=[planned]), "R25")
    starting = card(select([], vaccine(), beside=[draft_drug("teclistamab")]), "R25")

    assert "10 d before teclistamab is planned: not advised until 28 d after its last dose." in shown["summary"]
    assert "while teclistamab is being started" in starting["summary"]


def test_the_words_of_the_other_cards() -> None:
    history = [infusion(days_ago(60))]
    said = {name: card(select(history, vaccine(name)), "R25")["summary"] for name in CVX_OF}

    assert said["pneumococcal"] == (
        "Pneumococcal vaccine 60 d after ciltacabtagene autoleucel: the response is likely poor until 2027-03-23."
    )
    assert said["COVID-19"].endswith("the response is likely poor until 2026-12-20.")
    assert said["recombinant zoster"].endswith("not live, but one source waits until 2027-09-21.")
    assert said["zoster"] == (
        "Zoster vaccine (live?) 60 d after ciltacabtagene autoleucel: a live one is not advised until 2027-09-21."
    )


def test_every_reason_is_named_and_the_last_day_of_them_counts() -> None:
    history = [infusion(days_ago(350)), igg(days_ago(10)), course(days_ago(5))]

    shown = card(select(history, vaccine(on=TODAY)), "R25")

    assert "not advised until 2027-07-11." in shown["summary"]
    assert (
        "350 d after ciltacabtagene autoleucel (until 2026-12-05); 5 d after teclistamab (until 2026-12-13); "
        "10 d after immunoglobulin (until 2027-07-11)"
    ) in shown["detail"]
    assert moves_in(shown) == ["Move the vaccine to 2027-07-11"]


# --- what is offered ---


def test_the_order_is_moved_to_the_first_day_without_a_reason() -> None:
    shown = card(select([infusion(days_ago(300))], vaccine(on=TODAY)), "R25")
    (suggestion,) = shown["suggestions"]
    (action,) = suggestion["actions"]

    assert moves_in(shown) == ["Move the vaccine to 2027-01-24"]
    assert action["type"] == "update"
    assert action["resource"]["dosageInstruction"][0]["timing"]["event"] == ["2027-01-24"]
    assert drafts_in(shown) == []


def test_a_service_order_without_a_day_gets_one() -> None:
    shown = card(select([infusion(days_ago(300))], draft_service("03", system=CVX)), "R25")

    assert shown["suggestions"][0]["actions"][0]["resource"]["occurrenceDateTime"] == "2027-01-24"


@pytest.mark.parametrize(
    "history",
    [
        row("a treatment that goes on has no such day", [infusion(days_ago(300)), given("teclistamab", days_ago(3))]),
        row("nor has a low count", [infusion(days_ago(300)), lab(CD4, 150, "/uL", days_ago(3))]),
        row("nor what is not certain", [infusion(days_ago(300)), given("teclistamab", days_ago(3), "unknown")]),
    ],
)
def test_no_day_is_offered_where_none_is_known(history: list[Resource]) -> None:
    assert moves_in(card(select(history, vaccine(on=TODAY)), "R25")) == []


def test_another_day_is_no_answer_to_which_zoster_vaccine_is_meant() -> None:
    history = [infusion(days_ago(300))]

    assert moves_in(card(select(history, vaccine("zoster", TODAY)), "R25")) == []
    assert moves_in(card(select(history, vaccine("recombinant zoster", TODAY)), "R25")) != []


def test_a_vague_infusion_counts_from_its_last_possible_day() -> None:
    shown = card(select([infusion("2026-05")], vaccine(on=TODAY)), "R25")

    assert "173 to 203 d after" in shown["summary"]
    assert moves_in(shown) == ["Move the vaccine to 2027-05-31"]

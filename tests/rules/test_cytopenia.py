"""R26: severe neutropenia in the 90 days after CAR T cells; R43: counts that stay low (shipped off).

"Today" is 2026-11-20; day 0 is the infusion.
"""

from typing import Any

import pytest

from cards.finding import Hook
from cds_service.app import make_assessor
from cds_service.assess import Assessment, assess
from cds_service.settings import Settings
from cds_service.site import Site
from tests.build import (
    AS_OF,
    Resource,
    card,
    chart,
    condition,
    draft_drug,
    given,
    hook_request,
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
    PROTECTED,
    SATISFIED,
    days_ago,
    drafts_in,
    row,
    select,
    sign,
    text_of,
    view,
)

ANC, PLATELETS = "751-8", "777-3"
TODAY = days_ago(0)
DAY_12 = infusion(days_ago(12))


def anc(value: float = 0.4, on: str | None = TODAY, unit: str = "10*9/L", **more: Any) -> Resource:
    """Make a neutrophil count."""
    return lab(ANC, value, unit, on, **more)


def crs(recorded: str | None = TODAY, status: str = "active", code: str = "D89.831", **more: Any) -> Resource:
    """Make cytokine release on the problem list."""
    return condition(code, recorded, clinicalStatus={"coding": [{"code": status}]}, **more)


# --- R26: the days after the infusion ---


@pytest.mark.parametrize(
    ("infused", "expected"),
    [
        row("today", days_ago(0), FLAGGED),
        row("day 12", days_ago(12), FLAGGED),
        row("day 90: the last day", days_ago(90), FLAGGED),
        row("day 91", days_ago(91), NOT_APPLICABLE),
        row("some day in October", "2026-10", FLAGGED),
        row("some day in August, 81 to 111 days ago", "2026-08", CANNOT_TELL),
        row("some day in July", "2026-07", NOT_APPLICABLE),
        row("some day this year", "2026", CANNOT_TELL),
        row("nobody knows when", None, CANNOT_TELL),
    ],
)
def test_days_since_the_infusion(infused: str | None, expected: str) -> None:
    assert outcome(view([infusion(infused), anc()]), "R26") == expected


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("a product that nobody named", [infusion(days_ago(12), None)], FLAGGED),
        row("the later of two", [infusion(days_ago(900)), DAY_12], FLAGGED),
        row("perhaps infused", [infusion(days_ago(12), status="unknown")], CANNOT_TELL),
        row("perhaps infused, long after one that was", [infusion(days_ago(900)), infusion(None)], CANNOT_TELL),
        row("not done", [infusion(days_ago(12), status="not-done")], NOT_APPLICABLE),
        row("in error", [infusion(days_ago(12), status="entered-in-error")], NOT_APPLICABLE),
        row("ordered", [ordered("cilta-cel", days_ago(12))], NOT_APPLICABLE),
        row("a bispecific antibody is another matter", [given("teclistamab", days_ago(3))], NOT_APPLICABLE),
    ],
)
def test_what_counts_as_an_infusion(history: list[Resource], expected: str) -> None:
    assert outcome(view([*history, anc()]), "R26") == expected


# --- R26: the count ---


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        row("0.4", [anc(0.4)], FLAGGED),
        row("0.49", [anc(0.49)], FLAGGED),
        row("0.5: not below", [anc(0.5)], SATISFIED),
        row("0.59", [anc(0.59)], SATISFIED),
        row("per microlitre", [anc(400, unit="/uL")], FLAGGED),
        row("500 per microlitre", [anc(500, unit="/uL")], SATISFIED),
        row("in a unit that nobody knows", [anc(unit="x")], CANNOT_TELL),
        row("2 days ago: the last day", [anc(on=days_ago(2))], FLAGGED),
        row("3 days ago", [anc(on=days_ago(3))], SATISFIED),
        row("some day in November", [anc(on="2026-11")], CANNOT_TELL),
        row("without a date", [anc(on=None)], CANNOT_TELL),
        row("the latest counts: recovered", [anc(0.2, days_ago(1)), anc(0.9)], SATISFIED),
        row("the latest counts: fallen", [anc(0.9, days_ago(1)), anc(0.2)], FLAGGED),
        row("preliminary", [anc(status="preliminary")], NOT_APPLICABLE),
        row("in error", [anc(status="entered-in-error")], NOT_APPLICABLE),
        row("no count", [], NOT_APPLICABLE),
    ],
)
def test_the_neutrophil_count(counts: list[Resource], expected: str) -> None:
    assert outcome(view([DAY_12, *counts]), "R26") == expected


# --- R26: what is being given ---


@pytest.mark.parametrize(
    ("drugs", "expected"),
    [
        row("filgrastim ordered and active", [ordered("filgrastim", days_ago(2))], SATISFIED),
        row("by brand", [ordered("Zarxio", days_ago(2))], SATISFIED),
        row(
            "reported as being taken", [reported("filgrastim", days_ago(2), status="active", asserted=TODAY)], SATISFIED
        ),
        row("given today", [given("filgrastim", TODAY)], SATISFIED),
        row("given yesterday: the last day", [given("filgrastim", days_ago(1))], SATISFIED),
        row("given 2 days ago", [given("filgrastim", days_ago(2))], FLAGGED),
        row("pegfilgrastim 14 days ago: still works", [given("pegfilgrastim", days_ago(14))], SATISFIED),
        row("15 days ago", [given("pegfilgrastim", days_ago(15))], FLAGGED),
        row("pegfilgrastim some day in November, 0 to 19 days ago", [given("pegfilgrastim", "2026-11")], CANNOT_TELL),
        row("GM-CSF is a growth factor too", [ordered("sargramostim", days_ago(2))], SATISFIED),
        row("stopped", [ordered("filgrastim", days_ago(9), "stopped")], FLAGGED),
        row("on hold", [ordered("filgrastim", days_ago(9), "on-hold")], FLAGGED),
        row("not given", [given("filgrastim", TODAY, "not-done")], FLAGGED),
        row("in error", [given("filgrastim", TODAY, "entered-in-error")], FLAGGED),
        row("of unknown status", [reported("filgrastim", days_ago(2), status="unknown")], CANNOT_TELL),
        row("plerixafor mobilises", [ordered("plerixafor", days_ago(2))], FLAGGED),
        row("nothing", [], FLAGGED),
    ],
)
def test_growth_factors(drugs: list[Resource], expected: str) -> None:
    assert outcome(view([DAY_12, anc(), *drugs]), "R26") == expected


def test_when_it_is_asked() -> None:
    history = [DAY_12, anc()]

    assert outcome(sign(history, draft_drug("filgrastim")), "R26") == SATISFIED
    assert outcome(sign(history, draft_drug("acyclovir")), "R26") == NOT_APPLICABLE
    assert outcome(select(history, draft_drug("filgrastim")), "R26") == NOT_APPLICABLE


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        row("medication orders", "medicationRequests", CANNOT_TELL),
        row("observations", "observations", CANNOT_TELL),
        row("allergies", "allergies", FLAGGED),
    ],
)
def test_what_was_not_read(key: str, expected: str) -> None:
    history = [DAY_12] if key == "observations" else [DAY_12, anc()]

    assert outcome(view(history, without=[key]), "R26") == expected


def test_an_unread_procedure_list_leaves_open_whether_cells_were_given() -> None:
    assert outcome(view([anc()], without=["procedures"]), "R26") == CANNOT_TELL


# --- R26: GM-CSF ---


@pytest.mark.parametrize(
    ("infused", "expected"),
    [
        row("day 0", days_ago(0), FLAGGED),
        row("day 21: the last day", days_ago(21), FLAGGED),
        row("day 22", days_ago(22), SATISFIED),
        row("some day in November, 0 to 19 days ago", "2026-11", FLAGGED),
        row("some day in October, 20 to 50 days ago", "2026-10", CANNOT_TELL),
        row("some day in September", "2026-09", SATISFIED),
        row("nobody knows when", None, CANNOT_TELL),
    ],
)
def test_gm_csf_after_the_infusion(infused: str | None, expected: str) -> None:
    assessment = sign([infusion(infused)], draft_drug("sargramostim"))

    assert outcome(assessment, "R26") == expected
    if expected == FLAGGED:
        assert "G-CSF is the alternative" in card(assessment, "R26")["summary"]
        assert drafts_in(card(assessment, "R26")) == []


def test_gm_csf_without_car_t_cells_is_nobodys_business() -> None:
    assert outcome(sign([anc()], draft_drug("sargramostim")), "R26") == NOT_APPLICABLE


def test_gm_csf_beside_filgrastim_is_questioned_all_the_same() -> None:
    assessment = sign([DAY_12, anc()], draft_drug("filgrastim"), draft_drug("sargramostim"))

    assert "GM-CSF on day 12 after CAR T" in card(assessment, "R26")["summary"]


# --- R26: the card ---


def test_the_card_shows_that_sources_differ() -> None:
    shown = card(view([DAY_12, anc(), *PROTECTED]), "R26")

    assert shown["indicator"] == "info"
    assert shown["summary"] == (
        "Day 12 after CAR T, ANC 0.4 (2026-11-20): no G-CSF found. Sources differ on when to start it."
    )
    for said in (
        "earlier than it used to be",
        "below an ANC of 1.0",
        "after day 14",
        "while cytokine release threatens",
    ):
        assert said in shown["detail"]
    assert "MedicationAdministration 2026-11-08" in shown["detail"]
    assert "Please note" not in shown["detail"]


def test_filgrastim_is_offered_without_a_dose() -> None:
    shown = card(view([DAY_12, anc(), *PROTECTED]), "R26")
    (suggestion,) = shown["suggestions"]

    assert drafts_in(shown) == ["filgrastim"]
    assert "dosageInstruction" not in suggestion["actions"][0]["resource"]
    assert not suggestion["isRecommended"]


@pytest.mark.parametrize(
    ("problem", "is_noted"),
    [
        row("today", crs(), True),
        row("grade 2", crs(code="D89.832"), True),
        row("3 days ago: the last day", crs(days_ago(3)), True),
        row("4 days ago", crs(days_ago(4)), False),
        row("began 3 days ago", crs(None, onsetDateTime=days_ago(3)), True),
        row("some day this month", crs("2026-11"), True),
        row("resolved", crs(status="resolved"), False),
        row("refuted", crs(verificationStatus={"coding": [{"code": "refuted"}]}), False),
        row("suspected asks for care as well", crs(verificationStatus={"coding": [{"code": "provisional"}]}), True),
    ],
)
def test_recent_cytokine_release_asks_for_care(problem: Resource, is_noted: bool) -> None:
    said = text_of(card(view([myeloma(), DAY_12, anc(), problem, *PROTECTED]), "R26"))

    assert ("Cytokine release is on the problem list" in said) is is_noted


def test_the_note_names_the_day_of_the_entry() -> None:
    history = [myeloma(), DAY_12, anc(), crs(), *PROTECTED]

    assert "Cytokine release is on the problem list (2026-11-20)" in text_of(card(view(history), "R26"))


# --- R43 ---


def opened(*history: Resource, without: tuple[str, ...] = ()) -> Assessment:
    """Open the chart where a site has switched R43 on."""
    import json

    site = Site(rules_on=("R43",))
    assessor = make_assessor(Settings(auth="off", as_of=AS_OF.isoformat(), time_zone="America/New_York"), site)
    request = hook_request(Hook.PATIENT_VIEW, chart(*history, without=without))
    return assess(json.dumps(request).encode(), Hook.PATIENT_VIEW, assessor)


def platelets(value: float, on: str | None) -> Resource:
    """Make a platelet count in 10*9/L."""
    return lab(PLATELETS, value, "10*9/L", on)


LOW_TWICE = (anc(0.8, days_ago(7)), anc(0.9, TODAY))


def test_it_is_shipped_off() -> None:
    assert "R43" not in view([infusion(days_ago(60)), *LOW_TWICE]).rules


@pytest.mark.parametrize(
    ("infused", "expected"),
    [
        row("day 29", days_ago(29), NOT_APPLICABLE),
        row("day 30", days_ago(30), FLAGGED),
        row("day 365", days_ago(365), FLAGGED),
        row("day 366", days_ago(366), NOT_APPLICABLE),
        row("some day in October, days 20 to 50", "2026-10", CANNOT_TELL),
        row("some day in September", "2026-09", FLAGGED),
        row("nobody knows when", None, CANNOT_TELL),
    ],
)
def test_the_days_in_which_low_counts_are_prolonged(infused: str | None, expected: str) -> None:
    assert outcome(opened(infusion(infused), *LOW_TWICE), "R43") == expected


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        row("ANC 0.8 and 0.9, 7 days apart", LOW_TWICE, FLAGGED),
        row("6 days apart", [anc(0.8, days_ago(6)), anc(0.9, TODAY)], SATISFIED),
        row("1.0 is not low", [anc(0.8, days_ago(7)), anc(1.0, TODAY)], SATISFIED),
        row("0.95 is", [anc(0.95, days_ago(7)), anc(0.95, TODAY)], FLAGGED),
        row("1.05 is not", [anc(1.05, days_ago(7)), anc(1.05, TODAY)], SATISFIED),
        row("it was not low before", [anc(1.2, days_ago(7)), anc(0.9, TODAY)], SATISFIED),
        row("recovered in between", [anc(0.8, days_ago(9)), anc(1.4, days_ago(3)), anc(0.9, TODAY)], SATISFIED),
        row("low in between", [anc(0.8, days_ago(9)), anc(0.7, days_ago(3)), anc(0.9, TODAY)], FLAGGED),
        row("a good count before all that", [anc(2.0, days_ago(30)), *LOW_TWICE], FLAGGED),
        row("the latest is 14 days old", [anc(0.8, days_ago(21)), anc(0.9, days_ago(14))], FLAGGED),
        row("15 days old", [anc(0.8, days_ago(22)), anc(0.9, days_ago(15))], SATISFIED),
        row("once", [anc(0.3, TODAY)], SATISFIED),
        row("before the infusion", [anc(0.3, days_ago(61)), anc(0.9, TODAY)], SATISFIED),
        row("platelets 40 and 49", [platelets(40, days_ago(7)), platelets(49, TODAY)], FLAGGED),
        row("platelets of 50 are not low", [platelets(40, days_ago(7)), platelets(50, TODAY)], SATISFIED),
        row("one of each", [platelets(40, days_ago(7)), anc(0.8, TODAY)], SATISFIED),
        row("in an unknown unit", [anc(0.8, days_ago(7)), anc(0.9, TODAY, "x")], CANNOT_TELL),
        row("no counts", [], SATISFIED),
    ],
)
def test_counts_that_stay_low(counts: list[Resource], expected: str) -> None:
    assert outcome(opened(infusion(days_ago(60)), *counts), "R43") == expected


def test_counts_that_were_not_read_leave_it_open() -> None:
    assert outcome(opened(infusion(days_ago(60)), without=("observations",)), "R43") == CANNOT_TELL


def test_no_car_t_cells() -> None:
    assert outcome(opened(*LOW_TWICE), "R43") == NOT_APPLICABLE


def test_both_counts_are_named_with_their_days() -> None:
    counts = (*LOW_TWICE, platelets(40, days_ago(8)), platelets(30, TODAY))

    shown = card(opened(infusion(days_ago(60)), *counts, *PROTECTED), "R43")

    assert shown["indicator"] == "info"
    assert shown["summary"] == (
        "Day 60 after CAR T, counts stay low: ANC 0.8 (2026-11-13) and 0.9 (2026-11-20); "
        "platelets 40 (2026-11-12) and 30 (2026-11-20)."
    )
    assert "thrombopoietin agonist" in shown["detail"]
    assert "suggestions" not in shown

"""R17: antivirals and Pneumocystis drugs while a bispecific antibody is given, and for 30 days after its last dose.

What R15 and R16 ask for already, in the year after CAR T cells, is left to them. "Today" is 2026-11-20.
"""

from collections.abc import Iterable
from typing import Any

import pytest

from cds_service.assess import Assessment
from tests.build import (
    RXNORM,
    Resource,
    allergy,
    card,
    coded,
    condition,
    draft_drug,
    draft_infusion,
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
    PROTECTED,
    SATISFIED,
    SCREENED,
    days_ago,
    row,
    select,
    text_of,
)
from tests.rules.table import sign as signed
from tests.rules.table import view as opened

ANTIVIRAL = reported("acyclovir", "2020-01-05", status="active")
PJP_DRUG = reported("atovaquone", "2020-01-05", status="active")
ON_TECLISTAMAB = reported("teclistamab", "2026-08-01", status="active", asserted="2026-11-01")
ON_TALQUETAMAB = reported("talquetamab", "2026-08-01", status="active", asserted="2026-11-01")
KIDNEY = lab("98979-8", 80, "mL/min/1.73m2", "2026-11-01")
NEUTROPHILS = lab("751-8", 2, "10*9/L", "2026-11-15")
POTASSIUM = lab("2823-3", 4.2, "mmol/L", "2026-11-15")
FIT = (KIDNEY, NEUTROPHILS, POTASSIUM)


MEASURED = lab("2465-3", 900, "mg/dL", "2026-11-20")  # IgG, which other rules ask for


def view(history: Iterable[Resource], **raw: Any) -> Assessment:
    """Open the chart of a patient whose IgG was measured today."""
    return opened([*history, MEASURED], **raw)


def sign(history: Iterable[Resource], *orders: Resource) -> Assessment:
    """Sign draft orders for a patient whose IgG was measured today."""
    return signed([*history, MEASURED], *orders)


def cd4(value: float, on: str | None) -> Resource:
    """Make a CD4 count per microlitre."""
    return lab("24467-3", value, "/uL", on)


def r17(assessment: Assessment) -> dict[str, Any]:
    """Give the card that speaks for R17."""
    return card(assessment, "R17")


def drafts(shown: dict[str, Any]) -> dict[str, tuple[bool, str | None, dict[str, str]]]:
    """Give each drug draft of R17's two needs: whether it is recommended, its dose text, and its bounds."""
    found = {}
    for suggestion in shown.get("suggestions", ()):
        resource = suggestion["actions"][0]["resource"]
        if resource["resourceType"] != "MedicationRequest":
            continue
        (dosage,) = resource.get("dosageInstruction", [{}])
        bounds = dosage.get("timing", {}).get("repeat", {}).get("boundsPeriod", {})
        found[resource["medicationCodeableConcept"]["text"]] = (suggestion["isRecommended"], dosage.get("text"), bounds)
    return found


# --- what is being given, or was given lately ---


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("listed as being given", [ON_TECLISTAMAB], FLAGGED),
        row("a dose today", [given("teclistamab", days_ago(0))], FLAGGED),
        row("a dose 30 days ago: the last day", [given("teclistamab", days_ago(30))], FLAGGED),
        row("a dose 31 days ago", [given("teclistamab", days_ago(31))], SATISFIED),
        row("some day this month, at most 19 days ago", [given("elranatamab", "2026-11")], FLAGGED),
        row("some day last month, 20 to 50 days ago", [given("elranatamab", "2026-10")], CANNOT_TELL),
        row("some day in September", [given("elranatamab", "2026-09")], SATISFIED),
        row("some day this year", [given("linvoseltamab", "2026")], CANNOT_TELL),
        row("some day last year", [given("linvoseltamab", "2025")], SATISFIED),
        row("ended 30 days ago", [reported("teclistamab", "2026-06-01", days_ago(30))], FLAGGED),
        row("ended 31 days ago", [reported("teclistamab", "2026-06-01", days_ago(31))], SATISFIED),
        row(
            "called active, asserted long ago: it may be over",
            [reported("teclistamab", "2026-01-01", status="active", asserted="2026-03-01")],
            CANNOT_TELL,
        ),
        row("a dose without a date", [given("teclistamab", None)], CANNOT_TELL),
        row("ordered, and no word of a dose", [ordered("teclistamab", "2026-11-10")], CANNOT_TELL),
        row("a dose of unknown status", [given("teclistamab", days_ago(3), "unknown")], CANNOT_TELL),
        row("one in doubt beside one that is sure", [ordered("talquetamab", "2026-11-10"), ON_TECLISTAMAB], FLAGGED),
        row("two courses, the later one counts", [given("teclistamab", days_ago(200)), ON_TALQUETAMAB], FLAGGED),
        row("not done", [given("teclistamab", days_ago(3), "not-done")], NOT_APPLICABLE),
        row("entered in error", [given("teclistamab", days_ago(3), "entered-in-error")], NOT_APPLICABLE),
        row("not taken", [reported("teclistamab", days_ago(30), status="not-taken")], NOT_APPLICABLE),
        row("intended", [reported("teclistamab", "2026-12-01", status="intended")], NOT_APPLICABLE),
        row("cancelled order", [ordered("teclistamab", "2026-11-10", "cancelled")], NOT_APPLICABLE),
        row("talquetamab", [ON_TALQUETAMAB], FLAGGED),
        row("a bispecific against another antigen", [given("cevostamab", days_ago(3))], FLAGGED),
        row("a conjugate is no bispecific", [given("belantamab mafodotin", days_ago(3))], NOT_APPLICABLE),
        row("daratumumab is no bispecific", [given("daratumumab", days_ago(3))], NOT_APPLICABLE),
        row("nothing of the kind", [], NOT_APPLICABLE),
        row("in remission, which does not gate out", [condition("C90.01"), ON_TECLISTAMAB], FLAGGED),
        row("no myeloma", [condition("C83.30"), given("teclistamab", days_ago(3))], NOT_APPLICABLE),
    ],
)
def test_who_is_asked_about_when_the_chart_is_opened(history: list[Resource], expected: str) -> None:
    assert outcome(view(history), "R17") == expected


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("both protect", [ANTIVIRAL, PJP_DRUG], SATISFIED),
        row("no antiviral", [PJP_DRUG], FLAGGED),
        row("no Pneumocystis drug", [ANTIVIRAL], FLAGGED),
        row("nothing", [], FLAGGED),
        row(
            "an antiviral of unknown status, the other one there",
            [reported("acyclovir", status="unknown"), PJP_DRUG],
            CANNOT_TELL,
        ),
        row(
            "an antiviral of unknown status, the other one missing", [reported("acyclovir", status="unknown")], FLAGGED
        ),
        row(
            "both of unknown status",
            [reported("acyclovir", status="unknown"), reported("dapsone", status="unknown")],
            CANNOT_TELL,
        ),
        row("on hold", [reported("acyclovir", "2026-06-01", status="on-hold"), PJP_DRUG], FLAGGED),
        row("stopped", [reported("acyclovir", "2026-06-01", status="stopped"), PJP_DRUG], FLAGGED),
        row("a cream", [ordered("acyclovir 5 % topical cream", "2026-06-01"), PJP_DRUG], FLAGGED),
        row("a dose yesterday shows that it runs", [given("acyclovir", days_ago(1)), PJP_DRUG], SATISFIED),
        row("a dose two days ago shows nothing", [given("acyclovir", days_ago(2)), PJP_DRUG], FLAGGED),
        row("pentamidine 28 days ago", [ANTIVIRAL, given("pentamidine", days_ago(28))], SATISFIED),
        row("pentamidine 29 days ago", [ANTIVIRAL, given("pentamidine", days_ago(29))], FLAGGED),
    ],
)
def test_what_protects(history: list[Resource], expected: str) -> None:
    assert outcome(view([ON_TECLISTAMAB, *history]), "R17") == expected


def test_in_doubt_whether_it_is_given_a_protected_patient_is_left_alone() -> None:
    history = [ordered("teclistamab", "2026-11-10"), *PROTECTED]

    assert outcome(view(history), "R17") == SATISFIED


# --- what is being ordered ---


@pytest.mark.parametrize(
    ("history", "orders", "expected"),
    [
        row("a first order", [], [draft_drug("teclistamab")], FLAGGED),
        row("the next dose", [given("teclistamab", days_ago(7))], [draft_drug("teclistamab")], FLAGGED),
        row("protected", PROTECTED, [draft_drug("teclistamab")], SATISFIED),
        row(
            "both drugs are among the drafts",
            [],
            [draft_drug("teclistamab"), draft_drug("acyclovir"), draft_drug("sulfamethoxazole-trimethoprim")],
            SATISFIED,
        ),
        row("one of them is", [], [draft_drug("teclistamab"), draft_drug("acyclovir")], FLAGGED),
        row("another drug, on a bispecific", [ON_TECLISTAMAB], [draft_drug("lenalidomide")], NOT_APPLICABLE),
        row("CAR T cells", [ON_TECLISTAMAB], [draft_infusion()], NOT_APPLICABLE),
        row("talquetamab", [], [draft_drug("talquetamab")], FLAGGED),
    ],
)
def test_orders(history: list[Resource], orders: list[Resource], expected: str) -> None:
    assert outcome(sign(history, *orders), "R17") == expected
    assert outcome(select(history, *orders), "R17") == expected


def test_an_order_that_is_not_selected_asks_nothing_and_still_protects() -> None:
    beside = select([], draft_drug("lenalidomide"), beside=[draft_drug("teclistamab")])
    protecting = select([], draft_drug("teclistamab"), beside=[draft_drug("acyclovir"), draft_drug("atovaquone")])

    assert outcome(beside, "R17") == NOT_APPLICABLE
    assert outcome(protecting, "R17") == SATISFIED


# --- after the last dose: CD4 ---


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("CD4 200", [cd4(200, "2026-11-01")], FLAGGED),
        row("CD4 201", [cd4(201, "2026-11-01")], SATISFIED),
        row("CD4 low, 180 days ago", [cd4(150, days_ago(180))], FLAGGED),
        row("CD4 low, 181 days ago", [cd4(150, days_ago(181))], SATISFIED),
        row("CD4 low, some day of the year", [cd4(150, "2026")], CANNOT_TELL),
        row("CD4 low some day of the year, and protected", [cd4(150, "2026"), *PROTECTED], SATISFIED),
        row("CD4 low, and protected", [cd4(150, "2026-11-01"), *PROTECTED], SATISFIED),
        row("CD4 low, an antiviral alone", [cd4(150, "2026-11-01"), ANTIVIRAL], FLAGGED),
        row(
            "CD4 low, both of unknown status",
            [cd4(150, "2026-11-01"), reported("acyclovir", status="unknown"), reported("dapsone", status="unknown")],
            CANNOT_TELL,
        ),
        row("CD4 low, without a date", [cd4(150, None)], SATISFIED),
        row("CD4 unknown", [], SATISFIED),
    ],
)
def test_later_a_low_cd4_count_alone_keeps_the_question_open(history: list[Resource], expected: str) -> None:
    past = given("teclistamab", days_ago(100))

    assert outcome(view([past, *history]), "R17") == expected


def test_later_only_the_opened_chart_asks_and_softly() -> None:
    history = [given("teclistamab", "2026-08-12"), cd4(150, "2026-11-01")]

    shown = r17(view(history))

    assert shown["indicator"] == "info"
    assert shown["summary"] == "After teclistamab, CD4 150/µL (2026-11-01): no antiviral or PJP prophylaxis found."
    assert {bounds == {} for _, _, bounds in drafts(shown).values()} == {True}
    assert outcome(sign(history, draft_drug("lenalidomide")), "R17") == NOT_APPLICABLE


def test_later_what_was_only_ordered_proves_no_treatment() -> None:
    history = [ordered("teclistamab", "2026-01-10", "completed", "2026-02-01"), cd4(150, "2026-11-01")]

    assert outcome(view(history), "R17") == SATISFIED


# --- not twice: R15 and R16 in the year after CAR T cells ---


@pytest.mark.parametrize(
    ("infused", "history", "expected", "missing"),
    [
        row("day 200: R15 and R16 ask for both", days_ago(200), [], SATISFIED, ""),
        row("day 30: both", days_ago(30), [], SATISFIED, ""),
        row("day 29: Pneumocystis is not due by R16 yet", days_ago(29), [], FLAGGED, "no PJP prophylaxis"),
        row("day 29, the Pneumocystis drug is there", days_ago(29), [PJP_DRUG], SATISFIED, ""),
        row("day 365", days_ago(365), [], SATISFIED, ""),
        row("day 366: theirs is over", days_ago(366), [], FLAGGED, "no antiviral or PJP prophylaxis"),
        row("some day last November: they cannot tell", "2025-11", [], FLAGGED, "no antiviral or PJP prophylaxis"),
        row("without a date: they cannot tell", None, [], FLAGGED, "no antiviral or PJP prophylaxis"),
    ],
)
def test_what_is_asked_for_after_car_t_cells_is_not_asked_twice(
    infused: str | None, history: list[Resource], expected: str, missing: str
) -> None:
    assessment = view([infusion(infused), ON_TECLISTAMAB, *history])

    assert outcome(assessment, "R17") == expected
    if missing:
        assert missing in text_of(r17(assessment))


def test_with_an_order_too_what_is_missing_is_named_once() -> None:
    assessment = sign([infusion(days_ago(200))], draft_drug("teclistamab"))

    assert outcome(assessment, "R15") == FLAGGED
    assert outcome(assessment, "R17") == SATISFIED


def test_in_doubt_whether_it_is_given_r15_and_r16_ask_alone() -> None:
    assessment = view([infusion(days_ago(200)), ordered("teclistamab", "2026-11-10")])

    assert outcome(assessment, "R17") == SATISFIED


def test_a_low_count_long_after_cells_and_bispecific_is_left_to_r15_and_r16() -> None:
    history = [infusion(days_ago(400)), given("teclistamab", days_ago(100)), cd4(150, "2026-11-01")]

    assessment = view(history)

    assert (outcome(assessment, "R15"), outcome(assessment, "R17")) == (FLAGGED, SATISFIED)


# --- what was not read ---


@pytest.mark.parametrize(
    ("history", "raw", "expected"),
    [
        row(
            "statements unread", [given("teclistamab", days_ago(3))], {"without": ["medicationStatements"]}, CANNOT_TELL
        ),
        row("orders unread", [ON_TECLISTAMAB], {"without": ["medicationRequests"]}, CANNOT_TELL),
        row(
            "protected, whatever is unread",
            [ON_TECLISTAMAB, *PROTECTED],
            {"without": ["medicationRequests"]},
            SATISFIED,
        ),
        row("no bispecific, doses unread", [], {"without": ["medicationAdministrations"]}, CANNOT_TELL),
        row("the same, and protected", PROTECTED, {"without": ["medicationAdministrations"]}, NOT_APPLICABLE),
        row(
            "the same, and R15 and R16 ask",
            [infusion(days_ago(100))],
            {"without": ["medicationStatements"]},
            NOT_APPLICABLE,
        ),
        row("cells that nobody knows", [given("xyz-cel", "2026-11-04")], {}, CANNOT_TELL),
        row("an antibody that nobody knows", [given("xyzutamab", "2026-11-04")], {}, NOT_APPLICABLE),
        row(
            "over, doses unread",
            [reported("teclistamab", "2026-01-01", "2026-03-01")],
            {"without": ["medicationAdministrations"]},
            CANNOT_TELL,
        ),
        row("laboratory unread", [ON_TECLISTAMAB], {"without": ["observations"]}, FLAGGED),
        row("allergies unread", [ON_TECLISTAMAB], {"without": ["allergies"]}, FLAGGED),
    ],
)
def test_what_was_not_read(history: list[Resource], raw: dict[str, Any], expected: str) -> None:
    assert outcome(view(history, **raw), "R17") == expected


def test_what_cannot_be_told_is_shown() -> None:
    shown = card(view([ordered("teclistamab", "2026-11-10")]), "R00")

    assert "whether teclistamab was given at all" in shown["detail"]


# --- wording ---


@pytest.mark.parametrize(
    ("history", "orders", "indicator", "summary"),
    [
        row("listed", [ON_TECLISTAMAB, ANTIVIRAL], [], "warning", "On teclistamab: no PJP prophylaxis found."),
        row(
            "a dose lately",
            [given("elranatamab", "2026-11-08"), PJP_DRUG],
            [],
            "warning",
            "Elranatamab 12 d ago (2026-11-08): no antiviral prophylaxis found.",
        ),
        row(
            "ordered",
            [],
            [draft_drug("linvoseltamab")],
            "warning",
            "Linvoseltamab ordered: no antiviral or PJP prophylaxis found.",
        ),
        row(
            "talquetamab listed", [ON_TALQUETAMAB], [], "info", "On talquetamab: no antiviral or PJP prophylaxis found."
        ),
        row(
            "talquetamab lately",
            [given("talquetamab", "2026-11-08")],
            [],
            "info",
            "Talquetamab 12 d ago (2026-11-08): no antiviral or PJP prophylaxis found.",
        ),
        row(
            "talquetamab ordered",
            [],
            [draft_drug("talquetamab")],
            "info",
            "Talquetamab ordered: no antiviral or PJP prophylaxis found.",
        ),
        row(
            "talquetamab beside teclistamab",
            [ON_TALQUETAMAB, ON_TECLISTAMAB],
            [],
            "warning",
            "On talquetamab + teclistamab: no antiviral or PJP prophylaxis found.",
        ),
        row(
            "another antigen is no talquetamab",
            [given("cevostamab", "2026-11-08")],
            [],
            "warning",
            "Cevostamab 12 d ago (2026-11-08): no antiviral or PJP prophylaxis found.",
        ),
    ],
)
def test_how_it_is_said(history: list[Resource], orders: list[Resource], indicator: str, summary: str) -> None:
    chart = [*history, *SCREENED]
    assessment = sign(chart, *orders) if orders else view(chart)

    shown = r17(assessment)

    assert summary in text_of(shown) or shown["summary"] == summary
    assert shown["indicator"] == indicator


def test_what_is_in_doubt_beside_what_is_missing_is_said() -> None:
    shown = r17(view([ON_TECLISTAMAB, reported("acyclovir", status="unknown")]))

    assert "no PJP prophylaxis" in shown["summary"]
    assert "Whether the other of the two is being taken is not known" in shown["detail"]
    assert list(drafts(shown)) == ["sulfamethoxazole / trimethoprim"]
    assert "Whether the other of the two" not in text_of(r17(view([ON_TECLISTAMAB, ANTIVIRAL])))


# --- drafts ---

DOSE = "Per local protocol (published: acyclovir 800 mg twice daily); check renal function."
TMP_SMX = "sulfamethoxazole / trimethoprim"
FROM_TODAY = {"start": "2026-11-20"}


@pytest.mark.parametrize(
    ("history", "expected", "notes"),
    [
        row("nothing against either", FIT, {"acyclovir": (True, DOSE), TMP_SMX: (True, None)}, []),
        row(
            "nothing known",
            [],
            {"acyclovir": (False, None), TMP_SMX: (False, None)},
            ["No eGFR was read", "No recent ANC was read", "No recent potassium was read"],
        ),
        row("the antiviral is there", [*FIT, ANTIVIRAL], {TMP_SMX: (True, None)}, []),
        row("the Pneumocystis drug is there", [*FIT, PJP_DRUG], {"acyclovir": (True, DOSE)}, []),
        row(
            "sulfonamide allergy",
            [*FIT, allergy({"text": "Bactrim"})],
            {"acyclovir": (True, DOSE), "atovaquone": (True, None)},
            ["A sulfonamide allergy"],
        ),
        row(
            "acyclovir allergy",
            [*FIT, allergy(coded(RXNORM, "281"))],
            {TMP_SMX: (True, None)},
            ["no draft order of an antiviral"],
        ),
        row(
            "neutropenia",
            [KIDNEY, POTASSIUM, lab("751-8", 0.49, "10*9/L", "2026-11-15")],
            {"acyclovir": (True, DOSE), "atovaquone": (True, None)},
            ["The latest ANC is below 0.5"],
        ),
        row(
            "potassium high",
            [KIDNEY, NEUTROPHILS, lab("2823-3", 5.1, "mmol/L", "2026-11-15")],
            {"acyclovir": (True, DOSE), "atovaquone": (True, None)},
            ["The latest potassium is above 5"],
        ),
        row(
            "G6PD deficiency",
            [*FIT, myeloma(), condition("D75.A")],
            {"acyclovir": (True, DOSE), TMP_SMX: (False, None)},
            ["A G6PD deficiency"],
        ),
    ],
)
def test_which_drugs_are_drafted(
    history: list[Resource], expected: dict[str, tuple[bool, str | None]], notes: list[str]
) -> None:
    shown = r17(view([ON_TECLISTAMAB, *history]))

    assert {drug: found[:2] for drug, found in drafts(shown).items()} == expected
    assert [note for note in notes if note not in shown["detail"]] == []


def test_nothing_is_drafted_where_allergies_are_unread() -> None:
    shown = r17(view([ON_TECLISTAMAB], without=["allergies"]))

    assert drafts(shown) == {}
    assert shown["detail"].count("Allergies could not be read completely") == 1


@pytest.mark.parametrize(
    ("history", "orders", "bounds"),
    [
        row("going on", [ON_TECLISTAMAB], [], FROM_TODAY),
        row("a dose lately, and no word of an end", [given("teclistamab", days_ago(20))], [], FROM_TODAY),
        row(
            "ended 20 days ago: 10 more days",
            [reported("teclistamab", "2026-06-01", "2026-10-31", "stopped")],
            [],
            {"start": "2026-11-20", "end": "2026-11-30"},
        ),
        row(
            "ended 30 days ago: today",
            [reported("teclistamab", "2026-06-01", "2026-10-21")],
            [],
            {"start": "2026-11-20", "end": "2026-11-20"},
        ),
        row(
            "one ended, another goes on",
            [reported("teclistamab", "2026-06-01", "2026-10-31"), ON_TALQUETAMAB],
            [],
            FROM_TODAY,
        ),
        row(
            "ended, and ordered anew",
            [reported("teclistamab", "2026-06-01", "2026-10-31")],
            [draft_drug("teclistamab")],
            FROM_TODAY,
        ),
    ],
)
def test_the_bounds_of_the_drafts(history: list[Resource], orders: list[Resource], bounds: dict[str, str]) -> None:
    shown = r17(sign(history, *orders) if orders else view(history))

    assert {drug: found[2] for drug, found in drafts(shown).items()} == {"acyclovir": bounds, TMP_SMX: bounds}

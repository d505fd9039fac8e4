"""R15 and R16: protection against herpes viruses and Pneumocystis in the year after CAR T cells.

Antivirals from the infusion on, Pneumocystis from day 30 on, both to day 365, and beyond it while a recent CD4 count
is at most 200/µL. "Today" is 2026-11-20; day 0 is the infusion.
"""

from collections.abc import Iterable
from typing import Any

import pytest

from cds_service.assess import Assessment
from tests.build import (
    ICD10CM,
    RXNORM,
    Resource,
    allergy,
    card,
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
    procedure,
    reported,
)
from tests.rules.table import (
    CANNOT_TELL,
    FLAGGED,
    NOT_APPLICABLE,
    PREFERENCES,
    SATISFIED,
    SCREENED,
    codes_besides_care,
    days_ago,
    drafts_in,
    row,
    select,
    sign,
    text_of,
)
from tests.rules.table import view as opened

CD4, ANC, EGFR = "24467-3", "751-8", "98979-8"
ANTIVIRAL = reported("acyclovir", "2020-01-05", status="active")
PJP_DRUG = reported("atovaquone", "2020-01-05", status="active")
DAY_200 = infusion("2026-05-04")
SULFA = allergy(coded(RXNORM, "10180"))
MEASURED = lab("2465-3", 900, "mg/dL", "2026-11-20")  # IgG, which other rules ask for


def view(history: Iterable[Resource], **raw: Any) -> Assessment:
    """Open the chart of a patient whose IgG was measured today."""
    return opened([*history, MEASURED], **raw)


def cd4(value: float, on: str, **more: Any) -> Resource:
    """Make a CD4 count per microlitre."""
    return lab(CD4, value, "/uL", on, **more)


def anc(value: float, on: str) -> Resource:
    """Make a neutrophil count in 10*9/L."""
    return lab(ANC, value, "10*9/L", on)


def egfr(value: float, on: str, **more: Any) -> Resource:
    """Make an estimated filtration rate in mL/min/1.73m2."""
    return lab(EGFR, value, "mL/min/1.73m2", on, **more)


# --- the day after the infusion ---


@pytest.mark.parametrize(
    ("infused", "antiviral", "pneumocystis"),
    [
        row("infused today", days_ago(0), FLAGGED, SATISFIED),
        row("day 29: Pneumocystis prophylaxis is due tomorrow", days_ago(29), FLAGGED, SATISFIED),
        row("day 30: both are due", days_ago(30), FLAGGED, FLAGGED),
        row("day 31", days_ago(31), FLAGGED, FLAGGED),
        row("day 200", "2026-05-04", FLAGGED, FLAGGED),
        row("day 364", "2025-11-21", FLAGGED, FLAGGED),
        row("day 365: the last day of the year", "2025-11-20", FLAGGED, FLAGGED),
        row("day 366: the year is over", "2025-11-19", SATISFIED, SATISFIED),
        row("some day in May, days 173 to 203", "2026-05", FLAGGED, FLAGGED),
        row("some day in October, days 20 to 50: is Pneumocystis due yet?", "2026-10", FLAGGED, CANNOT_TELL),
        row("this month, days 0 to 19", "2026-11", FLAGGED, SATISFIED),
        row("some day in November last year, days 355 to 384", "2025-11", CANNOT_TELL, CANNOT_TELL),
        row("some day in 2026", "2026", FLAGGED, CANNOT_TELL),
        row("some day in 2025, days 324 to 688", "2025", CANNOT_TELL, CANNOT_TELL),
        row("some day in 2024", "2024", SATISFIED, SATISFIED),
        row("without a date", None, CANNOT_TELL, CANNOT_TELL),
        row("dated tomorrow: not a date of something done", "2026-11-21", CANNOT_TELL, CANNOT_TELL),
    ],
)
def test_days_since_the_infusion(infused: str | None, antiviral: str, pneumocystis: str) -> None:
    assessment = view([infusion(infused)])

    assert (outcome(assessment, "R15"), outcome(assessment, "R16")) == (antiviral, pneumocystis)


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("cilta-cel", [DAY_200], FLAGGED),
        row("ide-cel", [infusion("2026-05-04", "idecabtagene vicleucel")], FLAGGED),
        row("GPRC5D cells: the infection risk is that of CAR T cells", [given("arlo-cel", "2026-05-04")], FLAGGED),
        row("infused, product unknown", [infusion("2026-05-04", None)], FLAGGED),
        row("reported", [reported("ciltacabtagene autoleucel", "2026-05-04", "2026-05-04")], FLAGGED),
        row("the latest of two infusions counts", [infusion("2024-05-04"), DAY_200], FLAGGED),
        row("in remission, which does not gate out", [condition("C90.01", "2026-09-01"), DAY_200], FLAGGED),
        row("a history code without date", [myeloma(), condition("Z92.850")], CANNOT_TELL),
        row(
            "a history code beside a dated infusion says nothing new",
            [myeloma(), condition("Z92.850"), DAY_200],
            FLAGGED,
        ),
        row(
            "an undated infusion of another product may have been last week",
            [infusion("2024-05-04"), infusion(None, "idecabtagene vicleucel")],
            CANNOT_TELL,
        ),
        row("infusion of unknown status", [infusion("2026-05-04", status="unknown")], CANNOT_TELL),
        row(
            "ordered and completed, no word of an infusion",
            [ordered("cilta-cel", "2026-05-04", "completed")],
            CANNOT_TELL,
        ),
        row("ordered", [ordered("cilta-cel", "2026-05-04")], NOT_APPLICABLE),
        row("not done", [infusion("2026-05-04", status="not-done")], NOT_APPLICABLE),
        row("entered in error", [infusion("2026-05-04", status="entered-in-error")], NOT_APPLICABLE),
        row("intended", [reported("cilta-cel", "2026-12-04", status="intended")], NOT_APPLICABLE),
        row("collected, not infused", [procedure("38225", "2026-05-04")], NOT_APPLICABLE),
        row("a bispecific is another rule's question", [given("teclistamab", "2026-05-04")], NOT_APPLICABLE),
        row("no CAR T cells", [], NOT_APPLICABLE),
    ],
)
def test_what_counts_as_an_infusion(history: list[Resource], expected: str) -> None:
    assessment = view(history)

    assert (outcome(assessment, "R15"), outcome(assessment, "R16")) == (expected, expected)


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        row("seven days after the first record: the same infusion, day 368", days_ago(361), SATISFIED),
        row("eight days after it: another infusion, day 360", days_ago(360), FLAGGED),
    ],
)
def test_two_records_of_one_infusion(second: str, expected: str) -> None:
    history = [infusion(days_ago(368)), infusion(second)]

    assert outcome(view(history), "R15") == expected


def test_one_of_the_two_is_missing() -> None:
    history = [condition("C90.01"), DAY_200, ordered("sulfamethoxazole-trimethoprim", "2026-06-01")]

    assessment = view(history)

    assert (outcome(assessment, "R15"), outcome(assessment, "R16")) == (FLAGGED, SATISFIED)
    assert codes_besides_care(assessment) == ["R15"]


def test_procedure_and_product_of_one_day_are_one_infusion() -> None:
    shown = card(view([DAY_200, procedure("38228", "2026-05-04")]), "R15")

    assert "Infusion of ciltacabtagene autoleucel: 2026-05-04, day 200 today." in shown["detail"]


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("CD4 200: prophylaxis is still asked for", [cd4(200, "2026-11-01")], FLAGGED),
        row("CD4 201", [cd4(201, "2026-11-01")], SATISFIED),
        row("CD4 written as 0.15 x 10⁹/L", [lab(CD4, 0.15, "10*9/L", "2026-11-01")], FLAGGED),
        row(
            "CD4 below the limit of the assay",
            [cd4(20, "2026-11-01", valueQuantity={"value": 20, "unit": "/uL", "comparator": "<"})],
            FLAGGED,
        ),
        row("CD4 in an unknown unit", [lab(CD4, 150, "bananas", "2026-11-01")], CANNOT_TELL),
        row("CD4 low, some day of the year", [cd4(150, "2026")], CANNOT_TELL),
        row("CD4 low, some day of the last months", [cd4(150, "2026-09")], FLAGGED),
        row("CD4 higher, some day of the year", [cd4(400, "2026")], SATISFIED),
        row("CD4 low, preliminary", [cd4(150, "2026-11-01", status="preliminary")], SATISFIED),
        row("CD4 low, 180 days ago", [cd4(150, days_ago(180))], FLAGGED),
        row("CD4 low, 181 days ago", [cd4(150, days_ago(181))], SATISFIED),
        row("CD4 low, and higher since", [cd4(150, "2026-09-01"), cd4(400, "2026-11-01")], SATISFIED),
        row("CD4 high, and lower since", [cd4(400, "2026-09-01"), cd4(150, "2026-11-01")], FLAGGED),
        row("CD4 low, and higher before or since", [cd4(150, "2026-09-01"), cd4(400, "2026")], CANNOT_TELL),
        row("CD4 low, and protected", [cd4(150, "2026-11-01"), ANTIVIRAL, PJP_DRUG], SATISFIED),
        row(
            "CD4 low, and perhaps protected",
            [
                cd4(150, "2026-11-01"),
                reported("acyclovir", "2026-01-05", status="unknown"),
                reported("atovaquone", "2026-01-05", status="unknown"),
            ],
            CANNOT_TELL,
        ),
        row("CD4 unknown", [], SATISFIED),
    ],
)
def test_past_the_year_a_low_cd4_count_keeps_the_question_open(history: list[Resource], expected: str) -> None:
    assessment = view([infusion(days_ago(400)), *history])

    assert (outcome(assessment, "R15"), outcome(assessment, "R16")) == (expected, expected)
    for shown in assessment.cards:
        assert shown.indicator == "info"


def test_within_the_year_a_good_cd4_count_does_not_end_the_question() -> None:
    assert outcome(view([DAY_200, cd4(600, "2026-11-01")]), "R15") == FLAGGED


def test_past_the_year_orders_are_left_alone() -> None:
    history = [infusion(days_ago(400)), cd4(150, "2026-11-01")]

    assert outcome(select(history, draft_drug("lenalidomide")), "R15") == SATISFIED
    assert outcome(sign(history, draft_drug("lenalidomide")), "R16") == SATISFIED


# --- what protects ---


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("acyclovir", [ANTIVIRAL], SATISFIED),
        row("valacyclovir in the patient's own list alone", [reported("valacyclovir", status="active")], SATISFIED),
        row("famciclovir", [ordered("famciclovir", "2026-06-01")], SATISFIED),
        row("valganciclovir treats herpes viruses as well", [ordered("valganciclovir", "2026-06-01")], SATISFIED),
        row("ganciclovir", [reported("ganciclovir", "2026-11-10", status="active")], SATISFIED),
        row("foscarnet", [reported("foscarnet", "2026-11-10", status="active")], SATISFIED),
        row("letermovir acts on CMV alone", [ordered("letermovir", "2026-06-01")], FLAGGED),
        row("a Pneumocystis drug is no antiviral", [PJP_DRUG], FLAGGED),
        row("acyclovir cream", [ordered("acyclovir 5 % topical cream", "2026-06-01")], FLAGGED),
        row(
            "acyclovir for the eye",
            [reported("acyclovir", "2026-06-01", status="active", dosage=[{"route": {"text": "ophthalmic"}}])],
            FLAGGED,
        ),
        row("active order without an end of supply", [ordered("acyclovir", "2026-06-01")], SATISFIED),
        row("supply ends today", [ordered("acyclovir", "2026-06-01", until=days_ago(0))], SATISFIED),
        row("supply ended yesterday", [ordered("acyclovir", "2026-06-01", until=days_ago(1))], FLAGGED),
        row(
            "completed, but the supply lasts",
            [ordered("acyclovir", "2026-06-01", "completed", days_ago(-9))],
            SATISFIED,
        ),
        row("completed", [ordered("acyclovir", "2026-06-01", "completed")], FLAGGED),
        row("stopped order", [ordered("acyclovir", "2026-06-01", "stopped")], FLAGGED),
        row("stopped order with supply left", [ordered("acyclovir", "2026-06-01", "stopped", days_ago(-9))], FLAGGED),
        row("order on hold", [ordered("acyclovir", "2026-06-01", "on-hold")], FLAGGED),
        row("cancelled order", [ordered("acyclovir", "2026-06-01", "cancelled")], FLAGGED),
        row("a dose today that may not have been given", [given("acyclovir", "2026-11-20", "unknown")], CANNOT_TELL),
        row("order of unknown status", [ordered("acyclovir", "2026-06-01", "unknown")], CANNOT_TELL),
        row("use stopped", [reported("acyclovir", "2026-06-01", status="stopped")], FLAGGED),
        row("use stopped yesterday", [reported("acyclovir", "2026-06-01", days_ago(1), status="stopped")], FLAGGED),
        row("use completed", [reported("acyclovir", "2026-06-01", "2026-10-01")], FLAGGED),
        row("use on hold", [reported("acyclovir", "2026-06-01", status="on-hold")], FLAGGED),
        row("not taken", [reported("acyclovir", "2026-06-01", status="not-taken")], FLAGGED),
        row("entered in error", [reported("acyclovir", "2026-06-01", status="entered-in-error")], FLAGGED),
        row("intended", [reported("acyclovir", "2026-12-01", status="intended")], FLAGGED),
        row("use of unknown status", [reported("acyclovir", "2026-06-01", status="unknown")], CANNOT_TELL),
        row("listed as active, ended yesterday", [reported("acyclovir", "2026-06-01", days_ago(1), "active")], FLAGGED),
        row("listed as active, ends today", [reported("acyclovir", "2026-06-01", days_ago(0), "active")], SATISFIED),
        row(
            "listed as active, ends some day this month",
            [reported("acyclovir", "2026-06-01", "2026-11", "active")],
            CANNOT_TELL,
        ),
        row("starts tomorrow", [reported("acyclovir", days_ago(-1), status="active")], FLAGGED),
        row("a dose today", [given("acyclovir", days_ago(0))], SATISFIED),
        row("a dose yesterday shows that it is running", [given("acyclovir", days_ago(1))], SATISFIED),
        row("a dose two days ago shows nothing", [given("acyclovir", days_ago(2))], FLAGGED),
        row("a dose that was not done", [given("acyclovir", days_ago(0), "not-done")], FLAGGED),
        row(
            "stopped order beside an active one", [ordered("acyclovir", "2026-01-05", "stopped"), ANTIVIRAL], SATISFIED
        ),
        row("unknown beside active", [reported("acyclovir", status="unknown"), ANTIVIRAL], SATISFIED),
    ],
)
def test_antiviral_protection(history: list[Resource], expected: str) -> None:
    assert outcome(view([DAY_200, *history]), "R15") == expected


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("sulfamethoxazole-trimethoprim", [ordered("sulfamethoxazole-trimethoprim", "2026-06-01")], SATISFIED),
        row(
            "both ingredients in words",
            [ordered("sulfamethoxazole 800 mg / trimethoprim 160 mg", "2026-06-01")],
            SATISFIED,
        ),
        row("trimethoprim alone", [ordered("trimethoprim", "2026-06-01")], FLAGGED),
        row("atovaquone", [PJP_DRUG], SATISFIED),
        row("atovaquone-proguanil is a malaria tablet", [ordered("atovaquone-proguanil", "2026-06-01")], FLAGGED),
        row("dapsone", [ordered("dapsone", "2026-06-01")], SATISFIED),
        row("dapsone gel", [ordered("dapsone 5 % topical gel", "2026-06-01")], FLAGGED),
        row(
            "inhaled pentamidine protects the lung",
            [given("pentamidine", days_ago(10), dosage={"route": {"text": "inhalation"}})],
            SATISFIED,
        ),
        row("pentamidine 28 days ago: the last day of cover", [given("pentamidine", days_ago(28))], SATISFIED),
        row("pentamidine 29 days ago", [given("pentamidine", days_ago(29))], FLAGGED),
        row("pentamidine some day in October, 20 to 50 days", [given("pentamidine", "2026-10")], CANNOT_TELL),
        row(
            "pentamidine ended ten days ago still covers",
            [reported("pentamidine", "2026-06-01", days_ago(10))],
            SATISFIED,
        ),
        row("dapsone two days ago: the long cover is pentamidine's", [given("dapsone", days_ago(2))], FLAGGED),
        row("a tablet yesterday", [given("sulfamethoxazole-trimethoprim", days_ago(1))], SATISFIED),
        row("a tablet two days ago", [given("sulfamethoxazole-trimethoprim", days_ago(2))], FLAGGED),
        row("an antiviral is no Pneumocystis drug", [ANTIVIRAL], FLAGGED),
        row("on hold", [reported("dapsone", "2026-06-01", status="on-hold")], FLAGGED),
        row("of unknown status", [reported("dapsone", "2026-06-01", status="unknown")], CANNOT_TELL),
    ],
)
def test_pneumocystis_protection(history: list[Resource], expected: str) -> None:
    assert outcome(view([DAY_200, *history]), "R16") == expected


@pytest.mark.parametrize(
    ("draft", "expected"),
    [
        row("acyclovir being ordered", draft_drug("acyclovir"), SATISFIED),
        row("acyclovir cream being ordered", draft_drug("acyclovir topical cream"), FLAGGED),
        row("letermovir being ordered", draft_drug("letermovir"), FLAGGED),
    ],
)
def test_a_draft_order_protects(draft: Resource, expected: str) -> None:
    assert outcome(sign([DAY_200], draft_drug("lenalidomide"), draft), "R15") == expected
    assert outcome(select([DAY_200], draft_drug("lenalidomide"), beside=[draft]), "R15") == expected


def test_drafts_that_protect_leave_nothing_to_show() -> None:
    drafts = [draft_drug("acyclovir"), draft_drug("sulfamethoxazole-trimethoprim")]

    assert codes_besides_care(sign([DAY_200], draft_drug("lenalidomide"), *drafts)) == []


# --- when it is asked ---


@pytest.mark.parametrize(
    ("order", "reminded"),
    [
        row("the product", draft_drug("ciltacabtagene autoleucel"), True),
        row("the infusion", draft_infusion(), True),
        row("lymphodepletion", draft_drug("fludarabine"), True),
        row(
            "lymphodepletion in words", draft_service("x", system="urn:x") | {"code": {"text": "Lymphodepletion"}}, True
        ),
        row("the collection is weeks before", draft_collection(), False),
        row("another drug", draft_drug("lenalidomide"), False),
    ],
)
def test_a_reminder_when_cells_are_about_to_be_given(order: Resource, reminded: bool) -> None:
    signed, selected = sign(SCREENED, order), select(SCREENED, order)

    assert codes_besides_care(signed, besides=PREFERENCES) == (["R15", "R16"] if reminded else [])
    assert codes_besides_care(selected, besides=PREFERENCES) == []
    if reminded:
        assert card(signed, "R15")["indicator"] == "info"
        assert card(signed, "R15")["summary"] == (
            "Infection prevention: no antiviral after CAR T; no PJP prophylaxis after CAR T."
        )
        assert card(sign([*SCREENED, PJP_DRUG], order), "R15")["summary"] == (
            "CAR T infusion ordered: no acyclovir/valacyclovir found for the 365 d after it."
        )


@pytest.mark.parametrize(
    ("history", "drafts", "antiviral", "pneumocystis"),
    [
        row("acyclovir drafted beside it", [], [draft_drug("acyclovir")], SATISFIED, FLAGGED),
        row("both running", [ANTIVIRAL, PJP_DRUG], [], SATISFIED, SATISFIED),
        row("acyclovir of unknown status", [reported("acyclovir", status="unknown")], [], CANNOT_TELL, FLAGGED),
        row("second cells, years after the first", [infusion("2024-05-04")], [], FLAGGED, FLAGGED),
        row("second cells within the year: the day counts", [DAY_200, PJP_DRUG], [], FLAGGED, SATISFIED),
    ],
)
def test_the_reminder_looks_at_what_protects(
    history: list[Resource], drafts: list[Resource], antiviral: str, pneumocystis: str
) -> None:
    assessment = sign(history, draft_infusion(), *drafts)

    assert (outcome(assessment, "R15"), outcome(assessment, "R16")) == (antiviral, pneumocystis)


@pytest.mark.parametrize(
    ("infused", "summary", "indicator"),
    [
        row(
            "day 29: signing an order is worth a word",
            days_ago(29),
            "Day 29 after CAR T: no PJP prophylaxis found yet (due from day 30).",
            "info",
        ),
        row(
            "day 30: due",
            days_ago(30),
            "Day 30 after CAR T: no PJP prophylaxis found (prophylaxis for 365 d).",
            "warning",
        ),
        row(
            "days 20 to 50: perhaps due",
            "2026-10",
            "Day 20 to 50 after CAR T: no PJP prophylaxis found yet (due from day 30).",
            "info",
        ),
    ],
)
def test_before_day_30_pneumocystis_is_mentioned_at_signing_alone(infused: str, summary: str, indicator: str) -> None:
    history = [infusion(infused), ANTIVIRAL]

    shown = card(sign(history, draft_drug("dexamethasone")), "R16")

    assert shown["summary"] == summary
    assert shown["indicator"] == indicator
    assert ("R16" in codes_besides_care(view(history))) == (infused == days_ago(30))


@pytest.mark.parametrize(
    ("infused", "drug", "of_cells", "of_the_drug"),
    [
        row("a steroid: not due yet", days_ago(10), "dexamethasone", FLAGGED, NOT_APPLICABLE),
        row("a bispecific antibody: due now, and said once", days_ago(10), "talquetamab", SATISFIED, FLAGGED),
        row("the day before it is due", days_ago(29), "talquetamab", SATISFIED, FLAGGED),
        row("due: for the cells to say", days_ago(30), "talquetamab", FLAGGED, SATISFIED),
        row("some day this year: due or not", "2026", "talquetamab", CANNOT_TELL, FLAGGED),
    ],
)
def test_before_day_30_a_bispecific_antibody_makes_it_due(
    infused: str, drug: str, of_cells: str, of_the_drug: str
) -> None:
    signed = sign([infusion(infused), ANTIVIRAL], draft_drug(drug))

    assert (outcome(signed, "R16"), outcome(signed, "R17")) == (of_cells, of_the_drug)


def test_before_day_30_a_record_of_unknown_status_is_no_missing_prophylaxis() -> None:
    history = [infusion(days_ago(10)), ANTIVIRAL, reported("dapsone", status="unknown")]

    assert outcome(sign(history, draft_drug("dexamethasone")), "R16") == CANNOT_TELL


def test_any_watched_order_within_the_year_asks() -> None:
    assert codes_besides_care(select([DAY_200], draft_drug("lenalidomide"))) == ["R15", "R16"]
    assert codes_besides_care(sign([DAY_200], draft_drug("lenalidomide"))) == ["R15", "R16"]


# --- what was not read ---


@pytest.mark.parametrize(
    ("history", "raw", "expected"),
    [
        row("statements unread", [DAY_200], {"without": ["medicationStatements"]}, CANNOT_TELL),
        row("orders unread", [DAY_200], {"without": ["medicationRequests"]}, CANNOT_TELL),
        row("medication lists read, and nothing on them", [], {"medicationStatements": None}, CANNOT_TELL),
        row("protected, whatever else is unread", [DAY_200, ANTIVIRAL], {"without": ["medicationRequests"]}, SATISFIED),
        row("procedures unread, no infusion found", [], {"without": ["procedures"]}, CANNOT_TELL),
        row("cells that nobody knows", [given("xyz-cel", "2026-05-04")], {}, CANNOT_TELL),
        row("an antibody that nobody knows is no cell therapy", [given("xyzutamab", "2026-05-04")], {}, NOT_APPLICABLE),
        row("allergies unread", [DAY_200], {"without": ["allergies"]}, FLAGGED),
        row("laboratory unread", [DAY_200], {"without": ["observations"]}, FLAGGED),
    ],
)
def test_what_was_not_read(history: list[Resource], raw: dict[str, Any], expected: str) -> None:
    if raw == {"medicationStatements": None}:
        history = [procedure("38228", "2026-05-04")]

    assert outcome(view(history, **raw), "R15") == expected


def test_an_empty_medication_list_is_one_card_for_both() -> None:
    assessment = view([procedure("38228", "2026-05-04")], medicationStatements=None)

    assert codes_besides_care(assessment) == ["R00"]
    shown = card(assessment, "R00")
    assert shown["extension"]["mmcds.rules"] == [
        {"id": "R15", "outcome": "cannot_tell"},
        {"id": "R16", "outcome": "cannot_tell"},
    ]
    assert "The medication list was read and is empty, which proves nothing" in shown["detail"]


# --- what is offered ---


def draft_in(shown: dict[str, Any]) -> tuple[bool, str | None, dict[str, str]]:
    """Give whether the one draft is recommended, its dose text, and its bounds."""
    (suggestion,) = shown["suggestions"]
    resource = suggestion["actions"][0]["resource"]
    (dosage,) = resource.get("dosageInstruction", [{}])
    return (
        suggestion["isRecommended"],
        dosage.get("text"),
        dosage.get("timing", {}).get("repeat", {}).get("boundsPeriod", {}),
    )


DOSE = "Per local protocol (published: acyclovir 800 mg twice daily); check renal function."
UNREAD_KIDNEY = "No eGFR was read that is recent"
LOW_KIDNEY = "The latest eGFR is below 60"


@pytest.mark.parametrize(
    ("history", "recommended", "dose", "note"),
    [
        row("renal function good", [egfr(60, "2026-11-01")], True, DOSE, None),
        row("eGFR 59", [egfr(59, "2026-11-01")], True, None, LOW_KIDNEY),
        row(
            "eGFR above 60, as many laboratories write it",
            [egfr(60, "2026-11-01", valueQuantity={"value": 60, "unit": "mL/min", "comparator": ">"})],
            True,
            DOSE,
            None,
        ),
        row("eGFR 90 days old", [egfr(80, days_ago(90))], True, DOSE, None),
        row("eGFR 91 days old", [egfr(80, days_ago(91))], False, None, UNREAD_KIDNEY),
        row("eGFR good, and lower since", [egfr(80, "2026-10-01"), egfr(30, "2026-11-01")], True, None, LOW_KIDNEY),
        row(
            "eGFR good, and one since that cannot be read",
            [egfr(85, "2026-09-18"), lab(EGFR, 22, "mL/min per 1.73", "2026-11-18")],
            False,
            None,
            UNREAD_KIDNEY,
        ),
        row(
            "eGFR good some day this month, and low on an exact one",
            [egfr(85, "2026-11"), egfr(22, "2026-11-18")],
            True,
            None,
            LOW_KIDNEY,
        ),
        row(
            "eGFR good, and a creatinine since, which it does not reflect",
            [egfr(85, "2026-11-10"), lab("2160-0", 5.0, "mg/dL", "2026-11-18")],
            False,
            None,
            UNREAD_KIDNEY,
        ),
        row(
            "eGFR good, from the same blood as the creatinine",
            [egfr(85, "2026-11-10"), lab("2160-0", 0.9, "mg/dL", "2026-11-10")],
            True,
            DOSE,
            None,
        ),
        row(
            "eGFR good, and a creatinine that may have been taken since",
            [egfr(80, "2026-11-01"), lab("2160-0", 2.5, "mg/dL", None)],
            False,
            None,
            UNREAD_KIDNEY,
        ),
        row("eGFR preliminary", [egfr(80, "2026-11-01", status="preliminary")], False, None, UNREAD_KIDNEY),
        row("no eGFR", [], False, None, UNREAD_KIDNEY),
        row("sulfonamide allergy does not concern it", [SULFA, egfr(80, "2026-11-01")], True, DOSE, None),
    ],
)
def test_the_antiviral_draft_and_renal_function(
    history: list[Resource], recommended: bool, dose: str | None, note: str | None
) -> None:
    shown = card(view([DAY_200, PJP_DRUG, *history]), "R15")

    assert drafts_in(shown) == ["acyclovir"]
    assert draft_in(shown)[:2] == (recommended, dose)
    for wording in (UNREAD_KIDNEY, LOW_KIDNEY):
        assert (wording in shown["detail"]) == (wording == note)


@pytest.mark.parametrize(
    ("history", "raw", "note"),
    [
        row("acyclovir allergy", [allergy(coded(RXNORM, "281"))], {}, "An allergy to acyclovir or valacyclovir"),
        row("valacyclovir allergy", [allergy(coded(RXNORM, "73645"))], {}, "An allergy to acyclovir or valacyclovir"),
        row(
            "acyclovir allergy in words", [allergy({"text": "Zovirax"})], {}, "An allergy to acyclovir or valacyclovir"
        ),
        row("allergies unread", [], {"without": ["allergies"]}, "Allergies could not be read completely"),
    ],
)
def test_no_antiviral_draft(history: list[Resource], raw: dict[str, Any], note: str) -> None:
    shown = card(view([DAY_200, PJP_DRUG, egfr(80, "2026-11-01"), *history], **raw), "R15")

    assert "suggestions" not in shown
    assert note in shown["detail"]


@pytest.mark.parametrize(
    "reaction",
    [
        row("refuted", allergy(coded(RXNORM, "281"), verificationStatus={"coding": [{"code": "refuted"}]})),
        row(
            "entered in error",
            allergy(coded(RXNORM, "281"), verificationStatus={"coding": [{"code": "entered-in-error"}]}),
        ),
        row("penicillin", allergy({"text": "penicillin"})),
    ],
)
def test_allergies_that_do_not_matter(reaction: Resource) -> None:
    assert drafts_in(card(view([DAY_200, PJP_DRUG, reaction]), "R15")) == ["acyclovir"]


TMP_SMX = "sulfamethoxazole / trimethoprim"


@pytest.mark.parametrize(
    ("history", "drug", "recommended", "note"),
    [
        row("ANC 0.5", [anc(0.5, "2026-11-15")], TMP_SMX, False, "No recent potassium was read"),
        row("ANC 0.49", [anc(0.49, "2026-11-15")], "atovaquone", True, "The latest ANC is below 0.5"),
        row(
            "ANC 400/µL in the laboratory's own unit",
            [lab(ANC, 400, "/uL", "2026-11-15")],
            "atovaquone",
            True,
            "The latest ANC is below 0.5",
        ),
        row(
            "two counts on one day: the lower one decides",
            [anc(0.6, "2026-11-15T06:00:00-05:00"), anc(0.3, "2026-11-15T08:00:00-05:00")],
            "atovaquone",
            True,
            "The latest ANC is below 0.5",
        ),
        row(
            "ANC good, and one that may have been taken since",
            [anc(2, "2026-11-10"), lab(ANC, 0.2, "10*9/L", None)],
            TMP_SMX,
            False,
            "No recent ANC was read",
        ),
        row(
            "ANC good, and one issued before without a day of its own",
            [anc(0.4, "2026-11-10"), lab(ANC, 2, "10*9/L", None, issued="2026-11-01T08:00:00Z")],
            "atovaquone",
            True,
            "The latest ANC is below 0.5",
        ),
        row(
            "ANC good, and one since without a unit",
            [anc(1.5, "2026-11-10"), lab(ANC, 0.2, "", "2026-11-18")],
            TMP_SMX,
            False,
            "No recent ANC was read",
        ),
        row(
            "trimethoprim allergy",
            [allergy({"text": "trimethoprim"}), anc(3, "2026-11-15")],
            "atovaquone",
            True,
            "A trimethoprim allergy",
        ),
        row("ANC 14 days old", [anc(0.3, days_ago(14))], "atovaquone", True, "The latest ANC is below 0.5"),
        row("ANC 15 days old: not recent", [anc(0.3, days_ago(15))], TMP_SMX, False, "No recent ANC was read"),
        row("no ANC", [], TMP_SMX, False, "No recent ANC was read"),
        row("sulfonamide allergy by code", [SULFA, anc(3, "2026-11-15")], "atovaquone", True, "A sulfonamide allergy"),
        row(
            "sulfonamide allergy in words",
            [allergy({"text": "Sulfa drugs"})],
            "atovaquone",
            True,
            "A sulfonamide allergy",
        ),
        row(
            "sulfonamide allergy as a diagnosis",
            [myeloma(), condition("Z88.2")],
            "atovaquone",
            True,
            "A sulfonamide allergy",
        ),
        row("allergy to the combination", [allergy({"text": "Bactrim"})], "atovaquone", True, "A sulfonamide allergy"),
        row(
            "acyclovir allergy does not concern it",
            [allergy(coded(RXNORM, "281")), anc(3, "2026-11-15")],
            TMP_SMX,
            False,
            "No recent potassium was read",
        ),
        row(
            "a refuted sulfonamide allergy",
            [
                allergy(coded(ICD10CM, "Z88.2"), verificationStatus={"coding": [{"code": "refuted"}]}),
                anc(3, "2026-11-15"),
            ],
            TMP_SMX,
            False,
            "No recent potassium was read",
        ),
    ],
)
def test_which_pneumocystis_drug_is_offered(history: list[Resource], drug: str, recommended: bool, note: str) -> None:
    shown = card(view([infusion(days_ago(60)), ANTIVIRAL, *history]), "R16")

    assert drafts_in(shown) == [drug]
    assert draft_in(shown)[:2] == (recommended, None)
    assert note in shown["detail"]


POTASSIUM, G6PD = "2823-3", "32546-4"


def potassium(value: float, on: str | None, unit: str = "mmol/L", **more: Any) -> Resource:
    """Make a potassium."""
    return lab(POTASSIUM, value, unit, on, **more)


def g6pd(value: float, on: str | None) -> Resource:
    """Make a G6PD activity per gram of haemoglobin."""
    return lab(G6PD, value, "U/g{Hb}", on)


HIGH, UNREAD_POTASSIUM = "The latest potassium is above 5.0", "No recent potassium was read"


@pytest.mark.parametrize(
    ("history", "drug", "recommended", "note"),
    [
        row("5.0: nothing speaks against the first choice", [potassium(5.0, "2026-11-15")], TMP_SMX, True, None),
        row("5.1", [potassium(5.1, "2026-11-15")], "atovaquone", True, HIGH),
        row("5.1 in mEq/L", [potassium(5.1, "2026-11-15", "mEq/L")], "atovaquone", True, HIGH),
        row(
            "two of one day: the higher one decides",
            [potassium(4.4, "2026-11-15"), potassium(5.3, "2026-11-15")],
            "atovaquone",
            True,
            HIGH,
        ),
        row("high, and lower since", [potassium(5.6, "2026-11-10"), potassium(4.4, "2026-11-15")], TMP_SMX, True, None),
        row(
            "low, and higher since",
            [potassium(4.4, "2026-11-10"), potassium(5.6, "2026-11-15")],
            "atovaquone",
            True,
            HIGH,
        ),
        row(
            "only a bound, which may be too high",
            [potassium(6, "2026-11-15", valueQuantity={"value": 6, "unit": "mmol/L", "comparator": "<"})],
            "atovaquone",
            True,
            HIGH,
        ),
        row("14 days old", [potassium(5.6, days_ago(14))], "atovaquone", True, HIGH),
        row("15 days old: not recent", [potassium(5.6, days_ago(15))], TMP_SMX, False, UNREAD_POTASSIUM),
        row("some day this month: 0 to 19 days", [potassium(4.0, "2026-11")], TMP_SMX, False, UNREAD_POTASSIUM),
        row("without a date", [potassium(4.0, None)], TMP_SMX, False, UNREAD_POTASSIUM),
        row("preliminary", [potassium(4.0, "2026-11-15", status="preliminary")], TMP_SMX, False, UNREAD_POTASSIUM),
        row("in an unknown unit", [potassium(4.0, "2026-11-15", "bananas")], TMP_SMX, False, UNREAD_POTASSIUM),
        row("none", [], TMP_SMX, False, UNREAD_POTASSIUM),
    ],
)
def test_potassium_and_the_first_choice(
    history: list[Resource], drug: str, recommended: bool, note: str | None
) -> None:
    shown = card(view([infusion(days_ago(60)), ANTIVIRAL, anc(3, "2026-11-15"), *history]), "R16")

    assert drafts_in(shown) == [drug]
    assert draft_in(shown)[:2] == (recommended, None)
    for wording in (HIGH, UNREAD_POTASSIUM):
        assert (wording in shown["detail"]) == (wording == note)


def test_the_first_choice_is_recommended_only_with_a_recent_anc() -> None:
    shown = card(view([DAY_200, ANTIVIRAL, potassium(4.0, "2026-11-15")]), "R16")

    assert draft_in(shown)[:2] == (False, None)
    assert UNREAD_POTASSIUM not in shown["detail"]


@pytest.mark.parametrize(
    ("history", "drug", "recommended", "is_named"),
    [
        row("deficiency on the problem list", [myeloma(), condition("D75.A")], TMP_SMX, False, True),
        row(
            "suspected",
            [myeloma(), condition("D55.0", verificationStatus={"coding": [{"code": "provisional"}]})],
            TMP_SMX,
            False,
            True,
        ),
        row(
            "refuted",
            [myeloma(), condition("D55.0", verificationStatus={"coding": [{"code": "refuted"}]})],
            TMP_SMX,
            True,
            False,
        ),
        row("activity 6.9", [g6pd(6.9, "2020-03-01")], TMP_SMX, False, True),
        row("activity 7.0", [g6pd(7.0, "2020-03-01")], TMP_SMX, True, False),
        row("activity 6.9, nobody knows when", [g6pd(6.9, None)], TMP_SMX, False, True),
        row("deficient, and atovaquone is drafted", [myeloma(), condition("D75.A"), SULFA], "atovaquone", True, True),
        row("nothing known: the option names it", [], TMP_SMX, True, False),
    ],
)
def test_a_g6pd_deficiency_rules_out_dapsone(
    history: list[Resource], drug: str, recommended: bool, is_named: bool
) -> None:
    labs = [anc(3, "2026-11-15"), potassium(4.0, "2026-11-15")]

    shown = card(view([DAY_200, ANTIVIRAL, *labs, *history]), "R16")

    assert drafts_in(shown) == [drug]
    assert draft_in(shown)[0] is recommended
    assert ("is on record: no dapsone" in shown["detail"]) == is_named
    assert "dapsone (only with normal G6PD)" in shown["detail"]


def test_no_pneumocystis_draft_without_allergies() -> None:
    shown = card(view([DAY_200], without=["allergies"]), "R16")

    assert "suggestions" not in shown
    assert "Allergies could not be read completely" in shown["detail"]


def test_laboratory_results_that_were_read_in_part_are_not_trusted() -> None:
    cut_short = {
        "resourceType": "Bundle",
        "type": "searchset",
        "link": [{"relation": "next", "url": "https://ehr.example/next"}],
        "entry": [{"resource": anc(3, "2026-11-15")}, {"resource": egfr(80, "2026-11-15")}],
    }

    antiviral = card(view([DAY_200, PJP_DRUG], observations=cut_short), "R15")
    pneumocystis = card(view([DAY_200, ANTIVIRAL], observations=cut_short), "R16")

    assert draft_in(antiviral)[:2] == (False, None)
    assert "No recent ANC was read" in pneumocystis["detail"]


@pytest.mark.parametrize(
    ("infused", "rule", "bounds"),
    [
        row("antiviral from today to day 365", "2026-05-04", "R15", {"start": "2026-11-20", "end": "2027-05-04"}),
        row("Pneumocystis from today to day 365", "2026-05-04", "R16", {"start": "2026-11-20", "end": "2027-05-04"}),
        row("day 31 was yesterday", days_ago(31), "R16", {"start": "2026-11-20", "end": "2027-10-20"}),
        row("on the last day", "2025-11-20", "R15", {"start": "2026-11-20", "end": "2026-11-20"}),
        row("of a month, the latest day counts", "2026-05", "R15", {"start": "2026-11-20", "end": "2027-05-31"}),
    ],
)
def test_the_draft_runs_to_the_end_of_the_year(infused: str, rule: str, bounds: dict[str, str]) -> None:
    other = {"R15": PJP_DRUG, "R16": ANTIVIRAL}[rule]

    assert draft_in(card(view([infusion(infused), other]), rule))[2] == bounds


def test_a_draft_before_day_30_begins_on_day_30() -> None:
    shown = card(sign([infusion("2026-11-10"), ANTIVIRAL], draft_drug("dexamethasone")), "R16")

    assert draft_in(shown)[2] == {"start": "2026-12-10", "end": "2027-11-10"}


def test_a_draft_without_a_year_to_run_has_no_bounds() -> None:
    past = card(view([infusion(days_ago(400)), cd4(150, "2026-11-01"), PJP_DRUG]), "R15")
    reminder = card(sign([*SCREENED, PJP_DRUG], draft_infusion()), "R15")

    assert draft_in(past)[2] == {}
    assert draft_in(reminder)[2] == {}


def test_the_card_names_product_day_and_count() -> None:
    within = card(view([DAY_200, PJP_DRUG]), "R15")
    past = card(view([infusion(days_ago(400)), cd4(150, "2026-11-01"), ANTIVIRAL]), "R16")

    assert within["summary"] == "Day 200 after CAR T: no acyclovir/valacyclovir found (prophylaxis for 365 d)."
    assert "Infusion of ciltacabtagene autoleucel: 2026-05-04, day 200 today." in text_of(within)
    assert past["summary"] == "Day 400 after CAR T, CD4 150/µL (2026-11-01): no PJP prophylaxis found."


def test_nothing_is_drafted_where_both_choices_are_barred() -> None:
    barred = [SULFA, allergy({"text": "atovaquone"})]

    shown = card(view([DAY_200, ordered("acyclovir", "2026-06-01"), *barred]), "R16")

    assert "suggestions" not in shown
    assert "no draft order is offered" in shown["detail"]

"""R20 and R21: IgG levels on and after T-cell-engaging treatment, and replacement where IgG is below 400 mg/dL.

A level about every 4 weeks (35 days) on a bispecific antibody or on immunoglobulin, from day 30 after CAR T cells, then
every 180 days. "Today" is 2026-11-20.
"""

from typing import Any

import pytest

from tests.build import (
    LOINC,
    Resource,
    card,
    coded,
    condition,
    dispensed,
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
    service_request,
)
from tests.rules.table import (
    CANNOT_TELL,
    FLAGGED,
    NOT_APPLICABLE,
    PROTECTED,
    SATISFIED,
    codes_of,
    days_ago,
    row,
    select,
    sign,
    text_of,
    view,
)

IGG, M_PROTEIN, WEIGHT, EGFR = "2465-3", "33358-3", "29463-7", "98979-8"
ON_TECLISTAMAB = reported("teclistamab", "2026-08-01", status="active", asserted="2026-11-01")
ON_TALQUETAMAB = reported("talquetamab", "2026-08-01", status="active", asserted="2026-11-01")
IVIG = given("IVIG", "2026-11-01")


def igg(value: float, on: str | None, unit: str = "mg/dL", **more: Any) -> Resource:
    """Make an IgG level."""
    return lab(IGG, value, unit, on, **more)


def m_protein(value: float, on: str | None, unit: str = "g/dL", **more: Any) -> Resource:
    """Make an M-protein in serum."""
    return lab(M_PROTEIN, value, unit, on, **more)


def asked_for_igg(authored: str | None, status: str = "active", on: str | None = None) -> Resource:
    """Make a stored request of an IgG level."""
    return service_request(coded(LOINC, IGG), authored, status, on)


# --- R20: on a bispecific antibody ---


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        row("today", [igg(900, days_ago(0))], SATISFIED),
        row("35 days ago", [igg(900, days_ago(35))], SATISFIED),
        row("36 days ago", [igg(900, days_ago(36))], FLAGGED),
        row("some day this month", [igg(900, "2026-11")], SATISFIED),
        row("some day last month, 20 to 50 days ago", [igg(900, "2026-10")], CANNOT_TELL),
        row("some day in September", [igg(900, "2026-09")], FLAGGED),
        row("some day this year", [igg(900, "2026")], CANNOT_TELL),
        row("without a date", [igg(900, None)], CANNOT_TELL),
        row("without a date, and a recent one", [igg(900, None), igg(900, days_ago(5))], SATISFIED),
        row("in a unit that nobody knows: it was measured", [igg(900, days_ago(5), "bananas")], SATISFIED),
        row("low: it was measured", [igg(200, days_ago(5))], SATISFIED),
        row("preliminary", [igg(900, days_ago(5), status="preliminary")], FLAGGED),
        row("cancelled", [igg(900, days_ago(5), status="cancelled")], FLAGGED),
        row("entered in error", [igg(900, days_ago(5), status="entered-in-error")], FLAGGED),
        row("IgA is no IgG", [lab("2458-8", 100, "mg/dL", days_ago(5))], FLAGGED),
        row("none", [], FLAGGED),
        row("asked for", [asked_for_igg(days_ago(3))], SATISFIED),
        row("asked for 35 days ago", [asked_for_igg(days_ago(35))], SATISFIED),
        row("asked for 36 days ago, and never taken", [asked_for_igg(days_ago(36))], FLAGGED),
        row("asked for long ago, for next week", [asked_for_igg(days_ago(90), on=days_ago(-7))], SATISFIED),
        row("for a day in 35 days", [asked_for_igg(days_ago(90), on=days_ago(-35))], SATISFIED),
        row("for a day in 36 days", [asked_for_igg(days_ago(3), on=days_ago(-36))], FLAGGED),
        row("asked for in some month", [asked_for_igg("2026-10")], CANNOT_TELL),
        row("asked for, nobody knows when", [asked_for_igg(None)], CANNOT_TELL),
        row("the request waits", [asked_for_igg(days_ago(3), "on-hold")], CANNOT_TELL),
        row("the request was taken back", [asked_for_igg(days_ago(3), "revoked")], FLAGGED),
        row("the request is done, and no result came", [asked_for_igg(days_ago(3), "completed")], FLAGGED),
        row("a request of another test", [service_request(coded(LOINC, "2458-8"), days_ago(3))], FLAGGED),
    ],
)
def test_a_level_on_a_bispecific(levels: list[Resource], expected: str) -> None:
    assert outcome(view([ON_TECLISTAMAB, *levels]), "R20") == expected


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("a dose 60 days ago", [given("teclistamab", days_ago(60))], FLAGGED),
        row("a dose 61 days ago", [given("teclistamab", days_ago(61))], NOT_APPLICABLE),
        row("a dose some day in September, 51 to 80 days ago", [given("teclistamab", "2026-09")], CANNOT_TELL),
        row("a dose some day in October", [given("teclistamab", "2026-10")], FLAGGED),
        row("a dose some day last year", [given("teclistamab", "2025")], NOT_APPLICABLE),
        row("talquetamab", [ON_TALQUETAMAB], FLAGGED),
        row("only ordered", [ordered("teclistamab", days_ago(10))], CANNOT_TELL),
        row("only ordered, and measured", [ordered("teclistamab", days_ago(10)), igg(800, days_ago(5))], SATISFIED),
        row("not done", [given("teclistamab", days_ago(10), "not-done")], NOT_APPLICABLE),
        row("entered in error", [given("teclistamab", days_ago(10), "entered-in-error")], NOT_APPLICABLE),
        row("a conjugate", [given("belantamab mafodotin", days_ago(10))], NOT_APPLICABLE),
        row("nothing", [], NOT_APPLICABLE),
        row("immunoglobulin alone", [IVIG], NOT_APPLICABLE),
    ],
)
def test_who_is_on_a_bispecific(history: list[Resource], expected: str) -> None:
    assert outcome(view(history), "R20") == expected


# --- R20: after CAR T cells ---


@pytest.mark.parametrize(
    ("infused", "levels", "expected"),
    [
        row("day 29", days_ago(29), [], NOT_APPLICABLE),
        row("day 30", days_ago(30), [], FLAGGED),
        row("day 30, measured on day 25", days_ago(30), [igg(800, days_ago(5))], SATISFIED),
        row("day 30, measured on day 24", days_ago(30), [igg(800, days_ago(6))], FLAGGED),
        row("day 200, measured on day 25: 175 days ago", days_ago(200), [igg(800, days_ago(175))], SATISFIED),
        row("day 300, measured 180 days ago", days_ago(300), [igg(800, days_ago(180))], SATISFIED),
        row("day 300, measured 181 days ago", days_ago(300), [igg(800, days_ago(181))], FLAGGED),
        row("day 300, some day in May, 173 to 203 days ago", days_ago(300), [igg(800, "2026-05")], CANNOT_TELL),
        row("day 365", days_ago(365), [], FLAGGED),
        row("day 366", days_ago(366), [], NOT_APPLICABLE),
        row("some day in October, days 20 to 50", "2026-10", [], CANNOT_TELL),
        row("some day in October, and measured", "2026-10", [igg(800, days_ago(1))], CANNOT_TELL),
        row("some day in September, days 51 to 80", "2026-09", [], FLAGGED),
        row("some day last November, days 355 to 384", "2025-11", [], CANNOT_TELL),
        row("some day in 2024", "2024", [], NOT_APPLICABLE),
        row("without a date", None, [], CANNOT_TELL),
    ],
)
def test_a_level_after_cells(infused: str | None, levels: list[Resource], expected: str) -> None:
    assert outcome(view([infusion(infused), *levels]), "R20") == expected


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("cells of unknown product", [procedure("38228", days_ago(100))], FLAGGED),
        row("not done", [infusion(days_ago(100), status="not-done")], NOT_APPLICABLE),
        row("of unknown status", [infusion(days_ago(100), status="unknown")], CANNOT_TELL),
        row("a history code", [myeloma(), condition("Z92.850")], CANNOT_TELL),
        row("collected, not infused", [procedure("38225", days_ago(100))], NOT_APPLICABLE),
        row(
            "on a bispecific since: a level every 4 weeks",
            [infusion(days_ago(300)), ON_TECLISTAMAB, igg(800, days_ago(40))],
            FLAGGED,
        ),
    ],
)
def test_which_cells_count(history: list[Resource], expected: str) -> None:
    assert outcome(view(history), "R20") == expected


# --- R20: on immunoglobulin ---

LONG_AGO = infusion("2024-05-04")


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("a dose 60 days ago", [given("IVIG", days_ago(60))], FLAGGED),
        row("a dose 61 days ago", [given("IVIG", days_ago(61))], NOT_APPLICABLE),
        row("a level 35 days ago", [IVIG, igg(800, days_ago(35))], SATISFIED),
        row("a level 36 days ago", [IVIG, igg(800, days_ago(36))], FLAGGED),
        row("under the skin", [reported("Hizentra", "2026-01-05", status="active")], FLAGGED),
        row("an order in force", [ordered("IVIG", "2026-01-05")], FLAGGED),
        row("into a muscle: no replacement", [given("GamaSTAN", days_ago(10))], NOT_APPLICABLE),
        row("of unknown status", [given("IVIG", days_ago(10), "unknown")], CANNOT_TELL),
        row("of unknown route", [given("immune globulin (human)", days_ago(10))], CANNOT_TELL),
        row("a hyperimmune globulin is none", [given("hepatitis B immune globulin", days_ago(10))], NOT_APPLICABLE),
    ],
)
def test_on_immunoglobulin_long_after_cells(history: list[Resource], expected: str) -> None:
    assert outcome(view([LONG_AGO, *history]), "R20") == expected


def test_on_immunoglobulin_the_level_after_cells_has_to_be_newer() -> None:
    history = [infusion(days_ago(200)), igg(800, days_ago(100))]

    assert outcome(view(history), "R20") == SATISFIED
    assert outcome(view([*history, IVIG]), "R20") == FLAGGED


# --- R20: orders ---


@pytest.mark.parametrize(
    ("history", "orders", "signed", "selected"),
    [
        row("a cycle", [ON_TECLISTAMAB], [draft_drug("teclistamab")], FLAGGED, NOT_APPLICABLE),
        row("a first dose", [], [draft_drug("teclistamab")], FLAGGED, NOT_APPLICABLE),
        row("measured", [igg(800, days_ago(5))], [draft_drug("teclistamab")], SATISFIED, NOT_APPLICABLE),
        row(
            "a level among the drafts",
            [],
            [draft_drug("teclistamab"), draft_service(IGG, system=LOINC)],
            SATISFIED,
            NOT_APPLICABLE,
        ),
        row("another drug", [ON_TECLISTAMAB], [draft_drug("lenalidomide")], NOT_APPLICABLE, NOT_APPLICABLE),
        row(
            "another drug after cells",
            [infusion(days_ago(100))],
            [draft_drug("lenalidomide")],
            NOT_APPLICABLE,
            NOT_APPLICABLE,
        ),
        row("cells", [ON_TECLISTAMAB], [draft_infusion()], NOT_APPLICABLE, NOT_APPLICABLE),
        row("the pair of R10", [], [draft_drug("teclistamab"), draft_drug("talquetamab")], FLAGGED, FLAGGED),
        row(
            "the pair, and measured",
            [igg(800, days_ago(5))],
            [draft_drug("teclistamab"), draft_drug("talquetamab")],
            SATISFIED,
            SATISFIED,
        ),
        row(
            "one beside the other", [given("teclistamab", days_ago(28))], [draft_drug("talquetamab")], FLAGGED, FLAGGED
        ),
        row(
            "one 29 days after the other",
            [given("teclistamab", days_ago(29))],
            [draft_drug("talquetamab")],
            FLAGGED,
            NOT_APPLICABLE,
        ),
        row("another pair", [given("elranatamab", days_ago(7))], [draft_drug("talquetamab")], FLAGGED, NOT_APPLICABLE),
    ],
)
def test_levels_and_orders(history: list[Resource], orders: list[Resource], signed: str, selected: str) -> None:
    assert outcome(sign(history, *orders), "R20") == signed
    assert outcome(select(history, *orders), "R20") == selected


@pytest.mark.parametrize(
    ("history", "raw", "expected"),
    [
        row("results unread", [ON_TECLISTAMAB], {"without": ["observations"]}, CANNOT_TELL),
        row("medication unread, no treatment found", [], {"without": ["medicationStatements"]}, CANNOT_TELL),
        row("requests unread: nothing waits for them", [ON_TECLISTAMAB], {"without": ["serviceRequests"]}, FLAGGED),
    ],
)
def test_levels_and_what_was_not_read(history: list[Resource], raw: dict[str, Any], expected: str) -> None:
    assessment = view([*history, *PROTECTED], **raw)

    assert outcome(assessment, "R20") == expected


def test_a_level_that_cannot_be_told_is_not_shown() -> None:
    assessment = view([ON_TECLISTAMAB, *PROTECTED, igg(900, "2026-10")])

    assert outcome(assessment, "R20") == CANNOT_TELL
    assert codes_of(assessment) == []


@pytest.mark.parametrize(
    ("history", "summary", "latest"),
    [
        row(
            "on a bispecific",
            [ON_TECLISTAMAB, igg(900, "2026-09-01")],
            "No IgG level found in the last 35 d; advised about every 4 weeks with teclistamab.",
            "Latest IgG level: 2026-09-01.",
        ),
        row(
            "after cells",
            [infusion("2026-08-12")],
            "Day 100 after ciltacabtagene autoleucel: no recent IgG level found "
            "(advised at day 30, then every 3 to 6 months).",
            "Latest IgG level: none was found.",
        ),
        row(
            "on immunoglobulin",
            [LONG_AGO, IVIG],
            "On immunoglobulin: no IgG level found in the last 35 d; advised about every 4 weeks.",
            "after ciltacabtagene autoleucel",
        ),
    ],
)
def test_how_a_missing_level_is_said(history: list[Resource], summary: str, latest: str) -> None:
    shown = card(view([*PROTECTED, *history]), "R20")

    assert (shown["summary"], shown["indicator"]) == (summary, "info")
    assert latest in shown["detail"]
    (draft,) = shown["suggestions"]
    resource = draft["actions"][0]["resource"]
    assert (draft["label"], draft["isRecommended"]) == ("Draft an IgG level", False)
    assert resource["code"]["coding"][0]["code"] == IGG
    assert not [name for name in resource if name.startswith("occurrence")]


# --- R21: the level ---


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        row("350 mg/dL", [igg(350, "2026-11-10")], FLAGGED),
        row("3.5 g/L is the same", [igg(3.5, "2026-11-10", "g/L")], FLAGGED),
        row("350 in an unknown unit", [igg(350, "2026-11-10", "bananas")], CANNOT_TELL),
        row("350 without a unit", [igg(350, "2026-11-10", "")], CANNOT_TELL),
        row("399", [igg(399, "2026-11-10")], FLAGGED),
        row("400", [igg(400, "2026-11-10")], SATISFIED),
        row("4 g/L", [igg(4, "2026-11-10", "g/L")], SATISFIED),
        row("3.99 g/L", [igg(3.99, "2026-11-10", "g/L")], FLAGGED),
        row(
            "below 300",
            [igg(300, "2026-11-10", valueQuantity={"value": 300, "unit": "mg/dL", "comparator": "<"})],
            FLAGGED,
        ),
        row(
            "below 500: perhaps low",
            [igg(500, "2026-11-10", valueQuantity={"value": 500, "unit": "mg/dL", "comparator": "<"})],
            CANNOT_TELL,
        ),
        row("60 days ago", [igg(350, days_ago(60))], FLAGGED),
        row("61 days ago: too old to act upon", [igg(350, days_ago(61))], NOT_APPLICABLE),
        row("some day in September, 51 to 80 days ago", [igg(350, "2026-09")], CANNOT_TELL),
        row("high some day in September", [igg(800, "2026-09")], SATISFIED),
        row("some day in October", [igg(350, "2026-10")], FLAGGED),
        row("some day in August", [igg(350, "2026-08")], NOT_APPLICABLE),
        row("without a date", [igg(350, None)], CANNOT_TELL),
        row("low, and higher since", [igg(350, "2026-11-01"), igg(700, "2026-11-15")], SATISFIED),
        row("higher, and low since", [igg(700, "2026-11-01"), igg(350, "2026-11-15")], FLAGGED),
        row("preliminary", [igg(350, "2026-11-10", status="preliminary")], NOT_APPLICABLE),
        row("entered in error", [igg(350, "2026-11-10", status="entered-in-error")], NOT_APPLICABLE),
        row("none", [], NOT_APPLICABLE),
    ],
)
def test_which_level_is_low(levels: list[Resource], expected: str) -> None:
    assert outcome(view([ON_TECLISTAMAB, *levels]), "R21") == expected


@pytest.mark.parametrize(
    ("beside", "expected"),
    [
        row("3.101 g/dL leave 399 mg/dL", [m_protein(3.101, "2026-11-10")], FLAGGED),
        row("3.1 g/dL leave 400 mg/dL", [m_protein(3.1, "2026-11-10")], SATISFIED),
        row("31.01 g/L leave 399 mg/dL", [m_protein(31.01, "2026-11-10", "g/L")], FLAGGED),
        row("14 days before", [m_protein(3.2, "2026-10-27")], FLAGGED),
        row("15 days before: not comparable", [m_protein(3.2, "2026-10-26")], CANNOT_TELL),
        row("10 days after", [m_protein(3.2, "2026-11-20")], FLAGGED),
        row("some day this month, up to 19 days apart", [m_protein(3.2, "2026-11")], FLAGGED),
        row("some day in October, up to 40 days apart", [m_protein(3.2, "2026-10")], CANNOT_TELL),
        row(
            "one of the same day, and another later",
            [m_protein(3.2, "2026-10-01"), m_protein(3.2, "2026-11-10")],
            FLAGGED,
        ),
        row("two bands: the larger counts", [m_protein(1.0, "2026-11-10"), m_protein(3.2, "2026-11-10")], FLAGGED),
        row(
            "larger than all IgG: it is of another class, or measured otherwise",
            [m_protein(3.6, "2026-11-10")],
            CANNOT_TELL,
        ),
        row("as large as all IgG", [m_protein(3.5, "2026-11-10")], CANNOT_TELL),
        row("not measurable", [m_protein(0, "2026-11-10")], SATISFIED),
        row("not measurable, some time ago", [m_protein(0, "2026-06-10")], CANNOT_TELL),
        row("measurable once, and gone since", [m_protein(2, "2025-06-10"), m_protein(0, "2026-06-10")], CANNOT_TELL),
        row("1.9 g/dL leave 1,600 mg/dL, as high as normal", [m_protein(1.9, "2026-11-10")], SATISFIED),
        row("1.89 g/dL leave 1,610 mg/dL: it does not explain so much", [m_protein(1.89, "2026-11-10")], CANNOT_TELL),
        row("measurable some time ago, and not measured since", [m_protein(2, "2026-06-10")], CANNOT_TELL),
        row("without a date", [m_protein(2, None)], CANNOT_TELL),
        row("in an unknown unit", [m_protein(2, "2026-11-10", "bananas")], CANNOT_TELL),
        row(
            "below 0.1",
            [m_protein(0.1, "2026-11-10", valueQuantity={"value": 0.1, "unit": "g/dL", "comparator": "<"})],
            SATISFIED,
        ),
        row(
            "below 3.3: perhaps too much",
            [m_protein(3.3, "2026-11-10", valueQuantity={"value": 3.3, "unit": "g/dL", "comparator": "<"})],
            CANNOT_TELL,
        ),
        row("none on record", [], CANNOT_TELL),
    ],
)
def test_an_m_protein_may_hide_a_low_level(beside: list[Resource], expected: str) -> None:
    assert outcome(view([ON_TECLISTAMAB, igg(3500, "2026-11-10"), *beside]), "R21") == expected


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("as high as normal", [igg(1600, "2026-11-10")], SATISFIED),
        row("higher", [igg(1601, "2026-11-10")], CANNOT_TELL),
        row("16 g/L", [igg(16, "2026-11-10", "g/L")], SATISFIED),
        row("16.1 g/L", [igg(16.1, "2026-11-10", "g/L")], CANNOT_TELL),
        row("1.7 g/dL", [igg(1.7, "2026-11-10", "g/dL")], CANNOT_TELL),
        row(
            "above what the laboratory measures",
            [igg(1600, "2026-11-10", valueQuantity={"value": 1600, "unit": "mg/dL", "comparator": ">"})],
            CANNOT_TELL,
        ),
        row("an M-protein was not measurable then", [igg(1700, "2026-11-10"), m_protein(0, "2026-11-10")], SATISFIED),
        row("nor 14 days before", [igg(1700, "2026-11-10"), m_protein(0, "2026-10-27")], SATISFIED),
        row("15 days before", [igg(1700, "2026-11-10"), m_protein(0, "2026-10-26")], CANNOT_TELL),
        row(
            "normal, an M-protein of long ago is gone", [igg(900, "2026-11-10"), m_protein(0, "2026-06-10")], SATISFIED
        ),
        row("on immunoglobulin", [igg(1700, "2026-11-10"), IVIG], SATISFIED),
        row("soon after immunoglobulin", [igg(1700, days_ago(50)), given("IVIG", days_ago(85))], SATISFIED),
        row("36 days after it", [igg(1700, days_ago(50)), given("IVIG", days_ago(86))], CANNOT_TELL),
        row("soon before it", [igg(1700, days_ago(50)), given("IVIG", days_ago(40))], CANNOT_TELL),
        row("perhaps given before", [igg(1700, days_ago(50)), given("IVIG", days_ago(60), "unknown")], CANNOT_TELL),
        row("too old to act upon", [igg(1700, days_ago(61))], NOT_APPLICABLE),
        row("without a date", [igg(1700, None)], CANNOT_TELL),
    ],
)
def test_a_level_above_the_normal_range_may_be_m_protein(history: list[Resource], expected: str) -> None:
    assert outcome(view([ON_TECLISTAMAB, *history]), "R21") == expected


def test_a_low_level_is_low_whatever_the_m_protein() -> None:
    history = [ON_TECLISTAMAB, *PROTECTED, igg(350, "2026-11-10"), m_protein(0.3, "2026-11-10")]

    shown = card(view(history), "R21")

    assert "IgG 350 mg/dL (2026-11-10) with teclistamab" in text_of(shown)


# --- R21: the treatment ---


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("a dose 60 days ago", [given("teclistamab", days_ago(60))], FLAGGED),
        row("a dose 61 days ago", [given("teclistamab", days_ago(61))], NOT_APPLICABLE),
        row("some day in September, 51 to 80 days ago", [given("teclistamab", "2026-09")], CANNOT_TELL),
        row("cells 365 days ago", [infusion(days_ago(365))], FLAGGED),
        row("cells 366 days ago", [infusion(days_ago(366))], NOT_APPLICABLE),
        row("cells ten days ago", [infusion(days_ago(10))], FLAGGED),
        row("cells, nobody knows when", [infusion(None)], CANNOT_TELL),
        row("cells long ago, and a bispecific now", [infusion("2024-05-04"), ON_TECLISTAMAB], FLAGGED),
        row("only ordered", [ordered("teclistamab", days_ago(10))], CANNOT_TELL),
        row("only ordered, beside cells", [ordered("teclistamab", days_ago(10)), infusion(days_ago(100))], FLAGGED),
        row("not done", [given("teclistamab", days_ago(10), "not-done")], NOT_APPLICABLE),
        row("daratumumab", [given("daratumumab", days_ago(10))], NOT_APPLICABLE),
        row("nothing", [], NOT_APPLICABLE),
    ],
)
def test_on_which_treatment_a_low_level_matters(history: list[Resource], expected: str) -> None:
    assert outcome(view([*history, igg(350, "2026-11-10")]), "R21") == expected


@pytest.mark.parametrize(
    ("orders", "expected"),
    [
        row("a bispecific", [draft_drug("teclistamab")], FLAGGED),
        row("with immunoglobulin", [draft_drug("teclistamab"), draft_drug("IVIG")], SATISFIED),
        row(
            "with immunoglobulin that names no route",
            [draft_drug("teclistamab"), draft_drug("immune globulin (human)")],
            SATISFIED,
        ),
        row("with immunoglobulin into a muscle", [draft_drug("teclistamab"), draft_drug("GamaSTAN")], FLAGGED),
        row("another drug", [draft_drug("lenalidomide")], NOT_APPLICABLE),
    ],
)
def test_low_levels_at_signing(orders: list[Resource], expected: str) -> None:
    history = [given("teclistamab", days_ago(7)), igg(350, "2026-11-10")]

    assert outcome(sign(history, *orders), "R21") == expected
    assert outcome(select(history, *orders), "R21") == NOT_APPLICABLE


# --- R21: replacement ---


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("a dose 35 days ago", [given("IVIG", days_ago(35))], SATISFIED),
        row("a dose 36 days ago", [given("IVIG", days_ago(36))], FLAGGED),
        row("a dose some day in October, 20 to 50 days ago", [given("IVIG", "2026-10")], CANNOT_TELL),
        row("under the skin, at home", [reported("Hizentra", "2026-01-05", status="active")], SATISFIED),
        row("an order in force", [ordered("Privigen", "2026-01-05")], SATISFIED),
        row("an order that ended", [ordered("Privigen", "2026-01-05", "completed", "2026-03-01")], FLAGGED),
        row(
            "an order of last week that is completed: given or not",
            [ordered("Privigen", days_ago(7), "completed")],
            CANNOT_TELL,
        ),
        row("stopped long ago", [reported("IVIG", "2026-01-05", "2026-06-05", "stopped")], FLAGGED),
        row(
            "on hold: a dose may have been given lately",
            [reported("Hizentra", "2026-01-05", status="on-hold")],
            CANNOT_TELL,
        ),
        row("handed over lately", [dispensed("Hizentra", days_ago(10), 28)], SATISFIED),
        row("into a muscle, too little to replace", [given("GamaSTAN", days_ago(5))], FLAGGED),
        row("route not stated", [given("immune globulin (human)", days_ago(5))], CANNOT_TELL),
        row(
            "route not stated, beside a dose that is clear",
            [given("immune globulin (human)", days_ago(5)), IVIG],
            SATISFIED,
        ),
        row("route not stated, long ago", [given("immune globulin (human)", days_ago(90))], FLAGGED),
        row("not done", [given("IVIG", days_ago(5), "not-done")], FLAGGED),
        row("entered in error", [given("IVIG", days_ago(5), "entered-in-error")], FLAGGED),
        row("not taken", [reported("Hizentra", "2026-01-05", status="not-taken")], FLAGGED),
        row("of unknown status", [given("IVIG", days_ago(5), "unknown")], CANNOT_TELL),
        row("hepatitis B immunoglobulin", [given("hepatitis B immune globulin", days_ago(5))], FLAGGED),
    ],
)
def test_what_replaces(history: list[Resource], expected: str) -> None:
    assert outcome(view([ON_TECLISTAMAB, igg(350, "2026-11-10"), *history]), "R21") == expected


@pytest.mark.parametrize(
    ("history", "raw", "expected"),
    [
        row("results unread", [ON_TECLISTAMAB], {"without": ["observations"]}, CANNOT_TELL),
        row(
            "orders unread", [ON_TECLISTAMAB, igg(350, "2026-11-10")], {"without": ["medicationRequests"]}, CANNOT_TELL
        ),
        row(
            "orders unread, a dose found",
            [ON_TECLISTAMAB, igg(350, "2026-11-10"), IVIG],
            {"without": ["medicationRequests"]},
            SATISFIED,
        ),
        row(
            "doses unread, no treatment found",
            [igg(350, "2026-11-10")],
            {"without": ["medicationAdministrations"]},
            CANNOT_TELL,
        ),
    ],
)
def test_low_levels_and_what_was_not_read(history: list[Resource], raw: dict[str, Any], expected: str) -> None:
    assert outcome(view(history, **raw), "R21") == expected


@pytest.mark.parametrize(
    ("history", "words"),
    [
        row("unknown unit", [igg(350, "2026-11-10", "bananas")], "the latest IgG level in mg/dL"),
        row(
            "M-protein",
            [igg(3500, "2026-11-10"), m_protein(2, "2026-06-10")],
            "how much IgG is left beside the M-protein",
        ),
        row(
            "route not stated",
            [igg(350, "2026-11-10"), given("immune globulin (human)", days_ago(5))],
            "whether immunoglobulin is being given",
        ),
        row("some day in September", [igg(350, "2026-09")], "an exact date of the latest IgG level"),
        row("high", [igg(5200, "2026-11-10")], "how much of a high IgG level is M-protein"),
    ],
)
def test_what_cannot_be_told_is_shown(history: list[Resource], words: str) -> None:
    shown = card(view([ON_TECLISTAMAB, *PROTECTED, *history]), "R00")

    assert words in shown["detail"]


def test_a_treatment_in_doubt_is_not_shown_by_r21() -> None:
    assessment = view([ordered("teclistamab", days_ago(10)), *PROTECTED, igg(350, "2026-11-10")])

    assert outcome(assessment, "R21") == CANNOT_TELL
    assert codes_of(assessment) == []


# --- R21: wording and drafts ---


@pytest.mark.parametrize(
    ("history", "indicator", "summary"),
    [
        row(
            "on teclistamab",
            [ON_TECLISTAMAB, igg(350, "2026-11-10")],
            "warning",
            "IgG 350 mg/dL (2026-11-10) with teclistamab: no immunoglobulin replacement found (limit 400).",
        ),
        row(
            "talquetamab and nothing else of the kind",
            [ON_TALQUETAMAB, igg(350, "2026-11-10")],
            "info",
            "IgG 350 mg/dL (2026-11-10) with talquetamab: no immunoglobulin replacement found (limit 400).",
        ),
        row(
            "talquetamab after teclistamab",
            [given("teclistamab", "2026-03-01"), ON_TALQUETAMAB, igg(350, "2026-11-10")],
            "warning",
            "IgG 350 mg/dL (2026-11-10) with talquetamab: no immunoglobulin replacement found (limit 400).",
        ),
        row(
            "talquetamab after cells",
            [infusion("2024-03-01"), ON_TALQUETAMAB, igg(350, "2026-11-10")],
            "warning",
            "IgG 350 mg/dL (2026-11-10) with talquetamab: no immunoglobulin replacement found (limit 400).",
        ),
        row(
            "both drugs, and cells",
            [infusion("2026-03-01"), ON_TECLISTAMAB, igg(3.5, "2026-11-10", "g/L")],
            "warning",
            "IgG 350 mg/dL (2026-11-10) with teclistamab + ciltacabtagene autoleucel: "
            "no immunoglobulin replacement found (limit 400).",
        ),
        row(
            "behind an M-protein",
            [ON_TECLISTAMAB, igg(3500, "2026-11-10"), m_protein(3.25, "2026-11-03")],
            "info",
            "IgG 3500 mg/dL (2026-11-10) less M-protein: 250 mg/dL left if the M-protein is IgG, limit 400.",
        ),
    ],
)
def test_how_a_low_level_is_said(history: list[Resource], indicator: str, summary: str) -> None:
    measured = igg(800, "2026-11-05")  # for R20, which is not asked about here

    shown = card(view([*PROTECTED, measured, *history]), "R21")

    assert (shown["indicator"], shown["summary"]) == (indicator, summary)


def test_a_draft_order_of_talquetamab_alone_is_said_softly() -> None:
    history = [igg(350, "2026-11-10"), *PROTECTED]

    assert card(sign(history, draft_drug("talquetamab")), "R21")["indicator"] == "info"
    assert card(sign([*history, ON_TECLISTAMAB], draft_drug("talquetamab")), "R21")["indicator"] == "warning"


FIT = (lab(WEIGHT, 70, "kg", "2026-11-10"), lab(EGFR, 80, "mL/min/1.73m2", "2026-11-10"))
DOSE = "Per local protocol (published: 0.4 to 0.5 g/kg); check renal function and hydration."


def ivig_dose(history: list[Resource], **raw: Any) -> str | None:
    """Give the dose text of the draft of immunoglobulin."""
    shown = card(view([ON_TECLISTAMAB, igg(350, "2026-11-10"), *PROTECTED, *history], **raw), "R21")
    (resource,) = [
        each["actions"][0]["resource"]
        for each in shown["suggestions"]
        if each["actions"][0]["resource"]["resourceType"] == "MedicationRequest"
    ]
    assert resource["medicationCodeableConcept"]["text"] == "immune globulin (human), intravenous"
    (dosage,) = resource["dosageInstruction"]
    assert dosage["timing"]["repeat"]["boundsPeriod"] == {"start": "2026-11-20"}
    dose: str | None = dosage.get("text")
    assert ("The draft carries no dose" in shown["detail"]) == (dose is None)
    return dose


@pytest.mark.parametrize(
    ("history", "dose"),
    [
        row("weight and kidneys known", FIT, DOSE),
        row("weight 90 days old", [lab(WEIGHT, 70, "kg", days_ago(90)), FIT[1]], DOSE),
        row("weight 91 days old", [lab(WEIGHT, 70, "kg", days_ago(91)), FIT[1]], None),
        row("no weight", [FIT[1]], None),
        row("no eGFR", [FIT[0]], None),
        row("eGFR 60", [FIT[0], lab(EGFR, 60, "mL/min/1.73m2", "2026-11-10")], DOSE),
        row("eGFR 59", [FIT[0], lab(EGFR, 59, "mL/min/1.73m2", "2026-11-10")], None),
        row("eGFR 90 days old", [FIT[0], lab(EGFR, 80, "mL/min/1.73m2", days_ago(90))], DOSE),
        row("eGFR 91 days old", [FIT[0], lab(EGFR, 80, "mL/min/1.73m2", days_ago(91))], None),
        row("a creatinine since", [*FIT, lab("2160-0", 3, "mg/dL", "2026-11-15")], None),
        row("a clot on the problem list", [*FIT, myeloma(), condition("I82.402")], None),
        row("a clot in the past", [*FIT, myeloma(), condition("Z86.718")], None),
        row(
            "a clot in words",
            [*FIT, myeloma(), condition("I26.99") | {"code": {"text": "Pulmonary embolism 2019"}}],
            None,
        ),
        row(
            "a clot that was ruled out",
            [*FIT, myeloma(), condition("I26.99", verificationStatus={"coding": [{"code": "refuted"}]})],
            DOSE,
        ),
    ],
)
def test_a_dose_is_named_only_where_nothing_speaks_against_it(history: list[Resource], dose: str | None) -> None:
    assert ivig_dose(list(history)) == dose


def test_no_dose_where_allergies_or_problems_are_not_read_completely() -> None:
    assert ivig_dose(list(FIT), without=["allergies"]) is None


def test_what_is_drafted_for_a_low_level() -> None:
    shown = card(view([ON_TECLISTAMAB, igg(350, "2026-11-10"), *PROTECTED]), "R21")

    drafted = [(each["label"], each["isRecommended"]) for each in shown["suggestions"]]
    assert drafted == [("Draft immunoglobulin, intravenous", False), ("Draft the next IgG level", False)]
    assert shown["suggestions"][1]["actions"][0]["resource"]["occurrenceDateTime"] == "2026-12-18"
    assert "under the skin as an alternative" in shown["detail"]


def test_behind_an_m_protein_nothing_but_the_next_level_is_drafted() -> None:
    history = [ON_TECLISTAMAB, igg(3500, "2026-11-10"), m_protein(3.25, "2026-11-03"), *PROTECTED]

    shown = card(view(history), "R21")

    assert [each["label"] for each in shown["suggestions"]] == ["Draft the next IgG level"]
    assert "Its class is not read here." in shown["detail"]


@pytest.mark.parametrize(
    ("history", "is_asked"),
    [
        row("never given", [], True),
        row("given long ago", [given("IVIG", days_ago(300))], False),
        row("into a muscle once", [given("GamaSTAN", days_ago(300))], False),
    ],
)
def test_titers_come_before_a_first_immunoglobulin(history: list[Resource], is_asked: bool) -> None:
    shown = card(view([ON_TECLISTAMAB, igg(350, "2026-11-10"), *PROTECTED, *history]), "R21")

    assert ("draw antibody titers before a first dose" in shown["detail"]) == is_asked


# --- nothing to say ---


def test_a_patient_who_is_cared_for_gets_no_card_but_that_about_later_years() -> None:
    history = [infusion(days_ago(200)), *PROTECTED, igg(620, "2026-11-02"), m_protein(0, "2026-11-02")]

    assessment = view(history)

    assert {rule: outcome(assessment, rule) for rule in ("R15", "R16", "R17", "R20", "R21")} == {
        "R15": SATISFIED,
        "R16": SATISFIED,
        "R17": NOT_APPLICABLE,
        "R20": SATISFIED,
        "R21": SATISFIED,
    }
    assert codes_of(assessment) == ["R39"]


def test_so_does_one_on_a_bispecific() -> None:
    history = [ON_TECLISTAMAB, *PROTECTED, igg(620, "2026-11-02")]

    assert codes_of(view(history)) == []

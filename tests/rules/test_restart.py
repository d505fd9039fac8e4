"""R31: a bispecific antibody after a gap, against the restart table of its label.

"Today" is 2026-11-20. Unless a row says otherwise, doses were administered, and the next one is signed for today.
"""

from datetime import date, timedelta
from typing import Any

import pytest

from cards.finding import Hook
from cards.knowledge.loader import load
from tests.build import (
    AS_OF,
    Resource,
    ask,
    card,
    chart,
    draft_drug,
    draft_infusion,
    given,
    hook_request,
    infusion,
    lab,
    ordered,
    outcome,
    procedure,
    reported,
)
from tests.rules.table import (
    CANNOT_TELL,
    FLAGGED,
    NOT_APPLICABLE,
    SATISFIED,
    codes_of,
    days_ago,
    drafts_in,
    moves_in,
    row,
    select,
    sign,
    text_of,
    view,
)

TEC, ELRA, TALQ, LINVO = "teclistamab", "elranatamab", "talquetamab", "linvoseltamab"
WEIGHT = "29463-7"
HCPCS = "https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"


def quantity(value: float, unit: str) -> Resource:
    """Make a Quantity in a UCUM unit."""
    return {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit}


def dose(name: str, days: int | str, value: float | None = None, unit: str = "mg/kg", **more: Any) -> Resource:
    """Make an administered dose, some days ago or on a day, with its amount where it has one."""
    on = days_ago(days) if isinstance(days, int) else days
    amount = {"dosage": {"dose": quantity(value, unit)}} if value is not None else {}
    return given(name, on, **(amount | more))


def every(days: int, name: str, last: int, value: float, unit: str = "mg/kg", count: int = 3) -> list[Resource]:
    """Make doses at one distance, of which the last was given so many days ago."""
    return [dose(name, last + number * days, value, unit) for number in range(count)]


def draft(
    name: str,
    value: float | None = None,
    unit: str = "mg/kg",
    on: str | None = None,
    weeks: int | None = None,
    **more: Any,
) -> Resource:
    """Make a draft order, with its amount, day, and the weeks between doses, where it has them."""
    timing: Resource = {"event": [on]} if on else {}
    if weeks:
        timing["repeat"] = {"frequency": 1, "period": weeks, "periodUnit": "wk"}
    dosage = ({"timing": timing} if timing else {}) | (
        {"doseAndRate": [{"doseQuantity": quantity(value, unit)}]} if value is not None else {}
    )
    return draft_drug(name, **({"dosageInstruction": [dosage] if dosage else None} | more))


def weighs(kg: float, days: int) -> Resource:
    """Make a body weight."""
    return lab(WEIGHT, kg, "kg", days_ago(days))


def r31(history: list[Resource], *orders: Resource) -> str:
    """Sign some drafts and give R31's outcome, the worst of all."""
    return outcome(sign(history, *orders), "R31")


# --- every row of the table, on both sides of each of its days ---


@pytest.mark.parametrize(
    ("days", "planned", "expected"),
    [
        row("same week: whatever is planned", 7, 1.5, SATISFIED),
        row("the first day after it: step-up dose 1 again", 8, 0.06, SATISFIED),
        row("and not step-up dose 2", 8, 0.3, FLAGGED),
        row("nor a full dose", 8, 1.5, FLAGGED),
        row("a year later", 365, 0.3, FLAGGED),
    ],
)
def test_teclistamab_after_step_up_dose_1(days: int, planned: float, expected: str) -> None:
    assert r31([dose(TEC, days, 0.06)], draft(TEC, planned)) == expected


@pytest.mark.parametrize(
    ("days", "planned", "expected"),
    [
        row("same week", 7, 1.5, SATISFIED),
        row("from day 8 on: step-up dose 2 again", 8, 0.3, SATISFIED),
        row("not a full dose", 8, 1.5, FLAGGED),
        row("day 28", 28, 0.3, SATISFIED),
        row("day 29: step-up dose 1", 29, 0.3, FLAGGED),
        row("which is lower", 29, 0.06, SATISFIED),
    ],
)
def test_teclistamab_after_step_up_dose_2(days: int, planned: float, expected: str) -> None:
    assert r31([dose(TEC, days, 0.3)], draft(TEC, planned)) == expected


@pytest.mark.parametrize(
    ("days", "planned", "expected"),
    [
        row("on time", 7, 1.5, SATISFIED),
        row("a week late", 14, 1.5, SATISFIED),
        row("day 28: continue", 28, 1.5, SATISFIED),
        row("day 29: step-up dose 2", 29, 1.5, FLAGGED),
        row("which is ordered", 29, 0.3, SATISFIED),
        row("day 56: still step-up dose 2", 56, 0.3, SATISFIED),
        row("and no full dose", 56, 1.5, FLAGGED),
        row("day 57: step-up dose 1", 57, 0.3, FLAGGED),
        row("no full dose at all", 57, 1.5, FLAGGED),
        row("step-up dose 1 is ordered", 57, 0.06, SATISFIED),
        row("beyond the gap of a course: a restart all the same", 114, 1.5, FLAGGED),
        row("two years later", 730, 1.5, FLAGGED),
    ],
)
def test_teclistamab_weekly(days: int, planned: float, expected: str) -> None:
    assert r31(every(7, TEC, days, 1.5), draft(TEC, planned)) == expected


@pytest.mark.parametrize(
    ("days", "planned", "expected"),
    [
        row("on time", 14, 1.5, SATISFIED),
        row("day 63: continue", 63, 1.5, SATISFIED),
        row("day 64: step-up dose 2", 64, 1.5, FLAGGED),
        row("which is ordered", 64, 0.3, SATISFIED),
        row("day 112: still step-up dose 2", 112, 0.3, SATISFIED),
        row("day 113: step-up dose 1", 113, 0.3, FLAGGED),
        row("which is ordered", 113, 0.06, SATISFIED),
    ],
)
def test_teclistamab_every_2_weeks(days: int, planned: float, expected: str) -> None:
    assert r31(every(14, TEC, days, 1.5), draft(TEC, planned)) == expected


@pytest.mark.parametrize(
    ("days", "planned", "expected"),
    [
        row("on time", 28, 1.5, SATISFIED),
        row("a day later: in no table that was read", 29, 1.5, CANNOT_TELL),
        row("step-up dose 1 needs no table", 29, 0.06, SATISFIED),
    ],
)
def test_teclistamab_every_4_weeks(days: int, planned: float, expected: str) -> None:
    assert r31(every(28, TEC, days, 1.5), draft(TEC, planned)) == expected


@pytest.mark.parametrize(
    ("last", "days", "planned", "expected"),
    [
        row("12 mg, day 7: same week", 12, 7, 76, SATISFIED),
        row("12 mg, day 8: 32 mg is next", 12, 8, 32, SATISFIED),
        row("and not 76", 12, 8, 76, FLAGGED),
        row("12 mg, day 14", 12, 14, 32, SATISFIED),
        row("12 mg, day 15: 12 mg again", 12, 15, 32, FLAGGED),
        row("which is ordered", 12, 15, 12, SATISFIED),
        row("32 mg, day 14: 76 mg is next", 32, 14, 76, SATISFIED),
        row("32 mg, day 15: 32 mg again", 32, 15, 76, FLAGGED),
        row("which is ordered", 32, 15, 32, SATISFIED),
        row("32 mg, day 28", 32, 28, 32, SATISFIED),
        row("32 mg, day 29: 12 mg", 32, 29, 32, FLAGGED),
        row("76 mg, day 42: continue", 76, 42, 76, SATISFIED),
        row("76 mg, day 43: 32 mg", 76, 43, 76, FLAGGED),
        row("which is ordered", 76, 43, 32, SATISFIED),
        row("76 mg, day 84", 76, 84, 32, SATISFIED),
        row("76 mg, day 85: 12 mg", 76, 85, 32, FLAGGED),
        row("which is ordered", 76, 85, 12, SATISFIED),
    ],
)
def test_elranatamab(last: float, days: int, planned: float, expected: str) -> None:
    assert r31([dose(ELRA, days, last, "mg")], draft(ELRA, planned, "mg")) == expected


@pytest.mark.parametrize(
    ("drug", "last", "days", "planned", "expected"),
    [
        row("talquetamab 0.01, day 7", TALQ, 0.01, 7, 0.4, SATISFIED),
        row("talquetamab 0.01, day 8: the one row that was read", TALQ, 0.01, 8, 0.06, FLAGGED),
        row("0.01 again", TALQ, 0.01, 8, 0.01, SATISFIED),
        row("talquetamab 0.06, day 7", TALQ, 0.06, 7, 0.4, SATISFIED),
        row("talquetamab 0.06, day 8", TALQ, 0.06, 8, 0.4, CANNOT_TELL),
        row("talquetamab 0.4, day 7", TALQ, 0.4, 7, 0.4, SATISFIED),
        row("talquetamab 0.4, day 8", TALQ, 0.4, 8, 0.4, CANNOT_TELL),
        row("talquetamab 0.8, day 14: its usual interval", TALQ, 0.8, 14, 0.8, SATISFIED),
        row("talquetamab 0.8, day 15", TALQ, 0.8, 15, 0.8, CANNOT_TELL),
        row("linvoseltamab 25 mg, day 7", LINVO, 25, 7, 200, SATISFIED),
        row("linvoseltamab 25 mg, day 8", LINVO, 25, 8, 200, CANNOT_TELL),
        row("linvoseltamab 200 mg, day 7", LINVO, 200, 7, 200, SATISFIED),
        row("linvoseltamab 200 mg, day 8: weekly or every 2 weeks", LINVO, 200, 8, 200, CANNOT_TELL),
        row("the lowest dose needs no table", LINVO, 200, 365, 5, SATISFIED),
    ],
)
def test_tables_that_could_not_be_read(drug: str, last: float, days: int, planned: float, expected: str) -> None:
    unit = "mg/kg" if drug == TALQ else "mg"

    assert r31([dose(drug, days, last, unit)], draft(drug, planned, unit)) == expected


@pytest.mark.parametrize(
    ("apart", "days", "expected"),
    [
        row("every 2 weeks, on time", 14, 14, SATISFIED),
        row("every 2 weeks, a day late", 14, 15, CANNOT_TELL),
        row("every 4 weeks, on time", 28, 28, SATISFIED),
        row("every 4 weeks, a day late", 28, 29, CANNOT_TELL),
    ],
)
def test_linvoseltamab_by_its_schedule(apart: int, days: int, expected: str) -> None:
    assert r31(every(apart, LINVO, days, 200, "mg"), draft(LINVO, 200, "mg")) == expected


# --- the schedule before the gap ---


@pytest.mark.parametrize(
    ("days", "weeks", "expected"),
    [
        row("a single dose, and no word on how often", [40], None, CANNOT_TELL),
        row("it is ordered weekly: so it was before", [40], 1, FLAGGED),
        row("it is ordered every 2 weeks, which may be new", [40], 2, CANNOT_TELL),
        row("a single dose 28 days ago: any schedule goes on", [28], None, SATISFIED),
        row("a single dose 64 days ago: both schedules ask for a step-up dose", [64], None, FLAGGED),
        row("it is ordered every 4 weeks, which was not read", [64], 4, CANNOT_TELL),
        row("two doses a week apart", [40, 47], None, FLAGGED),
        row("10 days apart are weekly", [40, 50], None, FLAGGED),
        row("11 days apart may be a dose that was late", [40, 51], None, CANNOT_TELL),
        row("twice 11 days apart are every 2 weeks", [40, 51, 62], None, SATISFIED),
        row("twice 20 days apart too", [40, 60, 80], None, SATISFIED),
        row("21 days apart are every 4 weeks, not read", [40, 61, 82], None, CANNOT_TELL),
        row("2 weeks apart after a week", [40, 54, 61], None, CANNOT_TELL),
        row("a week after 2 weeks: the stricter one", [40, 47, 61], None, FLAGGED),
        row("35 days apart may be every 4 weeks, of which nothing was read", [64, 99, 134], None, CANNOT_TELL),
        row("36 days apart are a gap of its own", [64, 100], None, FLAGGED),
    ],
)
def test_the_schedule_before_the_gap(days: list[int], weeks: int | None, expected: str) -> None:
    assert r31([dose(TEC, day, 1.5) for day in days], draft(TEC, 1.5, weeks=weeks)) == expected


# --- amounts ---


@pytest.mark.parametrize(
    ("history", "order", "expected"),
    [
        row("amount of the last dose unknown, 40 days", [dose(TEC, 40)], draft(TEC, 1.5), CANNOT_TELL),
        row("unknown, within the week", [dose(TEC, 7)], draft(TEC, 1.5), SATISFIED),
        row("unknown, a day later", [dose(TEC, 8)], draft(TEC, 1.5), CANNOT_TELL),
        row("unknown, and the lowest dose is ordered", [dose(TEC, 40)], draft(TEC, 0.06), SATISFIED),
        row("amount of the draft unknown, after a gap", every(7, TEC, 40, 1.5), draft(TEC), CANNOT_TELL),
        row("amount of the draft unknown, but no gap that matters", every(7, TEC, 28, 1.5), draft(TEC), SATISFIED),
        row("neither is known", [dose(TEC, 40)], draft(TEC), CANNOT_TELL),
        row("no dose of the label", [dose(TEC, 40, 0.7)], draft(TEC, 1.5), CANNOT_TELL),
        row("more than the highest dose is ordered", every(7, TEC, 40, 1.5), draft(TEC, 3), FLAGGED),
        row("between two doses, and too high", every(7, TEC, 57, 1.5), draft(TEC, 0.1), FLAGGED),
        row("rounded down by 20 %", [dose(ELRA, 43, 60.8, "mg")], draft(ELRA, 76, "mg"), FLAGGED),
        row("by more than that", [dose(ELRA, 43, 60.7, "mg")], draft(ELRA, 76, "mg"), CANNOT_TELL),
        row("rounded up by 20 %", [dose(ELRA, 43, 91.2, "mg")], draft(ELRA, 76, "mg"), FLAGGED),
        row("by more than that", [dose(ELRA, 43, 91.3, "mg")], draft(ELRA, 76, "mg"), CANNOT_TELL),
        row("20 % above the level of the label", [dose(ELRA, 43, 76, "mg")], draft(ELRA, 38.4, "mg"), SATISFIED),
        row("more than that", [dose(ELRA, 43, 76, "mg")], draft(ELRA, 38.5, "mg"), FLAGGED),
        row("grams", [dose(ELRA, 43, 0.076, "g")], draft(ELRA, 76_000, "ug"), FLAGGED),
        row(
            "a dose by weight of a drug that has none", [dose(ELRA, 43, 1, "mg/kg")], draft(ELRA, 76, "mg"), CANNOT_TELL
        ),
        row("millilitres", [dose(ELRA, 43, 1.9, "mL")], draft(ELRA, 76, "mg"), CANNOT_TELL),
        row(
            "the amount in words alone",
            [dose(ELRA, 43, dosage={"text": "76 mg SC"})],
            draft(ELRA, 76, "mg"),
            CANNOT_TELL,
        ),
        row(
            "the draft in words alone",
            [dose(ELRA, 43, 76, "mg")],
            draft(ELRA, dosageInstruction=[{"text": "76 mg SC"}]),
            CANNOT_TELL,
        ),
        row(
            "broken off: nobody knows how much went in",
            [dose(ELRA, 43, 76, "mg", status="stopped")],
            draft(ELRA, 76, "mg"),
            CANNOT_TELL,
        ),
    ],
)
def test_amounts(history: list[Resource], order: Resource, expected: str) -> None:
    assert r31(history, order) == expected


@pytest.mark.parametrize(
    ("history", "order", "expected"),
    [
        row("120 mg at 80 kg", [weighs(80, 1)], draft(TEC, 1.5), FLAGGED),
        row("a weight of 90 days ago", [weighs(80, 90)], draft(TEC, 1.5), FLAGGED),
        row("a weight of 91 days ago", [weighs(80, 91)], draft(TEC, 1.5), CANNOT_TELL),
        row("no weight", [], draft(TEC, 1.5), CANNOT_TELL),
        row("120 mg at 120 kg is no dose of the label", [weighs(120, 1)], draft(TEC, 1.5), CANNOT_TELL),
        row("the latest weight counts", [weighs(120, 10), weighs(80, 1)], draft(TEC, 1.5), FLAGGED),
        row("the draft in mg as well", [weighs(80, 1)], draft(TEC, 120, "mg"), FLAGGED),
        row("a step-up dose in mg", [weighs(80, 1)], draft(TEC, 24, "mg"), SATISFIED),
        row("a weight in pounds", [lab(WEIGHT, 176, "[lb_av]", days_ago(1))], draft(TEC, 120, "mg"), FLAGGED),
        row("a weight in an unknown unit", [lab(WEIGHT, 80, "stone", days_ago(1))], draft(TEC, 1.5), CANNOT_TELL),
        row(
            "a preliminary weight",
            [lab(WEIGHT, 80, "kg", days_ago(1), status="preliminary")],
            draft(TEC, 1.5),
            CANNOT_TELL,
        ),
    ],
)
def test_doses_in_mg_by_weight(history: list[Resource], order: Resource, expected: str) -> None:
    assert r31([*every(7, TEC, 40, 120, "mg"), *history], order) == expected


def test_a_draft_in_mg_needs_the_weight_as_well() -> None:
    assert r31(every(7, TEC, 40, 1.5), draft(TEC, 120, "mg")) == CANNOT_TELL
    assert r31([*every(7, TEC, 40, 1.5), weighs(80, 1)], draft(TEC, 120, "mg")) == FLAGGED


@pytest.mark.parametrize(
    ("doses", "expected"),
    [
        row("two injections make one dose", [25, 51], FLAGGED),
        row("two injections, or a step-up dose told twice", [38, 38], CANNOT_TELL),
        row("one dose told twice", [76, 76], FLAGGED),
        row("two doses of one day that make none", [76, 12], CANNOT_TELL),
        row("one of the two without its amount", [76, None], CANNOT_TELL),
    ],
)
def test_several_records_of_the_last_day(doses: list[float | None], expected: str) -> None:
    assert r31([dose(ELRA, 43, amount, "mg") for amount in doses], draft(ELRA, 76, "mg")) == expected


def test_a_bill_of_the_same_day_takes_no_amount_away() -> None:
    bill = procedure("J9380", days_ago(29), system=HCPCS)

    assert r31([*every(7, TEC, 29, 1.5), bill], draft(TEC, 1.5)) == FLAGGED


def test_a_bill_alone_has_no_amount() -> None:
    assert r31([procedure("J9380", days_ago(29), system=HCPCS)], draft(TEC, 1.5)) == CANNOT_TELL


# --- days ---


def on(days: int) -> str:
    """Name the day that lies so many days after today."""
    return (AS_OF + timedelta(days)).isoformat()


@pytest.mark.parametrize(
    ("last", "planned", "expected"),
    [
        row("28 days to today", 28, None, SATISFIED),
        row("29 to the planned day", 28, on(1), FLAGGED),
        row("27 days to today, 28 to the planned day", 27, on(1), SATISFIED),
        row("a planned day that is past counts as today", 29, days_ago(10), FLAGGED),
        row("planned for some day of this month: 26 to 36 days", 26, "2026-11", CANNOT_TELL),
        row("planned for some day of next month, 41 days or more", 30, "2026-12", FLAGGED),
    ],
)
def test_the_days_are_counted_to_the_planned_day(last: int, planned: str | None, expected: str) -> None:
    assert r31(every(7, TEC, last, 1.5), draft(TEC, 1.5, on=planned)) == expected


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        row("some day of this month: at most 19 days", "2026-11", SATISFIED),
        row("some day in October: 20 to 50 days", "2026-10", CANNOT_TELL),
        row("some day in September: 51 to 80 days, a step-up dose on each", "2026-09", FLAGGED),
        row("some day in July: step-up dose 1", "2026-07", FLAGGED),
        row("some day of last year", "2025", FLAGGED),
        row("some day of this year", "2026", CANNOT_TELL),
        row("no date", None, CANNOT_TELL),
    ],
)
def test_vague_dates_of_the_last_dose(last: str | None, expected: str) -> None:
    weekly = draft(TEC, 1.5, weeks=1)

    assert r31([given(TEC, last, dosage={"dose": quantity(1.5, "mg/kg")})], weekly) == expected


def test_an_old_vague_dose_does_not_disturb_an_exact_one() -> None:
    assert r31([dose(TEC, "2026-03", 0.06), *every(7, TEC, 29, 1.5)], draft(TEC, 1.5)) == FLAGGED


def test_a_vague_dose_that_may_be_the_last_one_does() -> None:
    assert r31([dose(TEC, "2026-10", 0.06), *every(7, TEC, 29, 1.5)], draft(TEC, 1.5)) == CANNOT_TELL


# --- what was administered, and what was only reported or ordered ---


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        row("administered", dose(TEC, 20, 1.5), SATISFIED),
        row("in progress", dose(TEC, 0, 1.5, status="in-progress"), SATISFIED),
        row("of unknown status", dose(TEC, 20, 1.5, status="unknown"), CANNOT_TELL),
        row("on hold", dose(TEC, 20, 1.5, status="on-hold"), CANNOT_TELL),
        row("not done", dose(TEC, 20, 1.5, status="not-done"), FLAGGED),
        row("entered in error", dose(TEC, 20, 1.5, status="entered-in-error"), FLAGGED),
        row("reported until 20 days ago", reported(TEC, days_ago(90), days_ago(20)), CANNOT_TELL),
        row("reported until 35 days ago: a gap all the same", reported(TEC, days_ago(90), days_ago(35)), FLAGGED),
        row("reported as stopped 35 days ago", reported(TEC, days_ago(90), days_ago(35), status="stopped"), FLAGGED),
        row(
            "on the list of what is taken", reported(TEC, days_ago(90), status="active", asserted=days_ago(1)), FLAGGED
        ),
        row("not taken", reported(TEC, days_ago(90), days_ago(20), status="not-taken"), FLAGGED),
        row("an order that stands", ordered(TEC, days_ago(20)), FLAGGED),
        row("an order that was completed", ordered(TEC, days_ago(20), status="completed"), FLAGGED),
        row("a dose without a date", given(TEC, None), CANNOT_TELL),
        row("another drug", dose(ELRA, 20, 76, "mg"), FLAGGED),
    ],
)
def test_weekly_doses_until_40_days_ago_and_another_record(record: Resource, expected: str) -> None:
    assert r31([*every(7, TEC, 40, 1.5), record], draft(TEC, 1.5)) == expected


AMOUNT: dict[str, Any] = {"dosage": [{"doseAndRate": [{"doseQuantity": quantity(76, "mg")}]}]}


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        row("no record of the drug", [], NOT_APPLICABLE),
        row("only ordered", [ordered(ELRA, days_ago(100))], CANNOT_TELL),
        row("only on the list", [reported(ELRA, days_ago(100), status="active", asserted=days_ago(1))], CANNOT_TELL),
        row("reported until 43 days ago", [reported(ELRA, days_ago(100), days_ago(43), **AMOUNT)], FLAGGED),
        row("a report never reassures", [reported(ELRA, days_ago(100), days_ago(42), **AMOUNT)], CANNOT_TELL),
        row("not even in the same week", [reported(ELRA, days_ago(100), days_ago(3), **AMOUNT)], CANNOT_TELL),
        row("a report without an amount", [reported(ELRA, days_ago(100), days_ago(43))], CANNOT_TELL),
        row("possibly given, 43 days ago", [dose(ELRA, 43, 76, "mg", status="unknown")], CANNOT_TELL),
        row("planned", [reported(ELRA, on(20), status="intended")], NOT_APPLICABLE),
        row("never given", [dose(ELRA, 43, 76, "mg", status="not-done")], NOT_APPLICABLE),
    ],
)
def test_without_an_administered_dose(records: list[Resource], expected: str) -> None:
    assert r31(records, draft(ELRA, 76, "mg")) == expected


# --- several drafts ---


@pytest.mark.parametrize(
    ("orders", "expected"),
    [
        row("step-up doses before the full one, each with its day", [(0.06, 0), (0.3, 3), (1.5, 7)], SATISFIED),
        row("without days", [(0.06, None), (0.3, None), (1.5, None)], SATISFIED),
        row("on one day", [(0.06, 0), (1.5, 0)], SATISFIED),
        row("it begins too high", [(0.3, 0), (1.5, 7)], FLAGGED),
        row("the full dose comes first", [(1.5, 0), (0.06, 7)], FLAGGED),
    ],
)
def test_the_first_of_several_drafts_is_judged(orders: list[tuple[float, int | None]], expected: str) -> None:
    drafts = [draft(TEC, value, on=None if day is None else on(day)) for value, day in orders]

    assert r31(every(7, TEC, 114, 1.5), *drafts) == expected


def test_one_draft_with_the_whole_step_up() -> None:
    steps = [
        {"timing": {"event": [on(day)]}, "doseAndRate": [{"doseQuantity": quantity(value, "mg/kg")}]}
        for value, day in ((0.06, 0), (0.3, 3), (1.5, 7))
    ]

    assert r31(every(7, TEC, 114, 1.5), draft(TEC, dosageInstruction=steps)) == SATISFIED
    assert r31(every(7, TEC, 114, 1.5), draft(TEC, dosageInstruction=steps[1:])) == FLAGGED


# --- combinations ---


DARA = "daratumumab"


@pytest.mark.parametrize(
    ("history", "orders", "days", "expected"),
    [
        row("ordered beside: no table was read", [], [draft(DARA)], 29, CANNOT_TELL),
        row("given since the course began", [given(DARA, days_ago(50))], [], 29, CANNOT_TELL),
        row("given with the first dose", [given(DARA, days_ago(57))], [], 29, CANNOT_TELL),
        row("ended before", [given(DARA, days_ago(58))], [], 29, FLAGGED),
        row("ordered before, the order still open", [ordered(DARA, days_ago(100))], [], 29, FLAGGED),
        row("ordered since", [ordered(DARA, days_ago(50))], [], 29, CANNOT_TELL),
        row("some day of the month in which it began", [given(DARA, "2026-09")], [], 29, CANNOT_TELL),
        row("without a date", [given(DARA, None)], [], 29, CANNOT_TELL),
        row("beside, within the week", [], [draft(DARA)], 7, SATISFIED),
        row("beside, a day later", [], [draft(DARA)], 8, CANNOT_TELL),
    ],
)
def test_teclistamab_with_daratumumab(
    history: list[Resource], orders: list[Resource], days: int, expected: str
) -> None:
    weekly = every(7, TEC, days, 1.5, count=5)

    assert r31([*weekly, *history], draft(TEC, 1.5), *orders) == expected


@pytest.mark.parametrize(
    ("apart", "days", "expected"),
    [
        row("every 2 weeks, on time", 14, 14, SATISFIED),
        row("every 2 weeks, late", 14, 15, CANNOT_TELL),
        row("every 4 weeks, on time", 28, 28, SATISFIED),
        row("every 4 weeks, late", 28, 29, CANNOT_TELL),
    ],
)
def test_with_daratumumab_at_a_dose_of_its_own(apart: int, days: int, expected: str) -> None:
    assert r31(every(apart, TEC, days, 3), draft(TEC, 3), draft(DARA)) == expected


# --- what it does not concern ---


@pytest.mark.parametrize(
    ("history", "order", "expected"),
    [
        row("the first dose ever", [], draft(TEC, 1.5), NOT_APPLICABLE),
        row("another bispecific was given", [dose(ELRA, 43, 76, "mg")], draft(TEC, 1.5), NOT_APPLICABLE),
        row("CAR T cells", [infusion(days_ago(200))], draft_infusion(), NOT_APPLICABLE),
        row("a drug of another class", [given("bortezomib", days_ago(100))], draft("bortezomib"), NOT_APPLICABLE),
        row("one without a label", [given("cevostamab", days_ago(100))], draft("cevostamab", 3, "mg"), NOT_APPLICABLE),
    ],
)
def test_what_it_does_not_concern(history: list[Resource], order: Resource, expected: str) -> None:
    assert r31(history, order) == expected


def test_opening_the_chart_asks_nothing() -> None:
    assert outcome(view(every(7, TEC, 57, 1.5)), "R31") == NOT_APPLICABLE


@pytest.mark.parametrize(
    ("history", "unread", "expected"),
    [
        row("administrations were not read", [], "medicationAdministrations", CANNOT_TELL),
        row(
            "orders were not read: a later dose may be missing",
            every(7, TEC, 57, 1.5),
            "medicationRequests",
            CANNOT_TELL,
        ),
        row("a dose of this week is enough", every(7, TEC, 3, 1.5), "medicationRequests", SATISFIED),
        row(
            "one of two weeks ago may have been with daratumumab",
            every(7, TEC, 14, 1.5),
            "medicationRequests",
            CANNOT_TELL,
        ),
        row("the weights were not read", [*every(7, TEC, 40, 120, "mg"), weighs(80, 1)], "observations", CANNOT_TELL),
        row("no weight is needed", every(7, TEC, 40, 1.5), "observations", FLAGGED),
    ],
)
def test_what_was_not_read(history: list[Resource], unread: str, expected: str) -> None:
    assert outcome(sign(history, draft(TEC, 1.5), without=[unread]), "R31") == expected


# --- the card ---


def test_a_full_dose_after_a_long_gap_is_critical() -> None:
    found = card(sign(every(7, TEC, 57, 1.5), draft(TEC, 1.5)), "R31")

    assert found["indicator"] == "critical"
    assert found["summary"] == (
        "Teclistamab: 57 d since last dose (2026-09-24). Label: resume at step-up dose 1; full dose ordered."
    )
    assert "full dose (1.5 mg/kg)" in text_of(found)
    assert "begins again at step-up dose 1 (0.06 mg/kg)" in text_of(found)
    assert "restarting after a dosage delay" in text_of(found)
    assert "2025-03-20" in text_of(found)
    assert drafts_in(found) == [
        "Please confirm the dose level at which treatment restarts after the gap, by the current label."
    ]
    assert moves_in(found) == []
    assert not found["suggestions"][0]["isRecommended"]


def test_too_high_a_step_up_dose_is_a_warning() -> None:
    found = card(select(every(7, TEC, 57, 1.5), draft(TEC, 0.3)), "R31")

    assert found["indicator"] == "warning"
    assert found["summary"].endswith(". Label: resume at step-up dose 1; 0.3 mg/kg ordered.")


def test_a_row_that_is_not_verified_is_information_with_the_address_of_the_label() -> None:
    found = card(sign([dose(ELRA, 43, 76, "mg")], draft(ELRA, 76, "mg")), "R31")

    assert found["indicator"] == "info"
    assert found["summary"] == (
        "Elranatamab: 43 d since last dose (2026-10-08); restart at step-up dose 2 by an unverified table."
    )
    assert "Check the current label before the dose (section 2.4, revised 2025-07)" in text_of(found)
    assert "dailymed.nlm.nih.gov" in text_of(found)


def test_vague_dates_name_every_level_that_the_label_may_ask_for() -> None:
    found = card(sign([dose(TEC, "2026-09", 1.5)], draft(TEC, 1.5, weeks=1)), "R31")

    assert found["indicator"] == "critical"
    assert "step-up dose 1 (0.06 mg/kg) or step-up dose 2 (0.3 mg/kg)" in text_of(found)
    assert found["summary"] == (
        "Teclistamab: 51 to 80 d since last dose (some day in September 2026). "
        "Label: resume at step-up dose 1 or 2; full dose ordered."
    )


def test_the_card_says_to_which_day_it_counts_and_by_which_weight() -> None:
    doses = every(7, TEC, 28, 120, "mg")
    found = text_of(card(sign([*doses, weighs(80, 10)], draft(TEC, 120, "mg", on=on(1))), "R31"))

    assert "The days are counted to the planned day, 2026-11-21" in found
    assert "Ordered: 1.5 mg/kg" in found
    assert f"Observation {days_ago(10)}" in found


def test_the_card_says_that_a_dose_was_only_reported() -> None:
    found = card(sign([reported(ELRA, days_ago(100), days_ago(43), **AMOUNT)], draft(ELRA, 76, "mg")), "R31")

    assert "No administered dose of elranatamab is on record" in text_of(found)


@pytest.mark.parametrize(
    ("history", "order", "words"),
    [
        row("no amount", [dose(TEC, 40)], draft(TEC, 1.5), "how much teclistamab the last dose was"),
        row(
            "no amount of the draft",
            every(7, TEC, 40, 1.5),
            draft(TEC),
            "how much teclistamab is ordered (after this gap the label begins again at step-up dose 2 (0.3 mg/kg))",
        ),
        row("no weight", every(7, TEC, 40, 120, "mg"), draft(TEC, 1.5), "a recent body weight"),
        row("no weight for the draft", every(7, TEC, 40, 1.5), draft(TEC, 120, "mg"), "a recent body weight"),
        row("no schedule", [dose(TEC, 40, 1.5)], draft(TEC, 1.5), "how often teclistamab was given before the gap"),
        row("no exact date", [dose(TEC, "2026-10", 1.5)], draft(TEC, 1.5, weeks=1), "an exact date of the last"),
        row("no table", [dose(TALQ, 15, 0.8)], draft(TALQ, 0.8), "Talvey (talquetamab): https://dailymed.nlm.nih.gov"),
        row("no administered dose", [ordered(TEC, days_ago(40))], draft(TEC, 1.5), "when teclistamab was given last"),
        row("a dose without a date", [given(TEC, None)], draft(TEC, 1.5), "the date of a dose of teclistamab"),
        row(
            "a weight that leaves the level open",
            [*every(7, TEC, 57, 1.5), lab(WEIGHT, 70, "kg", "2026-11"), lab(WEIGHT, 62, "kg", "2026-11")],
            draft(TEC, 4.8, "mg"),
            "which level the ordered dose of teclistamab is",
        ),
    ],
)
def test_the_data_gap_card_names_what_is_missing(history: list[Resource], order: Resource, words: str) -> None:
    answer = sign(history, order)

    assert "R31" not in codes_of(answer)
    assert words in text_of(card(answer, "R00"))


def test_a_row_that_has_expired_is_no_longer_verified() -> None:
    last_day, day_after = date(2027, 5, 20), date(2027, 5, 21)
    doses = [given(TEC, on(120 + days), dosage={"dose": quantity(1.5, "mg/kg")}) for days in (0, 7)]
    request = hook_request(Hook.ORDER_SIGN, chart(*doses), [draft(TEC, 1.5)])

    assert card(ask(request, today=last_day), "R31")["indicator"] == "critical"
    assert card(ask(request, today=day_after), "R31")["indicator"] == "info"


def test_a_card_names_the_source_of_its_own_rows() -> None:
    teclistamab = card(sign(every(7, TEC, 57, 1.5), draft(TEC, 1.5)), "R31")

    assert teclistamab["source"]["label"] == load().sources["E16"].label


def test_a_later_report_does_not_move_the_date_on_the_card() -> None:
    found = card(sign([*every(7, TEC, 40, 1.5), reported(TEC, days_ago(90), days_ago(35))], draft(TEC, 1.5)), "R31")

    assert "40 d since last dose" in found["summary"]

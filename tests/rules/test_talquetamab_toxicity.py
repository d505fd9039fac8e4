"""R44, as of a hospital that has switched it on: loss of weight on talquetamab.

At least 5 % below the weight before the first dose, from the second cycle (day 28) on; weights count for 30 days.
"Today" is 2026-11-20; the first dose was given 60 days before.
"""

from collections.abc import Iterable
from typing import Any

import pytest

from cards.finding import Hook
from tests.build import (
    Resource,
    ask_with,
    card,
    chart,
    draft_drug,
    given,
    hook_request,
    lab,
    ordered,
    outcome,
    reported,
)
from tests.rules.table import (
    CANNOT_TELL,
    FLAGGED,
    NOT_APPLICABLE,
    SATISFIED,
    codes_of,
    days_ago,
    row,
    sign,
    text_of,
)

WEIGHT = "29463-7"
FIRST_DOSE = given("talquetamab", days_ago(60))
BEFORE = days_ago(61)


def weight(value: float, on: str | None, unit: str = "kg", **more: Any) -> Resource:
    """Make a body weight."""
    return lab(WEIGHT, value, unit, on, **more)


def signed(history: Iterable[Resource], on: str | None = None, drug: str = "talquetamab", **raw: Any) -> Any:
    """Sign a dose, with the rule switched on."""
    return ask_with(["R44"], hook_request(Hook.ORDER_SIGN, chart(*history, **raw), [draft_drug(drug, on)]))


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        row("5 % less", 80.0, 76.0, FLAGGED),
        row("a little less than 5 %", 80.0, 76.1, SATISFIED),
        row("6 % less", 100.0, 94.0, FLAGGED),
        row("4 % less", 100.0, 96.0, SATISFIED),
        row("more than before", 80.0, 82.0, SATISFIED),
    ],
)
def test_how_much_was_lost(before: float, now: float, expected: str) -> None:
    assert outcome(signed([FIRST_DOSE, weight(before, BEFORE), weight(now, days_ago(2))]), "R44") == expected


@pytest.mark.parametrize(
    ("first", "planned", "expected"),
    [
        row("day 27: still the first cycle", days_ago(27), None, NOT_APPLICABLE),
        row("day 28", days_ago(28), None, FLAGGED),
        row("day 20, and the dose is planned for day 28", days_ago(20), days_ago(-8), FLAGGED),
        row("some day in October, days 20 to 50", "2026-10", None, CANNOT_TELL),
        row("without a date", None, None, CANNOT_TELL),
    ],
)
def test_from_the_second_cycle_on(first: str | None, planned: str | None, expected: str) -> None:
    history = [given("talquetamab", first), weight(80, days_ago(51)), weight(70, days_ago(1))]
    if first == days_ago(20):
        history[1] = weight(80, days_ago(21))

    assert outcome(signed(history, planned), "R44") == expected


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        row("on the day of the first dose", [weight(80, days_ago(60)), weight(75, days_ago(2))], FLAGGED),
        row("30 days before the first dose", [weight(80, days_ago(90)), weight(75, days_ago(2))], FLAGGED),
        row("31 days before it, and none until now", [weight(80, days_ago(91)), weight(75, days_ago(2))], CANNOT_TELL),
        row(
            "the later of two before it",
            [weight(80, days_ago(70)), weight(76, days_ago(61)), weight(75, days_ago(2))],
            SATISFIED,
        ),
        row(
            "the lower of two on one day", [weight(80, BEFORE), weight(76, BEFORE), weight(75, days_ago(2))], SATISFIED
        ),
        row(
            "none before: the first on treatment",
            [weight(80, days_ago(50)), weight(77, days_ago(30)), weight(75, days_ago(2))],
            FLAGGED,
        ),
        row("the latest is 30 days old", [weight(80, BEFORE), weight(75, days_ago(30))], FLAGGED),
        row("the latest is 31 days old", [weight(80, BEFORE), weight(75, days_ago(31))], CANNOT_TELL),
        row("none on treatment", [weight(80, BEFORE)], CANNOT_TELL),
        row("none at all", [], CANNOT_TELL),
        row("the latest without a date", [weight(80, BEFORE), weight(75, None)], CANNOT_TELL),
        row("some day this month", [weight(80, BEFORE), weight(75, "2026-11")], FLAGGED),
        row("in pounds", [weight(176, BEFORE, "[lb_av]"), weight(165, days_ago(2), "[lb_av]")], FLAGGED),
        row(
            "pounds before, kilograms now: no loss",
            [weight(176, BEFORE, "[lb_av]"), weight(80, days_ago(2))],
            SATISFIED,
        ),
        row("unknown unit", [weight(80, BEFORE), weight(75, days_ago(2), "stone-ish")], CANNOT_TELL),
        row("unknown unit before", [weight(80, BEFORE, "stone-ish"), weight(75, days_ago(2))], CANNOT_TELL),
        row("entered in error", [weight(80, BEFORE), weight(75, days_ago(2), status="entered-in-error")], CANNOT_TELL),
        row("preliminary", [weight(80, BEFORE), weight(75, days_ago(2), status="preliminary")], CANNOT_TELL),
    ],
)
def test_which_weights_count(weights: list[Resource], expected: str) -> None:
    assert outcome(signed([FIRST_DOSE, *weights]), "R44") == expected


@pytest.mark.parametrize(
    ("history", "drug", "expected"),
    [
        row("talquetamab, reported", [reported("talquetamab", days_ago(60), days_ago(7))], "talquetamab", FLAGGED),
        row("talquetamab, only ordered", [ordered("talquetamab", days_ago(60))], "talquetamab", NOT_APPLICABLE),
        row("not given", [given("talquetamab", days_ago(60), "not-done")], "talquetamab", NOT_APPLICABLE),
        row("a first dose", [], "talquetamab", NOT_APPLICABLE),
        row("another bispecific antibody", [given("teclistamab", days_ago(60))], "teclistamab", NOT_APPLICABLE),
    ],
)
def test_whom_it_concerns(history: list[Resource], drug: str, expected: str) -> None:
    assessment = signed([*history, weight(80, BEFORE), weight(70, days_ago(2))], drug=drug)

    assert outcome(assessment, "R44") == expected


def test_as_shipped_nothing_is_said() -> None:
    history = [FIRST_DOSE, weight(80, BEFORE), weight(70, days_ago(2))]

    assert "R44" not in codes_of(sign(history, draft_drug("talquetamab")))


def test_unread_medication_is_no_word_of_a_first_cycle() -> None:
    assert outcome(signed([], without=["medicationAdministrations"]), "R44") == CANNOT_TELL


def test_the_card() -> None:
    shown = card(signed([FIRST_DOSE, weight(80, BEFORE), weight(72, days_ago(2))]), "R44")

    assert shown["indicator"] == "info"
    assert shown["summary"] == (
        "Weight down 10.0 % in 59 d on talquetamab (80 to 72 kg): check mouth, taste, nutrition and dose interval."
    )
    assert "80 kg on 2026-09-20" in text_of(shown)
    assert "suggestions" not in shown

"""A dose whose date is missing or cannot be used may be the latest: no older one explains it away."""

from typing import Any

import pytest

from cards.finding import Hook
from fhir_mapping.model.vocabulary import Tier
from tests.build import (
    Resource,
    ask,
    chart,
    draft_collection,
    draft_drug,
    given,
    hook_request,
    infusion,
    ordered,
    outcome,
    progression,
    reported,
)
from tests.mapping.reading import read

LOST = [None, "soon", "2027-01-05", "10/20/2026"]


def answer(rule: str, *records: Resource, order: Resource | None = None) -> str:
    hook = Hook.ORDER_SIGN if order else Hook.PATIENT_VIEW
    return outcome(ask(hook_request(hook, chart(*records), [order] if order else [])), rule)


@pytest.mark.parametrize("day", LOST)
def test_an_older_dose_says_nothing_of_one_whose_date_is_lost(day: Any) -> None:
    old, lost = given("teclistamab", "2025-11-08"), given("teclistamab", day)
    assert answer("R01", old, order=draft_collection()) == "satisfied"
    assert answer("R01", old, lost, order=draft_collection()) == "cannot_tell"
    assert answer("R01", lost, order=draft_collection()) == "cannot_tell"


@pytest.mark.parametrize("day", LOST)
def test_an_older_infusion_says_nothing_of_one_whose_date_is_lost(day: Any) -> None:
    assert answer("R15", infusion("2022-01-01")) == "satisfied"
    assert answer("R15", infusion("2022-01-01"), infusion(day)) == "cannot_tell"


def test_an_antigen_switch_is_open_where_the_latest_dose_may_be_of_any_day() -> None:
    chart_of = (given("teclistamab", "2024-01-01"), given("teclistamab", None), progression("2026-10-20"))
    assert answer("R05", *chart_of, order=draft_drug("elranatamab")) == "cannot_tell"


@pytest.mark.parametrize(
    ("statement", "courses", "why"),
    [
        (reported("teclistamab"), 1, "history that names no date: the dated doses explain it"),
        (reported("teclistamab", "2026-03-01", "2026-02-01"), 2, "a period that runs backwards dates nothing"),
        (reported("teclistamab", "soon"), 2, "a start that is no date"),
    ],
)
def test_only_history_without_any_date_is_explained_by_dated_doses(statement: Resource, courses: int, why: str) -> None:
    assert len(read(given("teclistamab", "2025-11-08"), statement).courses) == courses, why


def test_a_statement_whose_dates_are_lost_is_reported_all_the_same() -> None:
    (course,) = read(reported("teclistamab", "soon")).courses
    assert (course.last_dose, course.tier) == (None, Tier.REPORTED)


# --- Orders: how long they may have been followed ---


def dosage(start: str | None = None, end: str | None = None, **timing: Any) -> Resource:
    bounds = {key: value for key, value in (("start", start), ("end", end)) if value}
    return {"timing": {"repeat": {"boundsPeriod": bounds}} | timing} if bounds else {"timing": timing} if timing else {}


@pytest.mark.parametrize(
    ("dosages", "last", "why"),
    [
        ([dosage("2026-01-05", "2026-01-12")], "2026-01-12", "one dosage with an end"),
        ([dosage("2026-01-05", "2026-01-12"), dosage("2026-01-12", "2027-01-12")], "2026-11-20", "step-up, then full"),
        ([dosage("2026-01-05", "2026-01-12"), dosage("2026-01-12")], "2026-11-20", "the second one is open"),
        ([dosage("2026-01-05", "2026-01-12"), {"text": "weekly"}], "2026-11-20", "the second one names no end"),
        ([], "2026-11-20", "no dosage at all"),
    ],
)
def test_an_order_may_have_been_followed_as_long_as_any_of_its_dosages_lasts(
    dosages: list[Resource], last: str, why: str
) -> None:
    (course,) = read(ordered("teclistamab", "2026-01-05", dosageInstruction=dosages)).courses
    assert course.last_dose is not None
    assert course.last_dose.latest.isoformat() == last, why


def test_an_order_of_which_one_dosage_has_begun_is_no_plan() -> None:
    begun = [dosage(event=["2026-11-10"]), dosage("2026-12-01")]
    assert read(ordered("teclistamab", "2026-11-09", dosageInstruction=begun)).courses
    assert not read(ordered("teclistamab", "2026-11-09", dosageInstruction=[dosage("2026-12-01")])).courses


@pytest.mark.parametrize(
    "order",
    [
        ordered("acyclovir", "2026-10-01", dosageInstruction=[{"timing": {"repeat": {"boundsDuration": bounds}}}])
        for bounds in (
            {"value": 1e308, "unit": "a"},
            {"value": -1e12, "unit": "d"},
            {"value": 1e-300, "unit": "mo"},
            {"value": 36_600, "unit": "a"},
        )
    ]
    + [
        ordered("acyclovir", "9999-12-31", dosageInstruction=[{"timing": {"repeat": {"boundsDuration": {"value": 9}}}}])
    ],
)
def test_a_duration_of_any_size_is_read_or_refused(order: Resource) -> None:
    assert len(read(order).supportive_care) == 1

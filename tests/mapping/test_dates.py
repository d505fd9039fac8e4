"""Dates of a chart are intervals of days, and every question about them has three answers."""

from datetime import date
from zoneinfo import ZoneInfo

import pytest

from fhir_mapping.model.dates import Answer, ClinicalDate, Days, earliest_of, latest_of, parse
from tests.mapping.reading import ZONE, span

YES, NO, UNKNOWN = Answer.YES, Answer.NO, Answer.UNKNOWN


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        pytest.param("2026", span("2026-01-01", "2026-12-31"), id="a year is all its days"),
        pytest.param("2026-02", span("2026-02-01", "2026-02-28"), id="a month is all its days"),
        pytest.param("2024-02", span("2024-02-01", "2024-02-29"), id="February of a leap year"),
        pytest.param("2026-12", span("2026-12-01", "2026-12-31"), id="December ends the year"),
        pytest.param("1900", span("1900-01-01", "1900-12-31"), id="the earliest year that is believed"),
        pytest.param("2026-04-17", span("2026-04-17"), id="a day"),
        pytest.param("2026-04-17T23:50:00Z", span("2026-04-17"), id="23:50 UTC is the same day in New York"),
        pytest.param("2026-04-18T03:50:00Z", span("2026-04-17"), id="early morning in UTC is the evening before"),
        pytest.param("2026-04-18T04:00:00Z", span("2026-04-18"), id="midnight in New York starts the day"),
        pytest.param("2026-01-18T04:30:00Z", span("2026-01-17"), id="in winter midnight comes an hour later"),
        pytest.param("2026-04-17T23:50:00-04:00", span("2026-04-17"), id="a local time"),
        pytest.param("2026-04-17T08:00:00+09:00", span("2026-04-16"), id="a morning in Tokyo"),
        pytest.param("2026-04-17T23:50:00.1234567Z", span("2026-04-17"), id="seven digits of a second"),
        pytest.param(
            "2026-04-17T00:00:00Z", span("2026-04-16", "2026-04-17"), id="midnight UTC may mean the day alone"
        ),
        pytest.param("2026-04-17T00:00:00.000+00:00", span("2026-04-16", "2026-04-17"), id="midnight UTC as offset"),
        pytest.param("2026-04-17T00:00:01Z", span("2026-04-16"), id="a second past midnight UTC was measured"),
        pytest.param("2026-04-17T00:00:00-04:00", span("2026-04-17"), id="local midnight is no doubt"),
        pytest.param("2026-04-17T23:50:00", span("2026-04-17"), id="without zone: the sender's wall clock"),
        pytest.param("2026-04-17T00:00:00", span("2026-04-17"), id="midnight without zone"),
    ],
)
def test_a_date_stands_for_every_day_that_it_may_mean(text: str, meant: ClinicalDate) -> None:
    assert parse(text, ZONE) == meant


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "yesterday",
        "n/a",
        "2026-13",
        "2026-00",
        "2021-13-01",
        "2026-02-29",
        "2026-04-31",
        "0001",
        "0001-01-01",
        "1899-12-31",
        "0001-01-01T00:00:00Z",
        "0000",
        "26-04-17",
        "17.04.2026",
        "04/17/2026",
        "2026-4-7",
        "2026-",
        "2026-04-",
        "2026-04-17 approx.",
        "2026 (about)",
        "2026\n",
        " 2026-04-17",
        "2026-04-17T",
        "2026-04-17T25:00:00Z",
        "2026-04-17T10:00:00+99:00",
        "99999-01-01",
        "9999-12-31T23:59:59-23:59",
        "20260417",
    ],
)
def test_what_is_no_date_is_not_guessed(text: str) -> None:
    assert parse(text, ZONE) is None


def test_the_hospital_east_of_greenwich_sees_midnight_utc_on_the_written_day() -> None:
    assert parse("2026-04-17T00:00:00Z", ZoneInfo("Asia/Tokyo")) == span("2026-04-17")


@pytest.mark.parametrize(
    ("first", "second", "before"),
    [
        pytest.param(span("2026-01-01"), span("2026-01-02"), YES, id="the day before"),
        pytest.param(span("2026-01-01"), span("2026-01-01"), NO, id="the same day"),
        pytest.param(span("2026-01-02"), span("2026-01-01"), NO, id="the day after"),
        pytest.param(span("2026-01-01", "2026-01-31"), span("2026-02-01"), YES, id="a month, then a day"),
        pytest.param(span("2026-01-01", "2026-01-31"), span("2026-01-31"), UNKNOWN, id="a month and its last day"),
        pytest.param(span("2026-01-01", "2026-01-31"), span("2026-01-01"), NO, id="a month and its first day"),
        pytest.param(span("2026-01-01", "2026-01-31"), span("2026-01-15"), UNKNOWN, id="a day within the month"),
        pytest.param(span("2026-01-01", "2026-01-31"), span("2026-01-31", "2026-02-28"), UNKNOWN, id="one day shared"),
    ],
)
def test_order_is_known_only_when_the_intervals_tell(first: ClinicalDate, second: ClinicalDate, before: Answer) -> None:
    assert first.is_before(second) is before
    assert second.is_after(first) is before


@pytest.mark.parametrize(
    ("days", "limit", "less", "at_most"),
    [
        pytest.param(Days(182, 182), 183, YES, YES, id="one day short"),
        pytest.param(Days(183, 183), 183, NO, YES, id="the limit itself"),
        pytest.param(Days(184, 184), 183, NO, NO, id="one day over"),
        pytest.param(Days(170, 182), 183, YES, YES, id="an interval that ends short of it"),
        pytest.param(Days(170, 183), 183, UNKNOWN, YES, id="an interval that ends on it"),
        pytest.param(Days(170, 184), 183, UNKNOWN, UNKNOWN, id="an interval across it"),
        pytest.param(Days(183, 184), 183, NO, UNKNOWN, id="an interval that starts on it"),
        pytest.param(Days(-5, -5), 0, YES, YES, id="the later event came first"),
    ],
)
def test_a_limit_in_days_is_judged_to_the_day(days: Days, limit: int, less: Answer, at_most: Answer) -> None:
    assert days.less_than(limit) is less
    assert days.at_most(limit) is at_most


def test_days_between_intervals_run_from_nearest_to_farthest() -> None:
    month, day = span("2026-01-01", "2026-01-31"), span("2026-02-10")
    assert month.days_until(day) == Days(10, 40)
    assert day.days_until(month) == Days(-40, -10)
    assert span("2026-05-21").days_until(span("2026-11-20")) == Days(183, 183)


def test_an_answer_is_never_taken_for_true_or_false() -> None:
    for answer in Answer:
        with pytest.raises(TypeError, match="compare an Answer"):
            bool(answer)


def test_an_interval_cannot_run_backwards() -> None:
    with pytest.raises(ValueError, match="end before it starts"):
        span("2026-02-01", "2026-01-31")


def test_what_lies_after_today_is_cut_off() -> None:
    today = date(2026, 11, 20)
    assert span("2026-11-01", "2026-11-30").capped(today) == span("2026-11-01", "2026-11-20")
    assert span("2026-11-20").capped(today) == span("2026-11-20")
    assert span("2026-11-21", "2026-11-30").capped(today) is None


def test_the_last_of_several_events_is_as_vague_as_it_must_be() -> None:
    year, day = span("2026-01-01", "2026-12-31"), span("2026-06-15")
    assert latest_of([year, day]) == span("2026-06-15", "2026-12-31")
    assert earliest_of([year, day]) == span("2026-01-01", "2026-06-15")
    assert latest_of([]) is None
    assert earliest_of([]) is None


def test_dates_and_numbers_of_days_are_written_plainly() -> None:
    assert str(span("2026-04-17")) == "2026-04-17"
    assert str(span("2026-04-01", "2026-04-30")) == "some day in April 2026"
    assert str(span("2024-02-01", "2024-02-29")) == "some day in February 2024"
    assert str(span("2025-02-01", "2025-02-27")) == "some day between 2025-02-01 and 2025-02-27"
    assert str(span("2026-12-01", "2026-12-31")) == "some day in December 2026"
    assert str(span("2026-01-01", "2026-12-31")) == "some day in 2026"
    assert str(span("2026-01-01", "2026-12-30")) == "some day between 2026-01-01 and 2026-12-30"
    assert str(span("2025-12-02", "2026-01-01")) == "some day between 2025-12-02 and 2026-01-01"
    assert str(span("2026-04-16", "2026-04-17")) == "2026-04-16 or 2026-04-17"
    assert str(span("2026-04-15", "2026-04-17")) == "some day between 2026-04-15 and 2026-04-17"
    assert str(Days(182, 182)) == "182"
    assert str(Days(143, 172)) == "143 to 172"
    assert str(span("2026-04-01", "2026-04-30").plus(30)) == "some day between 2026-05-01 and 2026-05-30"

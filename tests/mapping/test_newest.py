"""Records that were asked for newest first, and how far back they reach."""

import json
from datetime import date
from typing import Any

import pytest

from fhir_mapping.newest import reach_back
from fhir_mapping.piles import decode_pile
from tests.build import Resource, bundle, given, lab

DAY = date(2026, 11, 17)


def temperature(on: str | None, **more: Any) -> Resource:
    return lab("8310-5", 36.6, "Cel", on, **more)


def undated(**more: Any) -> Resource:
    return temperature(None, **more)


def reaching(*resources: Resource) -> bool:
    pile = decode_pile(json.dumps(bundle(resources)).encode())
    assert pile is not None
    return reach_back(pile.found, DAY)


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        pytest.param(["2026-11-21", "2026-11-19", "2026-11-16"], True, id="newest first, the last is older"),
        pytest.param(["2026-11-21", "2026-11-19", "2026-11-17"], False, id="the last is of the day itself"),
        pytest.param(["2026-11-21", "2026-11-21", "2026-11-16"], True, id="two of one day"),
        pytest.param(["2026-11-16"], True, id="one older record alone"),
        pytest.param(["2026-11-16", "2026-11-19", "2026-11-21"], False, id="oldest first"),
        pytest.param(["2026-11-21", "2026-11-15", "2026-11-18", "2026-11-12"], False, id="in no order"),
        pytest.param(["2026-11-21", "2026-10"], False, id="one of some day in a month"),
        pytest.param(["2026-11-21", None, "2026-11-12"], False, id="one without a day"),
        pytest.param(["2026-11-21T23:10:00-05:00", "2026-11-16T04:00:00Z"], True, id="with times"),
        pytest.param([], False, id="none at all"),
    ],
)
def test_records_reach_back_when_they_come_newest_first_and_the_last_is_older(
    days: list[str | None], expected: bool
) -> None:
    assert reaching(*map(temperature, days)) is expected


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        pytest.param({"effectiveInstant": "2026-11-16T08:00:00Z"}, True, id="an instant"),
        pytest.param(
            {"effectivePeriod": {"start": "2026-11-16", "end": "2026-11-20"}}, True, id="a period, by its start"
        ),
        pytest.param({"effectivePeriod": {"end": "2026-11-16"}}, False, id="a period without a start"),
        pytest.param({"issued": "2026-11-16T08:00:00Z"}, False, id="only the day of the report"),
    ],
)
def test_the_day_of_a_record(when: dict[str, object], expected: bool) -> None:
    assert reaching(undated(**when)) is expected


def test_what_is_no_observation_does_not_count() -> None:
    assert reaching(temperature("2026-11-16"), given("teclistamab", "2026-11-20"))
    assert not reaching(given("teclistamab", "2026-11-01"))

"""R32: a bispecific antibody that its label lets be given less often. R33: after a long complete response (off).

"Today" is 2026-11-20, on which the next dose is signed.
"""

import json
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from cards.finding import Hook
from cards.knowledge.loader import load
from cards.knowledge.own import with_rules_on
from cds_service.assess import Assessment, Assessor, assess
from tests.build import (
    SNOMED,
    Resource,
    assessor,
    card,
    chart,
    coded,
    draft_drug,
    given,
    hook_request,
    outcome,
    progression,
    reported,
)
from tests.rules.table import (
    CANNOT_TELL,
    FLAGGED,
    NOT_APPLICABLE,
    SATISFIED,
    codes_besides_care,
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
from tests.rules.test_restart import ELRA, LINVO, TALQ, TEC, dose, draft

FULL, PARTIAL, STABLE, IMPROVED = "103338009", "103337004", "359746009", "268910001"


def status(answer: str, on: str | int | None, **more: Any) -> Resource:
    """Make a statement of how the disease stands, on a day or so many days ago."""
    day = days_ago(on) if isinstance(on, int) else on
    return progression(day, **({"valueCodeableConcept": coded(SNOMED, answer)} | more))


def course(name: str, since: int, apart: int, value: float, unit: str) -> list[Resource]:
    """Make the doses of a course, the last of them one interval ago."""
    return [dose(name, days, value, unit) for days in range(apart, since + 1, apart)] + [dose(name, since, value, unit)]


def r32(history: list[Resource], order: Resource) -> str:
    """Sign a draft and give R32's outcome."""
    return outcome(sign(history, order), "R32")


# --- R32, teclistamab: a complete response for 6 months ---


@pytest.mark.parametrize(
    ("answer", "since", "expected"),
    [
        row("complete for 183 days", FULL, 183, FLAGGED),
        row("complete for 182 days", FULL, 182, SATISFIED),
        row("some day in April, more than 200 days", FULL, "2026-04", FLAGGED),
        row("some day in May, 173 to 203 days", FULL, "2026-05", CANNOT_TELL),
        row("some day in June, less than 173 days", FULL, "2026-06", SATISFIED),
        row("partial", PARTIAL, 183, CANNOT_TELL),
        row("improved: of unknown depth", IMPROVED, 183, CANNOT_TELL),
        row("stable", STABLE, 183, CANNOT_TELL),
        row("without a date", FULL, None, CANNOT_TELL),
        row("before the drug was begun", FULL, 301, CANNOT_TELL),
        row("on the day on which it was begun", FULL, 300, FLAGGED),
    ],
)
def test_teclistamab_after_a_complete_response(answer: str, since: int | str | None, expected: str) -> None:
    history = [*course(TEC, 300, 7, 1.5, "mg/kg"), status(answer, since)]

    assert r32(history, draft(TEC, 1.5, weeks=1)) == expected


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        row("stated again", status(FULL, 20), FLAGGED),
        row("improved since", status(IMPROVED, 20), FLAGGED),
        row("partial since: the complete response is lost", status(PARTIAL, 20), CANNOT_TELL),
        row("stable since", status(STABLE, 20), CANNOT_TELL),
        row("progression since", progression(days_ago(20)), CANNOT_TELL),
        row("progression before", progression(days_ago(290)), FLAGGED),
        row("progression without a date", progression(None), CANNOT_TELL),
        row("entered in error", progression(days_ago(20), "entered-in-error"), FLAGGED),
        row("preliminary", progression(days_ago(20), "preliminary"), FLAGGED),
    ],
)
def test_a_response_has_to_last(later: Resource, expected: str) -> None:
    history = [*course(TEC, 300, 7, 1.5, "mg/kg"), status(FULL, 200), later]

    assert r32(history, draft(TEC, 1.5, weeks=1)) == expected


@pytest.mark.parametrize(
    ("apart", "weeks", "expected"),
    [
        row("ordered weekly", 14, 1, FLAGGED),
        row("ordered every 2 weeks: as the label allows", 7, 2, SATISFIED),
        row("ordered every 4 weeks", 7, 4, SATISFIED),
        row("given weekly, and the order says nothing", 7, None, FLAGGED),
        row("given every 2 weeks, and the order says nothing", 14, None, SATISFIED),
        row("given every 6 weeks, and the order says nothing", 42, None, CANNOT_TELL),
    ],
)
def test_how_often_it_is_given(apart: int, weeks: int | None, expected: str) -> None:
    history = [*course(TEC, 294, apart, 1.5, "mg/kg"), status(FULL, 200)]

    assert r32(history, draft(TEC, 1.5, weeks=weeks)) == expected


# --- R32, elranatamab: 24 weeks and a partial response for 2 months; then every 4 weeks ---


@pytest.mark.parametrize(
    ("since", "response", "expected"),
    [
        row("168 days and 62 days of response", 168, 62, FLAGGED),
        row("167 days", 167, 62, SATISFIED),
        row("61 days of response", 168, 61, SATISFIED),
    ],
)
def test_elranatamab_every_2_weeks(since: int, response: int, expected: str) -> None:
    history = [*course(ELRA, since, 7, 76, "mg"), status(PARTIAL, response)]

    assert r32(history, draft(ELRA, 76, "mg", weeks=1)) == expected


def test_a_complete_response_is_a_partial_one_as_well() -> None:
    history = [*course(ELRA, 168, 7, 76, "mg"), status(PARTIAL, 62), status(FULL, 10)]

    assert r32(history, draft(ELRA, 76, "mg", weeks=1)) == FLAGGED


@pytest.mark.parametrize(
    ("weekly_until", "weeks", "expected"),
    [
        row("24 weeks of doses every 2 weeks", 168, 2, FLAGGED),
        row("2 weeks less", 154, 2, SATISFIED),
        row("weekly again: every 2 weeks is what the label allows", 154, 1, FLAGGED),
        row("every 4 weeks already", 168, 4, SATISFIED),
    ],
)
def test_elranatamab_every_4_weeks(weekly_until: int, weeks: int, expected: str) -> None:
    every_2_weeks = [dose(ELRA, days, 76, "mg") for days in range(14, weekly_until + 1, 14)]
    weekly = [dose(ELRA, days, 76, "mg") for days in range(weekly_until + 7, 360, 7)]

    assert r32([*every_2_weeks, *weekly, status(PARTIAL, 100)], draft(ELRA, 76, "mg", weeks=weeks)) == expected


def test_the_days_between_doses_are_not_known_of_vague_ones() -> None:
    history = [given(ELRA, "2026-04"), given(ELRA, "2026-11"), status(PARTIAL, 100)]

    assert r32(history, draft(ELRA, 76, "mg", weeks=2)) == CANNOT_TELL


# --- R32, linvoseltamab: week 24, a very good partial response, 17 full doses ---


@pytest.mark.parametrize(
    ("doses", "since", "response", "expected"),
    [
        row("17 doses, complete response at week 24", 17, 200, 32, FLAGGED),
        row("16 doses", 16, 200, 32, SATISFIED),
        row("a response before week 24 alone", 17, 200, 33, SATISFIED),
        row("a response of some day of this month, past week 24", 17, 200, "2026-11", FLAGGED),
        row("or of last month, before and past it", 17, 200, "2026-10", CANNOT_TELL),
    ],
)
def test_linvoseltamab_every_4_weeks(doses: int, since: int, response: int | str, expected: str) -> None:
    first = dose(LINVO, since, 5, "mg")
    full = [dose(LINVO, 8 + number * 11, 200, "mg") for number in range(doses)]

    assert r32([first, *full, status(FULL, response)], draft(LINVO, 200, "mg", weeks=2)) == expected


def test_doses_without_an_amount_may_be_full_ones() -> None:
    full = [dose(LINVO, 8 + number * 11) for number in range(17)]

    assert r32([dose(LINVO, 200), *full, status(FULL, 20)], draft(LINVO, 200, "mg", weeks=2)) == CANNOT_TELL


# --- what R32 does not concern ---


@pytest.mark.parametrize(
    ("history", "order", "expected"),
    [
        row("the first dose ever", [status(FULL, 200)], draft(TEC, 1.5, weeks=1), NOT_APPLICABLE),
        row(
            "42 days since the last dose",
            [*(dose(TEC, days) for days in (250, 150, 42)), status(FULL, 200)],
            draft(TEC, weeks=1),
            FLAGGED,
        ),
        row(
            "43 days: no treatment that goes on",
            [*(dose(TEC, days) for days in (250, 150, 43)), status(FULL, 200)],
            draft(TEC, weeks=1),
            NOT_APPLICABLE,
        ),
        row(
            "its label has no longer interval",
            [*course(TALQ, 294, 7, 0.4, "mg/kg"), status(FULL, 200)],
            draft(TALQ, weeks=1),
            NOT_APPLICABLE,
        ),
        row("a drug of another class", [given("bortezomib", days_ago(7))], draft_drug("bortezomib"), NOT_APPLICABLE),
        row("only ordered", [status(FULL, 200)], draft(TEC, weeks=1), NOT_APPLICABLE),
        row(
            "reported, and going on",
            [reported(TEC, days_ago(250), status="active", asserted=days_ago(1)), status(FULL, 200)],
            draft(TEC, weeks=1),
            FLAGGED,
        ),
        row("no first date", [given(TEC, None), status(FULL, 200)], draft(TEC, weeks=1), NOT_APPLICABLE),
    ],
)
def test_what_r32_does_not_concern(history: list[Resource], order: Resource, expected: str) -> None:
    assert r32(history, order) == expected


def test_r32_waits_for_the_signature() -> None:
    history = [*course(TEC, 294, 7, 1.5, "mg/kg"), status(FULL, 200)]

    assert outcome(select(history, draft(TEC, 1.5)), "R32") == NOT_APPLICABLE
    assert outcome(view(history), "R32") == NOT_APPLICABLE


def test_r32_is_silent_about_what_it_cannot_tell() -> None:
    answer = sign(course(TEC, 294, 7, 1.5, "mg/kg"), draft(TEC, 1.5, weeks=1))

    assert outcome(answer, "R32") == CANNOT_TELL
    assert codes_besides_care(answer) == []


def test_r32_does_not_rest_on_observations_that_were_not_read() -> None:
    history = [*course(TEC, 294, 7, 1.5, "mg/kg"), status(FULL, 200)]

    assert outcome(sign(history, draft(TEC, 1.5, weeks=1), without=["conditions"]), "R32") == CANNOT_TELL


def test_the_card_names_week_interval_and_label_and_changes_nothing() -> None:
    found = card(sign([*course(TEC, 294, 7, 1.5, "mg/kg"), status(FULL, 200)], draft(TEC, 1.5, weeks=1)), "R32")

    assert found["indicator"] == "info"
    assert found["summary"] == (
        "Teclistamab, week 42: the label allows a dose every 2 weeks while the response is maintained."
    )
    assert "given every week" in text_of(found)
    assert "a complete response or better for at least 6 months" in text_of(found)
    assert "2025-12-12" in text_of(found)
    assert drafts_in(found) == moves_in(found) == []


# --- R33 ---


@cache
def _switched_on() -> Assessor:
    return replace(assessor(), knowledge=with_rules_on(load(), ["R33"]))


def where_it_is_on(history: Iterable[Resource], order: Resource) -> Assessment:
    """Sign an order at a hospital that has switched R33 on."""
    request = hook_request(Hook.ORDER_SIGN, chart(*history), [order])
    return assess(json.dumps(request).encode(), Hook.ORDER_SIGN, _switched_on())


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        row("complete for 274 days", status(FULL, 274), FLAGGED),
        row("complete for 273 days", status(FULL, 273), SATISFIED),
        row("some day in February, more than 265 days", status(FULL, "2026-02"), CANNOT_TELL),
        row("some day in January", status(FULL, "2026-01"), FLAGGED),
        row("partial", status(PARTIAL, 274), NOT_APPLICABLE),
        row("no word of it", status(IMPROVED, 274), NOT_APPLICABLE),
    ],
)
def test_a_long_complete_response(response: Resource, expected: str) -> None:
    answer = where_it_is_on([*course(TEC, 350, 7, 1.5, "mg/kg"), response], draft(TEC, 1.5, weeks=4))

    assert outcome(answer, "R33") == expected


@pytest.mark.parametrize(
    ("history", "order", "expected"),
    [
        row("lost since", [*course(TEC, 350, 7, 1.5, "mg/kg"), progression(days_ago(9))], draft(TEC), NOT_APPLICABLE),
        row("no treatment that goes on", [dose(TEC, days) for days in (350, 250, 150, 43)], draft(TEC), NOT_APPLICABLE),
        row("the first dose", [], draft(TEC), NOT_APPLICABLE),
        row(
            "a drug without a label",
            [given("cevostamab", days_ago(days)) for days in (300, 200, 110, 20)],
            draft("cevostamab"),
            FLAGGED,
        ),
        row("another class", [given("bortezomib", days_ago(350))], draft("bortezomib"), NOT_APPLICABLE),
    ],
)
def test_what_r33_does_not_concern(history: list[Resource], order: Resource, expected: str) -> None:
    assert outcome(where_it_is_on([*history, status(FULL, 280)], order), "R33") == expected


def test_r33_is_off_unless_a_site_asks_for_it() -> None:
    history = [*course(TEC, 350, 7, 1.5, "mg/kg"), status(FULL, 280)]

    assert "R33" not in codes_of(sign(history, draft(TEC, 1.5, weeks=4)))


def test_r33_never_offers_to_stop() -> None:
    history = [*course(TEC, 350, 7, 1.5, "mg/kg"), status(FULL, 280)]
    found = card(where_it_is_on(history, draft(TEC, 1.5, weeks=4)), "R33")

    assert found["indicator"] == "info"
    assert found["summary"] == (
        "Teclistamab: complete response for 280 d; discuss finite treatment (trial data; label: until progression)."
    )
    assert "suggestions" not in found or found["suggestions"] == []


@pytest.mark.parametrize(
    ("first", "response", "expected"),
    [
        row("168 days every 2 weeks, 62 days of response", 168, 62, FLAGGED),
        row("161 days every 2 weeks", 161, 62, SATISFIED),
        row("61 days of response", 168, 61, SATISFIED),
    ],
)
def test_elranatamab_every_4_weeks_on_both_sides(first: int, response: int, expected: str) -> None:
    doses = [dose(ELRA, days, 76, "mg") for days in range(first, 0, -14)]

    assert r32([*doses, status(PARTIAL, response)], draft(ELRA, 76, "mg", weeks=2)) == expected

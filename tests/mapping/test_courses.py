"""From single records to courses of a drug, CAR T infusions and progression events."""

from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest

from fhir_mapping.catalog.loader import load
from fhir_mapping.courses import continues
from fhir_mapping.events import infusions
from fhir_mapping.model.dates import Answer, ClinicalDate
from fhir_mapping.model.treatment import EndReason
from fhir_mapping.model.vocabulary import Certainty, Tier
from tests.build import AS_OF, Resource, condition, given, infusion, ordered, procedure, progression, relapse, reported
from tests.mapping.reading import read, span

TODAY = AS_OF.isoformat()


def days_before_today(days: int) -> str:
    return (AS_OF - timedelta(days)).isoformat()


# --- Courses ---


@pytest.mark.parametrize(("apart", "courses"), [(1, 1), (112, 1), (113, 2), (114, 2)])
def test_doses_fewer_than_113_days_apart_are_one_course(apart: int, courses: int) -> None:
    first, second = days_before_today(200), days_before_today(200 - apart)
    assert len(read(given("teclistamab", first), given("teclistamab", second)).courses) == courses


def test_a_long_record_bridges_the_doses_around_it() -> None:
    history = read(
        given("teclistamab", "2025-01-10"),
        reported("teclistamab", "2025-02-01", "2025-12-01"),
        given("teclistamab", "2026-03-01"),
    )
    (course,) = history.courses
    assert (course.first_dose, course.last_dose) == (span("2025-01-10"), span("2026-03-01"))


def test_a_course_is_as_strong_as_its_strongest_record_and_names_the_one_of_its_last_dose_first() -> None:
    history = read(
        given("teclistamab", "2026-01-10", id="early"),
        reported("teclistamab", "2026-01-10", "2026-03-05", id="late"),
    )
    (course,) = history.courses
    assert course.tier is Tier.PROVEN
    assert [source.reference for source in course.sources] == [
        "MedicationStatement/late",
        "MedicationAdministration/early",
    ]


def test_a_weaker_record_never_moves_the_last_dose_earlier() -> None:
    history = read(given("teclistamab", "2026-03-05"), reported("teclistamab", "2026-01-10", "2026-02-01"))
    assert history.courses[0].last_dose == span("2026-03-05")


def test_different_drugs_are_different_courses() -> None:
    history = read(given("teclistamab", "2026-03-05"), given("elranatamab", "2026-03-05"))
    assert len(history.courses) == 2


def test_a_dose_of_a_vague_date_leaves_the_last_dose_vague() -> None:
    history = read(given("teclistamab", "2026-03-05"), given("teclistamab", "2026-03"))
    (course,) = history.courses
    assert course.last_dose == span("2026-03-05", "2026-03-31")


def test_a_running_course_is_ongoing_and_has_no_reason_of_an_end() -> None:
    history = read(
        reported("teclistamab", "2026-01-05", "2026-08-20", "stopped", statusReason=[{"text": "toxicity"}]),
        reported("teclistamab", "2026-09-05", status="active", asserted=TODAY),
    )
    (course,) = history.courses
    assert course.ongoing
    assert course.end_reason is None


def test_an_ended_course_keeps_the_reason_of_its_last_record() -> None:
    history = read(
        reported("teclistamab", "2026-01-05", "2026-02-01", "stopped", statusReason=[{"text": "toxicity"}]),
        reported("teclistamab", "2026-02-05", "2026-03-01", "stopped", statusReason=[{"text": "progression"}]),
    )
    (course,) = history.courses
    assert course.end_reason is EndReason.PROGRESSION


def test_an_order_never_lends_its_dates_to_proven_doses() -> None:
    history = read(given("teclistamab", "2026-03-05"), ordered("teclistamab", "2026-03-01", "active"))
    assert [(course.tier, course.last_dose) for course in history.courses] == [
        (Tier.PROVEN, span("2026-03-05")),
        (Tier.PRESUMPTIVE, span("2026-03-01", TODAY)),
    ]


def test_a_possible_record_never_lends_its_dates_to_proven_doses() -> None:
    history = read(given("teclistamab", "2026-03-05"), given("teclistamab", "2026-06-05", "unknown"))
    assert [(course.certainty, course.last_dose) for course in history.courses] == [
        (Certainty.STATED, span("2026-03-05")),
        (Certainty.POSSIBLE, span("2026-06-05")),
    ]


@pytest.mark.parametrize(
    ("order", "is_explained"),
    [
        pytest.param(ordered("teclistamab", "2026-03-01", "completed"), True, id="ended, doses followed"),
        pytest.param(ordered("teclistamab", "2026-03-05", "completed"), True, id="ended, dose on the same day"),
        pytest.param(ordered("teclistamab", "2026-03-01", "stopped"), True, id="stopped, doses followed"),
        pytest.param(ordered("teclistamab", "2026-03-06", "completed"), False, id="written after the last dose"),
        pytest.param(ordered("teclistamab", "2026-03-01", "active"), False, id="still open"),
        pytest.param(ordered("teclistamab", "2026-03-01", "unknown"), False, id="status unknown"),
        pytest.param(ordered("teclistamab", None, "completed"), False, id="without a date"),
        pytest.param(ordered("elranatamab", "2026-03-01", "completed"), False, id="another drug"),
    ],
)
def test_doses_explain_what_became_of_an_ended_order(order: Resource, is_explained: bool) -> None:
    assert len(read(given("teclistamab", "2026-03-05"), order).courses) == (1 if is_explained else 2)


def test_possible_doses_explain_no_order() -> None:
    history = read(given("teclistamab", "2026-03-05", "unknown"), ordered("teclistamab", "2026-03-01", "completed"))
    assert len(history.courses) == 2


@pytest.mark.parametrize(
    ("undated", "courses"),
    [
        pytest.param(reported("teclistamab", status="completed"), 1, id="an ended record without date adds nothing"),
        pytest.param(reported("teclistamab", status="active"), 2, id="an open record without date may be later"),
    ],
)
def test_a_record_without_date_beside_dated_ones(undated: Resource, courses: int) -> None:
    assert len(read(given("teclistamab", "2026-03-05"), undated).courses) == courses


def test_a_record_without_date_alone_is_a_course_without_dates() -> None:
    (course,) = read(reported("teclistamab", status="completed")).courses
    assert course.first_dose is None
    assert course.last_dose is None


# --- Going on with a course ---


@pytest.mark.parametrize(
    ("record", "answer", "why"),
    [
        (given("teclistamab", days_before_today(112)), Answer.YES, "112 days before: fewer than 113"),
        (given("teclistamab", days_before_today(113)), Answer.NO, "113 days before: a new course"),
        (given("teclistamab", TODAY), Answer.YES, "today"),
        (reported("teclistamab", "2026-01-05", "2026-11-01"), Answer.YES, "reported as taken until November"),
        (reported("teclistamab", "2026-01-05", status="active", asserted=TODAY), Answer.YES, "still given"),
        (given("teclistamab", "2026-08"), Answer.YES, "some day in August, at most 111 days before"),
        (given("teclistamab", "2026-07"), Answer.UNKNOWN, "some day in July, 112 to 142 days before"),
        (given("teclistamab", "2026-06"), Answer.NO, "some day in June"),
        (given("teclistamab", None), Answer.UNKNOWN, "on an unknown day"),
        (given("teclistamab", "2026-11-01", "unknown"), Answer.UNKNOWN, "perhaps given"),
        (given("teclistamab", "2026-07-01", "unknown"), Answer.NO, "perhaps given, but too long before"),
        (ordered("teclistamab", "2026-11-01"), Answer.UNKNOWN, "only ordered"),
    ],
)
def test_a_dose_today_goes_on_with_a_course(record: Resource, answer: Answer, why: str) -> None:
    (course,) = read(record).courses
    assert continues(course, ClinicalDate.on(AS_OF), load()) is answer, why


@pytest.mark.parametrize("doses", [("2025-01-10", "2025-05-02"), ("2025-05-02", "2025-01-10")])
def test_a_course_has_one_gap_or_none_in_any_order(doses: tuple[str, str]) -> None:
    assert len(read(*(given("elranatamab", on) for on in doses)).courses) == 1
    assert len(read(*(given("elranatamab", on) for on in (*doses, "2025-08-23"))).courses) == 2


@pytest.mark.parametrize(
    ("doses", "courses", "why"),
    [
        (["2026-01-10", "2026-04"], 1, "80 to 110 days later: near on every day of the month"),
        (["2026-01-10", "2026-05"], 2, "110 to 141 days later: perhaps after a gap"),
        (["2026-02-01", "2026-06-01", "2026-04"], 1, "some day in April bridges the gap"),
        (["2026-01-10", "2026"], 2, "some day of the year"),
        (["2026-01-10", "2026-01", "2026-03", "2026-04", "2026-07"], 2, "month by month, then perhaps a gap"),
    ],
)
def test_a_vague_dose_belongs_to_the_doses_that_are_near_on_every_day_it_may_mean(
    doses: list[str], courses: int, why: str
) -> None:
    records = [given("teclistamab", day) for day in doses]
    for order in permutations(records):
        assert len(read(*order).courses) == courses, why


# --- CAR T infusions ---


@pytest.mark.parametrize(("apart", "infusions"), [(0, 1), (7, 1), (8, 2), (-7, 1), (-8, 2)])
def test_records_of_one_product_within_seven_days_are_one_infusion(apart: int, infusions: int) -> None:
    first, second = days_before_today(100), days_before_today(100 - apart)
    assert len(read(infusion(first), infusion(second)).infusions) == infusions


def test_procedure_and_dose_of_one_infusion_are_joined_and_the_product_is_kept() -> None:
    for days in ("2026-03-05", "2026-03-08"):
        history = read(procedure("38228", "2026-03-05", id="p"), infusion(days, id="m"))
        (found,) = history.infusions
        assert found.product is not None
        assert found.infused is not None
        assert {source.reference for source in found.sources} == {"Procedure/p", "MedicationAdministration/m"}


def test_two_products_are_two_infusions_even_on_one_day() -> None:
    history = read(infusion("2026-03-05"), infusion("2026-03-05", "idecabtagene vicleucel"))
    assert len(history.infusions) == 2


def test_an_exact_date_is_kept_against_a_vague_one() -> None:
    (found,) = read(infusion("2026"), infusion("2026-03-05")).infusions
    assert found.infused == span("2026-03-05")


def test_a_stated_infusion_is_kept_against_a_possible_one() -> None:
    (found,) = read(infusion("2026-03-05", status="unknown"), infusion("2026-03-07")).infusions
    assert (found.certainty, found.infused) == (Certainty.STATED, span("2026-03-07"))


@pytest.mark.parametrize(
    ("other", "infusions"),
    [
        pytest.param([], 1, id="nothing: it stands for itself"),
        pytest.param([infusion("2026-03-05")], 1, id="a dated infusion explains it"),
        pytest.param([infusion("2026-03-05", None)], 1, id="also one without product"),
        pytest.param([infusion("2026-03-05", status="unknown")], 2, id="a possible one does not"),
        pytest.param([infusion(None)], 2, id="one without date does not"),
    ],
)
def test_a_history_code_is_explained_by_a_dated_infusion(other: list[Resource], infusions: int) -> None:
    assert len(read(condition("Z92.850"), *other).infusions) == infusions


def test_an_undated_product_is_explained_only_by_a_stated_infusion_of_that_product() -> None:
    undated = reported("idecabtagene vicleucel")
    assert len(read(undated, infusion("2026-03-05", "idecabtagene vicleucel")).infusions) == 1
    assert len(read(undated, infusion("2026-03-05")).infusions) == 2
    possible = infusion("2024-03-05", "idecabtagene vicleucel", status="unknown")
    stated = {
        found.product.name
        for found in read(undated, infusion("2026-03-05"), possible).infusions
        if found.product and found.certainty is Certainty.STATED
    }
    assert stated == {"idecabtagene vicleucel", "ciltacabtagene autoleucel"}


@pytest.mark.parametrize(
    ("others", "certainty", "why"),
    [
        ([], Certainty.STATED, "nothing else is on record"),
        ([given("axicabtagene ciloleucel", "2026-03-12")], Certainty.POSSIBLE, "cells against lymphoma 7 days apart"),
        ([given("axicabtagene ciloleucel", "2026-03-13")], Certainty.STATED, "8 days apart: other cells"),
        ([given("axicabtagene ciloleucel", None)], Certainty.POSSIBLE, "cells against lymphoma on an unknown day"),
        ([given("axicabtagene ciloleucel", "2026-03-05", "unknown")], Certainty.STATED, "perhaps given"),
    ],
)
def test_an_unnamed_infusion_may_be_the_one_of_other_cells(
    others: list[Resource], certainty: Certainty, why: str
) -> None:
    (found,) = read(infusion("2026-03-05", None), *others).infusions
    assert found.certainty is certainty, why
    (named,) = read(infusion("2026-03-05"), *others).infusions
    assert named.certainty is Certainty.STATED


def test_another_b_cell_malignancy_leaves_a_history_code_open() -> None:
    history = read(condition("Z92.850"), condition("C83.30"))
    same_days = load().days("same_infusion")
    records = [replace(found, certainty=Certainty.STATED) for found in history.infusions]
    assert [i.certainty for i in infusions(records, (), same_days, history.problems)] == [Certainty.POSSIBLE]
    assert [i.certainty for i in infusions(records, (), same_days)] == [Certainty.STATED]


def test_an_infusion_that_was_not_done_and_a_later_one_are_one_infusion() -> None:
    (found,) = read(infusion("2026-03-05", status="not-done"), infusion("2026-03-19")).infusions
    assert found.infused == span("2026-03-19")


def test_infusions_without_date_come_in_an_order_of_their_own() -> None:
    first, second = infusion(None, id="a"), infusion(None, "idecabtagene vicleucel", id="b")
    assert read(first, second).infusions == read(second, first).infusions


# --- Progression ---


@pytest.mark.parametrize(("apart", "events"), [(0, 1), (30, 1), (31, 2)])
def test_events_at_most_30_days_apart_are_one_and_dated_by_the_first(apart: int, events: int) -> None:
    first, second = days_before_today(100), days_before_today(100 - apart)
    found = read(progression(second), relapse(first)).progressions
    assert len(found) == events
    assert found[0].on == span(first)


def test_a_vague_record_may_tell_of_an_earlier_event() -> None:
    found = read(progression("2026-03"), progression("2026-03-05")).progressions
    assert [event.on for event in found] == [span("2026-03-01", "2026-03-05"), span("2026-03-01", "2026-03-31")]


def test_what_is_recorded_again_after_a_repeated_record_may_be_as_old_as_that() -> None:
    found = read(*(progression(days_before_today(days)) for days in (100, 75, 50))).progressions
    assert [event.on for event in found] == [
        span(days_before_today(100)),
        span(days_before_today(75), days_before_today(50)),
    ]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(progression("2026-04"), id="of a vague date, at another time"),
        pytest.param(progression("2026-03-06", modifierExtension=[{"url": "urn:example:x"}]), id="only possible"),
        pytest.param(relapse(None), id="without a date"),
    ],
)
def test_a_less_certain_event_is_kept_apart(other: Any) -> None:
    assert len(read(progression("2026-03-05"), other).progressions) == 2


def test_lymphodepletion_is_no_course_with_the_bridging_before_it() -> None:
    bridging, lymphodepletion = given("cyclophosphamide", "2025-12-22"), given("cyclophosphamide", "2026-01-21")
    first, second = read(bridging, lymphodepletion, infusion("2026-01-26")).courses
    assert (first.last_dose, second.first_dose) == (span("2025-12-22"), span("2026-01-21"))
    (joined,) = read(bridging, lymphodepletion).courses
    assert joined.last_dose == span("2026-01-21")


@pytest.mark.parametrize(("day", "courses"), [("2026-01-19", 2), ("2026-01-18", 1)])
def test_lymphodepletion_lies_at_most_seven_days_before_the_cells(day: str, courses: int) -> None:
    records = [given("cyclophosphamide", "2025-12-22"), given("cyclophosphamide", day), infusion("2026-01-26")]
    assert len(read(*records).courses) == courses

"""A date that says less never answers more: whatever a month or a year may stand for, its answer is that or unknown."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_mapping.catalog.loader import load
from fhir_mapping.courses import continues
from fhir_mapping.episodes import car_t_episodes
from fhir_mapping.model.dates import Answer, ClinicalDate
from fhir_mapping.model.episodes import EpisodeState
from tests.build import AS_OF, ICD10CM, PATIENT, Resource, coded, dispensed, ordered, procedure, reported
from tests.build import given as dosed
from tests.mapping.reading import ALL_READ, read

UNKNOWN = {Answer.UNKNOWN, EpisodeState.UNKNOWN}


def supply(on: str) -> object:
    return read(dispensed("acyclovir", on, 30)).supportive_care[0].in_force


def supply_of_unstated_length(on: str) -> object:
    return read(dispensed("acyclovir", on)).supportive_care[0].in_force


def order_until(end: str) -> object:
    return read(ordered("acyclovir", "2020-01-01", until=end)).supportive_care[0].in_force


def statement_until(end: str) -> object:
    taken = reported("acyclovir", "2020-01-01", end, status="active", asserted="2026-11-01")
    return read(taken).supportive_care[0].in_force


def study_until(end: str) -> object:
    me = {"reference": f"Patient/{PATIENT}"}
    subject = {"resourceType": "ResearchSubject", "status": "on-study", "individual": me, "period": {"end": end}}
    return read(subject).trials[0].on_study


def problem_until(end: str) -> object:
    problem: Resource = {"resourceType": "Condition", "code": coded(ICD10CM, "B18.1"), "abatementDateTime": end}
    return read(problem).problems[0].active


def collection(on: str) -> object:
    (episode,) = car_t_episodes(replace(read(procedure("38225", on)), coverage=ALL_READ), load())
    return episode.state


def continuation(last_dose: str) -> object:
    (course,) = read(dosed("teclistamab", last_dose)).courses
    return continues(course, ClinicalDate.on(AS_OF), load())


@pytest.mark.parametrize(
    "ask",
    [
        supply,
        supply_of_unstated_length,
        order_until,
        statement_until,
        study_until,
        problem_until,
        collection,
        continuation,
    ],
)
@given(day=st.dates(AS_OF - timedelta(400), AS_OF), length=st.sampled_from([7, 4]))
def test_a_vaguer_date_never_answers_more_surely(ask: Callable[[str], object], day: date, length: int) -> None:
    exact, vague = ask(day.isoformat()), ask(day.isoformat()[:length])
    assert vague == exact or vague in UNKNOWN

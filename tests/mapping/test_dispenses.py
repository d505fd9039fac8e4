"""MedicationDispense: a drug that was handed over may have been taken since, and covers as long as its supply lasts."""

from typing import Any

import pytest

from fhir_mapping.model.dates import Answer
from fhir_mapping.model.history import GapCode
from fhir_mapping.model.vocabulary import Certainty, Tier
from tests.build import AS_OF, dispensed, given, infusion, ordered, reported
from tests.mapping.reading import gaps, is_silent, names, read, span

TODAY = AS_OF.isoformat()  # 2026-11-20


@pytest.mark.parametrize(
    ("status", "certainty", "in_force"),
    [
        ("completed", Certainty.STATED, Answer.YES),
        ("stopped", Certainty.STATED, Answer.UNKNOWN),
        ("in-progress", Certainty.POSSIBLE, Answer.UNKNOWN),
        ("unknown", Certainty.POSSIBLE, Answer.UNKNOWN),
        ("on-hold", None, None),
        ("preparation", None, None),
        ("cancelled", None, None),
        ("declined", None, None),
        ("entered-in-error", None, None),
        pytest.param(None, Certainty.POSSIBLE, Answer.UNKNOWN, id="no status"),
        pytest.param("active", Certainty.POSSIBLE, Answer.UNKNOWN, id="a status of another resource"),
    ],
)
def test_a_dispense_counts_as_far_as_its_status_says(
    status: Any, certainty: Certainty | None, in_force: Answer | None
) -> None:
    taken = read(dispensed("lenalidomide", "2026-11-01", 28, status))
    cover = read(dispensed("acyclovir", "2026-11-01", 28, status))
    assert [course.certainty for course in taken.courses] == ([certainty] if certainty is not None else [])
    assert all(course.tier is Tier.PRESUMPTIVE for course in taken.courses)
    assert [care.in_force for care in cover.supportive_care] == ([in_force] if in_force is not None else [])


@pytest.mark.parametrize(
    ("handed_over", "days", "in_force", "why"),
    [
        ("2026-10-21", 30, Answer.YES, "30 days of supply reach to this very day"),
        ("2026-10-20", 30, Answer.NO, "used up yesterday"),
        ("2026-11", 30, Answer.YES, "on whatever day of November"),
        ("2026-10", 30, Answer.UNKNOWN, "some days of October reach, others do not"),
        ("2026-08-22", None, Answer.UNKNOWN, "nobody says for how long; 90 days ago"),
        ("2026-08-21", None, Answer.NO, "91 days are longer than any usual supply"),
        (None, 30, Answer.UNKNOWN, "not known since when"),
    ],
)
def test_a_supply_covers_as_long_as_it_lasts(handed_over: Any, days: Any, in_force: Answer, why: str) -> None:
    (care,) = read(dispensed("acyclovir", handed_over, days)).supportive_care
    assert care.in_force is in_force, why


@pytest.mark.parametrize(
    ("supply", "in_force"),
    [
        ({"value": 4, "unit": "weeks"}, Answer.YES),
        ({"value": 28}, Answer.YES),
        ({"value": 28, "code": "d", "unit": "day"}, Answer.YES),
        ({"value": 2, "unit": "bottles"}, Answer.UNKNOWN),
        ({"value": -3, "unit": "d"}, Answer.UNKNOWN),
        ({"value": 1e300, "unit": "d"}, Answer.YES),
        ("28", Answer.UNKNOWN),
    ],
)
def test_a_supply_may_be_written_in_many_ways(supply: Any, in_force: Answer) -> None:
    (care,) = read(dispensed("acyclovir", "2026-11-01") | {"daysSupply": supply}).supportive_care
    assert care.in_force is in_force


def test_what_was_handed_over_may_have_been_taken_on_any_day_since() -> None:
    (course,) = read(dispensed("lenalidomide", "2026-09-01", 21)).courses
    assert course.last_dose == span("2026-09-01", "2026-09-22")
    assert not course.is_proven_or_reported


def test_a_day_that_lies_ahead_dates_nothing() -> None:
    history = read(dispensed("lenalidomide", "2027-01-01", 21))
    assert history.courses[0].last_dose is None
    assert gaps(history) == {GapCode.DATE}


def test_a_supply_that_was_not_collected_takes_back_that_its_order_was_given() -> None:
    order = ordered("lenalidomide", "2026-09-01", id="rx")
    declined = dispensed(
        "lenalidomide",
        None,
        status="declined",
        authorizingPrescription=[{"reference": f"MedicationRequest/{order['id']}"}],
    )
    assert names(read(order).courses) == ["lenalidomide"]
    assert is_silent(read(order, declined))


def test_a_drug_that_the_patient_does_not_take_is_not_covered_by_its_dispense() -> None:
    supply = dispensed("acyclovir", "2026-11-01", 30, authorizingPrescription=[{"reference": "MedicationRequest/rx"}])
    not_taken = reported("acyclovir", status="not-taken", basedOn=[{"reference": "MedicationRequest/rx"}])
    assert is_silent(read(supply, not_taken))


def test_the_older_word_for_not_done_is_understood() -> None:
    assert is_silent(read(dispensed("lenalidomide", "2026-09-01", notDone=True)))


def test_cells_that_were_handed_over_may_have_been_infused() -> None:
    (possible,) = read(dispensed("ciltacabtagene autoleucel", "2026-05-04")).infusions
    assert possible.certainty is Certainty.POSSIBLE
    (stated,) = read(dispensed("ciltacabtagene autoleucel", "2026-05-04"), infusion("2026-05-04")).infusions
    assert stated.certainty is Certainty.STATED


def test_recorded_doses_explain_what_became_of_the_supply() -> None:
    history = read(dispensed("lenalidomide", "2026-09-01", 21), given("lenalidomide", "2026-09-02"))
    (course,) = history.courses
    assert course.tier is Tier.PROVEN


def test_the_drug_may_stand_in_a_medication_of_its_own() -> None:
    supply = dispensed("x", "2026-09-01") | {"medicationReference": {"reference": "#m"}}
    supply["contained"] = [{"resourceType": "Medication", "id": "m", "code": {"text": "lenalidomide 10 mg capsule"}}]
    del supply["medicationCodeableConcept"]
    assert names(read(supply).courses) == ["lenalidomide"]

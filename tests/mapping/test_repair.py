"""One element that is not as FHIR R4 has it: what is mended, what is cut out, and what costs the whole resource."""

from typing import Any

import pytest

from fhir_mapping.model.dates import Answer
from fhir_mapping.model.history import GapCode, TreatmentHistory
from fhir_mapping.model.vocabulary import Certainty, Cover
from tests.build import (
    ICD10CM,
    RXCUI,
    RXNORM,
    Resource,
    allergy,
    bundle,
    condition,
    given,
    infusion,
    lab,
    myeloma,
    patient,
    procedure,
    progression,
    relapse,
    reported,
)
from tests.mapping.reading import decoded, gaps, names, read


def read_beside_a_fault(*resources: Resource) -> TreatmentHistory:
    """Read some resources as entries of a Bundle."""
    return read(patient(), *resources)


# --- Mended: nothing is lost, so nothing is less sure ---


@pytest.mark.parametrize(
    "resource",
    [
        pytest.param(
            given("teclistamab", "2026-09-01")
            | {"medicationCodeableConcept": {"coding": [{"system": RXNORM, "code": int(RXCUI["teclistamab"])}]}},
            id="a code that is a number",
        ),
        pytest.param(
            given("teclistamab", "2026-09-01") | {"medicationCodeableConcept": [{"text": "teclistamab"}]},
            id="a list of one drug",
        ),
        pytest.param(given("teclistamab", "2026-09-01") | {"id": 7}, id="an id that is a number"),
        pytest.param(given("teclistamab", "2026-09-01") | {"status": ["completed"]}, id="a list of one status"),
        pytest.param(
            given("teclistamab", "2026-09-01") | {"effectiveDateTime": ["2026-09-01"]}, id="a list of one date"
        ),
    ],
)
def test_what_says_the_same_in_another_shape_is_read_as_it_is_meant(resource: Resource) -> None:
    history = read_beside_a_fault(resource)
    (course,) = history.courses
    assert (course.drug.name, course.certainty) == ("teclistamab", Certainty.STATED)
    assert not gaps(history)


@pytest.mark.parametrize("status", ["refuted", "entered-in-error"])
def test_the_plain_status_of_an_older_fhir_still_takes_a_problem_back(status: str) -> None:
    assert read(myeloma(verificationStatus=status)).diagnosis.myeloma is Answer.NO


def test_a_year_that_is_a_number_is_that_year() -> None:
    history = read_beside_a_fault(reported("teclistamab") | {"effectiveDateTime": 2021})
    assert str(history.courses[0].first_dose) == "some day in 2021"


# --- Cut out: the rest of the resource stays, but makes nothing certain ---


def test_a_drug_whose_date_cannot_be_read_may_have_been_given_on_any_day() -> None:
    history = read_beside_a_fault(given("teclistamab", "2026-09-01") | {"effectiveDateTime": {"year": 2026}})
    (course,) = history.courses
    assert (course.last_dose, course.certainty) == (None, Certainty.POSSIBLE)
    assert gaps(history) == {GapCode.PRUNED}


def test_an_end_that_cannot_be_read_does_not_leave_prophylaxis_in_force() -> None:
    taken = reported("acyclovir", "2026-01-05", status="active", asserted="2026-11-01")
    whole = read(taken).supportive_care[0]
    cut = read_beside_a_fault(taken | {"effectivePeriod": {"start": "2026-01-05", "end": {}}}).supportive_care[0]
    assert (whole.in_force, whole.covers(Cover.HSV_VZV)) == (Answer.YES, True)
    assert cut.in_force is Answer.UNKNOWN


def test_a_bare_name_in_place_of_a_drug_makes_it_possible() -> None:
    history = read_beside_a_fault(given("x", "2026-09-01") | {"medicationCodeableConcept": "teclistamab"})
    assert [(course.drug.name, course.certainty) for course in history.courses] == [("teclistamab", Certainty.POSSIBLE)]


def test_a_bare_code_in_place_of_a_drug_may_be_any_treatment() -> None:
    history = read_beside_a_fault(given("x", "2026-09-01") | {"medicationCodeableConcept": RXCUI["teclistamab"]})
    assert not history.courses
    assert len(history.unrecognised) == 1


def test_a_drug_whose_name_cannot_be_read_is_unrecognised_treatment() -> None:
    history = read_beside_a_fault(given("teclistamab", "2026-09-01") | {"medicationCodeableConcept": 7})
    assert len(history.unrecognised) == 1
    assert gaps(history) == {GapCode.PRUNED}


@pytest.mark.parametrize(
    ("resource", "facts"),
    [
        pytest.param(infusion("2026-03-01") | {"effectiveDateTime": {}}, "infusions", id="CAR T dose"),
        pytest.param(procedure("38228", None) | {"performedDateTime": {}}, "infusions", id="CAR T procedure"),
        pytest.param(progression(None) | {"effectiveDateTime": {}}, "progressions", id="disease status"),
        pytest.param(relapse(None) | {"recordedDate": {}}, "progressions", id="relapse on the problem list"),
        pytest.param(
            condition("Z92.850") | {"code": {"coding": [{"system": ICD10CM, "code": "Z92.850"}, 7]}},
            "infusions",
            id="history of CAR T",
        ),
    ],
)
def test_no_fact_of_a_pruned_resource_is_certain(resource: Resource, facts: str) -> None:
    (fact,) = getattr(read_beside_a_fault(resource), facts)
    assert fact.certainty is Certainty.POSSIBLE


def test_a_diagnosis_opens_the_chart_also_when_its_date_cannot_be_read() -> None:
    assert read(myeloma() | {"recordedDate": {}}).diagnosis.myeloma is Answer.YES


def test_a_pruned_result_has_no_value() -> None:
    (result,) = read_beside_a_fault(lab("751-8", 2.4, "10*3/uL", None) | {"effectiveDateTime": {}}).labs
    assert not result.is_readable


def test_an_allergy_counts_however_little_of_it_can_be_read() -> None:
    history = read_beside_a_fault(allergy({"text": "Bactrim"}) | {"recordedDate": {}})
    assert len(history.allergies) == 1


def test_a_collection_with_a_part_missing_is_no_proven_collection() -> None:
    assert read(procedure("38225", "2026-10-01")).collections
    (possible,) = read(procedure("38225", None) | {"performedDateTime": {}}).collections
    assert possible.certainty is Certainty.POSSIBLE


def test_a_pile_says_that_something_was_cut_out() -> None:
    assert decoded(bundle([myeloma() | {"recordedDate": {}}])).was_pruned
    assert not decoded(bundle([myeloma() | {"subject": 7}, patient()])).was_pruned
    assert not decoded(bundle([myeloma() | {"id": 7}])).was_pruned


# --- Lost: what can turn the meaning round is never cut out ---


@pytest.mark.parametrize(
    ("resource", "member", "value"),
    [
        (given("teclistamab", "2026-09-01"), "status", 7),
        (given("teclistamab", "2026-09-01"), "status", ["completed", "entered-in-error"]),
        (given("teclistamab", "2026-09-01"), "subject", "Patient/someone-else"),
        (given("teclistamab", "2026-09-01"), "subject", {"reference": {}}),
        (given("teclistamab", "2026-09-01"), "implicitRules", {}),
        (given("teclistamab", "2026-09-01"), "notGiven", "perhaps"),
        (myeloma(), "verificationStatus", 7),
        (myeloma(), "clinicalStatus", {"coding": "active"}),
        (procedure("38228", "2026-03-01"), "notDone", "yes"),
        (procedure("38228", "2026-03-01"), "notPerformed", "yes"),
        # Members of R5: they hold the drug or the day, so nothing may be said without them
        (given("teclistamab", None), "occurenceDateTime", "2026-09-01"),
        (procedure("38228", None), "occurrenceDateTime", "2026-03-01"),
        (reported("teclistamab"), "medication", {"concept": {"text": "teclistamab"}}),
    ],
)
def test_what_may_turn_the_meaning_round_costs_the_resource(resource: Resource, member: str, value: Any) -> None:
    history = read_beside_a_fault(resource | {member: value}, given("talquetamab", "2026-10-01"))
    assert names(history.courses) == ["talquetamab"]
    assert not history.infusions
    assert gaps(history) == {GapCode.UNREADABLE}


def test_a_resource_with_many_faults_is_given_up() -> None:
    codings: list[Resource] = [{"code": {}} for _ in range(20)]
    history = read_beside_a_fault(given("x", None) | {"medicationCodeableConcept": {"coding": codings}})
    assert gaps(history) == {GapCode.UNREADABLE}


def test_five_thousand_broken_entries_cost_themselves_alone() -> None:
    broken = [lab("751-8", 1.0, "10*3/uL", "2026-01-05") | {"subject": 7} for _ in range(5_000)]
    history = read_beside_a_fault(*broken, given("teclistamab", "2026-09-01"))
    assert names(history.courses) == ["teclistamab"]
    assert len(history.gaps) == 5_000

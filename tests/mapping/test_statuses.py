"""Every status of every resource type that is read, as FHIR R4 lists them: what each one makes of a record.

"fact": what the record states counts. "possible": it may be so, which never decides anything. "nothing": it counts
for nothing. The table is held against the standard's own lists, so that no status falls through in silence.
"""

from collections.abc import Callable
from importlib import import_module

import pytest

from fhir_mapping import wire
from fhir_mapping.model.care import PlanState
from fhir_mapping.model.dates import Answer
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.vocabulary import Certainty
from tests.build import Resource, dispensed, given, lab, ordered, procedure, reported
from tests.mapping import care_builders as care
from tests.mapping.reading import read

FACT, POSSIBLE, NOTHING = "fact", "possible", "nothing"

STATUSES: dict[str, dict[str, str]] = {
    "MedicationStatement": {
        "active": FACT,
        "completed": FACT,
        "stopped": FACT,
        "on-hold": POSSIBLE,
        "unknown": POSSIBLE,
        "intended": NOTHING,
        "not-taken": NOTHING,
        "entered-in-error": NOTHING,
    },
    "MedicationAdministration": {
        "in-progress": FACT,
        "completed": FACT,
        "stopped": FACT,
        "on-hold": POSSIBLE,
        "unknown": POSSIBLE,
        "not-done": NOTHING,
        "entered-in-error": NOTHING,
    },
    "MedicationRequest": {
        "active": FACT,
        "completed": FACT,
        "stopped": FACT,
        "unknown": POSSIBLE,
        "on-hold": NOTHING,
        "draft": NOTHING,
        "cancelled": NOTHING,
        "entered-in-error": NOTHING,
    },
    "MedicationDispense": {
        "completed": FACT,
        "stopped": FACT,
        "in-progress": POSSIBLE,
        "unknown": POSSIBLE,
        "on-hold": NOTHING,
        "preparation": NOTHING,
        "cancelled": NOTHING,
        "declined": NOTHING,
        "entered-in-error": NOTHING,
    },
    "Medication": {"active": FACT, "inactive": FACT, "entered-in-error": NOTHING},
    "Procedure": {
        "in-progress": FACT,
        "completed": FACT,
        "stopped": FACT,
        "on-hold": POSSIBLE,
        "unknown": POSSIBLE,
        "preparation": NOTHING,
        "not-done": NOTHING,
        "entered-in-error": NOTHING,
    },
    "Observation": {
        "final": FACT,
        "amended": FACT,
        "corrected": FACT,
        "registered": NOTHING,
        "preliminary": NOTHING,
        "cancelled": NOTHING,
        "unknown": NOTHING,
        "entered-in-error": NOTHING,
    },
    "DiagnosticReport": {
        "final": FACT,
        "amended": FACT,
        "corrected": FACT,
        "appended": FACT,
        "registered": NOTHING,
        "partial": NOTHING,
        "preliminary": NOTHING,
        "cancelled": NOTHING,
        "unknown": NOTHING,
        "entered-in-error": NOTHING,
    },
    "ServiceRequest": {
        "draft": FACT,
        "active": FACT,
        "completed": FACT,
        "on-hold": POSSIBLE,
        "unknown": POSSIBLE,
        "revoked": NOTHING,
        "entered-in-error": NOTHING,
    },
    "Appointment": {
        "booked": FACT,
        "arrived": FACT,
        "checked-in": FACT,
        "fulfilled": FACT,
        "proposed": POSSIBLE,
        "pending": POSSIBLE,
        "waitlist": POSSIBLE,
        "cancelled": NOTHING,
        "noshow": NOTHING,
        "entered-in-error": NOTHING,
    },
    "Immunization": {"completed": FACT, "not-done": NOTHING, "entered-in-error": NOTHING},
    "ResearchSubject": {
        "on-study": FACT,
        "on-study-intervention": FACT,
        "on-study-observation": FACT,
        "candidate": POSSIBLE,
        "eligible": POSSIBLE,
        "pending-on-study": POSSIBLE,
        "potential-candidate": POSSIBLE,
        "screening": POSSIBLE,
        "follow-up": NOTHING,
        "ineligible": NOTHING,
        "not-registered": NOTHING,
        "off-study": NOTHING,
        "withdrawn": NOTHING,
    },
    "Communication": {
        "completed": FACT,
        "preparation": NOTHING,
        "in-progress": NOTHING,
        "not-done": NOTHING,
        "on-hold": NOTHING,
        "stopped": NOTHING,
        "unknown": NOTHING,
        "entered-in-error": NOTHING,
    },
    "DocumentReference": {"current": FACT, "superseded": NOTHING, "entered-in-error": NOTHING},
    "Flag": {"active": FACT, "inactive": NOTHING, "entered-in-error": NOTHING},
    "CarePlan": {
        "active": FACT,
        "on-hold": FACT,
        "completed": FACT,
        "draft": NOTHING,
        "revoked": NOTHING,
        "unknown": NOTHING,
        "entered-in-error": NOTHING,
    },
    "EpisodeOfCare": {
        "active": FACT,
        "onhold": FACT,
        "finished": FACT,
        "planned": NOTHING,
        "waitlist": NOTHING,
        "cancelled": NOTHING,
        "entered-in-error": NOTHING,
    },
}
# Types whose records have no status of this kind; their own are told apart in the tests of their readers
WITHOUT_STATUS = {"Patient", "Condition", "AllergyIntolerance", "OperationOutcome"}

# The library gives the first values of a list that the standard leaves open at the end
_LEFT_OUT = {
    "Observation": {"corrected", "cancelled", "entered-in-error", "unknown"},
    "DiagnosticReport": {"amended", "corrected", "appended", "cancelled", "entered-in-error", "unknown"},
}


def certainty(found: tuple[object, ...]) -> str:
    """Say what became of a record by the certainty of its one fact."""
    if not found:
        return NOTHING
    return FACT if getattr(found[0], "certainty", Certainty.STATED) is Certainty.STATED else POSSIBLE


def of_medication(status: str) -> tuple[Resource, ...]:
    dose = given("x", "2026-01-05", medicationReference={"reference": "Medication/m"}, medicationCodeableConcept=None)
    return dose, {"resourceType": "Medication", "id": "m", "status": status, "code": {"text": "teclistamab"}}


def plan_of(history: TreatmentHistory) -> str:
    states = {PlanState.OPEN: FACT, PlanState.DONE: FACT, PlanState.UNCLEAR: POSSIBLE}
    return states[history.plans[0].state] if history.plans else NOTHING


def trial_of(history: TreatmentHistory) -> str:
    answers = {Answer.YES: FACT, Answer.UNKNOWN: POSSIBLE, Answer.NO: NOTHING}
    return answers[history.trials[0].on_study]


MADE: dict[str, tuple[Callable[[str], Resource | tuple[Resource, ...]], Callable[[TreatmentHistory], str]]] = {
    "MedicationStatement": (
        lambda s: reported("teclistamab", "2026-01-05", "2026-02-05", s),
        lambda h: certainty(h.courses),
    ),
    "MedicationAdministration": (lambda s: given("teclistamab", "2026-01-05", s), lambda h: certainty(h.courses)),
    "MedicationRequest": (lambda s: ordered("teclistamab", "2026-01-05", s), lambda h: certainty(h.courses)),
    "MedicationDispense": (lambda s: dispensed("teclistamab", "2026-01-05", 28, s), lambda h: certainty(h.courses)),
    "Medication": (of_medication, lambda h: certainty(h.courses)),
    "Procedure": (lambda s: procedure("38228", "2026-01-05", s), lambda h: certainty(h.infusions)),
    "Observation": (lambda s: lab("751-8", 2.0, "10*3/uL", "2026-01-05", s), lambda h: certainty(h.labs)),
    "DiagnosticReport": (
        lambda s: {"resourceType": "DiagnosticReport", "status": s, "code": {"text": "Ophthalmic examination"}},
        lambda h: certainty(h.eye_examinations),
    ),
    "ServiceRequest": (lambda s: care.request("CAR T evaluation", s), plan_of),
    "Appointment": (lambda s: care.appointment(status=s), plan_of),
    "Immunization": (lambda s: care.immunization("187", s), lambda h: certainty(h.vaccinations)),
    "ResearchSubject": (lambda s: care.trial(s), trial_of),
    "Communication": (lambda s: care.communication(status=s), lambda h: certainty(h.education)),
    "DocumentReference": (lambda s: care.document(status=s), lambda h: certainty(h.education)),
    "Flag": (lambda s: care.flag(status=s), lambda h: certainty(h.refusals)),
    "CarePlan": (lambda s: care.care_plan(status=s), lambda h: certainty(h.documented_lines)),
    "EpisodeOfCare": (lambda s: care.episode(status=s), lambda h: certainty(h.documented_lines)),
}


def test_every_type_that_is_read_stands_in_the_table() -> None:
    assert STATUSES.keys() | WITHOUT_STATUS == wire.TYPES.keys()
    assert MADE.keys() == STATUSES.keys()


@pytest.mark.parametrize("kind", STATUSES)
def test_the_table_holds_every_status_of_the_standard(kind: str) -> None:
    model = getattr(import_module(f"fhir.resources.R4B.{kind.lower()}"), kind)
    listed = set(model.model_fields["status"].json_schema_extra["enum_values"]) - {"+"}
    assert STATUSES[kind].keys() == listed | _LEFT_OUT.get(kind, set())


@pytest.mark.parametrize(
    ("kind", "status", "expected"),
    [(kind, status, expected) for kind, table in STATUSES.items() for status, expected in table.items()],
)
def test_a_status_makes_of_a_record_what_the_table_says(kind: str, status: str, expected: str) -> None:
    make, judge = MADE[kind]
    made = make(status)
    assert judge(read(*(made if isinstance(made, tuple) else (made,)))) == expected


@pytest.mark.parametrize(
    ("taken", "status", "becomes"),
    [
        ("y", "active", FACT),
        ("unk", "active", POSSIBLE),
        ("na", "completed", POSSIBLE),
        ("perhaps", "stopped", POSSIBLE),
        ("unk", "intended", NOTHING),
        ("n", "active", NOTHING),
    ],
)
def test_what_older_fhir_says_of_the_taking(taken: str, status: str, becomes: str) -> None:
    courses = read(reported("teclistamab", "2026-01-05", status=status, taken=taken)).courses
    certainties = {FACT: [Certainty.STATED], POSSIBLE: [Certainty.POSSIBLE], NOTHING: []}
    assert [course.certainty for course in courses] == certainties[becomes]

"""Random records of what stands around the treatment: supplies, plans, vaccines, trials, reports, and the like."""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from tests.build import LOINC, PATIENT, SNOMED, Resource, coded, dispensed, lab

_ME = {"reference": f"Patient/{PATIENT}"}
_WORDS = [
    "CAR T-cell therapy evaluation",
    "not a CAR T candidate",
    "leukapheresis for CAR T",
    "eye examination",
    "patient education",
    "3rd line therapy",
    "declined",
    "influenza vaccine",
    "x",
]
_STATES = {
    "ServiceRequest": ["draft", "active", "on-hold", "revoked", "completed", "entered-in-error", "unknown"],
    "Appointment": ["proposed", "booked", "fulfilled", "cancelled", "noshow", "entered-in-error"],
    "DiagnosticReport": ["final", "preliminary", "amended", "entered-in-error"],
    "Immunization": ["completed", "not-done", "entered-in-error"],
    "ResearchSubject": ["on-study", "screening", "withdrawn", "candidate"],
    "Communication": ["completed", "not-done", "in-progress", "entered-in-error"],
    "DocumentReference": ["current", "superseded", "entered-in-error"],
    "Flag": ["active", "inactive", "entered-in-error"],
    "CarePlan": ["active", "draft", "revoked", "completed", "entered-in-error"],
    "EpisodeOfCare": ["active", "planned", "finished", "cancelled", "entered-in-error"],
    "MedicationDispense": ["completed", "declined", "in-progress", "on-hold", "entered-in-error"],
}
_LABS = [
    ("2465-3", 350, "mg/dL"),
    ("2465-3", 3.5, "g/L"),
    ("751-8", 0.4, "10*3/uL"),
    ("89247-1", 2, ""),
    ("2823-3", 4, "?"),
]


def around(dates: st.SearchStrategy[str | None], more: st.SearchStrategy[Resource]) -> st.SearchStrategy[Resource]:
    """Draw one record of any of these types, with its dates and the members that every record may have."""
    concept = st.sampled_from(_WORDS).map(lambda text: {"text": text})
    period = st.builds(lambda start, end: _present({"start": start, "end": end}), dates, dates)

    def made(kind: str, **members: st.SearchStrategy[Any]) -> st.SearchStrategy[Resource]:
        whole = st.fixed_dictionaries({"status": st.sampled_from([*_STATES[kind], None, "odd"]), **members})
        return st.builds(lambda body, extra: _record(kind, body, extra), whole, more)

    finding = st.sampled_from([coded(SNOMED, "10828004"), {"text": "not detected"}, {"text": "equivocal"}])
    return st.one_of(
        made("ServiceRequest", code=concept, occurrenceDateTime=dates, authoredOn=dates, intent=st.just("order")),
        made("Appointment", description=st.sampled_from(_WORDS), start=dates, created=dates),
        made("DiagnosticReport", code=concept, effectiveDateTime=dates, issued=dates),
        made("Immunization", vaccineCode=concept, occurrenceDateTime=dates),
        made("ResearchSubject", period=period),
        made("Communication", topic=concept, sent=dates),
        made("DocumentReference", type=concept, date=dates),
        made("Flag", code=concept, period=period),
        made("CarePlan", title=st.sampled_from(_WORDS), intent=st.just("plan"), period=period),
        made("EpisodeOfCare", type=concept.map(lambda one: [one]), period=period),
        _called(
            dispensed, st.sampled_from(["acyclovir", "lenalidomide"]), dates, st.sampled_from([None, 30, 400]), more
        ),
        st.builds(
            lambda test, on, extra: lab(test[0], test[1], test[2], on, **extra), st.sampled_from(_LABS), dates, more
        ),
        st.builds(_serology, finding, dates, more),
    )


def _record(kind: str, body: Resource, extra: Resource) -> Resource:
    about = {"ResearchSubject": "individual", "Immunization": "patient", "EpisodeOfCare": "patient"}
    whose: Resource = {about.get(kind, "subject"): _ME}
    if kind == "Appointment":
        whose = {"participant": [{"actor": _ME}]}
    return _present({"resourceType": kind} | whose | body | extra)


def _called(make: Callable[..., Resource], *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Resource]:
    return st.builds(lambda *parts: make(*parts[:-1], **parts[-1]), *arguments)


def _serology(finding: Resource, on: str | None, extra: Resource) -> Resource:
    body = {"status": "final", "code": coded(LOINC, "5196-1"), "subject": _ME, "valueCodeableConcept": finding}
    return _present({"resourceType": "Observation", "effectiveDateTime": on} | body | extra)


def _present(members: Resource) -> Resource:
    return {key: value for key, value in members.items() if value is not None}

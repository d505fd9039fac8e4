"""Short spellings for what surrounds the treatment; every patient here is invented."""

import itertools
from typing import Any

from tests.build import CPT, PATIENT, Resource, coded

CVX = "http://hl7.org/fhir/sid/cvx"
STATUS_REASON = "http://hl7.org/fhir/StructureDefinition/request-statusReason"
ABOUT = {"reference": f"Patient/{PATIENT}"}
MODIFIED: Resource = {"modifierExtension": [{"url": "urn:example:x"}]}
_numbers = itertools.count(1)


def text(words: str) -> Resource:
    """Make a CodeableConcept of words alone."""
    return {"text": words}


def _made(kind: str, members: Resource, more: Resource) -> Resource:
    made = {"resourceType": kind, "id": f"{kind.lower()}-{next(_numbers)}"} | members | more
    return {key: value for key, value in made.items() if value is not None}


def request(code: Resource | str, status: str | None = "active", **more: Any) -> Resource:
    """Make a stored service request."""
    concept = text(code) if isinstance(code, str) else code
    members = {"status": status, "intent": "order", "subject": ABOUT, "code": concept, "authoredOn": "2026-11-02"}
    return _made("ServiceRequest", members, more)


def revoked(code: str = "CAR T evaluation", reason: str | Resource | None = None, **more: Any) -> Resource:
    """Make a request that was called off, with its reason in the extension for that."""
    concept = text(reason) if isinstance(reason, str) else reason
    extension = [{"url": STATUS_REASON, "valueCodeableConcept": concept}] if concept else None
    return request(code, "revoked", **({"extension": extension} | more))


def appointment(description: str | None = "CAR T evaluation", status: str | None = "booked", **more: Any) -> Resource:
    """Make an appointment; its patient is one of those who take part."""
    members = {
        "status": status,
        "participant": [{"actor": ABOUT, "status": "accepted"}],
        "description": description,
        "start": "2026-12-01T09:00:00-05:00",
        "created": "2026-11-02",
    }
    return _made("Appointment", members, more)


def immunization(code: str | Resource, status: str | None = "completed", **more: Any) -> Resource:
    """Make an immunization by its CVX code, or by a whole concept."""
    concept = coded(CVX, code) if isinstance(code, str) else code
    members = {"status": status, "patient": ABOUT, "vaccineCode": concept, "occurrenceDateTime": "2026-05-04"}
    return _made("Immunization", members, more)


def trial(status: str | None = "on-study", **more: Any) -> Resource:
    """Make a research subject."""
    study = {"reference": "ResearchStudy/1", "display": "Synthetic study"}
    return _made("ResearchSubject", {"status": status, "individual": ABOUT, "study": study}, more)


def communication(topic: str | None = "Patient education", status: str | None = "completed", **more: Any) -> Resource:
    """Make a communication."""
    members = {"status": status, "subject": ABOUT, "topic": topic and text(topic), "sent": "2026-11-10T10:00:00-05:00"}
    return _made("Communication", members, more)


def document(kind: str | None = "Patient education note", status: str | None = "current", **more: Any) -> Resource:
    """Make a document."""
    members = {"status": status, "subject": ABOUT, "type": kind and text(kind), "date": "2026-11-10T10:00:00-05:00"}
    return _made("DocumentReference", members, more)


def flag(words: str = "Not a CAR T candidate", status: str | None = "active", **more: Any) -> Resource:
    """Make a flag."""
    return _made("Flag", {"status": status, "subject": ABOUT, "code": text(words)}, more)


def care_plan(title: str | None = "Line of therapy: 3", status: str | None = "active", **more: Any) -> Resource:
    """Make a care plan with its usual intent."""
    members = {
        "status": status,
        "intent": "plan",
        "subject": ABOUT,
        "title": title,
        "period": {"start": "2026-09-01"},
    }
    return _made("CarePlan", members, more)


def episode(words: str = "Third-line therapy", status: str | None = "active", **more: Any) -> Resource:
    """Make an episode of care."""
    members = {"status": status, "patient": ABOUT, "type": [text(words)], "period": {"start": "2026-09-01"}}
    return _made("EpisodeOfCare", members, more)


def eye_examination() -> Resource:
    """Make the concept of an eye examination by its code."""
    return coded(CPT, "92014")

"""The hook request of a canary: its short lines as FHIR resources, with days counted from the day of the run.

A chart line is one of these, with days such as -20 (20 days ago) or 0 (today):

    given DRUG DAY [VALUE UNIT]      one dose                     done PROCEDURE DAY       a procedure
    taken DRUG DAY DAY               from one day to another      worsened DAY             the myeloma progressed
    takes DRUG DAY                   since then, and still        has PROBLEM DAY          on the problem list since
    measured TEST DAY VALUE [UNIT]   a result that is a number    tested TEST DAY FINDING  "positive" or "negative"
    remitted DAY                     a complete remission         had PROBLEM DAY          recorded then, and resolved

An order is the name of a drug with the amount of a dose (VALUE UNIT) or without, or that of a procedure, a test or a
vaccine with the day for which it is planned, or without. Units are codes of UCUM. All else is coded and never named: a
chart in words would be understood although the codes are gone.
"""

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any

from cards.finding import Hook
from cds_service.canaries import Canary, Code
from fhir_mapping.needs import Search

Json = dict[str, Any]

_DIAGNOSIS, _DIAGNOSED = "multiple-myeloma", -2500
_STATUS, _WORSE, _REMISSION = "cancer-disease-status", "disease-status-progression", "disease-status-remission"
_STATUSES = {"worsened": _WORSE, "remitted": _REMISSION}
_FINDING = "finding-"
_BORN = -66 * 365
_UCUM = "http://unitsofmeasure.org"


def request_of(
    name: str, canary: Canary, hook: Hook, today: date, codes: Mapping[str, Code], searches: Mapping[str, Search]
) -> Json:
    """Make the request; `name` goes into the id of the patient, and every search is answered."""
    maker = _Maker(f"synthetic-canary-{name}", today, codes)
    return {
        "hook": hook.value,
        "hookInstance": "00000000-0000-4000-8000-000000000000",
        "context": _context(maker, canary, hook),
        "prefetch": _prefetch(maker, canary, searches),
    }


def names_in(canary: Canary) -> set[str]:
    """Name every concept whose code stands in the request."""
    named = {_DIAGNOSIS, *(line.split()[0] for line in canary.orders)}
    for line in canary.chart:
        verb, name, *more = line.split()
        named |= {_STATUS, _STATUSES[verb]} if verb in _STATUSES else {name}
        if verb == "tested":
            named.add(_FINDING + more[1])
    return named


def _context(maker: "_Maker", canary: Canary, hook: Hook) -> Json:
    context: Json = {"userId": "Practitioner/synthetic-canary", "patientId": maker.patient_id}
    if hook is Hook.PATIENT_VIEW:
        return context
    drafts = [maker.draft(number, *line.split()) for number, line in enumerate(canary.orders, start=1)]
    context["draftOrders"] = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": draft} for draft in drafts],
    }
    if hook is Hook.ORDER_SELECT:
        context["selections"] = [f"{draft['resourceType']}/{draft['id']}" for draft in drafts]
    return context


def _prefetch(maker: "_Maker", canary: Canary, searches: Mapping[str, Search]) -> Json:
    records = [maker.diagnosis(), *(maker.record(number, line) for number, line in enumerate(canary.chart, start=1))]
    return {
        key: maker.patient() if search.resource_type == "Patient" else _bundle(records, search.resource_type)
        for key, search in searches.items()
    }


def _bundle(records: list[Json], kind: str) -> Json:
    entries = [{"resource": record} for record in records if record["resourceType"] == kind]
    return {"resourceType": "Bundle", "type": "searchset", "entry": entries}


class _Maker:
    """Makes the resources of one synthetic patient."""

    def __init__(self, patient_id: str, today: date, codes: Mapping[str, Code]) -> None:
        self.patient_id = patient_id
        self._today = today
        self._codes = codes

    def patient(self) -> Json:
        name = [{"family": "Synthetic", "given": ["Canary"]}]
        return {"resourceType": "Patient", "id": self.patient_id, "name": name, "birthDate": self._day(_BORN)}

    def diagnosis(self) -> Json:
        members = {"code": self._concept(_DIAGNOSIS), "recordedDate": self._day(_DIAGNOSED)}
        return self._resource("Condition", "diagnosis", members)

    def record(self, number: int, line: str) -> Json:
        verb, *words = line.split()
        kind, members = _VERBS[verb](self, *words)
        return self._resource(kind, f"record-{number}", members)

    def draft(self, number: int, name: str, *more: str) -> Json:
        members: Json = {"status": "draft", "intent": "order"}
        if self._codes[name].is_drug:
            members["medicationCodeableConcept"] = self._concept(name)
            if more:
                members["dosageInstruction"] = [{"doseAndRate": [{"doseQuantity": _quantity(*more)}]}]
            return self._resource("MedicationRequest", f"draft-{number}", members)
        members |= {"code": self._concept(name)} | ({"occurrenceDateTime": self._day(*more)} if more else {})
        return self._resource("ServiceRequest", f"draft-{number}", members)

    def given(self, drug: str, day: str, *amount: str) -> tuple[str, Json]:
        members: Json = {"status": "completed", "effectiveDateTime": self._day(day)}
        if amount:
            members["dosage"] = {"dose": _quantity(*amount)}
        return "MedicationAdministration", members | {"medicationCodeableConcept": self._concept(drug)}

    def taken(self, drug: str, start: str, end: str) -> tuple[str, Json]:
        period = {"start": self._day(start), "end": self._day(end)}
        members = {"status": "completed", "effectivePeriod": period}
        return "MedicationStatement", members | {"medicationCodeableConcept": self._concept(drug)}

    def takes(self, drug: str, start: str) -> tuple[str, Json]:
        members = {"status": "active", "effectivePeriod": {"start": self._day(start)}, "dateAsserted": self._day(0)}
        return "MedicationStatement", members | {"medicationCodeableConcept": self._concept(drug)}

    def done(self, procedure: str, day: str) -> tuple[str, Json]:
        members = {"status": "completed", "code": self._concept(procedure), "performedDateTime": self._day(day)}
        return "Procedure", members

    def worsened(self, day: str) -> tuple[str, Json]:
        return self._status(day, _WORSE)

    def remitted(self, day: str) -> tuple[str, Json]:
        return self._status(day, _REMISSION)

    def _status(self, day: str, value: str) -> tuple[str, Json]:
        members = {"status": "final", "code": self._concept(_STATUS), "effectiveDateTime": self._day(day)}
        return "Observation", members | {"valueCodeableConcept": self._concept(value)}

    def has(self, problem: str, day: str) -> tuple[str, Json]:
        return self._problem(problem, day, "active")

    def had(self, problem: str, day: str) -> tuple[str, Json]:
        return self._problem(problem, day, "resolved")

    def _problem(self, problem: str, day: str, status: str) -> tuple[str, Json]:
        clinical = {"coding": [{"system": _CLINICAL_STATUS, "code": status}]}
        members = {"code": self._concept(problem), "recordedDate": self._day(day), "clinicalStatus": clinical}
        return "Condition", members

    def measured(self, test: str, day: str, *amount: str) -> tuple[str, Json]:
        members = {"status": "final", "code": self._concept(test), "effectiveDateTime": self._day(day)}
        return "Observation", members | {"valueQuantity": _quantity(*amount)}

    def tested(self, test: str, day: str, finding: str) -> tuple[str, Json]:
        members = {"status": "final", "code": self._concept(test), "effectiveDateTime": self._day(day)}
        return "Observation", members | {"valueCodeableConcept": self._concept(_FINDING + finding)}

    def _resource(self, kind: str, resource_id: str, members: Json) -> Json:
        subject = {"reference": f"Patient/{self.patient_id}"}
        return {"resourceType": kind, "id": resource_id, "subject": subject} | members

    def _concept(self, name: str) -> Json:
        code = self._codes[name]
        return {"coding": [{"system": code.system, "code": code.code}]}

    def _day(self, days: str | int) -> str:
        return (self._today + timedelta(int(days))).isoformat()


def _quantity(value: str, unit: str = "1") -> Json:
    return {"value": float(value), "unit": unit, "system": _UCUM, "code": unit}


_CLINICAL_STATUS = "http://terminology.hl7.org/CodeSystem/condition-clinical"
_VERBS: Mapping[str, Callable[..., tuple[str, Json]]] = {
    "given": _Maker.given,
    "taken": _Maker.taken,
    "takes": _Maker.takes,
    "done": _Maker.done,
    "worsened": _Maker.worsened,
    "remitted": _Maker.remitted,
    "has": _Maker.has,
    "had": _Maker.had,
    "measured": _Maker.measured,
    "tested": _Maker.tested,
}

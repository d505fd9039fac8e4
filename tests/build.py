"""Short spellings for synthetic charts, hook requests and their answers; every patient here is invented."""

import itertools
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import date
from functools import cache
from typing import Any

import msgspec

from cards.finding import Hook
from cards.knowledge.loader import load
from cards.knowledge.own import with_rules_on
from cards.orders import Ordering
from cds_service.app import make_assessor
from cds_service.assess import Assessment, Assessor, assess
from cds_service.callers import Caller
from cds_service.services import topics_asked
from cds_service.settings import Settings
from tests import canary

AS_OF = date(2026, 11, 20)
PATIENT = "synthetic-1"

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
ICD10CM = "http://hl7.org/fhir/sid/icd-10-cm"
CPT = "http://www.ama-assn.org/go/cpt"
LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"

# Ingredient codes of the drugs that tests name
RXCUI = {
    "teclistamab": "2619426",
    "elranatamab": "2644880",
    "linvoseltamab": "2719416",
    "talquetamab": "2644447",
    "idecabtagene vicleucel": "2536430",
    "ciltacabtagene autoleucel": "2594775",
    "belantamab mafodotin": "2387834",
    "daratumumab": "1721947",
    "lenalidomide": "342369",
    "bortezomib": "358258",
    "dexamethasone": "3264",
    "fludarabine": "24698",
    "acyclovir": "281",
    "valacyclovir": "73645",
    "famciclovir": "68099",
    "letermovir": "1988648",
    "valganciclovir": "275891",
    "sulfamethoxazole-trimethoprim": "10831",
    "atovaquone": "60212",
    "dapsone": "3108",
    "pentamidine": "7994",
}

KEYS = {
    "Patient": "patient",
    "Condition": "conditions",
    "MedicationStatement": "medicationStatements",
    "MedicationRequest": "medicationRequests",
    "MedicationAdministration": "medicationAdministrations",
    "Procedure": "procedures",
    "AllergyIntolerance": "allergies",
    "Observation": "observations",
    "MedicationDispense": "medicationDispenses",
    "ServiceRequest": "serviceRequests",
    "DiagnosticReport": "reports",
    "Immunization": "immunizations",
    "Appointment": "appointments",
    "ResearchSubject": "researchSubjects",
    "Communication": "communications",
    "Flag": "flags",
    "CarePlan": "carePlans",
}

# A second search of Observations, for the newest vital signs alone
RECENT = "recentVitalSigns"
ALL_KEYS = {key: kind for kind, key in KEYS.items()} | {RECENT: "Observation"}
_TEMPERATURE = "8310-5"

Resource = dict[str, Any]
_numbers = itertools.count(1)


def coded(system: str, code: str, text: str | None = None) -> Resource:
    """Make a CodeableConcept."""
    return {"coding": [{"system": system, "code": code}]} | ({"text": text} if text else {})


def drug(name: str) -> Resource:
    """Make the concept of a drug by its RxNorm ingredient; an unknown name becomes text alone."""
    return coded(RXNORM, RXCUI[name], name) if name in RXCUI else {"text": name}


def _resource(kind: str, members: Mapping[str, Any], more: Mapping[str, Any]) -> Resource:
    subject = {"patient" if kind == "AllergyIntolerance" else "subject": {"reference": f"Patient/{PATIENT}"}}
    made = {"resourceType": kind, "id": f"{kind.lower()}-{next(_numbers)}"} | subject | dict(members) | dict(more)
    return {key: value for key, value in made.items() if value is not None}


def patient(born: str | None = "1956-03-01", **more: Any) -> Resource:
    """Make the Patient."""
    name = [{"family": canary.NAME, "given": ["Synthetic"]}]
    return {"resourceType": "Patient", "id": PATIENT, "name": name} | ({"birthDate": born} if born else {}) | more


def condition(code: str, recorded: str | None = None, **more: Any) -> Resource:
    """Make a problem list entry by its ICD-10-CM code."""
    return _resource("Condition", {"code": coded(ICD10CM, code), "recordedDate": recorded}, more)


def myeloma(**more: Any) -> Resource:
    """Make the usual diagnosis: multiple myeloma not having achieved remission."""
    return condition("C90.00", "2020-11-02", **more)


def relapse(recorded: str | None) -> Resource:
    """Make a recorded relapse."""
    return condition("C90.02", recorded)


def given(name: str, on: str | None, status: str = "completed", **more: Any) -> Resource:
    """Make one administered dose (tier A)."""
    members = {"status": status, "medicationCodeableConcept": drug(name), "effectiveDateTime": on}
    return _resource("MedicationAdministration", members, more)


def reported(
    name: str,
    start: str | None = None,
    end: str | None = None,
    status: str = "completed",
    asserted: str | None = None,
    **more: Any,
) -> Resource:
    """Make a medication statement over a period (tier B)."""
    period = {key: value for key, value in (("start", start), ("end", end)) if value}
    members = {
        "status": status,
        "medicationCodeableConcept": drug(name),
        "effectivePeriod": period or None,
        "dateAsserted": asserted,
    }
    return _resource("MedicationStatement", members, more)


def ordered(name: str, authored: str | None, status: str = "active", until: str | None = None, **more: Any) -> Resource:
    """Make a stored order (tier C), with the end of its supply where it has one."""
    members = {
        "status": status,
        "intent": "order",
        "medicationCodeableConcept": drug(name),
        "authoredOn": authored,
        "dispenseRequest": {"validityPeriod": {"end": until}} if until else None,
    }
    return _resource("MedicationRequest", members, more)


def dispensed(name: str, on: str | None, days: float | None = None, status: str = "completed", **more: Any) -> Resource:
    """Make a supply that was handed over (tier C), and for how many days it lasts where that is known."""
    members = {
        "status": status,
        "medicationCodeableConcept": drug(name),
        "whenHandedOver": on,
        "daysSupply": {"value": days, "unit": "days"} if days is not None else None,
    }
    return _resource("MedicationDispense", members, more)


def procedure(code: str, on: str | None, status: str = "completed", system: str = CPT, **more: Any) -> Resource:
    """Make a procedure by its CPT code."""
    return _resource("Procedure", {"status": status, "code": coded(system, code), "performedDateTime": on}, more)


def infusion(on: str | None, product: str | None = "ciltacabtagene autoleucel", **more: Any) -> Resource:
    """Make a CAR T infusion: a dose of a product, or the bare procedure when none is named."""
    return given(product, on, **more) if product else procedure("38228", on, **more)


def progression(on: str | None, status: str = "final", **more: Any) -> Resource:
    """Make an observation that the disease has worsened."""
    members = {
        "status": status,
        "code": coded(LOINC, "97509-4"),
        "effectiveDateTime": on,
        "valueCodeableConcept": coded(SNOMED, "271299001"),
    }
    return _resource("Observation", members, more)


def lab(code: str, value: float, unit: str, on: str | None, status: str = "final", **more: Any) -> Resource:
    """Make a laboratory result by its LOINC code."""
    quantity = {"value": value, "unit": unit}
    members = {"status": status, "code": coded(LOINC, code), "effectiveDateTime": on, "valueQuantity": quantity}
    return _resource("Observation", members, more)


# The usual code of each test for an infection or for antibodies that tests name
TEST_CODES = {
    "hbsag": "5196-1",
    "anti-hbc-total": "13952-7",
    "anti-hbs": "16935-9",
    "hbv-dna": "42595-9",
    "hcv-ab": "13955-0",
    "hcv-rna": "11259-9",
    "hiv-ab": "7918-6",
    "hiv-ag-ab": "56888-1",
    "hiv-nat": "25835-0",
    "cmv-igg": "13949-3",
    "vzv-igg": "15410-4",
    "measles-titer": "35275-7",
    "tetanus-titer": "26643-7",
    "pneumococcal-titers": "42366-5",
}


def finding(test: str, found: str, on: str | None, status: str = "final", **more: Any) -> Resource:
    """Make a result of a test for an infection or for antibodies, in words."""
    members = {
        "status": status,
        "code": coded(LOINC, TEST_CODES[test]),
        "effectiveDateTime": on,
        "valueString": found,
    }
    return _resource("Observation", members, more)


def draft_test(test: str, on: str | None = None, **more: Any) -> Resource:
    """Make a draft order of such a test."""
    return draft_service(TEST_CODES[test], on, system=LOINC, **more)


def allergy(concept: Resource, **more: Any) -> Resource:
    """Make an allergy."""
    return _resource("AllergyIntolerance", {"code": concept}, more)


def service_request(
    code: Resource | str, authored: str | None, status: str = "active", on: str | None = None, **more: Any
) -> Resource:
    """Make a stored service request, by its concept or in words, for a day where it has one."""
    concept = {"text": code} if isinstance(code, str) else code
    members = {"status": status, "intent": "order", "code": concept, "authoredOn": authored, "occurrenceDateTime": on}
    return _resource("ServiceRequest", members, more)


def ordered_test(
    test: str, authored: str | None, status: str = "active", on: str | None = None, **more: Any
) -> Resource:
    """Make a stored order of such a test."""
    return service_request(coded(LOINC, TEST_CODES[test]), authored, status, on, **more)


def appointment(
    description: str, on: str | None, status: str = "booked", created: str | None = None, **more: Any
) -> Resource:
    """Make an appointment, in words."""
    members = {
        "status": status,
        "description": description,
        "start": on,
        "created": created,
        "participant": [{"actor": {"reference": f"Patient/{PATIENT}"}, "status": "accepted"}],
    }
    return _resource("Appointment", members, more)


def draft_drug(name: str, on: str | None = None, **more: Any) -> Resource:
    """Make a draft order of a drug, with its planned first dose where there is one."""
    dosage = [{"timing": {"event": [on]}}] if on else None
    members = {
        "status": "draft",
        "intent": "order",
        "medicationCodeableConcept": drug(name),
        "dosageInstruction": dosage,
    }
    return _resource("MedicationRequest", members, more)


def draft_collection(on: str | None = None, **more: Any) -> Resource:
    """Make a draft order of the T-cell collection."""
    return draft_service("38225", on, **more)


def draft_infusion(on: str | None = None, **more: Any) -> Resource:
    """Make a draft order of a CAR T infusion that names no product."""
    return draft_service("38228", on, **more)


def draft_service(code: str, on: str | None = None, system: str = CPT, **more: Any) -> Resource:
    """Make a draft service request."""
    members = {"status": "draft", "intent": "order", "code": coded(system, code), "occurrenceDateTime": on}
    return _resource("ServiceRequest", members, more)


def bundle(resources: Iterable[Resource]) -> Resource:
    """Make a searchset."""
    return {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": r} for r in resources]}


def chart(*resources: Resource, without: Iterable[str] = (), **replaced: Any) -> dict[str, Any]:
    """Make a prefetch with every key, all of them read; `without` leaves keys out, `replaced` sets raw values.

    A patient and the diagnosis are added where none is given, and an ordinary drug, so that the medication lists
    are not empty.
    """
    kinds = {resource["resourceType"] for resource in resources}
    extra = [] if "Patient" in kinds else [patient()]
    extra += [] if "Condition" in kinds else [myeloma()]
    extra += [reported("metformin", "2019-01-01", status="active")]
    return bare_chart(*resources, *extra, without=without, **replaced)


def key_of(resource: Resource) -> str:
    """Name the search that a resource answers."""
    code = resource.get("code") if resource["resourceType"] == "Observation" else None
    codings = code.get("coding", []) if isinstance(code, dict) else []
    return (
        RECENT
        if any(coding.get("code") == _TEMPERATURE for coding in codings)
        else KEYS.get(resource["resourceType"], "")
    )


def bare_chart(*resources: Resource, without: Iterable[str] = (), **replaced: Any) -> dict[str, Any]:
    """Make a prefetch with every key and nothing that is not given."""
    prefetch: dict[str, Any] = {}
    for key in ALL_KEYS:
        own = [resource for resource in resources if key_of(resource) == key]
        prefetch[key] = (own[0] if own else None) if key == "patient" else bundle(own)
    prefetch |= replaced
    return {key: value for key, value in prefetch.items() if key not in set(without)}


def hook_request(
    hook: Hook, prefetch: Mapping[str, Any] | None, orders: Iterable[Resource] = (), selected: Iterable[Resource] = ()
) -> dict[str, Any]:
    """Make a whole hook request; on order-select all orders are selected unless some are named."""
    drafts = list(orders)
    context: dict[str, Any] = {"userId": "Practitioner/synthetic-oncologist", "patientId": PATIENT}
    if hook is not Hook.PATIENT_VIEW:
        context["draftOrders"] = bundle(drafts)
    if hook is Hook.ORDER_SELECT:
        context["selections"] = [f"{r['resourceType']}/{r['id']}" for r in (list(selected) or drafts)]
    request = {"hook": hook.value, "hookInstance": "5a2ab7a7-0b5c-4e57-9c3b-6f6b6a8f3f10", "context": context}
    return request | ({"prefetch": dict(prefetch)} if prefetch is not None else {})


CALLER = Caller("tests", Ordering(with_doses=True))


@cache
def assessor() -> Assessor:
    """Give the shipped product with a fixed day and predictable uuids."""
    counter = itertools.count(1)
    return make_assessor(
        Settings(auth="off", as_of=AS_OF.isoformat(), time_zone="America/New_York"),
        new_uuid=lambda: f"00000000-0000-4000-8000-{next(counter):012d}",
    )


def ask_with(rules: Iterable[str], request: Mapping[str, Any]) -> Assessment:
    """Answer a request at a hospital that has switched on rules that are shipped off."""
    knowledge = with_rules_on(load(), list(rules))
    site = replace(assessor(), knowledge=knowledge, topics=topics_asked(knowledge), today=lambda: AS_OF)
    return assess(json.dumps(request).encode(), Hook(request["hook"]), site, CALLER)


def ask(request: Mapping[str, Any], *, today: date = AS_OF) -> Assessment:
    """Answer a request in process, with the shipped numbers and doses in the drafts, as of `today`."""
    as_of: Callable[[], date] = lambda: today  # noqa: E731 - a clock that stands still
    return assess(json.dumps(request).encode(), Hook(request["hook"]), replace(assessor(), today=as_of), CALLER)


def outcome(assessment: Assessment, rule: str) -> str:
    """Give a rule's outcome in an answer: the worst of several; "not_applicable" when nothing was read."""
    order = ["not_applicable", "satisfied", "cannot_tell", "flagged", "failed"]
    return max(assessment.rules.get(rule, ("not_applicable",)), key=order.index)


def cards_of(assessment: Assessment) -> list[dict[str, Any]]:
    """Give the cards as they go over the wire."""
    cards: list[dict[str, Any]] = msgspec.json.decode(msgspec.json.encode(assessment.cards))
    return cards


def card(assessment: Assessment, code: str) -> dict[str, Any]:
    """Give the one card with this topic code, or the bundle in which this rule found something."""
    (found,) = [card for card in cards_of(assessment) if code in {card["source"]["topic"]["code"], *_bundled(card)}]
    return found


def _bundled(shown: Mapping[str, Any]) -> set[str]:
    is_bundle = shown["source"]["topic"]["code"].startswith("B")
    return {rule["id"] for rule in shown["extension"]["mmcds.rules"]} if is_bundle else set()

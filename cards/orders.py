"""Draft orders for suggestions: built from the knowledge files, and validated as FHIR R4B before the service starts."""

from collections.abc import Mapping
from typing import Any

from fhir.resources.R4B.medicationrequest import MedicationRequest
from fhir.resources.R4B.servicerequest import ServiceRequest
from pydantic import ValidationError

from cards.finding import Proposal
from cards.knowledge.loader import KnowledgeError
from cards.knowledge.texts import OrderText

_RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
_MODELS: dict[str, Any] = {"drug": MedicationRequest, "service": ServiceRequest}


def draft_order(
    text: OrderText, proposal: Proposal, patient_id: str, condition: str | None, note: str
) -> dict[str, Any]:
    """Make the FHIR R4 draft of one proposal: never signed, and without a dose unless the proposal allows it."""
    order: dict[str, Any] = {
        "resourceType": "MedicationRequest" if text.kind == "drug" else "ServiceRequest",
        "status": "draft",
        "intent": text.intent,
    }
    if text.kind == "drug":
        order["medicationCodeableConcept"] = {
            "coding": [{"system": _RXNORM, "code": text.code, "display": text.display}],
            "text": text.display,
        }
    else:
        order["code"] = {"text": text.display}
    order["subject"] = {"reference": f"Patient/{patient_id}"}
    if condition is not None:
        order["reasonReference"] = [{"reference": condition}]
    order["note"] = [{"text": note}]
    dosage = _dosage(text, proposal)
    if dosage:
        order["dosageInstruction"] = [dosage]
    return order


def _dosage(text: OrderText, proposal: Proposal) -> dict[str, Any]:
    dosage: dict[str, Any] = {}
    if proposal.with_dose and text.dose_text is not None:
        dosage["text"] = text.dose_text
    bounds = {
        name: day.isoformat() for name, day in (("start", proposal.start), ("end", proposal.end)) if day is not None
    }
    if bounds:
        dosage["timing"] = {"repeat": {"boundsPeriod": bounds}}
    return dosage


def check_templates(orders: Mapping[str, OrderText]) -> None:
    """Build every template once and hold it against R4B.

    Raises KnowledgeError with all faults.
    """
    faults: list[str] = []
    for key, text in orders.items():
        order = draft_order(text, Proposal(key, with_dose=True), "example", "Condition/example", "note")
        try:
            _MODELS[text.kind].model_validate(order)
        except ValidationError as error:
            faults += (f"orders.toml, {key}: not a valid {order['resourceType']}: {e['msg']}" for e in error.errors())
    if faults:
        raise KnowledgeError(faults)

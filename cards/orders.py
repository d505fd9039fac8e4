"""Draft orders for suggestions: built from the knowledge files, and validated as FHIR R4B before the service starts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fhir.resources.R4B.medicationrequest import MedicationRequest
from fhir.resources.R4B.servicerequest import ServiceRequest
from pydantic import ValidationError

from cards.finding import Proposal
from cards.knowledge.loader import KnowledgeError
from cards.knowledge.texts import OrderText

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
_MODELS: dict[str, Any] = {"drug": MedicationRequest, "service": ServiceRequest}


@dataclass(frozen=True, slots=True)
class OwnCode:
    """A hospital's own code for a draft order."""

    system: str
    code: str
    display: str | None = None


@dataclass(frozen=True, slots=True)
class Ordering:
    """How a client takes draft orders: the hospital's own codes by template, and the name of RxNorm it knows.

    A client that makes orders out of codes alone (`needs_code`) is offered none without one.
    """

    own_codes: Mapping[str, OwnCode] = field(default_factory=dict)
    rxnorm: str = RXNORM
    needs_code: bool = False

    def codings(self, template: str, text: OrderText) -> list[dict[str, str]]:
        """Give the codings of an order, the hospital's own one first: clients that take one take the first."""
        own = self.own_codes.get(template)
        codings = [{"system": self.rxnorm, "code": text.code, "display": text.display}] if text.code else []
        if own is not None:
            codings.insert(0, {"system": own.system, "code": own.code, "display": own.display or text.display})
        return codings

    def can_take(self, template: str, text: OrderText) -> bool:
        """Whether the client can make this order."""
        return not self.needs_code or bool(self.codings(template, text))


def describe(text: OrderText, proposal: Proposal) -> str:
    """Say in words what the draft says: some clients show this alone and take nothing but the code from the draft."""
    said = [text.description]
    if proposal.with_dose and text.dose_text is not None:
        said.append(text.dose_text.removesuffix("."))
    if proposal.start is not None or proposal.end is not None:
        said.append(f"From {proposal.start or 'now'} to {proposal.end or 'open'}")
    return ". ".join(said)


def draft_order(
    text: OrderText,
    proposal: Proposal,
    patient_id: str,
    condition: str | None,
    note: str,
    ordering: Ordering | None = None,
) -> dict[str, Any]:
    """Make the FHIR R4 draft of one proposal: never signed, and without a dose unless the proposal allows it."""
    codings = (ordering or Ordering()).codings(proposal.template, text)
    concept = ({"coding": codings} if codings else {}) | {"text": text.display}
    order: dict[str, Any] = {
        "resourceType": "MedicationRequest" if text.kind == "drug" else "ServiceRequest",
        "status": "draft",
        "intent": text.intent,
    }
    order["medicationCodeableConcept" if text.kind == "drug" else "code"] = concept
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

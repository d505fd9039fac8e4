"""Draft orders for suggestions: built from the knowledge files, and validated as FHIR R4B before the service starts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from fhir.resources.R4B.communicationrequest import CommunicationRequest
from fhir.resources.R4B.medicationrequest import MedicationRequest
from fhir.resources.R4B.servicerequest import ServiceRequest
from pydantic import ValidationError

from cards.finding import Proposal
from cards.knowledge.loader import KnowledgeError
from cards.knowledge.texts import OrderText

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
_MODELS: dict[str, Any] = {
    "drug": MedicationRequest,
    "service": ServiceRequest,
    "communication": CommunicationRequest,
}
_TYPES: Mapping[str, str] = {kind: model.get_resource_type() for kind, model in _MODELS.items()}
_CODED = {"drug": "medicationCodeableConcept", "service": "code"}  # where the code stands
_ANY_DAY = date(2000, 1, 31)


@dataclass(frozen=True, slots=True)
class OwnCode:
    """A hospital's own code for a draft order."""

    system: str
    code: str
    display: str | None = None


@dataclass(frozen=True, slots=True)
class Ordering:
    """How a client takes draft orders: the hospital's own codes by template, and the name of RxNorm it knows.

    A client that makes orders out of codes alone (`needs_code`) is offered none without one, no communication, which
    has none, and no update: it would not see what has changed. `with_doses` says that the hospital wants the doses that
    a source prints in the drafts.
    """

    own_codes: Mapping[str, OwnCode] = field(default_factory=dict)
    rxnorm: str = RXNORM
    needs_code: bool = False
    with_doses: bool = False

    @property
    def takes_updates(self) -> bool:
        """Whether the client can take a changed draft of its own."""
        return not self.needs_code

    def codings(self, template: str, text: OrderText) -> list[dict[str, str]]:
        """Give the codings of an order, the hospital's own one first: clients that take one take the first."""
        own = self.own_codes.get(template)
        system = text.code_system or self.rxnorm
        codings = [{"system": system, "code": text.code, "display": text.display}] if text.code else []
        if own is not None:
            codings.insert(0, {"system": own.system, "code": own.code, "display": own.display or text.display})
        return codings

    def can_take(self, template: str, text: OrderText) -> bool:
        """Whether the client can make this order."""
        return not self.needs_code or (text.kind in _CODED and bool(self.codings(template, text)))


def describe(text: OrderText, proposal: Proposal) -> str:
    """Say in words what the draft says: some clients show this alone and take nothing but the code from the draft."""
    said = [text.description]
    if proposal.with_dose and text.dose_text is not None:
        said.append(text.dose_text.removesuffix("."))
    start, end = proposal.start, proposal.end
    if text.kind == "drug":
        if start is not None or end is not None:
            said.append(f"From {start or 'now'} to {end or 'open'}")
    elif start is not None:
        said.append(f"On {start}" if start == end else f"From {start} to {end}" if end else f"From {start}")
    elif end is not None:
        said.append(f"By {end}")
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
    order: dict[str, Any] = {"resourceType": _TYPES[text.kind], "status": "draft"}
    if text.kind in _CODED:
        codings = (ordering or Ordering()).codings(proposal.template, text)
        order["intent"] = text.intent
        order[_CODED[text.kind]] = ({"coding": codings} if codings else {}) | {"text": text.display}
    else:
        order["payload"] = [{"contentString": text.display}]
    if text.category_text is not None:
        order["category"] = [{"text": text.category_text}]
    order["subject"] = {"reference": f"Patient/{patient_id}"}
    if condition is not None:
        order["reasonReference"] = [{"reference": condition}]
    order["note"] = [{"text": note}]
    if text.kind != "drug":
        return order | _occurrence(proposal)
    dosage = _dosage(text, proposal)
    if dosage:
        order["dosageInstruction"] = [dosage]
    return order


def _occurrence(proposal: Proposal) -> dict[str, Any]:
    bounds = _bounds(proposal)
    if bounds and proposal.start == proposal.end:
        return {"occurrenceDateTime": bounds["start"]}
    return {"occurrencePeriod": bounds} if bounds else {}


def _dosage(text: OrderText, proposal: Proposal) -> dict[str, Any]:
    dosage: dict[str, Any] = {}
    if proposal.with_dose and text.dose_text is not None:
        dosage["text"] = text.dose_text
    bounds = _bounds(proposal)
    if bounds:
        dosage["timing"] = {"repeat": {"boundsPeriod": bounds}}
    return dosage


def _bounds(proposal: Proposal) -> dict[str, str]:
    days = (("start", proposal.start), ("end", proposal.end))
    return {name: day.isoformat() for name, day in days if day is not None}


def check_templates(orders: Mapping[str, OrderText]) -> None:
    """Build every template once and hold it against R4B.

    Raises KnowledgeError with all faults.
    """
    faults: list[str] = []
    for key, text in orders.items():
        if text.kind == "reschedule":
            continue  # words alone: the order is the EHR's own
        proposal = Proposal(key, with_dose=True, end=_ANY_DAY)
        order = draft_order(text, proposal, "example", "Condition/example", "note")
        try:
            _MODELS[text.kind].model_validate(order)
        except ValidationError as error:
            faults += (f"orders.toml, {key}: not a valid {order['resourceType']}: {e['msg']}" for e in error.errors())
    if faults:
        raise KnowledgeError(faults)

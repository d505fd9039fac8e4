"""Stored ServiceRequest and Appointment, and stored orders of CAR T cells: what is planned, and what was declined."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import msgspec
from msgspec import Raw

from fhir_mapping import wire
from fhir_mapping.catalog.care_words import (
    asks_for_referral,
    has_concept,
    refused_in,
    speaks_of_evaluation,
    speaks_of_eye_examination,
)
from fhir_mapping.catalog.loader import Catalog, texts_of
from fhir_mapping.model.care import TOWARDS_CAR_T, PlanKind, PlannedCare, PlanState, Refusal, RefusedTherapy
from fhir_mapping.model.dates import ClinicalDate, parse
from fhir_mapping.model.vocabulary import Certainty, Drug, DrugClass
from fhir_mapping.readers.context import Context, label_of, source_of
from fhir_mapping.readers.doses import planned_start
from fhir_mapping.readers.procedures import match_procedure
from fhir_mapping.readers.routes import dosages_of

# None: a plan that was called off is none any more
_REQUESTS = {
    "draft": PlanState.OPEN,
    "active": PlanState.OPEN,
    "completed": PlanState.DONE,
    "on-hold": PlanState.UNCLEAR,
    "unknown": PlanState.UNCLEAR,
    "revoked": None,
}
_APPOINTMENTS = {
    "booked": PlanState.OPEN,
    "arrived": PlanState.OPEN,
    "checked-in": PlanState.OPEN,
    "fulfilled": PlanState.DONE,
    "proposed": PlanState.UNCLEAR,
    "pending": PlanState.UNCLEAR,
    "waitlist": PlanState.UNCLEAR,
    "cancelled": None,
    "noshow": None,
}
_ORDERING_INTENTS = {None, "order", "original-order", "reflex-order", "filler-order", "instance-order", "directive"}
_CAR_T = frozenset({RefusedTherapy.CAR_T})
_STATUS_REASON = "http://hl7.org/fhir/StructureDefinition/request-statusReason"
_CACHED_PLANS = 4_096


class _Extension(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    url: str | None = None
    value_codeable_concept: wire.Concept | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request or an appointment is for; not sure where a leukapheresis may be one of stem cells."""

    kind: PlanKind
    product: Drug | None = None
    tests: frozenset[str] = frozenset()
    is_sure: bool = True


def read_service_request(request: wire.ServiceRequest, context: Context) -> Iterator[PlannedCare | Refusal]:
    """Turn one stored request into facts: a plan, or the refusal for which a CAR T step was called off."""
    asked = None if request.do_not_perform else _asked_by(request, context.catalog)
    if asked is None:
        return
    state = _REQUESTS.get(request.status or "", PlanState.UNCLEAR)
    if state is None:
        if asked.kind in TOWARDS_CAR_T:
            yield from _refusals(request, context)
        return
    if request.intent not in _ORDERING_INTENTS:
        state = PlanState.UNCLEAR
    period = request.occurrence_period or wire.NO_PERIOD
    planned = context.day(request.occurrence_date_time or period.start, "ServiceRequest")
    yield _plan(request, asked, state, planned, request.authored_on, context)


def read_appointment(appointment: wire.Appointment, context: Context) -> Iterator[PlannedCare]:
    """Turn one appointment into facts."""
    state = _APPOINTMENTS.get(appointment.status or "", PlanState.UNCLEAR)
    if state is None:
        return
    concepts = (
        *wire.decode_concepts(appointment.service_type),
        *wire.decode_concepts(appointment.appointment_type),
        *wire.decode_concepts(appointment.reason_code),
        wire.Concept(text=appointment.description),
    )
    asked = asked_for(concepts, context.catalog)
    if asked is not None:
        planned = context.day(appointment.start, "Appointment")
        yield _plan(appointment, asked, state, planned, appointment.created, context)


def planned_product(order: wire.MedicationRequest, product: Drug, context: Context, *, is_sure: bool) -> PlannedCare:
    """Turn a stored order of a CAR T product that still stands into the plan of its infusion."""
    asked = Asked(PlanKind.CAR_T_INFUSION, product, is_sure=is_sure)
    planned = context.day(planned_start(order, dosages_of(order)), "MedicationRequest")
    return _plan(order, asked, PlanState.OPEN, planned, order.authored_on, context)


def _plan(
    resource: wire.ServiceRequest | wire.Appointment | wire.MedicationRequest,
    asked: Asked,
    state: PlanState,
    planned: ClinicalDate | None,
    requested_on: str | None,
    context: Context,
) -> PlannedCare:
    requested = context.past_day(requested_on, type(resource).__name__)
    is_stated = context.certainty(resource) is Certainty.STATED
    return PlannedCare(
        kind=asked.kind,
        state=state if is_stated and asked.is_sure else PlanState.UNCLEAR,
        product=asked.product,
        tests=asked.tests,
        planned=planned,
        requested=requested,
        source=source_of(resource, requested),
    )


def _asked_by(request: wire.ServiceRequest, catalog: Catalog) -> Asked | None:
    if request.code is None:
        return None
    asked = asked_for((request.code,), catalog)
    if asked is None and asks_for_referral(request.code):  # "Referral to haematology", and the reason says what for
        asked = asked_for((request.code, *wire.decode_concepts(request.reason_code)), catalog)
        # A referral for a step is the referral, not the step
        if asked is not None and asked.kind in TOWARDS_CAR_T:
            return Asked(PlanKind.CAR_T_REFERRAL, asked.product)
    return asked


@lru_cache(maxsize=_CACHED_PLANS)
def asked_for(concepts: tuple[wire.Concept, ...], catalog: Catalog) -> Asked | None:
    """Say what the codes and texts of one request or appointment ask for; None for what no rule looks at."""
    tests = frozenset().union(*(catalog.concepts("lab", concept) for concept in concepts))
    if tests:
        return Asked(PlanKind.LABORATORY_TEST, tests=tests)
    steps = [step for concept in concepts if (step := _car_t_step(concept, catalog)) is not None]
    if steps:
        return max(steps, key=lambda step: step.is_sure)
    texts = tuple(text for concept in concepts for text in texts_of(concept))
    if speaks_of_evaluation(texts, catalog):
        return Asked(PlanKind.CAR_T_REFERRAL, _only_product(concepts, catalog))
    is_coded_eye = any(has_concept("eye_examination", concept, catalog) for concept in concepts)
    if is_coded_eye or speaks_of_eye_examination(texts):
        return Asked(PlanKind.EYE_EXAMINATION)
    return None


def _car_t_step(concept: wire.Concept, catalog: Catalog) -> Asked | None:
    """Read a step of CAR T therapy; a product alone is ordered in order to be infused."""
    match = match_procedure(concept, catalog)
    if match is None:
        return None
    products = match.products or match.possible_products
    if match.is_collection or match.may_be_collection:
        kind = PlanKind.T_CELL_COLLECTION
    elif match.is_lymphodepletion:
        kind = PlanKind.LYMPHODEPLETION
    elif match.is_infusion or products:
        kind = PlanKind.CAR_T_INFUSION
    else:
        return None
    return Asked(
        kind,
        products[0] if len(products) == 1 else None,
        is_sure=not match.may_be_collection and match.certainty is Certainty.STATED,
    )


def _only_product(concepts: Iterable[wire.Concept], catalog: Catalog) -> Drug | None:
    drugs = {drug for concept in concepts for drug in catalog.drug(concept).drugs}
    products = [drug for drug in drugs if drug.drug_class is DrugClass.CAR_T]
    return products[0] if len(products) == 1 else None


def _refusals(request: wire.ServiceRequest, context: Context) -> Iterator[Refusal]:
    """Read why a CAR T step was called off; a reason that is not the patient's, nor medical, is no refusal."""
    reasons = (*_status_reasons(request), *wire.decode_concepts(request.reason_code))
    refusal = next((reason for reason in reasons if _refuses(reason, context.catalog)), None)
    if refusal is None or context.certainty(request) is not Certainty.STATED:
        return
    requested = context.past_day(request.authored_on, "ServiceRequest")
    # It was called off at some time since then
    since = ClinicalDate(requested.earliest, context.as_of) if requested else None
    yield Refusal(label_of(refusal), since, source_of(request, requested))


def _refuses(reason: wire.Concept, catalog: Catalog) -> bool:
    return has_concept("refusal", reason, catalog) or any(
        RefusedTherapy.CAR_T in refused_in(text, catalog, _CAR_T) for text in texts_of(reason)
    )


def _status_reasons(request: wire.ServiceRequest) -> Iterator[wire.Concept]:
    for raw in wire.decode(request.extension, tuple[Raw, ...]) or ():
        extension = wire.decode(raw, _Extension)
        if extension is not None and extension.url == _STATUS_REASON and extension.value_codeable_concept is not None:
            yield extension.value_codeable_concept


@dataclass(frozen=True, slots=True)
class RequestsBeingPlaced:
    """What identifies the service requests that are drafts of this very request: stored, they are no history."""

    ids: frozenset[str]
    asked: frozenset[Asked]

    def includes(self, request: wire.ServiceRequest, context: Context) -> bool:
        """Whether a stored request is one of the drafts: by its id, or because it asked for the same today."""
        if request.id in self.ids:
            return True
        authored = parse(request.authored_on, context.zone) if self.asked and request.authored_on else None
        # Today, also where midnight in UTC makes it yesterday or today
        if authored is None or authored.latest != context.as_of or (context.as_of - authored.earliest).days > 1:
            return False
        return _asked_by(request, context.catalog) in self.asked


def requests_being_placed(drafts: Iterable[object], context: Context) -> RequestsBeingPlaced:
    """Name the drafts of a request that are service requests, whatever else is among them."""
    requests = [draft for draft in drafts if isinstance(draft, wire.ServiceRequest)]
    asked = [_asked_by(request, context.catalog) for request in requests]
    return RequestsBeingPlaced(
        ids=frozenset(request.id for request in requests if request.id),
        asked=frozenset(plan for plan in asked if plan is not None),
    )

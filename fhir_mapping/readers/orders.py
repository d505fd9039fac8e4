"""Draft orders of the request: MedicationRequest and ServiceRequest, with or without details."""

from collections.abc import Iterator, Mapping
from typing import Any

from fhir_mapping import wire
from fhir_mapping.catalog.care_words import speaks_of_evaluation
from fhir_mapping.catalog.loader import texts_of
from fhir_mapping.model.dates import ClinicalDate
from fhir_mapping.model.orders import OrderKind, ProposedOrder
from fhir_mapping.model.vocabulary import ChartText, Drug, DrugClass
from fhir_mapping.readers.amounts import Regimen, regimen_of
from fhir_mapping.readers.context import Context, label_of, medication_of, source_of
from fhir_mapping.readers.doses import planned_start
from fhir_mapping.readers.procedures import ProcedureMatch, match_procedure
from fhir_mapping.readers.routes import dosages_of, is_systemic
from fhir_mapping.readers.services import asked_by_drug_order, asked_by_service

DraftOrder = wire.MedicationRequest | wire.ServiceRequest
_NOT_BEING_PLACED = {"entered-in-error", "cancelled", "revoked", "stopped", "completed"}
_VACCINE = "vaccine-"

# A draft that could not be decoded might ask for anything
UNREADABLE_ORDER = ProposedOrder(
    reference=ChartText("draft order"),
    kind=OrderKind.UNRECOGNISED,
    drug=None,
    planned=None,
    judged=True,
    systemic=False,
    label=ChartText(""),
)


def read_order(order: DraftOrder, context: Context, *, judged: bool) -> Iterator[ProposedOrder]:
    """Turn a draft into the watched orders it contains; none for a draft that no rule looks at."""
    if order.status in _NOT_BEING_PLACED or order.do_not_perform:
        return
    if type(order) is wire.MedicationRequest:
        yield from _read_drug_order(order, context, judged=judged)
    elif type(order) is wire.ServiceRequest:
        yield from _read_service_order(order, context, judged=judged)


def _read_drug_order(order: wire.MedicationRequest, context: Context, *, judged: bool) -> Iterator[ProposedOrder]:
    concept = medication_of(order, context) or wire.NO_CONCEPT
    if not concept.coding and not texts_of(concept):
        if order.medication_reference is not None or order.was_pruned:  # it names a drug that we cannot look up
            yield _order(order, OrderKind.UNRECOGNISED, None, concept, context, judged=judged)
        return  # else it is a draft without a drug yet
    match = context.catalog.drug(concept)
    asks_for = frozenset() if match.drugs else asked_by_drug_order(concept, context.catalog)
    if asks_for:
        yield _order(order, OrderKind.OTHER, None, concept, context, judged=judged, asks_for=asks_for)
        return
    if match.is_unrecognised_treatment or (order.was_pruned and not match.drugs and not match.is_known_other):
        yield _order(order, OrderKind.UNRECOGNISED, None, concept, context, judged=judged)
    for drug in match.drugs:
        if is_watched(drug, context.catalog.recognition):
            kind = OrderKind.LYMPHODEPLETION if drug.drug_class is DrugClass.PURINE_ANALOGUE else OrderKind.DRUG
            yield _order(order, kind, drug, concept, context, judged=judged)


def _read_service_order(order: wire.ServiceRequest, context: Context, *, judged: bool) -> Iterator[ProposedOrder]:
    if order.code is None or not (order.code.coding or texts_of(order.code)):
        if order.was_pruned:
            yield _order(order, OrderKind.UNRECOGNISED, None, wire.NO_CONCEPT, context, judged=judged)
        return
    match = match_procedure(order.code, context.catalog) or ProcedureMatch()
    product = next(iter(match.products or match.possible_products), None)
    if match.is_collection or match.may_be_collection:
        kind = OrderKind.T_CELL_COLLECTION
    elif match.is_lymphodepletion:
        kind = OrderKind.LYMPHODEPLETION
    elif match.is_infusion:
        kind = OrderKind.CAR_T_INFUSION
    elif product is not None:
        kind = OrderKind.DRUG
    elif match.is_unrecognised or order.was_pruned:
        kind = OrderKind.UNRECOGNISED
    elif speaks_of_evaluation(tuple(texts_of(order.code)), context.catalog):
        kind, judged = OrderKind.CAR_T_REFERRAL, False  # context alone: no chart is read for it
    elif asks_for := asked_by_service(order.code, context.catalog):
        yield _order(order, OrderKind.OTHER, None, order.code, context, judged=judged, asks_for=asks_for)
        return
    else:
        return
    yield _order(order, kind, product, order.code, context, judged=judged)


def is_watched(drug: Drug, recognition: Mapping[str, Any]) -> bool:
    """Whether an order of this drug is worth reading the chart for (gate G2)."""
    return drug.antimyeloma or drug.drug_class.value in recognition["watched"]["classes"]


def _asks_for_watched(asks_for: frozenset[str], recognition: Mapping[str, Any]) -> bool:
    """Whether what is asked for is worth reading the chart for; every vaccine is."""
    return any(asked.startswith(_VACCINE) or asked in recognition["watched"]["concepts"] for asked in asks_for)


def _order(
    order: DraftOrder,
    kind: OrderKind,
    drug: Drug | None,
    concept: wire.Concept,
    context: Context,
    *,
    judged: bool,
    asks_for: frozenset[str] = frozenset(),
) -> ProposedOrder:
    """Make the proposed order; one that asks for nothing that is watched is context alone."""
    dosages: tuple[wire.Dosage, ...] = ()
    regimen = Regimen()
    if isinstance(order, wire.MedicationRequest):
        dosages = dosages_of(order)
        if drug is not None and drug.drug_class is DrugClass.BISPECIFIC:
            regimen = regimen_of(order, context.catalog)
        planned = planned_start(order, dosages)
        label = label_of(concept) or ChartText((order.medication_reference or wire.Reference()).display or "")
    else:
        planned = order.occurrence_date_time or (order.occurrence_period or wire.NO_PERIOD).start
        label = label_of(concept)
    return ProposedOrder(
        reference=source_of(order).reference,
        kind=kind,
        drug=drug,
        planned=_planned_day(planned, order, context),
        judged=judged and (not asks_for or _asks_for_watched(asks_for, context.catalog.recognition)),
        systemic=is_systemic(concept, dosages, context),
        label=label,
        asks_for=asks_for,
        amount=regimen.amount,
        every_days=regimen.every_days,
    )


def _planned_day(text: str | None, order: DraftOrder, context: Context) -> ClinicalDate | None:
    return context.day(text, type(order).__name__)

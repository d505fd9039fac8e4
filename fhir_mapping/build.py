"""build_history: everything that was read about one patient, turned into one treatment history."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, tzinfo
from itertools import chain
from operator import attrgetter
from typing import Any, cast, get_args

from fhir_mapping import wire
from fhir_mapping.catalog.loader import Catalog
from fhir_mapping.courses import courses, infusions, progressions
from fhir_mapping.model.coverage import Coverage
from fhir_mapping.model.dates import Answer, ClinicalDate, parse
from fhir_mapping.model.history import (
    Allergy,
    CarTInfusion,
    DataGap,
    Diagnosis,
    Exposure,
    GapCode,
    LabResult,
    Person,
    Progression,
    ProposedOrder,
    SupportiveCare,
    TCellCollection,
    TreatmentHistory,
    UnrecognisedTreatment,
)
from fhir_mapping.readers.conditions import ComfortCare, MyelomaEntry, read_allergy, read_condition
from fhir_mapping.readers.context import Context, Standing, local_reference, medication_of, names_for, names_of
from fhir_mapping.readers.medications import read_medication, standing_of
from fhir_mapping.readers.observations import read_observation
from fhir_mapping.readers.orders import UNREADABLE_ORDER, DraftOrder, read_order
from fhir_mapping.readers.procedures import read_procedure
from fhir_mapping.versions import current, is_in_error


@dataclass(frozen=True, slots=True)
class Drafts:
    """The draft orders of a request, each with whether it is judged, and the Medications sent along.

    `foreign` and `unreadable` count the drafts about someone else and those that could not be decoded.
    """

    orders: tuple[tuple[DraftOrder, bool], ...] = ()
    medications: tuple[wire.Found, ...] = ()
    foreign: int = 0
    unreadable: int = 0


def read_orders(drafts: Drafts, catalog: Catalog, as_of: date, zone: tzinfo) -> tuple[ProposedOrder, ...]:
    """Read the watched draft orders alone, before anything of the chart is touched."""
    context = Context(catalog, as_of, zone, medications=by_address(drafts.medications))
    read = tuple(proposed for order, judged in drafts.orders for proposed in read_order(order, context, judged=judged))
    return read + (UNREADABLE_ORDER,) * drafts.unreadable


_DRUG_RECORDS = frozenset(get_args(wire.MedicationUse))


def unresolved_medications(records: Iterable[wire.Resource], medications: Iterable[wire.Found]) -> list[str]:
    """Name the Medications that drug records refer to and that are not among those sent, nor within the record."""
    uses = cast("list[wire.MedicationUse]", [record for record in records if type(record) in _DRUG_RECORDS])
    references = {
        use.medication_reference.reference
        for use in uses
        if use.medication_reference is not None and use.medication_codeable_concept is None
    }
    outside = [reference for reference in references if reference and not reference.startswith(("#", "urn:"))]
    if not outside:
        return []
    known = by_address(medications)
    return sorted(reference for reference in outside if known.keys().isdisjoint(names_for(reference)))


def build_history(
    found: Sequence[wire.Found],
    coverage: Coverage,
    catalog: Catalog,
    as_of: date,
    zone: tzinfo,
    drafts: Drafts | None = None,
    unreadable: Iterable[str] = (),
    orders: tuple[ProposedOrder, ...] | None = None,
) -> TreatmentHistory:
    """Turn the resources of one patient into a treatment history as of one day of the hospital in `zone`.

    Never raises for anything a chart may hold: what cannot be read becomes a DataGap. `unreadable` names the
    types of entries that were lost before they came here; `orders` are the drafts, where they have been read
    already. The order of the resources does not matter.
    """
    drafts = drafts or Drafts()
    gaps = [DataGap(GapCode.UNREADABLE, kind) for kind in unreadable]
    by_type: dict[type, list[Any]] = defaultdict(list)
    for resource in current([item.resource for item in found], gaps):
        by_type[type(resource)].append(resource)
    context = Context(
        catalog,
        as_of,
        zone,
        medications=by_address((*found, *drafts.medications)),
        orders_of_missed_doses=_orders_of_missed_doses(by_type[wire.MedicationAdministration]),
        orders_not_taken=_orders_not_taken(by_type[wire.MedicationStatement]),
        gaps=gaps,
    )
    facts: dict[type, list[Any]] = defaultdict(list)
    being_placed = _being_placed(drafts, context)
    stored = by_type[wire.MedicationRequest]
    by_type[wire.MedicationRequest] = [order for order in stored if not being_placed.includes(order, context)]
    for kind, read in _READERS.items():
        for resource in by_type[kind]:
            for fact in read(resource, context):
                facts[type(fact)].append(fact)
    today = ClinicalDate.on(as_of)

    def by_source(kind: type) -> tuple[Any, ...]:
        return tuple(sorted(facts[kind], key=_reference))

    return TreatmentHistory(
        as_of=as_of,
        coverage=coverage,
        person=_person(facts[wire.Patient], context),
        diagnosis=_diagnosis(facts, any(type(item.resource) is wire.Condition for item in found)),
        courses=courses(by_source(Exposure), catalog, today),
        infusions=infusions(sorted(facts[CarTInfusion], key=_first_reference), catalog.days("same_infusion")),
        collections=by_source(TCellCollection),
        progressions=progressions(by_source(Progression), catalog.days("same_progression")),
        supportive_care=by_source(SupportiveCare),
        labs=by_source(LabResult),
        allergies=by_source(Allergy),
        orders=read_orders(drafts, catalog, as_of, zone) if orders is None else orders,
        foreign_orders=drafts.foreign,
        unrecognised=by_source(UnrecognisedTreatment),
        gaps=tuple(sorted(gaps, key=lambda gap: (gap.code, gap.resource_type))),
    )


@dataclass(frozen=True, slots=True)
class _BeingPlaced:
    """What identifies the orders of this request: they are not history, even where the EHR has stored them."""

    references: frozenset[str]
    identifiers: frozenset[tuple[str | None, str]]
    drugs: frozenset[str]

    def includes(self, order: wire.MedicationRequest, context: Context) -> bool:
        if f"MedicationRequest/{order.id}" in self.references:
            return True
        if self.identifiers and not self.identifiers.isdisjoint(_identifiers_of(order)):
            return True
        authored = parse(order.authored_on, context.zone) if self.drugs and order.authored_on else None
        # Today, also where midnight in UTC makes it yesterday or today
        if authored is None or authored.latest != context.as_of or (context.as_of - authored.earliest).days > 1:
            return False
        return not self.drugs.isdisjoint(_drugs_of(order, context))


def _being_placed(drafts: Drafts, context: Context) -> _BeingPlaced:
    requests = [order for order, _ in drafts.orders if isinstance(order, wire.MedicationRequest)]
    return _BeingPlaced(
        references=frozenset(f"MedicationRequest/{r.id}" for r in requests if r.id),
        identifiers=frozenset(identifier for request in requests for identifier in _identifiers_of(request)),
        drugs=frozenset(drug for request in requests for drug in _drugs_of(request, context)),
    )


def _identifiers_of(order: wire.MedicationRequest) -> list[tuple[str | None, str]]:
    identifiers = wire.decode(order.identifier, tuple[wire.Identifier, ...]) or ()
    return [(identifier.system, identifier.value) for identifier in identifiers if identifier.value]


def _drugs_of(order: wire.MedicationRequest, context: Context) -> list[str]:
    return [drug.id for drug in context.catalog.drug(medication_of(order, context) or wire.NO_CONCEPT).drugs]


# The other types are looked up by reference, read as drafts, or judged when the search was read
_READERS: Mapping[type, Callable[[Any, Context], Iterable[Any]]] = {
    wire.Observation: read_observation,
    wire.MedicationAdministration: read_medication,
    wire.MedicationStatement: read_medication,
    wire.MedicationRequest: read_medication,
    wire.Condition: read_condition,
    wire.Procedure: read_procedure,
    wire.AllergyIntolerance: read_allergy,
    wire.Patient: lambda patient, _: (patient,),
}


def by_address(found: Iterable[wire.Found]) -> dict[str, wire.Medication]:
    """Index the Medications that stand by every address that a reference may use."""
    sent = [(item.full_url, item.resource) for item in found if type(item.resource) is wire.Medication]
    if not sent:
        return {}
    standing = {m.id: m for m in current((medication for _, medication in sent), gaps=[]) if m.id}
    addresses: dict[str, wire.Medication] = {}
    for full_url, medication in sorted(sent, key=lambda item: (item[0] or "", item[1].id or "")):
        stands = standing.get(medication.id) if medication.id else medication
        if not isinstance(stands, wire.Medication) or is_in_error(stands):
            continue
        for name in names_of(medication.id, "Medication", full_url):
            addresses.setdefault(name, stands)
    return addresses


def _orders_of_missed_doses(administrations: Iterable[wire.MedicationAdministration]) -> frozenset[str | None]:
    """Name the orders of which an administration says that a dose was not given."""
    return frozenset(
        local_reference(dose.request.reference) for dose in administrations if dose.request and _was_not_given(dose)
    )


def _orders_not_taken(statements: Iterable[wire.MedicationStatement]) -> frozenset[str | None]:
    """Name the orders of which a statement says that the patient does not take the drug."""
    return frozenset(
        local_reference(order.reference)
        for statement in statements
        if statement.based_on and _was_not_given(statement)
        for order in statement.based_on
    )


def _was_not_given(use: wire.MedicationUse) -> bool:
    return standing_of(use) is Standing.NOT_GIVEN


def _person(patients: list[wire.Patient], context: Context) -> Person:
    if not patients:
        return Person()
    patient = patients[0]
    dead = bool(patient.deceased_boolean) or patient.deceased_date_time is not None
    return Person(born=context.past_day(patient.birth_date, "Patient"), deceased=dead)


def _diagnosis(facts: dict[type, list[Any]], has_problems: bool) -> Diagnosis:
    entries: list[MyelomaEntry] = sorted(facts[MyelomaEntry], key=_reference)
    stated = [entry for entry in entries if entry.stated]
    answer = Answer.YES if stated else Answer.UNKNOWN if entries else Answer.NO
    return Diagnosis(
        myeloma=answer,
        source=next((entry.source for entry in chain(stated, entries)), None),
        problem_list_is_empty=not has_problems,  # a refuted entry, or one in error, does not empty the list
        comfort_care_only=bool(facts[ComfortCare]),
    )


_reference = attrgetter("source.reference")


def _first_reference(infusion: CarTInfusion) -> str:
    return infusion.sources[0].reference

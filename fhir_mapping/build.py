"""build_history: everything that was read about one patient, turned into one treatment history."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta, tzinfo
from itertools import chain, groupby, repeat
from operator import attrgetter
from typing import Any, cast

from fhir_mapping import piles, wire
from fhir_mapping.catalog.loader import Catalog
from fhir_mapping.courses import courses
from fhir_mapping.derived import Inferences
from fhir_mapping.events import infusions, progressions, t_cell_collections, transplants
from fhir_mapping.model.care import (
    DocumentedLine,
    Education,
    EyeExamination,
    PlannedCare,
    Refusal,
    TrialEnrolment,
    Vaccination,
)
from fhir_mapping.model.coverage import Coverage
from fhir_mapping.model.dates import Answer, ClinicalDate, parse
from fhir_mapping.model.history import DataGap, GapCode, TreatmentHistory
from fhir_mapping.model.orders import ProposedOrder
from fhir_mapping.model.patient import Allergy, Diagnosis, Person, Problem
from fhir_mapping.model.results import DiseaseStatus, LabResult, SerologyResult
from fhir_mapping.model.treatment import (
    CarTInfusion,
    Dose,
    Exposure,
    OtherCellTherapy,
    Progression,
    StemCellCollection,
    SupportiveCare,
    TCellCollection,
    Transplant,
    UnrecognisedTreatment,
)
from fhir_mapping.needs import Observed
from fhir_mapping.readers.care import (
    read_care_plan,
    read_communication,
    read_document,
    read_episode_of_care,
    read_flag,
    read_trial,
)
from fhir_mapping.readers.conditions import ComfortCare, MyelomaEntry, read_allergy, read_conditions
from fhir_mapping.readers.context import Context, medication_of, names_for, names_of
from fhir_mapping.readers.immunizations import read_immunization
from fhir_mapping.readers.linked import linked_orders
from fhir_mapping.readers.medications import read_medications
from fhir_mapping.readers.observations import read_observations
from fhir_mapping.readers.orders import UNREADABLE_ORDER, DraftOrder, read_order
from fhir_mapping.readers.plans import read_appointment, read_service_request, requests_being_placed
from fhir_mapping.readers.procedures import read_procedures
from fhir_mapping.readers.reports import read_report
from fhir_mapping.versions import current, is_in_error

_TWO_DAYS = timedelta(2)  # as many as the zones of two writers may lie apart, and one more
_RESOURCE, _IMPLICIT_RULES = attrgetter("resource"), attrgetter("implicit_rules")


@dataclass(frozen=True, slots=True)
class Draft:
    """One draft order, and whether it is judged."""

    order: DraftOrder
    judged: bool = True


@dataclass(frozen=True, slots=True)
class Drafts:
    """The draft orders of a request, and the Medications sent along.

    `foreign` and `unreadable` count the drafts about someone else and those that could not be decoded.
    """

    orders: tuple[Draft, ...] = ()
    medications: tuple[piles.Found, ...] = ()
    foreign: int = 0
    unreadable: int = 0


def read_orders(drafts: Drafts, catalog: Catalog, as_of: date, zone: tzinfo) -> tuple[ProposedOrder, ...]:
    """Read the watched draft orders alone, before anything of the chart is touched."""
    context = Context(catalog, as_of, zone, medications=by_address(drafts.medications))
    read = tuple(
        proposed for draft in drafts.orders for proposed in read_order(draft.order, context, judged=draft.judged)
    )
    return read + (UNREADABLE_ORDER,) * drafts.unreadable


_DRUG_RECORDS = (
    wire.MedicationAdministration,
    wire.MedicationStatement,
    wire.MedicationRequest,
    wire.MedicationDispense,
)


def unresolved_medications(records: Iterable[wire.Resource], medications: Iterable[piles.Found]) -> list[str]:
    """Name the Medications that drug records refer to and that are not among those sent, nor within the record."""
    references = {
        use.medication_reference.reference
        for kind, run in groupby(records, key=type)
        if kind in _DRUG_RECORDS
        for use in cast("Iterable[wire.MedicationUse]", run)
        if use.medication_codeable_concept is None and use.medication_reference is not None
    }
    outside = [reference for reference in references if reference and not reference.startswith(("#", "urn:"))]
    if not outside:
        return []
    known = by_address(medications)
    return sorted(reference for reference in outside if known.keys().isdisjoint(names_for(reference)))


def build_history(
    found: Sequence[piles.Found],
    coverage: Coverage,
    catalog: Catalog,
    as_of: date,
    zone: tzinfo,
    drafts: Drafts | None = None,
    unreadable: Iterable[str] = (),
    orders: tuple[ProposedOrder, ...] | None = None,
    observed: Observed | None = None,
) -> TreatmentHistory:
    """Turn the resources of one patient into a treatment history as of one day of the hospital in `zone`.

    Never raises for anything a chart may hold: what cannot be read becomes a DataGap. `unreadable` names the
    types of entries that were lost before they came here; `orders` are the drafts, where they have been read
    already; of the numbers among the observations, only those of `observed` are read where it is given. The order of
    the resources does not matter.
    """
    drafts = drafts or Drafts()
    gaps = [DataGap(GapCode.UNREADABLE, kind) for kind in unreadable]
    by_type: dict[type, list[Any]] = defaultdict(list)
    sent = [*map(_RESOURCE, found)]
    kinds = {*map(type, sent)}
    standing = current(sent, gaps)
    for kind, run in groupby(standing, key=type):
        by_type[kind] += run
    if any(map(_IMPLICIT_RULES, standing)):
        gaps += (DataGap(GapCode.PRUNED, type(resource).__name__) for resource in standing if resource.was_pruned)
    context = Context(
        catalog,
        as_of,
        zone,
        medications=by_address(chain(found if wire.Medication in kinds else (), drafts.medications)),
        linked=linked_orders(by_type, sent),
        observed=observed,
        gaps=gaps,
    )
    facts: dict[type, list[Any]] = defaultdict(list)
    being_placed = _being_placed(drafts, context)
    by_type[wire.MedicationRequest] = being_placed.left_out_of(by_type[wire.MedicationRequest], context)
    if by_type[wire.ServiceRequest] and drafts.orders:
        requested = requests_being_placed((draft.order for draft in drafts.orders), context)
        stored_requests = by_type[wire.ServiceRequest]
        by_type[wire.ServiceRequest] = [r for r in stored_requests if not requested.includes(r, context)]
    for fact_kind, alike in groupby(_read_all(by_type, context), key=type):
        facts[fact_kind] += alike
    today = ClinicalDate.on(as_of)
    cells = infusions(
        sorted(facts[CarTInfusion], key=_first_reference),
        facts[OtherCellTherapy],
        catalog.days("same_infusion"),
        facts[Problem],
    )

    return TreatmentHistory(
        as_of=as_of,
        coverage=coverage,
        person=_person(facts[wire.Patient], context),
        diagnosis=_diagnosis(facts, wire.Condition in kinds),
        courses=courses(sorted(facts[Exposure], key=_reference), catalog, today, cells),
        infusions=cells,
        collections=t_cell_collections(
            sorted(facts[TCellCollection], key=_reference), facts[StemCellCollection], facts[SupportiveCare], catalog
        ),
        transplants=transplants(sorted(facts[Transplant], key=_first_reference), catalog.days("same_transplant")),
        progressions=progressions(sorted(facts[Progression], key=_reference), catalog.days("same_progression")),
        orders=read_orders(drafts, catalog, as_of, zone) if orders is None else orders,
        foreign_orders=drafts.foreign,
        recognised=tuple(sorted(context.recognised, key=lambda found: (found.drug.id, found.how))),
        unmapped=tuple(sorted(context.unmapped)),
        gaps=tuple(sorted(gaps, key=lambda gap: (gap.code, gap.resource_type))),
        **{name: tuple(sorted(facts[kind], key=_reference)) for name, kind in _AS_THEY_ARE.items() if kind in facts},
        derived=Inferences(catalog),
    )


def _read_all(by_type: Mapping[type, list[Any]], context: Context) -> Iterator[object]:
    """Read every record, kind by kind; most records yield nothing."""
    uses = chain.from_iterable(map(by_type.__getitem__, _DRUG_RECORDS))
    others = (map(read, by_type[kind], repeat(context)) for kind, read in _READERS.items() if kind in by_type)
    return chain(
        read_medications(uses, context),
        read_conditions(by_type[wire.Condition], context),
        read_procedures(by_type[wire.Procedure], context),
        chain.from_iterable(chain.from_iterable(others)),
        read_observations(by_type[wire.Observation], context),
    )


# Facts that stand in the history as the readers found them
_AS_THEY_ARE: Mapping[str, type] = {
    "doses": Dose,
    "stem_cell_collections": StemCellCollection,
    "other_cell_therapies": OtherCellTherapy,
    "disease_statuses": DiseaseStatus,
    "supportive_care": SupportiveCare,
    "labs": LabResult,
    "serology": SerologyResult,
    "allergies": Allergy,
    "problems": Problem,
    "plans": PlannedCare,
    "refusals": Refusal,
    "trials": TrialEnrolment,
    "vaccinations": Vaccination,
    "eye_examinations": EyeExamination,
    "education": Education,
    "documented_lines": DocumentedLine,
    "unrecognised": UnrecognisedTreatment,
}


@dataclass(frozen=True, slots=True)
class _BeingPlaced:
    """What identifies the orders of this request: they are not history, even where the EHR has stored them."""

    ids: frozenset[str]
    identifiers: frozenset[tuple[str | None, str]]
    drugs: frozenset[str]
    not_before: str

    def left_out_of(self, stored: list[wire.MedicationRequest], context: Context) -> list[wire.MedicationRequest]:
        """Give the stored orders but those of this request."""
        known = [order for order in stored if order.id in self.ids]
        if self.identifiers:
            known += [order for order in stored if not self.identifiers.isdisjoint(_identifiers_of(order))]
        # Not the orders of years, of which each day would have to be read
        recent = [order for order in stored if order.authored_on and order.authored_on >= self.not_before]
        known += [order for order in recent if self._is_alike(order, context)]
        placed = {*map(id, known)}
        return [order for order in stored if id(order) not in placed] if placed else stored

    def _is_alike(self, order: wire.MedicationRequest, context: Context) -> bool:
        """Whether one of the drugs was ordered today, also where midnight in UTC makes it yesterday or today."""
        authored = parse(order.authored_on, context.zone) if order.authored_on and self.drugs else None
        if authored is None or authored.latest != context.as_of or (context.as_of - authored.earliest).days > 1:
            return False
        return not self.drugs.isdisjoint(_drugs_of(order, context))


def _being_placed(drafts: Drafts, context: Context) -> _BeingPlaced:
    requests = [d.order for d in drafts.orders if isinstance(d.order, wire.MedicationRequest)]
    return _BeingPlaced(
        ids=frozenset(request.id for request in requests if request.id),
        identifiers=frozenset(identifier for request in requests for identifier in _identifiers_of(request)),
        drugs=frozenset(drug for request in requests for drug in _drugs_of(request, context)),
        not_before=(context.as_of - _TWO_DAYS).isoformat(),
    )


def _identifiers_of(order: wire.MedicationRequest) -> list[tuple[str | None, str]]:
    identifiers = wire.decode(order.identifier, tuple[wire.Identifier, ...]) or ()
    return [(identifier.system, identifier.value) for identifier in identifiers if identifier.value]


def _drugs_of(order: wire.MedicationRequest, context: Context) -> list[str]:
    return [drug.id for drug in context.catalog.drug(medication_of(order, context) or wire.NO_CONCEPT).drugs]


# The other types are looked up by reference, read as drafts, or judged when the search was read
_READERS: Mapping[type, Callable[[Any, Context], Iterable[Any]]] = {
    wire.AllergyIntolerance: read_allergy,
    wire.Immunization: read_immunization,
    wire.DiagnosticReport: read_report,
    wire.ServiceRequest: read_service_request,
    wire.Appointment: read_appointment,
    wire.ResearchSubject: read_trial,
    wire.Communication: read_communication,
    wire.DocumentReference: read_document,
    wire.Flag: read_flag,
    wire.CarePlan: read_care_plan,
    wire.EpisodeOfCare: read_episode_of_care,
    wire.Patient: lambda patient, _: (patient,),
}


def by_address(found: Iterable[piles.Found]) -> dict[str, wire.Medication]:
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


def _person(patients: list[wire.Patient], context: Context) -> Person:
    if len(patients) != 1:  # of two, nobody knows which is meant
        return Person()
    (patient,) = patients
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


def _first_reference(record: CarTInfusion | Transplant) -> str:
    return record.sources[0].reference

"""What a file holds of one patient, made into a treatment history."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import click

from cards.finding import Hook
from cds_service.cli.records import Heap, Json, Record, Sent, is_resource, listed, patient_of, read_records
from cds_service.errors import MalformedRequest, WrongFhirVersion
from cds_service.gather import Gathered
from cds_service.hook_models import HookRequest, parse_request
from fhir_mapping import piles, wire
from fhir_mapping.build import build_history, unresolved_medications
from fhir_mapping.catalog.loader import Catalog
from fhir_mapping.model.coverage import Coverage, Level
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.needs import NEEDS, Need, Reading, Search, coverage_of

Counts = Counter[tuple[str, str]]  # by reason and resource type

_NOBODY = "nobody-is-named"  # stands for the patient where no record names one
_ABOUT_NOBODY = frozenset({"Medication", "OperationOutcome"})
_OLD_TYPES = frozenset({"MedicationOrder", "DiagnosticOrder", "ProcedureRequest", "ReferralRequest"})
_NEW_TYPES = frozenset({"MedicationUsage"})
_DRUG_RECORDS = frozenset(
    {"MedicationStatement", "MedicationRequest", "MedicationAdministration", "MedicationDispense"}
)
_R5_DATES = frozenset({"occurrenceDateTime", "occurrencePeriod", "occurenceDateTime", "occurencePeriod"})


@dataclass(frozen=True, slots=True)
class ChartFile:
    """What a file gave: the history, and all that the history itself does not know of the file.

    `unanswered` says of every search that was not fully answered why; it is None for a heap of records, which answers
    no search at all. `not_asked` names the Topics of which no rule in force asks, so that none was searched for.
    `left_out` counts records that were not used; `lines` are those of NDJSON that were not read.
    """

    kind: str
    history: TreatmentHistory
    unanswered: Mapping[str, str] | None = None
    left_out: Counts = field(default_factory=Counter)
    lines: tuple[int, ...] = ()
    not_asked: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ChartReader:
    """What the reading of a file needs: the tables, the clinical day, and the patient that is wanted, if any.

    `asked` are the searches that the service makes: a request is measured by them, and by whatever else it holds.
    """

    catalog: Catalog
    asked: Mapping[str, Search]
    searches: Mapping[str, Search]
    as_of: date
    zone: ZoneInfo
    patient_id: str | None = None

    def read(self, name: str) -> ChartFile:
        """Read a file, or standard input for "-"; a usage fault says what is wrong with it."""
        try:
            found = read_records(name)
            return self._of_heap(found) if isinstance(found, Heap) else self._of_request(found)
        except RecursionError:
            raise click.UsageError(f"{name} is nested too deep.") from None

    def _of_heap(self, heap: Heap) -> ChartFile:
        records, left_out = self._own(heap.records)
        pile = piles.together([_pile_of(record) for record in records] or [piles.Pile()])
        # A heap answers no search: whatever is not in it may still stand in the chart
        readings = {key: Reading(Level.PARTIAL, len(pile.found)) for key in self.searches}
        history = build_history(
            pile.found,
            coverage_of(readings),
            self.catalog,
            self.as_of,
            self.zone,
            unreadable=[*pile.unreadable, *([""] * heap.broken)],
        )
        notes = ["The file says itself that more pages or entries exist."] if heap.is_cut_short else []
        if any(isinstance(item.resource, wire.OperationOutcome) for item in pile.found):
            notes.append("The file holds an OperationOutcome: a search behind it may have failed.")
        left_out += _not_read(pile) + _in_vain(pile.found) + _of_other_versions(r.resource for r in records)
        return ChartFile(heap.kind, history, None, left_out, tuple(heap.lines), (), tuple(notes))

    def _own(self, records: list[Record]) -> tuple[list[Record], Counts]:
        """Pick the records of the one patient; others, and in their company those that name nobody, are left out."""
        whose = [patient_of(record.resource) for record in records]
        named = {who for who in whose if who and "/" not in who}
        chosen = self.patient_id or _only_one(records, named)
        if self.patient_id is not None and named and self.patient_id not in named:
            raise click.UsageError("no record in the file is about the patient of --patient.")
        own: list[Record] = []
        left_out: Counts = Counter()
        for record, who in zip(records, whose, strict=True):
            if record.kind in _ABOUT_NOBODY or who == chosen or (who is None and named <= {chosen}):
                own.append(record)
            else:
                why = "names no patient, in a file with several" if who is None else "about someone else"
                left_out[why, record.kind] += 1
        return own, left_out

    def _of_request(self, sent: Sent) -> ChartFile:
        stated, prefetch = sent.request.get("context", {}), sent.request.get("prefetch", {})
        if not isinstance(stated, dict) or not isinstance(prefetch, dict):
            raise click.UsageError("context and prefetch of a request must be objects.")
        resources = [resource for value in prefetch.values() for resource in _resources_in(value)]
        patient_id = self._patient_of(stated.get("patientId"), resources)
        context = stated | {"userId": "Practitioner/reader", "patientId": patient_id}
        named = sent.request.get("hook")
        hook = Hook.ORDER_SIGN if "draftOrders" in stated else Hook.PATIENT_VIEW
        hook = Hook(named) if isinstance(named, str) and named in set(Hook) else hook
        notes: list[str] = []
        try:
            request = _parsed(hook, context, prefetch)
        except WrongFhirVersion:
            notes.append("The draft orders are not FHIR R4 and were not read.")
            del context["draftOrders"]
            request = _parsed(hook, context, prefetch)
        if strange := len(prefetch.keys() - self.searches.keys()):
            notes.append(f"Prefetch keys that this service does not know, not read: {strange}.")
        return self._of_answers(sent.kind, request, _of_other_versions(resources), notes)

    def _of_answers(self, kind: str, request: HookRequest, left_out: Counts, notes: list[str]) -> ChartFile:
        prefetch = request.prefetch
        searches = {key: s for key, s in self.searches.items() if key in self.asked or key in prefetch}
        gathered = Gathered(searches, prefetch, request.patient_id, self.as_of)
        gathered.start()
        gathered.finish(searches)
        not_asked = [topic for topic, need in NEEDS.items() if not self._fed(searches, need) >= set(need.essential)]
        history = build_history(
            gathered.found,
            self._coverage(gathered.readings),
            self.catalog,
            self.as_of,
            self.zone,
            request.drafts,
            gathered.unreadable,
        )
        left_out += _in_vain((*gathered.found, *request.drafts.medications))
        for key, pile in request.prefetch.items():
            if pile is not None and key in self.searches:
                left_out += _not_read(pile)
        unanswered = {
            key: "it holds another patient's data, which was not used"
            if key in gathered.foreign_keys
            else _why_unanswered(key, request.prefetch, reading)
            for key, reading in gathered.readings.items()
            if reading.level is not Level.COMPLETE
        }
        not_asked_for = tuple(topic.value for topic in not_asked)
        return ChartFile(kind, history, unanswered, left_out, (), not_asked_for, tuple(notes))

    def _coverage(self, readings: Mapping[str, Reading]) -> Coverage:
        of_all = coverage_of(readings)
        without_reports = coverage_of({key: reading for key, reading in readings.items() if key != "reports"})
        return Coverage(
            {
                topic: (of_all if "reports" in self._fed(readings, need) else without_reports).of(topic)
                for topic, need in NEEDS.items()
            }
        )

    def _fed(self, searches: Iterable[str], need: Need) -> set[str]:
        """Name the searches that may feed a Topic: the service may ask for those reports alone that others need."""
        asked = self.asked.get("reports", self.searches["reports"])
        return {key for key in searches if key != "reports" or need.reported or asked == self.searches["reports"]}

    def _patient_of(self, stated: Any, resources: list[Json]) -> str:
        if isinstance(stated, str) and stated:
            own = stated.removeprefix("Patient/")
            if self.patient_id not in {None, own}:
                raise click.UsageError("the request is not about the patient of --patient.")
            return own
        named = {who for resource in resources if (who := patient_of(resource)) and "/" not in who}
        return self.patient_id or _only_one([Record(resource) for resource in resources], named) or _NOBODY


def _only_one(records: Iterable[Record], named: set[str]) -> str | None:
    """Name the one patient: of the Patient records, else of those that records are about."""
    people = {who for r in records if r.kind == "Patient" and (who := patient_of(r.resource))} or named
    if len(people) > 1:
        raise click.UsageError(f"the file holds records of {len(people)} patients; name one with --patient.")
    return next(iter(people), None)


def _resources_in(value: Any) -> Iterator[Json]:
    """Give the resources of one prefetch value."""
    entries = listed(value.get("entry")) if isinstance(value, dict) else []
    found = [entry.get("resource") for entry in entries if isinstance(entry, dict)] or [value]
    yield from (resource for resource in found if is_resource(resource) and resource["resourceType"] != "Bundle")


def _parsed(hook: Hook, context: Json, prefetch: Json) -> HookRequest:
    envelope = {"hook": hook, "hookInstance": "file", "context": context, "prefetch": prefetch}
    try:
        return parse_request(json.dumps(envelope).encode(), hook)
    except MalformedRequest as error:
        raise click.UsageError(str(error)) from None


def _pile_of(record: Record) -> piles.Pile:
    """Decode one record by itself, so that its faults cost no more than itself."""
    try:
        entry = json.dumps({"resource": record.resource, "fullUrl": record.full_url}).encode()
    except RecursionError:
        entry = b""
    pile = piles.decode_pile(b'{"resourceType":"Bundle","entry":[' + entry + b"]}")
    if pile is not None and pile.entries:
        return pile
    return piles.Pile(unreadable=(record.kind,)) if record.kind in wire.TYPES else piles.Pile(unreadable=("",))


def _not_read(pile: piles.Pile) -> Counts:
    others = (kind for kind in pile.other_types if kind not in _OLD_TYPES | _NEW_TYPES)  # those are told apart
    return Counter(("of a type that no rule reads", kind) for kind in others)


def _in_vain(found: Iterable[piles.Found]) -> Counts:
    """Count the Medications that drug records refer to and that the file does not hold."""
    found = tuple(found)
    missing = len(unresolved_medications([item.resource for item in found], found))
    return Counter({("referred to, but not in the file", "Medication"): missing} if missing else {})


def _of_other_versions(resources: Iterable[Json]) -> Counts:
    return Counter(
        (f"looks like FHIR {version}, this reads R4", resource["resourceType"])
        for resource in resources
        if (version := _other_version(resource)) is not None
    )


def _other_version(resource: Json) -> str | None:
    """Name the FHIR version that gives itself away by what R4 does not have."""
    kind = resource["resourceType"]
    if kind in _OLD_TYPES:
        return "DSTU2 or STU3"
    named_anew = kind in _DRUG_RECORDS and "medication" in resource
    dated_anew = kind in {"MedicationAdministration", "Procedure"} and _R5_DATES & resource.keys()
    return "R5" if kind in _NEW_TYPES or named_anew or dated_anew else None


def _why_unanswered(key: str, prefetch: Mapping[str, piles.Pile | None], reading: Reading) -> str:
    """Say why a search counts as not fully answered."""
    pile = prefetch.get(key)
    if pile is None:
        return "it is no FHIR" if key in prefetch else "not in the file"
    if pile.next_link is not None:
        return "more pages exist"
    if pile.total is not None and pile.total > pile.entries:
        return f"{pile.entries} of {pile.total} entries are in the file"
    if pile.unreadable:
        return f"unreadable entries: {len(pile.unreadable)}"
    if any(isinstance(item.resource, wire.OperationOutcome) for item in pile.found):
        return "it ended with an error"
    return "it holds other records" if reading.level is Level.UNAVAILABLE else "one record stands for the list"

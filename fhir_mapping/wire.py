"""Lenient decoding of FHIR R4 JSON into slim typed structs: one bad resource never costs its neighbours.

Only the elements that some reader uses are named here; everything else is skipped unread. Elements that matter
for few resources (dosage, reasons, values) stay raw until a reader wants them, so that their faults cost nothing
elsewhere. A whole Bundle is decoded in one pass when it is sound; else entry by entry.
"""

from dataclasses import dataclass
from typing import TypeVar

import msgspec
from msgspec import UNSET, Raw, UnsetType


class _Slim(msgspec.Struct, rename="camel", gc=False, frozen=True):
    """Base of all structs: camelCase on the wire; none holds a cycle, so the collector need not look at them."""


class Coding(_Slim, frozen=True):
    system: str | None = None
    code: str | None = None
    display: str | None = None


class Concept(_Slim, frozen=True):
    """A CodeableConcept."""

    coding: tuple[Coding, ...] = ()
    text: str | None = None


class Reference(_Slim, frozen=True):
    reference: str | None = None
    display: str | None = None


class Period(_Slim, frozen=True):
    start: str | None = None
    end: str | None = None


class Quantity(_Slim, frozen=True):
    value: float | None = None
    comparator: str | None = None
    unit: str | None = None
    code: str | None = None


class Meta(_Slim, frozen=True):
    version_id: str | None = None
    last_updated: str | None = None


class Identifier(_Slim, frozen=True):
    system: str | None = None
    value: str | None = None


class Repeat(_Slim, frozen=True):
    bounds_period: Period | None = None


class Timing(_Slim, frozen=True):
    event: tuple[str, ...] = ()
    repeat: Repeat | None = None


class Dosage(_Slim, frozen=True):
    text: str | None = None
    route: Concept | None = None
    timing: Timing | None = None


class DispenseRequest(_Slim, frozen=True):
    validity_period: Period | None = None


class _Resource(_Slim, frozen=True, tag_field="resourceType", tag=True):
    id: str | None = None
    meta: Meta | None = None
    implicit_rules: str | None = None
    modifier_extension: Raw | UnsetType = UNSET
    subject: Reference | None = None
    status: str | None = None


class Patient(_Resource, frozen=True):
    birth_date: str | None = None
    deceased_boolean: bool | None = None
    deceased_date_time: str | None = None


class Condition(_Resource, frozen=True):
    code: Concept | None = None
    clinical_status: Concept | None = None
    verification_status: Concept | None = None
    recorded_date: str | None = None


class AllergyIntolerance(_Resource, frozen=True):
    code: Concept | None = None
    clinical_status: Concept | None = None
    verification_status: Concept | None = None
    patient: Reference | None = None
    recorded_date: str | None = None


class Procedure(_Resource, frozen=True):
    code: Concept | None = None
    performed_date_time: str | None = None
    performed_period: Period | None = None


class Medication(_Resource, frozen=True):
    code: Concept | None = None


class _DrugRecord(_Resource, frozen=True):
    """What the three records of a drug share."""

    medication_codeable_concept: Concept | None = None
    medication_reference: Reference | None = None
    contained: tuple[Raw, ...] = ()
    status_reason: Raw | UnsetType = UNSET
    reason_code: Raw | UnsetType = UNSET


class MedicationStatement(_DrugRecord, frozen=True):
    effective_date_time: str | None = None
    effective_period: Period | None = None
    date_asserted: str | None = None
    based_on: tuple[Reference, ...] = ()
    dosage: Raw | UnsetType = UNSET


class MedicationAdministration(_DrugRecord, frozen=True):
    effective_date_time: str | None = None
    effective_period: Period | None = None
    request: Reference | None = None
    dosage: Raw | UnsetType = UNSET


class MedicationRequest(_DrugRecord, frozen=True):
    intent: str | None = None
    do_not_perform: bool = False
    authored_on: str | None = None
    identifier: tuple[Identifier, ...] = ()
    dosage_instruction: Raw | UnsetType = UNSET
    dispense_request: Raw | UnsetType = UNSET


class ServiceRequest(_Resource, frozen=True):
    intent: str | None = None
    do_not_perform: bool = False
    code: Concept | None = None
    occurrence_date_time: str | None = None
    occurrence_period: Period | None = None


class Observation(_Resource, frozen=True):
    code: Concept | None = None
    effective_date_time: str | None = None
    effective_period: Period | None = None
    effective_instant: str | None = None
    value_quantity: Raw | UnsetType = UNSET
    value_codeable_concept: Raw | UnsetType = UNSET
    value_string: Raw | UnsetType = UNSET


class Issue(_Slim, frozen=True):
    severity: str | None = None


class OperationOutcome(_Resource, frozen=True):
    issue: tuple[Issue, ...] = ()

    @property
    def says_failed(self) -> bool:
        """Whether an error, not only a warning, is reported; an outcome without issues is one."""
        return not self.issue or any(issue.severity in {"error", "fatal"} for issue in self.issue)


MedicationUse = MedicationStatement | MedicationAdministration | MedicationRequest
Resource = (
    Patient
    | Condition
    | AllergyIntolerance
    | Procedure
    | Medication
    | MedicationStatement
    | MedicationAdministration
    | MedicationRequest
    | ServiceRequest
    | Observation
    | OperationOutcome
)
READ_TYPES = frozenset(
    struct.__struct_config__.tag
    for struct in (
        Patient,
        Condition,
        AllergyIntolerance,
        Procedure,
        Medication,
        MedicationStatement,
        MedicationAdministration,
        MedicationRequest,
        ServiceRequest,
        Observation,
        OperationOutcome,
    )
)


class _Link(_Slim, frozen=True):
    relation: str | None = None


class _Entry(_Slim, frozen=True):
    resource: Resource | None = None
    full_url: str | None = None


class _SoundBundle(_Slim, frozen=True):
    entry: tuple[_Entry, ...] = ()
    link: tuple[_Link, ...] = ()
    total: int | None = None


class _RawBundle(_Slim, frozen=True):
    entry: tuple[Raw, ...] = ()
    link: tuple[_Link, ...] = ()
    total: int | None = None


class _RawEntry(_Slim, frozen=True):
    resource: Raw | UnsetType = UNSET
    full_url: str | None = None


class _Kind(_Slim, frozen=True):
    resource_type: str | None = None


_kind = msgspec.json.Decoder(_Kind)
_resource: "msgspec.json.Decoder[Resource]" = msgspec.json.Decoder(Resource)
_sound_bundle = msgspec.json.Decoder(_SoundBundle)
_raw_bundle = msgspec.json.Decoder(_RawBundle)
_raw_entry = msgspec.json.Decoder(_RawEntry)

# What msgspec raises for JSON that is broken, ill-typed, nested too deep, or not UTF-8
UNREADABLE = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError)

Wanted = TypeVar("Wanted")


@dataclass(frozen=True, slots=True)
class Found:
    """One decoded resource and the address that other entries may refer to it by."""

    resource: Resource
    full_url: str | None = None


@dataclass(frozen=True, slots=True)
class Pile:
    """The resources of one prefetch value or search answer.

    `unreadable` lists the resource type of each entry that was lost ("" when not even that could be read);
    `is_whole` is false when the sender says that more exists than it sent.
    """

    found: tuple[Found, ...] = ()
    unreadable: tuple[str, ...] = ()
    other_types: tuple[str, ...] = ()
    is_whole: bool = True


def decode(raw: Raw | UnsetType, wanted: type[Wanted]) -> Wanted | None:
    """Decode an element that was kept raw; None when it is absent or of another shape."""
    if raw is UNSET:
        return None
    try:
        return msgspec.json.decode(raw, type=wanted)
    except UNREADABLE:
        return None


def decode_concepts(raw: Raw | UnsetType) -> tuple[Concept, ...]:
    """Decode an element that holds one CodeableConcept or a list of them."""
    if raw is UNSET:
        return ()
    several = decode(raw, tuple[Concept, ...])
    if several is not None:
        return several
    one = decode(raw, Concept)
    return () if one is None else (one,)


def decode_pile(raw: Raw | bytes) -> Pile | None:
    """Decode a Bundle, with or without a type, or a single resource; None when it is neither.

    A single resource stands for itself alone, so its pile is not whole unless it is a Patient.
    """
    try:
        kind = _kind.decode(raw).resource_type
    except UNREADABLE:
        return None
    if kind not in {"Bundle", None}:
        found = _decode_resource(raw)
        if found is None:
            return None
        return Pile((Found(found),), is_whole=isinstance(found, Patient))
    return _decode_bundle(raw, typed=kind is not None)


def _decode_bundle(raw: Raw | bytes, *, typed: bool) -> Pile | None:
    try:
        bundle = _sound_bundle.decode(raw)
    except UNREADABLE:
        return _decode_entry_by_entry(raw)
    if not typed and not bundle.entry:
        return None  # an object with neither resourceType nor entries is no Bundle
    found = tuple(Found(e.resource, e.full_url) for e in bundle.entry if e.resource is not None)
    empty_entries = len(bundle.entry) - len(found)
    return Pile(
        found,
        unreadable=("",) * empty_entries,
        is_whole=_says_whole(bundle.link, bundle.total, len(bundle.entry)),
    )


def _decode_entry_by_entry(raw: Raw | bytes) -> Pile | None:
    try:
        bundle = _raw_bundle.decode(raw)
    except UNREADABLE:
        return None
    found: list[Found] = []
    unreadable: list[str] = []
    other_types: list[str] = []
    for entry_bytes in bundle.entry:
        kind = ""
        try:
            entry = _raw_entry.decode(entry_bytes)
            if entry.resource is not UNSET:
                kind = _kind.decode(entry.resource).resource_type or ""
                if kind not in READ_TYPES and kind:
                    other_types.append(kind)
                    continue
                found.append(Found(_resource.decode(entry.resource), entry.full_url))
                continue
        except UNREADABLE:
            pass  # counted below, the neighbours stay
        unreadable.append(kind if kind in READ_TYPES else "")
    return Pile(
        tuple(found),
        tuple(unreadable),
        tuple(other_types),
        _says_whole(bundle.link, bundle.total, len(bundle.entry)),
    )


def _says_whole(links: tuple[_Link, ...], total: int | None, entries: int) -> bool:
    has_next = any(link.relation == "next" for link in links)
    return not has_next and (total is None or total <= entries)


def _decode_resource(raw: Raw | bytes) -> Resource | None:
    try:
        return _resource.decode(raw)
    except UNREADABLE:
        return None

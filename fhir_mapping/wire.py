"""Lenient decoding of FHIR R4 JSON into slim typed structs: one bad resource never costs its neighbours.

Only the elements that some reader uses are named here; everything else is skipped unread. Elements that matter
for few resources (dosage, reasons, values) stay raw until a reader wants them, so that their faults cost nothing
elsewhere. A whole Bundle is decoded in one pass when it is sound; else entry by entry.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import UNSET, Raw, UnsetType


class _Slim(msgspec.Struct, rename="camel", gc=False, frozen=True):
    """Base of all structs: camelCase on the wire; none holds a cycle, so the collector need not look at them."""


# Longer ones make the resource unreadable: names and dates are cached, and a chart must not fill the memory
Name = Annotated[str, msgspec.Meta(max_length=2_000)]
Day = Annotated[str, msgspec.Meta(max_length=100)]


class Coding(_Slim, frozen=True):
    system: Name | None = None
    code: Name | None = None
    display: Name | None = None


class Concept(_Slim, frozen=True):
    """A CodeableConcept."""

    coding: tuple[Coding, ...] = ()
    text: Name | None = None


class Reference(_Slim, frozen=True):
    reference: str | None = None
    display: Name | None = None


class Period(_Slim, frozen=True):
    start: Day | None = None
    end: Day | None = None


NO_CONCEPT = Concept()
NO_PERIOD = Period()


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


class Duration(_Slim, frozen=True):
    value: float | None = None
    code: Name | None = None
    unit: Name | None = None


class Repeat(_Slim, frozen=True):
    bounds_period: Period | None = None
    bounds_duration: Duration | None = None


class Timing(_Slim, frozen=True):
    event: tuple[Day, ...] = ()
    repeat: Repeat | None = None


class Dosage(_Slim, frozen=True):
    text: str | None = None
    route: Concept | None = None
    timing: Timing | None = None


class DispenseRequest(_Slim, frozen=True):
    validity_period: Period | None = None


class _Resource(_Slim, frozen=True, tag_field="resourceType", tag=True):
    id: str | None = None
    meta: Raw | UnsetType = UNSET
    implicit_rules: str | None = None
    modifier_extension: Raw | UnsetType = UNSET
    subject: Reference | None = None
    status: str | None = None


class Patient(_Resource, frozen=True):
    subject: Reference | None = msgspec.field(default=None, name="_none")  # it is about itself, whatever it says
    birth_date: Day | None = None
    deceased_boolean: bool | None = None
    deceased_date_time: Day | None = None


class Condition(_Resource, frozen=True):
    code: Concept | None = None
    clinical_status: Concept | None = None
    verification_status: Concept | None = None
    recorded_date: Day | None = None


class AllergyIntolerance(_Resource, frozen=True):
    code: Concept | None = None
    clinical_status: Concept | None = None
    verification_status: Concept | None = None
    subject: Reference | None = msgspec.field(default=None, name="patient")
    recorded_date: Day | None = None


class Procedure(_Resource, frozen=True):
    code: Concept | None = None
    not_done: bool = False  # STU3; no R4 resource has it
    occurrence_date_time: None = None  # R5, as below
    occurrence_period: None = None
    performed_date_time: Day | None = None
    performed_period: Period | None = None


class Medication(_Resource, frozen=True):
    code: Concept | None = None
    form: Concept | None = None


class _DrugRecord(_Resource, frozen=True):
    """What the three records of a drug share."""

    medication_codeable_concept: Concept | None = None
    medication_reference: Reference | None = None
    contained: tuple[Raw, ...] = ()
    status_reason: Raw | UnsetType = UNSET
    reason_code: Raw | UnsetType = UNSET


# R5 names drug and time otherwise. No value fits these members, so a resource that has one is unreadable, which is
# said, where passing over it would lose the drug or the day


class MedicationStatement(_DrugRecord, frozen=True):
    medication: None = None
    effective_date_time: Day | None = None
    effective_period: Period | None = None
    date_asserted: Day | None = None
    taken: str | None = None  # STU3
    was_not_taken: bool = False  # DSTU2
    based_on: tuple[Reference, ...] = ()
    dosage: Raw | UnsetType = UNSET


class MedicationAdministration(_DrugRecord, frozen=True):
    medication: None = None
    occurence_date_time: None = None
    occurence_period: None = None
    effective_date_time: Day | None = None
    effective_period: Period | None = None
    request: Reference | None = None
    not_given: bool = False  # STU3
    was_not_given: bool = False  # DSTU2
    dosage: Raw | UnsetType = UNSET


class MedicationRequest(_DrugRecord, frozen=True):
    medication: Raw | UnsetType = UNSET  # R5 names the drug here; no R4 resource has it
    intent: str | None = None
    do_not_perform: bool = False
    authored_on: Day | None = None
    identifier: Raw | UnsetType = UNSET
    dosage_instruction: Raw | UnsetType = UNSET
    dispense_request: Raw | UnsetType = UNSET


class ServiceRequest(_Resource, frozen=True):
    intent: str | None = None
    do_not_perform: bool = False
    code: Concept | None = None
    occurrence_date_time: Day | None = None
    occurrence_period: Period | None = None


class Observation(_Resource, frozen=True):
    code: Concept | None = None
    effective_date_time: Day | None = None
    effective_period: Period | None = None
    effective_instant: Day | None = None
    value_quantity: Raw | UnsetType = UNSET
    value_codeable_concept: Raw | UnsetType = UNSET
    value_string: Raw | UnsetType = UNSET


_REMARKS = frozenset({"warning", "information", "success"})
# Said as a warning, too, these mean that there is more than was given
_KEPT_BACK = re.compile(
    "exception|expired|forbidden|incomplete|lock-error|login|no-store|security|suppressed|throttled|timeout|too-costly"
    "|transient|unknown"
)


class Issue(_Slim, frozen=True):
    severity: str | None = None
    code: str | None = None


class OperationOutcome(_Resource, frozen=True):
    issue: tuple[Issue, ...] = ()

    @property
    def says_failed(self) -> bool:
        """Whether something was kept back or went wrong: anything but a mere remark, and an outcome without issues."""
        return not self.issue or any(
            issue.severity not in _REMARKS or _KEPT_BACK.fullmatch(issue.code or "") for issue in self.issue
        )


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
    url: str | None = None


class Found(_Slim, frozen=True):
    """One entry: a decoded resource, and the address that other entries may refer to it by."""

    resource: Resource
    full_url: str | None = None


class Bundle(_Slim, frozen=True, tag_field="resourceType", tag=True):
    """A Bundle of which every entry could be decoded."""

    entry: tuple[Found, ...] = ()
    link: tuple[_Link, ...] = ()
    total: int | None = None


class _RawBundle(_Slim, frozen=True):
    resource_type: str | None = None
    entry: tuple[Raw, ...] | UnsetType = UNSET
    link: tuple[_Link, ...] = ()
    total: int | None = None


class _RawEntry(_Slim, frozen=True):
    resource: Raw | UnsetType = UNSET
    full_url: str | None = None


class _Kind(_Slim, frozen=True):
    resource_type: str | None = None


Value = Bundle | Resource  # what a prefetch key may hold, besides null

_kind = msgspec.json.Decoder(_Kind)
_resource: "msgspec.json.Decoder[Resource]" = msgspec.json.Decoder(Resource)
_value: "msgspec.json.Decoder[Value]" = msgspec.json.Decoder(Value)
_raw_bundle = msgspec.json.Decoder(_RawBundle)
_raw_entry = msgspec.json.Decoder(_RawEntry)

# What msgspec raises for JSON that is broken, ill-typed, nested too deep, or not UTF-8
UNREADABLE = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError)

Wanted = TypeVar("Wanted")
_decoders: "dict[Any, msgspec.json.Decoder[Any]]" = {}  # one for each shape ever asked for, which are few


@dataclass(frozen=True, slots=True)
class Pile:
    """The resources of one prefetch value or search answer; an empty one that is whole says "none on record".

    `unreadable` lists the resource type of each entry that was lost ("" when not even that could be read),
    `other_types` those that no reader uses; `is_whole` is false for a resource on its own, and when more is on the
    page at `next_link` ("" when it names none). `total` is how many matches the sender says there are.
    """

    found: tuple[Found, ...] = ()
    unreadable: tuple[str, ...] = ()
    other_types: tuple[str, ...] = ()
    is_whole: bool = True
    is_single: bool = False
    next_link: str | None = None
    total: int | None = None

    @property
    def entries(self) -> int:
        """How many entries were sent, whatever became of them."""
        return len(self.found) + len(self.unreadable) + len(self.other_types)


def together(piles: Sequence[Pile]) -> Pile:
    """Put the pages of one search together; whole when the last one ends them."""
    if len(piles) == 1:
        return piles[0]
    last = piles[-1]
    total = max((pile.total for pile in piles if pile.total is not None), default=None)
    return Pile(
        found=tuple(item for pile in piles for item in pile.found),
        unreadable=tuple(kind for pile in piles for kind in pile.unreadable),
        other_types=tuple(kind for pile in piles for kind in pile.other_types),
        is_whole=last.next_link is None,
        next_link=last.next_link,
        total=total,
    )


def decode(raw: Raw | UnsetType, wanted: type[Wanted]) -> Wanted | None:
    """Decode an element that was kept raw; None when it is absent or of another shape."""
    if raw is UNSET:
        return None
    try:
        decoder = _decoders.get(wanted) or _decoders.setdefault(wanted, msgspec.json.Decoder(wanted))
        decoded: Wanted = decoder.decode(raw)
    except UNREADABLE:
        return None
    return decoded


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
    """Decode a Bundle, with or without a type, or a single resource; None when it is neither."""
    try:
        return pile_of(_value.decode(raw))
    except UNREADABLE:
        return _decode_entry_by_entry(raw)


def pile_of(value: Value) -> Pile:
    """Make a pile of what was decoded in one go.

    A single resource stands for itself alone, so its pile is not whole unless it is a Patient.
    """
    if not isinstance(value, Bundle):
        return Pile((Found(value),), is_whole=isinstance(value, Patient), is_single=True)
    next_link = _next_link(value.link)
    return Pile(value.entry, is_whole=next_link is None, next_link=next_link, total=value.total)


def _decode_entry_by_entry(raw: Raw | bytes) -> Pile | None:
    try:
        bundle = _raw_bundle.decode(raw)
    except UNREADABLE:
        return None
    if bundle.resource_type not in {"Bundle", None} or (bundle.resource_type is None and bundle.entry is UNSET):
        return None
    found: list[Found] = []
    unreadable: list[str] = []
    other_types: list[str] = []
    entries = () if bundle.entry is UNSET else bundle.entry
    for entry_bytes in entries:
        kind = ""
        try:
            entry = _raw_entry.decode(entry_bytes)
            if entry.resource is not UNSET:
                kind = _kind.decode(entry.resource).resource_type or ""
                if kind == "Bundle":
                    unreadable.append("")  # it may hold anything
                elif kind in READ_TYPES or not kind:
                    found.append(Found(_resource.decode(entry.resource), entry.full_url))
                else:
                    other_types.append(kind)
                continue
        except UNREADABLE:
            pass  # counted below, the neighbours stay
        unreadable.append(kind if kind in READ_TYPES else "")
    next_link = _next_link(bundle.link)
    return Pile(
        tuple(found), tuple(unreadable), tuple(other_types), next_link is None, next_link=next_link, total=bundle.total
    )


def _next_link(links: tuple[_Link, ...]) -> str | None:
    return next((link.url or "" for link in links if link.relation == "next"), None)

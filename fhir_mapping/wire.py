"""Lenient decoding of FHIR R4 JSON into slim typed structs: one bad resource never costs its neighbours.

Only the elements that some reader uses are named here; everything else is skipped unread. Elements that matter
for few resources (dosage, reasons, values) stay raw until a reader wants them, so that their faults cost nothing
elsewhere. `piles` decodes whole Bundles, `repair` what is not sound.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, TypeGuard, TypeVar, final, get_args

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


class Concept(_Slim, frozen=True, cache_hash=True):
    """A CodeableConcept; what it means is looked up again and again."""

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
    version_id: str | int | None = None  # some senders number their versions
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
    unread: tuple[str, ...] = msgspec.field(default=(), name=" unread")  # ours: the parts that could not be read


class DispenseRequest(_Slim, frozen=True):
    validity_period: Period | None = None


PRUNED = "urn:mmcds:pruned"  # our own rule, by which nothing of the resource is certain


class _Resource(_Slim, frozen=True, tag_field="resourceType", tag=True):
    id: str | None = None
    meta: Raw | UnsetType = UNSET
    implicit_rules: str | None = None
    modifier_extension: Raw | UnsetType = UNSET
    subject: Reference | None = None
    status: str | None = None

    @property
    def was_pruned(self) -> bool:
        """Whether an element was cut out of it: see `repair`, which says so where a reader must look anyway."""
        return self.implicit_rules == PRUNED


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
    onset_date_time: Day | None = None
    onset_period: Period | None = None
    abatement_date_time: Day | None = None
    abatement_period: Raw | UnsetType = UNSET
    abatement_string: Raw | UnsetType = UNSET
    abatement_age: Raw | UnsetType = UNSET
    abatement_range: Raw | UnsetType = UNSET


class AllergyIntolerance(_Resource, frozen=True):
    code: Concept | None = None
    substance: Concept | None = None  # DSTU2
    reaction: Raw | UnsetType = UNSET
    clinical_status: Concept | None = None
    verification_status: Concept | None = None
    subject: Reference | None = msgspec.field(default=None, name="patient")
    recorded_date: Day | None = None


class Procedure(_Resource, frozen=True):
    code: Concept | None = None
    not_done: bool = False  # STU3; no R4 resource has it
    not_performed: bool = False  # DSTU2
    occurrence_date_time: None = None  # R5, as below
    occurrence_period: None = None
    performed_date_time: Day | None = None
    performed_period: Period | None = None


class Medication(_Resource, frozen=True):
    code: Concept | None = None
    form: Concept | None = None
    ingredient: Raw | UnsetType = UNSET


class _DrugRecord(_Resource, frozen=True):
    """What the three records of a drug share."""

    medication_codeable_concept: Concept | None = None
    medication_reference: Reference | None = None
    contained: tuple[Raw, ...] = ()
    status_reason: Raw | UnsetType = UNSET
    reason_code: Raw | UnsetType = UNSET


# R5 names drug and time otherwise. No value fits these members, so a resource that has one is unreadable, which is
# said, where passing over it would lose the drug or the day


@final
class MedicationStatement(_DrugRecord, frozen=True):
    medication: None = None
    effective_date_time: Day | None = None
    effective_period: Period | None = None
    date_asserted: Day | None = None
    taken: str | None = None  # STU3
    was_not_taken: bool = False  # DSTU2
    based_on: tuple[Reference, ...] = ()
    dosage: Raw | UnsetType = UNSET


@final
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


@final
class MedicationRequest(_DrugRecord, frozen=True):
    medication: Raw | UnsetType = UNSET  # R5 names the drug here; no R4 resource has it
    intent: str | None = None
    do_not_perform: bool = False
    authored_on: Day | None = None
    identifier: Raw | UnsetType = UNSET
    dosage_instruction: Raw | UnsetType = UNSET
    dispense_request: Raw | UnsetType = UNSET


@final
class MedicationDispense(_DrugRecord, frozen=True):
    medication: None = None
    when_handed_over: Day | None = None
    when_prepared: Day | None = None
    days_supply: Raw | UnsetType = UNSET
    authorizing_prescription: tuple[Reference, ...] = ()
    not_done: bool = False  # STU3
    dosage_instruction: Raw | UnsetType = UNSET


class ServiceRequest(_Resource, frozen=True):
    intent: str | None = None
    do_not_perform: bool = False
    code: Concept | None = None
    occurrence_date_time: Day | None = None
    occurrence_period: Period | None = None
    authored_on: Day | None = None
    reason_code: Raw | UnsetType = UNSET
    extension: Raw | UnsetType = UNSET  # the reason of a revoked request stands in one


class Observation(_Resource, frozen=True):
    code: Concept | None = None
    effective_date_time: Day | None = None
    effective_period: Period | None = None
    effective_instant: Day | None = None
    issued: Day | None = None
    value_quantity: Raw | UnsetType = UNSET
    value_codeable_concept: Raw | UnsetType = UNSET
    value_string: Raw | UnsetType = UNSET
    value_integer: Raw | UnsetType = UNSET
    value_boolean: Raw | UnsetType = UNSET
    value_range: Raw | UnsetType = UNSET
    data_absent_reason: Raw | UnsetType = UNSET
    interpretation: Raw | UnsetType = UNSET
    component: Raw | UnsetType = UNSET


class DiagnosticReport(_Resource, frozen=True):
    code: Concept | None = None
    effective_date_time: Day | None = None
    effective_period: Period | None = None
    issued: Day | None = None
    conclusion_code: Raw | UnsetType = UNSET


class Immunization(_Resource, frozen=True):
    vaccine_code: Concept | None = None
    subject: Reference | None = msgspec.field(default=None, name="patient")
    occurrence_date_time: Day | None = None
    date: Day | None = None  # STU3
    not_given: bool = False  # STU3
    was_not_given: bool = False  # DSTU2


class Participant(_Slim, frozen=True):
    actor: Reference | None = None


class Appointment(_Resource, frozen=True):
    subject: Reference | None = msgspec.field(default=None, name="_none")  # its patient is one of those who take part
    participant: tuple[Participant, ...] = ()
    service_type: Raw | UnsetType = UNSET
    appointment_type: Raw | UnsetType = UNSET
    reason_code: Raw | UnsetType = UNSET
    description: Name | None = None
    start: Day | None = None
    created: Day | None = None


class ResearchSubject(_Resource, frozen=True):
    subject: Reference | None = msgspec.field(default=None, name="individual")
    study: Reference | None = None
    period: Period | None = None


class Communication(_Resource, frozen=True):
    category: Raw | UnsetType = UNSET
    topic: Concept | None = None
    reason_code: Raw | UnsetType = UNSET
    sent: Day | None = None
    not_done: bool = False  # STU3


class DocumentReference(_Resource, frozen=True):
    doc_status: str | None = None
    type: Concept | None = None
    category: Raw | UnsetType = UNSET
    description: Name | None = None
    date: Day | None = None


class Flag(_Resource, frozen=True):
    code: Concept | None = None
    period: Period | None = None


class CarePlan(_Resource, frozen=True):
    intent: str | None = None
    title: Name | None = None
    category: Raw | UnsetType = UNSET
    period: Period | None = None
    created: Day | None = None


class EpisodeOfCare(_Resource, frozen=True):
    subject: Reference | None = msgspec.field(default=None, name="patient")
    type: Raw | UnsetType = UNSET
    period: Period | None = None


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


MedicationUse = MedicationStatement | MedicationAdministration | MedicationRequest | MedicationDispense
Resource = (
    MedicationUse
    | Patient
    | Condition
    | AllergyIntolerance
    | Procedure
    | Medication
    | ServiceRequest
    | Observation
    | DiagnosticReport
    | Immunization
    | Appointment
    | ResearchSubject
    | Communication
    | DocumentReference
    | Flag
    | CarePlan
    | EpisodeOfCare
    | OperationOutcome
)
TYPES: Mapping[str, type] = {struct.__struct_config__.tag: struct for struct in get_args(Resource)}


# What msgspec raises for JSON that is broken, ill-typed, nested too deep, or not UTF-8
UNREADABLE = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError)

Wanted = TypeVar("Wanted")
_decoders: "dict[Any, msgspec.json.Decoder[Any]]" = {}  # one for each shape ever asked for, which are few


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
    """Decode those concepts of an element that are sound: one, or a list; see `elements` for what is not sound."""
    if raw is UNSET:
        return ()
    several = decode(raw, tuple[Concept, ...])
    if several is not None:
        return several
    return tuple(one for member in members_of(raw) if (one := decode(member, Concept)) is not None)


def is_null(raw: Raw) -> bool:
    """Whether an element is there and says nothing."""
    return bytes(raw).strip() == b"null"


def is_said(raw: Raw | UnsetType | None) -> TypeGuard[Raw]:
    """Whether an element is there and says something."""
    return raw is not None and raw is not UNSET and not is_null(raw)


def members_of(raw: Raw | UnsetType) -> tuple[Raw, ...]:
    """Take a list apart, so that a bad member costs no other one; what is no list counts as a list of one."""
    if not is_said(raw):
        return ()
    several = decode(raw, tuple[Raw, ...])
    return (raw,) if several is None else several

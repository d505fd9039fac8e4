"""The hook request: what CDS Hooks requires is checked, everything else is taken as it comes."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
from msgspec import UNSET, Raw, UnsetType
from pydantic import SecretStr

from cards.finding import Hook
from cds_service.errors import MalformedRequest, WrongFhirVersion
from fhir_mapping import piles, wire
from fhir_mapping.build import Draft, Drafts
from fhir_mapping.readers.context import local_reference

_OTHER_FHIR_VERSIONS = frozenset(
    {"MedicationOrder", "DiagnosticOrder", "ProcedureRequest", "ReferralRequest", "NutritionRequest"}
)
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{1,20000}=*")  # RFC 6750; nothing else may stand in a header
_LONGEST_ID = 1_024  # characters; FHIR allows 64, Epic's draft ids have about 190


class _Envelope(msgspec.Struct, rename="camel"):
    hook: Raw | UnsetType = UNSET
    hook_instance: Raw | UnsetType = UNSET
    context: Raw | UnsetType = UNSET
    prefetch: Raw | UnsetType = UNSET
    fhir_server: Raw | UnsetType = UNSET
    fhir_authorization: Raw | UnsetType = UNSET


class _SoundEnvelope(_Envelope):
    """A request whose prefetch can be decoded in one go, as nearly all can."""

    prefetch: dict[str, piles.Value | None] | UnsetType = UNSET  # type: ignore[assignment]  # narrower on purpose


class _Context(msgspec.Struct, rename="camel"):
    user_id: Raw | UnsetType = UNSET
    patient_id: Raw | UnsetType = UNSET
    selections: Raw | UnsetType = UNSET
    draft_orders: Raw | UnsetType = UNSET


class _Authorization(msgspec.Struct):
    access_token: Raw | UnsetType = UNSET
    token_type: Raw | UnsetType = UNSET
    expires_in: Raw | UnsetType = UNSET
    patient: Raw | UnsetType = UNSET


class _SentBundle(msgspec.Struct):
    entry: Raw | UnsetType = UNSET


class _SentEntry(msgspec.Struct):
    resource: Raw | UnsetType = UNSET


class _Named(msgspec.Struct, rename="camel"):
    resource_type: str
    id: str


_envelope = msgspec.json.Decoder(_Envelope)
_sound_envelope = msgspec.json.Decoder(_SoundEnvelope)

_NONE_ON_RECORD = piles.Pile()


@dataclass(frozen=True, slots=True)
class FhirOffer:
    """What a request offers for reading from its FHIR server; what of it may be used is decided later.

    `token` is None where no usable one was sent; `expires_in` is in seconds, None where it is not said. `fault` says in
    one word why a token that was sent is not used.
    """

    server: str | None = None
    token: SecretStr | None = None
    expires_in: float | None = None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class HookRequest:
    """One request; `prefetch` maps each sent key to its resources, or to None where it holds no FHIR."""

    hook: Hook
    patient_id: str
    user_is_clinician: bool
    drafts: Drafts = field(default_factory=Drafts)
    prefetch: Mapping[str, piles.Pile | None] = field(default_factory=dict)
    fhir: FhirOffer = field(default_factory=FhirOffer)
    has_draft_orders: bool = False
    raw_draft_orders: Raw | UnsetType = UNSET
    user_id: str = ""

    def drafts_as_sent(self) -> Mapping[str, bytes]:
        """Find the JSON of each draft as it came, by "Type/id": without an id, a client would not know what we mean.

        Two drafts of one id cannot be told apart, so neither is there.
        """
        bundle = wire.decode(self.raw_draft_orders, _SentBundle)
        entries = wire.members_of(bundle.entry) if bundle is not None else ()
        resources = [(wire.decode(entry, _SentEntry) or _SentEntry()).resource for entry in entries]
        found: dict[str, list[bytes]] = defaultdict(list)
        for raw in (self.raw_draft_orders, *resources):
            named = wire.decode(raw, _Named)
            if named is not None and raw is not UNSET:
                found[f"{named.resource_type}/{named.id}"].append(bytes(raw))
        return {reference: sent[0] for reference, sent in found.items() if len(sent) == 1}


def parse_request(body: bytes, hook: Hook) -> HookRequest:
    """Check the members that CDS Hooks requires and split off the parts that are decoded later.

    Raises MalformedRequest for what makes the request unusable, WrongFhirVersion for draft orders not in R4.
    """
    envelope, prefetch = _decode(body)
    named = _text(envelope.hook, "hook")
    if named != hook.value:
        raise MalformedRequest(f"This service answers the hook {hook.value}; the request names another one.")
    _text(envelope.hook_instance, "hookInstance")
    context = wire.decode(envelope.context, _Context)
    if context is None:
        raise MalformedRequest("The member context is missing or no object.")
    user = _text(context.user_id, "context.userId")
    patient_id = _text(context.patient_id, "context.patientId").removeprefix("Patient/")
    if not patient_id or not patient_id.isprintable():
        raise MalformedRequest("The member context.patientId is no id of a patient.")
    return HookRequest(
        hook=hook,
        patient_id=patient_id,
        user_is_clinician=(local_reference(user) or "").partition("/")[0] not in {"Patient", "RelatedPerson"},
        drafts=_drafts(context, patient_id, hook),
        prefetch=prefetch,
        fhir=_fhir_offer(envelope, patient_id),
        has_draft_orders=context.draft_orders is not UNSET,
        raw_draft_orders=context.draft_orders,
        user_id=user,
    )


def _decode(body: bytes) -> tuple[_Envelope, Mapping[str, piles.Pile | None]]:
    """Decode a sound request in one go, any other piece by piece, so that each fault costs no more than itself."""
    try:
        sound = _sound_envelope.decode(body)
    except wire.UNREADABLE:
        return _decode_piecewise(body)
    sent = {} if sound.prefetch is UNSET else sound.prefetch
    return sound, {key: _NONE_ON_RECORD if value is None else piles.pile_of(value) for key, value in sent.items()}


def _decode_piecewise(body: bytes) -> tuple[_Envelope, Mapping[str, piles.Pile | None]]:
    try:
        envelope = _envelope.decode(body)
    except wire.UNREADABLE:
        raise MalformedRequest(
            "The body is not a JSON object that can be read (broken JSON, not UTF-8, or nested too deep). "
            "Send one CDS Hooks request as JSON."
        ) from None
    sent = wire.decode(envelope.prefetch, dict[str, Raw]) or {}
    return envelope, {
        key: _NONE_ON_RECORD if wire.is_null(raw) else piles.decode_pile(raw) for key, raw in sent.items()
    }


def _text(raw: Raw | UnsetType, name: str) -> str:
    text = wire.decode(raw, str)
    if text is None or not text.strip():
        raise MalformedRequest(f"The member {name} is missing, empty or no string.")
    if len(text) > _LONGEST_ID:
        raise MalformedRequest(f"The member {name} is longer than {_LONGEST_ID} characters.")
    return text


def _fhir_offer(envelope: _Envelope, patient_id: str) -> FhirOffer:
    """Take what is needed to read from the FHIR server; whatever is odd about it costs that access and no more."""
    server = wire.decode(envelope.fhir_server, str)
    if envelope.fhir_authorization is UNSET:
        return FhirOffer(server)
    authorization = wire.decode(envelope.fhir_authorization, _Authorization)
    if authorization is None:
        return FhirOffer(server, fault="bad_token")
    patient = wire.decode(authorization.patient, str)
    if wire.is_said(authorization.patient) and (patient is None or patient.removeprefix("Patient/") != patient_id):
        return FhirOffer(server, fault="token_for_another_patient")
    token = wire.decode(authorization.access_token, str)
    kind = wire.decode(authorization.token_type, str)
    is_bearer = kind is not None and kind.lower() == "bearer"
    if token is None or not _TOKEN.fullmatch(token) or (wire.is_said(authorization.token_type) and not is_bearer):
        return FhirOffer(server, fault="bad_token")
    expires_in = _seconds(authorization.expires_in)
    if wire.is_said(authorization.expires_in) and (expires_in is None or expires_in <= 0):
        return FhirOffer(server, fault="token_expired")
    return FhirOffer(server, SecretStr(token), expires_in)


def _seconds(raw: Raw | UnsetType) -> float | None:
    """Read a number, also one that is written as text."""
    text = wire.decode(raw, str)
    return (
        float(text) if text is not None and text.isdecimal() and len(text) < len("1000000") else wire.decode(raw, float)
    )


def _drafts(context: _Context, patient_id: str, hook: Hook) -> Drafts:
    """Read the draft orders; on order-select only the selected ones are judged."""
    if hook is Hook.PATIENT_VIEW or context.draft_orders is UNSET or not wire.is_said(context.draft_orders):
        return Drafts()
    pile = piles.decode_pile(context.draft_orders)
    if pile is None:
        return Drafts(unreadable=1)  # it might have held any order
    if _OTHER_FHIR_VERSIONS.intersection(pile.other_types) or any(_is_r5(item.resource) for item in pile.found):
        raise WrongFhirVersion(
            "The draft orders are not FHIR R4, so they were not judged. Call this service with R4 resources."
        )
    own: list[wire.MedicationRequest | wire.ServiceRequest] = []
    foreign = 0
    for item in pile.found:
        order = item.resource
        if not isinstance(order, wire.MedicationRequest | wire.ServiceRequest):
            continue
        if is_about(order, patient_id):
            own.append(order)
        else:
            foreign += 1
    selected = {id(order) for order in (_selected(context, own) if hook is Hook.ORDER_SELECT else own)}
    medications = tuple(item for item in pile.found if isinstance(item.resource, wire.Medication))
    return Drafts(
        orders=tuple(Draft(order, id(order) in selected) for order in own),
        medications=medications,
        foreign=foreign,
        unreadable=sum(kind in {"MedicationRequest", "ServiceRequest", ""} for kind in pile.unreadable),
    )


def _is_r5(resource: wire.Resource) -> bool:
    return isinstance(resource, wire.MedicationRequest) and resource.medication is not UNSET


def _selected(
    context: _Context, orders: list[wire.MedicationRequest | wire.ServiceRequest]
) -> list[wire.MedicationRequest | wire.ServiceRequest]:
    """Find the selected drafts by "Type/id" or by bare id; a selection that fits none leaves all selected."""
    selections = wire.decode(context.selections, tuple[str, ...]) or ()
    wanted = {local_reference(selection) for selection in selections}
    chosen = [order for order in orders if order.id and ({f"{type(order).__name__}/{order.id}", order.id} & wanted)]
    return chosen or orders


def is_about(resource: wire.Resource, patient_id: str) -> bool:
    """Whether a resource is about this patient; one that names nobody came with the patient's own data.

    An appointment is about every patient who takes part in it.
    """
    if isinstance(resource, wire.Patient):
        return resource.id in {None, patient_id}
    own = {f"Patient/{patient_id}", patient_id}
    if isinstance(resource, wire.Appointment):
        actors = [local_reference(p.actor.reference) for p in resource.participant if p.actor]
        patients = {actor for actor in actors if actor and (actor in own or actor.startswith("Patient/"))}
        return not patients or not patients.isdisjoint(own)
    if resource.subject is None or resource.subject.reference is None:
        return True
    return local_reference(resource.subject.reference) in own


def are_about(found: Sequence[piles.Found], patient_id: str) -> bool:
    """Whether no resource of a pile is about someone else; the usual reference is compared as it stands."""
    usual = f"Patient/{patient_id}"
    for item in found:
        subject = item.resource.subject
        if (subject is None or subject.reference != usual) and not is_about(item.resource, patient_id):
            return False
    return True

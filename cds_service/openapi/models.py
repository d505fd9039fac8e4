"""What goes over the wire, described for OpenAPI: requests as lenient as they are read, answers as they are sent."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

_Text = Annotated[str, Meta(min_length=1, max_length=1_024, pattern=r"\S")]
_Resource = Annotated[dict[str, Any], Meta(description="A FHIR R4 resource.")]


class _Wire(msgspec.Struct, rename="camel"):
    """Base: camelCase; members that are not named here are allowed and ignored."""


class FhirAuthorization(msgspec.Struct, kw_only=True):
    """Access to the FHIR server, for this one call; never stored and never logged."""

    access_token: str
    token_type: Literal["Bearer"] | UnsetType = UNSET
    expires_in: Annotated[int, Meta(description="Seconds.")] | UnsetType = UNSET
    scope: str | UnsetType = UNSET
    subject: str | UnsetType = UNSET
    patient: Annotated[str, Meta(description="The token is used only when this is context.patientId.")] | UnsetType = (
        UNSET
    )


class PatientViewContext(_Wire, kw_only=True):
    """Who looks at whose chart."""

    user_id: Annotated[_Text, Meta(description="Such as Practitioner/17; patients and relatives get no cards.")]
    patient_id: Annotated[_Text, Meta(description="The id of the Patient, without its type.")]
    encounter_id: str | UnsetType = UNSET


class OrderSignContext(PatientViewContext, kw_only=True):
    """Who signs which orders."""

    draft_orders: Annotated[_Resource, Meta(description="A Bundle of the unsigned orders, FHIR R4.")]


class OrderSelectContext(OrderSignContext, kw_only=True):
    """Who has selected which orders, with the other drafts as context."""

    selections: Annotated[list[str], Meta(description="The selected drafts as Type/id; these are judged.")]


class _HookRequest(_Wire, kw_only=True):
    """A call of one hook."""

    hook_instance: Annotated[_Text, Meta(description="The client's id of this call; a UUID.")]
    fhir_server: Annotated[str, Meta(description="Base address of the FHIR R4 server.")] | UnsetType = UNSET
    fhir_authorization: FhirAuthorization | UnsetType = UNSET
    prefetch: dict[str, dict[str, Any] | None] | UnsetType = UNSET
    extension: dict[str, Any] | UnsetType = UNSET


class PatientViewRequest(_HookRequest, kw_only=True):
    """A chart was opened."""

    hook: Literal["patient-view"]
    context: PatientViewContext


class OrderSelectRequest(_HookRequest, kw_only=True):
    """Orders were selected."""

    hook: Literal["order-select"]
    context: OrderSelectContext


class OrderSignRequest(_HookRequest, kw_only=True):
    """Orders are about to be signed."""

    hook: Literal["order-sign"]
    context: OrderSignContext


class AcceptedSuggestion(msgspec.Struct, kw_only=True):
    """A suggestion that was taken."""

    id: Annotated[str, Meta(description="The uuid of the suggestion.")]


class OverrideCoding(msgspec.Struct, kw_only=True):
    """One of the card's overrideReasons; no display is needed."""

    code: str
    system: str | UnsetType = UNSET


class OverrideReason(_Wire, kw_only=True):
    """Why a card was overridden."""

    reason: OverrideCoding | UnsetType = UNSET
    user_comment: Annotated[str, Meta(description="Not kept; only that there was one is counted.")] | UnsetType = UNSET


class FeedbackItem(_Wire, kw_only=True):
    """What became of one card; an accepted one names the suggestions that were taken."""

    card: Annotated[str, Meta(min_length=1, description="The uuid of the card.")]
    outcome: Literal["accepted", "overridden"]
    outcome_timestamp: Annotated[datetime, Meta(tz=True)]
    accepted_suggestions: Annotated[list[AcceptedSuggestion], Meta(min_length=1)] | UnsetType = UNSET
    override_reason: OverrideReason | UnsetType = UNSET


class Feedback(_Wire, kw_only=True):
    """What became of cards, of any call and service, in any order."""

    feedback: list[FeedbackItem]


class DiscoveredService(_Wire, kw_only=True):
    """One CDS service and what it wants prefetched."""

    hook: str
    id: str
    title: str
    description: str
    usage_requirements: str
    prefetch: Annotated[dict[str, str], Meta(description="FHIR searches by their keys, which are never renamed.")]


class Discovery(_Wire, kw_only=True):
    """The CDS services."""

    services: list[DiscoveredService]


class Status(_Wire, kw_only=True):
    """A word for the machine that watches."""

    status: Literal["ok", "ready"]


class Issue(_Wire, kw_only=True):
    """What is wrong, in words without patient data."""

    severity: Literal["error"]
    code: Annotated[str, Meta(description="Of http://hl7.org/fhir/issue-type.")]
    diagnostics: str


class OperationOutcome(_Wire, kw_only=True):
    """The FHIR resource that goes with every status but 200."""

    resource_type: Literal["OperationOutcome"]
    issue: Annotated[list[Issue], Meta(min_length=1)]

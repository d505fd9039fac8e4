"""The wire form of CDS Hooks cards: optional members that have no value are left out, limits are kept here."""

from typing import Any, Literal

import msgspec

TOPIC_SYSTEM = "urn:mmcds:rules"
SUMMARY_LIMIT = 139  # characters; the specification asks for fewer than 140


class _Wire(msgspec.Struct, rename="camel", omit_defaults=True, frozen=True):
    """Base of all members."""


class Coding(_Wire, frozen=True):
    """A code with its system; override reasons must carry their display."""

    system: str
    code: str
    display: str


class Source(_Wire, frozen=True):
    """What the card rests on."""

    label: str
    topic: Coding
    url: str | None = None


class Action(_Wire, frozen=True):
    """One change that the clinician may accept."""

    type: Literal["create", "update"]
    description: str
    resource: dict[str, Any]


class Suggestion(_Wire, frozen=True):
    """One offer with one action; some clients pre-select what is recommended."""

    label: str
    uuid: str
    is_recommended: bool
    actions: tuple[Action, ...]


class Card(_Wire, frozen=True):
    """One card."""

    uuid: str
    summary: str
    detail: str
    indicator: Literal["info", "warning", "critical"]
    source: Source
    suggestions: tuple[Suggestion, ...] = ()
    selection_behavior: Literal["any"] | None = None
    override_reasons: tuple[Coding, ...] = ()
    extension: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        """Refuse what the specification does not allow."""
        if not 0 < len(self.summary) <= SUMMARY_LIMIT:
            raise ValueError("a summary has 1 to 139 characters")
        if bool(self.suggestions) != (self.selection_behavior is not None):
            raise ValueError("suggestions and selectionBehavior go together")


class Response(msgspec.Struct):
    """The answer to a hook: `cards` is there even when it is empty."""

    cards: tuple[Card, ...]


class ResponseAndNoActions(Response):
    """The answer for a client that insists on a list of system actions; there are never any."""

    system_actions: tuple[()] = msgspec.field(default=(), name="systemActions")

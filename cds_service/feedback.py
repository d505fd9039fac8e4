"""Feedback: what became of cards. It is checked as a whole before any of it counts; comments are never kept."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

import msgspec
from msgspec import UNSET, Raw, UnsetType

from cards.knowledge.loader import Knowledge
from cds_service.errors import MalformedRequest
from cds_service.metrics import ACCEPTED, COMMENT, NO_REASON, OTHER_REASON, OVERRIDDEN, UNKNOWN_CARD, Metrics
from cds_service.remembered import Remembered, Word
from fhir_mapping import wire

LARGEST_BYTES = 1_000_000  # some thousand cards, comments included; a client that sends more sends something else
REPEATED = "repeated"
_NOTHING_TAKEN = "Nothing of this request was taken."
_NO_WORDS = b'""'


class _Sent(msgspec.Struct):
    feedback: Raw | UnsetType = UNSET


class _SentItem(msgspec.Struct, rename="camel"):
    card: Raw | UnsetType = UNSET
    outcome: Raw | UnsetType = UNSET
    outcome_timestamp: Raw | UnsetType = UNSET
    accepted_suggestions: Raw | UnsetType = UNSET
    override_reason: Raw | UnsetType = UNSET
    override_reasons: Raw | UnsetType = UNSET  # one vendor writes the plural, over one object


class _SentReason(msgspec.Struct, rename="camel"):
    reason: Raw | UnsetType = UNSET
    user_comment: Raw | UnsetType = UNSET


class _SentCoding(msgspec.Struct):
    code: Raw | UnsetType = UNSET
    system: Raw | UnsetType = UNSET


class _Suggestion(msgspec.Struct):
    id: str


_sent = msgspec.json.Decoder(_Sent)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a card was overridden: the coding as it was sent, and whether there was a comment, of which no word stays."""

    is_coded: bool = False
    code: str | None = None
    system: str | None = None
    has_comment: bool = False


@dataclass(frozen=True, slots=True)
class Item:
    """What became of one card."""

    card: str
    is_override: bool
    at: datetime
    reason: Reason


def parse_feedback(body: bytes) -> tuple[Item, ...]:
    """Read what a client reports, whatever else it says beside that.

    Raises MalformedRequest, which names the member and repeats nothing of it.
    """
    try:
        sent = _sent.decode(body)
    except wire.UNREADABLE:
        raise MalformedRequest(
            "The body is not a JSON object that can be read (broken JSON, not UTF-8, or nested too deep). "
            f"Send an object with the list feedback. {_NOTHING_TAKEN}"
        ) from None
    items = wire.decode(sent.feedback, tuple[Raw, ...])
    if items is None:
        raise MalformedRequest(f"The member feedback is missing or no list. {_NOTHING_TAKEN}")
    return tuple(_item(raw, f"feedback[{number}]") for number, raw in enumerate(items))


def _item(raw: Raw, place: str) -> Item:
    sent = wire.decode(raw, _SentItem)
    if sent is None:
        raise _fault(place, "is no object")
    card = wire.decode(sent.card, str)
    if not card:
        raise _fault(f"{place}.card", "is missing, empty or no string")
    outcome = wire.decode(sent.outcome, str)
    if outcome not in {ACCEPTED, OVERRIDDEN}:
        raise _fault(f"{place}.outcome", f"is missing, or neither {ACCEPTED} nor {OVERRIDDEN}")
    at = wire.decode(sent.outcome_timestamp, datetime)
    if at is None or at.tzinfo is None:
        raise _fault(f"{place}.outcomeTimestamp", "is missing or no RFC 3339 time such as 2026-11-20T15:04:05Z")
    if outcome == ACCEPTED and not wire.decode(sent.accepted_suggestions, tuple[_Suggestion, ...]):
        raise _fault(f"{place}.acceptedSuggestions", "is missing, empty or no list of objects with an id")
    reason = sent.override_reasons if sent.override_reason is UNSET else sent.override_reason
    return Item(card, outcome == OVERRIDDEN, at, _reason(reason))


def _fault(place: str, fault: str) -> MalformedRequest:
    return MalformedRequest(f"The member {place} {fault}. {_NOTHING_TAKEN}")


def _reason(raw: Raw | UnsetType) -> Reason:
    """Read a reason; one that cannot be read costs itself alone."""
    sent = wire.decode(raw, _SentReason) or _SentReason()
    coding = wire.decode(sent.reason, _SentCoding) or _SentCoding()
    return Reason(
        is_coded=wire.is_said(sent.reason) and bytes(sent.reason) != _NO_WORDS,
        code=wire.decode(coding.code, str),
        system=wire.decode(coding.system, str),
        has_comment=wire.is_said(sent.user_comment) and bytes(sent.user_comment) != _NO_WORDS,
    )


@dataclass(frozen=True, slots=True)
class FeedbackDesk:
    """Counts what became of cards, and remembers which were overridden; `now` is in seconds since 1970."""

    memory: Remembered
    metrics: Metrics
    knowledge: Knowledge
    today: Callable[[], date]
    zone: ZoneInfo
    now: Callable[[], float]

    def take(self, items: Iterable[Item], issuer: str) -> Mapping[str, int]:
        """Take what one client reports; gives how much of it was what."""
        today = self.today()
        presentation = self.knowledge.on(today).presentation
        taken: Counter[str] = Counter()
        for item in items:
            outcome = OVERRIDDEN if item.is_override else ACCEPTED
            heard = self.memory.hear(item.card, issuer, self._word(item, today), today)
            if heard is None:
                taken[UNKNOWN_CARD] += 1
                self.metrics.count_feedback(UNKNOWN_CARD, outcome)
            elif heard.is_new:
                taken[outcome] += 1
                reason = _counted(item.reason, presentation.override.system, presentation.override.reasons)
                self.metrics.count_feedback(heard.rule, outcome, reason if item.is_override else None)
            else:
                taken[REPEATED] += 1
        return taken

    def _word(self, item: Item, today: date) -> Word:
        """Date a word by the site's calendar; a client's clock that is fast must not make an override last longer."""
        at = min(max(item.at.timestamp(), 0.0), self.now())
        day = min(datetime.fromtimestamp(at, self.zone).date(), today)
        return Word(item.is_override, at, day)


def _counted(reason: Reason, system: str, reasons: Mapping[str, str]) -> str:
    """Give the word of our list under which a reason is counted."""
    if reason.is_coded:
        is_ours = reason.code in reasons and reason.system in {None, system}
        return reason.code if is_ours and reason.code else OTHER_REASON
    return COMMENT if reason.has_comment else NO_REASON

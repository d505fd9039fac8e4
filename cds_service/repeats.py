"""Leaves out cards that the same user has overridden for the same patient on the same evidence, for some days.

Which findings these are is kept as keyed hashes (BLAKE2b): the key is made at the start and never leaves the process.
"""

import hashlib
import string
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import date, timedelta
from functools import cache
from typing import Any

import msgspec

from cards.card import Card
from cards.compose import CRITICAL, CardPlan, Plan
from cards.evaluate import Result
from cards.knowledge.loader import Knowledge
from cds_service import telemetry
from cds_service.remembered import Remembered, ShownCard
from fhir_mapping.model.dates import ClinicalDate
from fhir_mapping.model.orders import ProposedOrder

_HASH_BYTES = 16
_DIGITS = str.maketrans("", "", string.digits)
_encoder = msgspec.msgpack.Encoder(enc_hook=str)  # text of a chart has a type of its own


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks at whose chart, and by whose word we know: `issuer` is the caller's alias."""

    issuer: str
    user_id: str
    patient_id: str


class Repeats:
    """Knows what was shown and overridden."""

    def __init__(self, memory: Remembered, key: bytes) -> None:
        """Take the memory, and the key of the hashes: at most 64 bytes that nobody else knows."""
        self._memory = memory
        self._keyed = hashlib.blake2b(key=key, digest_size=_HASH_BYTES)

    def visit(self, viewer: Viewer, knowledge: Knowledge, today: date) -> "Visit":
        """Begin to answer one request."""
        return Visit(self._memory, self._keyed.copy, viewer, knowledge, today)


class Visit:
    """One request."""

    __slots__ = ("_findings", "_has_failed", "_keyed", "_knowledge", "_memory", "_own", "_today", "_viewer")

    def __init__(
        self, memory: Remembered, keyed: Callable[[], Any], viewer: Viewer, knowledge: Knowledge, today: date
    ) -> None:
        """Do nothing yet: most requests show no card."""
        self._has_failed = False
        self._memory = memory
        self._keyed = keyed
        self._viewer = viewer
        self._knowledge = knowledge
        self._today = today
        self._own: Any = None
        self._findings: dict[int, tuple[bytes, ...]] = {}

    def is_repeat(self, card: CardPlan) -> bool:
        """Whether every finding of a card was overridden; with a memory that fails, none was."""
        if self._has_failed:
            return False
        try:
            return self._memory.are_overridden(self._findings_of(card), self._today)
        except Exception as error:
            self._has_failed = True
            telemetry.fault("overridden cards not looked up: every card is shown", error)
            return False

    def remember(self, plan: Plan, cards: tuple[Card, ...]) -> None:
        """Remember the cards of a plan as they go out, or let them go out without."""
        try:
            self._remember(plan, cards)
        except Exception as error:
            telemetry.fault("shown cards not remembered", error)

    def _remember(self, plan: Plan, cards: tuple[Card, ...]) -> None:
        """Remember cards in the order of their plan; the one about missing data comes after them."""
        usual = self._knowledge.presentation.repeats.days.value
        until = self._today + timedelta(usual)
        for place, card in enumerate(cards):
            planned = plan.cards[place] if place < len(plan.cards) else None
            findings = self._findings_of(planned) if planned else ()
            days = _days_of_silence(planned, usual) if planned else usual
            shown = ShownCard(card.source.topic.code, self._viewer.issuer, findings, self._today, until, days)
            self._memory.show(card.uuid, shown)

    def _findings_of(self, card: CardPlan) -> tuple[bytes, ...]:
        """Hash what stands on a card; nothing of one that must always be shown."""
        if card.indicator == CRITICAL:
            return ()
        known = self._findings.get(id(card.results))
        if known is None:
            known = self._findings[id(card.results)] = tuple([self._hash(result) for result in card.results])
        return known

    def _hash(self, result: Result) -> bytes:
        """Hash one finding, for this user and this patient.

        Days since an event change every day and are no new evidence, so the numbers of the facts are left out; that a
        record or its date has changed is seen by the records, and another day of the draft order by the order.
        """
        if self._own is None:
            viewer = self._viewer
            self._own = self._keyed()
            seen = (viewer.issuer, viewer.user_id, viewer.patient_id, self._knowledge.version)
            self._own.update(_encoder.encode(seen))
        conclusion, order, today = result.conclusion, result.order, self._today
        words = [getattr(conclusion.facts, name) for name in _words_of(result.active.rule.facts)]
        finding = (
            result.active.text.id,
            conclusion.variant,
            conclusion.notes,
            " ".join(words).translate(_DIGITS) if words else "",
            [(reference, _as_recorded(on, today)) for reference, on in conclusion.evidence],
            order and _as_ordered(order),
        )
        keyed = self._own.copy()
        keyed.update(_encoder.encode(finding))
        digest: bytes = keyed.digest()
        return digest


def _as_ordered(order: ProposedOrder) -> tuple[object, ...]:
    """Give what makes an order another one, without its id: a draft may be written anew."""
    drug = order.drug and order.drug.id
    return order.kind, drug, order.planned, sorted(order.asks_for), order.amount, order.every_days


def _as_recorded(on: ClinicalDate | None, today: date) -> date | tuple[date, date | None] | None:
    """Give a date that does not change with the day of the request: "2026-11" ends today while November lasts."""
    if on is None:
        return None
    earliest, latest = on.earliest, on.latest
    return earliest if earliest == latest else (earliest, latest if latest < today else None)


@cache
def _words_of(facts: type) -> tuple[str, ...]:
    """Name the facts that are words."""
    return tuple(each.name for each in fields(facts) if each.type is str)


def _days_of_silence(card: CardPlan, usual: int) -> int:
    """Give the days for which a card is left out once overridden: the fewest that one of its rules asks for."""
    asked = [result.active.text.repeats_after for result in card.results]
    return min(days.value if days else usual for days in asked)

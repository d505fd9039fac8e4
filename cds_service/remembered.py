"""Remembers which cards were shown and what became of them, in words that nobody can turn back into a patient."""

from collections import OrderedDict
from collections.abc import Collection
from datetime import date, timedelta
from threading import Lock
from typing import NamedTuple, Protocol

# Our own choice: some hundred cards a day for a month, in fewer than 10 MB each; what is displaced is shown again
MOST_CARDS = 20_000
MOST_FINDINGS = 20_000


class ShownCard(NamedTuple):
    """What a card stood for: the rule that named it, and a keyed hash of each of its findings.

    A card that must never be left out comes without findings. Overridden, it stays out for so many `days`. After
    `until` nothing is known of it any more.
    """

    rule: str
    issuer: str
    findings: tuple[bytes, ...]
    on: date
    until: date
    days: int


class Word(NamedTuple):
    """What a user did with a card: when, in seconds since 1970, and on which day of the site's calendar."""

    is_override: bool
    at: float
    on: date


class Heard(NamedTuple):
    """Of which rule a word was, and whether the same was not said of that card before."""

    rule: str
    is_new: bool


class Remembered(Protocol):
    """Where shown cards, and what became of them, are kept."""

    def show(self, card_id: str, card: ShownCard) -> None:
        """Remember a card that goes out."""

    def hear(self, card_id: str, issuer: str, word: Word, today: date) -> Heard | None:
        """Take a word on a card; None where no such card is known, or it was shown to another issuer's users."""

    def are_overridden(self, findings: Collection[bytes], today: date) -> bool:
        """Whether the last word on each of these findings was an override that still counts; false for none."""


class _Decision(NamedTuple):
    """The last word on a finding; `until` is None where it was accepted."""

    at: float
    until: date | None


class OwnMemory:
    """The memory of one process, gone with it; of cards the oldest go first, of findings those not met for longest."""

    def __init__(self, most_cards: int = MOST_CARDS, most_findings: int = MOST_FINDINGS) -> None:
        """Take how much is kept."""
        self._most_cards = most_cards
        self._most_findings = most_findings
        self._cards: OrderedDict[str, ShownCard] = OrderedDict()
        self._said: dict[str, set[bool]] = {}  # of the cards in memory alone
        self._decisions: OrderedDict[bytes, _Decision] = OrderedDict()
        self._lock = Lock()

    def show(self, card_id: str, card: ShownCard) -> None:
        """Remember a card, and forget those that have expired or for which there is no room."""
        with self._lock:
            self._cards[card_id] = card
            while len(self._cards) > self._most_cards or next(iter(self._cards.values())).until < card.on:
                self._said.pop(self._cards.popitem(last=False)[0], None)

    def hear(self, card_id: str, issuer: str, word: Word, today: date) -> Heard | None:
        """Take a word: the latest counts, whenever it comes; of two of one moment, that the card was accepted."""
        with self._lock:
            card = self._cards.get(card_id)
            if card is None or card.issuer != issuer or card.until < today:
                return None
            for finding in card.findings:
                self._decide(finding, word, card.days)
            said = self._said.setdefault(card_id, set())
            is_new = word.is_override not in said
            said.add(word.is_override)
            return Heard(card.rule, is_new)

    def are_overridden(self, findings: Collection[bytes], today: date) -> bool:
        """Answer from this process alone."""
        if not findings or not self._decisions:
            return False
        with self._lock:
            for finding in findings:
                decision = self._decisions.get(finding)
                if decision is None or decision.until is None or decision.until < today:
                    return False
            for finding in findings:
                self._decisions.move_to_end(finding)
        return True

    def _decide(self, finding: bytes, word: Word, days: int) -> None:
        last = self._decisions.get(finding)
        if last is not None and (word.at < last.at or (word.at == last.at and word.is_override)):
            return
        self._decisions[finding] = _Decision(word.at, word.on + timedelta(days) if word.is_override else None)
        self._decisions.move_to_end(finding)
        if len(self._decisions) > self._most_findings:
            self._decisions.popitem(last=False)

"""Sends the canaries of each rule through the whole service, and says what was expected and what came."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from cards.card import Card
from cards.extension import RULES_EXTENSION
from cards.finding import Outcome
from cds_service.assess import Assessment, Assessor, assess
from cds_service.canaries import Canary, Code, Pair
from cds_service.canaries.charts import names_in, request_of
from cds_service.errors import HttpError
from fhir_mapping.catalog.codes import look_up
from fhir_mapping.catalog.loader import Catalog
from fhir_mapping.wire import Coding

_NOT_ASKED = "not asked"  # the request was answered before it came to the rule
_FAILED = "failed"
_ORDER = (*(outcome.name.lower() for outcome in Outcome), _FAILED)


@dataclass(frozen=True, slots=True)
class Replay:
    """What became of one canary: the outcome of its rule, the cards, and whether one of them speaks for the rule.

    `side` is "fires" or "silent"; `hints` say what may be the cause where it failed, in words of our own tables.
    """

    side: str
    canary: Canary
    outcome: str
    cards: tuple[str, ...]
    is_shown: bool
    hints: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the rule did as it should."""
        return self.outcome == self.canary.outcome and self.is_shown == self.canary.is_shown


@dataclass(frozen=True, slots=True)
class RuleReport:
    """What became of a rule: both of its canaries, or none where it is off, or has none."""

    rule_id: str
    slug: str
    is_on: bool
    hook: str = ""
    replays: tuple[Replay, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the rule did both as it should; one that is off is not asked."""
        return not self.is_on or (bool(self.replays) and all(replay.passed for replay in self.replays))


def replay_all(assessor: Assessor, pairs: Mapping[str, Pair], codes: Mapping[str, Code]) -> Iterator[RuleReport]:
    """Replay the canaries of every rule that is on."""
    for rule_id, active in assessor.knowledge.on(assessor.today()).rules.items():
        pair = pairs.get(rule_id)
        if pair is None or not active.is_on:
            yield RuleReport(rule_id, active.text.slug, active.is_on)
            continue
        replays = tuple(_replay(rule_id, side, pair, canary, assessor, codes) for side, canary in pair.sides())
        yield RuleReport(rule_id, active.text.slug, active.is_on, pair.hook.value, replays)


def body_of(rule_id: str, side: str, pair: Pair, assessor: Assessor, codes: Mapping[str, Code]) -> bytes:
    """Write the request of one canary, as a client would send it today."""
    canary = dict(pair.sides())[side]
    made = request_of(f"{rule_id}-{side}", canary, pair.hook, assessor.today(), codes, assessor.searches)
    return json.dumps(made, indent=1).encode()


def _replay(
    rule_id: str, side: str, pair: Pair, canary: Canary, assessor: Assessor, codes: Mapping[str, Code]
) -> Replay:
    try:
        answer = assess(body_of(rule_id, side, pair, assessor, codes), pair.hook, assessor)
    except HttpError as refusal:
        replay, said = Replay(side, canary, f"refused with {refusal.status}", (), False), [str(refusal)]
    except Exception as fault:  # the other rules are still to be asked; a traceback helps nobody who watches a job
        replay, said = Replay(side, canary, f"crashed with {type(fault).__name__}", (), False), []
    else:
        is_shown = any(rule_id in _spoken_for(card) for card in answer.cards)
        replay = Replay(side, canary, _outcome(answer, rule_id), answer.shown, is_shown)
        gap_card = assessor.knowledge.presentation.data_gap.id
        said = [f"the data-gap card says: {c.summary}" for c in answer.cards if c.source.topic.code == gap_card]
    return replay if replay.passed else replace(replay, hints=(*_misread(canary, codes, assessor.catalog), *said))


def _outcome(answer: Assessment, rule_id: str) -> str:
    """Give a rule's outcome: the one that must not be hidden, where it judged several orders."""
    return max(answer.rules.get(rule_id, ()), key=_ORDER.index, default=_NOT_ASKED)


def _spoken_for(card: Card) -> set[str]:
    """Name the rules whose finding a card shows: its own, and what it has taken in."""
    if card.extension is None:
        return {card.source.topic.code}
    return {rule["id"] for rule in card.extension[RULES_EXTENSION] if rule["outcome"] == "flagged"}


def _misread(canary: Canary, codes: Mapping[str, Code], catalog: Catalog) -> Iterator[str]:
    """Name the codes of a canary that the catalogue, with the maps of the site, does not know, or takes for another."""
    for name in sorted(names_in(canary)):
        code = codes[name]
        tables = [catalog.drug_codes] if code.is_drug else catalog.concept_codes.values()
        found = frozenset().union(*(look_up(table, Coding(code.system, code.code))[1] for table in tables))
        if name not in found:
            read = f"is taken for {', '.join(sorted(filter(None, found)))}" if any(found) else "is not known"
            yield f"the code {code.code} of {code.system}, here for {name}, {read}"

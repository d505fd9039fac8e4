"""Made-up rules and findings, for what no shipped rule brings up: many cards at once, and critical ones."""

import itertools
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

import cards.knowledge
from cards.compose import compose
from cards.evaluate import Evaluation, Result
from cards.finding import Conclusion, Hook, Outcome, Proposal, Reschedule
from cards.gates import Gate
from cards.knowledge.loader import ActiveRule, Knowledge
from cards.knowledge.texts import (
    AlwaysProposed,
    BundleText,
    CardText,
    EvidenceLine,
    OrderText,
    Presentation,
    RuleText,
    Setting,
    Source,
)
from cards.orders import Ordering
from cards.render import render
from cards.rulebook import NoFacts, Rule, Settings
from cards.suggest import Addressee
from fhir_mapping.model.coverage import Coverage, Level, TopicCoverage
from fhir_mapping.model.dates import Answer
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.orders import ProposedOrder
from fhir_mapping.model.patient import Diagnosis, Person
from fhir_mapping.model.vocabulary import Topic
from tests.build import AS_OF, PATIENT

_FOLDER = Path(cards.knowledge.__file__).parent
_SOURCE = "OURS"

Card = dict[str, Any]


def _table(name: str) -> dict[str, Any]:
    return tomllib.loads((_FOLDER / name).read_text(encoding="utf-8"))


PRESENTATION = Presentation.model_validate(_table("presentation.toml"))
ORDERS = {key: OrderText.model_validate(block) for key, block in _table("orders.toml").items()}
HISTORY = TreatmentHistory(
    as_of=AS_OF,
    coverage=Coverage({topic: TopicCoverage(Level.COMPLETE) for topic in Topic}),
    person=Person(born=None, deceased=False),
    diagnosis=Diagnosis(Answer.YES, None, problem_list_is_empty=False, comfort_care_only=False),
)


@dataclass(frozen=True)
class MadeUp:
    """A rule with one card of each indicator; `rank` is its place among the others."""

    id: str
    rank: int = 0
    absorbs: tuple[str, ...] = ()
    suppresses: tuple[str, ...] = ()
    companion_of: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ("mdt",)
    proposals: tuple[str, ...] = ()
    summary: str = ""
    repeats_after: int | None = None

    @property
    def active(self) -> ActiveRule:
        """Give it as the loader would."""
        says = self.summary or f"Summary of {self.id}."
        text = RuleText(
            id=self.id,
            slug=self.id.lower(),
            title=f"Title of {self.id}",
            when="",
            then="",
            if_unknown="",
            shipped="live",
            unknown_shown=True,
            hooks=(Hook.ORDER_SIGN,),
            strength=f"strength of {self.id}",
            certainty="low",
            sources=(_SOURCE,),
            override_reasons=self.reasons,
            rank=self.rank,
            absorbs=self.absorbs,
            suppresses=self.suppresses,
            companion_of=self.companion_of,
            repeats_after=Setting(value=self.repeats_after, source=_SOURCE) if self.repeats_after else None,
            proposals=tuple(AlwaysProposed(template=template) for template in self.proposals),
            evidence=(EvidenceLine(source=_SOURCE, says=f"Evidence of {self.id}."),),
            cards={
                indicator: CardText(
                    indicator=indicator,
                    summary=says,
                    why=(f"Why {self.id}: {indicator}.",),
                    short=f"short of {self.id}",
                )
                for indicator in ("critical", "warning", "info")
            },
        )
        rule = Rule(
            id=self.id,
            family="made_up",
            settings=Settings,
            facts=NoFacts,
            variants=frozenset(text.cards),
            missing=frozenset(),
            notes=frozenset(),
            reads=frozenset(),
        )
        return ActiveRule(rule, text, Settings())

    def found(
        self,
        indicator: str = "warning",
        *proposals: Proposal | Reschedule,
        order: ProposedOrder | None = None,
    ) -> Result:
        """Let it flag something."""
        conclusion = Conclusion(Outcome.FLAGGED, variant=indicator, facts=NoFacts(), proposals=proposals)
        return Result(self.active, order, conclusion)

    def satisfied(self, order: ProposedOrder | None = None) -> Result:
        """Let it be content."""
        return Result(self.active, order, Conclusion(Outcome.SATISFIED))

    def undecided(self) -> Result:
        """Let it be unable to tell."""
        return Result(self.active, None, Conclusion(Outcome.CANNOT_TELL))


def shown(
    results: Iterable[Result],
    *,
    other_cards: int = PRESENTATION.cap.other_cards.value,
    bundles: Iterable[BundleText] = (),
    ordering: Ordering | None = None,
    sent: Mapping[str, bytes] = MappingProxyType({}),
) -> list[Card]:
    """Give the cards, as they go over the wire, for what some rules found."""
    found = tuple(results)
    cap = PRESENTATION.cap
    room = cap.model_copy(update={"other_cards": cap.other_cards.model_copy(update={"value": other_cards})})
    presentation = PRESENTATION.model_copy(update={"cap": room, "bundles": tuple(bundles)})
    knowledge = Knowledge(
        rules={result.active.text.id: result.active for result in found},
        sources={_SOURCE: Source(key=_SOURCE, label="Our own", kind="ours", says="")},
        orders=ORDERS,
        presentation=presentation,
        version="",
    )
    plan = compose(Evaluation(Gate(is_open=True), found), HISTORY, presentation)
    numbers = itertools.count()
    addressee = Addressee(PATIENT, lambda: f"uuid-{next(numbers)}", ordering or Ordering(), lambda: sent)
    answer: list[Card] = msgspec.json.decode(msgspec.json.encode(render(plan, HISTORY, knowledge, addressee)))
    return answer


def codes(cards_shown: Iterable[Card]) -> list[str]:
    """Give the topic codes of cards."""
    return [card["source"]["topic"]["code"] for card in cards_shown]


def speaks_for(card: Card) -> list[str]:
    """Name the rules that the extension of a card lists."""
    return [each["id"] for each in card.get("extension", {}).get("mmcds.rules", ())]

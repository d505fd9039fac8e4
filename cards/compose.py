"""Decides what is shown: who absorbs, suppresses or accompanies whom, in which order, and what could not be checked."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from cards.evaluate import Evaluation, Result
from cards.finding import Missing, Outcome, Reschedule
from cards.knowledge.texts import BundleText, Presentation, RuleText
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.orders import OrderKind, ProposedOrder
from fhir_mapping.model.treatment import UnrecognisedTreatment
from fhir_mapping.model.vocabulary import Topic

CRITICAL = "critical"  # never left out, however often it was overridden
_URGENCY = {CRITICAL: 0, "warning": 1, "info": 2}
_EVERY_RULE_READS = frozenset({Topic.PATIENT, Topic.DIAGNOSIS})
# Looking a member up costs as much as a call, and every answer is asked for its outcome
_NOT_APPLICABLE, _SATISFIED = Outcome.NOT_APPLICABLE, Outcome.SATISFIED
_CANNOT_TELL, _FLAGGED = Outcome.CANNOT_TELL, Outcome.FLAGGED
_UNRECOGNISED = OrderKind.UNRECOGNISED


class CardPlan(NamedTuple):
    """One card to be: the results it speaks for, the one that names it first, and the most urgent indicator of them.

    A `bundle` has a name of its own, whichever of its rules found something. `shared` are the critical cards that
    became this one, `collapsed` those for which there was no room: this one names them with their summaries.
    """

    results: tuple[Result, ...]
    indicator: str
    bundle: BundleText | None = None
    shared: "tuple[CardPlan, ...]" = ()
    collapsed: "tuple[CardPlan, ...]" = ()

    @property
    def rule_ids(self) -> tuple[str, ...]:
        """Name the rules that the card speaks for, the leading one first."""
        return tuple(dict.fromkeys([result.active.text.id for result in self.results]))

    @property
    def code(self) -> str:
        """Give the code under which the card is known: that of its bundle, or of its leading rule."""
        return self.results[0].active.text.id if self.bundle is None else self.bundle.id


def card_of(results: Iterable[Result], bundle: BundleText | None = None, shared: tuple[CardPlan, ...] = ()) -> CardPlan:
    """Plan one card for some results, of which the first names it unless they are a bundle."""
    results = tuple(results)
    return CardPlan(results, min(map(indicator_of, results), key=_URGENCY.__getitem__), bundle, shared)


@dataclass(frozen=True, slots=True)
class GapPlan:
    """The data-gap card to be: undecided rules, Topics not read completely, and what was not recognised.

    `concerned` are the undecided rules first, then those that rest on such a Topic as well, whatever they found.
    """

    undecided: tuple[Result, ...]
    of_the_gate: tuple[Missing, ...]
    concerned: tuple[Result, ...]
    topics: tuple[Topic, ...]
    unrecognised: tuple[UnrecognisedTreatment, ...]
    unrecognised_orders: tuple[ProposedOrder, ...]
    other_patient: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """What one answer shows, the most urgent card first, the data-gap card last.

    `not_repeated` are the codes of the cards that were left out because this user knows them.
    """

    cards: tuple[CardPlan, ...]
    gap: GapPlan | None
    not_repeated: tuple[str, ...] = ()


def compose(
    evaluation: Evaluation,
    history: TreatmentHistory,
    presentation: Presentation,
    is_repeat: Callable[[CardPlan], bool] | None = None,
) -> Plan:
    """Turn the rules' answers into the cards of one response: one that is critical, and so many others.

    What is a repeat gives its place to others; a critical card is never asked whether it is one. Behind a closed gate
    there are no cards, but draft orders about someone else are always pointed out.
    """
    if not evaluation.gate.is_open:
        foreign = GapPlan((), (), evaluation.results, (), (), (), other_patient=True)
        return Plan((), foreign if history.foreign_orders else None)
    # Most rules have nothing to do with most orders
    concerned = [result for result in evaluation.results if result.conclusion.outcome is not _NOT_APPLICABLE]
    cards = sorted(_join(_on_one_day(_not_suppressed(concerned)), presentation.bundles), key=_place)
    new: list[CardPlan] = []
    repeated: list[CardPlan] = []
    for card in cards:
        is_known = is_repeat is not None and card.indicator != CRITICAL and is_repeat(card)
        (repeated if is_known else new).append(card)
    shown = _capped(new, presentation.cap.other_cards.value)
    return Plan(shown, _gap(evaluation, concerned, history), tuple([card.code for card in repeated]))


def indicator_of(result: Result) -> str:
    """Give the indicator that the wording of a flagged result asks for."""
    return result.active.text.cards[result.conclusion.variant].indicator


def _not_suppressed(results: list[Result]) -> list[Result]:
    flagged = [result for result in results if result.conclusion.outcome is _FLAGGED]
    if not flagged:
        return flagged
    silenced = {
        (rule_id, id(result.order))
        for result in results
        if result.active.text.suppresses and result.conclusion.outcome is _SATISFIED
        for rule_id in result.active.text.suppresses
    }
    return [result for result in flagged if (result.active.text.id, id(result.order)) not in silenced]


def _on_one_day(flagged: list[Result]) -> list[Result]:
    """Offer to move a draft order to the latest day that anybody asks for: on another, that finding would stand."""
    moves = [each for result in flagged for each in result.conclusion.proposals if isinstance(each, Reschedule)]
    latest: dict[str, date] = {}
    for move in moves:
        order = move.order.reference
        latest[order] = max(move.to, latest.get(order, move.to))
    if all(move.to == latest[move.order.reference] for move in moves):
        return flagged
    return [_without_earlier(result, latest) for result in flagged]


def _without_earlier(result: Result, latest: Mapping[str, date]) -> Result:
    proposals = result.conclusion.proposals
    kept = tuple(p for p in proposals if not isinstance(p, Reschedule) or p.to == latest[p.order.reference])
    if kept == proposals:
        return result  # itself, since answers are told apart by identity
    return result._replace(conclusion=result.conclusion._replace(proposals=kept))


def _join(flagged: list[Result], bundles: Iterable[BundleText]) -> list[CardPlan]:
    """Make one card per bundle and per other rule, with the findings that it absorbs and its companions."""
    by_rule: dict[str, list[Result]] = {}
    texts: dict[str, RuleText] = {}
    for result in sorted(flagged, key=_urgency):
        text = result.active.text
        texts[text.id] = text
        by_rule.setdefault(text.id, []).append(result)
    ranked = sorted(by_rule, key=lambda key: (texts[key].rank, key))
    cards: list[CardPlan] = []
    told: set[str] = set()
    for bundle in bundles:
        members = [key for key in ranked if key in bundle.rules]
        if members:
            told.update(members)
            found = sorted([result for member in members for result in by_rule[member]], key=_urgency)
            cards.append(card_of(found, bundle))
    leads = [key for key in ranked if key not in told and not texts[key].companion_of]
    companions = [key for key in ranked if texts[key].companion_of]
    absorbed = {other for key in leads for other in texts[key].absorbs}
    # Rules that absorb each other would leave none to speak for them: then the first of them by rank does
    for key in (*(key for key in leads if key not in absorbed), *leads):
        if key in told:
            continue
        members = _with_absorbed(key, texts)
        told.update(members)
        guests = [each for each in companions if not set(members).isdisjoint(texts[each].companion_of)]
        members += [guest for guest in guests if guest not in members]
        cards.append(card_of([result for member in members for result in by_rule[member]]))
    return cards


def _urgency(result: Result) -> int:
    return _URGENCY[indicator_of(result)]


def _with_absorbed(lead: str, texts: Mapping[str, RuleText]) -> list[str]:
    """List a rule and what it absorbs, in the order that it states, and what those absorb in turn."""
    members = [lead]
    for member in members:  # which grows as we go
        members += [other for other in texts[member].absorbs if other in texts and other not in members]
    return members


def _capped(cards: list[CardPlan], other_cards: int) -> tuple[CardPlan, ...]:
    """Let the critical findings share one card, and the last card shown name those for which there is no room."""
    critical = [card for card in cards if card.indicator == CRITICAL]
    others = [card for card in cards if card.indicator != CRITICAL]
    shown = [_as_one(critical)] if critical else []
    shown += others[:other_cards]
    if len(others) > other_cards:
        shown[-1] = shown[-1]._replace(collapsed=tuple(others[other_cards:]))
    return tuple(shown)


def _as_one(cards: list[CardPlan]) -> CardPlan:
    if len(cards) == 1:
        return cards[0]
    return card_of(_each_once(result for card in cards for result in card.results), shared=tuple(cards))


def _each_once(results: Iterable[Result]) -> tuple[Result, ...]:
    """Leave out what is there already: two hosts have one companion."""
    return tuple({id(result): result for result in results}.values())


def _place(plan: CardPlan) -> tuple[int, int]:
    return (_URGENCY[plan.indicator], plan.results[0].active.text.rank)


def _is_said(result: Result) -> bool:
    return result.active.text.shows_unknown(item.key for item in result.conclusion.missing)


def _gap(evaluation: Evaluation, concerned: list[Result], history: TreatmentHistory) -> GapPlan | None:
    """Plan the data-gap card where a rule that matters could not be decided, or what it reads was not all there.

    A rule that something on record satisfies is not disturbed by what else could not be read, except by what
    every rule stands on: who the patient is, and the diagnosis. Behind a gate that could not be judged, every rule
    that concerns the order matters.
    """
    gate_misses = evaluation.gate.missing
    incomplete = history.coverage.incomplete
    of_every_rule = incomplete & _EVERY_RULE_READS
    undecided: list[Result] = []
    others: list[Result] = []
    unread: set[Topic] = set()
    for result in concerned:
        outcome = result.conclusion.outcome
        is_undecided = outcome is _CANNOT_TELL and bool(gate_misses or result.fault or _is_said(result))
        if is_undecided:
            undecided.append(result)
        if incomplete:
            is_waiting = outcome is not _SATISFIED and result.active.text.unknown_shown is True
            missing = of_every_rule | incomplete & result.active.rule.reads if is_waiting else of_every_rule
            unread |= missing
            if missing and not is_undecided:
                others.append(result)
    unrecognised_orders = tuple(order for order in history.judged_orders if order.kind is _UNRECOGNISED)
    if not (undecided or gate_misses or unread or history.foreign_orders or unrecognised_orders):
        return None
    is_hidden = any(item.key == "unrecognised" for result in undecided for item in result.conclusion.missing)
    return GapPlan(
        undecided=tuple(undecided),
        # Where no rule concerns itself with the order, what the gate misses is said on its own
        of_the_gate=() if undecided else gate_misses,
        # An order that is not recognised, or not this patient's, might have concerned any rule
        concerned=(*undecided, *others) or evaluation.results,
        topics=tuple(sorted(unread)),
        unrecognised=history.unrecognised if is_hidden else (),
        unrecognised_orders=unrecognised_orders,
        other_patient=history.foreign_orders > 0,
    )

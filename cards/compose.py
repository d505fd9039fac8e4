"""Decides what is shown: who absorbs, suppresses or accompanies whom, in which order, and what could not be checked."""

from dataclasses import dataclass

from cards.evaluate import Evaluation, Result
from cards.finding import Missing, Outcome
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.orders import OrderKind, ProposedOrder
from fhir_mapping.model.treatment import UnrecognisedTreatment
from fhir_mapping.model.vocabulary import Topic

_URGENCY = {"critical": 0, "warning": 1, "info": 2}
_EVERY_RULE_READS = frozenset({Topic.PATIENT, Topic.DIAGNOSIS})


@dataclass(frozen=True, slots=True)
class CardPlan:
    """One card to be: the results it speaks for, the one that names it first."""

    results: tuple[Result, ...]

    @property
    def rule_ids(self) -> tuple[str, ...]:
        """Name the rules that the card speaks for, the leading one first."""
        return tuple(dict.fromkeys(result.active.text.id for result in self.results))

    @property
    def indicator(self) -> str:
        """Give the most urgent indicator of what the card says."""
        return min((indicator_of(result) for result in self.results), key=_URGENCY.__getitem__)


@dataclass(frozen=True, slots=True)
class GapPlan:
    """The data-gap card to be: undecided rules, Topics not read completely, and what was not recognised."""

    undecided: tuple[tuple[Result, tuple[Missing, ...]], ...]
    of_the_gate: tuple[Missing, ...]
    concerned: tuple[Result, ...]
    topics: tuple[Topic, ...]
    unrecognised: tuple[UnrecognisedTreatment, ...]
    unrecognised_orders: tuple[ProposedOrder, ...]
    other_patient: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """What one answer shows, the most urgent card first, the data-gap card last."""

    cards: tuple[CardPlan, ...]
    gap: GapPlan | None


def compose(evaluation: Evaluation, history: TreatmentHistory) -> Plan:
    """Turn the rules' answers into the cards of one response.

    Behind a closed gate there are none, but draft orders about someone else are always pointed out.
    """
    if not evaluation.gate.is_open:
        foreign = GapPlan((), (), evaluation.results, (), (), (), other_patient=True)
        return Plan((), foreign if history.foreign_orders else None)
    cards = sorted(_join(_not_suppressed(evaluation.results)), key=_place)
    return Plan(tuple(cards), _gap(evaluation, history))


def indicator_of(result: Result) -> str:
    """Give the indicator that the wording of a flagged result asks for."""
    return result.active.text.cards[result.conclusion.variant].indicator


def _not_suppressed(results: tuple[Result, ...]) -> list[Result]:
    silenced = {
        (rule_id, result.order)
        for result in results
        if result.outcome is Outcome.SATISFIED
        for rule_id in result.active.text.suppresses
    }
    return [
        result
        for result in results
        if result.outcome is Outcome.FLAGGED and (result.active.text.id, result.order) not in silenced
    ]


def _join(flagged: list[Result]) -> list[CardPlan]:
    """Make one card per rule, with the findings that it absorbs and the options that accompany it."""
    by_rule: dict[str, list[Result]] = {}
    for result in sorted(flagged, key=lambda r: _URGENCY[indicator_of(r)]):
        by_rule.setdefault(result.active.text.id, []).append(result)
    companions = {key for key, group in by_rule.items() if group[0].active.text.companion_of}
    leads = by_rule.keys() - companions
    absorbed = {other for key in leads for other in by_rule[key][0].active.text.absorbs}
    cards = []
    for key in sorted(leads - absorbed):
        group = list(by_rule[key])
        for other in group[0].active.text.absorbs:
            group += by_rule.get(other, ())
        members = {result.active.text.id for result in group}
        for companion in sorted(companions):
            if members.intersection(by_rule[companion][0].active.text.companion_of):
                group += by_rule[companion]
        cards.append(CardPlan(tuple(group)))
    return cards


def _place(plan: CardPlan) -> tuple[int, int]:
    return (_URGENCY[plan.indicator], plan.results[0].active.text.rank)


def _gap(evaluation: Evaluation, history: TreatmentHistory) -> GapPlan | None:
    """Plan the data-gap card where a rule that matters could not be decided, or what it reads was not all there.

    A rule that something on record satisfies is not disturbed by what else could not be read, except by what
    every rule stands on: who the patient is, and the diagnosis.
    """
    applicable = [result for result in evaluation.results if result.outcome is not Outcome.NOT_APPLICABLE]
    undecided = tuple(
        (result, result.conclusion.missing)
        for result in applicable
        if result.outcome is Outcome.CANNOT_TELL and (result.active.text.unknown_shown or result.fault)
    )
    unread: dict[Topic, None] = {}
    concerned = [result for result, _ in undecided]
    for result in applicable:
        reads = _EVERY_RULE_READS
        if result.outcome is not Outcome.SATISFIED and result.active.text.unknown_shown:
            reads = reads | result.active.rule.reads
        missing = sorted(topic for topic in reads if not history.coverage.is_complete(topic))
        unread.update(dict.fromkeys(missing))
        if missing and result not in concerned:
            concerned.append(result)
    unrecognised_orders = tuple(o for o in history.judged_orders if o.kind is OrderKind.UNRECOGNISED)
    # Where no rule concerns itself with the order, what the gate misses is said on its own
    of_the_gate = () if undecided else evaluation.gate.missing
    if not (undecided or of_the_gate or unread or history.foreign_orders or unrecognised_orders):
        return None
    is_hidden = any(item.key == "unrecognised" for _, missing in undecided for item in missing)
    return GapPlan(
        undecided=undecided,
        of_the_gate=of_the_gate,
        # An order that is not recognised, or not this patient's, might have concerned any rule
        concerned=tuple(concerned) or evaluation.results,
        topics=tuple(sorted(unread)),
        unrecognised=history.unrecognised if is_hidden else (),
        unrecognised_orders=unrecognised_orders,
        other_patient=history.foreign_orders > 0,
    )

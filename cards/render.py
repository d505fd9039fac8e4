"""Words a plan as cards: wording from the knowledge files, facts from the rules, chart text always escaped."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache, lru_cache
from typing import Any

from cards.card import SUMMARY_LIMIT, TOPIC_SYSTEM, Card, Coding, Source
from cards.compose import CardPlan, Plan, indicator_of
from cards.evaluate import Result
from cards.extension import spoken_for
from cards.gap_card import gap_card
from cards.knowledge.loader import ActiveRule, Knowledge
from cards.knowledge.texts import BundleText
from cards.markdown import bullets, capitalised, escape, records_in
from cards.origins import number_lines
from cards.suggest import Addressee, suggestions
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.treatment import SourceRef
from fhir_mapping.model.vocabulary import ChartText

_CACHED_RULES = 256
_BETWEEN = "\x1f"  # the unit separator, which stands in no wording and, being invisible, in no text of a chart


def render(plan: Plan, history: TreatmentHistory, knowledge: Knowledge, addressee: Addressee) -> tuple[Card, ...]:
    """Word every card of a plan, in its order."""
    cards = [_card(card, history, knowledge, addressee) for card in plan.cards]
    if plan.gap is not None:
        cards.append(gap_card(plan.gap, history, knowledge, addressee.new_uuid))
    return tuple(cards)


@dataclass(frozen=True, slots=True)
class Spoken:
    """A flagged result with everything that its wording may mention, written out once."""

    result: Result
    values: Mapping[str, str]

    def say(self, wording: str) -> str:
        """Put the facts and the rule's numbers into a wording, and begin it with a capital."""
        return capitalised(wording.format_map(self.values))

    def say_short(self) -> str:
        """Say the finding as one of several of a bundle."""
        return self.result.active.text.cards[self.result.conclusion.variant].short.format_map(self.values)

    def say_each(self, wordings: Iterable[str]) -> list[str]:
        """Say several wordings, all filled in one go."""
        text = _BETWEEN.join(wordings)
        return [capitalised(line) for line in text.format_map(self.values).split(_BETWEEN)] if text else []


def speak(result: Result) -> Spoken:
    """Write out a result's facts and its rule's numbers."""
    facts = result.conclusion.facts
    written = {name: _written(getattr(facts, name)) for name in _names_of(result.active.rule.facts)}
    return Spoken(result, {**_numbers_of(result.active), **written})


@lru_cache(maxsize=_CACHED_RULES)
def _numbers_of(active: ActiveRule) -> Mapping[str, str]:
    return {name: str(value) for name, value in vars(active.settings).items() if isinstance(value, int | float)}


@cache
def _names_of(facts: type) -> tuple[str, ...]:
    return tuple(each.name for each in fields(facts))


def _written(value: Any) -> str:
    return escape(value) if isinstance(value, ChartText) else str(value)


def _clipped(summary: str, limit: int = SUMMARY_LIMIT) -> str:
    if len(summary) <= limit:
        return summary
    return summary[: limit - 1].rsplit(" ", 1)[0] + "…"


def _card(plan: CardPlan, history: TreatmentHistory, knowledge: Knowledge, addressee: Addressee) -> Card:
    lead = plan.results[0]
    text = lead.active.text
    offered = tuple(suggestions(plan, history, knowledge, addressee))
    reasons = dict.fromkeys([code for result in plan.results for code in result.active.text.override_reasons])
    spoken = [speak(result) for result in plan.results]
    return Card(
        uuid=addressee.new_uuid(),
        summary=_shown_summary(plan, spoken, knowledge),
        detail="\n".join(_whole_detail(plan, spoken, knowledge)).rstrip("\n"),
        indicator=plan.indicator,  # type: ignore[arg-type]
        source=_source(text.id, text.source_of(lead.conclusion.variant), plan.bundle, knowledge),
        suggestions=offered,
        selection_behavior="any" if offered else None,
        override_reasons=_override_reasons(tuple(reasons), knowledge),
        extension=spoken_for(_all_results(plan)) if plan.bundle or len(plan.rule_ids) > 1 or plan.collapsed else None,
    )


@lru_cache(maxsize=_CACHED_RULES)
def _source(rule_id: str, key: str, bundle: BundleText | None, knowledge: Knowledge) -> Source:
    """Give the source of the leading card; a bundle is known under its own name, whichever rule leads it."""
    text = knowledge.rules[rule_id].text
    source = knowledge.sources[key]
    named = bundle or text
    topic = Coding(system=TOPIC_SYSTEM, code=named.id, display=named.slug)
    return Source(label=source.label, url=source.url, topic=topic)


@lru_cache(maxsize=_CACHED_RULES)
def _override_reasons(codes: tuple[str, ...], knowledge: Knowledge) -> tuple[Coding, ...]:
    override = knowledge.presentation.override
    return tuple(Coding(system=override.system, code=code, display=override.reasons[code]) for code in codes)


def _all_results(plan: CardPlan) -> Iterator[Result]:
    yield from plan.results
    for card in plan.collapsed:
        yield from card.results


def _shown_summary(plan: CardPlan, spoken: Sequence[Spoken], knowledge: Knowledge) -> str:
    """Say the most urgent finding, and how many more there are as critical as that."""
    summary = _summary(spoken, plan.indicator)
    if plan.bundle is not None and len(spoken) > 1:
        summary = _summary_of_bundle(plan.bundle, spoken)
    if not plan.shared:
        return _clipped(summary)
    wording = knowledge.presentation.cap.several_critical
    more = len(plan.shared) - 1
    room = SUMMARY_LIMIT - len(wording.format(summary="", count=more))
    return wording.format(summary=_clipped(summary, room), count=more)


def _summary(spoken: Sequence[Spoken], indicator: str) -> str:
    """Say the most urgent finding first, also where the rule that names the card found less."""
    return _summary_of(next(each for each in spoken if indicator_of(each.result) == indicator))


def _summary_of_bundle(bundle: BundleText, spoken: Sequence[Spoken]) -> str:
    """Say every finding in short, or as many as there is room for and how many more there are."""
    points = [each.say_short() for each in spoken]
    said = [bundle.summary.format(points="; ".join(points))]
    for room in range(len(points) - 1, 0, -1):
        said.append(bundle.longer.format(points="; ".join(points[:room]), count=len(points) - room))
    return next((summary for summary in said if len(summary) <= SUMMARY_LIMIT), said[-1])


def _summary_of(spoken: Spoken) -> str:
    return spoken.say(spoken.result.active.text.cards[spoken.result.conclusion.variant].summary)


def _whole_detail(plan: CardPlan, spoken: Sequence[Spoken], knowledge: Knowledge) -> list[str]:
    """Give the detail, of each card that shares this one under its own summary, and name those without a card."""
    lines = [] if plan.shared else _detail(spoken, knowledge)
    for card in plan.shared:
        said = [speak(result) for result in card.results]
        lines += (f"**{_summary(said, card.indicator)}** ({', '.join(card.rule_ids)})", "")
        lines += (*_detail(said, knowledge), "")
    if plan.collapsed:
        unshown = [speak(result) for card in plan.collapsed for result in card.results]
        named = (f"{each.result.active.text.id}: {_summary_of(each)}" for each in unshown)
        lines += ("", *bullets(knowledge.presentation.cap.more, named))
    return lines


def _detail(spoken: Sequence[Spoken], knowledge: Knowledge) -> list[str]:
    headings = knowledge.presentation.detail
    why: list[str] = []
    notes: list[str] = []
    options: list[str] = []
    records: list[SourceRef] = []
    for each in spoken:
        text, conclusion = each.result.active.text, each.result.conclusion
        why += each.say_each(text.cards[conclusion.variant].why)
        notes += each.say_each([text.notes[key] for key in conclusion.notes])
        options += each.say_each(text.advice.options) if text.advice else ()
        records += conclusion.evidence
    rules = tuple(dict.fromkeys([each.result.active.text.id for each in spoken]))
    return [
        *bullets(headings.why, why),
        *bullets(headings.note, notes),
        *_evidence(rules, knowledge),
        *bullets(headings.options, options),
        *bullets(headings.records, records_in(records)),
        *_numbers_and_review(rules, knowledge),
    ]


@lru_cache(maxsize=_CACHED_RULES)
def _evidence(rule_ids: tuple[str, ...], knowledge: Knowledge) -> tuple[str, ...]:
    """Write out the evidence of the rules on a card, each line with its source; the first one's strength heads it."""
    texts = [knowledge.rules[rule_id].text for rule_id in rule_ids]
    heading = knowledge.presentation.detail.evidence.format(strength=texts[0].strength, certainty=texts[0].certainty)
    lines = (f"{line.says} ({knowledge.sources[line.source].label})" for text in texts for line in text.evidence)
    return tuple(bullets(heading, lines))


@lru_cache(maxsize=_CACHED_RULES)
def _numbers_and_review(rule_ids: tuple[str, ...], knowledge: Knowledge) -> tuple[str, ...]:
    """Write out the numbers of the rules on a card, and who has reviewed the first."""
    headings = knowledge.presentation.detail
    numbers = (line for rule_id in rule_ids for line in number_lines(rule_id, knowledge))
    review = knowledge.rules[rule_ids[0]].text.reviewed
    reviewed = headings.unreviewed if review is None else headings.reviewed.format(by=review.by, on=review.on)
    return (*bullets(headings.numbers, numbers), reviewed)

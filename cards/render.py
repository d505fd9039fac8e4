"""Words a plan as cards: wording from the knowledge files, facts from the rules, chart text always escaped."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache, lru_cache
from typing import Any

from cards.card import SUMMARY_LIMIT, Card, Coding, Source
from cards.compose import CardPlan, GapPlan, Plan, indicator_of
from cards.evaluate import Result
from cards.finding import Missing, Outcome
from cards.knowledge.loader import ActiveRule, Knowledge
from cards.origins import number_lines
from cards.suggest import Addressee, capitalised, suggestions
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.treatment import SourceRef
from fhir_mapping.model.vocabulary import ChartText, Topic

TOPIC_SYSTEM = "urn:mmcds:rules"
RULES_EXTENSION = "mmcds.rules"
_LONGEST_CHART_TEXT = 80
_MOST_RECORDS = 6
_CACHED_RULES = 256
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~&:@/\"'=])")


def render(plan: Plan, history: TreatmentHistory, knowledge: Knowledge, addressee: Addressee) -> tuple[Card, ...]:
    """Word every card of a plan, in its order."""
    cards = [_card(card, history, knowledge, addressee) for card in plan.cards]
    if plan.gap is not None:
        cards.append(_gap_card(plan.gap, history, knowledge, addressee))
    return tuple(cards)


def escape(text: str, longest: int = _LONGEST_CHART_TEXT) -> str:
    """Make chart text harmless in Markdown and HTML: one line, no invisible characters, no markup."""
    plain = "".join(
        " " if unicodedata.category(c) in {"Cc", "Zl", "Zp"} else c
        for c in text
        if unicodedata.category(c) not in {"Cf", "Cs", "Co"}
    )
    short = " ".join(plain.split())[:longest]
    return _MARKDOWN.sub(r"\\\1", short)


@dataclass(frozen=True, slots=True)
class Spoken:
    """A flagged result with everything that its wording may mention, written out once."""

    result: Result
    values: Mapping[str, str]

    def say(self, wording: str) -> str:
        """Put the facts and the rule's numbers into a wording, and begin it with a capital."""
        return capitalised(wording.format_map(self.values))


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
    reasons = dict.fromkeys(code for result in plan.results for code in result.active.text.override_reasons)
    spoken = [speak(result) for result in plan.results]
    return Card(
        uuid=addressee.new_uuid(),
        summary=_shown_summary(plan, spoken, knowledge),
        detail="\n".join(_whole_detail(plan, spoken, knowledge)).rstrip("\n"),
        indicator=plan.indicator,  # type: ignore[arg-type]
        source=_source(text.id, knowledge),
        suggestions=offered,
        selection_behavior="any" if offered else None,
        override_reasons=_override_reasons(tuple(reasons), knowledge),
        extension=_spoken_for(_all_results(plan)) if len(plan.rule_ids) > 1 or plan.collapsed else None,
    )


@lru_cache(maxsize=_CACHED_RULES)
def _source(rule_id: str, knowledge: Knowledge) -> Source:
    text = knowledge.rules[rule_id].text
    source = knowledge.sources[text.sources[0]]
    topic = Coding(system=TOPIC_SYSTEM, code=text.id, display=text.slug)
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
    if not plan.shared:
        return _clipped(summary)
    wording = knowledge.presentation.cap.several_critical
    more = len(plan.shared) - 1
    room = SUMMARY_LIMIT - len(wording.format(summary="", count=more))
    return wording.format(summary=_clipped(summary, room), count=more)


def _summary(spoken: Sequence[Spoken], indicator: str) -> str:
    """Say the most urgent finding first, also where the rule that names the card found less."""
    return _summary_of(next(each for each in spoken if indicator_of(each.result) == indicator))


def _summary_of(spoken: Spoken) -> str:
    return spoken.say(spoken.result.active.text.cards[spoken.result.conclusion.variant].summary)


def _whole_detail(plan: CardPlan, spoken: Sequence[Spoken], knowledge: Knowledge) -> Iterator[str]:
    """Give the detail, of each card that shares this one under its own summary, and name those without a card."""
    for card in plan.shared:
        said = [speak(result) for result in card.results]
        yield from (f"**{_summary(said, card.indicator)}** ({', '.join(card.rule_ids)})", "")
        yield from (*_detail(said, knowledge), "")
    if not plan.shared:
        yield from _detail(spoken, knowledge)
    if plan.collapsed:
        unshown = [speak(result) for card in plan.collapsed for result in card.results]
        lines = (f"{each.result.active.text.id}: {_summary_of(each)}" for each in unshown)
        yield from ("", *_list(knowledge.presentation.cap.more, lines))


def _spoken_for(results: Iterable[Result]) -> dict[str, Any]:
    outcomes: dict[str, str] = {}
    for result in results:
        is_flagged = result.outcome is Outcome.FLAGGED
        outcomes.setdefault(result.active.text.id, "flagged" if is_flagged else "cannot_tell")
    return {RULES_EXTENSION: [{"id": key, "outcome": outcome} for key, outcome in outcomes.items()]}


def _detail(spoken: Sequence[Spoken], knowledge: Knowledge) -> Iterator[str]:
    headings = knowledge.presentation.detail
    yield from _list(headings.why, (line for each in spoken for line in _why(each)))
    yield from _list(headings.note, (line for each in spoken for line in _notes(each)))
    rules = tuple(dict.fromkeys(each.result.active.text.id for each in spoken))
    yield from _evidence(rules, knowledge)
    yield from _list(headings.options, (line for each in spoken for line in _options(each)))
    yield from _list(headings.records, _records(s for each in spoken for s in each.result.conclusion.evidence))
    yield from _numbers_and_review(rules, knowledge)


@lru_cache(maxsize=_CACHED_RULES)
def _evidence(rule_ids: tuple[str, ...], knowledge: Knowledge) -> tuple[str, ...]:
    """Write out the evidence of the rules on a card, each line with its source; the first one's strength heads it."""
    texts = [knowledge.rules[rule_id].text for rule_id in rule_ids]
    heading = knowledge.presentation.detail.evidence.format(strength=texts[0].strength, certainty=texts[0].certainty)
    lines = (f"{line.says} ({knowledge.sources[line.source].label})" for text in texts for line in text.evidence)
    return tuple(_list(heading, lines))


@lru_cache(maxsize=_CACHED_RULES)
def _numbers_and_review(rule_ids: tuple[str, ...], knowledge: Knowledge) -> tuple[str, ...]:
    """Write out the numbers of the rules on a card, and who has reviewed the first."""
    headings = knowledge.presentation.detail
    numbers = (line for rule_id in rule_ids for line in number_lines(rule_id, knowledge, escape))
    review = knowledge.rules[rule_ids[0]].text.reviewed
    reviewed = headings.unreviewed if review is None else headings.reviewed.format(by=review.by, on=review.on)
    return (*_list(headings.numbers, numbers), reviewed)


def _why(spoken: Spoken) -> Iterator[str]:
    result = spoken.result
    return (spoken.say(line) for line in result.active.text.cards[result.conclusion.variant].why)


def _notes(spoken: Spoken) -> Iterator[str]:
    result = spoken.result
    return (spoken.say(result.active.text.notes[key]) for key in result.conclusion.notes)


def _options(spoken: Spoken) -> Iterator[str]:
    advice = spoken.result.active.text.advice
    return (spoken.say(line) for line in (advice.options if advice else ()))


def _records(sources: Iterable[SourceRef]) -> Iterator[str]:
    named = dict.fromkeys(
        f"{source.resource_type} {source.on}" if source.on else f"{source.resource_type}, undated" for source in sources
    )
    yield from list(named)[:_MOST_RECORDS]


def _list(heading: str, lines: Iterable[str]) -> Iterator[str]:
    items = list(dict.fromkeys(lines))
    if items:
        yield heading
        yield ""
        yield from (f"- {item}" for item in items)
        yield ""


def _gap_card(gap: GapPlan, history: TreatmentHistory, knowledge: Knowledge, addressee: Addressee) -> Card:
    words = knowledge.presentation.data_gap
    summary = _gap_summary(gap, history, knowledge)
    return Card(
        uuid=addressee.new_uuid(),
        summary=summary,
        detail="\n".join(_gap_detail(gap, history, knowledge)),
        indicator=words.indicator,
        source=Source(label="mmcds", topic=Coding(system=TOPIC_SYSTEM, code=words.id, display=words.slug)),
        extension=_spoken_for(gap.concerned),
    )


def _gap_summary(gap: GapPlan, history: TreatmentHistory, knowledge: Knowledge) -> str:
    words = knowledge.presentation.data_gap
    titles = dict.fromkeys(result.active.text.title for result, _ in gap.undecided)
    keys = dict.fromkeys(key for topic in gap.topics for key in history.coverage.of(topic).unread)
    if titles:
        summary = words.summary.format(titles="; ".join(titles))
    elif keys:
        summary = words.summary_unread.format(searches=", ".join(words.searches[key] for key in keys))
    else:
        summary = ""
    if 0 < len(summary) <= SUMMARY_LIMIT:
        return summary
    return words.summary_long.format(count=len({r.active.text.id for r in gap.concerned}))


def _gap_detail(gap: GapPlan, history: TreatmentHistory, knowledge: Knowledge) -> Iterator[str]:
    words = knowledge.presentation.data_gap
    yield from _list(
        words.undecided,
        (
            f"{result.active.text.title} ({result.active.text.id}): missing "
            + "; ".join(_missing(item, result, knowledge) for item in missing)
            for result, missing in gap.undecided
        ),
    )
    yield from _list(words.undecided, (f"{words.every_rule}: missing {words.missing[m.key]}" for m in gap.of_the_gate))
    yield from _list(words.unread, (_topic(topic, history, knowledge) for topic in gap.topics))
    unknown = [(u.text, u.source.resource_type) for u in gap.unrecognised]
    unknown += [(order.label, "draft order") for order in gap.unrecognised_orders]
    yield from _list(words.unrecognised, (f"{escape(text) or 'no name given'} ({kind})" for text, kind in unknown))
    if gap.other_patient:
        yield from (words.other_patient, "")
    records = (s for result, _ in gap.undecided for s in result.conclusion.evidence)
    yield from _list(knowledge.presentation.detail.records, _records(records))
    yield words.closing


def _missing(item: Missing, result: Result, knowledge: Knowledge) -> str:
    wording = result.active.text.missing.get(item.key) or knowledge.presentation.data_gap.missing[item.key]
    return wording.format(drug=item.drug, detail=item.detail)


def _topic(topic: Topic, history: TreatmentHistory, knowledge: Knowledge) -> str:
    words = knowledge.presentation.data_gap
    coverage = history.coverage.of(topic)
    if coverage.lists_are_empty:
        return capitalised(words.topic_empty.format(topic=topic))
    searches = ", ".join(words.searches[key] for key in coverage.unread)
    return capitalised(words.topic_unread.format(topic=topic, searches=searches))

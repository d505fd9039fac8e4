"""Words a plan as cards: wording from the knowledge files, facts from the rules, chart text always escaped."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache, lru_cache
from typing import Any

from cards.card import SUMMARY_LIMIT, Action, Card, Coding, Source, Suggestion
from cards.compose import CardPlan, GapPlan, Plan, indicator_of
from cards.evaluate import Result
from cards.finding import Missing, Outcome, Proposal
from cards.knowledge.loader import Knowledge
from cards.orders import Ordering, describe, draft_order
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.treatment import SourceRef
from fhir_mapping.model.vocabulary import ChartText, Topic

TOPIC_SYSTEM = "urn:mmcds:rules"
RULES_EXTENSION = "mmcds.rules"
_LONGEST_CHART_TEXT = 80
_MOST_RECORDS = 6
_CACHED_RULES = 256
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~&:@/\"'=])")


@dataclass(frozen=True, slots=True)
class Addressee:
    """Whom the draft orders are for, how a new uuid is made, and how the client takes orders."""

    patient_id: str
    new_uuid: Callable[[], str]
    ordering: Ordering = field(default_factory=Ordering)


def render(plan: Plan, history: TreatmentHistory, knowledge: Knowledge, addressee: Addressee) -> tuple[Card, ...]:
    """Word every card of a plan, in its order."""
    cards = [_card(card, history, knowledge, addressee) for card in plan.cards]
    if plan.gap is not None:
        cards.append(_gap_card(plan.gap, history, knowledge, addressee))
    return tuple(cards)


def escape(text: str) -> str:
    """Make chart text harmless in Markdown and HTML: one line, no invisible characters, no markup."""
    plain = "".join(
        " " if unicodedata.category(c) in {"Cc", "Zl", "Zp"} else c
        for c in text
        if unicodedata.category(c) not in {"Cf", "Cs", "Co"}
    )
    short = " ".join(plain.split())[:_LONGEST_CHART_TEXT]
    return _MARKDOWN.sub(r"\\\1", short)


@dataclass(frozen=True, slots=True)
class Spoken:
    """A flagged result with everything that its wording may mention, written out once."""

    result: Result
    values: Mapping[str, str]

    def say(self, wording: str) -> str:
        """Put the facts and the rule's numbers into a wording, and begin it with a capital."""
        return _capitalised(wording.format_map(self.values))


def speak(result: Result) -> Spoken:
    """Write out a result's facts and its rule's numbers."""
    values = {name: _written(value) for name, value in vars(result.active.settings).items()}
    facts = result.conclusion.facts
    values |= {name: _written(getattr(facts, name)) for name in _names_of(result.active.rule.facts)}
    return Spoken(result, values)


@cache
def _names_of(facts: type) -> tuple[str, ...]:
    return tuple(each.name for each in fields(facts))


def _written(value: Any) -> str:
    return escape(value) if isinstance(value, ChartText) else str(value)


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


def _clipped(summary: str) -> str:
    if len(summary) <= SUMMARY_LIMIT:
        return summary
    return summary[: SUMMARY_LIMIT - 1].rsplit(" ", 1)[0] + "…"


def _card(plan: CardPlan, history: TreatmentHistory, knowledge: Knowledge, addressee: Addressee) -> Card:
    lead = plan.results[0]
    text = lead.active.text
    suggestions = tuple(_suggestions(plan, history, knowledge, addressee))
    reasons = dict.fromkeys(code for result in plan.results for code in result.active.text.override_reasons)
    several = len(plan.rule_ids) > 1
    spoken = [speak(result) for result in plan.results]
    source = knowledge.sources[text.sources[0]]
    return Card(
        uuid=addressee.new_uuid(),
        summary=_clipped(_summary(spoken, plan.indicator)),
        detail="\n".join(_detail(spoken, knowledge)),
        indicator=plan.indicator,  # type: ignore[arg-type]
        source=Source(
            label=source.label,
            url=source.url,
            topic=Coding(system=TOPIC_SYSTEM, code=text.id, display=text.slug),
        ),
        suggestions=suggestions,
        selection_behavior="any" if suggestions else None,
        override_reasons=tuple(
            Coding(
                system=knowledge.presentation.override.system,
                code=code,
                display=knowledge.presentation.override.reasons[code],
            )
            for code in reasons
        ),
        extension=_spoken_for(plan.results) if several else None,
    )


def _summary(spoken: Sequence[Spoken], indicator: str) -> str:
    """Say the most urgent finding first, also where the rule that names the card found less."""
    urgent = next(each for each in spoken if indicator_of(each.result) == indicator)
    return urgent.say(urgent.result.active.text.cards[urgent.result.conclusion.variant].summary)


def _spoken_for(results: Iterable[Result]) -> dict[str, Any]:
    outcomes: dict[str, str] = {}
    for result in results:
        is_flagged = result.outcome is Outcome.FLAGGED
        outcomes.setdefault(result.active.text.id, "flagged" if is_flagged else "cannot_tell")
    return {RULES_EXTENSION: [{"id": key, "outcome": outcome} for key, outcome in outcomes.items()]}


def _detail(spoken: Sequence[Spoken], knowledge: Knowledge) -> Iterator[str]:
    headings = knowledge.presentation.detail
    lead = spoken[0].result.active.text
    yield from _list(headings.why, (line for each in spoken for line in _why(each)))
    yield from _list(headings.note, (line for each in spoken for line in _notes(each)))
    evidence = headings.evidence.format(strength=lead.strength, certainty=lead.certainty)
    rules = dict.fromkeys(each.result.active.text.id for each in spoken)
    yield from _list(evidence, (line for rule_id in rules for line in _evidence(rule_id, knowledge)))
    yield from _list(headings.options, (line for each in spoken for line in _options(each)))
    yield from _list(headings.records, _records(s for each in spoken for s in each.result.conclusion.evidence))
    review = lead.reviewed
    yield headings.unreviewed if review is None else headings.reviewed.format(by=review.by, on=review.on)


@lru_cache(maxsize=_CACHED_RULES)
def _evidence(rule_id: str, knowledge: Knowledge) -> tuple[str, ...]:
    """Write out a rule's evidence, each line with its source."""
    lines = knowledge.rules[rule_id].text.evidence
    return tuple(f"{line.says} ({knowledge.sources[line.source].label})" for line in lines)


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


def _suggestions(
    plan: CardPlan, history: TreatmentHistory, knowledge: Knowledge, addressee: Addressee
) -> Iterator[Suggestion]:
    """Offer each draft order once, what the facts ask for before what the rule always offers."""
    offered: dict[str, tuple[Proposal, Result]] = {}
    for result in plan.results:
        for proposal in result.conclusion.proposals:
            offered.setdefault(proposal.template, (proposal, result))
    for result in plan.results:
        for always in result.active.text.proposals:
            offered.setdefault(always.template, (Proposal(always.template), result))
    condition = history.diagnosis.source
    for proposal, result in offered.values():
        text = knowledge.orders[proposal.template]
        if not addressee.ordering.can_take(proposal.template, text):
            continue
        rule = result.active.text
        label = knowledge.sources[rule.sources[0]].label
        resource = draft_order(
            text,
            proposal,
            addressee.patient_id,
            str(condition.reference) if condition and "/" in condition.reference else None,
            f"Suggested by rule {rule.id} ({rule.title}). Source: {label}.",
            addressee.ordering,
        )
        yield Suggestion(
            label=text.label,
            uuid=addressee.new_uuid(),
            is_recommended=proposal.recommended,
            actions=(Action(type="create", description=describe(text, proposal), resource=resource),),
        )


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
    return wording.format(drug=item.drug)


def _topic(topic: Topic, history: TreatmentHistory, knowledge: Knowledge) -> str:
    words = knowledge.presentation.data_gap
    coverage = history.coverage.of(topic)
    if coverage.lists_are_empty:
        return _capitalised(words.topic_empty.format(topic=topic))
    searches = ", ".join(words.searches[key] for key in coverage.unread)
    return _capitalised(words.topic_unread.format(topic=topic, searches=searches))

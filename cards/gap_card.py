"""Words the data-gap card: what could not be decided, what could not be read, and what was not recognised."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from cards.card import SUMMARY_LIMIT, TOPIC_SYSTEM, Card, Coding, Source
from cards.compose import GapPlan
from cards.evaluate import Result
from cards.extension import spoken_for
from cards.knowledge.loader import Knowledge
from cards.knowledge.texts import DataGapText
from cards.markdown import bullets, escape, records_in
from fhir_mapping.model.history import TreatmentHistory

Rules = tuple[str, ...]  # as the card names them


def gap_card(gap: GapPlan, history: TreatmentHistory, knowledge: Knowledge, new_uuid: Callable[[], str]) -> Card:
    """Word the one card of what could not be decided, read or recognised."""
    words = knowledge.presentation.data_gap
    missing = _missing(gap, words)
    unread = _unread(gap, history, words)
    return Card(
        uuid=new_uuid(),
        summary=_fitted(list(_sentences(gap, tuple(missing), unread, words))),
        detail="\n".join(_detail(gap, missing, unread, history, knowledge)),
        indicator=words.indicator,
        source=Source(label="mmcds", topic=Coding(system=TOPIC_SYSTEM, code=words.id, display=words.slug)),
        extension=spoken_for(gap.concerned),
    )


def _missing(gap: GapPlan, words: DataGapText) -> dict[str, Rules]:
    """Word each fact that is missing once, with the rules that it holds up."""
    found: dict[str, dict[str, None]] = {}
    for result in gap.undecided:
        for fact in _facts(result, words) or (words.unnamed,):
            found.setdefault(fact, {})[f"{result.active.text.title} ({result.active.text.id})"] = None
    for item in gap.of_the_gate:
        found[words.missing[item.key]] = {words.every_rule: None}
    return {fact: tuple(rules) for fact, rules in found.items()}


def _facts(result: Result, words: DataGapText) -> Sequence[str]:
    """Word what one answer misses, all details of the same fact together."""
    details: dict[tuple[str, str], dict[str, None]] = {}
    for item in result.conclusion.missing:
        details.setdefault((item.key, item.drug), {})[item.detail] = None
    wordings = {**words.missing, **result.active.text.missing}
    return [wordings[key].format(drug=drug, detail="; ".join(said)) for (key, drug), said in details.items()]


def _unread(gap: GapPlan, history: TreatmentHistory, words: DataGapText) -> Sequence[str]:
    """Name the searches that were not answered in full, each once."""
    keys = {key for topic in gap.topics for key in history.coverage.of(topic).unread}
    return [name for key, name in words.searches.items() if key in keys]


def _sentences(
    gap: GapPlan, facts: Sequence[str], unread: Sequence[str], words: DataGapText
) -> Iterator[Sequence[str]]:
    """Give the sentences of the summary, the most important first, each from its fullest wording to its shortest."""
    say = words.summary
    if gap.other_patient:
        yield say.other_patient, say.other_patient_short
    if gap.undecided:
        yield list(_of_undecided(gap, facts, unread, words))
    elif gap.of_the_gate:
        yield say.gate.format(facts="; ".join(facts)), say.gate_short
    elif unread:
        yield say.unread.format(searches=", ".join(unread)), say.unread_short.format(count=len(unread))
    elif gap.topics:
        yield (say.empty,)
    if gap.unrecognised_orders:
        yield say.unrecognised, say.unrecognised_short


def _of_undecided(gap: GapPlan, facts: Sequence[str], unread: Sequence[str], words: DataGapText) -> Iterator[str]:
    """Name the rules that were not decided, or say how many and why; the detail names every one that is counted."""
    say = words.summary
    ranked = sorted((result.active.text for result in gap.undecided), key=lambda text: text.rank)
    titles = list({text.id: text.title for text in ranked}.values())
    count = len(titles)
    yield say.titles.format(titles="; ".join(titles))
    if count > 1:
        if len(facts) == 1 and not (unread and facts[0] == words.missing["unread"]):
            yield say.shared.format(count=count, fact=facts[0])
        if unread:
            yield say.unread_too.format(count=count, searches=", ".join(unread))
    for named in range(count - 1, 0, -1):
        yield say.titles_more.format(titles="; ".join(titles[:named]), count=count - named)
    yield say.counted.format(count=count)


def _fitted(sentences: Sequence[Sequence[str]]) -> str:
    """Join sentences, each in the fullest wording that leaves the others room for their shortest."""
    chosen = [wordings[-1] for wordings in sentences]
    for place, wordings in enumerate(sentences):
        room = SUMMARY_LIMIT - len(" ".join(chosen)) + len(chosen[place])
        chosen[place] = next(each for each in (*wordings, chosen[place]) if len(each) <= room)
    return " ".join(chosen)


def _detail(
    gap: GapPlan,
    missing: Mapping[str, Rules],
    unread: Sequence[str],
    history: TreatmentHistory,
    knowledge: Knowledge,
) -> Iterator[str]:
    words = knowledge.presentation.data_gap
    if gap.other_patient:
        yield from (words.other_patient, "")
    yield from bullets(words.undecided, _undecided(missing, words))
    yield from bullets(words.incomplete, _incomplete(gap, unread, history, words))
    unknown = [(u.text, u.source.resource_type) for u in gap.unrecognised]
    unknown += [(order.label, words.draft_order) for order in gap.unrecognised_orders]
    yield from bullets(words.unrecognised, (f"{escape(text) or words.nameless} ({kind})" for text, kind in unknown))
    records = (source for result in gap.undecided for source in result.conclusion.evidence)
    yield from bullets(knowledge.presentation.detail.records, records_in(records))
    yield words.closing


def _undecided(missing: Mapping[str, Rules], words: DataGapText) -> Iterator[str]:
    """Say what is missing, first what holds up most rules; what the same rules miss stands in one line."""
    facts_of: dict[Rules, list[str]] = {}
    for fact, rules in missing.items():
        facts_of.setdefault(rules, []).append(fact)
    for rules in sorted(facts_of, key=len, reverse=True):
        wording = words.missing_for_one if len(rules) == 1 else words.missing_for_several
        yield wording.format(rules="; ".join(rules), facts="; ".join(facts_of[rules]))


def _incomplete(gap: GapPlan, unread: Sequence[str], history: TreatmentHistory, words: DataGapText) -> Iterator[str]:
    """Say which lists were not read, what they are needed for, and which other rules rest on them."""
    if unread:
        yield words.not_read.format(searches=", ".join(unread))
    if any(history.coverage.of(topic).lists_are_empty for topic in gap.topics):
        yield words.empty
    needed_for = [topic for topic in gap.topics if topic not in unread]
    if needed_for:
        yield words.needed_for.format(topics=", ".join(needed_for))
    undecided = {result.active.text.id for result in gap.undecided}
    others = dict.fromkeys(r.active.text.id for r in gap.concerned if r.active.text.id not in undecided)
    if gap.topics and others:
        yield words.resting.format(rules=", ".join(others))

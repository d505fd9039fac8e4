"""Words the data-gap card: what could not be decided, what could not be read, and what was not recognised."""

from collections.abc import Callable, Iterator

from cards.card import SUMMARY_LIMIT, TOPIC_SYSTEM, Card, Coding, Source
from cards.compose import GapPlan
from cards.evaluate import Result
from cards.extension import spoken_for
from cards.finding import Missing
from cards.knowledge.loader import Knowledge
from cards.markdown import bullets, capitalised, escape, records_in
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.vocabulary import Topic


def gap_card(gap: GapPlan, history: TreatmentHistory, knowledge: Knowledge, new_uuid: Callable[[], str]) -> Card:
    """Word the one card of what could not be decided, read or recognised."""
    words = knowledge.presentation.data_gap
    summary = _gap_summary(gap, history, knowledge)
    return Card(
        uuid=new_uuid(),
        summary=summary,
        detail="\n".join(_gap_detail(gap, history, knowledge)),
        indicator=words.indicator,
        source=Source(label="mmcds", topic=Coding(system=TOPIC_SYSTEM, code=words.id, display=words.slug)),
        extension=spoken_for(gap.concerned),
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
    yield from bullets(
        words.undecided,
        (
            f"{result.active.text.title} ({result.active.text.id}): missing "
            + "; ".join(_missing(item, result, knowledge) for item in missing)
            for result, missing in gap.undecided
        ),
    )
    yield from bullets(
        words.undecided, (f"{words.every_rule}: missing {words.missing[m.key]}" for m in gap.of_the_gate)
    )
    yield from bullets(words.unread, (_topic(topic, history, knowledge) for topic in gap.topics))
    unknown = [(u.text, u.source.resource_type) for u in gap.unrecognised]
    unknown += [(order.label, "draft order") for order in gap.unrecognised_orders]
    yield from bullets(words.unrecognised, (f"{escape(text) or 'no name given'} ({kind})" for text, kind in unknown))
    if gap.other_patient:
        yield from (words.other_patient, "")
    records = (s for result, _ in gap.undecided for s in result.conclusion.evidence)
    yield from bullets(knowledge.presentation.detail.records, records_in(records))
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

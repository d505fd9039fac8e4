"""What surrounds the treatment: trials, education, flags, care plans and episodes of care."""

from collections.abc import Iterable, Iterator

from fhir_mapping import wire
from fhir_mapping.catalog.care_words import line_number_in, refused_in, teaches
from fhir_mapping.catalog.loader import texts_of
from fhir_mapping.model.care import DocumentedLine, Education, Refusal, TrialEnrolment
from fhir_mapping.model.dates import Answer, ClinicalDate
from fhir_mapping.model.history import DataGap, GapCode
from fhir_mapping.model.vocabulary import Certainty, ChartText
from fhir_mapping.readers.context import Context, label_of, source_of

_LONGEST_NAME = 300  # characters of a study's name
_ON_STUDY = {
    "on-study": Answer.YES,
    "on-study-intervention": Answer.YES,
    "on-study-observation": Answer.YES,
    "candidate": Answer.UNKNOWN,
    "eligible": Answer.UNKNOWN,
    "pending-on-study": Answer.UNKNOWN,
    "potential-candidate": Answer.UNKNOWN,
    "screening": Answer.UNKNOWN,
    "follow-up": Answer.NO,
    "ineligible": Answer.NO,
    "not-registered": Answer.NO,
    "off-study": Answer.NO,
    "withdrawn": Answer.NO,
}
# What R4 lets a status say: whether the record counts
_COMMUNICATIONS = {
    "completed": True,
    "preparation": False,
    "in-progress": False,
    "not-done": False,
    "on-hold": False,
    "stopped": False,
    "unknown": False,
}
_DOCUMENTS = {"current": True, "superseded": False}
_CONTENTS = {None: True, "final": True, "amended": True, "preliminary": False, "entered-in-error": False}
_FLAGS = {"active": True, "inactive": False}
_CARE_PLANS = {
    "active": True,
    "on-hold": True,
    "completed": True,
    "draft": False,
    "revoked": False,
    "unknown": False,
}
_CARE_PLAN_INTENTS = {None: True, "plan": True, "order": True, "proposal": False, "option": False}
_EPISODES = {
    "active": True,
    "onhold": True,
    "finished": True,
    "planned": False,
    "waitlist": False,
    "cancelled": False,
}


def counts(resource: wire.Resource, said: bool | None, context: Context) -> bool:
    """Whether a record states its fact, for facts that cannot be possible only.

    `said` is what its status says in R4; None, for a status that R4 does not know, or none, becomes a gap, and so
    does a modifier.
    """
    if said is None:
        context.gaps.append(DataGap(GapCode.NOT_UNDERSTOOD, type(resource).__name__))
        return False
    return said and context.certainty(resource) is Certainty.STATED


def read_trial(subject: wire.ResearchSubject, context: Context) -> Iterator[TrialEnrolment]:
    """Turn one research subject into a fact; its status counts no longer than its period."""
    period = subject.period or wire.NO_PERIOD
    start, end = context.day(period.start, "ResearchSubject"), context.day(period.end, "ResearchSubject")
    is_stated = context.certainty(subject) is Certainty.STATED
    answer = _ON_STUDY.get(subject.status or "", Answer.UNKNOWN) if is_stated else Answer.UNKNOWN
    if answer is Answer.YES:
        answer = _within(start, end, context)
    study = subject.study or wire.Reference()
    name = ChartText((study.display or study.reference or "")[:_LONGEST_NAME])
    yield TrialEnrolment(answer, name, source_of(subject, start.capped(context.as_of) if start else None))


def _within(start: ClinicalDate | None, end: ClinicalDate | None, context: Context) -> Answer:
    """Say whether today lies within a period that is said to run; before its start it is too early to tell."""
    today = ClinicalDate.on(context.as_of)
    if end is not None and end.is_before(today) is not Answer.NO:
        return Answer.NO if end.is_before(today) is Answer.YES else Answer.UNKNOWN
    return Answer.UNKNOWN if start is not None and start.is_after(today) is Answer.YES else Answer.YES


def read_communication(communication: wire.Communication, context: Context) -> Iterator[Education]:
    """Turn one communication into a fact, if it was teaching and is completed."""
    concepts = (
        *wire.decode_concepts(communication.category),
        *((communication.topic,) if communication.topic is not None else ()),
        *wire.decode_concepts(communication.reason_code),
    )
    if not teaches(concepts, context.catalog):
        return
    said = False if communication.not_done else _COMMUNICATIONS.get(communication.status or "")
    if counts(communication, said, context):
        on = context.past_day(communication.sent, "Communication")
        yield Education(on, source_of(communication, on))


def read_document(document: wire.DocumentReference, context: Context) -> Iterator[Education]:
    """Turn one document into a fact, if it records teaching and stands."""
    concepts = (
        *((document.type,) if document.type is not None else ()),
        *wire.decode_concepts(document.category),
        wire.Concept(text=document.description),
    )
    if not teaches(concepts, context.catalog):
        return
    said, content = _DOCUMENTS.get(document.status or ""), _CONTENTS.get(document.doc_status)
    if counts(document, _both(said, content), context):
        on = context.past_day(document.date, "DocumentReference")
        yield Education(on, source_of(document, on))


def _both(one: bool | None, other: bool | None) -> bool | None:
    """Whether both count; one that does not settles it, also where the other is not understood."""
    if one is False or other is False:
        return False
    return None if one is None or other is None else True


def read_flag(flag: wire.Flag, context: Context) -> Iterator[Refusal]:
    """Turn one flag into a fact for every T-cell-redirecting therapy that it calls refused or unsuitable."""
    if flag.code is None:
        return
    refused = frozenset().union(*(refused_in(text, context.catalog) for text in texts_of(flag.code)))
    if not refused or not counts(flag, _FLAGS.get(flag.status or ""), context):
        return
    period = flag.period or wire.NO_PERIOD
    start, end = context.day(period.start, "Flag"), context.day(period.end, "Flag")
    today = ClinicalDate.on(context.as_of)
    if end is not None and end.is_before(today) is Answer.YES:
        return
    if start is not None and start.is_after(today) is Answer.YES:
        return
    on = start.capped(context.as_of) if start else None
    for therapy in sorted(refused):
        yield Refusal(label_of(flag.code), on, source_of(flag, on), therapy)


def read_care_plan(plan: wire.CarePlan, context: Context) -> Iterator[DocumentedLine]:
    """Turn one care plan into the line that it names; the plan of a line still ahead documents none."""
    concepts = wire.decode_concepts(plan.category)
    texts = [plan.title or "", *(text for concept in concepts for text in texts_of(concept))]
    said = _both(_CARE_PLANS.get(plan.status or ""), _CARE_PLAN_INTENTS.get(plan.intent))
    yield from _lines(plan, texts, said, plan.period, plan.created, context)


def read_episode_of_care(episode: wire.EpisodeOfCare, context: Context) -> Iterator[DocumentedLine]:
    """Turn one episode of care into the line that it names."""
    texts = [text for concept in wire.decode_concepts(episode.type) for text in texts_of(concept)]
    yield from _lines(episode, texts, _EPISODES.get(episode.status or ""), episode.period, None, context)


def _lines(
    record: wire.CarePlan | wire.EpisodeOfCare,
    texts: Iterable[str],
    said: bool | None,
    period: wire.Period | None,
    written_on: str | None,
    context: Context,
) -> Iterator[DocumentedLine]:
    """Give every line that a record names: several contradict each other, which is for the reader to weigh."""
    numbers = sorted({number for text in texts if (number := line_number_in(text)) is not None})
    if not numbers or not counts(record, said, context):
        return
    kind = type(record).__name__
    start = context.day(period.start, kind) if period else None
    if start is not None and start.is_after(ClinicalDate.on(context.as_of)) is Answer.YES:
        return
    on = start.capped(context.as_of) if start else context.past_day(written_on, kind)
    for number in numbers:
        yield DocumentedLine(number, on, source_of(record, on))

"""Washout: how long after one T-cell engager the next may follow."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta

from cards.finding import Conclusion, Missing, Outcome, cannot_tell, not_applicable, satisfied, worst
from cards.rulebook import Settings, order_rule
from fhir_mapping.model.dates import Answer, ClinicalDate, Days
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.orders import OrderKind, ProposedOrder
from fhir_mapping.model.treatment import Course, SourceRef, TCellCollection
from fhir_mapping.model.vocabulary import Antigen, Certainty, DrugClass, Topic


class MinimumWashout(Settings):
    """Numbers of R01."""

    minimum_days: int
    collection_counts_days: int


@dataclass(frozen=True, slots=True)
class Washout:
    """What R01 found: the drug, its last dose, the gap to the index date, and the first day that satisfies it."""

    drug: str
    last_dose: ClinicalDate
    gap: Days
    index: ClinicalDate
    index_name: str
    earliest: date


@dataclass(frozen=True, slots=True)
class _Index:
    """The day to which the washout is counted, and what that day is."""

    day: ClinicalDate
    name: str
    collected: bool = False
    evidence: tuple[SourceRef, ...] = ()


@order_rule(
    "R01",
    reads={Topic.TREATMENT, Topic.CELL_THERAPY},
    settings=MinimumWashout,
    facts=Washout,
    variants={"recent", "ongoing", "collected"},
    missing={"last_dose", "date_precision", "given", "collection_date", "collection"},
)
def bcma_bispecific_before_car_t(
    history: TreatmentHistory, order: ProposedOrder, settings: MinimumWashout
) -> Conclusion:
    """A BCMA bispecific antibody was given too shortly before T cells are collected for BCMA CAR T cells."""
    if not (order.is_car_t_step and order.may_target(Antigen.BCMA)):
        return not_applicable()
    courses = [
        course for course in history.courses_against(Antigen.BCMA) if course.drug.drug_class is DrugClass.BISPECIFIC
    ]
    indexes = _indexes(history, order, settings)
    answers = [_counted_to(index, courses, history, settings) for index in indexes]
    answer, index = answers[0], indexes[0]
    if not courses or _is_collection(order):
        return answer  # no collection of the past has a say in it
    if not index.collected and _was_collected_undated(history):
        return cannot_tell(Missing("collection_date"), evidence=courses[-1].sources[:1])
    for other, found in zip(indexes, answers, strict=True):
        if found.outcome is not answer.outcome:
            return cannot_tell(Missing("collection"), evidence=other.evidence or index.evidence)
    if answer.outcome is not Outcome.SATISFIED:
        return answer
    for other in _possible_indexes(history, order, settings):
        if _counted_to(other, courses, history, settings).outcome is not Outcome.SATISFIED:
            return cannot_tell(Missing("collection"), evidence=other.evidence)
    # What is counted to today rests on no collection having been done before
    return answer if index.collected else replace(answer, absent=answer.absent | {Topic.CELL_THERAPY})


def _counted_to(
    index: _Index, courses: list[Course], history: TreatmentHistory, settings: MinimumWashout
) -> Conclusion:
    absent = satisfied(absent={Topic.TREATMENT})
    return worst([absent, *(_after(course, index, history, settings) for course in courses)])


def _after(course: Course, index: _Index, history: TreatmentHistory, settings: MinimumWashout) -> Conclusion:
    answer = _gap_answer(course, index, history, settings)
    if answer.outcome is Outcome.SATISFIED or course.is_proven_or_reported:
        return answer
    return cannot_tell(Missing("given", course.drug.name), evidence=course.sources[:1])


def _gap_answer(course: Course, index: _Index, history: TreatmentHistory, settings: MinimumWashout) -> Conclusion:
    last_dose = course.last_dose
    is_after = course.first_dose.is_after(index.day) if index.collected and course.first_dose else Answer.NO
    if is_after is Answer.YES:
        return satisfied()  # bridging after collection is another rule's question
    if index.collected and course.first_dose and last_dose and last_dose.is_before(index.day) is not Answer.YES:
        # Doses on both sides of the collection: the last one before it is not known
        last_dose = ClinicalDate(
            min(course.first_dose.earliest, index.day.latest), min(last_dose.latest, index.day.latest)
        )
    if last_dose is None:
        return cannot_tell(Missing("last_dose", course.drug.name), evidence=course.sources[:1])
    is_ongoing = course.ongoing and not index.collected
    gap = Days(0, 0) if is_ongoing else last_dose.days_until(index.day)
    match gap.less_than(settings.minimum_days):
        case Answer.NO:
            return satisfied(absent={Topic.TREATMENT}, evidence=course.sources[:1])
        case Answer.UNKNOWN:
            return cannot_tell(Missing("date_precision", course.drug.name), evidence=course.sources[:1])
        case Answer.YES if is_after is Answer.UNKNOWN:
            return cannot_tell(Missing("date_precision", course.drug.name), evidence=course.sources[:1])
        case Answer.YES:
            return Conclusion(
                Outcome.FLAGGED,
                variant="collected" if index.collected else "ongoing" if is_ongoing else "recent",
                facts=Washout(
                    drug=course.drug.name,
                    last_dose=last_dose,
                    gap=gap,
                    index=index.day,
                    index_name=index.name,
                    earliest=last_dose.plus(settings.minimum_days).latest,
                ),
                evidence=course.sources[:1],  # the record that the last dose rests on
            )


def _indexes(history: TreatmentHistory, order: ProposedOrder, settings: MinimumWashout) -> list[_Index]:
    """Give the day to count to, and every other that it may be; the one that rests on the surest record comes first.

    That is the latest collection whose cells are waiting, else the planned one, else the order's own date, else today.
    An order of a new collection is not answered by an old one.
    """
    dated = [c for c in history.collections if c.certainty is Certainty.STATED and c.collected]
    waiting = [] if _is_collection(order) else list(_waiting(dated, history, order, settings))
    sure = [index for index, is_waiting in waiting if is_waiting is Answer.YES]
    latest = [
        index
        for index, _ in sorted(waiting, key=lambda found: (found[1] is not Answer.YES, *_latest_first(found[0])))
        if not any(index.day.is_before(other.day) is Answer.YES for other in sure)
    ]
    return latest if sure else [_ahead(history, order), *latest]


def _possible_indexes(history: TreatmentHistory, order: ProposedOrder, settings: MinimumWashout) -> Iterator[_Index]:
    """Give the days of collections that may have been done, or have no date, as far as their cells may be waiting."""
    open_ = [c for c in history.collections if c.certainty is Certainty.POSSIBLE or c.collected is None]
    yield from (index for index, _ in _waiting(open_, history, order, settings))


def _latest_first(index: _Index) -> tuple[int, int]:
    return -index.day.latest.toordinal(), -index.day.earliest.toordinal()


def _ahead(history: TreatmentHistory, order: ProposedOrder) -> _Index:
    for planned, name in (
        *((o.planned, "planned T-cell collection") for o in (order, *history.orders) if _is_collection(o)),
        (order.planned, "planned start of this order"),
    ):
        if planned is not None and planned.is_before(history.today) is not Answer.YES:
            return _Index(planned, name)
    return _Index(history.today, "today, as no later date is ordered")


def _is_collection(order: ProposedOrder) -> bool:
    return order.kind is OrderKind.T_CELL_COLLECTION


def _waiting(
    collections: Iterable[TCellCollection], history: TreatmentHistory, order: ProposedOrder, settings: MinimumWashout
) -> Iterator[tuple[_Index, Answer]]:
    """Give the collections whose cells are waiting, or may be.

    They are neither used up by an infusion nor taken as abandoned; lymphodepletion and infusion need cells that are
    there, so for them an old collection still counts. One without date may have been done on any day on which its
    cells would still count.
    """
    reach = date.min if _needs_cells(order) else history.as_of - timedelta(settings.collection_counts_days)
    for collection in collections:
        is_sure = collection.certainty is Certainty.STATED and collection.collected is not None
        name = "T-cell collection done" if is_sure else "T-cell collection that may have been done"
        day = collection.collected or ClinicalDate(reach, history.as_of)
        is_waiting = _is_waiting(collection, day, history, order, settings)
        if is_waiting is not Answer.NO:
            yield _Index(day, name, collected=True, evidence=(collection.source,)), is_waiting


def _is_waiting(
    collection: TCellCollection,
    day: ClinicalDate,
    history: TreatmentHistory,
    order: ProposedOrder,
    settings: MinimumWashout,
) -> Answer:
    is_recent = (
        Answer.YES if _needs_cells(order) else day.days_until(history.today).at_most(settings.collection_counts_days)
    )
    used_up = [
        (infusion.infused.is_after(day), infusion.certainty) for infusion in history.infusions if infusion.infused
    ]
    if is_recent is Answer.NO or (Answer.YES, Certainty.STATED) in used_up:
        return Answer.NO
    may_be_used_up = any(answer is not Answer.NO for answer, _ in used_up)
    return Answer.UNKNOWN if may_be_used_up or collection.collected is None else is_recent


def _needs_cells(order: ProposedOrder) -> bool:
    return order.kind in {OrderKind.LYMPHODEPLETION, OrderKind.CAR_T_INFUSION}


def _was_collected_undated(history: TreatmentHistory) -> bool:
    """Whether T cells were collected on a day that nobody wrote down, and no infusion tells what became of them."""
    return not history.infusions and any(
        collection.collected is None and collection.certainty is Certainty.STATED for collection in history.collections
    )

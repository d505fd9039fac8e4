"""Washout: how long after one T-cell engager the next may follow."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta

from cards.finding import Conclusion, Missing, Outcome, cannot_tell, not_applicable, satisfied, worst
from cards.rulebook import Settings, order_rule
from fhir_mapping.model.dates import Answer, ClinicalDate, Days
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.orders import OrderKind, ProposedOrder
from fhir_mapping.model.treatment import Course, TCellCollection
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
    index = _index(history, order, settings)
    answer = _counted_to(index, courses, history, settings)
    if not courses or _is_collection(order):
        return answer  # no collection of the past has a say in it
    if not index.collected and _was_collected_undated(history):
        return cannot_tell(Missing("collection_date"), evidence=courses[-1].sources[:1])
    if answer.outcome is not Outcome.SATISFIED:
        return answer
    for collection, day in _may_be_waiting(history, order, settings):
        other = _Index(day, "T-cell collection that may have been done", collected=True)
        if _counted_to(other, courses, history, settings).outcome is not Outcome.SATISFIED:
            return cannot_tell(Missing("collection"), evidence=(collection.source,))
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
    if index.collected and course.first_dose is not None:
        if course.first_dose.is_after(index.day) is Answer.YES:
            return satisfied()  # bridging after collection is another rule's question
        if last_dose is not None and last_dose.is_before(index.day) is not Answer.YES:
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


def _index(history: TreatmentHistory, order: ProposedOrder, settings: MinimumWashout) -> _Index:
    """Count to a collection that was done, else to the planned one, else to the order's own date, else today.

    An order of a new collection is not answered by an old one.
    """
    done = None if _is_collection(order) else _collected(history, order, settings)
    if done is not None:
        return _Index(done, "T-cell collection done", collected=True)
    for planned, name in (
        *((o.planned, "planned T-cell collection") for o in (order, *history.orders) if _is_collection(o)),
        (order.planned, "planned start of this order"),
    ):
        if planned is not None and planned.is_before(history.today) is not Answer.YES:
            return _Index(planned, name)
    return _Index(history.today, "today, as no later date is ordered")


def _is_collection(order: ProposedOrder) -> bool:
    return order.kind is OrderKind.T_CELL_COLLECTION


def _collected(history: TreatmentHistory, order: ProposedOrder, settings: MinimumWashout) -> ClinicalDate | None:
    """Give the day of the latest collection that is neither used up by an infusion nor taken as abandoned.

    Lymphodepletion and infusion need cells that are there, so for them an old collection still counts.
    """
    waiting = [
        day
        for collection in history.collections
        if (day := collection.collected) is not None
        and collection.certainty is Certainty.STATED
        and (_needs_cells(order) or _is_recent(day, history, settings) is Answer.YES)
        and not any(i.infused and i.infused.is_after(day) is Answer.YES for i in history.infusions)
    ]
    return max(waiting, key=lambda day: (day.latest, day.earliest), default=None)


def _may_be_waiting(
    history: TreatmentHistory, order: ProposedOrder, settings: MinimumWashout
) -> Iterator[tuple[TCellCollection, ClinicalDate]]:
    """List the collections that may be the one to count to: possible ones, and those of a vague day or of none.

    One without date may have been done on any day on which its cells would still count.
    """
    reach = date.min if _needs_cells(order) else history.as_of - timedelta(settings.collection_counts_days)
    for collection in history.collections:
        day = collection.collected or ClinicalDate(reach, history.as_of)
        is_used_up = collection.collected is not None and any(
            i.certainty is Certainty.STATED and i.infused and i.infused.is_after(day) is Answer.YES
            for i in history.infusions
        )
        is_sure = collection.certainty is Certainty.STATED and collection.collected is not None
        is_recent = Answer.YES if _needs_cells(order) else _is_recent(day, history, settings)
        if not is_used_up and is_recent is not Answer.NO and not (is_sure and is_recent is Answer.YES):
            yield collection, day


def _needs_cells(order: ProposedOrder) -> bool:
    return order.kind in {OrderKind.LYMPHODEPLETION, OrderKind.CAR_T_INFUSION}


def _is_recent(day: ClinicalDate, history: TreatmentHistory, settings: MinimumWashout) -> Answer:
    return day.days_until(history.today).at_most(settings.collection_counts_days)


def _was_collected_undated(history: TreatmentHistory) -> bool:
    """Whether T cells were collected on a day that nobody wrote down, and no infusion tells what became of them."""
    return not history.infusions and any(
        collection.collected is None and collection.certainty is Certainty.STATED for collection in history.collections
    )

"""Washout: how long after one T-cell engager the next may follow."""

from dataclasses import dataclass
from datetime import date

from cards.finding import Conclusion, Missing, Outcome, cannot_tell, not_applicable, satisfied, worst
from cards.rulebook import Settings, order_rule
from fhir_mapping.model.dates import Answer, ClinicalDate, Days
from fhir_mapping.model.history import Course, OrderKind, ProposedOrder, TreatmentHistory
from fhir_mapping.model.vocabulary import Antigen, DrugClass, Topic


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
    variants={"recent", "ongoing"},
    missing={"last_dose", "date_precision", "given"},
)
def bcma_bispecific_before_car_t(
    history: TreatmentHistory, order: ProposedOrder, settings: MinimumWashout
) -> Conclusion:
    """A BCMA bispecific antibody was given too shortly before T cells are collected for BCMA CAR T cells."""
    if not (order.is_car_t_step and order.may_target(Antigen.BCMA)):
        return not_applicable()
    index = _index(history, order, settings)
    courses = [
        course for course in history.courses_against(Antigen.BCMA) if course.drug.drug_class is DrugClass.BISPECIFIC
    ]
    absent = {Topic.TREATMENT}
    return worst([satisfied(absent=absent), *(_after(course, index, history, settings) for course in courses)])


def _after(course: Course, index: _Index, history: TreatmentHistory, settings: MinimumWashout) -> Conclusion:
    answer = _gap_answer(course, index, history, settings)
    if answer.outcome is Outcome.SATISFIED or course.is_proven_or_reported:
        return answer
    return cannot_tell(Missing("given", course.drug.name), evidence=course.sources)


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
        return cannot_tell(Missing("last_dose", course.drug.name), evidence=course.sources)
    is_ongoing = course.ongoing and not index.collected
    gap = Days(0, 0) if is_ongoing else last_dose.days_until(index.day)
    match gap.less_than(settings.minimum_days):
        case Answer.NO:
            return satisfied(absent={Topic.TREATMENT}, evidence=course.sources)
        case Answer.UNKNOWN:
            return cannot_tell(Missing("date_precision", course.drug.name), evidence=course.sources)
        case Answer.YES:
            return Conclusion(
                Outcome.FLAGGED,
                variant="ongoing" if is_ongoing else "recent",
                facts=Washout(
                    drug=course.drug.name,
                    last_dose=last_dose,
                    gap=gap,
                    index=index.day,
                    index_name=index.name,
                    earliest=last_dose.plus(settings.minimum_days).latest,
                ),
                evidence=course.sources,
            )


def _index(history: TreatmentHistory, order: ProposedOrder, settings: MinimumWashout) -> _Index:
    """Count to a collection that was done, else to the planned one, else to the order's own date, else today."""
    for collection in reversed(history.collections):
        day = collection.collected
        if day is None or any(i.infused and i.infused.is_after(day) is Answer.YES for i in history.infusions):
            continue
        if day.days_until(history.today).at_most(settings.collection_counts_days) is Answer.YES:
            return _Index(day, "T-cell collection done", collected=True)
    planned = [
        other.planned
        for other in (order, *history.orders)
        if other.kind is OrderKind.T_CELL_COLLECTION and other.planned is not None
    ]
    if planned:
        return _Index(planned[0], "planned T-cell collection")
    if order.planned is not None:
        return _Index(order.planned, "planned start of this order")
    return _Index(history.today, "today, as the order has no date")

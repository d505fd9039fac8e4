"""How many days a drug was last given before T cells are collected, judged against the days that a rule asks for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from cards.finding import Conclusion, Missing, Outcome, cannot_tell, satisfied, worst
from cards.situation.collection import Index, indexes, is_collection, possible_indexes, was_collected_undated
from fhir_mapping.model.dates import Answer, ClinicalDate, Days
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.orders import ProposedOrder
from fhir_mapping.model.treatment import Course
from fhir_mapping.model.vocabulary import Topic

_FLAGGED = Outcome.FLAGGED  # an Enum is slow to look a member up in
_NOTHING_ELSE = satisfied(absent={Topic.TREATMENT})
VARIANTS = frozenset({"recent", "ongoing", "collected"})
MISSING = frozenset({"last_dose", "date_precision", "given", "collection_date", "collection"})


@dataclass(frozen=True, slots=True)
class Washout:
    """The drug, its last dose, the gap to the index date, and the first day that satisfies the interval."""

    drug: str
    last_dose: ClinicalDate
    gap: Days
    index: ClinicalDate
    index_name: str
    earliest: date


def before_collection(
    courses: Sequence[Course],
    minimum_days: int,
    counts_days: int,
    history: TreatmentHistory,
    order: ProposedOrder,
) -> Conclusion:
    """Judge whether courses ended at least `minimum_days` before the collection that an order leads to.

    A collection older than `counts_days` without infusion is taken as abandoned. Where it is not known which
    collection counts, the answers for all that may have to agree.
    """

    if not courses:
        return satisfied(absent={Topic.TREATMENT})
    found = indexes(history, order, counts_days)
    answers = [to_index(courses, index, minimum_days) for index in found]
    answer, index = answers[0], found[0]
    if is_collection(order):
        return answer  # no collection of the past has a say in it
    if not index.collected and was_collected_undated(history):
        return cannot_tell(Missing("collection_date"), evidence=courses[-1].sources[:1])
    for other, result in zip(found, answers, strict=True):
        if result.outcome is not answer.outcome:
            return cannot_tell(Missing("collection"), evidence=other.evidence or index.evidence)
    if answer.outcome is not Outcome.SATISFIED:
        return answer
    for other in possible_indexes(history, order, counts_days):
        if to_index(courses, other, minimum_days).outcome is not Outcome.SATISFIED:
            return cannot_tell(Missing("collection"), evidence=other.evidence)
    # What is counted to today rests on no collection having been done before
    return answer if index.collected else answer._replace(absent=answer.absent | {Topic.CELL_THERAPY})


def to_index(courses: Sequence[Course], index: Index, minimum_days: int) -> Conclusion:
    """Judge whether courses ended at least `minimum_days` before one index day.

    Of several that did not, the one that keeps the patient waiting longest speaks; what is open beside it is missing.
    """
    answers = [_NOTHING_ELSE, *[_after(course, index, minimum_days) for course in courses]]
    flagged = [answer for answer in answers if answer.outcome is _FLAGGED]
    if not flagged:
        return worst(answers)
    open_ = [item for answer in answers if answer.outcome is Outcome.CANNOT_TELL for item in answer.missing]
    longest = max(flagged, key=_earliest)
    return longest._replace(missing=tuple(open_)) if open_ else longest


def _earliest(answer: Conclusion) -> date:
    return answer.facts.earliest if isinstance(answer.facts, Washout) else date.min


def _after(course: Course, index: Index, minimum_days: int) -> Conclusion:
    answer = _since(course, index, minimum_days)
    if answer.outcome is Outcome.SATISFIED or course.is_proven_or_reported:
        return answer
    return cannot_tell(Missing("given", course.drug.name), evidence=course.sources[:1])


def _since(course: Course, index: Index, minimum_days: int) -> Conclusion:
    """Judge one course, taking for granted that it was given."""
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
    match gap.less_than(minimum_days):
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
                    earliest=last_dose.plus(minimum_days).latest,
                ),
                evidence=course.sources[:1],  # the record that the last dose rests on
            )

"""Interaction: two T-cell engagers at a time."""

from dataclasses import dataclass

from cards.finding import Conclusion, Missing, Outcome, cannot_tell, not_applicable, satisfied, worst
from cards.rulebook import Settings, order_rule
from fhir_mapping.model.dates import Answer, ClinicalDate
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.orders import ProposedOrder
from fhir_mapping.model.treatment import Course
from fhir_mapping.model.vocabulary import Antigen, Certainty, Drug, DrugClass, Topic


class Pair(Settings):
    """The two drugs of R10, and for how many days a dose of one counts beside the other."""

    drugs: tuple[str, str]
    recent_days: int


@dataclass(frozen=True, slots=True)
class Together:
    """What R10 found: the drug that is ordered, the other one, and the last dose of that, where it was given."""

    ordered: str
    other: str
    last_dose: ClinicalDate | None = None


@order_rule(
    "R10",
    reads={Topic.TREATMENT},
    heeds={Topic.PROGRESSION},
    settings=Pair,
    facts=Together,
    variants={"together", "given", "listed"},
    missing={"date_precision", "given"},
    new_starts_only=False,
)
def the_pair_is_combined(history: TreatmentHistory, order: ProposedOrder, settings: Pair) -> Conclusion:
    """Teclistamab and talquetamab are ordered together, or one while the other is being given.

    After the end of the other one, or a progression on it, the order is the next therapy and no combination.
    """
    drug = order.drug
    if drug is None or drug.id not in settings.drugs:
        return not_applicable()
    (partner,) = (name for name in settings.drugs if name != drug.id)
    for other in history.orders:
        if other.drug is not None and other.drug.id == partner:
            return Conclusion(
                Outcome.FLAGGED,
                variant="together",
                facts=Together(drug.name, other.drug.name),
            )
    courses = [course for course in history.courses if course.drug.id == partner]
    absent = satisfied(absent={Topic.TREATMENT})
    return worst([absent, *(_beside(course, drug, history, settings) for course in courses)])


def _beside(course: Course, drug: Drug, history: TreatmentHistory, settings: Pair) -> Conclusion:
    recent = _was_recent(course, history.today, settings.recent_days)
    stopped = _was_stopped(course, history)
    if recent is Answer.NO or stopped is Answer.YES:
        return satisfied(absent={Topic.TREATMENT})
    if not course.is_proven_or_reported:
        return cannot_tell(Missing("given", course.drug.name), evidence=course.sources[:1])
    if Answer.UNKNOWN in {recent, stopped}:
        return cannot_tell(Missing("date_precision", course.drug.name), evidence=course.sources[:1])
    facts = Together(drug.name, course.drug.name, course.last_dose)
    variant = "listed" if course.ongoing else "given"
    return Conclusion(Outcome.FLAGGED, variant=variant, facts=facts, evidence=course.sources[:1])


def _was_recent(course: Course, today: ClinicalDate, days: int) -> Answer:
    if course.last_dose is None:
        return Answer.UNKNOWN
    return course.last_dose.days_until(today).at_most(days)


_BISPECIFIC = DrugClass.BISPECIFIC  # an Enum is slow to look a member up in
_NOTHING_ELSE = satisfied(absent={Topic.TREATMENT})


class Overlap(Settings):
    """Number of R14, and the pair that R10 speaks of."""

    recent_days: int
    pair: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Running:
    """What R14 found: the engager that may still be given, its last dose, and the one that is ordered."""

    old: str
    last_dose: ClinicalDate
    ordered: str


@order_rule(
    "R14",
    reads={Topic.TREATMENT},
    heeds={Topic.PROGRESSION},
    settings=Overlap,
    facts=Running,
    variants={"given", "listed"},
    missing={"still_given", "given"},
    new_starts_only=False,
)
def another_engager_may_be_running(history: TreatmentHistory, order: ProposedOrder, settings: Overlap) -> Conclusion:
    """A T-cell engager is ordered while another one was given lately, and nothing says that it was stopped."""
    drug = order.drug
    is_infusion = order.is_car_t_infusion
    if not is_infusion and (drug is None or drug.drug_class is not _BISPECIFIC):
        return not_applicable()
    others = [
        course
        for course in history.courses
        if course.drug.drug_class is _BISPECIFIC
        and course.drug != drug
        and not (drug is not None and {drug.id, course.drug.id} == set(settings.pair))
        and not (is_infusion and Antigen.BCMA not in course.drug.antigens)  # a bridge to the cells
    ]
    return worst([_NOTHING_ELSE, *[_overlaps(course, order.therapy, history, settings) for course in others]])


def _overlaps(course: Course, ordered: str, history: TreatmentHistory, settings: Overlap) -> Conclusion:
    recent = _was_recent(course, history.today, settings.recent_days)
    stopped = _was_stopped(course, history)
    if recent is Answer.NO or stopped is Answer.YES:
        return satisfied(absent={Topic.TREATMENT}, evidence=course.sources[:1])
    if not course.is_proven_or_reported:
        return cannot_tell(Missing("given", course.drug.name), evidence=course.sources[:1])
    if course.last_dose is None or Answer.UNKNOWN in {recent, stopped}:
        return cannot_tell(Missing("still_given", course.drug.name), evidence=course.sources[:1])
    facts = Running(course.drug.name, course.last_dose, ordered)
    variant = "listed" if course.ongoing else "given"
    return Conclusion(Outcome.FLAGGED, variant=variant, facts=facts, evidence=course.sources[:1])


def _was_stopped(course: Course, history: TreatmentHistory) -> Answer:
    """Whether its record is closed, or the myeloma progressed and no dose came after: then the new drug replaces it."""
    last = course.last_dose
    answers = [
        _is_closed_by(other, course)
        for other in history.courses
        if other.drug == course.drug and other.ended is not Answer.NO
    ]
    for event in history.progressions:
        came_before = event.on.is_before(last) if event.on is not None and last is not None else Answer.UNKNOWN
        is_sure = event.certainty is Certainty.STATED and came_before is Answer.NO
        if came_before is not Answer.YES:
            answers.append(Answer.YES if is_sure else Answer.UNKNOWN)
    if Answer.YES in answers:
        return Answer.YES
    return Answer.UNKNOWN if Answer.UNKNOWN in answers else Answer.NO


def _is_closed_by(closed: Course, course: Course) -> Answer:
    """Whether a closed record ends a course: its own, unless vague dates leave open what came last; not a supply."""
    if closed.sources[0].resource_type == "MedicationDispense":
        return Answer.NO
    last = course.last_dose
    if closed is course:
        return course.ended
    if last is not None and closed.last_dose is not None and closed.last_dose.is_before(last) is Answer.YES:
        return Answer.NO
    return Answer.UNKNOWN

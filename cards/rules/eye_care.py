"""Eye care: the examination before each dose of a conjugate that harms the cornea."""

from collections.abc import Sequence
from dataclasses import dataclass

from cards.finding import Conclusion, Missing, Outcome, Proposal, cannot_tell, not_applicable, satisfied
from cards.rulebook import Settings, order_rule
from cards.situation.answers import all_of, on_record, opposite
from cards.situation.planned_day import is_ahead, planned_day
from fhir_mapping.model.care import PlanKind, PlannedCare, PlanState
from fhir_mapping.model.dates import Answer, ClinicalDate, Days, latest_of
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.orders import ProposedOrder
from fhir_mapping.model.treatment import Course, SourceRef
from fhir_mapping.model.vocabulary import Certainty, Topic

_EXAMINATIONS = frozenset({"eye-exam", "referral-eye"})
_YES, _NO, _UNKNOWN = Answer.YES, Answer.NO, Answer.UNKNOWN
_ADMINISTRATION = "MedicationAdministration"


class BeforeEachDose(Settings):
    """Numbers of R35: `drugs` by id, and how old an examination before a first dose may be."""

    drugs: tuple[str, ...]
    baseline_days: int


@dataclass(frozen=True, slots=True)
class NotExamined:
    """What R35 found: the dose that is ordered, the one before, and the examinations that do not count for it."""

    drug: str
    dose: ClinicalDate
    last_dose: ClinicalDate | None = None
    days: Days | None = None
    examined: ClinicalDate | None = None
    booked: ClinicalDate | None = None


@dataclass(frozen=True, slots=True)
class _Dose:
    """The dose that is ordered: its day, today where none is named, and the doses before it.

    A dose before it without a date is None; there is none at all before a first dose.
    """

    day: ClinicalDate
    is_dated: bool
    before: tuple[ClinicalDate | None, ...]
    baseline_days: int

    def is_covered_by(self, examined: ClinicalDate | None) -> Answer:
        """Whether an eye examination of that day counts for this dose."""
        if examined is None:
            return _UNKNOWN
        if not self.before:
            return examined.days_until(self.day).at_most(self.baseline_days)
        return all_of(*[_UNKNOWN if last is None else examined.is_after(last) for last in self.before])

    def comes_after(self, planned: ClinicalDate) -> Answer:
        """Whether the dose is not given before a day that is planned; one without a day will come soon."""
        answer = planned.is_after(self.day)
        if answer is _YES and not self.is_dated and self.day.days_until(planned).at_most(self.baseline_days) is not _NO:
            return _UNKNOWN
        return opposite(answer)


@order_rule(
    "R35",
    reads={Topic.TREATMENT, Topic.EYE_EXAMINATIONS},
    settings=BeforeEachDose,
    facts=NotExamined,
    variants={"first", "later", "later_undated"},
    notes={"older", "booked_later"},
    missing={"examination", "given"},
    new_starts_only=False,
)
def eye_examination_before_dose(
    history: TreatmentHistory, order: ProposedOrder, settings: BeforeEachDose
) -> Conclusion:
    """A conjugate that harms the cornea is ordered, and no eye examination for this dose is on record or planned."""
    drug = order.drug
    if drug is None or drug.id not in settings.drugs:
        return not_applicable()
    if any(not _EXAMINATIONS.isdisjoint(other.asks_for) for other in history.orders):
        return satisfied()
    courses = [course for course in history.courses if course.drug == drug]
    given = [course for course in courses if course.is_proven_or_reported]
    answer = _judge(history, order, given, settings)
    perhaps = [course for course in courses if course not in given and (not given or _may_add(course))]
    if perhaps and _judge(history, order, [*given, *perhaps], settings).outcome is not answer.outcome:
        return cannot_tell(Missing("given", drug.name), evidence=perhaps[0].sources[:1])
    return answer


def _may_add(course: Course) -> bool:
    """Whether a course may be of a dose beside those that are recorded; an order that goes on is only their order."""
    return course.certainty is Certainty.POSSIBLE or course.ended is not _NO


def _judge(
    history: TreatmentHistory, order: ProposedOrder, given: Sequence[Course], settings: BeforeEachDose
) -> Conclusion:
    """Judge the order, taking for granted which courses were given before."""
    day = planned_day(order, history)
    is_dated = order.planned is not None and is_ahead(order.planned, history)
    dose = _Dose(day, is_dated, tuple(_last_dose(course) for course in given), settings.baseline_days)
    covering = [(dose.is_covered_by(exam.on), exam.source) for exam in history.eye_examinations]
    covering += [(_will_cover(plan, dose, history), plan.source) for plan in _plans(history)]
    answer, sources = on_record(covering)
    match answer:
        case Answer.YES:  # a dose that is hidden may have come after a first examination
            return satisfied(absent=() if given else {Topic.TREATMENT}, evidence=sources[:1])
        case Answer.UNKNOWN:
            return cannot_tell(Missing("examination"), evidence=sources[:1])
        case Answer.NO:
            return _flagged(history, order, dose, given)


def _plans(history: TreatmentHistory) -> list[PlannedCare]:
    return [plan for plan in history.plans if plan.kind is PlanKind.EYE_EXAMINATION]


def _last_dose(course: Course) -> ClinicalDate | None:
    """Give the day of the last dose; of a drug that is only listed as being taken, that is any day since its start."""
    if not course.ongoing or course.last_dose is None:
        return course.last_dose
    given = [source.on for source in course.sources if source.resource_type == _ADMINISTRATION and source.on]
    return latest_of(given) or ClinicalDate((course.first_dose or course.last_dose).earliest, course.last_dose.latest)


def _will_cover(plan: PlannedCare, dose: _Dose, history: TreatmentHistory) -> Answer:
    """Whether a request or an appointment brings, or has brought, an examination for this dose."""
    is_over = plan.planned is not None and plan.planned.latest < history.as_of
    if plan.planned is None:
        answer = _covers_undated(plan, dose, history)
    elif is_over or plan.state is PlanState.DONE:
        answer = dose.is_covered_by(plan.planned.capped(history.as_of))
    else:
        answer = all_of(dose.comes_after(plan.planned), dose.is_covered_by(plan.planned))
    # Of a day that is over nobody says what became of it, unless the visit is recorded as done
    is_sure = plan.state is PlanState.DONE or (plan.state is PlanState.OPEN and not is_over)
    return _UNKNOWN if answer is _YES and not is_sure else answer


def _covers_undated(plan: PlannedCare, dose: _Dose, history: TreatmentHistory) -> Answer:
    """Judge a plan without a day by when it was asked for; one that stands since before may be for this dose too."""
    if plan.requested is None:
        return _UNKNOWN
    if plan.state is PlanState.DONE:
        return dose.is_covered_by(ClinicalDate(plan.requested.earliest, history.as_of))
    return _YES if dose.is_covered_by(plan.requested) is _YES else _UNKNOWN


def _flagged(history: TreatmentHistory, order: ProposedOrder, dose: _Dose, given: Sequence[Course]) -> Conclusion:
    last = latest_of([day for day in dose.before if day is not None])
    examined = latest_of([exam.on for exam in history.eye_examinations if exam.on is not None])
    ahead = [p.planned for p in _plans(history) if p.planned is not None and p.planned.earliest > history.as_of]
    booked = min(ahead, key=lambda day: day.earliest, default=None)
    facts = NotExamined(
        drug=order.drug.name if order.drug else "",
        dose=dose.day,
        last_dose=last,
        days=last.days_until(history.today) if last else None,
        examined=examined,
        booked=booked,
    )
    notes = [note for note, day in (("older", examined), ("booked_later", booked)) if day is not None]
    # No examination at all is missing for a first dose as for a later one; an old one only where no dose is hidden
    rests_on_treatment = examined is not None and not given
    return Conclusion(
        Outcome.FLAGGED,
        variant="first" if not dose.before else "later" if last else "later_undated",
        facts=facts,
        evidence=_evidence(history, given),
        absent=frozenset({Topic.EYE_EXAMINATIONS, Topic.TREATMENT} if rests_on_treatment else {Topic.EYE_EXAMINATIONS}),
        notes=tuple(notes),
        proposals=(Proposal("eye-examination", recommended=True, end=dose.day.latest if dose.is_dated else None),),
    )


def _evidence(history: TreatmentHistory, given: Sequence[Course]) -> tuple[SourceRef, ...]:
    """Name the last dose, the examinations that are too old, and the plans that come too late."""
    examined = sorted(
        (e for e in history.eye_examinations if e.on), key=lambda e: e.on.latest if e.on else history.as_of
    )
    seen = (e.source for e in examined[-1:])
    return (*(course.sources[0] for course in given[-1:]), *seen, *(plan.source for plan in _plans(history)))

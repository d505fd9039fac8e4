"""Dosing: when a bispecific antibody may be given less often, and whether it has to go on for ever."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from cards.finding import Conclusion, Missing, Outcome, cannot_tell, not_applicable, satisfied
from cards.label_doses import Doses, LabelDoses, LessOften
from cards.rulebook import Settings, order_rule
from cards.situation.answers import any_of, opposite
from cards.situation.bispecific import running_course
from cards.situation.doses import DoseNumbers, Measured, doses_of, gaps_before, measured, schedules
from cards.situation.response import Response, response_since
from fhir_mapping.model.dates import Answer, ClinicalDate, Days
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.orders import ProposedOrder
from fhir_mapping.model.results import Status
from fhir_mapping.model.treatment import Course, Dose
from fhir_mapping.model.vocabulary import DrugClass, Topic

_BISPECIFIC = DrugClass.BISPECIFIC
_WEEK = 7
_ABSENT = frozenset({Topic.PROGRESSION, Topic.RESPONSE})
_DEEP = frozenset({Status.FULL_REMISSION})


class Frequency(DoseNumbers):
    """Numbers of R32: a drug counts as being given for `running_days` after a dose."""

    doses: Doses
    running_days: int


@dataclass(frozen=True, slots=True)
class Allowed:
    """What R32 found: the weeks on the drug, how often it is given and how often its label lets it be given."""

    drug: str
    start: ClinicalDate
    weeks: str
    now: str
    allowed: str
    asks: str
    since: ClinicalDate
    label: str
    label_date: str


class _Treatment(NamedTuple):
    """The treatment with one drug that goes on, and how many days lie between its doses."""

    course: Course
    start: ClinicalDate
    interval: int
    given: list[Dose]
    held: Measured
    history: TreatmentHistory


@order_rule(
    "R32",
    reads={Topic.TREATMENT, Topic.PROGRESSION, Topic.RESPONSE},
    heeds={Topic.VITAL_SIGNS},
    settings=Frequency,
    facts=Allowed,
    variants={"allowed"},
    missing={"schedule", "response", "doses", "date_precision"},
    notes={"check_label"},
    new_starts_only=False,
)
def could_be_given_less_often(history: TreatmentHistory, order: ProposedOrder, settings: Frequency) -> Conclusion:
    """A bispecific antibody that is given more often than its label asks for after this time and response."""
    drug = order.drug
    if drug is None or drug.drug_class is not _BISPECIFIC:
        return not_applicable()
    label = settings.doses.get(drug.id)
    course = running_course(drug, history, settings.running_days) if label and label.less_often else None
    if label is None or course is None or course.first_dose is None or course.last_dose is None:
        return not_applicable()
    given = [dose for dose in doses_of(drug, history) if dose.was_administered]
    interval = order.every_days or _inferred(course.last_dose, given, settings)
    if interval is None:
        return cannot_tell(Missing("schedule", drug.name), evidence=course.sources[:1])
    held = measured(label, history, settings)
    return _judged(_Treatment(course, course.first_dose, interval, given, held, history), label)


def _inferred(last: ClinicalDate, given: list[Dose], settings: Frequency) -> int | None:
    """Take the days between doses from those that were given, where they leave no choice."""
    fitting = schedules(last, given, None, settings)
    return next(iter(fitting)) if len(fitting) == 1 else None


def _judged(treatment: _Treatment, label: LabelDoses) -> Conclusion:
    """Hold the rows of the label against the treatment, the longest interval first."""
    open_: list[Missing] = []
    for row in sorted(label.less_often, key=lambda row: -row.every_days):
        if treatment.interval >= row.every_days:
            continue
        response = response_since(treatment.start, row.statuses, treatment.history)
        criteria = list(_criteria(row, response, treatment))
        answers = {answer for _, answer in criteria}
        if response is not None and answers == {Answer.YES}:
            return _flagged(row, response, treatment, label)
        if Answer.NO not in answers:
            open_ += [Missing(key, label.drug.name) for key, answer in criteria if answer is Answer.UNKNOWN]
    if open_:
        return cannot_tell(*dict.fromkeys(open_), evidence=treatment.course.sources[:1])
    return satisfied(evidence=treatment.course.sources[:1])


def _criteria(row: LessOften, response: Response | None, treatment: _Treatment) -> Iterator[tuple[str, Answer]]:
    """Answer each thing that a row asks for, by what is missing where it cannot be told."""
    today = treatment.history.today
    if row.weeks is not None and row.at_days is None:
        yield "date_precision", _at_least(row.weeks * _WEEK, treatment.start.days_until(today))
    if row.weeks is not None and row.at_days is not None:
        yield "doses", _given_apart(row.weeks * _WEEK, row.at_days, treatment)
    if row.treatment_doses is not None:
        yield "doses", _enough_doses(row.treatment_doses, treatment)
    if response is None:
        yield "response", Answer.UNKNOWN
        return
    if row.response_days is not None:
        yield "response", _at_least(row.response_days, response.since.days_until(today))
    if row.response_from_week is not None:
        days = [treatment.start.days_until(each.on) for each in response.stated if each.on is not None]
        yield "response", any_of(*[_at_least(row.response_from_week * _WEEK, each) for each in days])


def _at_least(wanted: int, days: Days) -> Answer:
    return opposite(days.less_than(wanted))


def _given_apart(wanted: int, days: int, treatment: _Treatment) -> Answer:
    """Whether the doses of so many days lie no closer than a longer interval asks for."""
    last = treatment.course.last_dose
    if last is None or not last.is_exact:
        return Answer.UNKNOWN
    covered = (treatment.history.as_of - last.latest).days
    for gap in gaps_before(last, treatment.given):
        if gap <= treatment.held.numbers.weekly_most_days:
            break
        covered += gap
    return Answer.YES if covered >= wanted and treatment.interval >= days else Answer.NO


def _enough_doses(wanted: int, treatment: _Treatment) -> Answer:
    """Whether so many treatment doses were given in this course, each on a day of its own."""
    levels = {
        dose.on: treatment.held.level(treatment.held.amount(dose.amount))
        for dose in treatment.given
        if dose.on is not None and dose.on.is_before(treatment.start) is Answer.NO
    }
    known = [level for level in levels.values() if level is not None]
    full = sum(level.is_treatment for level in known)
    if full >= wanted:
        return Answer.YES
    return Answer.UNKNOWN if full + len(levels) - len(known) >= wanted else Answer.NO


def _flagged(row: LessOften, response: Response, treatment: _Treatment, label: LabelDoses) -> Conclusion:
    facts = Allowed(
        drug=label.drug.name,
        start=treatment.start,
        weeks=str(treatment.start.days_until(treatment.history.today).fewest // _WEEK),
        now=_in_words(treatment.interval),
        allowed=_in_words(row.every_days),
        asks=row.asks,
        since=response.since,
        label=row.printed.source_label,
        label_date=row.printed.label_date,
    )
    return Conclusion(
        Outcome.FLAGGED,
        variant="allowed",
        facts=facts,
        evidence=(*treatment.course.sources[:1], *(each.source for each in response.stated)),
        absent=_ABSENT,
        notes=() if row.printed.holds_on(treatment.history.as_of) else ("check_label",),
    )


def _in_words(days: int) -> str:
    if days == _WEEK:
        return "every week"
    return f"every {days // _WEEK} weeks" if days % _WEEK == 0 else f"every {days} days"


class Finite(Settings):
    """Numbers of R33: for how long a response has lasted, and for how long after a dose treatment is running."""

    response_days: int
    running_days: int


@dataclass(frozen=True, slots=True)
class LongResponse:
    """What R33 found: the drug, since when a complete response is on record, and for how many days."""

    drug: str
    since: ClinicalDate
    days: Days


@order_rule(
    "R33",
    reads={Topic.TREATMENT, Topic.PROGRESSION, Topic.RESPONSE},
    settings=Finite,
    facts=LongResponse,
    variants={"long"},
    missing={"date_precision"},
    new_starts_only=False,
)
def response_has_lasted(history: TreatmentHistory, order: ProposedOrder, settings: Finite) -> Conclusion:
    """A bispecific antibody is ordered again after a complete response that has lasted for long."""
    drug = order.drug
    if drug is None or drug.drug_class is not _BISPECIFIC:
        return not_applicable()
    course = running_course(drug, history, settings.running_days)
    response = response_since(course.first_dose, _DEEP, history) if course and course.first_dose else None
    if course is None or response is None:
        return not_applicable()
    days = response.since.days_until(history.today)
    sources = (*course.sources[:1], *(each.source for each in response.stated))
    match _at_least(settings.response_days, days):
        case Answer.NO:
            return satisfied(evidence=sources)
        case Answer.UNKNOWN:
            return cannot_tell(Missing("date_precision"), evidence=sources)
        case Answer.YES:
            return Conclusion(
                Outcome.FLAGGED,
                variant="long",
                facts=LongResponse(drug.name, response.since, days),
                evidence=sources,
                absent=_ABSENT,
            )

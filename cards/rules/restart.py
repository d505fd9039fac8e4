"""Restart: after a gap, a bispecific antibody begins again with step-up doses, as its label says."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import NamedTuple

from cards.finding import Conclusion, Missing, Outcome, cannot_tell, not_applicable, satisfied
from cards.label_doses import Doses, LabelDoses, Level, Restart, Step
from cards.rulebook import order_rule
from cards.situation.doses import DoseNumbers, Last, Measured, Range, doses_of, measured, schedules
from cards.situation.planned_day import planned_day
from fhir_mapping.model.dates import Answer, ClinicalDate, Days
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.orders import ProposedOrder
from fhir_mapping.model.treatment import Amount, Course, Dose
from fhir_mapping.model.vocabulary import Certainty, DrugClass, Tier, Topic

_BISPECIFIC, _TREATMENT = DrugClass.BISPECIFIC, frozenset({Topic.TREATMENT})
_FLAGGED = Outcome.FLAGGED


class RestartNumbers(DoseNumbers):
    """The doses of labels, and R31's own numbers; within `same_week_days` of a dose nothing is asked for."""

    doses: Doses
    same_week_days: int


@dataclass(frozen=True, slots=True)
class TooHigh:
    """What R31 found: the last dose, the days since, the level of the label, what is ordered, and where to look.

    `restart` names the level, `level` has its amount as well.
    """

    drug: str
    last: str
    last_dose: ClinicalDate
    days: Days
    planned: ClinicalDate
    restart: str
    level: str
    ordered: str
    where: str
    label: str
    label_date: str
    look_up: str


class _Asked(NamedTuple):
    """One order after one last dose: all that a level is looked up by."""

    order: ProposedOrder
    history: TreatmentHistory
    held: Measured
    settings: RestartNumbers

    @property
    def label(self) -> LabelDoses:
        return self.held.label

    @property
    def ordered(self) -> Range | None:
        return self.held.amount(self.order.amount)

    @property
    def planned(self) -> ClinicalDate:
        return planned_day(self.order, self.history)


@order_rule(
    "R31",
    reads={Topic.TREATMENT, Topic.VITAL_SIGNS},
    settings=RestartNumbers,
    facts=TooHigh,
    variants={"full_dose", "step_up_dose", "unverified"},
    missing={
        "given",
        "last_dose",
        "last_amount",
        "planned_amount",
        "weight",
        "date_precision",
        "schedule",
        "table",
        "level",
    },
    notes={"reported", "planned_later"},
    new_starts_only=False,
)
def dose_after_a_gap(history: TreatmentHistory, order: ProposedOrder, settings: RestartNumbers) -> Conclusion:
    """A dose of a bispecific antibody that is higher than the one with which its label begins again after a gap."""
    drug = order.drug
    if drug is None or drug.drug_class is not _BISPECIFIC:
        return not_applicable()
    label = settings.doses.get(drug.id)
    if label is None:
        return not_applicable()
    records = doses_of(drug, history)
    if not records:
        return not_applicable(absent=_TREATMENT)
    asked = _Asked(order, history, measured(label, history, settings), settings)
    ordered = asked.ordered
    if ordered is not None and ordered.exceeds(label.levels[0], settings) is Answer.NO:
        return satisfied()  # the label asks for no lower one
    if _follows_a_draft(order, history):
        return satisfied()
    return _after_the_last(records, asked)


def _follows_a_draft(order: ProposedOrder, history: TreatmentHistory) -> bool:
    """Whether another draft of the drug comes before this one, which is then no restart: that one is judged."""
    others = [other for other in history.orders if other is not order and other.drug == order.drug]
    return any(_comes_before(other, order) for other in others)


def _comes_before(other: ProposedOrder, order: ProposedOrder) -> bool:
    """Whether a draft is for an earlier day; where no day tells, the lower dose of a step-up comes first."""
    if other.planned is not None and order.planned is not None:
        before = other.planned.is_before(order.planned)
        if before is Answer.YES or other.planned.is_after(order.planned) is Answer.YES:
            return before is Answer.YES
    return _is_less(other.amount, order.amount)


def _is_less(one: Amount | None, other: Amount | None) -> bool:
    if one is None or other is None:
        return False
    if one.mg is not None and other.mg is not None:
        return one.mg < other.mg
    return one.mg_per_kg is not None and other.mg_per_kg is not None and one.mg_per_kg < other.mg_per_kg


def _after_the_last(records: list[Dose], asked: _Asked) -> Conclusion:
    """Judge by the last dose that was administered; what was only reported or may have been given never reassures."""
    given = [dose for dose in records if dose.was_administered]
    sources = tuple(dose.source for dose in given or records)
    last = asked.held.last(given)
    if last is not None and _is_of_this_week(last, asked):
        return satisfied(evidence=tuple(dose.source for dose in last.doses))
    if any(dose.on is None for dose in given):
        return cannot_tell(_missing("last_dose", asked), evidence=sources[:1])
    doubtful = [one for dose in records if (one := _doubtful(dose, last, asked)) is not None]
    answers = [_judged(one, given, asked) for one in (last, *doubtful) if one is not None]
    outcomes = {answer.outcome for answer in answers}
    if last is not None and len(outcomes) == 1:
        return answers[0]
    is_reported = any(one.doses[0].certainty is Certainty.STATED for one in doubtful)
    if last is None and outcomes == {_FLAGGED} and is_reported:
        return answers[-1]._replace(notes=("reported", *answers[-1].notes))
    undecided = [answer for answer in answers if answer.outcome is Outcome.CANNOT_TELL]
    return undecided[0] if undecided else cannot_tell(_missing("given", asked), evidence=sources)


def _doubtful(dose: Dose, last: Last | None, asked: _Asked) -> Last | None:
    """Give a dose that was reported, or may have been given, after the last one that was administered.

    A list of what a patient takes dates no dose, and neither does an order.
    """
    may_be = dose.tier is Tier.REPORTED or (dose.tier is Tier.PROVEN and not dose.was_administered)
    if not may_be or dose.ongoing or dose.on is None or (last is not None and dose.on.latest <= last.on.latest):
        return None
    level = asked.held.level(asked.held.amount(dose.amount))
    if level is None and last is not None and dose.amount is None:
        level = last.level  # a report without an amount goes on with what was given
    return Last(dose.on, level, (dose,))


def _is_of_this_week(last: Last, asked: _Asked) -> bool:
    return last.on.days_until(asked.planned).at_most(asked.settings.same_week_days) is Answer.YES


def _judged(last: Last, given: list[Dose], asked: _Asked) -> Conclusion:
    """Look up what the label asks for after one dose, on every day that may be meant."""
    days, label = last.on.days_until(asked.planned), asked.label
    sources = tuple(dose.source for dose in last.doses)
    if _is_of_this_week(last, asked):
        return satisfied(evidence=sources)
    rows = list(_rows(last, given, asked))
    steps = {row: row.steps_between(days.fewest, days.most) for row in rows}
    found = frozenset[Step]().union(*steps.values())
    is_alone = _TREATMENT if any(row.beside for row in label.restarts) else frozenset[Topic]()
    if found and all(step.goes_on for step in found):
        return satisfied(absent=is_alone, evidence=sources)
    unknown = _unknown(last, found, asked)
    if unknown is not None:
        return cannot_tell(unknown, evidence=sources)
    too_high = {row: {_too_high(step, asked) for step in found} for row, found in steps.items()}
    verdicts = set[Answer]().union(*too_high.values())
    if verdicts == {Answer.NO}:
        return satisfied(absent=is_alone, evidence=sources)
    if verdicts != {Answer.YES}:
        return cannot_tell(_missing(_reason(too_high), asked), evidence=sources)
    return _flagged(last, days, rows, found, asked)


def _rows(last: Last, given: list[Dose], asked: _Asked) -> Iterator[Restart]:
    """Give the rows that may be meant: of this level, these schedules, and of the drug alone or in combination."""
    every = schedules(last.on, given, asked.order.every_days, asked.settings)
    partners = frozenset[str]().union(*(row.beside for row in asked.label.restarts))
    beside = _is_beside(partners, last, asked) if partners else Answer.NO
    for row in asked.label.restarts:
        is_of_level = last.level is None or row.last is None or row.last == last.level
        is_of_schedule = row.every_days is None or row.every_days in every
        if is_of_level and is_of_schedule and beside is not (Answer.NO if row.beside else Answer.YES):
            yield row


def _is_beside(partners: frozenset[str], last: Last, asked: _Asked) -> Answer:
    """Whether a partner is ordered, or was given since the course began in which the last dose lies."""
    if any(order.drug is not None and order.drug.id in partners for order in asked.history.orders):
        return Answer.YES
    starts = [
        course.first_dose
        for course in asked.history.courses
        if course.drug == asked.label.drug and course.first_dose is not None and _holds(course, last.on)
    ]
    since = max(starts, key=lambda start: start.latest, default=last.on)
    answers = {_given_since(course, since) for course in asked.history.courses if course.drug.id in partners}
    return next((answer for answer in (Answer.YES, Answer.UNKNOWN) if answer in answers), Answer.NO)


def _holds(course: Course, day: ClinicalDate) -> bool:
    """Whether a day may lie in a course that was given."""
    if not course.is_proven_or_reported or course.first_dose is None or course.last_dose is None:
        return False
    return course.first_dose.is_after(day) is not Answer.YES and course.last_dose.is_before(day) is not Answer.YES


def _given_since(course: Course, since: ClinicalDate) -> Answer:
    """Whether a drug was given since a day; what was only ordered may have been, where the order is no older."""
    day = course.last_dose if course.is_proven_or_reported else course.sources[0].on
    if day is None:
        return Answer.UNKNOWN
    before = day.is_before(since)
    if before is Answer.YES:
        return Answer.NO
    return Answer.YES if before is Answer.NO and course.is_proven_or_reported else Answer.UNKNOWN


def _unknown(last: Last, found: frozenset[Step], asked: _Asked) -> Missing | None:
    """Name what has to be known before the dose can be held against the label."""
    if last.level is None:
        lacks_weight = any(asked.held.lacks_weight(dose.amount) for dose in last.doses)
        return _missing("weight" if lacks_weight else "last_amount", asked)
    if not found or not all(step.is_readable for step in found):
        return _missing("table", asked)
    if asked.ordered is None:
        key = "weight" if asked.held.lacks_weight(asked.order.amount) else "planned_amount"
        return _missing(key, asked)._replace(detail=_named(found, asked.label))
    return None


def _too_high(step: Step, asked: _Asked) -> Answer:
    if step.level is None or asked.ordered is None:
        return Answer.NO
    return asked.ordered.exceeds(step.level, asked.settings)


def _reason(too_high: Mapping[Restart, set[Answer]]) -> str:
    """Say why it cannot be told whether a dose is too high: its size, the days since the last one, or the schedule."""
    if any(Answer.UNKNOWN in answers for answers in too_high.values()):
        return "level"
    return "date_precision" if any(len(answers) > 1 for answers in too_high.values()) else "schedule"


def _flagged(last: Last, days: Days, rows: list[Restart], found: frozenset[Step], asked: _Asked) -> Conclusion:
    label, ordered, today = asked.label, asked.ordered, asked.history.as_of
    assert last.level is not None and ordered is not None  # noqa: S101, PT018 - else it could not have been judged
    if not all(row.printed.holds_on(today) for row in rows):
        variant = "unverified"
    else:
        variant = "full_dose" if ordered.reaches(label.full_dose, asked.settings) else "step_up_dose"
    facts = TooHigh(
        drug=label.drug.name,
        last=label.named(last.level),
        last_dose=last.on,
        days=days,
        planned=asked.planned,
        restart=_in_short([level.name for level in _levels_in(found)]),
        level=_named(found, label),
        ordered=_written(ordered, label.unit),
        where=label.where,
        label=", ".join(dict.fromkeys(row.printed.source_label for row in rows)),
        label_date=", ".join(dict.fromkeys(row.printed.label_date for row in rows)),
        look_up=label.look_up,
    )
    weight = asked.held.weight
    by_weight = weight is not None and any(_is_by_weight(amount) for amount in _amounts(last, asked.order))
    return Conclusion(
        _FLAGGED,
        variant=variant,
        facts=facts,
        evidence=(*(dose.source for dose in last.doses), *((weight.source,) if weight and by_weight else ())),
        absent=_TREATMENT,
        notes=("planned_later",) if asked.planned != asked.history.today else (),
    )


def _amounts(last: Last, order: ProposedOrder) -> Iterable[Amount | None]:
    return (*(dose.amount for dose in last.doses), order.amount)


def _is_by_weight(amount: Amount | None) -> bool:
    return amount is not None and amount.mg_per_kg is None


def _levels_in(found: frozenset[Step]) -> list[Level]:
    """Give the levels at which the label begins again, the lowest first."""
    return sorted({step.level for step in found if step.level is not None}, key=attrgetter("amount"))


def _in_short(names: list[str]) -> str:
    """Write "step-up dose 1 or 2", where names differ in the last word alone."""
    kinds = {name.rpartition(" ")[0] for name in names}
    if len(kinds) > 1:
        return " or ".join(names)
    return f"{kinds.pop()} {' or '.join(name.rpartition(' ')[2] for name in names)}".strip()


def _named(found: frozenset[Step], label: LabelDoses) -> str:
    return " or ".join(label.named(level) for level in _levels_in(found))


def _written(ordered: Range, unit: str) -> str:
    low, high = f"{ordered.low:.3g}", f"{ordered.high:.3g}"
    return f"{low} {unit}" if low == high else f"{low} to {high} {unit}"


def _missing(key: str, asked: _Asked) -> Missing:
    return Missing(key, asked.label.drug.name, detail=asked.label.look_up)

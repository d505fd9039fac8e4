"""Step-up dosing of a bispecific antibody: when it began last, and whether an order belongs to it."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from cards.label_doses import Doses, Level
from cards.situation.bispecific import running_course
from cards.situation.doses import DoseNumbers, Measured, doses_of, measured
from cards.situation.planned_day import planned_day
from fhir_mapping.model.dates import Answer, ClinicalDate, latest_of
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.orders import ProposedOrder
from fhir_mapping.model.treatment import Course
from fhir_mapping.model.vocabulary import Drug

_YES, _NO, _UNKNOWN = Answer.YES, Answer.NO, Answer.UNKNOWN


class StepUpNumbers(DoseNumbers):
    """The doses of labels, and for how many days after a dose treatment counts as going on."""

    levels: Doses
    running_days: int


class StepUpOrders(StepUpNumbers):
    """Numbers by which an order is placed: a step-up takes `step_up_days`, and none is spared after `anew_days`."""

    step_up_days: int
    anew_days: int


class Given(NamedTuple):
    """A dose that was given, and its level where the amount tells it."""

    on: ClinicalDate
    level: Level | None

    @property
    def is_step(self) -> bool:
        """Whether it was a step-up dose for certain."""
        return self.level is not None and not self.level.is_treatment


def by_label(drug: Drug, history: TreatmentHistory, numbers: StepUpNumbers) -> Measured | None:
    """Hold doses against the label of a drug, where its levels are on file."""
    label = numbers.levels.get(drug.id)
    return measured(label, history, numbers) if label else None


def is_below_full_dose(order: ProposedOrder, held: Measured | None) -> bool:
    """Whether less than a full dose is ordered for certain."""
    ordered = held.amount(order.amount) if held else None
    return held is not None and ordered is not None and not ordered.reaches(held.label.full_dose, held.numbers)


def given(drug: Drug, history: TreatmentHistory, held: Measured | None) -> list[Given]:
    """List the doses that were given and have a date, with the level where it is told."""
    if held is None:
        return []
    return [
        Given(dose.on, held.level(held.amount(dose.amount)))
        for dose in doses_of(drug, history)
        if dose.was_administered and dose.on is not None
    ]


def began(course: Course, doses: Sequence[Given], numbers: StepUpNumbers) -> ClinicalDate | None:
    """Find the first dose of the last step-up: of the course, or of a restart within it."""
    exact = [dose for dose in doses if dose.on.is_exact]
    steps = {dose.on for dose in exact if dose.is_step}
    days = sorted({dose.on.latest for dose in exact})
    restarts = [
        ClinicalDate.on(day)
        for before, day in pairwise(days)
        if ClinicalDate.on(day) in steps and (day - before).days > numbers.weekly_most_days
    ]
    return latest_of([*([course.first_dose] if course.first_dose else []), *restarts])


def is_stepped_up(order: ProposedOrder, drug: Drug, history: TreatmentHistory, numbers: StepUpOrders) -> Answer:
    """Whether an order is for a step-up dose, or for the first full dose, which ends the step-up.

    The ordered amount tells it where it is a lower one; else what was given does: nothing for long, or too few doses.
    """
    held = by_label(drug, history, numbers)
    if is_below_full_dose(order, held):
        return _YES
    own = [course for course in history.courses if course.drug == drug]
    if all(_is_long_over(course, history, numbers) for course in own):
        return _YES
    course = running_course(drug, history, numbers.running_days)
    if course is None or held is None:
        return _UNKNOWN
    return _goes_on(course, given(drug, history, held), planned_day(order, history), held, numbers)


def _is_long_over(course: Course, history: TreatmentHistory, numbers: StepUpOrders) -> bool:
    """Whether the next dose begins anew for certain; what may not have been given may have been given yesterday."""
    if not course.is_proven_or_reported or course.last_dose is None:
        return False
    return course.last_dose.days_until(history.today).less_than(numbers.anew_days) is _NO


def _goes_on(
    course: Course, doses: Sequence[Given], planned: ClinicalDate, held: Measured, numbers: StepUpOrders
) -> Answer:
    """Whether the step-up of a running course is not over yet, by the doses since it began."""
    start = began(course, doses, numbers)
    counted = [dose for dose in doses if start is not None and dose.on.is_before(start) is not _YES]
    if any(dose.level is not None and dose.level.is_treatment for dose in counted):
        return _NO
    if start is None or not counted or not all(dose.on.is_exact for dose in counted):
        return _UNKNOWN
    if all(dose.is_step for dose in counted):
        return _YES
    if len({dose.on for dose in counted}) >= len(held.label.levels):
        return _NO
    # So few doses do not take longer than that: others were given elsewhere
    return _YES if start.days_until(planned).at_most(numbers.step_up_days) is _YES else _UNKNOWN

"""Tests for infections and antibodies: whether one was done in time, or is being ordered."""

from collections.abc import Set as AbstractSet
from typing import NamedTuple

from cards.situation.answers import all_of, any_of, on_record, opposite
from cards.situation.results import was_within
from fhir_mapping.model.care import PlanKind, PlannedCare, PlanState
from fhir_mapping.model.dates import Answer, ClinicalDate, latest_of
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.results import Finding, SerologyResult
from fhir_mapping.model.treatment import SourceRef

# Looking a member up in its Enum costs as much as a call in Python 3.11
_LABORATORY_TEST, _OPEN, _INDETERMINATE = PlanKind.LABORATORY_TEST, PlanState.OPEN, Finding.INDETERMINATE
_YES, _NO, _UNKNOWN = Answer.YES, Answer.NO, Answer.UNKNOWN


class Done(NamedTuple):
    """Whether a test was done in time; `is_unclear` where it was, and found neither yes nor no."""

    answer: Answer
    is_unclear: bool = False
    evidence: tuple[SourceRef, ...] = ()


def done_within(history: TreatmentHistory, test: str, day: ClinicalDate, days: int) -> Done:
    """Whether a test was done at most so many days before a day.

    A result that says neither yes nor no leaves it open, and so do several that contradict each other.
    """
    results = [result for result in history.serology if result.test == test]
    if not results:
        return Done(_NO)
    answer, sources = on_record([(was_within(result, day, days), result.source) for result in results])
    is_unclear = answer is _YES and _is_unclear(history, test, results)
    return Done(_UNKNOWN if is_unclear else answer, is_unclear, sources)


def _is_unclear(history: TreatmentHistory, test: str, results: list[SerologyResult]) -> bool:
    """Whether the latest result says neither yes nor no; where all say the same, nobody has to know which it is."""
    findings = {result.finding for result in results}
    if len(findings) == 1:
        return _INDETERMINATE in findings
    latest = history.latest_serology(test)
    return latest is not None and latest.finding is _INDETERMINATE


def is_ordered(
    history: TreatmentHistory, tests: AbstractSet[str], counts_days: int, by: ClinicalDate | None = None
) -> Answer:
    """Whether one of some tests is being ordered, or was lately and its result is awaited.

    One for a day after `by` comes too late. A stored order without a date, on hold, or carried out without a result
    leaves it open.
    """
    answers = [
        _in_time(order.planned, by)
        for order in history.orders
        if order.asks_for and not tests.isdisjoint(order.asks_for)
    ]
    if _YES not in answers:
        answers += [
            _awaited(plan, history, counts_days, by)
            for plan in history.plans
            if plan.kind is _LABORATORY_TEST and not tests.isdisjoint(plan.tests)
        ]
    return any_of(*answers)


def _in_time(planned: ClinicalDate | None, by: ClinicalDate | None) -> Answer:
    if planned is None or by is None:
        return _YES
    return opposite(planned.is_after(by))


def _awaited(plan: PlannedCare, history: TreatmentHistory, counts_days: int, by: ClinicalDate | None) -> Answer:
    asked = latest_of([day for day in (plan.requested, plan.planned) if day is not None])
    return all_of(
        _UNKNOWN if asked is None else asked.days_until(history.today).at_most(counts_days),
        _in_time(plan.planned, by),
        _YES if plan.state is _OPEN else _UNKNOWN,
    )

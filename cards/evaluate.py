"""Asks every live rule once, isolates a crash, keeps every answer, and lets no answer rest on what was not read."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from cards import gates
from cards.finding import Conclusion, Hook, Missing, Outcome, cannot_tell, not_applicable
from cards.knowledge.loader import ActiveRule, Knowledge
from cards.rulebook import OrderFunction, PatientFunction
from fhir_mapping.model.dates import Answer
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.orders import ProposedOrder
from fhir_mapping.model.vocabulary import DrugClass, Topic

# An Enum is slow to look a member up in
_FLAGGED, _NOT_APPLICABLE = Outcome.FLAGGED, Outcome.NOT_APPLICABLE
_ANSWERED_BY_TREATMENT = frozenset({Topic.TREATMENT, Topic.CELL_THERAPY})


class Result(NamedTuple):
    """One rule's answer about one draft order, or about the patient; `fault` names the type of a crash."""

    active: ActiveRule
    order: ProposedOrder | None
    conclusion: Conclusion
    fault: str | None = None

    @property
    def outcome(self) -> Outcome:
        """The rule's outcome."""
        return self.conclusion.outcome


class Evaluation(NamedTuple):
    """The gate that was passed or not, and every live rule's answer."""

    gate: gates.Gate
    results: tuple[Result, ...]


def evaluate(history: TreatmentHistory, hook: Hook, knowledge: Knowledge, course_gap_days: int) -> Evaluation:
    """Ask the live rules of a hook; an order that continues a running course concerns no rule of new starts."""
    gate = gates.judge(history, hook, knowledge.presentation.gates.adult_years.value)
    if not gate.is_open:
        closed = tuple(Result(active, None, not_applicable()) for active in knowledge.for_hook(hook))
        return Evaluation(gate, closed)
    orders = [(order, continues_a_course(order, history, course_gap_days)) for order in history.judged_orders]
    results = _ask(knowledge.for_hook(hook), history, hook, orders)
    if gate.missing:
        results = [_behind(gate, result) for result in results]
    return Evaluation(gate, _with_companions_settled(results))


def _with_companions_settled(results: list[Result]) -> tuple[Result, ...]:
    """Withdraw the finding of a rule that only accompanies another, where that one found nothing."""
    concerned = [(place, r) for place, r in enumerate(results) if r.conclusion.outcome is not _NOT_APPLICABLE]
    flagged = {(r.active.text.id, id(r.order)) for _, r in concerned if r.conclusion.outcome is _FLAGGED}
    for place, result in concerned:
        hosts = result.active.text.companion_of
        if hosts and not any((host, id(result.order)) in flagged for host in hosts):
            results[place] = result._replace(conclusion=not_applicable())
    return tuple(results)


def _ask(
    rules: Iterable[ActiveRule], history: TreatmentHistory, hook: Hook, orders: Sequence[tuple[ProposedOrder, bool]]
) -> list[Result]:
    """Ask each rule about every judged order, each with whether it continues a course, or about the patient."""
    results: list[Result] = []
    is_opened = hook is Hook.PATIENT_VIEW
    for active in rules:
        judge_order, judge_patient = active.rule.judge_order, active.rule.judge_patient
        if judge_patient is not None and (is_opened or judge_order is None):
            results.append(_answer(active, None, history, judge_patient, hook))
            continue
        for order, continues in orders:
            if continues and active.rule.new_starts_only:
                results.append(Result(active, order, not_applicable()))
            elif judge_order is not None:
                results.append(_answer(active, order, history, judge_order, order))
    return results


def _answer(
    active: ActiveRule,
    order: ProposedOrder | None,
    history: TreatmentHistory,
    judge: OrderFunction | PatientFunction,
    about: Any,
) -> Result:
    """Have one question answered; a crash costs that answer alone."""
    try:
        conclusion = judge(history, about, active.settings)
    except Exception as fault:
        return Result(active, order, cannot_tell(Missing("failed")), fault=type(fault).__name__)
    return Result(active, order, _held_to_coverage(conclusion, history) if conclusion.absent else conclusion)


def _held_to_coverage(conclusion: Conclusion, history: TreatmentHistory) -> Conclusion:
    """Turn an answer that rests on absence into "cannot tell" where the Topic was not read completely.

    Treatment that is not recognised has the same effect on whoever found no T-cell engager or BCMA therapy.
    """
    unread = conclusion.absent - history.coverage.complete
    if unread:
        return cannot_tell(Missing("unread", topics=unread), evidence=conclusion.evidence)
    if not history.unrecognised or not conclusion.absent & _ANSWERED_BY_TREATMENT:
        return conclusion
    is_hidden = conclusion.outcome is Outcome.SATISFIED or any(i.may_be_cell_therapy for i in history.unrecognised)
    return cannot_tell(Missing("unrecognised")) if is_hidden else conclusion


def _behind(gate: gates.Gate, result: Result) -> Result:
    """Call an answer undecided behind a gate that could not be judged."""
    if result.outcome is Outcome.NOT_APPLICABLE:
        return result
    return result._replace(conclusion=cannot_tell(*gate.missing, evidence=result.conclusion.evidence))


def continues_a_course(order: ProposedOrder, history: TreatmentHistory, course_gap_days: int) -> bool:
    """Whether the same drug was certainly given fewer than `course_gap_days` days ago."""
    if order.drug is None or order.drug.drug_class is DrugClass.CAR_T:
        return False
    return any(
        course.drug == order.drug
        and course.is_proven_or_reported
        and course.last_dose is not None
        and course.last_dose.days_until(history.today).less_than(course_gap_days) is Answer.YES
        for course in history.courses
    )

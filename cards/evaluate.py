"""Asks every live rule once, isolates a crash, keeps every answer, and lets no answer rest on what was not read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from cards import gates
from cards.finding import Conclusion, Hook, Missing, Outcome, cannot_tell, not_applicable
from cards.knowledge.loader import ActiveRule, Knowledge
from fhir_mapping.model.dates import Answer
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.orders import ProposedOrder
from fhir_mapping.model.vocabulary import DrugClass, Topic

_ANSWERED_BY_TREATMENT = frozenset({Topic.TREATMENT, Topic.CELL_THERAPY})


@dataclass(frozen=True, slots=True)
class Result:
    """One rule's answer about one draft order, or about the patient; `fault` names the type of a crash."""

    active: ActiveRule
    order: ProposedOrder | None
    conclusion: Conclusion
    fault: str | None = None

    @property
    def outcome(self) -> Outcome:
        """The rule's outcome."""
        return self.conclusion.outcome


@dataclass(frozen=True, slots=True)
class Evaluation:
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
    asked = (result for active in knowledge.for_hook(hook) for result in _ask(active, history, hook, orders))
    results = tuple(_behind(gate, result) for result in asked) if gate.missing else tuple(asked)
    return Evaluation(gate, _with_companions_settled(results))


def _with_companions_settled(results: tuple[Result, ...]) -> tuple[Result, ...]:
    """Withdraw the finding of a rule that only accompanies another, where that one found nothing."""
    flagged = {(r.active.text.id, id(r.order)) for r in results if r.outcome is Outcome.FLAGGED}
    return tuple(
        replace(result, conclusion=not_applicable())
        if result.active.text.companion_of
        and not any((host, id(result.order)) in flagged for host in result.active.text.companion_of)
        else result
        for result in results
    )


def _ask(
    active: ActiveRule, history: TreatmentHistory, hook: Hook, orders: Sequence[tuple[ProposedOrder, bool]]
) -> Iterator[Result]:
    """Ask one rule about every judged order, each with whether it continues a course, or about the patient."""
    rule = active.rule
    if rule.judge_order is None or (hook is Hook.PATIENT_VIEW and rule.judge_patient is not None):
        yield _answer(active, None, history, hook)
        return
    for order, continues in orders:
        if continues and rule.new_starts_only:
            yield Result(active, order, not_applicable())
        else:
            yield _answer(active, order, history, hook)


def _answer(active: ActiveRule, order: ProposedOrder | None, history: TreatmentHistory, hook: Hook) -> Result:
    try:
        if order is not None and active.rule.judge_order is not None:
            conclusion = active.rule.judge_order(history, order, active.settings)
        elif active.rule.judge_patient is not None:
            conclusion = active.rule.judge_patient(history, hook, active.settings)
        else:
            conclusion = not_applicable()
    except Exception as fault:
        return Result(active, order, cannot_tell(Missing("failed")), fault=type(fault).__name__)
    return Result(active, order, _held_to_coverage(conclusion, history))


def _held_to_coverage(conclusion: Conclusion, history: TreatmentHistory) -> Conclusion:
    """Turn an answer that rests on absence into "cannot tell" where the Topic was not read completely.

    Treatment that is not recognised has the same effect on whoever found no T-cell engager or BCMA therapy.
    """
    if not conclusion.absent:
        return conclusion
    unread = frozenset(topic for topic in conclusion.absent if not history.coverage.is_complete(topic))
    if unread:
        return cannot_tell(Missing("unread", topics=unread), evidence=conclusion.evidence)
    if not conclusion.absent & _ANSWERED_BY_TREATMENT:
        return conclusion
    hidden = [
        item for item in history.unrecognised if conclusion.outcome is Outcome.SATISFIED or item.may_be_cell_therapy
    ]
    return cannot_tell(Missing("unrecognised")) if hidden else conclusion


def _behind(gate: gates.Gate, result: Result) -> Result:
    """Call an answer undecided behind a gate that could not be judged."""
    if result.outcome is Outcome.NOT_APPLICABLE:
        return result
    return replace(result, conclusion=cannot_tell(*gate.missing, evidence=result.conclusion.evidence))


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

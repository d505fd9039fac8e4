"""Infection: CAR T cells, their lymphodepletion, or the step-up of a bispecific antibody while one may be active."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from cards.finding import Conclusion, Missing, Outcome, cannot_tell, not_applicable, satisfied
from cards.rulebook import order_rule
from cards.situation.answers import all_of, any_of
from cards.situation.bispecific import is_bispecific
from cards.situation.in_use import in_use
from cards.situation.results import was_within
from cards.situation.step_up import StepUpOrders, is_stepped_up
from fhir_mapping.model.dates import Answer, ClinicalDate
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.orders import OrderKind, ProposedOrder
from fhir_mapping.model.patient import Problem
from fhir_mapping.model.results import Finding, LabResult, LabTest
from fhir_mapping.model.treatment import SourceRef, SupportiveCare
from fhir_mapping.model.vocabulary import Certainty, Topic

_LYMPHODEPLETION, _TEMPERATURE = OrderKind.LYMPHODEPLETION, LabTest.BODY_TEMPERATURE
_YES, _NO, _UNKNOWN = Answer.YES, Answer.NO, Answer.UNKNOWN


class Infection(StepUpOrders):
    """Numbers of R24; `infections` and `tests` name what counts, `places` where it stands, as cards say it."""

    ahead_days: int
    entry_days: int
    active_days: int
    test_days: int
    fever_days: int
    fever_celsius: float
    dose_days: int
    infections: Mapping[str, str]
    tests: Mapping[str, str]
    places: Mapping[str, str]
    treatments: frozenset[str]


@dataclass(frozen=True, slots=True)
class ActiveInfection:
    """What R24 found: the first sign of an infection, all of them, and what is ordered."""

    sign: str
    signs: str
    drug: str


class _Sign(NamedTuple):
    """One thing that speaks for an active infection, and whether it does so today."""

    answer: Answer
    says: str
    place: str
    sources: tuple[SourceRef, ...]


@order_rule(
    "R24",
    reads={Topic.INFECTIONS, Topic.PROPHYLAXIS, Topic.TREATMENT},
    heeds={Topic.VITAL_SIGNS},
    settings=Infection,
    facts=ActiveInfection,
    variants={"infusion", "lymphodepletion", "step_up"},
    missing={"planned", "step_up", "infection"},
    new_starts_only=False,
)
def active_infection(history: TreatmentHistory, order: ProposedOrder, settings: Infection) -> Conclusion:
    """CAR T cells, lymphodepletion or step-up dosing are signed, and something speaks for an active infection."""
    variant = _variant(order)
    if not variant:
        return not_applicable()
    answer = _is_due(order, history, settings.ahead_days)
    if answer is _NO:
        return not_applicable()
    if answer is _UNKNOWN:
        return cannot_tell(Missing("planned"))
    signs = list(_signs(history, settings))
    found = [sign for sign in signs if sign.answer is _YES]
    if not found:
        doubtful = next((sign for sign in signs if sign.answer is _UNKNOWN), None)
        if doubtful is not None:
            return cannot_tell(Missing("infection"), evidence=doubtful.sources)
        return satisfied(absent={Topic.INFECTIONS, Topic.PROPHYLAXIS, Topic.DIAGNOSIS})
    if variant == "step_up" and order.drug is not None:
        stepped_up = is_stepped_up(order, order.drug, history, settings)
        if stepped_up is not _YES:
            return not_applicable() if stepped_up is _NO else cannot_tell(Missing("step_up"))
    return Conclusion(
        Outcome.FLAGGED,
        variant=variant,
        facts=ActiveInfection(
            sign=found[0].says,
            signs="; ".join(dict.fromkeys(f"{sign.says}, {settings.places[sign.place]}" for sign in found)),
            drug=order.therapy,
        ),
        evidence=tuple(source for sign in found for source in sign.sources),
        # That no full dose came before is what makes it a step-up
        absent=frozenset({Topic.TREATMENT}) if variant == "step_up" else frozenset(),
    )


def _variant(order: ProposedOrder) -> str:
    if order.is_car_t_infusion:
        return "infusion"
    if order.kind is _LYMPHODEPLETION:
        return "lymphodepletion"
    return "step_up" if is_bispecific(order) else ""


def _is_due(order: ProposedOrder, history: TreatmentHistory, ahead_days: int) -> Answer:
    """Whether an order is for a day so close that an infection of today matters; without a day it is for now."""
    if order.planned is None:
        return _YES
    return history.today.days_until(order.planned).at_most(ahead_days)


def _signs(history: TreatmentHistory, settings: Infection) -> Iterator[_Sign]:
    for problem in history.problems:
        if problem.concept in settings.infections:
            yield _of_problem(problem, history.today, settings)
    for result in history.serology:
        if result.test in settings.tests and result.finding is not Finding.NEGATIVE:
            positive = _YES if result.finding is Finding.POSITIVE else _UNKNOWN
            answer = all_of(positive, was_within(result, history.today, settings.test_days))
            yield _Sign(answer, f"{settings.tests[result.test]} ({result.on or 'undated'})", "test", (result.source,))
    yield from _fever_under_treatment(history, settings)


def _of_problem(problem: Problem, today: ClinicalDate, settings: Infection) -> _Sign:
    """Judge one infection of the problem list by its younger date.

    The diagnosis of an encounter may say nothing of its end: while it is young, it counts as one that goes on. One that
    is called active counts for longer; after that, somebody may have forgotten it, or it never ended.
    """
    days = settings.entry_days if problem.is_silent else settings.active_days
    dated = [(day.days_until(today).at_most(days), day) for day in (problem.recorded, problem.onset) if day]
    recent = any_of(*(answer for answer, _ in dated)) if dated else _UNKNOWN
    on = max((day for answer, day in dated if answer is recent), key=lambda day: day.latest, default=None)
    if recent is _NO and not problem.is_silent:
        recent = _UNKNOWN
    sure = _YES if problem.certainty is Certainty.STATED else _UNKNOWN
    answer = all_of(_YES if problem.is_silent else problem.active, sure, recent)
    return _Sign(answer, f"{settings.infections[problem.concept]} ({on or 'undated'})", "problem", (problem.source,))


def _fever_under_treatment(history: TreatmentHistory, settings: Infection) -> Iterator[_Sign]:
    """Pair a fever with a drug that is given by vein to treat an infection; neither alone says enough."""
    fevers = [(lab, _is_fever(lab, history.today, settings)) for lab in history.labs if lab.test is _TEMPERATURE]
    fevers = [(lab, answer) for lab, answer in fevers if answer is not _NO]
    treated = [(care, _is_treating(care, history, settings)) for care in history.supportive_care if fevers]
    treated = [(care, answer) for care, answer in treated if answer is not _NO]
    if not treated:
        return
    lab, hot = min(fevers, key=lambda fever: (fever[1] is not _YES, -_last_day(fever[0])))
    care, treats = min(treated, key=lambda each: each[1] is not _YES)
    says = f"{lab} °C ({lab.on or 'undated'}) under {care.drug.name}"
    yield _Sign(all_of(hot, treats), says, "fever", (lab.source, care.source))


def _last_day(lab: LabResult) -> int:
    return lab.on.latest.toordinal() if lab.on is not None else 0


def _is_fever(lab: LabResult, today: ClinicalDate, settings: Infection) -> Answer:
    return all_of(lab.at_least(settings.fever_celsius), was_within(lab, today, settings.fever_days))


def _is_treating(care: SupportiveCare, history: TreatmentHistory, settings: Infection) -> Answer:
    """Whether a drug against an infection is being given: by its order or statement, or by a dose of these days."""
    if care.drug.id not in settings.treatments or not care.systemic:
        return _NO
    return in_use(care, history, settings.dose_days)

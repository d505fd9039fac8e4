"""Immunoglobulin: IgG levels on and after T-cell-engaging treatment, and replacement where they are low."""

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from cards.finding import Conclusion, Hook, Missing, Outcome, Proposal, cannot_tell, not_applicable, satisfied, worst
from cards.rulebook import Settings, patient_rule
from cards.situation import bispecific
from cards.situation.answers import all_of, any_of, opposite
from cards.situation.engagers import Engaged, engaged
from cards.situation.igg_level import IggLevel, level_of
from cards.situation.immunoglobulin import ever_given, replaced_today, sample_after_it
from cards.situation.results import filters_enough, recent_weight, was_within
from cards.situation.since_car_t import latest_infusion
from fhir_mapping.model.care import PlannedCare, PlanState
from fhir_mapping.model.dates import Answer, ClinicalDate, Days
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.patient import THROMBOSIS
from fhir_mapping.model.results import LabResult, LabTest
from fhir_mapping.model.treatment import SourceRef
from fhir_mapping.model.vocabulary import Topic

# Looking a member up in its Enum costs as much as a call in Python 3.11, and these are asked at every request
_PATIENT_VIEW, _ORDER_SELECT = Hook.PATIENT_VIEW, Hook.ORDER_SELECT
_YES, _NO, _UNKNOWN = Answer.YES, Answer.NO, Answer.UNKNOWN
_IGG = LabTest.IGG
_NOT_ENGAGED = not_applicable(absent={Topic.TREATMENT, Topic.CELL_THERAPY})


class Monitoring(Settings):
    """Numbers of R20, and the pair of R10, which brings it up when an order is selected."""

    igg_check_days: int
    after_last_dose_days: int
    replaced_days: int
    first_day_after_cells: int
    first_level_day_after_cells: int
    late_check_days: int
    last_day_after_cells: int
    pair: tuple[str, str]
    pair_days: int


@dataclass(frozen=True, slots=True)
class Unchecked:
    """What R20 found: the therapy, the latest level if any, and the day after CAR T cells where it counts."""

    therapy: str
    latest: str
    days: Days | None = None


class _Asked(NamedTuple):
    """A reason to look for a level: whether it holds, and which level answers it: none older, and none before a day."""

    answer: Answer
    variant: str
    therapy: str
    lookback_days: int
    sources: tuple[SourceRef, ...] = ()
    missing: str = "therapy"
    since: ClinicalDate | None = None
    days: Days | None = None


@patient_rule(
    "R20",
    reads={Topic.TREATMENT, Topic.CELL_THERAPY, Topic.PROPHYLAXIS, Topic.IMMUNITY},
    heeds={Topic.PLANS},
    settings=Monitoring,
    facts=Unchecked,
    variants={"on", "after_cells", "replaced"},
    missing={"therapy", "igg_date", "replacement"},
)
def igg_level_is_due(history: TreatmentHistory, hook: Hook, settings: Monitoring) -> Conclusion:
    """No recent IgG level on a bispecific antibody, in the year after CAR T cells, or on immunoglobulin."""
    if hook is not _PATIENT_VIEW:
        drugs = bispecific.ordered(history)
        if not drugs or (hook is _ORDER_SELECT and not _combines_the_pair(history, settings)):
            return not_applicable()
        return _answer(_Asked(_YES, "on", bispecific.names_of(drugs), settings.igg_check_days), history, settings)
    if not history.infusions and not bispecific.courses_of(history):
        return _NOT_ENGAGED
    asked = (
        _on_bispecific(history, settings),
        _on_replacement(history, settings),
        _after_cells(history, settings),
    )
    return worst([_answer(each, history, settings) for each in asked])


def _combines_the_pair(history: TreatmentHistory, settings: Monitoring) -> bool:
    """Whether one of the pair is ordered beside the other, or soon after a dose of it."""
    pair = set(settings.pair)
    drafted = pair.intersection(order.drug.id for order in history.orders if order.drug is not None)
    courses = [course for course in bispecific.courses_of(history) if course.drug.id in pair]
    given = {drug.id for drug in bispecific.running(courses, history, settings.pair_days).drugs}
    return bool(drafted) and drafted | given == pair


def _on_bispecific(history: TreatmentHistory, settings: Monitoring) -> _Asked:
    running = bispecific.running(bispecific.courses_of(history), history, settings.after_last_dose_days)
    names = bispecific.names_of(running.drugs)
    return _Asked(running.answer, "on", names, settings.igg_check_days, running.sources)


def _on_replacement(history: TreatmentHistory, settings: Monitoring) -> _Asked:
    replaced = replaced_today(history, settings.replaced_days)
    given = [course.drug.name for course in bispecific.courses_of(history) if course.is_proven_or_reported]
    given += [i.name for i in history.infusions if i.is_stated]
    answer = replaced.answer if given else _NO
    names = ", ".join(dict.fromkeys(given))
    return _Asked(answer, "replaced", names, settings.igg_check_days, replaced.sources, "replacement")


def _after_cells(history: TreatmentHistory, settings: Monitoring) -> _Asked:
    cells = latest_infusion(history)
    days = cells.days_until(history.today)
    answer = cells.is_at_most(settings.last_day_after_cells, history.today)
    if answer is _YES and days is not None:
        answer = opposite(days.less_than(settings.first_day_after_cells))
    return _Asked(
        answer,
        "after_cells",
        cells.product,
        settings.late_check_days,
        cells.sources,
        since=cells.infused.plus(settings.first_level_day_after_cells) if cells.infused is not None else None,
        days=days,
    )


def _answer(asked: _Asked, history: TreatmentHistory, settings: Monitoring) -> Conclusion:
    """Look for a level, or a request of one."""
    if asked.answer is _NO:
        return _NOT_ENGAGED
    levels = [lab for lab in history.labs if lab.test is _IGG]
    answers = {_answers(lab, asked, history): lab for lab in levels}
    if _YES in answers:
        return satisfied(evidence=(answers[_YES].source,))
    requested = _is_requested(history, settings.igg_check_days)
    if requested is _YES:
        return satisfied()
    if asked.answer is _UNKNOWN:
        return cannot_tell(Missing(asked.missing), evidence=asked.sources)
    if _UNKNOWN in answers or requested is _UNKNOWN:
        return cannot_tell(Missing("igg_date"), evidence=asked.sources)
    latest = history.latest_lab(_IGG)
    return Conclusion(
        Outcome.FLAGGED,
        variant=asked.variant,
        facts=Unchecked(asked.therapy, str(latest.on) if latest is not None else "none was found", asked.days),
        evidence=(*asked.sources, *((latest.source,) if latest is not None else ())),
        absent=frozenset({Topic.IMMUNITY}),
        proposals=(Proposal("igg-level"),),
    )


def _answers(level: LabResult, asked: _Asked, history: TreatmentHistory) -> Answer:
    """Whether a level was taken lately, and not before the day that counts; its value does not matter."""
    is_recent = was_within(level, history.today, asked.lookback_days)
    if level.on is None or asked.since is None:
        return is_recent
    return all_of(is_recent, opposite(level.on.is_before(asked.since)))


def _is_requested(history: TreatmentHistory, days: int) -> Answer:
    """Whether a level is being ordered, or is to be taken at most so many days from today or asked for lately."""
    if any(_IGG.value in order.asks_for for order in history.orders):
        return _YES
    return any_of(*[_is_near(plan, history.today, days) for plan in history.plans if _IGG.value in plan.tests])


def _is_near(plan: PlannedCare, today: ClinicalDate, days: int) -> Answer:
    """Whether a request of a level is still open, and neither old nor far ahead."""
    day = plan.planned or plan.requested
    if plan.state is PlanState.DONE:
        return _NO
    if day is None:
        return _UNKNOWN
    is_sure = _YES if plan.state is PlanState.OPEN else _UNKNOWN
    return all_of(day.days_until(today).at_most(days), today.days_until(day).at_most(days), is_sure)


class Replacing(Settings):
    """Numbers of R21."""

    igg_minimum_mg_dl: int
    igg_plausible_mg_dl: int
    igg_counts_days: int
    replaced_days: int
    m_protein_apart_days: int
    after_last_dose_days: int
    after_cells_days: int
    recheck_days: int
    weight_lookback_days: int
    egfr_lookback_days: int
    egfr_minimum_for_dose: int


@dataclass(frozen=True, slots=True)
class LowIgg:
    """What R21 found: the therapy, the level, and what an M-protein leaves of it where that matters."""

    therapy: str
    igg: str
    igg_date: ClinicalDate
    m_protein: str = ""
    m_protein_date: ClinicalDate | None = None
    remaining: str = ""


@patient_rule(
    "R21",
    reads={Topic.TREATMENT, Topic.CELL_THERAPY, Topic.PROPHYLAXIS, Topic.IMMUNITY},
    heeds={Topic.LABS, Topic.VITAL_SIGNS, Topic.ALLERGIES},
    settings=Replacing,
    facts=LowIgg,
    variants={"low", "low_gprc5d", "behind_m_protein"},
    missing={"therapy", "igg_value", "igg_date", "igg_high", "m_protein", "replacement"},
    notes={"titers_first", "not_looked_for", "no_dose"},
)
def igg_is_low(history: TreatmentHistory, hook: Hook, settings: Replacing) -> Conclusion:
    """IgG is low on or after T-cell-engaging treatment, and no immunoglobulin is being given."""
    found = engaged(history, hook, settings.after_last_dose_days, settings.after_cells_days)
    if found.answer is _NO:
        return _NOT_ENGAGED if hook is _PATIENT_VIEW else not_applicable()
    igg = history.latest_lab(_IGG)
    if igg is None:
        return not_applicable(absent={Topic.IMMUNITY})
    is_recent = was_within(igg, history.today, settings.igg_counts_days)
    if is_recent is _NO:
        return not_applicable(absent={Topic.IMMUNITY})
    replaced = replaced_today(history, settings.replaced_days)
    if replaced.answer is _YES:
        return satisfied(evidence=replaced.sources)
    level = _level(igg, history, settings)
    if level.is_low is _NO:
        return satisfied(absent={Topic.IMMUNITY}, evidence=(igg.source,))
    missing = _first_missing(found, level, is_recent, replaced.answer)
    if missing:
        return cannot_tell(Missing(missing), evidence=(igg.source,))
    return _low(found, igg, level, history, settings)


def _level(igg: LabResult, history: TreatmentHistory, settings: Replacing) -> IggLevel:
    """Judge the level, which immunoglobulin before the sample may have raised above any range."""
    is_raised = igg.on is not None and sample_after_it(history, igg.on, settings.replaced_days) is _YES
    plausible = math.inf if is_raised else settings.igg_plausible_mg_dl
    return level_of(igg, history, settings.igg_minimum_mg_dl, settings.m_protein_apart_days, plausible)


def _first_missing(found: Engaged, level: IggLevel, is_recent: Answer, replaced: Answer) -> str:
    """Name what keeps the question open, "" for nothing."""
    if found.answer is _UNKNOWN:
        return "therapy"
    if is_recent is _UNKNOWN:
        return "igg_date"
    if level.is_low is _UNKNOWN:
        return level.missing
    return "replacement" if replaced is _UNKNOWN else ""


def _low(found: Engaged, igg: LabResult, level: IggLevel, history: TreatmentHistory, settings: Replacing) -> Conclusion:
    assert igg.on is not None  # noqa: S101 - a level without a date is not known to be recent
    recheck = history.as_of + timedelta(settings.recheck_days)
    facts = LowIgg(found.name, str(igg), igg.on)
    variant = "low_gprc5d" if found.is_gprc5d_alone else "low"
    proposals = [Proposal("igg-recheck", start=recheck, end=recheck)]
    notes = [] if ever_given(history).answer is not _NO else ["titers_first"]
    sources = (igg.source, *found.sources)
    # Nobody knows whether an M-protein is IgG: no drug is drafted
    if level.m_protein is not None and level.remaining is not None:
        variant, remaining = "behind_m_protein", str(level.remaining)
        facts = LowIgg(found.name, str(igg), igg.on, str(level.m_protein), level.m_protein.on, remaining)
        sources = (igg.source, level.m_protein.source, *found.sources)
    else:
        may_have_dose = _dose_may_be_named(history, settings)
        proposals.insert(0, Proposal("immunoglobulin", with_dose=may_have_dose, start=history.as_of))
        notes += ["not_looked_for"] if may_have_dose else ["no_dose", "not_looked_for"]
    return Conclusion(
        Outcome.FLAGGED,
        variant=variant,
        facts=facts,
        evidence=sources,
        absent=frozenset({Topic.PROPHYLAXIS}),
        notes=tuple(notes),
        proposals=tuple(proposals),
    )


def _dose_may_be_named(history: TreatmentHistory, settings: Replacing) -> bool:
    """Whether weight and good renal function were read lately, and allergies and problems completely, without clots."""
    return (
        recent_weight(history, settings.weight_lookback_days) is not None
        and filters_enough(history, settings.egfr_minimum_for_dose, settings.egfr_lookback_days) is _YES
        and history.coverage.is_complete(Topic.ALLERGIES)
        and not any(problem.concept == THROMBOSIS for problem in history.problems)
    )

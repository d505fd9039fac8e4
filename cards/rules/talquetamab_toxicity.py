"""Talquetamab: loss of weight on treatment, which its effects on mouth and taste bring about."""

from dataclasses import dataclass

from cards.finding import Conclusion, Missing, Outcome, cannot_tell, not_applicable, satisfied
from cards.rulebook import Settings, order_rule
from cards.situation.planned_day import planned_day
from fhir_mapping.model.dates import Answer, ClinicalDate, Days
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.orders import ProposedOrder
from fhir_mapping.model.results import LabResult, LabTest
from fhir_mapping.model.treatment import Course
from fhir_mapping.model.vocabulary import Topic

_ALL = 100  # per cent


class Weights(Settings):
    """Numbers of R44: `drugs` by id; the first cycle is not judged, and old weights do not count."""

    drugs: tuple[str, ...]
    first_cycle_days: int
    weight_counts_days: int
    loss_percent: int


@dataclass(frozen=True, slots=True)
class WeightLost:
    """What R44 found: both weights with their days, and the share that was lost."""

    drug: str
    percent: str
    baseline: str
    baseline_on: ClinicalDate
    weight: str
    weight_on: ClinicalDate
    days: Days


@order_rule(
    "R44",
    reads={Topic.TREATMENT, Topic.VITAL_SIGNS},
    settings=Weights,
    facts=WeightLost,
    variants={"lost"},
    missing={"first_dose", "weights"},
    new_starts_only=False,
)
def weight_on_talquetamab(history: TreatmentHistory, order: ProposedOrder, settings: Weights) -> Conclusion:
    """A later cycle is ordered, and the patient weighs less than before the first dose."""
    drug = order.drug
    if drug is None or drug.id not in settings.drugs:
        return not_applicable()
    given = [course for course in history.courses if course.drug == drug and course.is_proven_or_reported]
    if not given:
        return not_applicable(absent={Topic.TREATMENT})
    course = given[-1]
    if course.first_dose is None:
        return cannot_tell(Missing("first_dose"), evidence=course.sources[:1])
    match course.first_dose.days_until(planned_day(order, history)).less_than(settings.first_cycle_days):
        case Answer.YES:
            return not_applicable()
        case Answer.UNKNOWN:
            return cannot_tell(Missing("first_dose"), evidence=course.sources[:1])
        case Answer.NO:
            return _weighed(history, course, course.first_dose, settings)


def _weighed(history: TreatmentHistory, course: Course, first_dose: ClinicalDate, settings: Weights) -> Conclusion:
    """Compare the latest weight with that before the first dose, or the first on treatment where there is none."""
    now = history.latest_lab(LabTest.BODY_WEIGHT)
    baseline = _baseline(history, first_dose, settings)
    unclear = cannot_tell(Missing("weights"), evidence=course.sources[:1])
    if now is None or now.on is None or baseline is None or baseline.on is None:
        return unclear
    is_recent = now.on.days_until(history.today).at_most(settings.weight_counts_days)
    is_usable = now.is_readable and baseline.is_readable and now.on.is_after(baseline.on) is Answer.YES
    if is_recent is not Answer.YES or not is_usable:
        return unclear
    left = _ALL - settings.loss_percent
    if now.low * _ALL > baseline.high * left:
        return satisfied(evidence=(now.source, baseline.source))
    if now.high * _ALL > baseline.low * left:
        return unclear
    facts = WeightLost(
        drug=course.drug.name,
        percent=f"{_ALL * (1 - now.high / baseline.low):.1f}",
        baseline=str(baseline),
        baseline_on=baseline.on,
        weight=str(now),
        weight_on=now.on,
        days=baseline.on.days_until(now.on),
    )
    return Conclusion(Outcome.FLAGGED, variant="lost", facts=facts, evidence=(now.source, baseline.source))


def _baseline(history: TreatmentHistory, first_dose: ClinicalDate, settings: Weights) -> LabResult | None:
    """Give the latest weight not long before the first dose or on its day, else the first one after it.

    Of several on one day it is the lowest, so that no loss is made out of clothes.
    """
    dated = [lab for lab in history.labs if lab.test is LabTest.BODY_WEIGHT and lab.on is not None and lab.on.is_exact]
    before = [lab for lab in dated if lab.on and _is_baseline(lab.on, first_dose, settings)]
    if before:
        last = max(lab.on.latest for lab in before if lab.on)
        return min((lab for lab in before if lab.on and lab.on.latest == last), key=lambda lab: lab.low)
    after = [lab for lab in dated if lab.on and lab.on.is_after(first_dose) is Answer.YES]
    return min(after, key=lambda lab: (lab.on.earliest if lab.on else history.as_of, lab.low), default=None)


def _is_baseline(weighed: ClinicalDate, first_dose: ClinicalDate, settings: Weights) -> bool:
    is_before = weighed.is_after(first_dose) is Answer.NO
    return is_before and weighed.days_until(first_dose).at_most(settings.weight_counts_days) is Answer.YES

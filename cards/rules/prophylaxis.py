"""Prophylaxis: protection against infection in the year after CAR T-cell therapy."""

from dataclasses import dataclass, replace
from datetime import date, timedelta

from cards.finding import (
    Conclusion,
    Hook,
    Missing,
    Outcome,
    cannot_tell,
    not_applicable,
    satisfied,
)
from cards.rulebook import patient_rule
from cards.situation import agents
from cards.situation.agents import AntiviralNumbers, Choice, PneumocystisNumbers
from cards.situation.answers import OnRecord
from cards.situation.bispecific import is_bispecific
from cards.situation.cover import CoverNumbers, protection, unprotected
from cards.situation.results import low_cd4
from cards.situation.since_car_t import MISSING, LatestInfusion, latest_infusion
from fhir_mapping.model.dates import Answer, ClinicalDate, Days
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.orders import OrderKind
from fhir_mapping.model.treatment import UNNAMED_CELLS
from fhir_mapping.model.vocabulary import Cover, Topic


class AfterCarT(CoverNumbers):
    """Numbers that R15 and R16 share; `start_day` counts from the infusion (day 0)."""

    prophylaxis_days: int
    start_day: int


class AntiviralAfterCarT(AfterCarT, AntiviralNumbers):
    """Numbers of R15."""


class PneumocystisAfterCarT(AfterCarT, PneumocystisNumbers):
    """Numbers of R16."""


@dataclass(frozen=True, slots=True)
class DaysAfterCarT:
    """What R15 and R16 found: the infusion, the day since, and the CD4 count where it matters."""

    product: str
    infused: ClinicalDate | None = None
    days: Days | None = None
    cd4: str = ""
    cd4_date: ClinicalDate | None = None


_READS = {Topic.CELL_THERAPY, Topic.PROPHYLAXIS, Topic.ALLERGIES, Topic.LABS}
_VARIANTS = {"missing", "low_cd4", "reminder"}
_MISSING = MISSING | {"cover", "cd4"}
# Looking a member up in its Enum costs as much as a call in Python 3.11, and these are asked at every request
_ORDER_SIGN, _LYMPHODEPLETION = Hook.ORDER_SIGN, OrderKind.LYMPHODEPLETION
_NO_CELLS = not_applicable(absent={Topic.CELL_THERAPY})


@patient_rule(
    "R15",
    reads=_READS,
    settings=AntiviralAfterCarT,
    facts=DaysAfterCarT,
    variants=_VARIANTS,
    missing=_MISSING,
    notes=agents.ANTIVIRAL_NOTES,
)
def antiviral_after_car_t(history: TreatmentHistory, hook: Hook, settings: AntiviralAfterCarT) -> Conclusion:
    """No antiviral against herpes simplex and varicella zoster in the year after CAR T cells."""
    answer = _after_car_t(history, hook, settings, Cover.HSV_VZV)
    if answer.outcome is not Outcome.FLAGGED:
        return answer
    return _with_draft(answer, agents.choose_antiviral(history, settings), settings, history.as_of)


@patient_rule(
    "R16",
    reads=_READS,
    settings=PneumocystisAfterCarT,
    facts=DaysAfterCarT,
    variants=_VARIANTS | {"not_yet_due"},
    missing=_MISSING,
    notes=agents.PNEUMOCYSTIS_NOTES,
)
def pneumocystis_after_car_t(history: TreatmentHistory, hook: Hook, settings: PneumocystisAfterCarT) -> Conclusion:
    """No protection against Pneumocystis pneumonia in the year after CAR T cells."""
    answer = _after_car_t(history, hook, settings, Cover.PJP)
    if answer.outcome is not Outcome.FLAGGED:
        return answer
    return _with_draft(answer, agents.choose_pneumocystis_drug(history, settings), settings, history.as_of)


def _after_car_t(history: TreatmentHistory, hook: Hook, settings: AfterCarT, need: Cover) -> Conclusion:
    about_to_start = hook is _ORDER_SIGN and any(
        order.is_car_t_infusion or order.kind is _LYMPHODEPLETION for order in history.judged_orders
    )
    if not history.infusions and not about_to_start:
        return _NO_CELLS
    cover = protection(history, settings, need)
    answer = _by_day(history, hook, settings, cover)
    if not about_to_start or answer.outcome in {Outcome.FLAGGED, Outcome.CANNOT_TELL}:
        return answer
    return _reminder(history, cover)


def _by_day(history: TreatmentHistory, hook: Hook, settings: AfterCarT, cover: OnRecord) -> Conclusion:
    """Judge by the days since the latest infusion."""
    if not history.infusions:
        return _NO_CELLS
    if cover.answer is Answer.YES:
        return satisfied(evidence=cover.sources)
    cells = latest_infusion(history)
    match cells.is_at_most(settings.prophylaxis_days, history.today):
        case Answer.NO:
            return _after_the_year(history, hook, settings, cells, cover)
        case Answer.YES:
            return _within_the_year(history, hook, settings, cells, cover)
        case _:
            return cannot_tell(Missing(cells.missing), evidence=cells.doubts)


def _within_the_year(
    history: TreatmentHistory, hook: Hook, settings: AfterCarT, cells: LatestInfusion, cover: OnRecord
) -> Conclusion:
    days = cells.days_until(history.today)
    assert days is not None  # noqa: S101 - the infusion has a date, or the year could not have been judged
    sources = cells.sources
    before_start = days.less_than(settings.start_day)
    # Before the start, only the signing of an order is worth a word; a bispecific antibody makes it due, for R17 to say
    if hook is not Hook.ORDER_SIGN or any(map(is_bispecific, history.judged_orders)):
        if before_start is Answer.YES:
            return satisfied(evidence=sources)
        if before_start is Answer.UNKNOWN:
            return cannot_tell(Missing("infusion_date"), evidence=sources)
    if cover.answer is Answer.UNKNOWN:
        return cannot_tell(Missing("cover"), evidence=cover.sources)
    facts = DaysAfterCarT(cells.product, cells.infused, days)
    return unprotected("missing" if before_start is Answer.NO else "not_yet_due", facts, sources)


def _after_the_year(
    history: TreatmentHistory, hook: Hook, settings: AfterCarT, cells: LatestInfusion, cover: OnRecord
) -> Conclusion:
    """Past the year, a recent low CD4 count alone keeps the question open; nobody is told to stop."""
    sources = cells.sources
    if hook is not Hook.PATIENT_VIEW:
        return satisfied(evidence=sources)
    is_low, count = low_cd4(history, settings.cd4_stop_per_ul, settings.cd4_lookback_days)
    if is_low is Answer.NO or count is None or count.on is None:
        return satisfied(evidence=sources)
    if is_low is Answer.UNKNOWN:
        return cannot_tell(Missing("cd4"), evidence=(count.source,))
    if cover.answer is Answer.UNKNOWN:
        return cannot_tell(Missing("cover"), evidence=cover.sources)
    facts = DaysAfterCarT(cells.product, cells.infused, cells.days_until(history.today))
    low = replace(facts, cd4=str(count), cd4_date=count.on)
    return unprotected("low_cd4", low, (*sources, count.source))


def _reminder(history: TreatmentHistory, cover: OnRecord) -> Conclusion:
    """CAR T cells or their lymphodepletion are being signed: the prophylaxis of the year after can be ordered now."""
    match cover.answer:
        case Answer.YES:
            return satisfied(evidence=cover.sources)
        case Answer.UNKNOWN:
            return cannot_tell(Missing("cover"), evidence=cover.sources)
        case Answer.NO:
            product = next((o.therapy for o in history.judged_orders if o.is_car_t_infusion and o.drug), UNNAMED_CELLS)
            return unprotected("reminder", DaysAfterCarT(product), ())


def _with_draft(answer: Conclusion, choice: Choice, settings: AfterCarT, as_of: date) -> Conclusion:
    """Offer the drug that was chosen, within the year from its start on."""
    facts = answer.facts
    infused = facts.infused if isinstance(facts, DaysAfterCarT) else None
    if answer.variant not in {"missing", "not_yet_due"} or infused is None:
        return agents.with_choices(answer, [choice], None, None)
    start = max(infused.latest + timedelta(settings.start_day), as_of)
    return agents.with_choices(answer, [choice], start, infused.latest + timedelta(settings.prophylaxis_days))

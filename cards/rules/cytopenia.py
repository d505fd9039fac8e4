"""Cytopenia after CAR T cells: growth factors in severe neutropenia, and counts that stay low."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from cards.finding import Conclusion, Hook, Missing, Outcome, Proposal, cannot_tell, not_applicable, satisfied
from cards.rulebook import Settings, patient_rule
from cards.situation.answers import all_of, on_record, opposite
from cards.situation.in_use import in_use
from cards.situation.results import was_within
from cards.situation.since_car_t import MISSING, LatestInfusion, latest_infusion
from fhir_mapping.model.dates import Answer, ClinicalDate, Days
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.results import LabResult, LabTest
from fhir_mapping.model.treatment import SourceRef
from fhir_mapping.model.vocabulary import DrugClass, Topic

_YES, _NO, _UNKNOWN = Answer.YES, Answer.NO, Answer.UNKNOWN
_GM_CSF = DrugClass.GM_CSF
_GROWTH_FACTORS = frozenset({DrugClass.G_CSF, DrugClass.GM_CSF})
_CRS = "crs"


class Neutropenia(Settings):
    """Numbers of R26; ANC in 10*9/L."""

    last_day: int
    anc_below: float
    anc_days: int
    dose_days: int
    dose_covers_days: Mapping[str, int]
    crs_days: int
    gm_csf_days: int


@dataclass(frozen=True, slots=True)
class LowNeutrophils:
    """What R26 found: the infusion, the day since, and the count where it matters."""

    product: str
    infused: ClinicalDate
    days: Days
    anc: str = ""
    anc_date: ClinicalDate | None = None
    crs: str = ""


@patient_rule(
    "R26",
    reads={Topic.CELL_THERAPY, Topic.LABS, Topic.PROPHYLAXIS},
    settings=Neutropenia,
    facts=LowNeutrophils,
    variants={"no_g_csf", "gm_csf"},
    missing=MISSING | {"anc", "growth_factor"},
    notes={"crs"},
)
def neutropenia_after_car_t(history: TreatmentHistory, hook: Hook, settings: Neutropenia) -> Conclusion:
    """Severe neutropenia soon after CAR T cells without G-CSF; or GM-CSF while cytokine release may come."""
    ordered = [o for o in history.judged_orders if o.drug is not None and o.drug.drug_class in _GROWTH_FACTORS]
    if hook is not Hook.PATIENT_VIEW and not ordered:
        return not_applicable()
    if not history.infusions:
        return not_applicable(absent={Topic.CELL_THERAPY})
    last = latest_infusion(history)
    if any(order.drug is not None and order.drug.drug_class is _GM_CSF for order in ordered):
        return _of_gm_csf(last, history, settings)
    answer = last.is_at_most(settings.last_day, history.today)
    if answer is _NO:
        return not_applicable()
    if answer is _UNKNOWN:
        return _no_date(last)
    return _of_neutrophils(last, history, settings)


def _no_date(last: LatestInfusion) -> Conclusion:
    return cannot_tell(Missing(last.missing), evidence=last.doubts)


def _of_gm_csf(last: LatestInfusion, history: TreatmentHistory, settings: Neutropenia) -> Conclusion:
    answer = last.is_at_most(settings.gm_csf_days, history.today)
    if answer is _NO:
        return satisfied(evidence=last.sources)
    if answer is _UNKNOWN:
        return _no_date(last)
    return _flagged("gm_csf", last, last.sources, history, settings)


def _of_neutrophils(last: LatestInfusion, history: TreatmentHistory, settings: Neutropenia) -> Conclusion:
    anc = history.latest_lab(LabTest.ANC)
    if anc is None:
        return not_applicable(absent={Topic.LABS})
    answer = all_of(was_within(anc, history.today, settings.anc_days), _is_below(anc, settings.anc_below))
    if answer is _NO:
        return satisfied(evidence=(anc.source,))
    if answer is _UNKNOWN:
        return cannot_tell(Missing("anc"), evidence=(anc.source,))
    if any(order.drug is not None and order.drug.drug_class in _GROWTH_FACTORS for order in history.orders):
        return satisfied()
    given = [care for care in history.supportive_care if care.drug.drug_class in _GROWTH_FACTORS]
    dose_days, covers_days = settings.dose_days, settings.dose_covers_days
    answer, sources = on_record([(in_use(care, history, dose_days, covers_days), care.source) for care in given])
    if answer is _YES:
        return satisfied(evidence=sources)
    if answer is _UNKNOWN:
        return cannot_tell(Missing("growth_factor"), evidence=sources)
    found = _flagged("no_g_csf", last, (*last.sources, anc.source), history, settings, anc)
    return found._replace(proposals=(Proposal("g-csf"),), absent=frozenset({Topic.PROPHYLAXIS}))


def _flagged(
    variant: str,
    last: LatestInfusion,
    sources: tuple[SourceRef, ...],
    history: TreatmentHistory,
    settings: Neutropenia,
    anc: LabResult | None = None,
) -> Conclusion:
    """Flag a finding, with a word of caution where cytokine release is on the problem list and recent."""
    assert last.infused is not None  # noqa: S101 - what lies so many days back has a date
    crs = [
        problem
        for problem in history.problems
        if problem.concept == _CRS
        and problem.active is not _NO
        and any(
            day.days_until(history.today).at_most(settings.crs_days) is not _NO
            for day in (problem.recorded, problem.onset)
            if day is not None
        )
    ]
    facts = LowNeutrophils(
        product=last.product,
        infused=last.infused,
        days=last.infused.days_until(history.today),
        anc=str(anc) if anc is not None else "",
        anc_date=anc.on if anc is not None else None,
        crs=str(crs[0].recorded or crs[0].onset) if crs else "",
    )
    return Conclusion(
        Outcome.FLAGGED,
        variant=variant,
        facts=facts,
        evidence=(*sources, *(problem.source for problem in crs)),
        notes=("crs",) if crs else (),
    )


def _is_below(lab: LabResult, limit: float) -> Answer:
    return opposite(lab.at_least(limit))


class Prolonged(Settings):
    """Numbers of R43; counts in 10*9/L."""

    first_day: int
    last_day: int
    anc_below: float
    platelets_below: int
    recent_days: int
    apart_days: int


@dataclass(frozen=True, slots=True)
class StaysLow:
    """What R43 found: the infusion, the day since, and what has stayed low."""

    product: str
    infused: ClinicalDate
    days: Days
    counts: str


@patient_rule(
    "R43",
    reads={Topic.CELL_THERAPY, Topic.BLOOD_COUNTS},
    settings=Prolonged,
    facts=StaysLow,
    variants={"stays_low"},
    missing=MISSING | {"counts"},
)
def prolonged_cytopenia(history: TreatmentHistory, hook: Hook, settings: Prolonged) -> Conclusion:
    """Neutrophils or platelets have stayed low more than a month after CAR T cells."""
    if not history.infusions:
        return not_applicable(absent={Topic.CELL_THERAPY})
    last = latest_infusion(history)
    is_month_over = opposite(last.is_less_than(settings.first_day, history.today))
    answer = all_of(last.is_at_most(settings.last_day, history.today), is_month_over)
    if answer is _NO:
        return not_applicable()
    if answer is _UNKNOWN:
        return _no_date(last)
    assert last.infused is not None  # noqa: S101 - what lies so many days back has a date
    found = [
        _stays_low(test, name, below, last.infused, history, settings)
        for test, name, below in (
            (LabTest.ANC, "ANC", settings.anc_below),
            (LabTest.PLATELETS, "platelets", settings.platelets_below),
        )
    ]
    low = [each for each in found if each.answer is _YES]
    if not low:
        is_open = any(each.answer is _UNKNOWN for each in found)
        return cannot_tell(Missing("counts")) if is_open else satisfied(absent={Topic.BLOOD_COUNTS})
    return Conclusion(
        Outcome.FLAGGED,
        variant="stays_low",
        facts=StaysLow(
            last.product, last.infused, last.infused.days_until(history.today), "; ".join(each.says for each in low)
        ),
        evidence=(*last.sources, *(source for each in low for source in each.sources)),
        # A count that was not read may have been a good one in between
        absent=frozenset({Topic.BLOOD_COUNTS}),
    )


class _Count(NamedTuple):
    """Whether one count has stayed low, in words, and the two results that say so."""

    answer: Answer
    says: str = ""
    sources: tuple[SourceRef, ...] = ()


def _stays_low(
    test: LabTest, name: str, below: float, infused: ClinicalDate, history: TreatmentHistory, settings: Prolonged
) -> _Count:
    """Hold the latest count against the last one that is certainly older by some days, and all in between."""
    latest = history.latest_lab(test)
    if latest is None:
        return _Count(_NO)
    answer = all_of(_is_below(latest, below), was_within(latest, history.today, settings.recent_days))
    if answer is not _YES or latest.on is None:
        return _Count(answer)
    since = [(lab, lab.on) for lab in history.labs if lab.test is test and lab.on and lab.on.is_after(infused) is _YES]
    older = [(lab, on) for lab, on in since if on.days_until(latest.on).less_than(settings.apart_days) is _NO]
    if not older:
        return _Count(_NO)
    first, day = max(older, key=lambda each: (each[1].latest, each[0].high))
    counted = all_of(*(_is_below(lab, below) for lab, on in since if on.latest >= day.earliest))
    says = f"{name} {first} ({day}) and {latest} ({latest.on})"
    return _Count(counted, says, (first.source, latest.source))

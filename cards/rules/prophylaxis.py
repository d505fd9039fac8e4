"""Prophylaxis: protection against infection in the year after CAR T-cell therapy."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta

from cards.finding import (
    Conclusion,
    Hook,
    Missing,
    Outcome,
    Proposal,
    cannot_tell,
    not_applicable,
    satisfied,
)
from cards.rulebook import Settings, patient_rule
from fhir_mapping.model.dates import Answer, ClinicalDate, Days, latest_of
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.orders import OrderKind
from fhir_mapping.model.patient import Allergen
from fhir_mapping.model.results import LabResult, LabTest
from fhir_mapping.model.treatment import CarTInfusion, SourceRef, SupportiveCare
from fhir_mapping.model.vocabulary import Cover, Topic


class AfterCarT(Settings):
    """Numbers that R15 and R16 share; `start_day` counts from the infusion (day 0)."""

    prophylaxis_days: int
    start_day: int
    cd4_stop_per_ul: int
    cd4_lookback_days: int
    recent_dose_days: int
    dose_covers_days: Mapping[str, int]


class AntiviralAfterCarT(AfterCarT):
    """Numbers of R15."""

    egfr_lookback_days: int
    egfr_minimum_for_dose: int


class PneumocystisAfterCarT(AfterCarT):
    """Numbers of R16; ANC in 10*9/L."""

    anc_lookback_days: int
    anc_minimum: float


@dataclass(frozen=True, slots=True)
class DaysAfterCarT:
    """What R15 and R16 found: the infusion, the day since, and the CD4 count where it matters."""

    product: str
    infused: ClinicalDate | None = None
    days: Days | None = None
    cd4: str = ""
    cd4_date: ClinicalDate | None = None


_Cover = tuple[Answer, tuple[SourceRef, ...]]  # whether the patient is protected, and the records that say so

_READS = {Topic.CELL_THERAPY, Topic.PROPHYLAXIS, Topic.ALLERGIES, Topic.LABS}
_VARIANTS = {"missing", "low_cd4", "reminder"}
_MISSING = {"infusion_date", "infusion_given", "cover", "cd4"}


@patient_rule(
    "R15",
    reads=_READS,
    settings=AntiviralAfterCarT,
    facts=DaysAfterCarT,
    variants=_VARIANTS,
    missing=_MISSING,
    notes={"allergies_unread", "acyclovir_allergy", "renal_function_unread", "renal_function_low"},
)
def antiviral_after_car_t(history: TreatmentHistory, hook: Hook, settings: AntiviralAfterCarT) -> Conclusion:
    """No antiviral against herpes simplex and varicella zoster in the year after CAR T cells."""
    answer = _after_car_t(history, hook, settings, Cover.HSV_VZV)
    return _with_antiviral(answer, history, settings) if answer.outcome is Outcome.FLAGGED else answer


@patient_rule(
    "R16",
    reads=_READS,
    settings=PneumocystisAfterCarT,
    facts=DaysAfterCarT,
    variants=_VARIANTS | {"not_yet_due"},
    missing=_MISSING,
    notes={
        "allergies_unread",
        "sulfonamide_allergy",
        "trimethoprim_allergy",
        "both_barred",
        "neutropenia",
        "anc_unread",
        "potassium_unread",
    },
)
def pneumocystis_after_car_t(history: TreatmentHistory, hook: Hook, settings: PneumocystisAfterCarT) -> Conclusion:
    """No protection against Pneumocystis pneumonia in the year after CAR T cells."""
    answer = _after_car_t(history, hook, settings, Cover.PJP)
    return _with_pjp_agent(answer, history, settings) if answer.outcome is Outcome.FLAGGED else answer


def _after_car_t(history: TreatmentHistory, hook: Hook, settings: AfterCarT, need: Cover) -> Conclusion:
    cover = _cover(history, settings, need)
    answer = _by_day(history, hook, settings, cover)
    about_to_start = hook is Hook.ORDER_SIGN and any(
        order.is_car_t_infusion or order.kind is OrderKind.LYMPHODEPLETION for order in history.judged_orders
    )
    if not about_to_start or answer.outcome in {Outcome.FLAGGED, Outcome.CANNOT_TELL}:
        return answer
    return _reminder(history, cover)


def _by_day(history: TreatmentHistory, hook: Hook, settings: AfterCarT, cover: _Cover) -> Conclusion:
    """Judge by the days since the latest infusion."""
    is_covered, cover_sources = cover
    if not history.infusions:
        return not_applicable(absent={Topic.CELL_THERAPY})
    if is_covered is Answer.YES:
        return satisfied(evidence=cover_sources)
    known = [i for i in history.infusions if _is_known(i)]
    unsure = [i for i in history.infusions if not _is_known(i)]
    latest = latest_of([i.infused for i in known if i.infused])
    within_year = latest.days_until(history.today).at_most(settings.prophylaxis_days) if latest else None
    if latest is None or (unsure and within_year is not Answer.YES):
        sources = tuple(source for i in unsure for source in i.sources)
        key = "infusion_date" if any(i.infused is None for i in unsure) else "infusion_given"
        return cannot_tell(Missing(key), evidence=sources)
    last = max(known, key=lambda i: i.infused.latest if i.infused else history.as_of)
    facts = DaysAfterCarT(
        product=last.product.name if last.product else "CAR T cells",
        infused=latest,
        days=latest.days_until(history.today),
    )
    match within_year:
        case Answer.NO:
            return _after_the_year(history, hook, settings, facts, last, cover)
        case Answer.YES:
            return _within_the_year(hook, settings, facts, last, cover)
        case _:
            return cannot_tell(Missing("infusion_date"), evidence=last.sources)


def _within_the_year(
    hook: Hook, settings: AfterCarT, facts: DaysAfterCarT, last: CarTInfusion, cover: _Cover
) -> Conclusion:
    assert facts.days is not None  # noqa: S101 - the infusion has a date, or the year could not have been judged
    before_start = facts.days.less_than(settings.start_day)
    if hook is not Hook.ORDER_SIGN:  # before the start, only the signing of an order is worth a word
        if before_start is Answer.YES:
            return satisfied(evidence=last.sources)
        if before_start is Answer.UNKNOWN:
            return cannot_tell(Missing("infusion_date"), evidence=last.sources)
    if cover[0] is Answer.UNKNOWN:
        return cannot_tell(Missing("cover"), evidence=cover[1])
    return _flagged("missing" if before_start is Answer.NO else "not_yet_due", facts, last.sources)


def _is_known(infusion: CarTInfusion) -> bool:
    return infusion.infused is not None and infusion.is_stated


def _flagged(variant: str, facts: DaysAfterCarT, sources: tuple[SourceRef, ...]) -> Conclusion:
    return Conclusion(
        Outcome.FLAGGED,
        variant=variant,
        facts=facts,
        evidence=sources,
        absent=frozenset({Topic.PROPHYLAXIS}),
    )


def _after_the_year(
    history: TreatmentHistory,
    hook: Hook,
    settings: AfterCarT,
    facts: DaysAfterCarT,
    last: CarTInfusion,
    cover: _Cover,
) -> Conclusion:
    """Past the year, a recent low CD4 count alone keeps the question open; nobody is told to stop."""
    cd4 = history.latest_lab(LabTest.CD4)
    if hook is not Hook.PATIENT_VIEW or cd4 is None or cd4.on is None:
        return satisfied(evidence=last.sources)
    is_recent = cd4.on.days_until(history.today).at_most(settings.cd4_lookback_days)
    is_low = {is_recent, cd4.at_most(settings.cd4_stop_per_ul)}
    if Answer.NO in is_low:
        return satisfied(evidence=last.sources)
    if Answer.UNKNOWN in is_low:
        return cannot_tell(Missing("cd4"), evidence=(cd4.source,))
    if cover[0] is Answer.UNKNOWN:
        return cannot_tell(Missing("cover"), evidence=cover[1])
    low = replace(facts, cd4=str(cd4), cd4_date=cd4.on)
    return _flagged("low_cd4", low, (*last.sources, cd4.source))


def _reminder(history: TreatmentHistory, cover: _Cover) -> Conclusion:
    """CAR T cells or their lymphodepletion are being signed: the prophylaxis of the year after can be ordered now."""
    match cover[0]:
        case Answer.YES:
            return satisfied(evidence=cover[1])
        case Answer.UNKNOWN:
            return cannot_tell(Missing("cover"), evidence=cover[1])
        case Answer.NO:
            product = next(
                (o.drug.name for o in history.judged_orders if o.is_car_t_infusion and o.drug), "CAR T cells"
            )
            return _flagged("reminder", DaysAfterCarT(product), ())


def _cover(history: TreatmentHistory, settings: AfterCarT, need: Cover) -> _Cover:
    """Whether the patient is protected today: by a drug in force, a draft order, or a dose that still protects."""
    if any(o.drug and need in o.drug.covers and o.systemic for o in history.orders):
        return Answer.YES, ()
    records = [care for care in history.supportive_care if care.covers(need)]
    for answer in (Answer.YES, Answer.UNKNOWN):
        sources = tuple(
            care.source for care in records if answer in {care.in_force, _still_protects(care, history, settings)}
        )
        if sources:
            return answer, sources
    return Answer.NO, ()


def _still_protects(care: SupportiveCare, history: TreatmentHistory, settings: AfterCarT) -> Answer:
    """Whether a dose protects for longer than its day, or is recent enough to show that the drug is running.

    The end of a statement or an order shows the opposite; of a dose that was only ordered or handed over it is open.
    """
    days = settings.dose_covers_days.get(care.drug.id)
    if days is None and care.source.resource_type == "MedicationAdministration":
        days = settings.recent_dose_days
    if days is None or care.last_dose is None:
        return Answer.NO
    protects = care.last_dose.days_until(history.today).at_most(days)
    return Answer.UNKNOWN if protects is Answer.YES and not care.was_given else protects


def _with_antiviral(answer: Conclusion, history: TreatmentHistory, settings: AntiviralAfterCarT) -> Conclusion:
    """Offer acyclovir where allergies were read and none speaks against it; a dose only with good renal function."""
    if not _allergies_are_known(history):
        return answer._replace(notes=("allergies_unread",))
    if history.is_allergic_to(Allergen.ACYCLOVIR):
        return answer._replace(notes=("acyclovir_allergy",))
    egfr = _recent(history, LabTest.EGFR, settings.egfr_lookback_days)
    if egfr is None or _is_outdated(egfr, history):
        return _proposing(answer, "antiviral", settings, history.as_of, notes=("renal_function_unread",))
    is_enough = egfr.at_least(settings.egfr_minimum_for_dose) is Answer.YES
    notes = () if is_enough else ("renal_function_low",)
    return _proposing(answer, "antiviral", settings, history.as_of, notes=notes, recommended=True, with_dose=is_enough)


def _with_pjp_agent(answer: Conclusion, history: TreatmentHistory, settings: PneumocystisAfterCarT) -> Conclusion:
    """Offer sulfamethoxazole-trimethoprim, or atovaquone where allergy or neutropenia speaks against it."""
    if not _allergies_are_known(history):
        return answer._replace(notes=("allergies_unread",))
    anc = _recent(history, LabTest.ANC, settings.anc_lookback_days)
    if history.is_allergic_to(Allergen.SULFONAMIDE):
        barred: tuple[str, ...] = ("sulfonamide_allergy",)
    elif history.is_allergic_to(Allergen.TRIMETHOPRIM):
        barred = ("trimethoprim_allergy",)
    elif anc is not None and anc.at_least(settings.anc_minimum) is not Answer.YES:
        barred = ("neutropenia",)
    else:
        barred = ()
    if barred and history.is_allergic_to(Allergen.ATOVAQUONE):
        return answer._replace(notes=("both_barred",))
    if barred:
        return _proposing(answer, "pjp-alternative", settings, history.as_of, notes=barred, recommended=True)
    notes = ("potassium_unread",) if anc is not None else ("anc_unread", "potassium_unread")
    return _proposing(answer, "pjp-first-choice", settings, history.as_of, notes=notes)


def _allergies_are_known(history: TreatmentHistory) -> bool:
    """Whether the list of allergies was read, and each of its entries says what it is about."""
    return history.coverage.is_complete(Topic.ALLERGIES) and not history.is_allergic_to(Allergen.UNKNOWN)


def _recent(history: TreatmentHistory, test: LabTest, lookback_days: int) -> LabResult | None:
    """Give the latest result of a test, where results were read completely, it can be read, and it is recent."""
    result = history.latest_lab(test)
    if result is None or result.on is None or not result.is_readable or not history.coverage.is_complete(Topic.LABS):
        return None
    return result if result.on.days_until(history.today).at_most(lookback_days) is Answer.YES else None


def _is_outdated(egfr: LabResult, history: TreatmentHistory) -> bool:
    """Whether a creatinine was measured since: the eGFR may no longer hold."""
    creatinine = history.latest_lab(LabTest.CREATININE)
    if creatinine is None or egfr.on is None:
        return False
    return creatinine.on is None or creatinine.on.is_after(egfr.on) is not Answer.NO


def _proposing(
    answer: Conclusion,
    template: str,
    settings: AfterCarT,
    as_of: date,
    *,
    notes: tuple[str, ...],
    recommended: bool = False,
    with_dose: bool = False,
) -> Conclusion:
    facts = answer.facts
    infused = facts.infused if isinstance(facts, DaysAfterCarT) else None
    within_year = answer.variant in {"missing", "not_yet_due"} and infused is not None
    start = max(infused.latest + timedelta(settings.start_day), as_of) if within_year and infused else None
    end = infused.latest + timedelta(settings.prophylaxis_days) if within_year and infused else None
    proposal = Proposal(template, recommended, with_dose, start, end)
    return answer._replace(notes=notes, proposals=(proposal,))

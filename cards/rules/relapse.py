"""Relapse: referral for CAR T cells in time, and T-cell redirection again after CAR T cells."""

from dataclasses import dataclass
from datetime import date

from cards.finding import Conclusion, Hook, Missing, Outcome, cannot_tell, not_applicable, satisfied, worst
from cards.rulebook import order_rule
from cards.situation import candidacy, car_t, labels
from fhir_mapping.model.care import RefusedTherapy
from fhir_mapping.model.dates import Answer, ClinicalDate, earliest_of
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.orders import OrderKind, ProposedOrder
from fhir_mapping.model.treatment import CarTInfusion, Course, Progression
from fhir_mapping.model.vocabulary import Certainty, Drug, DrugClass, Mechanism, Topic

_REDIRECTION = Mechanism.T_CELL_REDIRECTION


class Referral(candidacy.Candidacy):
    """Numbers of R27, with the labels of the products that a patient may be referred for."""

    recent_progression_days: int
    labels: labels.Labels


@dataclass(frozen=True, slots=True)
class Referable:
    """What R27 found: the progression, and the products whose label the chart meets, or may meet."""

    progressed: ClinicalDate
    products: str
    in_short: str


def _relapse_when_opened(history: TreatmentHistory, hook: Hook, settings: Referral) -> Conclusion:
    """Judge a progression that was recorded lately."""
    relapses = _relapses(history)
    recent = [(event, _is_recent(event, history, settings)) for event in relapses.after_treatment]
    for event, answer in reversed(recent):
        if answer is Answer.YES:
            return _to_be_referred(event, history, None, settings)
    is_open = relapses.perhaps or any(answer is Answer.UNKNOWN for _, answer in recent)
    return cannot_tell(Missing("progression_date")) if is_open else not_applicable()


def _is_recent(event: Progression, history: TreatmentHistory, settings: Referral) -> Answer:
    if event.on is None:
        return Answer.UNKNOWN
    return event.on.days_until(history.today).at_most(settings.recent_progression_days)


@order_rule(
    "R27",
    reads={Topic.TREATMENT, Topic.CELL_THERAPY, Topic.PROGRESSION},
    heeds=candidacy.TOPICS | {Topic.LINE_NUMBER},
    settings=Referral,
    facts=Referable,
    variants={"refer"},
    missing={"progression_date", "given", "label", *car_t.MISSING},
    when_opened=_relapse_when_opened,
)
def referral_at_relapse(history: TreatmentHistory, order: ProposedOrder, settings: Referral) -> Conclusion:
    """Treatment without T-cell redirection is selected at relapse, with no referral for CAR T cells on record."""
    if not _is_other_treatment(order, history):
        return not_applicable()
    relapses = _relapses(history)
    if relapses.after_treatment:
        return _to_be_referred(relapses.after_treatment[-1], history, order, settings)
    if relapses.perhaps or any(course.drug.is_treatment for course in history.courses):
        return cannot_tell(Missing("progression_date"))
    return not_applicable(absent={Topic.TREATMENT, Topic.PROGRESSION})


def _to_be_referred(
    relapse: Progression, history: TreatmentHistory, order: ProposedOrder | None, settings: Referral
) -> Conclusion:
    before = car_t.car_t_before(history)
    if before.answer is Answer.YES:
        return satisfied(evidence=before.evidence)
    against = candidacy.spoken_against(history, order, settings, frozenset({RefusedTherapy.CAR_T}))
    if against is not None:
        return satisfied(evidence=against)
    if before.answer is Answer.UNKNOWN:
        return cannot_tell(Missing(before.missing), evidence=before.evidence)
    assert relapse.on is not None  # noqa: S101 - what certainly follows treatment has a date
    perhaps = _perhaps_continued(order, relapse.on, history) if order is not None else []
    if perhaps:
        return cannot_tell(Missing("given", perhaps[0].drug.name), evidence=perhaps[0].sources[:1])
    fits = list(labels.fits_of_car_t(settings.labels, history))
    likely = [fit for fit in fits if fit.is_likely]
    if likely:
        return Conclusion(
            Outcome.FLAGGED,
            variant="refer",
            facts=Referable(relapse.on, ", ".join(_fits(fit) for fit in likely), _in_short(likely)),
            evidence=(relapse.source,),
            absent=frozenset({Topic.CELL_THERAPY}),
        )
    if fits and all(fit.answer is Answer.NO for fit in fits):
        return satisfied(absent={Topic.TREATMENT}, evidence=(relapse.source,))
    return cannot_tell(Missing("label"), evidence=(relapse.source,))


def _fits(fit: labels.Fit) -> str:
    return f"{_meets([fit])} the {fit.product} label"


def _in_short(fits: list[labels.Fit]) -> str:
    return _fits(fits[0]) if len(fits) == 1 else f"{_meets(fits)} labels of {len(fits)} products"


def _meets(fits: list[labels.Fit]) -> str:
    return "meets" if all(fit.answer is Answer.YES for fit in fits) else "may meet"


@dataclass(frozen=True, slots=True)
class _Relapses:
    """The progressions that certainly came after some treatment had begun, the latest last, and whether others may."""

    after_treatment: list[Progression]
    perhaps: bool


def _relapses(history: TreatmentHistory) -> _Relapses:
    begun = [c.first_dose for c in history.courses if c.is_proven_or_reported and c.drug.is_treatment]
    after = [event for event in history.progressions if _came_after(event, begun)]
    earliest = earliest_of([on for on in begun if on is not None])
    before = [
        event
        for event in history.progressions
        if event.on is not None and earliest is not None and earliest.is_before(event.on) is Answer.NO
    ]
    return _Relapses(after, len(after) + len(before) < len(history.progressions))


def _came_after(event: Progression, begun: list[ClinicalDate | None]) -> bool:
    on = event.on
    return (
        on is not None
        and event.certainty is Certainty.STATED
        and any(first is not None and first.is_before(on) is Answer.YES for first in begun)
    )


def _is_other_treatment(order: ProposedOrder, history: TreatmentHistory) -> bool:
    """Whether it is treatment of the myeloma without T-cell redirection, beside it as well; a conjugate is such."""
    if order.drug is None or order.kind is not OrderKind.DRUG or not order.drug.is_treatment:
        return False
    return not any(o.drug is not None and o.drug.mechanism is _REDIRECTION for o in history.orders)


def _perhaps_continued(order: ProposedOrder, since: ClinicalDate, history: TreatmentHistory) -> list[Course]:
    """Find courses of the ordered drug that are known from orders alone, and may have gone on since a day."""
    return [
        course
        for course in history.courses
        if course.drug == order.drug
        and not course.is_proven_or_reported
        and (course.last_dose is None or course.last_dose.is_before(since) is not Answer.YES)
    ]


@dataclass(frozen=True, slots=True)
class AfterCells:
    """What R29 found: when the cells were given, and when the myeloma progressed after them."""

    infused: ClinicalDate
    progressed: ClinicalDate


@order_rule(
    "R29",
    reads={Topic.TREATMENT, Topic.CELL_THERAPY, Topic.PROGRESSION},
    heeds=candidacy.TOPICS,
    settings=candidacy.Candidacy,
    facts=AfterCells,
    variants={"option"},
    missing={"progression_date", "infusion_date", "given", *car_t.MISSING},
)
def redirection_again_after_car_t(
    history: TreatmentHistory, order: ProposedOrder, settings: candidacy.Candidacy
) -> Conclusion:
    """Treatment without T-cell redirection is selected after CAR T cells have failed."""
    if not history.infusions or not _is_other_treatment(order, history):
        return not_applicable()
    against = candidacy.spoken_against(history, order, settings, frozenset(RefusedTherapy))
    if against is not None:
        return satisfied(evidence=against)
    before = car_t.car_t_before(history)
    if before.answer is not Answer.YES:
        return cannot_tell(Missing(before.missing), evidence=before.evidence)
    cells = _last_cells(history)
    if cells is None or cells.infused is None:
        return cannot_tell(Missing("infusion_date"), evidence=before.evidence)
    relapse = next((event for event in reversed(history.progressions) if _failed(event, cells.infused)), None)
    since = [(course, _was_given_since(course, cells.infused)) for course in history.courses if _redirects(course)]
    for course, answer in since:
        if answer is Answer.YES:
            return satisfied(evidence=course.sources[:1])
    if relapse is None or relapse.on is None:
        return cannot_tell(Missing("progression_date"), evidence=cells.sources[:1])
    perhaps = [course for course, answer in since if answer is Answer.UNKNOWN]
    perhaps += _perhaps_continued(order, relapse.on, history)
    if perhaps:
        return cannot_tell(Missing("given", perhaps[0].drug.name), evidence=perhaps[0].sources[:1])
    return Conclusion(
        Outcome.FLAGGED,
        variant="option",
        facts=AfterCells(cells.infused, relapse.on),
        evidence=(relapse.source, *cells.sources[:1]),
        absent=frozenset({Topic.TREATMENT, Topic.CELL_THERAPY}),
    )


def _last_cells(history: TreatmentHistory) -> CarTInfusion | None:
    """Find the last infusion; None where another one, without date or not sure, may be later."""
    sure = [infusion for infusion in history.infusions if infusion.is_stated and infusion.infused is not None]
    last = max(sure, key=_day_of, default=None)
    if last is None or last.infused is None:
        return None
    others = [infusion.infused for infusion in history.infusions if infusion not in sure]
    are_earlier = all(on is not None and on.is_before(last.infused) is Answer.YES for on in others)
    return last if are_earlier else None


def _day_of(infusion: CarTInfusion) -> tuple[date, date]:
    return (infusion.infused.latest, infusion.infused.earliest) if infusion.infused else (date.min, date.min)


def _redirects(course: Course) -> bool:
    return course.drug.drug_class is DrugClass.BISPECIFIC


def _was_given_since(course: Course, infused: ClinicalDate) -> Answer:
    """Whether a bispecific antibody was given after the cells; one that was only ordered may have been."""
    answer = Answer.UNKNOWN if course.last_dose is None else course.last_dose.is_after(infused)
    return Answer.UNKNOWN if answer is Answer.YES and not course.is_proven_or_reported else answer


def _failed(event: Progression, infused: ClinicalDate) -> bool:
    is_stated = event.on is not None and event.certainty is Certainty.STATED
    return is_stated and event.on is not None and event.on.is_after(infused) is Answer.YES


@dataclass(frozen=True, slots=True)
class SecondCells:
    """What R30 found: the product that was given and when, and the one that is ordered."""

    given: str
    infused: str
    ordered: str


@order_rule(
    "R30",
    reads={Topic.CELL_THERAPY},
    facts=SecondCells,
    variants={"same_product", "same_antigen", "unknown_product"},
    missing={"car_t_given"},
)
def second_car_t(history: TreatmentHistory, order: ProposedOrder, settings: object) -> Conclusion:
    """A CAR T product is selected for a patient who has had CAR T cells."""
    product = order.drug
    if product is None or product.drug_class is not DrugClass.CAR_T:
        return not_applicable()
    if not history.infusions:
        return satisfied(absent={Topic.CELL_THERAPY})
    judged = [_second(infusion, product) for infusion in history.infusions]
    return worst(sorted(judged, key=lambda answer: answer.variant != "same_product"))


def _second(infusion: CarTInfusion, product: Drug) -> Conclusion:
    evidence = infusion.sources[:1]
    if not infusion.is_stated:
        return cannot_tell(Missing("car_t_given"), evidence=evidence)
    if infusion.product is None:
        variant = "unknown_product"
    elif infusion.product == product:
        variant = "same_product"
    elif infusion.product.antigens & product.antigens:
        variant = "same_antigen"
    else:
        return satisfied(evidence=evidence)
    return Conclusion(
        Outcome.FLAGGED,
        variant=variant,
        facts=SecondCells(
            given=infusion.product.name if infusion.product else "CAR T cells (product not on record)",
            infused=_said(infusion.infused),
            ordered=product.name,
        ),
        evidence=evidence,
    )


def _said(day: ClinicalDate | None) -> str:
    if day is None:
        return "on a day that is not on record"
    return f"on {day}" if day.is_exact else str(day)

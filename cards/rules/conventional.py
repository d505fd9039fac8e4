"""Conventional drugs before T-cell redirection: two weeks without most of them, and those that harm T cells."""

from dataclasses import dataclass
from datetime import date

from cards.finding import (
    Conclusion,
    Missing,
    Outcome,
    Reschedule,
    cannot_tell,
    not_applicable,
    satisfied,
    worst,
)
from cards.rulebook import Settings, order_rule
from cards.situation import car_t
from cards.situation.collection import Index, ahead, in_calendar, is_collection, needs_cells, start_of
from fhir_mapping.model.dates import Answer, ClinicalDate, Days
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.orders import OrderKind, ProposedOrder
from fhir_mapping.model.treatment import Course, SourceRef, Transplant, TransplantKind
from fhir_mapping.model.vocabulary import Certainty, DrugClass, Topic


class TwoWeeks(Settings):
    """Numbers of R11, the classes it looks at, and the partners that a label gives together with an engager."""

    minimum_days: int
    steroid_days: int
    classes: tuple[DrugClass, ...]
    partners: dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class StillThere:
    """What R11 found: the drugs with their days, what begins and when, and the first day that keeps the interval.

    `left_out` names the drugs of which nobody can say whether they are too close.
    """

    drugs: str
    left_out: str
    start: str
    index: ClinicalDate
    index_name: str
    earliest: date


@dataclass(frozen=True, slots=True)
class _Near:
    course: Course
    gap: Days
    is_listed: bool


@order_rule(
    "R11",
    reads={Topic.TREATMENT},
    heeds={Topic.PLANS},
    settings=TwoWeeks,
    facts=StillThere,
    variants={"recent", "steroid", "listed"},
    notes={"left_out"},
    missing={"last_dose", "date_precision", "given"},
)
def conventional_drug_too_close(history: TreatmentHistory, order: ProposedOrder, settings: TwoWeeks) -> Conclusion:
    """A conventional drug was last given fewer than two weeks before T cells are collected or an engager is begun."""
    start = _start_of(order)
    if start is None:
        return not_applicable()
    is_collected = is_collection(order)
    index = ahead(history, order) if is_collected else start_of(history, order)
    partners = settings.partners.get(order.drug.id, ()) if order.drug is not None else ()
    near: list[_Near] = []
    open_: list[Conclusion] = []
    for course in history.courses:
        if course.drug.drug_class not in settings.classes or course.drug.id in partners:
            continue
        found = _near(course, index, settings.minimum_days, is_collected=is_collected)
        if isinstance(found, _Near):
            near.append(found)
        elif found is not None:
            open_.append(found)
    if not near:
        return worst([satisfied(absent={Topic.TREATMENT}), *open_])
    return _flagged(near, open_, start, index, order, settings)


def _start_of(order: ProposedOrder) -> str | None:
    """Say what the two weeks lie before; None where nothing of the kind is ordered."""
    if is_collection(order):
        return "T-cell collection"
    if order.drug is not None and order.kind is OrderKind.DRUG and order.drug.drug_class is DrugClass.BISPECIFIC:
        return f"{order.drug.name} start"
    return None


def _near(course: Course, index: Index, minimum_days: int, *, is_collected: bool) -> _Near | Conclusion | None:
    """Judge one course: too close, open, or (None) far enough.

    A steroid on the very day on which an engager is begun belongs to the engager, and hides when it was given before.
    """
    source = course.sources[:1]
    is_premedication = (
        course.drug.drug_class is DrugClass.STEROID
        and not (is_collected or course.ongoing)
        and course.last_dose == index.day
    )
    if course.last_dose is None or is_premedication:
        return cannot_tell(Missing("last_dose", course.drug.name), evidence=source)
    gap = Days(0, 0) if course.ongoing else course.last_dose.days_until(index.day)
    is_near = gap.less_than(minimum_days)
    if is_near is Answer.NO:
        return None
    if not course.is_proven_or_reported:
        return cannot_tell(Missing("given", course.drug.name), evidence=source)
    if is_near is Answer.UNKNOWN:
        return cannot_tell(Missing("date_precision", course.drug.name), evidence=source)
    return _Near(course, gap, course.ongoing)


def _flagged(
    near: list[_Near],
    open_: list[Conclusion],
    start: str,
    index: Index,
    order: ProposedOrder,
    settings: TwoWeeks,
) -> Conclusion:
    near = sorted(near, key=lambda each: (each.gap.fewest, each.course.drug.name))
    steroid = any(
        each.course.drug.drug_class is DrugClass.STEROID
        and not each.is_listed
        and each.gap.at_most(settings.steroid_days) is Answer.YES
        for each in near
    )
    last_doses = [each.course.last_dose for each in near if each.course.last_dose is not None]
    earliest = max(last.plus(settings.minimum_days).latest for last in last_doses)
    if steroid and is_collection(order):
        variant = "steroid"
    else:
        variant = "listed" if all(each.is_listed for each in near) else "recent"
    named = {each.course.drug.name for each in near}
    left_out = sorted({item.drug for answer in open_ for item in answer.missing} - named)
    # What is still listed leaves no day that is known to be long enough
    move = (Reschedule("later-start", order, earliest),) if earliest > index.day.latest else ()
    return Conclusion(
        Outcome.FLAGGED,
        variant=variant,
        facts=StillThere(
            drugs=", ".join(each.course.drug.name if variant == "listed" else _with_days(each) for each in near),
            left_out=", ".join(left_out),
            start=start,
            index=index.day,
            index_name=index.name,
            earliest=earliest,
        ),
        evidence=tuple(source for each in near for source in each.course.sources[:1]),
        notes=("left_out",) if left_out else (),
        proposals=move,
    )


def _with_days(near: _Near) -> str:
    return f"{near.course.drug.name} {'still listed' if near.is_listed else f'{near.gap} d'}"


class Harmful(Settings):
    """Numbers of R12, the drugs to keep away from T cells, and those of which the dose decides.

    Of these, what was given at most `lymphodepletion_days` before CAR T cells prepared for them.
    """

    lookback_days: int
    collection_counts_days: int
    lymphodepletion_days: int
    drugs: tuple[str, ...]
    dose_decides: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Harm:
    """What R12 found: a drug or a transplant, when, how many days before the collection, and what asks for that."""

    drug: str
    on: ClinicalDate | None = None
    gap: Days | None = None
    collection: str = ""


@order_rule(
    "R12",
    reads={Topic.TREATMENT, Topic.CELL_THERAPY},
    heeds={Topic.PLANS},
    settings=Harmful,
    facts=Harm,
    variants={"planned", "asked_for", "given"},
    missing={"dose", "last_dose", "date_precision", "given", "collection", "car_t_order"},
    new_starts_only=False,
)
def harms_the_t_cell_product(history: TreatmentHistory, order: ProposedOrder, settings: Harmful) -> Conclusion:
    """A drug that harms T cells is ordered before they are collected, or was given shortly before."""
    if is_collection(order):
        return _given_before(history, order, settings)
    drug = order.drug
    if drug is None or order.kind is not OrderKind.DRUG or drug.id not in (*settings.drugs, *settings.dose_decides):
        return not_applicable()
    if order.planned is not None and order.planned.is_after(ahead(history, order).day) is Answer.YES:
        return satisfied(absent={Topic.CELL_THERAPY})
    asked_for = _collection_asked_for(history, order)
    planned = asked_for or _collection_to_come(history, order, settings)
    match planned.answer:
        case Answer.NO:
            return satisfied(absent={Topic.CELL_THERAPY})
        case Answer.UNKNOWN:
            return cannot_tell(Missing(planned.missing), evidence=planned.evidence)
        case Answer.YES if drug.id in settings.dose_decides:
            return cannot_tell(Missing("dose", drug.name), evidence=planned.evidence)
        case Answer.YES:
            # Any other plan may be one for cells that wait: that none do rests on all collections being known
            absent = frozenset({Topic.CELL_THERAPY}) if asked_for is None else frozenset()
            harm = Harm(drug.name, collection=planned.what)
            variant = "planned" if asked_for is None else "asked_for"
            return Conclusion(Outcome.FLAGGED, variant=variant, facts=harm, evidence=planned.evidence, absent=absent)


def _collection_asked_for(history: TreatmentHistory, order: ProposedOrder) -> car_t.Found | None:
    """Find a collection among the draft orders or in the calendar: it is to come, whatever was collected before."""
    drafts = [other for other in history.orders if other is not order and is_collection(other)]
    if drafts:
        day = f", for {drafts[0].planned}" if drafts[0].planned is not None else ""
        return car_t.Found(Answer.YES, what=f"is among the draft orders{day}")
    booked = in_calendar(history)
    if booked is not None:
        # The day that matters is the one that is booked, not the one on which somebody booked it
        record = SourceRef(booked.source.reference, booked.planned)
        return car_t.Found(Answer.YES, (record,), what=f"stands in the calendar for {booked.planned}")
    return None


def _collection_to_come(history: TreatmentHistory, order: ProposedOrder, settings: Harmful) -> car_t.Found:
    """Whether T cells are still to be collected after this drug: ordered, planned or referred for, and none waiting."""
    others = [other for other in history.orders if other is not order]
    waiting = car_t.cells_waiting(history, settings.collection_counts_days)
    if waiting.answer is Answer.YES or any(needs_cells(other) for other in others):
        return car_t.Found(Answer.NO)
    planned = car_t.car_t_under_way(history, order, settings.collection_counts_days)
    referral = car_t.is_referred(history, settings.collection_counts_days)
    if planned.answer is not Answer.YES and referral is not None:
        planned = car_t.Found(Answer.YES, (referral,), "collection")
    elif planned.answer is not Answer.YES and any(other.kind is OrderKind.CAR_T_REFERRAL for other in others):
        planned = car_t.Found(Answer.YES, (), "collection")
    return waiting if planned.answer is Answer.YES and waiting.answer is Answer.UNKNOWN else planned


def _given_before(history: TreatmentHistory, order: ProposedOrder, settings: Harmful) -> Conclusion:
    index = ahead(history, order)
    answers = [satisfied(absent={Topic.TREATMENT, Topic.CELL_THERAPY})]
    for course in history.courses:
        if course.drug.id in settings.drugs:
            answers.append(_judged(course, index, settings))
        elif course.drug.id in settings.dose_decides and not _was_lymphodepletion(course, history, settings):
            answer = _judged(course, index, settings)
            if answer.outcome is Outcome.FLAGGED:
                answer = cannot_tell(Missing("dose", course.drug.name), evidence=course.sources[:1])
            answers.append(answer)
    answers += [_after_transplant(transplant, index, settings) for transplant in history.transplants]
    return worst(answers)


def _was_lymphodepletion(course: Course, history: TreatmentHistory, settings: Harmful) -> bool:
    """Whether a whole course certainly lies in the last days before CAR T cells were infused."""
    first, last = course.first_dose, course.last_dose
    return (
        first is not None
        and last is not None
        and any(
            infusion.certainty is Certainty.STATED
            and infusion.infused is not None
            and first.days_until(infusion.infused).at_most(settings.lymphodepletion_days) is Answer.YES
            and last.is_after(infusion.infused) is Answer.NO
            for infusion in history.infusions
        )
    )


def _judged(course: Course, index: Index, settings: Harmful) -> Conclusion:
    name, evidence = course.drug.name, course.sources[:1]
    if course.last_dose is None:
        return cannot_tell(Missing("last_dose", name), evidence=evidence)
    gap = Days(0, 0) if course.ongoing else course.last_dose.days_until(index.day)
    in_doubt = Missing("given", name) if not course.is_proven_or_reported else None
    return _harm(name, course.last_dose, gap, evidence, settings, in_doubt)


def _after_transplant(transplant: Transplant, index: Index, settings: Harmful) -> Conclusion:
    """Judge a transplant by the high-dose melphalan before it; what came before another's cells is not known."""
    name, evidence = "high-dose melphalan (transplant)", transplant.sources[:1]
    if transplant.on is None:
        return cannot_tell(Missing("last_dose", name), evidence=evidence)
    is_sure = transplant.kind is TransplantKind.AUTOLOGOUS and transplant.certainty is Certainty.STATED
    in_doubt = None if is_sure else Missing("given", name)
    return _harm(name, transplant.on, transplant.on.days_until(index.day), evidence, settings, in_doubt)


def _harm(
    name: str,
    on: ClinicalDate,
    gap: Days,
    evidence: tuple[SourceRef, ...],
    settings: Harmful,
    in_doubt: Missing | None,
) -> Conclusion:
    match gap.less_than(settings.lookback_days):
        case Answer.NO:
            return satisfied(absent={Topic.TREATMENT, Topic.CELL_THERAPY})
        case _ if in_doubt is not None:
            return cannot_tell(in_doubt, evidence=evidence)
        case Answer.UNKNOWN:
            return cannot_tell(Missing("date_precision", name), evidence=evidence)
        case Answer.YES:
            facts = Harm(name, on, gap)
            return Conclusion(Outcome.FLAGGED, variant="given", facts=facts, evidence=evidence)

"""CAR T cells in the past, and CAR T-cell therapy under way: collected and waiting, ordered, or planned."""

from collections.abc import Iterator
from dataclasses import dataclass

from cards.situation.collection import infused_after, is_recent, not_used_up
from fhir_mapping.model.care import CAR_T_STEPS, PlanKind, PlannedCare, PlanState
from fhir_mapping.model.dates import Answer, latest_of
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.orders import ProposedOrder
from fhir_mapping.model.patient import OTHER_B_CELLS
from fhir_mapping.model.treatment import CarTInfusion, SourceRef, TCellCollection
from fhir_mapping.model.vocabulary import Antigen, Certainty, Tier


@dataclass(frozen=True, slots=True)
class Found:
    """An answer with the records that it rests on; `missing` names what is not known, and `what` the thing found."""

    answer: Answer
    evidence: tuple[SourceRef, ...] = ()
    missing: str = ""
    what: str = ""


MISSING = frozenset({"car_t_given", "car_t_target"})


def car_t_before(history: TreatmentHistory) -> Found:
    """Whether CAR T cells against the myeloma were given before.

    A bare history code counts, unless cells against another disease may be meant; an infusion that names no product,
    and one that only may have taken place, leave it open. NO rests on nothing being on record.
    """
    return _best([was_against_myeloma(infusion, history) for infusion in history.infusions])


def was_against_myeloma(infusion: CarTInfusion, history: TreatmentHistory) -> Found:
    """Whether one infusion was given, and against the myeloma."""
    names_an_infusion = infusion.tier is not Tier.UNDATED and infusion.is_stated
    if infusion.product is None and (names_an_infusion or _may_be_against_another_disease(history)):
        return Found(Answer.UNKNOWN, infusion.sources[:1], "car_t_target")
    if not infusion.is_stated:
        return Found(Answer.UNKNOWN, infusion.sources[:1], "car_t_given")
    return Found(Answer.YES, infusion.sources[:1])


def _may_be_against_another_disease(history: TreatmentHistory) -> bool:
    return bool(history.other_cell_therapies) or any(problem.concept == OTHER_B_CELLS for problem in history.problems)


def car_t_under_way(
    history: TreatmentHistory, order: ProposedOrder | None, counts_days: int, antigen: Antigen | None = None
) -> Found:
    """Whether cells are collected and waiting, or are ordered, apart from the order that is judged.

    A collection or an order older than `counts_days` is taken as abandoned; an order without date may be. With an
    `antigen`, only cells against it count: what names no product is taken for such, unless all that is named is not.
    """
    if antigen is not None and _is_for_others(antigen, history, order, counts_days):
        return Found(Answer.NO)
    waiting = cells_waiting(history, counts_days)
    return _best([waiting, *_ordered(history, order, antigen), *_planned(history, counts_days, antigen)])


def cells_waiting(history: TreatmentHistory, counts_days: int) -> Found:
    """Whether T cells are collected, and neither infused yet nor taken as abandoned."""
    return _best(
        [
            Found(answer, (collection.source,), "collection", f"T cells were collected{_on(collection)}")
            for collection, answer in collections_waiting(history, counts_days)
        ]
    )


def _best(found: list[Found]) -> Found:
    for wanted in (Answer.YES, Answer.UNKNOWN):
        for each in found:
            if each.answer is wanted:
                return each
    return Found(Answer.NO)


def collections_waiting(history: TreatmentHistory, counts_days: int) -> Iterator[tuple[TCellCollection, Answer]]:
    """Give each collection whose cells are waiting, or may be: not infused, and not older than `counts_days`."""
    for collection in history.collections:
        if collection.collected is None:
            # One that an infusion may explain is taken as that one's
            is_explained = any(infusion.certainty is Certainty.STATED for infusion in history.infusions)
            answer = Answer.NO if is_explained else Answer.UNKNOWN
        else:
            answer = is_recent(collection.collected, history, counts_days)
            answer = not_used_up(collection, collection.collected, answer, history)
        if answer is Answer.YES and collection.certainty is Certainty.POSSIBLE:
            answer = Answer.UNKNOWN
        if answer is not Answer.NO:
            yield collection, answer


def _on(collection: TCellCollection) -> str:
    return f" on {collection.collected}" if collection.collected else ""


def _ordered(history: TreatmentHistory, order: ProposedOrder | None, antigen: Antigen | None) -> Iterator[Found]:
    for other in history.orders:
        if other is not order and other.is_car_t_step and (antigen is None or other.may_target(antigen)):
            yield Found(Answer.YES, what="CAR T-cell therapy is among the draft orders")


def _planned(history: TreatmentHistory, counts_days: int, antigen: Antigen | None) -> Iterator[Found]:
    for plan in history.plans:
        if plan.kind in CAR_T_STEPS and (antigen is None or plan.product is None or antigen in plan.product.antigens):
            answer = _is_open(plan, history, counts_days)
            yield Found(answer, (plan.source,), "car_t_order", f"{_named(plan.kind)} is on order")


def _is_for_others(antigen: Antigen, history: TreatmentHistory, order: ProposedOrder | None, counts_days: int) -> bool:
    """Whether products are ordered or planned, and none of them binds the antigen."""
    products = [o.drug for o in history.orders if o is not order and o.is_car_t_infusion and o.drug is not None]
    products += [
        plan.product
        for plan in history.plans
        if plan.product is not None and plan.kind in CAR_T_STEPS and _is_open(plan, history, counts_days) is Answer.YES
    ]
    return bool(products) and not any(antigen in product.antigens for product in products)


def is_referred(history: TreatmentHistory, counts_days: int) -> SourceRef | None:
    """Find a referral or an appointment for CAR T evaluation that was asked for lately."""
    referrals = (plan for plan in history.plans if plan.kind is PlanKind.CAR_T_REFERRAL)
    return next((plan.source for plan in referrals if was_asked_lately(plan, history, counts_days)), None)


def was_asked_lately(plan: PlannedCare, history: TreatmentHistory, counts_days: int) -> bool:
    """Whether a plan was made, or stands in the calendar, at most so many days ago, and no infusion has followed."""
    return plan.state is not PlanState.UNCLEAR and any(
        day.days_until(history.today).at_most(counts_days) is Answer.YES
        and infused_after(day.plus(-1), history) is not Answer.YES
        for day in (plan.requested, plan.planned)
        if day is not None
    )


def _named(kind: PlanKind) -> str:
    return kind.value[:1].upper() + kind.value[1:] if kind is not PlanKind.CAR_T_INFUSION else "A CAR T infusion"


def _is_open(plan: PlannedCare, history: TreatmentHistory, counts_days: int) -> Answer:
    """Whether a plan still stands: not done, not followed by an infusion, and not too old.

    A collection that was done as asked may be one whose cells wait, although nobody recorded it.
    """
    asked = plan.requested or plan.planned
    since = infused_after(asked.plus(-1), history) if asked is not None else Answer.UNKNOWN
    if since is Answer.YES or (plan.state is PlanState.DONE and plan.kind is not PlanKind.T_CELL_COLLECTION):
        return Answer.NO
    latest = latest_of([day for day in (plan.requested, plan.planned) if day is not None])
    is_recent_plan = latest.days_until(history.today).at_most(counts_days) if latest is not None else Answer.UNKNOWN
    if is_recent_plan is Answer.YES and (since is Answer.UNKNOWN or plan.state is not PlanState.OPEN):
        return Answer.UNKNOWN
    return is_recent_plan

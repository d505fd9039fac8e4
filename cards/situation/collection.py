"""The T-cell collection that an interval is counted to: one that was done and whose cells wait, or one still ahead."""

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from typing import NamedTuple

from cards.situation.planned_day import from_today, is_ahead, planned_day
from fhir_mapping.model.care import PlanKind, PlannedCare, PlanState
from fhir_mapping.model.dates import Answer, ClinicalDate
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.orders import OrderKind, ProposedOrder
from fhir_mapping.model.treatment import SourceRef, TCellCollection
from fhir_mapping.model.vocabulary import Certainty

_COLLECTION = OrderKind.T_CELL_COLLECTION  # an Enum is slow to look a member up in, and every rule asks
_OF_CELLS = frozenset({OrderKind.LYMPHODEPLETION, OrderKind.CAR_T_INFUSION})


class Index(NamedTuple):
    """The day to which an interval is counted, and what that day is."""

    day: ClinicalDate
    name: str
    collected: bool = False
    evidence: tuple[SourceRef, ...] = ()


def indexes(history: TreatmentHistory, order: ProposedOrder, counts_days: int) -> list[Index]:
    """Give the day to count to, and every other that it may be; the one that rests on the surest record comes first.

    That is the latest collection whose cells are waiting, else the planned one, else the order's own date, else today.
    An order of a new collection is not answered by an old one, and one older than `counts_days` is taken as abandoned.
    """
    dated = [c for c in history.collections if c.certainty is Certainty.STATED and c.collected]
    waiting = [] if is_collection(order) else list(_waiting(dated, history, order, counts_days))
    sure = [index for index, is_waiting in waiting if is_waiting is Answer.YES]
    latest = [
        index
        for index, _ in sorted(waiting, key=lambda found: (found[1] is not Answer.YES, *_latest_first(found[0])))
        if not any(index.day.is_before(other.day) is Answer.YES for other in sure)
    ]
    return latest if sure else [ahead(history, order), *latest]


def possible_indexes(history: TreatmentHistory, order: ProposedOrder, counts_days: int) -> Iterator[Index]:
    """Give the days of collections that may have been done, or have no date, as far as their cells may be waiting."""
    open_ = [c for c in history.collections if c.certainty is Certainty.POSSIBLE or c.collected is None]
    yield from (index for index, _ in _waiting(open_, history, order, counts_days))


def ahead(history: TreatmentHistory, order: ProposedOrder) -> Index:
    """Give the planned collection, among the drafts or in the calendar, else the order's own date, else today."""
    booked = in_calendar(history)
    for planned, name in (
        *((o.planned, "planned T-cell collection") for o in (order, *history.orders) if is_collection(o)),
        (booked.planned if booked else None, "T-cell collection in the calendar"),
    ):
        if planned is not None and is_ahead(planned, history):
            return Index(from_today(planned, history), name)
    return start_of(history, order)


def start_of(history: TreatmentHistory, order: ProposedOrder) -> Index:
    """Give the order's own date, else today."""
    is_dated = order.planned is not None and is_ahead(order.planned, history)
    return Index(
        planned_day(order, history), "planned start of this order" if is_dated else "today, as no later date is ordered"
    )


def in_calendar(history: TreatmentHistory) -> PlannedCare | None:
    """Find the collection that stands in the calendar for a day to come; the first of several."""
    booked = [
        (plan.planned.latest, plan.source.reference, number)
        for number, plan in enumerate(history.plans)
        if plan.kind is PlanKind.T_CELL_COLLECTION
        and plan.state is PlanState.OPEN
        and plan.planned is not None
        and is_ahead(plan.planned, history)
    ]
    return history.plans[min(booked)[-1]] if booked else None


def is_collection(order: ProposedOrder) -> bool:
    """Whether it asks for T cells to be collected."""
    return order.kind is _COLLECTION


def was_collected_undated(history: TreatmentHistory) -> bool:
    """Whether T cells were collected on a day that nobody wrote down, and no infusion tells what became of them."""
    return not history.infusions and any(
        collection.collected is None and collection.certainty is Certainty.STATED for collection in history.collections
    )


def _latest_first(index: Index) -> tuple[int, int]:
    return -index.day.latest.toordinal(), -index.day.earliest.toordinal()


def _waiting(
    collections: Iterable[TCellCollection], history: TreatmentHistory, order: ProposedOrder, counts_days: int
) -> Iterator[tuple[Index, Answer]]:
    """Give the collections whose cells are waiting, or may be.

    They are neither used up by an infusion nor taken as abandoned; lymphodepletion and infusion need cells that are
    there, so for them an old collection still counts. One without date may have been done on any day on which its
    cells would still count.
    """
    reach = date.min if needs_cells(order) else history.as_of - timedelta(counts_days)
    for collection in collections:
        is_sure = collection.certainty is Certainty.STATED and collection.collected is not None
        name = "T-cell collection done" if is_sure else "T-cell collection that may have been done"
        day = collection.collected or ClinicalDate(reach, history.as_of)
        is_waiting = Answer.YES if needs_cells(order) else is_recent(day, history, counts_days)
        is_waiting = not_used_up(collection, day, is_waiting, history)
        if is_waiting is not Answer.NO:
            yield Index(day, name, collected=True, evidence=(collection.source,)), is_waiting


def is_recent(day: ClinicalDate, history: TreatmentHistory, counts_days: int) -> Answer:
    """Whether a collection is so recent that it is not taken as abandoned."""
    return day.days_until(history.today).at_most(counts_days)


def not_used_up(
    collection: TCellCollection, day: ClinicalDate, is_waiting: Answer, history: TreatmentHistory
) -> Answer:
    """Whether cells that are waiting, if nobody infused them, still are: no infusion came after their collection."""
    is_used_up = infused_after(day, history)
    if is_waiting is Answer.NO or is_used_up is Answer.YES:
        return Answer.NO
    return Answer.UNKNOWN if is_used_up is Answer.UNKNOWN or collection.collected is None else is_waiting


def infused_after(day: ClinicalDate, history: TreatmentHistory) -> Answer:
    """Whether CAR T cells were infused after a day; an infusion in doubt, or without a date, leaves it open."""
    answers = [
        (infusion.infused.is_after(day) if infusion.infused is not None else Answer.UNKNOWN, infusion.certainty)
        for infusion in history.infusions
    ]
    if (Answer.YES, Certainty.STATED) in answers:
        return Answer.YES
    return Answer.UNKNOWN if any(answer is not Answer.NO for answer, _ in answers) else Answer.NO


def needs_cells(order: ProposedOrder) -> bool:
    """Whether it can only be carried out with cells that were collected before."""
    return order.kind in _OF_CELLS

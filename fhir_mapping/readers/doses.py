"""When a drug was given: first and last dose of a record, how far its supply reaches, and whether it is in force."""

import math

from fhir_mapping import wire
from fhir_mapping.model.dates import Answer, ClinicalDate, parse
from fhir_mapping.model.history import DataGap, GapCode
from fhir_mapping.model.vocabulary import Certainty
from fhir_mapping.readers.context import Context, Standing
from fhir_mapping.readers.linked import orders_of
from fhir_mapping.readers.routes import dosages_of

_DAYS = {"d": 1, "day": 1, "days": 1, "wk": 7, "week": 7, "weeks": 7, "mo": 31, "month": 31, "months": 31, "a": 366}
_LONGEST_SUPPLY_DAYS = 36_600


def doses_of(
    use: wire.MedicationUse, standing: Standing, context: Context
) -> tuple[ClinicalDate | None, ClinicalDate | None, bool]:
    """Give the first dose, the last dose, and whether the course is going on; all as of the request."""
    if type(use) is wire.MedicationRequest:
        return (*_doses_of_order(use, context), False)
    if type(use) is wire.MedicationDispense:
        handed_over = context.past_day(use.when_handed_over, "MedicationDispense")
        return (*_doses_since(handed_over, supply_end_of(use, context), context), False)
    kind = type(use).__name__
    if use.effective_date_time is not None:
        day = context.past_day(use.effective_date_time, kind)
        if type(use) is wire.MedicationAdministration or standing is Standing.ENDED or day is None:
            return day, day, False
        return _open_ended(use, day, standing, context)
    period = use.effective_period or wire.NO_PERIOD
    start = context.past_day(period.start, kind)
    end = context.day(period.end, kind)
    end = end.capped(context.as_of) if end is not None else None  # one that lies ahead ends nothing yet
    if start is not None and end is not None and end.is_before(start) is Answer.YES:
        context.gaps.append(DataGap(GapCode.DATE, kind))
        return None, None, False  # a period that runs backwards dates nothing
    if start is not None and end is not None:  # no dose comes after the last, nor before the first
        start = ClinicalDate(start.earliest, min(start.latest, end.latest))
        end = ClinicalDate(max(end.earliest, start.earliest), end.latest)
    if type(use) is wire.MedicationAdministration:
        return start, end or start, False
    if end is not None:
        return start or end, end, False
    return _open_ended(use, start, standing, context)


def _open_ended(
    use: wire.MedicationStatement, start: ClinicalDate | None, standing: Standing, context: Context
) -> tuple[ClinicalDate | None, ClinicalDate | None, bool]:
    """Bound the last dose of a statement without an end by the day on which it was asserted."""
    if start is None:
        return None, None, False
    today = ClinicalDate.on(context.as_of)
    asserted = context.past_day(use.date_asserted, "MedicationStatement")
    if standing is Standing.ENDED or standing is Standing.ON_HOLD:
        until = max(asserted.latest if asserted else context.as_of, start.latest)
        return start, ClinicalDate(start.earliest, until), False
    if asserted is None:
        return start, ClinicalDate(start.earliest, context.as_of), False
    recent = asserted.days_until(today).at_most(context.catalog.days("recent_assertion"))
    if recent is Answer.YES:
        return start, today, True
    return start, ClinicalDate(max(asserted.earliest, start.earliest), context.as_of), False


def _doses_of_order(order: wire.MedicationRequest, context: Context) -> tuple[ClinicalDate | None, ClinicalDate | None]:
    """An order without dose dates may have been given on any day since it was written, or not at all."""
    authored = context.past_day(order.authored_on, "MedicationRequest")
    ends = _ends_of(order, context)
    # Of several dosages, e.g. of a step-up, the last one counts; one without an end may go on
    last = None if None in ends else max((end for end in ends if end), key=lambda day: day.latest, default=None)
    return _doses_since(authored, last, context)


def _doses_since(
    start: ClinicalDate | None, supply_end: ClinicalDate | None, context: Context
) -> tuple[ClinicalDate | None, ClinicalDate | None]:
    if start is None:
        return None, None
    until = context.as_of if supply_end is None else min(supply_end.latest, context.as_of)
    since = ClinicalDate(start.earliest, max(until, start.earliest))
    return since, since


def supply_end_of(order: wire.MedicationRequest | wire.MedicationDispense, context: Context) -> ClinicalDate | None:
    """Give the last day that an order or a dispense covers, where it says so: the earliest of all the ends it names."""
    if type(order) is wire.MedicationDispense:
        return _end_of_dispensed_supply(order, context)
    return min((end for end in _ends_of(order, context) if end), key=lambda day: day.latest, default=None)


def _ends_of(order: wire.MedicationRequest, context: Context) -> list[ClinicalDate | None]:
    """List the ends that an order names: of its dispensing, where it has one, and of each dosage, None for an open one.

    Where the dispensing ends, no dosage is open.
    """
    dispense = wire.decode(order.dispense_request, wire.DispenseRequest)
    validity = dispense.validity_period.end if dispense and dispense.validity_period else None
    closing = context.day(validity, "MedicationRequest")
    ends = [_end_of_dosage(dosage, order, context) for dosage in dosages_of(order)]
    if closing is None:
        return ends
    return [closing, *(end for end in ends if end is not None)]


def _end_of_dosage(dosage: wire.Dosage, order: wire.MedicationRequest, context: Context) -> ClinicalDate | None:
    repeat = dosage.timing.repeat if dosage.timing else None
    if repeat is None:
        return None
    named = context.day(repeat.bounds_period.end if repeat.bounds_period else None, "MedicationRequest")
    return named or _end_of_duration(order, repeat, context)


def _end_of_dispensed_supply(dispense: wire.MedicationDispense, context: Context) -> ClinicalDate | None:
    handed_over = context.past_day(dispense.when_handed_over, "MedicationDispense")
    supply = wire.decode(dispense.days_supply, wire.Duration)
    if handed_over is None or supply is None:
        return None
    days = _days_of(supply, default_unit="d")
    return handed_over.plus(days) if days is not None else None


def _days_of(duration: wire.Duration, default_unit: str = "") -> int | None:
    """Count the days of a duration, up to a century; None for none, a negative one, and an unknown unit."""
    days_per_unit = _DAYS.get((duration.code or duration.unit or default_unit).lower())
    if duration.value is None or days_per_unit is None or not duration.value >= 0:
        return None
    return math.ceil(min(duration.value, _LONGEST_SUPPLY_DAYS) * days_per_unit)


def _end_of_duration(order: wire.MedicationRequest, repeat: wire.Repeat, context: Context) -> ClinicalDate | None:
    start = context.past_day(order.authored_on, "MedicationRequest")
    days = _days_of(repeat.bounds_duration) if repeat.bounds_duration else None
    return start.plus(days) if start is not None and days is not None else None


def starts_ahead(use: wire.MedicationUse, context: Context) -> bool:
    """Whether a statement or an order begins after today; one that is called active is then a plan."""
    if type(use) is wire.MedicationStatement:
        starts = [use.effective_date_time or (use.effective_period or wire.NO_PERIOD).start]
    elif type(use) is wire.MedicationRequest:
        starts = [_start_of_dosage(dosage) for dosage in dosages_of(use)]
    else:
        return False
    days = [parse(start, context.zone) if start else None for start in starts]
    return bool(days) and all(day is not None and day.earliest > context.as_of for day in days)


def _start_of_dosage(dosage: wire.Dosage) -> str | None:
    repeat = dosage.timing.repeat if dosage.timing else None
    return repeat.bounds_period.start if repeat and repeat.bounds_period else None


def planned_start(order: wire.MedicationRequest, dosages: tuple[wire.Dosage, ...]) -> str | None:
    """Give the first day that the dosages of an order name, else the start of its supply."""
    for dosage in dosages:
        if dosage.timing is None:
            continue
        if dosage.timing.event:
            return min(dosage.timing.event)
        bounds = dosage.timing.repeat.bounds_period if dosage.timing.repeat else None
        if bounds is not None and bounds.start is not None:
            return bounds.start
    dispense = wire.decode(order.dispense_request, wire.DispenseRequest)
    return dispense.validity_period.start if dispense and dispense.validity_period else None


def in_force(use: wire.MedicationUse, standing: Standing, certainty: Certainty, context: Context) -> Answer:
    """Whether a drug protects on the day of the request; an administered dose is judged by its date alone."""
    if standing is Standing.ON_HOLD or type(use) is wire.MedicationAdministration:
        return Answer.NO
    if type(use) is wire.MedicationStatement:
        if standing is Standing.ENDED:
            return Answer.NO
        end = context.day((use.effective_period or wire.NO_PERIOD).end, "MedicationStatement")
        return _until(end, certainty, context)
    if not context.linked.halted.isdisjoint(orders_of(use)):
        return Answer.NO  # the order was stopped, or waits, whatever supply is left
    end = supply_end_of(use, context)
    if type(use) is wire.MedicationDispense:
        if end is None:
            return _may_last(use, context)
        # Where it was halted, not all of it was handed over
        return _until(end, certainty if use.status == "completed" else Certainty.POSSIBLE, context)
    if standing is Standing.ENDED and (use.status == "stopped" or end is None):
        return Answer.NO
    was_declined = not context.linked.not_collected.isdisjoint(orders_of(use))
    return _until(end, Certainty.POSSIBLE if was_declined else certainty, context)


def _until(end: ClinicalDate | None, certainty: Certainty, context: Context) -> Answer:
    """Whether what lasts until a day, or goes on, is in force on the day of the request."""
    over = Answer.NO if end is None else end.is_before(ClinicalDate.on(context.as_of))
    if over is not Answer.NO:
        return Answer.NO if over is Answer.YES else Answer.UNKNOWN
    return Answer.YES if certainty is Certainty.STATED else Answer.UNKNOWN


def _may_last(dispense: wire.MedicationDispense, context: Context) -> Answer:
    """Whether a supply of which nobody says how long it lasts may not be used up yet."""
    handed_over = context.past_day(dispense.when_handed_over, "MedicationDispense")
    if handed_over is None:
        return Answer.UNKNOWN
    since = handed_over.days_until(ClinicalDate.on(context.as_of))
    is_over = since.fewest > context.catalog.days("dispensed_supply")
    return Answer.NO if is_over else Answer.UNKNOWN

"""Moves a draft order of the request to another day: the EHR's own JSON, in which the date alone is changed.

Every other element keeps the very bytes in which it came. Where it is not plain which date is meant, or moving one
would change the days between doses, nothing is offered.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, date, timedelta
from typing import Any

import msgspec
from fhir.resources.R4B.medicationrequest import MedicationRequest
from fhir.resources.R4B.servicerequest import ServiceRequest
from msgspec import Raw
from pydantic import ValidationError

from fhir_mapping import wire
from fhir_mapping.model.dates import ClinicalDate, parse
from fhir_mapping.model.orders import ProposedOrder

_LONGEST_ORDER = 30_000  # bytes; a longer one carries documents, and checking it would keep the user waiting
_MODELS: Mapping[str, Any] = {"MedicationRequest": MedicationRequest, "ServiceRequest": ServiceRequest}
_OCCURRENCES = ("occurrenceDateTime", "occurrencePeriod", "occurrenceTiming")
_A_DAY = len("2026-04-17")

_Object = dict[str, Raw]


class _UnclearError(Exception):
    """The order cannot be moved without guessing."""


def moved(raw: bytes, to: date) -> dict[str, Any] | None:
    """Give a draft order with its date changed, ready to be encoded; None where that cannot be offered.

    A client finds the order by its id, so one without an id is not offered.
    """
    try:
        return _moved(raw, to)
    except (_UnclearError, OverflowError):
        return None


def has_a_date_to_move(order: ProposedOrder) -> bool:
    """Whether it is worth looking into the JSON of a draft: a drug order without a date gets none from us."""
    return order.planned is not None or not order.reference.startswith("MedicationRequest/")


def _moved(raw: bytes, to: date) -> _Object:
    if len(raw) > _LONGEST_ORDER:
        raise _UnclearError
    order = _object(Raw(raw))
    kind = _text(order.get("resourceType"))
    if kind not in _MODELS or not _text(order.get("id")):
        raise _UnclearError
    changed = _MOVERS[kind](order, to)
    faults = _faults(kind, changed)
    # What the EHR sent goes back to it, valid or not: mending it is not ours, and it takes its own orders as they are.
    # But no fault may be there that was not there before, as when an odd shape stands around the date
    if faults and not faults <= _faults(kind, order):
        raise _UnclearError
    return changed


def _move_service(order: _Object, to: date) -> _Object:
    said = [name for name in _OCCURRENCES if wire.is_said(order.get(name))]
    if said == ["occurrencePeriod"]:
        return order | {"occurrencePeriod": _moved_period(order["occurrencePeriod"], to)}
    if said not in ([], ["occurrenceDateTime"]):  # a timetable, or several dates of which nobody says which counts
        raise _UnclearError
    return _dated(order, "occurrenceDateTime", to)


def _move_drug(order: _Object, to: date) -> _Object:
    """Move the one date of the dosages, else the start of the supply; an order without either gets no date from us.

    Several dates are a schedule, such as step-up doses: moving the first alone would change the days between doses.
    """
    dosages = _list(order.get("dosageInstruction"))
    dated = [place for place, dosage in enumerate(dosages) for _ in range(_dates_in(dosage))]
    if len(dated) > 1:
        raise _UnclearError
    if dated:
        dosages[dated[0]] = _moved_dosage(dosages[dated[0]], to)
        return order | {"dosageInstruction": _encoded(dosages)}
    supply = _part(order, "dispenseRequest")
    if not wire.is_said(_part(supply, "validityPeriod").get("start")):
        raise _UnclearError
    supply["validityPeriod"] = _moved_period(supply["validityPeriod"], to)
    return order | {"dispenseRequest": _encoded(supply)}


_MOVERS: Mapping[str, Callable[[_Object, date], _Object]] = {
    "MedicationRequest": _move_drug,
    "ServiceRequest": _move_service,
}


def _dates_in(dosage: Raw) -> int:
    timing = _part(_object(dosage), "timing")
    bounds = _part(_part(timing, "repeat"), "boundsPeriod")
    return len(_list(timing.get("event"))) + wire.is_said(bounds.get("start"))


def _moved_dosage(raw: Raw, to: date) -> Raw:
    dosage = _object(raw)
    timing = _object(dosage["timing"])
    events = _list(timing.get("event"))
    if events:
        _text(events[0])
        timing = _without_details(timing, "event") | {"event": _encoded([to.isoformat()])}
    else:
        repeat = _object(timing["repeat"])
        timing["repeat"] = _encoded(repeat | {"boundsPeriod": _moved_period(repeat["boundsPeriod"], to)})
    return _encoded(dosage | {"timing": _encoded(timing)})


def _moved_period(raw: Raw, to: date) -> Raw:
    """Move a period to start on a day: its end by as many days, or not where the days are not known.

    An end that would come before the start is left out, for the clinician to set.
    """
    period = _object(raw)
    start, end = _days(period.get("start")), _days(period.get("end"))
    period = _dated(period, "start", to)
    if not wire.is_said(period.get("end")):
        return _encoded(period)
    if end is None:
        raise _UnclearError
    if start is not None and start.is_exact and end.is_exact:
        new_end = to + timedelta((end.latest - start.latest).days)
        if new_end >= to:
            return _encoded(_dated(period, "end", new_end))
    elif end.latest >= to:
        return _encoded(period)
    period = _without_details(period, "end")
    del period["end"]
    return _encoded(period)


def _dated(holder: _Object, name: str, day: date) -> _Object:
    """Write a day, and no hour: which one it is to be on that day is the clinician's to say."""
    if wire.is_said(holder.get(name)):
        _text(holder[name])
    return _without_details(holder, name) | {name: _encoded(day.isoformat())}


def _without_details(holder: _Object, name: str) -> _Object:
    """Leave out what is said about a date that is no longer there."""
    return {key: value for key, value in holder.items() if key != f"_{name}"}


def _days(raw: Raw | None) -> ClinicalDate | None:
    """Read a date, or the day of a dateTime as it is written: its sender counts days in its own zone."""
    if not wire.is_said(raw):
        return None
    text = _text(raw)
    return parse(text[:_A_DAY], UTC) if parse(text, UTC) is not None else None


def _text(raw: Raw | None) -> str:
    text = None if raw is None else wire.decode(raw, str)
    if text is None:
        raise _UnclearError
    return text


def _object(raw: Raw) -> _Object:
    found = wire.decode(raw, _Object)
    if found is None:
        raise _UnclearError
    return found


def _part(holder: _Object, name: str) -> _Object:
    """Give an object within another; an empty one where it is not there."""
    raw = holder.get(name)
    return _object(raw) if wire.is_said(raw) else {}


def _list(raw: Raw | None) -> list[Raw]:
    if not wire.is_said(raw):
        return []
    found = wire.decode(raw, list[Raw])
    if found is None:
        raise _UnclearError
    return found


def _encoded(value: Any) -> Raw:
    return Raw(msgspec.json.encode(value))


def _faults(kind: str, order: _Object) -> frozenset[tuple[Any, str]]:
    """List where an order is not as FHIR R4B has it, and how."""
    try:
        _MODELS[kind].model_validate(msgspec.json.decode(msgspec.json.encode(order)))
    except ValidationError as error:
        return frozenset((fault["loc"], fault["type"]) for fault in error.errors())
    except wire.UNREADABLE:
        raise _UnclearError from None
    return frozenset()

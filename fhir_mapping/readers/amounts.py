"""How much of a drug is in a dose, and how often it is to be given, out of the dosages of a record.

Words say nothing here: "1.5 mg/kg" in a text may be a weight-based order or the strength of a vial. What is not plain
has no amount, and whoever asks then cannot tell.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import msgspec
from msgspec import UNSET, Raw, UnsetType

from fhir_mapping import wire
from fhir_mapping.catalog.loader import Catalog
from fhir_mapping.model.treatment import Amount
from fhir_mapping.readers.units import plain_unit

_CACHED_UNITS = 256
_HOURS_PER_DAY = 24
_DAYS = {"d": 1, "wk": 7}


class Regimen(NamedTuple):
    """What a draft order says of its first dose: how much, and the days from one dose to the next."""

    amount: Amount | None = None
    every_days: int | None = None


class _Quantity(msgspec.Struct, frozen=True, gc=False):
    value: float | None = None
    comparator: str | None = None
    unit: wire.Name | None = None
    system: wire.Name | None = None
    code: wire.Name | None = None


class _Repeat(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    bounds_period: wire.Period | None = None
    frequency: int | None = None
    frequency_max: int | None = None
    period: float | None = None
    period_max: float | None = None
    period_unit: str | None = None


class _Timing(msgspec.Struct, frozen=True, gc=False):
    event: tuple[wire.Day, ...] = ()
    repeat: _Repeat | None = None


class _DoseAndRate(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    dose_quantity: Raw | UnsetType = UNSET
    dose_range: Raw | UnsetType = UNSET


class _Dosed(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """A dosage, with the places where R4, STU3 and an administered dose say how much."""

    sequence: int | None = None
    timing: _Timing | None = None
    dose_and_rate: Raw | UnsetType = UNSET
    dose_quantity: Raw | UnsetType = UNSET
    dose_range: Raw | UnsetType = UNSET
    dose: Raw | UnsetType = UNSET

    @property
    def is_dated(self) -> bool:
        """Whether it names a first day, as `planned_start` finds it."""
        if self.timing is None:
            return False
        bounds = self.timing.repeat.bounds_period if self.timing.repeat else None
        return bool(self.timing.event) or (bounds is not None and bounds.start is not None)


def amount_of(use: wire.MedicationUse, catalog: Catalog) -> Amount | None:
    """Read how much one dose of a record is; of one that was broken off, nobody knows how much went in."""
    if type(use) is wire.MedicationAdministration:
        raw = use.dosage if use.status == "completed" else UNSET
    else:
        raw = use.dosage if type(use) is wire.MedicationStatement else use.dosage_instruction
    return _same_amount(_dosages_in(raw), catalog)


def regimen_of(order: wire.MedicationRequest, catalog: Catalog) -> Regimen:
    """Read the dose that an order begins with: of several dosages, the one that names its first day."""
    dosages = _dosages_in(order.dosage_instruction)
    first = _first_of(dosages)
    if first is not None:
        return Regimen(_amount_in(first, catalog), _days_between(first))
    return Regimen(_same_amount(dosages, catalog))


def _dosages_in(raw: Raw | UnsetType) -> Sequence[_Dosed | None]:
    """Give the dosages of a record, None for one that cannot be read."""
    return [wire.decode(member, _Dosed) for member in wire.members_of(raw)]


def _first_of(dosages: Sequence[_Dosed | None]) -> _Dosed | None:
    """Find the dosage that comes first; None where one cannot be read, or nothing tells."""
    known = [dosage for dosage in dosages if dosage is not None]
    if len(known) < len(dosages):
        return None
    dated = next((dosage for dosage in known if dosage.is_dated), None)
    if dated is not None or len(known) == 1:
        return dated or known[0]
    numbers = {dosage.sequence: dosage for dosage in known if dosage.sequence is not None}
    return numbers[min(numbers)] if known and len(numbers) == len(known) else None


def _same_amount(dosages: Iterable[_Dosed | None], catalog: Catalog) -> Amount | None:
    """Give the amount of several dosages where all of them have the same."""
    found = {None if dosage is None else _amount_in(dosage, catalog) for dosage in dosages}
    return found.pop() if len(found) == 1 else None


def _amount_in(dosage: _Dosed, catalog: Catalog) -> Amount | None:
    """Read the amount of one dosage, which may stand there by weight and worked out: None where two contradict."""
    members = wire.members_of(dosage.dose_and_rate)
    rates = [wire.decode(member, _DoseAndRate) for member in members]
    ranges = [dosage.dose_range, *(rate.dose_range for rate in rates if rate is not None)]
    if None in rates or any(wire.members_of(each) for each in ranges):
        return None
    quantities = [dosage.dose, dosage.dose_quantity, *(rate.dose_quantity for rate in rates if rate is not None)]
    amounts = [_amount(each, catalog) for each in quantities if wire.members_of(each)]
    known = [amount for amount in amounts if amount is not None]
    by_mass = {amount.mg for amount in known} - {None}
    by_weight = {amount.mg_per_kg for amount in known} - {None}
    if not known or len(known) < len(amounts) or len(by_mass) > 1 or len(by_weight) > 1:
        return None
    return Amount(next(iter(by_mass), None), next(iter(by_weight), None))


def _amount(raw: Raw | UnsetType, catalog: Catalog) -> Amount | None:
    quantity = wire.decode(raw, _Quantity)
    if quantity is None or quantity.value is None or quantity.comparator is not None:
        return None
    is_ucum = quantity.system is None or quantity.system in catalog.recognition["dose"]["ucum"]
    units = [unit for unit in (quantity.code if is_ucum else None, quantity.unit) if unit is not None]
    scales = {_scale(unit, catalog) for unit in units}
    scale = scales.pop() if len(scales) == 1 else None
    if scale is None or not 0 < quantity.value < math.inf:
        return None
    value = float(f"{quantity.value * scale.mg:.12g}")  # without the noise of binary fractions
    return Amount(mg_per_kg=value) if scale.per_kg else Amount(mg=value)


class _Scale(NamedTuple):
    mg: float
    per_kg: bool


@lru_cache(maxsize=_CACHED_UNITS)
def _scale(unit: str, catalog: Catalog) -> _Scale | None:
    """Say how many mg one unit is, and whether of each kg of body weight."""
    table: Mapping[str, float] = catalog.recognition["dose"]["mg"]
    mass, slash, weight = plain_unit(unit, catalog.labs["spellings"]).partition("/")
    if mass not in table or (slash and weight not in catalog.recognition["dose"]["per_weight"]):
        return None
    return _Scale(float(table[mass]), bool(slash))


def _days_between(dosage: _Dosed) -> int | None:
    """Count the days from one dose to the next, where a dosage is repeated at one plain interval of days."""
    repeat = dosage.timing.repeat if dosage.timing else None
    if repeat is None or repeat.period is None or repeat.frequency_max is not None or repeat.period_max is not None:
        return None
    times = 1 if repeat.frequency is None else repeat.frequency
    period = repeat.period * _DAYS.get(repeat.period_unit or "", 0)
    if repeat.period_unit == "h":
        period = repeat.period / _HOURS_PER_DAY
    if times < 1 or not 0 < period < math.inf or period % times:
        return None
    days = period / times
    return int(days) if days == int(days) else None

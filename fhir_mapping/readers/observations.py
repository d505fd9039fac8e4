"""Observation: disease status, and the laboratory results that draft orders depend on."""

import math
import re
import unicodedata
from collections.abc import Iterator

from msgspec import UNSET

from fhir_mapping import wire
from fhir_mapping.catalog.loader import texts_of
from fhir_mapping.model.dates import ClinicalDate
from fhir_mapping.model.history import DataGap, GapCode, LabResult, LabTest, Progression
from fhir_mapping.readers.context import Context, source_of

_RESULTS = {"final", "amended", "corrected"}
_TESTS = {test.value: test for test in LabTest}
_UNIT_NOISE = re.compile(r"[\s\[\]]|\{[^}]*\}|cells(?=/)")


def read_observation(observation: wire.Observation, context: Context) -> Iterator[LabResult | Progression]:
    """Turn one final result into a fact; preliminary, cancelled and unknown ones are no results."""
    if observation.status not in _RESULTS:
        return
    concepts = context.catalog.concepts("lab", observation.code)
    if "cancer-disease-status" in concepts and _says_worse(observation, context):
        on = _observed(observation, context)
        yield Progression(on, context.certainty(observation), source_of(observation, on))
    for concept in concepts & _TESTS.keys():
        yield from _read_lab(observation, _TESTS[concept], context)


def _says_worse(observation: wire.Observation, context: Context) -> bool:
    value = wire.decode(observation.value_codeable_concept, wire.Concept)
    if value is None:
        text = wire.decode(observation.value_string, str)
        value = wire.Concept(text=text)
    if "disease-status-progression" in context.catalog.concepts("lab", value):
        return True
    sign = context.catalog.signs["progression_value"]
    return any(sign.found_in(text) for text in texts_of(value))


def _read_lab(observation: wire.Observation, test: LabTest, context: Context) -> Iterator[LabResult]:
    quantity = wire.decode(observation.value_quantity, wire.Quantity)
    if quantity is None and observation.value_quantity is not UNSET:
        context.gaps.append(DataGap(GapCode.UNREADABLE, "Observation"))
    if quantity is None or quantity.value is None:
        return
    factor = _factor(quantity, test, context)
    value = quantity.value * factor if factor is not None else math.nan
    if not math.isfinite(value) or value < 0:
        context.gaps.append(DataGap(GapCode.UNIT, "Observation"))
        return
    on = _observed(observation, context)
    low = 0.0 if (quantity.comparator or "").startswith("<") else value
    high = math.inf if (quantity.comparator or "").startswith(">") else value
    yield LabResult(test, low, high, on, source_of(observation, on))


def _factor(quantity: wire.Quantity, test: LabTest, context: Context) -> float | None:
    """Give how many of our units one unit of the sender is, by its UCUM code or its printed unit."""
    factors = context.catalog.labs[test.value]["factors"]
    for unit in (quantity.code, quantity.unit):
        if unit is not None:
            factor = factors.get(_plain_unit(unit))
            if factor is not None:
                return float(factor)
    return None


def _plain_unit(unit: str) -> str:
    """Spell a unit as the table does, whatever sign a sender uses for "micro" and for powers."""
    plain = _UNIT_NOISE.sub("", unicodedata.normalize("NFKC", unit).casefold())
    return plain.replace("\N{GREEK SMALL LETTER MU}", "u").replace("/mcl", "/ul")


def _observed(observation: wire.Observation, context: Context) -> ClinicalDate | None:
    period = observation.effective_period or wire.Period()
    when = observation.effective_date_time or observation.effective_instant or period.end or period.start
    return context.past_day(when, "Observation")

"""Observation: disease status, and the laboratory results that draft orders depend on."""

import math
import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from msgspec import UNSET

from fhir_mapping import wire
from fhir_mapping.catalog.loader import Catalog, texts_of
from fhir_mapping.model.dates import ClinicalDate
from fhir_mapping.model.history import DataGap, GapCode, LabResult, LabTest, Progression
from fhir_mapping.readers.context import Context, source_of

_CACHED_CODES = 4_096
_CACHED_UNITS = 512
_RESULTS = {"final", "amended", "corrected"}
_UNIT_NOISE = re.compile(r"[\s\[\]]|\{[^}]*\}|cells(?=/)")


def read_observation(observation: wire.Observation, context: Context) -> Sequence[LabResult | Progression]:
    """Turn one final result into facts; preliminary, cancelled and unknown ones are no results."""
    is_status, tests = _meaning(observation.code, context.catalog)
    if not (is_status or tests) or observation.status not in _RESULTS:
        return ()
    facts: list[LabResult | Progression] = []
    if is_status and _says_worse(observation, context):
        on = _observed(observation, context)
        facts.append(Progression(on, context.certainty(observation), source_of(observation, on)))
    for test in tests:
        result = _read_lab(observation, test, context)
        if result is not None:
            facts.append(result)
    return facts


@lru_cache(maxsize=_CACHED_CODES)
def _meaning(code: wire.Concept | None, catalog: Catalog) -> tuple[bool, tuple[LabTest, ...]]:
    """Say whether a code stands for the disease status, and for which tests that rules read."""
    concepts = catalog.concepts("lab", code)
    return "cancer-disease-status" in concepts, tuple(test for test in LabTest if test.value in concepts)


def _says_worse(observation: wire.Observation, context: Context) -> bool:
    value = wire.decode(observation.value_codeable_concept, wire.Concept)
    if value is None:
        text = wire.decode(observation.value_string, str)
        value = wire.Concept(text=text)
    if "disease-status-progression" in context.catalog.concepts("lab", value):
        return True
    sign = context.catalog.signs["progression_value"]
    return any(sign.found_in(text) for text in texts_of(value))


def _read_lab(observation: wire.Observation, test: LabTest, context: Context) -> LabResult | None:
    quantity = wire.decode(observation.value_quantity, wire.Quantity)
    if quantity is None and observation.value_quantity is not UNSET:
        context.gaps.append(DataGap(GapCode.UNREADABLE, "Observation"))
    if quantity is None or quantity.value is None:
        return None
    factor = _factor(quantity.code, quantity.unit, test, context.catalog)
    value = quantity.value * factor if factor is not None else math.nan
    if not math.isfinite(value) or value < 0:
        context.gaps.append(DataGap(GapCode.UNIT, "Observation"))
        return None
    on = _observed(observation, context)
    low = high = value
    if quantity.comparator is not None:
        low = 0.0 if quantity.comparator.startswith("<") else value
        high = math.inf if quantity.comparator.startswith(">") else value
    return LabResult(test, low, high, on, source_of(observation, on))


@lru_cache(maxsize=_CACHED_UNITS)
def _factor(code: str | None, printed: str | None, test: LabTest, catalog: Catalog) -> float | None:
    """Give how many of our units one unit of the sender is, by its UCUM code or its printed unit."""
    factors = catalog.labs[test.value]["factors"]
    for unit in (code, printed):
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
    period = observation.effective_period or wire.NO_PERIOD
    when = observation.effective_date_time or observation.effective_instant or period.end or period.start
    return context.past_day(when, "Observation")

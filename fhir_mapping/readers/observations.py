"""Observation: disease status, and the laboratory results that draft orders depend on."""

import math
import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from msgspec import UNSET

from fhir_mapping import wire
from fhir_mapping.catalog.loader import Catalog, texts_of
from fhir_mapping.catalog.phrases import Said
from fhir_mapping.model.dates import ClinicalDate
from fhir_mapping.model.history import DataGap, GapCode, LabResult, LabTest, Progression
from fhir_mapping.model.vocabulary import Certainty
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
    worse = _says_worse(observation, context.catalog) if is_status else None
    if worse is not None:
        on = _observed(observation, context)
        certainty = max(context.certainty(observation), worse, key=[Certainty.STATED, Certainty.POSSIBLE].index)
        facts.append(Progression(on, certainty, source_of(observation, on)))
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


def _says_worse(observation: wire.Observation, catalog: Catalog) -> Certainty | None:
    value = wire.decode(observation.value_codeable_concept, wire.Concept)
    if value is None:
        text = wire.decode(observation.value_string, str)
        value = wire.Concept(text=text)
    return _worse(value, catalog)


@lru_cache(maxsize=_CACHED_CODES)
def _worse(value: wire.Concept, catalog: Catalog) -> Certainty | None:
    """Say how sure a value is of progression; words that leave it open make it possible."""
    if "disease-status-progression" in catalog.concepts("lab", value):
        return Certainty.STATED
    said = {catalog.signs["progression_value"].said_in(text) for text in texts_of(value)}
    if Said.STATED in said:
        return Certainty.STATED
    return Certainty.POSSIBLE if Said.UNCLEAR in said else None


def _read_lab(observation: wire.Observation, test: LabTest, context: Context) -> LabResult | None:
    """Read one result; a value that is there but cannot be read stays a result, so that no older one replaces it."""
    quantity = wire.decode(observation.value_quantity, wire.Quantity)
    if quantity is None or quantity.value is None:
        if observation.value_quantity is UNSET and observation.value_string is UNSET:
            return None
        return _unreadable(observation, test, GapCode.UNREADABLE, context)
    factor = _factor(quantity.code, quantity.unit, test, context.catalog)
    value = quantity.value * factor if factor is not None else math.nan
    if not math.isfinite(value) or value < 0:
        return _unreadable(observation, test, GapCode.UNIT, context)
    on = _observed(observation, context)
    low = high = value
    if quantity.comparator is not None:
        low = 0.0 if quantity.comparator.startswith("<") else value
        high = math.inf if quantity.comparator.startswith(">") else value
    return LabResult(test, low, high, on, source_of(observation, on))


def _unreadable(observation: wire.Observation, test: LabTest, code: GapCode, context: Context) -> LabResult:
    context.gaps.append(DataGap(code, "Observation"))
    on = _observed(observation, context)
    return LabResult(test, 0.0, math.inf, on, source_of(observation, on))


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

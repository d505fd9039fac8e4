"""Observation: results of the laboratory, scores, vital signs, and the status of the disease."""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from operator import itemgetter
from typing import NamedTuple

from msgspec import UNSET

from fhir_mapping import wire
from fhir_mapping.elements import concepts_in
from fhir_mapping.model.care import EyeExamination
from fhir_mapping.model.dates import ClinicalDate, parse
from fhir_mapping.model.history import DataGap, GapCode
from fhir_mapping.model.results import DiseaseStatus, Finding, LabResult, SerologyResult, Status
from fhir_mapping.model.treatment import Progression, SourceRef
from fhir_mapping.model.vocabulary import Certainty
from fhir_mapping.readers.context import Context, source_of
from fhir_mapping.readers.disease import standing_in
from fhir_mapping.readers.labs import bounds_of
from fhir_mapping.readers.results import (
    Meaning,
    Quantity,
    Valued,
    components_of,
    count_of_values,
    meaning_of,
    sole_test,
)
from fhir_mapping.readers.serology import finding_of

_RESULTS = frozenset({"final", "amended", "corrected"})
_LONGEST_STATUS = 1_000  # characters; what a text says of the disease stands before that
_NOT_READABLE = (0.0, math.inf)

Fact = LabResult | SerologyResult | DiseaseStatus | Progression | EyeExamination


def read_observations(observations: Iterable[wire.Observation], context: Context) -> Iterator[Fact]:
    """Turn observations into facts; of a test of which only the newest result counts, older ones are passed over."""
    wanted, catalog, zone = context.observed, context.catalog, context.zone
    newest = wanted.newest if wanted is not None else frozenset[str]()
    series: dict[str, list[tuple[date, wire.Observation]]] = defaultdict(list)
    for observation in observations:
        only = sole_test(observation.code, catalog)
        if only in newest:
            when = observation.effective_date_time or _when(observation)  # most have the first
            on = parse(when, zone) if when is not None else None
            # One without a date may be the newest of all
            series[only].append((on.latest if on is not None else date.max, observation))
        elif wanted is None or only is None or only in wanted.concepts or observation.component is not UNSET:
            yield from read_observation(observation, context)
    for results in series.values():
        since = date.min
        for day, observation in sorted(results, key=itemgetter(0), reverse=True):
            if day < since:
                break
            for fact in read_observation(observation, context):
                yield fact
                if isinstance(fact, LabResult) and fact.on is not None:
                    since = max(since, fact.on.earliest)


def read_observation(observation: wire.Observation, context: Context) -> Sequence[Fact]:
    """Turn one final result into facts; preliminary, cancelled and unknown ones are no results."""
    meaning = meaning_of(observation.code, context.catalog)
    if (meaning is None and observation.component is UNSET) or observation.status not in _RESULTS:
        return ()
    if observation.component is not UNSET:
        return _read_panel(observation, meaning, context)
    if meaning is None:
        return ()
    if meaning.only is not None:
        if context.observed is not None and meaning.only.test not in context.observed.concepts:
            return ()
        return _read_quantity(observation, meaning.only, context)
    facts: list[Fact] = []
    _result_of(observation, context).read(observation, meaning, facts)
    return facts


def _read_quantity(observation: wire.Observation, quantity: Quantity, context: Context) -> Sequence[LabResult]:
    """Read a test that comes as a number and is nothing else: most of a chart, so without detours."""
    bounds = bounds_of(observation, quantity)
    if bounds is None:
        return ()
    on = _observed(observation, context)
    issued = _issued(observation, context) if on is None else None
    low, high = _NOT_READABLE
    if context.certainty(observation) is Certainty.STATED:
        if not isinstance(bounds, GapCode):
            low, high = bounds
        else:
            context.gaps.append(DataGap(bounds, "Observation"))
    return (LabResult(quantity.test, low, high, on, source_of(observation, on), issued),)


def _read_panel(observation: wire.Observation, meaning: Meaning | None, context: Context) -> Sequence[Fact]:
    """Read an Observation and its parts, each by its own code; where it has no value itself, the parts may be it."""
    parts = components_of(observation)
    known = [(part, known) for part in parts if (known := meaning_of(part.code, context.catalog)) is not None]
    facts: list[Fact] = []
    if meaning is None and not known:
        return facts
    result = _result_of(observation, context)
    for part, part_meaning in known:
        result.read(part, part_meaning, facts)
    if meaning is not None:
        if not count_of_values(observation) and any(map(count_of_values, parts)):
            facts += result.of_panel(meaning, [serology.test for _, m in known for serology in m.serology])
        result.read(observation, meaning, facts)
    return facts


def _result_of(observation: wire.Observation, context: Context) -> "_Result":
    on = _observed(observation, context)
    issued = _issued(observation, context) if on is None else None
    is_certain = context.certainty(observation) is Certainty.STATED
    return _Result(context, on, issued, source_of(observation, on), is_certain)


def _observed(observation: wire.Observation, context: Context) -> ClinicalDate | None:
    return context.past_day(_when(observation), "Observation")


def _when(observation: wire.Observation) -> str | None:
    when = observation.effective_date_time or observation.effective_instant
    if when is not None:
        return when
    period = observation.effective_period or wire.NO_PERIOD
    return period.end or period.start


def _issued(observation: wire.Observation, context: Context) -> ClinicalDate | None:
    """Give the day after which a result without a date of its own cannot have been observed."""
    return context.past_day(observation.issued, "Observation") if observation.issued is not None else None


class _Result(NamedTuple):
    """One Observation while it is read; where it is not certain, nothing is known of its values."""

    context: Context
    on: ClinicalDate | None
    issued: ClinicalDate | None
    source: SourceRef
    is_certain: bool

    def read(self, item: Valued, meaning: Meaning, facts: list[Fact]) -> None:
        """Read the Observation itself, or one part of it, for every test that it is a result of."""
        is_trusted = self.is_certain and not meaning.is_contradictory
        if meaning.is_contradictory and count_of_values(item):
            self._gap(GapCode.UNREADABLE)
        for quantity in meaning.quantities:
            bounds = bounds_of(item, quantity)
            if bounds is not None:
                if type(bounds) is GapCode and is_trusted:
                    self._gap(bounds)
                low, high = bounds if type(bounds) is tuple and is_trusted else _NOT_READABLE
                facts.append(LabResult(quantity.test, low, high, self.on, self.source, self.issued))
        for serology in meaning.serology:
            reading = finding_of(item, serology.test, self.context.catalog)
            if reading is not None:
                if not reading.is_understood and is_trusted:
                    self._gap(GapCode.UNREADABLE)
                found = reading.finding if is_trusted and not serology.is_unclear else Finding.INDETERMINATE
                facts.append(SerologyResult(serology.test, found, self.on, self.source, self.issued))
        if meaning.is_eye_examination and is_trusted and count_of_values(item):
            facts.append(EyeExamination(self.on, self.source))
        if meaning.is_disease_status:
            facts += self._disease_status(item, is_trusted=is_trusted)

    def _disease_status(self, item: Valued, *, is_trusted: bool) -> Iterator[Fact]:
        """Read how the myeloma stands; a value of which we are not sure leaves progression possible."""
        if not count_of_values(item):
            return
        value = concepts_in(item.value_codeable_concept)
        text = wire.decode(item.value_string, str) or ""
        stated = value.read[0] if value.read else wire.Concept(text=text[:_LONGEST_STATUS])
        standing = standing_in(stated, self.context.catalog)
        is_one = value.is_whole and len(value.read) <= 1 and count_of_values(item) == 1
        if not (standing.is_understood and is_one):
            self._gap(GapCode.UNREADABLE)
        is_sure = is_trusted and is_one and item.data_absent_reason is UNSET
        yield DiseaseStatus(standing.status if is_sure else Status.UNDETERMINED, self.on, self.source)
        if standing.worse is not None or not is_one:
            worse = standing.worse if is_sure and standing.worse else Certainty.POSSIBLE
            yield Progression(self.on, worse, self.source)

    def of_panel(self, meaning: Meaning, tests: Sequence[str]) -> Iterator[SerologyResult]:
        """Say that a panel was measured of which we cannot read the parts, e.g. antibodies to 23 serotypes."""
        for serology in meaning.serology:
            if serology.test not in tests:
                yield SerologyResult(serology.test, Finding.INDETERMINATE, self.on, self.source, self.issued)

    def _gap(self, code: GapCode) -> None:
        self.context.gaps.append(DataGap(code, "Observation"))

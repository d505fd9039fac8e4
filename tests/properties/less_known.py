"""Histories that say less: one record dated worse, not dated, less certain, or without its product or donor."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

from fhir_mapping.model.dates import ClinicalDate
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.treatment import Course, TransplantKind
from fhir_mapping.model.vocabulary import Certainty
from tests.build import AS_OF

_RECORDS = ("courses", "infusions", "transplants", "collections", "stem_cell_collections", "progressions")
_DATES = ("first_dose", "last_dose", "infused", "collected", "on")
_LEAST = {"certainty": Certainty.POSSIBLE, "kind": TransplantKind.UNKNOWN, "product": None}


def less_known(history: TreatmentHistory, before: int, after: int) -> Iterator[TreatmentHistory]:
    """Change each record in turn; a vaguer date may lie so many days earlier or later, but not after today."""
    for name in _RECORDS:
        records = getattr(history, name)
        for place, record in enumerate(records):
            for less in _less(record, before, after):
                changed: dict[str, Any] = {name: (*records[:place], less, *records[place + 1 :])}
                yield replace(history, **changed)


def _less(record: Any, before: int, after: int) -> Iterator[Any]:
    dates = {name: getattr(record, name) for name in _DATES if getattr(record, name, None) is not None}
    vague = {name: _vaguer(on, before, after) for name, on in dates.items()}
    for found in (vague, dict.fromkeys(dates)):
        changed: dict[str, Any] = dict(found)
        if isinstance(record, Course):  # an order counts from the day on which it was written
            changed["sources"] = tuple(source._replace(on=found.get("first_dose")) for source in record.sources)
        yield replace(record, **changed)
    yield from (replace(record, **{name: value}) for name, value in _LEAST.items() if hasattr(record, name))


def _vaguer(on: ClinicalDate, before: int, after: int) -> ClinicalDate:
    return ClinicalDate(on.earliest - timedelta(before), min(on.latest + timedelta(after), max(AS_OF, on.latest)))

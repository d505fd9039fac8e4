"""Reads synthetic resources as the service does: over the wire, into one treatment history."""

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from zoneinfo import ZoneInfo

from fhir_mapping import piles, wire
from fhir_mapping.build import Draft, Drafts, build_history, read_orders
from fhir_mapping.catalog.loader import load
from fhir_mapping.model.coverage import Coverage, Level, TopicCoverage
from fhir_mapping.model.dates import ClinicalDate
from fhir_mapping.model.history import GapCode, TreatmentHistory
from fhir_mapping.model.orders import ProposedOrder
from fhir_mapping.model.treatment import Course
from fhir_mapping.model.vocabulary import Topic
from fhir_mapping.needs import Observed, coverage_of
from tests.build import AS_OF, Resource, bundle

ZONE = ZoneInfo("America/New_York")
ALL_READ = Coverage({topic: TopicCoverage(Level.COMPLETE) for topic in Topic})


def decoded(sent: Resource) -> piles.Pile:
    """Decode a Bundle or one resource."""
    pile = piles.decode_pile(json.dumps(sent).encode())
    assert pile is not None
    return pile


def read_bundle(
    sent: Resource, drafts: Drafts | None = None, as_of: date = AS_OF, observed: Observed | None = None
) -> TreatmentHistory:
    """Read a whole Bundle, with whatever its entries hold besides the resources."""
    pile = decoded(sent)
    return build_history(pile.found, coverage_of({}), load(), as_of, ZONE, drafts, pile.unreadable, observed=observed)


def read(
    *resources: Resource, drafts: Drafts | None = None, as_of: date = AS_OF, observed: Observed | None = None
) -> TreatmentHistory:
    """Read some resources; of the observations those that are `observed`, or all."""
    return read_bundle(bundle(resources), drafts, as_of, observed)


def fully_read(*resources: Resource, unread: Topic | None = None) -> TreatmentHistory:
    """Read resources as a chart that was read completely, but for one Topic."""
    partly = {unread: TopicCoverage(Level.PARTIAL)} if unread else {}
    return replace(read(*resources), coverage=Coverage({**ALL_READ.topics, **partly}))


def drafts_of(*resources: Resource) -> Drafts:
    """Take resources as the drafts of a request, each one judged; Medications come along."""
    found = decoded(bundle(resources)).found
    orders = [r for item in found if isinstance(r := item.resource, wire.MedicationRequest | wire.ServiceRequest)]
    medications = tuple(item for item in found if isinstance(item.resource, wire.Medication))
    return Drafts(tuple(Draft(order) for order in orders), medications)


def proposed(*resources: Resource) -> tuple[ProposedOrder, ...]:
    """Read draft orders alone."""
    return read_orders(drafts_of(*resources), load(), AS_OF, ZONE)


def span(earliest: str, latest: str | None = None) -> ClinicalDate:
    """Make a clinical date from ISO days."""
    return ClinicalDate(date.fromisoformat(earliest), date.fromisoformat(latest or earliest))


def names(courses: Iterable[Course]) -> list[str]:
    """Name the drugs of some courses."""
    return [course.drug.name for course in courses]


def gaps(history: TreatmentHistory) -> set[GapCode]:
    """Say what could not be read."""
    return {gap.code for gap in history.gaps}


def is_silent(history: TreatmentHistory) -> bool:
    """Whether no treatment of any kind was read."""
    return not (
        history.courses
        or history.infusions
        or history.collections
        or history.progressions
        or history.supportive_care
        or history.unrecognised
    )

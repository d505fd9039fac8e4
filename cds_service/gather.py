"""Gets the resources that the rules need, and notes for every search how completely it was answered."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cds_service.hook_models import are_about
from fhir_mapping import wire
from fhir_mapping.model.coverage import Level
from fhir_mapping.needs import Reading, Search

_UNAVAILABLE = Reading(Level.UNAVAILABLE)


@dataclass(slots=True)
class Gathered:
    """What was read so far; `foreign_keys` names the prefetch keys that were dropped for another patient's data."""

    found: list[wire.Found] = field(default_factory=list)
    readings: dict[str, Reading] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)
    foreign_keys: list[str] = field(default_factory=list)

    def read(
        self,
        keys: Iterable[str],
        searches: Mapping[str, Search],
        prefetch: Mapping[str, wire.Pile | None],
        patient_id: str,
    ) -> None:
        """Read some of the searches from the prefetch."""
        for key in keys:
            self.readings[key] = self._read_one(key, searches[key], prefetch.get(key), patient_id)

    def _read_one(self, key: str, search: Search, pile: wire.Pile | None, patient_id: str) -> Reading:
        if pile is None:
            return _UNAVAILABLE
        if not are_about(pile.found, patient_id):
            self.foreign_keys.append(key)
            return _UNAVAILABLE
        kinds = [type(item.resource).__name__ for item in pile.found]
        wanted = kinds.count(search.resource_type)
        outcomes: list[wire.OperationOutcome] = []
        if wanted < len(kinds):
            outcomes = [o for item in pile.found if isinstance(o := item.resource, wire.OperationOutcome)]
        failed = any(outcome.says_failed for outcome in outcomes)
        others = len(pile.found) - len(outcomes) + len(pile.other_types)
        if not wanted and (failed or others):
            return _UNAVAILABLE  # an error, or nothing but resources of other types
        self.found += pile.found
        self.unreadable += (kind or search.resource_type for kind in pile.unreadable)
        is_complete = pile.is_whole and not pile.unreadable and not failed
        if outcomes and not wanted and len(pile.found) == len(outcomes):
            is_complete = not pile.unreadable  # "no results", said as a warning
        return Reading(Level.COMPLETE if is_complete else Level.PARTIAL, wanted)

"""Gets the resources that the rules need, and notes for every search how completely it was answered.

What the client sent comes first; the rest is read from its FHIR server where that may be done.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import partial
from operator import attrgetter

import msgspec

from cds_service.fhir.reader import Answer, Reader
from cds_service.hook_models import are_about
from fhir_mapping import piles, wire
from fhir_mapping.model.coverage import Level
from fhir_mapping.needs import Reading, Search
from fhir_mapping.newest import reach_back

_UNAVAILABLE = Reading(Level.UNAVAILABLE)
FROM_PREFETCH = "prefetch"
FROM_FHIR = "fhir"
_NOT_USABLE = "not_usable"
_RESOURCE = attrgetter("resource")
# An Enum is slow to look a member up in
_COMPLETE, _PARTIAL, _UNREAD = Level.COMPLETE, Level.PARTIAL, Level.UNAVAILABLE


@dataclass(slots=True)
class Gathered:
    """What was read so far.

    `reader` is None where no FHIR server may be read, `no_access` says why. `found_by` is what each search gave,
    `origins` says where it was read, or in one word why it was not; `foreign_keys` names the searches that held another
    patient's data.
    """

    searches: Mapping[str, Search]
    prefetch: Mapping[str, piles.Pile | None]
    patient_id: str
    today: date
    reader: Reader | None = None
    no_access: str = ""
    unsupported_types: Collection[str] = ()
    found: list[piles.Found] = field(default_factory=list)
    found_by: dict[str, Sequence[piles.Found]] = field(default_factory=dict)
    readings: dict[str, Reading] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)
    foreign_keys: list[str] = field(default_factory=list)
    origins: dict[str, str] = field(default_factory=dict)
    _sent: dict[str, tuple[piles.Pile | None, Reading]] = field(default_factory=dict)
    _asked: set[str] = field(default_factory=set)

    @property
    def resources(self) -> Iterator[wire.Resource]:
        """Give the resources that were found, without their addresses."""
        return map(_RESOURCE, self.found)

    def start(self) -> None:
        """Look through what was sent, and have the rest searched for, all at once; a second call does nothing."""
        if self._sent:
            return
        for key, search in self.searches.items():
            pile = self.prefetch.get(key)
            if pile is not None and not are_about(pile.found, self.patient_id):
                self.foreign_keys.append(key)
                pile = None
            pile = self._as_far_as_asked(pile, search)
            reading = _reading_of(pile, search)
            self._sent[key] = pile, reading
            if self.reader is None or (pile is not None and _answers(pile, reading)):
                continue
            if pile is not None and pile.next_link is not None:
                self._asked.add(key)
                self.reader.follow(key, pile)
            elif search.resource_type not in self.unsupported_types:
                self._asked.add(key)
                self.reader.start(key, search.query, self._enough_for(search))

    def finish(self, keys: Iterable[str]) -> None:
        """Take some of the searches in, waiting for those that are under way."""
        for key in keys:
            sent, reading = self._sent[key]
            if key in self._asked and self.reader is not None:
                self._take_answer(key, self.searches[key], sent, self.reader.answer(key))
            else:
                self.origins[key] = FROM_PREFETCH if sent is not None else self._why_not_sent(key)
                self._take(key, sent, reading)

    def _why_not_sent(self, key: str) -> str:
        return "foreign" if key in self.foreign_keys else self.no_access or "not_sent"

    def look_up(self, references: Iterable[str]) -> Sequence[piles.Found]:
        """Read the Medications that records refer to and nobody sent."""
        found = self.reader.medications(references) if self.reader is not None else ()
        self.found += found
        return found

    def _take_answer(self, key: str, search: Search, sent: piles.Pile | None, answer: Answer) -> None:
        pile = answer.pile
        if answer.fault == "another_patient":
            self.foreign_keys.append(key)
        elif pile is None:
            pile = sent  # a part that was sent is better than nothing
        elif sent is not None:
            pile, answer = _both(sent, pile, answer, search)
        pile = self._as_far_as_asked(pile, search)
        reading = _reading_of(pile, search)
        if answer.fault and reading.level is Level.COMPLETE:
            reading = Reading(Level.PARTIAL, reading.entries)
        self._take(key, pile, reading)
        is_usable = reading.level is not Level.UNAVAILABLE
        self.origins[key] = answer.fault or (FROM_FHIR if is_usable else _NOT_USABLE)

    def _enough_for(self, search: Search) -> Callable[[Iterable[piles.Found]], bool] | None:
        """Say how a search that asks for the newest records alone knows that it has them."""
        if search.newest_days is None:
            return None
        return partial(reach_back, day=self.today - timedelta(search.newest_days))

    def _as_far_as_asked(self, pile: piles.Pile | None, search: Search) -> piles.Pile | None:
        """Take the newest records for all, where nobody asks for older ones."""
        enough = self._enough_for(search)
        if pile is None or enough is None or not enough(pile.found):
            return pile
        return msgspec.structs.replace(pile, is_whole=True, next_link=None, total=None)

    def _take(self, key: str, pile: piles.Pile | None, reading: Reading) -> None:
        self.readings[key] = reading
        if pile is not None and reading.level is not _UNREAD:
            self.found += pile.found
            self.found_by[key] = pile.found
            if pile.unreadable:
                self.unreadable += (kind or self.searches[key].resource_type for kind in pile.unreadable)


def _both(sent: piles.Pile, searched: piles.Pile, answer: Answer, search: Search) -> tuple[piles.Pile, Answer]:
    """Take what was sent beside what the server gave: a record that only one of them has still stands.

    Where the server does not know a record that was sent, neither list is the whole truth.
    """
    known = {(type(item.resource), item.resource.id) for item in searched.found}
    resources = [item for item in sent.found if not isinstance(item.resource, wire.OperationOutcome)]
    missing = [item for item in resources if (type(item.resource), item.resource.id) not in known]
    if any(type(item.resource).__name__ == search.resource_type for item in missing):
        answer = replace(answer, fault=answer.fault or "differs_from_prefetch")
    return msgspec.structs.replace(searched, found=(*searched.found, *missing)), answer


def _answers(pile: piles.Pile, reading: Reading) -> bool:
    """Whether what was sent answers a search, be it by an error: then the server is not asked again."""
    if pile.next_link is not None:
        return False
    if reading.level is Level.COMPLETE or any(outcome.says_failed for outcome in _outcomes(pile)):
        return True
    # Parts that the client could not give us, the server will not give either; but it has the rest of a longer list
    return reading.level is Level.PARTIAL and pile.is_whole and _has_its_total(pile, reading.entries)


def _reading_of(pile: piles.Pile | None, search: Search) -> Reading:
    if pile is None:
        return _UNAVAILABLE
    wanted = [*map(type, map(_RESOURCE, pile.found))].count(wire.TYPES[search.resource_type])
    is_sound = not pile.unreadable and not pile.was_pruned and _has_its_total(pile, wanted)
    if wanted < len(pile.found) or pile.other_types:
        return _reading_of_mixed(pile, wanted, is_sound=is_sound)
    return Reading(_COMPLETE if is_sound and pile.is_whole else _PARTIAL, wanted)


def _reading_of_mixed(pile: piles.Pile, wanted: int, *, is_sound: bool) -> Reading:
    """Judge what holds more than was asked for: remarks of the server, or resources of other types."""
    outcomes = _outcomes(pile)
    failed = any(outcome.says_failed for outcome in outcomes)
    others = len(pile.found) - len(outcomes) + len(pile.other_types)
    if not wanted and (failed or others):
        return _UNAVAILABLE  # an error, or nothing but resources of other types
    # A remark alone is "no results", said as a warning
    is_whole = pile.is_whole or (pile.is_single and bool(outcomes))
    return Reading(_COMPLETE if is_sound and is_whole and not failed else _PARTIAL, wanted)


def _has_its_total(pile: piles.Pile, wanted: int) -> bool:
    """Whether as many matches came as the sender says there are; a remark or an included resource is no match."""
    return pile.total is None or pile.total <= wanted


def _outcomes(pile: piles.Pile) -> list[wire.OperationOutcome]:
    return [o for item in pile.found if isinstance(o := item.resource, wire.OperationOutcome)]

"""Finds dates close to another without comparing each with each: charts may hold thousands."""

from collections import defaultdict

from fhir_mapping.model.dates import ClinicalDate

_DAYS = 32  # of one drawer
_MOST_DRAWERS = 16  # a date that fills more is vague, and close to anything


class Nearby:
    """Dates by the number under which they were put in."""

    def __init__(self) -> None:
        self._drawers: dict[int, set[int]] = defaultdict(set)
        self._vague: set[int] = set()
        self._all: set[int] = set()

    def put(self, number: int, on: ClinicalDate | None) -> None:
        """Put a date in; one that is not known may be any."""
        self._all.add(number)
        drawers = _drawers(on, 0)
        if drawers is None:
            self._vague.add(number)
        else:
            for drawer in drawers:
                self._drawers[drawer].add(number)

    def near(self, on: ClinicalDate | None, days: int) -> list[int]:
        """List the numbers, in their order, of all dates that may lie at most so many days away, and of a few more."""
        drawers = _drawers(on, days)
        if drawers is None:
            return sorted(self._all)
        return sorted(self._vague.union(*(self._drawers[drawer] for drawer in drawers if drawer in self._drawers)))


def _drawers(on: ClinicalDate | None, days: int) -> range | None:
    if on is None:
        return None
    first, last = (on.earliest.toordinal() - days) // _DAYS, (on.latest.toordinal() + days) // _DAYS
    return range(first, last + 1) if last - first < _MOST_DRAWERS else None

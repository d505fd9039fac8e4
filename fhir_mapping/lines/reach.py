"""How far a start reaches: until which day others certainly belong to the same line, whatever happened around them."""

from bisect import bisect_left
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from typing import NamedTuple

from fhir_mapping.lines.starts import Chart, Start


class Reach(NamedTuple):
    """The days from the latest on which a start was made until the last on which others certainly belong to it.

    Two starts belong together where their reaches meet. One that ends before it begins meets no other.
    """

    since: date
    until: date

    def meets(self, other: "Reach") -> bool:
        """Whether each of two starts certainly lies in the reach of the other."""
        return max(self.since, other.since) <= min(self.until, other.until)


def together(starts: Iterable[Start], reach_of: Callable[[Start], Reach]) -> list[list[Start]]:
    """Put starts that all belong to each other together, each group in order, into as few groups as there can be.

    Of each group the start whose reach ends first belongs to none of the other groups' firsts: so no more starts than
    there are groups can be found of which no two belong together.
    """
    groups: list[list[Start]] = []
    until = date.min
    for reach, start in sorted(((reach_of(start), start) for start in starts), key=lambda pair: pair[0].until):
        if reach.since > reach.until:  # it belongs to no other
            groups.append([start])
        elif reach.since > until:
            groups.append(current := [start])
            until = reach.until
        else:
            current.append(start)
    return [sorted(group, key=lambda start: start.order) for group in groups]


class Reaches:
    """The reach of every start of a chart, no further than to the day before the myeloma may have progressed."""

    def __init__(self, chart: Chart) -> None:
        self._chart = chart
        self._join = timedelta(chart.days["regimen_join"])
        self._pause = timedelta(chart.days["treatment_pause"])
        dated = sorted((e.on.latest, e.on.earliest) for e in chart.history.progressions if e.on is not None)
        self._latest = [latest for latest, _ in dated]
        self._next = [earliest for _, earliest in dated]  # the earliest of this progression and all later ones
        for position in range(len(dated) - 2, -1, -1):
            self._next[position] = min(self._next[position], self._next[position + 1])

    def joined_at_most(self, start: Start) -> Reach:
        """Give the days in which drugs join the regimen of a start, if no progression comes between."""
        return Reach(start.begins.latest, start.begins.earliest + self._join)

    def joined(self, start: Start) -> Reach:
        """Give the days in which drugs certainly join the regimen of a start."""
        return self._to_progression(start, start.begins.earliest + self._join)

    def continued(self, start: Start) -> Reach:
        """Give the days in which more of the same drug certainly goes on with it: meanwhile, or after a short pause.

        Drugs that are started later than its regimen may mean another line, to which it then belongs.
        """
        after, until = start.begins.earliest + self._join, start.last.earliest + self._pause
        begun = self._chart.started_between(start.key, after, until)
        until = min((other.begins.earliest for other in begun), default=until)
        resumed = self._to_progression(start, until)
        return Reach(resumed.since, max(resumed.until, start.last.earliest))

    def _to_progression(self, start: Start, until: date) -> Reach:
        first = start.begins.earliest
        position = bisect_left(self._latest, first + timedelta(1))
        if self._chart.may_hide_progression:
            until = first
        elif position < len(self._next):
            until = min(until, self._next[position] - timedelta(1))
        return Reach(start.begins.latest, max(first, until))

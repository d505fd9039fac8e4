"""The maximum: the most starts that may each have begun a line.

A start counts unless a record that is certain makes it part of another's line. Each such rule looks at the start, at
that one record, and at what may have happened around them, never at how other starts were put together; so whatever is
less certain, or has a vaguer date, can only let more starts count. Of drugs that join each other in one regimen only
one can begin a line.
"""

from bisect import bisect_left
from collections.abc import Iterable
from datetime import date, timedelta

from fhir_mapping.lines.starts import Chart, Start
from fhir_mapping.model.treatment import Course, EndReason


def most_lines(chart: Chart) -> int:
    """Count the most lines that the treatment on record may have been."""
    reaches = _Reaches(chart)
    counted = [drug for drug in chart.drugs if not _is_part(drug, chart, reaches)]
    transplants = sum(not _is_in_programme(transplant, chart) for transplant in chart.transplants)
    return len(chart.infusions) + len(chart.undated) + transplants + _regimens(counted, reaches)


class _Reaches:
    """How long after a start others certainly join its regimen: some days, and no further than to progression."""

    def __init__(self, chart: Chart) -> None:
        self._join = timedelta(chart.days["regimen_join"])
        self._is_hidden = chart.may_hide_progression
        dated = sorted((e.on.latest, e.on.earliest) for e in chart.history.progressions if e.on is not None)
        self._latest = [latest for latest, _ in dated]
        self._next = [earliest for _, earliest in dated]  # the earliest of all that may come after
        for position in range(len(dated) - 2, -1, -1):
            self._next[position] = min(self._next[position], self._next[position + 1])

    def last_day(self, start: Start) -> date:
        """Give the last day on which another start still joins this one; never before its own first day."""
        first = start.begins.earliest
        if self._is_hidden:
            return first
        position = bisect_left(self._latest, first + timedelta(1))
        if position == len(self._next):
            return first + self._join
        return max(first, min(first + self._join, self._next[position] - timedelta(1)))

    def are_one_regimen(self, start: Start, other: Start) -> bool:
        """Whether two starts certainly lie so close together, without progression between."""
        return max(start.begins.latest, other.begins.latest) <= min(self.last_day(start), self.last_day(other))


def _regimens(drugs: Iterable[Start], reaches: _Reaches) -> int:
    """Count the most drugs of which none joins another."""
    count, last = 0, date.min
    for joined_until, latest in sorted((reaches.last_day(drug), drug.begins.latest) for drug in drugs):
        if latest > joined_until:
            count += 1  # too vague to join any
        elif latest > last:
            count, last = count + 1, joined_until
    return count


def _is_part(start: Start, chart: Chart, reaches: _Reaches) -> bool:
    """Whether a drug certainly belongs to what was begun before, whatever line that is."""
    return (
        any(chart.is_bridging(start, cells) or _joins_cells(start, cells, reaches) for cells in chart.infusions)
        or any(_goes_on(start, before, chart) for before in chart.drugs)
        or any(_maintains_transplant(start, cells, chart) for cells in chart.transplants)
        or any(_maintains_regimen(start, first, chart, reaches) for first in chart.drugs)
    )


def _joins_cells(start: Start, cells: Start, reaches: _Reaches) -> bool:
    return cells.certain and cells.begins.latest <= start.begins.earliest and reaches.are_one_regimen(cells, start)


def _goes_on(start: Start, before: Start, chart: Chart) -> bool:
    """Whether a course certainly goes on with one of the same drug, soon after and in the same regimen."""
    if before.key != start.key or not before.certain or before.order >= start.order:
        return False
    pause, join = chart.days["treatment_pause"], timedelta(chart.days["regimen_join"])
    since, until = before.begins.earliest, max(before.begins.latest, start.begins.latest)
    gaps = (start.begins.latest - before.last.earliest, before.begins.latest - start.last.earliest)
    is_during = before.begins.latest <= start.begins.earliest and start.begins.latest <= before.last.earliest
    is_soon = max(gaps).days <= pause and not chart.may_progress(since, until)
    return is_during or (is_soon and not any(True for _ in chart.started_between(start.key, since + join, until)))


def _maintains_transplant(start: Start, transplant: Start, chart: Chart) -> bool:
    """Whether a drug is the maintenance or consolidation after a transplant."""
    if not transplant.certain or not _is_soon(start, transplant, "maintenance", chart):
        return False
    since = transplant.begins.earliest
    if start.key in chart.maintenance and _is_alone(start, since, chart):
        return True
    was_given = any(
        drug.key == start.key and drug.certain and _is_soon(transplant, drug, "transplant_in_line", chart)
        for drug in chart.drugs
    )
    return was_given and not any(True for _ in chart.started_between(start.key, since, start.begins.latest))


def _maintains_regimen(start: Start, first: Start, chart: Chart, reaches: _Reaches) -> bool:
    """Whether a drug is the maintenance after a regimen, of which one drug is given."""
    if not first.certain or first.order >= start.order or first.begins.latest > start.begins.earliest:
        return False
    since = first.begins.earliest
    if (start.begins.latest - first.last.earliest).days > chart.days["maintenance"]:
        return False
    if chart.may_progress(since, start.begins.latest) or _may_be_beside_cells(first, chart):
        return False
    mates = list(_mates(first, chart))
    begun_by = min(mate.begins.earliest for mate in mates) + timedelta(chart.days["regimen_join"])
    if start.key in chart.maintenance and _is_alone(start, begun_by, chart):
        return not any(_ended_for_toxicity(mate) for mate in mates)
    is_same = any(
        drug.key == start.key and drug.certain and drug is not start and reaches.are_one_regimen(drug, first)
        for drug in chart.drugs
    )
    return is_same and not any(True for _ in chart.started_between(start.key, begun_by, start.begins.latest))


def _is_alone(start: Start, begun_by: date, chart: Chart) -> bool:
    """Whether no other drug may have been given with it: all others are over, or begin too late to join it."""
    joins_until = start.begins.latest + timedelta(chart.days["regimen_join"])
    return all(
        other.begins.earliest > joins_until
        or (other.last.latest <= start.begins.earliest and other.begins.latest <= begun_by)
        for other in (*chart.drugs, *chart.infusions)
        if other.key != start.key
    )


def _mates(first: Start, chart: Chart) -> Iterable[Start]:
    """List the drugs that may have been begun with another in one regimen."""
    join = timedelta(chart.days["regimen_join"])
    return (
        drug
        for drug in chart.drugs
        if drug.begins.latest >= first.begins.earliest - join and drug.begins.earliest <= first.begins.latest + join
    )


def _ended_for_toxicity(start: Start) -> bool:
    return isinstance(start.record, Course) and start.record.end_reason is EndReason.TOXICITY


def _may_be_beside_cells(drug: Start, chart: Chart) -> bool:
    """Whether a drug may belong to the line of CAR T cells: as bridging before them, or begun soon after."""
    first = drug.begins.earliest - timedelta(chart.days["regimen_join"])
    last = drug.begins.latest + timedelta(chart.days["collection_to_infusion"])
    return any(cells.is_infusion for cells in chart.undated) or any(
        cells.begins.latest >= first and cells.begins.earliest <= last for cells in chart.infusions
    )


def _is_soon(start: Start, first: Start, limit: str, chart: Chart) -> bool:
    """Whether a start certainly follows another within so many days, without progression between."""
    return (
        first.begins.latest <= start.begins.earliest
        and (start.begins.latest - first.begins.earliest).days <= chart.days[limit]
        and not chart.may_progress(first.begins.earliest, start.begins.latest)
    )


def _is_in_programme(transplant: Start, chart: Chart) -> bool:
    """Whether an autologous transplant completes a regimen, or follows another as the second of two."""
    if not transplant.is_autologous:
        return False
    others = [other for other in chart.transplants if other is not transplant]
    if any(
        other.certain and other.is_autologous and _is_soon(transplant, other, "tandem_transplant", chart)
        for other in others
    ):
        return True
    return any(_completes(transplant, drug, others, chart) for drug in chart.drugs)


def _may_have_past(drug: Start, chart: Chart) -> bool:
    """Whether a drug may go on with, or maintain, what was given before it."""
    if any(other.key == drug.key for other in chart.undated):
        return True
    earlier = [o for o in chart.drugs if o is not drug and o.begins.earliest <= drug.begins.latest]
    if any(other.key == drug.key for other in earlier):
        return True
    return drug.key in chart.maintenance and (
        any(other.last.earliest < drug.begins.latest for other in earlier)
        or any(transplant.begins.earliest <= drug.begins.latest for transplant in chart.transplants)
    )


def _completes(transplant: Start, drug: Start, others: list[Start], chart: Chart) -> bool:
    """Whether a transplant is the one that certainly follows a drug, within a year of the start of its regimen."""
    if not drug.certain or _may_be_beside_cells(drug, chart) or _may_have_past(drug, chart):
        return False
    if not _is_soon(transplant, drug, "transplant_in_line", chart):
        return False
    join = timedelta(chart.days["regimen_join"])
    if any(
        other.begins.latest >= drug.begins.earliest and other.begins.earliest <= transplant.begins.latest
        for other in others
    ) or any(not isinstance(start.record, Course) and not start.is_infusion for start in chart.undated):
        return False
    mates = [mate for mate in _mates(drug, chart) if mate is not drug]
    begun = min([drug.begins.earliest, *(m.begins.earliest for m in mates)])
    ends = drug.begins.latest + join
    is_late = any(m.begins.latest >= transplant.begins.earliest and m.begins.earliest <= ends for m in mates)
    return (transplant.begins.latest - begun).days <= chart.days["transplant_in_line"] and not is_late

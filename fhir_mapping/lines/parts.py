"""What is certainly part of the line of something that was given before it, or of the cells after it.

Each rule looks at a start, at one record that is certain and certainly lies before it (for bridging, after it), and at
what may have happened around the two; never at how other starts were put together. Whatever is less certain, or has
a vaguer date, can therefore only make fewer starts part of a line, and so more of them lines of their own.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import NamedTuple

from fhir_mapping.lines import wording
from fhir_mapping.lines.reach import Reaches
from fhir_mapping.lines.starts import Chart, Start
from fhir_mapping.model.treatment import Course, EndReason


class Part(NamedTuple):
    """A record to whose line a start belongs, and why."""

    of: Start
    why: str


class _Regimen(NamedTuple):
    """What may have been given with a drug: the first day on which it may have begun, and what certainly joined it."""

    begun: date
    drugs: list[Start]
    may_be_ended_for_toxicity: bool


class Parts:
    """Which starts of a chart are certainly part of the line of another, and why."""

    def __init__(self, chart: Chart, reaches: Reaches) -> None:
        self._chart = chart
        self._reaches = reaches
        self._join = timedelta(chart.days["regimen_join"])
        self._regimens: dict[Start, _Regimen] = {}
        self._infusions = [cells for cells in chart.infusions if cells.certain]
        self._transplants = [transplant for transplant in chart.transplants if transplant.certain]
        self._drugs = [drug for drug in reversed(chart.drugs) if drug.certain]  # the latest first

    def of(self, start: Start) -> Part | None:
        """Find a record to whose line a drug or transplant certainly belongs, and say why; cells are always a line."""
        rules = self._of_drug(start) if start.drug else self._of_transplant(start)
        return next(iter(rules), None)

    def _of_drug(self, start: Start) -> Iterator[Part]:
        infusions, transplants = self._infusions, self._transplants
        drugs = [drug for drug in self._drugs if _is_before(drug, start)]
        yield from (Part(cells, wording.BRIDGED) for cells in infusions if self._chart.is_bridging(start, cells))
        yield from (
            Part(cells, wording.MAINTAINED) for cells in transplants if self._maintains_transplant(start, cells)
        )
        yield from (Part(drug, wording.GOES_ON) for drug in drugs if self._goes_on(start, drug))
        yield from (Part(cells, wording.JOINED) for cells in infusions if self._joins(start, cells))
        yield from (Part(drug, wording.MAINTAINED) for drug in drugs if self._maintains_regimen(start, drug))

    def _of_transplant(self, transplant: Start) -> Iterator[Part]:
        if transplant.is_autologous:
            firsts = (first for first in self._transplants if first.is_autologous)
            yield from (Part(drug, wording.COMPLETED) for drug in self._drugs if self._completes(transplant, drug))
            yield from (Part(t, wording.TANDEM) for t in firsts if self._is_soon(transplant, t, "tandem_transplant"))

    # --- Drugs ---

    def _goes_on(self, start: Start, drug: Start) -> bool:
        return drug.key == start.key and start.begins.latest <= self._reaches.continued(drug).until

    def _joins(self, start: Start, cells: Start) -> bool:
        return _is_before(cells, start) and start.begins.latest <= self._reaches.joined(cells).until

    def _maintains_transplant(self, start: Start, transplant: Start) -> bool:
        """Whether a drug is the maintenance or consolidation after a transplant."""
        if not self._is_soon(start, transplant, "maintenance"):
            return False
        since = transplant.begins.earliest
        if start.key in self._chart.maintenance and self._is_alone(start, since):
            return True
        return self._nothing_else_was_started(start, since) and any(
            drug.key == start.key and drug.certain and self._is_soon(transplant, drug, "transplant_in_line")
            for drug in self._chart.drugs
        )

    def _maintains_regimen(self, start: Start, first: Start) -> bool:
        """Whether a drug is the maintenance after a regimen, of which one drug is given."""
        chart = self._chart
        if (start.begins.latest - first.last.earliest).days > chart.days["maintenance"]:
            return False
        if chart.may_progress(first.begins.earliest, start.begins.latest) or self._may_be_beside_cells(first):
            return False
        regimen = self._regimen_of(first)
        begun_by = regimen.begun + self._join
        if start.key in chart.maintenance and not regimen.may_be_ended_for_toxicity and self._is_alone(start, begun_by):
            return True
        was_given = any(drug.key == start.key and drug is not start for drug in regimen.drugs)
        return was_given and self._nothing_else_was_started(start, begun_by)

    def _nothing_else_was_started(self, start: Start, since: date) -> bool:
        return not any(True for _ in self._chart.started_between(start.key, since, start.begins.latest))

    def _is_alone(self, start: Start, begun_by: date) -> bool:
        """Whether no other drug may have been given with it: all others are over, or begin too late to join it."""
        joins_until = start.begins.latest + self._join
        return all(
            other.begins.earliest > joins_until
            or (other.last.latest <= start.begins.earliest and other.begins.latest <= begun_by)
            for other in (*self._chart.drugs, *self._chart.infusions)
            if other.key != start.key
        )

    def _regimen_of(self, drug: Start) -> _Regimen:
        if drug not in self._regimens:
            since, until = drug.begins.earliest - self._join, drug.begins.latest + self._join
            others = ((other, other.begins) for other in self._chart.drugs)
            mates = [other for other, begins in others if begins.latest >= since and begins.earliest <= until]
            reach = self._reaches.joined(drug)
            self._regimens[drug] = _Regimen(
                begun=max(since, min(mate.begins.earliest for mate in mates)),
                drugs=[mate for mate in mates if mate.certain and reach.meets(self._reaches.joined(mate))],
                may_be_ended_for_toxicity=any(_ended_for_toxicity(mate) for mate in mates),
            )
        return self._regimens[drug]

    def _may_be_beside_cells(self, drug: Start) -> bool:
        """Whether a drug may belong to the line of CAR T cells: as bridging before them, or begun soon after."""
        first = drug.begins.earliest - self._join
        last = drug.begins.latest + timedelta(self._chart.days["collection_to_infusion"])
        return any(cells.begins.latest >= first and cells.begins.earliest <= last for cells in self._chart.infusions)

    # --- Transplants ---

    def _completes(self, transplant: Start, drug: Start) -> bool:
        """Whether a transplant is the one that certainly follows a drug, within a year of the start of its regimen."""
        if not self._is_soon(transplant, drug, "transplant_in_line") or self._may_follow_other(transplant, drug):
            return False
        if self._may_be_beside_cells(drug) or self._may_have_past(drug):
            return False
        return (transplant.begins.latest - self._regimen_of(drug).begun).days <= self._chart.days["transplant_in_line"]

    def _may_follow_other(self, transplant: Start, drug: Start) -> bool:
        """Whether another transplant may lie between a drug and a transplant."""
        return any(
            other.begins.latest >= drug.begins.earliest and other.begins.earliest <= transplant.begins.latest
            for other in self._chart.transplants
            if other is not transplant
        )

    def _may_have_past(self, drug: Start) -> bool:
        """Whether a drug may go on with, or maintain, what was given before it, so that its line began earlier."""
        earlier = [o for o in self._chart.drugs if o is not drug and o.begins.earliest <= drug.begins.latest]
        if any(other.key == drug.key for other in earlier):
            return True
        return drug.key in self._chart.maintenance and (
            any(other.last.earliest < drug.begins.latest for other in earlier)
            or any(transplant.begins.earliest <= drug.begins.latest for transplant in self._chart.transplants)
        )

    def _is_soon(self, start: Start, first: Start, limit: str) -> bool:
        """Whether a start certainly follows another within so many days, without progression between."""
        return (
            _is_before(first, start)
            and (start.begins.latest - first.begins.earliest).days <= self._chart.days[limit]
            and not self._chart.may_progress(first.begins.earliest, start.begins.latest)
        )


def _is_before(first: Start, start: Start) -> bool:
    return first.begins.latest < start.begins.earliest


def _ended_for_toxicity(start: Start) -> bool:
    return isinstance(start.record, Course) and start.record.end_reason is EndReason.TOXICITY

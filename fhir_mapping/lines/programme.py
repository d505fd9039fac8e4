"""What certainly belongs to the programme of a line: its transplant, a planned second one, and its maintenance."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta

from fhir_mapping.lines.starts import Chart, Start
from fhir_mapping.model.treatment import Course, EndReason, Transplant


@dataclass(slots=True, eq=False)
class Draft:
    """A line in the making: its starts, each with why it is in it.

    `regimen` are the drugs that were certainly given, `transplants` those that certainly took place; starts come in by
    the day on which they begin.
    """

    members: dict[Start, str] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)
    regimen: list[Start] = field(default_factory=list)
    transplants: list[Start] = field(default_factory=list)
    has_cells: bool = False

    def add(self, start: Start, reason: str) -> "Draft":
        """Put a start into the line."""
        self.members[start] = reason
        self.keys.add(start.key)
        self.has_cells = self.has_cells or start.is_infusion
        if start.certain and isinstance(start.record, Transplant):
            self.transplants.append(start)
        elif start.certain and isinstance(start.record, Course):
            self.regimen.append(start)
        return self


COMPLETED = "The {name} within {transplant_in_line} days of the start of a regimen is part of its programme."
TANDEM = "A second {name} within {tandem_transplant} days, without recorded progression, is part of one programme."
MAINTAINED = (
    "{name} was started within {maintenance} days of the transplant or the end of the regimen, without recorded "
    "progression: it is its maintenance."
)


def programme_of(start: Start, drafts: list[Draft], chart: Chart) -> tuple[Draft, str] | None:
    """Find the line to whose programme a start certainly belongs, the latest first, and say why."""
    for draft in reversed(drafts):
        if draft.has_cells:
            continue
        if start.is_autologous:
            if _completes(start, draft, chart):
                return draft, COMPLETED
            if any(_is_soon(start, first, "tandem_transplant", chart) for first in _own_cells(draft)):
                return draft, TANDEM
        elif start.drug is not None and _maintains(start, draft, chart):
            return draft, MAINTAINED
    return None


def _own_cells(draft: Draft) -> Iterator[Start]:
    return (transplant for transplant in draft.transplants if transplant.is_autologous)


def _completes(transplant: Start, draft: Draft, chart: Chart) -> bool:
    """Whether an autologous transplant lies within a year of the start of a regimen, without progression between."""
    return any(_is_soon(transplant, first, "transplant_in_line", chart) for first in draft.regimen[:1])


def _is_soon(start: Start, first: Start, limit: str, chart: Chart) -> bool:
    """Whether a start certainly follows another within so many days, without progression between."""
    return (
        first.begins.latest <= start.begins.earliest
        and (start.begins.latest - first.begins.earliest).days <= chart.days[limit]
        and not chart.may_progress(first.begins.earliest, start.begins.latest)
    )


def _maintains(start: Start, draft: Draft, chart: Chart) -> bool:
    """Whether a drug is the maintenance of a line: one of its regimen, or a usual one that is given alone."""
    if start.key in draft.keys and any(drug.key == start.key for drug in draft.regimen):
        is_meant = _nothing_else_was_started
    elif start.key in chart.maintenance:
        is_meant = _is_alone
    else:
        return False
    after_transplant = any(
        _is_soon(start, transplant, "maintenance", chart) and is_meant(start, transplant.begins.earliest, draft, chart)
        for transplant in draft.transplants
    )
    if after_transplant:
        return True
    if not draft.regimen:
        return False
    first = draft.regimen[0]
    ended = max(drug.last.earliest for drug in draft.regimen)
    is_switch = is_meant is _is_alone and any(_ended_for_toxicity(drug) for drug in draft.regimen)
    return (
        not is_switch
        and first.begins.latest <= start.begins.earliest
        and (start.begins.latest - ended).days <= chart.days["maintenance"]
        and not chart.may_progress(first.begins.earliest, start.begins.latest)
        and is_meant(start, first.begins.earliest, draft, chart)
    )


def _ended_for_toxicity(start: Start) -> bool:
    return isinstance(start.record, Course) and start.record.end_reason is EndReason.TOXICITY


def _nothing_else_was_started(start: Start, since: date, draft: Draft, chart: Chart) -> bool:
    """Whether no drug of another line may have been started in between."""
    begun = chart.started_between(start.key, since, start.begins.latest)
    return all(other in draft.members for other in begun)


def _is_alone(start: Start, since: date, draft: Draft, chart: Chart) -> bool:
    """Whether no other drug may have been given with it: all others are over, or begin too late to join it."""
    joins_until = start.begins.latest + timedelta(chart.days["regimen_join"])
    others = (other for other in (*chart.drugs, *chart.infusions) if other.key != start.key)
    return all(
        other.begins.earliest > joins_until
        or (other.last.latest <= start.begins.earliest and (other.begins.latest <= since or other in draft.members))
        for other in others
    )

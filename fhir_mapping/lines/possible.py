"""The maximum: starts that are not certainly part of an earlier line."""

from collections import defaultdict
from datetime import date, timedelta

from fhir_mapping.lines.programme import Draft, programme_of
from fhir_mapping.lines.proven import Proven
from fhir_mapping.lines.starts import Chart, Start
from fhir_mapping.lines.wording import BRIDGED, CELLS, GOES_ON, JOINED, UNDATED, why
from fhir_mapping.model.treatment import Transplant


def possible_lines(chart: Chart, proven: Proven) -> tuple[list[Draft], list[Start]]:
    """Put every start into the line to which it certainly belongs; also list those that progression would divide."""
    line_of = {infusion: Draft().add(infusion, CELLS) for infusion in chart.infusions}
    drafts, openers = list(line_of.values()), list(chart.infusions)
    earlier: dict[str, list[Start]] = defaultdict(list)
    regimen: list[Start] = []
    for start in chart.in_order:
        known, said, is_part = _place(start, earlier[start.key], regimen, drafts, line_of, chart)
        if start.certain or not chart.may_hide_progression:
            earlier[start.key].append(start)
        if not is_part:
            openers.append(start)
        if known is None:
            known = Draft()
            drafts.append(known)
            said = why(start, proven, chart)
            if (start.begins.latest - start.begins.earliest).days <= chart.days["regimen_join"]:
                # What may precede a transplant joins the drugs before it as if there were none
                regimen = [start, *regimen] if isinstance(start.record, Transplant) else [start]
        line_of[start] = known
        known.add(start, why(start, proven, chart) if proven.get(start) else said)
    _add_preparations(chart, line_of)
    drafts.sort(key=lambda draft: min(start.order for start in draft.members))
    return [*drafts, *(Draft().add(start, UNDATED) for start in chart.undated)], openers


def _place(
    start: Start,
    earlier: list[Start],
    regimen: list[Start],
    drafts: list[Draft],
    line_of: dict[Start, Draft],
    chart: Chart,
) -> tuple[Draft | None, str, bool]:
    """Find the line of a start, with the reason; the last tells whether even progression leaves it in that line."""
    values = {"name": start.name, **chart.days}
    is_drug = not isinstance(start.record, Transplant)
    if is_drug:
        bridged = next((infusion for infusion in chart.infusions if chart.is_bridging(start, infusion)), None)
        if bridged is not None:
            return line_of[bridged], BRIDGED.format(**values), True
        goes_on = _continued(start, earlier, line_of, chart)
        if goes_on is not None:
            return line_of[goes_on], GOES_ON.format(**values), True
    found = programme_of(start, drafts, chart)
    if found is not None:
        return found[0], found[1].format(**values), True
    if is_drug:
        joined = next((first for first in (*chart.infusions, *regimen) if chart.joins(start, first)), None)
        if joined is not None:
            return line_of[joined], JOINED.format(**values), False
    return None, "", False


def _can_go_on(before: Start, line_of: dict[Start, Draft]) -> bool:
    """Whether others may go on with a start: one that may not have been given must stand in a line by itself.

    Beside other drugs it adds nothing to the count, and what went on with it would then add nothing either.
    """
    return before.certain or line_of[before].keys == {before.key}


def _continued(start: Start, earlier: list[Start], line_of: dict[Start, Draft], chart: Chart) -> Start | None:
    """Find the course of the same drug that this one certainly goes on with, soon after and in the same regimen."""
    pause, join = chart.days["treatment_pause"], timedelta(chart.days["regimen_join"])
    for before in reversed(earlier):
        if not _can_go_on(before, line_of):
            continue
        since, until = before.begins.earliest, max(before.begins.latest, start.begins.latest)
        gaps = (start.begins.latest - before.last.earliest, before.begins.latest - start.last.earliest)
        is_during = before.begins.latest <= start.begins.earliest and start.begins.latest <= before.last.earliest
        is_soon = max(gaps).days <= pause and not chart.may_progress(since, until)
        may_change = any(True for _ in chart.started_between(start.key, since + join, until))
        if (is_during and before.certain) or (is_soon and not may_change):
            return before
    return None


def _add_preparations(chart: Chart, line_of: dict[Start, Draft]) -> None:
    """Name what prepared for cells in their line; mobilisation in that of the treatment before, or the first."""
    in_order = sorted(line_of, key=lambda start: start.order)
    for preparation in chart.preparations:
        start, target = preparation.start, preparation.target
        if target is None:
            before = [other for other in in_order if other.order <= start.order]
            target = next(iter([*reversed(before), *in_order]), None)
        if target is not None:
            line_of[target].add(start, f"{start.name} {preparation.purpose}.")


def early_progressions(chart: Chart, openers: list[Start]) -> int:
    """Count the progressions that may lie between starts so close that the later would else join the earlier."""
    reaches: list[tuple[date, date]] = []  # a progression after the first day, and not after the last, may divide
    starts = sorted(openers, key=lambda start: start.order)
    for position, start in enumerate(starts):
        until = start.begins.earliest
        for other in starts[position + 1 :]:
            if (other.begins.earliest - start.begins.latest).days > chart.days["regimen_join"]:
                break
            until = max(until, start.begins.latest, other.begins.latest)
        if until > start.begins.earliest:
            reaches.append((start.begins.earliest, until))
    return sum(
        any(event.on is None or (event.on.latest > first and event.on.earliest <= until) for first, until in reaches)
        for event in chart.history.progressions
    )

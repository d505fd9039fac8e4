"""Lines of therapy, inferred from what was given and when the myeloma progressed: a range, never a guess.

A line is one planned programme; a change because of progression, relapse or toxicity starts the next (E41a). Charts
seldom say why treatment was changed, so the count has two bounds. The minimum rests on positive evidence alone:
certain doses on both sides of a certain progression, and CAR T infusions. The maximum takes every start that is not
certainly part of an earlier line for a line of its own. All limits are days, in `catalog/definitions.toml`.

Known limits: transplants are not read, so what followed one may be the same line; a switch because of toxicity widens
the range and no more; steroids alone are no line.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta

from fhir_mapping.catalog.loader import Catalog
from fhir_mapping.model.dates import Answer, ClinicalDate, earliest_of, latest_of
from fhir_mapping.model.history import CarTInfusion, Course, EndReason, SourceRef, TreatmentHistory
from fhir_mapping.model.vocabulary import Certainty, Drug, DrugClass, Tier, Topic
from fhir_mapping.refractory import all_treatment_was_read, substance

_LIMITS = ("regimen_join", "treatment_pause", "lymphodepletion", "collection_to_infusion")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of therapy as far as it can be told; `certain` where it counts in the minimum too.

    `drugs` holds no steroids, and is empty for CAR T cells of an unnamed product.
    """

    drugs: tuple[Drug, ...]
    first_day: ClinicalDate | None
    last_day: ClinicalDate | None
    reasons: tuple[str, ...]
    sources: tuple[SourceRef, ...]
    certain: bool
    inferred: bool = True


@dataclass(frozen=True, slots=True)
class LineCount:
    """From how many to how many lines were given, and what widens the range; no maximum where nothing bounds it."""

    minimum: int
    maximum: int | None
    lines: tuple[Line, ...]
    reasons: tuple[str, ...]


def lines_of_therapy(history: TreatmentHistory, catalog: Catalog) -> LineCount:
    """Count the lines of therapy; steroids and supportive drugs make none, doses without any date one at most."""
    chart = _chart_of(history, catalog)
    proven = _proven_lines(chart) or dict.fromkeys([start for start in chart.undated if start.certain][:1])
    lines, openers = _possible_lines(chart, proven)
    splits = _early_progressions(chart, openers)
    most = max(len(proven), min(len(lines) + splits, len(openers) + len(chart.undated)))
    return LineCount(
        minimum=len(proven),
        maximum=most if all_treatment_was_read(history) else None,
        lines=tuple(_finished(line, proven) for line in lines),
        reasons=tuple(_reasons_of(chart, splits)),
    )


# --- What may start a line ---


@dataclass(frozen=True, slots=True, eq=False)
class _Start:
    """A course or an infusion, by the day on which it may start a line: an order, on the day when it was written."""

    record: Course | CarTInfusion
    drug: Drug | None
    key: str
    begins: ClinicalDate
    last: ClinicalDate
    certain: bool
    is_dated: bool

    @property
    def is_infusion(self) -> bool:
        return isinstance(self.record, CarTInfusion)

    @property
    def name(self) -> str:
        return self.drug.name if self.drug else "CAR T cells"

    @property
    def order(self) -> tuple[date, date, str, str]:
        return self.begins.earliest, self.begins.latest, self.key, self.record.sources[0].reference


@dataclass(frozen=True, slots=True)
class _Chart:
    """What the count rests on; everything that may start a line stands in order."""

    history: TreatmentHistory
    days: Mapping[str, int]
    drugs: list[_Start]
    infusions: list[_Start]
    undated: list[_Start]
    lymphodepletion: list[tuple[_Start, _Start]]  # with the infusion that each belongs to
    widest: timedelta  # of the intervals in which the drugs begin

    @property
    def may_hide_progression(self) -> bool:
        """Whether the myeloma may have progressed on any day: records are lost, or one has no date."""
        unread = not self.history.coverage.is_complete(Topic.PROGRESSION)
        return unread or any(event.on is None for event in self.history.progressions)

    def may_progress(self, after: date, until: date) -> bool:
        """Whether the myeloma may have progressed after one day and not after the other."""
        return self.may_hide_progression or any(
            event.on is not None and event.on.latest > after and event.on.earliest <= until
            for event in self.history.progressions
        )

    def may_change(self, key: str, after: date, until: date) -> bool:
        """Whether another drug, or cells, may have been started after one day and before the other."""
        first = bisect_left(self.drugs, after - self.widest, key=lambda start: start.begins.earliest)
        near = self.drugs[first : bisect_left(self.drugs, until, key=lambda start: start.begins.earliest)]
        begun = (other for other in (*near, *self.infusions) if other.key != key)
        return any(other.begins.latest > after and other.begins.earliest < until for other in begun)

    def collections_for(self, infusion: _Start) -> tuple[list[ClinicalDate], list[ClinicalDate]]:
        """Give the T-cell collections that may belong to an infusion, and those that certainly do."""
        limit = timedelta(self.days["collection_to_infusion"])
        first, last = infusion.begins.earliest, infusion.begins.latest
        dates = [found.collected for found in self.history.collections if found.collected]
        possible = [on for on in dates if on.latest >= first - limit and on.earliest <= last]
        return possible, [on for on in possible if last - limit <= on.earliest and on.latest <= first]

    def episode_from(self, infusion: _Start) -> date:
        """Give the first day on which what was given may have been bridging for an infusion."""
        first = infusion.begins.earliest - timedelta(self.days["collection_to_infusion"])
        possible, certain = self.collections_for(infusion)
        return max(first, min(on.earliest for on in possible)) if certain else first

    def is_bridging(self, start: _Start, infusion: _Start) -> bool:
        """Whether a drug was certainly started between a collection and its infusion, without progression between."""
        given = infusion.begins
        return (infusion.certain and start.begins.latest <= given.earliest) and any(
            on.latest <= start.begins.earliest and not self.may_progress(on.earliest, given.latest)
            for on in self.collections_for(infusion)[1]
        )

    def joins(self, start: _Start, first: _Start) -> bool:
        """Whether a start certainly lies within the days in which drugs join a regimen."""
        follows = not first.is_infusion or first.begins.latest <= start.begins.earliest
        return follows and (start.begins.latest - first.begins.earliest).days <= self.days["regimen_join"]


def _chart_of(history: TreatmentHistory, catalog: Catalog) -> _Chart:
    courses = [c for c in history.courses if c.drug.antimyeloma and c.drug.drug_class is not DrugClass.STEROID]
    records: list[Course | CarTInfusion] = [*history.infusions, *courses]
    found = sorted((_start_of(record, history.today, catalog) for record in records), key=lambda start: start.order)
    days = {name: catalog.days(name) for name in _LIMITS}
    infusions = [start for start in found if start.is_dated and start.is_infusion]
    widest = max((start.begins.latest - start.begins.earliest for start in found), default=timedelta(0))
    chart = _Chart(history, days, [], infusions, [start for start in found if not start.is_dated], [], widest)
    for start in [start for start in found if start.is_dated and not start.is_infusion]:
        may_prepare = start.drug is not None and start.drug.id in catalog.definitions["lymphodepletion"]["drugs"]
        prepared = {_prepares(start, i, chart): i for i in reversed(chart.infusions) if may_prepare}
        if Answer.YES in prepared:
            chart.lymphodepletion.append((start, prepared[Answer.YES]))
        else:
            chart.drugs.append(replace(start, certain=start.certain and Answer.UNKNOWN not in prepared))
    return chart


def _start_of(record: Course | CarTInfusion, today: ClinicalDate, catalog: Catalog) -> _Start:
    certain = record.tier <= Tier.REPORTED and record.certainty is Certainty.STATED
    if isinstance(record, CarTInfusion):
        key, on = f"infusion of {record.product.id if record.product else None}", record.infused
        return _Start(record, record.product, key, on or today, on or today, certain, on is not None)
    begins, last, key = record.first_dose, record.last_dose, substance(record.drug, catalog)
    is_dated = begins is not None and last is not None
    if record.tier is Tier.PRESUMPTIVE:
        begins = record.sources[0].on or begins
    return _Start(record, record.drug, key, begins or today, last or today, certain, is_dated)


def _prepares(start: _Start, infusion: _Start, chart: _Chart) -> Answer:
    """Whether a drug was lymphodepletion for an infusion."""
    before = start.begins.days_until(infusion.begins)
    if before.most < 0 or before.fewest > chart.days["lymphodepletion"]:
        return Answer.NO
    is_over = infusion.certain and before.fewest >= 0 and start.last.days_until(infusion.begins).fewest >= 0
    return Answer.YES if is_over and before.most <= chart.days["lymphodepletion"] else Answer.UNKNOWN


# --- The minimum: starts that certainly lie in different lines ---


def _proven_lines(chart: _Chart) -> dict[_Start, ClinicalDate | None]:
    """Pick starts of which each certainly lies in a later line than the one before, with the progression between."""
    found: dict[_Start, ClinicalDate | None] = {}
    before: _Start | None = None
    for start in sorted((*chart.drugs, *chart.infusions), key=lambda s: (s.begins.latest, s.order)):
        if not start.certain:
            continue
        progression = None if before is None or start.is_infusion else _progression_between(before, start, chart)
        if before is not None:
            if (start.begins.earliest - before.begins.latest).days <= chart.days["regimen_join"]:
                continue
            if start.is_infusion and before.begins.latest >= chart.episode_from(start):
                continue
            if not start.is_infusion and (progression is None or _may_go_on(start, progression, chart)):
                continue
        found[start] = progression
        before = start
    return found


def _progression_between(before: _Start, start: _Start, chart: _Chart) -> ClinicalDate | None:
    """Find a certain progression between two starts, unless both may be bridging for one infusion."""
    for infusion in chart.infusions:
        is_ahead = infusion is not before and start.begins.earliest <= infusion.begins.latest
        if is_ahead and before.begins.latest >= chart.episode_from(infusion):
            return None
    stated = [event.on for event in chart.history.progressions if event.on and event.certainty is Certainty.STATED]
    between = [on for on in stated if on.earliest > before.begins.latest and on.latest <= start.begins.earliest]
    return min(between, key=lambda on: (on.latest, on.earliest), default=None)


def _may_go_on(start: _Start, progression: ClinicalDate, chart: _Chart) -> bool:
    """Whether a drug may only go on, or be taken up again soon, that was begun before a progression."""
    return any(other.key == start.key for other in chart.undated) or any(
        other.key == start.key
        and other.begins.earliest < progression.latest
        and (start.begins.earliest - other.last.latest).days <= chart.days["treatment_pause"]
        for other in chart.drugs
    )


# --- The maximum: starts that are not certainly part of an earlier line ---

_Members = list[tuple[_Start, str]]  # a line in the making, with why each start is in it


def _possible_lines(chart: _Chart, proven: Mapping[_Start, ClinicalDate | None]) -> tuple[list[_Members], list[_Start]]:
    """Put every start into the line to which it certainly belongs; also list those that progression would divide."""
    line_of: dict[_Start, _Members] = {infusion: [(infusion, _CELLS)] for infusion in chart.infusions}
    lines, openers = list(line_of.values()), list(chart.infusions)
    earlier: dict[str, list[_Start]] = defaultdict(list)
    regimen: list[_Start] = []
    for start, infusion in chart.lymphodepletion:
        line_of[infusion].append((start, f"{start.name} was lymphodepletion."))
    for start in chart.drugs:
        goes_on = _continued(start, earlier[start.key], chart)
        bridged = next((infusion for infusion in chart.infusions if chart.is_bridging(start, infusion)), None)
        joined = next((first for first in (*chart.infusions, *regimen) if chart.joins(start, first)), None)
        known = bridged or goes_on or joined
        if start.certain or not chart.may_hide_progression:
            earlier[start.key].append(start)
        if not bridged and not goes_on:
            openers.append(start)
        if known:
            known_by = (_BRIDGED if bridged else _GOES_ON if goes_on else _JOINED).format(drug=start.name, **chart.days)
            line_of[start] = line_of[known]
            line_of[start].append((start, _why(start, proven, chart) if proven.get(start) else known_by))
            continue
        line_of[start] = [(start, _why(start, proven, chart))]
        lines.append(line_of[start])
        if (start.begins.latest - start.begins.earliest).days <= chart.days["regimen_join"]:
            regimen = [start]
    lines.sort(key=lambda line: min(start.order for start, _ in line))
    return [*lines, *([(start, _UNDATED)] for start in chart.undated)], openers


def _continued(start: _Start, earlier: list[_Start], chart: _Chart) -> _Start | None:
    """Find the course of the same drug that this one certainly goes on with, soon after and in the same regimen."""
    pause, join = chart.days["treatment_pause"], timedelta(chart.days["regimen_join"])
    for before in reversed(earlier):
        since, until = before.begins.earliest, max(before.begins.latest, start.begins.latest)
        gaps = (start.begins.latest - before.last.earliest, before.begins.latest - start.last.earliest)
        is_during = before.begins.latest <= start.begins.earliest and start.begins.latest <= before.last.earliest
        is_soon = max(gaps).days <= pause and not chart.may_progress(since, until)
        if (is_during and before.certain) or (is_soon and not chart.may_change(start.key, since + join, until)):
            return before
    return None


def _early_progressions(chart: _Chart, openers: list[_Start]) -> int:
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


_FIRST = "The first treatment of myeloma on record."
_CELLS = "CAR T cells are a line of their own, with their bridging and lymphodepletion."
_UNDATED = "Without a date it is a line of its own or part of any other."
_BRIDGED = "{drug} was bridging between T-cell collection and infusion."
_GOES_ON = "{drug} went on, or was taken up again within {treatment_pause} days, without recorded progression."
_JOINED = "{drug} was started within {regimen_join} days."
_AGAIN = "{drug} had been given before: a new line only if the myeloma had progressed."
_TOXICITY = "Treatment before {drug} was ended for toxicity, which by itself is not counted as certain."
_MAINTENANCE = "{drug} was started within {treatment_pause} days of other treatment: it may be its maintenance."
_NO_REASON = "{drug} was started after more than {regimen_join} days; why is not recorded."


def _why(start: _Start, proven: Mapping[_Start, ClinicalDate | None], chart: _Chart) -> str:
    """Say why a start is a line of its own, or may be one."""
    if start in proven:
        progression = proven[start]
        return f"The myeloma progressed ({progression}) before {start.name} was started." if progression else _FIRST
    others = [s for s in (*chart.drugs, *chart.infusions) if s.order < start.order]
    if not others:
        return _FIRST
    reason = _NO_REASON
    if any(other.key == start.key for other in others):
        reason = _AGAIN
    elif any(isinstance(s.record, Course) and s.record.end_reason is EndReason.TOXICITY for s in others):
        reason = _TOXICITY
    elif any(other.last.days_until(start.begins).fewest <= chart.days["treatment_pause"] for other in others):
        reason = _MAINTENANCE
    return reason.format(drug=start.name, **chart.days)


def _doubts(start: _Start) -> Iterator[str]:
    if isinstance(start.record, Course) and start.record.tier is Tier.PRESUMPTIVE:
        yield f"{start.name} was only ordered: nothing says that it was given."
    elif not start.certain:
        yield f"The record leaves open whether {start.name} was given as treatment of the myeloma."
    if start.is_dated and not start.begins.is_exact:
        yield f"The first dose of {start.name} is dated no better than {start.begins}."


def _finished(members: _Members, proven: Mapping[_Start, ClinicalDate | None]) -> Line:
    starts = [start for start, _ in members]
    dated = [start for start in starts if start.is_dated]
    said = [reason for _, reason in members] + [doubt for start in starts for doubt in _doubts(start)]
    return Line(
        drugs=tuple(sorted({start.drug for start in starts if start.drug}, key=lambda drug: drug.name)),
        first_day=earliest_of([start.begins for start in dated]),
        last_day=latest_of([start.last for start in dated]),
        reasons=tuple(dict.fromkeys(said)),
        sources=tuple(dict.fromkeys(source for start in starts for source in start.record.sources)),
        certain=any(start in proven for start in starts),
    )


def _reasons_of(chart: _Chart, splits: int) -> Iterator[str]:
    if not all_treatment_was_read(chart.history):
        yield "Not all records of treatment were read and recognised."
    if chart.may_hide_progression:
        yield "The myeloma may have progressed on a day that is not known."
    if splits:
        yield "Progression soon after the start of treatment may have begun another line."

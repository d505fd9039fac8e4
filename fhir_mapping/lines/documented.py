"""Line numbers that a clinician or a plan wrote down: they count for more than the computation.

"Third line" on a day means that two lines lay before it, and that the third was running, or about to begin. Lines that
began later come on top. Where a number and the treatment on record cannot both be right, the range holds both.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from fhir_mapping.lines.possible import Draft, Possible
from fhir_mapping.lines.proven import Proven
from fhir_mapping.lines.starts import Chart
from fhir_mapping.model.care import DocumentedLine
from fhir_mapping.model.dates import Answer, ClinicalDate
from fhir_mapping.model.lines import LineCount

_DISAGREES = "Line {number} was documented{on}, but the treatment on record makes {computed}."
_DIFFERS = "The documented line numbers contradict each other."


@dataclass(frozen=True, slots=True)
class _Range:
    """From how many to how many lines; no upper bound where nothing gives one."""

    fewest: int
    most: int | None

    def agrees_with(self, other: "_Range") -> bool:
        below = self.most is None or self.most >= other.fewest
        return below and (other.most is None or other.most >= self.fewest)

    def narrowed_to(self, other: "_Range") -> "_Range":
        bounds = [most for most in (self.most, other.most) if most is not None]
        return _Range(max(self.fewest, other.fewest), min(bounds, default=None))

    def widened_to(self, other: "_Range") -> "_Range":
        most = None if self.most is None or other.most is None else max(self.most, other.most)
        return _Range(min(self.fewest, other.fewest), most)

    def __str__(self) -> str:
        if self.most is None:
            return f"at least {self.fewest}"
        return str(self.fewest) if self.fewest == self.most else f"{self.fewest} to {self.most}"


def with_documented(counted: LineCount, chart: Chart, proven: Proven, possible: Possible) -> LineCount:
    """Take documented line numbers into account; nothing changes where there are none."""
    documents = sorted(chart.history.documented_lines, key=_order_of)
    if not documents:
        return counted
    computed = _Range(counted.minimum, counted.maximum)
    each = [_range_of(document, counted.maximum, proven, possible) for document in documents]
    reasons = [
        _DISAGREES.format(number=document.number, on=f" ({document.on})" if document.on else "", computed=computed)
        for document, found in zip(documents, each, strict=True)
        if not found.agrees_with(computed)
    ]
    written = _joined(each)
    if written is None:
        reasons.append(_DIFFERS)
        written = _hull(each)
    found = _hull([written, computed]) if reasons else written.narrowed_to(computed)
    return replace(
        counted,
        minimum=found.fewest,
        maximum=found.most if counted.maximum is not None else None,
        reasons=(*counted.reasons, *reasons),
        documented=tuple(documents),
    )


def _range_of(document: DocumentedLine, most: int | None, proven: Proven, possible: Possible) -> _Range:
    """Say how many lines there are today if a documented number is right.

    A line certainly came later only if the myeloma progressed after the number was written: written before a line
    begins, the number may already be that of the line. A number without a date may be of any time.
    """
    number, on = document.number, document.on
    worse = [day for day in proven.values() if day is not None and on is not None and day.is_after(on) is Answer.YES]
    if most is None:
        return _Range(number + len(worse), None)
    perhaps = [draft for draft in possible.drafts if on is None or _may_begin_after(draft, on)]
    return _Range(number + len(worse), number + len(perhaps) + possible.splits)


def _may_begin_after(draft: Draft, on: ClinicalDate) -> bool:
    first = next(iter(draft))
    return not first.is_dated or first.begins.latest > on.earliest


def _joined(ranges: list[_Range]) -> _Range | None:
    """Narrow ranges down to what all of them allow; None where they contradict each other."""
    found = ranges[0]
    for other in ranges[1:]:
        if not found.agrees_with(other):
            return None
        found = found.narrowed_to(other)
    return found


def _hull(ranges: Iterable[_Range]) -> _Range:
    first, *others = ranges
    for other in others:
        first = first.widened_to(other)
    return first


def _order_of(document: DocumentedLine) -> tuple[object, ...]:
    on = document.on
    return (on is None, (on.earliest, on.latest) if on else (), document.number, document.source.reference)

"""The sequence of treatment at a glance: one bar for each drug over the years, in plain characters."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date

from cds_service.cli.timeline import Facts

_LABELS = 33  # columns
_BARS = 64
_NARROWEST_YEAR = 5  # columns that its number needs
_GIVEN, _UNSURE, _ORDERED, _GOING_ON = "=.?>"
_MARKS = {"CAR T infusion": "C", "T-cell collection": "A", "transplant": "T", "progression": "P"}
_ROWS_OF_THEIR_OWN = frozenset({"progression", "T-cell collection", "transplant"})
_MEANINGS = {
    _GIVEN: "given or reported",
    _GOING_ON: "still given",
    _UNSURE: "uncertain",
    _ORDERED: "ordered only",
    "C": "CAR T cells",
    "A": "apheresis",
    "T": "stem cell transplant",
    "P": "progression",
}


def bar_lines(events: Iterable[Facts], as_of: str) -> Iterator[str]:
    """Draw the dated courses, infusions, collections and progressions; nothing where none is dated."""
    drawn = [event for event in events if event["start"] and (event["kind"] == "course" or event["kind"] in _MARKS)]
    if not drawn:
        return
    scale = _Scale(min(event["start"]["earliest"] for event in drawn), as_of)
    rows: dict[str, list[Facts]] = defaultdict(list)
    for event in drawn:
        rows[_label(event)].append(event)
    own = [label for label, found in rows.items() if found[0]["kind"] in _ROWS_OF_THEIR_OWN]
    labels = [label for label in rows if label not in own] + own
    width = max(map(len, labels))
    yield f"{'':<{width}} {scale.years()}"
    used: set[str] = set()
    for label in labels:
        bar = [" "] * _BARS
        for event in rows[label]:
            _draw(event, bar, scale)
        used.update(bar)
        yield f"{label:<{width}} {''.join(bar)}".rstrip()
    yield "; ".join(f"{mark} {meaning}" for mark, meaning in _MEANINGS.items() if mark in used)


class _Scale:
    """Places days in columns, from the first of January of the first year to the day of the history."""

    def __init__(self, first: str, as_of: str) -> None:
        self.start = date(date.fromisoformat(first).year, 1, 1)
        self.end = date.fromisoformat(as_of)
        self.days = max((self.end - self.start).days, 1)

    def column(self, day: str) -> int:
        """Give the column of a day."""
        return self._column((date.fromisoformat(day) - self.start).days)

    def years(self) -> str:
        """Write the years above the columns in which they begin, as many as there is room for."""
        axis = [" "] * _BARS
        free = 0
        for year in range(self.start.year, self.end.year + 1):
            at = self._column((date(year, 1, 1) - self.start).days)
            if at >= free and at + _NARROWEST_YEAR <= _BARS + 1:
                axis[at : at + 4] = str(year)
                free = at + _NARROWEST_YEAR
        return "".join(axis).rstrip()

    def _column(self, days: int) -> int:
        return min(max(days * (_BARS - 1) // self.days, 0), _BARS - 1)


def _label(event: Facts) -> str:
    if event["kind"] == "transplant":
        return "transplant"
    antigens = "/".join(event.get("antigens", ()))
    return (f"{event['what']} ({antigens})" if antigens else event["what"])[:_LABELS]


def _draw(event: Facts, bar: list[str], scale: _Scale) -> None:
    start = event["start"]
    if event["kind"] != "course":
        _fill(bar, scale.column(start["earliest"]), scale.column(start["latest"]), _UNSURE)
        bar[(scale.column(start["earliest"]) + scale.column(start["latest"])) // 2] = _MARKS[event["kind"]]
        return
    if event["evidence"] == "ordered":
        bar[scale.column(start["earliest"])] = _ORDERED
        return
    last = event["last_dose"] or start
    _fill(bar, scale.column(start["earliest"]), scale.column(last["latest"]), _UNSURE)
    if event["certainty"] == "stated":
        _fill(bar, scale.column(start["latest"]), scale.column(last["earliest"]), _GIVEN)
    if event["ongoing"]:
        bar[scale.column(last["latest"])] = _GOING_ON


def _fill(bar: list[str], first: int, last: int, mark: str) -> None:
    for column in range(first, last + 1):
        if bar[column] in {" ", _UNSURE}:
            bar[column] = mark

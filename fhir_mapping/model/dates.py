"""Clinical dates: intervals of calendar days, compared without pretending to know more than the chart says.

FHIR lets a sender write "2026", "2026-04" or "2026-04-17". Each is kept as the interval of days that it may stand
for, so that every question about it has three answers: yes, no, or unknown.
"""

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from enum import Enum
from functools import lru_cache
from operator import attrgetter
from typing import NamedTuple, Self


class Answer(Enum):
    """The answer to a question about dates that may be imprecise."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"

    __hash__ = object.__hash__  # members are compared by identity; the hash of Enum costs a call

    def __bool__(self) -> bool:
        """Refuse to be a truth value: UNKNOWN must never be read as NO by accident."""
        raise TypeError("compare an Answer with YES, NO or UNKNOWN")


# Looking a member up in its Enum costs as much as a call in Python 3.11, and every rule asks for dates
_YES, _NO, _UNKNOWN = Answer.YES, Answer.NO, Answer.UNKNOWN
_PARTIAL_DATE = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?")
_EARLIEST_YEAR = 1900  # FHIR allows year 1; nothing a living patient was given is older than this
_MONTHS = 12
# The words of the product, whatever language the machine speaks
_MONTH_NAMES = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_FIRST_ORDINAL, _LAST_ORDINAL = date.min.toordinal(), date.max.toordinal()
_CACHED_DATES = 8_192  # a chart repeats few days many times


class Days(NamedTuple):
    """A number of days known to lie between two bounds, both included."""

    fewest: int
    most: int

    def less_than(self, days: int) -> Answer:
        """Whether the number is smaller than `days`."""
        if self.most < days:
            return _YES
        return _NO if self.fewest >= days else _UNKNOWN

    def at_most(self, days: int) -> Answer:
        """Whether the number is `days` or smaller ("within N days" includes day N)."""
        return self.less_than(days + 1)

    def __str__(self) -> str:
        """Write "182" or "143 to 172"."""
        return str(self.fewest) if self.fewest == self.most else f"{self.fewest} to {self.most}"


@dataclass(frozen=True, slots=True)
class ClinicalDate:
    """An interval of calendar days, from the earliest to the latest that a chart entry may mean."""

    earliest: date
    latest: date

    def __post_init__(self) -> None:
        """Refuse an interval that runs backwards."""
        if self.earliest > self.latest:
            raise ValueError("a clinical date must not end before it starts")

    @staticmethod
    @lru_cache(maxsize=_CACHED_DATES)
    def on(day: date) -> "ClinicalDate":
        """Make the date of one exact day; that of today is asked for again and again."""
        return ClinicalDate(day, day)

    @property
    def is_exact(self) -> bool:
        """Whether one single day is meant."""
        return self.earliest == self.latest

    @property
    def width(self) -> int:
        """Count the days from the earliest to the latest; 0 for an exact day."""
        return (self.latest - self.earliest).days

    def days_until(self, later: "ClinicalDate") -> Days:
        """Count the days from this date to `later`; negative where `later` comes first."""
        return Days((later.earliest - self.latest).days, (later.latest - self.earliest).days)

    def is_before(self, other: "ClinicalDate") -> Answer:
        """Whether this date lies on an earlier day than `other`."""
        if self.latest < other.earliest:
            return _YES
        return _NO if self.earliest >= other.latest else _UNKNOWN

    def is_after(self, other: "ClinicalDate") -> Answer:
        """Whether this date lies on a later day than `other`."""
        return other.is_before(self)

    def capped(self, day: date) -> Self | None:
        """Cut off what lies after `day`; None when nothing is left (the event would lie in the future)."""
        if self.earliest > day:
            return None
        return self if self.latest <= day else type(self)(self.earliest, day)

    def plus(self, days: int) -> Self:
        """Shift the interval by a number of days, no further than the calendar goes."""
        return type(self)(_shifted(self.earliest, days), _shifted(self.latest, days))

    def __str__(self) -> str:
        """Write "2026-04-17", or "some day in April 2026": one day is meant, and it reads so anywhere in a sentence."""
        return str(self.earliest) if self.earliest == self.latest else _some_day(self.earliest, self.latest)


def _some_day(earliest: date, latest: date) -> str:
    if latest - earliest == timedelta(1):
        return f"{earliest} or {latest}"
    if earliest.day == 1 and latest == _end_of_month(earliest.year, earliest.month):
        return f"some day in {_MONTH_NAMES[earliest.month - 1]} {earliest.year}"
    if (earliest, latest) == (date(earliest.year, 1, 1), date(earliest.year, _MONTHS, 31)):
        return f"some day in {earliest.year}"
    return f"some day between {earliest} and {latest}"


def _shifted(day: date, days: int) -> date:
    return date.fromordinal(min(max(day.toordinal() + days, _FIRST_ORDINAL), _LAST_ORDINAL))


_EARLIEST, _LATEST = attrgetter("earliest"), attrgetter("latest")


def latest_of(dates: "list[ClinicalDate]") -> ClinicalDate | None:
    """Give the interval in which the last of several events lies; None for no events."""
    if not dates:
        return None
    return ClinicalDate(max(map(_EARLIEST, dates)), max(map(_LATEST, dates)))


def earliest_of(dates: "list[ClinicalDate]") -> ClinicalDate | None:
    """Give the interval in which the first of several events lies; None for no events."""
    if not dates:
        return None
    return ClinicalDate(min(map(_EARLIEST, dates)), min(map(_LATEST, dates)))


@lru_cache(maxsize=_CACHED_DATES)
def parse(text: str, zone: tzinfo) -> ClinicalDate | None:
    """Read a FHIR date or dateTime; None when it is neither.

    A dateTime counts on its calendar day in the hospital's time `zone`. Midnight in UTC is what many systems
    write when they knew the day alone, so it stands for both the written day and the local one.
    """
    partial = _PARTIAL_DATE.match(text)
    if partial is None:
        return None
    try:
        return _day_of_instant(text, zone) if len(text) > len("2026-04-17") else _interval(text, partial)
    except (ValueError, OverflowError):
        return None


def _interval(text: str, partial: re.Match[str]) -> ClinicalDate | None:
    if partial.end() != len(text):
        return None
    year, month, day = (int(part) if part else None for part in partial.groups())
    if year is None or year < _EARLIEST_YEAR:
        return None
    if month is None:
        return ClinicalDate(date(year, 1, 1), date(year, _MONTHS, 31))
    if day is None:
        return ClinicalDate(date(year, month, 1), _end_of_month(year, month))
    return ClinicalDate.on(date(year, month, day))


def _end_of_month(year: int, month: int) -> date:
    first_of_next = date(year + 1, 1, 1) if month == _MONTHS else date(year, month + 1, 1)
    return first_of_next - timedelta(days=1)


def _day_of_instant(text: str, zone: tzinfo) -> ClinicalDate | None:
    instant = datetime.fromisoformat(text)
    if instant.year < _EARLIEST_YEAR:
        return None
    if instant.tzinfo is None:  # R4 asks for a zone; a sender that left it out means its own wall clock
        return ClinicalDate.on(instant.date())
    local = instant.astimezone(zone).date()
    offset = instant.utcoffset()
    if not offset and (instant.hour, instant.minute, instant.second) == (0, 0, 0):
        written = instant.date()
        return ClinicalDate(min(local, written), max(local, written))
    return ClinicalDate.on(local)

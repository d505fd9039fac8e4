"""Records that were asked for newest first: whether those that came are all of the days that matter."""

from collections.abc import Iterable
from datetime import date

from fhir_mapping import wire
from fhir_mapping.piles import Found


def reach_back(found: Iterable[Found], day: date) -> bool:
    """Whether Observations came newest first, each with its day, and the last of them is from before `day`.

    Then what was left out is older still. A server that sorts in another way leaves that open, and so does a record
    without a day: both are False.
    """
    days = [_day_of(item.resource) for item in found if type(item.resource) is wire.Observation]
    if not days or not all(days):
        return False
    return days == sorted(days, reverse=True) and days[-1] < day.isoformat()


def _day_of(observation: wire.Observation) -> str:
    """Give the day as YYYY-MM-DD, or "" where the record names none, or only a month."""
    period = observation.effective_period or wire.NO_PERIOD
    when = observation.effective_date_time or observation.effective_instant or period.start or ""
    day = when[: len("2026-11-21")]
    return day if len(day) == len("2026-11-21") else ""

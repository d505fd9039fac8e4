"""Whether the myeloma responds to what is given now, and since when, as far as statements of its status tell."""

from typing import NamedTuple

from fhir_mapping.model.dates import Answer, ClinicalDate, earliest_of, latest_of
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.results import DiseaseStatus, Status


class Response(NamedTuple):
    """A response that was stated again and again, with nothing worse since; `since` is the first statement."""

    since: ClinicalDate
    stated: tuple[DiseaseStatus, ...]


def response_since(start: ClinicalDate, statuses: frozenset[Status], history: TreatmentHistory) -> Response | None:
    """Find a response, of certain statuses, that was first stated on or after a day and has not been lost.

    None where there is none, or it cannot be told. An improvement says nothing of its depth.
    """
    others = [each.on for each in history.disease_statuses if each.status not in statuses | {Status.IMPROVED}]
    others += [event.on for event in history.progressions]
    if None in others:
        return None
    lost = latest_of([day for day in others if day is not None])
    stated = tuple(
        each
        for each in history.disease_statuses
        if each.status in statuses and each.on is not None and _counts(each.on, start, lost)
    )
    since = earliest_of([each.on for each in stated if each.on is not None])
    return Response(since, stated) if since is not None else None


def _counts(day: ClinicalDate, start: ClinicalDate, lost: ClinicalDate | None) -> bool:
    """Whether a day certainly lies within the treatment, and after the last sign against a response."""
    return day.is_before(start) is Answer.NO and (lost is None or day.is_after(lost) is Answer.YES)

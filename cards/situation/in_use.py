"""Whether a supportive drug is being given: it is in force, or a dose is so recent that it shows or does the same."""

from collections.abc import Mapping

from cards.situation.answers import any_of
from fhir_mapping.model.dates import Answer
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.treatment import SupportiveCare

# Looking a member up in its Enum costs as much as a call in Python 3.11
_YES, _NO, _UNKNOWN = Answer.YES, Answer.NO, Answer.UNKNOWN
_NOT_LONGER: Mapping[str, int] = {}


def in_use(
    care: SupportiveCare, history: TreatmentHistory, recent_dose_days: int, works_days: Mapping[str, int] = _NOT_LONGER
) -> Answer:
    """Whether a drug is being given, by one record.

    A dose that was administered at most `recent_dose_days` ago shows the drug to be running, while the end of a
    statement or an order shows the opposite; but a dose of the drugs in `works_days`, by id, works for so long.
    """
    days = works_days.get(care.drug.id)
    if days is None and care.source.resource_type == "MedicationAdministration":
        days = recent_dose_days
    return care.in_force if days is None else any_of(care.in_force, dose_within(care, history, days))


def dose_within(care: SupportiveCare, history: TreatmentHistory, days: int) -> Answer:
    """Whether a dose was given at most so many days ago; one that was only ordered or handed over leaves it open."""
    if care.last_dose is None:
        return _NO
    is_recent = care.last_dose.days_until(history.today).at_most(days)
    return _UNKNOWN if is_recent is _YES and not care.was_given else is_recent

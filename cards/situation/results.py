"""Recent results of tests, and what they say of kidneys, weight and CD4 cells."""

from typing import NamedTuple

from cards.situation.answers import all_of
from fhir_mapping.model.dates import Answer, ClinicalDate
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.results import LabResult, LabTest, SerologyResult
from fhir_mapping.model.vocabulary import Topic

# Looking a member up in its Enum costs as much as a call in Python 3.11
_YES, _NO, _UNKNOWN = Answer.YES, Answer.NO, Answer.UNKNOWN
_CD4 = LabTest.CD4


def was_within(result: LabResult | SerologyResult, day: ClinicalDate, days: int) -> Answer:
    """Whether a result is at most so many days old on a day; one without a date is no younger than its issue."""
    if result.on is not None:
        return result.on.days_until(day).at_most(days)
    is_old = result.issued is not None and result.issued.days_until(day).at_most(days) is _NO
    return _NO if is_old else _UNKNOWN


def recent(history: TreatmentHistory, test: LabTest, lookback_days: int, topic: Topic = Topic.LABS) -> LabResult | None:
    """Give the latest result of a test on which a draft order may rest.

    That is one that can be read, is recent, and has no other beside it that was not read.
    """
    result = history.latest_lab(test)
    if result is None or not result.is_readable or not history.coverage.is_complete(topic):
        return None
    return result if was_within(result, history.today, lookback_days) is _YES else None


def recent_weight(history: TreatmentHistory, lookback_days: int) -> LabResult | None:
    """Give the latest body weight by which a dose may be worked out; "below 100 kg" is none."""
    weight = recent(history, LabTest.BODY_WEIGHT, lookback_days, Topic.VITAL_SIGNS)
    return weight if weight is not None and weight.low > 0 else None


def filters_enough(history: TreatmentHistory, minimum: float, lookback_days: int) -> Answer:
    """Whether the kidneys allow the usual dose: a recent eGFR is surely as high as that.

    Unknown where there is none, or a creatinine was measured since: it may then no longer hold.
    """
    egfr = recent(history, LabTest.EGFR, lookback_days)
    if egfr is None or egfr.on is None:
        return _UNKNOWN
    creatinine = history.latest_lab(LabTest.CREATININE)
    if creatinine is not None and (creatinine.on is None or creatinine.on.is_after(egfr.on) is not _NO):
        return _UNKNOWN
    return _YES if egfr.at_least(minimum) is _YES else _NO


class Cd4(NamedTuple):
    """Whether CD4 cells are few, and the count."""

    is_low: Answer
    result: LabResult | None = None


def low_cd4(history: TreatmentHistory, limit_per_ul: int, lookback_days: int) -> Cd4:
    """Whether the latest CD4 count is recent and at most the limit; without one it is not known to be."""
    count = history.latest_lab(_CD4)
    if count is None:
        return Cd4(_NO)
    return Cd4(all_of(was_within(count, history.today, lookback_days), count.at_most(limit_per_ul)), count)

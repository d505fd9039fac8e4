"""Immunoglobulin: given ever, or lately, or replaced today, and whether a blood sample may hold its antibodies."""

from collections.abc import Mapping
from typing import NamedTuple

from cards.situation.answers import OnRecord, all_of, any_of, on_record
from cards.situation.in_use import dose_within
from fhir_mapping.model.dates import Answer, ClinicalDate, latest_of
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.treatment import SourceRef, SupportiveCare
from fhir_mapping.model.vocabulary import DrugClass

# Looking a member up in its Enum costs as much as a call in Python 3.11
_IMMUNOGLOBULIN = DrugClass.IMMUNOGLOBULIN
_YES, _NO, _UNKNOWN = Answer.YES, Answer.NO, Answer.UNKNOWN

# What replaces antibodies. Into a muscle goes too little for that: it is given after contact with hepatitis A or
# measles. Where the route is not written, either may be meant.
_REPLACES: Mapping[str, Answer] = {
    "immune-globulin-iv": _YES,
    "immune-globulin-sc": _YES,
    "immune-globulin-unspecified": _UNKNOWN,
}


class Given(NamedTuple):
    """Whether it was given, the day of its last dose where it was, and the records that say so, the last dose last.

    NO rests on nothing being on record.
    """

    answer: Answer
    last: ClinicalDate | None = None
    evidence: tuple[SourceRef, ...] = ()


_NEVER = Given(_NO)


def ever_given(history: TreatmentHistory) -> Given:
    """Whether any immunoglobulin was ever given; an order or a supply alone leaves it open."""
    return _sum_up([(care, _YES) for care in _records(history)])


def given_within(history: TreatmentHistory, day: ClinicalDate, days: int) -> Given:
    """Whether a dose lies at most so many days before a day that is still ahead, or today."""
    return _sum_up([(care, _reaches(care, day, days)) for care in _records(history)])


def sample_after_it(history: TreatmentHistory, drawn: ClinicalDate, days: int) -> Answer:
    """Whether a sample was drawn at most so many days after a dose; of one day, nobody knows which came first."""
    worst = _NO
    for care in _records(history):
        answer = _was_before(care, drawn, days)
        if answer is _YES and care.was_given:
            return _YES
        if answer is not _NO:
            worst = _UNKNOWN
    return worst


def _records(history: TreatmentHistory) -> list[SupportiveCare]:
    """List the records of immunoglobulin, however it is given; hyperimmune globulins are other drugs."""
    return [care for care in history.supportive_care if care.drug.drug_class is _IMMUNOGLOBULIN]


def _reaches(care: SupportiveCare, day: ClinicalDate, days: int) -> Answer:
    """Whether the last dose of a record, or one of a course that goes on past the day, is so recent on that day."""
    return _UNKNOWN if care.last_dose is None else care.last_dose.days_until(day).at_most(days)


def _was_before(care: SupportiveCare, drawn: ClinicalDate, days: int) -> Answer:
    first = care.first_dose or care.last_dose
    if first is None:
        return _UNKNOWN
    if drawn.is_before(first) is _YES:
        return _NO
    reaches = _reaches(care, drawn, days)
    return _UNKNOWN if reaches is _YES and first.is_before(drawn) is not _YES else reaches


def _sum_up(answers: list[tuple[SupportiveCare, Answer]]) -> Given:
    given = [care for care, answer in answers if answer is _YES and care.was_given]
    if given:
        given.sort(key=_last_day)
        last = latest_of([care.last_dose for care in given if care.last_dose is not None])
        return Given(_YES, last, tuple(care.source for care in given))
    open_ = tuple(care.source for care, answer in answers if answer is not _NO)
    return Given(_UNKNOWN, None, open_) if open_ else _NEVER


def _last_day(care: SupportiveCare) -> int:
    return care.last_dose.latest.toordinal() if care.last_dose is not None else 0


def replaced_today(history: TreatmentHistory, days: int) -> OnRecord:
    """Whether immunoglobulin is being replaced: by a draft, an order in force, or a dose at most so many days ago.

    A draft that does not name the route counts: whoever writes it has seen the need.
    """
    if any(order.drug is not None and order.drug.id in _REPLACES for order in history.orders):
        return OnRecord(_YES)
    found = [
        (all_of(_REPLACES[care.drug.id], any_of(care.in_force, dose_within(care, history, days))), care.source)
        for care in history.supportive_care
        if care.drug.id in _REPLACES
    ]
    return on_record(found)

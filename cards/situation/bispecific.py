"""Bispecific antibodies of a patient: what is ordered, whether for the first time, and what is, or was, being given."""

from collections.abc import Iterable
from typing import NamedTuple

from fhir_mapping.model.dates import Answer, ClinicalDate, latest_of
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.orders import ProposedOrder
from fhir_mapping.model.treatment import Course, SourceRef
from fhir_mapping.model.vocabulary import Antigen, Drug, DrugClass

# Looking a member up in its Enum costs as much as a call in Python 3.11
_BISPECIFIC = DrugClass.BISPECIFIC
_YES, _UNKNOWN = Answer.YES, Answer.UNKNOWN
_GPRC5D = frozenset({Antigen.GPRC5D})
MISSING = frozenset({"last_dose", "given"})


class Running(NamedTuple):
    """Courses that are going on, or had a dose so lately that they count; `unclear` is one of which nobody can tell.

    `missing` is what it lacks: that it was given at all, or the date of its last dose.
    """

    courses: tuple[Course, ...] = ()
    unclear: Course | None = None
    missing: str = ""

    @property
    def answer(self) -> Answer:
        """Whether some bispecific antibody is being given."""
        if self.courses:
            return _YES
        return _UNKNOWN if self.unclear is not None else Answer.NO

    @property
    def drugs(self) -> tuple[Drug, ...]:
        """List the drugs of the courses, each once."""
        return tuple(dict.fromkeys(course.drug for course in self.courses))

    @property
    def last_dose(self) -> ClinicalDate | None:
        """Give the last dose of all courses."""
        return latest_of([course.last_dose for course in self.courses if course.last_dose is not None])

    @property
    def is_ongoing(self) -> bool:
        """Whether a record says that one is being given."""
        return any(course.ongoing for course in self.courses)

    @property
    def has_ended(self) -> bool:
        """Whether every course is closed."""
        return bool(self.courses) and all(course.ended is _YES for course in self.courses)

    @property
    def sources(self) -> tuple[SourceRef, ...]:
        """Give the record on which the last dose of each course rests."""
        courses = self.courses or ((self.unclear,) if self.unclear is not None else ())
        return tuple(course.sources[0] for course in courses)


def is_bispecific(order: ProposedOrder) -> bool:
    """Whether a bispecific antibody is ordered."""
    return order.drug is not None and order.drug.drug_class is _BISPECIFIC


def ordered(history: TreatmentHistory) -> tuple[Drug, ...]:
    """List the bispecific antibodies among the drafts that are judged."""
    return tuple(dict.fromkeys(o.drug for o in history.judged_orders if o.drug is not None and is_bispecific(o)))


def is_first_dose(order: ProposedOrder, history: TreatmentHistory) -> Answer:
    """Whether no dose of the drug is on record; one that was only ordered, or may have been given, leaves it open."""
    own = [course for course in history.courses if course.drug == order.drug]
    if any(course.is_proven_or_reported for course in own):
        return Answer.NO
    return _UNKNOWN if own else _YES


def courses_of(history: TreatmentHistory) -> list[Course]:
    """List the courses of bispecific antibodies, also those that may not have been given."""
    return [course for course in history.courses if course.drug.drug_class is _BISPECIFIC]


def running(courses: Iterable[Course], history: TreatmentHistory, days: int) -> Running:
    """Sort out the courses with a dose at most so many days ago."""
    sure: list[Course] = []
    unclear: Course | None = None
    missing = ""
    for course in courses:
        last_dose = course.last_dose
        is_recent = _YES if course.ongoing else _UNKNOWN
        if last_dose is not None and not course.ongoing:
            is_recent = last_dose.days_until(history.today).at_most(days)
        if is_recent is Answer.NO:
            continue
        if is_recent is _YES and course.is_proven_or_reported:
            sure.append(course)
        elif unclear is None:
            unclear = course
            missing = "last_dose" if course.is_proven_or_reported else "given"
    return Running(tuple(sure), unclear, missing)


def running_course(drug: Drug, history: TreatmentHistory, days: int) -> Course | None:
    """Give the latest course of one drug that was certainly given at most so many days ago, whoever ended it."""
    return next(
        (
            course
            for course in reversed(history.courses)
            if course.drug == drug
            and course.is_proven_or_reported
            and course.last_dose is not None
            and course.last_dose.days_until(history.today).at_most(days) is _YES
        ),
        None,
    )


def names_of(drugs: Iterable[Drug]) -> str:
    """Name drugs that are given together."""
    return " + ".join(sorted(drug.name for drug in drugs))


def bind_gprc5d_alone(drugs: Iterable[Drug]) -> bool:
    """Whether all of them bind GPRC5D and nothing else, as talquetamab does."""
    return all(drug.antigens == _GPRC5D for drug in drugs)

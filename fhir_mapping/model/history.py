"""The treatment history: what a patient was given, as far as the chart says, each fact with its source."""

import math
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import TypeVar

from fhir_mapping.model.care import (
    DocumentedLine,
    Education,
    EyeExamination,
    PlannedCare,
    Refusal,
    TrialEnrolment,
    Vaccination,
)
from fhir_mapping.model.coverage import Coverage
from fhir_mapping.model.dates import Answer, ClinicalDate, latest_of
from fhir_mapping.model.derived import Derived
from fhir_mapping.model.lines import LineCount
from fhir_mapping.model.orders import ProposedOrder
from fhir_mapping.model.patient import Allergen, Allergy, Diagnosis, Person, Problem
from fhir_mapping.model.results import DiseaseStatus, Finding, LabResult, LabTest, SerologyResult
from fhir_mapping.model.treatment import (
    CarTInfusion,
    Course,
    Dose,
    OtherCellTherapy,
    Progression,
    Recognition,
    StemCellCollection,
    SupportiveCare,
    TCellCollection,
    Transplant,
    UnmappedDrug,
    UnrecognisedTreatment,
)
from fhir_mapping.model.vocabulary import Antigen, Drug, DrugClass


class GapCode(StrEnum):
    """Why a resource, or a part of it, could not be used."""

    UNREADABLE = "unreadable resource"
    PRUNED = "unreadable part of a resource"
    NOT_UNDERSTOOD = "modifier not understood"
    DATE = "unreadable or impossible date"
    UNIT = "unknown unit"
    VERSION_CONFLICT = "versions cannot be told apart"


@dataclass(frozen=True, slots=True)
class DataGap:
    """Something in the chart that could not be read; never silence."""

    code: GapCode
    resource_type: str


@dataclass(frozen=True, slots=True)
class TreatmentHistory:
    """Everything that rules may ask about one patient, as of one calendar day of the hospital."""

    as_of: date
    coverage: Coverage
    person: Person
    diagnosis: Diagnosis
    courses: tuple[Course, ...] = ()
    doses: tuple[Dose, ...] = ()
    infusions: tuple[CarTInfusion, ...] = ()
    collections: tuple[TCellCollection, ...] = ()
    transplants: tuple[Transplant, ...] = ()
    stem_cell_collections: tuple[StemCellCollection, ...] = ()
    other_cell_therapies: tuple[OtherCellTherapy, ...] = ()
    progressions: tuple[Progression, ...] = ()
    disease_statuses: tuple[DiseaseStatus, ...] = ()
    supportive_care: tuple[SupportiveCare, ...] = ()
    labs: tuple[LabResult, ...] = ()
    serology: tuple[SerologyResult, ...] = ()
    allergies: tuple[Allergy, ...] = ()
    problems: tuple[Problem, ...] = ()
    plans: tuple[PlannedCare, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    trials: tuple[TrialEnrolment, ...] = ()
    vaccinations: tuple[Vaccination, ...] = ()
    eye_examinations: tuple[EyeExamination, ...] = ()
    education: tuple[Education, ...] = ()
    documented_lines: tuple[DocumentedLine, ...] = ()
    orders: tuple[ProposedOrder, ...] = ()
    foreign_orders: int = 0
    unrecognised: tuple[UnrecognisedTreatment, ...] = ()
    recognised: tuple[Recognition, ...] = ()
    unmapped: tuple[UnmappedDrug, ...] = ()
    gaps: tuple[DataGap, ...] = ()
    derived: Derived | None = field(default=None, compare=False, repr=False)

    @property
    def lines(self) -> LineCount:
        """Count the lines of therapy; nobody who cannot tell is taken to say "none"."""
        return self.derived.lines(self) if self.derived else LineCount(0, None, (), ())

    def exposed_to(self, drug_class: DrugClass) -> Answer:
        """Whether any drug of a class was given."""
        return self.derived.exposed_to(self, drug_class) if self.derived else Answer.UNKNOWN

    def refractory_to(self, drug_id: str) -> Answer:
        """Whether the myeloma is refractory to a substance, by the id of a drug."""
        return self.derived.refractory_to(self, drug_id) if self.derived else Answer.UNKNOWN

    @property
    def today(self) -> ClinicalDate:
        """The day of the request as a clinical date."""
        return ClinicalDate.on(self.as_of)

    @property
    def judged_orders(self) -> tuple[ProposedOrder, ...]:
        """The draft orders that this request asks about."""
        return tuple([order for order in self.orders if order.judged])

    def is_allergic_to(self, allergen: Allergen) -> bool:
        """Whether an allergy to this substance is on record."""
        return any(allergy.allergen is allergen for allergy in self.allergies)

    def latest_lab(self, test: LabTest) -> LabResult | None:
        """Give the most recent result of a test.

        Of several that may be the latest, one that could not be read hides the others, and else the lowest counts, or
        the highest where that is the careful choice; but where vague dates hide which of them is the latest, its value
        may be any of theirs. If one without a date may be it, neither day nor value is known.
        """
        latest = _latest([lab for lab in self.labs if lab.test is test])
        undated = next((lab for lab in latest if lab.on is None), None)
        if undated is not None:
            return undated._replace(low=0.0, high=math.inf)
        if test.highest_counts:
            chosen = min(latest, key=lambda lab: (lab.is_readable, -lab.high, -lab.low), default=None)
        else:
            chosen = min(latest, key=lambda lab: (lab.is_readable, lab.high, lab.low), default=None)
        days = {lab.on for lab in latest if lab.on is not None}
        if chosen is None or not chosen.is_readable or (len(days) == 1 and (len(latest) == 1 or days.pop().is_exact)):
            return chosen
        low, high = min(lab.low for lab in latest), max(lab.high for lab in latest)
        return chosen._replace(low=low, high=high, on=latest_of([lab.on for lab in latest if lab.on is not None]))

    def latest_serology(self, test: str) -> SerologyResult | None:
        """Give the most recent result of a test for an infection or for antibodies, by its concept.

        Several that may be the latest count as one, which is indeterminate unless all of them found the same; so is
        one without a date.
        """
        latest = _latest([result for result in self.serology if result.test == test])
        if not latest:
            return None
        undated = next((result for result in latest if result.on is None), None)
        if undated is None and len({result.finding for result in latest}) == 1:
            return latest[0]
        return (undated or latest[0])._replace(finding=Finding.INDETERMINATE)

    def courses_against(self, antigen: Antigen) -> tuple[Course, ...]:
        """Give the courses of drugs against an antigen, CAR T cells apart."""
        return tuple([course for course in self.courses if antigen in course.drug.antigens])

    def has_failed(self, antigen: Antigen) -> bool:
        """Whether the myeloma progressed after a drug against this antigen was started, CAR T cells apart."""
        return any(
            course.is_proven_or_reported
            and course.first_dose is not None
            and progression.on is not None
            and progression.on.is_after(course.first_dose) is Answer.YES
            for course in self.courses_against(antigen)
            for progression in self.progressions
        )

    def treated_between(self, earlier: ClinicalDate, later: ClinicalDate, other_than: Drug | None) -> Answer:
        """Whether myeloma treatment with another drug was started after `earlier` and not after `later`."""
        if later.latest <= earlier.earliest:
            return Answer.NO
        started = [
            (course.first_dose.is_after(earlier), course.first_dose.is_after(later))
            for course in self.courses
            if course.drug != other_than and course.drug.is_treatment and course.first_dose is not None
        ]
        if (Answer.YES, Answer.NO) in started:
            return Answer.YES
        may_be = any(after is not Answer.NO and later is not Answer.YES for after, later in started)
        return Answer.UNKNOWN if may_be else Answer.NO


_Result = TypeVar("_Result", LabResult, SerologyResult)


def _latest(results: list[_Result]) -> list[_Result]:
    """Give the results that may be the latest; several where they are of one day, dates overlap, or are missing."""
    last = latest_of([result.on for result in results if result.on])
    if last is None:
        return results
    bounds = [(result, result.on or result.issued) for result in results]
    return [result for result, bound in bounds if bound is None or bound.latest >= last.earliest]

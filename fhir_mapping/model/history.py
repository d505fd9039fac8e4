"""The treatment history: what a patient was given, as far as the chart says, each fact with its source."""

import math
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import NamedTuple

from fhir_mapping.model.coverage import Coverage
from fhir_mapping.model.dates import Answer, ClinicalDate, latest_of
from fhir_mapping.model.vocabulary import Antigen, Certainty, ChartText, Cover, Drug, DrugClass, Tier


class SourceRef(NamedTuple):
    """The record that a fact comes from, e.g. "MedicationStatement/17", and the date that was read there."""

    reference: ChartText
    on: ClinicalDate | None = None

    @property
    def resource_type(self) -> str:
        """The FHIR resource type of the record."""
        return self.reference.partition("/")[0]


class EndReason(StrEnum):
    """Why a drug was ended, as far as its record gives a reason; the status alone is none."""

    PROGRESSION = "progression"
    TOXICITY = "toxicity"
    COMPLETION = "planned completion"


@dataclass(frozen=True, slots=True)
class Exposure:
    """One record that a drug was, or may have been, given (CAR T cells apart: see CarTInfusion)."""

    drug: Drug
    first_dose: ClinicalDate | None
    last_dose: ClinicalDate | None
    ongoing: bool
    ended: bool
    tier: Tier
    certainty: Certainty
    source: SourceRef
    end_reason: EndReason | None = None


@dataclass(frozen=True, slots=True)
class Course:
    """Doses of one drug without a long gap, from one or more records; `last_dose` is None when no record dates it."""

    drug: Drug
    first_dose: ClinicalDate | None
    last_dose: ClinicalDate | None
    ongoing: bool
    tier: Tier
    certainty: Certainty
    end_reason: EndReason | None
    sources: tuple[SourceRef, ...]

    @property
    def is_proven_or_reported(self) -> bool:
        """Whether some record says that the drug was given, not only that it was ordered or may have been."""
        return self.tier <= Tier.REPORTED and self.certainty is Certainty.STATED


@dataclass(frozen=True, slots=True)
class CarTInfusion:
    """One CAR T-cell infusion; without product its target is unconfirmed, without date it is history alone."""

    product: Drug | None
    infused: ClinicalDate | None
    tier: Tier
    certainty: Certainty
    sources: tuple[SourceRef, ...]

    def targets(self, antigen: Antigen) -> Answer:
        """Whether the cells bind this antigen; unknown without a product."""
        if self.product is None:
            return Answer.UNKNOWN
        return Answer.YES if antigen in self.product.antigens else Answer.NO


@dataclass(frozen=True, slots=True)
class TCellCollection:
    """A completed T-cell collection (leukapheresis for CAR T), not an exposure."""

    collected: ClinicalDate | None
    source: SourceRef


@dataclass(frozen=True, slots=True)
class Progression:
    """A recorded worsening of the myeloma; `on` is None when no record dates it."""

    on: ClinicalDate | None
    certainty: Certainty
    source: SourceRef


@dataclass(frozen=True, slots=True)
class SupportiveCare:
    """One record of a prophylactic drug, and whether it is in force on the day of the request."""

    drug: Drug
    in_force: Answer
    last_dose: ClinicalDate | None
    systemic: bool
    certainty: Certainty
    source: SourceRef

    def covers(self, need: Cover) -> bool:
        """Whether the drug protects against this infection and reaches the whole body."""
        return self.systemic and need in self.drug.covers


class LabTest(StrEnum):
    """A laboratory test that a rule reads, in the unit of `catalog/labs.toml`."""

    CD4 = "cd4-count"
    ANC = "anc"
    CREATININE = "creatinine"
    EGFR = "egfr"


class LabResult(NamedTuple):
    """One final result in our own unit, between two bounds that are equal unless the laboratory wrote < or >.

    A result whose value could not be read lies between zero and infinity: it is there, and answers nothing.
    """

    test: LabTest
    low: float
    high: float
    on: ClinicalDate | None
    source: SourceRef

    @property
    def is_readable(self) -> bool:
        """Whether anything is known of the value."""
        return self.low > 0 or self.high < math.inf

    def at_most(self, limit: float) -> Answer:
        """Whether the value is `limit` or less."""
        if self.high <= limit:
            return Answer.YES
        return Answer.NO if self.low > limit else Answer.UNKNOWN

    def at_least(self, limit: float) -> Answer:
        """Whether the value is `limit` or more."""
        if self.low >= limit:
            return Answer.YES
        return Answer.NO if self.high < limit else Answer.UNKNOWN

    def __str__(self) -> str:
        """Write "150", "< 20" or "> 1000"."""
        if self.low == self.high:
            return f"{self.low:g}"
        return f"< {self.high:g}" if self.low <= 0 else f"> {self.low:g}"


class Allergen(StrEnum):
    """A substance whose allergy changes a draft order."""

    SULFONAMIDE = "sulfonamide"
    TRIMETHOPRIM = "trimethoprim"
    ATOVAQUONE = "atovaquone"
    ACYCLOVIR = "acyclovir"


@dataclass(frozen=True, slots=True)
class Allergy:
    """A recorded allergy or intolerance that is not refuted."""

    allergen: Allergen
    source: SourceRef


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Whether the problem list shows multiple myeloma, and the record to cite."""

    myeloma: Answer
    source: SourceRef | None
    problem_list_is_empty: bool
    comfort_care_only: bool


@dataclass(frozen=True, slots=True)
class Person:
    """What the gates need of the Patient resource; both None when it was not read."""

    born: ClinicalDate | None = None
    deceased: bool | None = None


class OrderKind(StrEnum):
    """What a draft order asks for, as far as rules tell orders apart."""

    DRUG = "drug"
    CAR_T_INFUSION = "CAR T infusion"
    T_CELL_COLLECTION = "T-cell collection"
    LYMPHODEPLETION = "lymphodepletion"
    OTHER_WATCHED = "other watched order"
    UNRECOGNISED = "unrecognised treatment"


@dataclass(frozen=True, slots=True)
class ProposedOrder:
    """A draft order of this request; `judged` is false for drafts that are only context (order-select)."""

    reference: ChartText
    kind: OrderKind
    drug: Drug | None
    planned: ClinicalDate | None
    judged: bool
    systemic: bool
    label: ChartText

    @property
    def is_car_t_step(self) -> bool:
        """Whether it is a CAR T product, its infusion, the T-cell collection or lymphodepletion."""
        return self.is_car_t_infusion or self.kind in {OrderKind.T_CELL_COLLECTION, OrderKind.LYMPHODEPLETION}

    @property
    def is_car_t_infusion(self) -> bool:
        """Whether it is a CAR T product or its infusion."""
        product = self.drug is not None and self.drug.drug_class is DrugClass.CAR_T
        return product or self.kind is OrderKind.CAR_T_INFUSION

    @property
    def needs_a_diagnosis(self) -> bool:
        """Whether an unreadable or empty problem list must be pointed out beside this order (G0, G1)."""
        engager = self.drug is not None and self.drug.mechanism is not None
        return engager or self.is_car_t_step or self.kind is OrderKind.UNRECOGNISED

    def may_target(self, antigen: Antigen) -> bool:
        """Whether it is directed against the antigen; a CAR T step that names no product counts as such."""
        if self.drug is not None and self.drug.antigens:
            return antigen in self.drug.antigens
        return self.is_car_t_step


@dataclass(frozen=True, slots=True)
class UnrecognisedTreatment:
    """An entry that looks like cancer treatment but is not in the catalogue."""

    text: ChartText
    may_be_cell_therapy: bool
    source: SourceRef


class GapCode(StrEnum):
    """Why a resource, or a part of it, could not be used."""

    UNREADABLE = "unreadable resource"
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
    infusions: tuple[CarTInfusion, ...] = ()
    collections: tuple[TCellCollection, ...] = ()
    progressions: tuple[Progression, ...] = ()
    supportive_care: tuple[SupportiveCare, ...] = ()
    labs: tuple[LabResult, ...] = ()
    allergies: tuple[Allergy, ...] = ()
    orders: tuple[ProposedOrder, ...] = ()
    foreign_orders: int = 0
    unrecognised: tuple[UnrecognisedTreatment, ...] = ()
    gaps: tuple[DataGap, ...] = ()

    @property
    def today(self) -> ClinicalDate:
        """The day of the request as a clinical date."""
        return ClinicalDate.on(self.as_of)

    @property
    def judged_orders(self) -> tuple[ProposedOrder, ...]:
        """The draft orders that this request asks about."""
        return tuple(order for order in self.orders if order.judged)

    def is_allergic_to(self, allergen: Allergen) -> bool:
        """Whether an allergy to this substance is on record."""
        return any(allergy.allergen is allergen for allergy in self.allergies)

    def latest_lab(self, test: LabTest) -> LabResult | None:
        """Give the most recent dated result of a test.

        Of several that may be the latest, one that could not be read hides the others, and else the lowest counts:
        the careful choice for every test that is read so far.
        """
        dated = [lab for lab in self.labs if lab.test is test and lab.on is not None]
        last = latest_of([lab.on for lab in dated if lab.on])
        latest = [lab for lab in dated if lab.on and last and lab.on.latest >= last.earliest]
        return min(latest, key=lambda lab: (lab.is_readable, lab.high, lab.low), default=None)

    def courses_against(self, antigen: Antigen) -> tuple[Course, ...]:
        """Give the courses of drugs against an antigen, CAR T cells apart."""
        return tuple(course for course in self.courses if antigen in course.drug.antigens)

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

    def treated_between(self, earlier: ClinicalDate, later: ClinicalDate, other_than: Drug | None) -> bool:
        """Whether myeloma treatment with another drug was started after `earlier` and not after `later`."""
        return any(
            course.drug != other_than
            and course.drug.antimyeloma
            and course.drug.drug_class is not DrugClass.STEROID
            and course.first_dose is not None
            and course.first_dose.is_after(earlier) is Answer.YES
            and course.first_dose.is_after(later) is not Answer.YES
            for course in self.courses
        )

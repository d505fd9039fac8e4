"""What surrounds the treatment: plans and referrals, vaccines, trials, refusals, education, examinations."""

from dataclasses import dataclass
from enum import StrEnum

from fhir_mapping.model.dates import Answer, ClinicalDate
from fhir_mapping.model.treatment import SourceRef
from fhir_mapping.model.vocabulary import ChartText, Drug


class PlanKind(StrEnum):
    """What a stored request or an appointment is for, as far as rules ask."""

    T_CELL_COLLECTION = "T-cell collection"
    CAR_T_INFUSION = "CAR T infusion"
    LYMPHODEPLETION = "lymphodepletion"
    CAR_T_REFERRAL = "CAR T evaluation"
    EYE_EXAMINATION = "eye examination"
    LABORATORY_TEST = "laboratory test"


CAR_T_STEPS = frozenset({PlanKind.T_CELL_COLLECTION, PlanKind.CAR_T_INFUSION, PlanKind.LYMPHODEPLETION})
TOWARDS_CAR_T = CAR_T_STEPS | {PlanKind.CAR_T_REFERRAL}


class PlanState(StrEnum):
    """How far a plan has come; one that was called off is none any more."""

    OPEN = "open"
    DONE = "done"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class PlannedCare:
    """A stored request or appointment: never a dose, and no proof that the step was taken.

    `planned` is the day for which it stands in the calendar, `requested` the day on which it was asked for; `tests`
    are the concepts of the laboratory tests that a request asks for.
    """

    kind: PlanKind
    state: PlanState
    product: Drug | None
    tests: frozenset[str]
    planned: ClinicalDate | None
    requested: ClinicalDate | None
    source: SourceRef


class RefusedTherapy(StrEnum):
    """What is not wanted, or not suitable for the patient."""

    CAR_T = "CAR T cells"
    T_CELL_ENGAGER = "T-cell engager"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A record that CAR T cells or a T-cell engager are not wanted, or not suitable for the patient.

    `reason` is the chart's own wording, `on` the time in which it was said: for a request that was called off, from
    the day on which it was made.
    """

    reason: ChartText
    on: ClinicalDate | None
    source: SourceRef
    therapy: RefusedTherapy = RefusedTherapy.CAR_T


@dataclass(frozen=True, slots=True)
class TrialEnrolment:
    """Whether the patient is on a study; unknown while screening, or where the record does not say."""

    on_study: Answer
    study: ChartText
    source: SourceRef


@dataclass(frozen=True, slots=True)
class Vaccination:
    """One vaccine that was given; `vaccine` is a concept of the catalogue, e.g. "vaccine-mmr-live"."""

    vaccine: str
    on: ClinicalDate | None
    source: SourceRef


@dataclass(frozen=True, slots=True)
class EyeExamination:
    """One eye examination that was done."""

    on: ClinicalDate | None
    source: SourceRef


@dataclass(frozen=True, slots=True)
class Education:
    """A record that patient or family were taught."""

    on: ClinicalDate | None
    source: SourceRef


@dataclass(frozen=True, slots=True)
class DocumentedLine:
    """A line number that a clinician or a treatment plan wrote down, e.g. "3rd line"."""

    number: int
    on: ClinicalDate | None
    source: SourceRef

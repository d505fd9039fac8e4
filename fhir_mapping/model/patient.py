"""Who the patient is, as far as rules ask: diagnosis, allergies, and what the gates need."""

from dataclasses import dataclass
from enum import StrEnum

from fhir_mapping.model.dates import Answer, ClinicalDate
from fhir_mapping.model.treatment import SourceRef
from fhir_mapping.model.vocabulary import Certainty

# A B-cell malignancy besides the myeloma, against which CAR T cells are given too
OTHER_B_CELLS = "other-b-cell-malignancy"
# A clot in a vein or an artery at any time: immunoglobulin may bring on another
THROMBOSIS = "thrombosis"


@dataclass(frozen=True, slots=True)
class Person:
    """What the gates need of the Patient resource; both None when it was not read."""

    born: ClinicalDate | None = None
    deceased: bool | None = None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Whether the problem list shows multiple myeloma, and the record to cite."""

    myeloma: Answer
    source: SourceRef | None
    problem_list_is_empty: bool
    comfort_care_only: bool


class Allergen(StrEnum):
    """A substance whose allergy changes a draft order."""

    SULFONAMIDE = "sulfonamide"
    TRIMETHOPRIM = "trimethoprim"
    ATOVAQUONE = "atovaquone"
    ACYCLOVIR = "acyclovir"
    ENTECAVIR = "entecavir"
    UNKNOWN = "unknown"  # an entry that names nothing: it may be any of these


@dataclass(frozen=True, slots=True)
class Allergy:
    """A recorded allergy or intolerance that is not refuted."""

    allergen: Allergen
    source: SourceRef


@dataclass(frozen=True, slots=True)
class Problem:
    """One entry of the problem list that some rule may ask about, by its concept, e.g. "hbv-chronic" or "crs".

    `active` is unknown where the record does not say; an entry that is only suspected is possible. `is_silent` tells
    that it says nothing at all of that, neither a status nor an end, as the diagnosis of an encounter may.
    """

    concept: str
    active: Answer
    certainty: Certainty
    onset: ClinicalDate | None
    recorded: ClinicalDate | None
    source: SourceRef
    is_silent: bool = False

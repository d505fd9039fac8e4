"""Results of tests: a value between two bounds in our own unit, each with its date and source."""

import math
from enum import StrEnum
from typing import NamedTuple

from fhir_mapping.model.dates import Answer, ClinicalDate
from fhir_mapping.model.treatment import SourceRef

_DIGITS = 4  # significant ones, of what is shown


class LabTest(StrEnum):
    """A test that comes as a number, in the unit of `catalog/labs.toml`; scores have none."""

    IGG = "igg"
    IGA = "iga"
    IGM = "igm"
    ANC = "anc"
    ALC = "alc"
    WBC = "wbc"
    CD4 = "cd4-count"
    PLATELETS = "platelets"
    HEMOGLOBIN = "hemoglobin"
    CREATININE = "creatinine"
    EGFR = "egfr"
    POTASSIUM = "potassium"
    BILIRUBIN = "bilirubin-total"
    ALT = "alt"
    LDH = "ldh"
    FERRITIN = "ferritin"
    CRP = "crp"
    CALCIUM = "calcium"
    ALBUMIN = "albumin"
    BETA2_MICROGLOBULIN = "beta2-microglobulin"
    M_PROTEIN_SERUM = "m-protein-serum"
    M_PROTEIN_URINE = "m-protein-urine"
    FREE_KAPPA = "free-kappa"
    FREE_LAMBDA = "free-lambda"
    FREE_LIGHT_CHAIN_RATIO = "free-light-chain-ratio"
    LVEF = "lvef"
    G6PD = "g6pd-activity"
    ECOG = "ecog"
    KARNOFSKY = "karnofsky"
    BODY_WEIGHT = "body-weight"
    BODY_TEMPERATURE = "body-temperature"

    @property
    def highest_counts(self) -> bool:
        """Whether the highest of several results that may be the latest is the careful choice, not the lowest."""
        return self in _HIGHEST_COUNTS


# Ours: what is dangerous when high, and of the bands of an M-protein the largest
_HIGHEST_COUNTS = frozenset(
    {
        LabTest.POTASSIUM,
        LabTest.BILIRUBIN,
        LabTest.ALT,
        LabTest.LDH,
        LabTest.FERRITIN,
        LabTest.CRP,
        LabTest.CALCIUM,
        LabTest.BETA2_MICROGLOBULIN,
        LabTest.M_PROTEIN_SERUM,
        LabTest.M_PROTEIN_URINE,
        LabTest.FREE_KAPPA,
        LabTest.FREE_LAMBDA,
        LabTest.ECOG,
        LabTest.BODY_TEMPERATURE,
    }
)


class LabResult(NamedTuple):
    """One final result in our own unit, between two bounds that are equal unless the laboratory wrote <, > or a range.

    A result whose value could not be read lies between zero and infinity: it is there, and answers nothing. One
    without a date was observed no later than it was issued, where that is known.
    """

    test: LabTest
    low: float
    high: float
    on: ClinicalDate | None
    source: SourceRef
    issued: ClinicalDate | None = None

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
        """Write "150", "< 20", "> 1000" or "55 to 60"."""
        if self.low == self.high:
            return _plain(self.low)
        if self.low > 0 and self.high < math.inf:
            return f"{_plain(self.low)} to {_plain(self.high)}"
        return f"< {_plain(self.high)}" if self.low <= 0 else f"> {_plain(self.low)}"


def _plain(value: float) -> str:
    """Write a value without the digits that only a change of unit has made."""
    return f"{value:.{_DIGITS}g}" if abs(value) < 10**_DIGITS else f"{value:g}"


class Finding(StrEnum):
    """What a test for an infection, or for antibodies, found."""

    POSITIVE = "positive"
    NEGATIVE = "negative"
    INDETERMINATE = "indeterminate"


class SerologyResult(NamedTuple):
    """One final result of a test for an infection or for antibodies; `test` is a concept, e.g. "hbsag".

    `finding` is indeterminate where the laboratory says so, and where its value could not be read as either. `issued`
    is as of a LabResult.
    """

    test: str
    finding: Finding
    on: ClinicalDate | None
    source: SourceRef
    issued: ClinicalDate | None = None


class Status(StrEnum):
    """How the myeloma stands, as an observation or a report states it."""

    WORSENED = "worsened"
    STABLE = "stable"
    IMPROVED = "improved"
    PARTIAL_REMISSION = "partial remission"
    FULL_REMISSION = "full remission"
    UNDETERMINED = "undetermined"


class DiseaseStatus(NamedTuple):
    """One statement of how the myeloma stands on a day; a worsening is a Progression besides."""

    status: Status
    on: ClinicalDate | None
    source: SourceRef

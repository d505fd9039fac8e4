"""The words of the field: drugs, their classes and targets, and the topics that a rule may read."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Antigen(StrEnum):
    """The protein on the myeloma cell that a targeted drug binds."""

    BCMA = "BCMA"
    GPRC5D = "GPRC5D"
    FCRH5 = "FcRH5"
    CD38 = "CD38"
    SLAMF7 = "SLAMF7"


class DrugClass(StrEnum):
    """What kind of drug it is, as `catalog/drugs.toml` writes it."""

    BISPECIFIC = "bispecific"
    CAR_T = "car-t"
    ADC = "adc"
    ANTI_CD38 = "anti-cd38"
    ANTI_SLAMF7 = "anti-slamf7"
    PROTEASOME_INHIBITOR = "proteasome-inhibitor"
    IMID = "imid"
    CELMOD = "celmod"
    XPO1_INHIBITOR = "xpo1-inhibitor"
    HDAC_INHIBITOR = "hdac-inhibitor"
    BCL2_INHIBITOR = "bcl2-inhibitor"
    ALKYLATOR = "alkylator"
    PURINE_ANALOGUE = "purine-analogue"
    ANTHRACYCLINE = "anthracycline"
    CYTOTOXIC = "cytotoxic"
    STEROID = "steroid"
    INTERFERON = "interferon"
    BONE_AGENT = "bone-agent"
    MOBILISER = "mobiliser"
    HSV_VZV_ANTIVIRAL = "hsv-vzv-antiviral"
    CMV_ANTIVIRAL = "cmv-antiviral"
    PJP_AGENT = "pjp-agent"
    HBV_ANTIVIRAL = "hbv-antiviral"
    IMMUNOGLOBULIN = "immunoglobulin"
    G_CSF = "g-csf"
    GM_CSF = "gm-csf"
    ANTI_CYTOKINE = "anti-cytokine"
    ANTIBACTERIAL = "antibacterial"
    ANTIFUNGAL = "antifungal"
    RESPIRATORY_ANTIVIRAL = "respiratory-antiviral"
    NARROW_INDEX_CYP = "narrow-index-cyp"
    ANTIPARKINSON = "antiparkinson"
    ANTIDIARRHOEAL = "antidiarrhoeal"


class Mechanism(StrEnum):
    """How a targeted drug kills, as far as the choice of the next one depends on it."""

    T_CELL_REDIRECTION = "T-cell redirection"
    ANTIBODY_DRUG_CONJUGATE = "antibody-drug conjugate"


class Cover(StrEnum):
    """What a prophylactic drug protects against."""

    HSV_VZV = "hsv-vzv"
    PJP = "pjp"


@dataclass(frozen=True, slots=True, eq=False)
class Drug:
    """One drug by its INN, told from others by its id alone; `name` is our own spelling, never the chart's."""

    id: str
    name: str
    drug_class: DrugClass
    antigens: frozenset[Antigen] = frozenset()
    antimyeloma: bool = False
    covers: frozenset[Cover] = frozenset()

    def __eq__(self, other: object) -> bool:
        """Whether it is the same drug."""
        return self is other or (isinstance(other, Drug) and self.id == other.id)

    def __hash__(self) -> int:
        """Fit what is the same drug."""
        return hash(self.id)

    @property
    def is_treatment(self) -> bool:
        """Whether it is treatment of the myeloma by itself, and may make a line; a steroid only goes with others."""
        return self.antimyeloma and self.drug_class is not DrugClass.STEROID

    @property
    def mechanism(self) -> Mechanism | None:
        """Group bispecific antibodies with CAR T cells; None for a drug that is neither these nor a conjugate."""
        return _MECHANISMS.get(self.drug_class)


_MECHANISMS = {
    DrugClass.BISPECIFIC: Mechanism.T_CELL_REDIRECTION,
    DrugClass.CAR_T: Mechanism.T_CELL_REDIRECTION,
    DrugClass.ADC: Mechanism.ANTIBODY_DRUG_CONJUGATE,
}


class Topic(StrEnum):
    """A part of the chart that a rule may ask about; `fhir_mapping.needs` says which searches feed it."""

    PATIENT = "patient"
    DIAGNOSIS = "diagnosis"
    TREATMENT = "treatment"
    CELL_THERAPY = "cell therapy"
    PROGRESSION = "progression"
    PROPHYLAXIS = "prophylaxis"
    ALLERGIES = "allergies"
    LABS = "laboratory results"
    SCREENING = "screening for infections"
    IMMUNITY = "immunoglobulins and myeloma protein"
    RESPONSE = "response"
    PERFORMANCE = "performance status"
    VITAL_SIGNS = "body weight"
    INFECTIONS = "cultures, virus tests and temperature"
    BLOOD_COUNTS = "blood counts over time"
    PLANS = "planned steps and referrals"
    REFUSALS = "what was declined"
    TRIALS = "clinical trials"
    VACCINES = "vaccines"
    EYE_EXAMINATIONS = "eye examinations"
    EDUCATION = "patient education"
    LINE_NUMBER = "documented line of therapy"


class Tier(IntEnum):
    """How strong the evidence for an exposure is, strongest first."""

    PROVEN = 1  # given: MedicationAdministration, completed Procedure
    REPORTED = 2  # reported as taken: MedicationStatement
    PRESUMPTIVE = 3  # ordered or dispensed, no word that it was given
    UNDATED = 4  # a history code or text without a date


class Certainty(StrEnum):
    """Whether a record states its fact or only makes it possible (status unknown, modifier not understood)."""

    STATED = "stated"
    POSSIBLE = "possible"


class ChartText(str):
    """Text taken from the chart as it stood there: escaped before it reaches a card, never logged."""

    __slots__ = ()

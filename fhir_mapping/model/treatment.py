"""What was given, or may have been: drugs, CAR T cells, and what became of the myeloma, each with its source."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from fhir_mapping.model.dates import Answer, ClinicalDate
from fhir_mapping.model.vocabulary import Antigen, Certainty, ChartText, Cover, Drug, Tier

# Looking a member up in its Enum costs as much as a call in Python 3.11, and every rule asks of every course
_STATED, _REPORTED, _PROVEN = Certainty.STATED, Tier.REPORTED, Tier.PROVEN
_ORDERS = frozenset({"MedicationRequest", "MedicationDispense"})
UNNAMED_CELLS = "CAR T cells"  # as cards call them where no product is named


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


class Exposure(NamedTuple):
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


class Amount(NamedTuple):
    """How much of a drug, as a record says it: in mg, in mg per kg of body weight, or both."""

    mg: float | None = None
    mg_per_kg: float | None = None


class Dose(NamedTuple):
    """The dose that a record of a bispecific antibody stands for, or the last one of several; see Exposure.

    `amount` is None where the record names none, or none that can be read.
    """

    drug: Drug
    on: ClinicalDate | None
    amount: Amount | None
    ongoing: bool
    tier: Tier
    certainty: Certainty
    source: SourceRef

    @property
    def was_administered(self) -> bool:
        """Whether the record is one of a dose that was given; a report or an order is not."""
        return self.certainty is _STATED and self.tier is _PROVEN


@dataclass(frozen=True, slots=True)
class Course:
    """Doses of one drug without a long gap, from one or more records; `last_dose` is None when no record dates it.

    `ended` tells that a record of the whole course, not of a single dose, is closed.
    """

    drug: Drug
    first_dose: ClinicalDate | None
    last_dose: ClinicalDate | None
    ongoing: bool
    tier: Tier
    certainty: Certainty
    end_reason: EndReason | None
    sources: tuple[SourceRef, ...]
    ended: Answer = Answer.NO

    @property
    def is_proven_or_reported(self) -> bool:
        """Whether some record says that the drug was given, not only that it was ordered or may have been."""
        return self.certainty is _STATED and self.tier <= _REPORTED


@dataclass(frozen=True, slots=True)
class CarTInfusion:
    """One CAR T-cell infusion; without product its target is unconfirmed, without date it is history alone."""

    product: Drug | None
    infused: ClinicalDate | None
    tier: Tier
    certainty: Certainty
    sources: tuple[SourceRef, ...]

    @property
    def is_stated(self) -> bool:
        """Whether some record says that the cells were given, be it without a date; an order alone does not."""
        return self.certainty is Certainty.STATED and self.tier is not Tier.PRESUMPTIVE

    @property
    def name(self) -> str:
        """Name the product, or call it CAR T cells."""
        return self.product.name if self.product is not None else UNNAMED_CELLS

    def targets(self, antigen: Antigen) -> Answer:
        """Whether the cells bind this antigen; unknown without a product."""
        if self.product is None:
            return Answer.UNKNOWN
        return Answer.YES if antigen in self.product.antigens else Answer.NO


@dataclass(frozen=True, slots=True)
class TCellCollection:
    """A T-cell collection (leukapheresis for CAR T) that took place, or may have; not an exposure."""

    collected: ClinicalDate | None
    source: SourceRef
    certainty: Certainty = Certainty.STATED


@dataclass(frozen=True, slots=True)
class StemCellCollection:
    """A completed collection of blood stem cells: neither an exposure nor a T-cell collection."""

    collected: ClinicalDate | None
    source: SourceRef


class TransplantKind(StrEnum):
    """Whose stem cells were given."""

    AUTOLOGOUS = "autologous"
    ALLOGENEIC = "allogeneic"
    UNKNOWN = "donor not stated"


@dataclass(frozen=True, slots=True)
class Transplant:
    """One stem cell transplant; without date it is history alone."""

    kind: TransplantKind
    on: ClinicalDate | None
    tier: Tier
    certainty: Certainty
    sources: tuple[SourceRef, ...]


@dataclass(frozen=True, slots=True)
class OtherCellTherapy:
    """Cells against another disease, e.g. a CD19 product for lymphoma: no exposure of the myeloma."""

    name: ChartText
    infused: ClinicalDate | None
    certainty: Certainty
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
    first_dose: ClinicalDate | None = None

    @property
    def was_given(self) -> bool:
        """Whether a record says that a dose was given; an order or a supply does not."""
        return self.certainty is Certainty.STATED and self.source.resource_type not in _ORDERS

    def covers(self, need: Cover) -> bool:
        """Whether the drug protects against this infection and reaches the whole body."""
        return self.systemic and need in self.drug.covers


@dataclass(frozen=True, slots=True)
class UnrecognisedTreatment:
    """An entry that looks like cancer treatment but is not in the catalogue."""

    text: ChartText
    may_be_cell_therapy: bool
    source: SourceRef


class Recognition(NamedTuple):
    """By what a drug of a record was recognised, e.g. "RxNorm ingredient" or "text: brand": for the admins."""

    drug: Drug
    how: str


class UnmappedDrug(NamedTuple):
    """A drug entry that the catalogue does not know: nothing says that it is treatment of myeloma.

    `codes` are its codings as "system|code".
    """

    text: ChartText
    codes: tuple[str, ...]

"""Lines of therapy as they are told: a range, with the reason of each."""

from dataclasses import dataclass

from fhir_mapping.model.care import DocumentedLine
from fhir_mapping.model.dates import ClinicalDate
from fhir_mapping.model.treatment import SourceRef, Transplant
from fhir_mapping.model.vocabulary import Drug


@dataclass(frozen=True, slots=True)
class Line:
    """One line of therapy as far as it can be told; `certain` where it counts in the minimum too.

    `drugs` holds no steroids. Without drugs and transplants it is CAR T cells of an unnamed product.
    """

    drugs: tuple[Drug, ...]
    transplants: tuple[Transplant, ...]
    first_day: ClinicalDate | None
    last_day: ClinicalDate | None
    reasons: tuple[str, ...]
    sources: tuple[SourceRef, ...]
    certain: bool
    inferred: bool = True


@dataclass(frozen=True, slots=True)
class LineCount:
    """From how many to how many lines were given, and what widens the range; no maximum where nothing bounds it.

    `documented` are the numbers that someone wrote down; the lines are those that the treatment shows by itself.
    """

    minimum: int
    maximum: int | None
    lines: tuple[Line, ...]
    reasons: tuple[str, ...]
    documented: tuple[DocumentedLine, ...] = ()
    inferred: bool = True

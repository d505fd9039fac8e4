"""HIV: whether the infection is on record, and whether CAR T cells were given whose vector its tests may find."""

from collections.abc import Collection
from typing import NamedTuple

from fhir_mapping.model.dates import Answer, ClinicalDate
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.results import Finding
from fhir_mapping.model.treatment import UNNAMED_CELLS, SourceRef
from fhir_mapping.model.vocabulary import Certainty

_STATED = Certainty.STATED  # an Enum is slow to look a member up in
_TESTS = ("hiv-ag-ab", "hiv-ab")


def hiv_on_record(history: TreatmentHistory) -> bool:
    """Whether the problem list names it, or the latest test for its antigen or antibodies was positive."""
    return any(problem.concept == "hiv" for problem in history.problems) or any(
        (latest := history.latest_serology(test)) is not None and latest.finding is Finding.POSITIVE for test in _TESTS
    )


class VectorCells(NamedTuple):
    """What was given, and on which day; `is_lentiviral` is unknown where the vector, or the product, is not known."""

    is_lentiviral: Answer
    product: str
    infused: ClinicalDate | None = None
    evidence: tuple[SourceRef, ...] = ()
    is_given: bool = True


def cells_with_vector(history: TreatmentHistory, lentiviral: Collection[str]) -> VectorCells | None:
    """Give the CAR T cells on record that matter most: lentiviral ones, else of unknown vector, else in doubt.

    None where there are none on record. How long ago they were given does not matter: the vector stays, and a test for
    the nucleic acid of HIV may find it.
    """
    if not (history.infusions or history.other_cell_therapies):
        return None
    found = [
        VectorCells(
            Answer.YES if i.product is not None and i.product.id in lentiviral else Answer.UNKNOWN,
            i.name,
            i.infused,
            i.sources[:1],
            i.is_stated,
        )
        for i in history.infusions
    ]
    found += [
        VectorCells(Answer.UNKNOWN, c.name or UNNAMED_CELLS, c.infused, (c.source,), c.certainty is _STATED)
        for c in history.other_cell_therapies
    ]
    return max(found, key=_weight)


def _weight(cells: VectorCells) -> tuple[bool, bool]:
    return cells.is_given, cells.is_lentiviral is Answer.YES

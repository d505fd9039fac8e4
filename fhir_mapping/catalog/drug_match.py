"""What the codes and words of one medication entry turned out to name."""

from dataclasses import dataclass

from fhir_mapping.model.treatment import Recognition, UnmappedDrug
from fhir_mapping.model.vocabulary import Certainty, ChartText, Drug, DrugClass

_NO_TEXT = ChartText()


@dataclass(frozen=True, slots=True)
class DrugMatch:
    """What a medication entry turned out to be: known drugs, treatment we do not know, or some other drug.

    `is_known_other` is true where only a drug is named that the catalogue lists as being none of ours, be it CAR T
    cells against another disease. `how` says for each of the drugs by what it was found; `recognised` and `unmapped`
    are the same for the history. `certainty` is "possible" for unrecognised treatment, and where codes and
    texts contradict each other: the drugs are then all that they name, and one of them may be wrong. `possible_drugs`
    are those that a short name may stand for; they are not among the drugs, and where nothing else is named the entry
    is unrecognised treatment too. `sole_treatment` is the one drug that is surely named, where it treats myeloma by
    its doses and does nothing else.
    """

    drugs: tuple[Drug, ...] = ()
    how: tuple[str, ...] = ()
    certainty: Certainty = Certainty.STATED
    possible_drugs: tuple[Drug, ...] = ()
    is_unrecognised_treatment: bool = False
    is_known_other: bool = False
    may_be_cell_therapy: bool = False
    text: ChartText = _NO_TEXT
    recognised: tuple[Recognition, ...] = ()
    unmapped: UnmappedDrug | None = None
    sole_treatment: Drug | None = None


def sole_treatment(drugs: tuple[Drug, ...]) -> Drug | None:
    """Give the one drug of an entry, where it treats myeloma by its doses and does nothing else."""
    if len(drugs) != 1:
        return None
    (drug,) = drugs
    return drug if drug.antimyeloma and not drug.covers and drug.drug_class is not DrugClass.CAR_T else None

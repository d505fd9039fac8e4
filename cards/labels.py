"""What a product's label asks for, as dated data: see knowledge/labels.toml."""

from dataclasses import dataclass
from datetime import date

from fhir_mapping.model.vocabulary import Drug, DrugClass


@dataclass(frozen=True, slots=True)
class Label:
    """One indication of one product in one jurisdiction, as its label read on a day.

    `beside` are the drugs that belong to the labelled combination, each as the ids that may stand for it. `label_date`
    is as exact as it was read; after `expires` nobody vouches for the row any more.
    """

    product: Drug
    beside: tuple[frozenset[str], ...]
    jurisdiction: str
    indication: str
    lines_minimum: int
    classes: tuple[DrugClass, ...]
    refractory_to: tuple[Drug, ...]
    source: str
    source_label: str
    label_date: str
    owner: str
    expires: date

"""What a whole history lets one infer, worked out only when a rule asks."""

from typing import Protocol

from fhir_mapping.model.dates import Answer
from fhir_mapping.model.lines import LineCount
from fhir_mapping.model.vocabulary import DrugClass


class Derived(Protocol):
    """The inferences that rules may ask for; every one of them is marked as inferred where it is shown."""

    def lines(self) -> LineCount:
        """Count the lines of therapy; they are told only where a line number was written down."""

    def exposed_to(self, drug_class: DrugClass) -> Answer:
        """Whether any drug of a class was given; what was only ordered, or only may count as one, leaves it open."""

    def refractory_to(self, drug_id: str) -> Answer:
        """Whether the myeloma is refractory to a substance, named by the id of one of its products."""

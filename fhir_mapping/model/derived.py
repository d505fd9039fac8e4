"""What a whole history lets one infer, worked out only when a rule asks."""

from typing import TYPE_CHECKING, Protocol

from fhir_mapping.model.dates import Answer
from fhir_mapping.model.lines import LineCount
from fhir_mapping.model.vocabulary import DrugClass

if TYPE_CHECKING:
    from fhir_mapping.model.history import TreatmentHistory


class Derived(Protocol):
    """The inferences that rules may ask for about one history; each is marked as inferred where it is shown.

    The history is given with each question: held here, it would make a cycle to collect.
    """

    def lines(self, history: "TreatmentHistory") -> LineCount:
        """Count the lines of therapy; they are told only where a line number was written down."""

    def exposed_to(self, history: "TreatmentHistory", drug_class: DrugClass) -> Answer:
        """Whether any drug of a class was given; what was only ordered, or only may count as one, leaves it open."""

    def refractory_to(self, history: "TreatmentHistory", drug_id: str) -> Answer:
        """Whether the myeloma is refractory to a substance, named by the id of one of its products."""

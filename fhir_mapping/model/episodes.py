"""One course of CAR T-cell therapy, from the collection of T cells to the infusion, as far as the chart tells it."""

from dataclasses import dataclass
from enum import StrEnum

from fhir_mapping.model.dates import Answer
from fhir_mapping.model.treatment import CarTInfusion, Course, SourceRef, SupportiveCare, TCellCollection
from fhir_mapping.model.vocabulary import Antigen, Certainty, Drug


class EpisodeState(StrEnum):
    """How far an episode has come; unknown where dates or certainty do not tell."""

    COLLECTED = "collected, infusion still to come"
    INFUSED = "infused"
    ABANDONED = "collected, never infused"
    HISTORY = "history only"
    UNKNOWN = "cannot be told"


@dataclass(frozen=True, slots=True)
class CarTEpisode:
    """One course of CAR T-cell therapy; collections without infusion are no exposure.

    `lymphodepletion` holds fludarabine as supportive care, since it never counts as treatment of myeloma. The
    certainty is "possible" where the cells may have been meant for another disease, or were perhaps not given.
    """

    state: EpisodeState
    certainty: Certainty
    collections: tuple[TCellCollection, ...]
    bridging: tuple[Course, ...]
    lymphodepletion: tuple[Course | SupportiveCare, ...]
    infusion: CarTInfusion | None
    reasons: tuple[str, ...]
    sources: tuple[SourceRef, ...]
    inferred: bool = True

    @property
    def product(self) -> Drug | None:
        """Give the product, where an infusion names it."""
        return self.infusion.product if self.infusion else None

    def targets(self, antigen: Antigen) -> Answer:
        """Whether cells against this antigen were given; unknown without a product, and while it is open."""
        if self.infusion is None:
            return Answer.UNKNOWN if self.state is EpisodeState.UNKNOWN else Answer.NO
        answer = self.infusion.targets(antigen)
        return Answer.UNKNOWN if answer is Answer.YES and self.certainty is Certainty.POSSIBLE else answer

"""What is ordered: the drafts of the request that rules judge."""

from dataclasses import dataclass, field
from enum import StrEnum

from fhir_mapping.model.dates import ClinicalDate
from fhir_mapping.model.vocabulary import Antigen, ChartText, Drug, DrugClass


class OrderKind(StrEnum):
    """What a draft order asks for, as far as rules tell orders apart."""

    DRUG = "drug"
    CAR_T_INFUSION = "CAR T infusion"
    T_CELL_COLLECTION = "T-cell collection"
    LYMPHODEPLETION = "lymphodepletion"
    CAR_T_REFERRAL = "CAR T evaluation"
    OTHER_WATCHED = "other watched order"
    UNRECOGNISED = "unrecognised treatment"


@dataclass(frozen=True, slots=True)
class ProposedOrder:
    """A draft order of this request; `judged` is false for drafts that are only context (order-select).

    `raw` is the JSON that came, for an answer that hands it back; none for a draft that cannot be handed back.
    """

    reference: ChartText
    kind: OrderKind
    drug: Drug | None
    planned: ClinicalDate | None
    judged: bool
    systemic: bool
    label: ChartText
    raw: bytes = field(default=b"", compare=False, repr=False)

    @property
    def is_car_t_step(self) -> bool:
        """Whether it is a CAR T product, its infusion, the T-cell collection or lymphodepletion."""
        return self.is_car_t_infusion or self.kind in {OrderKind.T_CELL_COLLECTION, OrderKind.LYMPHODEPLETION}

    @property
    def is_car_t_infusion(self) -> bool:
        """Whether it is a CAR T product or its infusion."""
        product = self.drug is not None and self.drug.drug_class is DrugClass.CAR_T
        return product or self.kind is OrderKind.CAR_T_INFUSION

    @property
    def needs_a_diagnosis(self) -> bool:
        """Whether an unreadable or empty problem list must be pointed out beside this order (G0, G1)."""
        engager = self.drug is not None and self.drug.mechanism is not None
        return engager or self.is_car_t_step or self.kind is OrderKind.UNRECOGNISED

    def may_target(self, antigen: Antigen) -> bool:
        """Whether it is directed against the antigen; a CAR T step that names no product counts as such."""
        if self.drug is not None and self.drug.antigens:
            return antigen in self.drug.antigens
        return self.is_car_t_step

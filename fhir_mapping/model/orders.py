"""What is ordered: the drafts of the request that rules judge."""

from dataclasses import dataclass
from enum import StrEnum

from fhir_mapping.model.dates import ClinicalDate
from fhir_mapping.model.treatment import UNNAMED_CELLS, Amount
from fhir_mapping.model.vocabulary import Antigen, ChartText, Drug, DrugClass


class OrderKind(StrEnum):
    """What a draft order asks for, as far as rules tell orders apart."""

    DRUG = "drug"
    CAR_T_INFUSION = "CAR T infusion"
    T_CELL_COLLECTION = "T-cell collection"
    LYMPHODEPLETION = "lymphodepletion"
    CAR_T_REFERRAL = "CAR T evaluation"
    OTHER = "other order"
    UNRECOGNISED = "unrecognised treatment"


# Looking a member up in its Enum costs as much as a call in Python 3.11, and every rule asks
_CAR_T, _CAR_T_INFUSION, _LYMPHODEPLETION = DrugClass.CAR_T, OrderKind.CAR_T_INFUSION, OrderKind.LYMPHODEPLETION
_BEFORE_THE_INFUSION = frozenset({OrderKind.T_CELL_COLLECTION, OrderKind.LYMPHODEPLETION})


@dataclass(frozen=True, slots=True)
class ProposedOrder:
    """A draft order of this request; `judged` is false for drafts that are only context.

    Such are those that are not selected, and those that may answer a rule but bring none up. `asks_for` are the
    concepts of the tests, vaccines, procedures and referrals that it asks for, e.g. "hiv-nat" or "vaccine-mmr-live".
    Of a bispecific antibody, `amount` is that of the dose on the planned day, `every_days` the days between doses.
    """

    reference: ChartText
    kind: OrderKind
    drug: Drug | None
    planned: ClinicalDate | None
    judged: bool
    systemic: bool
    label: ChartText
    asks_for: frozenset[str] = frozenset()
    amount: Amount | None = None
    every_days: int | None = None

    @property
    def is_car_t_step(self) -> bool:
        """Whether it is a CAR T product, its infusion, the T-cell collection or lymphodepletion."""
        return self.is_car_t_infusion or self.kind in _BEFORE_THE_INFUSION

    @property
    def is_car_t_infusion(self) -> bool:
        """Whether it is a CAR T product or its infusion."""
        return self.kind is _CAR_T_INFUSION or (self.drug is not None and self.drug.drug_class is _CAR_T)

    @property
    def therapy(self) -> str:
        """Name the drug, or call it CAR T cells where a step towards them names none: lymphodepletion never does."""
        if self.drug is None or self.kind is _LYMPHODEPLETION:
            return UNNAMED_CELLS
        return self.drug.name

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

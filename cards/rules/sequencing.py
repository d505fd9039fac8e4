"""Sequencing: what the order of T-cell-redirecting therapies allows and prefers."""

from cards.finding import Conclusion, Outcome, not_applicable, satisfied
from cards.rulebook import order_rule
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.orders import ProposedOrder
from fhir_mapping.model.vocabulary import Antigen, Drug, DrugClass, Topic


@order_rule("R02", reads={Topic.CELL_THERAPY})
def bispecific_after_car_t(history: TreatmentHistory, order: ProposedOrder, settings: object) -> Conclusion:
    """A bispecific antibody after CAR T cells needs no interval: keeps the washout rules silent for this order."""
    if order.drug is None or order.drug.drug_class is not DrugClass.BISPECIFIC or not history.infusions:
        return not_applicable()
    return satisfied()


@order_rule("R07", reads={Topic.TREATMENT, Topic.PROGRESSION}, variants={"option"})
def talquetamab_keeps_bcma_open(history: TreatmentHistory, order: ProposedOrder, settings: object) -> Conclusion:
    """After a BCMA bispecific antibody, a GPRC5D one can hold the disease: shown only beside R01 or R05."""
    if not order.may_target(Antigen.BCMA):
        return not_applicable()
    courses = [
        course
        for course in history.courses_against(Antigen.BCMA)
        if course.drug.drug_class is DrugClass.BISPECIFIC and course.is_proven_or_reported
    ]
    if not courses or history.has_failed(Antigen.GPRC5D):
        return not_applicable()
    if _is_under_way(history):
        return satisfied()
    return Conclusion(Outcome.FLAGGED, variant="option", evidence=tuple(c.sources[0] for c in courses))


def _is_under_way(history: TreatmentHistory) -> bool:
    def targets(drug: Drug | None) -> bool:
        return drug is not None and Antigen.GPRC5D in drug.antigens

    return any(targets(order.drug) for order in history.orders) or any(
        course.ongoing and targets(course.drug) for course in history.courses
    )

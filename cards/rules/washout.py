"""Washout: how long after one targeted drug T cells are collected for CAR T, and what is no bridge to the infusion."""

from dataclasses import dataclass

from cards.finding import Conclusion, Missing, Outcome, Reschedule, cannot_tell, not_applicable, satisfied
from cards.rulebook import Settings, order_rule
from cards.situation import interval
from cards.situation.car_t import car_t_under_way
from cards.situation.collection import ahead, in_calendar, is_collection, needs_cells
from cards.situation.interval import Washout
from fhir_mapping.model.dates import Answer
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.orders import OrderKind, ProposedOrder
from fhir_mapping.model.vocabulary import Antigen, DrugClass, Topic


class MinimumWashout(Settings):
    """Numbers of R01 and R13."""

    minimum_days: int
    collection_counts_days: int


class MinimumInterval(Settings):
    """Number of R03."""

    minimum_days: int


@order_rule(
    "R01",
    reads={Topic.TREATMENT, Topic.CELL_THERAPY},
    heeds={Topic.PLANS},
    settings=MinimumWashout,
    facts=Washout,
    variants=interval.VARIANTS,
    missing=interval.MISSING,
    notes={"other_in_doubt", "gprc5d_failed"},
)
def bcma_bispecific_before_car_t(
    history: TreatmentHistory, order: ProposedOrder, settings: MinimumWashout
) -> Conclusion:
    """A BCMA bispecific antibody was given too shortly before T cells are collected for BCMA CAR T cells."""
    found = _before_bcma_car_t(DrugClass.BISPECIFIC, history, order, settings)
    facts = found.facts
    if not isinstance(facts, Washout):
        return found
    if history.has_failed(Antigen.GPRC5D):  # why R07 has no option to add to this card
        found = found._replace(notes=("gprc5d_failed",))
    if found.variant == "collected" or not _sets_the_collection(order, history):
        return found
    if found.missing:
        return found._replace(notes=(*found.notes, "other_in_doubt"))
    if facts.earliest <= facts.index.latest:  # what is still going on leaves no day that is known to be long enough
        return found
    return found._replace(proposals=(Reschedule("later-start", order, facts.earliest),))


def _sets_the_collection(order: ProposedOrder, history: TreatmentHistory) -> bool:
    """Whether the day of a collection to come is the order's own, or as good as: nothing else asks for one."""
    if is_collection(order):
        return True
    is_set_elsewhere = any(is_collection(other) for other in history.orders) or in_calendar(history) is not None
    return not (needs_cells(order) or is_set_elsewhere)


@order_rule(
    "R13",
    reads={Topic.TREATMENT, Topic.CELL_THERAPY},
    heeds={Topic.PLANS},
    settings=MinimumWashout,
    facts=Washout,
    variants=interval.VARIANTS,
    missing=interval.MISSING,
)
def bcma_conjugate_before_car_t(
    history: TreatmentHistory, order: ProposedOrder, settings: MinimumWashout
) -> Conclusion:
    """A BCMA antibody-drug conjugate was given shortly before T cells are collected for BCMA CAR T cells."""
    return _before_bcma_car_t(DrugClass.ADC, history, order, settings)


def _before_bcma_car_t(
    drug_class: DrugClass, history: TreatmentHistory, order: ProposedOrder, settings: MinimumWashout
) -> Conclusion:
    if not (order.is_car_t_step and order.may_target(Antigen.BCMA)):
        return not_applicable()
    courses = [course for course in history.courses_against(Antigen.BCMA) if course.drug.drug_class is drug_class]
    return interval.before_collection(courses, settings.minimum_days, settings.collection_counts_days, history, order)


@order_rule(
    "R03",
    reads={Topic.TREATMENT},
    heeds={Topic.PLANS},
    settings=MinimumInterval,
    facts=Washout,
    variants={"recent", "ongoing"},
    missing={"last_dose", "date_precision", "given"},
)
def engager_before_collection(history: TreatmentHistory, order: ProposedOrder, settings: MinimumInterval) -> Conclusion:
    """A T-cell engager against another antigen than the cells was given shortly before they are collected."""
    if not is_collection(order):
        return not_applicable()
    is_for_bcma = order.may_target(Antigen.BCMA)
    courses = [
        course
        for course in history.courses
        if course.drug.drug_class is DrugClass.BISPECIFIC
        and not (is_for_bcma and Antigen.BCMA in course.drug.antigens)  # R01 asks for more than this
    ]
    return interval.to_index(courses, ahead(history, order), settings.minimum_days)


class InProgress(Settings):
    """Number of R09."""

    collection_counts_days: int


@dataclass(frozen=True, slots=True)
class Bridge:
    """What R09 found: the drug that is ordered, and what says that CAR T-cell therapy is under way."""

    drug: str
    under_way: str


@order_rule(
    "R09",
    reads={Topic.CELL_THERAPY},
    heeds={Topic.PLANS},
    settings=InProgress,
    facts=Bridge,
    variants={"bridge"},
    missing={"collection", "car_t_order"},
    new_starts_only=False,
)
def bcma_drug_as_bridge(history: TreatmentHistory, order: ProposedOrder, settings: InProgress) -> Conclusion:
    """A BCMA-directed drug is ordered while BCMA CAR T cells are being prepared."""
    drug = order.drug
    if (
        drug is None
        or order.kind is not OrderKind.DRUG
        or order.is_car_t_infusion
        or not order.may_target(Antigen.BCMA)
    ):
        return not_applicable()
    found = car_t_under_way(history, order, settings.collection_counts_days, Antigen.BCMA)
    # What a record says of cells that wait rests on no infusion having used them up
    absent = frozenset({Topic.CELL_THERAPY}) if found.evidence else frozenset()
    match found.answer:
        case Answer.NO:
            return satisfied(absent={Topic.CELL_THERAPY})
        case Answer.UNKNOWN:
            return cannot_tell(Missing(found.missing), evidence=found.evidence)
        case Answer.YES:
            facts = Bridge(drug.name, found.what)
            return Conclusion(Outcome.FLAGGED, variant="bridge", facts=facts, evidence=found.evidence, absent=absent)

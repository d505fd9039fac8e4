"""Supportive care: what should not be forgotten between the collection of T cells and their infusion."""

from dataclasses import dataclass

from cards.finding import Conclusion, Hook, Missing, Outcome, cannot_tell, not_applicable, satisfied
from cards.rulebook import Settings, patient_rule
from cards.situation.car_t import collections_waiting
from fhir_mapping.model.dates import Answer, ClinicalDate, Days, latest_of
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.orders import OrderKind, ProposedOrder
from fhir_mapping.model.results import DiseaseStatus, Status
from fhir_mapping.model.treatment import Course, TCellCollection
from fhir_mapping.model.vocabulary import Certainty, DrugClass, Topic


class Bridging(Settings):
    """Numbers of R08: from which day after the collection it asks, and how long a collection counts."""

    first_day: int
    collection_counts_days: int


@dataclass(frozen=True, slots=True)
class NotBridged:
    """What R08 found: the collection, and how many days ago it was."""

    collected: ClinicalDate
    days: Days


@patient_rule(
    "R08",
    reads={Topic.TREATMENT, Topic.CELL_THERAPY},
    heeds={Topic.PROGRESSION},
    settings=Bridging,
    facts=NotBridged,
    variants={"not_found"},
    missing={"collection", "bridging"},
)
def no_bridging_on_record(history: TreatmentHistory, hook: Hook, settings: Bridging) -> Conclusion:
    """T cells were collected and not infused yet, and no treatment that bridges the time is on record."""
    if hook is not Hook.PATIENT_VIEW and not any(order.is_car_t_step for order in history.judged_orders):
        return not_applicable()
    waiting = list(collections_waiting(history, settings.collection_counts_days))
    if not waiting:
        return not_applicable(absent={Topic.CELL_THERAPY})
    sure = [collection for collection, answer in waiting if answer is Answer.YES]
    if not sure:
        return cannot_tell(Missing("collection"), evidence=(waiting[0][0].source,))
    known = latest_of([collection.collected for collection in sure if collection.collected is not None])
    answers = [
        _since(collection, history, settings)
        for collection in (*sure, *(c for c, _ in waiting if c not in sure))
        if collection.collected is None or known is None or collection.collected.is_before(known) is not Answer.YES
    ]
    if len({answer.outcome for answer in answers}) > 1:
        return cannot_tell(Missing("collection"), evidence=(sure[0].source,))
    return answers[0]


def _since(collection: TCellCollection, history: TreatmentHistory, settings: Bridging) -> Conclusion:
    """Judge the time since one collection."""
    unclear = cannot_tell(Missing("collection"), evidence=(collection.source,))
    if collection.collected is None:
        return unclear
    days = collection.collected.days_until(history.today)
    match days.less_than(settings.first_day):
        case Answer.YES:
            return not_applicable()
        case Answer.UNKNOWN:
            return unclear
        case Answer.NO:
            return _bridged(collection.collected, days, collection, history)


def _bridged(collected: ClinicalDate, days: Days, collection: TCellCollection, history: TreatmentHistory) -> Conclusion:
    """Look for treatment after the collection, ordered or given, or for a response that needs none."""
    treated = [(course, _bridges(course, collected)) for course in history.courses if course.drug.antimyeloma]
    found = [course for course, answer in treated if answer is Answer.YES]
    if found:
        return satisfied(evidence=found[-1].sources[:1])
    if any(_is_bridging(order, history) for order in history.orders):
        return satisfied()
    remission = [(status, _lasts(status, history)) for status in history.disease_statuses if _is_deep(status)]
    deep = [status for status, answer in remission if answer is Answer.YES]
    if deep:
        return satisfied(evidence=(deep[0].source,))
    if history.unrecognised or any(answer is Answer.UNKNOWN for _, answer in [*treated, *remission]):
        return cannot_tell(Missing("bridging"), evidence=(collection.source,))
    return Conclusion(
        Outcome.FLAGGED,
        variant="not_found",
        facts=NotBridged(collected, days),
        evidence=(collection.source,),
        absent=frozenset({Topic.TREATMENT, Topic.CELL_THERAPY}),
    )


def _bridges(course: Course, collected: ClinicalDate) -> Answer:
    """Whether a drug was ordered for the time after the collection, or was given then."""
    if course.last_dose is None:
        return Answer.UNKNOWN
    goes_on = course.last_dose.is_after(collected)
    return Answer.UNKNOWN if goes_on is Answer.YES and course.certainty is Certainty.POSSIBLE else goes_on


def _is_bridging(order: ProposedOrder, history: TreatmentHistory) -> bool:
    """Whether a draft is a drug against the myeloma; an alkylator beside lymphodepletion prepares for the cells."""
    if order.drug is None or not order.drug.antimyeloma or order.is_car_t_step:
        return False
    is_prepared = any(other.kind is OrderKind.LYMPHODEPLETION for other in history.orders)
    return not (is_prepared and order.drug.drug_class is DrugClass.ALKYLATOR)


def _is_deep(status: DiseaseStatus) -> bool:
    return status.status is Status.FULL_REMISSION


def _lasts(remission: DiseaseStatus, history: TreatmentHistory) -> Answer:
    """Whether a complete remission is the last that was recorded of the myeloma."""
    others = [status.on for status in history.disease_statuses if not _is_deep(status)]
    others += [event.on for event in history.progressions]
    if remission.on is None:
        return Answer.UNKNOWN
    came_after = {Answer.UNKNOWN if on is None else on.is_after(remission.on) for on in others}
    if Answer.YES in came_after:
        return Answer.NO
    return Answer.UNKNOWN if Answer.UNKNOWN in came_after else Answer.YES

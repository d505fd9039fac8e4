"""What speaks against a preference for T-cell redirection in one patient: a plan, a refusal, frailty, a trial."""

from collections.abc import Iterator

from cards.rulebook import Settings
from cards.situation.car_t import car_t_under_way, was_asked_lately
from cards.situation.results import was_within
from fhir_mapping.model.care import TOWARDS_CAR_T, RefusedTherapy
from fhir_mapping.model.dates import Answer
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.orders import OrderKind, ProposedOrder
from fhir_mapping.model.results import LabTest
from fhir_mapping.model.treatment import SourceRef
from fhir_mapping.model.vocabulary import Topic

# Nothing waits for these: where they cannot be read, nothing keeps a preference from being said
TOPICS = frozenset({Topic.PLANS, Topic.REFUSALS, Topic.TRIALS, Topic.PERFORMANCE})


class Candidacy(Settings):
    """From which ECOG status a patient counts as frail, and how old that status and a referral may be, in days."""

    ecog_minimum: int
    ecog_counts_days: int
    referral_counts_days: int


def spoken_against(
    history: TreatmentHistory, order: ProposedOrder | None, settings: Candidacy, refused: frozenset[RefusedTherapy]
) -> tuple[SourceRef, ...] | None:
    """Give the first record that makes a preference idle, None where there is none; a draft order has no record.

    That is a step towards CAR T-cell therapy that is ordered or planned, be it the referral, what the patient declined
    or is not suited for, poor performance status, or a clinical trial.
    """
    if any(other is not order and _leads_to_car_t(other) for other in history.orders):
        return ()
    found = next(_records(history, settings, refused), None)
    return None if found is None else (found,)


def _leads_to_car_t(order: ProposedOrder) -> bool:
    return order.is_car_t_step or order.kind is OrderKind.CAR_T_REFERRAL


def _records(history: TreatmentHistory, settings: Candidacy, refused: frozenset[RefusedTherapy]) -> Iterator[SourceRef]:
    days = settings.referral_counts_days
    plans = (plan for plan in history.plans if plan.kind in TOWARDS_CAR_T)
    yield from (plan.source for plan in plans if was_asked_lately(plan, history, days))
    if history.collections:
        under_way = car_t_under_way(history, None, days)
        if under_way.answer is Answer.YES:
            yield from under_way.evidence[:1]
    yield from (refusal.source for refusal in history.refusals if refusal.therapy in refused)
    if (status := _poor_performance(history, settings)) is not None:
        yield status
    yield from (trial.source for trial in history.trials if trial.on_study is Answer.YES)


def _poor_performance(history: TreatmentHistory, settings: Candidacy) -> SourceRef | None:
    status = history.latest_lab(LabTest.ECOG)
    if status is None or status.at_least(settings.ecog_minimum) is not Answer.YES:
        return None
    is_recent = was_within(status, history.today, settings.ecog_counts_days)
    return status.source if is_recent is Answer.YES else None

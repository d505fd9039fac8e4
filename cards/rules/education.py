"""Education: what is to be watched after CAR T cells, and what patients and families have to know."""

from dataclasses import dataclass

from cards.finding import Conclusion, Missing, Outcome, Proposal, cannot_tell, not_applicable, satisfied
from cards.rulebook import Settings, order_rule
from cards.situation.answers import any_of
from cards.situation.bispecific import is_bispecific, is_first_dose
from fhir_mapping.model.dates import Answer, ClinicalDate
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.orders import ProposedOrder
from fhir_mapping.model.vocabulary import Topic

_EDUCATION = "patient-education"
_YES, _NO, _UNKNOWN = Answer.YES, Answer.NO, Answer.UNKNOWN


class Monitoring(Settings):
    """Numbers of R41."""

    daily_days: int
    monitoring_days: int
    nearby_days: int
    no_driving_days: int


@dataclass(frozen=True, slots=True)
class AboutToStart:
    """What R41 and R42 found: the drug or the cells that are ordered."""

    drug: str


@order_rule("R41", reads={Topic.CELL_THERAPY}, settings=Monitoring, facts=AboutToStart, variants={"reminder"})
def monitoring_after_car_t(history: TreatmentHistory, order: ProposedOrder, settings: Monitoring) -> Conclusion:
    """A CAR T infusion is signed: what the regulator asks for in the weeks after it."""
    if not order.is_car_t_infusion:
        return not_applicable()
    return Conclusion(Outcome.FLAGGED, variant="reminder", facts=AboutToStart(order.therapy))


class Taught(Settings):
    """Number of R42; `wallet_card` are the drugs, by id, that come with one."""

    education_days: int
    wallet_card: tuple[str, ...]


@order_rule(
    "R42",
    reads={Topic.EDUCATION, Topic.CELL_THERAPY, Topic.TREATMENT},
    settings=Taught,
    facts=AboutToStart,
    variants={"not_found", "with_wallet_card"},
    missing={"first", "education"},
)
def education_not_found(history: TreatmentHistory, order: ProposedOrder, settings: Taught) -> Conclusion:
    """The first CAR T infusion, or first bispecific dose, is signed, and no record says that anybody was taught."""
    is_infusion = order.is_car_t_infusion
    if not (is_infusion or is_bispecific(order)):
        return not_applicable()
    first = _is_first_infusion(history) if is_infusion else is_first_dose(order, history)
    if first is _NO:
        return not_applicable()
    if any(_EDUCATION in other.asks_for for other in history.orders):
        return satisfied()
    taught = [(record, _since(record.on, history, settings)) for record in history.education]
    sources = tuple(record.source for record, answer in taught if answer is not _NO)
    answer = any_of(*(answer for _, answer in taught))
    if answer is _YES:
        return satisfied(evidence=sources)
    if answer is _UNKNOWN:
        return cannot_tell(Missing("education"), evidence=sources)
    if first is _UNKNOWN:
        return cannot_tell(Missing("first"))
    has_card = order.drug is not None and order.drug.id in settings.wallet_card
    return Conclusion(
        Outcome.FLAGGED,
        variant="with_wallet_card" if has_card else "not_found",
        facts=AboutToStart(order.therapy),
        absent=frozenset({Topic.EDUCATION, Topic.CELL_THERAPY if is_infusion else Topic.TREATMENT}),
        proposals=(Proposal("patient-education-wallet-card" if has_card else _EDUCATION),),
    )


def _is_first_infusion(history: TreatmentHistory) -> Answer:
    if any(infusion.is_stated for infusion in history.infusions):
        return _NO
    return _UNKNOWN if history.infusions else _YES


def _since(on: ClinicalDate | None, history: TreatmentHistory, settings: Taught) -> Answer:
    return _UNKNOWN if on is None else on.days_until(history.today).at_most(settings.education_days)

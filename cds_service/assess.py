"""One request, start to finish: parse, read the chart, build the history, ask the rules, word the cards."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from zoneinfo import ZoneInfo

from cards.card import Card
from cards.compose import compose
from cards.evaluate import Result, evaluate
from cards.finding import Hook
from cards.knowledge.loader import Knowledge
from cards.render import Addressee, render
from cds_service import telemetry
from cds_service.errors import DataUnavailable
from cds_service.gather import Gathered
from cds_service.hook_models import HookRequest, parse_request
from fhir_mapping import wire
from fhir_mapping.build import build_history, read_orders
from fhir_mapping.catalog.loader import Catalog
from fhir_mapping.model.coverage import Level
from fhir_mapping.model.history import ProposedOrder, TreatmentHistory
from fhir_mapping.needs import GATE_TOPICS, Search, coverage_of
from fhir_mapping.readers.conditions import names_myeloma

_GATE_SEARCHES = ("patient", "conditions")


@dataclass(frozen=True, slots=True)
class Assessor:
    """What every assessment needs: the tables, the clinical date, and a source of uuids."""

    catalog: Catalog
    knowledge: Knowledge
    searches: Mapping[str, Search]
    today: Callable[[], date]
    zone: ZoneInfo
    new_uuid: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Assessment:
    """The cards of one answer, and what the decision record needs to know about how they came about."""

    cards: tuple[Card, ...] = ()
    rules: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    shown: tuple[str, ...] = ()
    coverage: Mapping[str, str] = field(default_factory=dict)
    gaps: Mapping[str, int] = field(default_factory=dict)
    faults: tuple[str, ...] = ()


_NOTHING = Assessment()


def assess(body: bytes, hook: Hook, assessor: Assessor) -> Assessment:
    """Answer one hook request.

    Raises RequestError for a request that cannot be used, PatientDataError when nothing could be read.
    """
    request = parse_request(body, hook)
    as_of = assessor.today()
    if request.token_is_for_another_patient:
        telemetry.warn("security: the access token is for another patient and is not used")
    orders = read_orders(request.drafts, assessor.catalog, as_of, assessor.zone)
    if not _is_worth_reading(request, orders):
        return _NOTHING
    gathered = Gathered()
    gathered.read(_GATE_SEARCHES, assessor.searches, request.prefetch, request.patient_id)
    if _is_surely_no_myeloma(gathered, assessor):
        return _NOTHING
    rest = [key for key in assessor.searches if key not in _GATE_SEARCHES]
    gathered.read(rest, assessor.searches, request.prefetch, request.patient_id)
    for key in gathered.foreign_keys:
        telemetry.warn("security: another patient's data in the prefetch, dropped", prefetch_key=key)
    history = build_history(
        gathered.found,
        coverage_of(gathered.readings),
        assessor.catalog,
        as_of,
        assessor.zone,
        request.drafts,
        gathered.unreadable,
        orders,
    )
    _require_some_data(history, gathered, hook, assessor.knowledge)
    evaluation = evaluate(history, hook, assessor.knowledge, assessor.catalog.days("course_gap"))
    plan = compose(evaluation, history)
    cards = render(plan, history, assessor.knowledge, Addressee(request.patient_id, assessor.new_uuid))
    return Assessment(
        cards=cards,
        rules=_outcomes(evaluation.results),
        shown=tuple(card.source.topic.code for card in cards),
        coverage={topic.value: coverage.level.value for topic, coverage in history.coverage.topics.items()},
        gaps=dict(Counter(gap.code.value for gap in history.gaps)),  # asdict cannot copy a Counter
        faults=tuple(f"{r.active.text.id}: {r.fault}" for r in evaluation.results if r.fault),
    )


def _is_worth_reading(request: HookRequest, orders: tuple[ProposedOrder, ...]) -> bool:
    """Gate G2: a clinician opens the chart, or one of the judged draft orders is watched."""
    if request.hook is Hook.PATIENT_VIEW:
        return request.user_is_clinician
    return request.drafts.foreign > 0 or any(order.judged for order in orders)


def _is_surely_no_myeloma(gathered: Gathered, assessor: Assessor) -> bool:
    """Gate G1 ahead of the rest: a problem list that was read whole and shows other things needs no chart read."""
    if gathered.readings["conditions"].level is not Level.COMPLETE:
        return False
    conditions = [item.resource for item in gathered.found if isinstance(item.resource, wire.Condition)]
    return bool(conditions) and not any(names_myeloma(c, assessor.catalog) for c in conditions)


def _require_some_data(history: TreatmentHistory, gathered: Gathered, hook: Hook, knowledge: Knowledge) -> None:
    topics = {topic for active in knowledge.for_hook(hook) for topic in active.rule.reads} - GATE_TOPICS
    if all(history.coverage.of(topic).level is Level.UNAVAILABLE for topic in topics):
        raise DataUnavailable(key for key, reading in gathered.readings.items() if reading.level is Level.UNAVAILABLE)


def _outcomes(results: tuple[Result, ...]) -> Mapping[str, tuple[str, ...]]:
    outcomes: dict[str, list[str]] = defaultdict(list)
    for result in results:
        outcomes[result.active.text.id].append("failed" if result.fault else result.outcome.name.lower())
    return {key: tuple(found) for key, found in outcomes.items()}

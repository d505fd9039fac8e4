"""One request, start to finish: parse, read the chart, build the history, ask the rules, word the cards."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import lru_cache
from itertools import chain
from zoneinfo import ZoneInfo

from cards.card import Card
from cards.compose import compose
from cards.evaluate import Result, evaluate
from cards.finding import Hook, Outcome
from cards.knowledge.loader import Knowledge
from cards.orders import Ordering
from cards.render import render
from cards.suggest import Addressee
from cds_service import telemetry
from cds_service.callers import Caller
from cds_service.errors import DataUnavailable
from cds_service.fhir.access import FhirAccess
from cds_service.gather import Gathered
from cds_service.hook_models import HookRequest, parse_request
from cds_service.metrics import NOT_KNOWN, UNRECOGNISED
from cds_service.repeats import Repeats, Viewer
from fhir_mapping import wire
from fhir_mapping.build import Drafts, build_history, read_orders, unresolved_medications
from fhir_mapping.catalog.loader import Catalog
from fhir_mapping.model.coverage import Level
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.orders import ProposedOrder
from fhir_mapping.model.vocabulary import Topic
from fhir_mapping.needs import GATE_TOPICS, NEEDS, Search, coverage_of, observed_for
from fhir_mapping.readers.conditions import names_myeloma

_GATE_SEARCHES = ("patient", "conditions")


@dataclass(frozen=True, slots=True)
class Assessor:
    """What every assessment needs: the tables, the clinical date, and a source of uuids.

    Of `knowledge`, each request uses what is in force on its day. `repeats` knows what callers' users were shown.
    """

    catalog: Catalog
    knowledge: Knowledge
    searches: Mapping[str, Search]
    topics: frozenset[Topic]
    today: Callable[[], date]
    zone: ZoneInfo
    new_uuid: Callable[[], str]
    fhir: FhirAccess
    unsupported_types: frozenset[str]
    deadline_seconds: float
    count_drugs: Callable[[Mapping[str, int]], None] = lambda _: None
    repeats: Repeats | None = None


@dataclass(frozen=True, slots=True)
class Assessment:
    """The cards of one answer, and what the decision record needs to know about how they came about."""

    cards: tuple[Card, ...] = ()
    rules: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    shown: tuple[str, ...] = ()
    not_repeated: tuple[str, ...] = ()
    coverage: Mapping[str, str] = field(default_factory=dict)
    gaps: Mapping[str, int] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)
    faults: tuple[str, ...] = ()


_NOTHING = Assessment()


def assess(body: bytes, hook: Hook, assessor: Assessor, caller: Caller | None = None) -> Assessment:
    """Answer one hook request; without a caller, no FHIR server is read, and no card counts as shown to anybody.

    Raises RequestError for a request that cannot be used, PatientDataError when nothing could be read.
    """
    deadline = time.monotonic() + assessor.deadline_seconds
    request = parse_request(body, hook)
    if hook is not Hook.PATIENT_VIEW and not request.has_draft_orders:
        telemetry.warn("registration: an order hook came without draft orders")
    reader, no_access = assessor.fhir.reader(request, caller, deadline)
    gathered = Gathered(
        assessor.searches,
        request.prefetch,
        request.patient_id,
        assessor.today(),
        reader,
        no_access,
        assessor.unsupported_types,
    )
    try:
        return _assess(request, gathered, assessor, caller)
    finally:
        if reader is not None:
            reader.stop()


def _assess(request: HookRequest, gathered: Gathered, assessor: Assessor, caller: Caller | None) -> Assessment:
    as_of = gathered.today
    if request.drafts.foreign:
        telemetry.warn("security: draft orders about another patient, not judged")
    drafts = _with_medications(request.drafts, gathered)
    orders = read_orders(drafts, assessor.catalog, as_of, assessor.zone)
    if not _is_worth_reading(request, orders):
        return _NOTHING
    gathered.start()
    gathered.finish(_GATE_SEARCHES)
    if not drafts.foreign and _is_surely_no_myeloma(gathered, assessor):
        _report(gathered)
        return _NOTHING
    gathered.finish(key for key in assessor.searches if key not in _GATE_SEARCHES)
    gathered.look_up(unresolved_medications(gathered.resources, chain(gathered.found, drafts.medications)))
    _report(gathered)
    history = build_history(
        gathered.found,
        coverage_of(gathered.readings, assessor.unsupported_types, assessor.topics),
        assessor.catalog,
        as_of,
        assessor.zone,
        drafts,
        gathered.unreadable,
        orders,
        observed_for(assessor.topics),
    )
    assessor.count_drugs(_drug_entries(history))
    knowledge = assessor.knowledge.on(as_of)
    _require_some_data(gathered, request.hook, knowledge)
    evaluation = evaluate(history, request.hook, knowledge, assessor.catalog.days("course_gap"))
    ordering = caller.ordering if caller else Ordering()
    addressee = Addressee(request.patient_id, assessor.new_uuid, ordering, request.drafts_as_sent)
    visit = None
    if assessor.repeats is not None and caller is not None:
        visit = assessor.repeats.visit(Viewer(caller.name, request.user_id, request.patient_id), knowledge, as_of)
    plan = compose(evaluation, history, knowledge.presentation, visit.is_repeat if visit else None)
    cards = render(plan, history, knowledge, addressee)
    if visit is not None:
        visit.remember(plan, cards)
    return Assessment(
        cards=cards,
        rules=_outcomes(evaluation.results),
        shown=tuple(card.source.topic.code for card in cards),
        not_repeated=plan.not_repeated,
        coverage=history.coverage.levels,
        gaps=dict(Counter([gap.code.value for gap in history.gaps])),
        origins=gathered.origins,
        faults=tuple([f"{r.active.text.id}: {r.fault}" for r in evaluation.results if r.fault]),
    )


def _report(gathered: Gathered) -> None:
    """Log what an operator should hear of, without a word of it."""
    for key in gathered.foreign_keys:
        telemetry.warn("security: another patient's data, dropped", prefetch_key=key)
    for key, origin in gathered.origins.items():
        if origin == "foreign_link":
            telemetry.warn("security: a next page at another address, not read", prefetch_key=key)


def _with_medications(drafts: Drafts, gathered: Gathered) -> Drafts:
    """Read the Medications that drafts refer to: without them nobody can say whether an order is watched.

    The chart is searched at the same time, since a Medication that cannot be read may be anything.
    """
    references = unresolved_medications([draft.order for draft in drafts.orders], drafts.medications)
    if not references:
        return drafts
    gathered.start()
    return replace(drafts, medications=(*drafts.medications, *gathered.look_up(references)))


def _is_worth_reading(request: HookRequest, orders: tuple[ProposedOrder, ...]) -> bool:
    """Gate G2: a clinician opens the chart, or one of the judged draft orders is watched."""
    if request.hook is Hook.PATIENT_VIEW:
        return request.user_is_clinician
    return request.drafts.foreign > 0 or any(order.judged for order in orders)


def _is_surely_no_myeloma(gathered: Gathered, assessor: Assessor) -> bool:
    """Gate G1 ahead of the rest: a problem list that was read whole and shows other things needs no chart read."""
    if gathered.readings["conditions"].level is not Level.COMPLETE:
        return False
    conditions = [resource for resource in gathered.resources if type(resource) is wire.Condition]
    return bool(conditions) and not any(names_myeloma(condition, assessor.catalog) for condition in conditions)


def _drug_entries(history: TreatmentHistory) -> Mapping[str, int]:
    """Count drug entries by what they were recognised by, in words of our tables, never of the chart."""
    entries = Counter([how for _, how in history.recognised])
    if history.unrecognised:
        entries[UNRECOGNISED] = len(history.unrecognised)
    if history.unmapped:
        entries[NOT_KNOWN] = len(history.unmapped)
    return entries


def _require_some_data(gathered: Gathered, hook: Hook, knowledge: Knowledge) -> None:
    """Refuse to answer where no search that feeds a rule was answered, be it one that no Topic waits for."""
    telling = _telling_searches(knowledge, hook)
    if not any(r.level is not Level.UNAVAILABLE for key, r in gathered.readings.items() if key in telling):
        unanswered = [key for key, reading in gathered.readings.items() if reading.level is Level.UNAVAILABLE]
        raise DataUnavailable({key: gathered.origins[key] for key in unanswered})


@lru_cache(maxsize=16)
def _telling_searches(knowledge: Knowledge, hook: Hook) -> frozenset[str]:
    """Name the searches that feed a rule of a hook, without those that only tell whether rules are asked at all."""
    topics = {topic for active in knowledge.for_hook(hook) for topic in active.rule.reads} - GATE_TOPICS
    return frozenset(key for topic in topics for key in NEEDS[topic].keys)


_WRITTEN = {outcome: outcome.name.lower() for outcome in Outcome}


def _outcomes(results: tuple[Result, ...]) -> Mapping[str, tuple[str, ...]]:
    outcomes: dict[str, tuple[str, ...]] = {}
    for active, _, conclusion, fault in results:
        rule_id = active.text.id
        outcomes[rule_id] = (*outcomes.get(rule_id, ()), "failed" if fault else _WRITTEN[conclusion.outcome])
    return outcomes

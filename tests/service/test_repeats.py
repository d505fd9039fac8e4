"""When an overridden card is not shown again, and everything that shows it again."""

import itertools
import json
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

import pytest
import structlog
import time_machine

from cards.card import Card, Coding, Source
from cards.compose import Plan, compose
from cards.evaluate import Evaluation, Result
from cards.finding import Hook
from cards.gates import Gate
from cards.knowledge.loader import Knowledge, load
from cds_service.remembered import OwnMemory, ShownCard, Word
from cds_service.repeats import Repeats, Viewer, Visit
from fhir_mapping.catalog.loader import load as load_catalog
from fhir_mapping.model.dates import ClinicalDate
from fhir_mapping.model.orders import OrderKind, ProposedOrder
from fhir_mapping.model.treatment import Amount, SourceRef
from fhir_mapping.model.vocabulary import ChartText
from tests.build import AS_OF, PATIENT, Resource, chart, draft_collection, draft_drug, given, hook_request, infusion
from tests.rules.made_up import HISTORY, MadeUp
from tests.rules.table import row
from tests.service.calling import call, cards, codes
from tests.service.reporting import NOON, Running, accepted, because, clock, overridden

DOSE = given("teclistamab", "2026-09-01", id="dose-1")
NEW_DOSE = given("teclistamab", "2026-11-10", id="dose-2")
CORRECTED = given("teclistamab", "2026-09-08", id="dose-1")
METFORMIN = given("metformin", "2026-11-20", id="dose-3")
COLLECTION = draft_collection("2027-01-15", id="draft-1")
SOONER = draft_collection("2027-01-08", id="draft-1")
DRAFTED_ANEW = draft_collection("2027-01-15", id="draft-2")
CELLS = draft_drug("ciltacabtagene autoleucel", id="draft-1")

OVERRIDDEN = (overridden,)
ACCEPTED = (accepted,)


@pytest.fixture(autouse=True)
def time() -> Iterator[time_machine.Traveller]:
    with clock() as traveller:
        yield traveller


@dataclass(frozen=True)
class Asked:
    """One look: how many days after the first, by whom, about whom, with which records and order."""

    days: int = 1
    user: str = "Practitioner/17"
    patient: str = PATIENT
    records: tuple[Resource, ...] = (DOSE,)
    order: Resource = field(default_factory=lambda: COLLECTION)
    hook: Hook = Hook.ORDER_SIGN

    def request(self) -> Resource:
        """Make the request."""
        made = hook_request(self.hook, chart(*self.records), [self.order])
        made["context"]["userId"] = self.user
        whose: Resource = json.loads(json.dumps(made).replace(PATIENT, self.patient))
        return whose


FIRST = Asked(days=0)


def shown_again(
    time: time_machine.Traveller, said: tuple[Callable[..., Resource], ...], then: Asked, service: Running
) -> bool:
    """Show the card of R01, hear what the user did with it, a minute apart, and ask again."""
    (card,) = [each for each in cards(call(FIRST.request(), to=service.client)) if of(each) == "R01"]
    for minute, word in enumerate(said):
        assert service.report(word(card, at=f"2026-11-20T17:0{minute}:00Z")).status_code == 200
        time.shift(60)
    time.move_to(NOON + timedelta(then.days, minutes=10))
    return "R01" in codes(call(then.request(), to=service.client))


def of(card: Resource) -> str:
    code: str = card["source"]["topic"]["code"]
    return code


@pytest.mark.parametrize(
    ("said", "then", "expected"),
    [
        row("nobody said anything", (), Asked(), True),
        row("overridden just now", OVERRIDDEN, Asked(days=0), False),
        row("overridden yesterday, nothing new", OVERRIDDEN, Asked(), False),
        row("overridden 30 days ago", OVERRIDDEN, Asked(days=30), False),
        row("overridden 31 days ago", OVERRIDDEN, Asked(days=31), True),
        row("accepted: if it stands again, it is news", ACCEPTED, Asked(), True),
        row("overridden, then accepted after all", (overridden, accepted), Asked(), True),
        row("accepted, then overridden", (accepted, overridden), Asked(), False),
        row("a new dose", OVERRIDDEN, Asked(records=(DOSE, NEW_DOSE)), True),
        row("the date of the dose was corrected", OVERRIDDEN, Asked(records=(CORRECTED,)), True),
        row("a record that the card does not rest on", OVERRIDDEN, Asked(records=(DOSE, METFORMIN)), False),
        row("another user", OVERRIDDEN, Asked(user="Practitioner/18"), True),
        row("a nurse with the same number", OVERRIDDEN, Asked(user="PractitionerRole/17"), True),
        row("another patient with the same records", OVERRIDDEN, Asked(patient="synthetic-2"), True),
        row("the collection is a week sooner", OVERRIDDEN, Asked(order=SOONER), True),
        row("the same order, drafted anew", OVERRIDDEN, Asked(order=DRAFTED_ANEW), False),
        row("the cells themselves are ordered", OVERRIDDEN, Asked(order=CELLS), True),
        row("selected instead of signed", OVERRIDDEN, Asked(hook=Hook.ORDER_SELECT), False),
    ],
)
def test_an_overridden_card_is_silent_until_something_is_new(
    time: time_machine.Traveller, said: tuple[Callable[..., Resource], ...], then: Asked, expected: bool
) -> None:
    assert shown_again(time, said, then, Running()) is expected


def test_the_cells_themselves_are_flagged_by_the_same_rule() -> None:
    assert "R01" in codes(call(Asked(order=CELLS).request(), to=Running().client))


def _knowledge(indicator: str | None = None, **changes: Any) -> Knowledge:
    """Give the shipped knowledge after a change; with an indicator, all cards of R01 have it."""
    knowledge = load()
    if indicator is not None:
        active = knowledge.rules["R01"]
        texts = {key: card.model_copy(update={"indicator": indicator}) for key, card in active.text.cards.items()}
        active = replace(active, text=active.text.model_copy(update={"cards": texts}))
        changes["rules"] = {**knowledge.rules, "R01": active}
    return replace(knowledge, **changes)


@pytest.mark.parametrize(
    ("knowledge", "expected"),
    [
        row("a warning", _knowledge("warning"), False),
        row("an information", _knowledge("info"), False),
        row("a critical card is always shown", _knowledge("critical"), True),
        row("the knowledge has changed since", _knowledge(until=AS_OF, afterwards=_knowledge(version="new")), True),
        row("the knowledge has not", _knowledge(until=AS_OF, afterwards=_knowledge()), False),
    ],
)
def test_what_a_card_is_decides_too(time: time_machine.Traveller, knowledge: Knowledge, expected: bool) -> None:
    assert shown_again(time, OVERRIDDEN, Asked(), Running(knowledge)) is expected


def test_the_card_about_missing_data_is_always_shown() -> None:
    service = Running()
    request = hook_request(Hook.PATIENT_VIEW, chart(infusion("2026-10-01")))
    del request["prefetch"]["allergies"]

    for _ in range(2):
        found = cards(call(request, to=service.client))
        assert of(found[-1]) == "R00"
        service.report(*(overridden(card) for card in found))

    assert codes(call(request, to=service.client)) == ["R00"]


def test_a_month_that_is_not_over_is_no_new_evidence_each_day(time: time_machine.Traveller) -> None:
    vague = Asked(records=(given("teclistamab", "2026-11", id="dose-1"),))
    service = Running()
    (card,) = [each for each in cards(call(vague.request(), to=service.client)) if of(each) == "R01"]
    service.report(overridden(card))

    time.move_to(NOON + timedelta(1))
    assert "R01" not in codes(call(vague.request(), to=service.client))


def test_what_is_left_out_is_counted_and_stands_in_the_decision_record(time: time_machine.Traveller) -> None:
    service = Running()

    assert not shown_again(time, OVERRIDDEN, Asked(), service)

    first, second = service.recorder.records
    assert ("R01" in first.shown, "R01" in first.not_repeated) == (True, False)
    assert ("R01" in second.shown, "R01" in second.not_repeated) == (False, True)
    assert second.rules["R01"] == ("flagged",)
    assert service.counted("cds_cards_not_repeated") == {'rule="R01"': 1}


@pytest.mark.parametrize(
    ("at", "days", "expected"),
    [
        row("told weeks later: the days count from what was done", "2026-10-25T12:00:00Z", 3, False),
        row("done 31 days ago", "2026-10-20T12:00:00Z", 0, True),
        row("a clock that runs years ahead counts as now", "2090-01-01T00:00:00Z", 30, False),
        row("and no longer than that", "2090-01-01T00:00:00Z", 31, True),
        row("late in the evening of the 19th in New York", "2026-11-20T04:30:00Z", 30, True),
        row("the same moment, with its zone", "2026-11-19T23:30:00-05:00", 29, False),
        row("before there were computers", "0001-01-01T00:00:00+14:00", 0, True),
    ],
)
def test_the_days_count_from_the_day_on_which_it_was_overridden(
    time: time_machine.Traveller, at: str, days: int, expected: bool
) -> None:
    service = Running()
    (card,) = [each for each in cards(call(FIRST.request(), to=service.client)) if of(each) == "R01"]

    assert service.report(overridden(card, at=at, overrideReason=because("mdt"))).status_code == 200

    time.move_to(NOON + timedelta(days))
    assert ("R01" in codes(call(FIRST.request(), to=service.client))) is expected


@pytest.mark.parametrize("order", list(itertools.permutations(["early override", "late acceptance"])))
def test_the_latest_word_counts_whenever_it_arrives(order: tuple[str, ...]) -> None:
    service = Running()
    (card,) = [each for each in cards(call(FIRST.request(), to=service.client)) if of(each) == "R01"]
    words = {
        "early override": overridden(card, at="2026-11-20T16:00:00Z"),
        "late acceptance": accepted(card, at="2026-11-20T16:05:00Z"),
    }

    for name in order:
        service.report(words[name])

    assert "R01" in codes(call(FIRST.request(), to=service.client))


def test_an_override_by_a_clock_that_runs_ahead_is_taken_back_by_what_comes_later(
    time: time_machine.Traveller,
) -> None:
    service = Running()
    (card,) = [each for each in cards(call(FIRST.request(), to=service.client)) if of(each) == "R01"]

    service.report(overridden(card, at="2026-11-20T23:00:00Z"))
    time.shift(60)
    service.report(accepted(card, at="2026-11-20T17:01:00Z"))

    assert "R01" in codes(call(FIRST.request(), to=service.client))


# --- several findings on a card, and cards without room


A, B, C, D, E = (MadeUp(f"R8{number}", rank=number) for number in range(1, 6))
HOST = MadeUp("R86", rank=1, absorbs=("R82",))
WHO = Viewer("ehr", "Practitioner/17", PATIENT)
numbers = itertools.count()


class Desk:
    """Shows made-up findings to one user and lets some of the cards be overridden."""

    def __init__(self, memory: OwnMemory | None = None, key: bytes = b"key") -> None:
        """Start with an empty memory."""
        self.memory = memory or OwnMemory()
        self._repeats = Repeats(self.memory, key)
        self._ids: dict[str, str] = {}
        self.left_out: tuple[str, ...] = ()

    def show(self, *found: Result, to: Viewer = WHO, today: date = AS_OF) -> list[str]:
        """Give the cards, each with the rules on it, and behind "+" those that it only names."""
        visit = self._repeats.visit(to, load(), today)
        plan = compose(Evaluation(Gate(is_open=True), found), HISTORY, load().presentation, visit.is_repeat)
        self._ids = _shown(visit, plan)
        self.left_out = plan.not_repeated
        return [
            " ".join(card.rule_ids) + "".join(f" +{each.rule_ids[0]}" for each in card.collapsed) for card in plan.cards
        ]

    def override(self, *rules: str) -> None:
        """Override cards by the rules that name them."""
        for rule in rules:
            heard = self.memory.hear(self._ids[rule], "ehr", Word(True, 1.0, AS_OF), AS_OF)
            assert heard is not None
            assert heard.rule == rule


def _shown(visit: Visit, plan: Plan) -> dict[str, str]:
    made = [
        Card(
            uuid=f"uuid-{next(numbers)}",
            summary="s",
            detail="d",
            indicator="info",
            source=Source(label="l", topic=Coding(system="s", code=card.rule_ids[0], display="d")),
        )
        for card in plan.cards
    ]
    visit.remember(plan, tuple(made))
    return {card.source.topic.code: card.uuid for card in made}


def test_a_card_with_a_new_finding_is_shown_whole() -> None:
    desk = Desk()
    assert desk.show(HOST.found()) == ["R86"]
    desk.override("R86")

    assert desk.show(HOST.found(), B.found()) == ["R86 R82"]
    desk.override("R86")
    assert desk.show(HOST.found(), B.found()) == []
    assert desk.left_out == ("R86",)


def test_part_of_what_was_overridden_together_is_silent_too() -> None:
    desk = Desk()
    desk.show(HOST.found(), B.found())
    desk.override("R86")

    assert desk.show(HOST.found()) == []
    assert desk.show(B.found()) == []


def test_what_was_only_named_for_want_of_room_was_not_overridden_and_moves_up() -> None:
    desk = Desk()
    assert desk.show(*(x.found() for x in (A, B, C, D, E))) == ["R81", "R82", "R83 +R84 +R85"]
    desk.override("R81", "R83")

    assert desk.show(*(x.found() for x in (A, B, C, D, E))) == ["R82", "R84", "R85"]
    assert desk.left_out == ("R81", "R83")


def test_a_place_that_is_free_goes_to_the_next_and_the_last_card_names_the_rest() -> None:
    desk = Desk()
    desk.show(A.found())
    desk.override("R81")

    assert desk.show(*(x.found() for x in (A, B, C, D, E))) == ["R82", "R83", "R84 +R85"]


def test_one_without_room_that_was_overridden_before_is_not_named_either() -> None:
    desk = Desk()
    desk.show(E.found())
    desk.override("R85")

    assert desk.show(*(x.found() for x in (A, B, C, D, E))) == ["R81", "R82", "R83 +R84"]
    assert desk.left_out == ("R85",)


def test_nothing_of_a_critical_card_is_ever_left_out() -> None:
    desk = Desk()
    found = [A.found("critical"), B.found("critical"), C.found(), D.found(), E.found(), MadeUp("R87", 7).found()]
    assert desk.show(*found) == ["R81 R82", "R83", "R84", "R85 +R87"]
    desk.override("R81", "R84")

    assert desk.show(*found) == ["R81 R82", "R83", "R85", "R87"]
    # and what stood on it does not count as overridden on a card of its own
    assert desk.show(B.found("warning")) == ["R82"]


def test_the_same_ids_of_another_hospital_are_other_people() -> None:
    desk = Desk()
    desk.show(A.found())
    desk.override("R81")

    assert desk.show(A.found(), to=replace(WHO, issuer="other")) == ["R81"]
    assert desk.show(A.found(), to=replace(WHO)) == []


def test_another_wording_is_another_finding() -> None:
    desk = Desk()
    desk.show(A.found("info"))
    desk.override("R81")

    assert desk.show(A.found("warning")) == ["R81"]


@dataclass(frozen=True)
class Found:
    """What a made-up rule found."""

    drug: str = "teclistamab"
    said: str = "teclistamab 10 d before"
    days: int = 10


def finding(
    facts: Found | None = None,
    *,
    notes: tuple[str, ...] = (),
    evidence: tuple[SourceRef, ...] = (),
    order: ProposedOrder | None = None,
) -> Result:
    """Let A find something with facts."""
    made = A.found(order=order)
    active = replace(made.active, rule=replace(made.active.rule, facts=Found))
    conclusion = made.conclusion._replace(facts=facts or Found(), notes=notes, evidence=evidence)
    return made._replace(active=active, conclusion=conclusion)


def record(on: ClinicalDate | None, reference: str = "Observation/1") -> tuple[SourceRef, ...]:
    return (SourceRef(ChartText(reference), on),)


def exactly(day: int) -> ClinicalDate:
    return ClinicalDate.on(date(2026, 11, day))


def between(first: int, last: int) -> ClinicalDate:
    return ClinicalDate(date(2026, 11, first), date(2026, 11, last))


def order(
    drug: str | None = None,
    day: int | None = None,
    kind: OrderKind = OrderKind.DRUG,
    asks_for: Iterable[str] = (),
    **more: Any,
) -> ProposedOrder:
    known = load_catalog().drugs[drug] if drug else None
    planned = exactly(day) if day else None
    reference, label = ChartText(f"M/{next(numbers)}"), ChartText("any label")
    return ProposedOrder(reference, kind, known, planned, True, True, label, frozenset(asks_for), **more)


@pytest.mark.parametrize(
    ("first", "then", "expected"),
    [
        row("nothing is new", finding(), finding(), False),
        row("a day more has passed", finding(), finding(Found(said="teclistamab 11 d before", days=11)), False),
        row("another drug is named", finding(), finding(Found(drug="talquetamab")), True),
        row("another sentence, but for its numbers", finding(), finding(Found(said="may still be given")), True),
        row("a note is new", finding(), finding(notes=("anc_unread",)), True),
        row("a record is new", finding(), finding(evidence=record(None)), True),
        row("of another id", finding(evidence=record(None)), finding(evidence=record(None, "Observation/2")), True),
        row("the record has a date now", finding(evidence=record(None)), finding(evidence=record(exactly(1))), True),
        row("another date", finding(evidence=record(exactly(1))), finding(evidence=record(exactly(2))), True),
        row("less exact", finding(evidence=record(exactly(1))), finding(evidence=record(between(1, 20))), True),
        row("other days", finding(evidence=record(between(1, 9))), finding(evidence=record(between(1, 8))), True),
        row("of the patient, then of an order", finding(), finding(order=order("teclistamab")), True),
        row("the same order", finding(order=order("teclistamab")), finding(order=order("teclistamab")), False),
        row("of another drug", finding(order=order("teclistamab")), finding(order=order("elranatamab")), True),
        row("on another day", finding(order=order(day=25)), finding(order=order(day=26)), True),
        row("with a day", finding(order=order()), finding(order=order(day=26)), True),
        row("of another kind", finding(order=order()), finding(order=order(kind=OrderKind.T_CELL_COLLECTION)), True),
        row(
            "of another dose",
            finding(order=order(amount=Amount(mg=32))),
            finding(order=order(amount=Amount(mg=76))),
            True,
        ),
        row("more often", finding(order=order(every_days=14)), finding(order=order(every_days=7)), True),
        row(
            "for another test",
            finding(order=order(asks_for={"hbsag"})),
            finding(order=order(asks_for={"hcv-ab"})),
            True,
        ),
        row(
            "for the same test",
            finding(order=order(asks_for={"hbsag"})),
            finding(order=order(asks_for={"hbsag"})),
            False,
        ),
    ],
)
def test_what_is_new_about_a_finding(first: Result, then: Result, expected: bool) -> None:
    desk = Desk()
    assert desk.show(first) == ["R81"]
    desk.override("R81")

    assert bool(desk.show(then)) is expected


JOINED = MadeUp("R88", absorbs=("R89",))
A_YEAR = MadeUp("R89", repeats_after=365)


@pytest.mark.parametrize(
    ("found", "days", "expected"),
    [
        row("usually 30 days", [A.found()], 30, []),
        row("and no longer", [A.found()], 31, ["R81"]),
        row("a rule may ask for a year", [A_YEAR.found()], 365, []),
        row("and no longer either", [A_YEAR.found()], 366, ["R89"]),
        row("of several rules on a card, the shortest time counts", [JOINED.found(), A_YEAR.found()], 31, ["R88 R89"]),
    ],
)
def test_how_long_an_overridden_card_is_left_out(found: list[Result], days: int, expected: list[str]) -> None:
    desk = Desk()
    desk.show(*found)
    desk.override(found[0].active.text.id)

    assert desk.show(*found, today=AS_OF + timedelta(days)) == expected


# --- the memory


DAY = AS_OF


def card(finding: bytes = b"f", on: date = DAY, days: int = 30, issuer: str = "ehr") -> ShownCard:
    return ShownCard("R01", issuer, (finding,), on, on + timedelta(days), days)


def word(at: float = 1.0, *, is_override: bool = True) -> Word:
    return Word(is_override, at, DAY)


def test_a_card_is_known_to_the_issuer_alone_to_whose_users_it_was_shown() -> None:
    memory = OwnMemory()
    memory.show("c", card())

    assert memory.hear("c", "another", word(), DAY) is None
    assert not memory.are_overridden([b"f"], DAY)
    assert memory.hear("c", "ehr", word(), DAY) is not None
    assert memory.are_overridden([b"f"], DAY)


def test_a_card_is_forgotten_when_its_time_is_over() -> None:
    memory = OwnMemory()
    memory.show("c", card())

    assert memory.hear("c", "ehr", word(), DAY + timedelta(31)) is None
    assert memory.hear("c", "ehr", word(), DAY + timedelta(30)) is not None
    memory.show("d", card(on=DAY + timedelta(31)))
    assert memory.hear("c", "ehr", word(), DAY) is None
    assert len(memory._said) == 0


def test_no_more_cards_are_kept_than_there_is_room_for() -> None:
    memory = OwnMemory(most_cards=3)
    for number in range(10):
        memory.show(f"c{number}", card())
        memory.hear(f"c{number}", "ehr", word(), DAY)

    known = [number for number in range(10) if memory.hear(f"c{number}", "ehr", word(), DAY)]
    assert known == [7, 8, 9]
    assert len(memory._cards) == len(memory._said) == 3


def test_of_overridden_findings_those_not_met_for_longest_are_forgotten_and_so_shown_again() -> None:
    memory = OwnMemory(most_findings=3)
    for name in (b"a", b"b", b"c"):
        memory.show(name.decode(), card(name))
        memory.hear(name.decode(), "ehr", word(), DAY)
    assert memory.are_overridden([b"a"], DAY)

    memory.show("d", card(b"d"))
    memory.hear("d", "ehr", word(), DAY)

    assert [name for name in (b"a", b"b", b"c", b"d") if memory.are_overridden([name], DAY)] == [b"a", b"c", b"d"]
    assert len(memory._decisions) == 3


def test_of_two_words_of_one_moment_accepting_stands() -> None:
    for words in itertools.permutations([word(is_override=True), word(is_override=False)]):
        memory = OwnMemory()
        memory.show("c", card())
        for each in words:
            memory.hear("c", "ehr", each, DAY)
        assert not memory.are_overridden([b"f"], DAY)


def test_nothing_is_never_overridden() -> None:
    memory = OwnMemory()
    memory.show("c", card())
    memory.hear("c", "ehr", word(), DAY)

    assert not memory.are_overridden([], DAY)
    assert not memory.are_overridden([b"f", b"g"], DAY)


def test_no_patient_user_record_or_drug_stands_in_the_memory() -> None:
    service = Running()
    found = cards(call(Asked(user="Practitioner/canary-17").request(), to=service.client))
    service.report(*(overridden(each, overrideReason={"userComment": "canary"}) for each in found))

    kept = repr(vars(service.memory))

    assert any(each["uuid"] in kept for each in found)
    for word_of_the_chart in (PATIENT, "canary", "dose-1", "draft-1", "teclistamab", "Practitioner"):
        assert word_of_the_chart not in kept


class Broken(OwnMemory):
    """A memory that cannot be reached."""

    def show(self, card_id: str, card: ShownCard) -> None:
        """Fail."""
        raise OSError

    def are_overridden(self, findings: Collection[bytes], today: date) -> bool:
        """Fail."""
        raise OSError


def test_a_memory_that_fails_costs_no_card() -> None:
    with structlog.testing.capture_logs() as lines:
        service = Running(memory=Broken())
        assert "R01" in codes(call(FIRST.request(), to=service.client))

    assert [line["event"] for line in lines if line["log_level"] == "error"] == [
        "overridden cards not looked up: every card is shown",
        "shown cards not remembered",
    ]


def test_each_process_has_a_key_of_its_own() -> None:
    memory = OwnMemory()
    one, other = Desk(memory, b"one"), Desk(memory, b"other")
    one.show(A.found())
    one.override("R81")

    assert other.show(A.found()) == ["R81"]
    assert one.show(A.found()) == []
    keys = [Running().client.application.extensions["mmcds"].assessor.repeats._keyed.digest() for _ in range(2)]
    assert keys[0] != keys[1]


def test_an_answer_to_nobody_is_not_remembered() -> None:
    service = Running()

    # its examples are answers of the service itself
    assert service.client.get("/openapi.json").status_code == 200
    assert not service.memory._cards

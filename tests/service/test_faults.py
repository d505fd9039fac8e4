"""Faults of our own: one crashing rule is one undecided rule, anything worse one answer with a reference."""

import contextlib
import io
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import structlog
from flask.testing import FlaskClient

from cards.finding import Hook
from cards.knowledge.loader import Knowledge
from cds_service import telemetry
from cds_service.app import create_app, make_assessor
from cds_service.assess import Assessor
from tests.build import chart, draft_infusion, given, hook_request
from tests.service.calling import (
    SETTINGS,
    KeepingRecorder,
    after_infusion,
    call,
    cards,
    codes,
    post,
    refusal,
    washout,
)

CANARY = "canary-in-an-exception"


def crash(*_: Any) -> Any:
    """Fail as a rule with a bug would."""
    raise ZeroDivisionError(CANARY)


def with_crashing(rule_id: str, knowledge: Knowledge) -> Knowledge:
    """Give the shipped knowledge with one rule's function replaced by a crash."""
    active = knowledge.rules[rule_id]
    function = "judge_order" if active.rule.judge_order else "judge_patient"
    broken = replace(active, rule=replace(active.rule, **{function: crash}))  # type: ignore[arg-type]
    return replace(knowledge, rules={**knowledge.rules, rule_id: broken})


def client_of(change: Callable[[Assessor], Assessor]) -> tuple[FlaskClient, KeepingRecorder]:
    """Give a client of a changed service, and where its decision records go."""
    recorder = KeepingRecorder()
    app = create_app(SETTINGS, recorder=recorder, assessor=change(make_assessor(SETTINGS)))
    return app.test_client(), recorder


def crashing(rule_id: str) -> tuple[FlaskClient, KeepingRecorder]:
    """Give a client of the service with one crashing rule."""
    return client_of(lambda assessor: replace(assessor, knowledge=with_crashing(rule_id, assessor.knowledge)))


def test_a_crashing_rule_leaves_the_other_cards() -> None:
    asked, recorder = crashing("R15")

    found = cards(call(after_infusion(), to=asked))

    assert [card["source"]["topic"]["code"] for card in found] == ["B01", "R39", "R00"]
    assert found[0]["extension"]["mmcds.rules"] == [{"id": "R16", "outcome": "flagged"}]
    assert "(R15)" in found[-1]["detail"]
    assert recorder.records[0].rules["R15"] == ("failed",)
    assert recorder.records[0].rules["R16"] == ("flagged",)


def test_a_crashing_order_rule_leaves_the_other_cards() -> None:
    request = hook_request(Hook.ORDER_SIGN, chart(given("teclistamab", "2026-09-01")), [draft_infusion("2026-11-25")])
    asked, _ = crashing("R01")

    assert "R01" in codes(call(request))
    assert "R01" not in codes(call(request, to=asked))
    assert {"B01", "R00"} <= set(codes(call(request, to=asked)))


def test_the_card_of_a_crash_names_the_rule_and_not_the_fault() -> None:
    asked, _ = crashing("R01")

    (card,) = cards(call(washout(), to=asked))

    assert card["source"]["topic"]["code"] == "R00"
    assert "(R01)" in card["detail"]
    assert "internal fault" in card["detail"]
    assert CANARY not in card["detail"]
    assert {"id": "R01", "outcome": "cannot_tell"} in card["extension"]["mmcds.rules"]


@pytest.mark.parametrize("rule_id", ["R02", "R07"])
def test_even_a_rule_whose_doubts_are_never_shown_is_named_when_it_crashes(rule_id: str) -> None:
    asked, _ = crashing(rule_id)

    found = cards(call(washout(), to=asked))

    assert [card["source"]["topic"]["code"] for card in found] == ["R01", "R00"]
    assert f"({rule_id})" in found[-1]["detail"]


def test_a_crash_does_not_stay() -> None:
    asked, _ = crashing("R15")

    assert codes(call(after_infusion(), to=asked)) == codes(call(after_infusion(), to=asked))
    assert asked.get("/cds-services").status_code == 200


def test_an_unexpected_fault_is_told_by_a_reference_alone_and_the_next_request_works() -> None:
    is_broken = [True]

    def new_uuid() -> str:
        if is_broken[0]:
            raise RuntimeError(CANARY)
        return "00000000-0000-4000-8000-000000000001"

    asked, recorder = client_of(lambda assessor: replace(assessor, new_uuid=new_uuid))

    response = call(washout(), to=asked)
    said = refusal(response, 500)
    is_broken[0] = False

    assert response.headers["X-Request-Id"] in said
    assert re.fullmatch(r"An internal fault; nothing was checked\. Reference for the operators: [0-9a-f-]{36}\.", said)
    assert codes(call(washout(), to=asked)) == ["R01"]
    assert [(record.status, record.label) for record in recorder.records] == [(500, "fault"), (200, "answered")]
    assert recorder.records[0].request_id == response.headers["X-Request-Id"]


def test_a_fault_of_the_clock_does_not_stop_discovery_and_health() -> None:
    asked, _ = client_of(lambda assessor: replace(assessor, today=crash))

    refusal(call(washout(), to=asked), 500)
    assert asked.get("/cds-services").status_code == 200
    assert asked.get("/healthz").status_code == 200


@pytest.mark.parametrize("fault", [OSError, ValueError, KeyError])
def test_a_recorder_that_fails_costs_the_record_and_not_the_answer(
    fault: type[Exception], capsys: pytest.CaptureFixture[str]
) -> None:
    class Broken:
        def record(self, decision: object) -> None:
            raise fault(CANARY)

    asked = create_app(SETTINGS, recorder=Broken()).test_client()

    assert codes(call(washout(), to=asked)) == ["R01"]
    assert CANARY not in refusal(post(b"{", to=asked), 400)
    logged = capsys.readouterr().out
    assert logged.count("decision not recorded") == 2
    assert CANARY not in logged


def test_a_log_that_cannot_be_written_does_not_cost_the_answer() -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    with contextlib.redirect_stderr(Full()):
        telemetry.configure_logging()
    try:
        assert codes(call(washout())) == ["R01"]
    finally:
        structlog.reset_defaults()

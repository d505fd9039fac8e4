"""Feedback: what is taken, what is refused and how that is said, what is counted, and what is never kept."""

import contextlib
import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from cds_service import telemetry
from cds_service.feedback import LARGEST_BYTES
from tests.build import Resource
from tests.rules.table import row
from tests.service.calling import after_infusion, call, cards, refusal, washout
from tests.service.reporting import OURS, Running, accepted, because, clock, overridden

CANARY = "canary-4711"
STRANGE = "7f0c7b1e-0000-4000-8000-000000000000"  # no card of ours
NOTHING: dict[str, float] = {}


@pytest.fixture(autouse=True)
def noon() -> Iterator[None]:
    with clock():
        yield


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    kept = io.StringIO()
    with contextlib.redirect_stderr(kept):
        telemetry.configure_logging()
    yield kept
    structlog.reset_defaults()


def shown(service: Running, request: Resource | None = None) -> Resource:
    """Have a card shown: that of R01, unless another request is given."""
    return cards(call(request or washout(), to=service.client))[0]


def test_feedback_is_answered_with_200_and_no_word() -> None:
    service = Running()

    response = service.report(accepted(shown(service)))

    assert response.status_code == 200
    assert response.data == b""
    assert "Content-Type" not in response.headers
    assert response.headers["X-Request-Id"]


def test_cards_of_several_calls_and_services_are_counted_by_rule_and_outcome() -> None:
    service = Running()
    opened = cards(call(after_infusion(), to=service.client))
    signed = shown(service)

    service.report(accepted(opened[0]), overridden(signed))

    assert [card["source"]["topic"]["code"] for card in opened] == ["B01", "R39"]
    assert service.counted("cds_card_feedback") == {
        'outcome="accepted",rule="B01"': 1,
        'outcome="overridden",rule="R01"': 1,
    }


def test_what_was_shown_is_counted_so_that_silence_can_be_told_from_overriding() -> None:
    service = Running()

    for _ in range(3):
        overridable = shown(service)
    service.report(overridden(overridable))

    assert service.counted("cds_cards_shown") == {'rule="R01"': 3}
    assert service.counted("cds_card_feedback") == {'outcome="overridden",rule="R01"': 1}


@pytest.mark.parametrize(
    ("why", "expected"),
    [
        row("a reason of the card", {"overrideReason": because("mdt")}, "mdt"),
        row("with words and a display", {"overrideReason": because("mdt") | {"userComment": CANARY}}, "mdt"),
        row("without its system", {"overrideReason": because("mdt", None)}, "mdt"),
        row("one that only other rules offer", {"overrideReason": because("off-label")}, "off-label"),
        row("under the key of another vendor", {"overrideReasons": because("mdt")}, "mdt"),
        row("a code that is not ours", {"overrideReason": because(CANARY)}, "other"),
        row("a code of ours in another system", {"overrideReason": because("mdt", "urn:x")}, "other"),
        row("a code that is no text", {"overrideReason": {"reason": {"code": 1, "system": OURS}}}, "other"),
        row("a reason that is no coding", {"overrideReason": {"reason": CANARY}}, "other"),
        row("words alone", {"overrideReason": {"userComment": CANARY}}, "comment alone"),
        row("no words", {"overrideReason": {"userComment": ""}}, "none"),
        row("nothing in it", {"overrideReason": {}}, "none"),
        row("null", {"overrideReason": None}, "none"),
        row("no object", {"overrideReason": [CANARY]}, "none"),
        row("no reason at all", {}, "none"),
    ],
)
def test_reasons_are_counted_in_words_of_ours(why: Resource, expected: str) -> None:
    service = Running()

    response = service.report(overridden(shown(service), **why))

    assert response.status_code == 200
    assert service.counted("cds_card_override_reasons") == {f'reason="{expected}",rule="R01"': 1}


def test_an_accepted_card_has_no_reason() -> None:
    service = Running()

    service.report(accepted(shown(service), overrideReason=because("mdt")))

    assert service.counted("cds_card_override_reasons") == NOTHING


def test_the_same_again_is_taken_and_counted_once() -> None:
    service = Running()
    card = shown(service)

    service.report(overridden(card), overridden(card))
    again = service.report(overridden(card, at="2026-11-20T17:00:01Z"))

    assert again.status_code == 200
    assert service.counted("cds_card_feedback") == {'outcome="overridden",rule="R01"': 1}
    assert service.counted("cds_card_override_reasons") == {'reason="none",rule="R01"': 1}


def test_a_card_that_was_overridden_and_then_acted_on_counts_for_both() -> None:
    service = Running()
    card = shown(service)

    service.report(overridden(card))
    service.report(accepted(card))

    assert service.counted("cds_card_feedback") == {
        'outcome="overridden",rule="R01"': 1,
        'outcome="accepted",rule="R01"': 1,
    }


@pytest.mark.parametrize("card", [STRANGE, CANARY, "1", "x" * 5_000])
def test_a_card_that_is_not_known_is_taken_and_counted_as_such(card: str) -> None:
    service = Running()

    response = service.report(overridden(card, overrideReason=because("mdt")), overridden(shown(service)))

    assert response.status_code == 200
    assert service.counted("cds_card_feedback") == {
        'outcome="overridden",rule="unknown card"': 1,
        'outcome="overridden",rule="R01"': 1,
    }


def test_the_card_about_missing_data_is_counted_too() -> None:
    service = Running()
    request = after_infusion()
    del request["prefetch"]["allergies"]
    gap = cards(call(request, to=service.client))[-1]

    service.report(overridden(gap))

    assert gap["source"]["topic"]["code"] == "R00"
    assert service.counted("cds_card_feedback") == {'outcome="overridden",rule="R00"': 1}


def test_extensions_and_unknown_members_do_no_harm() -> None:
    service = Running()
    more: Resource = {"extension": {CANARY: {CANARY: [CANARY]}}, CANARY: [CANARY, None, 1]}

    response = service.report(
        overridden(shown(service), overrideReason=because("mdt") | more, **more), accepted(STRANGE, **more), **more
    )

    assert response.status_code == 200
    assert service.counted("cds_card_override_reasons") == {'reason="mdt",rule="R01"': 1}


@pytest.mark.parametrize("body", [{"feedback": []}, {"feedback": [], "extension": None}])
def test_no_items_are_no_fault(body: Resource) -> None:
    assert Running().send(body).status_code == 200


def _without(key: str) -> Callable[[Resource], Resource]:
    return lambda item: {name: value for name, value in item.items() if name != key}


def _with(**members: Any) -> Callable[[Resource], Resource]:
    return lambda item: item | members


TIME = "feedback[1].outcomeTimestamp is missing or no RFC 3339 time such as 2026-11-20T15:04:05Z"
OUTCOME = "feedback[1].outcome is missing, or neither accepted nor overridden"
SUGGESTIONS = "feedback[1].acceptedSuggestions is missing, empty or no list of objects with an id"
CARD = "feedback[1].card is missing, empty or no string"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        row("no card", _without("card"), CARD),
        row("a card that is a number", _with(card=17), CARD),
        row("a card that is empty", _with(card=""), CARD),
        row("a card that is null", _with(card=None), CARD),
        row("no outcome", _without("outcome"), OUTCOME),
        row("an outcome that does not exist", _with(outcome=CANARY), OUTCOME),
        row("an outcome in other letters", _with(outcome="Accepted"), OUTCOME),
        row("an outcome that is a list", _with(outcome=["accepted"]), OUTCOME),
        row("no time", _without("outcomeTimestamp"), TIME),
        row("a time in words", _with(outcomeTimestamp=CANARY), TIME),
        row("a day", _with(outcomeTimestamp="2026-11-20"), TIME),
        row("a time without its zone", _with(outcomeTimestamp="2026-11-20T15:04:05"), TIME),
        row("a time as a number", _with(outcomeTimestamp=1795168800), TIME),
        row("30 February", _with(outcomeTimestamp="2026-02-30T15:04:05Z"), TIME),
        row("accepted without saying what", _without("acceptedSuggestions"), SUGGESTIONS),
        row("accepted, and nothing of it", _with(acceptedSuggestions=[]), SUGGESTIONS),
        row("a suggestion without id", _with(acceptedSuggestions=[{}]), SUGGESTIONS),
        row("a suggestion that is text", _with(acceptedSuggestions=[CANARY]), SUGGESTIONS),
        row("no object", lambda _: CANARY, "feedback[1] is no object"),
        row("null", lambda _: None, "feedback[1] is no object"),
    ],
)
def test_bad_feedback_is_refused_by_its_place_and_nothing_of_it_is_taken(
    change: Callable[[Resource], Any], said: str, log: io.StringIO
) -> None:
    service = Running()
    card = shown(service)

    response = service.report(overridden(card), change(accepted(STRANGE)))

    assert refusal(response, 400) == f"The member {said}. Nothing of this request was taken."
    assert service.counted("cds_card_feedback") == NOTHING
    assert CANARY not in log.getvalue()
    assert [
        (line["label"], line["status"])
        for line in map(json.loads, log.getvalue().splitlines())
        if line["event"] == "feedback refused"
    ] == [("malformed_request", 400)]


@pytest.mark.parametrize(
    "body",
    [
        row("broken", b'{"feedback": ['),
        row("empty", b""),
        row("no UTF-8", b'{"feedback": "\xff"}'),
        row("a list", b"[]"),
        row("null", b"null"),
        row("nested too deep", b'{"feedback":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
        row("no member feedback", b"{}"),
        row("feedback of CDS Hooks 1.0", b'{"card": "x", "outcome": "accepted"}'),
        row("feedback is null", b'{"feedback": null}'),
        row("feedback is one object", b'{"feedback": {"card": "x"}}'),
    ],
)
def test_a_body_that_is_no_feedback_is_refused(body: bytes) -> None:
    assert "Nothing of this request was taken." in refusal(Running().send(body), 400)


@pytest.mark.parametrize("is_announced", [True, False])
def test_a_body_of_a_megabyte_is_taken_and_a_larger_one_refused(is_announced: bool) -> None:
    service = Running()
    card = shown(service)
    item = overridden(card, overrideReason={"userComment": ""})
    missing = LARGEST_BYTES - len(json.dumps({"feedback": [item]}))

    def send(length: int) -> Any:
        item["overrideReason"]["userComment"] = "x" * length
        body = json.dumps({"feedback": [item]}).encode()
        path = "/cds-services/mmcds-order-sign/feedback"
        if is_announced:
            return service.client.post(path, data=body, content_type="application/json")
        return service.client.post(
            path,
            input_stream=io.BytesIO(body),
            content_type="application/json",
            headers={"Transfer-Encoding": "chunked"},
            environ_overrides={"wsgi.input_terminated": True},
        )

    assert refusal(send(missing + 1), 413) == "The body is larger than the limit of 1000000 bytes."
    assert service.counted("cds_card_feedback") == NOTHING
    assert send(missing).status_code == 200
    assert service.counted("cds_card_feedback") == {'outcome="overridden",rule="R01"': 1}


def test_of_a_body_of_unannounced_length_no_more_is_read_than_is_allowed() -> None:
    stream = io.BytesIO(b" " * 5 * LARGEST_BYTES)

    response = Running().client.post(
        "/cds-services/mmcds-order-sign/feedback",
        input_stream=stream,
        content_type="application/json",
        headers={"Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input_terminated": True},
    )

    refusal(response, 413)
    assert stream.tell() < 1.1 * LARGEST_BYTES


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, 415),
        ({"Content-Type": "application/fhir+json"}, 200),
    ],
)
def test_feedback_is_plain_json(headers: dict[str, str], status: int) -> None:
    response = Running().client.post(
        "/cds-services/mmcds-order-sign/feedback", data=b'{"feedback": []}', headers=headers
    )

    assert response.status_code == status


def test_an_unknown_service_and_another_method_are_told_apart() -> None:
    service = Running()

    assert "no CDS service" in refusal(service.report(service="unknown"), 404)
    refusal(service.client.get("/cds-services/mmcds-order-sign/feedback"), 405)


def test_no_word_of_feedback_is_kept_logged_or_counted(log: io.StringIO) -> None:
    service = Running()
    spoken = {"reason": {"code": CANARY, "system": CANARY, "display": CANARY}, "userComment": CANARY}

    service.report(
        overridden(shown(service), overrideReason=spoken, extension={CANARY: CANARY}),
        overridden(CANARY, overrideReason=spoken),
        accepted(shown(service), acceptedSuggestions=[{"id": CANARY}]),
        extension={CANARY: CANARY},
    )

    (line,) = [line for line in map(json.loads, log.getvalue().splitlines()) if line["event"] == "feedback"]
    assert line["feedback"] == {"overridden": 1, "unknown card": 1, "accepted": 1}
    assert line["service"] == "mmcds-order-sign"
    assert line["issuer"] == "anyone"
    assert "dropped_keys" not in line
    assert CANARY not in log.getvalue()
    assert CANARY.encode() not in service.metrics.exposition()
    assert CANARY not in repr([vars(service.memory)])


def test_what_has_not_happened_yet_stands_at_none() -> None:
    text = Running().metrics.exposition().decode()

    assert 'cds_card_feedback_total{outcome="accepted",rule="R01"} 0.0' in text
    assert 'cds_card_feedback_total{outcome="overridden",rule="unknown card"} 0.0' in text
    assert 'cds_card_override_reasons_total{reason="mdt",rule="R01"} 0.0' in text
    assert 'cds_cards_shown_total{rule="R00"} 0.0' in text
    assert 'cds_cards_not_repeated_total{rule="R01"} 0.0' in text

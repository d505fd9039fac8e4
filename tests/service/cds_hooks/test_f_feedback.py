"""Section F, feedback: where it is taken, what it must hold, and what becomes of what is odd about it."""

import contextlib
import io
import uuid
from collections.abc import Iterator

import pytest
import structlog

from cds_service import telemetry
from tests.build import Resource
from tests.service.calling import after_infusion, call, cards, refusal, washout
from tests.service.cds_hooks.exchanges import IDS
from tests.service.cds_hooks.invariants import FEEDBACK, broken
from tests.service.reporting import OURS, Running, accepted, because, clock, overridden

OVERRIDDEN = {'outcome="overridden",rule="R01"': 1}


@pytest.fixture(autouse=True)
def noon() -> Iterator[None]:
    """Stop the clock."""
    with clock():
        yield


@pytest.fixture
def service() -> Running:
    """Start a service."""
    return Running()


def shown(service: Running) -> Resource:
    """Have the card of R01 shown."""
    return cards(call(washout(), to=service.client))[0]


def test_c150_each_service_has_an_address_for_feedback(service: Running) -> None:
    for service_id in IDS.values():
        assert service.report(service=service_id).status_code == 200
        refusal(service.client.get(f"/cds-services/{service_id}/feedback"), 405)
    refusal(service.report(service="mmcds-unknown"), 404)


def test_c151_one_body_may_speak_of_several_cards_of_several_calls(service: Running) -> None:
    opened = cards(call(after_infusion(), to=service.client))

    response = service.report(overridden(opened[0]), overridden(opened[1]), accepted(shown(service)))

    assert response.status_code == 200
    assert sum(service.counted("cds_card_feedback").values()) == 3
    for body in (b"{}", b'{"feedback": {}}', b'{"feedback": null}'):
        refusal(service.send(body), 400)


@pytest.mark.parametrize("member", ["card", "outcome", "outcomeTimestamp"])
def test_c152_an_item_without_a_required_member_is_refused_with_all_others(service: Running, member: str) -> None:
    good, bad = overridden(shown(service)), overridden(shown(service))
    del bad[member]

    said = refusal(service.report(good, bad), 400)

    assert f"feedback[1].{member}" in said
    assert service.counted("cds_card_feedback") == {}
    assert service.report(good).status_code == 200


def test_c153_what_was_accepted_is_named(service: Running) -> None:
    good = accepted(shown(service))
    bad = {key: value for key, value in good.items() if key != "acceptedSuggestions"}

    assert broken(FEEDBACK, {"feedback": [good]}) == []
    assert broken(FEEDBACK, {"feedback": [bad]}) == ["cds-fb-2"]
    assert "feedback[0].acceptedSuggestions" in refusal(service.report(bad), 400)
    assert service.report(good).status_code == 200


@pytest.mark.parametrize(
    ("reason", "counted"),
    [
        (because("mdt"), "mdt"),
        ({"userComment": "seen"}, "comment alone"),
        (because("mdt") | {"userComment": "seen"}, "mdt"),
        ({"reason": {"code": "mdt", "system": OURS, "display": "Agreed"}}, "mdt"),
    ],
)
def test_c154_a_reason_is_a_coding_with_or_without_display_or_words_or_both(
    service: Running, reason: Resource, counted: str
) -> None:
    item = overridden(shown(service), overrideReason=reason)

    assert broken(FEEDBACK, {"feedback": [item]}) == []
    assert service.report(item).status_code == 200
    assert service.counted("cds_card_override_reasons") == {f'reason="{counted}",rule="R01"': 1}


def test_c155_the_same_may_be_told_again_and_counts_once(service: Running) -> None:
    item = overridden(shown(service))

    assert [service.report(item).status_code for _ in range(3)] == [200, 200, 200]
    assert service.counted("cds_card_feedback") == OVERRIDDEN


def test_c156_a_card_that_nobody_spoke_of_is_shown_and_not_overridden(service: Running) -> None:
    shown(service)
    service.report(overridden(shown(service)))

    assert service.counted("cds_cards_shown") == {'rule="R01"': 2}
    assert service.counted("cds_card_feedback") == OVERRIDDEN


def test_c157_a_card_that_is_not_known_is_counted_as_such_and_no_fault(service: Running) -> None:
    assert service.report(overridden(str(uuid.uuid4()))).status_code == 200
    assert service.counted("cds_card_feedback") == {'outcome="overridden",rule="unknown card"': 1}


def test_c158_the_answer_is_200_without_a_body(service: Running) -> None:
    response = service.report(overridden(shown(service)))

    assert (response.status_code, response.data, response.content_length) == (200, b"", 0)
    assert "Content-Type" not in response.headers


def test_c159_the_plural_key_of_one_vendor_is_understood(service: Running) -> None:
    extension = {"com.epic.cdshooks.feedback.overrideReason.comment": "seen"}
    item = overridden(shown(service), overrideReasons=because("mdt") | {"extension": extension})

    assert service.report(item, overridden("any text", overrideReasons=because("mdt"))).status_code == 200
    assert service.counted("cds_card_override_reasons") == {'reason="mdt",rule="R01"': 1}


def test_c160_no_word_of_a_comment_is_kept_or_written_down(service: Running) -> None:
    log = io.StringIO()
    with contextlib.redirect_stderr(log):
        telemetry.configure_logging()
        service.report(overridden(shown(service), overrideReason={"userComment": "canary-4711"}))
    structlog.reset_defaults()

    assert '"feedback": {"overridden": 1}' in log.getvalue()
    assert "canary-4711" not in log.getvalue()
    assert b"canary-4711" not in service.metrics.exposition()
    assert "canary-4711" not in repr(vars(service.memory))

"""Section E, the answer as a whole: cards or none, 412 where nothing was read, an OperationOutcome with every error."""

from pathlib import Path

import pytest

from cards.finding import Hook
from tests.build import ALL_KEYS, chart, condition, draft_collection, draft_drug, given, hook_request, progression
from tests.service.calling import JSON, after_infusion, call, cards, codes, refusal, unremarkable, washout
from tests.service.cds_hooks.exchanges import answers, discovery, refusals
from tests.service.cds_hooks.guarded import clock, guarded, token, with_key_file
from tests.service.tokens import BASE


def test_c100_success_is_200_with_an_object_that_holds_cards() -> None:
    good = {name: response for name, response in answers().items() if response.status_code == 200}

    assert len(good) > len(answers()) / 2
    for name, response in good.items():
        assert response.content_type == JSON, name
        assert isinstance(response.get_json()["cards"], list), name
        assert all(isinstance(card, dict) for card in response.get_json()["cards"]), name


NOTHING_TO_SAY = {
    "everything in order": unremarkable(),
    "another disease": hook_request(Hook.ORDER_SIGN, chart(condition("I10")), [draft_collection()]),
    "no drug that matters": hook_request(Hook.ORDER_SIGN, chart(), [draft_drug("ibuprofen")]),
    "nothing drafted": hook_request(Hook.ORDER_SELECT, chart(), []),
    "chart opened": hook_request(Hook.PATIENT_VIEW, chart()),
}


@pytest.mark.parametrize("name", NOTHING_TO_SAY)
def test_c101_no_guidance_is_an_empty_list_of_cards(name: str) -> None:
    response = call(NOTHING_TO_SAY[name])

    assert response.status_code == 200
    assert response.get_json() == {"cards": []}


def test_c102_system_actions_are_sent_to_a_site_that_insists_only_and_hold_none(tmp_path: Path) -> None:
    assert all("systemActions" not in response.get_json() for response in answers().values())

    with clock():
        insisting = guarded(with_key_file(tmp_path), crd_empty_system_actions=True)
        assert insisting.show(token()).get_json()["systemActions"] == []
        opened = "/cds-services/mmcds-patient-view"
        viewed = insisting.show(token(aud=BASE + opened), opened, request=after_infusion())
        assert viewed.get_json().keys() == {"cards"}


@pytest.mark.parametrize("hook", list(Hook))
def test_c103_data_that_cannot_be_had_is_412_and_never_no_cards(hook: Hook) -> None:
    drafts = [] if hook is Hook.PATIENT_VIEW else [draft_collection("2026-11-20")]

    assert "nothing was checked" in refusal(call(hook_request(hook, {}, drafts)), 412)


def test_c104_every_other_status_is_a_known_error() -> None:
    assert {status: response.status_code for status, response in refusals().items()} == {
        status: status for status in (400, 401, 404, 405, 412, 413, 415, 500, 503)
    }
    assert {response.status_code for response in answers().values()} == {200, 412}


@pytest.mark.parametrize("status", [400, 401, 404, 405, 412, 413, 415, 500, 503])
def test_c105_every_error_carries_an_operation_outcome(status: int) -> None:
    said = refusal(refusals()[status], status)

    if status == 412:
        assert [key for key in ALL_KEYS if key not in said] == []
    if status == 401:
        assert said == "The client could not be authenticated."


def test_c106_a_finding_has_one_topic_whichever_hook_brings_it_out() -> None:
    topics = [cards(call(washout(hook)))[0]["source"]["topic"] for hook in (Hook.ORDER_SELECT, Hook.ORDER_SIGN)]

    assert topics[0] == topics[1]
    indicators: dict[str, set[str]] = {}
    for response in answers().values():
        for card in response.get_json().get("cards", ()):
            indicators.setdefault(card["source"]["topic"]["code"], set()).add(card["indicator"])
    assert len(indicators) >= 5
    # Nothing else is an acute harm that a label warns of: infection, live vaccines, a full dose after a long gap
    assert {code for code, found in indicators.items() if "critical" in found} == {"R24", "R25", "R31"}
    assert indicators["R00"] == {"info"}


def test_c147_a_later_hook_says_the_same_and_no_more_once_the_gap_is_closed() -> None:
    treated = chart(given("teclistamab", "2026-09-01"), progression("2026-11-15"))
    wrong, right = draft_drug("linvoseltamab"), draft_drug("talquetamab")

    selected = codes(call(hook_request(Hook.ORDER_SELECT, treated, [wrong])))
    signed = codes(call(hook_request(Hook.ORDER_SIGN, treated, [wrong])))
    corrected = codes(call(hook_request(Hook.ORDER_SIGN, treated, [right])))

    assert "R05" in selected
    assert "R05" in signed
    assert "R05" not in corrected


def test_c148_discovery_says_which_hook_safety_depends_on() -> None:
    for service in discovery():
        assert "order-sign is the hook that safety depends on" in service["usageRequirements"]

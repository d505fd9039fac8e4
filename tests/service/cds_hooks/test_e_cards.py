"""Section E, the card: what each member must be, on every card of every story and of every kind of request."""

import re
import uuid
from typing import Any
from urllib.parse import urlsplit

import pytest

from cards.finding import Hook
from cards.knowledge.loader import load as load_knowledge
from tests.build import Resource, chart, draft_collection, draft_drug, hook_request, reported
from tests.service.calling import call, cards, washout
from tests.service.cds_hooks.exchanges import cards as every_card

HTML = re.compile(r"(?<!\\)<\s*[A-Za-z/!]")
HOSTILE = (
    "<img src=x onerror=alert(1)> INV <script>alert(2)</script> [a](javascript:alert(3)) ![b](https://evil.example)"
)
# Hospitals map these by hand: a code, once sent, keeps its meaning
REASONS = {
    "trial": "On a study protocol",
    "mdt": "Agreed by the myeloma board or the treatment centre",
    "urgent": "Rapid progression, no alternative",
    "outside": "Done or documented elsewhere",
    "contraindicated": "Allergy or intolerance",
    "patient": "The patient's informed choice",
    "later": "Will be ordered separately",
    "wrong-data": "The chart is wrong",
    "not-candidate": "Not a candidate for CAR T cells or T-cell engagers",
    "not-needed": "Not needed for this patient",
    "off-label": "Use off label is approved",
    "resolved": "The infection has resolved",
    "other-cause": "Another cause was found",
    "pre-existing": "Known before the treatment",
    "monitored": "Is being monitored",
    "crs": "Cytokine release syndrome is active",
    "keep-schedule": "The schedule is to be kept",
}


def test_the_answers_bring_out_every_kind_of_card() -> None:
    codes = {card["source"]["topic"]["code"] for card in every_card()}

    assert codes >= {"R00", "R01", "R05", "R39", "B01"}
    assert len(every_card()) > 30
    assert any(card.get("suggestions") for card in every_card())


def test_c110_every_card_has_a_uuid_of_its_own() -> None:
    again = [card for _ in range(3) for card in cards(call(washout()))]
    found = [card["uuid"] for card in [*every_card(), *again]]

    assert all(str(uuid.UUID(each)) == each and uuid.UUID(each).variant == uuid.RFC_4122 for each in found)
    assert len(set(found)) == len(found)


def test_c111_a_summary_is_one_sentence_of_fewer_than_140_characters() -> None:
    for card in every_card():
        assert 0 < len(card["summary"]) < 140
        assert card["summary"].splitlines() == [card["summary"]]
        assert card["summary"].endswith((".", "…"))


def reading(**medication: Any) -> Resource:
    """Make an order-sign request whose chart holds one treatment that nobody recognises."""
    return hook_request(Hook.ORDER_SIGN, chart(reported("x", "2026-09-01", **medication)), [draft_collection()])


@pytest.mark.parametrize(
    "request_body",
    [
        reading(medicationCodeableConcept={"text": HOSTILE}),
        reading(medicationCodeableConcept={"coding": [{"system": "urn:x", "code": "INV", "display": HOSTILE}]}),
        hook_request(Hook.ORDER_SIGN, chart(), [draft_drug(HOSTILE)]),
    ],
    ids=["record", "display of a record", "draft order"],
)
def test_c112_detail_is_markdown_without_html_whatever_the_chart_says(request_body: Resource) -> None:
    found = cards(call(request_body))

    assert any("onerror" in card["detail"] for card in found), "the text is shown, and harmless"
    for card in [*found, *every_card()]:
        assert not HTML.search(card["detail"])
        assert not re.search(r"(?<!\\)\]\(", card["detail"])
        assert not re.search(r"^\s*\|", card["detail"], re.MULTILINE), "tables are not shown by every client"
        assert "<" not in card["summary"]


def test_c113_an_indicator_is_info_warning_or_critical() -> None:
    assert {card["indicator"] for card in every_card()} <= {"info", "warning", "critical"}
    assert {card["indicator"] for card in every_card()} >= {"info", "warning"}


def test_c114_every_card_names_its_source() -> None:
    assert all(isinstance(card["source"]["label"], str) and card["source"]["label"].strip() for card in every_card())


def test_c115_the_address_of_a_source_is_absolute_secure_and_the_same_on_all_its_cards() -> None:
    published = {source.label: source.url for source in load_knowledge().sources.values()}
    addresses = [urlsplit(url) for url in published.values() if url is not None]

    assert len(addresses) > 10
    assert all(each.scheme == "https" and each.hostname for each in addresses)
    for source in (card["source"] for card in every_card()):
        assert source.get("url") == published.get(source["label"])


def test_c116_no_icon_is_sent() -> None:
    assert [card["source"] for card in every_card() if "icon" in card["source"]] == []


def test_c117_a_topic_is_a_coding_that_some_clients_can_keep() -> None:
    for topic in (card["source"]["topic"] for card in every_card()):
        assert topic.keys() == {"system", "code", "display"}
        assert topic["system"] == "urn:mmcds:rules"
        assert re.fullmatch(r"[A-Za-z0-9]{1,100}", topic["code"])
    slugs = {(card["source"]["topic"]["code"], card["source"]["topic"]["display"]) for card in every_card()}
    assert len(slugs) == len({code for code, _ in slugs}), "a code has one meaning"


def test_c118_suggestions_and_selection_behavior_go_together() -> None:
    assert {("suggestions" in card, "selectionBehavior" in card) for card in every_card()} == {
        (True, True),
        (False, False),
    }


def test_c119_selection_behavior_is_one_that_every_client_knows() -> None:
    assert {card["selectionBehavior"] for card in every_card() if "selectionBehavior" in card} == {"any"}


def test_c120_every_card_but_the_data_gap_can_be_overridden() -> None:
    for card in every_card():
        is_gap = card["source"]["topic"]["code"] == "R00"
        assert ("overrideReasons" in card) is not is_gap
        assert isinstance(card.get("overrideReasons", []), list)


def test_c121_an_override_reason_has_code_system_and_display() -> None:
    reasons = [reason for card in every_card() for reason in card.get("overrideReasons", ())]

    assert reasons
    for reason in reasons:
        assert reason.keys() == {"system", "code", "display"}
        assert all(isinstance(value, str) and value.strip() for value in reason.values())


def test_c122_the_reasons_are_the_ones_that_hospitals_have_mapped() -> None:
    sent = {
        (reason["system"], reason["code"]): reason["display"]
        for card in every_card()
        for reason in card.get("overrideReasons", ())
    }

    assert sent.keys() <= {("urn:mmcds:override-reasons", code) for code in REASONS}
    assert len(sent) >= 6
    assert all(REASONS[code] == display for (_, code), display in sent.items())

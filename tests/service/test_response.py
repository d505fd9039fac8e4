"""Answers on the wire: what CDS Hooks allows, what real clients need, and that chart text can do no harm."""

import re
import unicodedata
import uuid
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from fhir.resources.R4B.communicationrequest import CommunicationRequest
from fhir.resources.R4B.medicationrequest import MedicationRequest
from fhir.resources.R4B.servicerequest import ServiceRequest

from cards.finding import Hook
from cards.knowledge.loader import load as load_knowledge
from tests.build import (
    Resource,
    allergy,
    bundle,
    chart,
    condition,
    draft_collection,
    draft_drug,
    draft_infusion,
    drug,
    given,
    hook_request,
    infusion,
    lab,
    progression,
    reported,
)
from tests.rules.table import SCREENED
from tests.service.calling import after_infusion, call, cards, changed, codes, members, unremarkable, washout

TECLISTAMAB = given("teclistamab", "2026-09-01")
BELANTAMAB = "belantamab mafodotin"


def sign(chart_of: Resource, *drafts: Resource) -> Resource:
    """Make an order-sign request."""
    return hook_request(Hook.ORDER_SIGN, chart_of, drafts)


REQUESTS = {
    "nothing to say": unremarkable(),
    "not myeloma": sign(chart(condition("I10")), draft_collection()),
    "no drafts": sign(chart()),
    "washout": washout(),
    "washout, selected": washout(Hook.ORDER_SELECT),
    "washout, ongoing": sign(
        chart(reported("elranatamab", "2026-05-01", status="active", asserted="2026-11-10")), draft_collection()
    ),
    "washout, date unknown": sign(chart(given("teclistamab", None)), draft_collection()),
    "progression on BCMA": sign(chart(TECLISTAMAB, progression("2026-08-15")), draft_drug("elranatamab")),
    "progression after BCMA": sign(chart(TECLISTAMAB, progression("2026-11-15")), draft_drug("linvoseltamab")),
    "progression after CAR T": sign(
        chart(infusion("2026-07-01"), progression("2026-10-01")), draft_drug("idecabtagene vicleucel")
    ),
    "antibody-drug conjugate": sign(chart(given(BELANTAMAB, "2026-09-01")), draft_drug(BELANTAMAB)),
    "washout and progression": sign(chart(TECLISTAMAB, progression("2026-09-15")), draft_infusion("2026-11-25")),
    "after the infusion": after_infusion(),
    "after the infusion, renal function read": hook_request(
        Hook.PATIENT_VIEW,
        chart(infusion("2026-10-01"), lab("98979-8", 90, "mL/min/{1.73_m2}", "2026-11-10")),
    ),
    "after the infusion, sulfonamide allergy": hook_request(
        Hook.PATIENT_VIEW, chart(infusion("2026-10-01"), allergy({"text": "sulfa drugs"}))
    ),
    "after the infusion, allergies unread": after_infusion(allergies="?"),
    "infusion ordered": sign(chart(), draft_infusion("2026-11-25")),
    "a year after the infusion, CD4 low": hook_request(
        Hook.PATIENT_VIEW, chart(infusion("2025-10-01"), lab("24467-3", 90, "/uL", "2026-11-01"))
    ),
    "conditions unread": unremarkable(without=["conditions"]),
    "all but one key unread": sign({"conditions": chart()["conditions"]}, draft_collection()),
    "unrecognised treatment": sign(chart(reported("INV-123 study drug", "2026-09-01")), draft_collection()),
    "unrecognised draft": sign(chart(), draft_drug("INV-123 study drug")),
    "foreign draft": sign(chart(), draft_collection(subject={"reference": "Patient/synthetic-2"})),
    "unreadable draft": changed(unremarkable(), draftOrders="?"),
}


@cache
def answer(name: str) -> list[Resource]:
    """Give the cards of one of the answers."""
    return cards(call(REQUESTS[name]))


def every_card() -> list[Resource]:
    """Give the cards of all answers."""
    return [card for name in REQUESTS for card in answer(name)]


def every_suggestion() -> list[Resource]:
    """Give the suggestions of all cards."""
    return [suggestion for card in every_card() for suggestion in card.get("suggestions", ())]


Check = Callable[[Resource], None]


def each_card(check: Check) -> Callable[[str], None]:
    """Hold the cards of every answer against a check."""

    @pytest.mark.parametrize("name", REQUESTS)
    def test(name: str) -> None:
        for card in answer(name):
            check(card)

    return test


def each_suggestion(check: Check) -> Callable[[str], None]:
    """Hold the suggestions of every answer against a check."""

    @pytest.mark.parametrize("name", REQUESTS)
    def test(name: str) -> None:
        for card in answer(name):
            for suggestion in card.get("suggestions", ()):
                check(suggestion)

    return test


def test_the_requests_bring_out_every_kind_of_card() -> None:
    seen = {card["source"]["topic"]["code"] for card in every_card()}

    assert seen >= {"R00", "R01", "R05", "R18", "R28", "R35", "R39", "R42", "B01"}
    assert {card["indicator"] for card in every_card()} == {"warning", "info"}
    kinds = {suggestion["actions"][0]["resource"]["resourceType"] for suggestion in every_suggestion()}
    assert kinds == {"MedicationRequest", "ServiceRequest", "CommunicationRequest"}


@pytest.mark.parametrize("name", ["nothing to say", "not myeloma", "no drafts"])
def test_nothing_to_say_is_an_empty_list_of_cards(name: str) -> None:
    assert call(REQUESTS[name]).get_json() == {"cards": []}


@pytest.mark.parametrize("name", REQUESTS)
def test_an_answer_holds_cards_and_nothing_else(name: str) -> None:
    assert call(REQUESTS[name]).get_json().keys() == {"cards"}


@each_card
def test_nothing_on_the_wire_is_null_or_empty(card: Resource) -> None:
    assert [path for path, value in members(card) if value is None or value in ("", [], {})] == []


@each_card
def test_a_card_has_only_members_that_cds_hooks_knows(card: Resource) -> None:
    required = {"uuid", "summary", "detail", "indicator", "source"}
    optional = {"suggestions", "selectionBehavior", "overrideReasons", "extension"}

    assert required <= card.keys() <= required | optional
    assert card["source"].keys() - {"url"} == {"label", "topic"}


@each_card
def test_a_summary_is_one_line_of_1_to_139_characters(card: Resource) -> None:
    assert 1 <= len(card["summary"]) <= 139
    assert card["summary"].splitlines() == [card["summary"]]
    assert "{" not in card["summary"]


@each_card
def test_an_indicator_is_one_of_the_three(card: Resource) -> None:
    assert card["indicator"] in {"info", "warning", "critical"}


def test_the_most_urgent_card_comes_first_and_r00_last() -> None:
    for found in map(answer, REQUESTS):
        urgency = [{"critical": 0, "warning": 1, "info": 2}[card["indicator"]] for card in found]
        assert urgency == sorted(urgency)
        assert "R00" not in [card["source"]["topic"]["code"] for card in found][:-1]


@each_card
def test_a_topic_is_the_rules_constant_number_with_its_slug(card: Resource) -> None:
    topic = card["source"]["topic"]
    knowledge = load_knowledge()
    slugs = {key: active.text.slug for key, active in knowledge.rules.items()} | {"R00": "could-not-check"}
    slugs |= {bundle.id: bundle.slug for bundle in knowledge.presentation.bundles}

    assert topic == {"system": "urn:mmcds:rules", "code": topic["code"], "display": slugs[topic["code"]]}


@each_card
def test_a_source_link_is_absolute_and_secure(card: Resource) -> None:
    assert card["source"].get("url", "https://").startswith("https://")


@each_card
def test_suggestions_and_selection_behaviour_go_together(card: Resource) -> None:
    assert card.get("selectionBehavior") == ("any" if "suggestions" in card else None)


@each_card
def test_override_reasons_are_whole_codings_of_the_shared_list(card: Resource) -> None:
    shared = load_knowledge().presentation.override

    for reason in card.get("overrideReasons", ()):
        assert reason == {
            "system": shared.system,
            "code": reason["code"],
            "display": shared.reasons[reason["code"]],
        }


@each_card
def test_the_data_gap_card_alone_cannot_be_overridden_and_offers_nothing(card: Resource) -> None:
    is_gap = card["source"]["topic"]["code"] == "R00"

    assert ("overrideReasons" not in card) is is_gap
    assert not (is_gap and "suggestions" in card)


@each_card
def test_the_rules_extension_stands_on_r00_on_bundles_and_on_cards_of_several_rules_only(card: Resource) -> None:
    code = card["source"]["topic"]["code"]
    bundles = {bundle.id: bundle.rules for bundle in load_knowledge().presentation.bundles}
    if "extension" not in card:
        assert code not in {"R00", *bundles}
        return
    assert card["extension"].keys() == {"mmcds.rules"}
    spoken_for = card["extension"]["mmcds.rules"]
    assert all(item.keys() == {"id", "outcome"} for item in spoken_for)
    assert {item["outcome"] for item in spoken_for} <= {"flagged", "cannot_tell"}
    assert all(re.fullmatch(r"R\d\d[A-Z]?", item["id"]) for item in spoken_for)
    ids = [item["id"] for item in spoken_for]
    assert len(ids) == len(set(ids))
    if code in bundles:
        assert ids[0] in bundles[code]
    elif code != "R00":
        assert ids[0] == code
        assert len(ids) > 1


def test_a_card_that_absorbs_another_says_so_in_its_extension() -> None:
    first = answer("washout and progression")[0]

    assert first["source"]["topic"]["code"] == "R05"
    assert {item["id"]: item["outcome"] for item in first["extension"]["mmcds.rules"]} == {
        "R05": "flagged",
        "R01": "flagged",
        "R07": "flagged",
    }


@each_card
def test_a_detail_is_plain_markdown_without_tables_html_or_open_placeholders(card: Resource) -> None:
    detail = card["detail"]

    assert not re.search(r"^\s*\|", detail, re.MULTILINE)
    assert "|--" not in detail
    assert not re.search(r"(?<!\\)<", detail)
    assert not re.search(r"(?<!\\)[{}]", detail)


@each_card
def test_a_detail_says_that_no_clinician_has_reviewed_the_rule(card: Resource) -> None:
    is_gap = card["source"]["topic"]["code"] == "R00"

    assert ("not yet reviewed by a clinician" in card["detail"]) is not is_gap


def test_uuids_are_random_well_formed_and_never_repeated() -> None:
    found = [
        item["uuid"]
        for name in ("washout", "after the infusion", "conditions unread")
        for _ in range(3)
        for card in cards(call(REQUESTS[name]))
        for item in (card, *card.get("suggestions", ()))
    ]

    assert len(found) > 20
    assert len(found) == len(set(found))
    assert all(str(uuid.UUID(item)) == item and uuid.UUID(item).version == 4 for item in found)


@each_suggestion
def test_a_suggestion_is_one_labelled_action_with_an_explicit_recommendation(suggestion: Resource) -> None:
    assert suggestion.keys() == {"label", "uuid", "isRecommended", "actions"}
    assert isinstance(suggestion["isRecommended"], bool)
    (action,) = suggestion["actions"]
    assert action.keys() == {"type", "description", "resource"}
    assert action["type"] in {"create", "update"}


@each_suggestion
def test_a_suggested_order_is_a_valid_r4_draft_for_this_patient(suggestion: Resource) -> None:
    order = suggestion["actions"][0]["resource"]
    models: dict[str, Any] = {
        "CommunicationRequest": CommunicationRequest,
        "MedicationRequest": MedicationRequest,
        "ServiceRequest": ServiceRequest,
    }

    models[order["resourceType"]].model_validate(order)
    assert order["status"] == "draft"
    assert order["resourceType"] == "CommunicationRequest" or order["intent"] in {"order", "proposal"}
    assert order["subject"] == {"reference": "Patient/synthetic-1"}
    assert ("id" in order) == (suggestion["actions"][0]["type"] == "update")


@each_suggestion
def test_a_suggested_drug_carries_its_text_and_its_ingredient_code(suggestion: Resource) -> None:
    order = suggestion["actions"][0]["resource"]
    if order["resourceType"] == "MedicationRequest":
        concept = order["medicationCodeableConcept"]
        assert concept["text"]
        assert concept["coding"][0]["code"].isdecimal()
        assert concept["coding"][0]["display"]


@each_suggestion
def test_a_suggested_drug_for_tumour_treatment_has_no_dose_and_is_only_proposed(suggestion: Resource) -> None:
    order = suggestion["actions"][0]["resource"]
    if order.get("medicationCodeableConcept", {}).get("text") == "talquetamab":
        assert order["intent"] == "proposal"
        assert "dosageInstruction" not in order
        assert suggestion["isRecommended"] is False


HOSTILE = (
    "<img src=x onerror=alert(1)> INV [x](http://evil) # HUGE | a | b `code` *b* _i_ ~s~ &lt; \\"
    "\u202eright-to-left\u202c\u200bzero\ufeffwidth\x00\x1b[31m\u2028line\nbreak\r\n- item"
)
LEFT_TO_ESCAPE = re.compile(r"(?<!\\)(?:\\\\)*[`*_{}\[\]()#+\-.!|<>~&:@/\"'=]")


def _lines_with(marker: str, detail: str) -> list[str]:
    return [line for line in detail.split("\n") if marker in line]


@pytest.mark.parametrize(
    "request_body",
    [
        sign(chart(reported(HOSTILE, "2026-09-01"), *SCREENED), draft_collection()),
        sign(
            chart(reported("x", "2026-09-01", medicationCodeableConcept={"coding": [{"display": HOSTILE}]}), *SCREENED),
            draft_collection(),
        ),
        sign(chart(), draft_drug(HOSTILE)),
        sign(
            chart(),
            draft_drug(
                "x",
                medicationCodeableConcept=None,
                medicationReference={"reference": "Medication/gone", "display": HOSTILE},
            ),
        ),
    ],
    ids=["record", "display of a record", "draft", "display of a reference"],
)
def test_hostile_chart_text_stays_one_harmless_line(request_body: Resource) -> None:
    (card,) = cards(call(request_body))

    (line,) = _lines_with("onerror", card["detail"])
    shown = line.removeprefix("- ").rpartition(" (")[0]
    assert shown.startswith(r"\<img src\=x onerror\=alert\(1\)\> INV \[x\]\(http\:\/\/evil\) \# HUGE \| a \| b")
    assert not LEFT_TO_ESCAPE.search(shown)
    assert not [
        c for c in card["detail"] if c != "\n" and unicodedata.category(c) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
    ]
    assert "onerror" not in card["summary"]


@pytest.mark.parametrize("text", ["\u200b\u202e INV \u2060", "INV\u00ad-1 \u2066x\u2069", "INV \ue000 \U000e0041"])
def test_invisible_characters_never_reach_a_card(text: str) -> None:
    (card,) = cards(call(sign(chart(reported(text, "2026-09-01"), *SCREENED), draft_collection())))

    assert "INV" in card["detail"]
    assert not [c for c in card["detail"] if unicodedata.category(c) in {"Cf", "Cs", "Co"}]


def test_endless_chart_text_is_cut() -> None:
    endless = reported("INV " + "A" * 100_000, "2026-09-01")

    (card,) = cards(call(sign(chart(endless, *SCREENED), draft_collection())))

    assert len(card["detail"]) < 2_000


def test_a_record_id_full_of_markup_reaches_no_text_of_a_card() -> None:
    record = given("teclistamab", "2026-09-01", id="<b>id</b>")
    request = sign(chart(*SCREENED, medicationAdministrations=bundle([record])), draft_collection())

    (card,) = cards(call(request))

    assert codes(call(request)) == ["R01"]
    assert "<b>" not in card["detail"] + card["summary"]


def test_codes_of_the_chart_are_not_shown_at_all() -> None:
    treatment = {"coding": [{"system": "urn:local", "code": "SECRET-CODE"}]} | {"text": drug("INV drug")["text"]}

    record = reported("x", medicationCodeableConcept=treatment)

    (card,) = cards(call(sign(chart(record, *SCREENED), draft_collection())))

    assert "SECRET" not in card["detail"]

"""What the drafts look like that cards offer: drugs, services and communications, each valid FHIR R4."""

from datetime import date
from typing import Any

import pytest
from fhir.resources.R4B.communicationrequest import CommunicationRequest
from fhir.resources.R4B.servicerequest import ServiceRequest
from pydantic import ValidationError

from cards.finding import Proposal
from cards.knowledge.loader import KnowledgeError
from cards.knowledge.texts import OrderText
from cards.orders import Ordering, OwnCode, check_templates, describe, draft_order
from tests.build import LOINC, RXNORM
from tests.rules.made_up import ORDERS, MadeUp, shown
from tests.rules.table import row

CD4 = OrderText(
    kind="service",
    label="Draft a CD4 count",
    description="CD4 count",
    intent="order",
    display="CD4 count",
    code_system=LOINC,
    code="24467-3",
)
REFERRAL = OrderText(
    kind="service",
    label="Propose a referral",
    description="Referral",
    intent="proposal",
    display="Referral",
    category_text="consult",
)
TEACHING = OrderText(
    kind="communication",
    label="Draft instructions",
    description="Instructions for fever",
    display="Call at once for fever of 38 °C or more.",
)
BEFORE = date(2026, 12, 1)


def drafted(text: OrderText, proposal: Proposal | None = None, ordering: Ordering | None = None) -> dict[str, Any]:
    """Draft an order."""
    return draft_order(text, proposal or Proposal("x"), "1", "Condition/2", "why", ordering)


def test_a_service_may_carry_a_code_of_ours() -> None:
    order = drafted(CD4)

    assert order["code"] == {
        "coding": [{"system": LOINC, "code": "24467-3", "display": "CD4 count"}],
        "text": "CD4 count",
    }
    assert "category" not in order
    ServiceRequest.model_validate(order)


def test_the_code_of_a_service_keeps_its_system_where_a_client_names_rxnorm_otherwise() -> None:
    own = OwnCode("urn:example:orders", "4711")

    codings = drafted(CD4, ordering=Ordering({"x": own}, rxnorm="urn:oid:1"))["code"]["coding"]

    assert [(coding["system"], coding["code"]) for coding in codings] == [(own.system, "4711"), (LOINC, "24467-3")]


def test_a_referral_is_a_proposal_of_a_consult() -> None:
    order = drafted(REFERRAL)

    assert (order["intent"], order["category"]) == ("proposal", [{"text": "consult"}])
    assert order["code"] == {"text": "Referral"}
    ServiceRequest.model_validate(order)


def test_a_communication_says_something_about_the_patient() -> None:
    order = drafted(TEACHING)

    assert order == {
        "resourceType": "CommunicationRequest",
        "status": "draft",
        "payload": [{"contentString": "Call at once for fever of 38 °C or more."}],
        "subject": {"reference": "Patient/1"},
        "reasonReference": [{"reference": "Condition/2"}],
        "note": [{"text": "why"}],
    }
    CommunicationRequest.model_validate(order)


@pytest.mark.parametrize("text", [CD4, TEACHING])
@pytest.mark.parametrize(
    ("start", "end", "when", "says"),
    [
        row("at any time", None, None, {}, ""),
        row("before an event", None, BEFORE, {"occurrencePeriod": {"end": "2026-12-01"}}, ". By 2026-12-01"),
        row("from a day", BEFORE, None, {"occurrencePeriod": {"start": "2026-12-01"}}, ". From 2026-12-01"),
        row("on a day", BEFORE, BEFORE, {"occurrenceDateTime": "2026-12-01"}, ". On 2026-12-01"),
        row(
            "between two days",
            date(2026, 11, 20),
            BEFORE,
            {"occurrencePeriod": {"start": "2026-11-20", "end": "2026-12-01"}},
            ". From 2026-11-20 to 2026-12-01",
        ),
    ],
)
def test_when_it_is_to_be_done(
    text: OrderText, start: date | None, end: date | None, when: dict[str, Any], says: str
) -> None:
    proposal = Proposal("x", start=start, end=end)

    order = drafted(text, proposal)

    assert {name: value for name, value in order.items() if name.startswith("occurrence")} == when
    assert describe(text, proposal) == text.description + says
    (CommunicationRequest if text is TEACHING else ServiceRequest).model_validate(order)


def test_the_dates_of_a_drug_bound_its_doses() -> None:
    proposal = Proposal("antiviral", start=date(2026, 11, 20), end=BEFORE)

    order = drafted(ORDERS["antiviral"], proposal)

    assert order["dosageInstruction"] == [
        {"timing": {"repeat": {"boundsPeriod": {"start": "2026-11-20", "end": "2026-12-01"}}}}
    ]
    assert order["medicationCodeableConcept"]["coding"][0]["system"] == RXNORM
    assert not [name for name in order if name.startswith("occurrence") or name == "category"]


@pytest.mark.parametrize(
    ("text", "own", "takes"),
    [
        row("a drug has a code", ORDERS["antiviral"], {}, True),
        row("a service with a code", CD4, {}, True),
        row("a service in words", REFERRAL, {}, False),
        row("a service with the hospital's code", REFERRAL, {"x": OwnCode("urn:example:orders", "1")}, True),
        row("a communication has no place for a code", TEACHING, {"x": OwnCode("urn:example:orders", "1")}, False),
    ],
)
def test_a_client_that_takes_codes_alone_is_offered_nothing_else(
    text: OrderText, own: dict[str, OwnCode], takes: bool
) -> None:
    assert Ordering(own, needs_code=True).can_take("x", text) is takes
    assert Ordering(own).can_take("x", text)


def test_a_client_that_takes_codes_alone_takes_no_updates() -> None:
    assert Ordering().takes_updates
    assert not Ordering(needs_code=True).takes_updates


def test_all_templates_on_file_are_valid() -> None:
    check_templates(ORDERS)


@pytest.mark.parametrize(
    ("key", "text", "fault"),
    [
        row("service", "board", REFERRAL.model_copy(update={"display": ""}), "board: not a valid ServiceRequest"),
        row("drug", "cover", ORDERS["antiviral"].model_copy(update={"intent": None}), "cover: not a valid Medication"),
        row("communication", "talk", TEACHING.model_copy(update={"display": ""}), "talk: not a valid Communication"),
    ],
)
def test_a_template_that_makes_no_valid_order_stops_the_start(key: str, text: OrderText, fault: str) -> None:
    with pytest.raises(KnowledgeError, match=fault):
        check_templates({key: text})


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        row("a drug without a code", "drug", {"intent": "order", "display": "x"}),
        row("a drug with a category", "drug", {"intent": "order", "display": "x", "code": "1", "category_text": "x"}),
        row("a service without an intent", "service", {"display": "x"}),
        row("a service with half a code", "service", {"intent": "order", "display": "x", "code": "1"}),
        row("a communication that says nothing", "communication", {}),
        row("a communication with an intent", "communication", {"display": "x", "intent": "order"}),
        row("a move with a name of its own", "reschedule", {"display": "x"}),
        row("another kind", "device", {"intent": "order", "display": "x"}),
    ],
)
def test_each_kind_says_what_belongs_to_it_and_nothing_else(kind: str, more: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        OrderText.model_validate({"kind": kind, "label": "x", "description": "x"} | more)


def test_a_card_offers_what_its_facts_ask_for_before_what_it_always_offers() -> None:
    rule = MadeUp("R81", proposals=("myeloma-board", "antiviral"))

    (card,) = shown([rule.found("warning", Proposal("pjp-first-choice"), Proposal("antiviral", recommended=True))])

    assert [(each["label"], each["isRecommended"], len(each["actions"])) for each in card["suggestions"]] == [
        ("Draft sulfamethoxazole-trimethoprim", False, 1),
        ("Draft acyclovir", True, 1),
        ("Propose a myeloma board review", False, 1),
    ]
    assert {each["actions"][0]["type"] for each in card["suggestions"]} == {"create"}

"""Section E, suggestions, actions and links: what a click may do, and that nothing else is offered."""

import uuid
from functools import cache
from typing import Any

from fhir.resources.R4B.communicationrequest import CommunicationRequest
from fhir.resources.R4B.medicationrequest import MedicationRequest
from fhir.resources.R4B.servicerequest import ServiceRequest

from cards.finding import Hook
from cards.knowledge.loader import load as load_knowledge
from tests.build import Resource, chart, draft_collection, given, hook_request
from tests.service.calling import after_infusion, call, cards, members
from tests.service.cds_hooks.exchanges import actions, answers, suggestions
from tests.service.cds_hooks.exchanges import cards as every_card

VIEW = "/cds-services/mmcds-patient-view"
MODELS: dict[str, Any] = {
    "CommunicationRequest": CommunicationRequest,
    "MedicationRequest": MedicationRequest,
    "ServiceRequest": ServiceRequest,
}


@cache
def tight() -> Resource:
    """Make a request in which T cells are to be collected soon after bortezomib."""
    draft = draft_collection("2026-11-25", priority="routine", quantityQuantity={"value": 1.5})
    return hook_request(Hook.ORDER_SIGN, chart(given("bortezomib", "2026-11-18")), [draft])


def moved() -> Resource:
    """Give the action that moves the collection."""
    offered = [each["actions"][0] for card in cards(call(tight())) for each in card.get("suggestions", ())]
    found: list[Resource] = [action for action in offered if action["type"] == "update"]
    (update,) = found
    return update


def created() -> list[Resource]:
    """Give all resources that are created."""
    return [action["resource"] for action in actions() if action["type"] == "create"]


def test_c125_every_suggestion_has_a_label() -> None:
    assert all(isinstance(each["label"], str) and each["label"].strip() for each in suggestions())
    for card in every_card():
        labels = [each["label"] for each in card.get("suggestions", ())]
        assert len(set(labels)) == len(labels)


def test_c126_every_suggestion_has_a_uuid_of_its_own() -> None:
    found = [each["uuid"] for each in (*suggestions(), *every_card())]

    assert all(str(uuid.UUID(each)) == each and uuid.UUID(each).variant == uuid.RFC_4122 for each in found)
    assert len(set(found)) == len(found)


def test_c127_recommended_is_said_of_each_and_of_several_only_where_any_may_be_chosen() -> None:
    assert {each["isRecommended"] for each in suggestions()} == {True, False}
    for card in every_card():
        recommended = [each for each in card.get("suggestions", ()) if each["isRecommended"]]
        assert len(recommended) <= 1 or card["selectionBehavior"] == "any"


def test_c128_a_suggestion_holds_one_action() -> None:
    assert suggestions()
    assert {len(each["actions"]) for each in suggestions()} == {1}


def test_c129_nothing_is_said_about_choosing_among_actions() -> None:
    assert [each for each in suggestions() if "actionSelectionBehavior" in each] == []


def test_c132_every_action_creates_or_updates() -> None:
    assert {action["type"] for action in [*actions(), moved()]} == {"create", "update"}


def test_c133_every_action_is_described() -> None:
    for action in actions():
        assert len(action["description"]) > len("Draft")
        assert "\n" not in action["description"]


def test_c134_what_is_created_is_a_whole_new_resource_of_this_patient() -> None:
    request = after_infusion()
    known = {
        f"{entry['resource']['resourceType']}/{entry['resource']['id']}"
        for value in request["prefetch"].values()
        for entry in (value or {}).get("entry", ())
    } | {f"Patient/{request['context']['patientId']}"}

    offered = [each["actions"][0]["resource"] for card in cards(call(request)) for each in card.get("suggestions", ())]

    assert offered
    for resource in offered:
        references = {v for path, v in members(resource) if path.endswith(".reference")}
        assert resource["subject"]["reference"] in references <= known
    for resource in created():
        MODELS[resource["resourceType"]].model_validate(resource)
        assert "id" not in resource


def test_c135_what_is_updated_is_the_whole_draft_with_its_date_changed() -> None:
    before = tight()["context"]["draftOrders"]["entry"][0]["resource"]

    after = moved()["resource"]

    assert after != before
    assert after == before | {"occurrenceDateTime": after["occurrenceDateTime"]}
    ServiceRequest.model_validate(after)


def test_c137_what_is_updated_is_a_draft_of_the_request() -> None:
    drafts = [(r["resourceType"], r["id"]) for r in (e["resource"] for e in tight()["context"]["draftOrders"]["entry"])]

    resource = moved()["resource"]

    assert (resource["resourceType"], resource["id"]) in drafts


def test_c138_what_is_created_is_an_unsigned_draft_of_an_order_in_the_catalogue() -> None:
    catalogue = {text.display for text in load_knowledge().orders.values()}
    for resource in created():
        assert resource["status"] == "draft"
        if resource["resourceType"] == "CommunicationRequest":
            assert {each["contentString"] for each in resource["payload"]} <= catalogue
            continue
        concept = resource.get("medicationCodeableConcept") or resource["code"]
        assert resource["intent"] in {"order", "proposal"}
        assert concept["text"] in catalogue


def test_c140_no_card_holds_a_link() -> None:
    assert every_card()
    assert [path for r in answers().values() for path, _ in members(r.get_json()) if "link" in path.lower()] == []

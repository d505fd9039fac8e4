"""HL7's computable rules hold for every agreed answer and every request of a story, and each can be broken."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.build import Resource
from tests.faults.asking import authorization
from tests.service.cds_hooks.exchanges import answers
from tests.service.cds_hooks.invariants import FEEDBACK, REQUEST, RESPONSE, broken
from tests.stories.telling import FOLDERS, expected, request_of

WITH_CARDS = [name for name in FOLDERS if "cards" in expected(name)]
SUGGESTING = [
    name for name in WITH_CARDS if any(len(card.get("suggestions", ())) > 0 for card in expected(name)["cards"])
]
GOOD_FEEDBACK: Resource = {
    "feedback": [
        {"card": "c1", "outcome": "accepted", "acceptedSuggestions": [{"id": "s1"}]},
        {"card": "c2", "outcome": "overridden", "overrideReason": {"reason": {"code": "later", "system": "urn:x"}}},
        {"card": "c3", "outcome": "overridden", "overrideReason": {"userComment": "seen"}},
        {"card": "c4", "outcome": "overridden"},
    ]
}
OFFER = {"fhirServer": "https://ehr.example/fhir", "fhirAuthorization": authorization("t", patient="synthetic-1")}


def changed(body: Resource, change: Callable[[Any], object]) -> Resource:
    """Give a body after a change to it."""
    copied = copy.deepcopy(body)
    change(copied)
    return copied


def test_there_are_golden_answers_to_judge() -> None:
    assert len(WITH_CARDS) > 20
    assert SUGGESTING
    assert len(REQUEST) + len(RESPONSE) + len(FEEDBACK) == 13


@pytest.mark.parametrize("name", WITH_CARDS)
def test_an_agreed_answer_breaks_no_rule(name: str) -> None:
    assert broken(RESPONSE, expected(name)) == []


def test_no_other_answer_breaks_a_rule_either() -> None:
    for name, response in answers().items():
        assert broken(RESPONSE, response.get_json()) == [], name


@pytest.mark.parametrize("name", FOLDERS)
def test_the_request_of_a_story_breaks_no_rule(name: str) -> None:
    assert broken(REQUEST, request_of(name)) == []
    assert broken(REQUEST, request_of(name) | OFFER) == []


def test_sound_feedback_breaks_no_rule() -> None:
    assert broken(FEEDBACK, GOOD_FEEDBACK) == []


def _recommend_two(answer: Any) -> None:
    card = next(card for card in answer["cards"] if card.get("suggestions"))
    card["suggestions"] = [card["suggestions"][0] | {"isRecommended": True}] * 2
    card["selectionBehavior"] = "at-most-one"


def _first_action(change: Resource) -> Callable[[Any], object]:
    def apply(answer: Any) -> None:
        suggestion = next(s for card in answer["cards"] for s in card.get("suggestions", ()))
        merged = suggestion["actions"][0] | change
        suggestion["actions"][0] = {key: value for key, value in merged.items() if value is not None}

    return apply


def _first_suggestion(change: Resource) -> Callable[[Any], object]:
    return lambda answer: next(s for card in answer["cards"] for s in card.get("suggestions", ())).update(change)


def _suggesting_card(change: Callable[[Any], object]) -> Callable[[Any], object]:
    return lambda answer: change(next(card for card in answer["cards"] if card.get("suggestions")))


def _without_behaviour(card: Resource) -> None:
    """Leave open how many may be taken, and recommend none: several that are recommended break a rule of their own."""
    del card["selectionBehavior"]
    for suggestion in card["suggestions"]:
        suggestion["isRecommended"] = False


BREAKS_ANSWER: list[tuple[str, Callable[[Any], object]]] = [
    ("cds-resp-1", _recommend_two),
    ("cds-resp-2", _first_action({"type": "delete", "resource": "MedicationRequest/1"})),
    ("cds-resp-2", _first_action({"type": "delete", "resource": None})),
    ("cds-resp-3", _suggesting_card(lambda card: card.update(links=[{"type": "absolute", "appContext": "x"}]))),
    ("cds-resp-4", _suggesting_card(lambda card: card["overrideReasons"][0].pop("display"))),
    ("cds-resp-4", _suggesting_card(lambda card: card["overrideReasons"][-1].pop("system"))),
    ("cds-resp-4", _suggesting_card(lambda card: card["overrideReasons"][-1].pop("code"))),
    ("cds-resp-5", _first_action({"description": None})),
    ("cds-resp-6", _suggesting_card(_without_behaviour)),
    ("cds-resp-7", _first_suggestion({"actionSelectionBehavior": "some"})),
]


@pytest.mark.parametrize(("key", "change"), BREAKS_ANSWER, ids=[key for key, _ in BREAKS_ANSWER])
@pytest.mark.parametrize("name", SUGGESTING[:3])
def test_each_rule_of_an_answer_catches_what_breaks_it(name: str, key: str, change: Callable[[Any], object]) -> None:
    assert broken(RESPONSE, changed(expected(name), change)) == [key]


ALLOWED: list[Callable[[Any], object]] = [
    _first_action({"type": "delete", "resource": None, "resourceId": "MedicationRequest/1"}),
    _suggesting_card(lambda card: card.update(links=[{"type": "smart", "appContext": "x"}, {"type": "absolute"}])),
    _first_suggestion({"actionSelectionBehavior": "at-most-one"}),
    lambda answer: answer.update(systemActions=[{"type": "update", "resource": {}}]),
]


@pytest.mark.parametrize("change", ALLOWED)
def test_a_rule_leaves_alone_what_it_allows(change: Callable[[Any], object]) -> None:
    assert broken(RESPONSE, changed(expected(SUGGESTING[0]), change)) == []


BREAKS_REQUEST: list[tuple[str, Callable[[Any], object]]] = [
    ("cds-r-1", lambda request: request.pop("fhirServer")),
    ("cds-r-2", lambda request: request["fhirAuthorization"].pop("patient")),
    ("ord-1", lambda request: request["context"].update(selections=["MedicationRequest/a", "b"])),
    ("ord-1", lambda request: request["context"].update(selections=["https://ehr.example/MedicationRequest/a"])),
]


@pytest.mark.parametrize(("key", "change"), BREAKS_REQUEST, ids=[key for key, _ in BREAKS_REQUEST])
def test_each_rule_of_a_request_catches_what_breaks_it(key: str, change: Callable[[Any], object]) -> None:
    name = next(name for name in FOLDERS if request_of(name)["hook"] == "order-select")

    assert broken(REQUEST, changed(request_of(name) | OFFER, change)) == [key]


BREAKS_FEEDBACK: list[tuple[str, Callable[[Any], object]]] = [
    ("cds-fb-1", lambda body: body["feedback"][3].update(outcome="ignored")),
    ("cds-fb-1", lambda body: body["feedback"][3].pop("outcome")),
    ("cds-fb-2", lambda body: body["feedback"][0].pop("acceptedSuggestions")),
    ("cds-fb-3", lambda body: body["feedback"][1]["overrideReason"].update(reason=None)),
    ("cds-fb-3", lambda body: body["feedback"][2].update(overrideReason={"extension": {"x.y": 1}})),
]


@pytest.mark.parametrize(("key", "change"), BREAKS_FEEDBACK, ids=[key for key, _ in BREAKS_FEEDBACK])
def test_each_rule_of_feedback_catches_what_breaks_it(key: str, change: Callable[[Any], object]) -> None:
    assert broken(FEEDBACK, changed(GOOD_FEEDBACK, change)) == [key]

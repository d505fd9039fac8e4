"""One request and its real answer for each hook, from the synthetic patients of the demonstration; and feedback."""

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import msgspec

from cards.card import Response
from cards.finding import Hook
from cds_service.assess import Assessor, assess
from cds_service.synthetic import AS_OF, demo_patients


@dataclass(frozen=True, slots=True)
class Example:
    """A request, its answer, and one line on the patient."""

    title: str
    request: dict[str, Any]
    response: dict[str, Any]


def examples(assessor: Assessor) -> dict[Hook, Example]:
    """Ask the service itself: for each hook about the first synthetic patient whom a rule flags, on a fixed day."""
    numbers = itertools.count(1)
    as_of = date.fromisoformat(AS_OF)
    fixed = replace(assessor, today=lambda: as_of, new_uuid=lambda: f"00000000-0000-4000-8000-{next(numbers):012d}")
    found: dict[Hook, Example] = {}
    for patient in demo_patients():
        hook = Hook(patient.request["hook"])
        if hook not in found and "flagged" in patient.expected.values():
            answer = Response(cards=assess(json.dumps(patient.request).encode(), hook, fixed).cards)
            found[hook] = Example(patient.title, patient.request, msgspec.json.decode(msgspec.json.encode(answer)))
    return found


def feedback_on(shown: Mapping[Hook, Example]) -> dict[str, Any]:
    """Tell of the example cards: one with a suggestion was accepted, another one overridden for its first reason."""
    cards = [card for example in shown.values() for card in example.response["cards"]]
    taken = next(card for card in cards if card.get("suggestions"))
    refused = next(card for card in cards if card is not taken and card.get("overrideReasons"))
    reason = refused["overrideReasons"][0]
    suggestion = taken["suggestions"][0]["uuid"]
    at = f"{AS_OF}T15:04:05Z"
    return {
        "feedback": [
            {
                "card": taken["uuid"],
                "outcome": "accepted",
                "acceptedSuggestions": [{"id": suggestion}],
                "outcomeTimestamp": at,
            },
            {
                "card": refused["uuid"],
                "outcome": "overridden",
                "overrideReason": {"reason": {"code": reason["code"], "system": reason["system"]}},
                "outcomeTimestamp": at,
            },
        ]
    }

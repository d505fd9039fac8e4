"""Every draft order that the product is known to offer: those of all stories, and each template in every form."""

import json
from collections.abc import Iterator
from datetime import date
from functools import cache
from itertools import product

import msgspec

from cards.finding import Proposal
from cards.knowledge.loader import load as load_knowledge
from cards.orders import Ordering, OwnCode, draft_order
from cards.reschedule import moved
from tests.build import Resource, draft_collection, draft_drug
from tests.stories.telling import FOLDERS, expected

_PATIENT, _CONDITION = "synthetic-1", "Condition/myeloma-1"
_START, _END = date(2026, 11, 20), date(2027, 11, 20)
_DATES = {
    "no dates": (None, None),
    "a start": (_START, None),
    "an end": (None, _END),
    "both": (_START, _END),
    "one day": (_END, _END),
}
_CLIENTS = {
    "any client": lambda _: Ordering(),
    "own code": lambda template: Ordering({template: OwnCode("urn:example:orders", "4711")}, "urn:oid:2.16.840.1"),
}
_PERIOD = {"start": "2026-11-21", "end": "2026-12-05T09:30:00-05:00"}


@cache
def of_stories() -> dict[str, Resource]:
    """Give what the agreed answers create or update, each by its story and the kind of its action."""
    return dict(_of_stories())


def _of_stories() -> Iterator[tuple[str, Resource]]:
    for name in FOLDERS:
        suggestions = (each for card in expected(name).get("cards", ()) for each in card.get("suggestions", ()))
        for number, action in enumerate((action for each in suggestions for action in each["actions"]), 1):
            yield f"{action['type']} {number} of {name}", action["resource"]


@cache
def of_templates() -> dict[str, Resource]:
    """Draft each template with and without a dose, with every choice of dates, with and without a reason."""
    return {
        f"template {key}, {'with' if dose else 'no'} dose, {when}, {reason or 'no reason'}, {client}": draft_order(
            text, Proposal(key, with_dose=dose, start=start, end=end), _PATIENT, reason, "why", ordering(key)
        )
        for key, text in load_knowledge().orders.items()
        if text.kind != "reschedule"
        for dose, (when, (start, end)), reason, (client, ordering) in product(
            (False, True), _DATES.items(), (None, _CONDITION), _CLIENTS.items()
        )
    }


@cache
def of_moves() -> dict[str, Resource]:
    """Move a draft of the EHR's own by each of the places in which its date may stand."""
    before = {
        "service, a day": draft_collection("2026-11-25"),
        "service, no day yet": draft_collection(),
        "service, a period": draft_collection(occurrencePeriod=_PERIOD),
        "drug, a first dose": draft_drug("teclistamab", "2026-11-25"),
        "drug, a period of doses": draft_drug(
            "teclistamab", dosageInstruction=[{"timing": {"repeat": {"boundsPeriod": _PERIOD}}}]
        ),
        "drug, a supply": draft_drug("teclistamab", dispenseRequest={"validityPeriod": _PERIOD}),
    }
    after = {name: moved(json.dumps(draft).encode(), _END) for name, draft in before.items()}
    return {f"moved {name}": json.loads(msgspec.json.encode(draft)) for name, draft in after.items()}

"""How a case table is written: one row per clinical situation, and why it is answered as it is."""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

import pytest

from cards.finding import Hook
from cds_service.assess import Assessment
from tests.build import AS_OF, Resource, ask, cards_of, chart, finding, hook_request, reported

FLAGGED = "flagged"
SATISFIED = "satisfied"
CANNOT_TELL = "cannot_tell"
NOT_APPLICABLE = "not_applicable"

# Prophylaxis that is in force, so that R15 and R16 have nothing to say after CAR T cells
PROTECTED = (
    reported("acyclovir", "2020-01-05", status="active"),
    reported("atovaquone", "2020-01-05", status="active"),
)

# Tests for infections and titers of late, so that R18, R22 and R23 have nothing to say before T-cell therapy
SCREENED = tuple(
    finding(test, "Negative", "2026-11-18") for test in ("hbsag", "anti-hbc-total", "hcv-ab", "hiv-ag-ab", "vzv-igg")
)

# A chart in which nothing of that is missing: then a first dose leaves room for other cards
CARED_FOR = (*PROTECTED, *SCREENED)


def row(why: str, *values: object) -> Any:
    """Write one row; the reason names it in the report."""
    return pytest.param(*values, id=why)


def days_ago(days: int) -> str:
    """Name the day that lies so many days before the day of the request."""
    return (AS_OF - timedelta(days)).isoformat()


def days_after(day: str, days: int) -> str:
    """Name the day that lies so many days after another."""
    return (date.fromisoformat(day) + timedelta(days)).isoformat()


def view(history: Iterable[Resource], **raw: Any) -> Assessment:
    """Open the chart."""
    return ask(hook_request(Hook.PATIENT_VIEW, chart(*history, **raw)))


def sign(history: Iterable[Resource], *orders: Resource, **raw: Any) -> Assessment:
    """Sign draft orders."""
    return ask(hook_request(Hook.ORDER_SIGN, chart(*history, **raw), orders))


def select(history: Iterable[Resource], *orders: Resource, beside: Iterable[Resource] = (), **raw: Any) -> Assessment:
    """Select draft orders, others lying beside them unselected."""
    return ask(hook_request(Hook.ORDER_SELECT, chart(*history, **raw), [*beside, *orders], orders))


# What is said of nearly every first order of such a drug: which therapy is preferred, and what its label asks for
PREFERENCES = frozenset({"R04", "R06", "R27", "R28", "R29"})


def codes_of(assessment: Assessment, besides: Iterable[str] = ()) -> list[str]:
    """Give the topic codes of the cards, in the order in which they are shown, without some that are not the point.

    Of a bundle, the rules that found something stand for it.
    """
    codes = [code for card in cards_of(assessment) for code in _codes_of_card(card)]
    return [code for code in codes if code not in set(besides)]


# What care most synthetic charts do not tell of, and what is said of all who had CAR T cells
CARE = frozenset({"R17", "R18", "R20", "R21", "R22", "R35", "R39", "R41", "R42"})


def codes_besides_care(assessment: Assessment, besides: Iterable[str] = ()) -> list[str]:
    """Give the topic codes of the cards that are not about care around the treatment, where a test is not either."""
    return codes_of(assessment, CARE.union(besides))


def _codes_of_card(card: dict[str, Any]) -> list[str]:
    code = card["source"]["topic"]["code"]
    return [rule["id"] for rule in card["extension"]["mmcds.rules"]] if code.startswith("B") else [code]


def drafts_in(card: dict[str, Any]) -> list[str]:
    """Name what a card offers to draft anew: the drug or the service, or what a communication says."""
    actions = [suggestion["actions"][0] for suggestion in card.get("suggestions", ())]
    resources = [action["resource"] for action in actions if action["type"] == "create"]
    return [
        r["payload"][0]["contentString"]
        if r["resourceType"] == "CommunicationRequest"
        else (r.get("medicationCodeableConcept") or r["code"])["text"]
        for r in resources
    ]


def moves_in(card: dict[str, Any]) -> list[str]:
    """Say which drafts a card offers to move, and to which day, as its labels put it."""
    return [each["label"] for each in card.get("suggestions", ()) if each["actions"][0]["type"] == "update"]


def text_of(card: dict[str, Any]) -> str:
    """Give everything that a card says."""
    return f"{card['summary']}\n{card['detail']}"

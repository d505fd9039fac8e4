"""A card in the terminal: whatever it offers, in one line each."""

import json
from datetime import date
from typing import Any

import pytest

from cards.finding import Proposal, Reschedule
from cds_service.cli.demo import card_lines
from fhir_mapping.model.orders import OrderKind, ProposedOrder
from fhir_mapping.model.vocabulary import ChartText
from tests.build import draft_collection
from tests.rules.made_up import MadeUp, shown
from tests.rules.table import row

SENT = json.dumps(draft_collection("2026-12-01", id="draft-1", intent=None)).encode()
COLLECTION = ProposedOrder(
    reference=ChartText("ServiceRequest/draft-1"),
    kind=OrderKind.T_CELL_COLLECTION,
    drug=None,
    planned=None,
    judged=True,
    systemic=True,
    label=ChartText(""),
)


@pytest.mark.parametrize(
    ("offer", "line"),
    [
        row(
            "a new order",
            Proposal("myeloma-board"),
            "=> Propose a myeloma board review (offered): ServiceRequest, draft, proposal",
        ),
        row(
            "a draft on another day, whatever the EHR left out of it",
            Reschedule("later-start", COLLECTION, date(2026, 12, 20)),
            "=> Move T-cell collection to 2026-12-20 (offered): ServiceRequest draft-1, changed",
        ),
    ],
)
def test_what_a_card_offers(offer: Any, line: str) -> None:
    (card,) = shown([MadeUp("R81").found("warning", offer)], sent={COLLECTION.reference: SENT})

    assert line in [each.strip() for each in card_lines(card)]

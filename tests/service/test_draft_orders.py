"""The drafts of a request are kept as they came, so that an answer can hand one back: its own JSON, no other's."""

import json
from datetime import UTC
from typing import Any

import pytest

from cards.finding import Hook
from cds_service.hook_models import parse_request
from fhir_mapping.build import read_orders
from fhir_mapping.catalog.loader import load
from tests.build import (
    AS_OF,
    Resource,
    bundle,
    draft_collection,
    draft_drug,
    drug,
    hook_request,
)
from tests.rules.table import row

MARK = b'{ "resourceType" : "ServiceRequest", "quantityQuantity": {"value":1.50}, '
SPACED = MARK + json.dumps(draft_collection("2026-12-01", id="draft-1", resourceType=None)).encode()[1:]


def kept(draft_orders: bytes, hook: Hook = Hook.ORDER_SIGN, selections: tuple[str, ...] = ()) -> dict[str, bytes]:
    """Send drafts, and give what is kept of each watched order by its reference."""
    request = hook_request(hook, {}, [])
    context = request["context"] | {"draftOrders": "DRAFTS"} | ({"selections": selections} if selections else {})
    body = json.dumps(request | {"context": context}).encode().replace(b'"DRAFTS"', draft_orders)
    parsed = parse_request(body, hook)
    sent = parsed.drafts_as_sent()
    return {order.reference: sent.get(order.reference, b"") for order in read_orders(parsed.drafts, load(), AS_OF, UTC)}


def in_bundle(*drafts: bytes) -> bytes:
    """Put drafts into a Bundle as they are."""
    return b'{"resourceType":"Bundle","entry":[' + b",".join(b'{"resource":%s}' % draft for draft in drafts) + b"]}"


def sent(draft: Resource) -> bytes:
    """Write a draft."""
    return json.dumps(draft).encode()


def test_each_draft_of_a_bundle_is_kept_to_the_byte() -> None:
    other = sent(draft_drug("teclistamab", id="draft-2"))

    assert kept(in_bundle(other, SPACED)) == {"MedicationRequest/draft-2": other, "ServiceRequest/draft-1": SPACED}


@pytest.mark.parametrize(
    "draft_orders",
    [
        row("a single draft", SPACED),
        row("an entry that stands in no list", b'{"resourceType":"Bundle","entry":{"resource":%s}}' % SPACED),
        row("a Bundle without a type", b'{"entry":[{"fullUrl":"urn:uuid:1","resource":%s}]}' % SPACED),
        row("beside an entry that cannot be read", b'{"entry":[7,{"resource":[]},{"resource":%s}]}' % SPACED),
        row("beside a draft without an id", in_bundle(sent(draft_collection(id=None)), SPACED)),
    ],
)
def test_a_draft_is_kept_however_it_is_sent(draft_orders: bytes) -> None:
    assert kept(draft_orders)["ServiceRequest/draft-1"] == SPACED


@pytest.mark.parametrize(
    "oddity",
    [
        row("an element that is cut out to read the rest", {"occurrencePeriod": "soon"}),
        row("a list of one that is taken out of it", {"code": [drug("ciltacabtagene autoleucel")]}),
        row("a number that is taken for a text", {"authoredOn": 2026}),
    ],
)
def test_a_draft_that_was_mended_to_be_read_is_kept_as_it_came(oddity: dict[str, Any]) -> None:
    draft = sent(draft_collection(id="draft-1") | oddity)

    assert kept(in_bundle(draft)) == {"ServiceRequest/draft-1": draft}


@pytest.mark.parametrize(
    "drafts",
    [
        row("no id", [draft_collection(id=None)]),
        row("an id that is a number", [draft_collection(id=17)]),
        row("two drafts of one id", [draft_collection("2026-12-01", id="a"), draft_collection("2026-12-02", id="a")]),
        row(
            "another patient's draft of that id",
            [draft_collection(id="a"), draft_collection(id="a", subject={"reference": "Patient/someone-else"})],
        ),
    ],
)
def test_a_draft_that_nobody_could_find_again_is_not_kept(drafts: list[Resource]) -> None:
    found = kept(in_bundle(*map(sent, drafts)))

    assert found
    assert set(found.values()) == {b""}


def test_of_another_patients_draft_and_of_one_that_cannot_be_read_nothing_is_kept() -> None:
    foreign = draft_collection(id="foreign", subject={"reference": "Patient/someone-else"})
    broken = draft_collection(id="broken", status={"is": "draft"})

    found = kept(in_bundle(sent(foreign), sent(broken), SPACED))

    assert {reference: bool(raw) for reference, raw in found.items()} == {
        "ServiceRequest/draft-1": True,
        "draft order": False,
    }


def test_the_same_id_on_another_type_of_order_is_another_draft() -> None:
    other = sent(draft_drug("teclistamab", id="draft-1"))

    assert kept(in_bundle(SPACED, other)) == {"ServiceRequest/draft-1": SPACED, "MedicationRequest/draft-1": other}


def test_drafts_that_are_not_selected_are_kept_too() -> None:
    other = sent(draft_drug("teclistamab", id="draft-2"))

    found = kept(in_bundle(SPACED, other), Hook.ORDER_SELECT, ("MedicationRequest/draft-2",))

    assert found == {"ServiceRequest/draft-1": SPACED, "MedicationRequest/draft-2": other}


def test_a_draft_of_two_drugs_is_one_draft() -> None:
    body = sent(draft_drug("daratumumab with bortezomib", id="draft-1"))
    request = hook_request(Hook.ORDER_SIGN, {}, [])
    request["context"]["draftOrders"] = bundle([json.loads(body)])

    parsed = parse_request(json.dumps(request).encode(), Hook.ORDER_SIGN)
    orders = read_orders(parsed.drafts, load(), AS_OF, UTC)

    assert len(orders) == 2
    assert {parsed.drafts_as_sent()[order.reference] for order in orders} == {body}

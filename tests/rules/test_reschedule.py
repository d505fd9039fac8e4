"""Moving a draft order to another day: the EHR's own JSON comes back, and its date alone has changed."""

import json
from collections.abc import Mapping
from datetime import date
from typing import Any

import msgspec
import pytest
from fhir.resources.R4B.medicationrequest import MedicationRequest
from fhir.resources.R4B.servicerequest import ServiceRequest
from hypothesis import given
from hypothesis import strategies as st

from cards import reschedule
from cards.finding import Reschedule
from cards.orders import Ordering
from cards.reschedule import has_a_date_to_move, moved
from fhir_mapping.model.dates import ClinicalDate
from fhir_mapping.model.orders import OrderKind, ProposedOrder
from fhir_mapping.model.vocabulary import ChartText
from tests.build import CPT, PATIENT, Resource, coded, draft_collection, draft_drug
from tests.rules.made_up import MadeUp, shown
from tests.rules.table import row

TO = date(2026, 12, 20)
MODELS: Mapping[str, Any] = {"MedicationRequest": MedicationRequest, "ServiceRequest": ServiceRequest}


def sent_back(raw: bytes | Resource, to: date = TO) -> bytes | None:
    """Move an order and write it as it goes over the wire."""
    changed = moved(raw if isinstance(raw, bytes) else json.dumps(raw).encode(), to)
    return None if changed is None else msgspec.json.encode(changed)


def after(raw: bytes | Resource, to: date = TO) -> Resource | None:
    """Move an order and read it."""
    answer = sent_back(raw, to)
    return None if answer is None else json.loads(answer)


def service(on: str | None = None, **members: Any) -> Resource:
    """Make a draft of a T-cell collection."""
    return draft_collection(on, **members)


def drug_order(*dosages: Any, **members: Any) -> Resource:
    """Make a draft of a CAR T product."""
    return draft_drug("ciltacabtagene autoleucel", **members) | (
        {"dosageInstruction": list(dosages)} if dosages else {}
    )


def event(*days: Any) -> Resource:
    """Make a dosage on certain days."""
    return {"text": "as in the protocol", "timing": {"event": list(days)}}


def bounds(**period: Any) -> Resource:
    """Make a dosage that is repeated within a period."""
    return {"timing": {"repeat": {"frequency": 1, "boundsPeriod": period}, "code": {"text": "daily"}}}


# --- the order comes back as it was sent ---

ODD_BUT_VALID = b"""{ "resourceType" : "ServiceRequest","id":"draft-1",
  "status":"draft", "intent":"order",
  "code":{"text":"T-cell collection \\u00e9 \xc3\xa9 \\/"},
  "subject":{"reference":"Patient/1"},
  "quantityQuantity":{"value":1.50,"unit":"L"},
  "occurrenceDateTime":"2026-12-01T08:00:00-05:00",
  "extension":[{"url":"urn:example:x","valueDecimal":2.0e1},{"url":"urn:example:y","valueDecimal":0.10000000000000000001}]}"""


def test_every_other_element_keeps_its_very_bytes() -> None:
    answer = sent_back(ODD_BUT_VALID)

    assert answer is not None
    before = msgspec.json.decode(ODD_BUT_VALID, type=dict[str, msgspec.Raw])
    changed = msgspec.json.decode(answer, type=dict[str, msgspec.Raw])
    assert list(changed) == list(before)
    assert {name for name in before if bytes(before[name]) != bytes(changed[name])} == {"occurrenceDateTime"}
    assert bytes(changed["occurrenceDateTime"]) == b'"2026-12-20"'
    for kept in (b"1.50", b"2.0e1", b"0.10000000000000000001", b"\\u00e9 \xc3\xa9 \\/"):
        assert kept in answer


def test_deep_in_a_dosage_too_every_other_element_keeps_its_very_bytes() -> None:
    raw = json.dumps(drug_order(event("2026-12-01"), {"text": "second", "doseAndRate": ["DOSE"]})).encode()
    raw = raw.replace(b'"DOSE"', b'{"doseQuantity": {"value":0.30, "unit":"mL"}}')

    answer = sent_back(raw)

    assert answer is not None
    assert answer.replace(b" ", b"") == raw.replace(b"2026-12-01", b"2026-12-20").replace(b" ", b"")


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        row("a day", {"occurrenceDateTime": "2026-12-01"}, {"occurrenceDateTime": "2026-12-20"}),
        row(
            "a time: the hour is the clinician's",
            {"occurrenceDateTime": "2026-12-01T08:00:00Z"},
            {"occurrenceDateTime": "2026-12-20"},
        ),
        row("a month", {"occurrenceDateTime": "2026-12"}, {"occurrenceDateTime": "2026-12-20"}),
        row(
            "what was said about the old date goes with it",
            {"occurrenceDateTime": "2026-12-01", "_occurrenceDateTime": {"id": "a"}},
            {"occurrenceDateTime": "2026-12-20"},
        ),
        row("none yet", {}, {"occurrenceDateTime": "2026-12-20"}),
        row("null is none", {"occurrenceDateTime": None}, {"occurrenceDateTime": "2026-12-20"}),
        row(
            "a period of days keeps its length",
            {"occurrencePeriod": {"start": "2026-12-01", "end": "2026-12-03"}},
            {"occurrencePeriod": {"start": "2026-12-20", "end": "2026-12-22"}},
        ),
        row(
            "also into another year",
            {"occurrencePeriod": {"start": "2026-12-01", "end": "2026-12-15"}},
            {"occurrencePeriod": {"start": "2026-12-20", "end": "2027-01-03"}},
        ),
        row(
            "hours of one day become that day",
            {"occurrencePeriod": {"start": "2026-12-01T08:00:00-05:00", "end": "2026-12-01T23:00:00-05:00"}},
            {"occurrencePeriod": {"start": "2026-12-20", "end": "2026-12-20"}},
        ),
        row(
            "a start alone",
            {"occurrencePeriod": {"start": "2026-12-01", "_start": {"id": "a"}, "id": "p"}},
            {"occurrencePeriod": {"start": "2026-12-20", "id": "p"}},
        ),
        row(
            "an end that is unclear and would come before the start is left open",
            {"occurrencePeriod": {"start": "2026-11", "end": "2026-12-19", "_end": {"id": "a"}}},
            {"occurrencePeriod": {"start": "2026-12-20"}},
        ),
        row(
            "an end on the day itself stays",
            {"occurrencePeriod": {"start": "2026-11", "end": "2026-12-20"}},
            {"occurrencePeriod": {"start": "2026-12-20", "end": "2026-12-20"}},
        ),
        row(
            "an end in the month stays",
            {"occurrencePeriod": {"start": "2026-12-01", "end": "2026-12"}},
            {"occurrencePeriod": {"start": "2026-12-20", "end": "2026-12"}},
        ),
        row(
            "an end without a start stays where it can",
            {"occurrencePeriod": {"end": "2027-01-31"}},
            {"occurrencePeriod": {"end": "2027-01-31", "start": "2026-12-20"}},
        ),
        row(
            "an end before its own start was wrong before, and is left out",
            {"occurrencePeriod": {"start": "2026-12-05", "end": "2026-12-01"}},
            {"occurrencePeriod": {"start": "2026-12-20"}},
        ),
    ],
)
def test_a_service_is_moved(before: Resource, expected: Resource) -> None:
    order = service()

    assert after(order | before) == order | expected


@pytest.mark.parametrize(
    ("dosages", "expected"),
    [
        row("a day", [event("2026-12-01")], [event("2026-12-20")]),
        row("a time", [event("2026-12-01T08:00:00Z")], [event("2026-12-20")]),
        row(
            "the start of a period, and its end by as many days",
            [bounds(start="2026-12-01", end="2026-12-31")],
            [bounds(start="2026-12-20", end="2027-01-19")],
        ),
        row(
            "the dosage that has a date",
            [{"text": "first"}, event("2026-12-01")],
            [{"text": "first"}, event("2026-12-20")],
        ),
        row("an empty list of days is none", [event(), event("2026-12-01")], [event(), event("2026-12-20")]),
    ],
)
def test_a_drug_is_moved(dosages: list[Resource], expected: list[Resource]) -> None:
    order = drug_order(dispenseRequest={"validityPeriod": {"start": "2026-11-30"}})

    assert after(order | {"dosageInstruction": dosages}) == order | {"dosageInstruction": expected}


def test_a_drug_without_a_date_of_doses_is_moved_by_its_supply() -> None:
    supply = {"quantity": {"value": 1}, "validityPeriod": {"start": "2026-12-01", "end": "2026-12-31"}}
    order = drug_order({"text": "once"}, dispenseRequest=supply)

    assert after(order) == order | {
        "dispenseRequest": {"quantity": {"value": 1}, "validityPeriod": {"start": "2026-12-20", "end": "2027-01-19"}}
    }


@pytest.mark.parametrize(
    "order",
    [
        row("a timetable", service(occurrenceTiming={"event": ["2026-12-01"]})),
        row("a timetable beside a date", service("2026-12-01", occurrenceTiming={"event": ["2026-12-01"]})),
        row("two kinds of date", service("2026-12-01", occurrencePeriod={"start": "2026-12-02"})),
        row("a drug without any date: no dosage is made up", drug_order()),
        row("a drug with a dosage in words alone", drug_order({"text": "day 1"})),
        row(
            "a drug whose doses have a length alone",
            drug_order({"timing": {"repeat": {"boundsDuration": {"value": 3}}}}),
        ),
        row(
            "step-up doses: the days between them are part of the order", drug_order(event("2026-12-01", "2026-12-04"))
        ),
        row("step-up doses in dosages of their own", drug_order(event("2026-12-01"), event("2026-12-04"))),
        row("a day of the first dose, and a period", drug_order(event("2026-12-01"), bounds(start="2026-12-04"))),
        row("a supply that only ends", drug_order(dispenseRequest={"validityPeriod": {"end": "2026-12-04"}})),
        row("no id: the client could not find it", {k: v for k, v in service("2026-12-01").items() if k != "id"}),
        row("an empty id", service("2026-12-01", id="")),
        row("an id that is a number", service("2026-12-01", id=7)),
        row("another kind of order", service("2026-12-01", resourceType="DeviceRequest")),
        row("no kind", {k: v for k, v in service("2026-12-01").items() if k != "resourceType"}),
        row("a date that is a number", service(occurrenceDateTime=20261201)),
        row("a date that is an object", service(occurrenceDateTime={"start": "2026-12-01"})),
        row("a period that is a list", service(occurrencePeriod=[{"start": "2026-12-01"}])),
        row("a period that is a text", service(occurrencePeriod="2026-12-01")),
        row("a start that is a number", service(occurrencePeriod={"start": 2026})),
        row("an end that is a number", service(occurrencePeriod={"start": "2026-12-01", "end": 2026})),
        row("an end that is no date", service(occurrencePeriod={"start": "2026-12-01", "end": "later"})),
        row(
            "an end that would leave the calendar",
            service(occurrencePeriod={"start": "2026-12-01", "end": "9999-12-30"}),
        ),
        row("dosages that are an object", drug_order() | {"dosageInstruction": event("2026-12-01")}),
        row("a dosage that is a list", drug_order([event("2026-12-01")])),
        row("a dosage that is null", drug_order(None, event("2026-12-01"))),
        row("days that are a text", drug_order({"timing": {"event": "2026-12-01"}})),
        row("a day that is a number", drug_order(event(20261201))),
        row("a timing that is a list", drug_order({"timing": [{"event": ["2026-12-01"]}]})),
        row("a supply that is a list", drug_order(dispenseRequest=[{"validityPeriod": {"start": "2026-12-01"}}])),
    ],
)
def test_where_it_is_not_plain_what_to_move_nothing_is_offered(order: Resource) -> None:
    assert after(order) is None


@pytest.mark.parametrize(
    "raw",
    [
        row("nothing came", b""),
        row("no JSON", b"{"),
        row("a list", b"[]"),
        row("null", b"null"),
        row(
            "a text that is no UTF-8",
            json.dumps(service("2026-12-01", note=[{"text": "X"}])).encode().replace(b"X", b"\xff"),
        ),
        row(
            "half a character",
            json.dumps(service("2026-12-01", note=[{"text": "X"}])).encode().replace(b"X", b"\\ud800"),
        ),
        row(
            "deeper than anybody nests",
            json.dumps(service("2026-12-01", note="X")).encode().replace(b'"X"', b"[" * 9_000 + b"]" * 9_000),
        ),
        row("a document in an order", json.dumps(service("2026-12-01", note=[{"text": "x" * 40_000}])).encode()),
    ],
)
def test_what_cannot_go_back_is_not_offered(raw: bytes) -> None:
    assert sent_back(raw) is None


def test_a_long_order_goes_back() -> None:
    order = service("2026-12-01", note=[{"text": "x" * 25_000}])

    assert after(order) == order | {"occurrenceDateTime": "2026-12-20"}


# --- valid before and after ---


@pytest.mark.parametrize(
    "order",
    [
        service(),
        service("2026-12-01"),
        service(occurrencePeriod={"start": "2026-12-01", "end": "2026-12-03"}),
        drug_order(event("2026-12-01")),
        drug_order(bounds(start="2026-12-01", end="2026-12-31")),
        drug_order(dispenseRequest={"validityPeriod": {"start": "2026-12-01", "end": "2026-12-31"}}),
    ],
)
def test_a_valid_order_stays_valid(order: Resource) -> None:
    MODELS[order["resourceType"]].model_validate(order)

    changed = after(order)

    assert changed is not None
    MODELS[changed["resourceType"]].model_validate(changed)


@pytest.mark.parametrize(
    "fault",
    [
        row("no intent", {"intent": None}),
        row("one category", {"category": {"text": "apheresis"}}),
        row("an element of the sender's own", {"urgencyOfOurs": 3}),
    ],
)
def test_an_order_that_was_not_valid_goes_back_as_the_ehr_has_it(fault: Resource) -> None:
    order = service("2026-12-01") | fault

    assert after(order) == order | {"occurrenceDateTime": "2026-12-20"}


def test_a_change_that_would_bring_in_a_fault_is_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    spoil = {"ServiceRequest": lambda order, _: order | {"occurrenceDateTime": msgspec.Raw(b'"soon"')}}
    monkeypatch.setattr(reschedule, "_MOVERS", spoil)

    assert after(service("2026-12-01")) is None
    assert after(service("sooner")) is not None  # it was no date before


# --- any JSON at all ---

TEXTS = st.text(max_size=5) | st.sampled_from(
    ["2026-12-01", "2026-12", "2026-12-01T08:00:00Z", "9999-12-31", "0001-01-01"]
)
NAMES = st.text(max_size=5) | st.sampled_from(
    ["event", "repeat", "boundsPeriod", "start", "_start", "end", "_end", "timing", "validityPeriod", "id"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
PERIODS = st.dictionaries(st.sampled_from(["start", "_start", "end", "_end", "id"]), TEXTS | VALUES, max_size=4)
TIMINGS = st.fixed_dictionaries(
    {},
    optional={
        "event": st.lists(TEXTS, max_size=2) | VALUES,
        "repeat": st.fixed_dictionaries({}, optional={"boundsPeriod": PERIODS}),
    },
)
DOSAGES = st.fixed_dictionaries({}, optional={"text": TEXTS, "timing": TIMINGS | VALUES})
SERVICES = st.fixed_dictionaries(
    {"resourceType": st.just("ServiceRequest"), "id": st.just("draft-1")},
    optional={"occurrenceDateTime": TEXTS, "_occurrenceDateTime": VALUES},
)
OTHER_SERVICES = st.fixed_dictionaries(
    {"resourceType": st.just("ServiceRequest"), "id": st.just("draft-1"), "occurrencePeriod": PERIODS | VALUES},
    optional={"occurrenceTiming": VALUES},
)
DRUGS = st.fixed_dictionaries(
    {
        "resourceType": st.just("MedicationRequest"),
        "id": st.just("draft-1") | VALUES,
        "dosageInstruction": st.lists(DOSAGES, max_size=2) | VALUES,
    },
    optional={"dispenseRequest": st.fixed_dictionaries({}, optional={"validityPeriod": PERIODS}) | VALUES},
)
DATED = {"occurrenceDateTime", "_occurrenceDateTime", "start", "_start", "end", "_end", "event", "_event"}


def undated(value: Any) -> Any:
    """Leave out every date."""
    if isinstance(value, dict):
        return {name: undated(inner) for name, inner in value.items() if name not in DATED}
    return [undated(inner) for inner in value] if isinstance(value, list) else value


@given(st.dictionaries(NAMES, VALUES, max_size=4), SERVICES | OTHER_SERVICES | DRUGS, st.dates())
def test_whatever_the_draft_nothing_but_its_date_is_changed(other: Resource, dates: Resource, to: date) -> None:
    order = other | dates
    raw = json.dumps(order).encode()

    changed = after(raw, to)

    if changed is None:
        return
    assert undated(changed) == undated(json.loads(raw))
    assert to.isoformat() in json.dumps(changed)
    assert sum(changed.get(name) != order.get(name) for name in changed.keys() | order.keys()) <= len(
        {"occurrenceDateTime", "_occurrenceDateTime"}
    )


# --- what the card offers ---


def proposed(**members: Any) -> ProposedOrder:
    """Make the order as rules see it."""
    known: dict[str, Any] = {
        "reference": ChartText("ServiceRequest/draft-1"),
        "kind": OrderKind.T_CELL_COLLECTION,
        "drug": None,
        "planned": ClinicalDate.on(date(2026, 12, 1)),
        "judged": True,
        "systemic": True,
        "label": ChartText("<b>Collection"),
    }
    return ProposedOrder(**(known | members))


SENT = json.dumps(
    {
        "resourceType": "ServiceRequest",
        "id": "draft-1",
        "status": "draft",
        "intent": "order",
        "code": coded(CPT, "38225"),
        "subject": {"reference": f"Patient/{PATIENT}"},
        "occurrenceDateTime": "2026-12-01",
    }
).encode()
AS_SENT = {"ServiceRequest/draft-1": SENT}
LATER = Reschedule("later-start", proposed(), TO)
RULE = MadeUp("R81")


def test_a_card_offers_the_order_on_the_other_day() -> None:
    (card,) = shown([RULE.found("warning", LATER)], sent=AS_SENT)

    (suggestion,) = card["suggestions"]
    (action,) = suggestion["actions"]
    assert card["selectionBehavior"] == "any"
    assert suggestion["label"] == "Move T-cell collection to 2026-12-20"
    assert suggestion["isRecommended"] is False
    assert action["type"] == "update"
    assert action["resource"] == json.loads(SENT) | {"occurrenceDateTime": "2026-12-20"}
    assert "T-cell collection" in action["description"]
    assert "2026-12-20" in action["description"]
    assert "Collection" not in suggestion["label"] + action["description"].replace("T-cell collection", "")


LATEST = Reschedule("later-start", proposed(), date(2027, 1, 5))


@pytest.mark.parametrize("absorbs", [(), ("R82",)])
@pytest.mark.parametrize("turned", [False, True])
def test_an_order_is_offered_on_the_latest_day_alone_that_anybody_asks_for(
    absorbs: tuple[str, ...], turned: bool
) -> None:
    """On an earlier day, the other finding would stand as before."""
    first, second = (LATEST, LATER) if turned else (LATER, LATEST)
    host, other = MadeUp("R81", rank=1, absorbs=absorbs), MadeUp("R82", rank=2, proposals=("myeloma-board",))

    cards = shown([host.found("warning", first), other.found("warning", second)], sent=AS_SENT)

    assert sorted(each["label"] for card in cards for each in card.get("suggestions", ())) == [
        "Move T-cell collection to 2027-01-05",
        "Propose a myeloma board review",
    ]


def test_a_day_that_was_asked_for_by_a_card_without_room_counts() -> None:
    """Its own offer is not made; an earlier day would still be too early."""
    early, *others = (MadeUp(f"R8{number}", rank=number) for number in range(1, 4))
    late = MadeUp("R89", rank=9)

    found = [early.found("warning", LATER), *(each.found() for each in others), late.found("warning", LATEST)]
    cards = shown(found, sent=AS_SENT)

    assert [card.get("suggestions") for card in cards] == [None, None, None]


def test_a_draft_of_two_drugs_is_moved_once() -> None:
    parts = [proposed(kind=OrderKind.DRUG), proposed(kind=OrderKind.LYMPHODEPLETION)]

    days = (TO, LATEST.to)
    moves = [Reschedule("later-start", part, day) for part, day in zip(parts, days, strict=True)]

    (card,) = shown([RULE.found("warning", *moves)], sent=AS_SENT)

    assert [each["label"] for each in card["suggestions"]] == ["Move lymphodepletion to 2027-01-05"]


def test_two_orders_are_two_offers() -> None:
    second = proposed(reference=ChartText("ServiceRequest/draft-2"))
    sent = AS_SENT | {"ServiceRequest/draft-2": SENT.replace(b"draft-1", b"draft-2")}

    (card,) = shown([RULE.found("warning", LATER, Reschedule("later-start", second, TO))], sent=sent)

    assert [each["actions"][0]["resource"]["id"] for each in card["suggestions"]] == ["draft-1", "draft-2"]


@pytest.mark.parametrize(
    ("sent", "ordering"),
    [
        row("the order did not come with the request", {}, Ordering()),
        row("the client takes nothing but codes", AS_SENT, Ordering(needs_code=True)),
    ],
)
def test_a_card_without_an_offer_is_a_card_all_the_same(sent: dict[str, bytes], ordering: Ordering) -> None:
    (card,) = shown([RULE.found("warning", LATER)], ordering=ordering, sent=sent)

    assert "suggestions" not in card
    assert "selectionBehavior" not in card
    assert card["summary"] == "Summary of R81."


def test_a_drug_order_without_a_date_is_not_even_looked_into() -> None:
    """It gets no date from us, whatever its JSON holds; a service order without a date gets one."""
    drug = proposed(reference=ChartText("MedicationRequest/draft-1"), kind=OrderKind.DRUG, planned=None)
    service = proposed(planned=None)

    assert not has_a_date_to_move(drug)
    assert has_a_date_to_move(service)

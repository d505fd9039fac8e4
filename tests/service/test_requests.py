"""Requests, good and bad: what is refused and how, and how much is put up with."""

import json
import uuid
from typing import Any

import pytest

from cards.finding import Hook
from cds_service.app import create_app
from tests.build import (
    PATIENT,
    Resource,
    bundle,
    chart,
    draft_collection,
    draft_drug,
    draft_service,
    drug,
    given,
    hook_request,
)
from tests.service.calling import (
    SETTINGS,
    after_infusion,
    call,
    cards,
    changed,
    client,
    codes,
    post,
    refusal,
    unremarkable,
    washout,
)

GOOD = json.dumps(washout()).encode()
DEEP_LIST = b"[" * 100_000 + b"]" * 100_000
DEEP_OBJECT = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
CAR_T = "ciltacabtagene autoleucel"
# Washout, prevention of infections, the label, and no word on progression for R05
OF_CAR_T = ["R01", "B01", "R28", "R00"]


def with_member(name: str, value: bytes) -> bytes:
    """Give the good request with one more member at its end."""
    return GOOD[:-1] + b',"' + name.encode() + b'":' + value + b"}"


def inside(member: str, name: str, value: bytes) -> bytes:
    """Give the good request with one more member inside its context or prefetch."""
    place = f'"{member}": {{'.encode()
    assert place in GOOD
    return GOOD.replace(place, place + b'"' + name.encode() + b'":' + value + b",", 1)


def without(member: str) -> Resource:
    """Give the good request without a member of its own or of its context."""
    request = washout()
    if member in request["context"]:
        return changed(request, **{member: None})
    return {key: value for key, value in request.items() if key != member}


UNREADABLE = {
    "empty": b"",
    "not JSON": b"hook=order-sign",
    "cut off": GOOD[:-1],
    "trailing comma": GOOD[:-1] + b",}",
    "comment": b"/* a comment */" + GOOD,
    "two documents": GOOD + GOOD,
    "UTF-16": GOOD.decode().encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf" + GOOD,
    "array": b"[" + GOOD + b"]",
    "number": b"1",
    "string": b'"hook"',
    "null": b"null",
    "NaN": with_member("x", b"NaN"),
    "Infinity": with_member("x", b"-Infinity"),
    "NaN in the prefetch": inside("prefetch", "x", b"NaN"),
    "lone surrogate": with_member("x", b'"\\ud800"'),
    "raw control character": with_member("x", b'"\x00"'),
    "deep list": DEEP_LIST,
    "deep object": DEEP_OBJECT,
    "deep extension": with_member("extension", DEEP_OBJECT),
    "deep context": inside("context", "x", DEEP_LIST),
    "deep prefetch": inside("prefetch", "x", DEEP_OBJECT),
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_what_is_no_readable_json_object_is_a_bad_request(body: bytes) -> None:
    assert "no" in refusal(post(body), 400)


def test_the_good_request_is_good() -> None:
    assert codes(post(GOOD)) == ["R01"]


WRONG = {
    "no hook": without("hook"),
    "hook of another service": washout(Hook.ORDER_SELECT),
    "unknown hook": washout() | {"hook": "order-review"},
    "hook is a number": washout() | {"hook": 1},
    "hook is a list": washout() | {"hook": ["order-sign"]},
    "hook is null": washout() | {"hook": None},
    "no hookInstance": without("hookInstance"),
    "hookInstance is empty": washout() | {"hookInstance": ""},
    "hookInstance is blank": washout() | {"hookInstance": " "},
    "hookInstance is a number": washout() | {"hookInstance": 7},
    "hookInstance is null": washout() | {"hookInstance": None},
    "hookInstance is huge": washout() | {"hookInstance": "x" * 100_000},
    "no context": without("context"),
    "context is a list": washout() | {"context": []},
    "context is text": washout() | {"context": "x"},
    "context is null": washout() | {"context": None},
    "no userId": without("userId"),
    "userId is an object": washout(userId={"reference": "Practitioner/x"}),
    "userId is empty": washout(userId=""),
    "no patientId": without("patientId"),
    "patientId is a number": washout(patientId=1),
    "patientId is empty": washout(patientId=""),
    "patientId is a bare type": washout(patientId="Patient/"),
    "patientId is huge": washout(patientId="x" * 100_000),
    "patientId holds a control character": washout(patientId="a\x00b"),
}


@pytest.mark.parametrize("request_body", WRONG.values(), ids=WRONG.keys())
def test_a_required_member_that_is_missing_or_wrong_is_a_bad_request(request_body: Resource) -> None:
    refusal(post(request_body), 400)


@pytest.mark.parametrize("member", ["hook", "hookInstance", "context", "userId", "patientId"])
def test_the_refusal_names_the_missing_member(member: str) -> None:
    assert member in refusal(post(without(member)), 400)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/cds-services/mmcds-unknown", 404),
        ("POST", "/cds-services/mmcds-order-sign/", 404),
        ("GET", "/nothing/here", 404),
        ("GET", "/cds-services/mmcds-order-sign", 405),
        ("PUT", "/cds-services/mmcds-order-sign", 405),
        ("DELETE", "/healthz", 405),
    ],
)
def test_wrong_addresses_and_methods_are_told_in_fhir(method: str, path: str, status: int) -> None:
    response = client().open(path, method=method, data=GOOD, content_type="application/json")

    refusal(response, status)
    assert ("Allow" in response.headers) is (status == 405)


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/xml", "application/x-www-form-urlencoded", "multipart/form-data"]
)
def test_other_content_types_are_refused(content_type: str | None) -> None:
    assert "application/json" in refusal(post(GOOD, content_type=content_type), 415)


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "Application/JSON", "application/fhir+json"]
)
def test_json_is_taken_under_its_usual_names(content_type: str) -> None:
    assert codes(post(GOOD, content_type=content_type)) == ["R01"]


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "identity"])
def test_encoded_bodies_are_refused(encoding: str) -> None:
    refusal(post(GOOD, headers={"Content-Encoding": encoding}), 415)


def test_the_body_may_be_as_long_as_the_limit_and_no_longer() -> None:
    small = create_app(SETTINGS.model_copy(update={"body_limit_bytes": len(GOOD)})).test_client()

    assert codes(post(GOOD, to=small)) == ["R01"]
    assert str(len(GOOD)) in refusal(post(GOOD + b" ", to=small), 413)
    refusal(post(GOOD + b" " * 100_000, to=small), 413)


@pytest.mark.parametrize("instance", ["test", "1", "x" * 1_000, "{5A2AB7A7}"])
def test_any_hook_instance_is_accepted(instance: str) -> None:
    assert codes(post(washout() | {"hookInstance": instance})) == ["R01"]


def test_a_repeated_hook_instance_is_answered_again_with_fresh_uuids() -> None:
    first, second = cards(post(GOOD)), cards(post(GOOD))

    assert [card["summary"] for card in first] == [card["summary"] for card in second]
    assert not _uuids(first) & _uuids(second)


def _uuids(found: list[Resource]) -> set[uuid.UUID]:
    return {uuid.UUID(item["uuid"]) for card in found for item in (card, *card.get("suggestions", ()))}


IGNORED: dict[str, Any] = {
    "extension": {"com.example.request": {"version": 7, "nested": [{}]}},
    "user": "Practitioner/old-style",
    "fhirServer": 7,
    "fhirAuthorization": "not an object",
    "workflow": [1, [2, {"a": None}]],
}


@pytest.mark.parametrize("member", IGNORED)
def test_unknown_and_unused_members_change_nothing(member: str) -> None:
    request = washout(encounterId="e1", extension={"a": "b"}) | {member: IGNORED[member]}

    assert codes(post(request)) == ["R01"]


@pytest.mark.parametrize(
    "value", [b"1e400", b"9" * 5_000, b'"\\u0000"'], ids=["out of range", "5000 digits", "escaped NUL"]
)
def test_odd_values_that_nobody_reads_are_ignored(value: bytes) -> None:
    assert codes(post(with_member("x", value))) == ["R01"]


def test_of_a_member_given_twice_the_last_counts() -> None:
    assert codes(post(b'{"hook": "patient-view", ' + GOOD[1:])) == ["R01"]
    refusal(post(with_member("hook", b'"patient-view"')), 400)


@pytest.mark.parametrize(
    "user",
    [
        "Practitioner/p1",
        "PractitionerRole/r1",
        "https://ehr.example/fhir/Practitioner/p1",
        "p1",
        "Practitioner/p1/_history/2",
    ],
)
def test_any_spelling_of_a_clinician_gets_cards_on_patient_view(user: str) -> None:
    assert codes(call(changed(after_infusion(), userId=user))) == ["B01", "R39"]


@pytest.mark.parametrize("user", [f"Patient/{PATIENT}", "RelatedPerson/r1", "https://ehr.example/fhir/Patient/x"])
def test_patients_and_relatives_get_no_clinicians_cards(user: str) -> None:
    assert cards(call(changed(after_infusion(), userId=user))) == []


@pytest.mark.parametrize("patient_id", [PATIENT, f"Patient/{PATIENT}"])
def test_the_patient_may_be_named_with_or_without_the_type(patient_id: str) -> None:
    assert codes(post(washout(patientId=patient_id))) == ["R01"]


NOTHING_WATCHED = {
    "no drafts": [],
    "draft without a drug yet": [draft_drug("x", medicationCodeableConcept=None)],
    "draft with an empty concept": [draft_drug("x", medicationCodeableConcept={})],
    "drug that no rule watches": [draft_drug("ibuprofen")],
    "order type that no rule reads": [{"resourceType": "NutritionOrder", "id": "n1", "status": "draft"}],
    "service that no rule watches": [draft_service("71045")],
}


@pytest.mark.parametrize("hook", [Hook.ORDER_SELECT, Hook.ORDER_SIGN])
@pytest.mark.parametrize("drafts", NOTHING_WATCHED.values(), ids=NOTHING_WATCHED.keys())
def test_without_a_watched_order_there_is_nothing_to_say_and_nothing_is_read(hook: Hook, drafts: list[Any]) -> None:
    request = hook_request(hook, None, drafts)  # with no chart at all, reading it would be refused with 412

    assert call(request).get_json() == {"cards": []}


@pytest.mark.parametrize("drafts", [None, {"resourceType": "Bundle"}, {"resourceType": "Bundle", "entry": []}])
def test_drafts_may_be_missing_or_empty(drafts: Resource | None) -> None:
    assert post(washout(draftOrders=drafts)).get_json() == {"cards": []}


def test_null_drafts_are_no_drafts() -> None:
    body = json.dumps(washout(draftOrders="null")).replace('"draftOrders": "null"', '"draftOrders": null').encode()

    assert post(body).get_json() == {"cards": []}


SLOPPY = {
    "Bundle without type": {
        "resourceType": "Bundle",
        "entry": [{"resource": draft_drug(CAR_T)}],
    },
    "category as an object": bundle([draft_drug(CAR_T, category={"text": "inpatient"})]),
    "no intent": bundle([draft_drug(CAR_T, intent=None)]),
    "no status": bundle([draft_drug(CAR_T, status=None)]),
    "no subject": bundle([draft_drug(CAR_T, subject=None)]),
    "signed again": bundle([draft_drug(CAR_T, status="active")]),
    "absolute subject": bundle(
        [draft_drug(CAR_T, subject={"reference": f"https://ehr.example/fhir/Patient/{PATIENT}"})]
    ),
    "dose quantity in the wrong place": bundle([draft_drug(CAR_T, dosageInstruction=[{"doseQuantity": {"value": 1}}])]),
    "very long id": bundle([draft_drug(CAR_T, id="e" * 190)]),
    "beside a type nobody reads": bundle([{"resourceType": "VisionPrescription", "id": "v"}, draft_drug(CAR_T)]),
    "beside an order without a drug": bundle([draft_drug("x", medicationCodeableConcept=None), draft_drug(CAR_T)]),
    "one resource instead of a Bundle": draft_drug(CAR_T),
}


@pytest.mark.parametrize("drafts", SLOPPY.values(), ids=SLOPPY.keys())
def test_drafts_that_are_not_valid_r4_are_judged_all_the_same(drafts: Resource) -> None:
    assert codes(post(washout(draftOrders=drafts))) == OF_CAR_T


@pytest.mark.parametrize(
    "drafts",
    [
        "a Bundle as text",
        [draft_drug(CAR_T)],
        {"resourceType": "Bundle", "entry": "none"},
        bundle([{"resourceType": "MedicationRequest", "status": 7}]),
        bundle([{"resourceType": "ServiceRequest", "code": "38225"}]),
        bundle([{"id": "of-no-type"}]),
    ],
    ids=["text", "list", "entries are text", "drug order", "service order", "no type"],
)
def test_drafts_that_cannot_be_read_are_named_not_passed_over(drafts: Any) -> None:
    (card,) = cards(post(washout(draftOrders=drafts)))

    assert card["source"]["topic"]["code"] == "R00"
    assert "draft order" in card["detail"]


@pytest.mark.parametrize("kind", ["MedicationOrder", "ProcedureRequest", "ReferralRequest", "DiagnosticOrder"])
def test_drafts_of_another_fhir_version_are_refused(kind: str) -> None:
    drafts = bundle([draft_collection("2026-11-25"), {"resourceType": kind, "id": "old", "status": "draft"}])

    assert "R4" in refusal(post(washout(draftOrders=drafts)), 412)


def test_a_draft_that_names_its_drug_as_r5_does_is_refused() -> None:
    newer = draft_drug(CAR_T, medicationCodeableConcept=None, medication={"concept": {"text": CAR_T}})

    assert "R4" in refusal(post(washout(draftOrders=bundle([newer]))), 412)


@pytest.mark.parametrize("draft", [draft_collection, draft_drug], ids=["collection", "drug"])
def test_a_draft_about_another_patient_is_not_judged_and_r00_says_so(draft: Any) -> None:
    other = draft(CAR_T, subject={"reference": "Patient/synthetic-2"})

    (card,) = cards(post(washout(draftOrders=bundle([other]))))

    assert card["source"]["topic"]["code"] == "R00"
    assert "another patient" in card["detail"]


def test_the_patients_own_drafts_are_judged_beside_a_foreign_one() -> None:
    drafts = bundle([draft_collection("2026-11-25"), draft_drug(CAR_T, subject={"reference": "Patient/synthetic-2"})])

    assert codes(post(washout(draftOrders=drafts))) == ["R01", "R00"]


COLLECTION = draft_collection("2026-11-25", id="collection")
HARMLESS = draft_drug("lenalidomide", id="harmless")


@pytest.mark.parametrize(
    ("selections", "expected"),
    [
        (["ServiceRequest/collection"], ["R01"]),
        (["collection"], ["R01"]),
        (["https://ehr.example/fhir/ServiceRequest/collection"], ["R01"]),
        (["MedicationRequest/harmless", "ServiceRequest/collection"], ["R01"]),
        (["MedicationRequest/harmless"], []),
        (["harmless"], []),
        (["MedicationRequest/collection"], ["R01"]),
        (["ServiceRequest/unknown"], ["R01"]),
        ([], ["R01"]),
        ("ServiceRequest/collection", ["R01"]),
        ([7, None], ["R01"]),
        (None, ["R01"]),
    ],
)
def test_order_select_judges_what_is_selected_and_everything_when_that_is_unclear(
    selections: Any, expected: list[str]
) -> None:
    request = washout(Hook.ORDER_SELECT, draftOrders=bundle([COLLECTION, HARMLESS]), selections=selections)

    assert codes(call(request)) == expected


CILTA_CEL = drug(CAR_T)
NAMED = {
    "concept": [draft_drug(CAR_T)],
    "contained": [
        draft_drug(
            "x",
            medicationCodeableConcept=None,
            contained=[{"resourceType": "Medication", "id": "m1", "code": CILTA_CEL}],
            medicationReference={"reference": "#m1"},
        )
    ],
    "another entry": [
        draft_drug("x", medicationCodeableConcept=None, medicationReference={"reference": "Medication/m2"}),
        {"resourceType": "Medication", "id": "m2", "code": CILTA_CEL},
    ],
    "another entry by absolute address": [
        draft_drug(
            "x",
            medicationCodeableConcept=None,
            medicationReference={"reference": "https://ehr.example/fhir/Medication/m3"},
        ),
        {"resourceType": "Medication", "id": "m3", "code": CILTA_CEL},
    ],
    "display alone": [draft_drug("x", medicationCodeableConcept=None, medicationReference={"display": CAR_T})],
    "display of a dangling reference": [
        draft_drug(
            "x", medicationCodeableConcept=None, medicationReference={"reference": "Medication/gone", "display": CAR_T}
        )
    ],
}


@pytest.mark.parametrize("drafts", NAMED.values(), ids=NAMED.keys())
def test_the_drug_of_a_draft_is_found_however_it_is_named(drafts: list[Resource]) -> None:
    request = hook_request(Hook.ORDER_SIGN, chart(given("teclistamab", "2026-09-01")), drafts)

    assert codes(call(request)) == OF_CAR_T


def test_a_draft_whose_drug_cannot_be_looked_up_is_named_as_not_recognised() -> None:
    dangling = draft_drug("x", medicationCodeableConcept=None, medicationReference={"reference": "Medication/gone"})

    (card,) = cards(post(changed(unremarkable(), draftOrders=bundle([dangling]))))

    assert card["source"]["topic"]["code"] == "R00"
    assert "draft order" in card["detail"]

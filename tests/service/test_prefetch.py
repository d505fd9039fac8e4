"""Prefetch, key by key: what counts as read, and that nothing unread ever passes for "none"."""

from typing import Any

import pytest

from cards.finding import Hook
from cds_service.hook_models import are_about
from tests.build import (
    PATIENT,
    Resource,
    bundle,
    dispensed,
    draft_collection,
    given,
    hook_request,
    myeloma,
    patient,
    reported,
)
from tests.mapping.reading import decoded
from tests.service.calling import after_infusion, call, cards, codes, recorded_client, refusal, unremarkable, washout

# Each key with a Topic that rests on it, and what that Topic is left with when the key alone is lost
TOPIC = {
    "patient": ("patient", "unavailable"),
    "conditions": ("diagnosis", "unavailable"),
    "medicationStatements": ("treatment", "partial"),
    "medicationRequests": ("treatment", "partial"),
    "medicationAdministrations": ("treatment", "partial"),
    "procedures": ("cell therapy", "partial"),
    "allergies": ("allergies", "partial"),
    "observations": ("laboratory results", "unavailable"),
}
# Without these, no rule that concerns a T-cell collection can be sure of its answer
NEEDED = (
    "patient",
    "conditions",
    "medicationStatements",
    "medicationRequests",
    "medicationAdministrations",
    "procedures",
)

FOREIGN = {"reference": "Patient/synthetic-2"}


def outcome(severity: str) -> Resource:
    """Make an OperationOutcome with one issue."""
    return {"resourceType": "OperationOutcome", "issue": [{"severity": severity, "code": "processing"}]}


def searchset(*resources: Any, **more: Any) -> Resource:
    """Make a search answer."""
    return bundle(resources) | more


NONE_ON_RECORD: dict[str, Any] = {
    "null": None,
    "empty Bundle": searchset(),
    "Bundle without entry": {"resourceType": "Bundle", "type": "searchset", "total": 0},
    "warning that there are no results": searchset(outcome("warning"), total=0),
    "warning alone": outcome("warning"),
}

LOST: dict[str, Any] = {
    "error": outcome("error"),
    "fatal error": outcome("fatal"),
    "outcome without an issue": {"resourceType": "OperationOutcome"},
    "error inside a Bundle": searchset(outcome("error"), total=0),
    "text": "none",
    "number": 0,
    "false": False,
    "list": [],
    "empty object": {},
    "resource of a type nobody reads": {"resourceType": "Encounter", "id": "e1"},
    "Bundle of a type nobody reads": searchset({"resourceType": "Encounter", "id": "e1"}),
    "Bundle whose entries are text": {"resourceType": "Bundle", "entry": "none"},
}

CUT_SHORT: dict[str, Any] = {
    "page with a next one": searchset(link=[{"relation": "next", "url": "https://ehr.example/fhir?page=2"}]),
    "fewer entries than the total": searchset(total=3),
    "entry that cannot be read": {
        "resourceType": "Bundle",
        "entry": [{"resource": {"resourceType": "Condition", "subject": 7}}],
    },
    "entry without a resource": {"resourceType": "Bundle", "entry": [{"fullUrl": "urn:uuid:1"}]},
}


def coverage_with(request: Resource) -> dict[str, str]:
    """Ask, and give the coverage that the decision record names."""
    asked, records = recorded_client()
    assert call(request, to=asked).status_code == 200
    (record,) = records
    return dict(record.coverage)


def test_with_every_key_read_all_topics_are_complete_and_there_is_nothing_to_say() -> None:
    assert set(coverage_with(unremarkable()).values()) == {"complete"}
    assert cards(call(unremarkable())) == []


@pytest.mark.parametrize("key", TOPIC)
@pytest.mark.parametrize("value", NONE_ON_RECORD.values(), ids=NONE_ON_RECORD.keys())
def test_none_on_record_is_an_answer(key: str, value: Any) -> None:
    assert coverage_with(unremarkable(**{key: value}))[TOPIC[key][0]] == "complete"


@pytest.mark.parametrize("key", TOPIC)
@pytest.mark.parametrize("value", LOST.values(), ids=LOST.keys())
def test_an_error_or_something_else_is_not_an_answer(key: str, value: Any) -> None:
    topic, left = TOPIC[key]

    assert coverage_with(unremarkable(**{key: value}))[topic] == left


@pytest.mark.parametrize("key", TOPIC)
def test_an_absent_key_is_not_an_answer(key: str) -> None:
    topic, left = TOPIC[key]

    assert coverage_with(unremarkable(without=[key]))[topic] == left


@pytest.mark.parametrize("key", [key for key in TOPIC if key != "patient"])
@pytest.mark.parametrize("value", [patient(), searchset(patient())], ids=["alone", "in a Bundle"])
def test_the_patient_under_another_key_does_not_answer_that_key(key: str, value: Resource) -> None:
    topic, left = TOPIC[key]

    assert coverage_with(unremarkable(**{key: value}))[topic] == left


@pytest.mark.parametrize("key", TOPIC)
@pytest.mark.parametrize("value", CUT_SHORT.values(), ids=CUT_SHORT.keys())
def test_part_of_an_answer_is_partial(key: str, value: Any) -> None:
    assert coverage_with(unremarkable(**{key: value}))[TOPIC[key][0]] == "partial"


@pytest.mark.parametrize("key", NEEDED)
@pytest.mark.parametrize("value", [*LOST.values(), *CUT_SHORT.values()], ids=[*LOST, *CUT_SHORT])
def test_what_was_not_read_is_said_never_passed_over(key: str, value: Any) -> None:
    assert codes(call(unremarkable(**{key: value}))) == ["R00"]


@pytest.mark.parametrize("key", NEEDED)
def test_what_was_not_sent_is_said_never_passed_over(key: str) -> None:
    (card,) = cards(call(unremarkable(without=[key])))

    assert card["source"]["topic"]["code"] == "R00"
    assert "No conclusion was drawn" in card["detail"]


@pytest.mark.parametrize("key", ["medicationStatements", "medicationRequests", "medicationAdministrations"])
def test_a_finding_stands_whatever_else_could_not_be_read(key: str) -> None:
    request = hook_request(
        Hook.ORDER_SIGN,
        unremarkable()["prefetch"]
        | {
            "medicationAdministrations": searchset(given("teclistamab", "2026-09-01")),
            "medicationStatements": searchset(reported("teclistamab", "2026-07-01", "2026-09-01")),
        }
        | {key: outcome("error")},
        [draft_collection("2026-11-25")],
    )

    assert codes(call(request))[0] == "R01"


def test_one_unreadable_entry_does_not_cost_its_neighbours() -> None:
    broken = {"resourceType": "MedicationAdministration", "status": 7, "subject": {"reference": f"Patient/{PATIENT}"}}
    request = washout()
    request["prefetch"]["medicationAdministrations"] = searchset(broken, given("teclistamab", "2026-09-01"))
    asked, records = recorded_client()

    assert codes(call(request, to=asked))[0] == "R01"
    assert records[0].gaps == {"unreadable resource": 1}
    assert records[0].coverage["treatment"] == "partial"


def test_a_single_resource_counts_but_is_not_the_whole_list() -> None:
    request = washout()
    request["prefetch"]["medicationAdministrations"] = given("teclistamab", "2026-09-01")
    request["prefetch"]["conditions"] = myeloma()

    assert codes(call(request))[0] == "R01"
    assert coverage_with(request)["diagnosis"] == "partial"
    assert coverage_with(request)["treatment"] == "partial"


def test_a_single_patient_is_the_whole_answer() -> None:
    assert coverage_with(unremarkable(patient=patient()))["patient"] == "complete"


def test_empty_medication_lists_prove_nothing() -> None:
    empty = dict.fromkeys(("medicationStatements", "medicationRequests", "medicationAdministrations"))

    (card,) = cards(call(unremarkable(**empty)))

    assert card["source"]["topic"]["code"] == "R00"
    assert "empty, which proves nothing" in card["detail"]


@pytest.mark.parametrize("key", NEEDED)
def test_a_key_with_another_patients_resource_is_dropped_whole(key: str) -> None:
    theirs = patient(id="synthetic-2") if key == "patient" else myeloma(subject=FOREIGN)
    own = unremarkable()["prefetch"][key]
    resources = [entry["resource"] for entry in own["entry"]] if key != "patient" else [own]
    request = unremarkable(**{key: searchset(*resources, theirs)})
    topic, left = TOPIC[key]

    assert coverage_with(request)[topic] == left
    assert codes(call(request)) == ["R00"]


def test_no_finding_comes_from_another_patients_record() -> None:
    request = washout()
    own = [given("metformin", "2026-01-01"), given("teclistamab", "2026-09-01", subject=FOREIGN)]
    request["prefetch"]["medicationAdministrations"] = searchset(*own)

    assert codes(call(request)) == ["R00"]


def test_a_record_that_names_nobody_came_with_the_patients_own() -> None:
    request = washout()
    request["prefetch"]["medicationAdministrations"] = searchset(given("teclistamab", "2026-09-01", subject=None))

    assert codes(call(request)) == ["R01"]


@pytest.mark.parametrize(
    "subject", [f"Patient/{PATIENT}", f"https://ehr.example/fhir/Patient/{PATIENT}", f"Patient/{PATIENT}/_history/3"]
)
def test_a_record_may_name_the_patient_by_any_address(subject: str) -> None:
    request = washout()
    record = given("teclistamab", "2026-09-01", subject={"reference": subject})
    request["prefetch"]["medicationAdministrations"] = searchset(record)

    assert codes(call(request)) == ["R01"]


def test_an_access_token_for_another_patient_does_not_spoil_the_prefetch() -> None:
    authorization = {"access_token": "x", "token_type": "Bearer", "patient": "synthetic-2"}

    assert codes(call(washout() | {"fhirAuthorization": authorization})) == ["R01"]


NOTHING = {"no prefetch": None, "empty prefetch": {}, "only foreign keys": {"request": patient(), "encounter": None}}


@pytest.mark.parametrize("prefetch", NOTHING.values(), ids=NOTHING.keys())
def test_with_nothing_read_the_missing_keys_are_named(prefetch: Resource | None) -> None:
    request = hook_request(Hook.ORDER_SIGN, prefetch, [draft_collection("2026-11-25")])

    said = refusal(call(request), 412)

    assert all(key in said for key in TOPIC)


@pytest.mark.parametrize("prefetch", ["text", [], 1, None])
def test_a_prefetch_that_is_no_object_is_no_prefetch(prefetch: Any) -> None:
    refusal(call(washout() | {"prefetch": prefetch}), 412)


def test_the_refusal_names_only_what_is_missing() -> None:
    request = hook_request(Hook.ORDER_SIGN, {"patient": patient()}, [draft_collection("2026-11-25")])

    said = refusal(call(request), 412)

    assert "conditions" in said
    assert "patient," not in said


@pytest.mark.parametrize("key", ["medicationDispenses", "immunizations"])
def test_what_only_a_helpful_search_holds_is_answered(key: str) -> None:
    supply = searchset(dispensed("teclistamab", "2026-10-20", 28)) if key == "medicationDispenses" else searchset()
    request = hook_request(Hook.ORDER_SIGN, {key: supply}, [draft_collection("2026-11-25")])

    assert codes(call(request)) == ["R00"]


def test_on_patient_view_too_nothing_read_is_refused() -> None:
    refusal(call(hook_request(Hook.PATIENT_VIEW, {})), 412)


def test_foreign_keys_are_ignored_whatever_they_hold() -> None:
    request = washout()
    foreign = {
        "request": {"resourceType": "DeviceRequest", "id": "d"},
        "-user": None,
        "x": searchset(patient(id="someone")),
    }
    request["prefetch"] = foreign | request["prefetch"]

    assert codes(call(request)) == ["R01"]


@pytest.mark.parametrize("value", [outcome("error"), None], ids=["error", "none on record"])
def test_a_draft_of_acyclovir_is_offered_only_when_allergies_were_read(value: Resource | None) -> None:
    (antiviral,) = [
        card for card in cards(call(after_infusion(allergies=value))) if card["source"]["topic"]["code"] == "B01"
    ]

    assert ("suggestions" in antiviral) is (value is None)
    assert ("Allergies could not be read" in antiviral["detail"]) is (value is not None)


@pytest.mark.parametrize(
    ("actors", "is_ours"),
    [
        (["Patient/synthetic-2"], False),
        (["Patient/synthetic-2", "Practitioner/1"], False),
        ([f"https://ehr.example/fhir/Patient/{PATIENT}", "Patient/synthetic-2"], True),
        ([f"Patient/{PATIENT}"], True),
        (["Practitioner/1", None], True),
        ([], True),
    ],
)
def test_an_appointment_is_about_the_patients_who_take_part(actors: list[str | None], is_ours: bool) -> None:
    participants = [{"actor": {"reference": actor} if actor else {"display": "x"}} for actor in actors]
    pile = decoded({"resourceType": "Appointment", "id": "a", "participant": participants})

    assert are_about(pile.found, PATIENT) is is_ours

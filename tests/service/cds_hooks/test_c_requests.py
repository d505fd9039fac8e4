"""Section C: how a service takes its requests, whole and sloppy ones, and how it refuses those it cannot use."""

import json
import time
from dataclasses import replace
from typing import Any

import pytest

from cards.finding import Hook
from cds_service.app import create_app
from tests.build import PATIENT, Resource, bundle, draft_collection, draft_drug
from tests.ehr.server import serving
from tests.ehr.sockets import black_hole, misbehaving
from tests.faults.asking import authorization, make_service, washout_chart
from tests.service.calling import SETTINGS, after_infusion, call, changed, client, codes, post, refusal, washout
from tests.service.cds_hooks.exchanges import discovery
from tests.service.cds_hooks.guarded import GUARDED, clock, guarded, token, with_key_file
from tests.service.test_faults import CANARY, client_of, crash

SECONDS = 0.5  # what the specification calls quick
CALLS = 20


def without(member: str) -> Resource:
    """Give the good request without one of its members."""
    return {key: value for key, value in washout().items() if key != member}


def test_c050_each_service_is_called_by_post_and_not_by_get() -> None:
    for service in discovery():
        path = f"/cds-services/{service['id']}"
        request = after_infusion() if service["hook"] == "patient-view" else washout(Hook(service["hook"]))

        assert codes(client().post(path, json=request)), "a card"
        refusal(client().get(path), 405)


@pytest.mark.parametrize("member", ["hook", "hookInstance", "context"])
def test_c051_a_request_without_a_required_member_is_refused(member: str) -> None:
    assert member in refusal(post(without(member)), 400)


@pytest.mark.parametrize("hook", ["patient-view", "order-select", "order-review"])
def test_c052_a_request_of_another_hook_is_refused(hook: str) -> None:
    assert "order-sign" in refusal(post(washout() | {"hook": hook}), 400)


@pytest.mark.parametrize("instance", ["test", "1", "5A2AB7A7-0B5C-4E57-9C3B-6F6B6A8F3F10", "urn:uuid:x"])
def test_c053_any_hook_instance_will_do(instance: str) -> None:
    assert codes(post(washout() | {"hookInstance": instance})) == ["R01"]


def test_c054_the_same_request_twice_is_answered_twice() -> None:
    request = washout()

    assert codes(post(request)) == codes(post(request)) == ["R01"]


def test_c055_an_authorization_without_a_server_is_no_access_and_no_fault() -> None:
    request = washout() | {"fhirAuthorization": authorization()}
    assert "fhirServer" not in request

    assert codes(post(request)) == ["R01"]
    said = refusal(post({key: value for key, value in request.items() if key != "prefetch"}), 412)
    assert "names no fhirServer" in said


def test_c056_production_reads_no_server_in_the_clear(tmp_path: Any) -> None:
    with serving(washout_chart()) as ehr, clock():
        trusted = with_key_file(tmp_path, fhir_bases=(ehr.base,))
        unsent = without("prefetch") | {"fhirServer": ehr.base, "fhirAuthorization": authorization()}
        production = guarded(trusted, settings=GUARDED.model_copy(update={"env": "production"}))

        refusal(production.show(token(), request=unsent), 412)
        assert ehr.connections == 0
        assert codes(guarded(trusted).show(token(), request=unsent)) == ["R01"], "elsewhere it is read"


UNUSABLE: dict[str, Any] = {
    "no token": authorization(None),
    "token is a number": authorization(7),
    "token is empty": authorization(""),
    "token with a line break": authorization("a\r\nX-Evil: 1"),
    "another type of token": authorization(token_type="MAC"),  # noqa: S106 - no secret
    "expired": authorization(expires_in=0),
    "no object": "Bearer abc",
}


@pytest.mark.parametrize("offer", UNUSABLE.values(), ids=UNUSABLE.keys())
def test_c057_an_odd_authorization_is_no_access_and_no_fault(offer: Any) -> None:
    service = make_service()
    with serving(washout_chart()) as ehr:
        said = refusal(service.ask(ehr.base, fhirAuthorization=offer), 412)
        assert "no usable Bearer token" in said or "has expired" in said
        assert codes(service.ask(ehr.base, fhirAuthorization=offer, prefetch=washout_chart())) == ["R01"]
        assert ehr.requests == []


@pytest.mark.parametrize(
    "scope",
    [
        "user/Patient.read user/MedicationRequest.*",
        "patient/Patient.rs user/Observation.rs?category=laboratory",
        "epic.cds.unsigned-orders EPIC.MEDICATION:READ",
        "",
        None,
        7,
    ],
)
def test_c058_scopes_of_any_spelling_are_taken(scope: Any) -> None:
    with serving(washout_chart(), token="t0ken") as ehr:  # noqa: S106 - no secret
        offer = authorization("t0ken", scope=scope)

        assert codes(make_service().ask(ehr.base, fhirAuthorization=offer)) == ["R01"]


def test_c059_prefetch_may_be_absent() -> None:
    with serving(washout_chart()) as ehr:
        assert codes(make_service().ask(ehr.base)) == ["R01"]
    assert "prefetch" in refusal(post(without("prefetch")), 412), "understood, and nothing to read from"


@pytest.mark.parametrize("hook", [Hook.PATIENT_VIEW, Hook.ORDER_SELECT, Hook.ORDER_SIGN])
@pytest.mark.parametrize("encounter", [None, "encounter-1"])
def test_c060_the_encounter_may_be_missing(hook: Hook, encounter: str | None) -> None:
    request = after_infusion() if hook is Hook.PATIENT_VIEW else washout(hook)

    expected = ["B01", "R39"] if hook is Hook.PATIENT_VIEW else ["R01"]
    assert codes(call(changed(request, encounterId=encounter))) == expected


@pytest.mark.parametrize(
    ("user", "gets_cards"),
    [
        ("Practitioner/p1", True),
        ("PractitionerRole/r1", True),
        (f"Patient/{PATIENT}", False),
        ("RelatedPerson/r1", False),
    ],
)
def test_c061_every_kind_of_user_is_taken(user: str, gets_cards: bool) -> None:
    assert codes(call(changed(after_infusion(), userId=user))) == (["B01", "R39"] if gets_cards else [])
    assert codes(call(washout(userId=user))) == ["R01"], "who signs orders is a clinician"


@pytest.mark.parametrize(
    "other",
    [
        {"resourceType": "MedicationOrder", "id": "of-dstu2", "status": "draft"},
        {"resourceType": "ProcedureRequest", "id": "of-stu3", "status": "draft"},
        draft_drug("x", medicationCodeableConcept=None, medication={"concept": {"text": "of R5"}}),
    ],
    ids=["DSTU2", "STU3", "R5"],
)
def test_c062_drafts_of_another_fhir_version_are_refused_by_name_of_ours(other: Resource) -> None:
    drafts = bundle([draft_collection("2026-11-20"), other])

    assert "R4" in refusal(post(washout(draftOrders=drafts)), 412)


def test_c063_wrong_addresses_bad_json_and_long_bodies_have_their_own_statuses() -> None:
    body = json.dumps(washout()).encode()
    small = create_app(SETTINGS.model_copy(update={"body_limit_bytes": len(body)})).test_client()

    assert "no CDS service" in refusal(post(body, service="mmcds-unknown"), 404)
    assert "JSON" in refusal(post(body[:-1]), 400)
    assert codes(post(body, to=small)) == ["R01"]
    assert "limit" in refusal(post(body + b" ", to=small), 413)


def test_c064_answers_are_quick_and_nobody_waits_longer_than_the_deadline() -> None:
    times = sorted(_seconds(lambda: codes(post(washout()))) for _ in range(CALLS))
    assert times[int(CALLS * 0.95) - 1] < SECONDS

    hurried = make_service(deadline_seconds=0.2)
    with misbehaving(black_hole()) as server:
        assert min(_seconds(lambda: refusal(hurried.ask(server.base), 412)) for _ in range(2)) < SECONDS


def _seconds(ask: Any) -> float:
    started = time.perf_counter()
    ask()
    return time.perf_counter() - started


def test_c065_a_fault_of_ours_is_told_in_fhir_without_its_words() -> None:
    broken, _ = client_of(lambda assessor: replace(assessor, today=crash))

    response = call(washout(), to=broken)

    assert "internal fault" in refusal(response, 500)
    words = (CANARY, "ZeroDivisionError", "Traceback", ".py", PATIENT)
    assert [word for word in words if word in response.text] == []

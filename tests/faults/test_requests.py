"""What the request says about its token and its prefetch decides what is read, and from where."""

from typing import Any

import pytest

from tests.build import KEYS, bundle, given, myeloma, patient
from tests.ehr import faulty
from tests.ehr.faulty import operation_outcome
from tests.ehr.server import serving
from tests.faults.asking import (
    CANARY,
    LISTS,
    NEEDED,
    authorization,
    expect_refusal,
    gap_card,
    is_full,
    make_service,
    quiet_chart,
    security_events,
    washout_chart,
)
from tests.service.calling import cards, codes

UNUSABLE: dict[str, Any] = {
    "other token type": authorization(token_type="mac"),  # noqa: S106 - no secret
    "expired": authorization(expires_in=0),
    "long expired": authorization(expires_in=-300),
    "no token": authorization(None),
    "empty token": authorization(""),
    "blank token": authorization(" "),
    "token is a number": authorization(7),
    "token with a line break": authorization("x\r\nX-Injected: 1"),
    "token with a blank": authorization("two words"),
    "token that is not ASCII": authorization("t\u00f6ken"),
    "text": "Bearer x",
    "list": [],
    "number": 1,
    "empty": {},
    "of another patient": authorization(patient=faulty.SOMEONE_ELSE),
}


@pytest.mark.parametrize("value", UNUSABLE.values(), ids=UNUSABLE.keys())
def test_fm_58_an_unusable_authorization_is_no_access(value: Any) -> None:
    service = make_service()
    with serving(washout_chart()) as ehr:
        expect_refusal(service.ask(ehr.base, fhirAuthorization=value))
        assert is_full(service.ask(ehr.base, fhirAuthorization=value, prefetch=washout_chart()))

        assert ehr.connections == 0


def test_fm_58_an_authorization_without_a_server_is_no_access() -> None:
    service = make_service()

    expect_refusal(service.ask(None, fhirAuthorization=authorization()), "names no fhirServer")
    assert is_full(service.ask(None, fhirAuthorization=authorization(), prefetch=washout_chart()))


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"token_type": "bearer"},
        {"token_type": None},
        {"expires_in": None},
        {"expires_in": "300"},
        {"expires_in": 300.5},
        {"scope": None, "subject": None},
        {"patient": "synthetic-1"},
        {"patient": "Patient/synthetic-1"},
        {"other": {"x": 1}},
    ],
)
def test_fm_58_the_token_goes_out_with_every_request(more: dict[str, Any]) -> None:
    with serving(washout_chart(), token=CANARY) as ehr:
        assert is_full(make_service().ask(ehr.base, fhirAuthorization=authorization(CANARY, **more)))

        read = [request for request in ehr.requests if request.kind != "metadata"]
        assert {request.headers["authorization"] for request in read} == {f"Bearer {CANARY}"}


def test_fm_58_one_callers_token_is_not_used_for_the_next() -> None:
    service = make_service()
    with serving(washout_chart(), token=CANARY) as ehr:
        assert is_full(service.ask(ehr.base, token=CANARY))

        expect_refusal(service.ask(ehr.base))


def with_value(kind: str, value: Any) -> dict[str, Any]:
    """Make a whole quiet prefetch but for one value."""
    return quiet_chart(**{KEYS[kind]: value})


@pytest.mark.parametrize("kind", KEYS)
def test_fm_59_a_missing_key_is_read_with_one_request(kind: str) -> None:
    with serving(quiet_chart()) as ehr:
        assert cards(make_service().ask(ehr.base, prefetch=quiet_chart(without=[KEYS[kind]]))) == []

        assert [request.kind for request in ehr.requests if request.kind != "metadata"] == [kind]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("Procedure", []),
        ("AllergyIntolerance", []),
        ("Observation", ["B01", "R18"]),  # with no result on record, neither tests for infections nor titers are
        ("MedicationStatement", []),
    ],
)
def test_fm_59_null_is_none_on_record_and_not_read(kind: str, expected: list[str]) -> None:
    with serving(washout_chart()) as ehr:
        assert codes(make_service().ask(ehr.base, prefetch=with_value(kind, None))) == expected

        assert ehr.connections == 0


@pytest.mark.parametrize("kind", NEEDED)
@pytest.mark.parametrize("severity", ["error", "fatal"])
def test_fm_59_an_error_is_unavailable_and_not_read(severity: str, kind: str) -> None:
    with serving(washout_chart()) as ehr:
        answer = make_service().ask(ehr.base, prefetch=with_value(kind, operation_outcome(severity)))

        assert NEEDED[kind] in gap_card(answer)
        assert ehr.connections == 0


@pytest.mark.parametrize("kind", NEEDED)
@pytest.mark.parametrize(
    "value", ["none", 0, [], {}, {"resourceType": "Encounter"}, bundle([{"resourceType": "Group"}])]
)
def test_fm_59_a_wrong_type_is_read_else_unavailable(value: Any, kind: str) -> None:
    service = make_service()
    with serving(quiet_chart()) as ehr:
        assert cards(service.ask(ehr.base, prefetch=with_value(kind, value))) == []
        assert [request.kind for request in ehr.requests if request.kind != "metadata"] == [kind]

        ehr.faults = {kind: faulty.status(403)}
        assert NEEDED[kind] in gap_card(service.ask(ehr.base, prefetch=with_value(kind, value)))
    assert NEEDED[kind] in gap_card(service.ask(None, prefetch=with_value(kind, value)))


@pytest.mark.parametrize("kind", NEEDED)
def test_fm_60_a_prefetch_of_another_patient_is_dropped_and_read_from_the_server(kind: str) -> None:
    theirs = patient(id=faulty.SOMEONE_ELSE) if kind == "Patient" else bundle([foreign(kind)])
    service = make_service()
    with serving(quiet_chart()) as ehr:
        answer, events = security_events(lambda: service.ask(ehr.base, prefetch=with_value(kind, theirs)))

        assert cards(answer) == []
        assert len(events) == 1
        assert [request.kind for request in ehr.requests if request.kind != "metadata"] == [kind]

        ehr.faults = {kind: faulty.status(503)}
        assert NEEDED[kind] in gap_card(service.ask(ehr.base, prefetch=with_value(kind, theirs)))
    assert NEEDED[kind] in gap_card(service.ask(None, prefetch=with_value(kind, theirs)))


def foreign(kind: str) -> dict[str, Any]:
    """Make a resource about someone else."""
    reference = {"reference": f"Patient/{faulty.SOMEONE_ELSE}"}
    return {"resourceType": kind, "id": "theirs", "subject": reference, "patient": reference}


def test_fm_60_a_prefetch_that_is_all_of_another_patient_is_read_from_the_server() -> None:
    theirs: dict[str, Any] = {KEYS[kind]: bundle([foreign(kind)]) for kind in LISTS}
    theirs["patient"] = patient(id=faulty.SOMEONE_ELSE)
    theirs["medicationAdministrations"] = bundle(
        [given("teclistamab", "2026-09-01", subject={"reference": f"Patient/{faulty.SOMEONE_ELSE}"})]
    )
    service = make_service()
    with serving(quiet_chart(myeloma())) as ehr:
        assert cards(service.ask(ehr.base, prefetch=theirs)) == []

    assert service.ask(None, prefetch=theirs).status_code == 412

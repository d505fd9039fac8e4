"""Logs and decision records: who was treated, with what, and who asked never gets there."""

import contextlib
import io
import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

import pytest
import structlog
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cards.finding import Hook
from cds_service import __version__, telemetry
from cds_service.app import create_app, make_assessor
from tests.build import (
    PATIENT,
    Resource,
    bundle,
    chart,
    draft_drug,
    given,
    hook_request,
    patient,
    progression,
    reported,
)
from tests.service.calling import (
    JSON,
    SETTINGS,
    KeepingRecorder,
    after_infusion,
    changed,
    client,
    post,
    recorded_client,
    unremarkable,
    washout,
)
from tests.service.test_faults import with_crashing

CANARY = "canary-4711"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Log as the server does, to standard error, but keep it."""
    kept = io.StringIO()
    with contextlib.redirect_stderr(kept):
        telemetry.configure_logging()
    yield kept
    structlog.reset_defaults()


def lines_of(log: io.StringIO) -> list[dict[str, Any]]:
    """Give what was logged since the last look; every line is JSON."""
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    log.seek(0)
    log.truncate()
    return lines


def planted(request: Resource) -> bytes:
    """Give a request in which every word that a client chooses is the canary, or holds it."""
    request = request | {
        "hookInstance": CANARY,
        "fhirServer": f"https://{CANARY}.example/fhir",
        "fhirAuthorization": {"access_token": CANARY, "token_type": "Bearer", "patient": CANARY, "subject": CANARY},
        "extension": {CANARY: CANARY},
        CANARY: CANARY,
    }
    request = changed(request, userId=f"Practitioner/{CANARY}", encounterId=CANARY)
    return json.dumps(request).replace(PATIENT, f"{CANARY}-patient").encode()


NAMED_PATIENT = patient(name=[{"family": CANARY, "given": [CANARY]}], identifier=[{"value": CANARY}])
TREATMENT = reported(f"INV {CANARY}", "2026-09-01", id=CANARY, note=[{"text": CANARY}])
BEFORE = given("teclistamab", "2026-09-01", id=CANARY)

GOOD = {
    "finding": hook_request(
        Hook.ORDER_SIGN, chart(NAMED_PATIENT, BEFORE, progression("2026-09-15")), [draft_drug("elranatamab", id=CANARY)]
    ),
    "data gap": changed(unremarkable(patient=NAMED_PATIENT, medicationStatements=bundle([TREATMENT]))),
    "unrecognised draft": hook_request(Hook.ORDER_SIGN, chart(NAMED_PATIENT), [draft_drug(f"INV {CANARY}")]),
    "chart opened": after_infusion(patient=NAMED_PATIENT),
    "nothing to say": unremarkable(patient=NAMED_PATIENT),
    "unreadable date": changed(
        hook_request(Hook.ORDER_SIGN, chart(given("teclistamab", CANARY)), [draft_drug("ciltacabtagene autoleucel")])
    ),
    "unknown status": hook_request(
        Hook.ORDER_SIGN,
        chart(given("teclistamab", "2026-09-01", status=CANARY)),
        [draft_drug("ciltacabtagene autoleucel")],
    ),
    "foreign record": unremarkable(
        conditions=bundle([{"resourceType": "Condition", "subject": {"reference": f"Patient/{CANARY}"}}])
    ),
    "foreign draft": hook_request(
        Hook.ORDER_SIGN, chart(), [draft_drug("elranatamab", subject={"reference": f"Patient/{CANARY}"})]
    ),
    "error in the prefetch": unremarkable(
        conditions={"resourceType": "OperationOutcome", "issue": [{"severity": "error", "diagnostics": CANARY}]}
    ),
    "unreadable entry": unremarkable(conditions=bundle([{"resourceType": "Condition", "id": {CANARY: CANARY}}])),
    "type nobody reads": unremarkable(conditions=bundle([{"resourceType": CANARY}])),
}

BAD: dict[str, tuple[int, bytes]] = {
    "broken JSON": (400, planted(washout())[:-1]),
    "text": (400, CANARY.encode()),
    "wrong hook": (400, planted(washout() | {"hook": CANARY})),
    "hookInstance is an object": (400, planted(washout()).replace(f'"{CANARY}"'.encode(), b'{"canary-4711": 1}', 1)),
    "context is text": (400, planted(washout()).replace(b'"context": {', f'"context": "{CANARY}", "x": {{'.encode())),
    "userId is a list": (400, planted(washout()).replace(b'"userId": ', f'"userId": ["{CANARY}"], "x": '.encode())),
    "not UTF-8": (400, b'{"hook": "' + CANARY.encode() + b'\xff"}'),
    "nothing read": (412, planted({key: value for key, value in washout().items() if key != "prefetch"})),
    "another FHIR version": (
        412,
        planted(changed(washout(), draftOrders=bundle([{"resourceType": "MedicationOrder", "id": CANARY}]))),
    ),
}

HEADERS = {"Authorization": f"Bearer {CANARY}", "X-Forwarded-For": CANARY, "User-Agent": CANARY, "Referer": CANARY}


def send(body: bytes, to: FlaskClient | None = None, *, hook: str = "order-sign") -> TestResponse:
    """Post a planted body with planted headers."""
    return post(body, service=f"mmcds-{hook}", to=to, headers=HEADERS)


@pytest.mark.parametrize("name", GOOD)
def test_no_log_line_of_an_answered_request_holds_what_the_client_sent(name: str, log: io.StringIO) -> None:
    response = send(planted(GOOD[name]), hook=GOOD[name]["hook"])

    assert response.status_code == 200, response.text
    lines = lines_of(log)
    assert [line["status"] for line in lines if line["event"] == "decision"] == [200]
    assert CANARY not in json.dumps(lines)
    assert CANARY not in str(response.headers)


@pytest.mark.parametrize("name", BAD)
def test_neither_log_nor_body_of_a_refused_request_holds_what_the_client_sent(name: str, log: io.StringIO) -> None:
    status, body = BAD[name]

    response = send(body)

    assert response.status_code == status, response.text
    lines = lines_of(log)
    assert [line["status"] for line in lines if line["event"] == "decision"] == [status]
    assert CANARY not in json.dumps(lines)
    assert CANARY not in response.text
    assert CANARY not in str(response.headers)


@pytest.mark.parametrize(
    "path", [f"/cds-services/{CANARY}", f"/{CANARY}", f"/cds-services?{CANARY}=1", f"//{CANARY}//x"]
)
def test_neither_log_nor_body_holds_the_address_that_was_called(path: str, log: io.StringIO) -> None:
    response = client().post(path, data=planted(washout()), content_type=JSON, headers=HEADERS)

    assert response.status_code in {404, 405, 308}
    assert CANARY not in json.dumps(lines_of(log))
    assert CANARY not in response.text or response.status_code == 308  # a redirect has to name its target


@pytest.mark.parametrize(
    "headers", [{"Content-Type": CANARY}, {"Content-Encoding": CANARY}], ids=["content type", "content encoding"]
)
def test_neither_log_nor_body_holds_a_header(headers: dict[str, str], log: io.StringIO) -> None:
    response = client().post(
        "/cds-services/mmcds-order-sign", data=planted(washout()), headers={"Content-Type": JSON} | HEADERS | headers
    )

    assert response.status_code == 415
    assert CANARY not in json.dumps(lines_of(log))
    assert CANARY not in response.text


def crash(*_: Any) -> Any:
    """Fail with the canary in the exception."""
    raise ValueError(CANARY)


def test_a_crashing_rule_is_logged_by_the_type_of_its_fault_alone(log: io.StringIO) -> None:
    assessor = make_assessor(SETTINGS)
    assessor = replace(assessor, knowledge=with_crashing("R01", assessor.knowledge))

    response = send(planted(washout()), create_app(SETTINGS, assessor=assessor).test_client())

    assert response.status_code == 200
    lines = lines_of(log)
    assert [line["fault"] for line in lines if "fault" in line] == ["R01: ZeroDivisionError"]
    assert CANARY not in json.dumps(lines)


def test_an_unexpected_fault_is_logged_by_type_and_place_alone(log: io.StringIO) -> None:
    assessor = replace(make_assessor(SETTINGS), new_uuid=crash)

    response = send(planted(washout()), create_app(SETTINGS, assessor=assessor).test_client())

    assert response.status_code == 500
    lines = lines_of(log)
    (fault,) = [line for line in lines if line["level"] == "error"]
    assert fault["fault"] == "ValueError"
    assert fault["place"].startswith("test_telemetry.py:")
    assert fault["request_id"] == response.headers["X-Request-Id"]
    assert CANARY not in json.dumps(lines)
    assert CANARY not in response.text


def test_another_patients_data_and_token_leave_a_security_line(log: io.StringIO) -> None:
    send(planted(GOOD["foreign record"]))

    warnings = [line for line in lines_of(log) if line["level"] == "warning"]
    assert [line["event"].split(":")[0] for line in warnings] == ["security", "security"]
    assert warnings[1]["prefetch_key"] == "conditions"


def test_keys_outside_the_list_are_dropped_and_their_names_kept(log: io.StringIO) -> None:
    telemetry.warn("event", patient=CANARY, body=CANARY, status=200)
    telemetry.log("event", exception=CANARY)
    telemetry.fault("event", ValueError(CANARY), patient=CANARY)

    first, second, third = lines_of(log)
    assert first["dropped_keys"] == ["body", "patient"]
    assert first["status"] == 200
    assert second["dropped_keys"] == ["exception"]
    assert third["dropped_keys"] == ["patient"]
    assert CANARY not in json.dumps([first, second, third])


def test_every_line_is_made_of_allowed_keys(log: io.StringIO) -> None:
    for name, request in GOOD.items():
        send(planted(request), hook=request["hook"])
        assert all(line.keys() <= telemetry.ALLOWED_KEYS for line in lines_of(log)), name


def test_the_list_allows_nothing_that_a_client_chooses() -> None:
    chosen = {
        "patient",
        "user",
        "hook_instance",
        "body",
        "headers",
        "url",
        "path",
        "token",
        "order",
        "drug",
        "exception",
    }

    assert not telemetry.ALLOWED_KEYS & chosen


@pytest.mark.parametrize("name", GOOD)
def test_no_decision_record_holds_what_the_client_sent(name: str) -> None:
    asked, records = recorded_client()

    send(planted(GOOD[name]), asked, hook=GOOD[name]["hook"])

    (record,) = records
    assert CANARY not in json.dumps(asdict(record))


def test_a_decision_record_says_what_was_decided_and_by_which_version() -> None:
    asked, records = recorded_client()

    response = post(washout(), to=asked)

    (record,) = records
    assert record.request_id == response.headers["X-Request-Id"]
    assert (record.service, record.status, record.label) == ("mmcds-order-sign", 200, "answered")
    assert record.rules["R01"] == ("flagged",)
    assert record.shown == ("R01",)
    assert record.code_version == __version__
    assert record.knowledge_version == make_assessor(SETTINGS).knowledge.version
    assert set(record.coverage.values()) == {"complete"}
    assert 0 < record.milliseconds < 60_000


CALLS: dict[str, tuple[bytes, dict[str, str], int, str]] = {
    "answered": (json.dumps(washout()).encode(), {}, 200, "answered"),
    "nothing to say": (json.dumps(unremarkable()).encode(), {}, 200, "answered"),
    "malformed": (b"{", {}, 400, "malformed_request"),
    "nothing read": (json.dumps(washout() | {"prefetch": {}}).encode(), {}, 412, "data_unavailable"),
    "another FHIR version": (BAD["another FHIR version"][1], {}, 412, "wrong_fhir_version"),
    "too large": (b" " * (SETTINGS.body_limit_bytes + 1), {}, 413, "too_large"),
    "not JSON": (b"{}", {"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
    "encoded": (b"{}", {"Content-Encoding": "gzip"}, 415, "unsupported_media_type"),
}


@pytest.mark.parametrize("name", CALLS)
def test_each_call_of_a_service_leaves_one_record_whatever_became_of_it(name: str) -> None:
    body, headers, status, label = CALLS[name]
    recorder = KeepingRecorder()
    asked = create_app(SETTINGS, recorder=recorder).test_client()

    response = asked.post("/cds-services/mmcds-order-sign", data=body, headers={"Content-Type": JSON} | headers)

    assert response.status_code == status
    assert [(record.status, record.label) for record in recorder.records] == [(status, label)]


@pytest.mark.parametrize("path", ["/cds-services", "/healthz", "/readyz", "/nothing/here"])
def test_what_is_no_call_of_a_service_leaves_no_record(path: str) -> None:
    asked, records = recorded_client()

    asked.get(path)
    asked.post(f"{path}/unknown", json={})

    assert records == []

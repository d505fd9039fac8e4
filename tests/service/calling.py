"""Calls of the service, through Flask's test client, and what tests expect of every answer."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cards.finding import Hook
from cds_service.app import create_app
from cds_service.settings import Settings
from cds_service.telemetry import DecisionRecord
from tests.build import (
    AS_OF,
    Resource,
    chart,
    draft_collection,
    given,
    hook_request,
    infusion,
    lab,
    ordered,
    reported,
)
from tests.rules.table import SCREENED

SETTINGS = Settings(auth="off", as_of=AS_OF.isoformat(), time_zone="America/New_York")
JSON = "application/json"


@dataclass(slots=True)
class KeepingRecorder:
    """Keeps decision records in a list."""

    records: list[DecisionRecord] = field(default_factory=list)

    def record(self, decision: DecisionRecord) -> None:
        """Keep one more."""
        self.records.append(decision)


@cache
def client() -> FlaskClient:
    """Give a client of the shipped service, its day fixed."""
    return create_app(SETTINGS).test_client()


def recorded_client() -> tuple[FlaskClient, list[DecisionRecord]]:
    """Give a client, and the list to which its decision records go."""
    recorder = KeepingRecorder()
    return create_app(SETTINGS, recorder=recorder).test_client(), recorder.records


def post(
    request: Any,
    *,
    service: str = "mmcds-order-sign",
    to: FlaskClient | None = None,
    content_type: str | None = JSON,
    headers: dict[str, str] | None = None,
) -> TestResponse:
    """Post a request: bytes go out as they are, anything else as JSON."""
    body = request if isinstance(request, bytes) else json.dumps(request).encode()
    return (to or client()).post(f"/cds-services/{service}", data=body, content_type=content_type, headers=headers)


def call(request: Resource, *, to: FlaskClient | None = None) -> TestResponse:
    """Post a hook request to the service of its hook."""
    return post(request, service=f"mmcds-{request['hook']}", to=to)


def cards(response: TestResponse) -> list[Resource]:
    """Give the cards of an answer, which has to be a good one."""
    assert response.status_code == 200, response.text
    assert response.content_type == JSON
    found: list[Resource] = response.get_json()["cards"]
    return found


def codes(response: TestResponse) -> list[str]:
    """Name the cards of an answer by their topics."""
    return [card["source"]["topic"]["code"] for card in cards(response)]


def refusal(response: TestResponse, status: int) -> str:
    """Give what an error says; every error is one OperationOutcome with one issue."""
    assert response.status_code == status, response.text
    assert response.content_type == JSON
    outcome = response.get_json()
    assert outcome["resourceType"] == "OperationOutcome"
    (issue,) = outcome["issue"]
    assert issue["severity"] == "error"
    assert issue["code"]
    said: str = issue["diagnostics"]
    assert said
    return said


def washout(hook: Hook = Hook.ORDER_SIGN, **context: Any) -> Resource:
    """Make a request that R01 flags: a BCMA bispecific 80 days before the T-cell collection that is ordered."""
    request = hook_request(hook, chart(given("teclistamab", "2026-09-01"), *SCREENED), [draft_collection("2026-11-20")])
    return changed(request, **context)


def unremarkable(**prefetch: Any) -> Resource:
    """Make a request with nothing to say, each search of the chart answered and no medication list empty."""
    drugs = [
        reported("metformin", "2019-01-01", status="active"),
        ordered("metformin", "2019-01-01"),
        given("metformin", "2019-01-02"),
    ]
    return hook_request(Hook.ORDER_SIGN, chart(*drugs, *SCREENED, **prefetch), [draft_collection("2026-11-25")])


def after_infusion(**prefetch: Any) -> Resource:
    """Make a patient-view request that R15, R16 and R39 flag: 50 days after CAR T cells, IgG known, no prophylaxis."""
    igg = lab("2465-3", 720, "mg/dL", "2026-11-02")
    return hook_request(Hook.PATIENT_VIEW, chart(infusion("2026-10-01"), igg, **prefetch))


def changed(request: Resource, **context: Any) -> Resource:
    """Give the request with other members of its context; None takes one away."""
    merged = {key: value for key, value in (request["context"] | context).items() if value is not None}
    return request | {"context": merged}


def members(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Walk through everything in a JSON value, with its path."""
    yield path, value
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from members(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from members(inner, f"{path}[{number}]")

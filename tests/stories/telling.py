"""How a story is told: the request goes over HTTP, and what differs from call to call is written alike."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient

from cds_service.app import create_app
from cds_service.settings import Settings
from cds_service.synthetic import AS_OF, DemoPatient, demo_patients

HERE = Path(__file__).parent
FOLDERS = sorted(entry.name for entry in HERE.iterdir() if (entry / "response.json").exists())


@cache
def _client() -> FlaskClient:
    return create_app(Settings(auth="off", as_of=AS_OF, time_zone="America/New_York")).test_client()


@cache
def patients() -> dict[str, DemoPatient]:
    """Give the demonstration's patients by the name of their story."""
    return {patient.name.partition("-")[2]: patient for patient in demo_patients()}


def request_of(name: str) -> dict[str, Any]:
    """Load the request of a story."""
    if name in patients():
        return patients()[name].request
    request: dict[str, Any] = json.loads((HERE / name / "request.json").read_text(encoding="utf-8"))
    return request


def expected(name: str) -> dict[str, Any]:
    """Load the answer of a story."""
    response: dict[str, Any] = json.loads((HERE / name / "response.json").read_text(encoding="utf-8"))
    return response


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Send a request and number the uuids of the answer."""
    response = _client().post(f"/cds-services/mmcds-{request['hook']}", json=request)
    body: dict[str, Any] = response.get_json()
    if response.status_code != 200:
        return {"status": response.status_code, "body": body}
    number = 0
    for card in body["cards"]:
        for item in (card, *card.get("suggestions", ())):
            number += 1
            item["uuid"] = f"uuid-{number}"
    return body

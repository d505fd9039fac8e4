"""Feedback as clients send it, on a service whose clock the tests set."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import time_machine
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cards.knowledge.loader import Knowledge
from cds_service.app import create_app, make_assessor
from cds_service.metrics import Metrics
from cds_service.remembered import OwnMemory
from cds_service.settings import Settings
from tests.build import AS_OF, Resource
from tests.service.calling import JSON, KeepingRecorder

NOON = datetime(AS_OF.year, AS_OF.month, AS_OF.day, 17, tzinfo=UTC)  # in New York
RUNNING = Settings(auth="off", time_zone="America/New_York")  # its day is that of the clock
OURS = "urn:mmcds:override-reasons"


@contextmanager
def clock(at: datetime = NOON) -> Iterator[time_machine.Traveller]:
    """Stop the clock; `move_to` sets it to another time."""
    with time_machine.travel(at, tick=False) as traveller:
        yield traveller


class Running:
    """One service with its numbers, its decision records and its memory."""

    def __init__(self, knowledge: Knowledge | None = None, memory: OwnMemory | None = None) -> None:
        """Start it, with other knowledge or another memory where the test is about that."""
        self.metrics, self.recorder, self.memory = Metrics(), KeepingRecorder(), memory or OwnMemory()
        assessor = make_assessor(RUNNING)
        if knowledge is not None:
            assessor = replace(assessor, knowledge=knowledge)
        app = create_app(RUNNING, recorder=self.recorder, assessor=assessor, metrics=self.metrics, memory=self.memory)
        self.client: FlaskClient = app.test_client()

    def report(self, *items: Any, service: str = "mmcds-order-sign", **more: Any) -> TestResponse:
        """Send feedback."""
        return self.send({"feedback": list(items)} | more, service=service)

    def send(self, body: Any, *, service: str = "mmcds-order-sign") -> TestResponse:
        """Send any body: bytes as they are, anything else as JSON."""
        path = f"/cds-services/{service}/feedback"
        if isinstance(body, bytes):
            return self.client.post(path, data=body, content_type=JSON)
        return self.client.post(path, json=body)

    def counted(self, name: str) -> dict[str, float]:
        """Give what a counter stands at, by its labels, without those at 0."""
        lines = [line for line in self.metrics.exposition().decode().splitlines() if line.startswith(f"{name}_total{{")]
        numbers = {line[line.index("{") + 1 : line.index("}")]: float(line.rpartition(" ")[2]) for line in lines}
        return {labels: number for labels, number in numbers.items() if number}


def accepted(card: Resource | str, at: str = "2026-11-20T17:00:00Z", **more: Any) -> Resource:
    """Say that a suggestion of a card was taken."""
    return _said(card, "accepted", at) | {"acceptedSuggestions": [{"id": "s-1"}]} | more


def overridden(card: Resource | str, at: str = "2026-11-20T17:00:00Z", **more: Any) -> Resource:
    """Say that a card was overridden."""
    return _said(card, "overridden", at) | more


def because(code: str, system: str | None = OURS) -> Resource:
    """Give a reason for overriding, without a display, as clients send it."""
    return {"reason": {"code": code} | ({"system": system} if system else {})}


def _said(card: Resource | str, outcome: str, at: str) -> Resource:
    return {"card": card if isinstance(card, str) else card["uuid"], "outcome": outcome, "outcomeTimestamp": at}

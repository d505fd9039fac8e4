"""Answers to hold against the checklist: those to all stories, to every kind of card, and the refusals."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache

from werkzeug.test import TestResponse

from cds_service.app import create_app
from tests.build import Resource
from tests.ehr.sockets import closed_port
from tests.service.calling import SETTINGS, call, client, post, washout
from tests.service.cds_hooks.guarded import clock, guarded, token
from tests.service.test_faults import client_of, crash
from tests.service.test_response import REQUESTS
from tests.service.tokens import issuer
from tests.stories.telling import FOLDERS, request_of

IDS = {"patient-view": "mmcds-patient-view", "order-select": "mmcds-order-select", "order-sign": "mmcds-order-sign"}


@cache
def answers() -> Mapping[str, TestResponse]:
    """Answer every story and every request of the response tests, once; some of the stories end in a refusal."""
    stories = {f"story {name}": call(request_of(name)) for name in FOLDERS}
    return stories | {f"request {name}": call(request) for name, request in REQUESTS.items()}


@cache
def refusals() -> Mapping[int, TestResponse]:
    """Give one refusal of each status that the service can answer with."""
    good = washout()
    small = create_app(SETTINGS.model_copy(update={"body_limit_bytes": 1_000})).test_client()
    broken, _ = client_of(lambda assessor: replace(assessor, today=crash))
    return {
        400: post(b"{"),
        401: at_a_door_without_keys(with_token=False),
        404: post(good, service="mmcds-unknown"),
        405: client().get(f"/cds-services/{IDS['order-sign']}"),
        412: call({key: value for key, value in good.items() if key != "prefetch"}),
        413: post(good, to=small),
        415: post(good, content_type="text/plain"),
        500: call(good, to=broken),
        503: at_a_door_without_keys(with_token=True),
    }


def at_a_door_without_keys(*, with_token: bool) -> TestResponse:
    """Call a service whose one issuer keeps its keys where nobody answers."""
    with closed_port() as base, clock():
        return guarded(issuer(jku=base)).show(token() if with_token else None)


def discovery() -> list[Resource]:
    """Ask which services there are."""
    response = client().get("/cds-services")
    assert response.status_code == 200
    services: list[Resource] = response.get_json()["services"]
    return services


def everything() -> Iterator[tuple[str, TestResponse]]:
    """Give every answer of every kind with its name."""
    yield "discovery", client().get("/cds-services")
    yield "health", client().get("/healthz")
    yield "readiness", client().get("/readyz")
    yield from answers().items()
    yield from ((f"refusal {status}", response) for status, response in refusals().items())


def cards() -> list[Resource]:
    """Give the cards of all answers."""
    good = [response.get_json() for response in answers().values() if response.status_code == 200]
    return [card for body in good for card in body["cards"]]


def suggestions() -> list[Resource]:
    """Give the suggestions of all cards."""
    return [suggestion for card in cards() for suggestion in card.get("suggestions", ())]


def actions() -> list[Resource]:
    """Give the actions of all suggestions."""
    return [action for suggestion in suggestions() for action in suggestion["actions"]]

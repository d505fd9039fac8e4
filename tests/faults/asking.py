"""Requests whose chart is on a FHIR server, and what every answer has to be, whatever that server does."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from flask import Flask
from structlog.testing import capture_logs
from werkzeug.test import TestResponse

from cards.finding import Hook
from cds_service.app import create_app
from cds_service.settings import Settings
from cds_service.site import Site
from cds_service.telemetry import DecisionRecord
from tests.build import ALL_KEYS, AS_OF, KEYS, Resource, chart, draft_collection, given, hook_request, ordered, reported
from tests.ehr.faulty import Fault
from tests.ehr.server import Ehr, serving
from tests.rules.table import SCREENED
from tests.service.calling import KeepingRecorder, call, cards, codes, refusal

# For tests that are about time, and for the others, which a busy machine must not fail
DEADLINE_SECONDS = 0.5
ROOMY_SECONDS = 2.0
GRACE_SECONDS = 0.1
CANARY = "canary-in-a-token"

# The keys without which no rule that concerns a T-cell collection can be sure, by type; R00 calls them so
NEEDED = {
    "Patient": "patient",
    "Condition": "problem list",
    "MedicationStatement": "medication statements",
    "MedicationRequest": "medication orders",
    "MedicationAdministration": "medication administrations",
    "Procedure": "procedures",
}
LISTS = [kind for kind in NEEDED if kind != "Patient"]
TYPES = list(KEYS)


def quiet_chart(*more: Resource, **replaced: Any) -> dict[str, Any]:
    """Make a chart with nothing to say, no medication list empty: every card about it speaks of what was not read."""
    drugs = [
        reported("metformin", "2019-01-01", status="active"),
        ordered("metformin", "2019-01-01"),
        given("metformin", "2019-01-02"),
    ]
    return chart(*more, *drugs, *SCREENED, **replaced)


def washout_chart(**replaced: Any) -> dict[str, Any]:
    """Make a chart that R01 flags, whichever one of the other lists is lost."""
    return quiet_chart(given("teclistamab", "2026-09-01"), **replaced)


@dataclass(frozen=True, slots=True)
class Service:
    """A service of its own, so that what it remembers of FHIR servers is new; `records` are its decisions."""

    app: Flask
    records: list[DecisionRecord]

    def ask(
        self,
        base: str | None,
        *,
        prefetch: Mapping[str, Any] | None = None,
        hook: Hook = Hook.ORDER_SIGN,
        token: str | None = None,
        **more: Any,
    ) -> TestResponse:
        """Call a hook whose chart is to be read from a server, but for the keys that are sent."""
        drafts = [] if hook is Hook.PATIENT_VIEW else [draft_collection("2026-11-20", id="draft-1")]
        request = hook_request(hook, prefetch, drafts)
        if base is not None:
            request["fhirServer"] = base
        if token is not None:
            request["fhirAuthorization"] = authorization(token)
        return call(request | more, to=self.app.test_client())


def authorization(token: Any = CANARY, **more: Any) -> dict[str, Any]:
    """Make a fhirAuthorization; None takes a member away."""
    members = {"access_token": token, "token_type": "Bearer", "expires_in": 300, "scope": "patient/*.rs"}
    members |= {"subject": "mmcds"} | more
    return {key: value for key, value in members.items() if value is not None}


def make_service(site: Site | None = None, **settings: Any) -> Service:
    """Make a service without client authentication, with time to read a whole chart on a busy machine."""
    given_settings: dict[str, Any] = {
        "auth": "off",
        "as_of": AS_OF.isoformat(),
        "time_zone": "America/New_York",
        "deadline_seconds": ROOMY_SECONDS,
    } | settings
    recorder = KeepingRecorder()
    app = create_app(Settings(**given_settings), site, recorder=recorder)
    return Service(app, recorder.records)


def hasty_service() -> Service:
    """Make a service with a short deadline, which the answers to faults that take for ever are held against."""
    return make_service(deadline_seconds=DEADLINE_SECONDS)


def is_full(response: TestResponse) -> bool:
    """Whether the washout chart was read and judged as a whole."""
    return codes(response) == ["R01"]


def is_full_soon(service: Service, ehr: Ehr, runs: int = 3) -> bool:
    """Whether the chart is read as a whole, in one of some runs: a shared machine stalls for longer than a deadline."""
    return any(is_full(service.ask(ehr.base)) for _ in range(runs))


def gap_card(response: TestResponse) -> str:
    """Give the text of R00, which has to be the only card."""
    (card,) = cards(response)
    assert card["source"]["topic"]["code"] == "R00"
    assert "No conclusion was drawn" in card["detail"]
    text: str = card["detail"]
    return text


def expect_refusal(response: TestResponse, why: str = "") -> None:
    """Expect 412 that names every key, since none was read, and says why."""
    said = refusal(response, 412)
    assert all(key in said for key in ALL_KEYS), said
    assert why in said


def tries(ehr: Ehr, kind: str) -> int:
    """Count how often the same was asked of one resource type: two searches may ask for it."""
    return max(Counter(request.query for request in ehr.asked(kind)).values(), default=0)


@contextmanager
def swift(seconds: float = ROOMY_SECONDS + GRACE_SECONDS) -> Iterator[None]:
    """Expect the block to be over in time."""
    started = time.perf_counter()
    yield
    assert time.perf_counter() - started < seconds


def best_seconds(ask: Callable[[], TestResponse], runs: int = 3) -> float:
    """Give the shortest of some runs, in seconds."""
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        ask()
        times.append(time.perf_counter() - started)
        if times[-1] < DEADLINE_SECONDS + GRACE_SECONDS:
            break
    return min(times)


def ordinary(service: Service, ehr: Ehr) -> None:
    """Expect that a server which has recovered is read again, at the next request."""
    ehr.faults, ehr.state = {}, {}
    ehr.put(washout_chart())
    assert is_full_soon(service, ehr)


def expect_degraded(
    fault: Fault, kind: str, *, service: Service | None = None, at_most: int | None = None, **options: Any
) -> None:
    """Expect that a fault of one list is said, loses no finding of the others, and is over when it is over.

    `at_most` limits the requests for that list, of each call.
    """
    service = service or make_service()
    with serving(quiet_chart(), **options) as ehr:
        ehr.faults = {kind: fault}
        with swift():
            answer = service.ask(ehr.base)
        assert NEEDED[kind] in gap_card(answer)
        assert at_most is None or 1 <= tries(ehr, kind) <= at_most
        if kind not in {"Patient", "Condition", "MedicationAdministration"}:
            ehr.put(washout_chart())
            assert codes(service.ask(ehr.base)) == ["R01", "R00"]
        ordinary(service, ehr)


def expect_refused(fault: Fault, *, at_most: int | None = None, **options: Any) -> None:
    """Expect 412 when a fault strikes every type, and that it is over when it is over."""
    service = make_service()
    with serving(washout_chart(), faults=dict.fromkeys(TYPES, fault), **options) as ehr:
        with swift():
            expect_refusal(service.ask(ehr.base))
        assert at_most is None or all(1 <= tries(ehr, kind) <= at_most for kind in TYPES)
        ordinary(service, ehr)


def security_events(ask: Callable[[], TestResponse]) -> tuple[TestResponse, list[str]]:
    """Call, and give the security events that were logged on the way."""
    with capture_logs() as lines:
        answer = ask()
    return answer, [line["event"] for line in lines if line["event"].startswith("security:")]

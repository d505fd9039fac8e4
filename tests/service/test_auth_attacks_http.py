"""Client authentication as a client sees it: one constant refusal, and nothing of a token in answer, log or record."""

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import time_machine
from structlog.testing import capture_logs
from werkzeug.test import TestResponse

from cds_service.app import create_app
from cds_service.settings import Settings
from cds_service.site import Issuer, Site
from tests.build import AS_OF
from tests.service.calling import KeepingRecorder, codes, post, refusal, washout
from tests.service.test_auth_tokens import attacks
from tests.service.tokens import BASE, GONE, NOW, PATH, Web, claims, es384, header, issuer, jwk, jwks, our_jwks, signed

SETTINGS = Settings(auth="on", as_of=AS_OF.isoformat(), time_zone="America/New_York")
REFUSED = "The client could not be authenticated."
UNSENDABLE = {"a line break inside"}  # no HTTP client puts it into a header
STRANGER = "https://evil.example.com"


@pytest.fixture(autouse=True)
def _now() -> Iterator[None]:
    """Let it be the moment for which tokens are made."""
    with time_machine.travel(NOW):
        yield


class Service:
    """The service for one issuer, with what it records."""

    def __init__(self, *issuers: Issuer, **site: Any) -> None:
        """Start it."""
        self.recorder = KeepingRecorder()
        self.app = create_app(
            SETTINGS, Site(public_urls=(BASE,), issuers=issuers, **site), recorder=self.recorder
        ).test_client()

    def call(self, token: str | None, request: Any = None) -> TestResponse:
        """Call order-sign with a token."""
        return post(washout() if request is None else request, to=self.app, headers=bearer(token))


def bearer(token: str | None) -> dict[str, str]:
    """Make the headers of a call with a token."""
    return {} if token is None else {"Authorization": f"Bearer {token}"}


@pytest.fixture
def filed(tmp_path: Path) -> Issuer:
    """Give an issuer whose keys are in a file."""
    (tmp_path / "keys.json").write_bytes(our_jwks())
    return issuer(jwks_file=tmp_path / "keys.json")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Service:
    """Give a service for all attacks."""
    file = tmp_path_factory.mktemp("keys") / "keys.json"
    file.write_bytes(our_jwks())
    return Service(issuer(jwks_file=file))


@pytest.mark.parametrize(("make", "reason"), [attack for attack in attacks() if attack.id not in UNSENDABLE])
def test_every_attack_gets_the_same_answer(shared: Service, make: Callable[[], str], reason: str) -> None:
    token = make()
    with capture_logs() as logs:
        answer = shared.call(token)

    assert refusal(answer, 401) == REFUSED
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.data == shared.call(None).data
    assert [line["reason"] for line in logs if "reason" in line] == [reason]
    record = shared.recorder.records[-1]
    assert (record.status, record.label, record.issuer) == (401, "unauthenticated", "")
    written = f"{logs} {record} {answer.headers}"
    assert not any(part in written for part in token.split(".") if len(part) > 8)


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Basic dXNlcjpwYXNz", "Bearer a.b.c"])
def test_a_call_without_a_token_gets_that_answer_too(shared: Service, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}

    answer = post(washout(), to=shared.app, headers=headers)

    assert refusal(answer, 401) == REFUSED
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("body", [b"", b"no JSON", b"[" * 1_000_000])
def test_nothing_of_a_body_is_judged_before_its_sender(shared: Service, body: bytes) -> None:
    assert refusal(shared.call(None, body), 401) == REFUSED


def test_a_good_token_gets_cards_once_under_the_name_of_its_issuer(filed: Issuer) -> None:
    service = Service(filed)

    assert codes(service.call(signed())) != []
    assert service.recorder.records[-1].issuer == "ehr"
    assert refusal(service.call(signed()), 401) == REFUSED
    assert codes(service.call(signed(claims(jti="next")))) != []


def test_a_token_for_one_service_opens_no_other(filed: Issuer) -> None:
    service = Service(filed)
    patient_view = f"{BASE}/cds-services/mmcds-patient-view"

    assert refusal(service.call(signed(claims(aud=patient_view))), 401) == REFUSED
    assert refusal(service.call(signed(claims(aud=f"{BASE}/cds-services"))), 401) == REFUSED
    answer = service.app.post(PATH, json=washout(), headers=bearer(signed()), base_url="https://proxy.internal:8443")
    assert codes(answer) != [], "what counts is the public address, not the one behind the proxy"


def test_the_host_header_cannot_make_an_audience(filed: Issuer) -> None:
    token = signed(claims(aud="https://evil.example.com" + PATH))
    forwarded = {"X-Forwarded-Host": "evil.example.com", "Forwarded": "host=evil.example.com;proto=https"}

    answer = Service(filed).app.post(
        PATH, json=washout(), headers=bearer(token) | forwarded, base_url="https://evil.example.com"
    )

    assert refusal(answer, 401) == REFUSED


def test_discovery_is_open_unless_the_site_locks_it(filed: Issuer) -> None:
    token = signed(claims(aud=f"{BASE}/cds-services"))

    assert Service(filed).app.get("/cds-services").status_code == 200
    locked = Service(filed, lock_discovery=True).app
    assert refusal(locked.get("/cds-services"), 401) == REFUSED
    assert refusal(locked.get("/cds-services", headers=bearer(signed())), 401) == REFUSED
    assert locked.get("/cds-services", headers=bearer(token)).status_code == 200


def test_feedback_needs_a_token_for_itself_or_for_its_service(filed: Issuer) -> None:
    app = Service(filed).app

    def status(token: str | None) -> int:
        return app.post(f"{PATH}/feedback", json={"feedback": []}, headers=bearer(token)).status_code

    assert status(None) == 401
    assert status(signed(claims(aud=f"{BASE}/cds-services/mmcds-patient-view/feedback"))) == 401
    assert status(signed(claims(aud=f"{BASE}{PATH}/feedback", jti="1"))) != 401
    assert status(signed(claims(aud=f"{BASE}{PATH}", jti="2"))) != 401


def test_health_and_preflight_need_no_token(filed: Issuer) -> None:
    app = Service(filed, cors_origins=("https://sandbox.example.org",)).app
    asks = {"Origin": "https://sandbox.example.org", "Access-Control-Request-Headers": "authorization, content-type"}

    assert app.get("/healthz").status_code == 200
    assert app.get("/readyz").status_code == 200
    for path in ("/cds-services", PATH, f"{PATH}/feedback"):
        answer = app.options(path, headers=asks | {"Access-Control-Request-Method": "POST"})
        assert answer.status_code == 200
        assert answer.headers["Access-Control-Allow-Origin"] == "https://sandbox.example.org"


# --- keys behind an address, on a real server


class KeyServer:
    """An issuer's server on this machine: a body, or a status with a place to go to."""

    def __init__(self) -> None:
        """Start it."""
        self.web = Web()
        self.status = 200
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner.web.asked.append(self.path)
                body = owner.web.answers["keys"]
                assert isinstance(body, bytes)
                self.send_response(owner.status)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Stay silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.jku = f"http://127.0.0.1:{self._server.server_port}/jwks.json"

    def stop(self) -> None:
        """End it."""
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()


@pytest.fixture
def key_server() -> Iterator[KeyServer]:
    """Give a server with the keys of our issuer."""
    server = KeyServer()
    server.web.answers["keys"] = our_jwks()
    yield server
    server.stop()


def token(number: int, **head: Any) -> str:
    """Make one of several tokens."""
    return signed(claims(jti=str(number), iat=NOW - 60), header(**head))


def test_keys_are_fetched_once_and_again_when_they_changed(key_server: KeyServer) -> None:
    service = Service(issuer(jku=key_server.jku))
    assert key_server.web.asked == []

    assert [service.call(token(n, jku=key_server.jku)).status_code for n in range(3)] == [200] * 3
    assert key_server.web.asked == ["/jwks.json"]
    key_server.web.answers["keys"] = jwks(jwk(es384(), "rotated"))
    with time_machine.travel(NOW + 40):
        assert service.call(token(4, kid="rotated")).status_code == 200
    assert key_server.web.asked == ["/jwks.json"] * 2


@pytest.mark.parametrize("jku", [GONE, "of the server"])
def test_a_token_of_a_stranger_makes_no_request(key_server: KeyServer, jku: Any) -> None:
    jku = key_server.jku + "/evil" if jku is not GONE else GONE
    stranger = signed(claims(iss=STRANGER), header(jku=jku), es384("attacker"))

    assert refusal(Service(issuer(jku=key_server.jku)).call(stranger), 401) == REFUSED
    assert key_server.web.asked == []


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b""),
        (404, our_jwks()),
        (302, our_jwks()),
        (200, b"<html>"),
        (200, json.dumps({"keys": [], "padding": "x" * 100_000}).encode()),
    ],
    ids=["fault", "not found", "redirect", "HTML", "huge"],
)
def test_without_keys_hooks_are_unavailable_and_discovery_is_not(
    key_server: KeyServer, status: int, body: bytes
) -> None:
    key_server.status, key_server.web.answers["keys"] = status, body
    service = Service(issuer(jku=key_server.jku))

    answer = service.call(token(1))

    assert "not available" in refusal(answer, 503)
    assert answer.headers["Retry-After"] == "30"
    assert service.app.get("/readyz").status_code == 503
    assert service.app.get("/healthz").status_code == 200
    assert service.app.get("/cds-services").status_code == 200
    assert refusal(service.call(signed(claims(iss=STRANGER))), 401) == REFUSED
    assert key_server.web.asked == ["/jwks.json"]


def test_the_service_comes_back_with_the_server_of_the_issuer(key_server: KeyServer) -> None:
    good = key_server.web.answers["keys"]
    key_server.web.answers["keys"] = b""
    service = Service(issuer(jku=key_server.jku))
    assert service.call(token(1)).status_code == 503

    key_server.web.answers["keys"] = good
    with time_machine.travel(NOW + 40):
        assert service.app.get("/readyz").status_code == 200
        assert service.call(token(1)).status_code == 200

"""Section G, the door: who is let in, what the others are told, and what is written down of either."""

import re
from pathlib import Path

import pytest
import time_machine
from structlog.testing import capture_logs

from cds_service.configuration import load_configuration
from cds_service.errors import SettingsError
from cds_service.settings import Settings
from tests.build import PATIENT
from tests.ehr.faulty import status
from tests.service.calling import JSON, codes, refusal
from tests.service.cds_hooks.exchanges import IDS
from tests.service.cds_hooks.guarded import Guarded, guarded, serving_keys, token, unsigned, with_key_file
from tests.service.tokens import NOW, PATH, es384, header, issuer, jwk, jwks, our_jwks

pytestmark = pytest.mark.usefixtures("now")

ORIGIN = "https://sandbox.example.org"
STRANGERS = ("https://evil.example.org", "null", f"{ORIGIN}.evil.example.org", f"{ORIGIN}:8443", "http://localhost")
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization, content-type"}


def test_c161_authentication_is_on_unless_turned_off_which_production_refuses(service: Guarded) -> None:
    assert Settings().auth == "on"
    with pytest.raises(SettingsError) as refused:
        load_configuration({"MMCDS_ENV": "production", "MMCDS_TIME_ZONE": "UTC", "MMCDS_AUTH": "off"})
    assert "MMCDS_AUTH=off is refused in production" in refused.value.faults

    for service_id in IDS.values():
        refusal(service.show(None, f"/cds-services/{service_id}"), 401)
    assert service.admits(token())


def test_c162_every_refusal_is_the_same_and_its_reason_stands_in_the_log_alone(service: Guarded) -> None:
    used = token()
    assert service.admits(used)
    shown = {
        "missing": None,
        "malformed": "no.token",
        "issuer": token(iss="https://evil.example.org"),
        "audience": token(aud="https://other.example.org"),
        "expired": token(iat=NOW - 600, exp=NOW - 300),
        "algorithm": unsigned("none"),
        "unknown_key": token(header(kid="other")),
        "signature": token(key=es384("attacker")),
        "replay": used,
    }
    with capture_logs() as lines:
        answers = {reason: service.show(each) for reason, each in shown.items()}

    assert {refusal(answer, 401) for answer in answers.values()} == {"The client could not be authenticated."}
    assert len({answer.data for answer in answers.values()}) == 1
    assert {answer.headers["WWW-Authenticate"] for answer in answers.values()} == {"Bearer"}
    assert [line["reason"] for line in lines if line["event"] == "client turned away"] == list(shown)


def test_c174_no_token_is_written_down(service: Guarded, capsys: pytest.CaptureFixture[str]) -> None:
    good, forged = token(), token(key=es384("attacker"))
    with capture_logs() as lines:
        answers = [service.show(shown) for shown in (good, forged, good)]

    assert [answer.status_code for answer in answers] == [200, 401, 401]
    assert [record.issuer for record in service.records] == ["ehr", "", ""], "the alias of who called is kept"
    assert [line["reason"] for line in lines if "reason" in line] == ["signature", "replay"]
    kept = [str(lines), str(service.records), *capsys.readouterr(), *(answer.text for answer in answers)]
    parts = {part for shown in (good, forged) for part in shown.split(".")}
    assert [part for part in parts if any(part in text for text in kept)] == []


@pytest.mark.parametrize("path", ["/cds-services", PATH, f"{PATH}/feedback"])
def test_c176_browsers_of_listed_origins_alone_may_call(tmp_path: Path, path: str) -> None:
    client = guarded(with_key_file(tmp_path), cors_origins=(ORIGIN,), lock_discovery=True).client

    asked = client.options(path, headers={"Origin": ORIGIN} | PREFLIGHT)
    called = client.post(path, headers={"Origin": ORIGIN}, json={})
    assert asked.status_code == 200, "without a token"
    assert asked.headers["Access-Control-Allow-Origin"] == called.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert {"GET", "POST"} <= set(re.split(r",\s*", asked.headers["Access-Control-Allow-Methods"]))
    assert set(re.split(r",\s*", asked.headers["Access-Control-Allow-Headers"].lower())) == {
        "authorization",
        "content-type",
    }
    assert "Access-Control-Allow-Credentials" not in asked.headers
    assert called.headers["Cache-Control"] == "no-store", "no cache may give it to another origin"

    for stranger in STRANGERS:
        for response in (
            client.options(path, headers={"Origin": stranger} | PREFLIGHT),
            client.post(path, headers={"Origin": stranger}, json={}),
        ):
            assert [name for name, _ in response.headers if name.startswith("Access-Control")] == []


def test_c178_each_call_leaves_a_record_of_who_asked_and_what_was_used(service: Guarded) -> None:
    assert codes(service.show(token())) == ["R01"]

    (record,) = service.records
    assert (record.issuer, record.service, record.status) == ("ehr", IDS["order-sign"], 200)
    assert record.shown == ("R01",)
    assert set(record.origins.values()) == {"prefetch"}
    assert PATIENT not in str(record)


def test_c179_new_keys_are_found_and_known_ones_last_while_their_server_is_down(now: time_machine.Traveller) -> None:
    turned, following = header(kid="ec-2"), es384("next")
    with serving_keys(our_jwks()) as ehr:
        service = guarded(issuer(jku=f"{ehr.base}/keys"))
        assert [service.admits(token()) for _ in range(2)] == [True, True]
        assert len(ehr.asked("keys")) == 1, "they are kept"

        ehr.faults = {"keys": status(200, jwks(jwk(following, "ec-2")).decode(), JSON)}
        now.shift(60)
        assert service.admits(token(turned, following))
        assert not service.admits(token()), "the old key is gone"

    now.shift(7_200)
    assert service.admits(token(turned, following)), "nobody answers any more"
    now.shift(86_400)
    assert service.show(token(turned, following)).status_code == 503, "too old to be trusted"

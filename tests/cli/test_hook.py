"""`mmcds hook send`: every kind of chart file, what happens to the prefetch, signing, and how answers are shown."""

import json
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from flask import Flask, Response, redirect

from cards.finding import Hook
from cds_service.app import create_app
from cds_service.cli.hook import hook
from cds_service.settings import Settings
from cds_service.site import Site
from cds_service.synthetic import demo_patients
from tests.build import (
    AS_OF,
    PATIENT,
    Resource,
    bundle,
    chart,
    draft_collection,
    given,
    hook_request,
    infusion,
    patient,
)
from tests.cli.serving import Served, run, serving, written
from tests.ehr.server import Ehr
from tests.rules.table import SCREENED
from tests.service.calling import KeepingRecorder

ISS = "https://ehr.example.org"
WASHOUT = given("teclistamab", "2026-09-01")
KEYS = list(chart())


@pytest.fixture(scope="module")
def service() -> Iterator[Served]:
    with serving() as served:
        yield served


@pytest.fixture
def story(tmp_path: Path) -> Path:
    """A whole hook request that R01 flags."""
    request = hook_request(Hook.ORDER_SIGN, chart(WASHOUT, *SCREENED), [draft_collection("2026-11-20")])
    return written(tmp_path / "request.json", request)


def send(service: Served, *arguments: object) -> Any:
    return run(hook, "send", "--to", service.base, *arguments)


def test_a_whole_request_is_sent_and_its_cards_are_shown(service: Served, story: Path) -> None:
    result = send(service, "--chart", story)

    assert result.exit_code == 0, result.output
    assert "200 in " in result.stdout
    assert "request id " in result.stdout
    assert "1 card" in result.stdout
    assert "[WARNING]" in result.stdout or "[CRITICAL]" in result.stdout
    call = service.calls[-1]
    assert call.path == "/cds-services/mmcds-order-sign"
    assert call.authorization is None
    assert call.body["hookInstance"] != json.loads(story.read_text())["hookInstance"]
    assert call.body["prefetch"] == json.loads(story.read_text())["prefetch"]


@pytest.mark.parametrize("number", range(len(demo_patients())))
def test_patients_of_the_demonstration_are_chart_files(service: Served, tmp_path: Path, number: int) -> None:
    demo = demo_patients()[number]

    result = send(service, "--chart", written(tmp_path / "patient.json", {"request": demo.request}))

    assert result.exit_code == 0, result.output
    assert service.calls[-1].body | {"hookInstance": ""} == demo.request | {"hookInstance": ""}


def test_a_prefetch_object_is_a_chart_file(service: Served, tmp_path: Path) -> None:
    prefetch = chart(infusion("2026-10-01"))

    result = send(service, "--hook", "patient-view", "--chart", written(tmp_path / "prefetch.json", prefetch))

    assert result.exit_code == 0, result.output
    assert "rule B01" in result.stdout
    assert service.calls[-1].body["prefetch"] == prefetch
    assert service.calls[-1].body["context"]["patientId"] == PATIENT


RESOURCES = [r["resource"] for value in chart(WASHOUT).values() if "entry" in value for r in value["entry"]]
HEAP = [patient(), *RESOURCES]


@pytest.mark.parametrize("kind", ["searchset", "collection", "transaction", "list"])
def test_bundles_and_lists_are_split_into_the_searches(service: Served, tmp_path: Path, kind: str) -> None:
    heap: Any = HEAP if kind == "list" else bundle(HEAP) | {"type": kind}
    orders = written(tmp_path / "orders.json", [draft_collection("2026-11-20")])

    result = send(service, "--hook", "order-sign", "--chart", written(tmp_path / "heap.json", heap), "--orders", orders)

    assert result.exit_code == 0, result.output
    assert "rule R01" in result.stdout
    prefetch = service.calls[-1].body["prefetch"]
    assert list(prefetch) == KEYS
    assert prefetch["patient"]["id"] == PATIENT
    assert [entry["resource"] for entry in prefetch["medicationAdministrations"]["entry"]] == [WASHOUT]
    assert prefetch["medicationAdministrations"]["total"] == 1


def test_a_transaction_s_urns_are_resolved(service: Served, tmp_path: Path) -> None:
    urn = "urn:uuid:9d1c32f0-6d3f-4a0e-8f3c-2f6d9ad0f7b1"
    person = {name: value for name, value in patient().items() if name != "id"}
    drug: Resource = {"resourceType": "Medication", "code": {"text": "teclistamab"}}
    dose = {
        "resourceType": "MedicationAdministration",
        "id": "a",
        "subject": {"reference": urn},
        "medicationReference": {"reference": "urn:uuid:drug"},
    }
    entries = [
        {"fullUrl": urn, "resource": person},
        {"fullUrl": "urn:uuid:drug", "resource": drug},
        {"resource": dose},
    ]
    heap = {"resourceType": "Bundle", "type": "transaction", "entry": entries}

    result = send(service, "--hook", "patient-view", "--chart", written(tmp_path / "heap.json", heap))

    assert result.exit_code == 0, result.output
    body = service.calls[-1].body
    assert body["context"]["patientId"] == urn.removeprefix("urn:uuid:")
    first, included = body["prefetch"]["medicationAdministrations"]["entry"]
    assert first["resource"]["subject"]["reference"] == f"Patient/{urn.removeprefix('urn:uuid:')}"
    assert first["resource"]["medicationReference"]["reference"] == "Medication/drug"
    assert included == {"resource": {"id": "drug"} | drug, "search": {"mode": "include"}}


def test_what_no_search_asks_for_stays_behind_and_is_counted(service: Served, tmp_path: Path) -> None:
    pressure = {"resourceType": "Observation", "id": "o", "code": {"coding": [{"code": "85354-9"}]}}
    other = {"resourceType": "Condition", "id": "c", "subject": {"reference": "Patient/someone-else"}}
    heap = written(tmp_path / "heap.json", [*HEAP, {"resourceType": "Encounter", "id": "e"}, pressure, other])

    result = send(service, "--hook", "patient-view", "--chart", heap)

    assert "asks for it: Condition 1, Encounter 1, Observation 1." in result.stderr
    assert "85354-9" not in json.dumps(service.calls[-1].body)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("state", ["present", "missing", "null", "error"])
def test_each_prefetch_key_can_be_switched(service: Served, story: Path, key: str, state: str) -> None:
    whole = json.loads(story.read_text())["prefetch"]

    result = send(service, "--chart", story, "--prefetch", f"{key}={state}")

    assert result.exit_code == 0, result.output
    sent = service.calls[-1].body["prefetch"]
    assert {name: value for name, value in sent.items() if name != key} == {
        name: value for name, value in whole.items() if name != key
    }
    match state:
        case "present":
            assert sent[key] == whole[key]
        case "missing":
            assert key not in sent
        case "null":
            assert sent[key] is None
        case _:
            assert sent[key]["resourceType"] == "OperationOutcome"


def test_all_keys_but_some_can_be_switched(service: Served, story: Path) -> None:
    send(service, "--chart", story, "--all-prefetch", "missing", "--prefetch", "patient=present")

    assert list(service.calls[-1].body["prefetch"]) == ["patient"]


def test_a_refusal_is_told_with_a_hint(service: Served, story: Path) -> None:
    result = send(service, "--chart", story, "--all-prefetch", "missing")

    assert result.exit_code == 1
    assert result.stdout.startswith("412 in ")
    assert "required: None of the patient's data" in result.stdout
    assert "Hint: Send more prefetch keys" in result.stdout


def test_json_is_printed_as_it_came(service: Served, story: Path) -> None:
    result = send(service, "--chart", story, "--json")

    assert result.exit_code == 0
    assert [card["source"]["topic"]["code"] for card in json.loads(result.stdout)["cards"]] == ["R01"]
    assert result.stderr.startswith("200 in ")


def test_another_hook_of_the_same_request(service: Served, story: Path) -> None:
    orders = json.loads(story.read_text())["context"]["draftOrders"]

    send(service, "--chart", story, "--hook", "order-select", "--user", "PractitionerRole/7")
    selected = service.calls[-1].body["context"]
    send(service, "--chart", story, "--hook", "patient-view")
    viewed = service.calls[-1].body["context"]

    assert selected["draftOrders"] == orders
    assert selected["selections"] == [f"ServiceRequest/{orders['entry'][0]['resource']['id']}"]
    assert selected["userId"] == "PractitionerRole/7"
    assert set(viewed) == {"userId", "patientId"}


def test_orders_without_ids_get_them(service: Served, story: Path, tmp_path: Path) -> None:
    order = {name: value for name, value in draft_collection().items() if name != "id"}

    send(service, "--chart", story, "--hook", "order-select", "--orders", written(tmp_path / "o.json", order))

    assert service.calls[-1].body["context"]["selections"] == ["ServiceRequest/draft-1"]


def test_an_order_hook_without_orders_says_so(service: Served, tmp_path: Path) -> None:
    result = send(service, "--hook", "order-sign", "--chart", written(tmp_path / "h.json", HEAP))

    assert result.exit_code == 0
    assert "No draft orders" in result.stderr
    assert "0 cards" in result.stdout


def test_the_service_reads_the_fhir_server_that_is_named(service: Served, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("canary-token\n")
    with Ehr(chart(infusion("2026-10-01")), token="canary-token") as ehr:  # noqa: S106 - made up
        result = send(
            service, "--hook", "patient-view", "--patient", PATIENT, "--fhir", ehr.base, "--token-file", token
        )

    assert result.exit_code == 0, result.output
    assert "rule B01" in result.stdout
    assert "canary" not in result.output
    body = service.calls[-1].body
    assert "prefetch" not in body
    assert body["fhirServer"] == ehr.base
    assert body["fhirAuthorization"]["access_token"] == "canary-token"  # noqa: S105 - made up
    assert body["fhirAuthorization"]["patient"] == PATIENT


def test_an_open_fhir_server_needs_no_token(service: Served, tmp_path: Path) -> None:
    with Ehr(chart(infusion("2026-10-01"))) as ehr:
        result = send(service, "--hook", "patient-view", "--patient", PATIENT, "--fhir", ehr.base)

    assert "rule B01" in result.stdout
    assert "fhirAuthorization" not in service.calls[-1].body


# Signing


@pytest.mark.parametrize("algorithm", ["ES384", "RS384"])
def test_a_new_key_is_private_and_its_jwks_verifies_the_token(
    service: Served, story: Path, tmp_path: Path, algorithm: str
) -> None:
    folder = tmp_path / "keys"

    made = run(hook, "send", "--new-key", folder, "--algorithm", algorithm)
    send(service, "--chart", story, "--issuer", ISS, "--key", folder / "private-key.pem")
    send(service, "--chart", story, "--issuer", ISS, "--key", folder / "private-key.pem")

    assert made.exit_code == 0, made.output
    assert stat.S_IMODE((folder / "private-key.pem").stat().st_mode) == 0o600
    keys = json.loads((folder / "jwks.json").read_text())
    assert not {"d", "p", "q", "dp", "dq", "qi"} & keys["keys"][0].keys()
    first, second = (verified(call.authorization, keys, algorithm) for call in service.calls[-2:])
    assert first["iss"] == ISS
    assert first["aud"] == f"{service.base}/cds-services/mmcds-order-sign"
    assert first["exp"] == first["iat"] + 300
    assert first["jti"] != second["jti"]


def verified(authorization: str | None, keys: Resource, algorithm: str) -> dict[str, Any]:
    assert authorization is not None
    token = authorization.removeprefix("Bearer ")
    header = jwt.get_unverified_header(token)
    (key,) = jwt.PyJWKSet.from_dict(keys).keys
    assert header["alg"] == algorithm
    assert header["typ"] == "JWT"
    assert header["kid"] == key.key_id
    claims: dict[str, Any] = jwt.decode(token, key, algorithms=[algorithm], options={"verify_aud": False})
    return claims


def test_claims_and_header_can_be_chosen(service: Served, story: Path, tmp_path: Path) -> None:
    chosen = ["--audience", "aud-1", "--subject", "sub-1", "--tenant", "t-1", "--kid", "k-1", "--jku", f"{ISS}/jwks"]

    send(service, "--chart", story, "--issuer", ISS, "--new-key", tmp_path / "keys", *chosen)

    authorization = service.calls[-1].authorization
    keys = json.loads((tmp_path / "keys" / "jwks.json").read_text())
    claims = verified(authorization, keys, "ES384")
    assert {name: claims[name] for name in ("aud", "sub", "tenant")} == {
        "aud": "aud-1",
        "sub": "sub-1",
        "tenant": "t-1",
    }
    assert authorization is not None
    header = jwt.get_unverified_header(authorization.removeprefix("Bearer "))
    assert header["kid"] == "k-1"
    assert header["jku"] == f"{ISS}/jwks"


def guarded(served: Served, **keys: str) -> Flask:
    """Make the service with client authentication, for one issuer."""
    site = Site.model_validate({"public_urls": [served.base], "issuers": [{"name": "ehr", "issuer": ISS} | keys]})
    return create_app(Settings(auth="on", as_of=AS_OF.isoformat()), site, recorder=KeepingRecorder())


def test_the_service_takes_the_key_that_was_made(story: Path, tmp_path: Path) -> None:
    run(hook, "send", "--new-key", tmp_path / "keys")
    with serving() as served:
        served.app = guarded(served, jwks_file=str(tmp_path / "keys" / "jwks.json"))

        signed = send(served, "--chart", story, "--issuer", ISS, "--key", tmp_path / "keys" / "private-key.pem")
        stranger = send(served, "--chart", story, "--issuer", ISS, "--new-key", tmp_path / "other")
        unsigned = send(served, "--chart", story)

    assert signed.exit_code == 0, signed.output
    for refused in (stranger, unsigned):
        assert refused.exit_code == 1
        assert "401 in " in refused.stdout
        assert "the service's log does" in refused.stdout


def test_the_jwks_is_served_while_the_call_runs(story: Path, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with serving() as served:
        served.app = guarded(served, jku=f"http://127.0.0.1:{port}/jwks.json")

        result = send(
            served, "--chart", story, "--issuer", ISS, "--new-key", tmp_path / "keys", "--serve-jwks", str(port)
        )

    assert result.exit_code == 0, result.output
    with socket.socket() as again, pytest.raises(OSError, match="refused"):
        again.connect(("127.0.0.1", port))


# Usage faults

SERVER = ("--to", "http://127.0.0.1:9")
VIEW = (*SERVER, "--hook", "patient-view", "--patient", "p")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--chart", "{story}"), "--to must be"),
        (("--to", "ftp://x", "--chart", "{story}"), "--to must be"),
        ((*SERVER, "--chart", "no-such-file.json"), "no-such-file.json cannot be read: No such file"),
        ((*SERVER, "--chart", "{text}"), "is neither JSON nor NDJSON"),
        ((*SERVER, "--chart", "{latin}"), "is not text in UTF-8"),
        ((*SERVER, "--chart", "{number}"), "is no Bundle, list of records"),
        ((*SERVER, "--chart", "{stranger}"), "is no Bundle, list of records"),
        ((*SERVER, "--chart", "{words}"), "1 entries that are no FHIR resource"),
        ((*SERVER, "--chart", "{broken}"), "must be objects"),
        ((*SERVER, "--chart", "{heap}"), "--hook is missing"),
        ((*SERVER, "--hook", "patient-view", "--chart", "{two}"), "no patient"),
        ((*SERVER, "--hook", "patient-view"), "no patient"),
        ((*SERVER, "--hook", "order-dispatch"), "order-dispatch"),
        ((*VIEW, "--prefetch", "weight=missing"), "--prefetch takes KEY=STATE"),
        ((*VIEW, "--prefetch", "patient=gone"), "--prefetch takes KEY=STATE"),
        ((*VIEW, "--prefetch", "patient=present"), "has nothing for this key"),
        ((*VIEW, "--fhir", "nonsense"), "--fhir must be"),
        ((*VIEW, "--token-file", "{token}"), "goes with --fhir"),
        ((*VIEW, "--fhir", "http://127.0.0.1:9", "--token-file", "nowhere"), "nowhere cannot be read"),
        ((*VIEW, "--fhir", "http://127.0.0.1:9", "--token-file", "{story}"), "holds no access token"),
        (
            ("--to", "http://cds.example.org", "--hook", "patient-view", "--patient", "p", "--token-file", "{token}"),
            "in the clear",
        ),
        ((*VIEW, "--issuer", ISS), "needs a key"),
        ((*VIEW, "--serve-jwks", "0"), "needs a key"),
        ((*VIEW, "--key", "{p384}"), "--key needs --issuer"),
        ((*VIEW, "--issuer", ISS, "--key", "nowhere"), "nowhere cannot be read"),
        ((*VIEW, "--issuer", ISS, "--key", "{story}"), "holds no private key"),
        ((*VIEW, "--issuer", ISS, "--key", "{p256}"), "P-384 key, or an RSA key"),
        ((*VIEW, "--issuer", ISS, "--key", "{small}"), "P-384 key, or an RSA key"),
        ((*VIEW, "--issuer", ISS, "--key", "{p384}", "--algorithm", "RS384"), "does not fit the key"),
        ((*VIEW, "--issuer", ISS, "--key", "{p384}", "--new-key", "{folder}"), "not both"),
        (("--new-key", "{folder}"), "holds a key already"),
        (("--new-key", "{story}/keys"), "cannot be written"),
        ((*VIEW, "--issuer", ISS, "--key", "{p384}", "--serve-jwks", "{busy}"), "Address already in use"),
    ],
)
def test_a_usage_fault_ends_with_2_and_says_what_to_do(
    service: Served, story: Path, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    (tmp_path / "text").write_text("{not json")
    (tmp_path / "latin").write_bytes(b'{"a": "\xe9"}')
    (tmp_path / "token").write_text("canary-token")
    pem = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "p384").write_bytes(ec.generate_private_key(ec.SECP384R1()).private_bytes(*pem))
    (tmp_path / "p256").write_bytes(ec.generate_private_key(ec.SECP256R1()).private_bytes(*pem))
    (tmp_path / "small").write_bytes(rsa.generate_private_key(65_537, 1_024).private_bytes(*pem))  # noqa: S505 - meant to be refused
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "private-key.pem").touch()
    contents: dict[str, Any] = {
        "number": 1,
        "stranger": {"weight": 1},
        "words": ["patient"],
        "broken": {"hook": "patient-view", "context": []},
        "heap": HEAP,
        "two": [*HEAP, {"resourceType": "Patient", "id": "second"}],
    }
    places = {name: str(written(tmp_path / name, content)) for name, content in contents.items()}
    places |= {name: str(tmp_path / name) for name in ("text", "latin", "token", "p384", "p256", "small", "folder")}
    places |= {"story": str(story), "busy": service.base.rpartition(":")[2]}

    result = run(hook, "send", *(argument.format(**places) for argument in arguments))

    assert result.exit_code == 2, result.output
    assert words in result.stderr.replace("\n", " ")
    assert "canary" not in result.output


# Answers of something else than the service


def answering(status: int, body: str, content_type: str = "application/json") -> Flask:
    app = Flask("stranger")

    @app.post("/<path:anything>")
    def answer(anything: str) -> Response:
        return Response(body, status, content_type=content_type)

    return app


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (200, "<html>", "The answer is no JSON"),
        (502, "<html>", "The answer is no JSON"),
        (200, "{}", "no cards of this service"),
        (200, '{"cards": [{"indicator": "hard-stop"}]}', "no cards of this service"),
        (503, '{"issue": [{"code": "transient", "diagnostics": "later"}, 7]}', "transient: later"),
        (418, "[]", "418 in "),
    ],
)
def test_strange_answers_end_with_1(story: Path, status: int, body: str, words: str) -> None:
    with serving(answering(status, body)) as served:
        result = send(served, "--chart", story)

    assert result.exit_code == 1
    assert words in result.output


def test_a_redirect_is_not_followed(story: Path) -> None:
    app = Flask("moved")
    app.post("/<path:anything>")(lambda anything: redirect("/elsewhere"))

    with serving(app) as served:
        result = send(served, "--chart", story)

    assert result.exit_code == 1
    assert len(served.calls) == 1


def test_an_answer_cannot_steer_the_terminal(story: Path) -> None:
    evil = json.dumps({"issue": [{"code": "x", "diagnostics": "a\u001b]0;evil\u0007b"}]})

    with serving(answering(400, evil)) as served:
        result = send(served, "--chart", story)

    assert "x: a]0;evilb" in result.stdout


def test_no_service_is_told_plainly(story: Path) -> None:
    result = run(hook, "send", *SERVER, "--chart", story)

    assert result.exit_code == 1
    assert "no connection to http://127.0.0.1:9" in result.stderr


def test_a_service_that_does_not_answer_is_told_plainly(story: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"

        result = run(hook, "send", "--to", address, "--chart", story, "--timeout", "0.2")

    assert result.exit_code == 1
    assert "no answer within 0.2 s" in result.stderr

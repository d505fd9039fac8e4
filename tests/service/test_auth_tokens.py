"""Client authentication: good tokens of real clients are taken, and every known attack ends in the same refusal."""

import base64
import hmac
import json
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cds_service.auth.tokens import REASONS
from cds_service.errors import KeysUnavailable, Unauthenticated
from cds_service.site import Issuer
from tests.service.tokens import (
    ADDRESS,
    BASE,
    GONE,
    ISS,
    JKU,
    KID_EC,
    KID_RSA,
    NOW,
    PATH,
    Desk,
    Web,
    base64url,
    claims,
    es384,
    header,
    issuer,
    jwk,
    jwks,
    private_jwk,
    rs384,
    signed,
)

FEEDBACK = f"{PATH}/feedback"
EVIL = "https://evil.example.com/jwks.json"
HOUR = 3_600


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Give an authenticator that trusts one issuer, with nothing fetched yet."""
    return Desk(tmp_path)


def refusal(desk: Desk, token: str, *paths: str) -> str:
    """Give the reason for which a token is refused; no refusal may repeat any of it."""
    with pytest.raises(Unauthenticated) as refused:
        desk.show(token, *paths)
    assert str(refused.value) == "The client could not be authenticated."
    assert refused.value.reason in REASONS
    return refused.value.reason


# --- good tokens

GOOD: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("ES384", {}, {}),
    ("RS384", {}, {"alg": "RS384", "kid": KID_RSA}),
    ("jku of the site file", {}, {"jku": JKU}),
    ("typ in small letters", {}, {"typ": "jwt"}),
    ("headers that name other keys are never looked at", {}, {"jwk": {"kty": "oct"}, "x5u": EVIL, "x5c": ["MII"]}),
    ("aud is a list of one", {"aud": [ADDRESS]}, {}),
    ("aud with a slash at the end", {"aud": ADDRESS + "/"}, {}),
    ("aud with port and capital host", {"aud": "https://CDS.example.org:443" + PATH}, {}),
    ("lives an hour", {"exp": NOW + HOUR}, {}),
    ("expired within the leeway", {"iat": NOW - 300, "exp": NOW - 59}, {}),
    ("issuer's clock is a minute ahead", {"iat": NOW + 60, "nbf": NOW + 60}, {}),
    ("nbf five minutes before iat", {"nbf": NOW - 300}, {}),
    ("sub and tenant that the site does not ask for", {"sub": 17, "tenant": None}, {}),
    ("kid as long as may be", {}, {"kid": "k" * 256}),
    ("jti as long as may be", {"jti": "j" * 1_024}, {}),
]


@pytest.mark.parametrize(("payload", "head"), [case[1:] for case in GOOD], ids=[case[0] for case in GOOD])
def test_a_good_token_names_its_issuer(desk: Desk, payload: dict[str, Any], head: dict[str, Any]) -> None:
    desk.web.answers[JKU] = jwks(
        jwk(es384(), KID_EC, alg="ES384"), jwk(rs384(), KID_RSA, use="sig"), jwk(es384(), "k" * 256)
    )
    key = rs384() if head.get("alg") == "RS384" else es384()

    assert desk.show(signed(claims(**payload), header(**head), key)).name == "ehr"
    assert desk.web.asked == [JKU]


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER ", "Bearer   "])
def test_the_scheme_is_read_in_any_case(desk: Desk, scheme: str) -> None:
    assert desk.authenticator.authenticate(scheme + signed(), PATH).name == "ehr"


def test_epic_signs_with_rs384_and_its_fhir_base_as_issuer(tmp_path: Path) -> None:
    fhir_base = "https://epic.example.org/api/FHIR/R4"
    epic = issuer(issuer=fhir_base, jku=f"{fhir_base}/keys", audiences=("mmcds at our hospital",), subjects=("c-42",))
    desk = Desk(tmp_path, (epic,), web=Web({f"{fhir_base}/keys": jwks(jwk(rs384(), KID_RSA))}))
    payload = claims(
        iss=fhir_base, aud="mmcds at our hospital", sub="c-42", iat=NOW, nbf=NOW - 300, exp=NOW + 900, jti="e-1"
    )

    assert desk.show(signed(payload, header(alg="RS384", kid=KID_RSA), rs384())) == epic


def test_the_sandbox_names_the_address_it_calls_and_a_jku_that_nobody_can_reach(tmp_path: Path) -> None:
    home = "https://sandbox.cds-hooks.example"
    file = tmp_path / "sandbox.json"
    file.write_bytes(jwks(jwk(es384(), "44823f3d")))
    desk = Desk(tmp_path, (issuer(issuer=home, jku=f"{home}/.well-known/jwks.json", jwks_file=file),))
    for path in ("/cds-services", PATH, FEEDBACK):
        payload = claims(iss=home, aud=BASE + path, exp=NOW + 300, jti=path)
        head = header(kid="44823f3d", jku=f"{home}/.well-known/jwks.json")

        assert desk.show(signed(payload, head), path).name == "ehr"
    assert desk.web.asked == []


def test_request_generator_publishes_its_private_key_and_is_called_through_a_proxy(tmp_path: Path) -> None:
    jku = "http://127.0.0.1:3000/.well-known/jwks.json"
    client = issuer(issuer="http://localhost:8080/fhir", jku=jku)
    desk = Desk(
        tmp_path,
        (client,),
        public_urls=(BASE, "http://localhost:5098/"),
        web=Web({jku: jwks(private_jwk(es384(), "zGe0", use="sig", alg="ES384"))}),
    )
    payload = claims(iss=client.issuer, aud="http://localhost:5098" + PATH)

    assert desk.show(signed(payload, header(kid="zGe0", jku=jku))) == client


def test_feedback_takes_the_address_of_feedback_and_of_its_service(desk: Desk) -> None:
    assert desk.show(signed(claims(aud=BASE + FEEDBACK, jti="1")), FEEDBACK, PATH).name == "ehr"
    assert desk.show(signed(claims(aud=ADDRESS, jti="2")), FEEDBACK, PATH).name == "ehr"


# --- attacks

CLAIMS: list[tuple[str, dict[str, Any], str]] = [
    ("iss unknown", {"iss": "https://evil.example.com"}, "issuer"),
    ("iss missing", {"iss": GONE}, "issuer"),
    ("iss with a slash more", {"iss": ISS + "/"}, "issuer"),
    ("iss in capitals", {"iss": ISS.upper()}, "issuer"),
    ("iss a list", {"iss": [ISS]}, "issuer"),
    ("aud missing", {"aud": GONE}, "audience"),
    ("aud null", {"aud": None}, "audience"),
    ("aud of another service", {"aud": BASE + "/cds-services/mmcds-patient-view"}, "audience"),
    ("aud of discovery", {"aud": BASE + "/cds-services"}, "audience"),
    ("aud of feedback", {"aud": ADDRESS + "/feedback"}, "audience"),
    ("aud is only our host", {"aud": BASE}, "audience"),
    ("aud of another host", {"aud": "https://evil.example.com" + PATH}, "audience"),
    ("aud is our host as a prefix", {"aud": "https://cds.example.org.evil.example.com" + PATH}, "audience"),
    ("aud with our host as user", {"aud": "https://cds.example.org@evil.example.com" + PATH}, "audience"),
    ("aud without TLS", {"aud": "http://cds.example.org" + PATH}, "audience"),
    ("aud of another port", {"aud": "https://cds.example.org:8443" + PATH}, "audience"),
    ("aud with a query", {"aud": ADDRESS + "?a=b"}, "audience"),
    ("aud is ours and a foreign one", {"aud": [ADDRESS, "https://evil.example.com"]}, "audience"),
    ("aud is ours twice", {"aud": [ADDRESS, ADDRESS]}, "audience"),
    ("aud an empty list", {"aud": []}, "audience"),
    ("aud a list in a list", {"aud": [[ADDRESS]]}, "audience"),
    ("aud an object", {"aud": {ADDRESS: 1}}, "audience"),
    ("exp missing", {"exp": GONE}, "claims"),
    ("exp a string", {"exp": str(NOW + 300)}, "claims"),
    ("exp a float", {"exp": NOW + 300.0}, "claims"),
    ("exp true", {"exp": True}, "claims"),
    ("exp null", {"exp": None}, "claims"),
    ("exp not a number", {"exp": float("nan")}, "malformed"),
    ("exp infinite", {"exp": float("inf")}, "malformed"),
    ("exp of 401 digits", {"exp": 10**400}, "lifetime"),
    ("exp in ten years", {"exp": NOW + 10 * 365 * 24 * HOUR}, "lifetime"),
    ("lives an hour and a second", {"exp": NOW + HOUR + 1}, "lifetime"),
    ("exp before iat", {"exp": NOW - 10, "iat": NOW}, "lifetime"),
    ("exp with iat", {"exp": NOW, "iat": NOW}, "lifetime"),
    ("expired", {"iat": NOW - 300, "exp": NOW - 60}, "expired"),
    ("expired a day ago", {"iat": NOW - 24 * HOUR - 300, "exp": NOW - 24 * HOUR}, "expired"),
    ("exp and iat of 401 digits below zero", {"exp": 300 - 10**400, "iat": -(10**400)}, "expired"),
    ("exp and iat of 401 digits", {"exp": 10**400 + 300, "iat": 10**400}, "not_yet"),
    ("iat missing", {"iat": GONE}, "claims"),
    ("iat a string", {"iat": str(NOW)}, "claims"),
    ("iat in the future", {"iat": NOW + 61, "exp": NOW + 300}, "not_yet"),
    ("nbf in the future", {"nbf": NOW + 61}, "not_yet"),
    ("nbf of 401 digits", {"nbf": 10**400}, "not_yet"),
    ("nbf a string", {"nbf": "0"}, "claims"),
    ("nbf null", {"nbf": None}, "claims"),
    ("jti missing", {"jti": GONE}, "claims"),
    ("jti an integer", {"jti": 17}, "claims"),
    ("jti empty", {"jti": ""}, "claims"),
    ("jti too long", {"jti": "j" * 1_025}, "claims"),
    ("jti with half a surrogate pair", {"jti": "\ud800"}, "malformed"),
    ("any name with half a surrogate pair", {"deep": [{"\udfff": 1}]}, "malformed"),
]

HEADERS: list[tuple[str, dict[str, Any], str]] = [
    ("alg missing", {"alg": GONE}, "algorithm"),
    ("alg a list", {"alg": ["ES384"]}, "algorithm"),
    ("alg in small letters", {"alg": "es384"}, "algorithm"),
    ("alg unknown", {"alg": "EdDSA"}, "algorithm"),
    ("typ missing", {"typ": GONE}, "header"),
    ("typ another", {"typ": "at+jwt"}, "header"),
    ("typ a list", {"typ": ["JWT"]}, "header"),
    ("crit unknown", {"crit": ["exp"], "exp": 1}, "header"),
    ("crit of b64", {"crit": ["b64"], "b64": False}, "header"),
    ("crit empty", {"crit": []}, "header"),
    ("b64 without crit", {"b64": False}, "header"),
    ("jku not in the site file", {"jku": EVIL}, "jku"),
    ("jku with the right beginning", {"jku": JKU + "/../evil"}, "jku"),
    ("jku with a query", {"jku": JKU + "?"}, "jku"),
    ("jku with our issuer as user", {"jku": "https://ehr.example.org@evil.example.com/jwks.json"}, "jku"),
    ("jku in capitals", {"jku": "https://EHR.example.org/jwks.json"}, "jku"),
    ("jku null", {"jku": None}, "jku"),
    ("jku a list", {"jku": [JKU]}, "jku"),
    ("kid missing", {"kid": GONE}, "kid"),
    ("kid empty", {"kid": ""}, "kid"),
    ("kid an integer", {"kid": 1}, "kid"),
    ("kid too long", {"kid": "k" * 257}, "kid"),
    ("kid unknown", {"kid": "other"}, "unknown_key"),
    ("kid of a key for another algorithm", {"kid": KID_RSA}, "unknown_key"),
    ("kid is a path", {"kid": "../../../../dev/null"}, "unknown_key"),
]

HALF = base64url(header())


def _hs(secret: Callable[[], bytes], name: str) -> str:
    # PyJWT refuses to sign with such a secret, an attacker does not
    text = f"{base64url(header(alg=name))}.{base64url(claims())}"
    digest = f"sha{name.removeprefix('HS')}"
    return f"{text}.{base64url(hmac.new(secret(), text.encode(), digest).digest())}"


def _pem() -> bytes:
    return es384().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _jwk_text() -> bytes:
    return json.dumps(jwk(es384(), KID_EC)).encode()


def _unsigned(name: str, signature: str = "") -> str:
    return f"{base64url(header(alg=name))}.{base64url(claims())}.{signature}"


def _payload(raw: bytes) -> str:
    return signed(raw, header())


def _with_claim(text: str) -> bytes:
    return json.dumps(claims()).replace("{", "{" + text + ",", 1).encode()


def _broken_signature() -> str:
    text, _, signature = signed().rpartition(".")
    return f"{text}.{'B' if signature.startswith('A') else 'A'}{signature[1:]}"


def _changed_after_signing() -> str:
    head, _, signature = signed().split(".")
    return f"{head}.{base64url(claims(sub='admin'))}.{signature}"


def _der_signature() -> str:
    text = f"{base64url(header())}.{base64url(claims())}"
    return f"{text}.{base64url(es384().sign(text.encode(), ec.ECDSA(SHA384())))}"


FORGED: list[tuple[str, Callable[[], str], str]] = [
    ("alg none", lambda: _unsigned("none"), "algorithm"),
    ("alg nOnE", lambda: _unsigned("nOnE"), "algorithm"),
    ("alg NONE with a signature", lambda: _unsigned("NONE", signed().rpartition(".")[2]), "algorithm"),
    ("alg empty", lambda: _unsigned(""), "algorithm"),
    ("HS256 with the public PEM", lambda: _hs(_pem, "HS256"), "algorithm"),
    ("HS384 with the public PEM", lambda: _hs(_pem, "HS384"), "algorithm"),
    ("HS256 with the text of the JWK", lambda: _hs(_jwk_text, "HS256"), "algorithm"),
    ("HS512 with the text of the JWK", lambda: _hs(_jwk_text, "HS512"), "algorithm"),
    ("RS256 instead of RS384", lambda: signed(claims(), header(alg="RS256", kid=KID_RSA), rs384()), "algorithm"),
    ("PS384 instead of RS384", lambda: signed(claims(), header(alg="PS384", kid=KID_RSA), rs384()), "algorithm"),
    (
        "RS256 signature called RS384",
        lambda: signed(claims(), header(alg="RS384", kid=KID_RSA), rs384(), "RS256"),
        "signature",
    ),
    (
        "PS384 signature called RS384",
        lambda: signed(claims(), header(alg="RS384", kid=KID_RSA), rs384(), "PS384"),
        "signature",
    ),
    ("RS384 with the kid of the EC key", lambda: signed(claims(), header(alg="RS384"), rs384()), "unknown_key"),
    (
        "embedded jwk of the attacker",
        lambda: signed(claims(), header(jwk=jwk(es384("attacker"), KID_EC)), es384("attacker")),
        "signature",
    ),
    (
        "embedded jwk of the attacker, under its own kid",
        lambda: signed(claims(), header(kid="evil", jwk=jwk(es384("attacker"), "evil")), es384("attacker")),
        "unknown_key",
    ),
    (
        "x5u of the attacker",
        lambda: signed(claims(), header(x5u=EVIL), es384("attacker")),
        "signature",
    ),
    ("signed by the attacker", lambda: signed(claims(), header(), es384("attacker")), "signature"),
    ("signature with one bit changed", _broken_signature, "signature"),
    ("claims changed after signing", _changed_after_signing, "signature"),
    ("signature empty", lambda: _unsigned("ES384"), "signature"),
    ("signature of zeros", lambda: _unsigned("ES384", base64url(bytes(96))), "signature"),
    ("signature as DER", _der_signature, "signature"),
    ("signature cut", lambda: signed()[:-4], "signature"),
    ("signature of one character", lambda: _unsigned("ES384", "A"), "signature"),
    ("nbf of 1e400", lambda: _payload(_with_claim('"nbf":1e400')), "malformed"),
    ("a number of 5000 digits", lambda: _payload(_with_claim('"n":' + "9" * 5_000)), "malformed"),
    ("NaN", lambda: _payload(_with_claim('"n":NaN')), "malformed"),
    ("Infinity deep inside", lambda: _payload(_with_claim('"n":[[-Infinity]]')), "malformed"),
    ("iss twice, the good one last", lambda: _payload(_with_claim('"iss":"https://evil.example.com"')), "malformed"),
    ("a name twice deep inside", lambda: _payload(_with_claim('"n":[{"a":1,"a":2}]')), "malformed"),
    (
        "alg twice",
        lambda: signed(claims(), b'{"alg":"none",' + json.dumps(header())[1:].encode(), algorithm="ES384"),
        "malformed",
    ),
    ("payload a list", lambda: signed([claims()]), "malformed"),
    ("payload a string", lambda: signed("claims"), "malformed"),
    ("payload null", lambda: _payload(b"null"), "malformed"),
    ("payload no JSON", lambda: _payload(b"iss=me"), "malformed"),
    ("payload in UTF-16", lambda: _payload(json.dumps(claims()).encode("utf-16")), "malformed"),
    ("payload with a byte order mark", lambda: _payload(b"\xef\xbb\xbf" + json.dumps(claims()).encode()), "malformed"),
    (
        "payload with bytes that are no UTF-8",
        lambda: _payload(_with_claim('"n":"x"').replace(b"x", b"\xff")),
        "malformed",
    ),
    ("payload 2500 deep", lambda: _payload(_with_claim('"n":' + "[" * 2_500 + "]" * 2_500)), "malformed"),
    ("payload 1100 deep and never closed", lambda: _payload(b'{"n":' * 1_100), "malformed"),
    ("payload 100000 deep", lambda: _payload(_with_claim('"n":' + "[" * 100_000 + "]" * 100_000)), "too_long"),
    ("header 2000 deep", lambda: signed(claims(), b"[" * 2_000 + b"]" * 2_000, algorithm="ES384"), "malformed"),
    ("header a list", lambda: signed(claims(), b"[]", algorithm="ES384"), "malformed"),
    ("token of 9 kB", lambda: signed(claims(padding="x" * 6_500)), "too_long"),
    ("kid of 100 kB", lambda: signed(claims(), header(kid="k" * 100_000)), "too_long"),
    ("no dots", lambda: "token", "malformed"),
    ("two parts", lambda: signed().rpartition(".")[0], "malformed"),
    ("four parts", lambda: signed() + ".AAAA", "malformed"),
    ("five parts, as an encrypted token has", lambda: f"{HALF}.AA.AA.AA.AA", "malformed"),
    ("empty header", lambda: signed()[len(HALF) :], "malformed"),
    ("base64 of the other alphabet", lambda: signed().replace("-", "+").replace("_", "/") + "+/", "malformed"),
    ("base64 with padding", lambda: signed() + "=", "malformed"),
    ("base64 of impossible length", lambda: f"{HALF}.AAAAA.AAAA", "malformed"),
    ("a line break inside", lambda: signed().replace(".", ".\r\n", 1), "malformed"),
    ("letters beyond ASCII", lambda: signed() + "é", "malformed"),
    ("two tokens", lambda: f"{signed()}, Bearer {signed()}", "malformed"),
]


def attacks() -> list[Any]:
    """Give every attack of the tables: a function that makes its token, and the reason of its refusal."""
    found = [pytest.param(make, reason, id=why) for why, make, reason in FORGED]
    found += [pytest.param(partial(_with_claims, changes), reason, id=why) for why, changes, reason in CLAIMS]
    found += [pytest.param(partial(_with_header, changes), reason, id=why) for why, changes, reason in HEADERS]
    return found


def _with_claims(changes: dict[str, Any]) -> str:
    return signed(claims(**changes))


def _with_header(changes: dict[str, Any]) -> str:
    return signed(claims(), header(**changes), algorithm="ES384")


@pytest.mark.parametrize(("make", "reason"), attacks())
def test_an_attack_is_refused_and_reaches_no_address(desk: Desk, make: Callable[[], str], reason: str) -> None:
    assert refusal(desk, make()) == reason

    needs_a_key = reason in {"signature", "unknown_key"}
    assert desk.web.asked == ([JKU] if needs_a_key else [])
    assert desk.show(signed()).name == "ehr", "the token after it is taken"


@pytest.mark.parametrize(
    ("authorization", "reason"),
    [
        (None, "missing"),
        ("", "missing"),
        ("Bearer", "missing"),
        ("Bearer ", "missing"),
        ("Basic dXNlcjpwYXNz", "missing"),
        (" Bearer a.b.c", "missing"),
        ("Bearer\ta.b.c", "missing"),
        ("Bearer a.b.c", "malformed"),
        ("Bearer ..", "malformed"),
        ("x" * 1_000_000, "too_long"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_header_without_a_bearer_token_is_refused(desk: Desk, authorization: str | None, reason: str) -> None:
    with pytest.raises(Unauthenticated) as refused:
        desk.authenticator.authenticate(authorization, PATH)

    assert refused.value.reason == reason
    assert desk.web.asked == []


def test_every_reason_is_met_by_some_attack() -> None:
    met = {reason for *_, reason in (*CLAIMS, *HEADERS, *FORGED)}

    assert met | {"missing", "tenant", "subject", "replay"} == REASONS


def test_a_token_is_taken_once(desk: Desk) -> None:
    token = signed()
    desk.show(token)

    assert refusal(desk, token) == "replay"
    assert refusal(desk, signed(claims(sub="other"))) == "replay", "the jti counts, not the token"
    assert desk.show(signed(claims(jti="next"))).name == "ehr"


def test_a_refused_token_uses_up_no_jti(desk: Desk) -> None:
    assert refusal(desk, _broken_signature()) == "signature"
    assert refusal(desk, signed(claims(aud=BASE))) == "audience"

    assert desk.show(signed()).name == "ehr"


def test_a_token_is_remembered_until_its_leeway_has_passed(desk: Desk) -> None:
    token = signed()
    desk.show(token)
    desk.clock.time = NOW + 359.5

    assert refusal(desk, token) == "replay"
    desk.clock.time = NOW + 360
    assert refusal(desk, token) == "expired"


def test_a_site_may_allow_tokens_to_be_used_again(tmp_path: Path) -> None:
    desk = Desk(tmp_path, (issuer(replay="allow"),))
    token = signed()

    assert [desk.show(token).name for _ in range(3)] == ["ehr"] * 3


def test_two_issuers_may_use_the_same_jti(tmp_path: Path) -> None:
    other = issuer(name="other", issuer="https://other.example.org")
    desk = Desk(tmp_path, (issuer(), other))

    assert desk.show(signed()).name == "ehr"
    assert desk.show(signed(claims(iss=other.issuer))).name == "other"


# --- what a site may ask for


def test_a_subject_that_is_not_listed_is_refused(tmp_path: Path) -> None:
    desk = Desk(tmp_path, (issuer(subjects=("client-1", "client-2")),))

    for sub in (GONE, None, "", "client", "CLIENT-1", ["client-1"], 1):
        assert refusal(desk, signed(claims(sub=sub))) == "subject"
    assert desk.web.asked == []
    assert desk.show(signed(claims(sub="client-2"))).name == "ehr"


def test_tenants_of_one_issuer_are_told_apart(tmp_path: Path) -> None:
    north = issuer(name="north", tenants=("n1", "n2"), audiences=("north",))
    south = issuer(name="south", tenants=("s",), jku="https://ehr.example.org/south.json")
    web = Web({JKU: jwks(jwk(es384(), KID_EC)), str(south.jku): jwks(jwk(es384("south"), KID_EC))})
    desk = Desk(tmp_path, (north, south), web=web)

    for tenant in (GONE, None, "", "x", ["s"], "S"):
        assert refusal(desk, signed(claims(tenant=tenant))) == "tenant"
    assert refusal(desk, signed(claims(tenant="s", aud="north"))) == "audience"
    assert web.asked == []
    assert refusal(desk, signed(claims(tenant="s"))) == "signature", "north's key does not speak for south"
    assert desk.show(signed(claims(tenant="s", jti="1"), key=es384("south"))) == south
    assert desk.show(signed(claims(tenant="n2", jti="2", aud="north"))) == north


def test_other_audiences_count_character_for_character(tmp_path: Path) -> None:
    desk = Desk(tmp_path, (issuer(audiences=("https://old.example.org/cds", "mmcds")),))

    for audience in ("https://old.example.org/cds/", "https://OLD.example.org/cds", "MMCDS", "mmcds ", ["mmcds", "x"]):
        assert refusal(desk, signed(claims(aud=audience))) == "audience"
    assert desk.show(signed(claims(aud=["mmcds"], jti="1"))).name == "ehr"
    assert desk.show(signed(claims(aud="https://old.example.org/cds", jti="2"))).name == "ehr"


def test_without_public_addresses_no_audience_of_ours_is_known(tmp_path: Path) -> None:
    assert refusal(Desk(tmp_path, public_urls=()), signed()) == "audience"


def test_an_issuer_without_a_jku_may_not_name_one(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_bytes(jwks(jwk(es384(), KID_EC)))
    desk = Desk(tmp_path, (issuer(jku=GONE, jwks_file=file),))

    for jku in (JKU, "", None):
        assert refusal(desk, signed(claims(), header(jku=jku))) == "jku"
    assert desk.show(signed()).name == "ehr"
    assert desk.web.asked == []


@pytest.mark.parametrize(
    ("algorithm", "make"),
    [
        ("ES256", lambda: ec.generate_private_key(ec.SECP256R1())),
        ("ES384", es384),
        ("ES512", lambda: ec.generate_private_key(ec.SECP521R1())),
        *((name, rs384) for name in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")),
    ],
)
def test_each_algorithm_works_where_the_site_lists_it_and_nowhere_else(
    tmp_path: Path, algorithm: str, make: Callable[[], Any]
) -> None:
    key = make()
    web = Web({JKU: jwks(jwk(key, "k"))})
    token = signed(claims(), header(alg=algorithm, kid="k"), key)
    others: Any = ("ES384",) if algorithm != "ES384" else ("RS384",)

    assert Desk(tmp_path, (issuer(algorithms=(algorithm,)),), web=web).show(token).name == "ehr"
    assert refusal(Desk(tmp_path, (issuer(algorithms=others),), web=web), token) == "algorithm"


# --- keys that are not there


def test_without_keys_nobody_is_refused_for_good(tmp_path: Path) -> None:
    desk = Desk(tmp_path, web=Web())

    with pytest.raises(KeysUnavailable):
        desk.show(signed())
    assert not desk.authenticator.is_ready()
    desk.web.answers[JKU] = jwks(jwk(es384(), KID_EC))
    desk.clock.time += 30
    assert desk.authenticator.is_ready()
    assert desk.show(signed()).name == "ehr", "the call that failed has not used up its jti"


def test_without_keys_an_attack_is_still_refused(tmp_path: Path) -> None:
    desk = Desk(tmp_path, web=Web())

    assert refusal(desk, signed(claims(iss="https://evil.example.com"))) == "issuer"
    assert refusal(desk, signed(claims(aud=BASE))) == "audience"
    assert desk.web.asked == []


def test_nothing_of_a_token_shows_in_errors_or_representations(desk: Desk) -> None:
    token = signed(claims(), header(), es384("attacker"))

    with pytest.raises(Unauthenticated) as refused:
        desk.show(token)
    shown = f"{refused.value!r} {refused.value.__cause__!r} {refused.value.__context__!r}"
    assert not any(part in shown for part in token.split("."))


def test_random_bytes_never_cause_another_error(desk: Desk) -> None:
    dice = random.Random(20_261_120)  # noqa: S311 - the same bytes each time
    pieces = [b'{"iss":"' + ISS.encode() + b'"', b"{", b"}", b"[", b'"', b":", b",", b"\\ud800", b"1e999", b"-", b"\0"]
    for _ in range(2_000):
        payload = b"".join(dice.choice([*pieces, dice.randbytes(2)]) for _ in range(dice.randrange(12)))
        token = f"{base64url(header())}.{base64.urlsafe_b64encode(payload).decode().rstrip('=')}.AAAA"
        refusal(desk, token)


def test_the_issuer_of_a_good_token_is_the_one_of_the_site_file(desk: Desk) -> None:
    found = desk.show(signed())

    assert isinstance(found, Issuer)
    assert found is desk.issuers[0]

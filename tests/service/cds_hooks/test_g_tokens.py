"""Section G, the token: what its header and its claims must say, and which keys may have signed it."""

import multiprocessing
from pathlib import Path
from typing import Any

import pytest
import time_machine
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.service.cds_hooks.guarded import Guarded, guarded, serving_keys, token, unsigned, with_key_file
from tests.service.tokens import (
    ADDRESS,
    BASE,
    GONE,
    JKU,
    KID_EC,
    KID_RSA,
    NOW,
    PATH,
    es384,
    header,
    issuer,
    jwk,
    jwks,
    our_jwks,
    rs384,
)

pytestmark = pytest.mark.usefixtures("now")

FEEDBACK = f"{PATH}/feedback"
PROXY = "http://10.0.0.1:5098/hooks/"


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", ""])
def test_c163_a_token_without_a_signature_is_never_accepted(service: Guarded, algorithm: str) -> None:
    assert not service.admits(unsigned(algorithm))


def public_pem() -> bytes:
    """Write the public key of the issuer as everybody can have it."""
    return es384().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_c164_a_shared_secret_is_never_accepted_and_a_public_key_is_none(service: Guarded, algorithm: str) -> None:
    for secret in (public_pem(), our_jwks(), b"secret"):
        assert not service.admits(token(header(alg=algorithm), secret))
        assert not service.admits(token(header(), secret, algorithm)), "called ES384"


def test_c165_es384_and_rs384_are_taken_and_others_where_the_site_lists_them(tmp_path: Path) -> None:
    rs256 = header(alg="RS256", kid=KID_RSA)
    service = guarded(with_key_file(tmp_path))
    assert service.admits(token())
    assert service.admits(token(header(alg="RS384", kid=KID_RSA), rs384()))
    assert not service.admits(token(rs256, rs384()))

    other = guarded(with_key_file(tmp_path, algorithms=("RS256",)))
    assert other.admits(token(rs256, rs384()))
    assert not other.admits(token())


def test_c166_the_header_names_algorithm_type_and_a_key_that_is_looked_for_once_more(
    now: time_machine.Traveller,
) -> None:
    with serving_keys(our_jwks()) as ehr:
        service = guarded(issuer(jku=f"{ehr.base}/keys"))
        for name in ("alg", "typ", "kid"):
            assert not service.admits(token(header(**{name: GONE}), algorithm="ES384")), name
            assert not service.admits(token(header(**{name: ""}), algorithm="ES384")), name
        assert not service.admits(token(header(typ="at+jwt")))
        assert ehr.asked("keys") == []

        assert service.admits(token())
        now.shift(60)
        assert [service.admits(token(header(kid="unknown"))) for _ in range(3)] == [False] * 3
        assert len(ehr.asked("keys")) == 2


def test_c167_issuer_and_address_of_its_keys_are_on_a_list() -> None:
    attacker = es384("attacker")
    with serving_keys(our_jwks()) as listed, serving_keys(jwks(jwk(attacker, KID_EC))) as other:
        service = guarded(issuer(jku=f"{listed.base}/keys"))

        assert not service.admits(token(header(jku=f"{other.base}/keys"), attacker))
        assert not service.admits(token(header(jku=f"{listed.base}/keys/")))
        assert not service.admits(token(iss="https://evil.example.org"))
        assert listed.connections == other.connections == 0

        assert service.admits(token(header(jku=f"{listed.base}/keys")))
        assert (len(listed.asked("keys")), other.connections) == (1, 0)


def test_c168_without_an_address_the_keys_come_from_a_file(tmp_path: Path) -> None:
    service = guarded(with_key_file(tmp_path, jku=None))

    assert service.admits(token())
    assert not service.admits(token(header(jku=JKU))), "no address was agreed on"


@pytest.mark.parametrize("name", ["iss", "aud", "exp", "iat", "jti"])
def test_c169_each_required_claim_is_required(service: Guarded, name: str) -> None:
    assert not service.admits(token(more={name: GONE}))
    assert not service.admits(token(more={name: ""}))
    assert service.admits(token()), "the others, tenant among them, are not"


@pytest.mark.parametrize(
    ("audience", "is_ours"),
    [
        (ADDRESS, True),
        ([ADDRESS], True),
        (f"{ADDRESS}/", True),
        (f"{PROXY}cds-services/mmcds-order-sign", True),
        (BASE, False),
        (f"{BASE}/cds-services", False),
        (f"{BASE}/cds-services/mmcds-order-select", False),
        (f"{ADDRESS}/feedback", False),
        ("https://evil.example.org/cds-services/mmcds-order-sign", False),
        ("http://localhost/cds-services/mmcds-order-sign", False),
        ([], False),
        (7, False),
    ],
)
def test_c170_the_audience_is_the_public_address_that_is_called(tmp_path: Path, audience: Any, is_ours: bool) -> None:
    service = guarded(with_key_file(tmp_path), public_urls=(BASE, PROXY))

    assert service.admits(token(aud=audience)) is is_ours


@pytest.mark.parametrize(
    ("audience", "status_code"),
    [(f"{ADDRESS}/feedback", 200), (ADDRESS, 200), ("typed in by the hospital", 200), (f"{BASE}/cds-services", 401)],
)
def test_c171_feedback_takes_both_addresses_and_what_the_site_lists(
    tmp_path: Path, audience: str, status_code: int
) -> None:
    service = guarded(with_key_file(tmp_path, audiences=("typed in by the hospital",)))

    response = service.show(token(aud=audience), FEEDBACK, request={"feedback": []})

    assert response.status_code == status_code, response.text
    assert service.admits(token(aud="typed in by the hospital"))


WRONG_TIMES = {
    "expired": {"iat": NOW - 600, "exp": NOW - 61},
    "issued in the future": {"iat": NOW + 120, "exp": NOW + 300},
    "not valid yet": {"nbf": NOW + 120},
    "ends before it begins": {"iat": NOW + 10, "exp": NOW + 5},
    "valid for a day": {"exp": NOW + 86_400},
}


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # newer Pythons warn of threads in the parent
def test_c172_a_token_counts_in_its_own_time_and_once_for_all_workers_together(
    tmp_path: Path, service: Guarded
) -> None:
    for why, times in WRONG_TIMES.items():
        assert not service.admits(token(more=times)), why
    assert service.admits(token(iat=NOW - 300, exp=NOW - 30)), "clocks may differ by a minute"

    shown = token()
    assert shown_to_two_workers(service, shown) == [200, 401]
    assert not service.admits(shown)

    lenient = guarded(with_key_file(tmp_path, replay="allow"))
    assert [lenient.admits(shown) for _ in range(2)] == [True, True]


def shown_to_two_workers(service: Guarded, shown: str) -> list[int]:
    """Show one token in two processes that are forked from this one, and give both statuses."""
    fork = multiprocessing.get_context("fork")
    found: Any = fork.Queue()
    workers = [fork.Process(target=lambda: found.put(service.show(shown).status_code)) for _ in range(2)]
    for worker in workers:
        worker.start()
    statuses = sorted(found.get(timeout=20) for _ in workers)
    for worker in workers:
        worker.join()
    return statuses


@pytest.mark.parametrize(
    ("tenant", "is_listed"), [("north", True), ("south", False), (GONE, False), (["north"], False)]
)
def test_c173_a_tenant_is_on_the_list_where_there_is_one(tmp_path: Path, tenant: Any, is_listed: bool) -> None:
    service = guarded(with_key_file(tmp_path, tenants=("north",)))

    assert service.admits(token(tenant=tenant)) is is_listed

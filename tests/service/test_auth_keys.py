"""Keys of issuers: which are used, how long they are kept, and how seldom an issuer's server is asked."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from structlog.testing import capture_logs

from cds_service.auth.jwks import ALGORITHMS, UnusableKeys, fitting, read_jwks
from cds_service.auth.keys import KeyRing
from cds_service.errors import KeysUnavailable, SettingsError
from cds_service.site import Issuer
from tests.service.tokens import (
    GONE,
    JKU,
    KID_EC,
    KID_RSA,
    NOW,
    Clock,
    PrivateKey,
    Web,
    base64url,
    es384,
    issuer,
    jwk,
    jwks,
    our_jwks,
    private_jwk,
    rs384,
)

HOUR = 3_600
EHR = issuer()
OLD = jwks(jwk(es384("old"), "old"))
BOTH = jwks(jwk(es384("old"), "old"), jwk(es384("new"), "new"))
NEW = jwks(jwk(es384("new"), "new"))


class Ring:
    """A key ring of one issuer, with its web and clock."""

    def __init__(self, answer: bytes | Exception = OLD, *, issuers: tuple[Issuer, ...] = (EHR,)) -> None:
        """Put an answer behind the issuer's jku."""
        self.web, self.clock = Web({JKU: answer}), Clock()
        self.keys = KeyRing(issuers, self.web.fetch, self.clock)

    def answers(self, answer: bytes | Exception) -> None:
        """Change what is behind the jku."""
        self.web.answers[JKU] = answer

    def has(self, kid: str, algorithm: str = "ES384") -> bool:
        """Look a key up."""
        return self.keys.key(EHR, kid, algorithm) is not None

    @property
    def fetches(self) -> int:
        """Count the fetches so far."""
        return len(self.web.asked)


# --- reading a key set


def usable(*keys: Any) -> list[str]:
    """Name the keys of a set that can be used, with their algorithms."""
    try:
        found = read_jwks(jwks(*keys), ALGORITHMS)
    except UnusableKeys:
        return []
    return [f"{key.kid} {' '.join(sorted(key.algorithms))}" for keys in found.values() for key in keys]


def test_a_key_is_bound_to_the_algorithms_of_its_kind() -> None:
    rsa_all = "PS256 PS384 PS512 RS256 RS384 RS512"

    assert usable(jwk(ec.generate_private_key(ec.SECP256R1()), "k")) == ["k ES256"]
    assert usable(jwk(es384(), "k")) == ["k ES384"]
    assert usable(jwk(ec.generate_private_key(ec.SECP521R1()), "k")) == ["k ES512"]
    assert usable(jwk(rs384(), "k")) == [f"k {rsa_all}"]
    assert usable(jwk(rs384(), "k", alg="RS384")) == ["k RS384"]
    assert usable(jwk(es384(), "k", alg="ES384", use="sig", key_ops=["sign", "verify"])) == ["k ES384"]


ODD: list[tuple[str, Callable[[], Any]]] = [
    ("no object", lambda: "key"),
    ("null", lambda: None),
    ("a list", lambda: [1]),
    ("empty", lambda: {}),
    ("symmetric", lambda: {"kty": "oct", "kid": "odd", "k": "c2VjcmV0", "alg": "HS256"}),
    ("of a kind we do not use", lambda: {"kty": "OKP", "kid": "odd", "crv": "Ed25519", "x": "A" * 43}),
    ("kind a list", lambda: jwk(es384(), "odd", kty=["EC"])),
    ("without kid", lambda: jwk(es384(), GONE)),
    ("kid an integer", lambda: jwk(es384(), 1)),
    ("kid empty", lambda: jwk(es384(), "")),
    ("kid too long", lambda: jwk(es384(), "k" * 257)),
    ("for encryption", lambda: jwk(es384(), "odd", use="enc")),
    ("use a list", lambda: jwk(es384(), "odd", use=["sig"])),
    ("only for signing", lambda: jwk(es384(), "odd", key_ops=["sign"])),
    ("key_ops a string", lambda: jwk(es384(), "odd", key_ops="verify")),
    ("alg of another kind", lambda: jwk(es384(), "odd", alg="RS384")),
    ("alg of another curve", lambda: jwk(es384(), "odd", alg="ES256")),
    ("alg symmetric", lambda: jwk(rs384(), "odd", alg="HS256")),
    ("alg none", lambda: jwk(rs384(), "odd", alg="none")),
    ("alg a list", lambda: jwk(es384(), "odd", alg=["ES384"])),
    ("curve unknown", lambda: jwk(es384(), "odd", crv="P-999")),
    ("curve of another family", lambda: jwk(ec.generate_private_key(ec.SECP256K1()), "odd")),
    ("curve a list", lambda: jwk(es384(), "odd", crv=["P-384"])),
    ("curve of another length", lambda: jwk(es384(), "odd", crv="P-256")),
    ("point not on the curve", lambda: jwk(es384(), "odd", x="A" * 64)),
    ("coordinate missing", lambda: jwk(es384(), "odd", y=GONE)),
    ("coordinate an integer", lambda: jwk(es384(), "odd", y=7)),
    ("coordinate no base64", lambda: jwk(es384(), "odd", y="é" * 64)),
    ("coordinate half a surrogate pair", lambda: jwk(es384(), "odd", y="\ud800" * 64)),
    ("RSA of 1024 bits", lambda: jwk(_short(1_024), "odd")),
    ("RSA of 2047 bits", lambda: _rsa_numbers(n=(1 << 2_046) + 1)),
    ("RSA of 8200 bits", lambda: _rsa_numbers(n=(1 << 8_199) + 1)),
    ("RSA exponent 1", lambda: _rsa_numbers(e=1)),
    ("RSA exponent even", lambda: _rsa_numbers(e=65_536)),
    ("RSA modulus missing", lambda: jwk(rs384(), "odd", n=GONE)),
    ("RSA modulus empty", lambda: jwk(rs384(), "odd", n="")),
    ("RSA modulus an object", lambda: jwk(rs384(), "odd", n={})),
]


def _short(bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65_537, bits)


def _rsa_numbers(**numbers: int) -> dict[str, Any]:
    written = {name: base64url(value.to_bytes((value.bit_length() + 7) // 8)) for name, value in numbers.items()}
    return jwk(rs384(), "odd", **written)


@pytest.mark.parametrize("make", [case[1] for case in ODD], ids=[case[0] for case in ODD])
def test_an_odd_key_is_left_out_and_the_others_are_used(make: Callable[[], Any]) -> None:
    assert usable(make()) == []
    assert usable(make(), jwk(es384(), "good")) == ["good ES384"]


def test_of_keys_with_one_kid_the_one_for_the_algorithm_is_used() -> None:
    made: dict[str, PrivateKey] = {"ES384": es384(), "RS384": rs384(), "PS384": rs384("another")}
    keys = read_jwks(jwks(*[jwk(key, "k", alg=algorithm) for algorithm, key in made.items()]), ALGORITHMS)

    for algorithm, key in made.items():
        found = fitting(keys, "k", algorithm)
        assert found is not None
        assert found.public == key.public_key()
    assert fitting(keys, "k", "RS256") is None


def test_private_parts_are_never_held() -> None:
    keys = read_jwks(jwks(private_jwk(es384(), "e"), private_jwk(rs384(), "r")), ALGORITHMS)

    held = [key.public for found in keys.values() for key in found]
    assert len(held) == 2
    assert not any(hasattr(key, "private_numbers") for key in held)


def test_a_broken_private_part_does_not_matter() -> None:
    assert usable(private_jwk(rs384(), "k", d="AQAB", p=GONE)) != []


UNUSABLE: list[tuple[str, bytes]] = [
    ("empty", b""),
    ("HTML", b"<html><body>404 not found</body></html>"),
    ("no UTF-8", b"\xff\xfe" + '{"keys":[]}'.encode("utf-16-le")),
    ("a list", b"[]"),
    ("null", b"null"),
    ("no member keys", b'{"key":[]}'),
    ("keys an object", b'{"keys":{}}'),
    ("no key", b'{"keys":[]}'),
    ("100000 deep", b"[" * 30_000 + b"]" * 30_000),
    ("a number of 5000 digits", b'{"keys":[' + b"9" * 5_000 + b"]}"),
    ("cut in the middle", OLD[:-10]),
    ("only keys for other algorithms", jwks(jwk(rs384(), "k", alg="RS256"))),
    ("larger than 64 KiB", OLD[:-1] + b" " * 65_536 + b"}"),
    ("101 keys", jwks(*[jwk(es384("old"), "old")] * 101)),
]


@pytest.mark.parametrize("answer", [case[1] for case in UNUSABLE], ids=[case[0] for case in UNUSABLE])
def test_an_answer_without_a_usable_key_is_a_failed_fetch(answer: bytes) -> None:
    ring = Ring(answer)

    with pytest.raises(KeysUnavailable):
        ring.has("old")
    ring.answers(OLD)
    ring.clock.time += 30
    assert ring.has("old")
    ring.answers(answer)
    ring.clock.time += HOUR
    assert ring.has("old"), "the last known keys stay"
    assert ring.fetches == 3


def test_a_key_set_may_be_as_large_as_allowed() -> None:
    hundred = jwks(*[jwk(es384("old"), "old")] * 100)

    assert Ring(hundred[:-1] + b" " * (65_536 - len(hundred)) + b"}").has("old")


# --- when an issuer's server is asked


def test_nothing_is_fetched_before_it_is_needed_and_then_once_an_hour() -> None:
    ring = Ring()
    assert ring.fetches == 0

    for seconds, fetches in ((0, 1), (1, 1), (HOUR - 1, 1), (HOUR, 2), (HOUR + 1, 2), (2 * HOUR, 3)):
        ring.clock.time = NOW + seconds
        assert ring.has("old")
        assert ring.fetches == fetches


def test_a_new_key_is_found_within_one_refresh_and_the_old_one_stays_while_both_are_published() -> None:
    ring = Ring()
    assert ring.has("old")
    ring.answers(BOTH)
    ring.clock.time += 30

    assert ring.has("new")
    assert ring.has("old")
    assert ring.fetches == 2


def test_a_key_that_was_taken_back_is_refused_after_the_next_refresh() -> None:
    ring = Ring(BOTH)
    assert ring.has("old")
    ring.answers(NEW)
    ring.clock.time += HOUR

    assert not ring.has("old")
    assert ring.has("new")


def test_a_kid_that_comes_back_with_another_key_is_used_after_the_next_refresh() -> None:
    ring = Ring()
    ring.has("old")
    ring.answers(jwks(jwk(rs384(), "old")))
    ring.clock.time += 30

    assert ring.has("old", "RS384")
    assert not ring.has("old", "ES384")


def test_unknown_kids_cause_one_fetch_for_each_cool_down() -> None:
    ring = Ring()
    assert ring.has("old")

    for second in range(1, 91):
        ring.clock.time = NOW + second
        assert not ring.has(f"random-{second}")
        assert ring.has("old"), "callers with a good key notice nothing"
    assert ring.fetches == 1 + 3


def test_the_same_unknown_kid_is_not_asked_for_again_soon() -> None:
    ring = Ring()
    for second in range(120):
        ring.clock.time = NOW + second
        assert not ring.has("gone")
    assert ring.fetches == 1

    ring.clock.time = NOW + 120
    ring.answers(jwks(jwk(es384(), "gone")))
    assert ring.has("gone")


def test_an_unknown_kid_is_found_once_another_caller_caused_a_refresh() -> None:
    ring = Ring()
    assert not ring.has("new")
    ring.answers(BOTH)
    ring.clock.time += 30

    assert not ring.has("another")
    assert ring.has("new")
    assert ring.fetches == 2


def test_failed_fetches_too_are_followed_by_a_cool_down() -> None:
    ring = Ring(TimeoutError())

    for second in range(60):
        ring.clock.time = NOW + second
        with pytest.raises(KeysUnavailable):
            ring.has("old")
    assert ring.fetches == 2
    ring.answers(OLD)
    ring.clock.time = NOW + 60
    assert ring.has("old")


def test_a_failed_fetch_leaves_a_kid_unknown_no_longer_than_the_cool_down() -> None:
    ring = Ring()
    ring.has("old")
    ring.answers(ConnectionError())
    ring.clock.time += 30
    assert not ring.has("new")
    ring.answers(BOTH)
    ring.clock.time += 30

    assert ring.has("new")


def test_the_last_known_keys_are_used_for_a_day_while_the_server_is_down() -> None:
    ring = Ring()
    ring.has("old")
    ring.answers(ConnectionError())

    with capture_logs() as logs:
        for seconds in range(HOUR, 24 * HOUR, 100):
            ring.clock.time = NOW + seconds
            assert ring.has("old")
    assert len(logs) == ring.fetches - 1 <= 23 * 12
    assert logs[0] == {
        "event": "keys not loaded: the last known ones stay in use",
        "log_level": "warning",
        "issuer": "ehr",
        "fault": "ConnectionError",
    }

    ring.clock.time = NOW + 24 * HOUR
    with pytest.raises(KeysUnavailable):
        ring.has("old")
    ring.answers(NEW)
    ring.clock.time += 30
    assert ring.has("new")
    assert not ring.has("old")


def test_a_failure_is_logged_without_what_was_answered_or_said() -> None:
    ring = Ring(ConnectionError("GET https://user:secret@ehr.example.org failed"))

    with capture_logs() as logs, pytest.raises(KeysUnavailable):
        ring.has("old")
    ring.answers(b'{"keys":[{"secret":1}]}')
    ring.clock.time += 30
    with capture_logs() as more, pytest.raises(KeysUnavailable):
        ring.has("old")

    assert [line["fault"] for line in logs + more] == ["ConnectionError", "UnusableKeys"]
    assert "secret" not in json.dumps(logs + more)


def test_a_clock_that_is_set_back_does_not_keep_keys_away() -> None:
    ring = Ring(ConnectionError())
    with pytest.raises(KeysUnavailable):
        ring.has("old")
    ring.answers(OLD)
    ring.clock.time -= 10 * HOUR

    assert ring.has("old")


def test_an_issuer_whose_server_is_down_does_not_hurt_another() -> None:
    other = issuer(name="other", issuer="https://other.example.org", jku="https://other.example.org/keys")
    ring = Ring(issuers=(EHR, other))

    with pytest.raises(KeysUnavailable):
        ring.keys.key(other, "old", "ES384")
    assert ring.has("old")


# --- many callers at once


def at_once(count: int, work: Callable[[], Any]) -> list[Any]:
    """Run some work in threads that start together; give what each came to."""
    results: list[Any] = []
    start = threading.Barrier(count)

    def run() -> None:
        start.wait(10)
        try:
            results.append(work())
        except Exception as error:
            results.append(type(error).__name__)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    return results


@pytest.mark.parametrize(("answer", "result"), [(OLD, True), (ConnectionError(), "KeysUnavailable")])
def test_callers_who_come_together_cause_one_fetch(answer: bytes | Exception, result: object) -> None:
    ring = Ring(answer)

    assert at_once(16, lambda: ring.has("old")) == [result] * 16
    assert ring.fetches == 1


def test_a_new_key_is_found_for_all_who_ask_for_it_together() -> None:
    ring = Ring()
    ring.has("old")
    ring.answers(BOTH)
    ring.clock.time += 30

    assert at_once(16, lambda: ring.has("new")) == [True] * 16
    assert ring.fetches == 2


@pytest.mark.parametrize(("later", "kid"), [(30, "unknown"), (HOUR, "old")], ids=["unknown kid", "old keys"])
def test_a_caller_whose_key_is_at_hand_does_not_wait_for_the_fetch_of_another(later: int, kid: str) -> None:
    ring = Ring()
    ring.has("old")
    ring.clock.time += later
    under_way, go_on = threading.Event(), threading.Event()

    was_let_go: list[bool] = []

    def hang() -> None:
        under_way.set()
        was_let_go.append(go_on.wait(10))

    ring.web.meanwhile = hang
    other = threading.Thread(target=lambda: ring.has(kid))
    other.start()
    try:
        assert under_way.wait(10)
        assert ring.has("old")
        assert ring.keys.load_missing()
    finally:
        go_on.set()
        other.join(10)
    assert was_let_go == [True], "not one waited until the fetch gave up"
    assert ring.fetches == 2


# --- files and readiness


def test_keys_of_a_file_are_used_without_any_fetch(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_bytes(our_jwks())
    filed = issuer(jwks_file=file)
    ring = Ring(issuers=(filed,))

    assert ring.keys.load_missing()
    assert ring.keys.key(filed, KID_EC, "ES384") is not None
    assert ring.keys.key(filed, KID_RSA, "RS384") is not None
    assert ring.keys.key(filed, "unknown", "ES384") is None
    assert ring.keys.key(filed, KID_EC, "RS384") is None
    assert ring.fetches == 0


def test_every_bad_file_is_named_at_the_start_without_its_content(tmp_path: Path) -> None:
    texts = {
        "html": b"<html>secret</html>",
        "empty-set": b'{"keys":[]}',
        "huge": OLD[:-1] + b" " * 65_536 + b"}",
        "no-set": b'["secret"]',
        "good": OLD,
    }
    issuers = []
    for name, text in texts.items():
        (tmp_path / name).write_bytes(text)
        issuers.append(issuer(name=name, issuer=name, jwks_file=tmp_path / name))
    issuers.append(issuer(name="not-there", issuer="not-there", jwks_file=tmp_path / "not-there"))

    with pytest.raises(SettingsError) as refused:
        Ring(issuers=tuple(issuers))

    assert refused.value.faults == (
        "issuers html: jwks_file is no JSON",
        "issuers empty-set: jwks_file holds no usable key for ES384, RS384",
        "issuers huge: jwks_file is larger than 65536 bytes",
        "issuers no-set: jwks_file is no JSON Web Key Set",
        "issuers not-there: jwks_file cannot be read: No such file or directory",
    )


def test_ready_once_the_keys_of_one_issuer_are_at_hand() -> None:
    other = issuer(name="other", issuer="https://other.example.org", jku="https://other.example.org/keys")
    ring = Ring(ConnectionError(), issuers=(EHR, other))

    for _ in range(3):
        assert not ring.keys.load_missing()
    assert ring.web.asked == [JKU, other.jku], "the cool-down holds here too"
    ring.answers(OLD)
    ring.clock.time += 30
    assert ring.keys.load_missing()
    assert ring.web.asked == [JKU, other.jku] * 2, "every issuer without keys gets its try"
    ring.clock.time += 30
    assert ring.keys.load_missing()
    assert ring.web.asked[4:] == [other.jku]


def test_without_issuers_nobody_is_ready() -> None:
    assert not Ring(issuers=()).keys.load_missing()

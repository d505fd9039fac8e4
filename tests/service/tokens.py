"""Tokens, good and forged, and the keys, site, clock and web they are checked against."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm, get_default_algorithms

from cds_service.auth.keys import KeyRing
from cds_service.auth.replay import ReplayMemory
from cds_service.auth.tokens import Authenticator
from cds_service.site import Issuer, Site

NOW = 1_800_000_000
BASE = "https://cds.example.org"
PATH = "/cds-services/mmcds-order-sign"
ADDRESS = BASE + PATH
ISS = "https://ehr.example.org"
JKU = "https://ehr.example.org/jwks.json"
KID_EC, KID_RSA = "ec-1", "rsa-1"
GONE: Any = object()  # as a value: the member is left out

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(slots=True)
class Clock:
    """A clock that stands still until a test moves it."""

    time: float = NOW

    def __call__(self) -> float:
        """Read the clock."""
        return self.time


@dataclass(slots=True)
class Web:
    """What is behind addresses: a body, or the exception that a fetch ends in; notes every address asked."""

    answers: dict[str, bytes | Exception] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    meanwhile: Callable[[], object] = lambda: None

    def fetch(self, address: str) -> bytes:
        """Answer one fetch."""
        self.asked.append(address)
        self.meanwhile()
        answer = self.answers.get(address, ConnectionError("nobody there"))
        if isinstance(answer, Exception):
            raise answer
        return answer


@cache
def es384(name: str = "ours") -> ec.EllipticCurvePrivateKey:
    """Make a key for ES384, once for each name."""
    return ec.generate_private_key(ec.SECP384R1())


@cache
def rs384(name: str = "ours", bits: int = 2_048) -> rsa.RSAPrivateKey:
    """Make a key for RS384 (and every other RSA algorithm), once for each name."""
    return rsa.generate_private_key(65_537, bits)


def private_jwk(key: PrivateKey, kid: Any, **members: Any) -> dict[str, Any]:
    """Write a key with its private part, as careless issuers publish it."""
    table = ECAlgorithm.to_jwk(key, True) if isinstance(key, ec.EllipticCurvePrivateKey) else _rsa_jwk(key)
    return _members({**table, "key_ops": GONE, "kid": kid, **members})


def jwk(key: PrivateKey, kid: Any, **members: Any) -> dict[str, Any]:
    """Write the public part of a key."""
    private = dict.fromkeys(("d", "p", "q", "dp", "dq", "qi"), GONE)
    return private_jwk(key, kid, **private, **members)


def _rsa_jwk(key: rsa.RSAPrivateKey) -> dict[str, Any]:
    return RSAAlgorithm.to_jwk(key, True)


def jwks(*keys: Any) -> bytes:
    """Write a key set."""
    return json.dumps({"keys": list(keys)}).encode()


@cache
def our_jwks() -> bytes:
    """Write the key set of the issuer that tests trust."""
    return jwks(jwk(es384(), KID_EC), jwk(rs384(), KID_RSA))


def claims(**changes: Any) -> dict[str, Any]:
    """Make the claims of a good token, with changes."""
    good = {"iss": ISS, "aud": ADDRESS, "exp": NOW + 300, "iat": NOW, "jti": "f6c4a3b2"}
    return _members(good | changes)


def header(**changes: Any) -> dict[str, Any]:
    """Make the header of a good ES384 token, with changes."""
    return _members({"alg": "ES384", "typ": "JWT", "kid": KID_EC} | changes)


def _members(table: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in table.items() if value is not GONE}


def signed(
    payload: Any = None, head: Any = None, key: PrivateKey | bytes | None = None, algorithm: str | None = None
) -> str:
    """Sign a token: payload and header as objects or as raw bytes, by default with the algorithm of the header.

    Checks nothing, so it signs what no library would.
    """
    payload = claims() if payload is None else payload
    head = header() if head is None else head
    signer: Any = get_default_algorithms()[algorithm or head["alg"]]
    text = f"{base64url(head)}.{base64url(payload)}"
    return f"{text}.{base64url(signer.sign(text.encode(), es384() if key is None else key))}"


def base64url(part: Any) -> str:
    """Write a part of a token: bytes as they are, anything else as JSON."""
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def issuer(**changes: Any) -> Issuer:
    """Make the issuer that tests trust, with changes."""
    return Issuer(**_members({"name": "ehr", "issuer": ISS, "jku": JKU} | changes))


@dataclass(slots=True)
class Desk:
    """An authenticator with all around it, reset by making a new one."""

    folder: Path
    issuers: tuple[Issuer, ...] = field(default_factory=lambda: (issuer(),))
    public_urls: tuple[str, ...] = (BASE,)
    web: Web = field(default_factory=lambda: Web({JKU: our_jwks()}))
    clock: Clock = field(default_factory=Clock)
    authenticator: Authenticator = field(init=False)

    def __post_init__(self) -> None:
        """Wire it together."""
        site = Site(public_urls=self.public_urls, issuers=self.issuers)
        keys = KeyRing(self.issuers, self.web.fetch, self.clock)
        replay = ReplayMemory(self.folder / "replay.sqlite3", self.clock)
        self.authenticator = Authenticator(site, keys, replay, self.clock)

    def show(self, token: str, *paths: str) -> Issuer:
        """Present a token at an address of ours."""
        return self.authenticator.authenticate(f"Bearer {token}", *(paths or (PATH,)))

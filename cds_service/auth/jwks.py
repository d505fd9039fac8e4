"""Reads a JSON Web Key Set: the keys in it that can check a signature, each bound to the algorithms it is for."""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

LONGEST_JWKS = 65_536  # bytes
MOST_KEYS = 100
_LONGEST_KID = 256
_RSA_BITS = range(2_048, 8_193)

_OF_CURVE = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
_OF_RSA = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
ALGORITHMS = _OF_RSA | set(_OF_CURVE.values())

# All that is read of a key's numbers: the private ones of a careless issuer go no further than the parsed JSON
_PUBLIC_MEMBERS = {"EC": ("kty", "crv", "x", "y"), "RSA": ("kty", "n", "e")}


class UnusableKeys(ValueError):
    """A key set that no signature can be checked with; says why, without its content."""


@dataclass(frozen=True, slots=True)
class Key:
    """A public key and the algorithms it may be used with."""

    kid: str
    public: EllipticCurvePublicKey | RSAPublicKey
    algorithms: frozenset[str]


Keys = Mapping[str, tuple[Key, ...]]


def read_jwks(body: bytes, algorithms: Collection[str]) -> Keys:
    """Give by kid the keys for these algorithms; a key that is odd in any way is left out.

    Raises UnusableKeys when no key is left.
    """
    if len(body) > LONGEST_JWKS:
        raise UnusableKeys(f"is larger than {LONGEST_JWKS} bytes")
    try:
        table = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise UnusableKeys("is no JSON") from None
    entries = table.get("keys") if isinstance(table, dict) else None
    if not isinstance(entries, list):
        raise UnusableKeys("is no JSON Web Key Set")
    if len(entries) > MOST_KEYS:
        raise UnusableKeys(f"holds more than {MOST_KEYS} keys")
    found: dict[str, tuple[Key, ...]] = {}
    for key in _keys(entries, frozenset(algorithms)):
        found[key.kid] = (*found.get(key.kid, ()), key)
    if not found:
        raise UnusableKeys(f"holds no usable key for {', '.join(sorted(algorithms))}")
    return found


def fitting(keys: Keys, kid: str, algorithm: str) -> Key | None:
    """Find the key with this kid that is for this algorithm."""
    return next((key for key in keys.get(kid, ()) if algorithm in key.algorithms), None)


def _keys(entries: list[Any], algorithms: frozenset[str]) -> Iterator[Key]:
    for entry in entries:
        kid = entry.get("kid") if isinstance(entry, dict) else None
        if not isinstance(kid, str) or not 0 < len(kid) <= _LONGEST_KID or not _is_for_signatures(entry):
            continue
        public = _public_key(entry)
        if public is None:
            continue
        fit = _algorithms_of(entry, public) & algorithms
        if fit:
            yield Key(kid, public, fit)


def _is_for_signatures(entry: dict[str, Any]) -> bool:
    operations = entry.get("key_ops")
    return entry.get("use") in (None, "sig") and (
        operations is None or (isinstance(operations, list) and "verify" in operations)
    )


def _public_key(entry: dict[str, Any]) -> EllipticCurvePublicKey | RSAPublicKey | None:
    kind = entry.get("kty")
    if kind not in ("EC", "RSA"):
        return None
    numbers = {name: entry.get(name) for name in _PUBLIC_MEMBERS[kind]}
    try:
        key = ECAlgorithm.from_jwk(numbers) if kind == "EC" else RSAAlgorithm.from_jwk(numbers)
    except (jwt.PyJWTError, ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, EllipticCurvePublicKey | RSAPublicKey) else None


def _algorithms_of(entry: dict[str, Any], public: EllipticCurvePublicKey | RSAPublicKey) -> frozenset[str]:
    if isinstance(public, RSAPublicKey):
        fit = _OF_RSA if public.key_size in _RSA_BITS else frozenset()
    else:
        fit = frozenset({_OF_CURVE[entry["crv"]]} if entry["crv"] in _OF_CURVE else ())
    named = entry.get("alg")
    return fit if named is None else frozenset(algorithm for algorithm in fit if algorithm == named)

"""Authenticates one call: the issuer that the site trusts, or a refusal whose reason stays in the log."""

from collections.abc import Callable

import jwt

from cds_service.auth.claims import LEEWAY, check_claims, check_header, choose_issuer
from cds_service.auth.jwks import ALGORITHMS
from cds_service.auth.keys import KeyRing
from cds_service.auth.parse import parse_token
from cds_service.auth.replay import ReplayMemory
from cds_service.errors import Unauthenticated
from cds_service.site import Issuer, Site

# Every word that Unauthenticated.reason may be
REASONS = frozenset(
    {
        "missing",  # no Authorization header, or none with a bearer token
        "too_long",
        "malformed",  # not three parts, not JSON, JSON that can be read in two ways
        "issuer",  # iss is not in the site file
        "tenant",
        "algorithm",
        "header",  # typ is not JWT, or crit is there
        "jku",  # another address of keys than the one in the site file
        "kid",
        "audience",  # not the address that was called
        "claims",  # exp, iat, nbf or jti missing or of the wrong type
        "lifetime",  # exp not after iat, or too long after it
        "expired",
        "not_yet",
        "subject",
        "unknown_key",  # the issuer has no such key for this algorithm
        "signature",
        "replay",  # the same jti was used before
    }
)

# Signatures alone: PyJWT's own claim checks leave more open than ours and would use another clock
_signatures = jwt.PyJWS(algorithms=sorted(ALGORITHMS), options={"enforce_minimum_key_length": True})


class Authenticator:
    """Holds the token of a call against the issuers of the site."""

    def __init__(self, site: Site, keys: KeyRing, replay: ReplayMemory, now: Callable[[], float]) -> None:
        """Take the site, the keys of its issuers, the memory of used tokens, and a clock in seconds since 1970."""
        self._issuers = site.issuers
        self._bases = tuple(url.rstrip("/") for url in site.public_urls)
        self._keys = keys
        self._replay = replay
        self._now = now

    def authenticate(self, authorization: str | None, *paths: str) -> Issuer:
        """Give the issuer that signed the token; `paths` are those whose address, under a public URL, aud may be.

        Raises Unauthenticated, or KeysUnavailable when there is no key to check with.
        """
        token = parse_token(authorization)
        issuer = choose_issuer(self._issuers, token.claims)
        algorithm, kid = check_header(token.header, issuer)
        addresses = [f"{base}{path}" for base in self._bases for path in paths]
        check_claims(token.claims, issuer, addresses, self._now())
        # Only now is anything fetched: for an issuer of the site, from the address in the site file
        key = self._keys.key(issuer, kid, algorithm)
        if key is None:
            raise Unauthenticated("unknown_key")
        try:
            _signatures.decode(token.text, key.public, algorithms=[algorithm])
        except jwt.PyJWTError:
            raise Unauthenticated("signature") from None
        if issuer.replay == "refuse":
            until = token.claims["exp"] + LEEWAY
            if not self._replay.is_new(issuer.issuer, token.claims["jti"], until):
                raise Unauthenticated("replay")
        return issuer

    def is_ready(self) -> bool:
        """Whether any token can be checked; tries to load the keys of issuers that have none yet."""
        return self._keys.load_missing()

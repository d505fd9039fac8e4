"""What a token says, held against the site file and the clock. Its signature is checked after all of this."""

from collections.abc import Iterable, Sequence
from typing import Any, TypeGuard

from cds_service.addresses import same_address
from cds_service.errors import Unauthenticated
from cds_service.site import Issuer

LEEWAY = 60  # seconds by which the clocks of issuer and service may differ
LONGEST_LIFE = 3_600  # seconds from iat to exp
_LONGEST_KID = 256
_LONGEST_JTI = 1_024


def choose_issuer(issuers: Iterable[Issuer], claims: dict[str, Any]) -> Issuer:
    """Find the issuer by iss, letter by letter, and by tenant where the site lists tenants.

    Raises Unauthenticated.
    """
    of_this_name = [issuer for issuer in issuers if issuer.issuer == claims.get("iss")]
    if not of_this_name:
        raise Unauthenticated("issuer")
    for issuer in of_this_name:
        if not issuer.tenants or claims.get("tenant") in issuer.tenants:
            return issuer
    raise Unauthenticated("tenant")


def check_header(header: dict[str, Any], issuer: Issuer) -> tuple[str, str]:
    """Give algorithm and key id of a header that this issuer may send; jwk, x5u and x5c are never looked at.

    Raises Unauthenticated.
    """
    if header.get("alg") not in issuer.algorithms:
        raise Unauthenticated("algorithm")
    kind = header.get("typ")
    # With crit or b64 a token asks to be read in another way than the usual one
    if not isinstance(kind, str) or kind.lower() != "jwt" or header.keys() & {"crit", "b64"}:
        raise Unauthenticated("header")
    if "jku" in header and (issuer.jku is None or header["jku"] != issuer.jku):
        raise Unauthenticated("jku")
    kid = header.get("kid")
    if not isinstance(kid, str) or not 0 < len(kid) <= _LONGEST_KID:
        raise Unauthenticated("kid")
    return header["alg"], kid


def check_claims(claims: dict[str, Any], issuer: Issuer, addresses: Sequence[str], now: float) -> None:
    """Check for whom the token is, that it is valid now, and about whom it speaks; `addresses` are ours.

    Raises Unauthenticated.
    """
    if not _is_for(claims.get("aud"), addresses, issuer.audiences):
        raise Unauthenticated("audience")
    exp, iat, nbf, jti = (claims.get(name) for name in ("exp", "iat", "nbf", "jti"))
    if not _is_whole(exp) or not _is_whole(iat) or ("nbf" in claims and not _is_whole(nbf)):
        raise Unauthenticated("claims")
    if not isinstance(jti, str) or not 0 < len(jti) <= _LONGEST_JTI:
        raise Unauthenticated("claims")
    if not 0 < exp - iat <= LONGEST_LIFE:
        raise Unauthenticated("lifetime")
    if exp <= now - LEEWAY:
        raise Unauthenticated("expired")
    if iat > now + LEEWAY or (_is_whole(nbf) and nbf > now + LEEWAY):
        raise Unauthenticated("not_yet")
    if issuer.subjects and claims.get("sub") not in issuer.subjects:
        raise Unauthenticated("subject")


def _is_for(audience: Any, addresses: Sequence[str], others: Sequence[str]) -> bool:
    if isinstance(audience, list) and len(audience) == 1:
        (audience,) = audience
    if not isinstance(audience, str):
        return False  # several audiences: whoever else is meant could use the token here
    return audience in others or any(same_address(audience, address) for address in addresses)


def _is_whole(value: Any) -> TypeGuard[int]:
    return type(value) is int  # True is an int too, but no time

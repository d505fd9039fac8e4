"""Takes a token apart without believing any of it: size, form, and JSON that can be read in one way only."""

import base64
import json
import re
from dataclasses import dataclass, field
from typing import Any

from cds_service.errors import Unauthenticated

LONGEST_TOKEN = 8_192
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class Token:
    """A token whose signature nobody has checked; no representation shows any of it."""

    text: str = field(repr=False)
    header: dict[str, Any] = field(repr=False)
    claims: dict[str, Any] = field(repr=False)


def parse_token(authorization: str | None) -> Token:
    """Read the value of the Authorization header.

    Raises Unauthenticated for all but a bearer token of three parts with two JSON objects.
    """
    if authorization is not None and len(authorization) > len("Bearer ") + LONGEST_TOKEN:
        raise Unauthenticated("too_long")
    scheme, _, text = (authorization or "").partition(" ")
    text = text.strip(" ")
    if scheme.lower() != "bearer" or not text:
        raise Unauthenticated("missing")
    if not _COMPACT.fullmatch(text):
        raise Unauthenticated("malformed")
    header, claims, _ = text.split(".")
    try:
        return Token(text, _json_object(header), _json_object(claims))
    except (ValueError, RecursionError):
        raise Unauthenticated("malformed") from None


def _json_object(part: str) -> dict[str, Any]:
    raw = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    value = json.loads(raw.decode("utf-8"), object_pairs_hook=_no_name_twice)
    if not isinstance(value, dict):
        raise ValueError("no object")
    # Finds NaN and infinite numbers, and in encode() the halves of surrogate pairs, at any depth
    json.dumps(value, allow_nan=False, ensure_ascii=False).encode("utf-8")
    return value


def _no_name_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Of two members with one name, one library reads the first and another the last
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a name stands twice")
    return members

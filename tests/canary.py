"""Words that every synthetic request carries and that must never come out: a patient's name, tokens, whole JWTs."""

import re
from collections.abc import Iterator

NAME = "Canaryfeather"  # the family name of every synthetic patient
ACCESS_TOKEN = "canary-in-a-token"  # noqa: S105 - made up

_SECRETS = re.compile(
    rf"{NAME}|{ACCESS_TOKEN}|canary-token"
    r"|eyJ[\w-]{8,}\.[\w-]{8,}"  # the beginning of any JWT
    r"|[Bb]earer +(?!<)\w[\w.~+/-]{7,}",
    re.ASCII,
)


def leaks(text: str) -> Iterator[str]:
    """Find what must not be in a text; a leak is told by its first letters, enough to look for it."""
    return (found[0][:12] for found in _SECRETS.finditer(text))

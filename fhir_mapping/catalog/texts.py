"""How names, codes and code systems are written alike before they are compared."""

import re
import tomllib
from functools import cache
from importlib import resources

_NOT_A_WORD = re.compile(r"[^0-9a-z]+")
_NDC_PARTS = 3
_NDC_LABELER, _NDC_PRODUCT, _NDC_PACKAGE = 5, 4, 2
_NDC_PREFIX = _NDC_LABELER + _NDC_PRODUCT
_NDC_FULL = _NDC_PREFIX + _NDC_PACKAGE
_NDC_UNPADDED = _NDC_FULL - 1


def read_text(name: str) -> str:
    """Read one file of this package's data."""
    return (resources.files("fhir_mapping.catalog") / name).read_text(encoding="utf-8")


@cache
def system_names() -> dict[str, str]:
    """Map every known URI or OID of a code system to its short name."""
    systems = tomllib.loads(read_text("recognition.toml"))["systems"]
    return {address: name for name, addresses in systems.items() for address in addresses}


@cache
def system_name(address: str) -> str:
    """Give the short name of a code system; an unknown one keeps its own address.

    Senders vary in scheme and trailing slash; both are forgiven.
    """
    known = system_names()
    plain = address.strip().rstrip("/")
    return known.get(plain) or known.get(plain.replace("https://", "http://", 1)) or plain


def words(text: str) -> tuple[str, ...]:
    """Split a text into lower-case words; hyphens, slashes and brackets separate like spaces."""
    return tuple(_NOT_A_WORD.sub(" ", text.casefold()).split())


def canonical_code(system: str, code: str) -> str:
    """Write a code as the table does: upper case, ICD without dot, NDC as its labeler and product digits."""
    plain = code.strip().upper()
    if system in {"icd10cm", "icd10pcs"}:
        return plain.replace(".", "")
    if system == "ndc":
        return _ndc_prefix(plain)
    return plain


def _ndc_prefix(code: str) -> str:
    """Give the nine labeler and product digits of an NDC written with or without hyphens.

    A bare ten-digit code could be padded in three places and stays as it is: see `possible_codes`.
    """
    parts = code.split("-")
    if len(parts) == 1:
        return code[:_NDC_PREFIX] if len(code) == _NDC_FULL and code.isdigit() else code
    if len(parts) <= _NDC_PARTS and all(part.isdigit() for part in parts):
        return parts[0].zfill(_NDC_LABELER) + parts[1].zfill(_NDC_PRODUCT)
    return code


def possible_codes(system: str, code: str) -> tuple[str, ...]:
    """Give the canonical code, or for a bare ten-digit NDC the three that it may stand for (4-4-2, 5-3-2, 5-4-1)."""
    plain = canonical_code(system, code)
    if system == "ndc" and len(plain) == _NDC_UNPADDED and plain.isdigit():
        labeler, product = plain[:_NDC_LABELER], plain[_NDC_LABELER : _NDC_PREFIX - 1]
        return (f"0{plain[: _NDC_PREFIX - 1]}", f"{labeler}0{product}", plain[:_NDC_PREFIX])
    return (plain,)


def has_phrase(text_words: tuple[str, ...], phrase: tuple[str, ...]) -> bool:
    """Whether the words of a phrase stand one after the other in a text."""
    length = len(phrase)
    return any(text_words[i : i + length] == phrase for i in range(len(text_words) - length + 1))

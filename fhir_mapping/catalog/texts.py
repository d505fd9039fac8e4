"""How names, codes and code systems are written alike before they are compared."""

import re
import tomllib
import unicodedata
from functools import cache, lru_cache
from importlib import resources

_NOT_A_WORD = re.compile(r"[^0-9a-z]+")
_CACHED_ADDRESSES = 4_096
_SCHEME = re.compile(r"^(?:https?://)?(?:www\.)?")
_OID = re.compile(r"^(?:urn:)?(?:oid:)?(\d+(?:\.\d+){4,})$")
_EDITION = re.compile(r"^(snomed\.info/sct)/.*$")
_DASHES = re.compile("[\u2010-\u2015\u2212\ufe58\ufe63\uff0d]")
# A code of Level I (CPT) or II, with modifiers: "J9380-JZ", "HC:38228:59"
_PROCEDURE = re.compile(r"^(?:HC:)?([0-9A-Z][0-9]{3}[0-9A-Z])(?:[\s:,-]+[0-9A-Z]{2})*$")
_WITH_TERM = re.compile(r"^(\d+)\s*\|.*$", re.DOTALL)
_NDC_LABEL = re.compile(r"^(?:NDC\W*|N4)(?=[\d*])")
_NDC_SEPARATOR = re.compile(r"[-\s]+")
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
def _plain_addresses() -> dict[str, str]:
    return {_plain_address(address): name for address, name in system_names().items()}


def _plain_address(address: str) -> str:
    """Cut an address down to what tells code systems apart: no scheme, case, version, edition or closing slash."""
    plain = address.strip().casefold().partition("|")[0].rstrip("/#")
    oid = _OID.match(plain)
    return oid[1] if oid else _EDITION.sub(r"\1", _SCHEME.sub("", plain))


@lru_cache(maxsize=_CACHED_ADDRESSES)
def system_name(address: str) -> str:
    """Give the short name of a code system; an unknown one keeps its own address.

    Senders vary in scheme, case and closing slash, in how they write an OID, and some add a version; all is forgiven.
    """
    return _plain_addresses().get(_plain_address(address)) or address.strip().rstrip("/")


def words(text: str) -> tuple[str, ...]:
    """Split a text into lower-case words; hyphens, slashes and brackets separate like spaces."""
    plain = text if text.isascii() else "".join(map(_plain_character, text))
    return tuple(_NOT_A_WORD.sub(" ", plain.casefold()).split())


def _plain_character(character: str) -> str:
    """Give a letter or digit without accent or width; what cannot be seen is nothing, all else separates."""
    if character.isascii():
        return character
    kind = unicodedata.category(character)
    if kind in {"Cf", "Mn"}:
        return ""  # soft hyphens, zero-width spaces, accents that stand alone
    if kind[0] != "L" and kind != "Nd":
        return " "  # also signs that would decompose into letters, such as the one for "trade mark"
    return "".join(c for c in unicodedata.normalize("NFKD", character) if unicodedata.category(c) != "Mn")


def code_system(system: str, code: str) -> str:
    """Give the system that a canonical code is of: senders file CPT, Level I of HCPCS, and Level II under both."""
    if system in {"hcpcs", "cpt"} and code:
        return "hcpcs" if code[0].isalpha() else "cpt"
    return system


def canonical_code(system: str, code: str) -> str:
    """Write a code as the table does: upper case, ICD without dot, NDC as its labeler and product digits."""
    plain = _DASHES.sub("-", code).strip().upper()
    match system:
        case "icd10cm" | "icd10pcs":
            return re.sub(r"[.\s]|-+$", "", plain)  # "C90.0-" stands for the category
        case "ndc":
            return _ndc_prefix(plain)
        case "hcpcs" | "cpt":
            return _PROCEDURE.sub(r"\1", plain)
        case "snomed":
            return _WITH_TERM.sub(r"\1", plain)
        case "atc":
            return re.sub(r"\s", "", plain)
        case "cvx":
            return plain.lstrip("0").zfill(2)
        case _:
            return plain


def _ndc_prefix(code: str) -> str:
    """Give the nine labeler and product digits of an NDC written with or without hyphens, "*" standing for a zero.

    A bare ten-digit code could be padded in three places and stays as it is: see `possible_codes`.
    """
    code = _NDC_LABEL.sub("", code).replace("*", "0")
    parts = _NDC_SEPARATOR.split(code)
    if len(parts) > _NDC_PARTS or not all(part.isdecimal() for part in parts):
        return code
    if len(parts) > 1:
        labeler, product = parts[0].lstrip("0").zfill(_NDC_LABELER), parts[1].lstrip("0").zfill(_NDC_PRODUCT)
        return labeler + product if len(labeler) == _NDC_LABELER and len(product) == _NDC_PRODUCT else code
    if len(code) == _NDC_FULL + 1 and code[0] == "0":  # the six-digit labeler of some pharmacy systems
        code = code[1:]
    return code[:_NDC_PREFIX] if len(code) == _NDC_FULL else code


def possible_codes(system: str, code: str) -> tuple[str, ...]:
    """Give the canonical code, or for a bare ten-digit NDC the three that it may stand for (4-4-2, 5-3-2, 5-4-1)."""
    plain = canonical_code(system, code)
    if system == "ndc" and len(plain) == _NDC_UNPADDED and plain.isdecimal():
        labeler, product = plain[:_NDC_LABELER], plain[_NDC_LABELER : _NDC_PREFIX - 1]
        return (f"0{plain[: _NDC_PREFIX - 1]}", f"{labeler}0{product}", plain[:_NDC_PREFIX])
    return (plain,)


def has_phrase(text_words: tuple[str, ...], phrase: tuple[str, ...]) -> bool:
    """Whether the words of a phrase stand one after the other in a text."""
    length = len(phrase)
    return any(text_words[i : i + length] == phrase for i in range(len(text_words) - length + 1))

"""Elements that were kept raw and are not sound: whatever can be read in them, part by part, and what could not.

A number where a text belongs is that text, a bare text in place of a concept or a dosage is its text, and one object
where a list belongs is a list of one; nothing is lost by these. Any other part that does not fit is left out.
"""

from functools import lru_cache
from typing import NamedTuple

from msgspec import UNSET, Raw, UnsetType

from fhir_mapping import wire

_LONGEST_NAME = 2_000  # characters, as of `wire.Name`
_LONGEST_NUMBER = 100
_LONGEST_CACHED = 2_000
_CACHED_INGREDIENTS = 1_024


class Concepts(NamedTuple):
    """The concepts of an element that could be read; `is_whole` is false where some part of it could not."""

    read: tuple[wire.Concept, ...] = ()
    is_whole: bool = True


def concepts_in(raw: Raw | UnsetType) -> Concepts:
    """Read an element that holds one CodeableConcept or a list of them."""
    if raw is UNSET:
        return Concepts()
    several = wire.decode(raw, tuple[wire.Concept, ...])
    if several is not None:
        return Concepts(several)
    members = [_concept(member) for member in wire.members_of(raw)]
    return Concepts(tuple(concept for concept, _ in members if concept is not None), all(whole for _, whole in members))


def dosages_in(raw: Raw | UnsetType) -> tuple[wire.Dosage, ...]:
    """Read one dosage or a list of them; each says which of its parts could not be read."""
    if raw is UNSET:
        return ()
    several = wire.decode(raw, tuple[wire.Dosage, ...])
    return tuple(map(_dosage, wire.members_of(raw))) if several is None else several


def ingredients_in(raw: Raw) -> tuple[tuple[wire.Coding, ...], bool]:
    """List the codings of the ingredients of a Medication, a text as the display of one, and say whether that is all.

    An ingredient that is only referred to is passed over.
    """
    # Many records of a chart refer to one Medication
    return _ingredients(bytes(raw)) if len(raw) <= _LONGEST_CACHED else _ingredients.__wrapped__(bytes(raw))


@lru_cache(maxsize=_CACHED_INGREDIENTS)
def _ingredients(raw: bytes) -> tuple[tuple[wire.Coding, ...], bool]:
    codings: list[wire.Coding] = []
    is_whole = True
    for member in wire.members_of(Raw(raw)):
        parts = wire.decode(member, dict[str, Raw])
        found = concepts_in((parts or {}).get("itemCodeableConcept", UNSET))
        is_whole = is_whole and parts is not None and found.is_whole
        for concept in found.read:
            codings += concept.coding
            if concept.text and all(concept.text != coding.display for coding in concept.coding):
                codings.append(wire.Coding(display=concept.text))
    return tuple(codings), is_whole


def _concept(raw: Raw) -> tuple[wire.Concept | None, bool]:
    sound = wire.decode(raw, wire.Concept)
    if sound is not None:
        return sound, True
    bare, is_text = _text(raw)
    if is_text:
        return wire.Concept(text=bare), True
    parts = wire.decode(raw, dict[str, Raw])
    if parts is None:
        return None, False
    text, has_text = _text(parts.get("text"))
    codings = [_coding(member) for member in wire.members_of(parts.get("coding", UNSET))]
    found = tuple(coding for coding, _ in codings if coding is not None)
    is_whole = has_text and all(whole for _, whole in codings)
    return (wire.Concept(found, text) if found or text else None), is_whole


def _coding(raw: Raw) -> tuple[wire.Coding | None, bool]:
    parts = wire.decode(raw, dict[str, Raw])
    if parts is None:
        return None, False
    (system, has_system), (code, has_code), (display, has_display) = (
        _text(parts.get(name)) for name in ("system", "code", "display")
    )
    if has_system and has_code:
        return wire.Coding(system, code, display), has_display
    return (wire.Coding(display=display) if display else None), False  # a code without its system is another one


def _dosage(raw: Raw) -> wire.Dosage:
    sound = wire.decode(raw, wire.Dosage)
    if sound is not None:
        return sound
    bare = wire.decode(raw, str)
    if bare is not None:
        return wire.Dosage(bare)
    parts = wire.decode(raw, dict[str, Raw])
    if parts is None:
        return wire.Dosage(unread=("text", "route", "timing"))
    text, has_text = _text(parts.get("text"), longest=len(raw))
    route = concepts_in(parts.get("route", UNSET))
    timing = wire.decode(parts.get("timing", UNSET), wire.Timing)
    lost = {
        "text": not has_text,
        "route": not route.is_whole or len(route.read) > 1,
        "timing": timing is None and bool(wire.members_of(parts.get("timing", UNSET))),
    }
    unread = tuple(part for part, is_lost in lost.items() if is_lost)
    return wire.Dosage(text, route.read[0] if route.read else None, timing, unread)


def _text(raw: Raw | None, longest: int = _LONGEST_NAME) -> tuple[str | None, bool]:
    """Read a text, or a number in its place as it is written, and say whether it could be read."""
    if raw is None or wire.is_null(raw):
        return None, True
    text = wire.decode(raw, str)
    if text is None and len(raw) <= _LONGEST_NUMBER and wire.decode(raw, float) is not None:
        text = bytes(raw).decode()
    return (text, True) if text is not None and len(text) <= longest else (None, False)

"""Rescues a resource of which one element is not as FHIR R4 has it: cut the element out, and decode once more.

A number where a text belongs becomes that text, and a list of one becomes what it holds; nothing is lost by either.
A bare text in place of a concept becomes its text. Any other element that does not fit is cut out, and the resource
is marked as pruned: readers then take what it states for possible only. What can turn the meaning of a resource round
is never cut out; the whole resource is then lost.
"""

import re
from typing import Any

import msgspec
from msgspec import Raw

from fhir_mapping import wire

_MOST_FAULTS = 8  # a resource with more is not worth guessing at
_LOCATED = re.compile(r" - at `\$([^`]*)`$")
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]")
# Cut out, these would make another statement of the resource
_TURNING = frozenset(
    {
        "resourceType",
        "clinicalStatus",
        "doNotPerform",
        "implicitRules",
        "individual",
        "intent",
        "notDone",
        "notGiven",
        "notPerformed",
        "participant",
        "patient",
        "status",
        "subject",
        "taken",
        "verificationStatus",
        "wasNotGiven",
        "wasNotTaken",
    }
)

# STU3 has a code where R4 has a concept; as the text of a concept it says the same
_STATUSES = frozenset({"clinicalStatus", "verificationStatus"})
# What some senders write in place of a concept is a name, or a code of a system that nobody tells
_NAMES = frozenset({"code", "form", "medicationCodeableConcept", "topic", "type", "vaccineCode"})
_IS_TEXT = "Expected `str"
_MUST_BE_ABSENT = "Expected `null`,"  # a member of R5 alone, where the drug or the day stands then

_Path = tuple[str | int, ...]


class _Kind(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    resource_type: str | None = None


_kind = msgspec.json.Decoder(_Kind)
_resource: "msgspec.json.Decoder[wire.Resource]" = msgspec.json.Decoder(wire.Resource)


def kind_of(raw: Raw | bytes) -> str:
    """Give the type that a resource says it has; "" where it does not."""
    try:
        return _kind.decode(raw).resource_type or ""
    except wire.UNREADABLE:
        return ""


def repaired(raw: Raw | bytes) -> wire.Resource | None:
    """Decode one resource, without the elements that do not fit; None when it cannot be rescued."""
    try:
        return _resource.decode(raw)
    except msgspec.ValidationError as fault:
        return _without_faults(raw, fault)
    except wire.UNREADABLE:
        return None


def _without_faults(raw: Raw | bytes, fault: msgspec.ValidationError) -> wire.Resource | None:
    try:
        tree = msgspec.json.decode(raw)
    except wire.UNREADABLE:
        return None
    if not isinstance(tree, dict):
        return None
    for _ in range(_MOST_FAULTS):
        if str(fault).startswith(_MUST_BE_ABSENT):
            return None
        if not _mended(tree, _path_of(fault), wants_text=str(fault).startswith(_IS_TEXT)):
            return None
        try:
            return _resource.decode(msgspec.json.encode(tree))
        except msgspec.ValidationError as next_fault:
            fault = next_fault
        except wire.UNREADABLE:
            return None
    return None


def _path_of(fault: msgspec.ValidationError) -> _Path:
    located = _LOCATED.search(str(fault))
    steps = _STEP.findall(located[1]) if located else ()
    return tuple(name or int(index) for name, index in steps)


def _mended(tree: dict[str, Any], path: _Path, *, wants_text: bool) -> bool:
    """Mend the element at the end of a path, or cut it out; False where neither may be done."""
    holder = _holder_of(tree, path)
    if holder is None:
        return False
    last = path[-1]
    value = holder[last]
    if wants_text and isinstance(value, int | float) and not isinstance(value, bool):
        holder[last] = str(value)
        return not _is_turning(path)
    if isinstance(value, str) and len(path) == 1 and last in _STATUSES | _NAMES:
        holder[last] = {"text": value}
        if last in _NAMES:
            tree["implicitRules"] = wire.PRUNED
        return True
    if isinstance(value, list) and len(value) == 1:
        holder[last] = value[0]
        return True
    if _is_turning(path):
        return False
    del holder[last]
    tree["implicitRules"] = wire.PRUNED
    return True


def _holder_of(tree: dict[str, Any], path: _Path) -> Any:
    """Find the object or list that holds the last element of a path; None where the path leads nowhere."""
    if not path:
        return None
    here: Any = tree
    for step in path[:-1]:
        try:
            here = here[step]
        except (KeyError, IndexError, TypeError):
            return None
    holds = (isinstance(here, dict) and path[-1] in here) or (
        isinstance(here, list) and isinstance(path[-1], int) and path[-1] < len(here)
    )
    return here if holds else None


def _is_turning(path: _Path) -> bool:
    return path[0] in _TURNING

"""Decodes what a prefetch key or a search gave, a Bundle or a single resource, into one pile of resources.

A whole Bundle is decoded in one pass when it is sound; else entry by entry, so that one bad entry costs itself alone,
and not even itself where the fault can be cut out.
"""

from collections.abc import Iterable, Sequence

import msgspec
from msgspec import UNSET, Raw, UnsetType

from fhir_mapping import wire
from fhir_mapping.repair import kind_of, repaired


class _Link(msgspec.Struct, frozen=True, gc=False):
    relation: str | None = None
    url: str | None = None


class Found(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """One entry: a decoded resource, and the address that other entries may refer to it by."""

    resource: wire.Resource
    full_url: str | None = None


class Bundle(msgspec.Struct, frozen=True, gc=False, tag_field="resourceType", tag=True):
    """A Bundle of which every entry could be decoded."""

    entry: tuple[Found, ...] = ()
    link: tuple[_Link, ...] = ()
    total: int | None = None


class _RawBundle(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    resource_type: Raw | UnsetType = UNSET
    entry: Raw | UnsetType = UNSET
    link: Raw | UnsetType = UNSET
    total: Raw | UnsetType = UNSET


class _RawEntry(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    resource: Raw | UnsetType = UNSET
    full_url: Raw | UnsetType = UNSET


Value = Bundle | wire.Resource  # what a prefetch key may hold, besides null

_value: "msgspec.json.Decoder[Value]" = msgspec.json.Decoder(Value)
_NO_MEMBERS = _RawEntry()


class Pile(msgspec.Struct, frozen=True, gc=False):
    """The resources of one prefetch value or search answer; an empty one that is whole says "none on record".

    `unreadable` lists the resource type of each entry that was lost ("" when not even that could be read),
    `other_types` those that no reader uses; `is_whole` is false for a resource on its own, and when more is on the
    page at `next_link` ("" when it names none). `total` is how many matches the sender says there are; `was_pruned`
    tells that some resource was read without one of its elements.
    """

    found: tuple[Found, ...] = ()
    unreadable: tuple[str, ...] = ()
    other_types: tuple[str, ...] = ()
    is_whole: bool = True
    is_single: bool = False
    next_link: str | None = None
    total: int | None = None
    was_pruned: bool = False

    @property
    def entries(self) -> int:
        """How many entries were sent, whatever became of them."""
        return len(self.found) + len(self.unreadable) + len(self.other_types)


def together(piles: Sequence[Pile]) -> Pile:
    """Put the pages of one search together; whole when the last one ends them."""
    if len(piles) == 1:
        return piles[0]
    last = piles[-1]
    total = max((pile.total for pile in piles if pile.total is not None), default=None)
    return Pile(
        found=tuple(item for pile in piles for item in pile.found),
        unreadable=tuple(kind for pile in piles for kind in pile.unreadable),
        other_types=tuple(kind for pile in piles for kind in pile.other_types),
        is_whole=last.next_link is None,
        next_link=last.next_link,
        total=total,
        was_pruned=any(pile.was_pruned for pile in piles),
    )


def decode_pile(raw: Raw | bytes) -> Pile | None:
    """Decode a Bundle, with or without a type, or a single resource; None when it is neither."""
    try:
        return pile_of(_value.decode(raw))
    except wire.UNREADABLE:
        return _decode_entry_by_entry(raw)


def pile_of(value: Value) -> Pile:
    """Make a pile of what was decoded in one go.

    A single resource stands for itself alone, so its pile is not whole unless it is a Patient.
    """
    if not isinstance(value, Bundle):
        return Pile((Found(value),), is_whole=isinstance(value, wire.Patient), is_single=True)
    next_link = _next_link(value.link) if value.link else None
    return Pile(value.entry, is_whole=next_link is None, next_link=next_link, total=value.total)


def _decode_entry_by_entry(raw: Raw | bytes) -> Pile | None:
    bundle = wire.decode(Raw(raw), _RawBundle)
    if bundle is None:
        return None
    kind = wire.decode(bundle.resource_type, str)
    if kind != "Bundle" and (bundle.resource_type is not UNSET or bundle.entry is UNSET):
        single = repaired(raw)
        return None if single is None else msgspec.structs.replace(pile_of(single), was_pruned=single.was_pruned)
    entries = _entries_of(bundle)
    if entries is None:
        return None
    found, unreadable, other_types = _sorted_out(entries)
    links = () if bundle.link is UNSET else wire.decode(bundle.link, tuple[_Link, ...])
    total = wire.decode(bundle.total, int)
    is_framed = links is not None and (bundle.total is UNSET or total is not None or wire.is_null(bundle.total))
    # A frame that cannot be read may have named another page
    next_link = _next_link(links) if is_framed and links is not None else ""
    return Pile(
        tuple(found),
        tuple(unreadable),
        tuple(other_types),
        is_whole=next_link is None,
        next_link=next_link,
        total=total,
        was_pruned=any(item.resource.was_pruned for item in found),
    )


def _entries_of(bundle: _RawBundle) -> tuple[Raw, ...] | None:
    """Give the entries, also a single one that does not stand in a list; None for anything else."""
    if bundle.entry is UNSET:
        return ()
    entries = wire.decode(bundle.entry, tuple[Raw, ...])
    if entries is not None:
        return entries
    single = wire.decode(bundle.entry, _RawEntry)
    return (bundle.entry,) if single is not None and single.resource is not UNSET else None


def _sorted_out(entries: Iterable[Raw]) -> tuple[list[Found], list[str], list[str]]:
    """Give the resources that could be read, and the types of those that were lost, and of those nobody reads."""
    found: list[Found] = []
    unreadable: list[str] = []
    other_types: list[str] = []
    for raw in entries:
        entry = wire.decode(raw, _RawEntry) or _NO_MEMBERS
        if entry.resource is UNSET:
            unreadable.append("")
            continue
        kind = kind_of(entry.resource)
        if kind and kind != "Bundle" and kind not in wire.TYPES:
            other_types.append(kind)
        elif (resource := repaired(entry.resource)) is not None:
            found.append(Found(resource, wire.decode(entry.full_url, str)))
        else:
            unreadable.append(kind if kind in wire.TYPES else "")  # a Bundle in a Bundle may hold anything
    return found, unreadable, other_types


def _next_link(links: tuple[_Link, ...]) -> str | None:
    return next((link.url or "" for link in links if link.relation == "next"), None)

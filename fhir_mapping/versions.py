"""Newest version of each resource first, then whatever was entered in error is removed."""

from collections.abc import Callable, Iterable
from datetime import datetime
from itertools import filterfalse, groupby
from operator import attrgetter

import msgspec

from fhir_mapping import wire
from fhir_mapping.model.history import DataGap, GapCode

_IN_ERROR = "entered-in-error"
_VERIFIED = frozenset({wire.Condition, wire.AllergyIntolerance})
_ID, _STATUS = attrgetter("id"), attrgetter("status")
_LONGEST_ID = 64  # characters that FHIR allows in a version id


def current(resources: Iterable[wire.Resource], gaps: list[DataGap]) -> list[wire.Resource]:
    """Keep what stands: the newest version of each id, unless it was entered in error.

    Versions that cannot be put in order are all dropped when one of them was entered in error, and all kept
    otherwise; either way a gap says so. Resources that share a name, or have none, come in an order of their own.
    """
    resources = list(resources)
    ids = {*map(_ID, resources)}
    if len(ids) == len(resources) and None not in ids:
        return _not_in_error(resources)
    if len({(type(resource), resource.id) for resource in resources if resource.id is not None}) == len(resources):
        return _not_in_error(resources)
    first: dict[tuple[type, str], wire.Resource] = {}
    several: dict[tuple[type, str], list[wire.Resource]] = {}
    nameless: list[wire.Resource] = []
    for resource in resources:
        if resource.id is None:
            nameless.append(resource)
            continue
        key = (type(resource), resource.id)
        known = first.setdefault(key, resource)
        if known is not resource:
            several.setdefault(key, [known]).append(resource)
    kept = sorted(nameless, key=msgspec.json.encode)
    for key, versions in several.items():
        del first[key]
        newest = _newest(versions)
        if len(newest) > 1:
            gaps.append(DataGap(GapCode.VERSION_CONFLICT, type(newest[0]).__name__))
            if any(is_in_error(version) for version in newest):
                continue
        kept += newest
    kept += first.values()
    return _not_in_error(kept)


def _not_in_error(resources: list[wire.Resource]) -> list[wire.Resource]:
    if _IN_ERROR in map(_STATUS, resources):
        resources = [resource for resource in resources if resource.status != _IN_ERROR]
    kept: list[wire.Resource] = []
    for kind, run in groupby(resources, key=type):
        kept += _not_taken_back(kind, run)
    return kept


def _not_taken_back(kind: type, resources: Iterable[wire.Resource]) -> Iterable[wire.Resource]:
    # Only some types say it elsewhere than in their status
    return filterfalse(is_in_error, resources) if kind in _VERIFIED else resources


def is_in_error(resource: wire.Resource) -> bool:
    """Whether a resource takes itself back, by its status or its verification status."""
    if resource.status == _IN_ERROR:
        return True
    if type(resource) is wire.Condition or type(resource) is wire.AllergyIntolerance:
        verification = resource.verification_status
        return verification is not None and (
            verification.text == _IN_ERROR or any(c.code == _IN_ERROR for c in verification.coding)
        )
    return False


def _newest(versions: list[wire.Resource]) -> list[wire.Resource]:
    """Pick the newest by version number, then by time; several where these do not tell, each content once."""
    if len(versions) == 1:
        return versions
    versions = _latest_by(_last_updated, _latest_by(_version_number, versions))
    by_content = {msgspec.json.encode(version): version for version in versions}
    return [by_content[content] for content in sorted(by_content)]


def _latest_by(rank: Callable[[wire.Resource], float | None], versions: list[wire.Resource]) -> list[wire.Resource]:
    ranks = [rank(version) for version in versions]
    known = [number for number in ranks if number is not None]
    if len(known) < len(ranks):
        return versions
    highest = max(known)
    return [version for version, number in zip(versions, ranks, strict=True) if number == highest]


def _version_number(resource: wire.Resource) -> int | None:
    meta = wire.decode(resource.meta, wire.Meta)
    number = meta.version_id if meta else None
    if isinstance(number, int):
        return number
    if number is None or len(number) > _LONGEST_ID or not number.isdecimal():
        return None
    return int(number)


def _last_updated(resource: wire.Resource) -> float | None:
    try:
        meta = wire.decode(resource.meta, wire.Meta)
        moment = datetime.fromisoformat((meta and meta.last_updated) or "")
    except ValueError:
        return None
    return moment.timestamp() if moment.tzinfo is not None else None

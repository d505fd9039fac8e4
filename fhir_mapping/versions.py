"""Newest version of each resource first, then whatever was entered in error is removed."""

from collections.abc import Iterable

from fhir_mapping import wire
from fhir_mapping.model.history import DataGap, GapCode

_IN_ERROR = "entered-in-error"


def current(resources: Iterable[wire.Resource], gaps: list[DataGap]) -> list[wire.Resource]:
    """Keep what stands: the newest version of each id, unless it was entered in error.

    Versions that cannot be put in order are all dropped when one of them was entered in error, and all kept
    otherwise; either way a gap says so.
    """
    newest: dict[tuple[str, str], list[wire.Resource]] = {}
    kept: list[wire.Resource] = []
    for resource in resources:
        if resource.id is None:
            kept.append(resource)
            continue
        key = (type(resource).__name__, resource.id)
        known = newest.get(key)
        newest[key] = [resource] if known is None else _newer(known, resource)
    for versions in newest.values():
        if len(versions) > 1:
            gaps.append(DataGap(GapCode.VERSION_CONFLICT, type(versions[0]).__name__))
            if any(is_in_error(version) for version in versions):
                continue
        kept += versions
    return [resource for resource in kept if not is_in_error(resource)]


def is_in_error(resource: wire.Resource) -> bool:
    """Whether a resource takes itself back, by its status or its verification status."""
    if resource.status == _IN_ERROR:
        return True
    if isinstance(resource, wire.Condition | wire.AllergyIntolerance):
        verification = resource.verification_status
        return verification is not None and (
            verification.text == _IN_ERROR or any(c.code == _IN_ERROR for c in verification.coding)
        )
    return False


def _newer(known: list[wire.Resource], resource: wire.Resource) -> list[wire.Resource]:
    if resource in known:
        return known
    order = [_compare(other, resource) for other in known]
    if any(answer is None for answer in order):
        return [*known, resource]
    return [resource] if all(answer for answer in order) else known


def _compare(old: wire.Resource, new: wire.Resource) -> bool | None:
    """Whether `new` is the later version; None when their versions do not tell."""
    if old.meta is None or new.meta is None:
        return None
    a, b = old.meta.version_id, new.meta.version_id
    if a is not None and b is not None and a != b and a.isdecimal() and b.isdecimal():
        return int(b) > int(a)
    a, b = old.meta.last_updated, new.meta.last_updated
    return b > a if a and b and a != b and len(a) == len(b) and a[-1] == b[-1] else None

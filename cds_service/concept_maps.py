"""A site's own codes: FHIR R4 ConceptMaps, held to the standard and to the catalogue before the service starts."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from cds_service.errors import SettingsError
from fhir_mapping.catalog.loader import Catalog
from fhir_mapping.catalog.loader import load as load_catalog
from fhir_mapping.catalog.site_map import CONCEPT_SYSTEM, OTHER_DRUG, Entry, faults_of, with_entries

LARGEST_MAP = 5_000_000  # bytes; 20,000 codes need less than half of it

# What FHIR R4 lets a map say of a target: that it is the same or wider is safe, a wider one being the ingredient of a
# strength; whatever is narrower, or only like it, would claim more than the local code does
_APPLIED = frozenset({"equal", "equivalent", "wider", "subsumes"})
_NO_MATCH = frozenset({"unmatched", "disjoint"})
_TOO_LOOSE = frozenset({"relatedto", "narrower", "specializes", "inexact"})

# What FHIR lets a map say beyond one code for another: it must not be passed over
_NOT_UNDERSTOOD = ("implicitRules", "modifierExtension", "dependsOn", "product", "unmapped")


class Fault(NamedTuple):
    """What is wrong, and where; `value` is what stands there, for the eyes of whoever keeps the map."""

    place: str
    what: str
    value: str = ""


@dataclass(frozen=True, slots=True)
class ConceptMapFile:
    """One file: the entries that it maps, how many it leaves open, and its own faults."""

    entries: tuple[Entry, ...] = ()
    left_open: int = 0
    faults: tuple[Fault, ...] = ()
    is_draft: bool = False


def read_concept_map(path: Path, name: str = "") -> ConceptMapFile:
    """Read one ConceptMap by itself; places begin with `name`."""
    content = _content(path)
    if isinstance(content, str):
        return ConceptMapFile(faults=(Fault(name or "file", content),))
    faults = [Fault(_at(name, place), what) for place, what in _against_the_standard(content)]
    entries: list[Entry] = []
    left_open = 0
    for found in _walk(content, name):
        if isinstance(found, Entry):
            entries.append(found)
        elif isinstance(found, Fault):
            faults.append(found)
        else:
            left_open += 1
    if not entries and not faults:
        faults.append(Fault(name or "file", "maps no code"))
    return ConceptMapFile(tuple(entries), left_open, tuple(faults), content.get("status") == "draft")


def catalog_with(paths: Sequence[Path], names: Sequence[str] = ()) -> tuple[Catalog, list[Fault]]:
    """Give the shipped catalogue with the codes of some maps, or as it is with every fault of all of them."""
    catalog = load_catalog()
    if not paths:
        return catalog, []
    names = names or [path.name for path in paths]
    files = [read_concept_map(path, name) for path, name in zip(paths, names, strict=True)]
    faults = [fault for file in files for fault in file.faults]
    places: dict[Path, str] = {}
    for path, name in zip(paths, names, strict=True):
        if (first := places.setdefault(path.resolve(), name)) != name:
            faults.append(Fault(name, f"the same file as {first}"))
    entries = [entry for file in files for entry in file.entries]
    faults += (Fault(e.place, what, f"{e.code} -> {e.concept}") for e, what in faults_of(catalog, entries))
    return (catalog, faults) if faults else (with_entries(catalog, entries), [])


def site_faults(paths: Sequence[Path]) -> list[str]:
    """Say what is wrong with the maps of a site file, without a word of what stands in them."""
    return [f"site file, {fault.place}: {fault.what}" for fault in catalog_with(paths, _names(paths))[1]]


def site_catalog(paths: Sequence[Path]) -> Catalog:
    """Give the catalogue of a site.

    Raises SettingsError with every fault of its maps.
    """
    catalog, faults = catalog_with(paths, _names(paths))
    if faults:
        raise SettingsError(f"site file, {fault.place}: {fault.what}" for fault in faults)
    return catalog


def _names(paths: Sequence[Path]) -> list[str]:
    return [f"concept_maps[{number}]" for number in range(len(paths))]


def _content(path: Path) -> dict[str, Any] | str:
    """Read a file as far as to a ConceptMap; a text says why that is not possible."""
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_MAP + 1)
        if len(raw) > LARGEST_MAP:
            return f"larger than {LARGEST_MAP // 1_000_000} MB"
        content = json.loads(raw.decode("utf-8-sig"))
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    except (ValueError, RecursionError):
        return "is no JSON in UTF-8"
    is_map = isinstance(content, dict) and content.get("resourceType") == "ConceptMap"
    return content if is_map else "is no FHIR ConceptMap"


def _against_the_standard(content: dict[str, Any]) -> Iterator[tuple[str, str]]:
    # Loaded only where there is a map: the models of FHIR take longer to import than all of the service's tables
    from fhir.resources.R4B.conceptmap import ConceptMap

    try:
        ConceptMap.model_validate(content)
    except ValidationError as error:
        for found in error.errors(include_input=False, include_url=False):
            place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in found["loc"])
            yield place.lstrip("."), " ".join(found["msg"].split())


def _walk(content: dict[str, Any], name: str) -> Iterator[Entry | Fault | None]:
    """Go through a map as it stands, sound or not; None is a code that the site has left open."""
    yield from _not_understood(content, name)
    if content.get("status") == "retired":
        yield Fault(_at(name, "status"), "a retired map is not applied")
    for group, place in _parts(content, "group", name):
        yield from _not_understood(group, place)
        source = group.get("source")
        if not isinstance(source, str) or not source.strip():
            yield Fault(_at(place, "source"), "needs the system of the local codes")
        elif "|" in source:
            yield Fault(_at(place, "source"), "needs the system alone, without a version")
        if group.get("target") != CONCEPT_SYSTEM:
            yield Fault(_at(place, "target"), f"must be {CONCEPT_SYSTEM}")
        for element, where in _parts(group, "element", place):
            yield from _walk_element(element, source if isinstance(source, str) else "", where)


def _walk_element(element: dict[str, Any], source: str, place: str) -> Iterator[Entry | Fault | None]:
    yield from _not_understood(element, place)
    code = element.get("code")
    if not isinstance(code, str) or not code.strip():
        yield Fault(_at(place, "code"), "needs the local code")
        return
    targets = list(_parts(element, "target", place))
    if not targets:
        yield None
    for target, where in targets:
        yield from _not_understood(target, where)
        found = _judged(target, Entry(source, code, str(target.get("code") or ""), place), where)
        # Without its system a code is nothing, which has been said once for the whole group
        if source or not isinstance(found, Entry):
            yield found


def _judged(target: dict[str, Any], entry: Entry, place: str) -> Entry | Fault | None:
    """Say whether a target is applied, left open, or a fault."""
    equivalence, value = target.get("equivalence"), f"{entry.code} -> {entry.concept}"
    if not isinstance(equivalence, str):
        return None  # the standard has refused it
    if equivalence in _APPLIED:
        return entry if entry.concept else Fault(place, "names no concept", value)
    if equivalence in _NO_MATCH:
        if entry.concept == OTHER_DRUG:
            return entry
        said = "names a concept and says that it does not match: make it equivalent or wider, or leave the code out"
        return Fault(place, said, value) if entry.concept else None
    if equivalence in _TOO_LOOSE:
        return Fault(place, "is too loose to be applied: only equal, equivalent, wider and subsumes are", value)
    return Fault(place, "has no equivalence of FHIR R4", value)


def _not_understood(part: dict[str, Any], place: str) -> Iterable[Fault]:
    return [
        Fault(_at(place, key), "is not supported and may not be passed over") for key in _NOT_UNDERSTOOD if key in part
    ]


def _parts(holder: dict[str, Any], key: str, place: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Give the objects of a list with their places; whatever is no list of objects, the standard has refused."""
    found = holder.get(key)
    for number, part in enumerate(found if isinstance(found, list) else ()):
        if isinstance(part, dict):
            yield part, _at(place, f"{key}[{number}]")


def _at(place: str, part: str) -> str:
    return ".".join(filter(None, (place, part)))

"""What a FHIR server says of itself, held against what the service asks for."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs

import msgspec

from fhir_mapping import wire
from fhir_mapping.needs import Search


class _Interaction(msgspec.Struct):
    code: str = ""


class _Parameter(msgspec.Struct):
    name: str = ""


class _Resource(msgspec.Struct, rename="camel"):
    type: str = ""
    interaction: tuple[_Interaction, ...] = ()
    search_param: tuple[_Parameter, ...] = ()


class _Rest(msgspec.Struct):
    mode: str = "server"
    resource: tuple[_Resource, ...] = ()


class _Statement(msgspec.Struct, rename="camel"):
    fhir_version: str = ""
    rest: tuple[_Rest, ...] = ()


_R4 = re.compile(r"4\.[013](?:\.\d+)?")  # R4, and R4B, which differs in nothing that is read
# Any type can be asked for by _id, sorted and counted, and many servers do not list what all of them have
_OF_ANY_TYPE = frozenset({"_id", "_sort", "_count"})
_ANY_VERSION = re.compile(r"\d+(?:\.\d+){0,2}")


@dataclass(frozen=True, slots=True)
class Capability:
    """What a CapabilityStatement says: the version, a word on each resource type, what is missing, and remarks."""

    version: str = ""
    said: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def capability_of(document: bytes, wanted: Mapping[str, Search]) -> Capability:
    """Hold a CapabilityStatement against our searches."""
    try:
        statement = msgspec.json.decode(document, type=_Statement)
    except wire.UNREADABLE:
        return Capability(missing=("CapabilityStatement: not readable as JSON",))
    version = statement.fhir_version if _ANY_VERSION.fullmatch(statement.fhir_version) else ""
    missing = [] if _R4.fullmatch(version) else [f"FHIR version R4: the server says {version or 'something else'}"]
    offered = {r.type: r for rest in statement.rest if rest.mode == "server" for r in rest.resource}
    lacking: dict[str, dict[str, None]] = {}  # in the order of the searches, each fault once
    for search in wanted.values():
        found = _lacking(offered.get(search.resource_type), search.query)
        lacking.setdefault(search.resource_type, {}).update(dict.fromkeys(found))
    missing += [f"{kind}: {what}" for kind, found in lacking.items() for what in found]
    lacking["Medication"] = dict.fromkeys(_lacking(offered.get("Medication"), "Medication?_id="))
    said = {kind: f"lacks {', '.join(found)}" if found else "ok" for kind, found in lacking.items()}
    unnamed = "Medication cannot be looked up: drugs that records only refer to stay unnamed"
    return Capability(version, said, tuple(missing), (unnamed,) if lacking["Medication"] else ())


def _lacking(resource: _Resource | None, query: str) -> list[str]:
    """Say what a resource type lacks for one of our queries; a server need not list its interactions."""
    if resource is None:
        return ["the resource type"]
    interaction = "search-type" if "?" in query else "read"
    codes = {i.code for i in resource.interaction}
    lacking = [f"interaction {interaction}"] if codes and interaction not in codes else []
    offered = {parameter.name for parameter in resource.search_param}
    parameters = parse_qs(query.partition("?")[2], keep_blank_values=True)
    return lacking + [f"search parameter {name}" for name in parameters if name not in offered | _OF_ANY_TYPE]

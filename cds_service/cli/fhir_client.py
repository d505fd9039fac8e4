"""Reading from a FHIR server for `mmcds probe`: bounded, and in our own words alone where something fails."""

import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qs, quote

import msgspec
import requests

from cds_service.addresses import Base, under
from cds_service.settings import unix_time
from cds_service.site import Limits
from fhir_mapping import wire
from fhir_mapping.needs import Search
from fhir_mapping.readers.context import local_reference

DRUG_RECORDS = (wire.MedicationStatement, wire.MedicationRequest, wire.MedicationAdministration)

_PATIENT = "{{context.patientId}}"
_PER_PAGE = 200
_IDS_PER_SEARCH = 50
_OK = 200
_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Answer:
    """What one request gave; `problem` is one of our own words, never the server's."""

    problem: str
    body: bytes
    milliseconds: float
    skew_seconds: float | None = None


@dataclass(slots=True)
class Server:
    """The FHIR server that is probed."""

    base: Base
    session: requests.Session
    timeout: float

    def get(self, url: str) -> Answer:
        """Read one address of the server, bounded in time and size."""
        started, asked = time.perf_counter(), unix_time()
        status, body, dated = 0, b"", None
        try:
            with self.session.get(url, timeout=self.timeout, allow_redirects=False, stream=True) as response:
                status, dated = response.status_code, response.headers.get("Date")
                answered = unix_time()
                problem = "" if status == _OK else f"HTTP {status}"
                for chunk in response.iter_content(65_536):
                    body += chunk
                    if len(body) > _LIMITS.read_bytes:
                        problem = "too large"
                        break
                    if time.perf_counter() - started > self.timeout:
                        problem = "timeout"
                        break
        except requests.Timeout:
            problem = "timeout"
        except requests.exceptions.SSLError:
            problem = "TLS"
        except (requests.RequestException, OSError):
            problem = "no connection" if not status else "broken off"
        milliseconds = (time.perf_counter() - started) * 1_000
        skew = _skew(dated, (asked + answered) / 2) if dated else None
        return Answer(problem, body if not problem else b"", milliseconds, skew)


def _skew(dated: str, ours: float) -> float | None:
    try:
        return round(parsedate_to_datetime(dated).timestamp() - ours, 1)
    except ValueError:
        return None


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


class _Link(msgspec.Struct):
    relation: str = ""
    url: str = ""


class _Page(msgspec.Struct):
    link: tuple[_Link, ...] = ()


_R4 = re.compile(r"4\.0(?:\.\d+)?")
_ANY_VERSION = re.compile(r"\d+(?:\.\d+){0,2}")


@dataclass(slots=True)
class Sample:
    """One search of one patient: how it ended, and what came."""

    problem: str = ""
    pages: int = 0
    found: list[wire.Found] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    is_whole: bool = True
    milliseconds: list[float] = field(default_factory=list)

    def records(self, search: Search) -> list[wire.Resource]:
        """Give the resources that the search asked for."""
        return [f.resource for f in self.found if type(f.resource).__name__ == search.resource_type]


def address_of(server: Server, search: Search, patient: str) -> str:
    """Give the address of one of our searches, as the service asks for it."""
    path = search.query.replace(_PATIENT, quote(patient, safe=""))
    return f"{server.base}/{path}" + (f"&_count={_PER_PAGE}" if "?" in path else "")


def sample(server: Server, url: str) -> Sample:
    """Read one search, page after page."""
    read = Sample()
    seen: set[str] = set()
    while url not in seen:
        seen.add(url)
        answer = server.get(url)
        if not read.pages:
            read.milliseconds.append(answer.milliseconds)
        pile = None if answer.problem else wire.decode_pile(answer.body)
        if pile is None:
            read.problem = answer.problem or "no FHIR JSON"
            return read
        outcomes = [i.resource for i in pile.found if isinstance(i.resource, wire.OperationOutcome)]
        if any(outcome.says_failed for outcome in outcomes):
            read.problem = "an OperationOutcome instead of data"
            return read
        read.pages += 1
        read.found += pile.found
        read.unreadable += pile.unreadable
        given = next((link.url for link in _links(answer.body) if link.relation == "next"), None)
        if given is None:
            return read
        if read.pages >= _LIMITS.pages:
            read.is_whole = False
            return read
        following = under(server.base, given, page=url)
        if following is None:
            break
        url = following
    read.is_whole = False
    read.problem = "a next link that cannot be followed"
    return read


def _links(body: bytes) -> tuple[_Link, ...]:
    try:
        return msgspec.json.decode(body, type=_Page).link
    except wire.UNREADABLE:
        return ()


def medications(server: Server, found: Iterable[wire.Found]) -> list[wire.Found]:
    """Look up the Medications that drug records refer to and that did not come along."""
    items = list(found)
    known = {f"Medication/{i.resource.id}" for i in items if isinstance(i.resource, wire.Medication)}
    references = {
        local_reference(i.resource.medication_reference.reference) or ""
        for i in items
        if isinstance(i.resource, DRUG_RECORDS) and i.resource.medication_reference is not None
    }
    ids = sorted(r.removeprefix("Medication/") for r in references - known if r.startswith("Medication/"))
    looked_up: list[wire.Found] = []
    for first in range(0, len(ids), _IDS_PER_SEARCH):
        named = ",".join(quote(one, safe="") for one in ids[first : first + _IDS_PER_SEARCH])
        looked_up += sample(server, f"{server.base}/Medication?_id={named}&_count={_PER_PAGE}").found
    return [item for item in looked_up if isinstance(item.resource, wire.Medication)]


@dataclass(frozen=True, slots=True)
class Capability:
    """What a CapabilityStatement says: the version, a word on each resource type, what is missing, and remarks."""

    version: str = ""
    said: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def capability_of(answer: Answer, wanted: Mapping[str, Search]) -> Capability:
    """Hold a CapabilityStatement against our searches."""
    if answer.problem:
        return Capability(missing=(f"CapabilityStatement: {answer.problem}",))
    try:
        statement = msgspec.json.decode(answer.body, type=_Statement)
    except wire.UNREADABLE:
        return Capability(missing=("CapabilityStatement: not readable as JSON",))
    version = statement.fhir_version if _ANY_VERSION.fullmatch(statement.fhir_version) else ""
    missing = [] if _R4.fullmatch(version) else [f"FHIR version 4.0: the server says {version or 'something else'}"]
    offered = {r.type: r for rest in statement.rest if rest.mode == "server" for r in rest.resource}
    queries = {search.resource_type: search.query for search in wanted.values()}
    lacking = {kind: _lacking(offered.get(kind), query) for kind, query in queries.items()}
    missing += [f"{kind}: {what}" for kind, found in lacking.items() for what in found]
    lacking["Medication"] = _lacking(offered.get("Medication"), "Medication?_id=")
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
    # Any type can be asked for by _id, and many servers do not list what all of them have
    return lacking + [f"search parameter {name}" for name in parameters if name not in offered | {"_id"}]

"""A file of FHIR records, of whatever kind, taken apart: a heap of records, or a hook request with its prefetch."""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

import click

from fhir_mapping.readers.context import local_reference

Json = dict[str, Any]

LONGEST_FILE = 50_000_000  # bytes; a chart of one patient is far smaller

_STANDARD_INPUT = "-"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_URN = "urn:"
_QUOTED_URN = re.compile(r'"(urn:[^"\\]+)"')
_REQUEST_MEMBERS = frozenset({"hook", "context", "prefetch"})


@dataclass(frozen=True, slots=True)
class Record:
    """One FHIR resource, not decoded yet, and the address under which its Bundle has it."""

    resource: Json
    full_url: str | None = None

    @property
    def kind(self) -> str:
        """The FHIR resource type."""
        return str(self.resource["resourceType"])


@dataclass(slots=True)
class Heap:
    """The records of a Bundle, a list or NDJSON; `broken` counts what is no FHIR resource, `lines` says where."""

    kind: str
    records: list[Record] = field(default_factory=list)
    broken: int = 0
    lines: list[int] = field(default_factory=list)
    is_cut_short: bool = False  # it says itself that more exists

    def take(self, part: Any) -> bool:
        """Put a record, or all those of a Bundle, on the heap; false for what is neither."""
        if not is_resource(part):
            part = part.get("resource") if isinstance(part, dict) else None  # an entry without its Bundle
        if not is_resource(part):
            self.broken += 1
            return False
        if part["resourceType"] != "Bundle":
            self.records.append(Record(part))
            return True
        entries, links, total = listed(part.get("entry")), listed(part.get("link")), part.get("total")
        self.is_cut_short |= any(isinstance(link, dict) and link.get("relation") == "next" for link in links)
        self.is_cut_short |= part.get("type") == "searchset" and isinstance(total, int) and total > len(entries)
        self.records += _with_addresses([record for entry in entries for record in self._record_of(entry)])
        return True

    def _record_of(self, entry: Any) -> Iterator[Record]:
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if isinstance(entry, dict) and is_resource(resource):
            if resource["resourceType"] == "Bundle":  # the answer to one search of a batch
                self.take(resource)
                return
            url = entry.get("fullUrl")
            url = url if isinstance(url, str) else None
            if url is not None and url.startswith(_URN) and "id" not in resource:
                resource = resource | {"id": url.rpartition(":")[2]}
            yield Record(resource, url)
        elif not isinstance(entry, dict) or "resource" in entry:
            self.broken += 1


@dataclass(frozen=True, slots=True)
class Sent:
    """A hook request, or a prefetch alone."""

    kind: str
    request: Json


def read_records(name: str) -> Heap | Sent:
    """Read a file, or standard input for "-"; a usage fault says what is wrong with it."""
    text = _text_of(name)
    if not text.strip():
        raise click.UsageError(f"{name} is empty.")
    try:
        content = json.loads(text)
    except RecursionError:
        raise click.UsageError(f"{name} is nested too deep.") from None
    except ValueError as error:
        heap = _ndjson(text)
        if heap is not None:
            return heap
        where = f" in line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise click.UsageError(f"{name} is neither JSON nor NDJSON: it breaks off or is faulty{where}.") from None
    return _told_apart(content, name)


def is_resource(value: Any) -> TypeGuard[Json]:
    """Whether it is an object that names its FHIR type."""
    return isinstance(value, dict) and isinstance(value.get("resourceType"), str)


def patient_of(resource: Json) -> str | None:
    """Give the id of the patient that a record is about; "Group/7" for another subject, None where none is named."""
    if resource["resourceType"] == "Patient":
        own = resource.get("id")
        return own if isinstance(own, str) else None
    people = [resource.get(member) for member in ("subject", "patient", "individual")]
    people += [part.get("actor") for part in listed(resource.get("participant")) if isinstance(part, dict)]
    references = [person["reference"] for person in people if isinstance(person, dict) and "reference" in person]
    named = [local for said in references if isinstance(said, str) and (local := local_reference(said))]
    patients = [local for local in named if local.startswith("Patient/") or "/" not in local]
    return next((local.removeprefix("Patient/") for local in patients or named), None)


def listed(value: Any) -> list[Any]:
    """Give a list as it is, and an empty one for anything else."""
    return value if isinstance(value, list) else []


def _text_of(name: str) -> str:
    """Read at most as much as can be a chart."""
    try:
        if name == _STANDARD_INPUT:
            data = sys.stdin.buffer.read(LONGEST_FILE + 1)
        else:
            with Path(name).open("rb") as file:
                data = file.read(LONGEST_FILE + 1)
    except OSError as error:
        raise click.UsageError(f"{name} cannot be read: {error.strerror}.") from None
    if len(data) > LONGEST_FILE:
        raise click.UsageError(f"{name} is larger than {LONGEST_FILE // 1_000_000} MB, too large for one patient.")
    if data.startswith(_UTF_16) or b"\0" in data:
        raise click.UsageError(f"{name} is binary or UTF-16; FHIR is JSON in UTF-8.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise click.UsageError(f"{name} is not text in UTF-8.") from None


def _told_apart(content: Any, name: str) -> Heap | Sent:
    if isinstance(content, dict) and isinstance(content.get("request"), dict):
        content = content["request"]  # a patient of the demonstration
    if isinstance(content, list):
        heap = Heap("list of records")
        for part in content:
            heap.take(part)
        return heap
    if is_resource(content):
        heap = Heap("Bundle" if content["resourceType"] == "Bundle" else "single record")
        heap.take(content)
        return heap
    if isinstance(content, dict) and _REQUEST_MEMBERS & content.keys():
        return Sent("hook request", content)
    if isinstance(content, dict) and any(is_resource(value) for value in content.values()):
        return Sent("prefetch", {"prefetch": content})
    raise click.UsageError(f"{name} is no Bundle, list of records, NDJSON, hook request or prefetch.")


def _ndjson(text: str) -> Heap | None:
    """Read one record a line; None when most lines are none, so that the file is something else."""
    heap = Heap("NDJSON file")
    lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    for number, line in lines:
        try:
            content = json.loads(line)
        except (ValueError, RecursionError):
            content = None
        if not heap.take(content):
            heap.lines.append(number)
    return heap if 2 * len(heap.lines) <= len(lines) and len(lines) > 1 else None


def _with_addresses(records: list[Record]) -> list[Record]:
    """Replace references by urn, which hold within one Bundle, with Type/id."""
    addresses = {
        record.full_url: json.dumps(f"{record.kind}/{record.resource['id']}")
        for record in records
        if record.full_url and record.full_url.startswith(_URN)
    }
    if not addresses:
        return records

    def replaced(found: re.Match[str]) -> str:
        return addresses.get(found[1], found[0])

    return [
        Record(json.loads(_QUOTED_URN.sub(replaced, json.dumps(record.resource))), record.full_url)
        for record in records
    ]

"""What a FHIR server may answer instead of what was asked for; each fault can be limited to some pages or requests."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tests.build import Resource
from tests.ehr.sockets import Behaviour

FHIR_JSON = "application/fhir+json"
SOMEONE_ELSE = "synthetic-2"


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer; without a content type it has no such header."""

    status: int = 200
    body: bytes = b""
    content_type: str | None = FHIR_JSON
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a fault may look at: the request's resource type and page (from 1), and the answer it replaces."""

    base: str
    kind: str
    patient: str
    page: int
    sound: Answer


@dataclass(frozen=True, slots=True)
class Fault:
    """Makes an answer, or takes the connection over; from one page on, and for the first so many requests."""

    make: Callable[[Asked], Answer | Behaviour]
    pages_from: int = 1
    times: int | None = None

    def from_page(self, page: int) -> "Fault":
        """Give the same fault on this page of a search and the later ones."""
        return replace(self, pages_from=page)

    def first(self, times: int) -> "Fault":
        """Give the same fault on the first so many requests that it applies to."""
        return replace(self, times=times)


def status(
    code: int, body: str = "", content_type: str | None = "text/plain", headers: Mapping[str, str] | None = None
) -> Fault:
    """Answer with a status."""
    return _always(Answer(code, body.encode(), content_type, headers or {}))


def outcome(severity: str = "error", code: int = 200) -> Fault:
    """Answer with an OperationOutcome."""
    return _always(Answer(code, _json(operation_outcome(severity))))


def html_login() -> Fault:
    """Answer with a login page, status 200."""
    page = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body><form></form></body></html>"
    return _always(Answer(200, page, "text/html; charset=utf-8"))


def garbage(content_type: str = FHIR_JSON) -> Fault:
    """Answer with bytes that are neither text nor JSON."""
    return _always(Answer(200, bytes(range(256)), content_type))


def empty_body(code: int = 200) -> Fault:
    """Answer with no body, its length given as 0."""
    return _always(Answer(code))


def xml() -> Fault:
    """Answer an empty search in XML."""
    bundle = b'<?xml version="1.0"?><Bundle xmlns="http://hl7.org/fhir"><type value="searchset"/></Bundle>'
    return _always(Answer(200, bundle, "application/fhir+xml"))


def recoded(change: Callable[[bytes], bytes], content_type: str | None = FHIR_JSON) -> Fault:
    """Answer with the sound body, changed byte for byte, or only called something else."""
    return Fault(lambda asked: replace(asked.sound, body=change(asked.sound.body), content_type=content_type))


def sound_but(code: int) -> Fault:
    """Answer with the sound body under another status."""
    return Fault(lambda asked: replace(asked.sound, status=code))


def redirect(to: str, code: int = 302) -> Fault:
    """Send the client elsewhere."""
    return _always(Answer(code, b"", None, {"Location": to}))


def changed(change: Callable[[Any], Any]) -> Fault:
    """Answer with the sound resource or page after a change to it."""
    return Fault(lambda asked: replace(asked.sound, body=_json(change(json.loads(asked.sound.body)))))


def foreign_patient() -> Fault:
    """Add to a page, or answer a read with, a resource about someone else."""

    def answer(asked: Asked) -> Answer:
        page = json.loads(asked.sound.body)
        if asked.kind == "Patient":
            return Answer(200, _json(page | {"id": SOMEONE_ELSE}))
        reference = {"reference": f"Patient/{SOMEONE_ELSE}"}
        other = {"resourceType": asked.kind, "id": "of-someone-else", "subject": reference, "patient": reference}
        return Answer(200, _json(with_entry(page, {"resource": other})))

    return Fault(answer)


def extra_entry(entry: Any) -> Fault:
    """Add an entry to a page, whatever it is."""
    return changed(lambda page: with_entry(page, entry))


def next_link(url: str | Callable[[Asked], str]) -> Fault:
    """Answer with a sound page whose link to the next one is this."""

    def answer(asked: Asked) -> Answer:
        page = json.loads(asked.sound.body)
        links = [link for link in page.get("link", ()) if link["relation"] != "next"]
        to = url if isinstance(url, str) else url(asked)
        return Answer(200, _json(page | {"link": [*links, {"relation": "next", "url": to}]}))

    return Fault(answer)


def endless_pages() -> Fault:
    """Answer with pages that always have a next one, each with an address of its own."""
    return next_link(lambda asked: f"{asked.base}/{asked.kind}?patient={asked.patient}&_page={asked.page + 1}")


def wrong_version(version: str) -> Fault:
    """Say in the CapabilityStatement (resource type "metadata") that FHIR of this version is spoken."""
    return _always(Answer(200, _json(capability(version))))


def raw(behaviour: Behaviour) -> Fault:
    """Hand the connection to a behaviour of tests.ehr.sockets."""
    return Fault(lambda asked: behaviour)


def operation_outcome(severity: str, code: str = "processing") -> Resource:
    """Make an OperationOutcome with one issue."""
    return {"resourceType": "OperationOutcome", "issue": [{"severity": severity, "code": code}]}


def capability(version: str) -> Resource:
    """Make the CapabilityStatement of a server that speaks this version."""
    about = {"status": "active", "kind": "instance", "date": "2026-01-01", "format": ["json"]}
    return {"resourceType": "CapabilityStatement", "fhirVersion": version} | about


def with_entry(page: Resource, entry: Any) -> Resource:
    """Give a page with one more entry; the total counts matches, and a remark is none."""
    is_match = not (isinstance(entry, dict) and _kind_in(entry) == "OperationOutcome")
    more = {"total": page["total"] + 1} if "total" in page and is_match else {}
    return page | {"entry": [*page.get("entry", ()), entry]} | more


def _kind_in(entry: Resource) -> Any:
    resource = entry.get("resource")
    return resource.get("resourceType") if isinstance(resource, dict) else None


def _always(answer: Answer) -> Fault:
    return Fault(lambda asked: answer)


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()

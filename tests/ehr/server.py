"""A FHIR R4 server on loopback that serves the charts of tests.build, and misbehaves as far as it is told to."""

import contextlib
import gzip
import ssl
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any, Literal
from urllib.parse import parse_qs

import msgspec

from tests.build import KEYS, PATIENT, RECENT, Resource
from tests.ehr.faulty import Answer, Asked, Fault, capability, operation_outcome
from tests.ehr.listening import Listener
from tests.ehr.sockets import Behaviour

State = Literal["content", "none", "error"]
_NOT_SERVED = "not served"


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came in: the query without its question mark, header names in small letters.

    `kind` is the resource type it asks for, "metadata", or "" where it asks for neither.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    kind: str = ""


@dataclass(slots=True)
class Ehr:
    """A FHIR server while its `with` block lasts; every option may be changed in between.

    `chart` is a prefetch: an absent key is a type that is not served (404), null an empty search, a Patient of
    null is unknown (404). `put` adds charts of other patients or replaces one. `state` says per prefetch key whether
    its content is served, "none" (an empty search; for `patient`, whose read cannot be empty, a 404), or "error"
    (403 text/plain). `faults` are by resource type, or "metadata". With `token`, all but the metadata need it.
    """

    chart: Mapping[str, Any]
    _: KW_ONLY
    page_size: int | None = None
    next_links: Literal["absolute", "relative", "opaque"] = "absolute"
    delay_seconds: float = 0.0
    token: str | None = None
    faults: Mapping[str, Fault] = field(default_factory=dict)
    state: dict[str, State] = field(default_factory=dict)
    version: str = "4.0.1"
    path: str = "/fhir/r4"
    with_total: bool = True
    compressed: bool = False
    chunked: bool = False
    tls: ssl.SSLContext | None = None
    requests: list[Request] = field(default_factory=list)
    _charts: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    _spent: Counter[tuple[str, Fault]] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _listener: Listener = field(init=False)
    _stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def __enter__(self) -> "Ehr":
        """Start."""
        self.put(self.chart)
        self._listener = Listener(_handler_of(self), self.tls)
        self._stack.enter_context(self._listener.running())
        return self

    def __exit__(self, *error: object) -> None:
        """Stop; connections that are still open are cut, and every thread has ended."""
        self._stack.close()

    @property
    def base(self) -> str:
        """Its base address."""
        return f"{'http' if self.tls is None else 'https'}://127.0.0.1:{self._listener.port}{self.path}"

    @property
    def connections(self) -> int:
        """How many connections it has accepted."""
        return self._listener.connections

    @property
    def closing(self) -> threading.Event:
        """Set when the block ends."""
        return self._listener.closing

    def put(self, chart: Mapping[str, Any], patient_id: str = PATIENT) -> None:
        """Serve this chart for this patient, in place of the one that the patient had."""
        self._charts[patient_id] = chart

    def asked(self, kind: str) -> list[Request]:
        """Give the requests for one resource type, or for "metadata"."""
        with self._lock:
            return [request for request in self.requests if request.kind == kind]

    def answer(self, method: str, target: str, headers: Mapping[str, str]) -> Answer | Behaviour:
        """Note a request, and answer it."""
        path, _, query = target.partition("?")
        parameters = {name: values[-1] for name, values in parse_qs(query).items()}
        inside = path.removeprefix(self.path).strip("/") if f"{path}/".startswith(f"{self.path}/") else "?"
        kind, _, own_id = (inside or parameters.get("_getpages", "")).partition("/")
        with self._lock:
            self.requests.append(Request(method, path, query, headers, kind))
        asked, sound = self._sound(method, kind, own_id, parameters, headers)
        fault = self.faults.get(kind)
        if fault is None or not self._strikes(fault, kind, asked):
            return sound
        return fault.make(asked)

    def _strikes(self, fault: Fault, kind: str, asked: Asked) -> bool:
        if asked.page < fault.pages_from:
            return False
        with self._lock:
            self._spent[kind, fault] += 1
            return fault.times is None or self._spent[kind, fault] <= fault.times

    def _sound(
        self, method: str, kind: str, own_id: str, parameters: Mapping[str, str], headers: Mapping[str, str]
    ) -> tuple[Asked, Answer]:
        patient = parameters.get("patient", "").removeprefix("Patient/")
        page = int(parameters.get("_page", "1"))
        if method != "GET":
            answer = _refusal(405, "not-supported")
        elif kind == "metadata":
            answer = Answer(body=msgspec.json.encode(capability(self.version)))
        elif self.token is not None and headers.get("authorization") != f"Bearer {self.token}":
            answer = Answer(401, b"token required", "text/plain", {"WWW-Authenticate": "Bearer"})
        elif kind == "Medication":
            answer = self._medications(own_id, parameters)
        elif kind not in KEYS:
            answer = _refusal(404, "not-supported")
        elif own_id and "_getpages" not in parameters:
            answer = self._read(kind, own_id)
        else:
            patient = own_id or patient
            answer = self._search(kind, patient, page, RECENT if "_sort" in parameters else KEYS[kind])
        return Asked(self.base, kind, patient, page, answer), answer

    def _value(self, key: str, patient: str) -> Any:
        """Give what a chart holds under a key; an Answer where that is not to be served."""
        state = self.state.get(key, "content")
        if state == "error":
            return Answer(403, b"not allowed", "text/plain")
        if state == "none":
            return None
        return self._charts[patient].get(key, _refusal(404, "not-supported")) if patient in self._charts else None

    def _search(self, kind: str, patient: str, page: int, key: str) -> Answer:
        value = self._value(key, patient)
        if isinstance(value, Answer):
            return value
        if value is not None and not (isinstance(value, dict) and value.get("resourceType")):
            return Answer(body=msgspec.json.encode(value))  # no FHIR: served as it stands
        if value is not None and value["resourceType"] == "OperationOutcome":
            return Answer(403, msgspec.json.encode(value))
        entries = _entries(value)
        if listed := [entry for entry in entries if _kind_of(entry) != "Medication"]:
            entries = listed
        size = self.page_size or max(len(entries), 1)
        shown = [self._addressed(entry) for entry in entries[(page - 1) * size : page * size]]
        links = [{"relation": "self", "url": f"{self.base}/{kind}?patient={patient}&_page={page}"}]
        if page * size < len(entries):
            sorting = "&_sort=-date" if key == RECENT else ""
            links.append({"relation": "next", "url": self._link(kind, patient, page + 1) + sorting})
        bundle: Resource = {"resourceType": "Bundle", "type": "searchset", "link": links, "entry": shown}
        if self.with_total:
            bundle["total"] = len(entries)
        return Answer(body=msgspec.json.encode(bundle))

    def _link(self, kind: str, patient: str, page: int) -> str:
        match self.next_links:
            case "absolute":
                return f"{self.base}/{kind}?patient={patient}&_page={page}"
            case "relative":
                return f"{kind}?patient={patient}&_page={page}"
            case "opaque":
                return f"{self.base}?_getpages={kind}/{patient}&_page={page}"

    def _addressed(self, entry: Any) -> Any:
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if not isinstance(resource, dict) or not isinstance(resource.get("id"), str):
            return entry
        return {"fullUrl": f"{self.base}/{resource.get('resourceType')}/{resource['id']}"} | entry

    def _read(self, kind: str, own_id: str) -> Answer:
        patients = [own_id] if kind == "Patient" else list(self._charts)
        for patient in patients:
            value = self._value(KEYS[kind], patient)
            if isinstance(value, Answer):
                return value
            for resource in _resources(value):
                if resource.get("resourceType") == kind and (kind == "Patient" or resource.get("id") == own_id):
                    return Answer(body=msgspec.json.encode(resource))
        return _refusal(404, "not-found")

    def _medications(self, own_id: str, parameters: Mapping[str, str]) -> Answer:
        wanted = set((own_id or parameters.get("_id", "")).split(","))
        entries = [
            self._addressed(entry)
            for chart in self._charts.values()
            for value in chart.values()
            for entry in _entries(value)
            if _kind_of(entry) == "Medication" and entry["resource"].get("id") in wanted
        ]
        if not own_id:
            bundle = {"resourceType": "Bundle", "type": "searchset", "total": len(entries), "entry": entries}
            return Answer(body=msgspec.json.encode(bundle))
        return Answer(body=msgspec.json.encode(entries[0]["resource"])) if entries else _refusal(404, "not-found")


serving = Ehr  # `with serving(chart, page_size=1) as ehr:` reads better


def _handler_of(ehr: Ehr) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1  # head and body leave together

        def _do(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.rfile.read(int(headers.get("content-length", "0")))
            made = ehr.answer(self.command, self.path, headers)
            if ehr.delay_seconds and ehr.closing.wait(ehr.delay_seconds):
                self.close_connection = True
                return
            if isinstance(made, Answer):
                self._send(made, headers)
                return
            self.close_connection = True
            made(self.connection, ehr.closing)

        do_GET = do_POST = do_HEAD = do_PUT = do_DELETE = _do  # noqa: N815 - the standard library's names

        def _send(self, answer: Answer, asked: Mapping[str, str]) -> None:
            body = answer.body
            more = dict(answer.headers)
            if answer.content_type is not None:
                more["Content-Type"] = answer.content_type
            if ehr.compressed and "gzip" in asked.get("accept-encoding", ""):
                body = gzip.compress(body, compresslevel=1)
                more["Content-Encoding"] = "gzip"
            if ehr.chunked:
                more["Transfer-Encoding"] = "chunked"
                body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"
            else:
                more["Content-Length"] = str(len(body))
            self.send_response(answer.status)
            for name, value in more.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the standard library's name
            pass

    return Handler


def _refusal(status: int, code: str) -> Answer:
    return Answer(status, msgspec.json.encode(operation_outcome("error", code)))


def _entries(value: Any) -> list[Any]:
    if not isinstance(value, dict):
        return []
    entries = value.get("entry", []) if value.get("resourceType") == "Bundle" else [{"resource": value}]
    return entries if isinstance(entries, list) else []


def _resources(value: Any) -> list[Resource]:
    found = (entry.get("resource") for entry in _entries(value) if isinstance(entry, dict))
    return [resource for resource in found if isinstance(resource, dict)]


def _kind_of(entry: Any) -> str | None:
    resource = entry.get("resource") if isinstance(entry, dict) else None
    return resource.get("resourceType") if isinstance(resource, dict) else None

"""The routes: discovery, one service per hook, health and readiness. Parse, assess, serialise; no rule, no try."""

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec
from flask import Blueprint, Response, current_app, g, request
from werkzeug.exceptions import ClientDisconnected, HTTPException, RequestEntityTooLarge

from cards.card import Response as Cards
from cards.card import ResponseAndNoActions as CardsAndNoActions
from cards.finding import Hook
from cds_service import __version__, telemetry
from cds_service.assess import Assessment, Assessor, assess
from cds_service.door import Door
from cds_service.errors import (
    DataUnavailable,
    HttpError,
    KeysUnavailable,
    MethodNotAllowed,
    NotFound,
    TooLarge,
    Unauthenticated,
    Unready,
    UnsupportedMediaType,
    operation_outcome,
)
from cds_service.feedback import LARGEST_BYTES as LARGEST_FEEDBACK
from cds_service.feedback import FeedbackDesk, parse_feedback
from cds_service.services import SERVICES, Service
from cds_service.telemetry import DecisionRecord, Recorder

_JSON = "application/json"
_DISCOVERY = "/cds-services"
_OPENAPI = "/openapi.json"
_ACCEPTED = {_JSON, "application/fhir+json"}
_encoder = msgspec.json.Encoder()

routes = Blueprint("cds", __name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the routes work with; app.py puts it together."""

    assessor: Assessor
    recorder: Recorder
    door: Door
    feedback: FeedbackDesk
    discovery: bytes
    openapi: Callable[[], bytes]
    body_limit_bytes: int
    switches: tuple[str, ...]
    crd_empty_system_actions: bool


def _parts() -> Parts:
    parts: Parts = current_app.extensions["mmcds"]
    return parts


@routes.before_app_request
def start_request() -> None:
    """Give the request an id of our own: the caller's hookInstance may hold anything."""
    g.request_id = str(uuid.uuid4())
    g.started = time.perf_counter()


@routes.get(_DISCOVERY)
def discover() -> Response:
    """Describe the services."""
    parts = _parts()
    parts.door.admit_to_discovery(request.headers.get("Authorization"), _DISCOVERY)
    return _json(parts.discovery)


@routes.get(_OPENAPI)
def describe() -> Response:
    """Describe every address, with examples; as open as discovery."""
    parts = _parts()
    parts.door.admit_to_discovery(request.headers.get("Authorization"), _OPENAPI)
    return _json(parts.openapi())


@routes.post("/cds-services/<service_id>")
def call_service(service_id: str) -> Response:
    """Answer one hook call with cards."""
    service = _service(service_id)
    g.service = service.id
    parts = _parts()
    caller = parts.door.admit(request.headers.get("Authorization"), f"{_DISCOVERY}/{service.id}")
    g.caller = caller.name
    _require_json()
    body = _read_body(parts.body_limit_bytes)
    g.started = time.perf_counter()
    assessment = assess(body, service.hook, parts.assessor, caller)
    for fault in assessment.faults:
        telemetry.warn("a rule failed", request_id=g.request_id, fault=fault)
    _record(200, "answered", assessment)
    answer = Cards(cards=assessment.cards)
    if parts.crd_empty_system_actions and service.hook is Hook.ORDER_SIGN:
        answer = CardsAndNoActions(cards=assessment.cards)
    return _json(_encoder.encode(answer))


@routes.post("/cds-services/<service_id>/feedback")
def take_feedback(service_id: str) -> Response:
    """Take what became of cards, and answer with no word."""
    service = _service(service_id)
    g.feedback_for = service.id
    parts = _parts()
    path = f"{_DISCOVERY}/{service.id}"
    caller = parts.door.admit(request.headers.get("Authorization"), f"{path}/feedback", path)
    g.caller = caller.name
    _require_json()
    items = parse_feedback(_read_body(min(LARGEST_FEEDBACK, parts.body_limit_bytes)))
    taken = parts.feedback.take(items, caller.name)
    telemetry.log("feedback", request_id=g.request_id, service=service.id, issuer=caller.name, feedback=dict(taken))
    response = Response(status=200)
    del response.headers["Content-Type"]
    return response


@routes.get("/healthz")
def health() -> Response:
    """Say that the process answers; touches nothing else."""
    return _json(b'{"status":"ok"}')


@routes.get("/readyz")
def readiness() -> Response:
    """Say that the tables are loaded, without which no application is made, and that clients can be authenticated."""
    if not _parts().door.is_ready():
        raise KeysUnavailable
    return _json(b'{"status":"ready"}')


@routes.app_errorhandler(HttpError)
def tell_caller(error: HttpError) -> Response:
    """Translate an error of ours into its status and an OperationOutcome."""
    unread = error.unread if isinstance(error, DataUnavailable) else {}
    _record(error.status, error.label, Assessment(origins=unread))
    response = _json(_encoder.encode(operation_outcome(error.issue_code, str(error))), error.status)
    if isinstance(error, Unauthenticated):
        response.headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, Unready):
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    return response


@routes.app_errorhandler(HTTPException)
def tell_caller_of_http(error: HTTPException) -> Response:
    """Translate what Flask found wrong with a request before it reached a route."""
    if isinstance(error, RequestEntityTooLarge):
        return tell_caller(_too_large(_parts().body_limit_bytes))
    if error.code == MethodNotAllowed.status:
        response = tell_caller(MethodNotAllowed("This address does not take this method."))
        response.headers["Allow"] = ", ".join(sorted(getattr(error, "valid_methods", None) or ()))
        return response
    if error.code == NotFound.status:
        return tell_caller(NotFound("There is nothing at this address. GET /cds-services lists the services."))
    status = error.code or 500
    if status < 500:  # a fault of ours has had its record, or the recorder is what failed
        _record(status, "http", Assessment())
    return _json(_encoder.encode(operation_outcome("invalid", "The request could not be used.")), status)


@routes.app_errorhandler(Exception)
def tell_caller_of_fault(error: Exception) -> Response:
    """Tell the caller of a fault of ours by a reference alone; the log has its type and place."""
    telemetry.fault("unexpected fault", error, request_id=g.request_id)
    message = f"An internal fault; nothing was checked. Reference for the operators: {g.request_id}."
    _record(500, "fault", Assessment())
    return _json(_encoder.encode(operation_outcome("exception", message)), 500)


@routes.after_app_request
def add_headers(response: Response) -> Response:
    """Forbid caching and sniffing, name the request, and say so when development switches are on."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["X-Request-Id"] = g.request_id
    switches = _parts().switches
    if switches:
        response.headers["X-Mmcds-Not-For-Patients"] = ", ".join(switches)
    return response


def _service(service_id: str) -> Service:
    service = SERVICES.get(service_id)
    if service is None:
        raise NotFound("There is no CDS service with this id. GET /cds-services lists them.")
    return service


def _require_json() -> None:
    if request.mimetype not in _ACCEPTED:
        raise UnsupportedMediaType(f"Send the request as {_JSON} or application/fhir+json.")
    if request.content_encoding:
        raise UnsupportedMediaType("Send the request without Content-Encoding.")


def _read_body(limit_bytes: int) -> bytes:
    """Read a body of announced length in one piece, as each copy of a chart costs; any other through Flask."""
    announced = request.content_length
    if announced is None:
        # As with the limit of the application: cut off where ours is, nothing would be seen to pass it
        request.max_content_length = limit_bytes + 1
        body = request.get_data(cache=False)
        if len(body) > limit_bytes:
            raise _too_large(limit_bytes)
        return body
    if announced > limit_bytes:
        raise _too_large(limit_bytes)
    whole: bytes = request.environ["wsgi.input"].read(announced)
    if len(whole) < announced:
        raise ClientDisconnected
    return whole


def _too_large(limit_bytes: int) -> TooLarge:
    return TooLarge(f"The body is larger than the limit of {limit_bytes} bytes.")


def _json(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(body, status=status, content_type=_JSON, headers=headers)


def _record(status: int, label: str, assessment: Assessment) -> None:
    """Keep a decision record of every call of a service, also of one that failed; log feedback that was refused."""
    if "feedback_for" in g:
        refusal = {"service": g.feedback_for, "issuer": g.get("caller", ""), "status": status, "label": label}
        telemetry.warn("feedback refused", request_id=g.request_id, **refusal)
    if "service" not in g:
        return
    telemetry.keep(
        _parts().recorder,
        DecisionRecord(
            request_id=g.request_id,
            service=g.service,
            issuer=g.get("caller", ""),
            status=status,
            label=label,
            code_version=__version__,
            knowledge_version=_knowledge_version(_parts().assessor),
            rules=assessment.rules,
            shown=assessment.shown,
            not_repeated=assessment.not_repeated,
            coverage=assessment.coverage,
            origins=assessment.origins,
            gaps=assessment.gaps,
            milliseconds=round((time.perf_counter() - g.started) * 1_000, 3),
        ),
    )


def _knowledge_version(assessor: Assessor) -> str:
    """Name the knowledge in force today; where the clock itself is at fault, what was in force at the start."""
    try:
        return assessor.knowledge.on(assessor.today()).version
    except Exception:
        return assessor.knowledge.version

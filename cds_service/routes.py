"""The routes: discovery, one service per hook, health and readiness. Parse, assess, serialise; no rule, no try."""

import time
import uuid
from collections.abc import Mapping

import msgspec
from flask import Blueprint, Response, current_app, g, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from cards.card import Response as Cards
from cds_service import __version__, telemetry
from cds_service.assess import Assessment, Assessor, assess
from cds_service.errors import (
    HttpError,
    MethodNotAllowed,
    NotFound,
    TooLarge,
    UnsupportedMediaType,
    operation_outcome,
)
from cds_service.services import SERVICES, Service
from cds_service.telemetry import DecisionRecord, Recorder

_JSON = "application/json"
_ACCEPTED = {_JSON, "application/fhir+json"}
_encoder = msgspec.json.Encoder()

routes = Blueprint("cds", __name__)


@routes.before_app_request
def start_request() -> None:
    """Give the request an id of our own: the caller's hookInstance may hold anything."""
    g.request_id = str(uuid.uuid4())
    g.started = time.perf_counter()


@routes.get("/cds-services")
def discover() -> Response:
    """Describe the services."""
    return _json(current_app.extensions["mmcds_discovery"])


@routes.post("/cds-services/<service_id>")
def call_service(service_id: str) -> Response:
    """Answer one hook call with cards."""
    service = _service(service_id)
    g.service = service.id
    _require_json()
    body = _read_body()
    g.started = time.perf_counter()
    assessor: Assessor = current_app.extensions["mmcds_assessor"]
    assessment = assess(body, service.hook, assessor)
    for fault in assessment.faults:
        telemetry.warn("a rule failed", request_id=g.request_id, fault=fault)
    _record(200, "answered", assessment)
    return _json(_encoder.encode(Cards(cards=assessment.cards)))


@routes.get("/healthz")
def health() -> Response:
    """Say that the process answers; touches nothing else."""
    return _json(b'{"status":"ok"}')


@routes.get("/readyz")
def readiness() -> Response:
    """Say that catalogue and knowledge are loaded: without them no application is made."""
    return _json(b'{"status":"ready"}')


@routes.app_errorhandler(HttpError)
def tell_caller(error: HttpError) -> Response:
    """Translate an error of ours into its status and an OperationOutcome."""
    _record(error.status, error.label, Assessment())
    return _json(_encoder.encode(operation_outcome(error.issue_code, str(error))), error.status)


@routes.app_errorhandler(HTTPException)
def tell_caller_of_http(error: HTTPException) -> Response:
    """Translate what Flask found wrong with a request before it reached a route."""
    if isinstance(error, RequestEntityTooLarge):
        limit = current_app.extensions["mmcds_body_limit"]
        return tell_caller(TooLarge(f"The body is larger than the limit of {limit} bytes."))
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
    switches: tuple[str, ...] = current_app.extensions["mmcds_switches"]
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


def _read_body() -> bytes:
    body = request.get_data(cache=False)
    if len(body) > current_app.extensions["mmcds_body_limit"]:
        raise RequestEntityTooLarge
    return body


def _json(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(body, status=status, content_type=_JSON, headers=headers)


def _record(status: int, label: str, assessment: Assessment) -> None:
    """Keep a decision record of every call of a service, also of one that failed."""
    if "service" not in g:
        return
    recorder: Recorder = current_app.extensions["mmcds_recorder"]
    assessor: Assessor = current_app.extensions["mmcds_assessor"]
    telemetry.keep(
        recorder,
        DecisionRecord(
            request_id=g.request_id,
            service=g.service,
            status=status,
            label=label,
            code_version=__version__,
            knowledge_version=assessor.knowledge.version,
            rules=assessment.rules,
            shown=assessment.shown,
            coverage=assessment.coverage,
            gaps=assessment.gaps,
            milliseconds=round((time.perf_counter() - g.started) * 1_000, 3),
        ),
    )

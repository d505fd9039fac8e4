"""The OpenAPI 3.1 document: generated from services, models and errors, so that it says what the service does."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from cards.card import SUMMARY_LIMIT, Response
from cards.finding import Hook
from cds_service import __version__
from cds_service.assess import Assessor
from cds_service.errors import (
    DataUnavailable,
    HttpError,
    KeysUnavailable,
    MalformedRequest,
    MethodNotAllowed,
    NotFound,
    TooLarge,
    Unauthenticated,
    UnsupportedMediaType,
    operation_outcome,
)
from cds_service.openapi import models
from cds_service.openapi.examples import Example, examples, feedback_on
from cds_service.services import SERVICES, Service, discovery
from fhir_mapping.needs import Search

Json = dict[str, Any]

_SCHEMAS = "#/components/schemas/"
_MEDIA_TYPES = ("application/json", "application/fhir+json")
_REQUESTS: Mapping[Hook, type] = {
    Hook.PATIENT_VIEW: models.PatientViewRequest,
    Hook.ORDER_SELECT: models.OrderSelectRequest,
    Hook.ORDER_SIGN: models.OrderSignRequest,
}
_ANSWERS = (Response, models.Discovery, models.Status, models.OperationOutcome)
_ERRORS: Mapping[int, tuple[str, HttpError]] = {
    400: (
        "The body is no CDS Hooks request for this service, or a header or address cannot be read.",
        MalformedRequest("The member context is missing or no object."),
    ),
    401: (
        "The client could not be authenticated; why is in the service's log alone.",
        Unauthenticated("signature"),
    ),
    404: (
        "Nothing is at this address.",
        NotFound("There is no CDS service with this id. GET /cds-services lists them."),
    ),
    405: ("The address does not take this method.", MethodNotAllowed("This address does not take this method.")),
    412: (
        "Nothing that the rules of this hook need could be read (code required), or the draft orders are not FHIR R4 "
        "(code not-supported). Nothing was checked.",
        DataUnavailable({"medicationStatements": "forbidden", "medicationRequests": "forbidden"}),
    ),
    413: ("The body is larger than the limit.", TooLarge("The body is larger than the limit of 20000000 bytes.")),
    415: (
        "The body is not plain JSON, or it is compressed.",
        UnsupportedMediaType("Send the request as application/json or application/fhir+json."),
    ),
    503: ("Clients cannot be authenticated now: no key of the issuer was ever loaded.", KeysUnavailable()),
}
_ALWAYS = (400, 405, 500)
_OF_CLIENTS = (*_ALWAYS, 401, 503)
_OF_BODIES = (*_OF_CLIENTS, 404, 413, 415)
_MORE_HEADERS: Mapping[int, Json] = {
    401: {"WWW-Authenticate": {"description": "Always Bearer.", "schema": {"type": "string"}}},
    405: {"Allow": {"description": "The methods that it takes.", "schema": {"type": "string"}}},
    503: {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}},
}


def openapi_document(assessor: Assessor, public_urls: Sequence[str] = ()) -> Json:
    """Describe the service; the examples are its own answers, so this takes as long as three hooks."""
    shown = examples(assessor)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "mmcds",
            "version": __version__,
            "summary": "Clinical decision support for ordering in multiple myeloma, over CDS Hooks and FHIR R4.",
            "description": "It supports professionals who can review its reasons; it is no medical device. Data that "
            "could not be read is never taken as absent. Members of requests that are not named here are ignored.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": url} for url in public_urls] or [{"url": "/"}],
        "tags": [
            {"name": "CDS Hooks", "description": "What an EHR calls."},
            {"name": "Operation", "description": "What machines that watch the service call."},
        ],
        "security": [{"clientToken": []}],
        "paths": {
            "/cds-services": {"get": _discovery(assessor)},
            **{f"/cds-services/{s.id}": {"post": _hook(s, shown[s.hook])} for s in SERVICES.values()},
            "/cds-services/{id}/feedback": {"parameters": [_id()], "post": _feedback(shown)},
            "/healthz": {"get": _status("health", "Whether the process answers", "ok", _ALWAYS)},
            "/readyz": {"get": _status("readiness", "Whether the service can answer hooks", "ready", (*_ALWAYS, 503))},
        },
        "components": {
            "schemas": _schemas(assessor.searches),
            "responses": dict(_error(status) for status in sorted({*_ERRORS, 500})),
            "headers": {
                "RequestId": {
                    "description": "The service's own id of the request, which its log carries too.",
                    "schema": {"type": "string"},
                }
            },
            "securitySchemes": {
                "clientToken": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "Signed by the client as CDS Hooks says (ES384 or RS384; iss, aud, exp, iat, jti); "
                    "aud is the address that is called.",
                }
            },
        },
    }


def _discovery(assessor: Assessor) -> Json:
    return {
        "operationId": "discover",
        "tags": ["CDS Hooks"],
        "summary": "List the CDS services and their prefetch templates",
        "security": [{}, {"clientToken": []}],
        "responses": {
            "200": _good("The services.", models.Discovery, discovery(assessor.searches)),
            **_refusals(_OF_CLIENTS),
        },
    }


def _hook(service: Service, example: Example) -> Json:
    media_type = {"schema": _ref(_REQUESTS[service.hook]), "examples": _named(example.title, example.request)}
    return {
        "operationId": service.id,
        "tags": ["CDS Hooks"],
        "summary": service.title,
        "description": service.description,
        "requestBody": {"required": True, "content": dict.fromkeys(_MEDIA_TYPES, media_type)},
        "responses": {
            "200": _good("The cards; an empty list means: checked, nothing to say.", Response, example.response),
            **_refusals((*_OF_BODIES, 412)),
        },
    }


def _feedback(shown: Mapping[Hook, Example]) -> Json:
    content = {"schema": _ref(models.Feedback), "examples": _named("On the example cards", feedback_on(shown))}
    return {
        "operationId": "feedback",
        "tags": ["CDS Hooks"],
        "summary": "Tell what became of cards",
        "description": "Taken as a whole or, with 400, not at all. Several items, the same again, late ones, and cards "
        "that are not known (any more) are no fault. A comment is not kept. An overridden card is not shown again for "
        "some days to the same user, for the same patient, on the same evidence; critical cards always are.",
        "requestBody": {"required": True, "content": dict.fromkeys(_MEDIA_TYPES, content)},
        "responses": {"200": {"description": "Taken; there is no body.", "headers": _headers()}}
        | _refusals(_OF_BODIES),
    }


def _id() -> Json:
    return {
        "name": "id",
        "in": "path",
        "required": True,
        "description": "The id of a CDS service.",
        "schema": {"type": "string", "enum": list(SERVICES)},
    }


def _status(operation: str, summary: str, word: str, refusals: Iterable[int]) -> Json:
    return {
        "operationId": operation,
        "tags": ["Operation"],
        "summary": summary,
        "security": [],
        "responses": {"200": _good("It is.", models.Status, {"status": word}), **_refusals(refusals)},
    }


def _good(description: str, model: type, example: Any) -> Json:
    content = {_MEDIA_TYPES[0]: {"schema": _ref(model), "examples": _named("A real answer", example)}}
    return {"description": description, "headers": _headers(), "content": content}


def _named(title: str, value: Any) -> Json:
    return {"synthetic": {"summary": title, "value": value}}


def _ref(model: type) -> Json:
    return {"$ref": f"{_SCHEMAS}{model.__name__}"}


def _headers() -> Json:
    return {"X-Request-Id": {"$ref": "#/components/headers/RequestId"}}


def _refusals(statuses: Iterable[int]) -> Json:
    return {str(status): {"$ref": f"#/components/responses/Refusal{status}"} for status in sorted(statuses)}


def _error(status: int) -> tuple[str, Json]:
    if status == 500:
        words = "An internal fault; nothing was checked. Reference for the operators: the request id."
        description, outcome = "A fault of the service.", operation_outcome("exception", words)
    else:
        description, error = _ERRORS[status]
        outcome = operation_outcome(error.issue_code, str(error))
    example = {"schema": _ref(models.OperationOutcome), "examples": _named("As it is sent", outcome)}
    headers = _headers() | _MORE_HEADERS.get(status, {})
    return f"Refusal{status}", {"description": description, "headers": headers, "content": {_MEDIA_TYPES[0]: example}}


def _schemas(searches: Mapping[str, Search]) -> Json:
    """Generate the schemas of all models, and put in what their types do not say."""
    template = _SCHEMAS + "{name}"
    _, asked = msgspec.json.schema_components((*_REQUESTS.values(), models.Feedback), ref_template=template)
    _, sent = msgspec.json.schema_components(_ANSWERS, ref_template=template)
    sent = {name: _without_null(schema) for name, schema in sent.items()}
    sent["Card"]["properties"]["summary"] |= {"minLength": 1, "maxLength": SUMMARY_LIMIT}
    for model in _REQUESTS.values():
        asked[model.__name__]["properties"]["prefetch"] = {"$ref": f"{_SCHEMAS}Prefetch"}
    return dict(sorted({**asked, **sent, "Prefetch": _prefetch(searches)}.items()))


def _prefetch(searches: Mapping[str, Search]) -> Json:
    return {
        "title": "Prefetch",
        "description": "Answers of the searches that discovery lists. null: none on record. An OperationOutcome of "
        "severity error: could not be read. A key that is absent is read from the FHIR server, where that is allowed.",
        "type": "object",
        "properties": {
            key: {"type": ["object", "null"], "description": f"{search.resource_type}: the answer of {search.query}"}
            for key, search in searches.items()
        },
    }


def _without_null(schema: Any) -> Any:
    """Say of optional members what is true of them: without a value they are left out, never null."""
    if isinstance(schema, list):
        return [_without_null(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {name: _without_null(part) for name, part in schema.items() if name != "default"}
    choices = [choice for choice in kept.get("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1:
        kept.pop("anyOf")
        kept |= choices[0]
    return kept

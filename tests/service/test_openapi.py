"""The OpenAPI document: valid, complete, and its examples are what the service answers."""

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_31

from cards.finding import Hook
from cards.knowledge.loader import load as load_knowledge
from cds_service import __version__
from cds_service.app import create_app, make_assessor
from cds_service.openapi import openapi_document
from cds_service.services import SERVICES, searches_asked
from cds_service.synthetic import AS_OF, demo_patients
from fhir_mapping.catalog.loader import load as load_catalog
from tests.service.calling import SETTINGS, KeepingRecorder, call, client, post, refusal

JSON = "application/json"
HOOKS = {f"/cds-services/{service.id}": service.hook for service in SERVICES.values()}
DIALECT = "https://json-schema.org/draft/2020-12/schema"


@cache
def document() -> dict[str, Any]:
    """Give the document of the shipped service."""
    return openapi_document(make_assessor(SETTINGS))


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            if method != "parameters":
                yield path, method, operation


def resolved(part: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference inside the document."""
    if "$ref" not in part:
        return part
    found: Any = document()
    for name in part["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    assert isinstance(found, dict)
    return found


def validator(schema: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
    """Validate against a schema of the document, its references included."""
    whole = {"$schema": DIALECT, "components": document()["components"], **schema}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)


def media_types() -> Iterator[tuple[str, dict[str, Any]]]:
    """Give everything that has a schema and examples, each with its place."""
    for path, method, operation in operations():
        for kind, content in operation.get("requestBody", {"content": {}})["content"].items():
            yield f"{method} {path} {kind}", content
        for status, response in operation["responses"].items():
            for content in resolved(response).get("content", {}).values():
                yield f"{method} {path} {status}", content


def only_example(content: dict[str, Any]) -> Any:
    (example,) = content["examples"].values()
    return example["value"]


def test_it_is_valid_openapi_3_1() -> None:
    jsonschema_rs.validator_for(OPENAPI_31).validate(document())
    assert document()["openapi"] == "3.1.0"
    assert document()["info"]["version"] == __version__


def test_every_schema_is_valid() -> None:
    for schema in document()["components"]["schemas"].values():
        jsonschema_rs.meta.validate({"$schema": DIALECT, **schema})


def test_every_reference_leads_somewhere() -> None:
    references = set(re.findall(r'"\$ref": "([^"]*)"', json.dumps(document())))

    assert len(references) > 20
    for reference in references:
        assert resolved({"$ref": reference})


def test_every_component_is_used() -> None:
    text = json.dumps(document())
    unused = [
        f"#/components/{kind}/{name}"
        for kind, members in document()["components"].items()
        for name in members
        if kind != "securitySchemes" and f'"#/components/{kind}/{name}"' not in text
    ]

    assert unused == []


def test_every_example_fits_its_schema() -> None:
    places = [place for place, content in media_types() if "examples" in content]
    for _, content in media_types():
        for example in content.get("examples", {}).values():
            validator(content["schema"]).validate(example["value"])

    assert len(places) > 40


def test_it_names_every_route_of_the_service() -> None:
    routes = {
        (re.sub(r"<(?:\w+:)?service_id>", "{id}", rule.rule), method.lower())
        for rule in create_app(SETTINGS, recorder=KeepingRecorder()).url_map.iter_rules()
        for method in rule.methods or ()
        if rule.endpoint != "static" and method not in {"HEAD", "OPTIONS"}
    } - {("/openapi.json", "get"), ("/cds-services/{id}", "post")}

    named = {(path, method) for path, method, _ in operations() if path not in HOOKS}
    assert named - routes <= {("/cds-services/{id}/feedback", "post")}
    assert routes <= named
    assert {(path, "post") for path in HOOKS} <= {(path, method) for path, method, _ in operations()}


def test_operations_have_ids_of_their_own_and_a_summary() -> None:
    ids = [operation["operationId"] for _, _, operation in operations()]

    assert len(set(ids)) == len(ids)
    assert all(operation["summary"] for _, _, operation in operations())


@pytest.mark.parametrize("path", HOOKS)
def test_a_hook_s_example_answer_is_the_service_s_answer(path: str) -> None:
    operation = document()["paths"][path]["post"]
    request = only_example(operation["requestBody"]["content"][JSON])
    shown = only_example(operation["responses"]["200"]["content"][JSON])

    answer = call(request)

    assert request["hook"] == HOOKS[path]
    assert answer.status_code == 200
    assert _without_uuids(answer.get_json()) == _without_uuids(shown)
    assert shown["cards"], "an example without cards shows nothing"
    validator({"$ref": "#/components/schemas/Response"}).validate(answer.get_json())


def _without_uuids(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_uuids(part) for part in value]
    if not isinstance(value, dict):
        return value
    return {name: _without_uuids(part) for name, part in value.items() if name != "uuid"}


def test_the_examples_are_the_same_each_time() -> None:
    again = openapi_document(make_assessor(SETTINGS))

    assert msgspec.json.encode(again) == msgspec.json.encode(document())


def test_the_examples_stand_on_the_day_of_the_demonstration() -> None:
    assert SETTINGS.as_of == AS_OF
    requests = [patient.request for patient in demo_patients()]
    for path in HOOKS:
        assert only_example(document()["paths"][path]["post"]["requestBody"]["content"][JSON]) in requests


@pytest.mark.parametrize("number", range(len(demo_patients())))
def test_every_answer_of_the_demonstration_fits_the_schema(number: int) -> None:
    request = demo_patients()[number].request
    hook = Hook(request["hook"])
    asked = next(path for path, named in HOOKS.items() if named is hook)

    validator(document()["paths"][asked]["post"]["requestBody"]["content"][JSON]["schema"]).validate(request)
    validator({"$ref": "#/components/schemas/Response"}).validate(call(request).get_json())


def test_discovery_and_status_examples_are_real_answers() -> None:
    for path in ("/cds-services", "/healthz", "/readyz"):
        shown = only_example(document()["paths"][path]["get"]["responses"]["200"]["content"][JSON])
        assert client().get(path).get_json() == shown


@pytest.mark.parametrize(
    ("status", "send"),
    [
        (400, lambda: post({"hook": "order-sign", "hookInstance": "x"})),
        (404, lambda: post({}, service="unknown")),
        (405, lambda: client().get("/cds-services/mmcds-order-sign")),
        (
            412,
            lambda: call({"hook": "patient-view", "hookInstance": "x", "context": {"userId": "a", "patientId": "b"}}),
        ),
        (415, lambda: post({}, content_type="text/plain")),
    ],
)
def test_refusals_fit_their_schema(status: int, send: Any) -> None:
    response = send()
    described = document()["components"]["responses"][f"Refusal{status}"]

    refusal(response, status)
    validator(described["content"][JSON]["schema"]).validate(response.get_json())
    for header in described["headers"]:
        assert header in response.headers
    assert only_example(described["content"][JSON])["issue"][0]["code"] == response.get_json()["issue"][0]["code"]


def test_every_search_is_a_described_prefetch_key() -> None:
    keys = searches_asked(load_catalog(), load_knowledge())
    described = document()["components"]["schemas"]["Prefetch"]["properties"]

    assert list(described) == list(keys)
    assert all(search.query in described[key]["description"] for key, search in keys.items())


def test_an_unwatched_member_is_allowed_everywhere_in_a_request() -> None:
    for path in HOOKS:
        content = document()["paths"][path]["post"]["requestBody"]["content"][JSON]
        request = only_example(content)
        more = {"com.example.more": {"a": 1}}
        lenient = request | more | {"context": request["context"] | more, "prefetch": request["prefetch"] | more}
        validator(content["schema"]).validate(lenient)


def test_answers_are_never_null() -> None:
    schemas = {name: schema for name, schema in document()["components"]["schemas"].items() if name != "Prefetch"}

    assert '"null"' not in json.dumps(schemas)
    assert '"default"' not in json.dumps(schemas)


def test_public_addresses_are_its_servers() -> None:
    addresses = ("https://cds.example.org", "https://cds.example.org/mm")

    named = openapi_document(make_assessor(SETTINGS), addresses)

    assert [server["url"] for server in named["servers"]] == list(addresses)
    assert document()["servers"] == [{"url": "/"}]

"""Requests made up from the OpenAPI document, sound and unsound: never a fault of ours, always an answer in FHIR."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import checks

from cds_service.app import create_app, make_assessor
from cds_service.openapi import openapi_document
from cds_service.settings import Settings
from tests.build import AS_OF
from tests.service.calling import KeepingRecorder

SETTINGS = Settings(auth="off", as_of=AS_OF.isoformat())
CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]


def _described() -> Any:
    assessor = make_assessor(SETTINGS)
    # A configuration of our own: no schemathesis.toml that lies about may change what is tested
    config = schemathesis.Config.from_dict({"generation": {"mode": "all"}})
    schema = schemathesis.openapi.from_dict(openapi_document(assessor), config=config)
    schema.app = create_app(SETTINGS, recorder=KeepingRecorder(), assessor=assessor)
    return schema


schema = _described()


def check(case: Any) -> None:
    """Call the service and hold its answer against the document and against our own promise."""
    response = case.call()
    case.validate_response(response, checks=CHECKS)
    if response.status_code != 200:
        outcome = response.json()
        assert outcome["resourceType"] == "OperationOutcome"
        assert outcome["issue"][0]["diagnostics"]


@schema.parametrize()  # type: ignore[untyped-decorator]  # it tells no types
@settings(max_examples=60, suppress_health_check=list(HealthCheck))
def test_the_service_stands_what_is_made_up(case: Any) -> None:
    check(case)


@pytest.mark.deep
@schema.parametrize()  # type: ignore[untyped-decorator]  # as above
@settings(max_examples=2_500, suppress_health_check=list(HealthCheck))
def test_the_service_stands_much_that_is_made_up(case: Any) -> None:
    # Four operations take a body, so this makes 10,000 requests and more
    check(case)

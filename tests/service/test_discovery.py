"""Discovery: what clients register, and hard-code."""

import re
from typing import Any

import pytest

from cards.finding import Hook
from cards.knowledge.loader import load as load_knowledge
from cds_service.services import searches_asked, topics_asked
from fhir_mapping.catalog.loader import load as load_catalog
from fhir_mapping.needs import NEEDS
from tests.service.calling import JSON, client, post, refusal

# The contract with every EHR: hospitals type these keys into their own records
KEYS = (
    "patient",
    "conditions",
    "medicationStatements",
    "medicationRequests",
    "medicationAdministrations",
    "procedures",
    "allergies",
    "observations",
    "medicationDispenses",
    "serviceRequests",
    "reports",
    "immunizations",
    "appointments",
    "researchSubjects",
    "communications",
    "flags",
    "carePlans",
    "recentVitalSigns",
)


def services() -> list[dict[str, Any]]:
    """Ask for discovery."""
    response = client().get("/cds-services")
    assert response.status_code == 200
    found: list[dict[str, Any]] = response.get_json()["services"]
    return found


def test_each_hook_has_one_service_with_an_id_of_its_own() -> None:
    assert {service["id"]: service["hook"] for service in services()} == {
        "mmcds-patient-view": "patient-view",
        "mmcds-order-select": "order-select",
        "mmcds-order-sign": "order-sign",
    }
    assert {service["hook"] for service in services()} == {hook.value for hook in Hook}


def test_discovery_is_json() -> None:
    assert client().get("/cds-services").content_type == JSON


@pytest.mark.parametrize("member", ["hook", "id", "title", "description", "usageRequirements"])
def test_each_service_describes_itself_in_words(member: str) -> None:
    assert all(isinstance(service[member], str) and service[member].strip() for service in services())


def test_no_service_has_members_that_cds_hooks_does_not_know() -> None:
    known = {"hook", "id", "title", "description", "usageRequirements", "prefetch"}

    assert all(service.keys() <= known for service in services())


def test_templates_are_the_searches_that_the_history_needs() -> None:
    asked = searches_asked(load_catalog(), load_knowledge())
    needed = {key: search.query for key, search in asked.items()}

    assert all(service["prefetch"] == needed for service in services())


def test_prefetch_keys_are_never_renamed() -> None:
    assert all(tuple(service["prefetch"]) == KEYS for service in services())


def test_only_what_a_rule_in_force_reads_is_asked_for() -> None:
    read = topics_asked(load_knowledge())

    assert {key for topic in read for key in NEEDS[topic].keys} == set(KEYS)


@pytest.mark.parametrize("key", KEYS)
def test_template_uses_the_patient_token_alone_and_no_parameter_twice(key: str) -> None:
    template = services()[0]["prefetch"][key]

    assert re.findall(r"\{\{(.*?)\}\}", template) == ["context.patientId"]
    assert "{" not in template.replace("{{context.patientId}}", "")
    parameters = [pair.partition("=")[0] for pair in template.partition("?")[2].split("&") if pair]
    assert len(parameters) == len(set(parameters))
    assert not {"_include", "_revinclude", "_maxresults"} & set(parameters)


def test_observations_are_asked_for_by_code() -> None:
    template = services()[0]["prefetch"]["observations"]

    wanted = template.partition("&code=")[2].split(",")
    assert "97509-4" in wanted
    assert all(re.fullmatch(r"\d{1,6}-\d", code) for code in wanted)


def test_temperatures_are_asked_for_as_long_as_a_fever_may_count() -> None:
    asked = searches_asked(load_catalog(), load_knowledge())["recentVitalSigns"].newest_days
    counts = load_knowledge().rules["R24"].text.settings["fever_days"].most

    assert asked is not None
    assert counts is not None
    assert asked > counts  # and one day more, since the clocks of two writers may lie apart


def test_every_advertised_id_answers() -> None:
    for service in services():
        assert "hook" in refusal(post({}, service=service["id"]), 400)


def test_discovery_cannot_be_posted_to() -> None:
    response = client().post("/cds-services", json={})

    refusal(response, 405)
    assert "GET" in response.headers["Allow"]


def test_answers_may_not_be_cached_or_sniffed_and_carry_a_fresh_id() -> None:
    first, second = client().get("/cds-services"), client().get("/cds-services")

    assert first.headers["Cache-Control"] == "no-store"
    assert first.headers["X-Content-Type-Options"] == "nosniff"
    assert first.headers["X-Request-Id"] != second.headers["X-Request-Id"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_and_readiness_answer(path: str) -> None:
    response = client().get(path)

    assert response.status_code == 200
    assert response.get_json()["status"] in {"ok", "ready"}

"""Section A: what goes over the wire is plain JSON, with nothing empty in it and nothing invented."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.communicationrequest import CommunicationRequest
from fhir.resources.R4B.medicationrequest import MedicationRequest
from fhir.resources.R4B.servicerequest import ServiceRequest

from cards.finding import Hook
from cds_service.configuration import load_configuration
from cds_service.errors import SettingsError
from tests.build import chart, draft_collection, hook_request
from tests.service.calling import JSON, call, cards, changed, codes, members, post, refusal, washout
from tests.service.cds_hooks.exchanges import actions, everything
from tests.service.cds_hooks.exchanges import cards as every_card

PRODUCTION = {"MMCDS_ENV": "production", "MMCDS_TIME_ZONE": "America/New_York"}
SITE = """
public_urls = ["https://cds.example.org"]
[[issuers]]
name = "ehr"
issuer = "https://ehr.example.org"
jku = "https://ehr.example.org/jwks.json"
fhir_bases = ["https://ehr.example.org/fhir"]
open_fhir_bases = ["https://open.example.org/fhir"]
"""


def _strict(text: str) -> Any:
    def refuse(name: str) -> None:
        raise ValueError(f"{name} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_c001_every_answer_is_json() -> None:
    for name, response in everything():
        assert response.content_type == JSON, name
        assert isinstance(_strict(response.text), dict), name


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("public_urls", "https://cds.example.org"),
        ("issuers ehr: jku", "https://ehr.example.org/jwks.json"),
        ("issuers ehr: fhir_bases", "https://ehr.example.org/fhir"),
        ("issuers ehr: open_fhir_bases", "https://open.example.org/fhir"),
    ],
)
def test_c002_production_takes_no_address_in_the_clear(tmp_path: Path, name: str, address: str) -> None:
    file = tmp_path / "site.toml"
    environment = PRODUCTION | {"MMCDS_SITE_FILE": str(file)}
    file.write_text(SITE)
    assert load_configuration(environment).site.public_urls == ("https://cds.example.org",)

    file.write_text(SITE.replace(f'"{address}"', f'"{address.replace("https:", "http:")}"'))
    with pytest.raises(SettingsError) as refused:
        load_configuration(environment)
    assert refused.value.faults == (f"{name}: production takes https addresses only",)


def test_c003_nothing_is_null() -> None:
    for name, response in everything():
        assert [path for path, value in members(response.get_json()) if value is None] == [], name


def test_c004_nothing_is_empty_but_a_list_of_cards() -> None:
    empty = []
    for name, response in everything():
        found = [path for path, value in members(response.get_json()) if value in ("", [], {})]
        assert set(found) <= {".cards"}, name
        empty += found

    assert empty, "some answers have no card"


def test_c005_a_member_without_value_is_left_out() -> None:
    (gap,) = cards(call(hook_request(Hook.ORDER_SIGN, {"conditions": chart()["conditions"]}, [draft_collection()])))

    assert gap.keys() == {"uuid", "summary", "detail", "indicator", "source", "extension"}
    assert gap["source"].keys() == {"label", "topic"}


def test_c006_a_resource_is_a_fhir_object_and_no_text() -> None:
    models: dict[str, Any] = {
        "CommunicationRequest": CommunicationRequest,
        "MedicationRequest": MedicationRequest,
        "ServiceRequest": ServiceRequest,
    }
    resources = [action["resource"] for action in actions()]

    assert {resource["resourceType"] for resource in resources} == set(models)
    for resource in resources:
        models[resource["resourceType"]].model_validate(resource)


GOOD = json.dumps(washout())


@pytest.mark.parametrize(
    "body",
    [GOOD[:-1] + ",}", GOOD.replace("[", "[,", 1), "/* why */" + GOOD, GOOD.replace("{", "{// why\n", 1)],
    ids=["trailing comma", "comma in a list", "comment", "line comment"],
)
def test_c007_comments_and_needless_commas_are_refused(body: str) -> None:
    assert "not a JSON object" in refusal(post(body.encode()), 400)


def test_c008_no_member_is_invented() -> None:
    known = {
        "cards": {"cards"},
        "services": {"services"},
        "resourceType": {"resourceType", "issue"},
        "status": {"status"},  # health and readiness are no part of CDS Hooks
    }
    for name, response in everything():
        body = response.get_json()
        assert body.keys() in known.values(), name
    in_a_card = {"uuid", "summary", "detail", "indicator", "source", "suggestions", "selectionBehavior"}
    assert {key for card in every_card() for key in card} == in_a_card | {"overrideReasons", "extension"}


def test_c009_an_extension_is_an_object_with_keys_of_a_domain() -> None:
    sent = [value for _, r in everything() for path, value in members(r.get_json()) if path.endswith(".extension")]

    assert sent
    for extension in sent:
        assert isinstance(extension, dict)
        assert all(re.fullmatch(r"[a-z0-9-]+(\.[a-zA-Z0-9-]+)+", key) for key in extension)


# The extensions of a vendor's own request, and what older or careless clients add
JUNK: dict[str, Any] = {
    "extension": {
        "com.epic.cdshooks.request.bpa-trigger-action": "21",
        "com.epic.cdshooks.request.cds-hooks-specification-version": "1.1",
        "com.epic.cdshooks.request.fhir-version": "R4",
        "com.epic.cdshooks.request.criteria-id": "1234",
        "com.epic.cdshooks.request.epic-version": "10.7",
        "com.epic.cdshooks.request.cds-hooks-su-version": "2024 February",
        "internal": {"nested": [None, {}]},
    },
    "user": "Practitioner/old-style",
    "fhirVersion": None,
    "junk": [[], {"deep": {"a": ""}}],
}


@pytest.mark.parametrize("hook", ["order-select", "order-sign"])
def test_c010_unknown_members_and_extensions_change_nothing(hook: str) -> None:
    plain = washout(Hook(hook))
    request = changed(plain, extension={"x.y": 1}, unknown=[1]) | JUNK
    request["prefetch"] = plain["prefetch"] | {"extension": {"x.y": None}}
    draft = request["context"]["draftOrders"]["entry"][0]["resource"]
    draft |= {"extension": [{"url": "https://ehr.example/x", "valueString": "y"}], "unknown": {}}

    assert codes(call(request)) == codes(call(plain)) == ["R01"]


@pytest.mark.parametrize(
    ("content_type", "is_taken"),
    [
        ("application/json", True),
        ("application/fhir+json", True),
        ("application/json; charset=utf-8", True),
        ("text/plain", False),
        ("application/xml", False),
        (None, False),
    ],
)
def test_c011_json_and_fhir_json_are_taken_and_nothing_else(content_type: str | None, is_taken: bool) -> None:
    response = post(washout(), content_type=content_type)

    if is_taken:
        assert codes(response) == ["R01"]
    else:
        assert "application/json" in refusal(response, 415)

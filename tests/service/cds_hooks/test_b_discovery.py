"""Section B: discovery is always there, and says what clients may hard-code."""

import re
from pathlib import Path
from urllib.parse import parse_qsl

from tests.ehr.sockets import closed_port
from tests.service.calling import JSON, client, post, refusal
from tests.service.cds_hooks.exchanges import IDS, discovery
from tests.service.cds_hooks.guarded import clock, guarded, token, with_key_file
from tests.service.tokens import BASE, issuer

README = Path(__file__).parents[3] / "README.md"
DISCOVERY = "/cds-services"
PATIENT_HERE = "{{context.patientId}}"
TOKEN = re.compile(r"\{\{(.*?)\}\}")
# Of each hook, the fields of its context that its definition allows in a prefetch template
TOKEN_FIELDS = {
    "patient-view": {"userId", "patientId", "encounterId"},
    "order-select": {"userId", "patientId", "encounterId"},
    "order-sign": {"userId", "patientId", "encounterId"},
}
HOOK_VERSIONS = {"patient-view": {"1.0", "1.1"}, "order-select": {"1.0"}, "order-sign": {"1.0"}}
SEMANTIC_VERSION = re.compile(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?")
KEYS = [
    "patient",
    "conditions",
    "medicationStatements",
    "medicationRequests",
    "medicationAdministrations",
    "procedures",
    "allergies",
    "observations",
]


def templates() -> list[tuple[str, str, str]]:
    """Give hook, key and query of every template."""
    found = [(service["hook"], *pair) for service in discovery() for pair in service["prefetch"].items()]
    assert len(found) >= len(KEYS) * len(IDS)
    return found


def test_c020_discovery_is_there_whatever_else_is_out_of_reach_and_under_any_path() -> None:
    with closed_port() as base:
        service = guarded(issuer(jku=base, fhir_bases=(base,)))

        assert service.client.get("/readyz").status_code == 503, "no key was ever loaded"
        for address in ("http://127.0.0.1:8080", "https://hospital.example/cds/myeloma"):
            response = service.client.get(DISCOVERY, base_url=address)
            assert response.status_code == 200
            assert response.data == client().get(DISCOVERY).data


def test_c021_the_answer_is_an_object_with_a_list_of_services() -> None:
    response = client().get(DISCOVERY)

    assert response.content_type == JSON
    assert response.get_json().keys() == {"services"}
    assert isinstance(response.get_json()["services"], list)
    assert all(isinstance(service, dict) for service in response.get_json()["services"])


def test_c023_another_method_is_told_405() -> None:
    for method in ("POST", "PUT", "DELETE"):
        response = client().open(DISCOVERY, method=method, json={})
        refusal(response, 405)
        assert "GET" in response.headers["Allow"]


def test_c024_each_service_names_its_hook() -> None:
    assert [service["hook"] for service in discovery()] == list(IDS)


def test_c025_each_service_describes_itself() -> None:
    assert all(isinstance(s["description"], str) and len(s["description"]) > 20 for s in discovery())


def test_c026_each_id_is_the_address_of_its_service() -> None:
    assert {service["hook"]: service["id"] for service in discovery()} == IDS
    for service in discovery():
        assert "hook" in refusal(post({}, service=service["id"]), 400), "the service has looked at the request"


def test_c027_each_service_has_a_title() -> None:
    titles = [service["title"] for service in discovery()]

    assert all(isinstance(title, str) and title.strip() for title in titles)
    assert len(set(titles)) == len(titles)


def test_c028_usage_requirements_name_what_an_integrator_has_to_send() -> None:
    for service in discovery():
        assert "FHIR R4" in service["usageRequirements"]
        assert "every prefetch key" in service["usageRequirements"]


def test_c029_prefetch_is_an_object_of_texts() -> None:
    for service in discovery():
        assert isinstance(service["prefetch"], dict)
        assert service["prefetch"]
        assert all(isinstance(query, str) and query for query in service["prefetch"].values())


def test_c030_a_version_is_a_semantic_version_if_it_is_sent() -> None:
    assert all(SEMANTIC_VERSION.fullmatch(service.get("version", "3.0.0")) for service in discovery())


def test_c031_a_hook_version_is_the_published_one_if_it_is_sent() -> None:
    for service in discovery():
        published = HOOK_VERSIONS[service["hook"]]
        assert service.get("hookVersion", min(published)) in published


def test_c032_each_hook_is_offered_in_one_version() -> None:
    hooks = [service["hook"] for service in discovery()]

    assert len(hooks) == len(set(hooks)) == len(IDS)


def test_c033_a_pair_of_id_and_hook_is_unique_and_both_count() -> None:
    pairs = [(service["id"], service["hook"]) for service in discovery()]

    assert len(pairs) == len(set(pairs))
    for service in discovery():
        others = set(IDS) - {service["hook"]}
        assert all("another" in refusal(post({"hook": hook}, service=service["id"]), 400) for hook in others)


def test_c034_ids_differ_from_hook_to_hook() -> None:
    assert len({service["id"] for service in discovery()}) == len(IDS)


def test_c035_keys_are_those_that_hospitals_have_typed_in() -> None:
    for service in discovery():
        assert list(service["prefetch"])[: len(KEYS)] == KEYS
        assert all(re.fullmatch(r"[a-z][A-Za-z]*", key) for key in service["prefetch"])


def test_c036_tokens_stand_in_double_braces_and_hold_a_path() -> None:
    for _, key, query in templates():
        assert TOKEN.findall(query), key
        assert all(re.fullmatch(r"context\.[A-Za-z]+", token) for token in TOKEN.findall(query)), key
        assert not set(TOKEN.sub("", query)) & set("{}"), key


def test_c037_tokens_of_the_context_begin_with_its_name() -> None:
    tokens = {token for _, _, query in templates() for token in TOKEN.findall(query)}

    assert tokens == {"context.patientId"}


def test_c038_tokens_are_fields_that_the_hook_allows() -> None:
    for hook, key, query in templates():
        fields = {token.removeprefix("context.") for token in TOKEN.findall(query)}
        assert fields <= TOKEN_FIELDS[hook], key


def test_c039_queries_use_reads_and_plain_searches_with_each_parameter_once() -> None:
    for _, key, query in templates():
        path, _, search = query.partition("?")
        assert re.fullmatch(r"[A-Z][A-Za-z]+(/\{\{context\.patientId\}\})?", path), key
        parameters = dict(parse_qsl(search, strict_parsing=bool(search)))
        assert bool(search) is ("/" not in path), key
        assert len(parameters) == search.count("="), key
        assert set(parameters) <= {"patient", "code", "category", "status", "date", "_count", "_sort"}, key
        assert parameters.get("patient", PATIENT_HERE) == PATIENT_HERE, key


def test_c040_no_template_uses_a_variable() -> None:
    assert [key for _, key, query in templates() if "%" in query] == []


def test_c041_no_template_reckons_with_dates_or_looks_into_the_context() -> None:
    assert [key for _, key, query in templates() if "today" in query or set("()$") & set(query)] == []


def test_c042_discovery_asks_for_a_token_made_for_it_where_the_site_has_locked_it(tmp_path: Path) -> None:
    with clock():
        locked = guarded(with_key_file(tmp_path), lock_discovery=True)
        refusal(locked.show(None, DISCOVERY), 401)
        refusal(locked.show(token(), DISCOVERY), 401)  # made for a service
        assert len(locked.show(token(aud=BASE + DISCOVERY), DISCOVERY).get_json()["services"]) == len(IDS)

        unlocked = guarded(with_key_file(tmp_path))
        for shown in (None, token(aud=BASE + DISCOVERY), token(), "no token"):
            assert unlocked.show(shown, DISCOVERY).status_code == 200, "where it is open, a token does no harm"


def test_c043_the_readme_names_every_hook() -> None:
    text = README.read_text(encoding="utf-8")

    assert [hook for hook in IDS if hook not in text] == []
    assert "/cds-services" in text

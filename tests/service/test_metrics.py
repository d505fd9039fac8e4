"""The numbers for Prometheus: what is counted, what is there from the start, and that workers are counted together."""

import re
import socket
import urllib.request
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from cards.finding import Hook
from cds_service.app import create_app
from cds_service.auth.tokens import REASONS
from cds_service.metrics import Metrics
from cds_service.settings import Settings
from cds_service.site import Site
from fhir_mapping.catalog.loader import load
from tests.build import chart, coded, draft_collection, given, hook_request, reported
from tests.service import tokens
from tests.service.calling import SETTINGS, call, post, washout
from tests.service.test_server import served

LINE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)


def numbers(metrics: Metrics) -> dict[str, float]:
    """Give every number by its name and labels."""
    found = LINE.findall(metrics.exposition().decode())
    return {f"{name}{{{labels}}}": float(value) for name, labels, value in found}


def counted() -> tuple[FlaskClient, Metrics]:
    """Give a client, and the numbers of its service."""
    metrics = Metrics()
    return create_app(SETTINGS, metrics=metrics).test_client(), metrics


def test_a_call_is_counted_with_its_status_time_rules_and_searches() -> None:
    client, metrics = counted()

    call(washout(), to=client)

    found = numbers(metrics)
    assert found['cds_hook_requests_total{code="200",service="mmcds-order-sign"}'] == 1
    assert found['cds_hook_request_duration_seconds_count{service="mmcds-order-sign"}'] == 1
    assert found['cds_rule_evaluations_total{result="flagged",rule="R01"}'] == 1
    assert found['cds_searches_total{key="conditions",origin="prefetch"}'] == 1


def test_a_refusal_is_counted_too() -> None:
    client, metrics = counted()

    post(b"{", to=client)
    call({key: value for key, value in washout().items() if key != "prefetch"}, to=client)

    found = numbers(metrics)
    assert found['cds_hook_requests_total{code="400",service="mmcds-order-sign"}'] == 1
    assert found['cds_hook_requests_total{code="412",service="mmcds-order-sign"}'] == 1
    assert found['cds_searches_total{key="conditions",origin="no_server"}'] == 1


def test_the_reason_of_a_401_is_counted_and_not_told(tmp_path: Path) -> None:
    (tmp_path / "jwks.json").write_bytes(tokens.our_jwks())
    site = Site(public_urls=(tokens.BASE,), issuers=(tokens.issuer(jku=None, jwks_file=tmp_path / "jwks.json"),))
    metrics = Metrics()
    client = create_app(Settings(as_of="2026-11-20"), site, metrics=metrics).test_client()

    response = post(washout(), to=client)

    assert response.status_code == 401
    assert "missing" not in response.text
    assert numbers(metrics)['cds_auth_rejections_total{reason="missing"}'] == 1


def test_what_has_not_happened_yet_stands_at_none() -> None:
    _, metrics = counted()

    found = numbers(metrics)
    assert all(found[f'cds_auth_rejections_total{{reason="{reason}"}}'] == 0 for reason in REASONS)
    assert found['cds_hook_requests_total{code="500",service="mmcds-patient-view"}'] == 0


def test_no_label_holds_what_a_client_sent() -> None:
    client, metrics = counted()

    call(washout() | {"hookInstance": "canary-4711"}, to=client)

    assert b"canary-4711" not in metrics.exposition()
    assert b"synthetic" not in metrics.exposition()


def test_drug_entries_are_counted_by_what_they_were_recognised_by() -> None:
    client, metrics = counted()
    local = coded("urn:canary", "CANARY-1", "canary 10 mg")
    drugs = [
        given("teclistamab", "2026-09-01"),
        given("teclistamab", "2026-09-08"),
        reported("x", "2026-01-01", medicationCodeableConcept={"text": "Tecvayli, canary"}),
        reported("x", "2026-01-01", medicationCodeableConcept=local),
        reported("x", "2026-01-01", medicationCodeableConcept={"text": "canarymab"}),
    ]

    for _ in range(2):
        call(hook_request(Hook.ORDER_SIGN, chart(*drugs), [draft_collection("2026-11-20")]), to=client)

    found = {name: value for name, value in numbers(metrics).items() if name.startswith("mmcds_drug_entries_total")}
    assert found == {
        'mmcds_drug_entries_total{how="RxNorm ingredient"}': 4,
        'mmcds_drug_entries_total{how="text: brand"}': 2,
        'mmcds_drug_entries_total{how="site map"}': 0,
        'mmcds_drug_entries_total{how="unrecognised treatment"}': 2,
        'mmcds_drug_entries_total{how="not known"}': 4,  # the chart holds metformin too
    }
    assert b"canary" not in metrics.exposition()


def test_every_way_of_recognising_a_drug_is_in_words_of_ours() -> None:
    catalog = load()
    ways = {catalog.how_coded[pair] for pair in catalog.drug_codes} | set(catalog.names.kinds.values())

    assert all(re.fullmatch(r"[A-Za-z0-9:. -]{1,40}", way) for way in ways)
    assert len(ways) < 50


def test_numbers_of_drugs_that_cannot_be_written_cost_no_answer() -> None:
    metrics = Metrics()

    metrics.count_drugs({"NDC": -1})

    assert 'mmcds_drug_entries_total{how="NDC"}' in numbers(metrics)


@pytest.mark.parametrize("workers", [1, 2])
def test_prometheus_gets_the_numbers_of_all_workers(tmp_path: Path, workers: int) -> None:
    (tmp_path / "site.toml").write_text(f"workers = {workers}\n")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path / "log"
    with served(
        log, auth="off", as_of="2026-11-20", admin_port=str(port), site_file=str(tmp_path / "site.toml")
    ) as one:
        for _ in range(6):
            assert one.answers()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            text = answer.read().decode()

    assert re.search(r'^cds_hook_requests_total\{code="200",service="mmcds-order-sign"\} 6\.0$', text, re.MULTILINE)

"""The onboarding sheet: filled in for the site, and the one that is committed is that of the example site."""

import re
from pathlib import Path

import pytest

from cards.knowledge.loader import load as load_knowledge
from cds_service.cli.config import config
from cds_service.configuration import load_configuration
from cds_service.onboarding import onboarding_sheet
from cds_service.services import SERVICES, searches_asked
from fhir_mapping.catalog.loader import load as load_catalog
from fhir_mapping.needs import RESOURCE_TYPES
from tests.cli.serving import run

DEPLOY = Path(__file__).parents[2] / "deploy"
EXAMPLE = {
    "MMCDS_ENV": "production",
    "MMCDS_TIME_ZONE": "America/New_York",
    "MMCDS_SITE_FILE": str(DEPLOY / "site.example.toml"),
}


def sheet() -> str:
    return onboarding_sheet(load_configuration(EXAMPLE, load_knowledge()), load_catalog(), load_knowledge())


def test_the_committed_sheet_is_that_of_the_example_site() -> None:
    assert (DEPLOY / "onboarding.md").read_text(encoding="utf-8") == sheet()


def test_it_names_every_address_template_and_scope() -> None:
    text = sheet()

    for service in SERVICES.values():
        assert f"`https://cds.example-hospital.org/cds-services/{service.id}`" in text
    asked = searches_asked(load_catalog(), load_knowledge())
    for key, search in asked.items():
        assert f"| `{key}` | `{search.query}` |" in text
    for kind in (*(search.resource_type for search in asked.values()), "Medication"):
        assert f"| {kind} | `patient/{kind}.read` | `patient/{kind}.rs` |" in text
    for key in RESOURCE_TYPES.keys() - asked.keys():
        assert f"| `{key}` | {RESOURCE_TYPES[key]} |" in text
        assert f"patient/{RESOURCE_TYPES[key]}." not in text
    assert "| mmcds | ehr.example-hospital.org | 443 | FHIR reads |" in text
    assert "$" not in text


def test_it_asks_for_each_scope_once() -> None:
    scopes = re.findall(r"`(patient/\w+\.rs)`", sheet())

    assert len(scopes) == len(set(scopes)) > 0


def test_it_is_printed_for_the_site_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMCDS_AUTH", "off")
    monkeypatch.setenv("MMCDS_PUBLIC_URL", "https://cds.example.org/mmcds/")

    result = run(config, "sheet")

    assert result.exit_code == 0
    assert "`https://cds.example.org/mmcds/cds-services/mmcds-order-sign`" in result.stdout

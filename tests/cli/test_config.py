"""`mmcds config`: every fault at once, every value with its origin, and no secret anywhere."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import certifi
import pytest
from click.testing import Result

from cards.knowledge.loader import KnowledgeError
from cds_service.cli.config import config
from cds_service.settings import PREFIX, Settings
from cds_service.site import Site
from fhir_mapping.catalog.loader import CatalogError
from tests.cli.serving import run
from tests.service.tokens import es384, jwk

SITE = """
name = "canary hospital"
public_urls = ["https://cds.canary.example"]
cors_origins = ["https://browser.canary.example"]
ca_file = "canary-ca.pem"
unsupported_resource_types = ["MedicationAdministration"]

[limits]
pages = 7

[[issuers]]
name = "canary-ehr"
issuer = "https://ehr.canary.example"
audiences = ["canary-audience"]
subjects = ["canary-subject"]
tenants = ["canary-tenant"]
jku = "https://ehr.canary.example/jwks.json"
fhir_bases = ["https://fhir.canary.example/r4"]

[[issuers]]
name = "canary-second"
issuer = "urn:canary"
jwks_file = "canary-jwks.json"
dialect = "epic"

[[orders]]
template = "antiviral"
system = "urn:canary-system"
code = "canary-code"
display = "canary display"
"""
EXAMPLE = Path(__file__).parents[2] / "deploy/concept-map.example.json"
SECRET = "http://canary-user:canary-password@proxy.canary.example:3128"  # noqa: S105 - made up


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "canary-ca.pem").write_bytes(Path(certifi.where()).read_bytes())
    (tmp_path / "canary-jwks.json").write_text(json.dumps({"keys": [jwk(es384(), "canary-kid")]}))
    path = tmp_path / "canary-site.toml"
    path.write_text(SITE)
    return path


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)


def ask(*arguments: str, **settings: object) -> Result:
    return run(config, *arguments, env={f"{PREFIX}{name}": str(value) for name, value in settings.items()})


def shown(*arguments: str, **settings: object) -> dict[str, Any]:
    result = ask("show", "--json", *arguments, **settings)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_a_sound_configuration_is_ok(site: Path) -> None:
    result = ask("check", SITE_FILE=site)

    assert result.exit_code == 0, result.output
    assert result.stdout == (
        "ok: development, client authentication on, a site file, 2 issuers, 1 public addresses, 1 order codes\n"
    )


def test_the_codes_that_concept_maps_add_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text(f"concept_maps = [{json.dumps(str(EXAMPLE))}]")

    result = ask("check", AUTH="off", SITE_FILE=path)

    assert result.exit_code == 0, result.output
    assert "concept_maps[0]: adds 5 codes and 1 texts\n" in result.stdout


def test_development_switches_are_named() -> None:
    result = ask("check", AUTH="off", AS_OF="2026-11-20")

    assert result.exit_code == 0, result.output
    assert "MMCDS_AUTH=off: for synthetic data only" in result.stdout
    assert "MMCDS_AS_OF: for synthetic data only" in result.stdout


@pytest.mark.parametrize("command", ["check", "show"])
def test_every_fault_of_environment_and_site_file_is_listed(tmp_path: Path, command: str) -> None:
    path = tmp_path / "site.toml"
    path.write_text("workers = 99\n[limits]\npages = 0\n")

    result = ask(command, SITE_FILE=path, PORT="canary", WRONG="canary")

    assert result.exit_code == 2
    assert result.stdout == ""
    for place in ("MMCDS_PORT", "MMCDS_WRONG", "workers", "limits.pages"):
        assert place in result.stderr
    assert "canary" not in result.stderr


def test_order_codes_are_held_against_the_templates(site: Path) -> None:
    site.write_text(SITE.replace('template = "antiviral"', 'template = "canary-order"'))

    assert ask("check", SITE_FILE=site).exit_code == 2


def test_keys_that_cannot_be_used_are_found_before_the_start(site: Path) -> None:
    (site.parent / "canary-jwks.json").write_text("[]")

    result = ask("check", SITE_FILE=site)

    assert result.exit_code == 2
    assert "- issuers canary-second: jwks_file" in result.stderr


@pytest.mark.parametrize(
    ("table", "error"),
    [
        ("load_knowledge", KnowledgeError(["a rule without a source"])),
        ("create_app", CatalogError("a drug without a class")),
    ],
)
def test_faulty_tables_are_told(monkeypatch: pytest.MonkeyPatch, table: str, error: Exception) -> None:
    def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr(sys.modules["cds_service.cli.config"], table, broken)

    result = ask("check", AUTH="off")

    assert result.exit_code == 2
    assert result.stderr == f"- {error}\n"


def test_every_value_is_shown_with_its_origin(site: Path) -> None:
    found = shown(SITE_FILE=site, PORT="9000")

    assert found["MMCDS_PORT"] == {"value": 9000, "origin": "environment"}
    assert found["MMCDS_HOST"] == {"value": "127.0.0.1", "origin": "default"}
    assert found["site.name"] == {"value": "canary hospital", "origin": "site file"}
    assert found["site.limits.pages"] == {"value": 7, "origin": "site file"}
    assert found["site.limits.entries"] == {"value": 2000, "origin": "default"}
    assert found["site.ca_file"] == {"value": str(site.parent / "canary-ca.pem"), "origin": "site file"}
    assert found["site.issuers[0].jku"]["origin"] == "site file"
    assert found["site.issuers[0].jwks_file"] == {"value": "(not set)", "origin": "default"}
    assert found["site.issuers[1].dialect"] == {"value": "epic", "origin": "site file"}
    assert found["site.orders[0].code"] == {"value": "canary-code", "origin": "site file"}
    assert {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} <= found.keys()
    listed = {name.removeprefix("site.").partition(".")[0].partition("[")[0] for name in found}
    assert set(Site.model_fields) <= listed


def test_an_address_of_the_environment_wins_and_says_so() -> None:
    found = shown(AUTH="off", PUBLIC_URL="https://cds.example.org")

    assert found["site.public_urls"] == {"value": ["https://cds.example.org"], "origin": "environment"}


def test_text_has_one_line_for_each_value(site: Path) -> None:
    lines = ask("show", SITE_FILE=site).stdout.splitlines()

    assert len(lines) == len(shown(SITE_FILE=site))
    (line,) = [line for line in lines if line.startswith("site.limits.pages")]
    assert line.split() == ["site.limits.pages", "=", "7", "#", "site", "file"]


@pytest.mark.parametrize("arguments", [(), ("--redacted",), ("--json",), ("--redacted", "--json")])
def test_secrets_are_never_shown(site: Path, arguments: tuple[str, ...]) -> None:
    output = ask("show", *arguments, SITE_FILE=site, PROXY=SECRET).output

    assert "canary-password" not in output
    assert "canary-user" not in output
    assert "(set, never shown)" in output


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_redacted_output_names_nobody(site: Path, arguments: tuple[str, ...]) -> None:
    output = ask(
        "show", "--redacted", *arguments, SITE_FILE=site, PROXY=SECRET, HOST="10.9.8.7", TIME_ZONE="America/Chicago"
    ).output

    assert "canary" not in output
    assert "10.9.8.7" not in output
    assert str(site.parent) not in output
    for useful in ("MedicationAdministration", "epic", "antiviral", "America/Chicago", "2000"):
        assert useful in output


NUMBERS = """
[rules.R01]
minimum_days = 150
[rules.R15]
cd4_lookback_days = 200
[[accept_risk]]
rule = "R01"
setting = "minimum_days"
who = "Dr. Canary"
why = "a canary reason"
until = 2027-06-30
"""


@pytest.fixture
def numbers(tmp_path: Path) -> Path:
    path = tmp_path / "numbers.toml"
    path.write_text(NUMBERS)
    return path


def test_numbers_of_rules_are_shown_as_they_are_in_force(numbers: Path) -> None:
    found = shown(AUTH="off", AS_OF="2026-11-20", SITE_FILE=numbers)
    later = shown(AUTH="off", AS_OF="2027-07-01", SITE_FILE=numbers)

    own = "site.rules.R01.minimum_days"
    assert found[own] == {"value": 150, "origin": "site file; shipped: 183 d; accepted until 2027-06-30"}
    assert later[own] == {"value": 183, "origin": "shipped: 183 d; its accept_risk has expired"}
    assert found["site.rules.R15.cd4_lookback_days"] == {"value": 200, "origin": "site file; shipped: 180 d"}
    assert found["site.rules.R16.cd4_lookback_days"]["value"] == 200
    assert found["site.accept_risk[0].who"] == {"value": "Dr. Canary", "origin": "site file"}
    assert "site.rules" not in found
    assert shown(AUTH="off")["site.rules"] == {"value": [], "origin": "default"}


def test_redacted_output_shows_numbers_but_nobody_who_answers_for_them(numbers: Path) -> None:
    output = ask("show", "--redacted", AUTH="off", AS_OF="2026-11-20", SITE_FILE=numbers).output

    assert "canary" not in output.lower()
    for useful in ("site.rules.R01.minimum_days", "150", "2027-06-30"):
        assert useful in output


def test_the_check_names_own_numbers_and_warns_of_an_expired_acceptance(numbers: Path) -> None:
    sound = ask("check", AUTH="off", AS_OF="2026-11-20", SITE_FILE=numbers)
    later = ask("check", AUTH="off", AS_OF="2027-07-01", SITE_FILE=numbers)

    assert sound.exit_code == later.exit_code == 0
    assert "rules.R01.minimum_days: 150 (site file; shipped: 183 d; accepted until 2027-06-30)\n" in sound.stdout
    assert "expired" not in sound.stdout
    assert "warning: accept_risk[0] (R01.minimum_days) has expired: the shipped number is in" in later.stdout


def test_a_fault_of_a_number_is_refused(numbers: Path) -> None:
    numbers.write_text(NUMBERS.replace("2027-06-30", "2037-06-30"))

    result = ask("check", AUTH="off", AS_OF="2026-11-20", SITE_FILE=numbers)

    assert result.exit_code == 2
    assert "- site file, accept_risk[0].until: must be at most 2 years ahead" in result.stderr


def test_the_sheet_lists_the_numbers_that_the_site_has_set(numbers: Path) -> None:
    own = ask("sheet", AUTH="off", AS_OF="2026-11-20", SITE_FILE=numbers).stdout

    assert "| `rules.R01.minimum_days` | 150 | site file; shipped: 183 d; accepted until 2027-06-30 |" in own
    assert "as shipped." in ask("sheet", AUTH="off").stdout


def test_a_rule_that_is_switched_on_is_named_wherever_the_site_is_described(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text('rules_on = ["R05G"]')
    title = "GPRC5D-directed therapy again after progression on it"

    assert f"rules_on: R05G ({title}), shipped off\n" in ask("check", AUTH="off", SITE_FILE=path).stdout
    assert f"switched on by this hospital: R05G ({title})." in ask("sheet", AUTH="off", SITE_FILE=path).stdout
    assert "switched on by" not in ask("sheet", AUTH="off").stdout
    assert shown(AUTH="off", SITE_FILE=path)["site.rules_on"] == {"value": ["R05G"], "origin": "site file"}


def test_the_schema_describes_the_site_file() -> None:
    result = ask("schema")

    assert result.exit_code == 0
    assert json.loads(result.stdout) == Site.model_json_schema()

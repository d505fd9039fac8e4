"""The site file: what it takes, what it refuses, and that no value of it is repeated in a fault."""

from pathlib import Path

import pytest

from cards.knowledge.loader import load as load_knowledge
from cds_service.configuration import load_configuration
from cds_service.errors import SettingsError
from cds_service.site import Site, read_site
from tests.ehr.certificates import Authority

ISSUER = """
[[issuers]]
name = "ehr"
issuer = "https://ehr.example.org/fhir"
jku = "https://ehr.example.org/jwks.json"
"""
SOUND = f'public_urls = ["https://cds.example.org"]\n{ISSUER}'
PRODUCTION = {"MMCDS_ENV": "production", "MMCDS_TIME_ZONE": "America/New_York"}


def written(folder: Path, text: str) -> Path:
    path = folder / "site.toml"
    path.write_text(text, encoding="utf-8")
    return path


def faults_of(folder: Path, text: str, **environment: str) -> str:
    """Give all faults of a site file together with its environment."""
    variables = {"MMCDS_SITE_FILE": str(written(folder, text))} | environment
    with pytest.raises(SettingsError) as refused:
        load_configuration(variables, load_knowledge())
    return "\n".join(refused.value.faults)


def test_a_sound_file_is_taken_with_and_without_production(tmp_path: Path) -> None:
    for environment in ({}, PRODUCTION):
        variables = {"MMCDS_SITE_FILE": str(written(tmp_path, SOUND))} | environment

        assert load_configuration(variables, load_knowledge()).site.issuers[0].algorithms == ("ES384", "RS384")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("canary = ", "is no TOML", id="no TOML"),
        pytest.param('canary = "x"', "canary", id="an unknown key"),
        pytest.param('name = "canary/../"', "name", id="a name with odd characters"),
        pytest.param('public_urls = ["cds.canary.org"]', "public_urls", id="an address without scheme"),
        pytest.param('public_urls = ["https://u:canary@x.org"]', "public_urls", id="an address with a user"),
        pytest.param('cors_origins = ["https://canary.org/"]', "cors_origins", id="an origin with a slash"),
        pytest.param('cors_origins = ["*"]', "cors_origins", id="any origin"),
        pytest.param("workers = 0", "workers", id="no worker"),
        pytest.param("[limits]\npages = 0", "limits.pages", id="no pages"),
        pytest.param('unsupported_resource_types = ["Medicationcanary"]', "unsupported", id="a misspelt type"),
        pytest.param('unsupported_resource_types = ["Condition"]', "unsupported", id="a type nobody can do without"),
        pytest.param('ca_file = "canary.pem"', "no such file: ca_file", id="certificates that are not there"),
        pytest.param(ISSUER.replace("jku", "#"), "jku or jwks_file", id="an issuer without keys"),
        pytest.param(ISSUER + 'jwks_file = "canary.json"', "jwks_file", id="keys that are not there"),
        pytest.param(ISSUER + 'algorithms = ["HS256"]', "algorithms", id="a symmetric algorithm"),
        pytest.param(ISSUER + 'algorithms = ["none"]', "algorithms", id="no algorithm"),
        pytest.param(ISSUER + "algorithms = []", "algorithms", id="an empty list of algorithms"),
        pytest.param(ISSUER + ISSUER, "issuers.name stands twice", id="two issuers of one name"),
        pytest.param(ISSUER + ISSUER.replace('"ehr"', '"two"'), "must differ in their tenants", id="one iss twice"),
        pytest.param(ISSUER + 'fhir_bases = ["https://x.org/..;/y"]', "fhir_bases", id="a way up in a base"),
        pytest.param('[[orders]]\ntemplate = "canary"\nsystem = "s"\ncode = "c"', "orders", id="an unknown template"),
    ],
)
def test_a_fault_is_named_by_its_place_and_no_value_is_repeated(tmp_path: Path, text: str, said: str) -> None:
    sound = "" if "public_urls" in text else 'public_urls = ["https://cds.example.org"]\n'

    faults = faults_of(tmp_path, sound + text, MMCDS_AUTH="off")

    assert said in faults
    if "canary = " not in text and "template" not in text:
        assert "canary" not in faults.lower()


def test_all_faults_are_listed_at_once(tmp_path: Path) -> None:
    faults = faults_of(tmp_path, "workers = 0\nlock_discovery = 7\n[limits]\npages = 0", MMCDS_PORT="x")

    assert all(place in faults for place in ("workers", "lock_discovery", "limits.pages", "MMCDS_PORT"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SOUND.replace("https://cds", "http://cds"), "public_urls: production takes https"),
        (SOUND.replace('jku = "https', 'jku = "http'), "jku: production takes https"),
        (SOUND + 'fhir_bases = ["http://ehr.example.org/fhir"]', "fhir_bases: production takes https"),
        (SOUND + 'open_fhir_bases = ["http://127.0.0.1:9/fhir"]', "open_fhir_bases: production takes https"),
        (SOUND.replace("https://ehr.example.org/fhir", "https://sandbox.cds-hooks.org"), "public sandbox"),
        (SOUND.replace("https://ehr.example.org/jwks", "https://SANDBOX.cds-hooks.org/jwks"), "public sandbox"),
    ],
)
def test_production_refuses_what_is_not_for_patients(tmp_path: Path, text: str, said: str) -> None:
    assert said in faults_of(tmp_path, text, **PRODUCTION)

    load_configuration({"MMCDS_SITE_FILE": str(written(tmp_path, text))}, load_knowledge())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (ISSUER, "no public address is known"),
        ('public_urls = ["https://cds.example.org"]', "no issuer is known"),
    ],
)
def test_without_issuer_or_address_nobody_could_be_let_in(tmp_path: Path, text: str, said: str) -> None:
    assert said in faults_of(tmp_path, text)


def test_the_public_address_stands_in_one_place(tmp_path: Path) -> None:
    assert "keep one" in faults_of(tmp_path, SOUND, MMCDS_PUBLIC_URL="https://other.example.org")


def test_a_list_of_servers_for_anybody_is_refused_beside_authentication(tmp_path: Path) -> None:
    assert "MMCDS_AUTH=off only" in faults_of(tmp_path, SOUND, MMCDS_FHIR_BASES="https://ehr.example.org")


def test_files_are_found_beside_the_site_file(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text("{}")
    authority = Authority(tmp_path)
    path = written(tmp_path, f'ca_file = "{authority.ca_file.name}"\n{ISSUER}jwks_file = "keys.json"')

    site, faults = read_site(path)

    assert faults == []
    assert site.ca_file == tmp_path / authority.ca_file.name
    assert site.issuers[0].jwks_file == tmp_path / "keys.json"


def test_a_file_without_certificates_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("canary")

    assert "ca_file holds no certificates" in faults_of(tmp_path, 'ca_file = "ca.pem"', MMCDS_AUTH="off")


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_that_cannot_be_read_is_no_site(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "site.toml"
    if content is not None:
        path.write_bytes(content)

    site, faults = read_site(path)

    assert site == Site()
    assert len(faults) == 1

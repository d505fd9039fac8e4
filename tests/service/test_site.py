"""The site file: what it takes, what it refuses, and that no value of it is repeated in a fault."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from cards.knowledge.loader import load as load_knowledge
from cds_service.app import create_app
from cds_service.concept_maps import LARGEST_MAP, catalog_with
from cds_service.configuration import load_configuration
from cds_service.errors import SettingsError
from cds_service.site import Site, read_site
from fhir_mapping.catalog.site_map import CONCEPT_SYSTEM, TEXT_SYSTEM
from fhir_mapping.wire import Coding, Concept
from tests.build import RXNORM, Resource, coded
from tests.ehr.certificates import Authority
from tests.service.calling import SETTINGS, call, codes, washout

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


# Local codes

LOCAL = "urn:oid:2.16.840.1.113883.3.9999.1"
EXAMPLE = Path(__file__).parents[2] / "deploy/concept-map.example.json"


def element(
    code: Any = "CANARY-1", concept: str | None = "teclistamab", equivalence: Any = "wider", **more: Any
) -> Any:
    """Make one element of a map."""
    target = {"equivalence": equivalence} | ({"code": concept} if concept is not None else {}) | more
    return {"code": code, "target": [target]}


def concept_map(*elements: Any, source: str | None = LOCAL, target: str = CONCEPT_SYSTEM, **more: Any) -> Resource:
    """Make a map of one group."""
    group = {"source": source, "target": target, "element": list(elements)}
    group = {key: value for key, value in group.items() if value is not None}
    return {"resourceType": "ConceptMap", "status": "active", "group": [group]} | more


def with_maps(folder: Path, *maps: Any) -> str:
    """Write maps and give a site file that names them."""
    names = [f"canary-{number}.json" for number in range(len(maps))]
    for name, content in zip(names, maps, strict=True):
        (folder / name).write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return f"concept_maps = {json.dumps(names)}\n{SOUND}"


@pytest.mark.parametrize("environment", [{}, PRODUCTION], ids=["development", "production"])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param("{", "concept_maps[0]: is no JSON", id="no JSON"),
        pytest.param("[" * 100_000, "concept_maps[0]: is no JSON", id="nested too deep"),
        pytest.param("[]", "concept_maps[0]: is no FHIR ConceptMap", id="a list"),
        pytest.param({"resourceType": "ValueSet"}, "concept_maps[0]: is no FHIR ConceptMap", id="another resource"),
        pytest.param(" " * LARGEST_MAP + "{}", "concept_maps[0]: larger than 5 MB", id="too large"),
        pytest.param({"resourceType": "ConceptMap", "status": "active"}, "maps no code", id="no group"),
        pytest.param(concept_map(element(concept=None, equivalence="unmatched")), "maps no code", id="all left open"),
        pytest.param(concept_map(element(), status=None), "concept_maps[0].status:", id="no status"),
        pytest.param(concept_map(element(), status="retired"), "status: a retired map", id="retired"),
        pytest.param(concept_map(element(), canary=1), "Extra inputs", id="a member that FHIR does not have"),
        pytest.param(
            concept_map(element(), group={}), "concept_maps[0].group: Input should be", id="no list of groups"
        ),
        pytest.param(concept_map(element(), implicitRules="urn:x"), "implicitRules: is not", id="rules of its own"),
        pytest.param(concept_map(element(), source=None), "group[0].source: needs the system", id="no source"),
        pytest.param(concept_map(element(), source=f"{LOCAL}|2"), "group[0].source: needs", id="a source with version"),
        pytest.param(concept_map(element(), target="urn:canary"), "group[0].target: must be urn:mmcds", id="elsewhere"),
        pytest.param(concept_map(), "maps no code", id="no element"),
        pytest.param(concept_map(element(None)), "group[0].element[0].code: needs", id="no local code"),
        pytest.param(concept_map(element(7)), "group[0].element[0].code", id="a number for a code"),
        pytest.param(concept_map(element(" x ")), "group[0].element[0].code", id="a code with spaces around it"),
        pytest.param(concept_map(element(concept=None)), "target[0]: names no concept", id="no concept"),
        pytest.param(concept_map(element(equivalence=None)), "target[0].equivalence", id="no equivalence"),
        pytest.param(concept_map(element(equivalence=[])), "target[0].equivalence", id="a list for an equivalence"),
        pytest.param(concept_map(element(equivalence="canary")), "has no equivalence of", id="an unknown equivalence"),
        pytest.param(concept_map(element(equivalence="narrower")), "too loose", id="a narrower concept"),
        pytest.param(concept_map(element(equivalence="specializes")), "too loose", id="a special case"),
        pytest.param(concept_map(element(equivalence="inexact")), "too loose", id="an inexact concept"),
        pytest.param(concept_map(element(equivalence="relatedto")), "too loose", id="a related concept"),
        pytest.param(concept_map(element(equivalence="unmatched")), "does not match", id="a concept without match"),
        pytest.param(concept_map(element(equivalence="disjoint")), "does not match", id="a concept that is another"),
        pytest.param(concept_map(element(dependsOn=[])), "dependsOn: is not supported", id="a condition"),
        pytest.param(concept_map(element(product=[])), "product: is not supported", id="a second result"),
        pytest.param(
            concept_map(element("a"), element("b", "canary")), "element[1]: there is no such", id="a misspelling"
        ),
        pytest.param(concept_map(element(), element(concept="talquetamab")), "another concept too", id="two drugs"),
        pytest.param(
            concept_map(element("2619426", "talquetamab"), source=RXNORM), "shipped table", id="a shipped code"
        ),
    ],
)
def test_a_fault_of_a_concept_map_stops_the_start(
    tmp_path: Path, content: Any, said: str, environment: dict[str, str]
) -> None:
    faults = faults_of(tmp_path, with_maps(tmp_path, content), **environment)

    assert said in faults
    assert all(fault.startswith("site file, concept_maps[0]") for fault in faults.splitlines())
    if "Extra" not in said:  # the name of a member is its place
        assert "canary" not in faults.lower()


def test_faults_of_all_maps_and_of_the_environment_are_listed_at_once(tmp_path: Path) -> None:
    maps = (
        concept_map(element("a", "canary"), element("b", "canary"), element("c", equivalence="inexact"), status=7),
        "{",
        concept_map(element("d"), source=None),
    )

    for environment in ({}, {"MMCDS_PORT": "x"}):
        faults = faults_of(tmp_path, with_maps(tmp_path, *maps), **environment)

        for place in (
            "concept_maps[0].group[0].element[0]",
            "concept_maps[0].group[0].element[1]",
            "concept_maps[0].group[0].element[2]",
            "concept_maps[0].status",
            "concept_maps[1]",
            "concept_maps[2].group[0].source",
            *(name for name in environment),
        ):
            assert place in faults


def test_two_files_may_not_contradict_each_other_nor_be_one(tmp_path: Path) -> None:
    text = with_maps(tmp_path, concept_map(element()), concept_map(element(concept="talquetamab")))
    assert "concept_maps[1].group[0].element[0]: mapped to another concept too" in faults_of(tmp_path, text)

    twice = text.replace("canary-1.json", "./canary-0.json")
    assert "concept_maps[1]: the same file as concept_maps[0]" in faults_of(tmp_path, twice)


def test_a_map_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert "concept_maps[0]: cannot be read" in faults_of(tmp_path, f'concept_maps = ["canary.json"]\n{SOUND}')
    assert "concept_maps[0]: cannot be read" in faults_of(tmp_path, f'concept_maps = ["."]\n{SOUND}')


def test_maps_are_found_beside_the_site_file(tmp_path: Path) -> None:
    site, faults = read_site(written(tmp_path, with_maps(tmp_path, concept_map(element()))))

    assert faults == []
    assert site.concept_maps == (tmp_path / "canary-0.json",)


def test_the_example_map_is_sound() -> None:
    catalog, faults = catalog_with([EXAMPLE])

    assert faults == []
    assert [d.id for d in catalog.drug(Concept((Coding(LOCAL, "LOC-TECLI-153"),))).drugs] == ["teclistamab"]
    assert [d.id for d in catalog.drug(Concept(text="TEC step-up dose 1")).drugs] == ["teclistamab"]
    assert catalog.drug(Concept((Coding(LOCAL, "LOC-METF-500"),))).is_known_other
    assert catalog.drug(Concept((Coding(LOCAL, "LOC-NONFORM"),))).is_unrecognised_treatment


@pytest.mark.parametrize("equivalence", ["unmatched", "disjoint", "wider"])
def test_a_drug_that_is_none_of_ours_may_be_written_in_several_ways(tmp_path: Path, equivalence: str) -> None:
    with_maps(tmp_path, concept_map(element("a", "other-drug", equivalence)))

    catalog, faults = catalog_with([tmp_path / "canary-0.json"])

    assert faults == []
    assert catalog.drug(Concept((Coding(LOCAL, "A"),))).is_known_other


def test_a_mapped_dose_makes_the_washout_rule_fire(tmp_path: Path) -> None:
    request = washout()
    (dose,) = request["prefetch"]["medicationAdministrations"]["entry"]
    dose["resource"]["medicationCodeableConcept"] = coded(LOCAL, "CANARY-1", "TCL STEP 1")
    with_maps(tmp_path, concept_map(element()), concept_map(element("tcl, step 1"), source=TEXT_SYSTEM))

    def answered(*maps: str) -> list[str]:
        site = Site(concept_maps=tuple(tmp_path / name for name in maps))
        return codes(call(request, to=create_app(SETTINGS, site).test_client()))

    assert "R01" not in answered()
    assert "R01" in answered("canary-0.json")
    assert "R01" in answered("canary-1.json")


def test_a_service_with_a_faulty_map_is_not_made(tmp_path: Path) -> None:
    with_maps(tmp_path, concept_map(element(concept="canary")))

    with pytest.raises(SettingsError, match="there is no such concept"):
        create_app(SETTINGS, Site(concept_maps=(tmp_path / "canary-0.json",)))


def test_twenty_thousand_codes_and_texts_are_loaded_in_seconds(tmp_path: Path) -> None:
    many = [element(f"L {number}", "acyclovir") for number in range(10_000)]
    with_maps(tmp_path, concept_map(*many), concept_map(*many, source=TEXT_SYSTEM))
    started = time.monotonic()

    catalog, faults = catalog_with([tmp_path / "canary-0.json", tmp_path / "canary-1.json"])

    assert faults == []
    assert time.monotonic() - started < 30  # about 3 on an idle machine
    for found in (Concept((Coding(LOCAL, "L 9999"),)), Concept(text="L 9999")):
        assert [drug.id for drug in catalog.drug(found).drugs] == ["acyclovir"]

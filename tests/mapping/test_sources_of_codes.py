"""Every code of the product was seen beside its name in a dated public source, and stands in one table."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from cds_service.cli import main
from fhir_mapping.catalog import concepts_page
from fhir_mapping.catalog.concepts_page import Source, Wanted, read_sources, read_wanted, source_of
from fhir_mapping.catalog.generate import (
    SHIPPED_STATUSES,
    ShippedCode,
    UnfitRowError,
    fault_in,
    read_rows,
    shipped_codes,
)
from fhir_mapping.catalog.loader import load
from fhir_mapping.catalog.texts import canonical_code, code_system, read_text, system_name
from fhir_mapping.wire import Coding, Concept
from tests.build import RXNORM

ROOT = Path(__file__).parents[2]
ROWS = read_rows()
SHIPPED = list(shipped_codes(ROWS))
IN_TABLE = {(code.system, code.code) for code in SHIPPED}
SYSTEMS = {system for system, _ in IN_TABLE}
ANY_SYSTEM = {code for _, code in IN_TABLE}
WANTED = tomllib.loads(read_text("wanted.toml"))
SOURCES = read_sources(WANTED)

GOOD_ROW = {
    "concept_id": "warfarin",
    "group": "supportive",
    "system": RXNORM,
    "code": "11289",
    "display": "warfarin",
    "status": "verified",
    "source": "someone/some-codes data/W.json@2810603",
}

# --- Each row of the table ---


def test_every_shipped_code_has_a_status_a_display_and_a_dated_source() -> None:
    faults = [f"{row['concept_id']} {row['code']}: {fault}" for row in ROWS if (fault := fault_in(row)) is not None]
    assert not faults
    assert {row["status"] for row in ROWS} <= SHIPPED_STATUSES | {"unverified"}


def test_every_source_of_a_shipped_code_is_explained_on_the_page() -> None:
    assert {text for code in SHIPPED for text in code.sources if source_of(text, SOURCES) is None} == set()


@pytest.mark.parametrize(
    "change", [{}, {"status": "double", "source": GOOD_ROW["source"] + "; 2nd: someone/else@1234567"}]
)
def test_a_sound_row_is_shipped(change: dict[str, str]) -> None:
    assert fault_in(GOOD_ROW | change) is None
    assert [code.code for code in shipped_codes([GOOD_ROW | change])] == ["11289"]


@pytest.mark.parametrize(
    "source",
    [
        "someone/some-codes data/W.json@2810603",
        "api.fda.gov drug/ndc.json product_ndc 0000-0000 (last_updated 2026-10-02)",
        "NLM VSAC 2.16.840.1.1 version 20250328 in someone/some-codes value_set.py",
        "someone.org/list (scrape Feb 2025)",
        "someone.blogspot.com/2025/09/a-page.html",
    ],
)
def test_a_source_has_a_name_and_a_date_or_commit(source: str) -> None:
    assert fault_in(GOOD_ROW | {"source": source}) is None


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"status": "seen"}, id="unknown status"),
        pytest.param({"status": ""}, id="no status"),
        pytest.param({"display": " "}, id="no display"),
        pytest.param({"source": ""}, id="no source"),
        pytest.param({"source": "public source"}, id="source without a name"),
        pytest.param({"source": "from memory, 2025-01-01"}, id="memory"),
        pytest.param({"source": "someone/some-codes data/W.json"}, id="source without a date"),
        pytest.param({"source": "someone/some-codes-2025 valueset 2.16.840.1"}, id="a year in a name is no date"),
        pytest.param({"source": GOOD_ROW["source"] + "; 2nd: public source", "status": "double"}, id="undated second"),
        pytest.param({"status": "double"}, id="double with one source"),
    ],
)
def test_a_row_without_status_display_or_source_is_rejected(change: dict[str, str]) -> None:
    row = GOOD_ROW | change
    assert fault_in(row) is not None
    with pytest.raises(UnfitRowError, match="warfarin 11289"):
        list(shipped_codes([GOOD_ROW, row]))


def test_a_row_that_nobody_has_verified_is_kept_back() -> None:
    assert list(shipped_codes([GOOD_ROW | {"status": "unverified"}])) == []


# --- Codes elsewhere in the product ---

FOLDERS = ("fhir_mapping", "cards", "cds_service", "deploy")
LITERALS = re.compile(
    r"(?<![\w.$-])(?:"
    r"\d{3,6}-\d(?![\w-])"  # LOINC
    r"|L[AP]\d{3,7}-\d\b"
    r"|\d{5,18}(?![\w.%-])"  # CPT, RxNorm, SNOMED CT
    r"|\d{4}T\b"
    r"|[A-V]\d{4}\b(?!-)"  # HCPCS
    r"|[A-TV-Z]\d[0-9A-Z](?:\.[0-9A-Z]{1,4}\b|[0-9]{2}[0-9A-Z]?\b)"  # ICD-10-CM
    r"|[A-Z]\d\d[A-Z]{2}\d\d\b"  # ATC
    r"|XW\w{5}\b"  # ICD-10-PCS
    r"|\d{4,5}-\d{4}(?:-\d\d)?\b(?!-)"  # NDC
    r")"
)
# Addresses, DOIs, commits and days: no codes
ADDRESS = re.compile(r"https?://\S+|\b10\.\d{4,}/\S+|(?:@|\bat )[0-9a-f]{7}\b|\b20\d\d[01]\d[0-3]\d\b")
UNNAMED = "bills a drug without naming it: no concept has it"
NO_CODE = "a limit, a port or an id: no code"
ALLOWED = {
    "J9999": UNNAMED,
    "J8999": UNNAMED,
    "J3490": UNNAMED,
    "J3590": UNNAMED,
    "C9399": UNNAMED,
    "I10": "hypertension of the example patients: no rule reads it",
    "C90.0": "the category, as an example of how codes are written",
    "12345": NO_CODE,
    "10000": NO_CODE,
    "20000": NO_CODE,
    "65535": NO_CODE,
    "1000000": NO_CODE,
    "20000000": NO_CODE,
}


def literals(text: str) -> Iterator[str]:
    """Find what looks like a code, addresses left out."""
    yield from (match[0] for match in LITERALS.finditer(ADDRESS.sub(" ", text)))


def is_known(literal: str) -> bool:
    return any(canonical_code(system, literal) in ANY_SYSTEM for system in SYSTEMS) or literal in ALLOWED


def files(*suffixes: str) -> list[Path]:
    return sorted(
        file
        for folder in FOLDERS
        for file in (ROOT / folder).rglob("*")
        if file.suffix in suffixes and not file.name.startswith("requirements")
    )


@pytest.mark.parametrize("file", files(".py", ".toml"), ids=lambda file: file.relative_to(ROOT).as_posix())
def test_a_code_written_anywhere_stands_in_the_table(file: Path) -> None:
    assert {found for found in literals(file.read_text(encoding="utf-8")) if not is_known(found)} == set()


def test_a_planted_code_is_noticed() -> None:
    planted = 'code = "99999-1"  # or 299999999, Q9999, C99.91, XW0ZZZ9, Z99ZZ99, 99999-9999, LA99999-9, 9999T'
    assert len({found for found in literals(planted) if not is_known(found)}) == 9
    assert list(literals("see https://example.org/12345-6 and doi 10.1234/98765-4")) == []


def test_prefixes_of_diagnoses_stand_in_the_table_as_categories() -> None:
    recognition = tomllib.loads(read_text("recognition.toml"))
    prefixes = {prefix for page in recognition.values() for prefix in page.get("icd10cm_prefixes", ())}
    assert {("icd10cm", prefix) for prefix in prefixes} <= IN_TABLE


def codings(value: object) -> Iterator[tuple[str, str]]:
    """List the codings of a FHIR resource as (short name of the system, canonical code)."""
    if isinstance(value, dict):
        if isinstance(value.get("system"), str) and isinstance(value.get("code"), str):
            name = system_name(value["system"])
            code = canonical_code(name, value["code"])
            yield code_system(name, code), code
        for part in value.values():
            yield from codings(part)
    elif isinstance(value, list):
        for part in value:
            yield from codings(part)


@pytest.mark.parametrize("file", files(".json"), ids=lambda file: file.name)
def test_the_codes_of_the_example_patients_stand_in_the_table(file: Path) -> None:
    used = set(codings(json.loads(file.read_text(encoding="utf-8"))))
    assert {(system, code) for system, code in used if system in SYSTEMS and code not in ALLOWED} <= IN_TABLE


# --- The page of concepts ---


def test_the_page_of_concepts_is_the_generated_one() -> None:
    page = (ROOT / "deploy" / "concepts.md").read_text(encoding="utf-8")
    assert page == concepts_page.page(), "run: mmcds catalogue page"


@pytest.mark.parametrize("command", ["generate", "page"])
def test_the_command_line_finds_nothing_stale(command: str) -> None:
    result = CliRunner().invoke(main, ["catalogue", command, "--check"])
    assert result.exit_code == 0, result.output


def test_each_wanted_concept_has_codes_or_says_why_not() -> None:
    found = {(code.group, code.concept) for code in SHIPPED}
    wanted = read_wanted(WANTED)
    assert len({(concept.group, concept.id) for concept in wanted}) == len(wanted)
    for concept in wanted:
        assert concept.rules
        assert all(re.fullmatch(r"R\d\d", rule) for rule in concept.rules), concept
        assert ((concept.group, concept.id) in found) is (concept.why is None), concept


def test_each_source_of_the_page_is_dated_and_used() -> None:
    used = {source.begins for code in SHIPPED for text in code.sources if (source := source_of(text, SOURCES))}
    assert used == {source.begins for source in SOURCES}
    assert all(re.search(r"20\d\d|commits? [0-9a-f]{7}", source.dated) and source.where for source in SOURCES)


def test_the_page_counts_codes_by_system_and_lists_what_has_none() -> None:
    wanted = [Wanted("warfarin", "supportive", ("R34",), None), Wanted("nothing", "lab", ("R40", "R41"), "Not found.")]
    sources = [
        Source("one", "One", "The first", "2025-01", "one.org"),
        Source("two", "Two", "Second", "2026", "two.org"),
    ]
    codes = [
        ShippedCode("supportive", "warfarin", "rxnorm", "1", "IN", ("one/x@1234567", "three/y@1234567")),
        ShippedCode("supportive", "warfarin", "rxnorm", "2", "SCD", ("one/x@1234567",)),
        ShippedCode("supportive", "warfarin", "atc", "A", "", ("one/x@1234567",)),
        ShippedCode("lab", "warfarin", "loinc", "9", "", ("two/x@1234567",)),
    ]
    page = concepts_page.concepts_page(wanted, sources, codes)
    assert "| `warfarin` | R34 | RxNorm 2, ATC 1 | One 2025-01 |\n" in page
    assert "| `nothing` | tests and measurements | R40 R41 | Not found. |\n" in page
    assert "| One | The first | 2025-01 | one.org |\n" in page


# --- What the codes are read as ---


def test_the_drugs_that_rules_watch_are_known_by_code_and_by_name() -> None:
    catalog = load()
    for text, code, drug, drug_class in (
        ("warfarin 5 mg tablet", "855332", "warfarin", "narrow-index-cyp"),
        ("cycloSPORINE modified 100 mg capsule", "241834", "ciclosporin", "narrow-index-cyp"),
        ("fosphenytoin 500 mg IV", "72236", "phenytoin", "narrow-index-cyp"),
        ("carbidopa 25 mg / levodopa 100 mg", "197444", "levodopa", "antiparkinson"),
        ("carbidopa-levodopa 25-100 mg", "103990", "levodopa", "antiparkinson"),
        ("loperamide 2 mg", "6468", "loperamide", "antidiarrhoeal"),
        ("Lomotil 2.5-0.025 mg", "1190572", "diphenoxylate-atropine", "antidiarrhoeal"),
        ("acyclovir sodium 50 mg/mL injection", "1734932", "acyclovir", "hsv-vzv-antiviral"),
        ("atovaquone 750 mg/5 mL oral suspension", "308429", "atovaquone", "pjp-agent"),
        ("ceftriaxone 1 g injection", "1665021", "ceftriaxone", "antibacterial"),
        ("peramivir 10 mg/mL", "1598082", "peramivir", "respiratory-antiviral"),
        ("foscarnet 24 mg/mL", "1734377", "foscarnet", "cmv-antiviral"),
        ("belantamab mafodotin-blmf 70 mg", "2725585", "belantamab-mafodotin", "adc"),
    ):
        for concept in (Concept((), text), Concept((Coding(RXNORM, code),))):
            match = catalog.drug(concept)
            assert [(found.id, found.drug_class.value) for found in match.drugs] == [(drug, drug_class)], concept

"""`mmcds mapping`: the worklist of a hospital's charts, the map to fill in, and what a code or text becomes."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from fhir.resources.R4B.conceptmap import ConceptMap

from cards.finding import Hook
from cds_service.cli import main
from cds_service.cli.mapping import mapping
from cds_service.synthetic import demo_patients
from tests.build import RXNORM, Resource, bundle, chart, coded, draft_drug, given, hook_request, reported
from tests.cli.serving import run, written
from tests.service.test_site import EXAMPLE, LOCAL, concept_map, element

HCPCS = "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"


def dose(code: str | None, text: str | None, system: str = LOCAL, **more: Any) -> Resource:
    """Make a dose of whatever a hospital calls so."""
    named = coded(system, code, text) if code else {"text": text}
    return given("x", "2026-09-01", medicationCodeableConcept=named, **more)


def about(patient_id: str, resource: Resource) -> Resource:
    return resource | {"subject": {"reference": f"Patient/{patient_id}"}}


DOSES = [
    *(about(f"p{number}", dose("LOC-1", "TCL STEP 1")) for number in range(3)),
    dose("LOC-2", "Tecvayli 30 mg"),
    dose("LOC-2", "TECVAYLI 30MG"),
    dose("LOC-3", "Newdrugumab"),
    dose(None, "Day one\tantibody\x1b[31m bag"),
    dose("J9999", "dara 16 mg/kg", HCPCS),
    dose("2619426", "talquetamab", RXNORM),
    dose("2619426", "teclistamab", RXNORM),
    dose("LOC-4", "adalimumab"),
    dose("LOC-5", "taken back", status="entered-in-error"),
    dose("LOC-6", "was not given", status="not-done"),
]


def listed(*arguments: object) -> list[list[str]]:
    """Give the rows of the table, each cut into its columns."""
    result = run(mapping, "worklist", *arguments)
    assert result.exit_code == 0, result.output
    lines = result.stdout.split("\n\n", 1)[1].splitlines()
    header = lines[0]
    starts = [0, *(header.index(title) for title in ("kind", "name", "codes"))]
    rows = [line for line in lines[1:] if line[: starts[1]].strip().isdigit()]
    return [[line[a:b].strip() for a, b in zip(starts, (*starts[1:], None), strict=True)] for line in rows]


@pytest.fixture
def charts(tmp_path: Path) -> Path:
    return written(tmp_path / "charts.json", bundle(DOSES))


# The worklist


def test_what_is_not_known_for_sure_is_listed_the_most_frequent_first(charts: Path) -> None:
    assert listed(charts) == [
        ["3", "not known", "TCL STEP 1", f"{LOCAL}|LOC-1"],
        ["2", "known by its text alone", "Tecvayli 30 mg (and 1 other name) -> teclistamab?", f"{LOCAL}|LOC-2"],
        ["1", "code and name differ", "talquetamab -> talquetamab, teclistamab?", f"{RXNORM}|2619426"],
        ["1", "not known", "Day one antibody [31m bag", "(none)"],
        ["1", "not known", "was not given", f"{LOCAL}|LOC-6"],
        ["1", "possible short name", "dara 16 mg/kg -> daratumumab?", f"{HCPCS}|J9999"],
        ["1", "unrecognised treatment", "Newdrugumab", f"{LOCAL}|LOC-3"],
    ]


def test_the_summary_says_how_the_others_were_recognised(charts: Path) -> None:
    said = run(mapping, "worklist", charts).stdout.splitlines()[:5]

    assert said == [
        "12 drug entries; known to be some other drug: 1",
        "  recognised by RxNorm ingredient: 2",
        "  recognised by text: brand: 2",
        "  recognised by text: generic name: 1",
        "",
    ]


def test_several_files_of_any_kind_are_counted_together(tmp_path: Path) -> None:
    ndjson = tmp_path / "doses.ndjson"
    ndjson.write_text("".join(f"{json.dumps(dose('LOC-1', 'TCL STEP 1'))}\n" for _ in range(4)))
    drafts = [draft_drug("x") | {"medicationCodeableConcept": coded(LOCAL, "LOC-1", "TCL STEP 1")}]
    request = hook_request(Hook.ORDER_SIGN, chart(dose("loc-1", "TCL STEP 1")), drafts)
    medication = {"resourceType": "Medication", "id": "m", "code": coded(LOCAL, "LOC-1", "TCL STEP 1")}
    referring = reported("x", medicationCodeableConcept=None, medicationReference={"reference": "Medication/m"})
    files = [
        ndjson,
        written(tmp_path / "request.json", request),
        written(tmp_path / "prefetch.json", chart(dose("LOC-1", "TCL STEP 1"))),
        written(tmp_path / "list.json", [referring, medication]),
    ]

    found = {codes: count for count, _, _, codes in listed(*files)}

    assert found[f"{LOCAL}|LOC-1"] == "7"
    assert found[f"{LOCAL}|loc-1"] == "1"


def test_a_broken_record_costs_itself_alone(tmp_path: Path) -> None:
    sent = bundle([*DOSES[:3], dose("LOC-9", "x") | {"medicationCodeableConcept": 7}])
    sent["entry"].append({"resource": "no record"})

    result = run(mapping, "worklist", written(tmp_path / "charts.json", sent))

    assert result.stdout.startswith("4 drug entries")
    assert "(no name)" in result.stdout  # what the broken one is about is lost, not that it is there
    assert "records that could not be read: 1" in result.stdout


def test_one_kind_can_be_shown_alone(charts: Path) -> None:
    assert [row[3] for row in listed(charts, "--kind", "unrecognised treatment")] == [f"{LOCAL}|LOC-3"]


def test_what_a_map_explains_leaves_the_list(charts: Path, tmp_path: Path) -> None:
    tried = written(tmp_path / "map.json", concept_map(element("LOC-1"), element("LOC-3", "other-drug")))

    codes = [row[3] for row in listed(charts, "--map", tried)]

    assert f"{LOCAL}|LOC-2" in codes
    assert not {f"{LOCAL}|LOC-1", f"{LOCAL}|LOC-3"} & set(codes)


def test_the_maps_of_the_site_file_count(charts: Path, tmp_path: Path) -> None:
    written(tmp_path / "map.json", concept_map(element("LOC-1")))
    (tmp_path / "site.toml").write_text('concept_maps = ["map.json"]')
    site = {"MMCDS_SITE_FILE": str(tmp_path / "site.toml")}

    for more in ((), ("--map", tmp_path / "map.json")):  # the same file once more does no harm
        result = run(mapping, "worklist", charts, *more, env=site)

        assert "recognised by site map: 3" in result.stdout
        assert "LOC-1" not in result.stdout


@pytest.mark.parametrize("command", [("worklist", EXAMPLE), ("explain", "x")])
@pytest.mark.parametrize("site", ["canary = 1", 'concept_maps = ["none.json"]'])
def test_a_faulty_site_is_told(tmp_path: Path, command: tuple[object, ...], site: str) -> None:
    (tmp_path / "site.toml").write_text(site)

    result = run(mapping, *command, env={"MMCDS_SITE_FILE": str(tmp_path / "site.toml")})

    assert result.exit_code == 2
    assert result.stderr.startswith("- ")


def test_demo_patients_leave_nothing_to_be_mapped(tmp_path: Path) -> None:
    requests = [written(tmp_path / f"{n}.json", patient.request) for n, patient in enumerate(demo_patients())]

    result = run(mapping, "worklist", *requests)

    assert result.exit_code == 0
    assert "Nothing is left to be mapped." in result.stdout or {row[1] for row in listed(*requests)} == {"not known"}


def test_nothing_is_left_of_an_empty_chart(tmp_path: Path) -> None:
    result = run(mapping, "worklist", written(tmp_path / "empty.json", bundle([])))

    assert result.exit_code == 0
    assert "Nothing is left to be mapped." in result.stdout


@pytest.mark.parametrize("content", ["", "{", "[1]]"])
def test_a_file_that_is_none_is_a_usage_fault(tmp_path: Path, content: str) -> None:
    path = tmp_path / "chart.json"
    path.write_text(content)

    assert run(mapping, "worklist", path).exit_code == 2


# The map to fill in


def skeleton(charts: Path) -> tuple[Resource, Path]:
    path = charts.parent / "local-codes.json"
    result = run(mapping, "worklist", charts, "--concept-map", path)
    assert result.exit_code == 0, result.output
    made: Resource = json.loads(path.read_text())
    return made, path


def test_the_map_to_fill_in_is_valid_and_has_every_code_without_meaning_once(charts: Path) -> None:
    made, _ = skeleton(charts)

    ConceptMap.model_validate(made)
    groups = {group["source"]: group["element"] for group in made["group"]}
    assert {system: [e["code"] for e in elements] for system, elements in groups.items()} == {
        LOCAL: ["LOC-1", "LOC-2", "LOC-6", "LOC-3"],
        "urn:mmcds:text": ["Day one antibody [31m bag", "dara 16 mg/kg"],  # J9999 bills any drug
    }
    assert groups[LOCAL][0]["display"] == "TCL STEP 1"
    assert all(e["target"][0]["equivalence"] == "unmatched" for elements in groups.values() for e in elements)
    comment = groups[LOCAL][1]["target"][0]["comment"]
    assert "teclistamab?" in comment
    assert "2 names" in comment


def test_the_map_is_sound_once_it_is_filled_in_and_what_is_left_open_does_no_harm(charts: Path) -> None:
    made, path = skeleton(charts)
    assert "maps no code" in run(mapping, "check", path).stderr

    for group in made["group"]:
        group["element"][0]["target"] = [{"code": "teclistamab", "equivalence": "wider"}]
    written(path, made)

    result = run(mapping, "check", path)
    assert (
        result.stdout
        == f"ok: {path} adds 1 codes and 1 texts, 4 left open; its status is draft: has somebody signed it off?\n"
    )
    assert [row[3] for row in listed(charts, "--map", path)].count(f"{LOCAL}|LOC-1") == 0


def test_a_map_that_is_there_is_not_written_over(charts: Path) -> None:
    path = written(charts.parent / "mine.json", {})

    assert run(mapping, "worklist", charts, "--concept-map", path).exit_code == 2
    assert path.read_text() == "{}"


def test_no_map_is_written_where_there_is_nothing_to_map(tmp_path: Path) -> None:
    path = tmp_path / "map.json"

    result = run(mapping, "worklist", written(tmp_path / "c.json", bundle([])), "--concept-map", path)

    assert "no map written" in result.stdout
    assert not path.exists()
    assert (
        run(mapping, "worklist", written(tmp_path / "d.json", bundle(DOSES)), "--concept-map", "/none/x").exit_code == 2
    )


# Checks


def test_the_example_map_is_sound() -> None:
    result = run(main, "mapping", "check", EXAMPLE)

    assert result.exit_code == 0, result.output
    assert result.stdout == f"ok: {EXAMPLE} adds 5 codes and 1 texts, 1 left open\n"


def test_every_fault_is_listed_with_what_is_at_fault(tmp_path: Path) -> None:
    one = written(tmp_path / "one.json", concept_map(element("A", "teclistimab"), element("B", equivalence="inexact")))
    two = written(tmp_path / "two.json", concept_map(element("2619426", "talquetamab"), source=RXNORM))

    result = run(mapping, "check", one, two)

    assert result.exit_code == 2
    assert result.stdout == ""
    assert "group[0].element[0]: there is no such concept (A -> teclistimab)" in result.stderr
    assert "group[0].element[1].target[0]: is too loose" in result.stderr
    assert f"{two}.group[0].element[0]: the shipped table gives this code another meaning" in result.stderr


# Explanations


def explained(*arguments: object) -> str:
    result: Result = run(mapping, "explain", *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_code_of_a_system_is_explained() -> None:
    assert explained("57894-449-01", "--system", "http://hl7.org/fhir/sid/ndc") == (
        "  read as: ndc 578940449\n  drug: teclistamab (bispecific), by NDC, stated\n"
    )


def test_a_code_without_system_is_looked_for_in_all_of_them() -> None:
    said = explained("38228")

    assert said.startswith("as a text:\n  not known")
    assert said.count("as a code of") == 1
    assert "as a code of cpt:\n  read as: cpt 38228\n  procedure: car-t-infusion" in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Tecvayli 30 mg", "drug: teclistamab (bispecific), by text: brand, stated"),
        ("dara, cycle 1", "possible drug, by a short name: daratumumab"),
        ("Newdrugumab", "unrecognised treatment"),
        ("adalimumab", "known to be some other one"),
        ("Multiple myeloma in relapse", "condition: multiple-myeloma-relapse"),
        ("aspirin", "not known"),
    ],
)
def test_a_text_is_explained(text: str, said: str) -> None:
    assert said in explained(text)


def test_a_code_of_a_map_is_explained() -> None:
    assert "drug: teclistamab (bispecific), by site map, stated" in explained("LOC-TECLI-153", "--map", EXAMPLE)
    assert "lab: creatinine" in explained("CREA", "--map", EXAMPLE)
    assert "by site map" in explained("tec, step-up dose 1", "--map", EXAMPLE)
    assert "known to be some other one" in explained("LOC-METF-500", "--system", LOCAL, "--map", EXAMPLE)

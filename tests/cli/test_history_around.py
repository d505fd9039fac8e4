"""`mmcds history`: what stands around the treatment, and by what drugs were recognised."""

import json
from pathlib import Path

import pytest

from tests.build import CPT, Resource, condition, dispensed, given, infusion, lab, procedure, reported
from tests.cli.serving import written
from tests.cli.test_history import facts, section, told, told_of
from tests.mapping.care_builders import appointment, immunization, request, revoked, trial

EXAMPLE_MAP = Path(__file__).parents[2] / "deploy/concept-map.example.json"


@pytest.mark.parametrize(
    ("title", "record", "line"),
    [
        ("Timeline", procedure("38241", "2021-05-12"), "2021-05-12 stem cell transplant, autologous, 5.5 years ago"),
        ("Timeline", condition("Z94.84", "2022-01-05"), "undated stem cell transplant, donor not stated"),
        ("Timeline", procedure("38206", "2021-04-02"), "2021-04-02 stem cell collection, 5.6 years ago"),
        ("Timeline", given("Yescarta", "2020-03-01"), "Yescarta (cells against another disease), 6.7 years ago"),
        ("Timeline", reported("Privigen", "2026-10-01", "2026-10-01"), "supportive care, last dose 50 days ago"),
        ("Timeline", dispensed("acyclovir", "2026-11-01", 30), "acyclovir: HSV/VZV prophylaxis, in force"),
        ("CAR T cells, inferred", infusion("2026-03-01"), "- ciltacabtagene autoleucel: infused 2026-03-01."),
        ("Laboratory", lab("2465-3", 3.5, "g/L", "2026-11-01"), "2026-11-01 IgG 350 mg/dL"),
        (
            "Other problems that rules ask about",
            condition("B18.1", "2019-02-01"),
            "hbv chronic: not said whether active",
        ),
        ("Vaccines", immunization("187"), "zoster recombinant, 2026-05-04"),
        ("Planned, declined, and trials", appointment(), "CAR T evaluation: open, planned 2026-12-01"),
        (
            "Planned, declined, and trials",
            request("T-cell leukapheresis"),
            "T-cell collection: open, requested 2026-11-02",
        ),
        (
            "Planned, declined, and trials",
            revoked(reason="Patient declined"),
            "declined or not suitable: Patient declined",
        ),
        ("Planned, declined, and trials", trial(), "on study"),
        ("Drugs were recognised by", given("teclistamab", "2026-05-22"), "RxNorm ingredient: 1"),
        ("Drugs were recognised by", given("Tecvayli 153 mg", "2026-05-22"), "text: brand: 1"),
        ("Other drugs, not known", reported("amlodipine 5 mg", "2020-01-01"), "amlodipine 5 mg: 1"),
    ],
)
def test_each_kind_is_told_where_one_looks_for_it(tmp_path: Path, title: str, record: Resource, line: str) -> None:
    assert line in " ".join(" ".join(section(told_of(tmp_path, record), title)).split())


def test_doses_of_one_vaccine_are_one_line(tmp_path: Path) -> None:
    doses = [immunization("187", occurrenceDateTime=day) for day in ("2025-01-10", "2025-07", "2024-03-01")]
    assert section(told_of(tmp_path, *doses), "Vaccines") == ["- zoster recombinant, last 2025-07 (3 on record)"]


def test_a_collection_without_infusion_is_told_as_such(tmp_path: Path) -> None:
    text = " ".join(section(told_of(tmp_path, procedure("38225", "2026-10-01", system=CPT)), "CAR T cells"))
    assert "CAR T cells: cannot be told; collected 2026-10-01." in text


def test_a_chart_with_nothing_around_has_no_such_sections(tmp_path: Path) -> None:
    text = told_of(tmp_path)
    for title in ("Vaccines", "Planned, declined", "Other problems", "Examinations", "Drugs were", "CAR T cells"):
        assert title not in text


def test_the_codes_of_the_site_are_read_here_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "site.toml"
    site.write_text(f"concept_maps = [{json.dumps(str(EXAMPLE_MAP))}]")
    group = json.loads(EXAMPLE_MAP.read_text())["group"][0]
    element = group["element"][0]
    local = {"coding": [{"system": group["source"], "code": element["code"]}]}
    path = written(tmp_path / "one.json", given("x", "2026-05-22") | {"medicationCodeableConcept": local})

    assert facts(path)["recognised_by"] == {}
    monkeypatch.setenv("MMCDS_SITE_FILE", str(site))
    assert facts(path)["recognised_by"] == {"site map": 1}


def test_a_faulty_site_file_ends_it_with_its_faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "site.toml"
    site.write_text('concept_maps = ["nowhere.json"]')
    monkeypatch.setenv("MMCDS_SITE_FILE", str(site))
    with pytest.raises(AssertionError, match=r"concept_maps\[0\]: cannot be read"):
        told(written(tmp_path / "one.json", given("teclistamab", "2026-05-22")))


def test_json_holds_what_the_text_says(tmp_path: Path) -> None:
    records = [
        immunization("187"),
        appointment(),
        trial(),
        condition("B18.1"),
        lab("2465-3", 350, "mg/dL", "2026-11-01"),
    ]
    found = facts(written(tmp_path / "list.json", records))
    assert {"problems", "plans", "refusals", "trials", "vaccinations", "eye_examinations", "education"} <= found.keys()
    assert [plan["what"] for plan in found["plans"]] == ["CAR T evaluation"]
    assert found["problems"][0]["problem"] == "hbv-chronic"

"""`mmcds probe` against a FHIR server that serves, lacks, refuses or misbehaves; never a word of the chart."""

import json
import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cards.knowledge.loader import load as load_knowledge
from cds_service.cli.probe import probe
from cds_service.services import searches_asked
from cds_service.settings import unix_time
from fhir_mapping.catalog.loader import load as load_catalog
from tests.build import (
    PATIENT,
    Resource,
    allergy,
    chart,
    given,
    infusion,
    lab,
    ordered,
    patient,
    reported,
)
from tests.cli.serving import run
from tests.ehr import faulty
from tests.ehr.server import Ehr

PARAMETERS = {
    "Observation": ["patient", "code"],
    "DiagnosticReport": ["patient", "code"],
    "Patient": [],
    "Medication": ["_id"],
}
KEYS = list(searches_asked(load_catalog(), load_knowledge()))
CANARIES = {"text": "canary-text", "id": "canary-id"}
CHART = chart(
    given("teclistamab", "2026-03-02"),
    given("canary-drug", "2026-03-03"),
    reported("metformin", None, status="active"),
    ordered("acyclovir", "2026-01-10"),
    {**ordered("lenalidomide", None), "medicationCodeableConcept": None},
    infusion("2026-01-05"),
    lab("24467-3", 120, "/uL", "2026-10-01"),
    allergy({"text": "canary allergy"}),
)


def capable(lacking: str = "", without: str = "") -> faulty.Fault:
    """Add to the CapabilityStatement what a complete server lists; one type or one parameter may be missing."""
    kinds = [
        *dict.fromkeys(search.resource_type for search in searches_asked(load_catalog(), load_knowledge()).values()),
        "Medication",
    ]
    offered = [
        {
            "type": kind,
            "interaction": [{"code": "read"}, {"code": "search-type"}],
            "searchParam": [{"name": n} for n in PARAMETERS.get(kind, ["patient"]) if f"{kind}.{n}" != without],
        }
        for kind in kinds
        if kind != lacking
    ]
    return faulty.changed(lambda said: said | {"rest": [{"mode": "server", "resource": offered}]})


def examined(ehr: Ehr, *arguments: object) -> tuple[int, dict[str, Any]]:
    result = run(probe, "--fhir", ehr.base, "--json", *arguments)
    report: dict[str, Any] = json.loads(result.stdout)
    return result.exit_code, report


def serving(**options: Any) -> Ehr:
    faults = {"metadata": capable()} | options.pop("faults", {})
    return Ehr(CHART, faults=faults, **options)


def test_a_complete_server_lacks_nothing() -> None:
    with serving() as ehr:
        code, report = examined(ehr, "--patient", PATIENT)

    assert report["missing"] == []
    assert code == 0
    assert report["fhirVersion"] == "4.0.1"
    assert set(report["capability"].values()) == {"ok"}
    assert abs(report["clockOffsetSeconds"]) < 5
    assert list(report["searches"]) == KEYS
    assert all(row["answered"] == 1 for row in report["searches"].values())
    assert all(isinstance(row["medianMilliseconds"], int) for row in report["searches"].values())
    assert isinstance(report["parallelMilliseconds"], int)
    administrations = report["searches"]["medicationAdministrations"]
    assert administrations["readable"] == administrations["dated"]
    assert administrations["knownDrugs"] >= 1
    assert (administrations["otherDrugs"], administrations["unrecognisedTreatment"]) == (1, 0)
    assert report["searches"]["medicationRequests"]["unnamedDrugs"] == 1
    assert report["searches"]["medicationStatements"]["undated"] >= 1
    assert report["searches"]["conditions"]["myeloma"] == 1
    assert report["history"]["carTInfusions"] == 1
    assert report["history"]["labResults"] == 1


def test_each_search_is_timed_three_times_alone_and_read_once_as_the_service_reads() -> None:
    with serving() as ehr:
        examined(ehr, "--patient", PATIENT)

        searches = Counter(search.resource_type for search in searches_asked(load_catalog(), load_knowledge()).values())
        assert {kind: len(ehr.asked(kind)) for kind in searches} == {kind: 4 * n for kind, n in searches.items()}


def test_several_patients_are_added_up() -> None:
    second = {"patient": patient(id="synthetic-2")} | {key: None for key in KEYS if key != "patient"}
    with serving() as ehr:
        ehr.put(second, "synthetic-2")
        code, report = examined(ehr, "--patient", PATIENT, "--patient", "synthetic-2")

    assert code == 0
    assert report["patients"] == 2
    assert report["searches"]["patient"]["readable"] == 2


def test_pages_are_followed() -> None:
    with serving(page_size=1) as ehr:
        code, report = examined(ehr, "--patient", PATIENT)

    assert code == 0
    row = report["searches"]["medicationAdministrations"]
    assert row["readable"] == len(CHART["medicationAdministrations"]["entry"]) > 1
    assert row["cutShort"] == 0


def test_medications_that_records_refer_to_are_looked_up() -> None:
    referring: Resource = {
        "resourceType": "MedicationStatement",
        "id": "s",
        "status": "active",
        "subject": {"reference": f"Patient/{PATIENT}"},
        "medicationReference": {"reference": "Medication/m"},
    }
    drug = {"resourceType": "Medication", "id": "m", "code": {"text": "teclistamab"}}
    statements = {"resourceType": "Bundle", "entry": [{"resource": referring}, {"resource": drug}]}
    with Ehr(chart() | {"medicationStatements": statements}, faults={"metadata": capable()}) as ehr:
        _, report = examined(ehr, "--patient", PATIENT)

        assert "_id=m" in ehr.asked("Medication")[0].query
    assert report["searches"]["medicationStatements"]["knownDrugs"] == 1


def test_the_token_goes_along(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("canary-token")
    with serving(token="canary-token") as ehr:  # noqa: S106 - made up
        code, _ = examined(ehr, "--patient", PATIENT, "--token-file", tmp_path / "token")
        refused, report = examined(ehr, "--patient", PATIENT)

    assert code == 0
    assert refused == 1
    assert f"{KEYS[0]}: the server refused the access token (401)" in report["missing"]


@pytest.mark.parametrize("version", ["3.0.2", "4.6.0", "5.0.0", "canary"])
def test_another_fhir_version_is_missing_r4(version: str) -> None:
    with serving(version=version) as ehr:
        code, report = examined(ehr)

    assert code == 1
    assert report["missing"][0].startswith("FHIR version R4: the server says ")
    assert "canary" not in json.dumps(report)


def test_what_the_capability_statement_lacks_is_named() -> None:
    with serving(faults={"metadata": capable(lacking="Procedure", without="Observation.code")}) as ehr:
        code, report = examined(ehr)

    assert code == 1
    assert report["missing"] == ["Procedure: the resource type", "Observation: search parameter code"]
    assert report["capability"]["Observation"] == "lacks search parameter code"


def test_a_server_that_only_reads_lacks_the_search() -> None:
    def only_read(said: Any) -> Any:
        for resource in said["rest"][0]["resource"]:
            resource["interaction"] = [{"code": "read"}]
        return said

    fault = faulty.changed(lambda said: only_read(json.loads(capable().make(asked(said)).body)))  # type: ignore[union-attr]
    with serving(faults={"metadata": fault}) as ehr:
        _, report = examined(ehr)

    assert "Condition: interaction search-type" in report["missing"]
    assert report["capability"]["Patient"] == "ok"


def asked(said: Any) -> faulty.Asked:
    return faulty.Asked("", "metadata", "", 1, faulty.Answer(body=json.dumps(said).encode()))


def test_without_medication_drugs_may_stay_unnamed() -> None:
    with serving(faults={"metadata": capable(lacking="Medication")}) as ehr:
        code, report = examined(ehr)

    assert code == 0
    assert any("Medication cannot be looked up" in note for note in report["notes"])


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (faulty.status(403), "the server forbids it (403)"),
        (faulty.status(500), "the server failed (5xx)"),
        (faulty.html_login(), "the server's answer is no FHIR JSON"),
        (faulty.garbage(), "the server's answer is no FHIR JSON"),
        (faulty.empty_body(), "the server's answer is no FHIR JSON"),
        (faulty.outcome(), "the server answered with an OperationOutcome"),
        (faulty.redirect("https://canary.example/"), "the server answered with another status"),
        (faulty.next_link("https://canary.example/page2"), "the next page is at another address"),
        (faulty.foreign_patient(), "the answer holds another patient's data"),
    ],
)
def test_a_search_that_fails_is_missing_in_our_words(fault: faulty.Fault, words: str) -> None:
    with serving(faults={"Condition": fault}) as ehr:
        code, report = examined(ehr, "--patient", PATIENT)

    assert code == 1
    assert report["missing"] == [f"conditions: {words}"]
    assert "canary" not in json.dumps(report)


def test_endless_pages_end() -> None:
    with serving(faults={"Condition": faulty.endless_pages()}) as ehr:
        _, report = examined(ehr, "--patient", PATIENT)

    assert report["searches"]["conditions"]["cutShort"] == 1
    assert report["missing"] == ["conditions: there are more pages than are read"]


def test_a_metadata_page_that_is_none_is_missing() -> None:
    with serving(faults={"metadata": faulty.garbage()}) as ehr:
        code, report = examined(ehr)

    assert code == 1
    assert report["missing"] == ["CapabilityStatement: not readable as JSON"]


def test_a_server_that_is_not_there() -> None:
    result = run(probe, "--fhir", "http://127.0.0.1:9/fhir", "--patient", "canary-id")

    assert result.exit_code == 1
    assert "MISSING: CapabilityStatement: the server could not be reached" in result.stdout
    assert "MISSING: conditions: the server could not be reached" in result.stdout
    assert "canary" not in result.output


def test_a_slow_server_is_not_waited_for() -> None:
    with serving(delay_seconds=5) as ehr:
        code, report = examined(ehr, "--timeout", "2")

    assert code == 1
    assert report["missing"] == ["CapabilityStatement: the server did not answer in time"]


def test_a_wrong_clock_is_pointed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["cds_service.cli.probe"], "unix_time", lambda: unix_time() + 3_600)
    with serving() as ehr:
        result = run(probe, "--fhir", ehr.base)

    assert re.search(r"^Clock: -(3599|3600|3601) s against ours$", result.stdout, re.MULTILINE)
    assert "more than a minute off" in result.stdout


def test_the_terminal_report_names_every_search_and_no_patient() -> None:
    marked = _marked(CHART)
    with Ehr({}, faults={"metadata": capable(lacking="Procedure")}) as ehr:
        ehr.put(marked, "canary-id")
        result = run(probe, "--fhir", ehr.base, "--patient", "canary-id")

    assert result.exit_code == 1
    assert "FHIR version: 4.0.1" in result.stdout
    assert "MISSING: Procedure: the resource type" in result.stdout
    assert "all in parallel: " in result.stdout
    for key in KEYS:
        assert f"   {key}: " in result.stdout
    for canary in ("canary", PATIENT, "teclistamab", "2026-03", "C90"):
        assert canary not in result.output


def _marked(value: Any) -> Any:
    """Put a mark into every id, reference and text of a chart."""
    change: dict[str, Callable[[Any], Any]] = {
        "reference": lambda _: "Patient/canary-id",
        "text": lambda text: f"{text} canary",
        "id": lambda _: "canary-id",
    }
    if isinstance(value, list):
        return [_marked(part) for part in value]
    if not isinstance(value, dict):
        return value
    return {name: change[name](part) if name in change else _marked(part) for name, part in value.items()}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--fhir", "nonsense"), "--fhir must be"),
        (("--fhir", "http://fhir.example.org", "--token-file", "t"), "in the clear"),
        (("--fhir", "https://127.0.0.1:9", "--token-file", "nowhere"), "cannot be read"),
        ((), "--fhir"),
    ],
)
def test_usage_faults_end_with_2(arguments: tuple[str, ...], words: str) -> None:
    result = run(probe, *arguments)

    assert result.exit_code == 2
    assert words in result.stderr

"""`mmcds history`: what a person reads for the demo patients, every kind of file, and every file that is none."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cds_service.cli import records
from cds_service.cli.history import history
from cds_service.synthetic import DemoPatient, demo_patients
from tests import canary
from tests.build import (
    PATIENT,
    Resource,
    allergy,
    bundle,
    condition,
    drug,
    given,
    infusion,
    myeloma,
    ordered,
    patient,
    procedure,
    progression,
    relapse,
    reported,
)
from tests.cli.serving import run, written

AS_OF = ("--as-of", "2026-11-20")
HEAP = [patient(), myeloma(), given("teclistamab", "2026-05-22"), progression("2026-06-30")]


def told(path: object, *options: str) -> str:
    """Run the command on a file and give what it printed."""
    result = run(history, path, *AS_OF, *options)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    return result.stdout


def facts(path: object, *options: str) -> Any:
    """Run the command on a file and give its JSON."""
    return json.loads(told(path, "--json", *options))


def told_of(tmp_path: Path, *resources: Resource) -> str:
    """Tell the history of a Bundle of records."""
    return told(written(tmp_path / "bundle.json", bundle([patient(), myeloma(), *resources])))


def asked_of(path: Path, patient: DemoPatient) -> Path:
    return written(path / "request.json", patient.request)


def section(text: str, title: str) -> list[str]:
    """Give the lines below one title."""
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(title)) + 1
    return [line.strip() for line in lines[start : lines.index("", start) if "" in lines[start:] else None]]


# What a person reads


TECLISTAMAB_182_DAYS_AGO = """\
Treatment history as of 2026-11-20
  Patient:   born 1956, 70 years old
  Diagnosis: multiple myeloma (problem list, recorded 2020-11-02)
  Source:    hook request; every search that the service makes is answered

At a glance
                     2020     2021     2022     2023     2024     2025     2026
  bortezomib                 ====
  dexamethasone              ====                               =========
  lenalidomide               ====  =============================
  carfilzomib                                                   =========
  daratumumab (CD38)                                            =========
  teclistamab (BCMA)                                                     =======
  transplant                     T
  progression                                                  P        P
  = given or reported; T stem cell transplant; P progression

Timeline
  2020-11-16 to 2021-03-30  bortezomib (proteasome inhibitor): reported, last dose 5.6 years ago
  2020-11-16 to 2021-03-30  dexamethasone (steroid): reported, last dose 5.6 years ago
  2020-11-16 to 2021-03-30  lenalidomide (IMiD): reported, last dose 5.6 years ago
  2021-05-12                stem cell transplant, autologous, 5.5 years ago
  2021-08-15 to 2024-09-10  lenalidomide (IMiD): reported, last dose 801 days ago, ended for
                            progression
  2024-09-10                PROGRESSION (disease status), 801 days ago
  2024-10-01 to 2025-08-25  carfilzomib (proteasome inhibitor): reported, last dose 452 days ago
  2024-10-01 to 2025-08-25  daratumumab (anti-CD38 antibody): reported, last dose 452 days ago
  2024-10-01 to 2025-08-25  dexamethasone (steroid): reported, last dose 452 days ago
  2025-08-20                PROGRESSION (disease status), 457 days ago
  2025-09-15 to 2026-05-22  teclistamab (BCMA x CD3 bispecific antibody): 7 doses on record, last
                            dose 182 days ago
  2025-12-01                acyclovir: HSV/VZV prophylaxis, in force
  2025-12-01                sulfamethoxazole-trimethoprim: Pneumocystis prophylaxis, in force

Lines of therapy, inferred: 3
  - 1. 2020-11-16 to 2024-09-10: bortezomib, lenalidomide, autologous stem cell transplant. The
    first treatment of myeloma on record. lenalidomide was started within 60 days. The autologous
    transplant within 365 days of the start of a regimen is part of its programme. lenalidomide was
    started within 183 days of the transplant or the end of the regimen, without recorded
    progression: it is its maintenance.
  - 2. 2024-10-01 to 2025-08-25: carfilzomib, daratumumab. The myeloma progressed (2024-09-10)
    before carfilzomib was started. daratumumab was started within 60 days.
  - 3. 2025-09-15 to 2026-05-22: teclistamab. The myeloma progressed (2025-08-20) before teclistamab
    was started.

Classes of drugs, inferred
  - proteasome inhibitor, IMiD and anti-CD38 antibody: exposed yes, refractory yes (given:
    bortezomib, carfilzomib, lenalidomide, daratumumab)
  - two proteasome inhibitors, two IMiDs and an anti-CD38 antibody: exposed no (given: bortezomib,
    carfilzomib, lenalidomide, daratumumab); not enough shown: IMiD

Laboratory
  2026-11-16                creatinine 0.9 mg/dL
  2026-11-16                eGFR 74 mL/min/1.73m2
  2026-11-16                neutrophils 2.1 10^9/L

Prophylaxis in force today
  - acyclovir: HSV/VZV prophylaxis, in force
  - sulfamethoxazole-trimethoprim: Pneumocystis prophylaxis, in force

Allergies (sulfonamide, trimethoprim, atovaquone and acyclovir are looked for)
  - none of these found

Draft orders
  - T-cell collection "T-cell collection for CAR T", planned 2026-11-20

Inferred, not recorded as such
  - teclistamab from 2025-09-15: 7 records less than 113 days apart are taken as one course.

Drugs were recognised by
  - RxNorm ingredient: 15
  - RxNorm ingredients: 1

Other drugs, not known to be treatment of myeloma
  - amlodipine: 1

Not read
  - never looked at: radiotherapy, free text, and results that no rule asks for
"""

CARVYKTI_60_DAYS_AGO = """\
Treatment history as of 2026-11-20
  Patient:   born 1956, 70 years old
  Diagnosis: multiple myeloma (problem list, recorded 2020-11-02)
  Source:    hook request; every search that the service makes is answered

At a glance
                                   2020     2021     2022     2023     2024     2025     2026
  bortezomib                               ====
  dexamethasone                            ====                               ============
  lenalidomide                             ====  =============================
  carfilzomib                                                                 ============
  daratumumab (CD38)                                                          ============
  ciltacabtagene autoleucel (BCMA)                                                              C
  transplant                                   T
  progression                                                                P
  = given or reported; C CAR T cells; T stem cell transplant; P progression

Timeline
  2020-11-16 to 2021-03-30  bortezomib (proteasome inhibitor): reported, last dose 5.6 years ago
  2020-11-16 to 2021-03-30  dexamethasone (steroid): reported, last dose 5.6 years ago
  2020-11-16 to 2021-03-30  lenalidomide (IMiD): reported, last dose 5.6 years ago
  2021-05-12                stem cell transplant, autologous, 5.5 years ago
  2021-08-15 to 2024-09-10  lenalidomide (IMiD): reported, last dose 801 days ago, ended for
                            progression
  2024-09-10                PROGRESSION (disease status), 801 days ago
  2024-10-01 to 2025-12-10  carfilzomib (proteasome inhibitor): reported, last dose 345 days ago
  2024-10-01 to 2025-12-10  daratumumab (anti-CD38 antibody): reported, last dose 345 days ago
  2024-10-01 to 2025-12-10  dexamethasone (steroid): reported, last dose 345 days ago
  2026-09-21                ciltacabtagene autoleucel (BCMA CAR T cells): infused, 60 days ago
  2026-09-21                acyclovir: HSV/VZV prophylaxis, in force

CAR T cells, inferred
  - ciltacabtagene autoleucel: infused 2026-09-21.

Lines of therapy, inferred: 3
  - 1. 2020-11-16 to 2024-09-10: bortezomib, lenalidomide, autologous stem cell transplant. The
    first treatment of myeloma on record. lenalidomide was started within 60 days. The autologous
    transplant within 365 days of the start of a regimen is part of its programme. lenalidomide was
    started within 183 days of the transplant or the end of the regimen, without recorded
    progression: it is its maintenance.
  - 2. 2024-10-01 to 2025-12-10: carfilzomib, daratumumab. The myeloma progressed (2024-09-10)
    before carfilzomib was started. daratumumab was started within 60 days.
  - 3. 2026-09-21: ciltacabtagene autoleucel. CAR T cells are a line of their own, with their
    bridging and lymphodepletion.

Classes of drugs, inferred
  - proteasome inhibitor, IMiD and anti-CD38 antibody: exposed yes, refractory cannot tell (given:
    bortezomib, carfilzomib, lenalidomide, daratumumab)
  - two proteasome inhibitors, two IMiDs and an anti-CD38 antibody: exposed no (given: bortezomib,
    carfilzomib, lenalidomide, daratumumab); not enough shown: IMiD

Laboratory
  2026-11-16                creatinine 0.9 mg/dL
  2026-11-16                eGFR 74 mL/min/1.73m2
  2026-11-16                neutrophils 2.1 10^9/L

Prophylaxis in force today
  - acyclovir: HSV/VZV prophylaxis, in force
  - none against Pneumocystis on record as in force

Allergies (sulfonamide, trimethoprim, atovaquone and acyclovir are looked for)
  - sulfonamide, recorded 2012-06-01

Inferred, not recorded as such
  - CAR T infusion 2026-09-21: 2 records at most 7 days apart are taken as one infusion.

Drugs were recognised by
  - RxNorm ingredient: 9

Other drugs, not known to be treatment of myeloma
  - amlodipine: 1

Not read
  - never looked at: radiotherapy, free text, and results that no rule asks for
"""


@pytest.mark.parametrize(("number", "expected"), [(2, TECLISTAMAB_182_DAYS_AGO), (9, CARVYKTI_60_DAYS_AGO)])
def test_two_patients_word_for_word(tmp_path: Path, number: int, expected: str) -> None:
    assert told(asked_of(tmp_path, demo_patients()[number - 1])) == expected


@pytest.mark.parametrize("patient", demo_patients(), ids=lambda patient: patient.name)
def test_text_and_json_agree_and_no_order_matters(tmp_path: Path, patient: DemoPatient) -> None:
    path = asked_of(tmp_path, patient)
    text, found = told(path), facts(path)
    for answer in patient.request["prefetch"].values():
        random.Random(7).shuffle(answer.get("entry", []))  # noqa: S311 - an order, no secret

    assert told(asked_of(tmp_path, patient)) == text
    assert facts(path) == found
    lines = [line for title in ("Timeline", "Laboratory") for line in section(text, title)]
    for event in found["timeline"]:
        name = "PROGRESSION" if event["kind"] == "progression" else event["what"]
        assert any(event["start"]["earliest"] in line and name in line for line in lines), event
    assert sum(line.startswith("20") for line in lines) == len(found["timeline"])
    assert all(len(line) <= 100 for line in text.splitlines())
    given_name = patient.request["prefetch"]["patient"]["name"][0]["family"]
    assert given_name not in text + json.dumps(found)
    assert patient.request["context"]["patientId"] not in text + json.dumps(found)


@pytest.mark.parametrize(
    ("record", "line"),
    [
        (given("teclistamab", "2026-05"), "2026-05 teclistamab (BCMA x CD3 bispecific antibody): 1 dose on record"),
        (given("talquetamab", "2026"), "2026 talquetamab (GPRC5D x CD3 bispecific antibody): 1 dose on record"),
        (given("teclistamab", "2026-11-20"), "1 dose on record, last dose today"),
        (given("teclistamab", "2026-11-19"), "1 dose on record, last dose 1 day ago"),
        (given("teclistamab", None), "undated teclistamab (BCMA x CD3 bispecific antibody): 1 dose on record"),
        (ordered("teclistamab", "2026-09-01"), "2026-09-01 teclistamab (BCMA x CD3 bispecific antibody): ordered, not"),
        (reported("lenalidomide", "2023-01-10", asserted="2023-05-01"), "2023-01-10 to ? lenalidomide (IMiD)"),
        (reported("lenalidomide", "2026-01-10", status="active", asserted="2026-11-01"), "2026-01-10 to today lenalid"),
        (reported("lenalidomide", "2026-01-10", "2026-02-10", status="unknown"), "possible only, reported, last dose"),
        (infusion("2026-03-01", None), "2026-03-01 CAR T cells, product not named: infused, 264 days ago"),
        (infusion("2026-03-01", status="unknown"), "(BCMA CAR T cells): possibly infused, 264 days ago"),
        (procedure("0537T", "2026-03"), "2026-03 T-cell collection (apheresis), 234 to 264 days ago"),
        (condition("C90.02", "2026-03-01"), "2026-03-01 PROGRESSION (problem list), 264 days ago"),
        (
            reported("acyclovir", "2025-01-10", "2025-06-10"),
            "acyclovir: HSV/VZV prophylaxis, not on record as in force",
        ),
    ],
)
def test_each_kind_of_record_is_told_in_words(tmp_path: Path, record: Resource, line: str) -> None:
    assert line in " ".join(" ".join(section(told_of(tmp_path, record), "Timeline")).split())


@pytest.mark.parametrize(
    ("record", "mark"),
    [
        (given("teclistamab", "2026-05-22"), "="),
        (given("teclistamab", "2026-05"), "."),
        (ordered("teclistamab", "2026-09-01"), "?"),
        (reported("teclistamab", "2026-01-10", status="active", asserted="2026-11-01"), ">"),
        (infusion("2026-03-01"), "C"),
        (procedure("0537T", "2026-03-01"), "A"),
        (progression("2026-06-30"), "P"),
    ],
)
def test_the_bars_show_each_kind_by_its_mark(tmp_path: Path, record: Resource, mark: str) -> None:
    _, bar, legend = section(told_of(tmp_path, record), "At a glance")

    assert mark in bar[10:]
    assert f"{mark} " in legend


def test_a_long_history_has_room_for_its_years(tmp_path: Path) -> None:
    years, *_ = section(told_of(tmp_path, given("melphalan", "1979-03-01"), given("teclistamab", "2026-05-22")), "At a")

    numbers = years.split()
    assert numbers[0] == "1979"
    assert all(len(number) == 4 and number.isdecimal() for number in numbers)


def test_nothing_of_myeloma_draws_nothing(tmp_path: Path) -> None:
    text = told(written(tmp_path / "bundle.json", bundle([patient(), condition("I10")])))

    assert "At a glance" not in text
    assert "multiple myeloma: not in the problem list" in text
    said = "- no treatment of myeloma and no progression found; not everything was read, so this proves nothing"
    assert " ".join(section(text, "Timeline")) == said


def test_records_are_named_only_where_that_is_wanted(tmp_path: Path) -> None:
    path = written(tmp_path / "bundle.json", bundle(HEAP))
    reference = f"MedicationAdministration/{HEAP[2]['id']}"

    assert reference in told(path, "--records")
    assert reference in json.dumps(facts(path, "--records"))
    assert reference not in told(path) + json.dumps(facts(path))


def test_treatment_that_is_not_recognised_is_named_without_what_steers_a_terminal(tmp_path: Path) -> None:
    strange = given("ABC-123 anti-BCMA CAR T\u001b[2J cells", "2026-05-01")

    text = told_of(tmp_path, strange)

    (line,) = section(text, "Not recognised")
    assert line == '- "ABC-123 anti-BCMA CAR T [2J cells" (MedicationAdministration 2026-05-01, may be cell therapy)'
    assert "\u001b" not in text


def test_gaps_are_counted_by_reason_and_type(tmp_path: Path) -> None:
    broken = [
        given("teclistamab", "soon"),
        given("teclistamab", "2027-01-01"),
        reported("lenalidomide") | {"status": 1},
    ]

    lines = section(told_of(tmp_path, *broken, {"resourceType": "Encounter"}), "Not read")

    assert "- unreadable or impossible date: MedicationAdministration 2" in lines
    assert "- unreadable resource: MedicationStatement 1" in lines
    assert "- of a type that no rule reads: Encounter 1" in lines


def test_a_medication_that_is_not_in_the_file_is_counted(tmp_path: Path) -> None:
    dose = given("x", "2026-05-01", medicationReference={"reference": "Medication/7"}, medicationCodeableConcept=None)

    assert "- referred to, but not in the file: Medication 1" in section(told_of(tmp_path, dose), "Not read")


@pytest.mark.parametrize(
    ("record", "version"),
    [
        ({"resourceType": "MedicationOrder", "status": "active"}, "DSTU2 or STU3"),
        ({"resourceType": "MedicationRequest", "medication": {"concept": drug("teclistamab")}}, "R5"),
        ({"resourceType": "Procedure", "occurrenceDateTime": "2026-03-01"}, "R5"),
    ],
)
def test_another_version_of_fhir_is_told(tmp_path: Path, record: Resource, version: str) -> None:
    expected = f"- looks like FHIR {version}, this reads R4: {record['resourceType']} 1"
    assert expected in section(told_of(tmp_path, record), "Not read")


# Kinds of file


def test_every_kind_of_heap_tells_the_same(tmp_path: Path) -> None:
    lines = "\r\n".join(json.dumps(resource) for resource in HEAP)
    (tmp_path / "chart.ndjson").write_text(f"\ufeff{lines}\r\n\r\n", encoding="utf-8")
    paths = [
        written(tmp_path / "searchset.json", bundle(HEAP)),
        written(tmp_path / "list.json", HEAP),
        written(tmp_path / "pages.json", [bundle(HEAP[:2]), bundle(HEAP[2:])]),
        tmp_path / "chart.ndjson",
    ]
    piped = CliRunner().invoke(history, ["-", *AS_OF, "--json"], input=paths[0].read_bytes())

    timelines = [facts(path)["timeline"] for path in paths]

    assert len(timelines[0]) == 2
    assert all(timeline == timelines[0] for timeline in timelines)
    assert json.loads(piped.stdout)["timeline"] == timelines[0]
    assert all("absence proves nothing" in told(path) for path in paths)
    assert canary.NAME not in told(paths[0])


def test_references_by_urn_are_followed(tmp_path: Path) -> None:
    dose = given("x", "2026-05-22", medicationReference={"reference": "urn:uuid:drug"}, medicationCodeableConcept=None)
    entries = [
        {"fullUrl": "urn:uuid:p", "resource": {"resourceType": "Patient", "birthDate": "1956"}},
        {"fullUrl": "urn:uuid:drug", "resource": {"resourceType": "Medication", "code": drug("teclistamab")}},
        {"fullUrl": "urn:uuid:d", "resource": dose | {"subject": {"reference": "urn:uuid:p"}}},
    ]

    text = told(written(tmp_path / "transaction.json", {"resourceType": "Bundle", "entry": entries}))

    assert "teclistamab (BCMA x CD3 bispecific antibody): 1 dose on record" in text
    assert "born 1956, 69 or 70 years old" in text


def test_a_broken_line_costs_no_more_than_itself(tmp_path: Path) -> None:
    path = tmp_path / "chart.ndjson"
    lines = [json.dumps(resource) for resource in HEAP]
    path.write_text("\n".join([*lines[:3], lines[3][:40], "[" * 100_000, *lines[:1]]))

    found = facts(path)

    assert found["unreadable_lines"] == [4, 5]
    assert {"why": "unreadable resource", "type": "", "count": 2} in found["not_read"]
    assert [event["what"] for event in found["timeline"]] == ["teclistamab"]
    assert "numbers of the lines that hold no record: 4, 5" in told(path)


def test_a_heap_that_says_that_more_exists_is_believed(tmp_path: Path) -> None:
    path = written(tmp_path / "page.json", bundle(HEAP) | {"link": [{"relation": "next", "url": "https://x/2"}]})

    assert "The file says itself that more pages or entries exist." in told(path)


def test_searches_that_were_not_answered_are_named_with_the_reason(tmp_path: Path) -> None:
    failed = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "exception"}]}
    foreign = bundle([allergy({"text": "sulfonamide"}) | {"patient": {"reference": "Patient/someone-else"}}])
    prefetch = {
        "patient": patient(),
        "conditions": bundle([myeloma()]) | {"total": 9},
        "medicationStatements": failed,
        "medicationRequests": None,
        "medicationAdministrations": bundle([]) | {"link": [{"relation": "next", "url": "https://x/2"}]},
        "procedures": "none",
        "allergies": foreign,
    }

    path = written(tmp_path / "prefetch.json", prefetch)

    assert facts(path)["searches_not_answered"] == {
        "conditions": "1 of 9 entries are in the file",
        "medicationStatements": "it ended with an error",
        "medicationAdministrations": "more pages exist",
        "procedures": "it is no FHIR",
        "allergies": "it holds another patient's data, which was not used",
        "observations": "not in the file",
        "medicationDispenses": "not in the file",
        "serviceRequests": "not in the file",
        "reports": "not in the file",
        "immunizations": "not in the file",
        "appointments": "not in the file",
        "researchSubjects": "not in the file",
        "communications": "not in the file",
        "flags": "not in the file",
        "carePlans": "not in the file",
        "recentVitalSigns": "not in the file",
    }
    assert "- procedures: it is no FHIR" in section(told(path), "Searches not answered")


def test_the_answers_of_a_batch_are_read_like_the_records_themselves(tmp_path: Path) -> None:
    answers = [patient(), bundle([given("teclistamab", "2026-09-01")]), bundle([relapse("2026-10-01")])]
    batch = {"resourceType": "Bundle", "type": "batch-response", "entry": [{"resource": a} for a in answers]}

    said = facts(written(tmp_path / "batch.json", batch))

    assert [event["kind"] for event in said["timeline"]] == ["course", "progression"]
    assert said["not_read"] == []


def test_draft_orders_in_another_version_are_told(tmp_path: Path) -> None:
    draft = {"resourceType": "MedicationRequest", "id": "d", "medication": {"concept": drug("teclistamab")}}
    request = {"hook": "order-sign", "context": {"patientId": PATIENT, "draftOrders": bundle([draft])}, "prefetch": {}}

    assert "The draft orders are not FHIR R4" in told(written(tmp_path / "request.json", request))


# Whose record it is


SEVERAL = [patient(), patient() | {"id": "other"}, given("teclistamab", "2026-05-22"), given("x", None, subject=None)]


def test_several_patients_have_to_be_told_apart(tmp_path: Path) -> None:
    path = written(tmp_path / "several.json", SEVERAL)

    result = run(history, path, *AS_OF)
    own, other = facts(path, "--patient", f"Patient/{PATIENT}"), facts(path, "--patient", "other")

    assert result.exit_code == 2
    assert "the file holds records of 2 patients; name one with --patient" in result.stderr
    assert PATIENT not in result.output
    assert len(own["timeline"]) == 1
    assert other["timeline"] == []
    assert {"why": "about someone else", "type": "Patient", "count": 1} in own["not_read"]
    why = "names no patient, in a file with several"
    assert {"why": why, "type": "MedicationAdministration", "count": 1} in own["not_read"]


def test_records_that_name_nobody_are_read(tmp_path: Path) -> None:
    dose = {key: value for key, value in given("teclistamab", "2026-05-22").items() if key != "subject"}

    text = told(written(tmp_path / "list.json", [dose]))

    assert "teclistamab (BCMA" in text
    assert "age not known" in text


# Files that are none


def outcome_of(tmp_path: Path, content: bytes, *options: str) -> Result:
    path = tmp_path / "chart.json"
    path.write_bytes(content)
    return run(history, path, *AS_OF, *options)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"<Bundle/>", "neither JSON nor NDJSON"),
        (json.dumps(HEAP, indent=1).encode()[:-40], "it breaks off or is faulty in line"),
        (json.dumps(HEAP).encode()[:-2], "neither JSON nor NDJSON"),
        (json.dumps(HEAP).encode("utf-16"), "binary or UTF-16"),
        (b"PK\x03\x04\x00\x00", "binary or UTF-16"),
        ("größer".encode("latin-1"), "not text in UTF-8"),
        (b"[" * 100_000 + b"]" * 100_000, "nested too deep"),
        (b"7", "is no Bundle"),
        (b"{}", "is no Bundle"),
        (b'{"hook": "order-sign", "context": 7}', "context and prefetch of a request must be objects"),
        (b'{"hook": "order-sign", "context": {"patientId": "\\u0007"}}', "no id of a patient"),
        (b"1" * 5_000, "neither JSON nor NDJSON"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    result = outcome_of(tmp_path, content)

    assert result.exit_code == 2, result.output
    assert words in " ".join(result.stderr.split())
    assert result.stdout == ""


def test_too_large_a_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "LONGEST_FILE", 2_000_000)

    assert "is larger than 2 MB" in outcome_of(tmp_path, b" " * 2_000_001).stderr


@pytest.mark.parametrize("name", ["missing.json", "."])
def test_what_is_no_file_is_refused(tmp_path: Path, name: str) -> None:
    result = run(history, f"{tmp_path}/{name}", *AS_OF)

    assert result.exit_code == 2
    assert "cannot be read" in " ".join(result.stderr.split())


def test_a_patient_of_whom_the_file_knows_nothing_is_refused(tmp_path: Path) -> None:
    heap = outcome_of(tmp_path, json.dumps(HEAP).encode(), "--patient", "nobody")
    request = outcome_of(tmp_path, b'{"context": {"patientId": "a"}}', "--patient", "b")

    assert (heap.exit_code, request.exit_code) == (2, 2)
    assert "no record in the file is about the patient" in heap.stderr
    assert "the request is not about the patient" in request.stderr


def test_a_faulty_setting_is_told(tmp_path: Path) -> None:
    result = run(history, written(tmp_path / "list.json", HEAP), env={"MMCDS_TIME_ZONE": "Mars"})

    assert result.exit_code == 2
    assert "MMCDS_TIME_ZONE" in result.stderr


def test_the_day_is_today_unless_another_is_asked_for(tmp_path: Path) -> None:
    result = run(history, written(tmp_path / "list.json", HEAP), env={"MMCDS_AS_OF": "2026-06-01"})

    assert result.stdout.startswith("Treatment history as of 2026-06-01\n")
    assert "last dose 10 days ago" in " ".join(result.stdout.split())


# Lines of therapy and classes


def test_a_chart_without_treatment_has_no_line(tmp_path: Path) -> None:
    text = told_of(tmp_path)

    assert "Lines of therapy, inferred: 0" in text or "Lines of therapy, inferred: at least 0" in text


def test_a_line_that_is_not_certain_widens_the_range(tmp_path: Path) -> None:
    again = given("teclistamab", "2026-11-05"), given("teclistamab", "2025-10-05")

    found = section(told_of(tmp_path, *again, reported("metformin", "2019-01-01", status="active")), "Lines of therapy")

    assert found[0].startswith("- 1. 2025-10-05: teclistamab. The first treatment of myeloma on record.")
    assert any(line.startswith("- perhaps: 2026-11-05: teclistamab.") for line in found)


def test_the_json_holds_lines_and_classes(tmp_path: Path) -> None:
    said = facts(asked_of(tmp_path, demo_patients()[0]), "--json")

    assert (said["lines_of_therapy"]["fewest"], said["lines_of_therapy"]["most"]) == (2, 2)
    given_drugs = ["bortezomib", "carfilzomib", "lenalidomide", "daratumumab"]
    triple = {"exposed": "yes", "refractory": "yes", "given": given_drugs, "not_shown": []}
    assert said["classes"]["triple_class"] == triple

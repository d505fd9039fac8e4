"""Observation: which ones count, by which code or name, on which day; the status of the disease; panels."""

import json
from typing import Any

import pytest

from fhir_mapping import piles
from fhir_mapping.build import build_history
from fhir_mapping.catalog.loader import load
from fhir_mapping.model.history import GapCode
from fhir_mapping.model.results import Finding, LabTest, Status
from fhir_mapping.model.vocabulary import Certainty
from fhir_mapping.needs import coverage_of
from tests.build import AS_OF, LOINC, SNOMED, Resource, bundle, coded, lab, progression
from tests.mapping.reading import ZONE, gaps, is_silent, read, span

ON = "2026-11-01"
STATED, POSSIBLE = Certainty.STATED, Certainty.POSSIBLE
MODIFIED = {"modifierExtension": [{"url": "urn:example:x"}]}
PRUNED = {"effectivePeriod": "no period"}
IN_G_PER_L = {"valueQuantity": {"value": 5, "unit": "g/L"}}


def status(**value: Any) -> Resource:
    """Make a disease status with this value."""
    return {key: item for key, item in (progression(ON) | {"valueCodeableConcept": None} | value).items() if item}


def observed(code: Resource, **more: Any) -> Resource:
    """Make an Observation of any kind."""
    return {"resourceType": "Observation", "id": "o", "status": "final", "code": code, "effectiveDateTime": ON} | more


STATUSES = [
    ("final", True),
    ("amended", True),
    ("corrected", True),
    ("registered", False),
    ("preliminary", False),
    ("cancelled", False),
    ("unknown", False),
    ("entered-in-error", False),
    pytest.param(None, False, id="no status"),
]


@pytest.mark.parametrize(("sent", "counts"), STATUSES)
def test_only_final_results_count(sent: Any, counts: bool) -> None:
    hbsag = observed(coded(LOINC, "5196-1"), status=sent, valueString="Positive")
    weight = observed({"text": "Vital signs"}, status=sent, component=[part("29463-7", 70, "kg")])

    assert bool(read(progression(ON, sent)).progressions) is counts
    assert bool(read(progression(ON, sent)).disease_statuses) is counts
    assert bool(read(lab("24467-3", 150, "/uL", ON, sent)).labs) is counts
    assert bool(read(hbsag).serology) is counts
    assert bool(read(weight).labs) is counts


@pytest.mark.parametrize(
    ("more", "on"),
    [
        pytest.param({"effectiveDateTime": "2026-10"}, span("2026-10-01", "2026-10-31"), id="month"),
        pytest.param({"effectiveInstant": "2026-10-05T15:00:00Z"}, span("2026-10-05"), id="instant"),
        pytest.param({"effectivePeriod": {"start": "2026-10-01", "end": "2026-10-05"}}, span("2026-10-05"), id="end"),
        pytest.param({"effectivePeriod": {"start": "2026-10-01"}}, span("2026-10-01"), id="start alone"),
        pytest.param({"issued": "2026-10-05T15:00:00Z"}, None, id="the day of issue is not the day of the event"),
        pytest.param({"effectiveDateTime": "2026-11-21"}, None, id="tomorrow"),
    ],
)
def test_an_observation_is_dated_by_when_it_was_true(more: Resource, on: Any) -> None:
    history = read(progression(None, **more))
    assert (history.progressions[0].on, history.disease_statuses[0].on) == (on, on)


@pytest.mark.parametrize("more", [MODIFIED, PRUNED], ids=["a modifier we do not know", "a part was cut out"])
def test_of_a_record_that_was_not_read_whole_no_value_is_taken(more: Resource) -> None:
    worse = read(progression(ON, **more))
    assert [event.certainty for event in worse.progressions] == [POSSIBLE]
    assert [event.status for event in worse.disease_statuses] == [Status.UNDETERMINED]

    (igg,) = read(lab("2465-3", 350, "mg/dL", ON, **more)).labs
    assert not igg.is_readable

    (hbsag,) = read(observed(coded(LOINC, "5196-1"), valueString="Negative", **more)).serology
    assert hbsag.finding is Finding.INDETERMINATE


# --- The status of the disease ---


@pytest.mark.parametrize(
    ("value", "is_worse"),
    [
        pytest.param({"valueCodeableConcept": coded(SNOMED, "271299001")}, True, id="worsened, coded"),
        pytest.param({"valueCodeableConcept": {"text": "Progressive disease"}}, True, id="progressive disease"),
        pytest.param({"valueCodeableConcept": {"text": "Relapsed"}}, True, id="relapsed"),
        pytest.param({"valueString": "Patient's condition worsened"}, True, id="as a string"),
        pytest.param({"valueCodeableConcept": {"text": "No progression"}}, False, id="negated"),
        pytest.param({"valueString": "Stable, without progression"}, False, id="negated in a string"),
        pytest.param({"valueCodeableConcept": coded(SNOMED, "359746009", "Stable")}, False, id="stable"),
        pytest.param({"valueCodeableConcept": coded(SNOMED, "268910001", "Improved")}, False, id="improved"),
        pytest.param({"valueCodeableConcept": "worsened"}, True, id="a text where a concept belongs"),
        pytest.param({}, False, id="no value"),
    ],
)
def test_only_a_value_that_says_worse_is_progression(value: Resource, is_worse: bool) -> None:
    assert bool(read(status(**value)).progressions) is is_worse


@pytest.mark.parametrize(
    ("text", "certainty"),
    [
        ("Worsening", STATED),
        ("Progressing", STATED),
        ("Progression.", STATED),
        ("PD", STATED),
        ("PD per IMWG", STATED),
        ("Disease progression", STATED),
        ("Myeloma progressed", STATED),
        ("No new bone lesions; progressive disease by M-protein", STATED),
        ("No new bone lesions, but relapse in the marrow", STATED),
        ("Relapse with rising free light chains", STATED),
        ("Refractory multiple myeloma", STATED),
        ("Progression-free", None),
        ("Non-progressive disease", None),
        ("Progression: none", None),
        ("Progression not seen", None),
        ("Progressive disease was ruled out", None),
        ("Relapse excluded", None),
        ("no evidence of progression", None),
        ("No clinical, laboratory or radiographic evidence of disease progression", POSSIBLE),
        ("No clinical or laboratory or radiographic evidence of disease progression", None),
        ("Stable disease", None),
        ("Anti-PD-1 given", POSSIBLE),
        ("CR after relapse", POSSIBLE),
        ("Possible progressive disease", POSSIBLE),
        ("Worsening anemia", POSSIBLE),
        ("Progression of neuropathy", POSSIBLE),
    ],
)
def test_words_of_the_disease_status_state_progression_or_leave_it_open(text: str, certainty: Any) -> None:
    sent = status(valueCodeableConcept={"text": text})
    assert [event.certainty for event in read(sent).progressions] == ([certainty] if certainty else [])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(coded(SNOMED, "271299001"), Status.WORSENED, id="code: worsened"),
        pytest.param(coded(SNOMED, "359746009"), Status.STABLE, id="code: stable"),
        pytest.param(coded(SNOMED, "268910001"), Status.IMPROVED, id="code: improved"),
        pytest.param(coded(SNOMED, "709137006"), Status.UNDETERMINED, id="code: undetermined"),
        pytest.param(coded(SNOMED, "103337004"), Status.PARTIAL_REMISSION, id="code: partial remission"),
        pytest.param(coded(SNOMED, "551001000124108"), Status.PARTIAL_REMISSION, id="code: neoplasm, partial"),
        pytest.param(coded(SNOMED, "103338009"), Status.FULL_REMISSION, id="code: full remission"),
        pytest.param(coded(SNOMED, "550991000124107"), Status.FULL_REMISSION, id="code: neoplasm, full"),
        pytest.param({"text": "Progressive disease"}, Status.WORSENED, id="PD"),
        pytest.param({"text": "Stable disease (SD)"}, Status.STABLE, id="SD"),
        pytest.param({"text": "Minimal response"}, Status.IMPROVED, id="MR"),
        pytest.param({"text": "VGPR"}, Status.PARTIAL_REMISSION, id="VGPR"),
        pytest.param({"text": "Partial response"}, Status.PARTIAL_REMISSION, id="PR"),
        pytest.param({"text": "sCR per IMWG criteria"}, Status.FULL_REMISSION, id="sCR"),
        pytest.param({"text": "Complete response"}, Status.FULL_REMISSION, id="CR"),
        pytest.param({"text": "Not evaluable"}, Status.UNDETERMINED, id="not evaluable"),
        pytest.param({"text": "Unconfirmed CR"}, Status.UNDETERMINED, id="a word more than we understand"),
        pytest.param({"text": "CR after relapse"}, Status.UNDETERMINED, id="CR, with a hint at relapse"),
        pytest.param(coded(SNOMED, "359746009", "Complete response"), Status.UNDETERMINED, id="code against words"),
    ],
)
def test_the_status_of_the_disease_is_read_by_code_or_by_words(value: Resource, expected: Status) -> None:
    assert [one.status for one in read(status(valueCodeableConcept=value)).disease_statuses] == [expected]


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({"valueString": "see note"}, id="words that we do not know"),
        pytest.param({"valueString": 7}, id="a string of a wrong type"),
        pytest.param({"valueQuantity": {"value": 3}}, id="a number"),
        pytest.param({"valueCodeableConcept": coded(SNOMED, "1")}, id="a code that we do not know"),
        pytest.param({"valueCodeableConcept": [5]}, id="no concept"),
        pytest.param({"valueCodeableConcept": {"text": {}, "coding": [{"display": "Stable"}]}}, id="read in part"),
        pytest.param(
            {"valueCodeableConcept": {"text": "Stable"}, "valueString": "Progression"}, id="two values, one allowed"
        ),
    ],
)
def test_a_status_that_was_not_understood_may_be_a_progression_and_is_said_to_be_unread(value: Resource) -> None:
    history = read(status(**value))
    assert [one.status for one in history.disease_statuses] == [Status.UNDETERMINED]
    assert [(event.certainty, event.on) for event in history.progressions] == [(POSSIBLE, span(ON))]
    assert gaps(history) == {GapCode.UNREADABLE}


def test_a_status_with_its_code_as_a_number_is_understood() -> None:
    history = read(status(valueCodeableConcept={"coding": {"system": SNOMED, "code": 271299001}}))
    assert [event.certainty for event in history.progressions] == [STATED]
    assert not history.gaps


def test_a_status_with_the_reason_why_it_has_none_leaves_progression_possible() -> None:
    history = read(progression(ON, dataAbsentReason={"text": "not assessed"}))
    assert [event.certainty for event in history.progressions] == [POSSIBLE]


def test_another_observation_that_says_worse_is_no_progression_of_the_myeloma() -> None:
    assert is_silent(read(progression(ON, code=coded(LOINC, "72514-3"))))


def test_the_code_table_tells_both_depths_of_remission_apart() -> None:
    coded_there = {
        code for (_, code), found in load().concept_codes["lab"].items() if "disease-status-remission" in found
    }
    assert coded_there == {"103338009", "550991000124107", "103337004", "551001000124108"}


def test_an_observation_of_an_eye_examination_says_that_it_was_done_if_it_found_anything() -> None:
    examined = coded(SNOMED, "36228007")
    assert [one.on for one in read(observed(examined, valueString="No keratopathy")).eye_examinations] == [span(ON)]
    assert not read(observed(examined, dataAbsentReason={"text": "did not attend"})).eye_examinations


# --- Tests by name, and names that contradict the code ---


@pytest.mark.parametrize(
    ("name", "test"),
    [
        ("IgG", LabTest.IGG),
        ("Immunoglobulin G", LabTest.IGG),
        ("IMMUNOGLOBULIN G, QN, SERUM", LabTest.IGG),
        ("Absolute neutrophil count", LabTest.ANC),
        ("ANC", LabTest.ANC),
        ("Neutrophils (Absolute)", LabTest.ANC),
        ("Potassium", LabTest.POTASSIUM),
        ("Body weight", LabTest.BODY_WEIGHT),
        ("ECOG performance status", LabTest.ECOG),
        ("G6PD activity", LabTest.G6PD),
        ("IgG subclass 2", None),
        ("IgG index, CSF", None),
        ("IgG, CSF", None),
        ("Potassium, urine", None),
        ("Neutrophils %", None),
        ("Ideal body weight", None),
        ("Creatinine clearance", None),
    ],
)
def test_without_a_code_the_whole_name_tells_the_test(name: str, test: LabTest | None) -> None:
    labs = read(observed({"text": name}, **IN_G_PER_L)).labs
    assert [result.test for result in labs] == ([test] if test else [])


@pytest.mark.parametrize("name", ["HIV-1 RNA", "HCV RNA", "HBsAg", "Hepatitis B core antibody, total", "TB IGRA"])
def test_tests_for_infections_have_names_too(name: str) -> None:
    assert len(read(observed({"text": name}, valueString="Negative")).serology) == 1


def loinc(code: str, display: str | None, text: str) -> Resource:
    """Make a LOINC code with its display beside the sender's own name."""
    coding = {"system": LOINC, "code": code} | ({"display": display} if display else {})
    return {"coding": [coding], "text": text}


@pytest.mark.parametrize(
    ("code", "counts"),
    [
        pytest.param(loinc("2161-8", None, "Creatinine"), False, id="an unknown LOINC code: creatinine in urine"),
        pytest.param(loinc("2161-8", "Creatinine [Mass/volume] in Urine", "Creatinine"), False, id="said so"),
        pytest.param(loinc("99999-9", "Creatinine", "Creat"), True, id="an unknown code that bears the name"),
        pytest.param(
            {"coding": [{"system": "urn:lab", "code": "CR", "display": "CREAT U"}], "text": "Creatinine"}, True
        ),
        pytest.param({"coding": [{"display": "Urine chemistry"}], "text": "Creatinine"}, False, id="another specimen"),
    ],
)
def test_a_name_counts_only_where_nothing_beside_it_makes_it_another_test(code: Resource, counts: bool) -> None:
    assert bool(read(observed(code, valueQuantity={"value": 1, "unit": "mg/dL"})).labs) is counts


@pytest.mark.parametrize(
    ("code", "tests"),
    [
        pytest.param(coded(LOINC, "2465-3", "IgA"), {"igg", "iga"}, id="code IgG, name IgA"),
        pytest.param(loinc("2465-3", "IgG", "IgA"), {"igg", "iga"}, id="code and display IgG, name IgA"),
        pytest.param(coded(LOINC, "2465-3", "HBsAg"), {"igg", "hbsag"}, id="code IgG, name HBsAg"),
        pytest.param({"coding": [{"display": "IgG"}], "text": "IgM"}, {"igg", "igm"}, id="two names"),
        pytest.param(
            {"coding": [{"system": LOINC, "code": "2465-3"}, {"system": LOINC, "code": "2458-8"}]},
            {"igg", "iga"},
            id="two codes",
        ),
        pytest.param(coded(LOINC, "2160-0", "Creatinine, urine"), {"creatinine"}, id="another specimen by name"),
        pytest.param(coded(LOINC, "2465-3", "IgG subclass 1"), {"igg"}, id="a part by name"),
    ],
)
def test_where_code_and_name_contradict_each_other_no_test_has_a_value(code: Resource, tests: set[str]) -> None:
    history = read(observed(code, **IN_G_PER_L))
    assert {*(one.test.value for one in history.labs), *(one.test for one in history.serology)} == tests
    assert not any(result.is_readable for result in history.labs)
    assert all(result.finding is Finding.INDETERMINATE for result in history.serology)
    assert gaps(history) == {GapCode.UNREADABLE}


def test_a_contradiction_without_a_value_is_nothing() -> None:
    history = read(observed(coded(LOINC, "57778-3", "Kappa/lambda ratio")))
    assert not history.labs
    assert not history.gaps


def test_a_combined_hiv_test_may_go_by_the_name_of_the_antibodies() -> None:
    history = read(observed(coded(LOINC, "56888-1", "HIV 1/2 antibody"), valueString="Nonreactive"))
    assert [(one.test, one.finding) for one in history.serology] == [("hiv-ag-ab", Finding.NEGATIVE)]


def test_a_result_of_another_test_is_not_read() -> None:
    history = read(lab("2951-2", 140, "mmol/L", ON))
    assert not history.labs
    assert not history.gaps


# --- Panels ---


def part(code: str, value: float, unit: str) -> Resource:
    """Make one part of a panel."""
    return {"code": coded(LOINC, code), "valueQuantity": {"value": value, "unit": unit}}


def test_the_parts_of_a_panel_are_read_each_by_its_own_code() -> None:
    systolic = part("8480-6", 120, "mmHg")
    vital_signs = [part("29463-7", 70, "kg"), "no part", systolic, part("8310-5", 38.2, "Cel")]
    history = read(observed({"text": "Vital signs"}, component=vital_signs))
    assert {result.test: result.low for result in history.labs} == {
        LabTest.BODY_WEIGHT: 70,
        LabTest.BODY_TEMPERATURE: 38.2,
    }
    assert {result.on for result in history.labs} == {span(ON)}


@pytest.mark.parametrize(
    "parts",
    [[part("8480-6", 120, "mmHg"), part("8462-4", 80, "mmHg")], [{"valueInteger": 1}], "none"],
    ids=["blood pressure", "a part without a code", "of a wrong type"],
)
def test_a_panel_of_other_things_is_not_read(parts: Any) -> None:
    history = read(observed(coded(LOINC, "85354-9"), component=parts))
    assert not history.labs
    assert not history.gaps


def test_titers_of_serotypes_that_we_do_not_know_are_a_result_on_record() -> None:
    (result,) = read(observed(coded(LOINC, "42366-5"), component=[part("25296-5", 1.1, "ug/mL")])).serology
    assert (result.test, result.finding) == ("pneumococcal-titers", Finding.INDETERMINATE)


def test_a_panel_without_any_value_is_no_result() -> None:
    missing = {"code": coded(LOINC, "25296-5"), "dataAbsentReason": {"text": "no specimen"}}
    assert not read(observed(coded(LOINC, "42366-5"), component=[missing])).serology


def test_a_number_beyond_all_numbers_is_a_gap() -> None:
    sent = json.dumps(bundle([lab("24467-3", 98765, "/uL", ON), progression(ON)])).replace("98765", "1e400")
    pile = piles.decode_pile(sent.encode())
    assert pile is not None
    history = build_history(pile.found, coverage_of({}), load(), AS_OF, ZONE, None, pile.unreadable)
    assert not any(result.is_readable for result in history.labs)
    assert gaps(history) == {GapCode.UNREADABLE}
    assert len(history.progressions) == 1

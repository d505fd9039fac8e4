"""Observation: disease status and laboratory results."""

import json
from typing import Any

import pytest

from fhir_mapping import wire
from fhir_mapping.build import build_history
from fhir_mapping.catalog.loader import load
from fhir_mapping.model.dates import Answer
from fhir_mapping.model.history import GapCode, LabTest
from fhir_mapping.model.vocabulary import Certainty
from fhir_mapping.needs import coverage_of
from tests.build import AS_OF, LOINC, SNOMED, Resource, bundle, coded, lab, progression
from tests.mapping.reading import ZONE, gaps, is_silent, read, span

ON = "2026-11-01"
CODES = {LabTest.CD4: "24467-3", LabTest.ANC: "751-8", LabTest.CREATININE: "2160-0", LabTest.EGFR: "33914-3"}
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


def valued(**value: Any) -> Resource:
    """Make a disease status with this value."""
    return progression(ON) | {"valueCodeableConcept": None} | value


@pytest.mark.parametrize(("status", "counts"), STATUSES)
def test_only_final_results_count_as_progression(status: Any, counts: bool) -> None:
    assert bool(read(progression(ON, status)).progressions) is counts


@pytest.mark.parametrize(("status", "counts"), STATUSES)
def test_only_final_results_count_as_laboratory_results(status: Any, counts: bool) -> None:
    assert bool(read(lab("24467-3", 150, "/uL", ON, status)).labs) is counts


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
        pytest.param({"valueQuantity": {"value": 3}}, False, id="a number"),
        pytest.param({"valueCodeableConcept": "worsened"}, False, id="a value of a wrong type"),
        pytest.param({"valueString": 7}, False, id="a string of a wrong type"),
        pytest.param({}, False, id="no value"),
    ],
)
def test_only_a_value_that_says_worse_is_progression(value: Resource, is_worse: bool) -> None:
    sent = {key: item for key, item in valued(**value).items() if item is not None}
    assert bool(read(sent).progressions) is is_worse


STATED, POSSIBLE = Certainty.STATED, Certainty.POSSIBLE


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
        ("Anti-PD-1 given", None),
        ("CR after relapse", POSSIBLE),
        ("Possible progressive disease", POSSIBLE),
        ("Worsening anemia", POSSIBLE),
        ("Progression of neuropathy", POSSIBLE),
    ],
)
def test_words_of_the_disease_status_state_progression_or_leave_it_open(text: str, certainty: Any) -> None:
    sent = valued(valueCodeableConcept={"text": text})
    assert [event.certainty for event in read(sent).progressions] == ([certainty] if certainty else [])


def test_another_observation_that_says_worse_is_no_progression_of_the_myeloma() -> None:
    assert is_silent(read(progression(ON, code=coded(LOINC, "72514-3"))))


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
    (event,) = read(progression(None, **more)).progressions
    assert event.on == on


def test_a_modifier_that_is_not_known_leaves_progression_possible() -> None:
    history = read(progression(ON, modifierExtension=[{"url": "urn:example:x"}]))
    assert history.progressions[0].certainty is Certainty.POSSIBLE


# --- Laboratory results ---


@pytest.mark.parametrize(
    ("test", "value", "unit", "ours"),
    [
        (LabTest.CD4, 150, "/uL", 150),
        (LabTest.CD4, 150, "cells/uL", 150),
        (LabTest.CD4, 150, "{cells}/uL", 150),
        (LabTest.CD4, 150, "cells/\N{MICRO SIGN}L", 150),
        (LabTest.CD4, 150, "cells/mcL", 150),
        (LabTest.CD4, 150, "/mm3", 150),
        (LabTest.CD4, 150, "cells/mm\N{SUPERSCRIPT THREE}", 150),
        (LabTest.CD4, 0.15, "10*3/uL", 150),
        (LabTest.CD4, 0.15, "10*9/L", 150),
        (LabTest.CD4, 150, "10*6/L", 150),
        (LabTest.ANC, 1.2, "10*3/uL", 1.2),
        (LabTest.ANC, 1.2, "K/uL", 1.2),
        (LabTest.ANC, 1.2, "K/\N{MICRO SIGN}L", 1.2),
        (LabTest.ANC, 1200, "/uL", 1.2),
        (LabTest.ANC, 1.2, "x10E9/L", 1.2),
        (LabTest.ANC, 1200, "10*6/L", 1.2),
        (LabTest.CREATININE, 1.4, "mg/dL", 1.4),
        (LabTest.CREATININE, 88.4, "umol/L", 1.0),
        (LabTest.CREATININE, 88.4, "\N{MICRO SIGN}mol/L", 1.0),
        (LabTest.CREATININE, 88.4, "\N{GREEK SMALL LETTER MU}mol/L", 1.0),
        (LabTest.CREATININE, 0.0884, "mmol/L", 1.0),
        (LabTest.CREATININE, 14, "mg/L", 1.4),
        (LabTest.EGFR, 55, "mL/min/1.73m2", 55),
        (LabTest.EGFR, 55, "mL/min/1.73 m2", 55),
        (LabTest.EGFR, 55, "mL/min/{1.73_m2}", 55),
        (LabTest.EGFR, 55, "mL/min/1.73m\N{SUPERSCRIPT TWO}", 55),
        (LabTest.EGFR, 55, "mL/min/[1.73_m2]".replace("_", ""), 55),
    ],
)
def test_a_result_is_brought_to_our_unit(test: LabTest, value: float, unit: str, ours: float) -> None:
    history = read(lab(CODES[test], value, unit, ON))
    (result,) = history.labs
    assert (result.test, result.on) == (test, span(ON))
    assert result.low == result.high == pytest.approx(ours, rel=1e-4)
    assert not history.gaps


@pytest.mark.parametrize(
    ("test", "unit"),
    [
        (LabTest.CD4, "%"),
        (LabTest.CD4, "mg/dL"),
        (LabTest.CD4, ""),
        (LabTest.ANC, "%"),
        (LabTest.CREATININE, "mL/min"),
        (LabTest.CREATININE, "g/L"),
        (LabTest.EGFR, "mg/dL"),
    ],
)
def test_a_unit_that_is_not_known_leaves_no_value_but_a_gap(test: LabTest, unit: str) -> None:
    history = read(lab(CODES[test], 150, unit, ON))
    assert not any(result.is_readable for result in history.labs)
    assert gaps(history) == {GapCode.UNIT}


def test_a_result_without_any_unit_is_not_guessed() -> None:
    history = read(lab("24467-3", 150, "", ON, valueQuantity={"value": 150}))
    assert not any(result.is_readable for result in history.labs)
    assert gaps(history) == {GapCode.UNIT}


def test_the_unit_code_goes_before_the_printed_unit() -> None:
    quantity = {"value": 150, "unit": "per microlitre", "code": "/uL", "system": "http://unitsofmeasure.org"}
    assert read(lab("24467-3", 0, "", ON, valueQuantity=quantity)).labs[0].high == 150


@pytest.mark.parametrize(
    ("comparator", "at_most_200", "at_least_200", "written"),
    [
        pytest.param(None, Answer.YES, Answer.NO, "150", id="exact"),
        pytest.param("<", Answer.YES, Answer.NO, "< 150", id="less than"),
        pytest.param("<=", Answer.YES, Answer.NO, "< 150", id="at most"),
        pytest.param(">", Answer.UNKNOWN, Answer.UNKNOWN, "> 150", id="more than"),
        pytest.param(">=", Answer.UNKNOWN, Answer.UNKNOWN, "> 150", id="at least"),
    ],
)
def test_a_comparator_leaves_a_range(
    comparator: str | None, at_most_200: Answer, at_least_200: Answer, written: str
) -> None:
    quantity = {"value": 150, "unit": "/uL"} | ({"comparator": comparator} if comparator else {})
    (result,) = read(lab("24467-3", 0, "", ON, valueQuantity=quantity)).labs
    assert (result.at_most(200), result.at_least(200)) == (at_most_200, at_least_200)
    assert str(result) == written


def test_the_limit_itself_is_both_at_most_and_at_least() -> None:
    (result,) = read(lab("24467-3", 200, "/uL", ON)).labs
    assert result.at_most(200) is result.at_least(200) is Answer.YES
    assert result.at_most(199) is result.at_least(201) is Answer.NO


def test_a_number_beyond_all_numbers_is_a_gap() -> None:
    sent = json.dumps(bundle([lab("24467-3", 98765, "/uL", ON), progression(ON)])).replace("98765", "1e400")
    pile = wire.decode_pile(sent.encode())
    assert pile is not None
    history = build_history(pile.found, coverage_of({}), load(), AS_OF, ZONE, None, pile.unreadable)
    assert not any(result.is_readable for result in history.labs)
    assert gaps(history) == {GapCode.UNREADABLE}
    assert len(history.progressions) == 1


@pytest.mark.parametrize("value", ["150", {"value": "150", "unit": "/uL"}, [150], 150, None, True])
def test_a_quantity_of_a_wrong_type_is_a_gap(value: Any) -> None:
    sent = lab("24467-3", 0, "", ON) | {"valueQuantity": value}
    history = read(sent, progression(ON))
    assert not any(result.is_readable for result in history.labs)
    assert len(history.progressions) == 1
    assert gaps(history) <= {GapCode.UNREADABLE}


def test_a_negative_count_is_a_gap() -> None:
    history = read(lab("24467-3", -1, "/uL", ON))
    assert not any(result.is_readable for result in history.labs)
    assert gaps(history) == {GapCode.UNIT}


@pytest.mark.parametrize(
    "value",
    [
        {"valueString": "150"},
        {"valueInteger": 150},
        {"valueRatio": {"numerator": {"value": 1}}},
        {"valueSampledData": {}},
        {"dataAbsentReason": {"text": "not performed"}},
        {"component": [{"code": {"text": "x"}, "valueQuantity": {"value": 1}}]},
    ],
    ids=lambda value: next(iter(value)),
)
def test_a_value_of_another_type_is_no_result_and_does_no_harm(value: Resource) -> None:
    sent = lab("24467-3", 0, "", ON, valueQuantity=None) | value
    history = read(sent, progression(ON))
    assert not any(result.is_readable for result in history.labs)
    assert len(history.progressions) == 1


def test_the_most_recent_dated_result_is_the_latest() -> None:
    history = read(
        lab("24467-3", 300, "/uL", "2026-10-01"),
        lab("24467-3", 100, "/uL", "2026-11-01"),
        lab("24467-3", 500, "/uL", None),
        lab("751-8", 1, "10*3/uL", "2026-11-10"),
    )
    latest = history.latest_lab(LabTest.CD4)
    assert latest is not None
    assert latest.high == 100
    assert history.latest_lab(LabTest.EGFR) is None


def test_a_result_of_another_test_is_not_read() -> None:
    history = read(lab("2951-2", 140, "mmol/L", ON))
    assert not history.labs
    assert not history.gaps

"""Why a drug was ended: progression, toxicity, completion, or a reason that leaves it open."""

from typing import Any

import pytest

from fhir_mapping.model.history import GapCode
from fhir_mapping.model.treatment import EndReason
from tests.build import SNOMED, coded, reported
from tests.mapping.reading import gaps, read

PROGRESSION, TOXICITY, COMPLETION = EndReason.PROGRESSION, EndReason.TOXICITY, EndReason.COMPLETION


def reason(**more: Any) -> EndReason | None:
    """Read why a course was stopped."""
    (course,) = read(reported("teclistamab", "2026-01-05", "2026-03-01", "stopped", **more)).courses
    return course.end_reason


@pytest.mark.parametrize(
    "text",
    [
        "Disease progression",
        "Progression of disease",
        "Progression of multiple myeloma",
        "Progression of MM",
        "Myeloma progression",
        "Progressive disease",
        "Progressive myeloma",
        "Progressing disease",
        "Disease progressing on therapy",
        "Myeloma progressing",
        "Disease progressed",
        "Myeloma progressed",
        "Relapse",
        "Relapsed",
        "Refractory disease",
        "Refractory multiple myeloma",
        "Relapsed/refractory",
        "Treatment failure",
        "Lack of response",
        "No response",
        "Worsening disease",
        "Disease worsening",
        "Rising M-protein",
        "Rising paraprotein",
        "Rising light chains",
        "Rising free light chains",
        "PD",
        "Progression",
        "Progressing",
        "progressed.",
        "Worsening",
        "Worsened",
        "Refractory",
        "No toxicity; disease progression",
        "Neuropathy, then progressive disease",
        "Completed 3 cycles, disease progressed",
        "Stopped after relapse",
    ],
)
def test_words_that_state_progression(text: str) -> None:
    assert reason(statusReason=[{"text": text}]) is PROGRESSION


@pytest.mark.parametrize(
    "text",
    [
        "Progression-free; completed planned 12 cycles",
        "Progression of peripheral neuropathy",
        "Refractory neutropenia",
        "Worsening neuropathy",
        "No progression, toxicity",
        "No evidence of disease progression; therapy complete",
        "Possible disease progression, CRS",
        "Planned",
        "Patient choice",
    ],
)
def test_words_that_leave_the_reason_open(text: str) -> None:
    assert reason(statusReason=[{"text": text}]) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Neutropenia", TOXICITY),
        ("CRS", TOXICITY),
        ("Completed with toxicity", TOXICITY),
        ("No treatment failure; infection", TOXICITY),
        ("No CRS, neuropathy", TOXICITY),
        ("Completed", COMPLETION),
        ("Planned completion", COMPLETION),
        ("Planned course completed", COMPLETION),
        ("Treatment complete", COMPLETION),
        ("End of treatment", COMPLETION),
        ("Toxicity: none; completed", COMPLETION),
        ("Not completed", None),
    ],
)
def test_words_of_toxicity_and_completion(text: str, expected: EndReason | None) -> None:
    assert reason(statusReason=[{"text": text}]) is expected


def test_progression_in_any_of_the_reasons_counts_before_the_others() -> None:
    assert reason(statusReason=[{"text": "Neutropenia"}, {"text": "Progressive disease"}]) is PROGRESSION
    assert reason(statusReason=[{"text": "Completed"}, coded(SNOMED, "271299001")]) is PROGRESSION
    assert reason(statusReason=[{"text": "Neutropenia"}, {"text": "Worsening pain"}]) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Disease progression", PROGRESSION),
        ("Progressive disease.", PROGRESSION),
        ("Progression", PROGRESSION),
        ("progression of disease", PROGRESSION),
        ("Multiple myeloma with disease progression", None),
        ("Progressive multiple myeloma", None),
        ("Relapsed multiple myeloma", None),
        ("To delay disease progression", None),
        ("Neutropenia", None),
    ],
)
def test_what_a_drug_was_given_for_is_the_reason_of_its_end_only_in_few_words(
    text: str, expected: EndReason | None
) -> None:
    assert reason(reasonCode=[{"text": text}]) is expected


@pytest.mark.parametrize(
    ("good", "expected"),
    [
        pytest.param("Disease progression", PROGRESSION, id="progression stands"),
        pytest.param("Neutropenia", None, id="what was lost may have been a progression"),
    ],
)
def test_one_unreadable_reason_costs_no_other(good: str, expected: EndReason | None) -> None:
    lossy = [{"text": good}, {"coding": [{"code": {}}]}]
    assert reason(statusReason=lossy) is expected
    assert gaps(read(reported("teclistamab", "2026-01-05", "2026-03-01", "stopped", statusReason=lossy))) == {
        GapCode.PRUNED
    }
    assert reason(statusReason=[{"text": good}, {"coding": [{"code": 5}]}]) is not None


def test_a_bare_text_is_a_reason() -> None:
    assert reason(statusReason="Disease progression") is PROGRESSION

"""A clot in a vein or an artery, at any time: beside one, no dose of immunoglobulin is named."""

import pytest

from fhir_mapping.model.patient import THROMBOSIS
from fhir_mapping.model.vocabulary import Certainty
from tests.build import Resource, condition, myeloma
from tests.mapping.reading import read
from tests.rules.table import row

STATED, POSSIBLE = Certainty.STATED, Certainty.POSSIBLE


def said_of(*problems: Resource) -> list[Certainty]:
    """Give how sure each clot is that was read."""
    return [found.certainty for found in read(*problems).problems if found.concept == THROMBOSIS]


@pytest.mark.parametrize(
    ("code", "is_one"),
    [
        row("pulmonary embolism", "I26.99", True),
        row("thrombosis of a leg", "I82.402", True),
        row("thrombophlebitis", "I80.01", True),
        row("portal vein", "I81", True),
        row("an artery of the leg", "I74.3", True),
        row("cerebral infarction", "I63.9", True),
        row("transient ischaemia", "G45.9", True),
        row("myocardial infarction", "I21.4", True),
        row("an old one", "I25.2", True),
        row("a clot in the past", "Z86.718", True),
        row("a stroke in the past", "Z86.73", True),
        row("hypertension", "I10", False),
        row("coronary disease without a clot", "I25.10", False),
        row("a cardiac arrest in the past", "Z86.74", False),
        row("few platelets", "D69.6", False),
    ],
)
def test_which_codes_are_clots(code: str, is_one: bool) -> None:
    assert bool(said_of(myeloma(), condition(code))) is is_one


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        row("in words", "Deep vein thrombosis of left leg", [STATED]),
        row("in short", "DVT 2019", [STATED]),
        row("history of one", "History of pulmonary embolism", [STATED]),
        row("stroke", "Ischemic stroke, 2015", [STATED]),
        row("suspected", "Suspected pulmonary embolism", [POSSIBLE]),
        row("prevention", "DVT prophylaxis", []),
        row("a risk", "Risk of thromboembolism", []),
        row("another person's", "Family history of DVT", []),
        row("ruled out", "PE: thrombosis ruled out", []),
        row("heat", "Heat stroke", []),
        row("few platelets", "Thrombocytopenia", []),
    ],
)
def test_clots_in_words(text: str, expected: list[Certainty]) -> None:
    assert said_of(myeloma(), condition("I10") | {"code": {"text": text}}) == expected


def test_a_clot_that_is_over_counts_and_a_refuted_one_does_not() -> None:
    resolved = condition("I82.402", clinicalStatus={"coding": [{"code": "resolved"}]})
    refuted = condition("I82.402", verificationStatus={"coding": [{"code": "refuted"}]})

    assert said_of(myeloma(), resolved) == [STATED]
    assert said_of(myeloma(), refuted) == []

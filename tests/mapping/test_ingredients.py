"""Medication.ingredient: a drug that is named only among what a compounded product is made of."""

from typing import Any

import pytest

from fhir_mapping.model.history import GapCode
from tests.build import Resource, drug, given
from tests.mapping.reading import gaps, names, read

SALINE = {"itemCodeableConcept": {"text": "sodium chloride 0.9 %"}}


def compounded(ingredient: Any, **more: Any) -> Resource:
    """Make a dose of a contained Medication with these ingredients."""
    medication = {"resourceType": "Medication", "id": "m", "ingredient": ingredient} | more
    dose = given("", "2026-11-01", medicationCodeableConcept=None, medicationReference={"reference": "#m"})
    return dose | {"contained": [medication]}


@pytest.mark.parametrize(
    "named", [drug("teclistamab"), {"text": "teclistamab"}, {"coding": {"display": "Tecvayli"}}, "teclistamab"]
)
@pytest.mark.parametrize(
    "more",
    [
        pytest.param({}, id="no code"),
        pytest.param({"code": {"text": "Injection, compounded, for infusion"}}, id="a code that names none"),
        pytest.param({"code": {"text": "sodium chloride 0.9 % 100 mL"}}, id="the code of the fluid"),
    ],
)
def test_a_drug_named_among_the_ingredients_was_given(named: Any, more: Resource) -> None:
    for ingredient in ([SALINE, {"itemCodeableConcept": named}], {"itemCodeableConcept": named}):
        history = read(compounded(ingredient, **more))
        assert names(history.courses) == ["teclistamab"]
        assert not history.unrecognised
        assert not history.gaps


def test_an_ingredient_that_cannot_be_read_costs_no_other_and_is_a_gap() -> None:
    history = read(compounded([5, {"itemCodeableConcept": {"text": {}}}, {"itemCodeableConcept": drug("teclistamab")}]))
    assert names(history.courses) == ["teclistamab"]
    assert gaps(history) == {GapCode.PRUNED}


def test_an_ingredient_that_is_only_referred_to_names_nothing() -> None:
    history = read(compounded([{"itemReference": {"reference": "Medication/x"}}]))
    assert not history.courses
    assert len(history.unrecognised) == 1


def test_the_ingredient_of_a_product_that_names_it_changes_nothing() -> None:
    history = read(compounded([{"itemCodeableConcept": drug("teclistamab")}, SALINE], code=drug("teclistamab")))
    assert [course.certainty.value for course in history.courses] == ["stated"]

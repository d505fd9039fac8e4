"""AllergyIntolerance: what a patient reacted to, and entries that name nothing, which may be of any drug."""

from typing import Any

import pytest

from fhir_mapping.model.history import GapCode
from fhir_mapping.model.patient import Allergen
from tests.build import RXNORM, SNOMED, Resource, allergy, card, coded, infusion, lab
from tests.mapping.reading import gaps, read
from tests.rules.table import drafts_in, view

SULFONAMIDE, UNKNOWN = Allergen.SULFONAMIDE, Allergen.UNKNOWN
INFUSED = infusion("2026-05-04")
IGG = lab("2465-3", 720, "mg/dL", "2026-11-02")  # so that none is offered to be drawn


def reacted_to(*substances: Any, code: Any = None) -> Resource:
    """Make an allergy with a reaction to each of these."""
    return allergy(code or {"text": "Antibiotic"}, reaction=[{"substance": substance} for substance in substances])


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(reacted_to({"text": "sulfamethoxazole"}), id="in words"),
        pytest.param(reacted_to(coded(RXNORM, "10180")), id="by code"),
        pytest.param(reacted_to({"text": "Penicillin"}, {"text": "Bactrim"}), id="in another reaction"),
        pytest.param(reacted_to({"text": "Bactrim"}, code={"text": "Drug allergy"}), id="where the name says nothing"),
        pytest.param(allergy({}, code=None, substance={"text": "Bactrim"}), id="as older FHIR has it"),
        pytest.param(allergy({}, reaction={"substance": {"text": "Bactrim"}}), id="one object for a list"),
    ],
)
def test_the_substance_of_a_reaction_counts(found: Resource) -> None:
    history = read(found)
    assert [one.allergen for one in history.allergies] == [SULFONAMIDE]
    assert not history.gaps


@pytest.mark.parametrize(
    "unclear",
    [
        pytest.param(allergy({}, code=None), id="no name"),
        pytest.param(allergy({}), id="an empty name"),
        pytest.param(allergy({"text": "Other drug allergy"}), id="a name that says nothing"),
        pytest.param(allergy(coded(SNOMED, "416098002", "Allergy to drug (finding)")), id="the same with a code"),
        pytest.param(allergy(coded("urn:local", "A17")), id="a code of a system that nobody knows"),
        pytest.param(reacted_to({"text": {}}), id="a substance that cannot be read"),
        pytest.param(allergy({"text": "Antibiotic"}, reaction=[5]), id="a reaction that cannot be read"),
        pytest.param(allergy({"coding": [{"code": {}}]}), id="a name that cannot be read"),
    ],
)
def test_an_entry_that_names_nothing_is_a_gap_and_bars_every_draft(unclear: Resource) -> None:
    history = read(unclear)
    assert [one.allergen for one in history.allergies] == [UNKNOWN]
    assert GapCode.UNREADABLE in gaps(history)

    shown = view([INFUSED, IGG, unclear])

    for rule in ("R15", "R16"):
        assert not drafts_in(card(shown, rule))
        assert "Allergies could not be read completely" in card(shown, rule)["detail"]


@pytest.mark.parametrize(
    "named",
    [
        pytest.param(allergy({"text": "Penicillin"}), id="in words"),
        pytest.param(allergy(coded(RXNORM, "7980")), id="by a code alone"),
        pytest.param(allergy({"text": "No known drug allergies"}), id="none known"),
        pytest.param(reacted_to({"text": "Latex"}), id="in a reaction"),
        pytest.param(allergy({}, verificationStatus={"coding": [{"code": "refuted"}]}), id="refuted"),
    ],
)
def test_an_entry_that_names_something_else_bars_nothing(named: Resource) -> None:
    assert not read(named).allergies
    assert "acyclovir" in drafts_in(card(view([INFUSED, named]), "R15"))

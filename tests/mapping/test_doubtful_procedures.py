"""What may have been given, or against another disease: mentions beside a word of giving, and cells against CD19."""

import pytest

from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.vocabulary import Certainty
from tests.build import CPT, Resource, coded, dispensed, procedure
from tests.mapping.care_builders import immunization
from tests.mapping.reading import is_silent, names, read, span

ON = "2026-06-01"
J9999 = coded("http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets", "J9999")
STATED, POSSIBLE = Certainty.STATED, Certainty.POSSIBLE


def charted(code: Resource | str, status: str = "completed") -> TreatmentHistory:
    concept = {"text": code} if isinstance(code, str) else code
    return read(procedure("", ON, status) | {"code": concept})


# A word that only mentions, beside one that gives


@pytest.mark.parametrize(
    ("text", "product"),
    [
        ("CAR T-cell infusion with monitoring", None),
        ("Idecabtagene vicleucel infusion, post-infusion assessment", "idecabtagene vicleucel"),
        ("Carvykti administration and toxicity assessment", "ciltacabtagene autoleucel"),
    ],
)
def test_cells_that_are_given_and_mentioned_are_possible(text: str, product: str | None) -> None:
    (given,) = charted(text).infusions
    assert (given.product and given.product.name, given.certainty) == (product, POSSIBLE)


@pytest.mark.parametrize(
    "code",
    [
        {"text": "Administration of teclistamab, step-up dose level 1"},
        {"text": "Teclistamab injection with monitoring"},
        J9999 | {"text": "Teclistamab dose level 1"},
    ],
)
def test_a_drug_that_is_given_and_mentioned_is_possible(code: Resource) -> None:
    (course,) = charted(code).courses
    assert (course.drug.name, course.certainty) == ("teclistamab", POSSIBLE)


def test_a_code_that_gives_outweighs_a_mention_beside_it() -> None:
    (given,) = charted(coded(CPT, "38228", "CAR T-cell infusion with monitoring")).infusions
    assert given.certainty is STATED


@pytest.mark.parametrize(
    "text",
    [
        "CAR T education visit",
        "Consult for Abecma",
        "Education about teclistamab injection",
        "Evaluation for CAR T infusion",
        "Stem cell infusion monitoring",
        "Vital signs monitoring during infusion",
    ],
)
def test_a_mention_alone_is_nothing(text: str) -> None:
    assert is_silent(charted(text))


# Cells against another disease


@pytest.mark.parametrize(
    ("code", "certainty"),
    [
        ("Kymriah infusion", STATED),
        ("Administration of axi-cel", STATED),
        (coded(CPT, "38228", "Kymriah"), STATED),
        ("Kymriah infusion with monitoring", POSSIBLE),
        ("Kymriah", POSSIBLE),
    ],
)
def test_other_cells_that_are_charted_as_a_procedure_are_read(code: Resource | str, certainty: Certainty) -> None:
    history = charted(code)
    (cells,) = history.other_cell_therapies
    assert (cells.infused, cells.certainty) == (span(ON), certainty)
    assert is_silent(history)
    assert not charted(code, "not-done").other_cell_therapies


@pytest.mark.parametrize("text", ["Consult for Kymriah", "Leukapheresis for Kymriah", "Rituximab infusion"])
def test_what_gives_no_other_cells_is_none(text: str) -> None:
    assert not charted(text).other_cell_therapies


def test_other_cells_that_are_charted_as_an_immunization_are_read() -> None:
    record = immunization("") | {"vaccineCode": {"text": "Kymriah"}}
    (cells,) = read(record).other_cell_therapies
    assert cells.certainty is STATED
    assert read(record | {"status": "odd"}).other_cell_therapies[0].certainty is POSSIBLE
    assert not read(record | {"status": "not-done"}).other_cell_therapies


def test_other_cells_that_were_handed_over_are_possible() -> None:
    (cells,) = read(dispensed("Kymriah", ON)).other_cell_therapies
    assert cells.certainty is POSSIBLE


@pytest.mark.parametrize(
    ("code", "certainty"),
    [
        ("CD19 CAR T-cell infusion", POSSIBLE),
        (coded(CPT, "38228", "CD19-directed CAR T-cell infusion"), POSSIBLE),
        (coded(CPT, "38228", "Anti-CD 19 CAR T"), POSSIBLE),
        (coded(CPT, "38228", "Carvykti, not CD19"), STATED),
        (coded(CPT, "38228", "CAR T-cell infusion"), STATED),
    ],
)
def test_car_t_cells_against_cd19_may_be_others(code: Resource | str, certainty: Certainty) -> None:
    assert [given.certainty for given in charted(code).infusions] == [certainty]


def test_other_cells_leave_open_what_an_unnamed_infusion_gave() -> None:
    kymriah = procedure("", ON) | {"code": {"text": "Kymriah infusion"}}
    (given,) = read(kymriah, procedure("38228", ON)).infusions
    assert given.certainty is POSSIBLE
    assert not names(read(kymriah).courses)

"""Texts of tests, procedures and problems that a site maps: what the product reads otherwise is refused."""

import pytest

from fhir_mapping.catalog.loader import load
from fhir_mapping.catalog.site_map import NO_ANSWERS, SHIPPED, SPOKEN_FOR, TEXT_SYSTEM, Entry, faults_of
from tests.build import ICD10CM


def said_of(concept: str, code: str, system: str = TEXT_SYSTEM) -> list[str]:
    return [fault for _, fault in faults_of(load(), [Entry(system, code, concept, "here")])]


@pytest.mark.parametrize(
    ("concept", "text"),
    [
        ("leukapheresis", "CAR T-cell infusion"),
        ("leukapheresis", "Carvykti infusion"),
        ("leukapheresis", "Stem cell collection"),
        ("leukapheresis", "Autologous stem cell transplant"),
        ("car-t-infusion", "T-cell collection"),
        ("anti-hbs", "HBsAg"),
        ("anti-hbs", "HBsAg, serum"),
        ("creatinine", "Potassium"),
        ("multiple-myeloma", "DLBCL"),
        ("multiple-myeloma", "No myeloma"),
        ("multiple-myeloma", "CAR T-cell therapy 2024"),
        ("other-b-cell-malignancy", "Multiple myeloma"),
    ],
)
def test_a_text_that_is_read_otherwise_is_refused(concept: str, text: str) -> None:
    assert said_of(concept, text) == [SPOKEN_FOR]


@pytest.mark.parametrize(
    ("concept", "text"),
    [("finding-negative", "Positive"), ("finding-negative", "n/d"), ("disease-status-stable", "Progressive disease")],
)
def test_the_words_of_a_result_are_not_mapped(concept: str, text: str) -> None:
    assert said_of(concept, text) == [NO_ANSWERS]


@pytest.mark.parametrize(
    ("concept", "text"),
    [
        ("leukapheresis", "Leukapheresis"),
        ("leukapheresis", "Cell day 1"),
        ("car-t-infusion", "Day zero"),
        ("patient-education", "CAR T infusion education"),
        ("brain-mri", "MRI after HSCT"),
        ("hiv-ab", "HIV Ag/Ab"),
        ("cancer-disease-status", "Staging"),
        ("creatinine", "Creatinine, serum"),
        ("multiple-myeloma", "Possible multiple myeloma"),
        ("other-b-cell-malignancy", "DLBCL"),
        ("history-car-t", "CAR T-cell therapy 2024"),
    ],
)
def test_a_text_that_is_read_alike_or_not_at_all_is_taken(concept: str, text: str) -> None:
    assert said_of(concept, text) == []


@pytest.mark.parametrize(("concept", "faults"), [("multiple-myeloma", [SHIPPED]), ("other-b-cell-malignancy", [])])
def test_a_family_of_codes_counts_as_shipped(concept: str, faults: list[str]) -> None:
    assert said_of(concept, "C83.30", ICD10CM) == faults

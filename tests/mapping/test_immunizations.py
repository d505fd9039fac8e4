"""Immunization: which vaccine was given and when, and what is charted as a vaccine but is none."""

from typing import Any

import pytest

from fhir_mapping.catalog.care_words import care_words, vaccines_in
from fhir_mapping.catalog.loader import load
from fhir_mapping.model.dates import Answer
from fhir_mapping.model.history import GapCode
from fhir_mapping.model.vocabulary import Certainty
from tests.build import CPT, Resource, coded
from tests.mapping.care_builders import CVX, MODIFIED, immunization, text
from tests.mapping.reading import gaps, read, span

ON = span("2026-05-04")
MMR, VARICELLA = "vaccine-mmr-live", "vaccine-varicella-live"


@pytest.mark.parametrize(
    ("status", "counts", "gap"),
    [
        ("completed", True, None),
        ("not-done", False, None),
        ("entered-in-error", False, None),
        pytest.param(None, False, GapCode.NOT_UNDERSTOOD, id="no status"),
        pytest.param("in-progress", False, GapCode.NOT_UNDERSTOOD, id="not in R4"),
    ],
)
def test_a_vaccine_counts_once_it_was_given(status: str | None, counts: bool, gap: GapCode | None) -> None:
    history = read(immunization("03", status))
    assert [v.vaccine for v in history.vaccinations] == ([MMR] if counts else [])
    assert gaps(history) == ({gap} if gap else set())


@pytest.mark.parametrize("more", [{"notGiven": True}, {"wasNotGiven": True}])
def test_older_records_say_otherwise_that_nothing_was_given(more: Resource) -> None:
    history = read(immunization("03", **more), immunization("86", **more))
    assert not history.vaccinations
    assert not history.supportive_care


@pytest.mark.parametrize(
    ("code", "vaccine"),
    [
        (coded(CVX, "03"), MMR),
        (coded(CVX, "3"), MMR),
        (coded(CPT, "90707"), MMR),
        (coded(CVX, "21"), VARICELLA),
        (coded(CVX, "121"), "vaccine-zoster-live"),
        (coded(CVX, "187"), "vaccine-zoster-recombinant"),
        (coded(CVX, "188"), "vaccine-zoster-unspecified"),
        (coded(CVX, "111"), "vaccine-influenza-live"),
        (coded(CVX, "88"), "vaccine-influenza-inactivated"),
        (coded(CVX, "213"), "vaccine-covid19"),
        (coded(CVX, "08"), "vaccine-hepatitis-b"),
        (coded(CVX, "305"), "vaccine-rsv"),
        (coded(CVX, "187", "Zoster vaccine, live"), "vaccine-zoster-recombinant"),
        (coded(CVX, "99999", "MMR"), MMR),
    ],
)
def test_a_code_says_which_vaccine_it_was(code: Resource, vaccine: str) -> None:
    (given,) = read(immunization(code)).vaccinations
    assert (given.vaccine, given.on, given.source.on) == (vaccine, ON, ON)


@pytest.mark.parametrize(
    ("words", "vaccines"),
    [
        ("Influenza, seasonal, injectable", {"vaccine-influenza-inactivated"}),
        ("Flu shot", {"vaccine-influenza-inactivated"}),
        ("Influenza, recombinant, quadrivalent", {"vaccine-influenza-inactivated"}),
        ("Influenza, live, intranasal", {"vaccine-influenza-live"}),
        ("FluMist", {"vaccine-influenza-live"}),
        ("Haemophilus influenzae type b", {"vaccine-hib"}),
        ("Shingrix", {"vaccine-zoster-recombinant"}),
        ("Zoster vaccine, recombinant", {"vaccine-zoster-recombinant"}),
        ("Zoster vaccine live", {"vaccine-zoster-live"}),
        ("Zoster, non-live", {"vaccine-zoster-unspecified"}),
        ("Shingles vaccine", {"vaccine-zoster-unspecified"}),
        ("Varicella-zoster", {"vaccine-zoster-unspecified"}),
        ("Varicella", {VARICELLA}),
        ("M-M-R II", {MMR}),
        ("Measles, mumps and rubella", {MMR}),
        ("Prevnar 20", {"vaccine-pneumococcal"}),
        ("Td (adult)", {"vaccine-tdap-td"}),
        ("HepA-HepB", {"vaccine-hepatitis-b"}),
        ("COVID-19, mRNA", {"vaccine-covid19"}),
        ("Abrysvo", {"vaccine-rsv"}),
        ("MenACWY", {"vaccine-meningococcal"}),
        ("Influenza and Pneumovax", {"vaccine-influenza-inactivated", "vaccine-pneumococcal"}),
        ("Hepatitis A", set()),
        ("RSV, mAb, nirsevimab-alip", set()),
        ("Beyfortus (RSV)", set()),
        ("palivizumab for RSV", set()),
        ("Hepatitis B immune globulin", set()),
        ("Varicella zoster immune globulin", set()),
        ("Tetanus immune globulin", set()),
        ("Diphtheria antitoxin", set()),
        ("Flu vaccine declined", set()),
        ("Measles titer", set()),
        ("Flurazepam", set()),
        ("", set()),
    ],
)
def test_without_a_known_code_the_words_say_it(words: str, vaccines: set[str]) -> None:
    history = read(immunization(text(words)))
    assert {v.vaccine for v in history.vaccinations} == vaccines
    assert not history.supportive_care


def test_every_vaccine_in_words_is_one_of_the_table_and_has_its_name_alone() -> None:
    known = frozenset().union(*load().concept_codes["vaccine"].values())
    pages = care_words().pages
    assert set(pages["vaccines"]) == known
    for vaccine, names in pages["vaccines"].items():
        assert {vaccine} == frozenset().union(*map(vaccines_in, names))
    for variants in pages["vaccine_variants"].values():
        assert set(variants.values()) <= known


@pytest.mark.parametrize(
    ("code", "drug"),
    [
        (coded(CVX, "86"), "immune-globulin-im"),
        (coded(CVX, "87"), "immune-globulin-iv"),
        (coded(CVX, "14"), "immune-globulin-unspecified"),
        (coded(CPT, "90283"), "immune-globulin-iv"),
        (text("IVIG"), "immune-globulin-iv"),
        (text("Hizentra"), "immune-globulin-sc"),
    ],
)
def test_immune_globulin_charted_as_a_vaccine_is_no_vaccine(code: Resource, drug: str) -> None:
    history = read(immunization(code))
    (care,) = history.supportive_care
    assert (care.drug.id, care.last_dose, care.in_force, care.systemic) == (drug, ON, Answer.NO, True)
    assert care.certainty is Certainty.STATED
    assert [item.drug.id for item in history.recognised] == [drug]
    assert not history.vaccinations


@pytest.mark.parametrize(
    ("status", "more", "certainty"),
    [
        ("not-done", {}, None),
        ("entered-in-error", {}, None),
        (None, {}, Certainty.POSSIBLE),
        ("in-progress", {}, Certainty.POSSIBLE),
        ("completed", MODIFIED, Certainty.POSSIBLE),
        ("completed", {"occurrenceDateTime": ["x", "y"]}, Certainty.POSSIBLE),
    ],
)
def test_immune_globulin_counts_as_far_as_its_record_says(
    status: str | None, more: Resource, certainty: Certainty | None
) -> None:
    care = read(immunization("87", status, **more)).supportive_care
    assert [item.certainty for item in care] == ([certainty] if certainty else [])


def test_codes_and_words_that_differ_leave_immune_globulin_possible() -> None:
    history = read(immunization(coded(CVX, "86", "Carvykti")))
    assert [care.certainty for care in history.supportive_care] == [Certainty.POSSIBLE]
    assert [infusion.certainty for infusion in history.infusions] == [Certainty.POSSIBLE]


def test_cells_charted_as_an_immunization_are_an_infusion() -> None:
    (infusion,) = read(immunization(text("Carvykti"))).infusions
    assert infusion.product is not None
    assert (infusion.infused, infusion.certainty) == (ON, Certainty.STATED)


@pytest.mark.parametrize(
    ("more", "on"),
    [
        ({"occurrenceDateTime": "2026-05-04T10:00:00-04:00"}, ON),
        ({"occurrenceDateTime": "2026"}, span("2026-01-01", "2026-11-20")),
        ({"occurrenceDateTime": None, "occurrenceString": "as a child"}, None),
        ({"occurrenceDateTime": None, "date": "2026-05-04"}, ON),
        ({"primarySource": False}, ON),
    ],
)
def test_the_day_is_read_as_exactly_as_it_was_written(more: Resource, on: Any) -> None:
    (given,) = read(immunization("03", **more)).vaccinations
    assert given.on == on


@pytest.mark.parametrize("day", ["2026-11-21", "spring"])
def test_a_vaccine_of_tomorrow_has_no_date_and_leaves_a_gap(day: str) -> None:
    history = read(immunization("03", occurrenceDateTime=day))
    assert [v.on for v in history.vaccinations] == [None]
    assert gaps(history) == {GapCode.DATE}


@pytest.mark.parametrize(
    ("more", "gap"),
    [(MODIFIED, GapCode.NOT_UNDERSTOOD), ({"occurrenceDateTime": ["x", "y"]}, GapCode.PRUNED)],
)
def test_a_vaccine_that_was_not_understood_is_a_gap(more: Resource, gap: GapCode) -> None:
    history = read(immunization("03", **more))
    assert not history.vaccinations
    assert gaps(history) == {gap}


def test_an_immunization_of_no_interest_leaves_no_gap() -> None:
    history = read(immunization(text("Hepatitis A"), "odd", **MODIFIED), immunization("03", vaccineCode=None))
    assert not history.gaps
    assert not history.vaccinations


def test_the_newest_version_counts() -> None:
    old = immunization("03", id="i", meta={"versionId": "1"})
    new = immunization("03", "not-done", id="i", meta={"versionId": "2"})
    assert not read(new, old).vaccinations


def test_a_vaccine_without_patient_does_no_harm() -> None:
    assert len(read(immunization("03", patient=None)).vaccinations) == 1

"""Procedure: CAR T infusions, T-cell collections, and drugs that are coded as procedures."""

from typing import Any

import pytest

from fhir_mapping.model.history import GapCode
from fhir_mapping.model.vocabulary import Antigen, Certainty, Tier
from tests.build import CPT, SNOMED, Resource, coded, procedure
from tests.mapping.reading import gaps, is_silent, names, read, span

PCS = "http://www.cms.gov/Medicare/Coding/ICD10"
HCPCS = "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"
ON = "2026-01-05"


def texted(text: str, **more: Any) -> Resource:
    """Make a procedure that comes as text alone."""
    return procedure("", ON, **more) | {"code": {"text": text}}


def coded_as(code: Resource) -> Resource:
    return procedure("", ON) | {"code": code}


@pytest.mark.parametrize(
    ("status", "certainty"),
    [
        ("completed", Certainty.STATED),
        ("in-progress", Certainty.STATED),
        ("stopped", Certainty.STATED),
        ("on-hold", Certainty.POSSIBLE),
        ("unknown", Certainty.POSSIBLE),
        ("preparation", None),
        ("not-done", None),
        ("entered-in-error", None),
        pytest.param(None, Certainty.POSSIBLE, id="no status"),
        pytest.param("active", Certainty.POSSIBLE, id="a status of another resource"),
    ],
)
def test_an_infusion_counts_as_far_as_its_status_says(status: Any, certainty: Certainty | None) -> None:
    history = read(procedure("38228", ON, status))
    assert [i.certainty for i in history.infusions] == ([certainty] if certainty else [])


@pytest.mark.parametrize("status", ["completed", "in-progress", "stopped"])
def test_a_collection_counts_once_it_took_place(status: str) -> None:
    history = read(procedure("38225", ON, status))
    assert [c.collected for c in history.collections] == [span(ON)]
    assert not history.infusions


@pytest.mark.parametrize("status", ["preparation", "not-done", "entered-in-error"])
def test_a_collection_that_did_not_take_place_does_not_count(status: Any) -> None:
    assert is_silent(read(procedure("38225", ON, status)))


@pytest.mark.parametrize("more", [{}, {"status": "on-hold"}, {"status": "unknown"}, {"modifierExtension": [{}]}])
def test_a_collection_that_may_not_have_taken_place_is_only_possible(more: Resource) -> None:
    collection = procedure("38225", ON, "") | more
    assert [(c.collected, c.certainty) for c in read(collection).collections] == [(span(ON), Certainty.POSSIBLE)]


@pytest.mark.parametrize("member", ["notDone", "notPerformed"])
def test_a_procedure_that_an_older_fhir_denies_was_not_done(member: str) -> None:
    assert is_silent(read(procedure("38228", ON) | {member: True}))


@pytest.mark.parametrize(
    ("code", "system"),
    [
        ("38228", CPT),
        ("0540T", CPT),
        ("XW033C7", PCS),
        ("XW043C3", PCS),
        ("XW033G7", PCS),
        ("1156961008", SNOMED),
    ],
)
def test_a_code_without_product_is_an_infusion_of_unknown_target(code: str, system: str) -> None:
    (infusion,) = read(procedure(code, ON, system=system)).infusions
    assert infusion.product is None
    assert infusion.targets(Antigen.BCMA).name == "UNKNOWN"
    assert (infusion.infused, infusion.tier) == (span(ON), Tier.PROVEN)


@pytest.mark.parametrize(
    ("code", "system", "product"),
    [
        ("Q2055", HCPCS, "idecabtagene vicleucel"),
        ("Q2056", HCPCS, "ciltacabtagene autoleucel"),
        ("C9098", HCPCS, "ciltacabtagene autoleucel"),
        ("XW033K7", PCS, "idecabtagene vicleucel"),
        ("XW043A7", PCS, "ciltacabtagene autoleucel"),
    ],
)
def test_a_code_of_a_product_says_what_was_infused(code: str, system: str, product: str) -> None:
    (infusion,) = read(procedure(code, ON, system=system)).infusions
    assert infusion.product is not None
    assert infusion.product.name == product
    assert infusion.targets(Antigen.BCMA).name == "YES"
    assert infusion.targets(Antigen.GPRC5D).name == "NO"


def test_a_product_named_beside_the_code_of_an_infusion_says_what_was_infused() -> None:
    (infusion,) = read(coded_as(coded(CPT, "38228", "Carvykti administration"))).infusions
    assert infusion.product is not None
    assert infusion.product.name == "ciltacabtagene autoleucel"


@pytest.mark.parametrize(
    "text",
    ["CAR-T infusion", "CAR T-cell infusion", "Infusion of CAR T cells", "CART infusion"],
)
def test_an_infusion_in_words_alone_counts(text: str) -> None:
    (infusion,) = read(texted(text)).infusions
    assert infusion.product is None


@pytest.mark.parametrize("text", ["Carvykti infusion", "Administration of cilta-cel", "ciltacabtagene reinfusion"])
def test_a_product_given_in_words_alone_counts(text: str) -> None:
    (infusion,) = read(texted(text)).infusions
    assert infusion.product is not None


@pytest.mark.parametrize("text", ["Leukapheresis for ide-cel", "Apheresis, T cells, Carvykti", "CAR T collection"])
def test_a_collection_is_none_of_the_product_that_it_is_meant_for(text: str) -> None:
    history = read(texted(text))
    assert len(history.collections) == 1
    assert not history.infusions


@pytest.mark.parametrize("text", ["LD chemo flu/cy for cilta-cel", "Lymphodepletion before Abecma"])
def test_lymphodepletion_is_none_of_the_cells_that_it_prepares_for(text: str) -> None:
    assert is_silent(read(texted(text)))


@pytest.mark.parametrize(
    "text",
    [
        "CAR T education visit",
        "Carvykti teaching session",
        "Consult for Abecma",
        "CAR T cell therapy evaluation",
        "Bone marrow biopsy before teclistamab",
        "Stem cell apheresis",
        "Leukapheresis",
    ],
)
def test_words_about_treatment_are_not_the_treatment(text: str) -> None:
    assert is_silent(read(texted(text)))


@pytest.mark.parametrize(
    ("code", "system"),
    [
        pytest.param("38226", CPT, id="transport"),
        pytest.param("38227", CPT, id="receipt"),
        pytest.param("0538T", CPT, id="transport, the older code"),
        pytest.param("38206", CPT, id="stem-cell collection"),
        pytest.param("38241", CPT, id="autologous transplant"),
        pytest.param("38242", CPT, id="donor lymphocytes"),
        pytest.param("99213", CPT, id="a visit"),
    ],
)
def test_other_procedures_expose_nobody(code: str, system: str) -> None:
    assert is_silent(read(procedure(code, ON, system=system)))


@pytest.mark.parametrize(("code", "system"), [("38225", CPT), ("0537T", CPT), ("6A550Z1", PCS), ("6A551Z1", PCS)])
def test_the_codes_of_a_collection_are_no_exposure(code: str, system: str) -> None:
    history = read(procedure(code, ON, system=system))
    assert len(history.collections) == 1
    assert not history.infusions
    assert not history.courses


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(coded(CPT, "38225", "T-cell collection for Carvykti"), id="names the product"),
        pytest.param(coded(CPT, "38225", "Collection before CAR T infusion"), id="names the infusion"),
        pytest.param({"text": "T cell collection for Carvykti infusion"}, id="in words alone"),
        pytest.param({"text": "Leukapheresis for CAR T"}, id="leukapheresis in words"),
    ],
)
def test_a_collection_for_a_product_is_not_its_infusion(code: Resource) -> None:
    history = read(coded_as(code))
    assert len(history.collections) == 1
    assert not history.infusions


def test_an_infusion_by_code_stays_one_although_its_text_names_the_collection() -> None:
    history = read(coded_as(coded(CPT, "38228", "CAR T infusion, T-cell collection done in January")))
    assert len(history.infusions) == 1
    assert not history.collections


def test_preparing_a_product_is_not_its_infusion() -> None:
    assert is_silent(read(coded_as(coded(CPT, "38227", "Receipt and preparation of Carvykti for CAR T infusion"))))


@pytest.mark.parametrize(
    ("code", "system", "drug"),
    [
        ("J9380", HCPCS, "teclistamab"),
        ("C9148", HCPCS, "teclistamab"),
        ("XW01348", PCS, "teclistamab"),
        ("J3055", HCPCS, "talquetamab"),
        ("J9144", HCPCS, "daratumumab-hyaluronidase"),
    ],
)
def test_a_drug_billed_as_a_procedure_is_one_dose(code: str, system: str, drug: str) -> None:
    history = read(procedure(code, ON, system=system))
    assert names(history.courses) == [drug]
    assert history.courses[0].last_dose == span(ON)
    assert history.courses[0].tier is Tier.PROVEN


def test_a_drug_that_is_only_mentioned_was_not_given_by_the_procedure() -> None:
    assert is_silent(read(coded_as(coded(CPT, "99213", "Visit while on teclistamab"))))


@pytest.mark.parametrize("code", ["J9999", "J3490", "C9399"])
def test_a_code_for_unclassified_drugs_counts_by_the_name_beside_it(code: str) -> None:
    history = read(coded_as(coded(HCPCS, code, "elranatamab")))
    assert names(history.courses) == ["elranatamab"]
    assert history.courses[0].tier is Tier.PROVEN


@pytest.mark.parametrize("code", ["J9999", "J3490", "C9399", "J9190"])
def test_a_code_for_cancer_treatment_without_a_known_drug_is_unrecognised(code: str) -> None:
    history = read(procedure(code, ON, system=HCPCS))
    assert len(history.unrecognised) == 1
    assert not history.courses


def test_cells_of_an_unknown_name_are_unrecognised_once_given() -> None:
    (item,) = read(texted("anbal-cel infusion")).unrecognised
    assert item.may_be_cell_therapy
    assert is_silent(read(texted("anbal-cel discussion")))


@pytest.mark.parametrize(
    ("more", "infused"),
    [
        pytest.param({"performedDateTime": "2026-01-05T10:00:00-05:00"}, span(ON), id="time"),
        pytest.param({"performedPeriod": {"start": ON, "end": "2026-01-06"}}, span(ON), id="start of a period"),
        pytest.param({"performedPeriod": {"end": ON}}, span(ON), id="end, where there is no start"),
        pytest.param({"performedDateTime": "2026"}, span("2026-01-01", "2026-11-20"), id="year, cut off today"),
        pytest.param({}, None, id="none"),
    ],
)
def test_the_day_of_an_infusion_is_read_as_exactly_as_it_was_written(more: Resource, infused: Any) -> None:
    (infusion,) = read(procedure("38228", None, **more)).infusions
    assert infusion.infused == infused


def test_an_infusion_dated_tomorrow_has_no_date_and_leaves_a_gap() -> None:
    history = read(procedure("38228", "2026-11-21"))
    assert history.infusions[0].infused is None
    assert gaps(history) == {GapCode.DATE}


def test_a_modifier_that_is_not_known_leaves_an_infusion_possible() -> None:
    history = read(procedure("38228", ON, modifierExtension=[{"url": "urn:example:x"}]))
    assert history.infusions[0].certainty is Certainty.POSSIBLE
    assert gaps(history) == {GapCode.NOT_UNDERSTOOD}


def test_a_procedure_of_no_interest_leaves_no_gap() -> None:
    assert not read(procedure("99213", "2031-01-01", modifierExtension=[{"url": "urn:example:x"}])).gaps

"""Problems that rules may ask about: which they are, whether they are present, and how sure that is."""

from typing import Any

import pytest

from fhir_mapping.catalog.loader import load
from fhir_mapping.model.dates import Answer, ClinicalDate
from fhir_mapping.model.history import GapCode, TreatmentHistory
from fhir_mapping.model.patient import OTHER_B_CELLS
from fhir_mapping.model.vocabulary import Certainty
from tests.build import ICD10CM, SNOMED, Resource, coded, condition, given, infusion, myeloma
from tests.mapping.reading import gaps, is_silent, read, span

VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
YES, NO, UNKNOWN = Answer.YES, Answer.NO, Answer.UNKNOWN
STATED, POSSIBLE = Certainty.STATED, Certainty.POSSIBLE


def problem(concept: Resource, **more: Any) -> Resource:
    return condition("", "2026-03-02", **more) | {"code": concept}


def clinically(status: str) -> Resource:
    return {"clinicalStatus": coded(CLINICAL, status)}


def concepts(history: TreatmentHistory) -> list[str]:
    return [found.concept for found in history.problems]


@pytest.mark.parametrize(
    ("code", "system", "concept"),
    [
        ("D89.831", ICD10CM, "crs"),
        ("D89.839", ICD10CM, "crs"),
        ("G92.04", ICD10CM, "icans"),
        ("T80.82XA", ICD10CM, "iec-complication"),
        ("D76.1", ICD10CM, "hlh"),
        ("D80.1", ICD10CM, "hypogammaglobulinemia"),
        ("D84.821", ICD10CM, "immunodeficiency-secondary"),
        ("B16.9", ICD10CM, "hbv-acute"),
        ("B18.1", ICD10CM, "hbv-chronic"),
        ("61977001", SNOMED, "hbv-chronic"),
        ("165806002", SNOMED, "hbv-carrier-or-hbsag-positive"),
        ("271511000", SNOMED, "hbv-past"),
        ("B18.2", ICD10CM, "hcv-chronic"),
        ("B20", ICD10CM, "hiv"),
        ("Z21", ICD10CM, "hiv"),
        ("A15.0", ICD10CM, "tb-active"),
        ("Z22.7", ICD10CM, "tb-latent"),
        ("Z86.11", ICD10CM, "tb-history"),
        ("B25.9", ICD10CM, "cmv-infection"),
        ("B02.9", ICD10CM, "zoster"),
        ("B59", ICD10CM, "pjp"),
        ("A81.2", ICD10CM, "pml"),
        ("G20.C", ICD10CM, "parkinsonism"),
        ("G21.19", ICD10CM, "parkinsonism"),
        ("G20.A1", ICD10CM, "parkinson-disease"),
        ("G62.0", ICD10CM, "peripheral-neuropathy"),
        ("H16.001", ICD10CM, "keratopathy"),
        ("K52.9", ICD10CM, "enterocolitis-noninfective"),
        ("D55.0", ICD10CM, "g6pd-deficiency"),
        ("D70.1", ICD10CM, "neutropenia"),
        ("D69.6", ICD10CM, "thrombocytopenia"),
        ("D89.813", ICD10CM, "graft-versus-host-disease"),
        ("C90.10", ICD10CM, "plasma-cell-leukemia"),
        ("C90.30", ICD10CM, "plasmacytoma"),
        ("E85.81", ICD10CM, "al-amyloidosis"),
        ("D47.2", ICD10CM, "mgus"),
        ("413587002", SNOMED, "smoldering-myeloma"),
    ],
)
def test_a_code_is_a_problem(code: str, system: str, concept: str) -> None:
    history = read(problem(coded(system, code)))
    (found,) = history.problems
    assert (found.concept, found.active, found.certainty) == (concept, UNKNOWN, STATED)
    assert (found.onset, found.recorded) == (None, span("2026-03-02"))
    assert is_silent(history)


@pytest.mark.parametrize(
    "code", ["C90.00", "C90.02", "Z92.850", "Z92.858", "Z94.84", "Z88.2", "Z51.11", "Z92.21", "I10"]
)
def test_what_is_a_fact_of_its_own_or_none_is_no_problem(code: str) -> None:
    assert not read(condition(code)).problems


def test_every_condition_of_the_code_table_is_a_problem_or_a_fact_of_its_own() -> None:
    table = set().union(*load().concept_codes["condition"].values())
    own = {
        name
        for name in table
        if name.startswith(("multiple-myeloma", "history-", "encounter-", "sulfonamide-", "comfort-"))
    }
    coding = {next(iter(found)): pair for pair, found in load().concept_codes["condition"].items() if not found & own}
    systems = {"icd10cm": ICD10CM, "snomed": SNOMED}
    read_as = {
        concept for system, code in coding.values() for concept in concepts(read(problem(coded(systems[system], code))))
    }
    assert read_as == table - own


# --- Whether it is present ---


@pytest.mark.parametrize(
    ("status", "active"),
    [
        ("active", YES),
        ("recurrence", YES),
        ("relapse", YES),
        ("inactive", NO),
        ("remission", NO),
        ("resolved", NO),
        pytest.param("Active", YES, id="in capitals"),
        pytest.param("something-else", UNKNOWN, id="one that R4 does not know"),
    ],
)
def test_a_problem_is_present_as_its_clinical_status_says(status: str, active: Answer) -> None:
    (found,) = read(condition("D89.831", "2026-03-02", **clinically(status))).problems
    assert found.active is active


@pytest.mark.parametrize(
    ("more", "active", "why"),
    [
        ({}, UNKNOWN, "nothing is said"),
        ({"clinicalStatus": {"text": "Resolved"}}, NO, "in words"),
        ({"abatementDateTime": "2026-04-01"}, NO, "over since April"),
        ({"abatementDateTime": "2026-11-20"}, NO, "over since today"),
        ({"abatementDateTime": "2026-11-21"}, UNKNOWN, "expected to be over tomorrow"),
        ({"abatementDateTime": "2026"}, UNKNOWN, "over some day this year, perhaps in December"),
        ({"abatementDateTime": "2025"}, NO, "over since last year"),
        (clinically("resolved") | {"abatementDateTime": "2026-04-01"}, NO, "both say it"),
        (clinically("active") | {"abatementDateTime": "2026-04-01"}, UNKNOWN, "status and day contradict each other"),
        (
            {"clinicalStatus": {"coding": [{"code": "active"}, {"code": "resolved"}]}},
            UNKNOWN,
            "two codes contradict each other",
        ),
        ({"clinicalStatus": {"coding": [{"code": "active"}, {"code": "relapse"}]}}, YES, "two codes agree"),
    ],
)
def test_a_problem_is_over_once_it_abated(more: Resource, active: Answer, why: str) -> None:
    (found,) = read(condition("D89.831", "2026-03-02", **more)).problems
    assert found.active is active, why


@pytest.mark.parametrize(
    ("status", "certainty"),
    [
        ("confirmed", STATED),
        ("unconfirmed", POSSIBLE),
        ("provisional", POSSIBLE),
        ("differential", POSSIBLE),
        ("refuted", None),
        ("entered-in-error", None),
        pytest.param("something-else", STATED, id="one that R4 does not know"),
    ],
)
def test_a_problem_is_as_sure_as_its_verification(status: str, certainty: Certainty | None) -> None:
    history = read(condition("B18.1", verificationStatus=coded(VERIFICATION, status)))
    assert [found.certainty for found in history.problems] == [certainty] * (certainty is not None)


def test_a_modifier_that_is_not_known_leaves_a_problem_possible() -> None:
    history = read(condition("B18.1", modifierExtension=[{"url": "urn:example:x"}]))
    assert [found.certainty for found in history.problems] == [POSSIBLE]
    assert gaps(history) == {GapCode.NOT_UNDERSTOOD}


def test_a_problem_of_no_interest_leaves_no_gap() -> None:
    assert not read(condition("I10", "2031-01-01", modifierExtension=[{"url": "urn:example:x"}])).gaps


@pytest.mark.parametrize(
    ("more", "onset"),
    [
        pytest.param({"onsetDateTime": "2026-02-20"}, span("2026-02-20"), id="day"),
        pytest.param({"onsetDateTime": "2026-02"}, span("2026-02-01", "2026-02-28"), id="month"),
        pytest.param({"onsetPeriod": {"start": "2026-02-20", "end": "2026-03-01"}}, span("2026-02-20"), id="period"),
        pytest.param({"onsetPeriod": {"end": "2026-03-01"}}, None, id="period without start"),
        pytest.param({}, None, id="none"),
    ],
)
def test_the_onset_of_a_problem_is_read_as_exactly_as_it_was_written(
    more: Resource, onset: ClinicalDate | None
) -> None:
    (found,) = read(condition("G21.19", "2026-03-02", **more)).problems
    assert (found.onset, found.recorded) == (onset, span("2026-03-02"))


def test_an_onset_in_the_future_leaves_a_gap() -> None:
    history = read(condition("G21.19", onsetDateTime="2027-01-01"))
    assert history.problems[0].onset is None
    assert gaps(history) == {GapCode.DATE}


# --- Another B-cell malignancy: a history of CAR T cells may then mean cells against CD19 ---


@pytest.mark.parametrize(
    ("code", "is_other"),
    [
        ("C83.30", True),
        ("C83.10", True),
        ("C8330", True),
        ("C82.00", True),
        ("C85.10", True),
        ("C88.00", True),
        ("C88.40", True),
        ("C91.00", True),
        ("C91.10", True),
        ("C91.12", True),
        ("Z85.72", True),
        pytest.param("C81.90", False, id="Hodgkin lymphoma"),
        pytest.param("C84.00", False, id="mycosis fungoides"),
        pytest.param("C86.00", False, id="T-cell lymphoma"),
        pytest.param("C91.50", False, id="adult T-cell leukaemia"),
        pytest.param("C92.00", False, id="myeloid leukaemia"),
        pytest.param("C90.00", False, id="myeloma"),
        pytest.param("C90.10", False, id="plasma cell leukaemia"),
        pytest.param("D47.2", False, id="MGUS"),
    ],
)
def test_other_b_cell_malignancies_by_code(code: str, is_other: bool) -> None:
    assert (OTHER_B_CELLS in concepts(read(condition(code)))) is is_other


@pytest.mark.parametrize(
    ("text", "certainty"),
    [
        ("Diffuse large B-cell lymphoma", STATED),
        ("DLBCL, relapsed", STATED),
        ("Non-Hodgkin lymphoma", STATED),
        ("Mantle cell lymphoma", STATED),
        ("Follicular lymphoma grade 2", STATED),
        ("Chronic lymphocytic leukemia", STATED),
        ("CLL/SLL", STATED),
        ("Acute lymphoblastic leukaemia", STATED),
        ("Waldenstrom macroglobulinemia", STATED),
        ("Possible lymphoma", POSSIBLE),
        ("Rule out lymphoma", POSSIBLE),
        ("Family history of lymphoma", None),
        ("Mother with lymphoma", None),
        ("Lymphoma screening", None),
        ("No lymphoma", None),
        ("Lymphoma ruled out", None),
        ("Cutaneous T-cell lymphoma", None),
        ("Plasma cell leukemia", None),
        ("Acute myeloid leukemia", None),
        ("Lymphedema", None),
        ("Lymphocytic colitis", None),
    ],
)
def test_other_b_cell_malignancies_in_words(text: str, certainty: Certainty | None) -> None:
    found = [p.certainty for p in read(problem({"text": text})).problems if p.concept == OTHER_B_CELLS]
    assert found == [certainty] * (certainty is not None)


def test_a_snomed_code_of_a_lymphoma_is_read_by_its_display() -> None:
    display = {"coding": [{"system": SNOMED, "code": "109969005", "display": "Diffuse non-Hodgkin's lymphoma"}]}
    assert concepts(read(problem(display))) == [OTHER_B_CELLS]


def test_a_problem_is_no_treatment_and_changes_no_diagnosis() -> None:
    history = read(myeloma(), condition("C83.30"), given("metformin", "2026-01-05"), infusion("2026-03-05"))
    assert history.diagnosis.myeloma is YES
    assert [i.certainty for i in history.infusions] == [STATED]


@pytest.mark.parametrize(
    ("words", "more", "therapies"),
    [
        ("Not a candidate for CAR T-cell therapy", {}, {"CAR T cells"}),
        ("Not a candidate for T-cell redirecting therapy", {}, {"CAR T cells", "T-cell engager"}),
        ("Not a candidate for CAR T", clinically("active"), {"CAR T cells"}),
        ("Not a candidate for CAR T", clinically("resolved"), set()),
        ("Not a candidate for CAR T", {"abatementDateTime": "2026-04-01"}, set()),
        ("Not a candidate for CAR T", {"verificationStatus": coded(VERIFICATION, "unconfirmed")}, set()),
        ("Not a candidate for CAR T", {"verificationStatus": coded(VERIFICATION, "refuted")}, set()),
        ("Candidate for CAR T", {}, set()),
        ("Not a candidate for transplant", {}, set()),
        ("Type 2 diabetes mellitus", {}, set()),
    ],
)
def test_a_problem_may_say_that_redirection_is_refused(words: str, more: Resource, therapies: set[str]) -> None:
    history = read(problem({"text": words}, **more))

    assert {refusal.therapy.value for refusal in history.refusals} == therapies
    assert all(refusal.on == span("2026-03-02") for refusal in history.refusals)


@pytest.mark.parametrize(
    ("more", "says_nothing"),
    [
        ({}, True),
        ({"clinicalStatus": {}}, True),
        (clinically("active"), False),
        (clinically("resolved"), False),
        ({"abatementDateTime": "2026-03-09"}, False),
        ({"abatementString": "last week"}, False),
        ({"abatementPeriod": {"end": "2026-03-09"}}, False),
    ],
)
def test_an_entry_may_say_nothing_of_how_the_problem_stands(more: Resource, says_nothing: bool) -> None:
    (found,) = read(problem(coded(ICD10CM, "J18.9"), **more)).problems

    assert found.is_silent is says_nothing

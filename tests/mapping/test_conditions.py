"""Condition and AllergyIntolerance: the diagnosis, recorded relapse, CAR T history, allergies."""

from typing import Any

import pytest

from fhir_mapping.model.dates import Answer, ClinicalDate
from fhir_mapping.model.history import GapCode
from fhir_mapping.model.patient import Allergen
from fhir_mapping.model.vocabulary import Certainty, Tier
from tests.build import ICD10CM, RXNORM, SNOMED, Resource, allergy, coded, condition, myeloma
from tests.mapping.reading import gaps, is_silent, read, span

VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
YES, NO, UNKNOWN = Answer.YES, Answer.NO, Answer.UNKNOWN


def verified_as(status: str) -> Resource:
    return {"verificationStatus": coded(VERIFICATION, status)}


def clinically(status: str) -> Resource:
    return {"clinicalStatus": coded(CLINICAL, status)}


def problem(concept: Resource, **more: Any) -> Resource:
    return condition("", "2020-11-02", **more) | {"code": concept}


# --- The diagnosis ---


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        ("confirmed", YES),
        ("unconfirmed", UNKNOWN),
        ("provisional", UNKNOWN),
        ("differential", UNKNOWN),
        ("refuted", NO),
        ("entered-in-error", NO),
        pytest.param("Confirmed", YES, id="in capitals"),
        pytest.param("something-else", YES, id="one that R4 does not know"),
    ],
)
def test_a_diagnosis_is_as_sure_as_its_verification(status: str, answer: Answer) -> None:
    assert read(myeloma(**verified_as(status))).diagnosis.myeloma is answer


def test_a_verification_in_words_is_read() -> None:
    assert read(myeloma(verificationStatus={"text": "Refuted"})).diagnosis.myeloma is NO
    assert read(myeloma(verificationStatus={"text": "entered-in-error"})).diagnosis.myeloma is NO


@pytest.mark.parametrize("status", ["active", "recurrence", "relapse", "inactive", "remission", "resolved"])
def test_myeloma_stays_myeloma_whatever_its_clinical_status(status: str) -> None:
    assert read(myeloma(**clinically(status))).diagnosis.myeloma is YES


@pytest.mark.parametrize(
    ("concept", "answer"),
    [
        pytest.param(coded(ICD10CM, "C90.00"), YES, id="C90.00"),
        pytest.param(coded(ICD10CM, "C9000"), YES, id="without the dot"),
        pytest.param(coded(ICD10CM, "c90.00"), YES, id="in lower case"),
        pytest.param(coded(ICD10CM, "C90.01"), YES, id="C90.01, in remission"),
        pytest.param(coded(ICD10CM, "C90.02"), YES, id="C90.02, in relapse"),
        pytest.param(coded(SNOMED, "109989006"), YES, id="SNOMED CT"),
        pytest.param({"text": "Multiple myeloma, IgG kappa"}, YES, id="in words"),
        pytest.param({"text": "Plasma cell myeloma"}, YES, id="the other name"),
        pytest.param(coded("urn:example:local", "MM1", "Multiple myeloma"), YES, id="a local code with words"),
        pytest.param(coded(ICD10CM, "C90.10"), NO, id="plasma cell leukaemia"),
        pytest.param(coded(ICD10CM, "C90.30"), NO, id="solitary plasmacytoma"),
        pytest.param(coded(ICD10CM, "D47.2"), NO, id="MGUS"),
        pytest.param(
            coded(ICD10CM, "D47.2", "Monoclonal gammopathy; multiple myeloma excluded"), NO, id="MGUS, worded"
        ),
        pytest.param(coded(ICD10CM, "E85.81"), NO, id="AL amyloidosis"),
        pytest.param(coded(SNOMED, "425657001"), NO, id="osteosclerotic myeloma (POEMS)"),
        pytest.param(coded(SNOMED, "425657001", "Osteosclerotic multiple myeloma"), NO, id="POEMS, worded"),
        pytest.param(coded(SNOMED, "413587002"), NO, id="smouldering, coded"),
        pytest.param({"text": "Smoldering multiple myeloma"}, NO, id="smoldering in words"),
        pytest.param({"text": "Smouldering multiple myeloma"}, NO, id="smouldering in words"),
        pytest.param({"text": "Family history of multiple myeloma"}, NO, id="family history"),
        pytest.param({"text": "Screening for multiple myeloma"}, NO, id="screening"),
        pytest.param({"text": "Suspected multiple myeloma"}, UNKNOWN, id="suspected in words"),
        pytest.param({"text": "R/O multiple myeloma"}, UNKNOWN, id="to be ruled out"),
        pytest.param({"text": "No evidence of multiple myeloma"}, NO, id="negated"),
        pytest.param(coded(ICD10CM, "I10", "Hypertension"), NO, id="hypertension"),
    ],
)
def test_only_multiple_myeloma_is_multiple_myeloma(concept: Resource, answer: Answer) -> None:
    assert read(problem(concept)).diagnosis.myeloma is answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("High-risk multiple myeloma", YES),
        ("Multiple myeloma, standard risk cytogenetics", YES),
        ("Multiple myeloma evolved from smoldering myeloma", YES),
        ("Smoldering myeloma, now multiple myeloma", YES),
        ("Smoldering myeloma progressed to multiple myeloma", YES),
        ("Multiple myeloma with possible extramedullary disease", YES),
        ("IgG kappa myeloma", YES),
        ("Myeloma, multiple", YES),
        ("Non-secretory myeloma", YES),
        ("Multiple myeloma negative for del(17p)", YES),
        ("Multiple myeloma not having achieved remission", YES),
        ("Multiple myeloma, possible renal involvement", YES),
        ("Relapsed/refractory myeloma", YES),
        ("No plasmacytoma; multiple myeloma", YES),
        ("Myeloma kidney", YES),
        ("Smoldering myeloma", NO),
        ("Smoldering IgG kappa multiple myeloma", NO),
        ("Multiple myeloma, smoldering", NO),
        ("Osteosclerotic myeloma", NO),
        ("Family history of multiple myeloma", NO),
        ("Family history: multiple myeloma", NO),
        ("Multiple myeloma, family history of", NO),
        ("Plasmacytoma without multiple myeloma", NO),
        ("Monoclonal gammopathy; multiple myeloma excluded", NO),
        ("Monoclonal gammopathy", NO),
        ("Myelomeningocele", NO),
        ("Possible multiple myeloma", UNKNOWN),
        ("Probable myeloma", UNKNOWN),
        ("Rule out myeloma", UNKNOWN),
        ("R/O: multiple myeloma", UNKNOWN),
        ("MGUS, high risk of multiple myeloma", UNKNOWN),
        ("Monoclonal gammopathy at risk for progression to multiple myeloma", UNKNOWN),
        ("Concern for multiple myeloma", UNKNOWN),
        ("Anemia, evaluate for multiple myeloma", UNKNOWN),
        ("Multiple myeloma, suspected", UNKNOWN),
        ("Suspected smoldering myeloma", NO),
    ],
)
def test_myeloma_in_words_is_judged_by_the_words_beside_it(text: str, answer: Answer) -> None:
    assert read(problem({"text": text})).diagnosis.myeloma is answer


def test_a_stated_diagnosis_outweighs_a_suspected_one_and_is_cited() -> None:
    diagnosis = read(
        myeloma(id="a", **verified_as("provisional")), myeloma(id="b", **verified_as("confirmed"))
    ).diagnosis
    assert diagnosis.myeloma is YES
    assert diagnosis.source is not None
    assert diagnosis.source.reference == "Condition/b"


@pytest.mark.parametrize("status", ["refuted", "entered-in-error"])
def test_a_problem_list_is_not_empty_because_its_only_entry_was_taken_back(status: str) -> None:
    assert not read(myeloma(**verified_as(status))).diagnosis.problem_list_is_empty
    assert read().diagnosis.problem_list_is_empty


def test_a_problem_without_code_says_nothing() -> None:
    history = read({key: value for key, value in myeloma().items() if key != "code"})
    assert history.diagnosis.myeloma is NO
    assert is_silent(history)


# --- Relapse ---


def test_a_relapse_code_is_dated_by_the_day_it_was_recorded_never_by_the_onset() -> None:
    (event,) = read(condition("C90.02", "2026-03-02", onsetDateTime="2019-05-05")).progressions
    assert (event.on, event.certainty) == (span("2026-03-02"), Certainty.STATED)
    (event,) = read(condition("C90.02", onsetDateTime="2019-05-05")).progressions
    assert event.on is None


@pytest.mark.parametrize("status", ["relapse", "recurrence"])
def test_a_relapse_by_clinical_status_may_be_later_than_the_entry(status: str) -> None:
    (event,) = read(myeloma(**clinically(status))).progressions
    assert event.on == span("2020-11-02", "2026-11-20")


@pytest.mark.parametrize("status", ["active", "inactive", "remission", "resolved"])
def test_no_other_clinical_status_is_a_relapse(status: str) -> None:
    assert not read(myeloma(**clinically(status))).progressions


@pytest.mark.parametrize(
    ("status", "certainty"),
    [
        ("confirmed", Certainty.STATED),
        ("provisional", Certainty.POSSIBLE),
        ("refuted", None),
        ("entered-in-error", None),
    ],
)
def test_a_relapse_is_as_sure_as_its_verification(status: str, certainty: Certainty | None) -> None:
    history = read(condition("C90.02", "2026-03-02", **verified_as(status)))
    assert [event.certainty for event in history.progressions] == ([certainty] if certainty else [])


def test_the_relapse_of_another_disease_is_none_of_the_myeloma() -> None:
    assert not read(problem(coded(ICD10CM, "C83.30"), **clinically("relapse"))).progressions


@pytest.mark.parametrize(
    ("text", "certainties"),
    [
        ("Relapsed multiple myeloma", [Certainty.STATED]),
        ("Multiple myeloma in relapse", [Certainty.STATED]),
        ("Relapsed/refractory multiple myeloma", [Certainty.STATED]),
        ("Relapsed and refractory myeloma", [Certainty.STATED]),
        ("Multiple myeloma, no relapse", []),
        ("Multiple myeloma, not in relapse", []),
        ("Multiple myeloma at high risk of relapse", []),
        ("Multiple myeloma in remission after relapse", []),
        ("Relapsed lymphoma", []),
        ("Multiple myeloma", []),
    ],
)
def test_a_relapse_in_words_is_dated_by_the_day_it_was_recorded(text: str, certainties: list[Certainty]) -> None:
    events = read(problem({"text": text})).progressions
    assert [event.certainty for event in events] == certainties
    assert all(event.on == span("2020-11-02") for event in events)


def test_a_relapse_of_a_myeloma_that_is_only_possible_is_possible() -> None:
    (event,) = read(problem({"text": "Possible multiple myeloma"}, **clinically("relapse"))).progressions
    assert event.certainty is Certainty.POSSIBLE


def test_a_relapse_recorded_in_the_future_has_no_date() -> None:
    history = read(condition("C90.02", "2027-01-01"))
    assert history.progressions[0].on is None
    assert gaps(history) == {GapCode.DATE}


# --- History of cell therapy ---


def test_z92_850_is_car_t_history_without_date_or_product() -> None:
    (infusion,) = read(condition("Z92.850", "2026-03-02")).infusions
    assert (infusion.infused, infusion.product, infusion.tier) == (None, None, Tier.UNDATED)
    assert infusion.certainty is Certainty.STATED


@pytest.mark.parametrize(
    ("status", "certainties"), [("unconfirmed", [Certainty.POSSIBLE]), ("refuted", []), ("entered-in-error", [])]
)
def test_car_t_history_is_as_sure_as_its_verification(status: str, certainties: list[Certainty]) -> None:
    history = read(condition("Z92.850", **verified_as(status)))
    assert [infusion.certainty for infusion in history.infusions] == certainties


@pytest.mark.parametrize("code", ["Z92.858", "Z92.859", "Z92859"])
def test_other_cellular_therapy_is_unrecognised_treatment_not_car_t(code: str) -> None:
    history = read(condition(code))
    assert not history.infusions
    (item,) = history.unrecognised
    assert item.may_be_cell_therapy


@pytest.mark.parametrize("code", ["Z92.22", "Z92.86", "Z94.0", "Z92.21"])
def test_history_of_other_treatment_is_no_evidence(code: str) -> None:
    assert is_silent(read(condition(code)))


@pytest.mark.parametrize(
    ("text", "is_treatment"),
    [
        ("History of CAR T-cell therapy (Carvykti, May 2026)", True),
        ("S/p CAR-T", True),
        ("History of Abecma", True),
        ("Multiple myeloma s/p CAR T", True),
        ("Cytopenia after CAR T; referral to hematology", True),
        ("CAR T consult", False),
        ("Education about CAR T-cell therapy", False),
        ("Evaluation for CAR T", False),
        ("Referral for Carvykti", False),
        ("Eligible for CAR T", False),
        ("Candidate for CAR T-cell therapy", False),
        ("No prior CAR T", False),
        ("CAR T-cell therapy declined", False),
        ("Carpal tunnel syndrome", False),
    ],
)
def test_cell_therapy_in_words_is_unrecognised_treatment(text: str, is_treatment: bool) -> None:
    history = read(problem({"text": text}))
    assert [(item.text, item.may_be_cell_therapy) for item in history.unrecognised] == [(text, True)] * is_treatment
    assert not history.infusions


def test_a_known_code_says_more_than_words_of_cell_therapy() -> None:
    assert not read(problem(coded(ICD10CM, "Z92.850", "History of CAR T"))).unrecognised


# --- Comfort care ---


@pytest.mark.parametrize(
    ("text", "more", "is_comfort"),
    [
        pytest.param("Hospice care", {}, True, id="hospice"),
        pytest.param("Comfort measures only", {}, True, id="comfort measures only"),
        pytest.param("Declined, not in hospice", {}, False, id="negated"),
        pytest.param("Hospice care declined", {}, False, id="declined"),
        pytest.param("Patient declined hospice", {}, False, id="declined before"),
        pytest.param("No CPR; hospice care", {}, True, id="negation of another clause"),
        pytest.param("Not a transplant candidate, comfort care only", {}, True, id="negation before a comma"),
        pytest.param("Palliative care consult", {}, False, id="palliative care is not the end of treatment"),
        pytest.param("Hospice care", clinically("resolved"), False, id="resolved"),
        pytest.param("Hospice care", clinically("inactive"), False, id="inactive"),
        pytest.param("Hospice care", verified_as("provisional"), False, id="provisional"),
        pytest.param("Hospice care", verified_as("refuted"), False, id="refuted"),
        pytest.param("Hospice care", verified_as("confirmed") | clinically("active"), True, id="confirmed and active"),
        pytest.param("Hospice care", clinically("remission"), False, id="no longer active"),
        pytest.param("Hospice care", {"abatementDateTime": "2024-01-01"}, False, id="ended on a day"),
        pytest.param("Hospice care", {"abatementPeriod": {"start": "2024"}}, False, id="ended in a period"),
        pytest.param("Hospice care", {"abatementString": "last year"}, False, id="ended in words"),
        pytest.param("Hospice care", {"modifierExtension": [{"url": "x"}]}, False, id="modified"),
        pytest.param("Hospice care", {"onsetPeriod": 5}, False, id="pruned"),
        pytest.param("Hospice volunteer", {}, False, id="works there"),
        pytest.param("Family member in hospice", {}, False, id="someone else"),
        pytest.param("Hospice information provided", {}, False, id="informed of it"),
        pytest.param("History of hospice, graduated", {}, False, id="over"),
        pytest.param("Enrolled in hospice; family informed", {}, True, id="family in another clause"),
    ],
)
def test_comfort_care_is_read_where_it_stands(text: str, more: Resource, is_comfort: bool) -> None:
    assert read(problem(coded(ICD10CM, "Z51.5", text), **more)).diagnosis.comfort_care_only is is_comfort


@pytest.mark.parametrize(("text", "is_comfort"), [(None, True), ("Hospice", True), ("Hospice declined", False)])
def test_a_code_of_hospice_care_counts_unless_its_words_say_otherwise(text: str | None, is_comfort: bool) -> None:
    assert read(problem(coded(SNOMED, "385763009", text))).diagnosis.comfort_care_only is is_comfort


# --- Allergies ---


@pytest.mark.parametrize(
    ("concept", "allergen"),
    [
        pytest.param({"text": "Sulfa"}, Allergen.SULFONAMIDE, id="sulfa"),
        pytest.param({"text": "SULFA ANTIBIOTICS"}, Allergen.SULFONAMIDE, id="sulfa antibiotics"),
        pytest.param({"text": "Sulfonamides"}, Allergen.SULFONAMIDE, id="sulfonamides"),
        pytest.param({"text": "Bactrim DS"}, Allergen.SULFONAMIDE, id="a brand"),
        pytest.param({"text": "Sulfatrim"}, Allergen.SULFONAMIDE, id="another brand"),
        pytest.param({"text": "SMZ-TMP"}, Allergen.SULFONAMIDE, id="an abbreviation"),
        pytest.param({"text": "TMP/SMX"}, Allergen.SULFONAMIDE, id="another abbreviation"),
        pytest.param({"text": "Co-trimoxazole"}, Allergen.SULFONAMIDE, id="the British name"),
        pytest.param({"text": "sulfamethoxazole"}, Allergen.SULFONAMIDE, id="the ingredient"),
        pytest.param(coded(RXNORM, "10180"), Allergen.SULFONAMIDE, id="the ingredient by code"),
        pytest.param(coded(RXNORM, "10831"), Allergen.SULFONAMIDE, id="the combination by code"),
        pytest.param(coded(SNOMED, "387406002"), Allergen.SULFONAMIDE, id="the substance by code"),
        pytest.param(coded(SNOMED, "91939003"), Allergen.SULFONAMIDE, id="the allergy by code"),
        pytest.param({"text": "Acyclovir"}, Allergen.ACYCLOVIR, id="acyclovir"),
        pytest.param({"text": "Valtrex"}, Allergen.ACYCLOVIR, id="the brand of its prodrug"),
        pytest.param(coded(RXNORM, "281"), Allergen.ACYCLOVIR, id="acyclovir by code"),
        pytest.param(coded(RXNORM, "73645"), Allergen.ACYCLOVIR, id="its prodrug by code"),
        pytest.param({"text": "Does not tolerate sulfa"}, Allergen.SULFONAMIDE, id="not tolerated"),
        pytest.param({"text": "No known allergies except sulfa"}, Allergen.SULFONAMIDE, id="an exception"),
        pytest.param({"text": "Sulphonamides"}, Allergen.SULFONAMIDE, id="sulphonamides"),
        pytest.param({"text": "Sulfadiazine"}, Allergen.SULFONAMIDE, id="sulfadiazine"),
        pytest.param({"text": "Sulfisoxazole"}, Allergen.SULFONAMIDE, id="sulfisoxazole"),
        pytest.param({"text": "Sulfasalazine"}, Allergen.SULFONAMIDE, id="sulfasalazine"),
        pytest.param({"text": "Rash due to Bactrim"}, Allergen.SULFONAMIDE, id="as the cause"),
        pytest.param({"text": "Mepron"}, Allergen.ATOVAQUONE, id="atovaquone by brand"),
        pytest.param({"text": "Malarone"}, Allergen.ATOVAQUONE, id="atovaquone with proguanil"),
        pytest.param(coded(RXNORM, "60212"), Allergen.ATOVAQUONE, id="atovaquone by code"),
        pytest.param({"text": "Baraclude 0.5 mg"}, Allergen.ENTECAVIR, id="entecavir by brand"),
        pytest.param(coded(RXNORM, "306266"), Allergen.ENTECAVIR, id="entecavir by code"),
        pytest.param({"text": "Sulfites"}, None, id="sulfites"),
        pytest.param({"text": "Sulfate"}, None, id="sulfate"),
        pytest.param({"text": "Trimethoprim"}, Allergen.TRIMETHOPRIM, id="the other ingredient"),
        pytest.param({"text": "Ganciclovir"}, None, id="another antiviral"),
        pytest.param({"text": "Penicillin"}, None, id="penicillin"),
        pytest.param({"text": "No known allergies"}, None, id="none known"),
    ],
)
def test_an_allergy_is_read_by_code_or_words(concept: Resource, allergen: Allergen | None) -> None:
    assert [a.allergen for a in read(allergy(concept)).allergies] == ([allergen] if allergen else [])


@pytest.mark.parametrize(
    ("more", "counts"),
    [
        pytest.param(verified_as("confirmed"), True, id="confirmed"),
        pytest.param(verified_as("unconfirmed"), True, id="unconfirmed"),
        pytest.param({}, True, id="no status"),
        pytest.param(verified_as("refuted"), False, id="refuted"),
        pytest.param(verified_as("entered-in-error"), False, id="in error"),
        pytest.param({"verificationStatus": {"text": "Refuted"}}, False, id="refuted in words"),
    ],
)
def test_an_allergy_counts_until_it_is_refuted(more: Resource, counts: bool) -> None:
    assert read(allergy({"text": "Sulfa"}, **more)).is_allergic_to(Allergen.SULFONAMIDE) is counts


def test_the_status_of_allergy_to_sulfonamides_on_the_problem_list_counts() -> None:
    assert read(condition("Z88.2")).is_allergic_to(Allergen.SULFONAMIDE)
    assert not read(condition("Z88.2", **verified_as("refuted"))).allergies
    assert not read(condition("Z88.0")).allergies


@pytest.mark.parametrize(
    ("text", "is_allergic"),
    [
        ("Sulfa allergy", True),
        ("Allergy to sulfonamides", True),
        ("Sulfonamide hypersensitivity", True),
        ("No history of sulfa allergy", False),
        ("Penicillin allergy", False),
        ("Treated with sulfa", False),
    ],
)
def test_an_allergy_on_the_problem_list_is_read_in_words(text: str, is_allergic: bool) -> None:
    assert read(problem({"text": text})).is_allergic_to(Allergen.SULFONAMIDE) is is_allergic


@pytest.mark.parametrize(
    ("recorded", "on"), [("2020-05", span("2020-05-01", "2020-05-31")), ("2020-05-03", span("2020-05-03"))]
)
def test_an_allergy_cites_the_day_it_was_recorded(recorded: str, on: ClinicalDate) -> None:
    (found,) = read(allergy({"text": "Sulfa"}, recordedDate=recorded)).allergies
    assert found.source.on == on

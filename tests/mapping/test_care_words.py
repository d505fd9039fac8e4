"""Words about teaching, refusals and lines of therapy: what they say, and what only sounds like it."""

import msgspec
import pytest

from fhir_mapping import wire
from fhir_mapping.catalog.care_words import care_words, line_number_in, refused_in, teaches
from fhir_mapping.catalog.loader import load
from fhir_mapping.model.care import RefusedTherapy
from tests.build import LOINC, SNOMED, Resource, coded
from tests.mapping.care_builders import communication, document, text
from tests.mapping.reading import read

CAR_T, ENGAGER = RefusedTherapy.CAR_T, RefusedTherapy.T_CELL_ENGAGER


@pytest.mark.parametrize(
    ("concept", "is_it"),
    [
        (text("Patient education"), True),
        (text("Chemotherapy teaching"), True),
        (text("Medication instructions"), True),
        (text("Counselling"), True),
        (text("Patient educated on fever and CRS"), True),
        (text("Education: patient verbalised understanding"), True),
        (text("CAR T education visit"), True),
        (text("Wallet card given"), True),
        (coded(SNOMED, "311401005"), True),
        (coded(SNOMED, "225967005"), True),
        (coded(LOINC, "34895-3"), True),
        (coded(SNOMED, "311401005", "Diabetes education"), False),
        (coded(SNOMED, "311401005", "Education not provided"), False),
        (text("Education level"), False),
        (text("Education declined"), False),
        (text("refused teaching"), False),
        (text("No education given"), False),
        (text("Education not provided"), False),
        (text("Patient needs education"), False),
        (text("Education planned"), False),
        (text("Teaching hospital"), False),
        (text("Genetic counseling"), False),
        (text("Smoking cessation counselling"), False),
        (text("Progress note"), False),
        (text(""), False),
    ],
)
def test_teaching_is_what_codes_or_words_say(concept: Resource, is_it: bool) -> None:
    as_read = msgspec.convert(concept, wire.Concept)
    assert teaches((as_read,), load()) is is_it
    history = read(communication() | {"topic": concept}, document() | {"type": concept})
    assert len(history.education) == 2 * is_it


@pytest.mark.parametrize(
    ("words", "refused"),
    [
        ("Not a CAR T candidate", {CAR_T}),
        ("CAR T: declined", {CAR_T}),
        ("Declined CAR T", {CAR_T}),
        ("CAR-T, not a candidate", {CAR_T}),
        ("Not a candidate - CAR T", {CAR_T}),
        ("CAR T ineligible - frailty", {CAR_T}),
        ("Not a transplant or CAR T candidate", {CAR_T}),
        ("Carvykti refused by patient", {CAR_T}),
        ("Patient does not want CAR T", {CAR_T}),
        ("Declined CAR T, prefers bispecific", {CAR_T}),
        ("Not eligible for CAR T trial", {CAR_T}),
        ("poor candidate for CAR T", {CAR_T}),
        ("Bispecific contraindicated", {ENGAGER}),
        ("Refuses T-cell engagers", {ENGAGER}),
        ("Declined teclistamab", {ENGAGER}),
        ("CAR T candidate", set()),
        ("CAR T preferred", set()),
        ("CAR T recipient: irradiated blood only", set()),
        ("Not a transplant candidate", set()),
        ("Transplant ineligible", set()),
        ("transplant ineligible CAR T eligible", set()),
        ("Declined transplant, CAR T referral placed", set()),
        ("Refuses blood products - CAR T referral placed", set()),
        ("Stem cell therapy declined", set()),
        ("Unfit for chemotherapy", set()),
        ("Insurance declined CAR T", set()),
        ("CAR T declined in May, now agrees", set()),
        ("No contraindication to CAR T", set()),
        ("No barriers to CAR T eligibility", set()),
        ("Possibly ineligible for CAR T", set()),
        ("Counts declined after CAR T", set()),
        ("Fall risk", set()),
        ("", set()),
    ],
)
def test_words_say_what_is_refused_and_by_whom(words: str, refused: set[RefusedTherapy]) -> None:
    assert refused_in(words, load()) == refused


@pytest.mark.parametrize(
    ("words", "number"),
    [
        ("3rd line", 3),
        ("third-line therapy", 3),
        ("Line 3", 3),
        ("Line three", 3),
        ("Line no. 3", 3),
        ("line of therapy: 3", 3),
        ("Therapy line 2", 2),
        ("Current line: 3", 3),
        ("LOT 3", 3),
        ("Myeloma LOT #3", 3),
        ("MM 4th line", 4),
        ("front-line therapy", 1),
        ("Frontline", 1),
        ("2L therapy", 2),
        ("1L VRd, multiple myeloma", 1),
        ("Line of treatment 2 (2024-05-01)", 2),
        ("Cycles 1-6, 2nd line therapy", 2),
        ("Daratumumab IV, 3rd line therapy", 3),
        ("after 2nd line, now 3rd line", 3),
        ("2L", None),
        ("2L oxygen therapy", None),
        ("NS 2L", None),
        ("PICC line 3", None),
        ("PICC, line 3", None),
        ("PICC 2 lines", None),
        ("central line", None),
        ("IV line 3 therapy", None),
        ("Third line placed", None),
        ("cell line 3", None),
        ("See line 3", None),
        ("lot number 3", None),
        ("vaccine LOT 3", None),
        ("2nd-3rd line", None),
        ("2nd or 3rd line", None),
        ("2L+ therapy", None),
        (">=3rd line therapy", None),
        ("2nd line then 3rd line", None),
        ("2nd line failure", None),
        ("relapse after 2nd line", None),
        ("prior lines of therapy: 3", None),
        ("3 prior lines", None),
        ("second line antibiotics", None),
        ("Second-line therapy for diabetes", None),
        ("16th line", None),
        ("line 0", None),
        ("line 2024", None),
        ("Line of therapy", None),
        ("VRd induction", None),
        ("", None),
    ],
)
def test_a_line_number_is_the_one_of_a_line_of_therapy(words: str, number: int | None) -> None:
    assert line_number_in(words) == number


@pytest.mark.parametrize("page", ["eye_examination", "education"])
def test_every_procedure_that_the_words_refer_to_is_one_of_the_table(page: str) -> None:
    known = frozenset().union(*load().concept_codes["procedure"].values())
    assert set(care_words().pages[page]["concepts"]) <= known

"""Tests for infections and antibodies: positive, negative, or left open; which one is the latest."""

from typing import Any

import pytest
from hypothesis import given as over
from hypothesis import strategies as st

from fhir_mapping.model.history import GapCode
from fhir_mapping.model.results import Finding, SerologyResult
from tests.build import LOINC, SNOMED, Resource, coded, lab
from tests.mapping.reading import gaps, read, span

ON = "2026-11-01"
HBSAG, ANTI_HBS, HBV_DNA, HIV_COMBO, VZV = "5196-1", "16935-9", "29615-2", "56888-1", "8047-3"
POSITIVE, NEGATIVE, OPEN = Finding.POSITIVE, Finding.NEGATIVE, Finding.INDETERMINATE
HL7 = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"


def result_of(code: str = HBSAG, on: str | None = ON, **value: Any) -> Resource:
    """Make a result of a test for an infection or for antibodies."""
    return {key: item for key, item in (lab(code, 0, "", on, valueQuantity=None) | value).items() if item is not None}


def only(*resources: Resource) -> SerologyResult:
    """Read resources that hold one result."""
    (result,) = read(*resources).serology
    return result


@pytest.mark.parametrize(
    ("code", "test"),
    [
        ("5196-1", "hbsag"),
        ("13952-7", "anti-hbc-total"),
        ("16935-9", "anti-hbs"),
        ("29610-3", "hbv-dna"),
        ("13955-0", "hcv-ab"),
        ("11259-9", "hcv-rna"),
        ("7918-6", "hiv-ab"),
        ("56888-1", "hiv-ag-ab"),
        ("25835-0", "hiv-nat"),
        ("13949-3", "cmv-igg"),
        ("30246-3", "cmv-dna"),
        ("5002-1", "ebv-dna"),
        ("71773-6", "tb-igra"),
        ("15410-4", "vzv-igg"),
        ("35275-7", "measles-titer"),
        ("26643-7", "tetanus-titer"),
        ("42366-5", "pneumococcal-titers"),
        ("600-7", "blood-culture"),
        ("34487-9", "respiratory-virus-nat"),
    ],
)
def test_each_test_is_known_by_its_code(code: str, test: str) -> None:
    result = only(result_of(code, valueString="Negative"))
    assert (result.test, result.finding, result.on) == (test, NEGATIVE, span(ON))


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("Positive", POSITIVE),
        ("POS", POSITIVE),
        ("Reactive", POSITIVE),
        ("Repeatedly reactive", POSITIVE),
        ("Detected", POSITIVE),
        ("Detected, <20 IU/mL", POSITIVE),
        ("Target detected", POSITIVE),
        ("Negative", NEGATIVE),
        ("neg.", NEGATIVE),
        ("Non-reactive", NEGATIVE),
        ("NONREACTIVE", NEGATIVE),
        ("non reactive", NEGATIVE),
        ("Not detected", NEGATIVE),
        ("None detected", NEGATIVE),
        ("HBV DNA not detected", NEGATIVE),
        ("Target not detected", NEGATIVE),
        ("Undetectable", NEGATIVE),
        ("Negative for hepatitis B virus DNA", NEGATIVE),
        ("Negative (qualifier value)", NEGATIVE),
        ("No evidence of HBV DNA", NEGATIVE),
        ("No HBV DNA detected", NEGATIVE),
        ("Negative. No evidence of infection.", NEGATIVE),
        ("Indeterminate", OPEN),
        ("Equivocal", OPEN),
        ("Borderline", OPEN),
        ("Gray zone", OPEN),
        ("Invalid", OPEN),
        ("Weakly reactive", OPEN),
        ("Detected / not detected", OPEN),
        ("1:20", OPEN),
        ("<1:20", OPEN),
        ("<20 IU/mL", OPEN),
        ("350", OPEN),
    ],
)
def test_words_that_laboratories_use_are_read(text: str, finding: Finding) -> None:
    for value in ({"valueString": text}, {"valueCodeableConcept": {"text": text}}):
        history = read(result_of(HBV_DNA, **value))
        assert [result.finding for result in history.serology] == [finding]
        assert not history.gaps


@pytest.mark.parametrize(
    "text",
    [
        "Positive control ok",
        "Not positive",
        "Not negative",
        "Presumptive positive",
        "Previously positive",
        "No longer detected",
        "Negative, see note",
        "HBsAg negative",  # under the code of HBV DNA
        "Immune",  # says that another test is positive
        "see note",
        "+",
        "",
        "Negative " * 50,
    ],
)
def test_a_text_with_a_word_that_is_not_understood_is_left_open_and_said_to_be_unread(text: str) -> None:
    history = read(result_of(HBV_DNA, valueString=text))
    assert [result.finding for result in history.serology] == [OPEN]
    assert gaps(history) == {GapCode.UNREADABLE}


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("Positive", POSITIVE),
        ("Staphylococcus aureus", POSITIVE),
        ("Escherichia coli (ESBL)", POSITIVE),
        ("Growth of Klebsiella pneumoniae", POSITIVE),
        ("Gram-positive cocci in clusters", POSITIVE),
        ("Positive for gram negative rods in 1 of 2 bottles", POSITIVE),
        ("No growth", NEGATIVE),
        ("No growth at 5 days", NEGATIVE),
        ("NO GROWTH TO DATE", NEGATIVE),
        ("No growth after 5 days. Final report", NEGATIVE),
        ("No organisms isolated", NEGATIVE),
        ("Coagulase-negative staphylococcus", OPEN),  # "negative" beside a germ, and often a contaminant
        ("Contaminated", OPEN),
        ("No staphylococcus isolated", OPEN),
        ("See microbiology report", OPEN),
    ],
)
def test_a_culture_tells_what_grew(text: str, finding: Finding) -> None:
    assert [result.finding for result in read(result_of("600-7", valueString=text)).serology] == [finding]


@pytest.mark.parametrize("text", ["No growth", "Staphylococcus aureus"])
def test_what_grew_says_nothing_of_another_test(text: str) -> None:
    assert [result.finding for result in read(result_of(HBSAG, valueString=text)).serology] == [OPEN]


@pytest.mark.parametrize(
    ("name", "test"),
    [
        ("Blood culture", "blood-culture"),
        ("Respiratory pathogen panel", "respiratory-virus-nat"),
        ("SARS-CoV-2 RNA", "respiratory-virus-nat"),
        ("Respiratory virus PCR, nasopharyngeal swab", "respiratory-virus-nat"),
    ],
)
def test_a_culture_or_a_test_for_viruses_may_come_in_words(name: str, test: str) -> None:
    named = result_of(valueString="Positive") | {"code": {"text": name}}

    assert [(result.test, result.finding) for result in read(named).serology] == [(test, POSITIVE)]


@pytest.mark.parametrize(
    ("code", "text", "finding"),
    [
        (VZV, "Immune", POSITIVE),
        (VZV, "Non-immune", NEGATIVE),
        (VZV, "Varicella zoster antibody IgG positive", POSITIVE),
        (HIV_COMBO, "HIV-1 and HIV-2 antibodies not detected", NEGATIVE),
        (HIV_COMBO, "No HIV-1 or HIV-2 antibodies detected", NEGATIVE),
        (HIV_COMBO, "HIV-1 positive, HIV-2 negative", OPEN),
        (HBSAG, "Hepatitis B surface antigen negative", NEGATIVE),
        (HBSAG, "Hepatitis B surface antibody positive", OPEN),
    ],
)
def test_a_text_may_name_its_own_test_and_no_other(code: str, text: str, finding: Finding) -> None:
    assert only(result_of(code, valueString=text)).finding is finding


@pytest.mark.parametrize(
    ("value", "finding"),
    [
        pytest.param(coded(SNOMED, "10828004"), POSITIVE, id="SNOMED CT positive"),
        pytest.param(coded(SNOMED, "11214006"), POSITIVE, id="SNOMED CT reactive"),
        pytest.param(coded(SNOMED, "260373001"), POSITIVE, id="SNOMED CT detected"),
        pytest.param(coded(SNOMED, "260385009"), NEGATIVE, id="SNOMED CT negative"),
        pytest.param(coded(SNOMED, "131194007"), NEGATIVE, id="SNOMED CT non-reactive"),
        pytest.param(coded(SNOMED, "260415000"), NEGATIVE, id="SNOMED CT not detected"),
        pytest.param(coded(SNOMED, "82334004"), OPEN, id="SNOMED CT indeterminate"),
        pytest.param(coded(LOINC, "LA6576-8"), POSITIVE, id="LOINC positive"),
        pytest.param(coded(LOINC, "LA11883-8"), NEGATIVE, id="LOINC not detected"),
        pytest.param(coded(LOINC, "LA11885-3"), OPEN, id="LOINC equivocal"),
        pytest.param(coded("urn:lab", "N", "Negative"), NEGATIVE, id="a local code with its text"),
        pytest.param(coded(SNOMED, "10828004", "Negative"), OPEN, id="the code says positive, the text negative"),
        pytest.param(coded(SNOMED, "260385009", "Negative, but see note"), OPEN, id="a text that says more"),
        pytest.param(coded("urn:lab", "N"), OPEN, id="a code that we do not know"),
        pytest.param({"text": "Negative " * 50}, OPEN, id="a text without end"),
    ],
)
def test_an_answer_is_read_by_its_codes_and_texts(value: Resource, finding: Finding) -> None:
    assert only(result_of(valueCodeableConcept=value)).finding is finding


@pytest.mark.parametrize(
    ("value", "finding"),
    [
        pytest.param({"valueBoolean": True}, POSITIVE, id="true"),
        pytest.param({"valueBoolean": False}, NEGATIVE, id="false"),
        pytest.param({"valueInteger": 20}, OPEN, id="an integer"),
        pytest.param({"valueQuantity": {"value": 2000, "unit": "[IU]/mL"}}, OPEN, id="a number"),
        pytest.param({"valueQuantity": {"value": 20, "comparator": "<", "unit": "[IU]/mL"}}, OPEN, id="< 20"),
        pytest.param({"valueQuantity": "none"}, OPEN, id="a value of a wrong type"),
        pytest.param({"valueString": 7}, OPEN, id="a text of a wrong type"),
        pytest.param({"valueString": "Negative", "valueBoolean": True}, OPEN, id="two values that differ"),
        pytest.param({"valueString": "Negative", "dataAbsentReason": {"text": "x"}}, OPEN, id="and why there is none"),
    ],
)
def test_values_of_other_kinds(value: Resource, finding: Finding) -> None:
    assert only(result_of(HBV_DNA, **value)).finding is finding


@pytest.mark.parametrize(
    ("interpretation", "finding"),
    [
        pytest.param(coded(HL7, "POS"), POSITIVE, id="POS"),
        pytest.param(coded(HL7, "DET"), POSITIVE, id="DET"),
        pytest.param(coded(HL7, "RR"), POSITIVE, id="RR, reactive"),
        pytest.param(coded(HL7, "NEG"), NEGATIVE, id="NEG"),
        pytest.param(coded(HL7, "ND"), NEGATIVE, id="ND, not detected"),
        pytest.param(coded(HL7, "NR"), NEGATIVE, id="NR, non-reactive"),
        pytest.param(coded("http://hl7.org/fhir/v2/0078/", "NEG"), NEGATIVE, id="of version 2"),
        pytest.param({"text": "Non-reactive"}, NEGATIVE, id="in words"),
        pytest.param(coded(HL7, "IND"), OPEN, id="IND"),
        pytest.param(coded(HL7, "E"), OPEN, id="E, equivocal"),
        pytest.param(coded(HL7, "WR"), OPEN, id="WR, weakly reactive"),
        pytest.param(coded(HL7, "H", "High"), OPEN, id="H says nothing"),
        pytest.param(coded(HL7, "L", "Low"), OPEN, id="L says nothing"),
        pytest.param(coded(HL7, "N", "Normal"), OPEN, id="N says nothing"),
        pytest.param(coded(HL7, "A", "Abnormal"), OPEN, id="A says nothing"),
        pytest.param(coded("urn:lab", "ND"), OPEN, id="ND of a local system may be: not done"),
    ],
)
def test_a_number_is_what_its_interpretation_says(interpretation: Resource, finding: Finding) -> None:
    number = {"value": 20, "comparator": "<", "unit": "[IU]/mL"}
    sent = result_of(HBV_DNA, valueQuantity=number, interpretation=[interpretation])
    assert only(sent).finding is finding


@pytest.mark.parametrize(
    ("value", "codes", "finding"),
    [
        pytest.param("Negative", ["NEG"], NEGATIVE, id="both negative"),
        pytest.param("Positive", ["NEG"], OPEN, id="they contradict each other"),
        pytest.param("Positive", ["WR"], OPEN, id="weakly reactive takes it back"),
        pytest.param("Negative", ["N"], NEGATIVE, id="normal adds nothing"),
        pytest.param("1:20", ["POS", "NEG"], OPEN, id="two that contradict each other"),
        pytest.param("see note", ["NEG"], OPEN, id="a value that is not understood stays so"),
        pytest.param(None, ["NEG"], NEGATIVE, id="the interpretation alone"),
    ],
)
def test_value_and_interpretation_must_agree(value: str | None, codes: list[str], finding: Finding) -> None:
    interpretation = [coded(HL7, code) for code in codes]
    assert only(result_of(valueString=value, interpretation=interpretation)).finding is finding


@pytest.mark.parametrize(
    "value",
    [{}, {"dataAbsentReason": {"text": "not done"}}, {"interpretation": [coded(HL7, "N")]}],
    ids=["nothing", "the reason why there is none", "an interpretation that says nothing"],
)
def test_without_a_value_there_is_no_result(value: Resource) -> None:
    assert not read(result_of(**value)).serology


@pytest.mark.parametrize("code", ["59052-1", "74856-6", "47359-5"])
def test_several_viruses_in_one_or_the_blood_of_a_donor_tell_nothing_of_this_virus_in_this_patient(code: str) -> None:
    result = only(result_of(code, valueString="Positive"))
    assert (result.test, result.finding) == ("hiv-nat", OPEN)


# --- Which result is the latest ---


@pytest.mark.parametrize(
    ("results", "finding"),
    [
        pytest.param([("Positive", "2026-01-05"), ("Negative", "2026-11-01")], NEGATIVE, id="the last one counts"),
        pytest.param([("Negative", "2026-11-01"), ("Positive", None)], OPEN, id="an undated one may be the last"),
        pytest.param([("Negative", "2026-11-01"), ("Negative", "2026-11-01")], NEGATIVE, id="twice the same"),
        pytest.param([("Negative", "2026-11-01"), ("Positive", "2026-11-01")], OPEN, id="of one day, contradictory"),
        pytest.param([("Negative", "2026-11-01"), ("Positive", "2026-11")], OPEN, id="either may be the last"),
        pytest.param([("Negative", "2026-11-01"), ("see note", "2026-11-01")], OPEN, id="an open one hides others"),
        pytest.param([("Negative", "2026-01-05"), ("see note", "2026-11-01")], OPEN, id="also an older one"),
        pytest.param([("Negative", None)], OPEN, id="nothing dated"),
        pytest.param([], None, id="nothing"),
    ],
)
def test_the_latest_of_several_results(results: list[tuple[str, str | None]], finding: Finding | None) -> None:
    for sent in (results, results[::-1]):
        anti_hbs = result_of(ANTI_HBS, valueString="Positive")
        history = read(anti_hbs, *(result_of(HBSAG, on, valueString=text) for text, on in sent))
        latest = history.latest_serology("hbsag")
        assert (latest.finding if latest else None) is finding


# --- What is odd never answers more surely ---

WORDS = ["positive", "negative", "reactive", "detected", "not", "no", "non", "HBsAg", "control", "was", "maybe", "1:20"]


@over(st.lists(st.sampled_from(WORDS), max_size=5), st.sampled_from(["maybe", "control", "formerly", "xyz"]))
def test_a_word_that_is_not_understood_leaves_every_text_open(said: list[str], odd: str) -> None:
    assert only(result_of(valueString=" ".join([*said, odd]))).finding is OPEN


@over(st.lists(st.sampled_from(WORDS), max_size=4))
def test_what_is_denied_is_never_positive(said: list[str]) -> None:
    assert only(result_of(valueString=" ".join(["not", *said]))).finding is not POSITIVE


def test_an_interpretation_that_cannot_be_read_leaves_a_result_open() -> None:
    history = read(result_of(valueString="Negative", interpretation=[{"coding": [{"code": {}}]}]))
    assert [result.finding for result in history.serology] == [OPEN]
    assert history.gaps

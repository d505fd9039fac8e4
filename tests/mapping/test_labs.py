"""Results that come as a number: units, values as senders write them, scores, and which result is the latest."""

from typing import Any

import pytest
from hypothesis import given as over
from hypothesis import strategies as st

from fhir_mapping.model.dates import Answer
from fhir_mapping.model.history import GapCode
from fhir_mapping.model.results import LabResult, LabTest
from tests.build import LOINC, SNOMED, Resource, coded, lab, progression
from tests.mapping.reading import gaps, read

ON = "2026-11-01"
CD4, IGG, ECOG, M_PROTEIN = "24467-3", "2465-3", "89247-1", "33358-3"


def valued(code: str, **value: Any) -> Resource:
    """Make a result with a value of another kind."""
    return {key: item for key, item in (lab(code, 0, "", ON, valueQuantity=None) | value).items() if item is not None}


def only(*resources: Resource) -> LabResult:
    """Read resources that hold one result."""
    (result,) = read(*resources).labs
    return result


# --- Values ---


@pytest.mark.parametrize(
    ("comparator", "at_most_200", "at_least_200", "written"),
    [
        pytest.param(None, Answer.YES, Answer.NO, "150", id="exact"),
        pytest.param("<", Answer.YES, Answer.NO, "< 150", id="less than"),
        pytest.param("<=", Answer.YES, Answer.NO, "< 150", id="at most"),
        pytest.param(">", Answer.UNKNOWN, Answer.UNKNOWN, "> 150", id="more than"),
        pytest.param(">=", Answer.UNKNOWN, Answer.UNKNOWN, "> 150", id="at least"),
        pytest.param("ad", Answer.UNKNOWN, Answer.UNKNOWN, "< inf", id="one that we do not know"),
    ],
)
def test_a_comparator_leaves_a_range(
    comparator: str | None, at_most_200: Answer, at_least_200: Answer, written: str
) -> None:
    quantity = {"value": 150, "unit": "/uL"} | ({"comparator": comparator} if comparator else {})
    result = only(valued(CD4, valueQuantity=quantity))
    assert (result.at_most(200), result.at_least(200)) == (at_most_200, at_least_200)
    assert str(result) == written


def test_the_limit_itself_is_both_at_most_and_at_least() -> None:
    result = only(lab(CD4, 200, "/uL", ON))
    assert result.at_most(200) is result.at_least(200) is Answer.YES
    assert result.at_most(199) is result.at_least(201) is Answer.NO


@pytest.mark.parametrize(
    ("text", "bounds"),
    [
        ("350 mg/dL", "350"),
        ("350mg/dl", "350"),
        (" 3.5 g/L ", "350"),
        ("3,5 g/L", "350"),
        ("0,350 g/dL", "350"),
        ("<20 mg/dL", "< 20"),
        ("\u2264 20 mg/dL", "< 20"),
        (">= 2000 mg/dL", "> 2000"),
        ("300-350 mg/dL", "300 to 350"),
        ("3 to 3.5 g/L", "300 to 350"),
    ],
)
def test_a_number_sent_as_text_is_read_with_its_unit(text: str, bounds: str) -> None:
    assert str(only(valued(IGG, valueString=text))) == bounds


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("350", GapCode.UNIT),
        ("<20", GapCode.UNIT),
        ("350 mg/dL (low)", GapCode.UNIT),
        ("350 mg/dL 400 mg/dL", GapCode.UNIT),
        ("1,200 mg/dL", GapCode.UNREADABLE),  # one point two, or twelve hundred?
        ("1.200 mg/dL", GapCode.UNREADABLE),
        ("350-300 mg/dL", GapCode.UNREADABLE),
        ("300 to 1,200 mg/dL", GapCode.UNREADABLE),
        ("-350 mg/dL", GapCode.UNREADABLE),
        ("about 350 mg/dL", GapCode.UNREADABLE),
        ("see note", GapCode.UNREADABLE),
        ("Negative", GapCode.UNREADABLE),
        ("", GapCode.UNREADABLE),
    ],
)
def test_a_text_that_is_no_plain_number_with_a_unit_is_a_gap(text: str, why: GapCode) -> None:
    history = read(valued(IGG, valueString=text))
    assert [result.is_readable for result in history.labs] == [False]
    assert gaps(history) == {why}


@pytest.mark.parametrize(
    ("quantity", "written"),
    [
        ({"value": "150", "unit": "/uL"}, "150"),
        ({"value": "<150", "unit": "/uL"}, "< 150"),
        ({"value": "150", "comparator": "<", "unit": "/uL"}, "< 150"),
        ({"value": "<150", "comparator": "<", "unit": "/uL"}, None),
        ({"value": "150 /uL", "unit": "/uL"}, None),
        ({"value": "none", "unit": "/uL"}, None),
        ({"value": -1, "unit": "/uL"}, None),
        ({"value": True, "unit": "/uL"}, None),
        ({"unit": "/uL"}, None),
        ({}, None),
        ("150", None),
        ([150], None),
        (150, None),
        (True, None),
    ],
)
def test_a_quantity_of_an_odd_kind_is_read_or_a_gap_and_does_no_harm(quantity: Any, written: str | None) -> None:
    history = read(lab(CD4, 0, "", ON) | {"valueQuantity": quantity}, progression(ON))
    (result,) = history.labs
    assert (str(result) if result.is_readable else None) == written
    assert gaps(history) == (set() if written else {GapCode.UNREADABLE})
    assert len(history.progressions) == 1


@pytest.mark.parametrize(
    ("value", "bounds"),
    [
        pytest.param({"low": {"value": 55, "unit": "%"}, "high": {"value": 60, "unit": "%"}}, "55 to 60", id="both"),
        pytest.param({"low": {"value": 55, "unit": "%"}}, "> 55", id="open above"),
        pytest.param({"high": {"value": 40, "unit": "%"}}, "< 40", id="open below"),
        pytest.param({"low": {"value": 60, "unit": "%"}, "high": {"value": 55, "unit": "%"}}, None, id="backwards"),
        pytest.param({"low": {"value": 55, "unit": "%"}, "high": {"value": 60}}, None, id="a unit is missing"),
        pytest.param({"low": {"value": 55, "unit": "points"}}, None, id="a unit that is not known"),
        pytest.param({}, None, id="empty"),
    ],
)
def test_a_range_leaves_the_value_between_its_ends(value: Resource, bounds: str | None) -> None:
    result = only(valued("10230-1", valueRange=value))
    assert (str(result) if result.is_readable else None) == bounds


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({}, id="none"),
        pytest.param({"dataAbsentReason": {"text": "not performed"}}, id="the reason why there is none"),
        pytest.param({"valueRatio": {"numerator": {"value": 1}}}, id="a kind that no test of ours has"),
        pytest.param({"component": [{"code": {"text": "x"}, "valueQuantity": {"value": 1}}]}, id="another part alone"),
    ],
)
def test_without_a_value_there_is_no_result(value: Resource) -> None:
    assert not read(valued(CD4, **value)).labs


@pytest.mark.parametrize(
    "more",
    [{"valueString": "7 g/L"}, {"valueInteger": 5}, {"dataAbsentReason": {"text": "x"}}],
    ids=["two values", "the same twice", "a value, and why there is none"],
)
def test_a_result_that_contradicts_itself_has_no_value(more: Resource) -> None:
    assert not only(lab(IGG, 5, "g/L", ON, **more)).is_readable


def test_an_answer_in_words_is_no_value_of_a_measurement() -> None:
    assert not only(valued(IGG, valueCodeableConcept={"text": "350 mg/dL"})).is_readable


def test_a_text_or_unit_without_end_is_no_value() -> None:
    assert not only(valued(ECOG, valueString="2 - " + "ambulatory " * 100)).is_readable
    assert not only(lab(IGG, 350, "mg/dL" + " " * 3_000, ON)).is_readable


# --- Scores ---


@pytest.mark.parametrize(
    ("value", "score"),
    [
        pytest.param({"valueInteger": 2}, "2", id="an integer"),
        pytest.param({"valueQuantity": {"value": 2}}, "2", id="a quantity without a unit"),
        pytest.param({"valueCodeableConcept": coded(LOINC, "LA9624-3")}, "2", id="an answer of LOINC"),
        pytest.param({"valueCodeableConcept": coded(SNOMED, "422894000")}, "2", id="a grade of SNOMED CT"),
        pytest.param({"valueCodeableConcept": coded(LOINC, "LA9624-3", "Up more than 50% of the day")}, "2"),
        pytest.param({"valueCodeableConcept": {"text": "2 - Ambulatory, up more than 50% of the day"}}, "2"),
        pytest.param({"valueString": "ECOG 2"}, "2", id="ECOG 2"),
        pytest.param({"valueString": "ECOG performance status: 2"}, "2", id="the whole name"),
        pytest.param({"valueString": "Grade 1"}, "1", id="Grade 1"),
        pytest.param({"valueString": "1-2"}, "1 to 2", id="between two"),
        pytest.param({"valueInteger": 0, "interpretation": [coded(LOINC, "LA9622-7")]}, "0", id="as mCODE sends it"),
        pytest.param({"valueInteger": 0, "interpretation": [coded(LOINC, "LA9624-3")]}, None, id="0, or 2?"),
        pytest.param({"valueCodeableConcept": coded(LOINC, "LA9624-3", "ECOG 1")}, None, id="code 2, words 1"),
        pytest.param({"valueInteger": 6}, None, id="there is no 6"),
        pytest.param({"valueInteger": 10**400}, None, id="nor this"),
        pytest.param({"valueQuantity": {"value": 1.5}}, None, id="nor 1.5"),
        pytest.param({"valueString": "<2"}, None, id="less than 2"),
        pytest.param({"valueString": "2+"}, None, id="2 or more"),
        pytest.param({"valueString": "1 month ago: 3"}, None, id="a number of something else"),
        pytest.param({"valueString": "not 2"}, None, id="not 2"),
        pytest.param({"valueCodeableConcept": {"text": "ambulatory"}}, None, id="words alone"),
    ],
)
def test_ecog_is_read_as_number_answer_or_words(value: Resource, score: str | None) -> None:
    result = only(valued(ECOG, **value))
    assert (str(result) if result.is_readable or score == "0" else None) == score


@pytest.mark.parametrize(
    ("value", "score"),
    [
        ({"valueInteger": 80}, "80"),
        ({"valueString": "KPS 80%"}, "80"),
        ({"valueCodeableConcept": coded(LOINC, "LA29177-5")}, "80"),
        ({"valueCodeableConcept": {"text": "80 - Normal activity with effort"}}, "80"),
        ({"valueInteger": 110}, None),
    ],
)
def test_karnofsky_is_read_as_number_answer_or_words(value: Resource, score: str | None) -> None:
    result = only(valued("89243-0", **value))
    assert (str(result) if result.is_readable else None) == score


# --- Which result is the latest ---


def test_the_most_recent_result_is_the_latest() -> None:
    history = read(
        lab(CD4, 300, "/uL", "2026-10-01"),
        lab(CD4, 100, "/uL", "2026-11-01"),
        lab("751-8", 1, "10*3/uL", "2026-11-10"),
    )
    latest = history.latest_lab(LabTest.CD4)
    assert latest is not None
    assert latest.high == 100
    assert history.latest_lab(LabTest.EGFR) is None


@pytest.mark.parametrize(
    ("on", "issued", "may_be_latest"),
    [
        pytest.param(None, None, True, id="no date"),
        pytest.param("18 Nov 2026", None, True, id="no readable date"),
        pytest.param("2027-11-18", None, True, id="in the future"),
        pytest.param(None, "2026-11-18T10:00:00Z", True, id="issued later"),
        pytest.param(None, "2026-10-30T10:00:00Z", False, id="issued before"),
        pytest.param(None, "soon", True, id="issued on no day"),
    ],
)
def test_a_result_without_a_date_may_be_the_latest(on: str | None, issued: str | None, may_be_latest: bool) -> None:
    sent = [lab("751-8", 2, "10*9/L", ON), lab("751-8", 0.2, "10*9/L", on, issued=issued)]
    for order in (sent, sent[::-1]):
        latest = read(*order).latest_lab(LabTest.ANC)
        assert latest is not None
        assert (latest.is_readable, latest.on is None) == (not may_be_latest, may_be_latest)


@pytest.mark.parametrize(
    ("test", "values", "counts"),
    [
        pytest.param(LabTest.CD4, [(CD4, 300, "/uL"), (CD4, 100, "/uL")], "100", id="CD4: the lowest"),
        pytest.param(LabTest.ECOG, [(ECOG, 1, ""), (ECOG, 3, "")], "3", id="ECOG: the highest"),
        pytest.param(
            LabTest.M_PROTEIN_SERUM,
            [("51435-6", 1.2, "g/dL"), ("35559-4", 0.4, "g/dL"), ("50796-2", 3, "g/L")],
            "1.2",
            id="bands of the M-protein: the largest, and no sum",
        ),
        pytest.param(LabTest.CD4, [(CD4, 300, "/uL"), (CD4, 100, "?")], None, id="one that cannot be read hides all"),
        pytest.param(LabTest.ECOG, [(ECOG, 1, ""), (ECOG, 9, "")], None, id="also of scores"),
    ],
)
def test_of_several_results_of_one_day_the_careful_one_counts(test: LabTest, values: Any, counts: str | None) -> None:
    for sent in (values, values[::-1]):
        latest = read(*(lab(code, value, unit, ON) for code, value, unit in sent)).latest_lab(test)
        assert latest is not None
        assert (str(latest) if latest.is_readable else None) == counts


# --- What is odd never answers more surely ---


@over(st.text(max_size=20))
def test_whatever_follows_a_value_leaves_it_as_it_was_or_makes_it_unreadable(more: str) -> None:
    result = only(valued(IGG, valueString=f"350 mg/dL{more}"))
    assert (result.low, result.high) == (350, 350) or not result.is_readable


@over(st.text(max_size=20), st.sampled_from([IGG, CD4, ECOG]))
def test_a_text_without_a_digit_never_has_a_value(text: str, code: str) -> None:
    result = only(valued(code, valueString="".join(c for c in text if not c.isnumeric())))
    assert not result.is_readable


@over(st.text(max_size=12))
def test_an_odd_unit_never_makes_a_count_of_anything_but_powers_of_ten(unit: str) -> None:
    result = only(lab(CD4, 150, unit, ON))
    assert not result.is_readable or result.low in {0.15, 150, 150_000}

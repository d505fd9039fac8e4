"""Units of measure: every spelling that laboratories use is brought to one unit of ours, or the result has no value."""

import pytest

from fhir_mapping.catalog.loader import load
from fhir_mapping.model.history import GapCode
from fhir_mapping.model.results import LabTest
from tests.build import lab
from tests.mapping.reading import gaps, read, span

ON = "2026-11-01"
MICRO, MU = "\N{MICRO SIGN}", "\N{GREEK SMALL LETTER MU}"
CODES = {
    LabTest.IGG: "2465-3",
    LabTest.CD4: "24467-3",
    LabTest.ANC: "751-8",
    LabTest.WBC: "6690-2",
    LabTest.PLATELETS: "777-3",
    LabTest.HEMOGLOBIN: "718-7",
    LabTest.CREATININE: "2160-0",
    LabTest.EGFR: "33914-3",
    LabTest.POTASSIUM: "2823-3",
    LabTest.BILIRUBIN: "1975-2",
    LabTest.LDH: "2532-0",
    LabTest.FERRITIN: "2276-4",
    LabTest.CRP: "1988-5",
    LabTest.CALCIUM: "17861-6",
    LabTest.ALBUMIN: "1751-7",
    LabTest.BETA2_MICROGLOBULIN: "1952-1",
    LabTest.M_PROTEIN_SERUM: "33358-3",
    LabTest.M_PROTEIN_URINE: "42482-0",
    LabTest.FREE_KAPPA: "36916-5",
    LabTest.FREE_LIGHT_CHAIN_RATIO: "48378-4",
    LabTest.LVEF: "10230-1",
    LabTest.G6PD: "32546-4",
    LabTest.ECOG: "89247-1",
    LabTest.KARNOFSKY: "89243-0",
    LabTest.BODY_WEIGHT: "29463-7",
    LabTest.BODY_TEMPERATURE: "8310-5",
}


@pytest.mark.parametrize(
    ("test", "value", "unit", "ours"),
    [
        (LabTest.IGG, 350, "mg/dL", 350),
        (LabTest.IGG, 350, "MG/DL", 350),
        (LabTest.IGG, 350, "mg/100 mL", 350),
        (LabTest.IGG, 350, "mg%", 350),
        (LabTest.IGG, 3.5, "g/L", 350),
        (LabTest.IGG, 4.1, "gm/L", 410),
        (LabTest.IGG, 3.5, "mg/mL", 350),
        (LabTest.CD4, 150, "/uL", 150),
        (LabTest.CD4, 150, "cells/uL", 150),
        (LabTest.CD4, 150, "{cells}/uL", 150),
        (LabTest.CD4, 150, f"cells/{MICRO}L", 150),
        (LabTest.CD4, 150, "cells/mcL", 150),
        (LabTest.CD4, 150, "/mm3", 150),
        (LabTest.CD4, 150, "cells/mm\N{SUPERSCRIPT THREE}", 150),
        (LabTest.CD4, 150, "cells/cu mm", 150),
        (LabTest.CD4, 150, "#/uL", 150),
        (LabTest.CD4, 0.15, "10*3/uL", 150),
        (LabTest.CD4, 0.15, "10*9/L", 150),
        (LabTest.CD4, 0.57, "cells x 10^9/L", 570),
        (LabTest.CD4, 150, "10*6/L", 150),
        (LabTest.ANC, 1.2, "10*3/uL", 1.2),
        (LabTest.ANC, 1.2, "K/uL", 1.2),
        (LabTest.ANC, 1.2, f"K/{MICRO}L", 1.2),
        (LabTest.ANC, 1.2, "k/mm3", 1.2),
        (LabTest.ANC, 1.2, "thou/mm3", 1.2),
        (LabTest.ANC, 1.2, "Thousand/uL", 1.2),
        (LabTest.ANC, 1.2, "x10E3/uL", 1.2),
        (LabTest.ANC, 1.2, "10\N{SUPERSCRIPT THREE}/uL", 1.2),
        (LabTest.ANC, 1.2, "X10(3)/MCL", 1.2),
        (LabTest.ANC, 1.2, "x10^9/L", 1.2),
        (LabTest.ANC, 1.2, "x10E9/L", 1.2),
        pytest.param(LabTest.ANC, 1.2, "G/L", 1.2, id="giga per litre, not grams"),
        (LabTest.ANC, 1200, "/uL", 1.2),
        (LabTest.ANC, 1200, "10*6/L", 1.2),
        (LabTest.WBC, 4.5, "bil/L", 4.5),
        (LabTest.PLATELETS, 150, "K/cumm", 150),
        (LabTest.HEMOGLOBIN, 9.5, "GM/DL", 9.5),
        (LabTest.HEMOGLOBIN, 95, "g/L", 9.5),
        (LabTest.CREATININE, 1.4, "mg/dL", 1.4),
        (LabTest.CREATININE, 88.4, "umol/L", 1.0),
        (LabTest.CREATININE, 88.4, f"{MICRO}mol/L", 1.0),
        (LabTest.CREATININE, 88.4, f"{MU}mol/L", 1.0),
        (LabTest.CREATININE, 0.0884, "mmol/L", 1.0),
        (LabTest.CREATININE, 14, "mg/L", 1.4),
        (LabTest.EGFR, 55, "mL/min/1.73m2", 55),
        (LabTest.EGFR, 55, "mL/min/1.73 m2", 55),
        (LabTest.EGFR, 55, "mL/min/{1.73_m2}", 55),
        (LabTest.EGFR, 55, "mL/min/[1.73_m2]", 55),
        (LabTest.EGFR, 55, "mL/min/1.73m\N{SUPERSCRIPT TWO}", 55),
        (LabTest.EGFR, 55, "mL/min/1.73", 55),
        (LabTest.POTASSIUM, 4.1, "mmol/L", 4.1),
        (LabTest.POTASSIUM, 4.1, "mEq/L", 4.1),
        (LabTest.BILIRUBIN, 17.1, "umol/L", 1.0),
        (LabTest.LDH, 240, "IU/L", 240),
        (LabTest.LDH, 4, "ukat/L", 240),
        (LabTest.FERRITIN, 300, "ug/L", 300),
        (LabTest.CRP, 1.2, "mg/dL", 12),
        (LabTest.CALCIUM, 2.5, "mmol/L", 10.02),
        (LabTest.ALBUMIN, 35, "g/L", 3.5),
        (LabTest.BETA2_MICROGLOBULIN, 5.5, "ug/mL", 5.5),
        (LabTest.M_PROTEIN_SERUM, 12, "g/L", 1.2),
        (LabTest.M_PROTEIN_URINE, 1.2, "g/24 h", 1200),
        (LabTest.M_PROTEIN_URINE, 300, "mg/(24.h)", 300),
        (LabTest.M_PROTEIN_URINE, 300, "mg/day", 300),
        (LabTest.FREE_KAPPA, 2.5, "mg/dL", 25),
        (LabTest.FREE_LIGHT_CHAIN_RATIO, 1.2, "{ratio}", 1.2),
        (LabTest.LVEF, 55, "%", 55),
        (LabTest.G6PD, 8.2, "U/g{Hb}", 8.2),
        (LabTest.G6PD, 8.2, "U/g Hb", 8.2),
        (LabTest.ECOG, 2, "{score}", 2),
        (LabTest.KARNOFSKY, 80, "%", 80),
        (LabTest.BODY_WEIGHT, 70, "kg", 70),
        (LabTest.BODY_WEIGHT, 154.3, "[lb_av]", 69.99),
        (LabTest.BODY_WEIGHT, 154.3, "lbs", 69.99),
        (LabTest.BODY_WEIGHT, 2469, "oz", 69.99),
        (LabTest.BODY_WEIGHT, 70_000, "g", 70),
        (LabTest.BODY_TEMPERATURE, 38, "Cel", 38),
        (LabTest.BODY_TEMPERATURE, 38, "\N{DEGREE SIGN}C", 38),
        (LabTest.BODY_TEMPERATURE, 100.4, "[degF]", 38),
        (LabTest.BODY_TEMPERATURE, 100.4, "\N{DEGREE SIGN}F", 38),
    ],
)
def test_a_result_is_brought_to_our_unit(test: LabTest, value: float, unit: str, ours: float) -> None:
    history = read(lab(CODES[test], value, unit, ON))
    (result,) = history.labs
    assert (result.test, result.on) == (test, span(ON))
    assert result.low == result.high == pytest.approx(ours, rel=1e-3)
    assert not history.gaps


def test_four_grams_a_litre_are_exactly_four_hundred_milligrams_a_decilitre() -> None:
    sent = [lab("2465-3", 4, "g/L", ON), lab("2465-3", 4.1, "g/L", ON), lab("8310-5", 100.4, "[degF]", ON)]
    assert {result.low for result in read(*sent).labs} == {400, 410, 38}


@pytest.mark.parametrize(
    ("test", "unit"),
    [
        (LabTest.IGG, "mmol/L"),
        (LabTest.IGG, "IU/mL"),
        (LabTest.CD4, "%"),
        (LabTest.CD4, "mg/dL"),
        (LabTest.CD4, ""),
        (LabTest.ANC, "%"),
        (LabTest.CREATININE, "mL/min"),
        (LabTest.CREATININE, "g/L"),
        (LabTest.EGFR, "mg/dL"),
        (LabTest.LVEF, ""),
        (LabTest.ECOG, "%"),
        (LabTest.BODY_WEIGHT, "stone"),
        (LabTest.BODY_TEMPERATURE, ""),
    ],
)
def test_a_unit_that_is_not_known_or_missing_leaves_no_value_but_a_gap(test: LabTest, unit: str) -> None:
    history = read(lab(CODES[test], 3, unit, ON))
    assert [result.is_readable for result in history.labs] == [False]
    assert gaps(history) == {GapCode.UNIT}


def test_a_result_without_any_unit_is_not_guessed() -> None:
    history = read(lab("24467-3", 150, "", ON, valueQuantity={"value": 150}))
    assert [result.is_readable for result in history.labs] == [False]
    assert gaps(history) == {GapCode.UNIT}


@pytest.mark.parametrize(
    ("code", "unit", "is_readable"),
    [
        pytest.param("/uL", "per microlitre", True, id="the code alone is known"),
        pytest.param("x", "/uL", True, id="what is printed alone is known"),
        pytest.param("10*3/uL", "K/uL", True, id="both mean the same"),
        pytest.param("10*3/uL", "/uL", False, id="they contradict each other"),
    ],
)
def test_the_code_of_a_unit_and_what_is_printed_must_agree(code: str, unit: str, is_readable: bool) -> None:
    quantity = {"value": 0.15, "unit": unit, "code": code}
    (result,) = read(lab("24467-3", 0, "", ON, valueQuantity=quantity)).labs
    assert result.is_readable is is_readable


@pytest.mark.parametrize(
    ("code", "unit"),
    [
        pytest.param("33647-9", "%", id="the share of the M-protein in all protein"),
        pytest.param("40661-1", "mg/dL", id="a concentration in urine, of which we do not know the volume"),
    ],
)
def test_what_laboratories_print_beside_an_amount_is_no_result_of_it(code: str, unit: str) -> None:
    history = read(lab(code, 12, unit, ON))
    assert not history.labs
    assert not history.gaps


def test_every_test_has_a_unit_and_a_name() -> None:
    labs = load().labs
    assert {test.value for test in LabTest} == labs.keys() - {"units", "spellings"}
    assert all(labs[test.value]["names"] for test in LabTest)

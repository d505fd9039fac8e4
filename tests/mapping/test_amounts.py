"""How much of a bispecific antibody a record says was given, or is ordered, and how often."""

from typing import Any

import pytest

from fhir_mapping.model.treatment import Amount, Dose
from fhir_mapping.model.vocabulary import Certainty, Tier
from tests.build import Resource, dispensed, draft_drug, draft_service, given, ordered, procedure, reported
from tests.mapping.reading import proposed, read, span

UCUM = "http://unitsofmeasure.org"
DAY = "2026-11-10"
TEC = "teclistamab"


def amount(value: Any, unit: str | None = None, code: str | None = None, **more: Any) -> Resource:
    """Make a Quantity of whatever is given."""
    members = {"value": value, "unit": unit, "code": code} | more
    return {key: member for key, member in members.items() if member is not None}


def the_dose(*resources: Resource) -> Dose:
    (dose,) = read(*resources).doses
    return dose


def administered(quantity: Any) -> Amount | None:
    """Read the amount of an administered dose."""
    return the_dose(given(TEC, DAY, dosage={"dose": quantity})).amount


def drafted(*dosages: Any) -> Any:
    """Read a draft with some dosages."""
    (order,) = proposed(draft_drug(TEC, dosageInstruction=list(dosages)))
    return order


# --- units ---


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [
        pytest.param(amount(76, "mg"), Amount(mg=76.0), id="a printed unit"),
        pytest.param(amount(76, code="mg"), Amount(mg=76.0), id="a code"),
        pytest.param(amount(76, "mg", "mg", system=UCUM), Amount(mg=76.0), id="both"),
        pytest.param(amount(76, "milligrams", "mg", system=UCUM), Amount(mg=76.0), id="a unit in words"),
        pytest.param(amount(76, "MG"), Amount(mg=76.0), id="in capitals"),
        pytest.param(amount(0.076, "g"), Amount(mg=76.0), id="grams"),
        pytest.param(amount(76000, "ug"), Amount(mg=76.0), id="micrograms"),
        pytest.param(amount(76000, "mcg"), Amount(mg=76.0), id="micrograms as nurses write them"),
        pytest.param(amount(76000, "\u00b5g"), Amount(mg=76.0), id="micrograms with the micro sign"),
        pytest.param(amount(76000, "\u03bcg"), Amount(mg=76.0), id="micrograms with the Greek letter"),
        pytest.param(amount(1.5, "mg/kg"), Amount(mg_per_kg=1.5), id="by weight"),
        pytest.param(amount(60, "mcg/kg"), Amount(mg_per_kg=0.06), id="micrograms by weight"),
        pytest.param(amount(1.5, "mg/kg/dose"), Amount(mg_per_kg=1.5), id="by weight and dose"),
        pytest.param(amount(1.5, "mg/kg{body weight}"), Amount(mg_per_kg=1.5), id="with an annotation"),
        pytest.param(
            amount(76, "mg", "258684004", system="http://snomed.info/sct"),
            Amount(mg=76.0),
            id="a code of another system",
        ),
        pytest.param(amount(76, None, "258684004", system="http://snomed.info/sct"), None, id="such a code alone"),
        pytest.param(amount(1.5, "mg/kg", "mg", system=UCUM), None, id="code and unit contradict"),
        pytest.param(amount(76, "mL", "mg", system=UCUM), None, id="one of the two is unknown"),
        pytest.param(amount(76, "mg/m2"), None, id="by body surface"),
        pytest.param(amount(76, "mg/h"), None, id="a rate"),
        pytest.param(amount(1.9, "mL"), None, id="a volume"),
        pytest.param(amount(1, "vial"), None, id="a vial"),
        pytest.param(amount(76), None, id="no unit"),
        pytest.param(amount(None, "mg"), None, id="no value"),
        pytest.param(amount(76, "mg", comparator="<"), None, id="less than that"),
        pytest.param(amount(0, "mg"), None, id="nothing"),
        pytest.param(amount(-76, "mg"), None, id="less than nothing"),
        pytest.param(amount("76", "mg"), None, id="a value as text"),
        pytest.param(amount(76, "x" * 3000), None, id="a unit without end"),
        pytest.param({}, None, id="an empty quantity"),
        pytest.param("76 mg", None, id="a text"),
        pytest.param(76, None, id="a bare number"),
        pytest.param(None, None, id="null"),
        pytest.param([], None, id="an empty list"),
    ],
)
def test_units(quantity: Any, expected: Amount | None) -> None:
    assert administered(quantity) == expected


# --- where it stands ---


RATE = {"doseQuantity": amount(76, "mg")}


@pytest.mark.parametrize(
    ("dosage", "expected"),
    [
        pytest.param({"doseAndRate": [RATE]}, Amount(mg=76.0), id="doseAndRate"),
        pytest.param({"doseAndRate": RATE}, Amount(mg=76.0), id="one that is no list"),
        pytest.param({"doseQuantity": amount(76, "mg")}, Amount(mg=76.0), id="doseQuantity of STU3"),
        pytest.param({"doseAndRate": [RATE, RATE]}, Amount(mg=76.0), id="told twice"),
        pytest.param(
            {"doseAndRate": [{"doseQuantity": amount(1.5, "mg/kg")}, {"doseQuantity": amount(120, "mg")}]},
            Amount(mg=120.0, mg_per_kg=1.5),
            id="ordered by weight, and worked out",
        ),
        pytest.param({"doseAndRate": [RATE, {"doseQuantity": amount(32, "mg")}]}, None, id="two that contradict"),
        pytest.param({"doseAndRate": [RATE, {"doseQuantity": amount(2, "mL")}]}, None, id="one that cannot be read"),
        pytest.param(
            {"doseAndRate": [{"doseRange": {"low": amount(70, "mg"), "high": amount(80, "mg")}}]}, None, id="a range"
        ),
        pytest.param({"doseRange": {"low": amount(70, "mg")}}, None, id="a range of STU3"),
        pytest.param({"doseAndRate": [{"rateQuantity": amount(10, "mL/h")}]}, None, id="a rate alone"),
        pytest.param({"doseAndRate": [RATE | {"rateQuantity": amount(10, "mL/h")}]}, Amount(mg=76.0), id="and a rate"),
        pytest.param({"doseAndRate": []}, None, id="an empty list"),
        pytest.param({"doseAndRate": ["76 mg"]}, None, id="a text in the list"),
        pytest.param({"text": "76 mg SC once"}, None, id="in words alone"),
        pytest.param({"text": "12 mg", "doseAndRate": [RATE]}, Amount(mg=76.0), id="words beside it say nothing"),
        pytest.param({}, None, id="an empty dosage"),
        pytest.param("76 mg", None, id="a bare text"),
    ],
)
def test_places(dosage: Any, expected: Amount | None) -> None:
    statement = reported(TEC, "2026-09-01", DAY, dosage=[dosage])
    order = ordered(TEC, DAY, dosageInstruction=[dosage])

    assert the_dose(statement).amount == the_dose(order).amount == drafted(dosage).amount == expected


def test_several_dosages_of_one_record_have_to_agree() -> None:
    other = {"doseAndRate": [{"doseQuantity": amount(32, "mg")}]}

    assert the_dose(reported(TEC, DAY, DAY, dosage=[{"doseAndRate": [RATE]}] * 2)).amount == Amount(mg=76.0)
    assert the_dose(reported(TEC, DAY, DAY, dosage=[{"doseAndRate": [RATE]}, other])).amount is None
    assert the_dose(reported(TEC, DAY, DAY, dosage=[{"doseAndRate": [RATE]}, {"text": "then more"}])).amount is None


# --- records and their statuses ---


@pytest.mark.parametrize(
    ("status", "certainty", "expected"),
    [
        ("completed", Certainty.STATED, Amount(mg=76.0)),
        ("in-progress", Certainty.STATED, None),
        ("stopped", Certainty.STATED, None),
        ("on-hold", Certainty.POSSIBLE, None),
        ("unknown", Certainty.POSSIBLE, None),
    ],
)
def test_an_administered_dose(status: str, certainty: Certainty, expected: Amount | None) -> None:
    dose = the_dose(given(TEC, DAY, status, dosage={"dose": amount(76, "mg")}))

    assert (dose.on, dose.amount, dose.tier, dose.certainty) == (span(DAY), expected, Tier.PROVEN, certainty)
    assert dose.was_administered is (certainty is Certainty.STATED)


@pytest.mark.parametrize("status", ["not-done", "entered-in-error"])
def test_a_dose_that_was_not_given(status: str) -> None:
    assert read(given(TEC, DAY, status, dosage={"dose": amount(76, "mg")})).doses == ()


def test_a_dose_over_a_period_was_given_at_its_end() -> None:
    dose = the_dose(given(TEC, None, effectivePeriod={"start": "2026-11-09", "end": DAY}))

    assert (dose.on, dose.was_administered) == (span(DAY), True)


@pytest.mark.parametrize(
    ("record", "on", "tier", "ongoing"),
    [
        pytest.param(reported(TEC, "2026-09-01", DAY), span(DAY), Tier.REPORTED, False, id="reported until a day"),
        pytest.param(
            reported(TEC, "2026-09-01", status="active", asserted=DAY),
            span("2026-11-20"),
            Tier.REPORTED,
            True,
            id="being taken",
        ),
        pytest.param(ordered(TEC, DAY), span(DAY, "2026-11-20"), Tier.PRESUMPTIVE, False, id="ordered"),
        pytest.param(dispensed(TEC, DAY), span(DAY, "2026-11-20"), Tier.PRESUMPTIVE, False, id="dispensed"),
    ],
)
def test_other_records_are_no_administered_dose(record: Resource, on: object, tier: Tier, ongoing: bool) -> None:
    dose = the_dose(record)

    assert (dose.on, dose.tier, dose.ongoing, dose.was_administered) == (on, tier, ongoing, False)


def test_a_bill_is_a_dose_without_an_amount() -> None:
    hcpcs = "https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"
    dose = the_dose(procedure("J9380", DAY, system=hcpcs))

    assert (dose.on, dose.amount, dose.was_administered) == (span(DAY), None, True)


def test_only_bispecific_antibodies_are_read() -> None:
    history = read(given("bortezomib", DAY, dosage={"dose": amount(2.6, "mg")}), given("dexamethasone", DAY))

    assert history.doses == ()
    (order,) = proposed(draft_drug("bortezomib", dosageInstruction=[{"doseAndRate": [RATE]}]))
    assert (order.amount, order.every_days) == (None, None)


def test_a_service_has_no_amount() -> None:
    (order,) = proposed(draft_service("38225"))

    assert (order.amount, order.every_days) == (None, None)


# --- drafts ---


def repeated(**repeat: Any) -> Resource:
    """Make a dosage that is repeated."""
    return {"timing": {"repeat": repeat}}


@pytest.mark.parametrize(
    ("dosage", "expected"),
    [
        pytest.param(repeated(frequency=1, period=1, periodUnit="wk"), 7, id="every week"),
        pytest.param(repeated(period=1, periodUnit="wk"), 7, id="every week, once"),
        pytest.param(repeated(frequency=1, period=2, periodUnit="wk"), 14, id="every 2 weeks"),
        pytest.param(repeated(frequency=1, period=28, periodUnit="d"), 28, id="every 28 days"),
        pytest.param(repeated(frequency=1, period=168, periodUnit="h"), 7, id="every 168 hours"),
        pytest.param(repeated(frequency=2, period=4, periodUnit="wk"), 14, id="twice in 4 weeks"),
        pytest.param(repeated(frequency=2, period=1, periodUnit="wk"), None, id="twice a week"),
        pytest.param(repeated(frequency=1, period=1, periodUnit="mo"), None, id="a month has no fixed days"),
        pytest.param(repeated(frequency=1, period=1, periodMax=2, periodUnit="wk"), None, id="one week or two"),
        pytest.param(repeated(frequency=1, frequencyMax=2, period=2, periodUnit="wk"), None, id="once or twice"),
        pytest.param(repeated(frequency=0, period=1, periodUnit="wk"), None, id="never"),
        pytest.param(repeated(frequency=1, period=0, periodUnit="wk"), None, id="without a period"),
        pytest.param(repeated(frequency=1, period=30, periodUnit="h"), None, id="no whole days"),
        pytest.param(repeated(frequency=1, period=1e308, periodUnit="wk"), None, id="for ever"),
        pytest.param(repeated(frequency=1, periodUnit="wk"), None, id="no period"),
        pytest.param({"timing": {"code": {"text": "weekly"}}}, None, id="in words"),
        pytest.param({"timing": {"event": [DAY]}}, None, id="once"),
        pytest.param({}, None, id="nothing said"),
    ],
)
def test_how_often_a_draft_is_to_be_given(dosage: Resource, expected: int | None) -> None:
    assert drafted(dosage).every_days == expected


def step(value: float, **more: Any) -> Resource:
    """Make one dosage of a step-up."""
    return {"doseAndRate": [{"doseQuantity": amount(value, "mg")}]} | more


def on_day(day: str) -> Resource:
    return {"event": [day]}


@pytest.mark.parametrize(
    ("dosages", "expected"),
    [
        pytest.param(
            [step(12, timing=on_day("2026-11-23")), step(32, timing=on_day("2026-11-26"))],
            12,
            id="the first that has a day",
        ),
        pytest.param([step(32), step(12, timing=on_day("2026-11-23"))], 12, id="where another has none"),
        pytest.param(
            [step(12, timing={"repeat": {"boundsPeriod": {"start": "2026-11-23"}}}), step(32)], 12, id="or a first day"
        ),
        pytest.param([step(32, sequence=2), step(12, sequence=1)], 12, id="else by number"),
        pytest.param([step(32, sequence=1), step(12, sequence=1)], None, id="two with one number"),
        pytest.param([step(32, sequence=2), step(12)], None, id="one without a number"),
        pytest.param([step(12), step(32)], None, id="else nobody knows which comes first"),
        pytest.param([step(12), step(12)], 12, id="unless they are alike"),
        pytest.param([step(12, timing=on_day("2026-11-23")), "then 32 mg"], None, id="one that cannot be read"),
        pytest.param([], None, id="none"),
    ],
)
def test_the_first_of_several_dosages_counts(dosages: list[Any], expected: float | None) -> None:
    assert drafted(*dosages).amount == (None if expected is None else Amount(mg=float(expected)))

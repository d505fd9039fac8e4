"""R24: an active infection when CAR T cells, lymphodepletion or step-up dosing are signed.

An infection that is called active counts for 90 days, one without a status and a positive test for 14 days, a fever for
2 days and only under a drug that is given by vein against infections. "Today" is 2026-11-20.
"""

from typing import Any

import pytest

from cards.knowledge.loader import load as load_knowledge
from tests.build import (
    Resource,
    card,
    cards_of,
    condition,
    draft_collection,
    draft_drug,
    draft_infusion,
    given,
    lab,
    myeloma,
    ordered,
    outcome,
    reported,
)
from tests.rules.table import (
    CANNOT_TELL,
    FLAGGED,
    NOT_APPLICABLE,
    SATISFIED,
    days_after,
    days_ago,
    drafts_in,
    row,
    select,
    sign,
    text_of,
    view,
)
from tests.rules.test_restart import TEC, dose, draft

TEMPERATURE, CULTURE, INFLUENZA_A = "8310-5", "600-7", "34487-9"
TODAY = days_ago(0)
CAR_T = draft_infusion()


def entry(code: str = "J18.9", recorded: str | None = TODAY, status: str | None = "active", **more: Any) -> Resource:
    """Make an infection on the problem list."""
    return condition(code, recorded, **({"clinicalStatus": {"coding": [{"code": status}]}} if status else {}), **more)


def fever(celsius: float = 38.6, on: str | None = TODAY, unit: str = "Cel", **more: Any) -> Resource:
    """Make a body temperature."""
    return lab(TEMPERATURE, celsius, unit, on, **more)


def result(code: str = CULTURE, says: str = "Positive", on: str | None = TODAY, **more: Any) -> Resource:
    """Make the result of a culture or of a test for a virus."""
    made = lab(code, 0, "", on, valueString=says, **more)
    return {name: value for name, value in made.items() if name != "valueQuantity"}


def doses(*days: int) -> list[Resource]:
    """Make doses of teclistamab, so many days ago, of which nobody wrote the amount."""
    return [dose(TEC, each) for each in days]


MEROPENEM = ordered("meropenem", days_ago(1))
PNEUMONIA = [myeloma(), entry()]


# --- what is ordered ---


@pytest.mark.parametrize(
    ("order", "expected", "indicator"),
    [
        row("the infusion", CAR_T, FLAGGED, "critical"),
        row("a product", draft_drug("ciltacabtagene autoleucel"), FLAGGED, "critical"),
        row("fludarabine prepares for the cells", draft_drug("fludarabine"), FLAGGED, "critical"),
        row("the first dose of a bispecific antibody", draft_drug("teclistamab"), FLAGGED, "warning"),
        row("one against GPRC5D", draft_drug("talquetamab"), FLAGGED, "warning"),
        row("a collection gives the patient nothing", draft_collection(), NOT_APPLICABLE, None),
        row("a conjugate", draft_drug("belantamab mafodotin"), NOT_APPLICABLE, None),
        row("a conventional drug", draft_drug("bortezomib"), NOT_APPLICABLE, None),
        row("today", draft_infusion(TODAY), FLAGGED, "critical"),
        row("in 14 days", draft_infusion(days_after(TODAY, 14)), FLAGGED, "critical"),
        row("in 15 days: time to get over it", draft_infusion(days_after(TODAY, 15)), NOT_APPLICABLE, None),
        row("some day in December, in 11 to 41 days", draft_infusion("2026-12"), CANNOT_TELL, None),
        row("some day in January", draft_infusion("2027-01"), NOT_APPLICABLE, None),
        row("for a day that is past: still to come", draft_infusion(days_ago(3)), FLAGGED, "critical"),
    ],
)
def test_what_is_ordered(order: Resource, expected: str, indicator: str | None) -> None:
    assessment = sign(PNEUMONIA, order)

    assert outcome(assessment, "R24") == expected
    assert indicator is None or card(assessment, "R24")["indicator"] == indicator


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("never given", [], FLAGGED),
        row("given once, 10 days ago: the second step-up dose", doses(10), FLAGGED),
        row("given twice: the first full dose, which ends the step-up", doses(7, 4), FLAGGED),
        row("given three times: a full dose was among them", doses(10, 7, 4), NOT_APPLICABLE),
        row("for weeks", doses(40, 37, 34, 27, 20, 13, 6), NOT_APPLICABLE),
        row("once, at full dose", [dose(TEC, 10, 1.5)], NOT_APPLICABLE),
        row(
            "three times at the first step-up dose",
            [dose(TEC, 15, 0.06), dose(TEC, 12, 0.06), dose(TEC, 9, 0.06)],
            FLAGGED,
        ),
        row("a restart after full doses", [dose(TEC, 70, 1.5), dose(TEC, 63, 1.5), dose(TEC, 3, 0.06)], FLAGGED),
        row(
            "a restart that has come to a full dose",
            [dose(TEC, 70, 1.5), dose(TEC, 9, 0.06), dose(TEC, 2, 1.5)],
            NOT_APPLICABLE,
        ),
        row("once, 28 days ago: the longest that a step-up takes", doses(28), FLAGGED),
        row("once, 29 days ago: other doses were given elsewhere, or none", doses(29), CANNOT_TELL),
        row("42 days ago, a full dose", [dose(TEC, 42, 1.5)], NOT_APPLICABLE),
        row("43 days ago, a full dose: goes on, or begins again", [dose(TEC, 43, 1.5)], CANNOT_TELL),
        row("112 days ago, a full dose", [dose(TEC, 112, 1.5)], CANNOT_TELL),
        row("113 days ago, a full dose: is stepped up again", [dose(TEC, 113, 1.5)], FLAGGED),
        row("a year ago", doses(365), FLAGGED),
        row("in the patient's list for a year", [reported("teclistamab", days_ago(365), asserted=TODAY)], CANNOT_TELL),
        row("another one was given", [given("talquetamab", days_ago(10))], FLAGGED),
        row("given some day this year", [given("teclistamab", "2026")], CANNOT_TELL),
        row("given, nobody knows when", [given("teclistamab", None)], CANNOT_TELL),
        row("perhaps given", [given("teclistamab", days_ago(10), "unknown")], CANNOT_TELL),
        row("ordered", [ordered("teclistamab", days_ago(10))], CANNOT_TELL),
        row("not given", [given("teclistamab", days_ago(10), "not-done")], FLAGGED),
        row("in error", [given("teclistamab", days_ago(10), "entered-in-error")], FLAGGED),
    ],
)
def test_a_bispecific_antibody_is_asked_about_where_it_is_stepped_up(history: list[Resource], expected: str) -> None:
    assessment = sign([*PNEUMONIA, *history], draft_drug("teclistamab"))

    assert outcome(assessment, "R24") == expected


@pytest.mark.parametrize(
    ("history", "amount", "expected"),
    [
        row("a step-up dose after full doses: begins again", [dose(TEC, 60, 1.5), dose(TEC, 53, 1.5)], 0.3, FLAGGED),
        row("a step-up dose, whatever was given", [given("teclistamab", "2026")], 0.06, FLAGGED),
        row("a full dose after a step-up dose", [dose(TEC, 3, 0.3)], 1.5, FLAGGED),
        row("a full dose after full doses", [dose(TEC, 9, 1.5), dose(TEC, 2, 1.5)], 1.5, NOT_APPLICABLE),
    ],
)
def test_the_ordered_amount_tells_a_step_up(history: list[Resource], amount: float, expected: str) -> None:
    assessment = sign([*PNEUMONIA, *history], draft(TEC, amount))

    assert outcome(assessment, "R24") == expected


def test_lymphodepletion_is_asked_about_although_its_drug_was_given_lately() -> None:
    earlier = given("cyclophosphamide", days_ago(20))
    drafts = [draft_drug("fludarabine"), draft_drug("cyclophosphamide")]

    assessment = sign([*PNEUMONIA, earlier], *drafts)

    assert card(assessment, "R24")["indicator"] == "critical"


def test_it_is_asked_when_orders_are_signed() -> None:
    assert outcome(select(PNEUMONIA, CAR_T), "R24") == NOT_APPLICABLE
    assert outcome(view(PNEUMONIA), "R24") == NOT_APPLICABLE


# --- the problem list ---


@pytest.mark.parametrize(
    ("problem", "expected"),
    [
        row("recorded today", entry(), FLAGGED),
        row("89 days ago", entry(recorded=days_ago(89)), FLAGGED),
        row("90 days ago: the last day", entry(recorded=days_ago(90)), FLAGGED),
        row("91 days ago: forgotten on the list, or it never ended", entry(recorded=days_ago(91)), CANNOT_TELL),
        row("some day in October", entry(recorded="2026-10"), FLAGGED),
        row("some day in August, 81 to 111 days ago", entry(recorded="2026-08"), CANNOT_TELL),
        row("some day this year", entry(recorded="2026"), CANNOT_TELL),
        row("began 90 days ago", entry(recorded=None, onsetDateTime=days_ago(90)), FLAGGED),
        row("began 91 days ago", entry(recorded=None, onsetDateTime=days_ago(91)), CANNOT_TELL),
        row("old, and recorded anew", entry(onsetDateTime=days_ago(400)), FLAGGED),
        row("recorded long after it began", entry(recorded=days_ago(100), onsetDateTime=days_ago(120)), CANNOT_TELL),
        row("resolved, though recorded today", entry(status="resolved"), SATISFIED),
        row("without a date", entry(recorded=None), CANNOT_TELL),
        row("sepsis", entry("A41.9"), FLAGGED),
        row("zoster", entry("B02.9"), FLAGGED),
        row("influenza", entry("J11.1"), FLAGGED),
        row("COVID-19", entry("U07.1"), FLAGGED),
        row("cytomegalovirus", entry("B25.9"), FLAGGED),
        row("C. difficile", entry("A04.72"), FLAGGED),
        row("Pneumocystis", entry("B59"), FLAGGED),
        row("tuberculosis", entry("A15.0"), FLAGGED),
        row("latent tuberculosis is another question", entry("Z22.7"), SATISFIED),
        row("fever alone", entry("R50.9"), SATISFIED),
        row("a relapse of it", entry(status="recurrence"), FLAGGED),
        row("inactive", entry(status="inactive"), SATISFIED),
        row("the diagnosis of an encounter, which says nothing of an end", entry(status=None), FLAGGED),
        row("the same, 13 days old", entry(recorded=days_ago(13), status=None), FLAGGED),
        row("the same, 14 days old", entry(recorded=days_ago(14), status=None), FLAGGED),
        row("the same, 15 days old", entry(recorded=days_ago(15), status=None), SATISFIED),
        row("the same, of some day in November", entry(recorded="2026-11", status=None), CANNOT_TELL),
        row("the same, of some day in October", entry(recorded="2026-10", status=None), SATISFIED),
        row("of an encounter, over", entry(status=None, abatementDateTime=days_ago(1)), SATISFIED),
        row("of an encounter, over at some time", entry(status=None, abatementString="last week"), CANNOT_TELL),
        row("active, and over yesterday", entry(abatementDateTime=days_ago(1)), CANNOT_TELL),
        row("a status that nobody knows", entry(status="cured"), CANNOT_TELL),
        row("suspected", entry(verificationStatus={"coding": [{"code": "provisional"}]}), CANNOT_TELL),
        row(
            "suspected, and resolved",
            entry(status="resolved", verificationStatus={"coding": [{"code": "provisional"}]}),
            SATISFIED,
        ),
        row("refuted", entry(verificationStatus={"coding": [{"code": "refuted"}]}), SATISFIED),
        row("in error", entry(verificationStatus={"coding": [{"code": "entered-in-error"}]}), SATISFIED),
    ],
)
def test_an_infection_on_the_problem_list(problem: Resource, expected: str) -> None:
    assert outcome(sign([myeloma(), problem], CAR_T), "R24") == expected


# --- cultures and tests for viruses ---


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        row("a positive culture", [result()], FLAGGED),
        row("14 days ago: the last day", [result(on=days_ago(14))], FLAGGED),
        row("15 days ago", [result(on=days_ago(15))], SATISFIED),
        row("some day in November", [result(on="2026-11")], CANNOT_TELL),
        row("some day in October", [result(on="2026-10")], SATISFIED),
        row("without a date", [result(on=None)], CANNOT_TELL),
        row(
            "without a date, issued 15 days ago", [result(on=None, issued=f"{days_ago(15)}T08:00:00-05:00")], SATISFIED
        ),
        row("without a date, issued today", [result(on=None, issued=f"{TODAY}T08:00:00-05:00")], CANNOT_TELL),
        row("a germ was found", [result(says="Staphylococcus aureus")], FLAGGED),
        row("only its stain so far", [result(says="Gram negative rods in 1 of 2 bottles")], FLAGGED),
        row("no growth", [result(says="No growth after 5 days")], SATISFIED),
        row("negative", [result(says="Negative")], SATISFIED),
        row("words that are not understood", [result(says="see microbiology report")], CANNOT_TELL),
        row("such words, long ago", [result(says="see microbiology report", on=days_ago(15))], SATISFIED),
        row("preliminary is no result", [result(status="preliminary")], SATISFIED),
        row("in error", [result(status="entered-in-error")], SATISFIED),
        row("a respiratory virus", [result(INFLUENZA_A, "Detected")], FLAGGED),
        row("none", [result(INFLUENZA_A, "Not detected")], SATISFIED),
        row(
            "a negative test of another virus takes nothing back",
            [result(INFLUENZA_A, "Detected"), result("40982-1", "Not detected")],
            FLAGGED,
        ),
        row("a later negative culture takes nothing back", [result(on=days_ago(5)), result(says="No growth")], FLAGGED),
        row("an antigen of hepatitis B is another rule's question", [result("5196-1", "Positive")], SATISFIED),
    ],
)
def test_a_culture_or_a_test_for_viruses(results: list[Resource], expected: str) -> None:
    assert outcome(sign(results, CAR_T), "R24") == expected


# --- fever under treatment ---


@pytest.mark.parametrize(
    ("temperature", "expected"),
    [
        row("38.6 today", fever(), FLAGGED),
        row("38.0: a fever", fever(38.0), FLAGGED),
        row("37.9: none", fever(37.9), SATISFIED),
        row("in Fahrenheit", fever(101.5, unit="[degF]"), FLAGGED),
        row("normal in Fahrenheit", fever(98.6, unit="[degF]"), SATISFIED),
        row("yesterday", fever(on=days_ago(1)), FLAGGED),
        row("2 days ago: the last day", fever(on=days_ago(2)), FLAGGED),
        row("3 days ago", fever(on=days_ago(3)), SATISFIED),
        row("some day this month", fever(on="2026-11"), CANNOT_TELL),
        row("some day last month", fever(on="2026-10"), SATISFIED),
        row("without a date", fever(on=None), CANNOT_TELL),
        row("in a unit that nobody knows", fever(unit="x"), CANNOT_TELL),
        row("preliminary", fever(status="preliminary"), SATISFIED),
    ],
)
def test_a_fever_while_an_infection_is_treated(temperature: Resource, expected: str) -> None:
    assert outcome(sign([temperature, MEROPENEM], CAR_T), "R24") == expected


def test_a_fever_counts_although_a_later_temperature_was_normal() -> None:
    assert outcome(sign([fever(on=days_ago(1)), fever(36.8), MEROPENEM], CAR_T), "R24") == FLAGGED


@pytest.mark.parametrize(
    ("drugs", "expected"),
    [
        row("meropenem, ordered and active", [MEROPENEM], FLAGGED),
        row("cefepime", [ordered("cefepime", days_ago(1))], FLAGGED),
        row("piperacillin-tazobactam", [ordered("piperacillin-tazobactam", days_ago(1))], FLAGGED),
        row("reported as being given", [reported("meropenem", days_ago(1), status="active", asserted=TODAY)], FLAGGED),
        row("given today", [given("meropenem", TODAY)], FLAGGED),
        row("given yesterday: the last day", [given("meropenem", days_ago(1))], FLAGGED),
        row("given 2 days ago", [given("meropenem", days_ago(2))], SATISFIED),
        row("given some day this month", [given("meropenem", "2026-11")], CANNOT_TELL),
        row("perhaps given today", [given("meropenem", TODAY, "unknown")], CANNOT_TELL),
        row("not given", [given("meropenem", TODAY, "not-done")], SATISFIED),
        row("stopped", [ordered("meropenem", days_ago(9), "stopped")], SATISFIED),
        row("on hold", [ordered("meropenem", days_ago(9), "on-hold")], SATISFIED),
        row("in error", [ordered("meropenem", days_ago(9), "entered-in-error")], SATISFIED),
        row("of unknown status", [reported("meropenem", days_ago(1), status="unknown")], CANNOT_TELL),
        row("levofloxacin prevents too", [ordered("levofloxacin", days_ago(9))], SATISFIED),
        row("fluconazole prevents too", [ordered("fluconazole", days_ago(9))], SATISFIED),
        row(
            "so does sulfamethoxazole-trimethoprim", [ordered("sulfamethoxazole-trimethoprim", days_ago(9))], SATISFIED
        ),
        row("nothing: a fever may have other causes", [], SATISFIED),
    ],
)
def test_a_drug_that_treats_an_infection(drugs: list[Resource], expected: str) -> None:
    assert outcome(sign([fever(), *drugs], CAR_T), "R24") == expected


@pytest.mark.parametrize("drug", load_knowledge().rules["R24"].text.settings["treatments"].value)
def test_each_drug_that_treats_an_infection(drug: str) -> None:
    assert outcome(sign([fever(), ordered(drug, days_ago(1))], CAR_T), "R24") == FLAGGED


def test_such_a_drug_without_fever_says_too_little() -> None:
    assert outcome(sign([fever(37.2), MEROPENEM], CAR_T), "R24") == SATISFIED
    assert outcome(sign([MEROPENEM], CAR_T), "R24") == SATISFIED


# --- what was not read ---


@pytest.mark.parametrize("key", ["observations", "recentVitalSigns", "medicationRequests", "medicationStatements"])
def test_what_was_not_read_may_hold_an_infection_and_is_not_talked_about(key: str) -> None:
    assessment = sign([], CAR_T, without=[key])

    assert outcome(assessment, "R24") == CANNOT_TELL
    assert all("R24" not in text_of(shown) for shown in cards_of(assessment))


def test_what_was_found_stands_although_something_else_was_not_read() -> None:
    assert outcome(sign(PNEUMONIA, CAR_T, without=["observations"]), "R24") == FLAGGED


def test_a_step_up_is_told_by_what_was_given() -> None:
    assessment = sign(PNEUMONIA, draft_drug("teclistamab"), without=["medicationAdministrations"])

    assert outcome(assessment, "R24") == CANNOT_TELL


# --- the card ---


def test_a_fever_under_meropenem_when_the_infusion_is_signed() -> None:
    shown = card(sign([fever(on=f"{TODAY}T06:00:00-05:00"), MEROPENEM], CAR_T), "R24")

    assert shown["indicator"] == "critical"
    assert shown["summary"] == (
        "Possible active infection: 38.6 °C (2026-11-20) under meropenem. "
        "CAR T labels: no infusion until it has resolved."
    )
    assert "The decision is the treating clinician's." in shown["detail"]
    assert "Observation 2026-11-20" in shown["detail"]
    assert "MedicationRequest 2026-11-19" in shown["detail"]


def test_every_sign_is_named_with_its_day() -> None:
    signs = [*PNEUMONIA, result(on=days_ago(3)), fever(39.1), fever(38.2, days_ago(1)), MEROPENEM]

    said = text_of(card(sign(signs, CAR_T), "R24"))

    assert "Possible active infection: pneumonia (2026-11-20)." in said
    assert (
        "Found in the chart: pneumonia (2026-11-20), on the problem list; "
        "positive blood culture (2026-11-17), among the results; "
        "39.1 °C (2026-11-20) under meropenem, among temperatures and medication."
    ) in said


def test_the_day_that_counts_is_named() -> None:
    said = text_of(card(sign([myeloma(), entry(recorded=days_ago(30), onsetDateTime=days_ago(3))], CAR_T), "R24"))

    assert "pneumonia (2026-11-17)" in said


def test_lymphodepletion_and_infusion_share_one_card() -> None:
    shown = card(sign(PNEUMONIA, draft_drug("fludarabine"), draft_drug("ciltacabtagene autoleucel")), "R24")

    assert shown["indicator"] == "critical"
    assert "Lymphodepletion is about to be signed." in shown["detail"]
    assert "About to be signed: ciltacabtagene autoleucel." in shown["detail"]


def test_the_words_for_lymphodepletion_and_for_step_up_dosing() -> None:
    before = card(sign(PNEUMONIA, draft_drug("fludarabine")), "R24")
    step_up = card(sign(PNEUMONIA, draft_drug("elranatamab")), "R24")

    assert "CAR T labels hold the infusion until it has resolved." in before["summary"]
    assert step_up["summary"].endswith("Consider holding elranatamab until it has resolved.")
    assert "teclistamab: no step-up dosing during an active infection" in step_up["detail"]


def test_a_consult_is_offered_and_nothing_is_ordered_or_cancelled() -> None:
    shown = card(sign(PNEUMONIA, CAR_T), "R24")
    (suggestion,) = shown["suggestions"]

    assert drafts_in(shown) == ["Infectious disease consultation"]
    assert suggestion["actions"][0]["resource"]["intent"] == "proposal"
    assert not suggestion["isRecommended"]
    assert {reason["code"] for reason in shown["overrideReasons"]} == {"resolved", "wrong-data", "mdt"}

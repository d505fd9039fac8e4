"""R34: drugs with a narrow therapeutic index while step-up doses of a bispecific antibody release cytokines.

"Today" is 2026-11-20, on which a draft is signed.
"""

import pytest

from fhir_mapping.catalog.loader import load
from fhir_mapping.model.vocabulary import DrugClass
from tests.build import (
    Resource,
    card,
    condition,
    dispensed,
    draft_drug,
    draft_service,
    given,
    infusion,
    myeloma,
    ordered,
    outcome,
    procedure,
    reported,
)
from tests.rules.table import (
    CANNOT_TELL,
    CARED_FOR,
    FLAGGED,
    NOT_APPLICABLE,
    SATISFIED,
    codes_of,
    days_ago,
    drafts_in,
    row,
    select,
    sign,
    text_of,
    view,
)
from tests.rules.test_restart import ELRA, HCPCS, LINVO, TALQ, TEC, dose, draft

WARFARIN = reported("warfarin", "2025-01-01", status="active", asserted=days_ago(1))
CRS = "D89.831"


def r34(history: list[Resource], *orders: Resource) -> str:
    """Sign some drafts and give R34's outcome."""
    return outcome(sign(history, *orders), "R34")


# --- an antibody is signed ---


@pytest.mark.parametrize(
    ("history", "order", "expected"),
    [
        row("the first dose ever", [], draft(ELRA, 12, "mg"), FLAGGED),
        row("the first dose, of unknown amount", [], draft(ELRA), FLAGGED),
        row("a step-up dose", [dose(ELRA, 3, 12, "mg")], draft(ELRA, 32, "mg"), FLAGGED),
        row("a full dose 14 days after the first one", [dose(ELRA, 14, 12, "mg")], draft(ELRA, 76, "mg"), FLAGGED),
        row(
            "15 days after", [dose(ELRA, 15, 12, "mg"), dose(ELRA, 8, 76, "mg")], draft(ELRA, 76, "mg"), NOT_APPLICABLE
        ),
        row("15 days after, amount unknown", [dose(ELRA, 15), dose(ELRA, 8)], draft(ELRA), NOT_APPLICABLE),
        row("a step-up dose again", [dose(ELRA, 90), dose(ELRA, 30, 76, "mg")], draft(ELRA, 32, "mg"), FLAGGED),
        row(
            "42 days since the last dose",
            [dose(ELRA, 90), dose(ELRA, 42, 76, "mg")],
            draft(ELRA, 76, "mg"),
            NOT_APPLICABLE,
        ),
        row("43 days: it starts anew", [dose(ELRA, 90), dose(ELRA, 43, 76, "mg")], draft(ELRA, 76, "mg"), FLAGGED),
        row(
            "planned for a day past the time",
            [dose(ELRA, 14, 12, "mg")],
            draft(ELRA, 76, "mg", on="2026-11-21"),
            NOT_APPLICABLE,
        ),
        row("begun some day of this month", [dose(ELRA, "2026-11")], draft(ELRA), CANNOT_TELL),
        row(
            "a restart within a course, 14 days ago",
            [dose(ELRA, 60, 76, "mg"), dose(ELRA, 14, 12, "mg")],
            draft(ELRA, 76, "mg"),
            FLAGGED,
        ),
        row(
            "a restart within a course, 15 days ago",
            [dose(ELRA, 60, 76, "mg"), dose(ELRA, 15, 12, "mg")],
            draft(ELRA, 76, "mg"),
            NOT_APPLICABLE,
        ),
        row(
            "a restart that other records of the day tell no amount of",
            [
                dose(ELRA, 60, 76, "mg"),
                dose(ELRA, 14),
                dose(ELRA, 14, 12, "mg"),
                procedure("J1323", days_ago(14), system=HCPCS),
            ],
            draft(ELRA, 76, "mg"),
            FLAGGED,
        ),
        row(
            "step-up doses 10 days apart are one step-up",
            [dose(ELRA, 15, 12, "mg"), dose(ELRA, 5, 32, "mg")],
            draft(ELRA, 76, "mg"),
            NOT_APPLICABLE,
        ),
        row(
            "11 days apart are two", [dose(ELRA, 15, 12, "mg"), dose(ELRA, 4, 32, "mg")], draft(ELRA, 76, "mg"), FLAGGED
        ),
        row("teclistamab, 14 days", [dose(TEC, 14, 0.06)], draft(TEC, 1.5), FLAGGED),
        row("teclistamab, 15 days", [dose(TEC, 15, 0.06)], draft(TEC, 1.5), NOT_APPLICABLE),
        row("linvoseltamab, first dose", [], draft(LINVO, 5, "mg"), FLAGGED),
        row("one without a label, first dose", [], draft("cevostamab"), FLAGGED),
        row(
            "one without a label, 15 days after",
            [given("cevostamab", days_ago(15))],
            draft("cevostamab"),
            NOT_APPLICABLE,
        ),
        row(
            "talquetamab, 9 days after the first full dose",
            [dose(TALQ, 20, 0.01), dose(TALQ, 9, 0.4)],
            draft(TALQ, 0.4),
            FLAGGED,
        ),
        row(
            "talquetamab, 10 days after it",
            [dose(TALQ, 20, 0.01), dose(TALQ, 10, 0.4)],
            draft(TALQ, 0.4),
            NOT_APPLICABLE,
        ),
        row("talquetamab, no full dose yet", [dose(TALQ, 9, 0.01), dose(TALQ, 6, 0.06)], draft(TALQ, 0.4), FLAGGED),
        row("talquetamab, amounts unknown, 9 days", [dose(TALQ, 9)], draft(TALQ), FLAGGED),
        row("talquetamab, amounts unknown, 10 days", [dose(TALQ, 10)], draft(TALQ), CANNOT_TELL),
        row("another class", [], draft_drug("bortezomib"), NOT_APPLICABLE),
    ],
)
def test_step_up_beside_warfarin(history: list[Resource], order: Resource, expected: str) -> None:
    assert r34([WARFARIN, *history], order) == expected


@pytest.mark.parametrize(
    ("problem", "expected"),
    [
        row("release 14 days ago", condition(CRS, onsetDateTime=days_ago(14)), FLAGGED),
        row("15 days ago", condition(CRS, onsetDateTime=days_ago(15)), NOT_APPLICABLE),
        row("only recorded, 14 days ago", condition(CRS, days_ago(14)), FLAGGED),
        row("some day in November", condition(CRS, onsetDateTime="2026-11"), CANNOT_TELL),
        row("without a date", condition(CRS), NOT_APPLICABLE),
        row(
            "suspected",
            condition(CRS, days_ago(3), verificationStatus={"coding": [{"code": "provisional"}]}),
            NOT_APPLICABLE,
        ),
        row(
            "refuted", condition(CRS, days_ago(3), verificationStatus={"coding": [{"code": "refuted"}]}), NOT_APPLICABLE
        ),
    ],
)
def test_after_cytokine_release(problem: Resource, expected: str) -> None:
    treated = [WARFARIN, myeloma(), problem, dose(ELRA, 60, 76, "mg"), dose(ELRA, 14, 76, "mg")]

    assert r34(treated, draft(ELRA, 76, "mg")) == expected
    assert r34([*treated[1:]], draft_drug("warfarin")) == expected


def test_release_after_other_treatment_is_another_matter() -> None:
    history = [myeloma(), condition(CRS, days_ago(3)), infusion(days_ago(10))]

    assert r34(history, draft_drug("warfarin")) == NOT_APPLICABLE


# --- the drug beside it ---


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        row("warfarin on the list", WARFARIN, FLAGGED),
        row("ciclosporin", reported("ciclosporin", "2025-01-01", status="active"), FLAGGED),
        row("tacrolimus", reported("tacrolimus", "2025-01-01", status="active"), FLAGGED),
        row("sirolimus", reported("sirolimus", "2025-01-01", status="active"), FLAGGED),
        row("phenytoin", reported("phenytoin", "2025-01-01", status="active"), FLAGGED),
        row("theophylline", reported("theophylline", "2025-01-01", status="active"), FLAGGED),
        row("an order that stands", ordered("warfarin", days_ago(30)), FLAGGED),
        row("an order that was stopped", ordered("warfarin", days_ago(30), "stopped"), SATISFIED),
        row("a supply that lasts", dispensed("warfarin", days_ago(10), 30), FLAGGED),
        row("a supply that is used up", dispensed("warfarin", days_ago(40), 30), SATISFIED),
        row("a supply of unknown length", dispensed("warfarin", days_ago(10)), CANNOT_TELL),
        row("administered 7 days ago", given("tacrolimus", days_ago(7)), FLAGGED),
        row("administered 8 days ago", given("tacrolimus", days_ago(8)), SATISFIED),
        row("perhaps administered", given("tacrolimus", days_ago(7), "unknown"), CANNOT_TELL),
        row("stopped", reported("warfarin", "2025-01-01", days_ago(5), status="stopped"), SATISFIED),
        row("not taken", reported("warfarin", "2025-01-01", status="not-taken"), SATISFIED),
        row("entered in error", reported("warfarin", "2025-01-01", status="entered-in-error"), SATISFIED),
        row("of unknown status", reported("warfarin", "2025-01-01", status="unknown"), CANNOT_TELL),
        row(
            "tacrolimus ointment stays where it is put",
            reported("tacrolimus 0.1 % ointment", "2025-01-01", status="active"),
            SATISFIED,
        ),
        row(
            "ciclosporin eye drops",
            reported("ciclosporin ophthalmic emulsion", "2025-01-01", status="active"),
            SATISFIED,
        ),
        row("another anticoagulant", reported("apixaban", "2025-01-01", status="active"), SATISFIED),
    ],
)
def test_what_is_taken_beside_the_first_dose(record: Resource, expected: str) -> None:
    assert r34([record], draft(ELRA, 12, "mg")) == expected


def test_a_draft_beside_it_counts() -> None:
    answer = sign(CARED_FOR, draft(ELRA, 12, "mg"), draft_drug("tacrolimus"))

    assert outcome(answer, "R34") == FLAGGED
    assert drafts_in(card(answer, "R34")) == ["Tacrolimus level"]


# --- the drug is signed ---


@pytest.mark.parametrize(
    ("history", "order", "expected"),
    [
        row("14 days after the first dose", [dose(ELRA, 14, 12, "mg")], draft_drug("warfarin"), FLAGGED),
        row("15 days after", [dose(ELRA, 15, 12, "mg")], draft_drug("warfarin"), NOT_APPLICABLE),
        row("no antibody", [], draft_drug("warfarin"), NOT_APPLICABLE),
        row("antibody only ordered", [ordered(ELRA, days_ago(3))], draft_drug("warfarin"), NOT_APPLICABLE),
        row("begun some day of this month", [dose(ELRA, "2026-11")], draft_drug("warfarin"), CANNOT_TELL),
        row("an ointment", [dose(ELRA, 3, 12, "mg")], draft_drug("tacrolimus 0.1 % ointment"), NOT_APPLICABLE),
        row("first dose without a date", [given(ELRA, None), dose(ELRA, 3)], draft_drug("warfarin"), FLAGGED),
    ],
)
def test_the_drug_is_ordered_after_a_step_up(history: list[Resource], order: Resource, expected: str) -> None:
    assert r34(history, order) == expected


def test_it_waits_for_the_signature() -> None:
    assert outcome(select([WARFARIN], draft(ELRA, 12, "mg")), "R34") == NOT_APPLICABLE
    assert outcome(view([WARFARIN]), "R34") == NOT_APPLICABLE


def test_medication_lists_that_were_not_read_are_not_shown() -> None:
    answer = sign([], draft(ELRA, 12, "mg"), without=["medicationRequests"])

    assert outcome(answer, "R34") == CANNOT_TELL


# --- the card ---


def test_the_card_names_drugs_and_time_and_offers_the_tests() -> None:
    history = [*CARED_FOR, WARFARIN, reported("phenytoin", "2025-01-01", status="active")]
    found = card(sign(history, draft(ELRA, 12, "mg", on="2026-11-23")), "R34")

    assert found["indicator"] == "info"
    assert found["summary"] == (
        "Elranatamab step-up (from 2026-11-23 on) may raise phenytoin, warfarin levels; monitor until 2026-12-07."
    )
    assert sorted(drafts_in(found)) == ["INR", "Phenytoin level"]
    (inr,) = [s["actions"][0] for s in found["suggestions"] if s["label"] == "Draft INR"]
    assert inr["resource"]["occurrencePeriod"] == {"start": "2026-11-23", "end": "2026-12-07"}


def test_the_end_of_the_time_after_talquetamab_is_a_full_dose_to_come() -> None:
    found = card(sign([WARFARIN], draft(TALQ, 0.01)), "R34")

    assert found["summary"].endswith("monitor until 9 d after the first full dose.")
    assert found["suggestions"][0]["actions"][0]["resource"]["occurrencePeriod"] == {"start": "2026-11-20"}


def test_release_is_named_on_the_card() -> None:
    history = [WARFARIN, myeloma(), condition(CRS, onsetDateTime=days_ago(4)), dose(ELRA, 60), dose(ELRA, 14, 76, "mg")]
    found = card(sign(history, draft(ELRA, 76, "mg")), "R34")

    assert found["summary"] == "Cytokine release on 2026-11-16 may raise warfarin levels; monitor until 2026-11-30."
    assert "elranatamab" in text_of(found)


@pytest.mark.parametrize(
    ("code", "expected"),
    [row("INR is ordered", "6301-6", SATISFIED), row("another test is ordered", "2823-3", FLAGGED)],
)
def test_a_test_that_is_ordered_already(code: str, expected: str) -> None:
    test = draft_service(code, system="http://loinc.org")

    assert r34([WARFARIN], draft(ELRA, 12, "mg"), test) == expected


def test_it_stands_beside_what_else_is_said() -> None:
    assert "R34" in codes_of(sign([*CARED_FOR, WARFARIN], draft(ELRA, 12, "mg")))


def test_every_such_drug_of_the_catalogue_has_a_test_to_order() -> None:
    narrow = [drug for drug in load().drugs.values() if drug.drug_class is DrugClass.NARROW_INDEX_CYP]

    assert len(narrow) >= 6
    for drug in narrow:
        record = reported(drug.name, "2025-01-01", status="active")
        assert drafts_in(card(sign([*CARED_FOR, record], draft(ELRA, 12, "mg")), "R34")), drug.name

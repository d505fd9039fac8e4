"""R41: what is to be watched after a CAR T infusion; R42: education that was not found. "Today" is 2026-11-20."""

from typing import Any

import pytest

from tests.build import (
    SNOMED,
    Resource,
    card,
    cards_of,
    condition,
    draft_collection,
    draft_drug,
    draft_infusion,
    draft_service,
    given,
    infusion,
    myeloma,
    ordered,
    outcome,
    procedure,
)
from tests.mapping.care_builders import communication
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

TEACHING = "311401005"
CAR_T = draft_drug("ciltacabtagene autoleucel")


def taught(on: str | None, **more: Any) -> Resource:
    """Make a record of teaching."""
    return communication(sent=on, **more)


# --- R41 ---


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        row("an infusion", draft_infusion(), FLAGGED),
        row("a product", CAR_T, FLAGGED),
        row("ide-cel", draft_drug("idecabtagene vicleucel"), FLAGGED),
        row("lymphodepletion comes before it", draft_drug("fludarabine"), NOT_APPLICABLE),
        row("a collection", draft_collection(), NOT_APPLICABLE),
        row("a bispecific antibody has rules of its own", draft_drug("teclistamab"), NOT_APPLICABLE),
    ],
)
def test_whose_weeks_after_are_spoken_of(order: Resource, expected: str) -> None:
    assert outcome(sign([], order), "R41") == expected


def test_it_is_said_when_orders_are_signed() -> None:
    assert outcome(select([], CAR_T), "R41") == NOT_APPLICABLE
    assert outcome(view([]), "R41") == NOT_APPLICABLE


def test_it_is_said_whatever_was_read() -> None:
    assert outcome(sign([], CAR_T, without=["observations", "procedures", "communications"]), "R41") == FLAGGED


def test_what_is_asked_for_since_the_safety_programme_has_ended() -> None:
    signed = sign([taught(days_ago(3))], CAR_T)
    said = text_of(card(signed, "R41")) if "R41" in codes_of(signed) else text_of(cards_of(signed)[-1])

    assert "After CAR T: monitor daily ≥7 d, ≥14 d in all; 14 d near the centre, no driving for 14 d." in said


def test_nothing_that_has_ended_is_asked_for() -> None:
    history = [procedure("38225", days_ago(40)), taught(days_ago(3)), *_screened()]
    shown = [each for each in cards_of(sign(history, CAR_T)) if each["source"]["topic"]["code"] == "R41"]

    for said in map(text_of, shown):
        assert "ended on 2026" not in said
        assert "ended on 2025-06-26" in said
        for stale in ("4 weeks", "30 days", "8 weeks", "four weeks", "must"):
            assert stale not in said
        assert "suggestions" not in said


def _screened() -> list[Resource]:
    return [ordered("acyclovir", days_ago(40)), ordered("atovaquone", days_ago(40))]


# --- R42 ---


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        row("CAR T cells", CAR_T, FLAGGED),
        row("their infusion", draft_infusion(), FLAGGED),
        row("teclistamab", draft_drug("teclistamab"), FLAGGED),
        row("talquetamab", draft_drug("talquetamab"), FLAGGED),
        row("lymphodepletion", draft_drug("fludarabine"), NOT_APPLICABLE),
        row("a collection", draft_collection(), NOT_APPLICABLE),
        row("a conjugate", draft_drug("belantamab mafodotin"), NOT_APPLICABLE),
    ],
)
def test_before_what_patients_are_to_be_taught(order: Resource, expected: str) -> None:
    assert outcome(sign([], order), "R42") == expected


@pytest.mark.parametrize(
    ("history", "order", "expected"),
    [
        row(
            "teclistamab was given last week",
            [given("teclistamab", days_ago(7))],
            draft_drug("teclistamab"),
            NOT_APPLICABLE,
        ),
        row("and years ago", [given("teclistamab", "2023")], draft_drug("teclistamab"), NOT_APPLICABLE),
        row("another one was", [given("talquetamab", days_ago(7))], draft_drug("teclistamab"), FLAGGED),
        row("perhaps given", [given("teclistamab", days_ago(7), "unknown")], draft_drug("teclistamab"), CANNOT_TELL),
        row("ordered before", [ordered("teclistamab", days_ago(7))], draft_drug("teclistamab"), CANNOT_TELL),
        row("not given", [given("teclistamab", days_ago(7), "not-done")], draft_drug("teclistamab"), FLAGGED),
        row("cells were infused", [infusion("2023-05-04")], CAR_T, NOT_APPLICABLE),
        row("cells were infused on an unknown day", [myeloma(), condition("Z92.850")], CAR_T, NOT_APPLICABLE),
        row("perhaps infused", [infusion("2023-05-04", status="unknown")], CAR_T, CANNOT_TELL),
        row("not infused", [infusion("2023-05-04", status="not-done")], CAR_T, FLAGGED),
        row("a bispecific antibody before cells", [given("teclistamab", "2026-01-05")], CAR_T, FLAGGED),
    ],
)
def test_it_asks_before_the_first_one(history: list[Resource], order: Resource, expected: str) -> None:
    assert outcome(sign(history, order), "R42") == expected


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("taught today", [taught(days_ago(0))], SATISFIED),
        row("30 days ago: the last day", [taught(days_ago(30))], SATISFIED),
        row("31 days ago", [taught(days_ago(31))], FLAGGED),
        row("some day in November", [taught("2026-11")], SATISFIED),
        row("some day in October, 20 to 50 days ago", [taught("2026-10")], CANNOT_TELL),
        row("some day in September", [taught("2026-09")], FLAGGED),
        row("without a date", [taught(None)], CANNOT_TELL),
        row("not done", [taught(days_ago(3), status="not-done")], FLAGGED),
        row("in error", [taught(days_ago(3), status="entered-in-error")], FLAGGED),
        row("as a procedure", [procedure(TEACHING, days_ago(3), system=SNOMED)], SATISFIED),
        row("a procedure, some day in October", [procedure(TEACHING, "2026-10", system=SNOMED)], CANNOT_TELL),
        row("a procedure that was begun", [procedure(TEACHING, days_ago(3), "in-progress", system=SNOMED)], FLAGGED),
        row("a procedure that was not done", [procedure(TEACHING, days_ago(3), "not-done", system=SNOMED)], FLAGGED),
        row("nothing on record", [], FLAGGED),
    ],
)
def test_what_counts_as_teaching(history: list[Resource], expected: str) -> None:
    assert outcome(sign(history, CAR_T), "R42") == expected


def test_teaching_that_is_being_ordered_is_enough() -> None:
    ordered_now = draft_service(TEACHING, system=SNOMED)

    assert outcome(sign([], CAR_T, ordered_now), "R42") == SATISFIED
    assert outcome(sign([], CAR_T, draft_service("225967005", system=SNOMED)), "R42") == SATISFIED


@pytest.mark.parametrize(
    ("key", "order"),
    [
        row("communications", "communications", CAR_T),
        row("procedures, for the infusions", "procedures", CAR_T),
        row("doses, for the first one", "medicationAdministrations", draft_drug("teclistamab")),
    ],
)
def test_what_was_not_read_leaves_it_open(key: str, order: Resource) -> None:
    assert outcome(sign([], order, without=[key]), "R42") == CANNOT_TELL


def test_it_is_asked_when_orders_are_signed() -> None:
    assert outcome(select([], CAR_T), "R42") == NOT_APPLICABLE
    assert outcome(view([]), "R42") == NOT_APPLICABLE


def test_the_card_offers_instructions_for_patient_and_family() -> None:
    shown = card(sign([], draft_drug("talquetamab")), "R42")
    (draft,) = drafts_in(shown)

    assert shown["indicator"] == "info"
    assert shown["summary"] == (
        "No patient education found in 30 d: when to call for fever, confusion, handwriting change."
    )
    assert "call at once for fever, confusion, trouble speaking, a change of handwriting, or diarrhoea" in draft
    assert "About to be signed for the first time: talquetamab" in shown["detail"]


@pytest.mark.parametrize(
    ("order", "has_card"),
    [
        row("teclistamab", draft_drug("teclistamab"), True),
        row("another bispecific antibody", draft_drug("elranatamab"), False),
        row("cells", CAR_T, False),
        row("an infusion that names no product", draft_infusion(), False),
    ],
)
def test_the_wallet_card_is_spoken_of_where_there_is_one(order: Resource, has_card: bool) -> None:
    shown = card(sign(CARED_FOR, order), "R42")
    (draft,) = drafts_in(shown)

    assert shown["summary"].endswith("handwriting change; wallet card." if has_card else "handwriting change.")
    assert ("carry the wallet card" in draft) is has_card

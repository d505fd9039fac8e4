"""The gates in front of every rule: myeloma, a watched order, an adult, and more than comfort care.

Most rows ask about CAR T cells given 200 days ago without prophylaxis, on which R15 and R16 speak when the gates are
open. "Today" is 2026-11-20.
"""

from typing import Any

import pytest

from cards.finding import Hook
from tests.build import (
    ICD10CM,
    LOINC,
    SNOMED,
    Resource,
    ask,
    bundle,
    card,
    chart,
    coded,
    condition,
    draft_collection,
    draft_drug,
    draft_infusion,
    draft_service,
    given,
    hook_request,
    infusion,
    myeloma,
    outcome,
    patient,
    progression,
    reported,
)
from tests.rules.table import FLAGGED, NOT_APPLICABLE, PREFERENCES, codes_besides_care, row, select, sign, view

CELLS = infusion("2026-05-04")
OPEN: list[str] = ["R15", "R16"]
CLOSED: list[str] = []


def status(**codes: str) -> dict[str, Any]:
    """Make the status members of a problem."""
    return {key: {"coding": [{"code": code}]} for key, code in codes.items()}


@pytest.mark.parametrize(
    ("problems", "expected"),
    [
        row("myeloma", [condition("C90.00")], OPEN),
        row("myeloma in remission", [condition("C90.01")], OPEN),
        row("myeloma in relapse", [condition("C90.02")], OPEN),
        row("the code without its dot", [condition("C9001")], OPEN),
        row("SNOMED CT", [condition("x") | {"code": coded(SNOMED, "109989006")}], OPEN),
        row("in words", [condition("x") | {"code": {"text": "IgG kappa multiple myeloma, ISS II"}}], OPEN),
        row("listed as inactive", [condition("C90.00", **status(clinicalStatus="inactive"))], OPEN),
        row("listed as resolved", [condition("C90.01", **status(clinicalStatus="resolved"))], OPEN),
        row("recurrence", [condition("C90.00", **status(clinicalStatus="recurrence"))], OPEN),
        row("confirmed", [condition("C90.00", **status(verificationStatus="confirmed"))], OPEN),
        row("lymphoma beside it", [condition("C83.30"), condition("C90.00")], OPEN),
        row(
            "a refuted entry beside it", [condition("C90.00", **status(verificationStatus="refuted")), myeloma()], OPEN
        ),
        row("large B-cell lymphoma alone", [condition("C83.30")], CLOSED),
        row("MGUS alone", [condition("D47.2")], CLOSED),
        row("solitary plasmacytoma alone", [condition("C90.30")], CLOSED),
        row("plasma cell leukaemia alone", [condition("C90.10")], CLOSED),
        row("AL amyloidosis alone", [condition("E85.81")], CLOSED),
        row(
            "smouldering myeloma in words", [condition("x") | {"code": {"text": "Smoldering multiple myeloma"}}], CLOSED
        ),
        row("in the family", [condition("x") | {"code": {"text": "Family history of multiple myeloma"}}], CLOSED),
        row("refuted", [condition("C90.00", **status(verificationStatus="refuted"))], CLOSED),
        row("entered in error", [condition("C90.00", **status(verificationStatus="entered-in-error"))], CLOSED),
    ],
)
def test_myeloma(problems: list[Resource], expected: list[str]) -> None:
    assert codes_besides_care(view([*problems, CELLS])) == expected
    assert codes_besides_care(select([*problems, CELLS], draft_drug("daratumumab"))) == expected


@pytest.mark.parametrize(
    "order",
    [
        row("glofitamab", draft_drug("glofitamab")),
        row("immune globulin", draft_drug("IVIG")),
        row("CAR T product", draft_drug("ciltacabtagene autoleucel")),
        row("collection", draft_collection()),
        row("teclistamab, a myeloma drug", draft_drug("teclistamab")),
    ],
)
@pytest.mark.parametrize(
    "problem",
    [
        row("lymphoma", condition("C83.30")),
        row("MGUS", condition("D47.2")),
        row("refuted myeloma", condition("C90.00", **status(verificationStatus="refuted"))),
    ],
)
def test_another_disease_gets_no_card_whatever_is_ordered(problem: Resource, order: Resource) -> None:
    history = [problem, given("teclistamab", "2026-11-01")]

    assert codes_besides_care(sign(history, order)) == []
    assert codes_besides_care(select(history, order)) == []


ENGAGERS = [
    row("bispecific", draft_drug("teclistamab")),
    row("GPRC5D bispecific", draft_drug("talquetamab")),
    row("conjugate", draft_drug("belantamab mafodotin")),
    row("CAR T product", draft_drug("ciltacabtagene autoleucel")),
    row("CAR T infusion", draft_infusion()),
    row("T-cell collection", draft_collection()),
    row("lymphodepletion", draft_drug("fludarabine")),
]
OTHERS = [
    row("lenalidomide", draft_drug("lenalidomide")),
    row("daratumumab", draft_drug("daratumumab")),
    row("acyclovir", draft_drug("acyclovir")),
    row("immune globulin", draft_drug("IVIG")),
    row("metformin", draft_drug("metformin")),
]
SUSPECTED = bundle([condition("C90.00", **status(verificationStatus="provisional"))])
REFUSED = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "forbidden"}]}
IN_DOUBT = [
    row("empty problem list", {"conditions": bundle([])}, "any entry in the problem list (it is empty"),
    row("no problem on record", {"conditions": None}, "any entry in the problem list (it is empty"),
    row("problem list unread", {"without": ["conditions"]}, "the problem list, to see whether this is myeloma"),
    row(
        "access to the problem list refused",
        {"conditions": REFUSED},
        "the problem list, to see whether this is myeloma",
    ),
    row("suspected myeloma", {"conditions": SUSPECTED}, "whether the myeloma diagnosis is confirmed"),
    row(
        "a differential diagnosis",
        {"conditions": bundle([condition("C90.00", **status(verificationStatus="differential"))])},
        "whether the myeloma diagnosis is confirmed",
    ),
]
RECENT = [given("teclistamab", "2026-07-20"), progression("2026-07-25")]


@pytest.mark.parametrize("order", ENGAGERS)
@pytest.mark.parametrize(("raw", "missing"), IN_DOUBT)
def test_a_diagnosis_in_doubt_is_one_card_without_guesses_beside_an_engager(
    raw: dict[str, Any], missing: str, order: Resource
) -> None:
    """Even where the chart would let R01 or R05 speak, nothing is said but what is missing."""
    for hook in (Hook.ORDER_SELECT, Hook.ORDER_SIGN):
        assessment = ask(hook_request(hook, chart(*RECENT, **raw), [order]))

        assert codes_besides_care(assessment) == ["R00"]
        shown = card(assessment, "R00")
        assert missing in shown["detail"]
        assert "suggestions" not in shown


@pytest.mark.parametrize("order", OTHERS)
@pytest.mark.parametrize(("raw", "missing"), IN_DOUBT)
def test_a_diagnosis_in_doubt_is_silent_beside_other_orders(raw: dict[str, Any], missing: str, order: Resource) -> None:
    for hook in (Hook.ORDER_SELECT, Hook.ORDER_SIGN):
        assert codes_besides_care(ask(hook_request(hook, chart(*RECENT, **raw), [order]))) == [], missing


@pytest.mark.parametrize(
    ("history", "raw", "expected"),
    [
        row("problem list unread, CAR T cells on record", [CELLS], {"without": ["conditions"]}, ["R00"]),
        row(
            "problem list unread, teclistamab on record",
            [given("teclistamab", "2026-11-01")],
            {"without": ["conditions"]},
            ["R00"],
        ),
        row(
            "problem list unread, bortezomib on record",
            [given("bortezomib", "2026-11-01")],
            {"without": ["conditions"]},
            [],
        ),
        row("problem list empty", [CELLS], {"conditions": bundle([])}, []),
        row("suspected", [CELLS], {"conditions": SUSPECTED}, []),
    ],
)
def test_opening_the_chart_with_a_diagnosis_in_doubt(
    history: list[Resource], raw: dict[str, Any], expected: list[str]
) -> None:
    assert codes_besides_care(view(history, **raw)) == expected


def test_a_problem_list_in_part_that_shows_myeloma_opens_the_gate_and_is_named() -> None:
    in_part = bundle([myeloma()]) | {"link": [{"relation": "next", "url": "https://ehr.example/next"}]}

    assessment = select([given("teclistamab", "2026-11-05")], draft_collection(), conditions=in_part)

    assert codes_besides_care(assessment) == ["R01", "R00"]
    assert "Not read, or only in part: problem list" in card(assessment, "R00")["detail"]


def test_a_refuted_entry_does_not_empty_the_problem_list() -> None:
    refuted = condition("C90.00", **status(verificationStatus="refuted"))

    assert codes_besides_care(select([refuted], draft_drug("teclistamab"))) == []


@pytest.mark.parametrize(
    ("order", "watched"),
    [
        row("proteasome inhibitor", draft_drug("bortezomib"), True),
        row("steroid", draft_drug("dexamethasone"), True),
        row("acyclovir", draft_drug("acyclovir topical cream"), True),
        row("letermovir is another rule's drug", draft_drug("letermovir"), False),
        row("immune globulin", draft_drug("IVIG"), True),
        row("growth factor", draft_drug("filgrastim"), True),
        row("hepatitis B antiviral", draft_drug("entecavir"), True),
        row("hepatitis B serology", draft_service("5196-1", system=LOINC), True),
        row("T-cell collection", draft_collection(), True),
        row("metformin", draft_drug("metformin"), False),
        row("glucose", draft_service("2345-7", system=LOINC), False),
        row("bispecific for lymphoma", draft_drug("epcoritamab"), False),
        row("stem cell collection", draft_service("38206"), False),
        row("a cancelled draft", draft_drug("bortezomib") | {"status": "cancelled"}, False),
        row("a request not to give it", draft_drug("bortezomib", doNotPerform=True), False),
    ],
)
def test_only_a_watched_order_makes_the_chart_worth_reading(order: Resource, watched: bool) -> None:
    for answer in (select, sign):
        assessment = answer([CELLS], order)
        assert bool(assessment.rules) == watched
        assert codes_besides_care(assessment) == (OPEN if watched else [])


def test_an_unwatched_order_is_answered_without_a_chart() -> None:
    assert ask(hook_request(Hook.ORDER_SIGN, None, [draft_drug("metformin")])).cards == ()
    assert ask(hook_request(Hook.ORDER_SELECT, {}, [draft_drug("metformin")])).cards == ()


def test_no_order_at_all_is_silent() -> None:
    assert ask(hook_request(Hook.ORDER_SIGN, chart(CELLS), [])).cards == ()


# --- adult, alive, and treated for more than comfort ---


@pytest.mark.parametrize(
    ("person", "expected"),
    [
        row("18 today", patient("2008-11-20"), OPEN),
        row("18 tomorrow", patient("2008-11-21"), CLOSED),
        row("19 today", patient("2007-11-20"), OPEN),
        row("17 today", patient("2009-11-20"), CLOSED),
        row("born some day in 2008: may be of age", patient("2008"), OPEN),
        row("born some day in November 2008: may be of age", patient("2008-11"), OPEN),
        row("born some day in December 2008: certainly not of age", patient("2008-12"), CLOSED),
        row("a birth date is not given", patient(None), OPEN),
        row("deceased", patient(deceasedBoolean=True), CLOSED),
        row("deceased on a day", patient(deceasedDateTime="2026-11-01"), CLOSED),
        row("not deceased", patient(deceasedBoolean=False), OPEN),
    ],
)
def test_person(person: Resource, expected: list[str]) -> None:
    assert codes_besides_care(view([person, CELLS])) == expected
    assert codes_besides_care(select([person, CELLS], draft_drug("daratumumab"))) == expected


def test_a_person_who_could_not_be_read_is_judged_as_adult_and_that_is_said() -> None:
    assessment = view([CELLS], without=["patient"])

    assert codes_besides_care(assessment) == ["R15", "R16", "R00"]
    assert "Not read, or only in part: patient" in card(assessment, "R00")["detail"]


@pytest.mark.parametrize(
    ("problem", "expected"),
    [
        row("hospice", {"text": "Enrolled in hospice"}, CLOSED),
        row("comfort measures", {"text": "Comfort measures only"}, CLOSED),
        row("declined", {"text": "No hospice"}, OPEN),
        row("palliative care is not the end of treatment", coded(ICD10CM, "Z51.5", "Palliative care"), OPEN),
    ],
)
def test_comfort_care(problem: dict[str, Any], expected: list[str]) -> None:
    entry = condition("x") | {"code": problem}

    assert codes_besides_care(view([myeloma(), entry, CELLS])) == expected


def test_hospice_that_is_over_closes_nothing() -> None:
    entry = condition("x", **status(clinicalStatus="resolved")) | {"code": {"text": "Hospice"}}

    assert codes_besides_care(view([myeloma(), entry, CELLS])) == OPEN


def test_behind_a_closed_gate_no_rule_applies() -> None:
    assessment = view([patient("2010-01-01"), CELLS])

    assert all(found == (NOT_APPLICABLE,) for found in assessment.rules.values())


# --- which orders are judged ---


def test_on_select_only_the_selected_order_is_judged() -> None:
    history = [given("teclistamab", "2026-11-05")]
    cells, other = draft_drug("ciltacabtagene autoleucel"), draft_drug("lenalidomide")

    assert outcome(select(history, cells, beside=[other]), "R01") == FLAGGED
    assert outcome(select(history, other, beside=[cells]), "R01") == NOT_APPLICABLE
    assert outcome(sign(history, other, cells), "R01") == FLAGGED


def test_on_select_an_unwatched_selection_is_silent_whatever_lies_beside_it() -> None:
    history = [given("teclistamab", "2026-11-05")]

    assert codes_besides_care(select(history, draft_drug("metformin"), beside=[draft_drug("cilta-cel")])) == []


def test_each_order_of_a_signing_is_judged_on_its_own() -> None:
    history = [
        reported("teclistamab", "2025-11-03", "2026-03-01"),
        progression("2026-03-31"),
        reported("acyclovir", status="active"),
        reported("dapsone", status="active"),
    ]

    assessment = sign(history, draft_drug("elranatamab"), draft_drug("belantamab mafodotin"))

    assert assessment.rules["R05"] == ("flagged", "satisfied")
    assert codes_besides_care(assessment, besides=PREFERENCES) == ["R05"]

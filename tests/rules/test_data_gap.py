"""R00: the one card that says what could not be checked; nobody can override it, and it is shown last.

"Today" is 2026-11-20.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from cards.finding import Conclusion, Hook
from cds_service.assess import Assessment, assess
from tests.build import (
    ALL_KEYS,
    Resource,
    ask,
    assessor,
    bundle,
    card,
    chart,
    coded,
    condition,
    draft_collection,
    draft_drug,
    draft_infusion,
    given,
    hook_request,
    infusion,
    lab,
    myeloma,
    ordered,
    outcome,
    procedure,
    progression,
    reported,
)
from tests.rules.table import (
    CANNOT_TELL,
    FLAGGED,
    PREFERENCES,
    PROTECTED,
    SATISFIED,
    codes_besides_care,
    row,
    select,
    sign,
    view,
)

CELLS = infusion("2026-05-04")
TECLISTAMAB = given("teclistamab", "2026-11-05")


def spoken_for(assessment: Assessment) -> dict[str, str]:
    """Give rule and outcome of everything that the data-gap card speaks for."""
    return {each["id"]: each["outcome"] for each in card(assessment, "R00")["extension"]["mmcds.rules"]}


# --- when it appears, and when not ---


@pytest.mark.parametrize(
    ("history", "orders", "expected"),
    [
        row("everything read, nothing found", [], [draft_collection()], []),
        row("one rule undecided", [given("teclistamab", "2026-05")], [draft_collection()], ["R01"]),
        row("another one undecided", [infusion("2026-03-01"), *PROTECTED], [draft_drug("elranatamab")], ["R05"]),
        row(
            "two rules undecided are one card",
            [given("teclistamab", "2026-05")],
            [draft_drug("ciltacabtagene autoleucel"), draft_drug("acyclovir"), draft_drug("dapsone")],
            ["R01", "R05"],
        ),
        row(
            "two orders, one rule: named once",
            [given("teclistamab", "2026-05")],
            [draft_collection(), draft_drug("fludarabine"), draft_drug("acyclovir"), draft_drug("dapsone")],
            ["R01"],
        ),
        row(
            "cells without a date",
            [myeloma(), condition("Z92.850")],
            [draft_drug("lenalidomide")],
            ["R15", "R16"],
        ),
    ],
)
def test_undecided_rules(history: list[Resource], orders: list[Resource], expected: list[str]) -> None:
    assessment = sign(history, *orders)

    if not expected:
        assert codes_besides_care(assessment, besides=PREFERENCES) == []
        return
    assert codes_besides_care(assessment, besides=PREFERENCES) == ["R00"]
    assert spoken_for(assessment) == dict.fromkeys(expected, "cannot_tell")


def test_a_decided_rule_is_shown_above_the_gap() -> None:
    assessment = view([infusion("2026-10"), procedure("38225", "2026-09-01")])

    assert codes_besides_care(assessment) == ["R15", "R00"]
    assert spoken_for(assessment) == {"R16": "cannot_tell"}


def test_a_flagged_rule_with_something_unread_is_named_as_flagged() -> None:
    assessment = sign([TECLISTAMAB], draft_collection(), without=["medicationStatements"])

    assert codes_besides_care(assessment) == ["R01", "R00"]
    assert spoken_for(assessment)["R01"] == "flagged"


@pytest.mark.parametrize(
    ("history", "orders", "says"),
    [
        row(
            "which interval",
            [given("teclistamab", "2026-05")],
            [draft_collection()],
            "an exact date of the last dose of teclistamab",
        ),
        row(
            "which dose", [given("teclistamab", None)], [draft_collection()], "the date of the last dose of teclistamab"
        ),
        row(
            "which order",
            [ordered("elranatamab", "2026-10-01")],
            [draft_collection()],
            "whether elranatamab was given at all",
        ),
        row("which progression", [TECLISTAMAB], [draft_drug("elranatamab")], "progressed on or after teclistamab"),
        row(
            "which product",
            [infusion("2026-03-01", None)],
            [draft_drug("elranatamab")],
            "which CAR T product was infused",
        ),
        row("which infusion", [infusion(None)], [draft_drug("lenalidomide")], "the date of the CAR T infusion"),
        row(
            "whether infused",
            [infusion("2026-05-04", status="unknown")],
            [draft_drug("lenalidomide")],
            "whether and when the ordered CAR T cells were infused",
        ),
        row(
            "whether taken",
            [CELLS, reported("acyclovir", status="unknown")],
            [draft_drug("lenalidomide")],
            "whether the listed antiviral is being taken",
        ),
        row(
            "whether taken",
            [CELLS, reported("dapsone", status="unknown")],
            [draft_drug("lenalidomide")],
            "whether the listed Pneumocystis prophylaxis is being taken",
        ),
    ],
)
def test_the_missing_fact_is_named(history: list[Resource], orders: list[Resource], says: str) -> None:
    shown = card(select(history, *orders), "R00")

    assert says in shown["detail"]
    assert "No conclusion was drawn from what is missing." in shown["detail"]


def test_the_records_that_left_the_question_open_are_named() -> None:
    shown = card(select([given("teclistamab", "2026-05")], draft_collection()), "R00")

    assert "MedicationAdministration some day in May 2026" in shown["detail"]


def test_the_card_cannot_be_overridden_and_offers_nothing() -> None:
    shown = card(sign([given("teclistamab", "2026-05")], draft_collection()), "R00")

    assert "overrideReasons" not in shown
    assert "suggestions" not in shown
    assert "selectionBehavior" not in shown
    assert shown["indicator"] == "info"
    assert shown["source"]["topic"] == {"system": "urn:mmcds:rules", "code": "R00", "display": "could-not-check"}


def test_one_title_stands_in_the_summary_and_many_are_counted() -> None:
    one = card(sign([given("teclistamab", "2026-05")], draft_collection()), "R00")
    many = card(view([infusion(None)]), "R00")

    assert one["summary"] == "Could not check: BCMA bispecific shortly before CAR T-cell collection."
    assert len(many["summary"]) <= 139
    assert "Antiviral prophylaxis after CAR T cells (R15)" in many["detail"]
    assert "Pneumocystis prophylaxis after CAR T cells (R16)" in many["detail"]


# --- what was not read ---

ERROR = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "forbidden"}]}
CUT_SHORT = bundle([]) | {"link": [{"relation": "next", "url": "https://ehr.example/next"}]}
SOMEONE_ELSES = bundle([given("teclistamab", "2026-11-05", subject={"reference": "Patient/synthetic-2"})])
BROKEN = bundle([]) | {"entry": [{"resource": {"resourceType": "MedicationAdministration", "status": 7}}]}
WRONG_TYPE = "no Bundle at all"


@pytest.mark.parametrize(
    "answer",
    [
        row("an error", ERROR),
        row("more pages than were sent", CUT_SHORT),
        row("another patient's data", SOMEONE_ELSES),
        row("an entry that cannot be read", BROKEN),
        row("no resource at all", WRONG_TYPE),
    ],
)
def test_a_list_that_was_not_read_to_its_end_is_named(answer: object) -> None:
    assessment = sign([], draft_collection(), medicationAdministrations=answer)

    assert outcome(assessment, "R01") == CANNOT_TELL
    assert codes_besides_care(assessment) == ["R00"]
    assert "medication administrations" in card(assessment, "R00")["detail"]


@pytest.mark.parametrize(
    ("key", "named", "rules"),
    [
        row("statements", "medicationStatements", "medication statements", {"R01", "R15", "R16"}),
        row("orders", "medicationRequests", "medication orders", {"R01"}),
        row("administrations", "medicationAdministrations", "medication administrations", {"R01", "R15", "R16"}),
        row("procedures", "procedures", "procedures", {"R15", "R16"}),
    ],
)
def test_the_list_that_is_missing_is_named(key: str, named: str, rules: set[str]) -> None:
    assessment = sign([], draft_collection(), without=[key])

    assert named in card(assessment, "R00")["detail"]
    assert {rule for rule, answer in spoken_for(assessment).items() if answer == "cannot_tell"} >= rules


def test_what_no_answer_rests_on_may_be_unread() -> None:
    assert codes_besides_care(sign([], draft_collection(), without=["observations", "allergies"])) == []


def test_a_missing_list_behind_a_satisfied_rule_is_no_news() -> None:
    assert (
        codes_besides_care(view([CELLS, *PROTECTED], without=["medicationRequests", "observations", "allergies"])) == []
    )


def test_empty_medication_lists_prove_nothing() -> None:
    assessment = sign([], draft_collection(), medicationStatements=None)

    assert outcome(assessment, "R01") == CANNOT_TELL
    assert "The medication list was read and is empty, which proves nothing" in card(assessment, "R00")["detail"]


@pytest.mark.parametrize("absent", [row("null", None), row("no entries", bundle([]))])
def test_one_empty_list_among_others_is_an_answer(absent: object) -> None:
    assessment = sign([], draft_collection(), medicationAdministrations=absent)

    assert outcome(assessment, "R01") == SATISFIED
    assert codes_besides_care(assessment) == []


def test_the_patient_unread_is_said_even_where_every_rule_is_decided() -> None:
    assessment = sign([TECLISTAMAB], draft_collection(), without=["patient"])

    assert codes_besides_care(assessment) == ["R01", "R00"]
    assert "patient" in card(assessment, "R00")["detail"]


def test_every_list_but_one_unread_still_gives_what_that_one_shows() -> None:
    keys = [key for key in ALL_KEYS if key not in {"conditions", "medicationAdministrations", "patient"}]

    assessment = sign([TECLISTAMAB], draft_collection(), without=keys)

    assert outcome(assessment, "R01") == FLAGGED
    assert codes_besides_care(assessment) == ["R01", "R00"]


# --- what was not recognised ---


def test_treatment_that_nobody_knows_is_shown_as_the_chart_writes_it() -> None:
    unknown = given("XYZ*utamab", "2026-10-01") | {"medicationCodeableConcept": {"text": "xyz*utamab <b>"}}

    assessment = sign([unknown], draft_collection())

    shown = card(assessment, "R00")
    assert "Not recognised as any known drug" in shown["detail"]
    assert r"xyz\*utamab \<b\> (MedicationAdministration)" in shown["detail"]
    assert spoken_for(assessment) == {"R01": "cannot_tell"}


@pytest.mark.parametrize(
    ("concept", "is_hidden"),
    [
        row("an unclassified oncology code", coded("urn:oid:2.16.840.1.113883.6.285", "J9999"), True),
        row("an antineoplastic by its class", coded("http://www.whocc.no/atc", "L01XX99"), True),
        row("a name that ends like an antibody", {"text": "xyzutamab"}, True),
        row("cells", {"text": "xyz-cel"}, True),
        row("a study", {"text": "Study drug 12"}, True),
        row("neither code nor text", {}, True),
        row("an antibody for asthma", {"text": "omalizumab"}, False),
        row(
            "a drug of the public system that we do not list",
            coded("http://www.nlm.nih.gov/research/umls/rxnorm", "161"),
            False,
        ),
        row("plain text without a sign of treatment", {"text": "vitamin D"}, False),
    ],
)
def test_what_may_be_treatment(concept: dict[str, Any], is_hidden: bool) -> None:
    history = [given("x", "2026-10-01") | {"medicationCodeableConcept": concept}]

    assert outcome(sign(history, draft_collection()), "R01") == (CANNOT_TELL if is_hidden else SATISFIED)


def test_unknown_treatment_does_not_hide_a_finding() -> None:
    assessment = sign([TECLISTAMAB, given("xyzutamab", "2026-10-01")], draft_collection())

    assert codes_besides_care(assessment) == ["R01"]


def test_an_order_that_nobody_knows_is_named() -> None:
    assessment = sign([], draft_drug("xyzutamab"))

    shown = card(assessment, "R00")
    assert codes_besides_care(assessment) == ["R00"]
    assert "xyzutamab (draft order)" in shown["detail"]
    assert set(spoken_for(assessment).values()) == {"cannot_tell"}


def test_an_order_that_cannot_be_read_is_named() -> None:
    assessment = sign([], draft_drug("lenalidomide") | {"medicationCodeableConcept": 7})

    assert codes_besides_care(assessment) == ["R00"]
    assert "no name given (draft order)" in card(assessment, "R00")["detail"]


def test_an_order_about_someone_else_is_not_judged_and_that_is_said() -> None:
    other = draft_drug("ciltacabtagene autoleucel", subject={"reference": "Patient/synthetic-2"})

    assessment = sign([TECLISTAMAB], other)

    assert codes_besides_care(assessment) == ["R00"]
    assert "about another patient; it was not judged" in card(assessment, "R00")["detail"]


def test_an_order_about_someone_else_does_not_hide_what_ours_shows() -> None:
    other = draft_drug("lenalidomide", subject={"reference": "Patient/synthetic-2"})

    assert codes_besides_care(sign([TECLISTAMAB], draft_collection(), other)) == ["R01", "R00"]


# --- a rule that fails ---


def with_crash(rule: str, request: Mapping[str, Any]) -> Assessment:
    """Answer a request while one rule has a bug."""

    def crash(*_: object) -> Conclusion:
        raise ZeroDivisionError

    shipped = assessor()
    active = shipped.knowledge.rules[rule]
    is_about_orders = active.rule.judge_order is not None
    crashing: dict[str, Any] = {"judge_order" if is_about_orders else "judge_patient": crash}
    broken = replace(active.rule, **crashing)
    rules = {**shipped.knowledge.rules, rule: replace(active, rule=broken)}
    faulty = replace(shipped, knowledge=replace(shipped.knowledge, rules=rules))
    return assess(msgspec.json.encode(request), Hook(request["hook"]), faulty)


@pytest.mark.parametrize(
    ("rule", "others"),
    [
        row("washout", "R01", ["R05", "R15", "R16"]),
        row("antigen switch", "R05", ["R01", "R15", "R16"]),
        row("antivirals", "R15", ["R05", "R16"]),
        row("Pneumocystis", "R16", ["R05", "R15"]),
        row("a rule whose doubts are never shown", "R07", ["R05", "R15", "R16"]),
    ],
)
def test_one_crashing_rule_costs_no_other_card(rule: str, others: list[str]) -> None:
    history = [TECLISTAMAB, progression("2026-11-10")]
    request = hook_request(Hook.ORDER_SIGN, chart(*history), [draft_drug("ciltacabtagene autoleucel")])

    assessment = with_crash(rule, request)

    assert codes_besides_care(assessment, besides=PREFERENCES) == [*others, "R00"]
    assert outcome(assessment, rule) == "failed"
    assert assessment.faults == (f"{rule}: ZeroDivisionError",)
    assert spoken_for(assessment) == {rule: "cannot_tell"}
    shown = card(assessment, "R00")
    assert f"({rule}): missing an answer (an internal fault" in shown["detail"]
    assert "ZeroDivisionError" not in shown["detail"]


def test_a_crash_of_the_only_rule_is_no_silence() -> None:
    assessment = with_crash("R15", hook_request(Hook.PATIENT_VIEW, chart(*PROTECTED)))

    assert codes_besides_care(assessment) == ["R00"]


def test_results_do_not_depend_on_the_order_of_the_chart() -> None:
    history = [TECLISTAMAB, progression("2026-11-10"), CELLS, lab("24467-3", 100, "/uL", "2026-11-01")]
    forward = hook_request(Hook.ORDER_SIGN, chart(*history), [draft_infusion()])
    backward = hook_request(Hook.ORDER_SIGN, chart(*reversed(history)), [draft_infusion()])

    assert ask(forward).rules == ask(backward).rules

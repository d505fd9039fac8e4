"""R00 in five seconds: each missing fact once, with the rules it holds up, and a summary that counts what is named.

"Today" is 2026-11-20.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from cards.card import SUMMARY_LIMIT, Card
from cards.compose import GapPlan
from cards.evaluate import Result
from cards.finding import Missing, cannot_tell
from cards.gap_card import gap_card
from fhir_mapping.model.coverage import Coverage, Level, TopicCoverage
from fhir_mapping.model.orders import OrderKind, ProposedOrder
from fhir_mapping.model.vocabulary import ChartText, Topic
from tests.build import (
    ALL_KEYS,
    Resource,
    assessor,
    bundle,
    card,
    condition,
    draft_collection,
    draft_drug,
    given,
    infusion,
    progression,
)
from tests.rules.made_up import HISTORY, MadeUp
from tests.rules.table import row, select, sign, view

TECLISTAMAB = given("teclistamab", "2026-11-05")
SOME_DAY_IN_MAY = given("teclistamab", "2026-05")
UNKNOWN = given("xyzutamab", "2026-10-01")
UNKNOWN_ORDER = draft_drug("xyzutamab")
FOREIGN_ORDER = draft_drug("ciltacabtagene autoleucel", subject={"reference": "Patient/synthetic-2"})
ELRANATAMAB = draft_drug("elranatamab")
SUSPECTED = bundle([condition("C90.00", verificationStatus={"coding": [{"code": "provisional"}]})])
EVERY_LIST = [key for key in ALL_KEYS if key not in {"patient", "conditions"}]
MEDICATION_LISTS = ["medicationStatements", "medicationRequests", "medicationAdministrations"]

R31 = "Bispecific antibody after a gap (R31)"
R01 = "BCMA bispecific shortly before CAR T-cell collection (R01)"
R05 = "BCMA-directed therapy again after progression on it (R05)"
R09 = "BCMA-directed drug while BCMA CAR T cells are being prepared (R09)"
R14 = "Another T-cell engager may still be running (R14)"
R15 = "Antiviral prophylaxis after CAR T cells (R15)"
R16 = "Pneumocystis prophylaxis after CAR T cells (R16)"


def under(heading: str, shown: dict[str, Any]) -> list[str]:
    """Give the lines under a heading of a card."""
    _, _, rest = shown["detail"].partition(f"**{heading}**\n\n")
    return [line.removeprefix("- ") for line in rest.partition("\n\n")[0].splitlines()]


def ids_in(lines: Iterable[str]) -> set[str]:
    """Name the rules that some lines mention."""
    return set(re.findall(r"\bR\d\d[A-Z]?\b", "\n".join(lines)))


# --- each missing fact once ---


@pytest.mark.parametrize(
    ("history", "orders", "lines"),
    [
        row(
            "one rule: it comes first",
            [SOME_DAY_IN_MAY],
            [draft_collection()],
            [
                f"{R01}: missing an exact date of the last dose of teclistamab "
                "(the recorded one is too vague for the interval)"
            ],
        ),
        row(
            "two rules wait for the same date: one line",
            [infusion(None)],
            [draft_drug("lenalidomide")],
            [f"Missing the date of the CAR T infusion: {R15}; {R16}"],
        ),
        row(
            "what holds up most rules comes first, whatever the numbers of the rules",
            [SOME_DAY_IN_MAY, infusion(None)],
            [draft_collection(), ELRANATAMAB],
            [
                f"Missing the date of the CAR T infusion: {R15}; {R16}",
                f"{R01}: missing an exact date of the last dose of teclistamab "
                "(the recorded one is too vague for the interval)",
                f"{R05}: missing whether and when the myeloma progressed on or after teclistamab; "
                "when ciltacabtagene autoleucel was given",
            ],
        ),
    ],
)
def test_a_missing_fact_is_one_line(history: list[Resource], orders: list[Resource], lines: list[str]) -> None:
    found = under("Not decided", card(sign(history, *orders), "R00"))

    assert [line for line in found if "(R28)" not in line] == lines


def test_the_classes_that_one_label_asks_for_are_asked_for_once() -> None:
    shown = card(select([UNKNOWN], ELRANATAMAB), "R00")

    (line,) = [each for each in under("Not decided", shown) if "(R28)" in each]
    assert line.count("whether the patient has had a drug of this class before elranatamab") == 1
    assert line.endswith(": an earlier proteasome inhibitor; an earlier IMiD; an earlier anti-CD38 antibody")


@pytest.mark.parametrize(
    ("raw", "missing"),
    [
        row("unread", {"without": ["conditions"]}, "the problem list, to see whether this is myeloma"),
        row(
            "empty",
            {"conditions": bundle([])},
            "any entry in the problem list (it is empty, so myeloma can be neither seen nor ruled out)",
        ),
        row("in doubt", {"conditions": SUSPECTED}, "whether the myeloma diagnosis is confirmed (it is only suspected)"),
    ],
)
def test_a_diagnosis_in_doubt_is_said_once_and_names_every_rule_it_holds_up(raw: dict[str, Any], missing: str) -> None:
    """Among them those that otherwise keep their doubts to themselves, such as R03, R11, R12 and R13."""
    assessment = sign([], draft_collection(), **raw)

    shown = card(assessment, "R00")
    (line,) = under("Not decided", shown)
    undecided = {rule for rule, outcomes in assessment.rules.items() if "cannot_tell" in outcomes}
    assert line.startswith(f"Missing {missing}: {R01}; ")
    assert ids_in([line]) == undecided >= {"R01", "R03", "R11", "R12", "R13"}
    assert {each["id"] for each in shown["extension"]["mmcds.rules"]} == undecided
    assert shown["summary"] == f"{len(undecided)} checks could not be made: missing {missing}."


def test_what_one_rule_misses_for_two_orders_is_one_line() -> None:
    detail = worded([undecided("R81", "diagnosis_unread"), undecided("R81", "unread")]).detail

    assert detail.count("(R81)") == 1
    assert "missing the problem list, to see whether this is myeloma; a part of the chart (see below)" in detail


def test_a_rule_that_does_not_say_what_it_misses_is_named_nevertheless() -> None:
    assert "- Title of R85 (R85): missing a fact that the rule does not name" in worded([undecided("R85")]).detail


# --- what was not read ---


@pytest.mark.parametrize(
    ("history", "raw", "lines"),
    [
        row(
            "one list for three Topics: named once",
            [],
            {"without": ["medicationAdministrations"]},
            [
                "Not read, or only in part: medication administrations",
                "Needed for: cell therapy, prophylaxis, treatment",
            ],
        ),
        row(
            "three lists: one line",
            [],
            {"without": MEDICATION_LISTS},
            [
                "Not read, or only in part: medication statements, medication orders, medication administrations",
                "Needed for: cell therapy, prophylaxis, treatment",
            ],
        ),
        row(
            "a rule that was answered without the list is named by its number",
            [TECLISTAMAB],
            {"without": ["medicationStatements"]},
            [
                "Not read, or only in part: medication statements",
                "Needed for: cell therapy, prophylaxis, treatment",
                "Rules that rest on it: R01",
            ],
        ),
        row(
            "every rule stands on the patient, also one that keeps its doubts to itself",
            [],
            {"without": ["patient"]},
            ["Not read, or only in part: patient", "Rules that rest on it: R01, R03, R11, R12, R13, R18, R22, R23"],
        ),
        row(
            "read, but empty",
            [],
            {"medicationStatements": None},
            ["The medication list was read and is empty, which proves nothing", "Needed for: treatment"],
        ),
    ],
)
def test_what_was_not_read_is_said_once(history: list[Resource], raw: dict[str, Any], lines: list[str]) -> None:
    assert under("Chart not complete", card(sign(history, draft_collection(), **raw), "R00")) == lines


# --- the summary ---


@pytest.mark.parametrize(
    ("history", "orders", "raw", "says"),
    [
        row("one rule", [SOME_DAY_IN_MAY], [draft_collection()], {}, f"Could not check: {R01[:-6]}."),
        row(
            "several rules that fit",
            [infusion(None)],
            [draft_drug("lenalidomide")],
            {},
            f"Could not check: {R15[:-6]}; {R16[:-6]}.",
        ),
        row(
            "the most important one first, where not all fit",
            [UNKNOWN],
            [draft_drug("belantamab mafodotin"), ELRANATAMAB, draft_collection()],
            {},
            f"Could not check: {R01[:-6]}; and 3 more, named below.",
        ),
        row(
            "more than fit, and lists unread: these are named",
            [],
            [draft_collection()],
            {"without": MEDICATION_LISTS},
            "3 checks could not be made. Not read completely: medication statements, medication orders, "
            "medication administrations.",
        ),
        row(
            "more than fit, and more lists than fit",
            [],
            [draft_collection(), ELRANATAMAB],
            {"without": EVERY_LIST},
            f"Could not check: {R31[:-6]}; {R01[:-6]}; and 6 more, named below.",
        ),
        row(
            "all decided, something unread",
            [TECLISTAMAB],
            [draft_collection()],
            {"without": ["patient"]},
            "Chart not read completely (patient); what rests on it could not be checked.",
        ),
        row(
            "nothing but an order that nobody knows",
            [],
            [UNKNOWN_ORDER],
            {},
            "A draft order is not recognised as any known drug and was not judged.",
        ),
        row(
            "nothing but somebody else's order",
            [],
            [FOREIGN_ORDER],
            {},
            "A draft order is about another patient and was not judged.",
        ),
        row(
            "somebody else's order is never left out",
            [SOME_DAY_IN_MAY],
            [FOREIGN_ORDER, draft_collection()],
            {},
            f"A draft order is about another patient and was not judged. Could not check: {R01[:-6]}.",
        ),
        row(
            "nor is one that nobody knows",
            [SOME_DAY_IN_MAY],
            [FOREIGN_ORDER, draft_collection(), UNKNOWN_ORDER],
            {},
            "A draft order is about another patient. Could not make 1 of the checks: see what is missing. "
            "A draft order is not recognised.",
        ),
    ],
)
def test_the_summary(history: list[Resource], orders: list[Resource], raw: dict[str, Any], says: str) -> None:
    assert card(sign(history, *orders, **raw), "R00")["summary"] == says


@pytest.mark.parametrize(
    ("history", "orders", "raw"),
    [
        row("a vague date", [SOME_DAY_IN_MAY], [draft_collection()], {}),
        row("several vague dates", [SOME_DAY_IN_MAY, infusion(None)], [draft_collection(), ELRANATAMAB], {}),
        row("a drug nobody knows", [UNKNOWN], [draft_collection(), ELRANATAMAB], {}),
        row("no progression on record", [TECLISTAMAB, progression("2026")], [ELRANATAMAB], {}),
        row(
            "problem list unread", [TECLISTAMAB], [draft_drug("ciltacabtagene autoleucel")], {"without": ["conditions"]}
        ),
        row("diagnosis in doubt", [TECLISTAMAB], [ELRANATAMAB, draft_collection()], {"conditions": SUSPECTED}),
        row("medication unread", [infusion("2026-05-04")], [ELRANATAMAB], {"without": MEDICATION_LISTS}),
        row(
            "one list unread, a rule flagged",
            [TECLISTAMAB],
            [draft_collection()],
            {"without": ["medicationStatements"]},
        ),
        row("observations unread", [TECLISTAMAB], [ELRANATAMAB], {"without": ["observations"]}),
        row("patient unread", [TECLISTAMAB], [draft_collection()], {"without": ["patient"]}),
        row(
            "all but the problem list unread",
            [],
            [draft_collection(), ELRANATAMAB],
            {"without": ["patient", *EVERY_LIST]},
        ),
        row("medication lists empty", [], [draft_collection()], {"medicationStatements": None}),
        row("an order nobody knows beside it", [SOME_DAY_IN_MAY], [draft_collection(), UNKNOWN_ORDER], {}),
    ],
)
def test_every_rule_that_the_card_counts_or_speaks_for_is_named(
    history: list[Resource], orders: list[Resource], raw: dict[str, Any]
) -> None:
    shown = card(sign(history, *orders, **raw), "R00")

    named = ids_in(shown["detail"].splitlines())
    undecided = ids_in(under("Not decided", shown))
    counted = [int(number) for number in re.findall(r"(\d+) (?:checks|more|of the checks)", shown["summary"])]
    in_full = sum(title in shown["summary"] for title in _titles(undecided))
    assert {each["id"] for each in shown["extension"]["mmcds.rules"]} == named
    assert in_full + sum(counted) == len(undecided)
    assert len(shown["summary"]) <= SUMMARY_LIMIT


def _titles(rules: Iterable[str]) -> list[str]:
    return [assessor().knowledge.rules[rule].text.title for rule in rules]


# --- all at once, with rules made up for it ---


def undecided(rule: str, *missing: str, rank: int = 0) -> Result:
    """Let a made-up rule miss some facts."""
    return Result(MadeUp(rule, rank).active, None, cannot_tell(*(Missing(key) for key in missing)))


def worded(results: Iterable[Result] = (), coverage: dict[Topic, TopicCoverage] | None = None, **parts: Any) -> Card:
    """Word the card of some undecided rules, Topics that were not read, and whatever else."""
    found = tuple(results)
    topics = coverage or {}
    empty = GapPlan(found, (), found, tuple(topics), (), (), other_patient=False)
    history = replace(HISTORY, coverage=Coverage({**HISTORY.coverage.topics, **topics}))
    return gap_card(replace(empty, **parts), history, assessor().knowledge, lambda: "uuid")


def unread(*keys: str) -> TopicCoverage:
    """Leave some searches of a Topic without an answer."""
    return TopicCoverage(Level.PARTIAL, keys)


MANY = [undecided(f"R{number}", "failed", "unread") for number in range(10, 99)]
SEARCHES = tuple(assessor().knowledge.presentation.data_gap.searches)
UNKNOWN_DRAFT = ProposedOrder(
    reference=ChartText("MedicationRequest/1"),
    kind=OrderKind.UNRECOGNISED,
    drug=None,
    planned=None,
    judged=True,
    systemic=True,
    label=ChartText("xyzutamab"),
)
DOUBT: dict[str, Any] = {"of_the_gate": (Missing("diagnosis_possible"),)}


@pytest.mark.parametrize(
    ("results", "coverage", "parts", "says"),
    [
        row(
            "several rules, by their rank and not by their number",
            [undecided("R81", "failed", rank=2), undecided("R82", "failed", rank=1)],
            {},
            {},
            "Could not check: Title of R82; Title of R81.",
        ),
        row(
            "as many titles as fit",
            MANY[:10],
            {},
            {},
            "Could not check: Title of R10; Title of R11; Title of R12; Title of R13; Title of R14; Title of R15; "
            "Title of R16; and 3 more, named below.",
        ),
        row(
            "one fact for all",
            [undecided(f"R{number}", "diagnosis_unread") for number in range(10, 20)],
            {},
            {},
            "10 checks could not be made: missing the problem list, to see whether this is myeloma.",
        ),
        row(
            "an order that no rule concerns itself with, of a patient who may have myeloma",
            [],
            {},
            DOUBT,
            "No myeloma check could be made: missing whether the myeloma diagnosis is confirmed "
            "(it is only suspected).",
        ),
        row(
            "more lists than fit: counted",
            [],
            {Topic.TREATMENT: unread(*SEARCHES)},
            {},
            f"Lists that were not read completely: {len(SEARCHES)}.",
        ),
        row(
            "all lists of medication empty",
            [],
            {Topic.TREATMENT: TopicCoverage(Level.PARTIAL, lists_are_empty=True)},
            {},
            "The medication list is empty, which proves nothing.",
        ),
    ],
)
def test_the_summary_of_made_up_rules(
    results: list[Result], coverage: dict[Topic, TopicCoverage], parts: dict[str, Any], says: str
) -> None:
    assert worded(results, coverage, **parts).summary == says


@pytest.mark.parametrize(
    ("results", "coverage", "parts"),
    [
        row("rules", MANY, {}, {}),
        row("rules and lists", MANY, {Topic.TREATMENT: unread(*SEARCHES)}, {}),
        row("the gate", [], {}, DOUBT),
        row("lists", [], {Topic.TREATMENT: unread(*SEARCHES)}, {}),
        row("empty lists", [], {Topic.TREATMENT: TopicCoverage(Level.PARTIAL, lists_are_empty=True)}, {}),
    ],
)
def test_what_the_summary_has_to_say_at_once_always_fits(
    results: list[Result], coverage: dict[Topic, TopicCoverage], parts: dict[str, Any]
) -> None:
    alone = worded(results, coverage, **parts).summary
    summary = worded(results, coverage, other_patient=True, unrecognised_orders=(UNKNOWN_DRAFT,), **parts).summary

    assert len(alone) <= SUMMARY_LIMIT
    assert len(summary) <= SUMMARY_LIMIT
    assert summary.startswith("A draft order is about another patient")
    assert "A draft order is not recognised" in summary
    assert summary.count(". ") == 2


def test_one_rule_whose_title_does_not_fit_is_not_several() -> None:
    """As "1 checks" would say it, where its cause is shorter than its title."""
    result = Result(assessor().knowledge.rules["R01"], None, cannot_tell(Missing("last_dose", "teclistamab")))
    beside: dict[str, Any] = {"other_patient": True, "unrecognised_orders": (UNKNOWN_DRAFT,)}

    summary = worded([result], {Topic.CELL_THERAPY: unread("procedures")}, **beside).summary

    assert " Could not make 1 of the checks: see what is missing. " in summary


@pytest.mark.parametrize("order", [row("of another patient", FOREIGN_ORDER), row("not recognised", UNKNOWN_ORDER)])
def test_an_order_that_was_not_judged_is_no_gap_in_the_chart(order: Resource) -> None:
    shown = card(sign([], order), "R00")

    assert "Chart not complete" not in shown["detail"]
    assert "Not decided" not in shown["detail"]


def test_what_concerns_every_rule_is_one_line() -> None:
    assert "- Every rule: missing whether the myeloma diagnosis is confirmed" in worded([], **DOUBT).detail


def test_behind_a_doubtful_diagnosis_the_opened_chart_names_what_it_holds_up() -> None:
    shown = card(view([infusion("2026-05-04")], without=["conditions"]), "R00")

    assert ids_in(under("Not decided", shown)) >= {"R15", "R16"}

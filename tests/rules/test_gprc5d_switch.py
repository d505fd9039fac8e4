"""R05G: after progression on GPRC5D-directed therapy, another antigen or another mechanism; shipped off.

The days are those of R05, and so is the way in which they are counted; what is said rests on general knowledge, so it
is said softly. "Today" is 2026-11-20.
"""

import json
from collections.abc import Iterable
from dataclasses import replace
from functools import cache

import pytest

from cards.finding import Hook
from cards.knowledge.loader import load
from cards.knowledge.own import with_rules_on
from cds_service.assess import Assessment, Assessor, assess
from tests.build import (
    Resource,
    assessor,
    card,
    chart,
    draft_collection,
    draft_drug,
    draft_infusion,
    given,
    hook_request,
    infusion,
    ordered,
    outcome,
    progression,
    reported,
)
from tests.rules.table import (
    CANNOT_TELL,
    FLAGGED,
    NOT_APPLICABLE,
    PREFERENCES,
    PROTECTED,
    SATISFIED,
    codes_besides_care,
    days_after,
    drafts_in,
    row,
    select,
    sign,
)

LAST = "2026-03-01"
TALQUETAMAB = reported("talquetamab", "2025-11-03", LAST)
FORIMTAMIG = draft_drug("forimtamig")
ARLO_CEL = "arlocabtagene autoleucel"
CELLS = infusion(LAST, ARLO_CEL)


@cache
def _switched_on() -> Assessor:
    return replace(assessor(), knowledge=with_rules_on(load(), ["R05G"]))


def where_it_is_on(
    history: Iterable[Resource], order: Resource, hook: Hook = Hook.ORDER_SELECT, without: Iterable[str] = ()
) -> Assessment:
    """Select an order at a hospital that has switched the rule on."""
    request = hook_request(hook, chart(*history, *PROTECTED, without=without), [order])
    return assess(json.dumps(request).encode(), hook, _switched_on())


def after(days: int) -> Resource:
    """Record progression so many days after the last dose, or the infusion."""
    return progression(days_after(LAST, days))


@pytest.mark.parametrize(
    ("history", "order", "summary"),
    [
        row("while it was being given", [TALQUETAMAB, after(-40)], FORIMTAMIG, "Progressed on talquetamab (GPRC5D)"),
        row("on the day of the last dose", [TALQUETAMAB, after(0)], FORIMTAMIG, "Progressed on talquetamab"),
        row("60 days after", [TALQUETAMAB, after(60)], FORIMTAMIG, "Progressed 60 d after talquetamab (GPRC5D): con"),
        row("61 days after: still softer", [TALQUETAMAB, after(61)], FORIMTAMIG, "mechanism may do better"),
        row("183 days after: the last that counts", [TALQUETAMAB, after(183)], FORIMTAMIG, "Progressed 183 d after"),
        row("cells after the antibody", [TALQUETAMAB, after(30)], draft_drug(ARLO_CEL), "Progressed 30 d after"),
        row("the antibody after cells", [CELLS, after(90)], draft_drug("talquetamab"), "90 d after arlocabtagene"),
        row("cells, 183 days", [CELLS, after(183)], draft_drug("talquetamab"), "183 d after arlocabtagene"),
        row("the same drug again, much later", [TALQUETAMAB, after(30)], draft_drug("talquetamab"), "30 d after"),
        row(
            "some day in May, 61 to 91 days",
            [TALQUETAMAB, progression("2026-05")],
            FORIMTAMIG,
            "Progressed 61 to 91 d after talquetamab",
        ),
    ],
)
def test_progression_on_the_antigen_that_is_ordered_again(
    history: list[Resource], order: Resource, summary: str
) -> None:
    assessment = where_it_is_on(history, order)

    assert outcome(assessment, "R05G") == FLAGGED
    shown = card(assessment, "R05G")
    assert shown["indicator"] == "info"
    assert summary in shown["summary"]
    assert "(general knowledge)" in shown["summary"]
    assert drafts_in(shown) == ["Myeloma board review"]


@pytest.mark.parametrize(
    ("history", "order", "expected"),
    [
        row("never against GPRC5D", [given("bortezomib", LAST), after(30)], FORIMTAMIG, SATISFIED),
        row("only BCMA therapy failed", [given("teclistamab", LAST), after(30)], FORIMTAMIG, SATISFIED),
        row("184 days after the last dose", [TALQUETAMAB, after(184)], FORIMTAMIG, SATISFIED),
        row("184 days after the infusion", [CELLS, after(184)], FORIMTAMIG, SATISFIED),
        row(
            "ended for toxicity",
            [reported("talquetamab", "2026-01-05", LAST, "stopped", statusReason=[{"text": "Toxicity: weight loss"}])],
            FORIMTAMIG,
            SATISFIED,
        ),
        row("no word on progression", [TALQUETAMAB], FORIMTAMIG, CANNOT_TELL),
        row("progression without a date", [TALQUETAMAB, progression(None)], FORIMTAMIG, CANNOT_TELL),
        row(
            "some day in September",
            [reported("talquetamab", "2025-11-03", "2026-03-10"), progression("2026-09")],
            FORIMTAMIG,
            CANNOT_TELL,
        ),
        row("doses without a date", [reported("talquetamab"), after(30)], FORIMTAMIG, CANNOT_TELL),
        row("ordered alone", [ordered("talquetamab", "2026-01-05"), after(30)], FORIMTAMIG, CANNOT_TELL),
        row("cells that nobody named", [infusion(LAST, None), after(30)], FORIMTAMIG, CANNOT_TELL),
        row("against BCMA: a switch", [TALQUETAMAB, after(30)], draft_drug("teclistamab"), NOT_APPLICABLE),
        row("another antigen: a switch", [TALQUETAMAB, after(30)], draft_drug("cevostamab"), NOT_APPLICABLE),
        row("cells that nobody named, taken as BCMA", [TALQUETAMAB, after(30)], draft_infusion(), NOT_APPLICABLE),
        row("a collection is no drug", [TALQUETAMAB, after(30)], draft_collection(), NOT_APPLICABLE),
        row("a conventional drug", [TALQUETAMAB, after(30)], draft_drug("bortezomib"), NOT_APPLICABLE),
        row(
            "the next dose of a course that goes on",
            [given("talquetamab", "2026-10-20"), given("talquetamab", "2026-11-06"), progression("2026-11-10")],
            draft_drug("talquetamab"),
            NOT_APPLICABLE,
        ),
    ],
)
def test_what_else_the_chart_may_say(history: list[Resource], order: Resource, expected: str) -> None:
    assert outcome(where_it_is_on(history, order), "R05G") == expected
    assert outcome(where_it_is_on(history, order, Hook.ORDER_SIGN), "R05G") == expected


@pytest.mark.parametrize(
    ("history", "order", "without", "expected"),
    [
        row("no GPRC5D therapy found, statements unread", [], FORIMTAMIG, "medicationStatements", CANNOT_TELL),
        row("progressed early, whatever else is unread", [TALQUETAMAB, after(30)], FORIMTAMIG, "procedures", FLAGGED),
        row(
            "progressed late, a later therapy may be unread",
            [TALQUETAMAB, after(184)],
            FORIMTAMIG,
            "procedures",
            CANNOT_TELL,
        ),
    ],
)
def test_what_was_not_read(history: list[Resource], order: Resource, without: str, expected: str) -> None:
    assert outcome(where_it_is_on(history, order, without=[without]), "R05G") == expected


def test_what_is_open_is_said_apart_from_cells_that_nobody_named() -> None:
    said = card(where_it_is_on([TALQUETAMAB], FORIMTAMIG), "R00")["detail"]
    unnamed = where_it_is_on([infusion(LAST, None), after(30)], FORIMTAMIG)

    assert "R05G): missing whether and when the myeloma progressed on or after talquetamab" in said
    assert not [each for each in unnamed.cards if "R05G" in each.detail]


@pytest.mark.parametrize(
    ("history", "is_said"),
    [
        row("a BCMA antibody had failed before", [given("teclistamab", "2025-03-03"), progression("2025-06-02")], True),
        row("a BCMA antibody had not failed", [given("teclistamab", "2026-06-01")], False),
        row("never against BCMA", [], False),
    ],
)
def test_the_other_antigen_is_no_way_out_where_it_failed_as_well(history: list[Resource], is_said: bool) -> None:
    shown = card(where_it_is_on([*history, TALQUETAMAB, after(30)], FORIMTAMIG), "R05G")

    assert ("The myeloma has progressed after a drug against BCMA as well." in shown["detail"]) == is_said


@pytest.mark.parametrize("choose", [select, sign])
def test_as_shipped_it_is_not_asked(choose: object) -> None:
    assert callable(choose)
    assessment = choose([TALQUETAMAB, after(30), *PROTECTED], FORIMTAMIG)

    assert "R05G" not in assessment.rules
    assert codes_besides_care(assessment, besides=PREFERENCES) == []


def test_switched_on_it_changes_no_other_rule() -> None:
    history, order = [TALQUETAMAB, after(30), given("teclistamab", "2026-06-01")], draft_drug("elranatamab")
    shipped = select([*history, *PROTECTED], order).rules

    assert where_it_is_on(history, order).rules == {**shipped, "R05G": ("not_applicable",)}

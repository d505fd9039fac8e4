"""A hospital's own numbers: each moves the boundary of its rule by exactly as much, as long as it is in force.

"Today" is 2026-11-20. Whether a hospital may set a number at all is decided before the start, see
tests/service/test_site.py.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta

import pytest

from cards.finding import Hook
from cards.knowledge.loader import Knowledge, load
from cards.knowledge.numbers import Acceptance, Key, OwnNumber
from cards.knowledge.own import with_own_numbers
from cards.origins import number_lines
from cds_service.assess import Assessment, assess
from tests.build import AS_OF, Resource, assessor, card, chart, draft_collection, given, hook_request, infusion, lab
from tests.build import outcome as outcome_of
from tests.rules.table import CANNOT_TELL, FLAGGED, SATISFIED, days_ago, row

WASHOUT = ("R01", "minimum_days")
UNTIL = AS_OF + timedelta(10)
ACCEPTED = Acceptance("Dr. N. N., <b>head</b>", "a *slot* is free\nthis week only", UNTIL)
Own = Mapping[Key, OwnNumber]


def ask_at(site: Own, request: Resource, today: date = AS_OF) -> Assessment:
    """Answer a request at a hospital that has set numbers, started on the usual day."""
    product = replace(assessor(), knowledge=with_own_numbers(load(), site, AS_OF), today=lambda: today)
    return assess(json.dumps(request).encode(), Hook(request["hook"]), product)


def washout(last_dose: str) -> Resource:
    return hook_request(Hook.ORDER_SIGN, chart(given("teclistamab", last_dose)), [draft_collection()])


@pytest.mark.parametrize(
    ("minimum_days", "days", "expected"),
    [
        row("as shipped: one day short", None, 182, FLAGGED),
        row("as shipped: reached", None, 183, SATISFIED),
        row("20 days more: one day short", 203, 202, FLAGGED),
        row("20 days more: reached", 203, 203, SATISFIED),
        row("3 days less: one day short", 180, 179, FLAGGED),
        row("3 days less: reached", 180, 180, SATISFIED),
    ],
)
def test_a_changed_number_moves_the_boundary_by_exactly_that(
    minimum_days: int | None, days: int, expected: str
) -> None:
    own = {} if minimum_days is None else {WASHOUT: OwnNumber(minimum_days)}

    assessment = ask_at(own, washout(days_ago(days)))

    assert outcome_of(assessment, "R01") == expected


def test_a_vague_date_is_held_against_the_hospitals_number() -> None:
    """Some day in April is 204 to 233 days ago: long enough as shipped, open with 220 days."""
    assert outcome_of(ask_at({}, washout("2026-04")), "R01") == SATISFIED
    assert outcome_of(ask_at({WASHOUT: OwnNumber(220)}, washout("2026-04")), "R01") == CANNOT_TELL


def test_the_earliest_day_follows_the_number() -> None:
    shown = card(ask_at({WASHOUT: OwnNumber(200)}, washout(days_ago(190))), "R01")

    assert f"200 days are reached on {AS_OF + timedelta(10)}" in shown["detail"]


@pytest.mark.parametrize(
    ("lookback_days", "expected"),
    [
        row("150 days old is recent as shipped", None, FLAGGED),
        row("and no longer so where the hospital looks back 149 days", 149, SATISFIED),
    ],
)
def test_a_number_that_rules_share_is_set_once_for_all_of_them(lookback_days: int | None, expected: str) -> None:
    own = {} if lookback_days is None else {("R15", "cd4_lookback_days"): OwnNumber(lookback_days)}
    history = [infusion(days_ago(500)), lab("24467-3", 100, "/uL", days_ago(150))]

    assessment = ask_at(own, hook_request(Hook.PATIENT_VIEW, chart(*history)))

    assert outcome_of(assessment, "R15") == outcome_of(assessment, "R16") == expected


# Numbers beyond a bound are in force up to the last day of their acceptance


@pytest.mark.parametrize(
    ("today", "expected"),
    [
        row("on the last day the hospital's 150 days count", UNTIL, SATISFIED),
        row("on the day after it the shipped ones are back", UNTIL + timedelta(1), FLAGGED),
        row("and stay so", UNTIL + timedelta(1_000), FLAGGED),
    ],
)
def test_an_acceptance_ends_in_a_service_that_keeps_running(today: date, expected: str) -> None:
    own = {WASHOUT: OwnNumber(150, ACCEPTED)}
    last_dose = today - timedelta(160)

    assert outcome_of(ask_at(own, washout(last_dose.isoformat()), today), "R01") == expected


def test_an_acceptance_that_has_ended_before_the_start_is_none() -> None:
    own = {WASHOUT: OwnNumber(150, replace(ACCEPTED, until=AS_OF - timedelta(1)))}

    assert with_own_numbers(load(), own, AS_OF) is load()


def in_force(knowledge: Knowledge, day: date) -> tuple[int, int]:
    washout, switch = knowledge.on(day).rules["R01"].settings, knowledge.on(day).rules["R05"].settings
    return dict(washout)["minimum_days"], dict(switch)["shortly_after_days"]


def test_each_acceptance_ends_on_its_own_day() -> None:
    later = replace(ACCEPTED, until=UNTIL + timedelta(5))
    own = {WASHOUT: OwnNumber(150, ACCEPTED), ("R05", "shortly_after_days"): OwnNumber(100, later)}
    knowledge = with_own_numbers(load(), own, AS_OF)
    shipped = in_force(load(), AS_OF)

    assert in_force(knowledge, AS_OF) == in_force(knowledge, UNTIL) == (150, 100)
    assert in_force(knowledge, UNTIL + timedelta(1)) == in_force(knowledge, UNTIL + timedelta(5)) == (shipped[0], 100)
    assert in_force(knowledge, UNTIL + timedelta(6)) == shipped


def test_the_knowledge_of_a_day_is_made_once_before_the_start() -> None:
    knowledge = with_own_numbers(load(), {WASHOUT: OwnNumber(150, ACCEPTED)}, AS_OF)

    assert knowledge.on(AS_OF) is knowledge.on(UNTIL) is knowledge
    assert knowledge.on(UNTIL + timedelta(1)) is knowledge.on(UNTIL + timedelta(99)) is load()
    assert number_lines("R01", knowledge) is number_lines("R01", knowledge)


def test_the_version_tells_numbers_apart() -> None:
    shipped = load().rules["R01"].text.settings["minimum_days"].value
    accepted = with_own_numbers(load(), {WASHOUT: OwnNumber(150, ACCEPTED)}, AS_OF)
    versions = {
        load().version,
        with_own_numbers(load(), {WASHOUT: OwnNumber(200)}, AS_OF).version,
        with_own_numbers(load(), {WASHOUT: OwnNumber(201)}, AS_OF).version,
        with_own_numbers(load(), {("R05", "shortly_after_days"): OwnNumber(200)}, AS_OF).version,
        accepted.version,
    }

    assert len(versions) == 5
    assert accepted.on(UNTIL + timedelta(1)).version == load().version
    assert with_own_numbers(load(), {WASHOUT: OwnNumber(shipped)}, AS_OF).version == load().version
    again = with_own_numbers(load(), {WASHOUT: OwnNumber(200)}, AS_OF)
    assert again.version == with_own_numbers(load(), {WASHOUT: OwnNumber(200)}, AS_OF).version


# What cards say of their numbers


@pytest.mark.parametrize(
    ("own", "days", "line"),
    [
        row(
            "shipped, with what the source says itself",
            {},
            100,
            "- 183 d: days between the last dose and the collection (shipped; IMWG 2025 guidance and own practice, as "
            "reported by Ali (Targeted Oncology); it says at least 6 months, the count in days is our own)",
        ),
        row(
            "set by the hospital within the bounds",
            {WASHOUT: OwnNumber(200)},
            100,
            "- 200 d: days between the last dose and the collection (set by this hospital; shipped 183 d)",
        ),
        row(
            "accepted by somebody beyond the lower bound: their words cannot become markup or another line",
            {WASHOUT: OwnNumber(150, ACCEPTED)},
            100,
            "- 150 d: days between the last dose and the collection (set by this hospital below the shipped bound of "
            r"{least} d, accepted by Dr\. N\. N\., \<b\>head\<\/b\> until {until}: a \*slot\* is free this week only)",
        ),
    ],
)
def test_a_card_says_where_its_number_comes_from(own: Own, days: int, line: str) -> None:
    detail = card(ask_at(own, washout(days_ago(days))), "R01")["detail"].splitlines()

    assert "**Numbers used**" in detail
    least = load().rules["R01"].text.settings["minimum_days"].least
    expected = line.replace("{least}", str(least)).replace("{until}", str(UNTIL))
    assert [each for each in detail if "days between the last dose" in each] == [expected]


def test_a_number_beyond_an_upper_bound_names_that_one() -> None:
    knowledge = with_own_numbers(load(), {("R16", "start_day"): OwnNumber(45, ACCEPTED)}, AS_OF)

    (line,) = [line for line in number_lines("R16", knowledge) if line.startswith("45 d")]

    assert "set by this hospital above the shipped bound of" in line


def test_a_number_of_our_own_says_so() -> None:
    (line,) = [line for line in number_lines("R01", load()) if "taken as abandoned" in line]

    assert line.endswith("(shipped; our own count, not from a source)")


def test_every_number_of_a_rule_has_one_line_and_a_table_one_for_each_name() -> None:
    for rule_id, active in load().rules.items():
        values = dict(active.settings)
        numbers = [name for name in active.text.settings if isinstance(values[name], int | float)]
        tables = [table for table in values.values() if isinstance(table, Mapping)]
        named = [number for table in tables for number in table.values() if isinstance(number, int | float)]

        lines = number_lines(rule_id, load())

        assert len(lines) == len(set(lines)) == len(numbers) + len(named)


def test_a_shared_number_is_worded_alike_so_that_a_card_of_several_rules_has_it_once() -> None:
    antiviral, pneumocystis = (set(number_lines(rule_id, load())) for rule_id in ("R15", "R16"))

    assert len(antiviral & pneumocystis) == 3

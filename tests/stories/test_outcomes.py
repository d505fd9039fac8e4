"""Each rule on sequence has a story for every outcome that it defines, and each story answers as `outcomes.toml` says.

Prophylaxis after CAR T cells has stories and day tables of its own; a rule that is shipped off is asked in no story,
and has its case table alone.
"""

import re
from collections import defaultdict

import pytest

from cards.knowledge.loader import load
from cards.rulebook import Rule
from tests.stories.expectations import (
    TOLD_BEFORE,
    TOLD_FOR_AN_OUTCOME,
    VIGNETTES,
    Expectation,
    each_rule_answers,
    the_cards_say,
)
from tests.stories.telling import FOLDERS

ALWAYS_SAID = {"R41"}  # whenever it is asked at all
LISTED = [*TOLD_FOR_AN_OUTCOME, *TOLD_BEFORE]
ALL = pytest.mark.parametrize("listed", LISTED, ids=lambda listed: listed.story)
ON_SEQUENCE = [active.rule for active in load().rules.values() if active.is_on and active.rule.family != "prophylaxis"]


@ALL
def test_each_rule_answers_as_the_list_says(listed: Expectation) -> None:
    each_rule_answers(listed)


@pytest.mark.parametrize("listed", [each for each in LISTED if each.words], ids=lambda listed: listed.story)
def test_the_cards_say_what_the_list_asks_for(listed: Expectation) -> None:
    the_cards_say(listed)


@pytest.mark.parametrize("rule", ON_SEQUENCE, ids=lambda rule: rule.id)
def test_every_outcome_that_a_rule_defines_has_a_story(rule: Rule) -> None:
    told: dict[str, list[str]] = defaultdict(list)
    for each in [*LISTED, *VIGNETTES]:
        if rule.id in each.outcomes:
            told[each.outcomes[rule.id]].append(each.story)

    assert defined_by(rule) - set(told) == set()


def defined_by(rule: Rule) -> set[str]:
    """Name the outcomes that a rule defines: it has cards to show, or says what may be missing."""
    shown = {"flagged"} if rule.variants else set()
    missed = {"cannot_tell"} if rule.missing else set()
    satisfied = set() if rule.id in ALWAYS_SAID else {"satisfied"}
    return {"not_applicable"} | satisfied | shown | missed


def test_a_story_is_listed_once_and_asks_the_rules_that_its_name_promises() -> None:
    assert len({listed.story for listed in LISTED}) == len(LISTED)
    assert {listed.story for listed in LISTED} <= set(FOLDERS)
    assert all(set(re.findall(r"\bR\d\d[A-Z]?\b", told.story)) <= set(told.outcomes) for told in TOLD_FOR_AN_OUTCOME)
    assert all(listed.outcomes for listed in LISTED)

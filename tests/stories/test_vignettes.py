"""The vignettes: each story answers, rule by rule, as its vignette says."""

import pytest

from tests.stories.expectations import VIGNETTES, Expectation, each_rule_answers, the_cards_say
from tests.stories.telling import FOLDERS

ALL = pytest.mark.parametrize("vignette", VIGNETTES, ids=lambda vignette: vignette.id)


@ALL
def test_each_rule_answers_as_the_vignette_says(vignette: Expectation) -> None:
    each_rule_answers(vignette)


@ALL
def test_the_cards_say_what_the_vignette_asks_for(vignette: Expectation) -> None:
    the_cards_say(vignette)


def test_every_vignette_has_a_name_and_a_story_of_its_own_and_asks_for_something() -> None:
    assert len({vignette.id for vignette in VIGNETTES}) == len({vignette.story for vignette in VIGNETTES})
    assert len({vignette.id for vignette in VIGNETTES}) == len(VIGNETTES)
    assert all(vignette.id for vignette in VIGNETTES)
    assert {vignette.story for vignette in VIGNETTES} <= set(FOLDERS)
    assert all(vignette.outcomes or vignette.cards is not None for vignette in VIGNETTES)

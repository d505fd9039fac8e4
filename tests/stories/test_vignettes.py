"""The vignettes: each story answers, rule by rule, as its vignette says.

The cards are read over HTTP. They do not tell whether a silent rule found that all is well or was never meant, so that
is asked in process.
"""

import tomllib
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.build import ask, outcome
from tests.stories.telling import FOLDERS, HERE, answer, request_of


@dataclass(frozen=True, slots=True)
class Vignette:
    """One entry of `vignettes.toml`; `cards` is None where other cards may be shown as well."""

    id: str
    story: str
    says: str
    flagged: dict[str, str] = field(default_factory=dict)
    satisfied: tuple[str, ...] = ()
    not_applicable: tuple[str, ...] = ()
    cannot_tell: tuple[str, ...] = ()
    words: dict[str, list[str]] = field(default_factory=dict)
    one_card: tuple[str, ...] = ()
    cards: list[str] | None = None

    @property
    def outcomes(self) -> dict[str, str]:
        """What each rule that is named must answer."""
        return (
            dict.fromkeys(self.flagged, "flagged")
            | dict.fromkeys(self.satisfied, "satisfied")
            | dict.fromkeys(self.not_applicable, "not_applicable")
            | dict.fromkeys(self.cannot_tell, "cannot_tell")
        )


VIGNETTES = [Vignette(**each) for each in tomllib.loads((HERE / "vignettes.toml").read_text("utf-8"))["vignette"]]
ALL = pytest.mark.parametrize("vignette", VIGNETTES, ids=lambda vignette: vignette.id)


def cards_by_rule(body: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Give the card that speaks for each rule: its own, or the one that took its finding in."""
    found: dict[str, dict[str, Any]] = {}
    for card in body["cards"]:
        several = card.get("extension", {}).get("mmcds.rules", ())
        own = [{"id": card["source"]["topic"]["code"], "outcome": "flagged"}]
        for rule in several or own:
            if rule["outcome"] == "flagged":
                found[rule["id"]] = card
    return found


def text_of(card: dict[str, Any]) -> str:
    """Give all that a card says and offers, in the order in which it is read."""
    return "\n".join([card["summary"], card["detail"], *(each["label"] for each in card.get("suggestions", ()))])


@ALL
def test_each_rule_answers_as_the_vignette_says(vignette: Vignette) -> None:
    request = request_of(vignette.story)

    asked = ask(request)
    shown = cards_by_rule(answer(request))

    assert {rule: outcome(asked, rule) for rule in vignette.outcomes} == vignette.outcomes
    assert {rule: card["indicator"] for rule, card in shown.items() if rule in vignette.outcomes} == vignette.flagged


@ALL
def test_the_cards_say_what_the_vignette_asks_for(vignette: Vignette) -> None:
    body = answer(request_of(vignette.story))

    shown = cards_by_rule(body)
    for rule, words in vignette.words.items():
        assert [said for said in words if said not in text_of(shown[rule])] == [], rule
    assert len({shown[rule]["uuid"] for rule in vignette.one_card}) <= 1
    if vignette.cards is not None:
        assert [card["source"]["topic"]["code"] for card in body["cards"]] == vignette.cards


def test_every_vignette_has_a_name_and_a_story_of_its_own_and_asks_for_something() -> None:
    assert len({vignette.id for vignette in VIGNETTES}) == len({vignette.story for vignette in VIGNETTES})
    assert len({vignette.id for vignette in VIGNETTES}) == len(VIGNETTES)
    assert {vignette.story for vignette in VIGNETTES} <= set(FOLDERS)
    assert all(vignette.outcomes or vignette.cards is not None for vignette in VIGNETTES)

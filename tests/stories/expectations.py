"""What stories must answer, rule by rule, as `vignettes.toml` and `outcomes.toml` write it, and how it is asked.

The cards are read over HTTP. They do not tell whether a silent rule found that all is well or was never meant, so that
is asked in process.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.build import ask, outcome
from tests.stories.telling import HERE, answer, request_of


@dataclass(frozen=True, slots=True)
class Expectation:
    """One entry of a table; `cards` is None where other cards may be shown as well."""

    story: str
    says: str
    id: str = ""
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


def read(file: str, table: str) -> list[Expectation]:
    """Read one table of a file."""
    return [Expectation(**each) for each in tomllib.loads((HERE / file).read_text("utf-8"))[table]]


VIGNETTES = read("vignettes.toml", "vignette")
TOLD_FOR_AN_OUTCOME = read("outcomes.toml", "outcome")
TOLD_BEFORE = read("outcomes.toml", "told_before")


def cards_by_rule(body: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Give the card that speaks for each rule: its own, or the one that took its finding in."""
    found: dict[str, dict[str, Any]] = {}
    for card in body["cards"]:
        several = card.get("extension", {}).get("mmcds.rules", ())
        own = [{"id": card["source"]["topic"]["code"], "outcome": "flagged"}]
        for rule in several or own:
            if rule["outcome"] == "flagged":
                found[rule["id"]] = card
    return found


def text_of(card: Mapping[str, Any]) -> str:
    """Give all that a card says and offers, in the order in which it is read."""
    return "\n".join([card["summary"], card["detail"], *(each["label"] for each in card.get("suggestions", ()))])


def each_rule_answers(expectation: Expectation) -> None:
    """Hold the outcomes, and the indicators of the cards that are shown, against an expectation."""
    request = request_of(expectation.story)

    asked = ask(request)
    shown = cards_by_rule(answer(request))

    expected = expectation.outcomes
    assert {rule: outcome(asked, rule) for rule in expected} == expected
    assert {rule: card["indicator"] for rule, card in shown.items() if rule in expected} == expectation.flagged


def the_cards_say(expectation: Expectation) -> None:
    """Hold the wording of the cards, and which are shown, against an expectation."""
    body = answer(request_of(expectation.story))

    shown = cards_by_rule(body)
    for rule, words in expectation.words.items():
        assert [said for said in words if said not in text_of(shown[rule])] == [], rule
    assert len({shown[rule]["uuid"] for rule in expectation.one_card}) <= 1
    if expectation.cards is not None:
        assert [card["source"]["topic"]["code"] for card in body["cards"]] == expectation.cards

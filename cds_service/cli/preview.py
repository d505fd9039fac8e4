"""What a preview shows: every wording of every rule on a card, answered for a synthetic patient where one reaches it.

What none reaches is worded by the same code with example facts, and says so.
"""

import json
import re
import string
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date
from importlib import resources
from typing import Any

import msgspec

from cards.card import Card
from cards.compose import GapPlan, Plan, card_of
from cards.evaluate import Result
from cards.extension import RULES_EXTENSION
from cards.finding import Conclusion, Hook, Missing, Outcome, cannot_tell
from cards.knowledge.loader import ActiveRule
from cards.knowledge.texts import CardText
from cards.render import render, speak
from cards.suggest import Addressee
from cds_service.assess import Assessor, assess
from cds_service.synthetic import AS_OF, demo_patients
from fhir_mapping.build import build_history
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.needs import coverage_of

EXAMPLE = "example facts"
_MEDICATION_LISTS = "medication"
_ANYTHING = ".+?"


@dataclass(frozen=True, slots=True)
class Shown:
    """One card as it goes over the wire, for which wording it stands, and where its facts come from."""

    wording: str
    origin: str
    card: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Group:
    """All cards of one rule; `sentences` are those that a card of the rule may carry as well."""

    id: str
    title: str
    facts: str
    cards: tuple[Shown, ...]
    sentences: tuple[str, ...] = ()


def groups(assessor: Assessor) -> Iterator[Group]:
    """Give the cards of every rule, and last the data-gap card."""
    fixed = replace(assessor, today=lambda: date.fromisoformat(AS_OF), new_uuid=lambda: "preview")
    answered = list(_answers(fixed))
    for active in fixed.knowledge.rules.values():
        yield _of_rule(active, answered, fixed)
    words = fixed.knowledge.presentation.data_gap
    gaps = {each.card["summary"]: each for each in answered if each.card["source"]["topic"]["code"] == words.id}
    missing = tuple(words.missing.values())
    yield Group(words.id, words.slug, "what could not be checked, on one card", tuple(gaps.values()), missing)


def _answers(assessor: Assessor) -> Iterator[Shown]:
    """Ask the service about every synthetic patient, and once more with the medication lists left out."""
    for number, patient in enumerate(demo_patients(), start=1):
        named = f"synthetic patient {number}, {patient.request['hook']}: {patient.title}"
        prefetch = {k: v for k, v in patient.request["prefetch"].items() if not k.startswith(_MEDICATION_LISTS)}
        yield from _ask(patient.request, named, assessor)
        yield from _ask(patient.request | {"prefetch": prefetch}, f"{named}; medication lists not sent", assessor)


def _ask(request: dict[str, Any], origin: str, assessor: Assessor) -> Iterator[Shown]:
    answer = assess(json.dumps(request).encode(), Hook(request["hook"]), assessor)
    yield from (Shown("", origin, _wire(card)) for card in answer.cards)


def _wire(card: Card) -> Mapping[str, Any]:
    content: Mapping[str, Any] = msgspec.json.decode(msgspec.json.encode(card))
    return content


def _of_rule(active: ActiveRule, answered: Sequence[Shown], assessor: Assessor) -> Group:
    text = active.text
    shown = []
    for variant in text.cards:
        reached = next((each for each in answered if variant_on(each.card, active) == variant), None)
        shown.append(replace(reached or _example(active, variant, assessor), wording=variant))
    if text.missing and text.unknown_shown:
        shown.append(_gap_example(active, assessor))
    review = f"reviewed by {text.reviewed.by}, {text.reviewed.on}" if text.reviewed else "not reviewed"
    said = speak(_result(active, ""))
    sentences = tuple(said.say(note) for note in text.notes.values())
    facts = f"{text.shipped}, {review}, asked at {', '.join(text.hooks)}"
    return Group(text.id, text.title, facts, tuple(shown), sentences)


def variant_on(card: Mapping[str, Any], active: ActiveRule) -> str | None:
    """Name the variant of a rule that a card shows, if it shows one beyond doubt.

    A card with several rules bears the summary of one, and some rules give the same reasons: so only the rule that
    names the card is looked for, or one that never has a card of its own.
    """
    text = active.text
    leads = card["source"]["topic"]["code"] == text.id
    spoken_for = {each["id"] for each in card.get("extension", {}).get(RULES_EXTENSION, ())}
    if not leads and not (text.companion_of and text.id in spoken_for):
        return None
    lines = [line.removeprefix("- ") for line in card["detail"].splitlines()]
    found = [
        variant
        for variant, wording in text.cards.items()
        if _says_all(wording, lines) and (not leads or _pattern(wording.summary).fullmatch(card["summary"]))
    ]
    return found[0] if len(found) == 1 else None


def _says_all(text: CardText, lines: Iterable[str]) -> bool:
    return all(any(_pattern(wording).fullmatch(line) for line in lines) for wording in text.why)


def _pattern(wording: str) -> re.Pattern[str]:
    """Match a wording whatever its facts are."""
    parts = string.Formatter().parse(wording)
    pattern = "".join(re.escape(literal) + (_ANYTHING if name is not None else "") for literal, name, _, _ in parts)
    return re.compile(pattern, re.IGNORECASE)  # a line begins with a capital, even where it begins with a fact


def _example(active: ActiveRule, variant: str, assessor: Assessor) -> Shown:
    """Word a card with example facts."""
    return _render(Plan((card_of([_result(active, variant)]),), None), assessor)


def _gap_example(active: ActiveRule, assessor: Assessor) -> Shown:
    """Word the data-gap card with all that may be missing for a rule."""
    facts = _examples()["facts"]
    missing = tuple(Missing(key, facts["drug"], detail=facts["detail"]) for key in active.text.missing)
    result = Result(active, None, cannot_tell(*missing))
    gap = GapPlan(
        undecided=(result,),
        of_the_gate=(),
        concerned=(result,),
        topics=(),
        unrecognised=(),
        unrecognised_orders=(),
        other_patient=False,
    )
    return replace(_render(Plan((), gap), assessor), wording="cannot tell")


def _render(plan: Plan, assessor: Assessor) -> Shown:
    addressee = Addressee("example", assessor.new_uuid)
    (card,) = render(plan, _empty_history(assessor), assessor.knowledge, addressee)
    return Shown("", EXAMPLE, _wire(card))


def _result(active: ActiveRule, variant: str) -> Result:
    facts = active.rule.facts(**example_facts(active, variant))
    return Result(active, None, Conclusion(Outcome.FLAGGED, variant=variant, facts=facts))


def example_facts(active: ActiveRule, variant: str) -> Mapping[str, str]:
    """Give an example of every fact that the wording of a rule may mention."""
    given = _examples()
    of_card = given["cards"].get(active.text.id, {}).get(variant, {})
    known = given["facts"] | of_card
    return {
        field.name: known.get(field.name, f"({field.name.replace('_', ' ')})") for field in fields(active.rule.facts)
    }


def _examples() -> dict[str, Any]:
    file = resources.files("cds_service") / "cli" / "example_facts.toml"
    return tomllib.loads(file.read_text(encoding="utf-8"))


def _empty_history(assessor: Assessor) -> TreatmentHistory:
    return build_history([], coverage_of({}), assessor.catalog, assessor.today(), assessor.zone)

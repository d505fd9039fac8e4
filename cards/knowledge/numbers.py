"""The numbers of the rules: what the knowledge files must say of each, and what leads from one rule to another."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from cards.knowledge.texts import RuleText, Setting
from cards.rulebook import Rule

Key = tuple[str, str]  # rule and setting, such as ("R01", "minimum_days")
Number = int | float

LARGEST = 100_000  # our own limit: days beyond it lead out of the calendar


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Who of a hospital answers for a number beyond its bound, why, and up to which day."""

    who: str
    why: str
    until: date


@dataclass(frozen=True, slots=True)
class OwnNumber:
    """A number that a hospital has set; `accepted` where it lies beyond the bound."""

    value: Number
    accepted: Acceptance | None = None


def origin_of(rule_id: str, name: str, setting: Setting) -> Key:
    """Name the rule and the setting where a number is written."""
    return _key(setting.same_as) if setting.same_as else (rule_id, name)


def is_number(rule: Rule, name: str) -> bool:
    """Whether a setting is one number, which a site may change within its bounds."""
    return _type_of(rule, name) in (int, float)


def is_whole(rule: Rule, name: str) -> bool:
    """Whether a setting is a whole number."""
    return _type_of(rule, name) is int


def resolved(texts: Sequence[tuple[str, RuleText]], faults: list[str]) -> list[tuple[str, RuleText]]:
    """Put the number that is meant in the place of every reference; what leads nowhere is a fault and left out.

    Each text comes and goes with the family in whose file it stands.
    """
    written = {(text.id, name): setting for _, text in texts for name, setting in text.settings.items()}
    found = []
    for family, text in texts:
        settings = {}
        for name, setting in text.settings.items():
            origin = _follow((text.id, name), written)
            if isinstance(origin, str):
                faults.append(f"{text.id}: settings.{name}: {origin}")
            elif setting.same_as:
                settings[name] = written[origin].model_copy(update={"same_as": ".".join(origin)})
            else:
                settings[name] = setting
        found.append((family, text.model_copy(update={"settings": settings})))
    return found


def _follow(key: Key, written: Mapping[Key, Setting]) -> Key | str:
    """Give the place where a number is written, or say why there is none."""
    seen = [key]
    while (further := written[key].same_as) is not None:
        key = _key(further)
        if key not in written:
            return f"same_as leads to {further}, which does not exist"
        if key in seen:
            return f"same_as leads in a circle, by {further}"
        seen.append(key)
    return key


def _key(name: str) -> Key:
    rule_id, _, setting = name.partition(".")
    return rule_id, setting


def number_faults(text: RuleText, registered: Mapping[str, Rule]) -> Iterator[str]:
    """Say what is missing or wrong about the words and the bounds of a rule's numbers."""
    rule = registered[text.id]
    for name, setting in text.settings.items():
        if setting.same_as:
            original = origin_of(text.id, name, setting)
            if original[0] in registered and _type_of(registered[original[0]], original[1]) != _type_of(rule, name):
                yield f"settings.{name}: same_as leads to {setting.same_as}, which is of another type"
            continue
        if not setting.label:
            yield f"settings.{name}: needs a label"
        faults = _bound_faults(setting) if is_number(rule, name) else _faults_without_bounds(setting)
        yield from (f"settings.{name}: {fault}" for fault in faults)


def _bound_faults(setting: Setting) -> Iterator[str]:
    least, most, value = setting.least, setting.most, setting.value
    if least is None or most is None:
        yield "needs the bounds least and most"
        return
    if isinstance(value, int | float) and not least <= value <= most:
        yield "its value lies outside its bounds"
    if most > LARGEST:
        yield f"a bound is larger than {LARGEST}"
    if (least == most) is (setting.weaker is not None):
        yield "needs weaker where its bounds leave room, and only there"


def _faults_without_bounds(setting: Setting) -> Iterator[str]:
    if (setting.least, setting.most, setting.weaker) != (None, None, None):
        yield "is no single number and takes no bounds"


def _type_of(rule: Rule, name: str) -> object:
    field = rule.settings.model_fields.get(name)
    return field.annotation if field else None

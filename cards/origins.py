"""Where each number of a card comes from, in one line each: a source, our own count, or the hospital itself."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from cards.knowledge.loader import Knowledge
from cards.knowledge.numbers import OwnNumber, origin_of
from cards.knowledge.texts import Setting
from cards.markdown import escape

_CACHED_RULES = 256
_LONGEST_WORDS = 500
_OURS = "ours"


@lru_cache(maxsize=_CACHED_RULES)
def number_lines(rule_id: str, knowledge: Knowledge) -> tuple[str, ...]:
    """Write out the numbers of a rule, the hospital's own words made harmless."""
    active = knowledge.rules[rule_id]
    return tuple(
        line
        for name, setting in active.text.settings.items()
        for line in _lines(
            setting,
            getattr(active.settings, name),
            knowledge.own.get(origin_of(rule_id, name, setting)),
            knowledge,
        )
    )


def written(value: float, unit: str) -> str:
    """Write a number with its unit."""
    number = f"{value:g}" if isinstance(value, float) else str(value)
    return f"{number}{'' if not unit or unit.startswith('/') else ' '}{unit}"


def _lines(setting: Setting, value: Any, own: OwnNumber | None, knowledge: Knowledge) -> Iterator[str]:
    """Say where a number comes from, in a table of numbers each by its name; what is no number has no line."""
    if isinstance(value, Mapping):
        for name, part in value.items():
            if _is_number(part):
                yield _shipped(f"{name} {written(part, setting.unit)}", setting, knowledge)
    elif _is_number(value):
        number = written(value, setting.unit)
        yield _shipped(number, setting, knowledge) if own is None else _own(number, setting, own, knowledge)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shipped(number: str, setting: Setting, knowledge: Knowledge) -> str:
    words, source = knowledge.presentation.numbers, knowledge.sources[setting.source]
    said = words.ours if source.kind == _OURS else source.label
    if setting.note:
        said = words.noted.format(source=said, note=setting.note)
    return words.shipped.format(number=number, label=setting.label, source=said)


def _own(number: str, setting: Setting, own: OwnNumber, knowledge: Knowledge) -> str:
    words, accepted = knowledge.presentation.numbers, own.accepted
    if accepted is None:
        return words.own.format(number=number, label=setting.label, shipped=written(setting.value, setting.unit))
    is_lower = setting.weaker == "lower"
    bound = setting.least if is_lower else setting.most
    return words.accepted.format(
        number=number,
        label=setting.label,
        side=words.lower if is_lower else words.higher,
        bound=written(bound or 0, setting.unit),
        who=escape(accepted.who, _LONGEST_WORDS),
        until=accepted.until,
        why=escape(accepted.why, _LONGEST_WORDS),
    )

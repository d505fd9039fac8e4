"""Units of measure: how senders spell them, and how many of ours one of theirs is."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any, NamedTuple

_NOISE = re.compile(r"[\s\[\]]|\{[^}]*\}")
_CELLS = re.compile(r"cells?(?=/|x)")
_POWER = re.compile(r"x?10(?:\*\*|[*^ex])?\(?\+?0?([369]|12)\)?(?=/)")
_DIGITS = 12  # significant ones; what is beyond is the noise of binary fractions, not what the laboratory measured

Spellings = Mapping[str, Mapping[str, str]]


class Scale(NamedTuple):
    """One unit of a sender: which of its values is nothing in our unit, and how many of ours one of them is."""

    factor: float
    zero: float = 0.0

    def in_ours(self, value: float) -> float:
        """Bring a value to our unit."""
        if self.factor == 1.0 and self.zero == 0.0:
            return value
        return float(f"{(value - self.zero) * self.factor:.{_DIGITS}g}")


class Units(NamedTuple):
    """The units in which a test is reported, by their plain spelling."""

    scales: Mapping[str, Scale]
    spellings: Spellings


def read_units(table: Mapping[str, Any], ours: str, spellings: Spellings) -> Units:
    """Read a table of units, each in relation to ours, which is one of them."""
    scales = {
        unit: Scale(entry["factor"], entry["zero"]) if isinstance(entry, dict) else Scale(float(entry))
        for unit, entry in table.items()
    }
    one = scales[plain_unit(ours, spellings)].factor
    return Units({unit: Scale(scale.factor / one, scale.zero) for unit, scale in scales.items()}, spellings)


def plain_unit(unit: str, spellings: Spellings) -> str:
    """Spell a unit as the tables do, whatever sign a sender uses for "micro", for powers, or for a day."""
    plain = _CELLS.sub("", _NOISE.sub("", unicodedata.normalize("NFKC", unit).casefold()))
    plain = _POWER.sub(r"10*\1", plain.replace("\N{GREEK SMALL LETTER MU}", "u"))
    before, slash, after = plain.partition("/")
    if not slash:
        return plain
    return spellings["before_slash"].get(before, before) + slash + spellings["after_slash"].get(after, after)

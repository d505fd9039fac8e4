"""Values of tests that come as a number: the bounds between which one lies, in our own unit."""

import math
import re
from functools import lru_cache

import msgspec
from msgspec import UNSET, Raw

from fhir_mapping import wire
from fhir_mapping.catalog.codes import codings_of
from fhir_mapping.catalog.loader import texts_of
from fhir_mapping.elements import concepts_in
from fhir_mapping.model.history import GapCode
from fhir_mapping.readers.results import Quantity, Valued, count_of_values
from fhir_mapping.readers.units import Scale, plain_unit

_CACHED_UNITS = 512
_CACHED_TEXTS = 512
# Characters; what is longer is no number and no score, and must not fill the caches
_LONGEST_TEXT = 100
_LONGEST_SCORE = 500
_LONGEST_QUANTITY = 500
_CACHED_QUANTITIES = 4_096
_THOUSAND = 3  # digits after a sign that may be a decimal point or part thousands off
_COMPARATORS = {"<": "<", "<=": "<=", "\u2264": "<=", ">": ">", ">=": ">=", "\u2265": ">="}
_NUMBER = r"(\d+)(?:([.,])(\d+))?"
_PRINTED = re.compile(
    rf"([<>]=?|[\u2264\u2265])?\s*{_NUMBER}(?:\s*(?:[-\u2013]|to)\s*{_NUMBER})?(?:\s+(\S.*)|([^\d\s.,].*))?"
)
# A score: one number, or two with a dash, and then the end, or a sign that parts it from words
_SCORE = re.compile(
    r"(\d{1,3})(?:\s*[-\u2013/]\s*(\d{1,3}))?\s*%?\s*\)?\s*(?:[-\u2013:=,;(|/]\s*[^\d\s].*|\.(?:\s.*)?)?"
)

Bounds = tuple[float, float]


class _Sent(msgspec.Struct, frozen=True, gc=False):
    """A Quantity, with units short enough to be kept."""

    value: float | None = None
    comparator: str | None = None
    unit: wire.Name | None = None
    code: wire.Name | None = None


class _Written(msgspec.Struct, frozen=True, gc=False):
    """A Quantity of which the value was sent as text."""

    value: str
    comparator: str | None = None
    unit: wire.Name | None = None
    code: wire.Name | None = None


class _Range(msgspec.Struct, frozen=True, gc=False):
    low: _Sent | None = None
    high: _Sent | None = None


def bounds_of(item: Valued, quantity: Quantity) -> Bounds | GapCode | None:
    """Read the value of a test: its bounds, or why it cannot be read; None where there is none, or another quantity.

    An item with more than one value, or with a value and the reason why it has none, contradicts itself.
    """
    values = count_of_values(item)
    if values != 1 or item.data_absent_reason is not UNSET:
        return GapCode.UNREADABLE if values else None
    if item.value_quantity is not UNSET:
        raw = bytes(item.value_quantity)
        # A chart is read again and again while a clinician works in it
        read = _of_quantity if len(raw) <= _LONGEST_QUANTITY else _of_quantity.__wrapped__
        bounds = read(raw, quantity)
    else:
        bounds = _of_another_kind(item, quantity)
    if quantity.answers is not None and item.interpretation is not UNSET and not _agree(bounds, item, quantity):
        return GapCode.UNREADABLE
    return bounds


@lru_cache(maxsize=_CACHED_QUANTITIES)
def _of_quantity(raw: bytes, quantity: Quantity) -> Bounds | GapCode | None:
    """Read a Quantity as it was sent, with its value as a number or as a text."""
    sent = wire.decode(Raw(raw), _Sent)
    if sent is None or sent.value is None:
        return _in_quantity(raw, quantity)
    return _scaled(sent.value, sent.comparator, _scale(sent.code, sent.unit, quantity), quantity)


def _of_another_kind(item: Valued, quantity: Quantity) -> Bounds | GapCode | None:
    """Read a value that is no Quantity."""
    text = wire.decode(item.value_string, str)
    if text is not None:
        return GapCode.UNREADABLE if len(text) > _LONGEST_SCORE else _in_text(text.strip(), quantity)
    number = wire.decode(item.value_integer, float)  # an int may be too large for any of our numbers
    if number is not None:
        return _scaled(number, None, _scale(None, None, quantity), quantity)
    concept = wire.decode(item.value_codeable_concept, wire.Concept)
    if concept is not None:
        return _in_concept(concept, quantity)
    between = wire.decode(item.value_range, _Range)
    return GapCode.UNREADABLE if between is None else _in_range(between, quantity)


def _scaled(
    value: float, comparator: str | None, scale: Scale | GapCode | None, quantity: Quantity
) -> Bounds | GapCode | None:
    """Bring a number to our unit; what cannot be measured, or is no degree of the score, is unreadable."""
    if type(scale) is not Scale:
        return scale
    ours = scale.in_ours(value)
    if not 0 <= ours < math.inf:
        return GapCode.UNREADABLE
    if quantity.most is not None and (ours > quantity.most or (quantity.is_whole and ours != int(ours))):
        return GapCode.UNREADABLE
    if comparator is None:
        return ours, ours
    sign = _COMPARATORS.get(comparator)
    if sign is None:
        return GapCode.UNREADABLE
    return (0.0, ours) if sign[0] == "<" else (ours, math.inf)


@lru_cache(maxsize=_CACHED_UNITS)
def _scale(code: str | None, printed: str | None, quantity: Quantity) -> Scale | GapCode | None:
    """Find the unit by its UCUM code and by what is printed; None where it is one of another quantity."""
    plain = [plain_unit(unit, quantity.units.spellings) for unit in (code, printed) if unit is not None] or [""]
    if not quantity.other_quantity.isdisjoint(plain):
        return None
    found = {scale for unit in plain if (scale := quantity.units.scales.get(unit)) is not None}
    return found.pop() if len(found) == 1 else GapCode.UNIT


def _in_quantity(raw: bytes, quantity: Quantity) -> Bounds | GapCode | None:
    """Read a Quantity of which the value is a text: with its own unit, or none."""
    written = wire.decode(Raw(raw), _Written)
    if written is None or len(written.value) > _LONGEST_TEXT:
        return GapCode.UNREADABLE
    read = _PRINTED.fullmatch(written.value.strip())
    if read is None or read[8] or read[9] or (read[1] and written.comparator):
        return GapCode.UNREADABLE
    return _printed(read, read[1] or written.comparator, _scale(written.code, written.unit, quantity), quantity)


@lru_cache(maxsize=_CACHED_TEXTS)
def _in_text(text: str, quantity: Quantity) -> Bounds | GapCode | None:
    """Read a number with its unit out of a text that holds nothing else; the words of a score may follow it."""
    if quantity.prefixes:
        return _score(text, quantity)
    read = _PRINTED.fullmatch(text) if len(text) <= _LONGEST_TEXT else None
    if read is None:
        return GapCode.UNREADABLE
    return _printed(read, read[1], _scale(None, read[8] or read[9], quantity), quantity)


def _printed(
    read: re.Match[str], comparator: str | None, scale: Scale | GapCode | None, quantity: Quantity
) -> Bounds | GapCode | None:
    low = _number(*read.group(2, 3, 4))
    if low is None:
        return GapCode.UNREADABLE
    if read[5] is None:
        return _scaled(low, comparator, scale, quantity)
    high = _number(*read.group(5, 6, 7))
    if high is None or comparator:
        return GapCode.UNREADABLE
    return _between(_scaled(low, None, scale, quantity), _scaled(high, None, scale, quantity))


def _number(whole: str, sign: str | None, rest: str | None) -> float | None:
    """Read a number with a decimal point or comma; None for "1,200", which may be either."""
    if rest is None:
        return float(whole)
    if len(rest) == _THOUSAND and len(whole) <= _THOUSAND and whole.strip("0") and not whole.startswith("0"):
        return None
    return float(f"{whole}.{rest}")


def _between(low: Bounds | GapCode | None, high: Bounds | GapCode | None) -> Bounds | GapCode | None:
    if isinstance(low, tuple) and isinstance(high, tuple):
        return (low[0], high[1]) if low[0] <= high[1] else GapCode.UNREADABLE
    return next((one for one in (low, high) if not isinstance(one, tuple)), None)


def _in_range(between: _Range, quantity: Quantity) -> Bounds | GapCode | None:
    """Read a Range; an end that is missing is open."""
    ends = [
        _scaled(end.value, end.comparator, _scale(end.code, end.unit, quantity), quantity)
        for end in (between.low, between.high)
        if end is not None and end.value is not None
    ]
    if not ends or any(end is not None and end.comparator for end in (between.low, between.high)):
        return GapCode.UNREADABLE
    if len(ends) > 1:
        return _between(*ends)
    (bounds,) = ends
    if not isinstance(bounds, tuple):
        return bounds
    return (bounds[0], math.inf) if between.low is not None and between.low.value is not None else (0.0, bounds[1])


def _score(text: str, quantity: Quantity) -> Bounds | GapCode:
    """Read a score: "2", "ECOG 2", "Grade 1", "2 - ambulatory and ...", "0-1"; no sign may make it another."""
    named = re.match(rf"(?:(?:{'|'.join(quantity.prefixes)})\b[\s:=#()\-\u2013]*)*", text, re.IGNORECASE)
    read = _SCORE.fullmatch(text, named.end() if named else 0)
    if read is None:
        return GapCode.UNREADABLE
    ends = [float(end) for end in read.groups() if end is not None]
    bounds = _between(*(_scaled(end, None, _NO_UNIT, quantity) for end in (ends[0], ends[-1])))
    return bounds or GapCode.UNREADABLE


_NO_UNIT = Scale(1.0)


@lru_cache(maxsize=_CACHED_TEXTS)
def _in_concept(concept: wire.Concept, quantity: Quantity) -> Bounds | GapCode:
    """Read a score by the codes of its answers and by its texts, which must agree."""
    if not quantity.prefixes:
        return GapCode.UNREADABLE
    found = {(score, score) for score in _answers(concept, quantity)}
    found |= {bounds for text in texts_of(concept) if isinstance(bounds := _score(text.strip(), quantity), tuple)}
    return found.pop() if len(found) == 1 else GapCode.UNREADABLE


def _answers(concept: wire.Concept, quantity: Quantity) -> set[float]:
    answers = quantity.answers or {}
    return {float(answers[pair]) for pair in codings_of(concept) if pair in answers}


def _agree(bounds: Bounds | GapCode | None, item: Valued, quantity: Quantity) -> bool:
    """Whether a score lies where its interpretation, too, places it (mCODE sends both)."""
    interpreted = concepts_in(item.interpretation)
    if not interpreted.is_whole:
        return False
    scores = [score for concept in interpreted.read for score in _answers(concept, quantity)]
    return not isinstance(bounds, tuple) or all(bounds[0] <= score <= bounds[1] for score in scores)

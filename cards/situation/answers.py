"""Answers put together: all of several, any of them, the opposite of one, what records say together."""

from collections.abc import Sequence
from typing import NamedTuple

from fhir_mapping.model.dates import Answer
from fhir_mapping.model.treatment import SourceRef

_YES, _NO, _UNKNOWN = Answer.YES, Answer.NO, Answer.UNKNOWN


def all_of(*answers: Answer) -> Answer:
    """Whether all of it is so: one NO settles it."""
    if _NO in answers:
        return _NO
    return _UNKNOWN if _UNKNOWN in answers else _YES


def any_of(*answers: Answer) -> Answer:
    """Whether any of it is so: one YES settles it."""
    if _YES in answers:
        return _YES
    return _UNKNOWN if _UNKNOWN in answers else _NO


def opposite(answer: Answer) -> Answer:
    """Turn YES and NO round."""
    return _NO if answer is _YES else _YES if answer is _NO else _UNKNOWN


class OnRecord(NamedTuple):
    """An answer, and the records that it rests on; a draft order has no record."""

    answer: Answer
    sources: tuple[SourceRef, ...] = ()


def on_record(found: Sequence[tuple[Answer, SourceRef]]) -> OnRecord:
    """Whether any record says so, with all that do, or else with those that leave it open."""
    for wanted in (_YES, _UNKNOWN):
        sources = tuple(source for answer, source in found if answer is wanted)
        if sources:
            return OnRecord(wanted, sources)
    return OnRecord(_NO)

"""Short texts of which every word must be understood: a finding, a category of response."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from fhir_mapping.catalog.phrases import Words, all_words, longest_in, read_words

LONGEST_TEXT = 300  # characters; what is longer is a narrative


class Wording(NamedTuple):
    """What a text says: every meaning that it names, and whether no other word stands beside them."""

    meanings: frozenset[str]
    is_understood: bool


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Phrases with their meanings, and words that add nothing.

    A clause that begins with "no" and holds one of `denied_by_no` means `denial`.
    """

    by_first: Mapping[str, Sequence[tuple[Words, str]]]
    fillers: frozenset[str]
    denied_by_no: frozenset[str] = frozenset()
    denial: str = ""

    def read(self, text: str) -> Wording:
        """Read a text clause by clause."""
        if len(text) > LONGEST_TEXT:
            return Wording(frozenset(), is_understood=False)
        clauses = [self._read(tuple(clause.split())) for clause in read_words(text).in_clauses()]
        meanings = frozenset().union(*(clause.meanings for clause in clauses))
        return Wording(meanings, bool(clauses) and all(clause.is_understood for clause in clauses))

    def _read(self, clause: Words) -> Wording:
        if clause[0] == "no" and not self.denied_by_no.isdisjoint(clause):
            beside = set(clause[1:]) - self.denied_by_no
            return Wording(frozenset({self.denial}), self._adds_nothing(beside))
        meanings = set()
        places = set(range(len(clause)))
        for start, phrase, meaning in longest_in(clause, self.by_first):
            meanings.add(meaning)
            places -= set(range(start, start + len(phrase)))
        return Wording(frozenset(meanings), self._adds_nothing(clause[i] for i in places))

    def _adds_nothing(self, beside: Iterable[str]) -> bool:
        return all(word in self.fillers or word.isdecimal() for word in beside)


def read_vocabulary(page: Mapping[str, Any], meanings: Iterable[str], denial: str = "") -> Vocabulary:
    """Read the page that lists the phrases of each meaning."""
    by_first: dict[str, list[tuple[Words, str]]] = defaultdict(list)
    for meaning in meanings:
        for phrase in all_words(page, meaning):
            by_first[phrase[0]].append((phrase, meaning))
    return Vocabulary(
        {first: sorted(phrases, key=lambda entry: -len(entry[0])) for first, phrases in by_first.items()},
        frozenset(page["fillers"]),
        frozenset(page.get("denied_by_no", ())),
        denial,
    )

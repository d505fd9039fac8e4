"""Words by which entries are recognised, and what the words beside them make of it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, TypeVar

from fhir_mapping.catalog.texts import has_phrase, words

Words = tuple[str, ...]
Meaning = TypeVar("Meaning")

_AS_WRITTEN = re.compile(r"[0-9A-Za-z]+")
_CLAUSE_END = re.compile(r"[;,\n]|\.(?!\d)|\b(?:but|however)\b", re.IGNORECASE)
# Words that only look like a sign: "free light chains" deny nothing, and PD-1 is no progressive disease
_NOISE = re.compile(r"\bfree\s+(?=light|kappa|lambda)|\bpd[- ]?l?-?1\b", re.IGNORECASE)
_COMMENT = re.compile(r"\((?!\s*human\b)[^()]*[a-z]{4}[^()]*(?:\)|$)", re.IGNORECASE)
_A_NAME = 4  # letters; shorter words (units, routes) name no drug
_NEAR = 4  # words before a phrase that can negate it
_AROUND = 5  # words before a diagnosis that can qualify it
_REACHING = frozenset({"evidence", "sign", "signs"})  # "no ... evidence of" negates however long the list


def longest_in(
    text: Words, by_first: Mapping[str, Sequence[tuple[Words, Meaning]]]
) -> Iterator[tuple[int, Words, Meaning]]:
    """Find phrases in a text, each with the place where it begins.

    `by_first` lists the phrases that begin with a word, the longest first, so that no part of one counts on its own.
    """
    position = 0
    while position < len(text):
        for phrase, meaning in by_first.get(text[position], ()):
            if text[position : position + len(phrase)] == phrase:
                yield position, phrase, meaning
                position += len(phrase) - 1
                break
        position += 1


class Said(Enum):
    """What a text says of something."""

    STATED = auto()
    UNCLEAR = auto()
    DENIED = auto()
    NOTHING = auto()


@dataclass(frozen=True, slots=True)
class ReadText:
    """The words of a text, each with the number of its clause, and of its part where colons separate too."""

    words: Words
    clauses: tuple[int, ...]
    parts: tuple[int, ...]

    def before(self, start: int, most: int) -> Words:
        """Give the words before a place that belong to the same part, at most so many."""
        return self._same(self.parts, start, most)

    def before_in_clause(self, start: int, most: int) -> Words:
        """Give the words before a place in the same clause, also across a colon, at most so many."""
        return self._same(self.clauses, start, most)

    def after(self, end: int) -> Words:
        """Give the words that follow a phrase in its clause."""
        stop = end
        while stop < len(self.words) and self.clauses[stop] == self.clauses[end - 1]:
            stop += 1
        return self.words[end:stop]

    def in_clauses(self) -> Iterator[str]:
        """Give the plain words of each clause."""
        for number in dict.fromkeys(self.clauses):
            yield " ".join(word for word, clause in zip(self.words, self.clauses, strict=True) if clause == number)

    def places(self, phrase: Words) -> Iterator[tuple[int, int]]:
        """Give start and end of every occurrence of a phrase."""
        length = len(phrase)
        for start in range(len(self.words) - length + 1):
            if self.words[start : start + length] == phrase:
                yield start, start + length

    def _same(self, numbers: tuple[int, ...], start: int, most: int) -> Words:
        first = start
        while first > max(start - most, 0) and numbers[first - 1] == numbers[start]:
            first -= 1
        return self.words[first:start]


def read_words(text: str) -> ReadText:
    """Split a text into its words and clauses."""
    found: list[str] = []
    clauses: list[int] = []
    parts: list[int] = []
    for clause, written in enumerate(_CLAUSE_END.split(_NOISE.sub(" ", text))):
        for part in written.split(":"):
            plain = words(part)
            number = parts[-1] + 1 if parts else 0
            found += plain
            clauses += [clause] * len(plain)
            parts += [number] * len(plain)
    return ReadText(tuple(found), tuple(clauses), tuple(parts))


def all_words(page: Mapping[str, Any], *keys: str) -> tuple[Words, ...]:
    """Read the phrases under some keys of a page."""
    return tuple(words(phrase) for key in keys for phrase in page.get(key, ()))


@dataclass(frozen=True, slots=True)
class Phrases:
    """Words by which an entry is recognised; a negating word beside a phrase takes it back.

    `whole` are phrases that count as the whole text alone, `hints` beginnings of words and `hint_words` words that
    leave it open whether the thing is meant; a phrase after one of `doubts` is no more than a hint either.
    """

    phrases: tuple[Words, ...]
    endings: tuple[str, ...] = ()
    exact: frozenset[str] = frozenset()
    whole: frozenset[Words] = frozenset()
    hints: tuple[str, ...] = ()
    hint_words: frozenset[str] = frozenset()
    doubts: tuple[Words, ...] = ()
    negated_before: frozenset[str] = frozenset()
    negated_after: tuple[Words, ...] = ()
    fillers: frozenset[str] = frozenset()

    def named_in(self, text: str) -> bool:
        """Whether a text carries one of the signs, whatever it says of it."""
        plain = words(text)
        return self._is_marked(text, plain) or any(has_phrase(plain, phrase) for phrase in self.phrases)

    def found_in(self, text: str) -> bool:
        """Whether a text carries one of the signs, not negated."""
        plain = words(text)
        if self._is_marked(text, plain):
            return True
        if not any(has_phrase(plain, phrase) for phrase in self.phrases):
            return False
        read = read_words(text)
        return any(not self._is_negated(read, *place) for place in self._places(read))

    def said_in(self, text: str) -> Said:
        """Say whether a text states the thing, denies it, or leaves it open."""
        read = read_words(text)
        if read.words in self.whole:
            return Said.STATED
        is_doubted = False
        for start, end in self._places(read):
            if self._is_negated(read, start, end):
                continue
            if not self._is_doubted(read, start):
                return Said.STATED
            is_doubted = True
        hints = [i for i, word in enumerate(read.words) if word in self.hint_words or word.startswith(self.hints)]
        if is_doubted or any(not self._is_negated(read, i, i + 1) for i in hints):
            return Said.UNCLEAR
        return Said.DENIED if hints else Said.NOTHING

    def _is_marked(self, text: str, plain: Words) -> bool:
        if any(word.endswith(self.endings) for word in plain):
            return True
        return bool(self.exact) and not self.exact.isdisjoint(_AS_WRITTEN.findall(text))

    def _places(self, read: ReadText) -> Iterator[tuple[int, int]]:
        for phrase in self.phrases:
            yield from read.places(phrase)

    def _is_doubted(self, read: ReadText, start: int) -> bool:
        near = read.before(start, _NEAR)
        if any(has_phrase(near, doubt) for doubt in self.doubts):
            return True
        # "No lytic, soft-tissue or other evidence of ...": a comma need not end what is denied
        return not _REACHING.isdisjoint(near) and not self.negated_before.isdisjoint(read.words[:start])

    def _is_negated(self, read: ReadText, start: int, end: int) -> bool:
        before = read.before(start, len(read.words))
        near = before if _REACHING.intersection(before) else before[-_NEAR:]
        if self.negated_before.intersection(near):
            return True
        after = read.after(end)
        while after and after[0] in self.fillers:
            after = after[1:]
        return any(after[: len(phrase)] == phrase for phrase in self.negated_after)


@dataclass(frozen=True, slots=True)
class DiagnosisWords:
    """The word of a diagnosis, and the words beside it that exclude it or leave it open; the nearest one counts."""

    names: frozenset[str]
    excluded_before: tuple[Words, ...]
    excluded_after: tuple[Words, ...]
    unsure_before: tuple[Words, ...]
    unsure_at_end: tuple[Words, ...]
    turning: frozenset[str]  # what stood before one of these is over

    def said_in(self, text: str) -> Said:
        """Say whether one occurrence at least is stated, or possible; every one is judged by its own neighbours."""
        read = read_words(text)
        said = {self._said_at(read, i) for i, word in enumerate(read.words) if word in self.names}
        return next((answer for answer in (Said.STATED, Said.UNCLEAR, Said.DENIED) if answer in said), Said.NOTHING)

    def _said_at(self, read: ReadText, at: int) -> Said:
        before, after = read.before_in_clause(at, _AROUND), read.words[at + 1 :]
        if any(after[: len(phrase)] == phrase for phrase in self.excluded_after):
            return Said.DENIED
        if after in self.unsure_at_end:
            return Said.UNCLEAR
        for i in reversed(range(len(before))):
            if before[i] in self.names or before[i] in self.turning:
                break
            if any(before[i : i + len(phrase)] == phrase for phrase in self.unsure_before):
                return Said.UNCLEAR
            if any(before[i : i + len(phrase)] == phrase for phrase in self.excluded_before):
                return Said.DENIED
        return Said.STATED


def read_diagnosis(page: Mapping[str, Any]) -> DiagnosisWords:
    """Read the page of a diagnosis."""
    return DiagnosisWords(
        names=frozenset(page["words"]),
        excluded_before=all_words(page, "excluded_before"),
        excluded_after=all_words(page, "excluded_after"),
        unsure_before=all_words(page, "unsure_before"),
        unsure_at_end=all_words(page, "unsure_at_end"),
        turning=frozenset(page["turning"]),
    )


def read_signs(recognition: Mapping[str, Any]) -> Mapping[str, Phrases]:
    """Read every page that lists phrases or endings; one that is "like" another adds to that one."""
    negation = recognition["negation"]
    signs = {}
    for name, table in recognition.items():
        page = recognition[table["like"]] if "like" in table else table
        if not page.keys() & {"phrases", "words", "word_endings", "whole_texts"}:
            continue
        signs[name] = Phrases(
            phrases=all_words(page, "phrases", "words"),
            endings=tuple(ending.removeprefix("-") for ending in page.get("word_endings", ())),
            exact=frozenset(page.get("exact_words", ())),
            whole=frozenset(all_words(page, "whole_texts")),
            hints=tuple(page.get("hints", ())),
            hint_words=frozenset(page.get("hint_words", ())),
            doubts=all_words(page, "doubts") + all_words(table, "doubts_too"),
            negated_before=frozenset((*negation["before"], *page.get("negated_by", ()))),
            negated_after=all_words(negation, "after"),
            fillers=frozenset(negation["fillers"]),
        )
    return signs


def name_part(text: str, page: Mapping[str, Any]) -> str:
    """Cut the comments off the text of a drug, which may name other drugs; all of it, where nothing else is left."""
    bare = _COMMENT.sub(" ", text)
    plain = words(bare)
    starts = [start for phrase in all_words(page, "begins_with") for start in _starts(plain, phrase)]
    head = plain[: min(starts)] if starts else plain
    if not any(_is_name(word) and word not in page["names_nothing"] for word in head):
        return text
    if not starts:
        return bare
    # Cut the text as it is written, since case counts for some signs
    written = list(_AS_WRITTEN.finditer(bare))
    return bare[: written[len(head)].start()] if len(written) == len(plain) else " ".join(head)


def _starts(plain: Words, phrase: Words) -> Iterator[int]:
    return (i for i in range(len(plain)) if plain[i : i + len(phrase)] == phrase)


def _is_name(word: str) -> bool:
    return sum(map(str.isalpha, word)) >= _A_NAME

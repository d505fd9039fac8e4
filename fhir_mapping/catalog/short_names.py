"""Short names of drugs and regimens ("dara", "VRd"): what they may stand for, and where they count at all."""

import re
from collections import defaultdict
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fhir_mapping.catalog.phrases import Words, longest_in

_WORD = re.compile(r"[0-9A-Za-z]+")
_CYCLE = re.compile(r"c\d{1,2}(?:d\d{1,2})?")
_A_NAME = 4  # letters; a shorter word is a unit, a route or a form
_LONG_REGIMEN = 3  # letters in mixed case that nothing else is written like; "Kd" and "Rd" are


@dataclass(frozen=True, slots=True)
class Regimen:
    """One regimen: its words as written, and whether nothing else is written like that."""

    written: Words
    drugs: frozenset[str]
    is_unlike_others: bool


@dataclass(frozen=True, slots=True)
class ShortNames:
    """The table of short names; `regimens` by their first word, each with its words in small letters."""

    names: Mapping[str, str]
    regimens: Mapping[str, tuple[tuple[Words, Regimen], ...]]
    context: frozenset[str]
    harmless: frozenset[str]

    def all_drugs(self) -> Iterator[frozenset[str]]:
        """Give the drugs that each short name may stand for."""
        yield frozenset(self.names.values())
        yield from (regimen.drugs for found in self.regimens.values() for _, regimen in found)

    def drugs_in(self, text: str, drug_words: Container[str], *, in_oncology: bool, alone: bool) -> frozenset[str]:
        """Give the drugs that a text may name.

        `drug_words` are the words with which full names begin, `in_oncology` says that something beside the text
        speaks of cancer treatment. A regimen says what an entry gives only where it stands `alone`: beside a full
        name it says what that drug goes with.
        """
        written = tuple(_WORD.findall(text))
        lower = tuple(word.lower() for word in written)
        if not any(word in self.names or word in self.regimens for word in lower):
            return frozenset()
        found: set[str] = set()
        used: set[int] = set()
        is_sure = in_oncology
        for start, phrase, regimen in longest_in(lower, self.regimens):
            end = start + len(phrase)
            used.update(range(start, end))
            found |= regimen.drugs if alone else set()
            is_sure |= regimen.is_unlike_others and written[start:end] == regimen.written
        short = {i: self.names[word] for i, word in enumerate(lower) if i not in used and word in self.names}
        found |= set(short.values())
        if not found:
            return frozenset()
        rest = [word for i, word in enumerate(lower) if i not in used and i not in short]
        if any(self._may_name_a_drug(word) and word not in drug_words for word in rest):
            return frozenset()
        is_sure |= len(set(short.values())) > 1 or any(word in self.context or _CYCLE.fullmatch(word) for word in rest)
        return frozenset(found) if is_sure else frozenset()

    def _may_name_a_drug(self, word: str) -> bool:
        return (
            sum(map(str.isalpha, word)) >= _A_NAME
            and word not in self.context
            and word not in self.harmless
            and not _CYCLE.fullmatch(word)
        )


def read_short_names(page: Mapping[str, Any], nameless: list[str]) -> ShortNames:
    """Read the table; `nameless` are more words that name no drug."""
    regimens: dict[str, list[tuple[Words, Regimen]]] = defaultdict(list)
    for name, drugs in page["regimens"].items():
        written = tuple(_WORD.findall(name))
        is_unlike_others = len(written) > 1 or (len(name) >= _LONG_REGIMEN and not name.isupper())
        lower = tuple(word.lower() for word in written)
        regimens[lower[0]].append((lower, Regimen(written, frozenset(drugs), is_unlike_others)))
    return ShortNames(
        names=page["names"],
        regimens={first: tuple(sorted(found, key=lambda item: -len(item[0]))) for first, found in regimens.items()},
        context=frozenset(page["context"]),
        harmless=frozenset((*page["harmless"], *nameless)),
    )

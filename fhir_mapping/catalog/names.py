"""Names of drugs as a chart writes them: which drugs a text names, and by what kind of name."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fhir_mapping.catalog.phrases import Words, longest_in
from fhir_mapping.catalog.texts import words

How = Mapping[str, str]  # id of a drug, or a mark of some other drug -> what it was found by

_NAMED_BY_PARTS = "text: names of the parts"


@dataclass(frozen=True, slots=True)
class DrugNames:
    """All names of the catalogue; `by_first` gives those that begin with a word, the longest first."""

    by_first: Mapping[str, tuple[tuple[Words, str], ...]]
    word_sets: tuple[tuple[frozenset[str], str], ...]
    kinds: Mapping[Words, str]

    def found_in(self, text: Words) -> How:
        """Find drug names in a text, the longest first, so that no part of a longer name counts on its own."""
        found = [(name, drug) for _, name, drug in longest_in(text, self.by_first)]
        present = frozenset(text)
        sets = [(needed, drug) for needed, drug in self.word_sets if needed <= present]
        parts = frozenset().union(*(needed for needed, _ in sets))
        how = {drug: self.kinds[name] for name, drug in reversed(found) if parts.isdisjoint(name)}
        return how | {drug: _NAMED_BY_PARTS for _, drug in sets if drug not in how}


def read_names(entries: list[Mapping[str, Any]], faults: list[str]) -> DrugNames:
    """Index every name by its first word; "a + b" names a drug by words that may stand apart."""
    owners: dict[Words, str] = {}
    word_sets: list[tuple[frozenset[str], str]] = []
    for entry in entries:
        for name in filter(words, (entry["id"], entry.get("name", ""), *entry.get("synonyms", ()))):
            if " + " in name:
                word_sets.append((frozenset(words(name)), entry["id"]))
                continue
            spaced = words(name)
            for spelling in {spaced, ("".join(spaced),)}:
                if owners.setdefault(spelling, entry["id"]) != entry["id"]:
                    faults.append(f"drugs.toml: {name!r} stands for both {owners[spelling]!r} and {entry['id']!r}")
    by_first: dict[str, list[tuple[Words, str]]] = defaultdict(list)
    for spelling, drug in owners.items():
        by_first[spelling[0]].append((spelling, drug))
    for found in by_first.values():
        found.sort(key=lambda item: -len(item[0]))
    return DrugNames({first: tuple(found) for first, found in by_first.items()}, tuple(word_sets), _kinds(entries))


def _kinds(entries: list[Mapping[str, Any]]) -> Mapping[Words, str]:
    """Say of every spelling what kind of name it is, by how the catalogue writes it: brands begin with a capital."""
    how: dict[Words, str] = {}
    for entry in entries:
        generic = words(entry.get("name", ""))
        for name in filter(words, (entry["id"], entry.get("name", ""), *entry.get("synonyms", ()))):
            spaced = words(name)
            if spaced == generic or spaced == words(entry["id"]):
                kind = "text: generic name"
            elif generic and spaced[: len(generic)] == generic:
                kind = "text: generic name and more"
            elif name[0].isupper() and any(map(str.islower, name)) and not any(map(str.isdigit, name)):
                kind = "text: brand"
            else:
                kind = "text: other name"
            for spelling in (spaced, ("".join(spaced),)):
                how.setdefault(spelling, kind)
    return how

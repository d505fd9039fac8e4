"""What a reviewer needs beside the rules: what answers the core documents, what awaits a signature, and the cases."""

import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, TypeVar

from pydantic import Field, model_validator

from cards.knowledge.blocks import Block, read
from cards.knowledge.loader import Knowledge, KnowledgeError
from cards.knowledge.loader import load as load_knowledge
from cards.knowledge.texts import Review
from fhir_mapping.catalog.loader import load as load_catalog

# The catalogue of rules, not all of which are written; a letter marks the sister of the rule before it
PLANNED = (*(f"R{number:02}" for number in range(45)), "R05G", "R38A")
DEFINITIONS = "definitions"
_CORE_DOCUMENT = re.compile(r"S\d{3}")


class Statement(Block):
    """Something that a core document asks of a clinician, and what answers it or why nothing does."""

    source: str
    says: str = Field(min_length=1)
    rules: tuple[str, ...] = ()
    note: str | None = None
    elsewhere: str | None = None
    declined: str | None = None

    @model_validator(mode="after")
    def _is_answered(self) -> "Statement":
        if not (self.rules or self.elsewhere or self.declined):
            raise ValueError("needs rules, elsewhere or declined")
        return self


class Item(Block):
    """One question to clinicians; `numbers` names settings ("R01.minimum_days") or definitions."""

    id: str = Field(pattern=r"^[a-z]{1,2}$")
    question: str = Field(min_length=1)
    rules: tuple[str, ...] = Field(min_length=1)
    numbers: tuple[str, ...] = ()
    signed: Review | None = None


class RuleCases(Block):
    """The stories of one rule, and how many rows of its case tables expect which outcome."""

    stories: tuple[str, ...] = ()
    tables: dict[str, dict[str, int]] = Field(default_factory=dict)


class Cases(Block):
    """The cases of every rule; `others` are stories that name no rule."""

    rules: dict[str, RuleCases]
    others: tuple[str, ...] = ()

    def of(self, rule_id: str) -> RuleCases:
        """Give the cases of a rule, none if it has none."""
        return self.rules.get(rule_id, RuleCases())


class _Trace(Block):
    statement: tuple[Statement, ...]


class _SignOff(Block):
    item: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class ReviewFiles:
    """Everything for reviewers, held against the rules; `definitions` are the numbers behind derived facts."""

    trace: tuple[Statement, ...]
    questions: tuple[Item, ...]
    cases: Cases
    definitions: Mapping[str, Mapping[str, Any]]


@cache
def load() -> ReviewFiles:
    """Load the shipped files.

    Raises KnowledgeError with the list of all faults.
    """
    return load_from(resources.files("cards.knowledge"), load_knowledge(), load_catalog().definitions)


def load_from(folder: Traversable, knowledge: Knowledge, definitions: Mapping[str, Mapping[str, Any]]) -> ReviewFiles:
    """Load the files of a folder and hold them against rules and definitions."""
    faults: list[str] = []
    trace = _read(_Trace, folder, "trace.toml", faults)
    questions = _read(_SignOff, folder, "signoff.toml", faults)
    cases = _read(Cases, folder, "cases.toml", faults)
    if trace is not None:
        faults += (f"trace.toml: {fault}" for fault in _faults_of_trace(trace.statement, knowledge))
    if questions is not None:
        faults += (f"signoff.toml: {fault}" for fault in _faults_of_questions(questions.item, knowledge, definitions))
    if cases is not None:
        faults += (f"cases.toml: unknown rule {key}" for key in cases.rules if key not in PLANNED)
    if faults or trace is None or questions is None or cases is None:
        raise KnowledgeError(faults)
    return ReviewFiles(trace.statement, questions.item, cases, definitions)


_Model = TypeVar("_Model", bound=Block)


def _read(model: type[_Model], folder: Traversable, name: str, faults: list[str]) -> _Model | None:
    try:
        table = tomllib.loads((folder / name).read_bytes().decode())
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        faults.append(f"{name}: {fault}")
        return None
    return read(model, table, name, faults)


def _faults_of_trace(statements: tuple[Statement, ...], knowledge: Knowledge) -> Iterator[str]:
    for statement in statements:
        if statement.source not in knowledge.sources:
            yield f"unknown source {statement.source}"
        yield from (f"unknown rule {key} in {statement.says!r}" for key in statement.rules if key not in PLANNED)
    core = {key for key in knowledge.sources if _CORE_DOCUMENT.fullmatch(key)}
    yield from (f"no statement of {key}" for key in sorted(core - {statement.source for statement in statements}))


def _faults_of_questions(
    questions: tuple[Item, ...], knowledge: Knowledge, definitions: Mapping[str, Any]
) -> Iterator[str]:
    for key, count in Counter(item.id for item in questions).items():
        if count > 1:
            yield f"two questions are called {key}"
    for item in questions:
        yield from (f"{item.id}: unknown rule {key}" for key in item.rules if key not in PLANNED)
        for number in item.numbers:
            owner, _, name = number.partition(".")
            active = knowledge.rules.get(owner)
            known = definitions if owner == DEFINITIONS else active.text.settings if active else ()
            if name not in known:
                yield f"{item.id}: unknown number {number}"

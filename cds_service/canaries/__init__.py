"""Two synthetic requests for each rule, one that must fire and one that must not: read from the files beside this."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal

from pydantic import BaseModel, ConfigDict

from cards.finding import Hook

_CODES = "codes.toml"


class _Read(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Canary(_Read):
    """One synthetic patient: the chart and the draft orders in short lines, and the outcome that the rule must give.

    `charts` says what a line may be. A rule that fires by keeping others silent has "satisfied" as its outcome.
    """

    says: str
    chart: tuple[str, ...]
    orders: tuple[str, ...] = ()
    outcome: Literal["flagged", "satisfied", "not_applicable"]

    @property
    def is_shown(self) -> bool:
        """Whether a card has to speak for the rule; where not, none may."""
        return self.outcome == "flagged"


class Pair(_Read):
    """The two canaries of one rule, and the hook at which it is asked."""

    hook: Hook
    fires: Canary
    silent: Canary

    def sides(self) -> Iterator[tuple[str, Canary]]:
        """Give both with what they are for."""
        yield "fires", self.fires
        yield "silent", self.silent


@dataclass(frozen=True, slots=True)
class Code:
    """By which code canaries name one concept of the catalogue, and whether that is a drug."""

    system: str
    code: str
    is_drug: bool


@cache
def load_pairs() -> Mapping[str, Pair]:
    """Give the canaries of every rule that has some."""
    folder = resources.files("cds_service.canaries")
    files = {entry.name: entry for entry in folder.iterdir() if entry.name.endswith(".toml") and entry.name != _CODES}
    return {
        name.removesuffix(".toml"): Pair.model_validate(tomllib.loads(files[name].read_text(encoding="utf-8")))
        for name in sorted(files)
    }


@cache
def load_codes() -> Mapping[str, Code]:
    """Give the codes of everything that canaries name."""
    text = (resources.files("cds_service.canaries") / _CODES).read_text(encoding="utf-8")
    return {
        name: Code(system, code, kind == "drugs")
        for kind, systems in tomllib.loads(text).items()
        for system, codes in systems.items()
        for name, code in codes.items()
    }

"""What labels say of doses, as dated data: see knowledge/label_doses.toml."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated

from pydantic import SkipValidation

from fhir_mapping.model.results import Status
from fhir_mapping.model.vocabulary import Drug

CONTINUE, UNREADABLE = "continue", "unreadable"


@dataclass(frozen=True, slots=True)
class Level:
    """One dose of a label, in the unit of its drug; `is_treatment` tells it from a step-up dose."""

    name: str
    amount: float
    is_treatment: bool


@dataclass(frozen=True, slots=True)
class Printed:
    """Where a row was read, and up to when somebody vouches for it; one that is not verified has to be looked up."""

    source: str
    source_label: str
    label_date: str
    verified: bool
    owner: str
    expires: date

    def holds_on(self, day: date) -> bool:
        """Whether the row can be relied on."""
        return self.verified and day <= self.expires


@dataclass(frozen=True, slots=True)
class Step:
    """What a label asks for up to so many days after a dose, or from then on: to go on, or to begin at a level.

    Neither is told where the table could not be read.
    """

    up_to: int | None
    level: Level | None = None
    is_readable: bool = True

    @property
    def goes_on(self) -> bool:
        """Whether treatment continues as planned."""
        return self.is_readable and self.level is None


@dataclass(frozen=True, slots=True)
class Restart:
    """How to begin again after a dose, by the days since: a row of the restart table.

    `last` is the level of that dose, None for any. `every_days` are the days between doses before the gap, where the
    row is for one schedule; `beside` are the drugs of the combination that it is for.
    """

    last: Level | None
    every_days: int | None
    beside: frozenset[str]
    steps: tuple[Step, ...]
    printed: Printed

    def step_after(self, days: int) -> Step:
        """Give what the row asks for so many days after the dose."""
        return next(step for step in self.steps if step.up_to is None or days <= step.up_to)

    def steps_between(self, fewest: int, most: int) -> frozenset[Step]:
        """Give all that the row may ask for, where the days lie between two bounds."""
        edges = [step.up_to + 1 for step in self.steps if step.up_to is not None and fewest <= step.up_to < most]
        return frozenset(self.step_after(days) for days in (fewest, *edges))


@dataclass(frozen=True, slots=True)
class LessOften:
    """When a label lets a drug be given less often than before.

    After `weeks` of treatment, or of doses `at_days` apart; with a response of `status` or deeper that has lasted so
    many days, or was there so many weeks after the start; after so many treatment doses. What is None is not asked.
    """

    every_days: int
    statuses: frozenset[Status]
    weeks: int | None
    at_days: int | None
    response_days: int | None
    response_from_week: int | None
    treatment_doses: int | None
    asks: str
    printed: Printed


@dataclass(frozen=True, slots=True)
class LabelDoses:
    """The doses of one drug, the lowest first, and what its label says of gaps and of longer intervals.

    `where` names the part of the label that has the restart table, `look_up` the label and its address.
    """

    drug: Drug
    per_kg: bool
    levels: tuple[Level, ...]
    where: str
    look_up: str
    restarts: tuple[Restart, ...]
    less_often: tuple[LessOften, ...]

    @property
    def full_dose(self) -> Level:
        """The lowest dose that is no step-up dose."""
        return next(level for level in self.levels if level.is_treatment)

    @property
    def unit(self) -> str:
        """The unit of the doses."""
        return "mg/kg" if self.per_kg else "mg"

    def named(self, level: Level) -> str:
        """Write a level, e.g. "step-up dose 1 (0.06 mg/kg)"."""
        return f"{level.name} ({level.amount:g} {self.unit})"


Doses = Annotated[Mapping[str, LabelDoses], SkipValidation]  # by drug; made, and checked, by the loader

"""Reads label_doses.toml; every fault is listed."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any, Literal, TypeVar

from pydantic import Field

from cards.knowledge.blocks import Block, LabelRow, read
from cards.knowledge.texts import Source
from cards.label_doses import CONTINUE, UNREADABLE, LabelDoses, LessOften, Level, Printed, Restart, Step
from fhir_mapping.catalog.loader import Catalog
from fhir_mapping.model.results import Status

FILE = "label_doses.toml"
_DEEPER = {
    "partial remission": frozenset({Status.PARTIAL_REMISSION, Status.FULL_REMISSION}),
    "full remission": frozenset({Status.FULL_REMISSION}),
}


class _LevelText(Block):
    name: str = Field(min_length=1)
    amount: float = Field(gt=0)
    treatment: bool = False


class _DrugText(Block):
    drug: str
    unit: Literal["mg", "mg/kg"]
    levels: tuple[_LevelText, ...] = Field(min_length=1)
    where: str = Field(min_length=1)
    look_up: str


class _RowText(LabelRow):
    drug: str
    verified: bool


class _StepText(Block):
    up_to: int | None = Field(default=None, ge=1)
    then: str


class _RestartText(_RowText):
    last: str | None = None
    every_days: int | None = Field(default=None, ge=1)
    beside: tuple[str, ...] = ()
    steps: tuple[_StepText, ...] = Field(min_length=1)


class _LessOftenText(_RowText):
    every_days: int = Field(ge=1)
    response: Literal["partial remission", "full remission"]
    weeks: int | None = Field(default=None, ge=1)
    at_days: int | None = Field(default=None, ge=1)
    response_days: int | None = Field(default=None, ge=1)
    response_from_week: int | None = Field(default=None, ge=1)
    treatment_doses: int | None = Field(default=None, ge=1)
    asks: str = Field(min_length=1)


_Block = TypeVar("_Block", _DrugText, _RestartText, _LessOftenText)


def read_label_doses(
    table: Mapping[str, Any], sources: Mapping[str, Source], catalog: Catalog, faults: list[str]
) -> Mapping[str, LabelDoses]:
    """Read what is there of each drug; rows with a fault are left out and the fault listed."""
    faults += (f"{FILE}: unknown key {key}" for key in sorted(table.keys() - {"drug", "restart", "less_often"}))
    levels: dict[str, dict[str, Level]] = {}
    known: list[_DrugText] = []
    for text in _blocks(table, "drug", _DrugText, faults):
        levels[text.drug] = {level.name: Level(level.name, level.amount, level.treatment) for level in text.levels}
        if _is_sound(text, _drug_faults(text, sources, catalog), faults):
            known.append(text)
    restarts: dict[str, list[Restart]] = defaultdict(list)
    for row in _blocks(table, "restart", _RestartText, faults):
        if _is_sound(row, chain(_row_faults(row, levels, sources), _restart_faults(row, levels, catalog)), faults):
            restarts[row.drug].append(_restart(row, levels[row.drug], sources))
    less_often: dict[str, list[LessOften]] = defaultdict(list)
    for rarer in _blocks(table, "less_often", _LessOftenText, faults):
        if _is_sound(rarer, _row_faults(rarer, levels, sources), faults):
            less_often[rarer.drug].append(_less_often(rarer, sources))
    return {
        text.drug: LabelDoses(
            drug=catalog.drugs[text.drug],
            per_kg=text.unit == "mg/kg",
            levels=tuple(levels[text.drug].values()),
            where=text.where,
            look_up=_linked(sources[text.look_up]),
            restarts=tuple(restarts[text.drug]),
            less_often=tuple(less_often[text.drug]),
        )
        for text in known
    }


def _is_sound(text: _DrugText | _RowText, found: Iterator[str], faults: list[str]) -> bool:
    wrong = [f"{FILE}, {text.drug}: {fault}" for fault in found]
    faults += wrong
    return not wrong


def _blocks(table: Mapping[str, Any], kind: str, model: type[_Block], faults: list[str]) -> list[_Block]:
    found = []
    for number, block in enumerate(table.get(kind, ()), start=1):
        text = read(model, block, f"{FILE}, {kind} {number}", faults)
        if text is not None:
            found.append(text)
    if not found:
        faults.append(f"{FILE}: no {kind}")
    return found


def _drug_faults(text: _DrugText, sources: Mapping[str, Source], catalog: Catalog) -> Iterator[str]:
    if text.drug not in catalog.drugs:
        yield f"unknown drug {text.drug}"
    if text.look_up not in sources:
        yield f"unknown source {text.look_up}"
    if [level.amount for level in text.levels] != sorted({level.amount for level in text.levels}):
        yield "its levels do not rise"
    if not text.levels[-1].treatment:
        yield "its highest level is no treatment dose"


def _row_faults(
    text: _RowText, levels: Mapping[str, Mapping[str, Level]], sources: Mapping[str, Source]
) -> Iterator[str]:
    if text.drug not in levels:
        yield f"no doses of {text.drug}"
    yield from text.faults(sources)


def _restart_faults(text: _RestartText, levels: Mapping[str, Mapping[str, Level]], catalog: Catalog) -> Iterator[str]:
    known = levels.get(text.drug, {})
    named = [step.then for step in text.steps if step.then not in {CONTINUE, UNREADABLE}]
    yield from (f"unknown level {name}" for name in (text.last, *named) if name is not None and name not in known)
    yield from (f"unknown drug {drug}" for drug in text.beside if drug not in catalog.drugs)
    days = [step.up_to or 0 for step in text.steps[:-1]]
    if days != sorted({*days} - {0}) or text.steps[-1].up_to is not None:
        yield "its steps do not rise to an open end"


def _printed(text: _RowText, sources: Mapping[str, Source]) -> Printed:
    return Printed(
        source=text.source,
        source_label=sources[text.source].label,
        label_date=text.label_date,
        verified=text.verified,
        owner=text.owner,
        expires=text.expires,
    )


def _restart(text: _RestartText, levels: Mapping[str, Level], sources: Mapping[str, Source]) -> Restart:
    return Restart(
        last=None if text.last is None else levels[text.last],
        every_days=text.every_days,
        beside=frozenset(text.beside),
        steps=tuple(Step(step.up_to, levels.get(step.then), step.then != UNREADABLE) for step in text.steps),
        printed=_printed(text, sources),
    )


def _less_often(text: _LessOftenText, sources: Mapping[str, Source]) -> LessOften:
    return LessOften(
        every_days=text.every_days,
        statuses=_DEEPER[text.response],
        weeks=text.weeks,
        at_days=text.at_days,
        response_days=text.response_days,
        response_from_week=text.response_from_week,
        treatment_doses=text.treatment_doses,
        asks=text.asks,
        printed=_printed(text, sources),
    )


def _linked(source: Source) -> str:
    return f"{source.label}: {source.url}" if source.url else source.label

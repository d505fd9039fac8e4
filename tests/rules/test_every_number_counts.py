"""Turning any number of the knowledge files by one makes a case table fail: nothing that is written is idle."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("cds_service", "cards", "fhir_mapping", "tests")
FILES = (*sorted((ROOT / "cards" / "knowledge").glob("*.toml")), ROOT / "fhir_mapping/catalog/definitions.toml")
NUMBER = re.compile(r"(?:value = (?:\{ \w+ = )?|^days = |^lines_minimum = )(\d+(?:\.\d+)?)", flags=re.MULTILINE)
RULE = re.compile(r'^id = "(R\d\d[A-Z]?)"', flags=re.MULTILINE)
FIXED = re.compile(r"least = ([\d.]+), most = \1\b")
BOUNDS = re.compile(r"least = [\d.]+, most = [\d.]+")
MINUTES_PER_RUN = 3
_DERIVED = ("courses", "transplants", "episodes", "lines", "refractory", "dispenses")
TABLES = (
    *sorted(path for path in (ROOT / "tests" / "rules").glob("test_*.py") if path != Path(__file__)),
    *(ROOT / "tests" / "mapping" / f"test_{name}.py" for name in _DERIVED),
)

# The first day of antiviral prophylaxis is the infusion itself: no day before it can be told apart
EXCUSED = {("prophylaxis.toml", "0", "-1")}


class Turned(NamedTuple):
    """One number of one file, and what it is turned into."""

    path: Path
    start: int
    end: int
    turned: str


def turned_numbers() -> Iterator[object]:
    """Give every number, once larger and once smaller."""
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        for found in NUMBER.finditer(text):
            step = 0.1 if "." in found[1] else 1
            for number in (float(found[1]) + step, float(found[1]) - step):
                turned = f"{number:g}"
                if (path.name, found[1], turned) not in EXCUSED:
                    line = text.count("\n", 0, found.start()) + 1
                    name = f"{path.name}:{line} {found[1]} -> {turned}"
                    yield pytest.param(Turned(path, found.start(1), found.end(1), turned), id=name)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy what the case tables need."""
    folder = tmp_path_factory.mktemp("turned")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def without_bounds(text: str) -> str:
    """Leave every number all the room there is: a table has to notice it, not the loader."""
    return BOUNDS.sub("least = 0, most = 100000", FIXED.sub(r'\g<0>, weaker = "lower"', text))


def tables_for(number: Turned | None) -> list[str]:
    """List every table, those first that name the rule of a number, or read charts: the first failure ends a run."""
    rules = RULE.findall(number.path.read_text(encoding="utf-8")[: number.start]) if number else []
    ordered = TABLES[::-1]
    if rules:
        ordered = tuple(sorted(TABLES, key=lambda table: -table.read_text(encoding="utf-8").count(f'"{rules[-1]}"')))
    return [str(table.relative_to(ROOT)) for table in ordered]


def run_tables(folder: Path, number: Turned | None = None) -> int:
    """Run the case tables of a copy; 0 when all pass."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tables_for(number)]
    run = subprocess.run(  # noqa: S603 - our own command
        command, cwd=folder, capture_output=True, check=False, timeout=60 * MINUTES_PER_RUN
    )
    return run.returncode


@pytest.mark.deep
def test_the_tables_pass_as_they_are(copy: Path) -> None:
    assert run_tables(copy) == 0


@pytest.mark.deep
def test_the_tables_pass_without_bounds(copy: Path) -> None:
    bounded = {path: path.read_text(encoding="utf-8") for path in (copy / "cards/knowledge").glob("*.toml")}
    for path, text in bounded.items():
        path.write_text(without_bounds(text), encoding="utf-8")

    try:
        assert run_tables(copy) == 0
    finally:
        for path, text in bounded.items():
            path.write_text(text, encoding="utf-8")


@pytest.mark.deep
@pytest.mark.parametrize("number", list(turned_numbers()))
def test_a_number_that_is_turned_by_one_is_noticed(number: Turned, copy: Path) -> None:
    path = copy / number.path.relative_to(ROOT)
    text = path.read_text(encoding="utf-8")
    turned = text[: number.start] + number.turned + text[number.end :]
    path.write_text(without_bounds(turned), encoding="utf-8")

    try:
        assert run_tables(copy, number) == 1
    finally:
        path.write_text(text, encoding="utf-8")

"""Habits of this code base that no linter knows: where the clock, the disk, the log and the environment are used."""

import ast
import importlib
import inspect
import pkgutil
import re
import tomllib
import typing
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path

import pytest
from pydantic import BaseModel

import cards
import cds_service
import fhir_mapping
from cds_service.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
PACKAGES = (cds_service, cards, fhir_mapping)
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package.__name__).rglob("*.py"))
LONGEST_FILE = 320

SETTINGS = "cds_service/settings.py"
TELEMETRY = "cds_service/telemetry.py"
DEMO = "cds_service/cli/demo.py"  # starts the service in a process of its own and hands its environment on


def trees(*, outside: tuple[str, ...] = (), inside: str = "") -> Iterator[tuple[str, ast.AST]]:
    """Give every node of the three packages' modules with its place."""
    for path in MODULES:
        name = path.relative_to(ROOT).as_posix()
        if name not in outside and name.startswith(inside):
            for node in ast.walk(ast.parse(path.read_text())):
                yield f"{name}:{getattr(node, 'lineno', 0)}", node


def dotted(node: ast.AST) -> str:
    """Write a chain of names as it stands in the code; "" for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return ""


def imported(node: ast.AST) -> list[str]:
    """Name the modules that a statement imports."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
    return []


def test_there_is_code_to_look_at() -> None:
    assert len(MODULES) > 40
    assert sum(1 for _ in trees()) > 10_000


def test_nothing_is_printed() -> None:
    assert [place for place, node in trees() if isinstance(node, ast.Call) and dotted(node.func) == "print"] == []


def test_only_telemetry_logs() -> None:
    loggers = {"logging", "structlog", "warnings", "syslog"}

    assert [
        place for place, node in trees(outside=(TELEMETRY,)) if loggers & {m.split(".")[0] for m in imported(node)}
    ] == []
    assert [place for place, node in trees() if dotted(node).endswith(("app.logger", ".logger.info"))] == []


def test_only_settings_reads_the_environment() -> None:
    reads = {"os.environ", "os.getenv", "os.environb", "environ", "getenv"}

    assert [place for place, node in trees(outside=(SETTINGS, DEMO)) if dotted(node) in reads] == []


def test_only_settings_asks_which_day_it_is() -> None:
    asks = re.compile(
        r"(?:^|\.)(?:datetime\.(?:now|utcnow|today)|date\.today|time\.(?:time|time_ns|localtime|gmtime))$"
    )

    assert [place for place, node in trees(outside=(SETTINGS,)) if asks.search(dotted(node))] == []


@pytest.mark.parametrize("package", ["cards/", "fhir_mapping/"])
def test_mapping_and_rules_touch_no_file_and_no_clock(package: str) -> None:
    forbidden = {"os", "io.open", "pathlib", "shutil", "tempfile", "socket", "subprocess", "sqlite3", "time", "asyncio"}
    writes = (".write_text", ".write_bytes", ".open", ".mkdir", ".unlink", ".touch")

    assert [place for place, node in trees(inside=package) if forbidden & set(imported(node))] == []
    calls = [(place, dotted(node.func)) for place, node in trees(inside=package) if isinstance(node, ast.Call)]
    assert [place for place, name in calls if name == "open" or name.endswith(writes)] == []


def test_no_clinical_date_passes_through_pydantic() -> None:
    dates = {date, datetime, time, timedelta}
    models = [
        (module.__name__, thing)
        for package in (cards, fhir_mapping)
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        for module in (importlib.import_module(found.name),)
        for thing in vars(module).values()
        if inspect.isclass(thing) and issubclass(thing, BaseModel) and thing.__module__ == module.__name__
    ]

    assert len(models) > 10
    assert [
        f"{module}.{model.__name__}.{name}"
        for module, model in models
        for name, field in model.model_fields.items()
        if dates & set(_parts_of(field.annotation))
    ] == []


def _parts_of(annotation: object) -> Iterator[object]:
    yield annotation
    for part in typing.get_args(annotation):
        yield from _parts_of(part)


def texts() -> Iterator[Path]:
    """Give every text file of the product."""
    tops = [
        ROOT / name for name in ("pyproject.toml", "Makefile", "README.md", "CHANGELOG.md") if (ROOT / name).exists()
    ]
    kinds = {".py", ".toml", ".md", ".csv", ".txt", ".yaml", ".yml", ".json", ".html"}
    folders = (*(package.__name__ for package in PACKAGES), "tests", "deploy", ".ci")
    yield from tops
    yield from (path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in kinds)


def test_nothing_is_left_to_be_done() -> None:
    marks = re.compile(
        r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK|TB" r"D)\b|lorem" r" ipsum|change" r"me|your" r"-name-here"
    )

    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
        for path in texts()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if marks.search(line)
    ]

    assert found == []


def test_no_module_is_longer_than_one_can_read() -> None:
    lengths = {
        path.relative_to(ROOT).as_posix(): sum(1 for line in path.read_text().splitlines() if line.strip())
        for path in MODULES
    }

    assert {name: length for name, length in lengths.items() if length > LONGEST_FILE} == {}


@pytest.mark.parametrize("path", sorted((ROOT / "deploy").glob("requirements*.txt")), ids=lambda path: path.name)
def test_pinned_packages_name_no_registry_and_carry_hashes(path: Path) -> None:
    text = path.read_text()

    assert not re.search(r"https?://|--(?:extra-)?index-url|--find-links|--trusted-host|^-[if] ", text, re.MULTILINE)
    pinned = re.findall(r"^[a-z0-9._\[\]-]+==[^\s;]+", text, re.MULTILINE | re.IGNORECASE)
    assert len(pinned) > 5
    assert text.count("--hash=sha256:") >= len(pinned)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_direct_dependency_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    text = (ROOT / "deploy/requirements.txt").read_text()
    pinned = {_normal(name) for name in re.findall(r"^([\w.-]+)(?:\[.*\])?==", text, re.MULTILINE)}

    assert {_normal(re.split(r"[>=<\[; ]", wanted)[0]) for wanted in project["dependencies"]} <= pinned


def test_every_public_module_class_and_function_says_what_it_is_for() -> None:
    bare = []
    for path in MODULES:
        tree = ast.parse(path.read_text())
        name = path.relative_to(ROOT).as_posix()
        if tree.body and not ast.get_docstring(tree):
            bare.append(name)
        bare += [f"{name}: {where}" for where in _undocumented(tree.body, "")]

    assert bare == []


def _undocumented(body: list[ast.stmt], owner: str) -> Iterator[str]:
    for node in body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
            continue
        if not ast.get_docstring(node) and not _is_wire_struct(node):
            yield owner + node.name
        if isinstance(node, ast.ClassDef):
            yield from _undocumented(node.body, f"{owner}{node.name}.")


def _is_wire_struct(node: ast.AST) -> bool:
    """Whether a class mirrors the FHIR type whose name it bears, which says it all."""
    return isinstance(node, ast.ClassDef) and any(
        dotted(base) in {"_Slim", "_Resource", "_DrugRecord"} for base in node.bases
    )


def test_the_readme_names_every_variable_and_no_other() -> None:
    readme = ROOT / "README.md"
    assert readme.exists(), "README.md is not there yet: it has to list the variables"

    named = set(re.findall(rf"\b{PREFIX}[A-Z_]+\b", readme.read_text()))

    assert named == {f"{PREFIX}{field.upper()}" for field in Settings.model_fields}

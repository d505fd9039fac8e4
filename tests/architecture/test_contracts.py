"""Imports run one way: the contracts of pyproject.toml hold, and each of them can be broken."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("cds_service", "cards", "fhir_mapping")
LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"

# One forbidden import for each contract: where it is planted, what is written there, and who has to object
PLANTED = {
    "packages import one way": ("fhir_mapping/needs.py", "import cards.finding"),
    "only the service reaches network, store, log and terminal": ("cards/compose.py", "import flask"),
    "the model is standard library only": ("fhir_mapping/model/dates.py", "import msgspec"),
    "rules see the model, finding, rulebook and situation": ("cards/rules/washout.py", "import cards.render"),
    "cards see the model, never the readers": ("cards/compose.py", "import fhir_mapping.readers.context"),
    "rule families do not know each other": ("cards/rules/washout.py", "import cards.rules.prophylaxis"),
}


def contracts() -> list[dict[str, Any]]:
    """Read the contracts."""
    found: list[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ]
    return found


def lint(folder: Path) -> tuple[int, str]:
    """Hold the packages of a folder against its contracts; give the exit status and what was said."""
    run = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-c", LINT, "--no-cache"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return run.returncode, run.stdout + run.stderr


def test_the_contracts_hold() -> None:
    status, said = lint(ROOT)

    assert status == 0, said
    assert f"{len(contracts())} kept, 0 broken" in said


def test_every_contract_has_a_planted_import_below() -> None:
    assert {contract["name"] for contract in contracts()} == set(PLANTED)


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_import_breaks_its_contract(name: str, tmp_path: Path) -> None:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    path, line = PLANTED[name]
    planted = tmp_path / path
    planted.write_text(planted.read_text() + f"\n{line}\n")

    status, said = lint(tmp_path)

    assert status == 1, said
    assert f"{name} BROKEN" in said


def test_every_rule_family_is_named_in_the_contract_of_independence() -> None:
    (independence,) = [contract for contract in contracts() if contract["type"] == "independence"]
    families = {f"cards.rules.{path.stem}" for path in (ROOT / "cards/rules").glob("[!_]*.py")}

    assert set(independence["modules"]) == families

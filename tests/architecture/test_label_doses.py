"""The doses of labels: dated rows, of which every fault stops the start, and which expire."""

from datetime import date
from pathlib import Path

import pytest

from cards.dose_lines import dose_lines
from cards.knowledge.loader import load
from cards.label_doses import LabelDoses
from cards.rules.restart import RestartNumbers
from tests.architecture.test_knowledge import Folder
from tests.build import AS_OF

FILE = "label_doses.toml"


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Copy the shipped knowledge."""
    return Folder(tmp_path)


def shipped() -> dict[str, LabelDoses]:
    settings = load().rules["R31"].settings
    assert isinstance(settings, RestartNumbers)
    return dict(settings.doses)


FAULTS: dict[str, tuple[str, str, str]] = {
    "an unknown drug": (r'^drug = "teclistamab"', 'drug = "teclistamb"', "teclistamb: unknown drug teclistamb"),
    "a row without doses": (
        r'^(\[\[restart\]\]\n)drug = "teclistamab"',
        r'\1drug = "cevostamab"',
        "cevostamab: no doses of cevostamab",
    ),
    "an unknown label": (r'^look_up = "E17"', 'look_up = "E999"', "teclistamab: unknown source E999"),
    "an unknown source": (r'^source = "E16"', 'source = "E999"', "teclistamab: unknown source E999"),
    "an unknown unit": (r'^unit = "mg/kg"', 'unit = "mg/m2"', "drug 1: unit: "),
    "levels that do not rise": (r"amount = 0\.3 ", "amount = 0.03 ", "teclistamab: its levels do not rise"),
    "two levels alike": (r"amount = 0\.3 ", "amount = 0.06 ", "teclistamab: its levels do not rise"),
    "no treatment dose": (
        r"amount = 1\.5, treatment = true",
        "amount = 1.5",
        "teclistamab: its highest level is no treatment dose",
    ),
    "a dose of nothing": (r"amount = 0\.06", "amount = 0", "drug 1: levels.0.amount: "),
    "an unknown last level": (r'^last = "full dose"', 'last = "fall dose"', "teclistamab: unknown level fall dose"),
    "an unknown restart": (
        r'then = "step-up dose 2"',
        'then = "step-up dose 3"',
        "teclistamab: unknown level step-up dose 3",
    ),
    "an unknown partner": (
        r'"daratumumab-hyaluronidase"',
        '"daratumumab-sc"',
        "teclistamab: unknown drug daratumumab-sc",
    ),
    "steps that fall": (
        r"up_to = 28, then = \"step",
        'up_to = 6, then = "step',
        "teclistamab: its steps do not rise to an open end",
    ),
    "steps without an open end": (
        r'\{ then = "step-up dose 1" \}',
        '{ up_to = 99, then = "step-up dose 1" }',
        "teclistamab: its steps do not rise to an open end",
    ),
    "a step within": (r"\{ up_to = 7, then", "{ then", "teclistamab: its steps do not rise to an open end"),
    "a date as text": (r"^expires = (.*)$", r'expires = "\1"', "restart 1: expires: "),
    "a row that never held": (
        r"^expires = .*$",
        "expires = 2026-11-20",
        "teclistamab: does not expire after it was read",
    ),
    "a vague date": (r"^label_date = .*$", 'label_date = "last year"', "restart 1: label_date: "),
    "no word on verification": (r"^verified = true\n", "", "restart 1: verified: "),
    "an unknown response": (r'^response = "full remission"', 'response = "good"', "less_often 1: response: "),
    "a misspelled key": (r"^every_days", "evry_days", "restart 3: evry_days: "),
    "an unknown table": (r"^\[\[restart\]\]", "[[restrat]]", "label_doses.toml: unknown key restrat"),
}


@pytest.mark.parametrize(("pattern", "replacement", "fault"), FAULTS.values(), ids=FAULTS)
def test_every_fault_is_named(folder: Folder, pattern: str, replacement: str, fault: str) -> None:
    folder.change(FILE, pattern, replacement)

    assert any(fault in found for found in folder.faults())


def test_a_file_without_rows_does_not_load(folder: Folder) -> None:
    (folder.path / FILE).write_text("", encoding="utf-8")

    assert {f"{FILE}: no drug", f"{FILE}: no restart", f"{FILE}: no less_often"} <= set(folder.faults())


def test_labels_are_told_with_their_address_where_it_is_known(folder: Folder) -> None:
    folder.change(FILE, r'^look_up = "E17"', 'look_up = "E22"')

    doses = dict(folder.load().rules["R31"].settings)["doses"]

    assert doses["teclistamab"].look_up == "EU product information, elranatamab and talquetamab"
    assert "https://dailymed" in doses["elranatamab"].look_up


def test_only_teclistamab_is_verified() -> None:
    verified = {name for name, label in shipped().items() for row in label.restarts if row.printed.verified}

    assert verified == {"teclistamab"}


def test_a_verified_row_holds_until_it_expires() -> None:
    row = shipped()["teclistamab"].restarts[0].printed

    assert row.holds_on(AS_OF)
    assert row.holds_on(row.expires)
    assert not row.holds_on(date(2027, 5, 21))


def test_reviewers_read_every_row() -> None:
    lines = [line for label in shipped().values() for line in dose_lines(label)]
    rows = sum(1 + len(label.restarts) + len(label.less_often) for label in shipped().values())

    assert len(lines) == rows
    assert lines[0] == ("teclistamab: step-up dose 1 (0.06 mg/kg), step-up dose 2 (0.3 mg/kg), full dose (1.5 mg/kg)")
    assert any("every 28 d: to 28 d continue; from then on not readable (E17" in line for line in lines)
    assert any("with daratumumab or daratumumab-hyaluronidase" in line for line in lines)

"""Numbers in the knowledge files: each with its words and bounds, written once, or the service does not start."""

from pathlib import Path

import pytest

from cards.knowledge.loader import load
from cards.knowledge.numbers import is_number
from tests.architecture.test_knowledge import Folder

WASHOUT = r"^minimum_days = \{ (.*) \}$"
SHARED = r'^cd4_stop_per_ul = \{ same_as = "R15\.cd4_stop_per_ul" \}$'


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Copy the shipped knowledge."""
    return Folder(tmp_path)


FAULTS: dict[str, tuple[str, str, str, str]] = {
    "number without label": (
        "washout.toml",
        r'label = "days between[^"]*", ',
        "",
        "settings.minimum_days: needs a label",
    ),
    "table of numbers without label": (
        "prophylaxis.toml",
        r'label = "days that one dose covers", ',
        "",
        "R15: settings.dose_covers_days: needs a label",
    ),
    "gate without label": (
        "presentation.toml",
        r'label = "years of age[^"]*", ',
        "",
        "presentation.toml: gates.adult_years: needs a label",
    ),
    "number without bounds": (
        "washout.toml",
        r"least = 180, most = 365, ",
        "",
        "R01: settings.minimum_days: needs the bounds least and most",
    ),
    "number with one bound": (
        "washout.toml",
        r"least = 180, ",
        "",
        "R01: settings.minimum_days: needs the bounds least and most",
    ),
    "number below its bounds": (
        "washout.toml",
        r"least = 180, ",
        "least = 184, ",
        "R01: settings.minimum_days: its value lies outside its bounds",
    ),
    "number above its bounds": (
        "washout.toml",
        r"most = 365, ",
        "most = 182, ",
        "R01: settings.minimum_days: its value lies outside its bounds",
    ),
    "bound below zero": ("washout.toml", r"least = 180, ", "least = -1, ", "settings.minimum_days.least"),
    "bound beyond the calendar": (
        "washout.toml",
        r"most = 365, ",
        "most = 100001, ",
        "R01: settings.minimum_days: a bound is larger than 100000",
    ),
    "bounds without the weaker direction": (
        "washout.toml",
        r', weaker = "lower"',
        "",
        "R01: settings.minimum_days: needs weaker where its bounds leave room",
    ),
    "a weaker direction without room": (
        "prophylaxis.toml",
        r"least = 0, most = 0 ",
        'least = 0, most = 0, weaker = "lower" ',
        "R15: settings.start_day: needs weaker where its bounds leave room, and only there",
    ),
    "unknown direction": ("washout.toml", r'weaker = "lower"', 'weaker = "down"', "settings.minimum_days.weaker"),
    "table of numbers with bounds": (
        "prophylaxis.toml",
        r"^dose_covers_days = \{ value = \{\},",
        "dose_covers_days = { value = {}, least = 1, most = 2,",
        "R15: settings.dose_covers_days: is no single number and takes no bounds",
    ),
    "number without source": (
        "washout.toml",
        r'^minimum_days = \{ value = \d+, source = "S001", ',
        "minimum_days = { value = 183, ",
        "settings.minimum_days: Value error, needs a value and its source, or same_as and nothing else",
    ),
    "reference with a number": (
        "washout.toml",
        WASHOUT,
        r'minimum_days = { \1, same_as = "R05.shortly_after_days" }',
        "settings.minimum_days: Value error, needs a value and its source, or same_as and nothing else",
    ),
    "reference to an unknown rule": (
        "prophylaxis.toml",
        SHARED,
        'cd4_stop_per_ul = { same_as = "R99.cd4_stop_per_ul" }',
        "R16: settings.cd4_stop_per_ul: same_as leads to R99.cd4_stop_per_ul, which does not exist",
    ),
    "reference to an unknown number": (
        "prophylaxis.toml",
        SHARED,
        'cd4_stop_per_ul = { same_as = "R15.cd8_stop_per_ul" }',
        "R16: settings.cd4_stop_per_ul: same_as leads to R15.cd8_stop_per_ul, which does not exist",
    ),
    "reference to itself": (
        "prophylaxis.toml",
        SHARED,
        'cd4_stop_per_ul = { same_as = "R16.cd4_stop_per_ul" }',
        "R16: settings.cd4_stop_per_ul: same_as leads in a circle, by R16.cd4_stop_per_ul",
    ),
    "reference to a number of another type": (
        "prophylaxis.toml",
        SHARED,
        'cd4_stop_per_ul = { same_as = "R16.anc_minimum" }',
        "R16: settings.cd4_stop_per_ul: same_as leads to R16.anc_minimum, which is of another type",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_the_loader_refuses(name: str, folder: Folder) -> None:
    file, pattern, replacement, expected = FAULTS[name]
    folder.change(file, pattern, replacement)

    faults = folder.faults()

    assert [fault for fault in faults if expected in fault], faults


def test_faults_of_several_numbers_are_listed_at_once(folder: Folder) -> None:
    folder.change("washout.toml", r"least = 180, ", "least = 184, ")
    folder.change("washout.toml", r'label = "days for which a collection[^"]*", ', "")
    folder.change("prophylaxis.toml", SHARED, 'cd4_stop_per_ul = { same_as = "R99.x" }')

    faults = "\n".join(folder.faults())

    for said in ("R01: settings.minimum_days", "R01: settings.collection_counts_days", "R16: settings.cd4_stop_per_ul"):
        assert said in faults


def test_a_circle_of_two_is_found(folder: Folder) -> None:
    folder.change("washout.toml", WASHOUT, 'minimum_days = { same_as = "R05.shortly_after_days" }')
    folder.change(
        "antigen_switch.toml", r"^shortly_after_days = .*$", 'shortly_after_days = { same_as = "R01.minimum_days" }'
    )

    faults = "\n".join(folder.faults())

    assert "R01: settings.minimum_days: same_as leads in a circle" in faults
    assert "R05: settings.shortly_after_days: same_as leads in a circle" in faults


def test_a_reference_may_lead_through_another_one(folder: Folder) -> None:
    folder.change(
        "washout.toml",
        r"^collection_counts_days = .*$",
        'collection_counts_days = { same_as = "R16.cd4_lookback_days" }',
    )

    (rules := folder.load().rules)
    setting = rules["R01"].text.settings["collection_counts_days"]

    assert setting.same_as == "R15.cd4_lookback_days"
    assert dict(rules["R01"].settings)["collection_counts_days"] == dict(rules["R15"].settings)["cd4_lookback_days"]


def test_a_shared_number_is_the_original_one(folder: Folder) -> None:
    folder.change("prophylaxis.toml", r"^cd4_stop_per_ul = \{ value = 200,", "cd4_stop_per_ul = { value = 222,")

    rules = folder.load().rules

    assert dict(rules["R15"].settings)["cd4_stop_per_ul"] == dict(rules["R16"].settings)["cd4_stop_per_ul"] == 222
    assert rules["R16"].text.settings["cd4_stop_per_ul"].source == "E10"


def test_a_number_that_no_site_may_change_is_named_here() -> None:
    """R15 has no words for a start of prophylaxis that lies ahead; the days of R41 are the regulator's.

    The days in which antibodies may be those of immunoglobulin hide an infection when there are too many of them, and
    invent one when there are too few.
    """
    fixed = [
        f"{rule_id}.{name}"
        for rule_id, active in load().rules.items()
        for name, setting in active.text.settings.items()
        if is_number(active.rule, name) and setting.least == setting.most
    ]

    passive = [f"{rule_id}.passive_days" for rule_id in ("R18", "R19", "R22", "R23")]
    of_r41 = [f"R41.{name}_days" for name in ("daily", "monitoring", "nearby", "no_driving")]
    assert fixed == ["R15.start_day", *passive, *of_r41]

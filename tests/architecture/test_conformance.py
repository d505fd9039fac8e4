"""The table of assertions in tests/README.md is whole, and says the same as the conformance tests."""

import ast
import re
from collections import Counter
from itertools import chain
from pathlib import Path

TESTS = Path(__file__).parents[1]
PACKAGE = TESTS / "service" / "cds_hooks"
HEADING = "## CDS Hooks, assertion by assertion"
ROW = re.compile(r"\| C-(\d{3}) \| (.+?) \| (.+?) \|")
NOT_APPLICABLE = "not applicable: "
# The assertions on transport, discovery, requests, FHIR access, the answer, feedback, security and hooks
RANGES = (
    (1, 11),
    (20, 43),
    (50, 65),
    (70, 87),
    (100, 106),
    (110, 122),
    (125, 129),
    (132, 138),
    (140, 144),
    (147, 148),
    (150, 160),
    (161, 179),
    (185, 192),
)
IDS = [f"{number:03d}" for number in chain.from_iterable(range(first, last + 1) for first, last in RANGES)]
MOST_WITHOUT_A_TEST = 12


def rows() -> list[tuple[str, str, str]]:
    """Give id, words and test of every row."""
    _, _, section = (TESTS / "README.md").read_text(encoding="utf-8").partition(HEADING)
    return [match.groups() for line in section.splitlines() if (match := ROW.fullmatch(line))]  # type: ignore[misc]  # three groups


def written() -> list[str]:
    """Name every conformance test with its file."""
    return [
        f"{path.name}::{node.name}"
        for path in sorted(PACKAGE.glob("test_*.py"))
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and re.match(r"test_c\d{3}_", node.name)
    ]


def test_the_table_names_every_assertion_once_and_in_order() -> None:
    assert [key for key, _, _ in rows()] == IDS
    assert len(IDS) == 146


def test_each_assertion_has_its_own_test_or_a_reason() -> None:
    for key, _, test in rows():
        if test.startswith(NOT_APPLICABLE):
            assert len(test) > len(NOT_APPLICABLE) + 10, key
        else:
            assert re.fullmatch(rf"`test_[a-h]_\w+\.py::test_c{key}_\w+`", test), key


def test_few_assertions_have_no_test() -> None:
    assert sum(test.startswith(NOT_APPLICABLE) for _, _, test in rows()) <= MOST_WITHOUT_A_TEST


def test_table_and_tests_name_each_other() -> None:
    named = [test.strip("`") for _, _, test in rows() if not test.startswith(NOT_APPLICABLE)]

    assert Counter(named) == Counter(written())


def test_every_folder_of_tests_has_a_row() -> None:
    table = (TESTS / "README.md").read_text(encoding="utf-8").partition(HEADING)[0]
    folders = {path.parent.name for path in TESTS.glob("*/__init__.py")}

    assert set(re.findall(r"^\| `(\w+)/` \|", table, flags=re.MULTILINE)) >= folders

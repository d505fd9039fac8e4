"""The index of cases: which stories and which rows of the case tables exercise which rule.

Rows are read, not run: a row counts for an outcome where its test compares `outcome(..., rule)` with that outcome.
"""

import ast
import importlib
import inspect
import itertools
import re
import textwrap
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import FunctionType
from typing import Any

TESTS = Path(__file__).parent
OUTCOMES = ("flagged", "satisfied", "cannot_tell", "not_applicable")  # in this order in the index
_RULE = re.compile(r"\bR\d\d[A-Z]?\b")
_HEAD = """\
# Which stories and which rows of the case tables exercise which rule. Written by `python -m tests.sheet`; do not edit.
"""

Tables = Mapping[str, Mapping[str, Mapping[str, int]]]  # by rule, test and outcome


def index() -> str:
    """Write the index of all stories and case tables as TOML."""
    return toml(stories(), tables())


def stories() -> list[str]:
    """Name every story."""
    return sorted(entry.parent.name for entry in (TESTS / "stories").glob("*/response.json"))


def tables() -> Tables:
    """Count the rows of all case tables by rule, test and expected outcome."""
    counted: dict[str, dict[str, Mapping[str, int]]] = defaultdict(dict)
    for path in sorted((TESTS / "rules").glob("test_*.py")):
        module = importlib.import_module(f"tests.rules.{path.stem}")
        for name, function in vars(module).items():
            if name.startswith("test_") and inspect.isfunction(function):
                for rule, counts in expected_counts(function).items():
                    counted[rule][f"{path.name}::{name}"] = counts
    return counted


def expected_counts(function: Callable[..., object]) -> Mapping[str, Mapping[str, int]]:
    """Count the rows of one test by rule and expected outcome."""
    assert isinstance(function, FunctionType)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for rule, outcome in _expected_of(function):
        counts[rule][outcome] += 1
    return counts


def toml(names: Iterable[str], counted: Tables) -> str:
    """Write stories and counts by rule; a story belongs to every rule that its name mentions."""
    by_rule: dict[str, list[str]] = defaultdict(list)
    others = []
    for name in names:
        rules = dict.fromkeys(_RULE.findall(name))
        for rule in rules:
            by_rule[rule].append(name)
        if not rules:
            others.append(name)
    parts = [_HEAD, _list("others", others)]
    for rule in sorted({*by_rule, *counted}):
        parts += [f"\n[rules.{rule}]\n", _list("stories", by_rule.get(rule, []))]
        tests = counted.get(rule, {})
        if tests:
            parts.append(f"\n[rules.{rule}.tables]\n")
        for test, found in tests.items():
            numbers = ", ".join(f"{outcome} = {found[outcome]}" for outcome in OUTCOMES if found.get(outcome))
            parts.append(f'"{test}" = {{ {numbers} }}\n')
    return "".join(parts)


def _list(name: str, items: Iterable[str]) -> str:
    lines = "".join(f'    "{item}",\n' for item in items)
    return f"{name} = [\n{lines}]\n" if lines else f"{name} = []\n"


def _expected_of(function: FunctionType) -> Iterator[tuple[str, str]]:
    """Give every (rule, outcome) that a row of a test expects, once for each row."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    comparisons = [
        pair
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], ast.Eq)
        for pair in _pairs(node.left, node.comparators[0])
    ]
    for row in _rows(function):
        names = function.__globals__ | row
        found = {(_value(rule, names), _value(expected, names)) for rule, expected in comparisons}
        yield from sorted(
            (rule, expected)
            for rule, expected in found
            if isinstance(rule, str) and _RULE.fullmatch(rule) and expected in OUTCOMES
        )


def _pairs(left: ast.expr, right: ast.expr) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Give rule and expected outcome of `outcome(answer, rule) == expected`, or of several such in two tuples."""
    if isinstance(left, ast.Tuple) and isinstance(right, ast.Tuple):
        for one, other in zip(left.elts, right.elts, strict=False):
            yield from _pairs(one, other)
    elif isinstance(left, ast.Call) and ast.unparse(left.func) == "outcome" and len(left.args) == 2:
        yield left.args[1], right


def _value(node: ast.expr, names: dict[str, Any]) -> Any:
    """Work out an expression of a test; None where it depends on what only a run would know."""
    try:
        return eval(compile(ast.Expression(node), "<test>", "eval"), names)  # noqa: S307 - our own tests, just imported
    except Exception:
        return None


def _rows(function: FunctionType) -> Iterator[dict[str, Any]]:
    """Give the arguments of every row of a test, one row without any for a test that is no table."""
    columns = []
    for mark in getattr(function, "pytestmark", ()):
        if mark.name == "parametrize":
            given, values = mark.args
            keys = [key.strip() for key in given.split(",")] if isinstance(given, str) else list(given)
            columns.append([dict(zip(keys, _values(value, len(keys)), strict=True)) for value in values])
    for row in itertools.product(*columns):
        yield {key: value for part in row for key, value in part.items()}


def _values(value: Any, wanted: int) -> Iterable[Any]:
    if hasattr(value, "values") and hasattr(value, "marks"):
        return tuple(value.values)
    return (value,) if wanted == 1 else tuple(value)

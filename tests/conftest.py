"""How hard the property tests search (HYPOTHESIS_PROFILE picks a profile), and an ear for what must never be said."""

import os

import pytest
from hypothesis import settings

from tests import canary

settings.register_profile("default", max_examples=50, derandomize=True, deadline=None, database=None)
settings.register_profile("deep", max_examples=1_000, deadline=None, database=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

_LAST = "tests/test_canary.py"
LEAKS: list[str] = []  # tests during which the service wrote a secret to standard output or standard error


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Listen to what was written during one test."""
    for name, text in report.sections:
        LEAKS.extend(f"{report.nodeid}, {name}: {leak}" for leak in canary.leaks(text))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the test that looks at what was written run after all others."""
    items.sort(key=lambda item: item.nodeid.startswith(_LAST))

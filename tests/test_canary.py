"""Runs after everything else: nothing that the service wrote meanwhile holds a name, a token, or a JWT."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import canary
from tests.conftest import LEAKS

# What the service writes; the other files are those that tests write for it to read: charts, tokens, keys
_LOG = "log"
_DATABASES = (".sqlite", ".db")


def _is_output(path: Path) -> bool:
    return path.name == _LOG or any(suffix.startswith(_DATABASES) for suffix in path.suffixes)


def _written(tests: Path) -> Iterator[Path]:
    """Give the outputs among the files of the tests, and all files of services that were started."""
    yield from (path for path in tests.rglob("*") if path.is_file() and _is_output(path))
    for folder in Path(tempfile.gettempdir()).glob("mmcds-*"):
        yield from (path for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    "text",
    [
        f"name={canary.NAME}",
        canary.ACCESS_TOKEN,
        "eyJhbGciOiJFUzM4NCJ9.eyJpc3MiOiJ4In0.abc",
        "Authorization: Bearer abcdefgh",
    ],
    ids=["a name", "an access token", "a JWT", "a header"],
)
def test_a_leak_would_be_seen(text: str) -> None:
    assert list(canary.leaks(f"before {text} after"))


def test_words_about_tokens_are_no_leak() -> None:
    assert not list(canary.leaks("security: the access token is for another patient; Authorization: Bearer <JWT>"))


def test_nothing_that_was_written_during_the_tests_holds_a_secret(tmp_path_factory: pytest.TempPathFactory) -> None:
    outputs = list(_written(tmp_path_factory.getbasetemp()))

    in_files = [f"{path}: {leak}" for path in outputs for leak in canary.leaks(path.read_text(errors="replace"))]

    assert LEAKS == []
    assert in_files == []

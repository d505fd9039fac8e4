"""Runs after everything else: nothing that the service wrote meanwhile holds a name, a token, or a JWT."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import canary
from tests.conftest import LEAKS

# Files that tests write for the service to read: charts with names, tokens, keys, configurations
_INPUTS = {".json", ".toml", ".pem", ".txt", ".token", ".ndjson", ".py"}


def _written(folders: list[Path]) -> Iterator[Path]:
    for folder in folders:
        yield from (path for path in folder.rglob("*") if path.is_file() and path.suffix not in _INPUTS)


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
    folders = [tmp_path_factory.getbasetemp(), *Path(tempfile.gettempdir()).glob("mmcds-*")]

    in_files = [
        f"{path}: {leak}" for path in _written(folders) for leak in canary.leaks(path.read_text(errors="replace"))
    ]

    assert LEAKS == []
    assert in_files == []

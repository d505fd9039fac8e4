"""The README tells the truth: its commands exist, and its example gets the answer that it prints."""

import json
import re
from pathlib import Path
from typing import Any

from cds_service.app import create_app
from cds_service.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, flags=re.DOTALL)


def test_the_two_first_commands_are_the_demonstration_and_the_tests() -> None:
    commands = [text.strip() for kind, text in BLOCKS if kind == "bash"]

    assert commands[:2] == ["make demo", "make test"]


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))

    named = set(re.findall(r"make ([a-z]+)", README))

    assert named
    assert named <= targets


def test_the_example_gets_the_answer_that_is_printed() -> None:
    (curl,) = [text for kind, text in BLOCKS if kind == "bash" and text.startswith("curl")]
    (printed,) = [json.loads(text) for kind, text in BLOCKS if kind == "json"]
    address, body = re.search(r"http://127\.0\.0\.1:8080(\S+)", curl), re.search(r"-d @(\S+)", curl)
    assert address
    assert body
    client = create_app(Settings(auth="off", as_of="2026-11-20")).test_client()

    answer = client.post(address[1], data=(ROOT / body[1]).read_bytes(), content_type="application/json")

    assert answer.status_code == 200
    assert _is_part_of(printed, answer.get_json())


def _is_part_of(part: Any, whole: Any) -> bool:
    if isinstance(part, dict):
        return all(key in whole and _is_part_of(value, whole[key]) for key, value in part.items())
    if isinstance(part, list):
        return len(part) == len(whole) and all(_is_part_of(p, w) for p, w in zip(part, whole, strict=True))
    return bool(part == whole)


def test_every_setting_is_described() -> None:
    variables = {PREFIX + name.upper() for name in Settings.model_fields}

    assert set(re.findall(r"`(MMCDS_[A-Z_]+)`", README)) == variables


def test_every_path_that_is_named_exists() -> None:
    named = re.findall(r"`((?:tests|cards|fhir_mapping|cds_service|deploy)/[\w./-]*)`", README)

    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []

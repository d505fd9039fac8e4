"""The synthetic patients that come with the product: for the demonstration, and as examples of its description."""

import json
from dataclasses import dataclass
from importlib import resources
from typing import Any

AS_OF = "2026-11-20"  # the day on which their charts are read


@dataclass(frozen=True, slots=True)
class DemoPatient:
    """One synthetic patient, the hook that is fired, and the outcomes that the rules must give."""

    name: str
    title: str
    asked: str
    because: str
    expected: dict[str, str]
    request: dict[str, Any]


def demo_patients() -> list[DemoPatient]:
    """Load the synthetic patients in the order in which they are shown."""
    folder = resources.files("cds_service") / "cli" / "patients"
    files = [entry for entry in folder.iterdir() if entry.name.endswith(".json")]
    return [
        DemoPatient(name=entry.name.removesuffix(".json"), **json.loads(entry.read_text(encoding="utf-8")))
        for entry in sorted(files, key=lambda entry: int(entry.name.partition("-")[0]))
    ]

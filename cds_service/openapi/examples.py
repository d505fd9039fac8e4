"""One request and its real answer for each hook, from the synthetic patients of the demonstration."""

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from importlib import resources
from typing import Any

import msgspec

from cards.card import Response
from cards.finding import Hook
from cds_service.assess import Assessor, assess

_AS_OF = date(2026, 11, 20)


@dataclass(frozen=True, slots=True)
class Example:
    """A request, its answer, and one line on the patient."""

    title: str
    request: dict[str, Any]
    response: dict[str, Any]


def examples(assessor: Assessor) -> dict[Hook, Example]:
    """Ask the service itself: for each hook about the first synthetic patient whom a rule flags, on a fixed day."""
    numbers = itertools.count(1)
    fixed = replace(assessor, today=lambda: _AS_OF, new_uuid=lambda: f"00000000-0000-4000-8000-{next(numbers):012d}")
    found: dict[Hook, Example] = {}
    for patient in _flagged_patients():
        request = patient["request"]
        hook = Hook(request["hook"])
        if hook not in found:
            answer = Response(cards=assess(json.dumps(request).encode(), hook, fixed).cards)
            found[hook] = Example(patient["title"], request, msgspec.json.decode(msgspec.json.encode(answer)))
    return found


def _flagged_patients() -> Iterator[dict[str, Any]]:
    folder = resources.files("cds_service") / "cli" / "patients"
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".json"):
            patient = json.loads(entry.read_text(encoding="utf-8"))
            if "flagged" in patient["expected"].values():
                yield patient

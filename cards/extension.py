"""What a card says beside its words, for clients that count: which rules it speaks for, and what each found."""

from collections.abc import Iterable
from typing import Any

from cards.evaluate import Result
from cards.finding import Outcome

RULES_EXTENSION = "mmcds.rules"


def spoken_for(results: Iterable[Result]) -> dict[str, Any]:
    """Name the rules that a card speaks for, each with what it found."""
    outcomes: dict[str, str] = {}
    for result in results:
        is_flagged = result.outcome is Outcome.FLAGGED
        outcomes.setdefault(result.active.text.id, "flagged" if is_flagged else "cannot_tell")
    return {RULES_EXTENSION: [{"id": key, "outcome": outcome} for key, outcome in outcomes.items()]}

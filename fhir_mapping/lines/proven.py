"""The minimum: starts that certainly lie in different lines."""

from collections.abc import Mapping

from fhir_mapping.lines.starts import Chart, Start
from fhir_mapping.model.dates import ClinicalDate
from fhir_mapping.model.vocabulary import Certainty

Proven = Mapping[Start, ClinicalDate | None]  # each with the progression before it, where there is one


def proven_lines(chart: Chart) -> dict[Start, ClinicalDate | None]:
    """Pick starts of which each certainly lies in a later line than the one before, with the progression between.

    A transplant counts like a drug: without progression it may belong to the programme before.
    """
    found: dict[Start, ClinicalDate | None] = {}
    before: Start | None = None
    for start in sorted(chart.starts, key=lambda s: (s.begins.latest, s.order)):
        if not start.certain:
            continue
        progression = None if before is None or start.is_infusion else _progression_between(before, start, chart)
        if before is not None:
            if (start.begins.earliest - before.begins.latest).days <= chart.days["regimen_join"]:
                continue
            if start.is_infusion and before.begins.latest >= chart.episode_from(start):
                continue
            if not start.is_infusion and (progression is None or _may_go_on(start, progression, chart)):
                continue
        found[start] = progression
        before = start
    return found


def _progression_between(before: Start, start: Start, chart: Chart) -> ClinicalDate | None:
    """Find a certain progression between two starts, unless both may be bridging for one infusion."""
    for infusion in chart.infusions:
        is_ahead = infusion is not before and start.begins.earliest <= infusion.begins.latest
        is_after = before.begins.latest >= chart.episode_from(infusion)
        apart = (start.begins.earliest - before.begins.latest).days
        if is_ahead and is_after and apart <= chart.days["collection_to_infusion"]:
            return None
    stated = [event.on for event in chart.history.progressions if event.on and event.certainty is Certainty.STATED]
    between = [on for on in stated if on.earliest > before.begins.latest and on.latest <= start.begins.earliest]
    return min(between, key=lambda on: (on.latest, on.earliest), default=None)


def _may_go_on(start: Start, progression: ClinicalDate, chart: Chart) -> bool:
    """Whether a drug may only go on, or be taken up again soon, that was begun before a progression."""
    return any(
        other.key == start.key
        and other.begins.earliest < progression.latest
        and (start.begins.earliest - other.last.latest).days <= chart.days["treatment_pause"]
        for other in chart.drugs
    )

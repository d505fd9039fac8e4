"""Why a start is a line of its own or part of one, in words that a haematologist can check."""

from collections.abc import Iterator, Mapping

from fhir_mapping.lines.proven import Proven
from fhir_mapping.lines.starts import Chart, Start
from fhir_mapping.model.dates import earliest_of, latest_of
from fhir_mapping.model.lines import Line
from fhir_mapping.model.treatment import Course, EndReason, Transplant, TransplantKind
from fhir_mapping.model.vocabulary import Tier
from fhir_mapping.refractory import all_treatment_was_read

_CELLS = "CAR T cells are a line of their own, with their bridging and lymphodepletion."
_UNDATED = "Without a date it is a line of its own or part of any other."
BRIDGED = "{name} was bridging between T-cell collection and infusion."
GOES_ON = "{name} went on, or was taken up again within {treatment_pause} days, without recorded progression."
JOINED = "{name} was started within {regimen_join} days."
COMPLETED = "The {name} within {transplant_in_line} days of the start of a regimen is part of its programme."
TANDEM = "A second {name} within {tandem_transplant} days, without recorded progression, is part of one programme."
MAINTAINED = (
    "{name} was started within {maintenance} days of the transplant or the end of the regimen, without recorded "
    "progression: it is its maintenance."
)
_FIRST = "The first treatment of myeloma on record."
_AGAIN = "{name} had been given before: a new line only if the myeloma had progressed."
_TOXICITY = "Treatment before {name} was ended for toxicity, which by itself is not counted as certain."
_MAINTENANCE = "{name} was started within {treatment_pause} days of other treatment: it may be its maintenance."
_NO_REASON = "{name} was started after more than {regimen_join} days; why is not recorded."
_TRANSPLANTED = {
    TransplantKind.AUTOLOGOUS: "No regimen certainly led to the {name} within {transplant_in_line} days.",
    TransplantKind.ALLOGENEIC: "An {name} is a line of its own unless it was planned from the start.",
    TransplantKind.UNKNOWN: "The record of the {name} does not say whose cells: the patient's own may complete a line.",
}


def why(start: Start, proven: Proven, chart: Chart) -> str:
    """Say why a start is a line of its own, or may be one."""
    if start.is_infusion and start.is_dated:
        return _CELLS
    if not start.is_dated:
        return _UNDATED
    if start in proven:
        progression = proven[start]
        begun = f"the {start.name}" if isinstance(start.record, Transplant) else f"{start.name} was started"
        return f"The myeloma progressed ({progression}) before {begun}." if progression else _FIRST
    others = [s for s in chart.starts if s.order < start.order]
    if not others:
        return _FIRST
    reason = _NO_REASON
    if isinstance(start.record, Transplant):
        reason = _TRANSPLANTED[start.record.kind]
    elif any(other.key == start.key for other in others):
        reason = _AGAIN
    elif any(isinstance(s.record, Course) and s.record.end_reason is EndReason.TOXICITY for s in others):
        reason = _TOXICITY
    elif any(other.last.days_until(start.begins).fewest <= chart.days["treatment_pause"] for other in others):
        reason = _MAINTENANCE
    return reason.format(name=start.name, **chart.days)


def _doubts(start: Start) -> Iterator[str]:
    if isinstance(start.record, Course) and start.record.tier is Tier.PRESUMPTIVE:
        yield f"{start.name} was only ordered: nothing says that it was given."
    elif not start.certain:
        of = f"the {start.name}" if isinstance(start.record, Transplant) else start.name
        yield f"The record of {of} leaves open whether that was treatment of the myeloma."
    if start.is_dated and not start.begins.is_exact:
        dated = "The" if isinstance(start.record, Transplant) else "The first dose of"
        yield f"{dated} {start.name} is dated no better than {start.begins}."


def finished(members: Mapping[Start, str], proven: Proven) -> Line:
    """Write out a line with its reasons and records, from what belongs to it and why."""
    starts = list(members)
    dated = [start for start in starts if start.is_dated]
    given = {start.key for start in starts if start.certain}
    # An order says nothing where doses of the same drug stand in the same line
    doubts = [doubt for start in starts if start.certain or start.key not in given for doubt in _doubts(start)]
    said = [*members.values(), *doubts]
    return Line(
        drugs=tuple(dict.fromkeys(s.drug for s in sorted(starts, key=lambda s: (s.begins.earliest, s.name)) if s.drug)),
        transplants=tuple(start.record for start in starts if isinstance(start.record, Transplant)),
        first_day=earliest_of([start.begins for start in dated]),
        last_day=latest_of([start.last for start in dated]),
        reasons=tuple(dict.fromkeys(said)),
        sources=tuple(dict.fromkeys(source for start in starts for source in start.record.sources)),
        certain=any(start in proven for start in starts),
    )


def reasons_of(chart: Chart, *, by_progression: bool, by_doubt: bool) -> Iterator[str]:
    """Say what widens the range as a whole."""
    if not all_treatment_was_read(chart.history):
        yield "Not all records of treatment were read and recognised."
    if chart.may_hide_progression:
        yield "The myeloma may have progressed on a day that is not known."
    if by_progression:
        yield "Progression soon after the start of treatment may have begun another line."
    if by_doubt:
        yield "Not all that may have been given need have been: what is told as one line may have been more."

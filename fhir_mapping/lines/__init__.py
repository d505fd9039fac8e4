"""Lines of therapy, inferred from what was given and when the myeloma progressed: a range, never a guess.

A line is one planned programme, such as induction, transplant and maintenance; a change because of progression,
relapse or toxicity starts the next (E41a). Charts seldom say why treatment was changed, so the count has two bounds.
The minimum rests on positive evidence alone: certain treatment on both sides of a certain progression, and CAR T
infusions. The maximum takes every start that is not certainly part of an earlier line for a line of its own: a new
drug of which nobody says why it was begun may follow a progression that was not recorded. A line number that someone
wrote down counts for more than either. All limits are days, in `catalog/definitions.toml`.

`starts` lists what may start a line, `proven` finds the minimum, `possible` and `programme` the maximum, `documented`
takes written numbers into account, and `wording` says why.

Known limits: a switch because of toxicity widens the range and no more; steroids alone are no line.
"""

from fhir_mapping.catalog.loader import Catalog
from fhir_mapping.lines.documented import with_documented
from fhir_mapping.lines.most import most_lines
from fhir_mapping.lines.possible import early_progressions, possible_lines
from fhir_mapping.lines.proven import proven_lines
from fhir_mapping.lines.result import Line, LineCount
from fhir_mapping.lines.starts import chart_of
from fhir_mapping.lines.wording import finished, reasons_of
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.refractory import all_treatment_was_read

__all__ = ["Line", "LineCount", "lines_of_therapy"]


def lines_of_therapy(history: TreatmentHistory, catalog: Catalog) -> LineCount:
    """Count the lines of therapy; steroids and supportive drugs make none, doses without any date one at most."""
    chart = chart_of(history, catalog)
    proven = proven_lines(chart) or dict.fromkeys([start for start in chart.undated if start.certain][:1])
    drafts, openers = possible_lines(chart, proven)
    most = max(len(proven), len(drafts), most_lines(chart))
    splits = most - len(drafts) if early_progressions(chart, openers) else 0
    counted = LineCount(
        minimum=len(proven),
        maximum=most if all_treatment_was_read(history) else None,
        lines=tuple(finished(draft, proven) for draft in drafts),
        reasons=tuple(reasons_of(chart, splits)),
    )
    return with_documented(counted, chart, proven, drafts, splits)

"""Lines of therapy, inferred from what was given and when the myeloma progressed: a range, never a guess.

A line is one planned programme, such as induction, transplant and maintenance; a change because of progression,
relapse or toxicity starts the next (E41a). Charts seldom say why treatment was changed, so the count has two bounds.
The minimum rests on positive evidence alone: certain treatment on both sides of a certain progression, and CAR T
infusions. The maximum takes every start that is not certainly part of another line for a line of its own: a new drug
of which nobody says why it was begun may follow a progression that was not recorded. A line number that someone
wrote down counts for more than either. All limits are days, in `catalog/definitions.toml`.

`starts` lists what may start a line; `proven` finds the minimum; `parts`, `reach` and `possible` the maximum and the
lines as they are told; `documented` takes written numbers into account, and `wording` says why.

Known limits: a switch because of toxicity widens the range and no more; steroids alone are no line.
"""

from fhir_mapping.catalog.loader import Catalog
from fhir_mapping.lines.documented import with_documented
from fhir_mapping.lines.possible import possible_lines, told
from fhir_mapping.lines.proven import proven_lines
from fhir_mapping.lines.starts import chart_of
from fhir_mapping.lines.wording import finished, reasons_of
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.lines import LineCount
from fhir_mapping.refractory import all_treatment_was_read


def count_of_lines(history: TreatmentHistory, catalog: Catalog) -> LineCount:
    """Count the lines of therapy without telling them: all that a rule asks for, and most of the work spared."""
    chart = chart_of(history, catalog)
    proven, possible = proven_lines(chart), possible_lines(chart)
    most = possible.most if all_treatment_was_read(history) else None
    return with_documented(LineCount(len(proven), most, (), ()), chart, proven, possible)


def lines_of_therapy(history: TreatmentHistory, catalog: Catalog) -> LineCount:
    """Count and tell the lines; steroids and supportive drugs make none, doses without any date one at most."""
    chart = chart_of(history, catalog)
    proven, possible = proven_lines(chart), possible_lines(chart)
    reasons = reasons_of(chart, by_progression=possible.is_split_by_progression, by_doubt=possible.is_split_by_doubt)
    counted = LineCount(
        minimum=len(proven),
        maximum=possible.most if all_treatment_was_read(history) else None,
        lines=tuple(finished(draft, proven) for draft in told(possible, chart, proven)),
        reasons=tuple(reasons),
    )
    return with_documented(counted, chart, proven, possible)

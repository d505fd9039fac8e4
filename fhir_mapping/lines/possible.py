"""The maximum, and the lines as they are told: starts that are not certainly part of the line of another.

Cells, transplants and drugs that no rule of `parts` makes part of another's line may each have begun a line, but of
drugs that certainly join each other in one regimen, or are certainly more of the same, only one did. So the maximum is
the most of them of which no two belong together. Whatever is less certain, or has a vaguer date, leaves more starts
and shorter reaches, and never lowers it.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from fhir_mapping.lines.parts import Part, Parts
from fhir_mapping.lines.proven import Proven
from fhir_mapping.lines.reach import Reaches, together
from fhir_mapping.lines.starts import Chart, Start
from fhir_mapping.lines.wording import GOES_ON, JOINED, why

Draft = dict[Start, str]  # what belongs to a line, each with the reason; what began it comes first


@dataclass(frozen=True, slots=True)
class Possible:
    """The most lines there may have been, and those that the chart shows if nothing unrecorded divided them.

    `drafts` holds what may have begun a line, and `belongs` says of all else of which line it is part: see `told`.
    """

    most: int
    drafts: list[Draft]
    belongs: Mapping[Start, Part | None]
    is_split_by_progression: bool
    is_split_by_doubt: bool

    @property
    def splits(self) -> int:
        """Give the number of lines that cannot be told one by one."""
        return self.most - len(self.drafts)


def possible_lines(chart: Chart) -> Possible:
    """Put every start into the line to which it certainly belongs, and count the lines that may have been."""
    reaches = Reaches(chart)
    parts = Parts(chart, reaches)
    belongs = {start: parts.of(start) for start in (*chart.drugs, *chart.transplants)}
    drugs = [drug for drug in chart.drugs if belongs[drug] is None]
    by_key: dict[str, list[Start]] = defaultdict(list)
    for drug in drugs:
        by_key[drug.key].append(drug)
    courses = [course for same in by_key.values() for course in together(same, reaches.continued)]
    regimens = _regimens(courses, reaches)
    recorded = min(len(courses), len(together(drugs, reaches.joined_at_most)))
    most = min(len(courses), len(together(drugs, reaches.joined)))
    alone = [*chart.infusions, *(transplant for transplant in chart.transplants if belongs[transplant] is None)]
    return Possible(
        most=len(alone) + most,
        drafts=[*({start: ""} for start in alone), *regimens],
        belongs=belongs,
        is_split_by_progression=most > recorded,
        is_split_by_doubt=recorded > len(regimens),
    )


def _regimens(courses: list[list[Start]], reaches: Reaches) -> list[Draft]:
    """Put drugs together that join each other, and with each what is more of the same."""
    more_of = {first: more for first, *more in courses}
    return [
        {
            first: "",
            **dict.fromkeys(joined, JOINED),
            **{more: GOES_ON for start in (first, *joined) for more in more_of[start]},
        }
        for first, *joined in together(list(more_of), reaches.joined_at_most)
    ]


def told(possible: Possible, chart: Chart, proven: Proven) -> list[Draft]:
    """Add what belongs to each line, and say why it is one, in the order of their beginnings."""
    drafts = [dict(draft) for draft in possible.drafts]
    line_of = {start: draft for draft in drafts for start in draft}
    for start, part in sorted(possible.belongs.items(), key=lambda item: item[0].order):
        if part is not None:
            line_of[start] = line_of[part.of]
            line_of[start][start] = part.why
    for draft in drafts:
        for start, said in draft.items():
            has_reason = said and not proven.get(start)
            draft[start] = said.format(name=start.name, **chart.days) if has_reason else why(start, proven, chart)
    _add_preparations(chart, line_of)
    return sorted(drafts, key=lambda draft: min((not start.is_dated, start.order) for start in draft))


def _add_preparations(chart: Chart, line_of: Mapping[Start, Draft]) -> None:
    """Name what prepared for cells in their line; mobilisation in that of the treatment before, or the first."""
    in_order = sorted(line_of, key=lambda start: start.order)
    for preparation in chart.preparations:
        start, target = preparation.start, preparation.target
        if target is None:
            before = [other for other in in_order if other.order <= start.order]
            target = next(iter([*reversed(before), *in_order]), None)
        if target is not None:
            line_of[target][start] = f"{start.name} {preparation.purpose}."

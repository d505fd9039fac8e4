"""From single records of a drug to its courses: doses without a long gap."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from operator import attrgetter, itemgetter

from fhir_mapping.catalog.loader import Catalog
from fhir_mapping.model.dates import Answer, ClinicalDate, earliest_of, latest_of
from fhir_mapping.model.treatment import CarTInfusion, Course, Exposure
from fhir_mapping.model.vocabulary import Certainty, Tier

# Looking a member up in its Enum costs as much as a call in Python 3.11, and these are wanted for every record
_STATED, _PROVEN, _PRESUMPTIVE = Certainty.STATED, Tier.PROVEN, Tier.PRESUMPTIVE
_ONGOING, _TIER = attrgetter("ongoing"), attrgetter("tier")


def courses(
    exposures: Iterable[Exposure], catalog: Catalog, today: ClinicalDate, cells: Iterable[CarTInfusion] = ()
) -> tuple[Course, ...]:
    """Join the records of each drug into courses; what prepared for CAR T cells is none with the doses before.

    What was only ordered, or is only possible, stays a course of its own and never lends its dates to proven
    doses; an ended order that recorded doses explain is left out, since it adds nothing to them.
    """
    by_drug: dict[tuple[str, ClinicalDate | None], list[Exposure]] = defaultdict(list)
    infused = [i.infused for i in cells if i.infused is not None and i.certainty is Certainty.STATED]
    preparing = catalog.definitions["lymphodepletion"]["drugs"]
    for exposure in exposures:
        day = _prepares_for(exposure, infused, catalog) if infused and exposure.drug.id in preparing else None
        by_drug[exposure.drug.id, day].append(exposure)
    found: list[Course] = []
    for records in by_drug.values():
        given: list[Exposure] = []
        others: list[Exposure] = []
        for record in records:
            (given if _is_given(record) else others).append(record)
        joined = _join(given, catalog.days("course_gap"))
        found += joined
        # A record that names no date is explained by dated doses; one whose date is lost may be of any day
        undated = (r for r in given if r.last_dose is None and (r.tier is not Tier.UNDATED or not (joined and r.ended)))
        found += [_course([record]) for record in undated]
        found += [_course([record]) for record in others if not _is_explained(record, joined)]
    return tuple(sorted(found, key=lambda course: _order_of(course, today)))


def _prepares_for(record: Exposure, infused: list[ClinicalDate], catalog: Catalog) -> ClinicalDate | None:
    """Find the infusion before which a record certainly lies, by no more days than lymphodepletion takes."""
    if record.first_dose is None or record.last_dose is None:
        return None
    first, last, days = record.first_dose, record.last_dose, catalog.days("lymphodepletion")
    return next((on for on in infused if first.days_until(on).most <= days and last.days_until(on).fewest >= 0), None)


def _is_given(record: Exposure) -> bool:
    return record.certainty is _STATED and record.tier is not _PRESUMPTIVE


def _is_explained(record: Exposure, given: list[Course]) -> bool:
    """Whether doses on or after the day an ended order was written show what became of it."""
    if record.tier is not Tier.PRESUMPTIVE or not record.ended or record.first_dose is None:
        return False
    written = (record.source.on or record.first_dose).latest
    return any(course.last_dose is not None and course.last_dose.earliest >= written for course in given)


def _join(records: list[Exposure], gap_days: int) -> list[Course]:
    """Put dated records into one course that certainly lie fewer than `gap_days` from each other."""
    gap = timedelta(gap_days)
    joined: list[_Doses] = []
    vague: list[Exposure] = []
    for start, end, record in sorted(_dated(records), key=_first_day):
        if start.earliest != start.latest or end.earliest != end.latest:
            vague.append(record)
        elif joined and start.latest - (doses := joined[-1]).until < gap:
            doses.records.append(record)
            if end.latest > doses.until:
                doses.until = end.latest
        else:
            joined.append(_Doses(start.latest, end.latest, [record]))
    found = [doses.records for doses in joined] if not vague else _with_vague(joined, vague, gap)
    return [_course(doses) for doses in found]


_Dated = tuple[ClinicalDate, ClinicalDate, Exposure]


def _dated(records: list[Exposure]) -> list[_Dated]:
    """Give the records with a date, each behind its first and its last dose."""
    return [(r.first_dose or last_dose, last_dose, r) for r in records if (last_dose := r.last_dose) is not None]


def _first_day(span: _Dated) -> date:
    return span[0].earliest


@dataclass(slots=True, eq=False)
class _Doses:
    """Records of one course; some dose was given by the day `since`, and some on the day `until` or after it."""

    since: date
    until: date
    records: list[Exposure]

    def take(self, others: "list[_Doses]") -> None:
        """Make those of others its own."""
        for other in others:
            self.since, self.until = min(self.since, other.since), max(self.until, other.until)
            self.records += other.records


def _with_vague(joined: list[_Doses], vague: list[Exposure], gap: timedelta) -> list[list[Exposure]]:
    """Let vague records, the least vague first, join doses that are close whatever day they stand for.

    One that may lie on either side of a gap joins no other of its kind; but of many with the same date some lie close
    together.
    """
    apart: dict[tuple[ClinicalDate, ClinicalDate], list[Exposure]] = defaultdict(list)
    for record in sorted(vague, key=lambda r: (_vagueness(r), _start(r).earliest, r.source.reference)):
        doses = _Doses(_start(record).latest, _end(record).earliest, [record])
        close = [other for other in joined if doses.since - other.until < gap and other.since - doses.until < gap]
        if close:
            close[0].take([doses, *close[1:]])
            joined = [other for other in joined if other not in close[1:]]
        elif _vagueness(record) < gap:
            joined.append(doses)
        else:
            apart[_start(record), _end(record)].append(record)
    found = [doses.records for doses in joined]
    for alike in apart.values():
        most = _vagueness(alike[0]) // gap + 1
        found += [alike[number::most] for number in range(min(most, len(alike)))]
    return found


def _vagueness(record: Exposure) -> timedelta:
    return _start(record).latest - _end(record).earliest


def _start(record: Exposure) -> ClinicalDate:
    start = record.first_dose or record.last_dose
    assert start is not None  # noqa: S101 - only dated records are joined
    return start


def _end(record: Exposure) -> ClinicalDate:
    end = record.last_dose or record.first_dose
    assert end is not None  # noqa: S101 - only dated records are joined
    return end


def _course(records: list[Exposure]) -> Course:
    dated = _dated(records)
    closing = max(dated, key=_last_days)[2] if dated else records[0]
    ongoing = any(map(_ONGOING, records))
    reasons = [] if ongoing else [r.end_reason for r in (closing, *records) if r.end_reason is not None]
    others = sorted([r.source for r in records if r is not closing], key=itemgetter(0))
    return Course(
        drug=records[0].drug,
        first_dose=earliest_of([start for start, _, _ in dated]),
        last_dose=latest_of([end for _, end, _ in dated]),
        ongoing=ongoing,
        tier=min(map(_TIER, records)),
        certainty=records[0].certainty,
        end_reason=reasons[0] if reasons else None,
        sources=(closing.source, *others),  # the record that the last dose rests on is named first
        ended=Answer.NO if ongoing else _ended(records),
    )


def _last_days(span: _Dated) -> tuple[date, date]:
    return span[1].latest, span[1].earliest


def _ended(records: list[Exposure]) -> Answer:
    """Whether a record of the whole course, not of a single dose, is closed, and no other goes on after it."""
    closed = [r for r in records if r.ended and r.tier is not _PROVEN]
    if not closed:
        return Answer.NO
    closing = latest_of([r.last_dose for r in closed if r.last_dose is not None])
    answers = [
        Answer.UNKNOWN if closing is None or r.last_dose is None else r.last_dose.is_after(closing)
        for r in records
        if not r.ended or r.tier is _PROVEN
    ]
    if Answer.YES in answers:
        return Answer.NO
    return Answer.UNKNOWN if Answer.UNKNOWN in answers else Answer.YES


def continues(course: Course, on: ClinicalDate, catalog: Catalog) -> Answer:
    """Whether a dose on that day goes on with a course: the same drug, given less than the gap of a course before.

    What was only ordered or may have been given, and what has no date, leaves it open.
    """
    if course.last_dose is None:
        return Answer.UNKNOWN
    is_soon = course.last_dose.days_until(on).less_than(catalog.days("course_gap"))
    return Answer.UNKNOWN if is_soon is Answer.YES and not course.is_proven_or_reported else is_soon


def _order_of(course: Course, today: ClinicalDate) -> tuple[object, ...]:
    return ((course.last_dose or today).latest, course.drug.id, course.tier, course.sources[0].reference)

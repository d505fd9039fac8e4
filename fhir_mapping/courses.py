"""From single records of a drug to its courses: doses without a long gap."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from itertools import accumulate, compress, filterfalse, groupby, pairwise
from operator import and_, attrgetter, eq, is_, itemgetter, not_, sub

from fhir_mapping.catalog.loader import Catalog
from fhir_mapping.model.dates import Answer, ClinicalDate, earliest_of, latest_of
from fhir_mapping.model.treatment import CarTInfusion, Course, Exposure
from fhir_mapping.model.vocabulary import Certainty, Tier

_STATED, _PROVEN, _PRESUMPTIVE = Certainty.STATED, Tier.PROVEN, Tier.PRESUMPTIVE
_GIVEN = frozenset((_STATED, tier) for tier in Tier if tier is not _PRESUMPTIVE)
_SAID, _TIER, _DRUG = attrgetter("certainty", "tier"), attrgetter("tier"), attrgetter("drug.id")
_FIRST_DOSE, _LAST_DOSE = attrgetter("first_dose"), attrgetter("last_dose")
_LAST_DAYS = attrgetter("last_dose.latest", "last_dose.earliest")
_ONGOING, _END_REASON, _SOURCE = attrgetter("ongoing"), attrgetter("end_reason"), attrgetter("source")
_EARLIEST, _LATEST, _REFERENCE = attrgetter("earliest"), attrgetter("latest"), attrgetter("reference")


def courses(
    exposures: Iterable[Exposure], catalog: Catalog, today: ClinicalDate, cells: Iterable[CarTInfusion] = ()
) -> tuple[Course, ...]:
    """Join the records of each drug into courses; what prepared for CAR T cells is none with the doses before."""
    infused = [i.infused for i in cells if i.infused is not None and i.certainty is _STATED]
    preparing = catalog.definitions["lymphodepletion"]["drugs"]
    found: list[Course] = []
    for drug, run in groupby(sorted(exposures, key=_DRUG), key=_DRUG):
        records = [*run]
        apart = _by_infusion(records, infused, catalog) if infused and drug in preparing else (records,)
        for alike in apart:
            found += _courses_of(alike, catalog)
    return tuple(sorted(found, key=lambda course: _order_of(course, today)))


def _courses_of(records: list[Exposure], catalog: Catalog) -> list[Course]:
    """Join the records of one drug.

    What was only ordered, or is only possible, stays a course of its own and never lends its dates to proven
    doses; an ended order that recorded doses explain is left out, since it adds nothing to them.
    """
    is_given = [*map(_GIVEN.__contains__, map(_SAID, records))]
    given, others = [*compress(records, is_given)], compress(records, map(not_, is_given))
    joined = _join([*filter(_LAST_DOSE, given)], catalog.days("course_gap"))
    # A record that names no date is explained by dated doses; one whose date is lost may be of any day
    undated = [r for r in filterfalse(_LAST_DOSE, given) if r.tier is not Tier.UNDATED or not (joined and r.ended)]
    alone = [*undated, *(record for record in others if not _is_explained(record, joined))]
    return joined + [_course([record]) for record in alone]


def _by_infusion(records: list[Exposure], infused: list[ClinicalDate], catalog: Catalog) -> Iterable[list[Exposure]]:
    """Tell the records of a drug apart by the infusion that they prepared for."""
    apart: dict[ClinicalDate | None, list[Exposure]] = defaultdict(list)
    for record in records:
        apart[_prepares_for(record, infused, catalog)].append(record)
    return apart.values()


def _prepares_for(record: Exposure, infused: list[ClinicalDate], catalog: Catalog) -> ClinicalDate | None:
    """Find the infusion before which a record certainly lies, by no more days than lymphodepletion takes."""
    if record.first_dose is None or record.last_dose is None:
        return None
    first, last, days = record.first_dose, record.last_dose, catalog.days("lymphodepletion")
    return next((on for on in infused if first.days_until(on).most <= days and last.days_until(on).fewest >= 0), None)


def _is_explained(record: Exposure, given: list[Course]) -> bool:
    """Whether doses on or after the day an ended order was written show what became of it."""
    if record.tier is not Tier.PRESUMPTIVE or not record.ended or record.first_dose is None:
        return False
    written = (record.source.on or record.first_dose).latest
    return any(course.last_dose is not None and course.last_dose.earliest >= written for course in given)


def _join(dated: list[Exposure], gap_days: int) -> list[Course]:
    """Put dated records into one course that certainly lie fewer than `gap_days` from each other."""
    if not dated:
        return []
    gap = timedelta(gap_days)
    starts, ends = _starts(dated), [*map(_LAST_DOSE, dated)]
    since, until = [*map(_LATEST, starts)], [*map(_LATEST, ends)]
    is_exact = [*map(and_, map(eq, since, map(_EARLIEST, starts)), map(eq, until, map(_EARLIEST, ends)))]
    joined = _in_a_row(sorted(compress(zip(since, until, dated, strict=True), is_exact), key=_SINCE), gap)
    vague = [*compress(dated, map(not_, is_exact))]
    found = _with_vague(joined, vague, gap) if vague else [doses.records for doses in joined]
    return [*map(_course, found)]


def _starts(dated: list[Exposure]) -> list[ClinicalDate]:
    firsts = [*map(_FIRST_DOSE, dated)]
    return firsts if all(firsts) else [*map(_start, dated)]


_Exact = tuple[date, date, Exposure]
_SINCE, _UNTIL, _RECORD = itemgetter(0), itemgetter(1), itemgetter(2)


def _in_a_row(exact: list[_Exact], gap: timedelta) -> "list[_Doses]":
    """Join records with exact days, which come in the order of the first, up to the next gap."""
    if not exact:
        return []
    until = [*accumulate(map(_UNTIL, exact), max)]
    apart = map(sub, map(_SINCE, exact[1:]), until)
    cuts = [0, *(place for place, days in enumerate(apart, 1) if days >= gap), len(exact)]
    return [_Doses(exact[a][0], until[b - 1], [*map(_RECORD, exact[a:b])]) for a, b in pairwise(cuts)]


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
    dated = [*filter(_LAST_DOSE, records)]
    closing = max(dated, key=_LAST_DAYS, default=records[0])
    ongoing = any(map(_ONGOING, records))
    reasons = map(_END_REASON, () if ongoing else (closing, *records))
    others = filterfalse(partial(is_, closing), records)
    tiers = [*map(_TIER, records)]
    return Course(
        drug=records[0].drug,
        first_dose=earliest_of(_starts(dated)),
        last_dose=latest_of([*map(_LAST_DOSE, dated)]),
        ongoing=ongoing,
        tier=min(tiers),
        certainty=records[0].certainty,
        end_reason=next(filter(None, reasons), None),
        # The record that the last dose rests on is named first
        sources=(closing.source, *sorted(map(_SOURCE, others), key=_REFERENCE)),
        ended=Answer.NO if ongoing or max(tiers) is _PROVEN else _ended(records),
    )


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

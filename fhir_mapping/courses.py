"""From single records to courses of a drug, CAR T infusions and progression events."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import date

from fhir_mapping.catalog.loader import Catalog
from fhir_mapping.model.dates import Answer, ClinicalDate, earliest_of, latest_of
from fhir_mapping.model.history import CarTInfusion, Course, Exposure, Progression
from fhir_mapping.model.vocabulary import Certainty, Tier


def courses(exposures: Iterable[Exposure], catalog: Catalog, today: ClinicalDate) -> tuple[Course, ...]:
    """Join the records of each drug into courses.

    What was only ordered, or is only possible, stays a course of its own and never lends its dates to proven
    doses; an ended order that recorded doses explain is left out, since it adds nothing to them.
    """
    by_drug: dict[str, list[Exposure]] = defaultdict(list)
    for exposure in exposures:
        by_drug[exposure.drug.id].append(exposure)
    found: list[Course] = []
    for records in by_drug.values():
        given = [r for r in records if _is_given(r)]
        dated = [r for r in given if r.last_dose is not None]
        undated = [r for r in given if r.last_dose is None]
        joined = _join(dated, catalog.days("course_gap"))
        found += joined
        if not (joined and all(r.ended for r in undated)):
            found += [_course([r]) for r in undated]
        found += [_course([r]) for r in records if not _is_given(r) and not _is_explained(r, joined)]
    return tuple(sorted(found, key=lambda course: _order_of(course, today)))


def _is_given(record: Exposure) -> bool:
    return record.certainty is Certainty.STATED and record.tier is not Tier.PRESUMPTIVE


def _is_explained(record: Exposure, given: list[Course]) -> bool:
    """Whether doses on or after the day an ended order was written show what became of it."""
    if record.tier is not Tier.PRESUMPTIVE or not record.ended or record.first_dose is None:
        return False
    written = record.first_dose.earliest
    return any(course.last_dose is not None and course.last_dose.earliest >= written for course in given)


def _join(records: list[Exposure], gap_days: int) -> list[Course]:
    """Put a record into a course of its own where it certainly begins `gap_days` or more after the last dose so far."""
    joined: list[list[Exposure]] = []
    until = date.min
    for record in sorted(records, key=lambda r: (_start(r).earliest, _end(r).latest)):
        if not joined or (_start(record).earliest - until).days >= gap_days:
            joined.append([])
        joined[-1].append(record)
        until = max(until, _end(record).latest)
    return [_course(group) for group in joined]


def _start(record: Exposure) -> ClinicalDate:
    start = record.first_dose or record.last_dose
    assert start is not None  # noqa: S101 - only dated records are joined
    return start


def _end(record: Exposure) -> ClinicalDate:
    end = record.last_dose or record.first_dose
    assert end is not None  # noqa: S101 - only dated records are joined
    return end


def _course(records: list[Exposure]) -> Course:
    dated = [r for r in records if r.last_dose is not None]
    last_dose = latest_of([r.last_dose for r in dated if r.last_dose])
    closing = max(dated, key=lambda r: (_end(r).latest, _end(r).earliest), default=records[0])
    reasons = [r.end_reason for r in (closing, *records) if r.end_reason is not None]
    return Course(
        drug=records[0].drug,
        first_dose=earliest_of([_start(r) for r in dated]),
        last_dose=last_dose,
        ongoing=any(r.ongoing for r in records),
        tier=min(r.tier for r in records),
        certainty=records[0].certainty,
        end_reason=reasons[0] if reasons and not any(r.ongoing for r in records) else None,
        # The record that the last dose rests on is named first
        sources=tuple(r.source for r in sorted(records, key=lambda r: (r is not closing, r.source.reference))),
    )


def _order_of(course: Course, today: ClinicalDate) -> tuple[object, ...]:
    return ((course.last_dose or today).latest, course.drug.id, course.tier, course.sources[0].reference)


def infusions(records: Iterable[CarTInfusion], same_days: int) -> tuple[CarTInfusion, ...]:
    """Join the records of one infusion: close dates, and products that do not contradict each other.

    A history code without date or product is explained by any stated infusion that has a date.
    """
    joined: list[CarTInfusion] = []
    dated = [r for r in records if r.infused is not None]
    for record in sorted(dated, key=_infusion_order):
        same = next((i for i, other in enumerate(joined) if _is_same(record, other, same_days)), None)
        if same is None:
            joined.append(record)
        else:
            joined[same] = _merge(joined[same], record)
    stated = [r for r in joined if r.certainty is Certainty.STATED]
    undated = [r for r in records if r.infused is None]
    products = {r.product for r in stated}
    joined += [r for r in undated if not (stated and (r.product is None or r.product in products))]
    return tuple(joined)


def _infusion_order(record: CarTInfusion) -> tuple[object, ...]:
    assert record.infused is not None  # noqa: S101 - only dated records are joined
    product = record.product.id if record.product else "~"
    return (
        record.certainty is not Certainty.STATED,
        record.infused.latest - record.infused.earliest,
        record.infused.earliest,
        product,
        record.sources[0].reference,
    )


def _is_same(record: CarTInfusion, other: CarTInfusion, same_days: int) -> bool:
    if record.product and other.product and record.product != other.product:
        return False
    assert record.infused is not None and other.infused is not None  # noqa: S101, PT018 - only dated ones
    apart = other.infused.days_until(record.infused)
    return apart.fewest <= same_days and apart.most >= -same_days


def _merge(known: CarTInfusion, record: CarTInfusion) -> CarTInfusion:
    """Keep the date of the surer, more exact record (it comes first) and whatever product is named."""
    return replace(
        known,
        product=known.product or record.product,
        tier=min(known.tier, record.tier),
        sources=known.sources + record.sources,
    )


def progressions(records: Iterable[Progression], same_days: int) -> tuple[Progression, ...]:
    """Join records of one worsening; the first exact record of a group dates it.

    A record that only says "some day between" is explained by an exact one inside.
    """
    records = list(records)
    undated = [r for r in records if r.on is None]
    exact = [r.on.earliest for r in records if r.on and r.on.is_exact and r.certainty is Certainty.STATED]
    joined: list[Progression] = []
    for record in sorted((r for r in records if r.on is not None), key=_progression_order):
        if record.on and not record.on.is_exact and any(record.on.earliest <= d <= record.on.latest for d in exact):
            continue
        if not any(_is_same_progression(record, known, same_days) for known in joined):
            joined.append(record)
    return tuple(sorted(joined, key=_progression_order)) + tuple(sorted(undated, key=lambda r: r.source.reference))


def _progression_order(record: Progression) -> tuple[object, ...]:
    assert record.on is not None  # noqa: S101 - only dated records are joined
    return (
        record.on.earliest,
        record.on.latest,
        record.certainty is not Certainty.STATED,
        record.source.reference,
    )


def _is_same_progression(record: Progression, known: Progression, same_days: int) -> bool:
    if record.on is None or known.on is None:
        return False
    exact = record.on.is_exact and known.on.is_exact and record.certainty is known.certainty
    return exact and known.on.days_until(record.on).at_most(same_days) is Answer.YES

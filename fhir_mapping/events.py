"""From single records to events: collections, CAR T infusions, transplants and progressions, each told once."""

from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import date, timedelta

from fhir_mapping.catalog.loader import Catalog
from fhir_mapping.model.dates import Answer, ClinicalDate
from fhir_mapping.model.patient import OTHER_B_CELLS, Problem
from fhir_mapping.model.treatment import (
    CarTInfusion,
    OtherCellTherapy,
    Progression,
    StemCellCollection,
    SupportiveCare,
    TCellCollection,
    Transplant,
    TransplantKind,
)
from fhir_mapping.model.vocabulary import Certainty, Tier
from fhir_mapping.nearby import Nearby

# Of records of one worsening on one day, the one that states it best is named
_PRIORITIES = {"Observation": 0, "DiagnosticReport": 1, "Condition": 2}


def t_cell_collections(
    records: Iterable[TCellCollection],
    stem_cells: Iterable[StemCellCollection],
    supportive_care: Iterable[SupportiveCare],
    catalog: Catalog,
) -> tuple[TCellCollection, ...]:
    """Give the collections of T cells, but for those that a mobiliser or another record shows to be of stem cells.

    Where vague dates leave that open, a collection of T cells is only possible.
    """
    records = list(records)
    if not records:
        return ()
    near = catalog.days("stem_cell_mobiliser")
    mobilisers = catalog.definitions["stem_cell_mobiliser"]["drugs"]
    doses = [
        care.last_dose
        for care in supportive_care
        if care.drug.id in mobilisers and care.was_given and care.last_dose is not None
    ]
    is_mobilised = _closeness(doses, near)
    is_of_stem_cells = _closeness([found.collected for found in stem_cells if found.collected is not None], 0)
    found = []
    for collection in records:
        on = collection.collected
        answers = {is_mobilised(on), is_of_stem_cells(on)} if on is not None else {Answer.NO}
        if Answer.YES not in answers:
            found.append(replace(collection, certainty=Certainty.POSSIBLE) if Answer.UNKNOWN in answers else collection)
    return tuple(found)


def _closeness(others: list[ClinicalDate], days: int) -> Callable[[ClinicalDate], Answer]:
    """Make the question whether one of some dates lies at most so many days from another."""
    index = _index(others)

    def is_close(day: ClinicalDate) -> Answer:
        aparts = [others[i].days_until(day) for i in index.near(day, days)]
        if any(apart.fewest >= -days and apart.most <= days for apart in aparts):
            return Answer.YES
        may_be = any(apart.most >= -days and apart.fewest <= days for apart in aparts)
        return Answer.UNKNOWN if may_be else Answer.NO

    return is_close


def _index(dates: Iterable[ClinicalDate | None]) -> Nearby:
    index = Nearby()
    for number, on in enumerate(dates):
        index.put(number, on)
    return index


def infusions(
    records: Iterable[CarTInfusion],
    others: Iterable[OtherCellTherapy],
    same_days: int,
    problems: Iterable[Problem] = (),
) -> tuple[CarTInfusion, ...]:
    """Join the records of one infusion: close dates, and products that do not contradict each other.

    One product is infused once: a record so vague that it may be of a known infusion is taken as one of that. A history
    code without date or product is explained by any stated infusion that has a date. Beside cells against another
    disease, or another B-cell malignancy, it only makes an infusion possible, since it may mean those. So does an
    infusion without product close to a dose of such cells.
    """
    records = list(records)
    if not records:
        return ()
    others = [other for other in others if other.certainty is Certainty.STATED]
    joined: list[CarTInfusion] = []
    index = Nearby()
    dated = [r for r in records if r.infused is not None]
    for record in sorted(dated, key=_infusion_order):
        near = index.near(record.infused, same_days)
        same = next((i for i in near if _may_be_one(record, joined[i], same_days)), None)
        if same is None:
            index.put(len(joined), record.infused)
            joined.append(record)
        else:
            joined[same] = _merge(joined[same], record)
    stated = [r for r in joined if r.certainty is Certainty.STATED]
    undated = [r for r in records if r.infused is None]
    products = {r.product for r in stated}
    # Only what names no date is explained by one that has a date; an infusion whose date is lost may be another
    undated = [
        r
        for r in undated
        if r.tier is not Tier.UNDATED or not (stated and (r.product is None or r.product in products))
    ]
    if others or any(problem.concept == OTHER_B_CELLS for problem in problems):
        undated = [replace(r, certainty=Certainty.POSSIBLE) if r.product is None else r for r in undated]
    return (*_beside(joined, others, same_days), *undated)


def _beside(joined: list[CarTInfusion], others: list[OtherCellTherapy], same_days: int) -> Iterator[CarTInfusion]:
    """Leave it open whether an unnamed infusion was one of other cells that were given on the same days."""
    index = _index(other.infused for other in others)
    for infusion in joined:
        near = index.near(infusion.infused, same_days) if infusion.product is None else ()
        is_open = any(may_be_same_day(infusion.infused, others[i].infused, same_days) for i in near)
        yield replace(infusion, certainty=Certainty.POSSIBLE) if is_open else infusion


def may_be_same_day(first: ClinicalDate | None, second: ClinicalDate | None, days: int) -> bool:
    """Whether two dates may lie at most so many days apart; a record without date may be of any day."""
    if first is None or second is None:
        return True
    apart = first.days_until(second)
    return apart.fewest <= days and apart.most >= -days


def _infusion_order(record: CarTInfusion) -> tuple[object, ...]:
    assert record.infused is not None  # noqa: S101 - only dated records are joined
    product = record.product.id if record.product else "~"
    return (
        record.certainty is not Certainty.STATED,
        record.infused.width,
        record.infused.earliest,
        product,
        record.sources[0].reference,
    )


def _may_be_one(record: CarTInfusion, other: CarTInfusion, same_days: int) -> bool:
    if record.product and other.product and record.product != other.product:
        return False
    return may_be_same_day(record.infused, other.infused, same_days)


def _merge(known: CarTInfusion, record: CarTInfusion) -> CarTInfusion:
    """Keep the date of the surer, more exact record (it comes first) and whatever product is named."""
    return replace(
        known,
        product=known.product or record.product,
        tier=min(known.tier, record.tier),
        sources=known.sources + record.sources,
    )


def transplants(records: Iterable[Transplant], same_days: int) -> tuple[Transplant, ...]:
    """Join the records of one transplant: close dates, and kinds that do not contradict each other.

    A record so vague that it may be of a known transplant is taken as one of that: duplicates are common, tandems rare.
    What has no date is explained by a stated transplant that has one: a history code by any, a record of one kind by
    that kind. Codes of history that are left are one fact, since they only say that there was a transplant.
    """
    records = list(records)
    if len(records) <= 1:
        return tuple(records)
    dated = [r for r in records if r.on is not None]
    joined = _join_transplants(sorted(dated, key=_transplant_order), same_days)
    known = {r.kind for r in joined if r.certainty is Certainty.STATED}
    undated = [r for r in records if r.on is None and not (known and r.kind in known | {TransplantKind.UNKNOWN})]
    return (*sorted(joined, key=_transplant_day), *_join_transplants(sorted(undated, key=_transplant_order), same_days))


def _join_transplants(records: list[Transplant], same_days: int) -> list[Transplant]:
    """Join records that come the surest first; uncertain ones add nothing but their source."""
    joined: list[Transplant] = []
    index = Nearby()
    for record in records:
        near = index.near(record.on, same_days)
        same = next((i for i in near if _may_be_one_transplant(record, joined[i], same_days)), None)
        if same is None:
            index.put(len(joined), record.on)
            joined.append(record)
            continue
        other = joined[same]
        is_as_sure = record.certainty is other.certainty
        on = min((other.on, record.on), key=_width) if is_as_sure else other.on
        kind = record.kind if is_as_sure and other.kind is TransplantKind.UNKNOWN else other.kind
        joined[same] = replace(other, kind=kind, on=on, sources=other.sources + record.sources)
        index.put(same, on)
    return joined


def _width(on: ClinicalDate | None) -> int:
    return on.width if on else 0


def _may_be_one_transplant(record: Transplant, other: Transplant, same_days: int) -> bool:
    if TransplantKind.UNKNOWN not in {record.kind, other.kind} and record.kind is not other.kind:
        return False
    return (record.on is None) is (other.on is None) and may_be_same_day(record.on, other.on, same_days)


def _transplant_order(record: Transplant) -> tuple[object, ...]:
    is_open = record.kind is TransplantKind.UNKNOWN
    return record.certainty is not Certainty.STATED, _width(record.on), is_open, _transplant_day(record)


def _transplant_day(record: Transplant) -> tuple[object, ...]:
    first = record.on.earliest if record.on else date.max
    return first, record.kind, record.sources[0].reference


def progressions(records: Iterable[Progression], same_days: int) -> tuple[Progression, ...]:
    """Join records of one worsening, which the first of them dates.

    A worsening is recorded again at later visits: what is recorded at most `same_days` after another record may have
    come on any day since that one. Where an exact record of the same certainty tells that day, it stands for both.
    """
    records = list(records)
    if len(records) <= 1:
        return tuple(records)
    dated = [(record, record.on) for record in records if record.on is not None]
    undated = sorted((record for record in records if record.on is None), key=lambda record: record.source.reference)
    told: dict[tuple[ClinicalDate, Certainty], Progression] = {}
    exact: dict[Certainty, list[date]] = defaultdict(list)
    before: deque[ClinicalDate] = deque()  # by their first day; what is too long ago for the next leaves at the left
    for record, on in sorted(dated, key=lambda pair: _progression_order(*pair)):
        reach = on.earliest - timedelta(same_days)
        while before and before[0].latest < reach:
            before.popleft()
        since = max(reach, before[0].earliest) if before else on.earliest
        before.append(on)
        days, event = exact[record.certainty], ClinicalDate(since, on.latest)
        if on.is_exact and bisect_left(days, since) < len(days):
            continue
        told.setdefault((event, record.certainty), replace(record, on=event))
        if event.is_exact:
            days.append(since)
    in_order = sorted(told.items(), key=lambda item: _progression_order(item[1], item[0][0]))
    return (*(event for _, event in in_order), *undated)


def _progression_order(record: Progression, on: ClinicalDate) -> tuple[object, ...]:
    return (
        on.earliest,
        on.latest,
        record.certainty is not Certainty.STATED,
        _PRIORITIES.get(record.source.resource_type, len(_PRIORITIES)),
        record.source.reference,
    )

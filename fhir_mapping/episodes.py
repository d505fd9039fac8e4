"""Episodes of CAR T-cell therapy, inferred: collection, bridging, lymphodepletion, infusion, and how far it came.

A collection of stem cells is none of T cells, and one that only may have taken place makes no episode. A collection
belongs to the first infusion at most 180 days later; one that no infusion followed in that time was abandoned, and is
no exposure. What vague or missing dates, uncertain
records or unread parts of the chart leave open stays unknown, and the reasons say why. All limits are days, in
`catalog/definitions.toml`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

from fhir_mapping.catalog.loader import Catalog
from fhir_mapping.events import may_be_same_day
from fhir_mapping.model.dates import Answer, ClinicalDate, latest_of
from fhir_mapping.model.episodes import CarTEpisode, EpisodeState
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.patient import OTHER_B_CELLS
from fhir_mapping.model.treatment import CarTInfusion, Course, SourceRef, SupportiveCare, TCellCollection
from fhir_mapping.model.vocabulary import Certainty, DrugClass, Tier
from fhir_mapping.refractory import all_cells_were_read


def car_t_episodes(history: TreatmentHistory, catalog: Catalog) -> tuple[CarTEpisode, ...]:
    """Join collections, treatment and infusions into episodes, in the order of their dates; undated ones come last."""
    limit = catalog.days("collection_to_infusion")
    stated = (collection for collection in history.collections if collection.certainty is Certainty.STATED)
    left = sorted(stated, key=_day_of_collection)
    found: list[CarTEpisode] = []
    for infusion in sorted(history.infusions, key=_day_of_infusion):
        own = [c for c in left if infusion.infused and _leads_to(c, infusion.infused, limit) is Answer.YES]
        left = [collection for collection in left if collection not in own]
        found.append(_of_infusion(infusion, own, history, catalog))
    found += [_without_infusion(group, history, catalog) for group in _grouped(left, limit)]
    return tuple(sorted(found, key=_order_of))


def _leads_to(collection: TCellCollection, infused: ClinicalDate, limit: int) -> Answer:
    """Whether a collection lies before an infusion, at most so many days."""
    if collection.collected is None:
        return Answer.UNKNOWN
    before = collection.collected.days_until(infused)
    if before.most < 0 or before.fewest > limit:
        return Answer.NO
    return Answer.YES if before.fewest >= 0 and before.most <= limit else Answer.UNKNOWN


# --- Episodes with an infusion ---

_Given = Course | SupportiveCare
_MAY_BE_OTHER = "The cells may have been given for another disease: "


def _of_infusion(
    infusion: CarTInfusion, own: list[TCellCollection], history: TreatmentHistory, catalog: Catalog
) -> CarTEpisode:
    """Describe the episode of an infusion with the collections that certainly led to it."""
    prepared, bridging = _Search((), ()), _Search((), ())
    if infusion.infused is not None:
        prepared = _lymphodepletion(infusion.infused, history, catalog)
        collected = [collection.collected for collection in own if collection.collected]
        if collected:
            bridging = _bridging(collected, infusion.infused, history, prepared)
    said = tuple(_reasons_of_infusion(infusion, history, catalog))
    may_be_other = any(reason.startswith(_MAY_BE_OTHER) for reason in said)
    state = EpisodeState.INFUSED
    if infusion.tier is Tier.UNDATED:
        state = EpisodeState.HISTORY
    elif infusion.certainty is Certainty.POSSIBLE or may_be_other:
        state = EpisodeState.UNKNOWN
    sources = [*infusion.sources, *(collection.source for collection in own)]
    return CarTEpisode(
        state=state,
        certainty=Certainty.POSSIBLE if may_be_other else infusion.certainty,
        collections=tuple(own),
        bridging=tuple(record for record in bridging.found if isinstance(record, Course)),
        lymphodepletion=prepared.found,
        infusion=infusion,
        reasons=(*said, *prepared.doubts, *bridging.doubts),
        sources=_with_sources(sources, (*bridging.found, *prepared.found)),
    )


def _reasons_of_infusion(infusion: CarTInfusion, history: TreatmentHistory, catalog: Catalog) -> Iterator[str]:
    if infusion.tier is Tier.UNDATED:
        yield "Only a history code or a report without a date: when the cells were infused is not known."
    elif infusion.infused is None:
        yield "No record dates the infusion."
    elif not infusion.infused.is_exact:
        yield f"The infusion is dated no better than {infusion.infused}."
    other = None
    if infusion.product is None:
        yield "No record names the product: its target is unconfirmed."
        other = _other_disease(infusion, history, catalog)
    if other is not None:
        yield f"{_MAY_BE_OTHER}{other}."
    elif infusion.certainty is Certainty.POSSIBLE:
        yield "The record leaves open whether the cells were infused."


def _other_disease(infusion: CarTInfusion, history: TreatmentHistory, catalog: Catalog) -> str | None:
    """Say what speaks for cells of an unnamed product against another disease than the myeloma."""
    days = catalog.days("same_infusion")
    given = [other for other in history.other_cell_therapies if other.certainty is Certainty.STATED]
    if any(may_be_same_day(infusion.infused, other.infused, days) for other in given):
        return "such a product is on record"
    if infusion.infused is None and any(problem.concept == OTHER_B_CELLS for problem in history.problems):
        return "another B-cell malignancy is on the problem list"
    return None


# --- What was given around an infusion ---


@dataclass(frozen=True, slots=True)
class _Search:
    """What was certainly given in some days, and what may have been, in words."""

    found: tuple[_Given, ...]
    doubts: tuple[str, ...]


def _lymphodepletion(infused: ClinicalDate, history: TreatmentHistory, catalog: Catalog) -> _Search:
    """Find cyclophosphamide and fludarabine begun a few days before an infusion, and over by then."""
    limit = catalog.days("lymphodepletion")
    ids = catalog.definitions["lymphodepletion"]["drugs"]
    found: list[_Given] = []
    doubts: list[str] = []
    for record in _may_prepare(history, ids):
        first = record.first_dose if isinstance(record, Course) else record.last_dose
        if first is None or record.last_dose is None:
            continue
        before, since = first.days_until(infused), record.last_dose.days_until(infused)
        if before.most < 0 or before.fewest > limit:
            continue
        if before.most <= limit and since.fewest >= 0:
            found.append(record)
        else:
            doubts.append(f"The dates of {record.drug.name} leave open whether it was lymphodepletion.")
    return _Search(tuple(found), tuple(dict.fromkeys(doubts)))


def _may_prepare(history: TreatmentHistory, ids: Iterable[str]) -> list[_Given]:
    courses = [c for c in history.courses if c.drug.id in ids and c.is_proven_or_reported]
    others = [
        care for care in history.supportive_care if care.drug.drug_class is DrugClass.PURINE_ANALOGUE and care.was_given
    ]
    return [*courses, *sorted(others, key=lambda care: care.source.reference)]


def _bridging(
    collected: list[ClinicalDate], until: ClinicalDate, history: TreatmentHistory, prepared: _Search
) -> _Search:
    """Find the courses given between the first collection and the infusion, those begun before it too."""
    start = ClinicalDate(min(on.earliest for on in collected), min(on.latest for on in collected))
    found: list[_Given] = []
    doubts: list[str] = []
    for course in history.courses:
        first, last = course.first_dose, course.last_dose
        if first is None or last is None or not course.is_proven_or_reported or course in prepared.found:
            continue
        if last.is_before(start) is Answer.YES or first.is_after(until) is Answer.YES:
            continue
        began_between = first.is_before(start) is Answer.NO and first.is_after(until) is Answer.NO
        went_on = last.is_after(start) is Answer.YES and last.is_after(until) is Answer.NO
        if began_between or went_on:
            found.append(course)
        elif last.is_after(start) is not Answer.NO:
            doubts.append(f"The dates of {course.drug.name} leave open whether it was bridging.")
    return _Search(tuple(found), tuple(dict.fromkeys(doubts)))


# --- Collections without an infusion ---


def _grouped(collections: list[TCellCollection], limit: int) -> list[list[TCellCollection]]:
    """Put collections that may have been for one infusion together; one without date stays alone."""
    groups: list[list[TCellCollection]] = []
    for collection in collections:
        before = groups[-1][-1].collected if groups else None
        is_near = collection.collected and before and may_be_same_day(before, collection.collected, limit)
        if is_near:
            groups[-1].append(collection)
        else:
            groups.append([collection])
    return groups


def _without_infusion(group: list[TCellCollection], history: TreatmentHistory, catalog: Catalog) -> CarTEpisode:
    """Describe collections to which no infusion certainly belongs: waiting, abandoned, or neither can be told."""
    limit = catalog.days("collection_to_infusion")
    collected = [collection.collected for collection in group if collection.collected]
    said = list(_doubts_of_collection(group, history, limit))
    last = latest_of(collected)
    state = EpisodeState.UNKNOWN
    bridging = _Search((), ())
    if last is not None and not said:
        is_waiting = last.days_until(history.today).at_most(limit)
        if is_waiting is Answer.YES:
            state = EpisodeState.COLLECTED
            said.append(f"Cells were collected at most {limit} days ago, and no infusion is on record.")
            bridging = _bridging(collected, history.today, history, bridging)
        elif is_waiting is Answer.NO:
            state = EpisodeState.ABANDONED
            said.append(f"No infusion followed within {limit} days: not exposed to CAR T cells.")
        else:
            said.append(f"The date of the collection leaves open whether it was {limit} days ago.")
    return CarTEpisode(
        state=state,
        certainty=Certainty.STATED,
        collections=tuple(group),
        bridging=tuple(record for record in bridging.found if isinstance(record, Course)),
        lymphodepletion=(),
        infusion=None,
        reasons=(*said, *bridging.doubts),
        sources=_with_sources([collection.source for collection in group], bridging.found),
    )


def _doubts_of_collection(group: list[TCellCollection], history: TreatmentHistory, limit: int) -> Iterator[str]:
    """Say why the cells may have been infused after all."""
    if any(collection.collected is None for collection in group):
        yield "The collection has no date."
    if any(infusion.infused is None for infusion in history.infusions):
        yield "An infusion without a date may be the one for which the cells were collected."
    dated = [infusion.infused for infusion in history.infusions if infusion.infused]
    if any(_leads_to(c, on, limit) is Answer.UNKNOWN for c in group for on in dated if c.collected):
        yield "The dates leave open whether the cells were infused."
    if not all_cells_were_read(history):
        yield "Not all records of cell therapy were read and recognised: the cells may have been infused."


# --- Order and sources ---


def _with_sources(sources: list[SourceRef], given: Iterable[_Given]) -> tuple[SourceRef, ...]:
    more = (s for record in given for s in (record.sources if isinstance(record, Course) else (record.source,)))
    return tuple(dict.fromkeys((*sources, *more)))


def _day_of_collection(collection: TCellCollection) -> tuple[object, ...]:
    on = collection.collected
    return (on.earliest if on else date.max, on.latest if on else date.max, collection.source.reference)


def _day_of_infusion(infusion: CarTInfusion) -> tuple[object, ...]:
    """Order infusions so that a stated one takes its collections before one that is only possible."""
    on = infusion.infused
    return (
        infusion.certainty is not Certainty.STATED,
        on.earliest if on else date.max,
        on.latest if on else date.max,
        infusion.sources[0].reference,
    )


def _order_of(episode: CarTEpisode) -> tuple[object, ...]:
    days = [collection.collected for collection in episode.collections]
    days.append(episode.infusion.infused if episode.infusion else None)
    known = [on.earliest for on in days if on]
    return (min(known, default=date.max), episode.sources[0].reference)

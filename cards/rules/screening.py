"""Screening: tests for latent infections before T-cell therapy."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from cards.finding import Conclusion, Hook, Missing, Outcome, Proposal, cannot_tell, not_applicable, satisfied
from cards.rulebook import Settings, patient_rule
from cards.situation.bispecific import is_bispecific, is_first_dose
from cards.situation.car_t import cells_waiting
from cards.situation.collection import ahead, is_collection, needs_cells
from cards.situation.hiv import cells_with_vector
from cards.situation.immunoglobulin import given_within, sample_after_it
from cards.situation.infection_tests import Done, done_within, is_ordered
from cards.situation.planned_day import planned_day
from cards.situation.results import was_within
from fhir_mapping.model.dates import Answer, ClinicalDate
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.orders import ProposedOrder
from fhir_mapping.model.treatment import UNNAMED_CELLS, SourceRef
from fhir_mapping.model.vocabulary import Topic

# Looking a member up in its Enum costs as much as a call in Python 3.11, and every order is asked
_YES, _NO, _UNKNOWN = Answer.YES, Answer.NO, Answer.UNKNOWN
_ANTI_HBC, _HBV_DNA, _HIV = "anti-hbc-total", "hbv-dna", "hiv-ag-ab"


class Screening(Settings):
    """The tests of R22, their names, what answers for them as well, and how old a result may be, in days."""

    required: tuple[str, ...]
    names: Mapping[str, str]
    instead: Mapping[str, tuple[str, ...]]
    car_t_days: int
    bispecific_days: int
    passive_days: int
    pending_counts_days: int
    collection_counts_days: int
    lentiviral: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NotScreened:
    """What R22 found: the tests without a recent result, the treatment, its day, and how old a result may be."""

    tests: str
    therapy: str
    event: ClinicalDate
    window: int


class _Event(NamedTuple):
    """What the tests are to come before; not sure where the drug may have been given before."""

    variant: str
    therapy: str
    day: ClinicalDate
    days: int
    doubts: tuple[SourceRef, ...] = ()


class _Lack(NamedTuple):
    """A test that was not done in time, or may have been; `test` is the one to order now."""

    test: str
    is_sure: bool
    note: str = ""
    evidence: tuple[SourceRef, ...] = ()


@patient_rule(
    "R22",
    reads={Topic.SCREENING, Topic.PROPHYLAXIS, Topic.TREATMENT},
    heeds={Topic.CELL_THERAPY, Topic.PLANS},
    settings=Screening,
    facts=NotScreened,
    variants={"before_collection", "before_infusion", "before_first_dose"},
    missing={"results", "first_dose"},
    notes={"dna_instead", "antigen_and_antibody_alone", "unclear"},
)
def latent_infections_not_excluded(history: TreatmentHistory, _: Hook, settings: Screening) -> Conclusion:
    """Hepatitis B, hepatitis C or HIV was not looked for lately before CAR T cells, or a bispecific antibody."""
    event = _event(history, settings)
    if event is None:
        return not_applicable()
    lacks = list(_lacks(history, event, settings))
    sure = [lack for lack in lacks if lack.is_sure]
    if not sure:
        if not lacks:
            return satisfied(absent={Topic.PROPHYLAXIS})  # immunoglobulin, after which an antibody proves little
        return cannot_tell(Missing("results"), evidence=tuple(s for lack in lacks for s in lack.evidence[:1]))
    if event.doubts:
        return cannot_tell(Missing("first_dose", event.therapy), evidence=event.doubts)
    by = event.day.earliest if event.day.earliest > history.as_of else None
    return Conclusion(
        Outcome.FLAGGED,
        variant=event.variant,
        facts=NotScreened(", ".join(settings.names[lack.test] for lack in sure), event.therapy, event.day, event.days),
        evidence=tuple(s for lack in lacks for s in lack.evidence[:1]),
        absent=frozenset({Topic.SCREENING, Topic.TREATMENT})
        if event.variant == "before_first_dose"
        else frozenset({Topic.SCREENING}),
        notes=tuple(dict.fromkeys(lack.note for lack in lacks if lack.note)),
        proposals=tuple(Proposal(lack.test, recommended=True, end=by) for lack in sure),
    )


def _event(history: TreatmentHistory, settings: Screening) -> _Event | None:
    """Give the step towards CAR T cells that is ordered, else the first dose of a bispecific antibody."""
    steps: list[ProposedOrder] = []
    first_doses: list[ProposedOrder] = []
    for order in history.judged_orders:
        if order.is_car_t_step:
            steps.append(order)
        elif is_bispecific(order) and is_first_dose(order, history) is not _NO:
            first_doses.append(order)
    if steps:
        return _of_car_t(history, steps, settings)
    if not first_doses:
        return None
    names = dict.fromkeys([order.therapy for order in first_doses])
    perhaps = [course for course in history.courses if any(course.drug == order.drug for order in first_doses)]
    return _Event(
        "before_first_dose",
        " and ".join(names),
        planned_day(first_doses[0], history),
        settings.bispecific_days,
        tuple(course.sources[0] for course in perhaps),
    )


def _of_car_t(history: TreatmentHistory, steps: list[ProposedOrder], settings: Screening) -> _Event:
    """Tell what comes before the collection from what comes after it: then the days count to the infusion."""
    product = next((order.therapy for order in steps if order.is_car_t_infusion and order.drug), UNNAMED_CELLS)
    is_collected = not any(is_collection(order) for order in history.orders) and (
        any(needs_cells(order) for order in steps)
        or cells_waiting(history, settings.collection_counts_days).answer is _YES
    )
    if not is_collected:
        return _Event("before_collection", product, ahead(history, steps[0]).day, settings.car_t_days)
    infusion = next((order for order in steps if order.is_car_t_infusion), steps[0])
    return _Event("before_infusion", product, planned_day(infusion, history), settings.car_t_days)


def _lacks(history: TreatmentHistory, event: _Event, settings: Screening) -> Iterator[_Lack]:
    for test in settings.required:
        if test == _ANTI_HBC:
            lack = _lack_of_anti_hbc(history, event, settings)
        elif test == _HIV and (cells := cells_with_vector(history, settings.lentiviral)) is not None and cells.is_given:
            lack = _lack(history, test, (test,), event, settings, "antigen_and_antibody_alone")
        else:
            lack = _lack(history, test, (test, *settings.instead.get(test, ())), event, settings)
        if lack is not None:
            yield lack


def _lack(
    history: TreatmentHistory,
    test: str,
    tests: tuple[str, ...],
    event: _Event,
    settings: Screening,
    note: str = "",
) -> _Lack | None:
    """Say that none of some tests was done in time, nor is being ordered; None where one was."""
    done = _best([done_within(history, each, event.day, event.days) for each in tests])
    if done.answer is _YES:
        return None
    ordered = is_ordered(history, frozenset(tests), settings.pending_counts_days, by=event.day)
    if ordered is _YES:
        return None
    is_sure = done.answer is _NO and ordered is _NO
    return _Lack(test, is_sure, "unclear" if done.is_unclear else note if is_sure else "", done.evidence)


def _best(found: list[Done]) -> Done:
    for wanted in (_YES, _UNKNOWN):
        for done in found:
            if done.answer is wanted:
                return done
    return found[0]


def _lack_of_anti_hbc(history: TreatmentHistory, event: _Event, settings: Screening) -> _Lack | None:
    """Ask for HBV DNA where the antibody may come from immunoglobulin: an earlier sample alone tells its own."""
    lack = _lack(history, _ANTI_HBC, (_ANTI_HBC,), event, settings)
    if lack is not None and not lack.is_sure:
        return lack
    samples = [result for result in history.serology if result.test == _ANTI_HBC and result.on is not None]
    passive = [(r, sample_after_it(history, r.on, settings.passive_days)) for r in samples if r.on is not None]
    if lack is None:
        in_time = [answer for r, answer in passive if was_within(r, event.day, event.days) is _YES]
        if not in_time or any(answer is _NO for _, answer in passive):
            return None
        needs_dna = _YES if _UNKNOWN not in in_time else _UNKNOWN
    else:
        needs_dna = given_within(history, event.day, settings.passive_days).answer
        if needs_dna is not _YES:
            return lack
    dna = _lack(history, _HBV_DNA, (_HBV_DNA,), event, settings, "dna_instead")
    return dna if dna is None or needs_dna is _YES else dna._replace(is_sure=False, note="")

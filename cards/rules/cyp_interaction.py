"""CYP interaction: drugs with a narrow therapeutic index while a bispecific antibody releases cytokines."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

from cards.finding import Conclusion, Missing, Outcome, Proposal, cannot_tell, not_applicable, satisfied
from cards.rulebook import order_rule
from cards.situation.bispecific import courses_of, running_course
from cards.situation.in_use import in_use
from cards.situation.planned_day import planned_day
from cards.situation.step_up import Given, StepUpNumbers, began, by_label, given, is_below_full_dose
from fhir_mapping.model.dates import Answer, ClinicalDate, earliest_of
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.orders import ProposedOrder
from fhir_mapping.model.treatment import Course, SourceRef
from fhir_mapping.model.vocabulary import Certainty, Drug, DrugClass, Topic

_BISPECIFIC, _NARROW = DrugClass.BISPECIFIC, DrugClass.NARROW_INDEX_CYP
_CRS = "crs"
# The concept of the test by which each drug is followed, which is also the name of its draft
_TESTS = {
    "warfarin": "inr",
    "ciclosporin": "ciclosporin-level",
    "tacrolimus": "tacrolimus-level",
    "sirolimus": "sirolimus-level",
    "phenytoin": "phenytoin-level",
    "theophylline": "theophylline-level",
}
_TREATMENT = frozenset({Topic.TREATMENT})


class Windows(StepUpNumbers):
    """Numbers of R34: for how many days levels may rise.

    The days count from the first step-up dose; those of talquetamab from its first full dose, and all step-up before.
    """

    elranatamab_days: int
    talquetamab_days: int
    other_days: int
    crs_days: int
    recent_dose_days: int


@dataclass(frozen=True, slots=True)
class Rising:
    """What R34 found: the antibody, the drugs whose levels may rise, since when or why, and until when."""

    drug: str
    substrates: str
    since: str
    until: str


class _Window(NamedTuple):
    """A time in which levels may rise, if it is one for certain; its last day, where that is known."""

    variant: str
    drug: Drug
    is_open: Answer
    since: str
    until: date | None
    words: str
    sources: tuple[SourceRef, ...] = ()


@order_rule(
    "R34",
    reads={Topic.TREATMENT},
    heeds={Topic.VITAL_SIGNS},
    settings=Windows,
    facts=Rising,
    variants={"step_up", "cytokine_release"},
    missing={"start", "in_use"},
    new_starts_only=False,
)
def levels_may_rise(history: TreatmentHistory, order: ProposedOrder, settings: Windows) -> Conclusion:
    """A drug with a narrow therapeutic index beside step-up doses, or cytokine release, of a bispecific antibody."""
    drug = order.drug
    if drug is None:
        return not_applicable()
    if drug.drug_class is _BISPECIFIC:
        windows = _of_antibody(drug, history, order, settings)
    elif drug.drug_class is _NARROW and order.systemic:
        antibodies = dict.fromkeys(course.drug for course in courses_of(history))
        windows = [each for antibody in antibodies for each in _of_given(antibody, history, order, settings)]
    else:
        return not_applicable()
    possible = [window for window in windows if window.is_open is not Answer.NO]
    if not possible:
        return not_applicable(absent=_TREATMENT)
    window = next((each for each in possible if each.is_open is Answer.YES), possible[0])
    if window.is_open is Answer.UNKNOWN:
        return cannot_tell(Missing("start", window.drug.name), evidence=window.sources)
    return _judged(window, history, order, settings)


def _of_antibody(drug: Drug, history: TreatmentHistory, order: ProposedOrder, settings: Windows) -> list[_Window]:
    """Give the windows of an antibody that is ordered: of this step-up dose, and of those that were given."""
    found = _of_given(drug, history, order, settings)
    is_step_up = is_below_full_dose(order, by_label(drug, history, settings))
    if is_step_up or running_course(drug, history, settings.running_days) is None:
        day = planned_day(order, history)
        found.append(_Window("step_up", drug, Answer.YES, f"from {day} on", *_until(drug, day, None, settings)))
    return found


def _of_given(drug: Drug, history: TreatmentHistory, order: ProposedOrder, settings: Windows) -> list[_Window]:
    """Give the windows of an antibody that is being given: of its step-up doses, and of cytokine release."""
    course = running_course(drug, history, settings.running_days)
    if course is None:
        return []
    return [*_after_step_up(drug, course, history, order, settings), *_after_release(drug, history, settings)]


def _after_step_up(
    drug: Drug, course: Course, history: TreatmentHistory, order: ProposedOrder, settings: Windows
) -> Iterator[_Window]:
    """Give the window of the last step-up; that of talquetamab stays open until its first full dose."""
    sources = course.sources[:1]
    doses = given(drug, history, by_label(drug, history, settings))
    start = began(course, doses, settings)
    day = planned_day(order, history)
    if start is None:
        yield _Window("step_up", drug, Answer.UNKNOWN, "", None, "", sources)
        return
    full = _first_full_dose(start, doses) if drug.id == "talquetamab" else None
    until, words = _until(drug, start, full, settings)
    counted = full or start
    is_open = counted.days_until(day).at_most(_days_of(drug, settings))
    if drug.id == "talquetamab" and full is None and is_open is not Answer.YES:
        is_open = Answer.UNKNOWN  # its doses have no amount, or it never came to a full one
    yield _Window("step_up", drug, is_open, f"since {start}", until, words, sources)


def _first_full_dose(start: ClinicalDate, doses: Sequence[Given]) -> ClinicalDate | None:
    """Find the first full dose after a step-up began."""
    full = [dose.on for dose in doses if dose.level is not None and dose.level.is_treatment]
    return earliest_of([on for on in full if on.is_before(start) is Answer.NO])


def _days_of(drug: Drug, settings: Windows) -> int:
    by_drug = {"elranatamab": settings.elranatamab_days, "talquetamab": settings.talquetamab_days}
    return by_drug.get(drug.id, settings.other_days)


def _until(drug: Drug, start: ClinicalDate, full: ClinicalDate | None, settings: Windows) -> tuple[date | None, str]:
    """Give the last day of a window, and how it is written."""
    days = _days_of(drug, settings)
    if drug.id == "talquetamab" and full is None:
        return None, f"{days} d after the first full dose"
    last = (full or start).latest + timedelta(days)
    return last, str(last)


def _after_release(drug: Drug, history: TreatmentHistory, settings: Windows) -> Iterator[_Window]:
    """Give the windows of cytokine release that is coded."""
    for problem in history.problems:
        on = problem.onset or problem.recorded
        if problem.concept != _CRS or problem.certainty is not Certainty.STATED or on is None:
            continue
        is_recent = on.days_until(history.today).at_most(settings.crs_days)
        last = on.latest + timedelta(settings.crs_days)
        yield _Window("cytokine_release", drug, is_recent, f"on {on}", last, str(last), (problem.source,))


def _judged(window: _Window, history: TreatmentHistory, order: ProposedOrder, settings: Windows) -> Conclusion:
    """Look for drugs whose levels may rise, in use or ordered, and for the tests that follow them."""
    taken: dict[Drug, tuple[SourceRef, ...]] = {
        each.drug: () for each in history.orders if each.drug and each.drug.drug_class is _NARROW and each.systemic
    }
    unsure: list[SourceRef] = []
    for care in history.supportive_care:
        if care.drug.drug_class is not _NARROW or not care.systemic:
            continue
        answer = in_use(care, history, settings.recent_dose_days)
        if answer is Answer.YES:
            taken[care.drug] = (*taken.get(care.drug, ()), care.source)
        elif answer is Answer.UNKNOWN:
            unsure.append(care.source)
    ordered = frozenset[str]().union(*(each.asks_for for each in history.orders))
    open_ = [drug for drug in taken if _TESTS.get(drug.id) not in ordered]
    if not open_:
        if unsure:
            return cannot_tell(Missing("in_use"), evidence=tuple(unsure))
        return satisfied(absent=_TREATMENT)
    start = planned_day(order, history).latest
    return Conclusion(
        Outcome.FLAGGED,
        variant=window.variant,
        facts=Rising(window.drug.name, _listed(open_), window.since, window.words),
        evidence=(*(source for drug in open_ for source in taken[drug]), *window.sources),
        proposals=tuple(
            Proposal(_TESTS[drug.id], start=start, end=window.until)
            for drug in open_
            if drug.id in _TESTS and (window.until is None or window.until >= start)
        ),
    )


def _listed(drugs: Sequence[Drug]) -> str:
    return ", ".join(sorted(drug.name for drug in drugs))

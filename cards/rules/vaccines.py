"""Vaccines: live ones where immunity is too weak for them, others before they can do much."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

from cards.finding import Conclusion, Missing, Outcome, Reschedule, cannot_tell, not_applicable, satisfied, worst
from cards.rulebook import Settings, order_rule
from cards.situation.answers import all_of, any_of
from cards.situation.bispecific import courses_of, is_bispecific
from cards.situation.immunoglobulin import ever_given
from cards.situation.planned_day import planned_day
from cards.situation.results import low_cd4
from cards.situation.since_car_t import MISSING, latest_infusion
from fhir_mapping.model.dates import Answer, ClinicalDate
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.orders import ProposedOrder
from fhir_mapping.model.treatment import Course, SourceRef
from fhir_mapping.model.vocabulary import Topic

_UNSTATED = "unstated"  # which vaccine is meant is to be asked first; another day is no answer
_YES, _NO, _UNKNOWN = Answer.YES, Answer.NO, Answer.UNKNOWN


class VaccineTiming(Settings):
    """Numbers of R25. `vaccines` names the concepts; which of them are live, and which may come early."""

    live_car_t_days: int
    car_t_days: int
    early_car_t_days: int
    before_bispecific_days: int
    after_bispecific_days: int
    goes_on_days: int
    cd4_limit_per_ul: int
    cd4_lookback_days: int
    live_igg_days: int
    igg_days: int
    vaccines: Mapping[str, str]
    live: frozenset[str]
    early: frozenset[str]
    adjuvanted: frozenset[str]
    unstated: frozenset[str]


@dataclass(frozen=True, slots=True)
class TooEarly:
    """What R25 found: the vaccine, what speaks against its day, first in the summary, and until when."""

    vaccine: str
    reason: str
    until: str
    reasons: str


class _Window(NamedTuple):
    """One reason to wait, whether it holds on the day of the vaccine, and the first day on which it no longer does.

    That day is not known while a treatment goes on; `until` says what is waited for, and `besides` says it where
    another reason comes first.
    """

    answer: Answer
    reason: str
    until: str
    free: date | None
    sources: tuple[SourceRef, ...]
    missing: str = ""
    besides: str = ""


@order_rule(
    "R25",
    reads={Topic.CELL_THERAPY, Topic.TREATMENT, Topic.PROPHYLAXIS, Topic.LABS},
    settings=VaccineTiming,
    facts=TooEarly,
    variants={"live", _UNSTATED, "adjuvanted", "poor_response"},
    missing=MISSING | {"bispecific", "cd4"},
)
def vaccine_too_early(history: TreatmentHistory, order: ProposedOrder, settings: VaccineTiming) -> Conclusion:
    """A vaccine is ordered for a day on which a live one may do harm, or another one may do little."""
    if not order.asks_for:
        return not_applicable()
    asked = sorted(
        order.asks_for & settings.vaccines.keys(), key=lambda vaccine: (vaccine not in settings.live, vaccine)
    )
    if not asked:
        return not_applicable()
    on = planned_day(order, history)
    return worst(_judge(vaccine, on, history, order, settings) for vaccine in asked)


def _judge(
    vaccine: str, on: ClinicalDate, history: TreatmentHistory, order: ProposedOrder, settings: VaccineTiming
) -> Conclusion:
    name = settings.vaccines[vaccine]
    if vaccine in settings.live or vaccine in settings.unstated:
        return _of_live(name, vaccine in settings.live, on, history, order, settings)
    if vaccine in settings.adjuvanted:
        windows = _after_car_t(history, on, settings.live_car_t_days)
        return _waiting("adjuvanted", name, windows, order) or not_applicable(absent={Topic.CELL_THERAPY})
    if vaccine in settings.early:
        windows = _after_car_t(history, on, settings.early_car_t_days)
        return _waiting("poor_response", name, windows, order) or not_applicable(absent={Topic.CELL_THERAPY})
    windows = _after_car_t(history, on, settings.car_t_days)
    if history.infusions:  # what an immunoglobulin does to a vaccine is said of these patients alone
        windows += _after_immunoglobulin(history, on, settings.igg_days)
    return _waiting("poor_response", name, windows, order) or not_applicable(absent={Topic.CELL_THERAPY})


def _of_live(
    name: str, is_live: bool, on: ClinicalDate, history: TreatmentHistory, order: ProposedOrder, settings: VaccineTiming
) -> Conclusion:
    windows = [
        *_after_car_t(history, on, settings.live_car_t_days),
        *_around_bispecifics(history, on, settings),
        *_low_cd4(history, settings),
    ]
    after = _after_immunoglobulin(history, on, settings.live_igg_days) if is_live else []
    found = _waiting("live" if is_live else _UNSTATED, name, windows, order, beside=after)
    if found is not None:
        return found
    everything = {Topic.CELL_THERAPY, Topic.TREATMENT, Topic.LABS, Topic.PROPHYLAXIS}
    return _waiting("poor_response", name, after, order) or satisfied(absent=everything)


def _waiting(
    variant: str, name: str, windows: Sequence[_Window], order: ProposedOrder, beside: Sequence[_Window] = ()
) -> Conclusion | None:
    """Flag what holds, with the day on which nothing of it does any more, where every one of them has such a day.

    What stands `beside` is said as well, and alone would be no finding of this kind.
    """
    holding = [window for window in windows if window.answer is _YES]
    open_ones = [window for window in windows if window.answer is _UNKNOWN and window.missing]
    if not holding:
        if not open_ones:
            return None
        missing = dict.fromkeys(Missing(window.missing) for window in open_ones)
        return cannot_tell(*missing, evidence=tuple(source for window in open_ones for source in window.sources))
    holding += [window for window in beside if window.answer is _YES]
    free = [window.free for window in holding if window.free is not None]
    endless = [window for window in holding if window.free is None]
    until = str(max(free)) if free else endless[0].until
    if free and endless:
        until = f"{until} and {endless[0].besides}"
    can_move = not endless and not open_ones and variant != _UNSTATED
    facts = TooEarly(
        vaccine=name,
        reason=holding[0].reason,
        until=until,
        reasons="; ".join(dict.fromkeys(f"{window.reason} (until {window.until})" for window in holding)),
    )
    return Conclusion(
        Outcome.FLAGGED,
        variant=variant,
        facts=facts,
        evidence=tuple(dict.fromkeys(source for window in holding for source in window.sources)),
        proposals=(Reschedule("later-vaccine", order, max(free)),) if can_move else (),
    )


def _after_car_t(history: TreatmentHistory, on: ClinicalDate, days: int) -> list[_Window]:
    if not history.infusions:
        return []
    last = latest_infusion(history)
    answer = last.is_less_than(days, on)
    if last.infused is None or answer is not _YES:
        return [_Window(answer, "", "", None, last.doubts, last.missing)]
    free = last.infused.latest + timedelta(days)
    reason = f"{last.infused.days_until(on)} d after {last.product}"
    return [_Window(answer, reason, str(free), free, last.sources)]


def _around_bispecifics(history: TreatmentHistory, on: ClinicalDate, settings: VaccineTiming) -> Iterator[_Window]:
    """Look at what is being ordered, what goes on, and what was given shortly before the day of the vaccine."""
    after = settings.after_bispecific_days
    afterwards = f"{after} d after its last dose"
    for other in history.orders:
        if is_bispecific(other) and other.drug is not None:
            ahead = on.days_until(other.planned or history.today)
            name = other.drug.name
            where = f"{ahead} d before {name} is planned" if ahead.fewest > 0 else f"while {name} is being started"
            answer = ahead.less_than(settings.before_bispecific_days)
            yield _Window(answer, where, afterwards, None, (), "bispecific", f"{after} d off {name}")
    for course in courses_of(history):
        name, last = course.drug.name, course.last_dose
        if last is None:
            yield _Window(_UNKNOWN, "", "", None, course.sources[:1], "bispecific")
            continue
        sure = _YES if course.is_proven_or_reported else _UNKNOWN
        goes_on = _goes_on(course, last, history.today, settings)
        if all_of(sure, goes_on) is _YES:
            going_on = f"while {name} is being given"
            yield _Window(_YES, going_on, afterwards, None, course.sources[:1], besides=f"{after} d off {name}")
            continue
        since = last.days_until(on)
        answer = all_of(sure, any_of(since.less_than(after), _NO if goes_on is _NO else _UNKNOWN))
        free = last.latest + timedelta(after)
        yield _Window(answer, f"{since} d after {name}", str(free), free, course.sources[:1], "bispecific")


def _goes_on(course: Course, last: ClinicalDate, today: ClinicalDate, settings: VaccineTiming) -> Answer:
    """Whether a course is still being given: nobody has ended it, and its last dose lies no further back than that."""
    if course.ongoing:
        return _YES
    if course.ended is _YES:
        return _NO
    return last.days_until(today).at_most(settings.goes_on_days)


def _low_cd4(history: TreatmentHistory, settings: VaccineTiming) -> Iterator[_Window]:
    answer, cd4 = low_cd4(history, settings.cd4_limit_per_ul, settings.cd4_lookback_days)
    if cd4 is None:
        return
    reason = f"with a CD4 count of {cd4}/µL ({cd4.on or 'undated'})"
    above = f"above {settings.cd4_limit_per_ul}/µL"
    yield _Window(answer, reason, f"it is {above}", None, (cd4.source,), "cd4", f"a CD4 count {above}")


def _after_immunoglobulin(history: TreatmentHistory, on: ClinicalDate, days: int) -> list[_Window]:
    """Look at the last dose of immunoglobulin that was given; what may have been given says nothing here."""
    _, last, sources = ever_given(history)
    if last is None:
        return []
    since, free = last.days_until(on), last.latest + timedelta(days)
    return [_Window(since.less_than(days), f"{since} d after immunoglobulin", str(free), free, sources[-1:])]

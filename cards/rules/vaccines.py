"""Vaccines: live ones where immunity is too weak for them, others before they can do much."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

from cards.finding import Conclusion, Missing, Outcome, Reschedule, cannot_tell, not_applicable, satisfied, worst
from cards.rulebook import Settings, order_rule
from cards.situation.answers import all_of, any_of
from cards.situation.bispecific import courses_of, is_bispecific
from cards.situation.collection import infused_after
from cards.situation.immunoglobulin import ever_given
from cards.situation.planned_day import planned_day
from cards.situation.results import low_cd4
from cards.situation.since_car_t import MISSING, latest_infusion
from fhir_mapping.model.dates import Answer, ClinicalDate
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.orders import OrderKind, ProposedOrder
from fhir_mapping.model.treatment import Course, SourceRef
from fhir_mapping.model.vocabulary import Drug, Topic

_LIVE = "live"
_UNSTATED = "unstated"  # which vaccine is meant is to be asked first; another day is no answer
# Variants of the live card that name another source first: the one that speaks of what was found
_BEFORE_CELLS, _BISPECIFIC, _APART = "live_before_cells", "live_bispecific", "live_labelled_apart"
_LYMPHODEPLETION = OrderKind.LYMPHODEPLETION
_OPEN = MISSING | {"bispecific", "goes_on", "lymphodepletion", "cd4"}  # a note says so where another window speaks
_YES, _NO, _UNKNOWN = Answer.YES, Answer.NO, Answer.UNKNOWN


class VaccineTiming(Settings):
    """Numbers of R25. `vaccines` names the concepts; which of them are live, and which may come early.

    `labelled_apart` are the bispecific antibodies, by id, for which another source speaks than for the others.
    """

    live_car_t_days: int
    before_lymphodepletion_days: int
    lymphodepletion_days: int
    car_t_days: int
    early_car_t_days: int
    before_bispecific_days: int
    after_bispecific_days: int
    goes_on_days: int
    may_go_on_days: int
    cd4_limit_per_ul: int
    cd4_lookback_days: int
    live_igg_days: int
    igg_days: int
    vaccines: Mapping[str, str]
    live: frozenset[str]
    early: frozenset[str]
    adjuvanted: frozenset[str]
    unstated: frozenset[str]
    labelled_apart: frozenset[str]


@dataclass(frozen=True, slots=True)
class TooEarly:
    """What R25 found: the vaccine, what speaks against its day, first in the summary, and "until" when."""

    vaccine: str
    reason: str
    until: str
    reasons: str


class _Window(NamedTuple):
    """One reason to wait, whether it holds on the day of the vaccine, and the first day on which it no longer does.

    That day is not known while a treatment goes on; `until` says what is waited for, and `besides` says it where
    another reason comes first. `missing` is what leaves it open, `variant` the card of a live vaccine that it leads.
    """

    answer: Answer
    reason: str
    until: str
    free: date | None
    sources: tuple[SourceRef, ...]
    missing: Missing | None = None
    besides: str = ""
    variant: str = _LIVE


@order_rule(
    "R25",
    reads={Topic.CELL_THERAPY, Topic.TREATMENT, Topic.PROPHYLAXIS, Topic.LABS},
    settings=VaccineTiming,
    facts=TooEarly,
    variants={_LIVE, _BEFORE_CELLS, _BISPECIFIC, _APART, _UNSTATED, "adjuvanted", "poor_response"},
    missing=_OPEN,
    notes=_OPEN,
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
        windows = list(_after_car_t(history, on, settings.live_car_t_days))
        return _waiting("adjuvanted", name, windows, order) or not_applicable(absent={Topic.CELL_THERAPY})
    if vaccine in settings.early:
        windows = list(_after_car_t(history, on, settings.early_car_t_days))
        return _waiting("poor_response", name, windows, order) or not_applicable(absent={Topic.CELL_THERAPY})
    windows = list(_after_car_t(history, on, settings.car_t_days))
    if history.infusions:  # what an immunoglobulin does to a vaccine is said of these patients alone
        windows += _after_immunoglobulin(history, on, settings.igg_days)
    return _waiting("poor_response", name, windows, order) or not_applicable(absent={Topic.CELL_THERAPY})


def _of_live(
    name: str, is_live: bool, on: ClinicalDate, history: TreatmentHistory, order: ProposedOrder, settings: VaccineTiming
) -> Conclusion:
    windows = [
        *_after_car_t(history, on, settings.live_car_t_days),
        *_before_cells(history, on, settings),
        *_around_bispecifics(history, on, settings),
        *_low_cd4(history, settings),
    ]
    after = _after_immunoglobulin(history, on, settings.live_igg_days) if is_live else []
    found = _waiting(_LIVE if is_live else _UNSTATED, name, windows, order, beside=after)
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
    open_ones = [window for window in windows if window.answer is _UNKNOWN and window.missing is not None]
    missing = tuple(dict.fromkeys(window.missing for window in open_ones if window.missing is not None))
    if not holding:
        if not open_ones:
            return None
        return cannot_tell(*missing, evidence=tuple(source for window in open_ones for source in window.sources))
    holding += [window for window in beside if window.answer is _YES]
    free = [window.free for window in holding if window.free is not None]
    endless = [window for window in holding if window.free is None]
    can_move = not endless and not open_ones and variant != _UNSTATED
    facts = TooEarly(
        vaccine=name,
        reason=holding[0].reason,
        until=_until(free, endless, is_open=bool(open_ones)),
        reasons="; ".join(dict.fromkeys(f"{window.reason} (until {window.until})" for window in holding)),
    )
    return Conclusion(
        Outcome.FLAGGED,
        variant=holding[0].variant if variant == _LIVE else variant,
        facts=facts,
        evidence=tuple(dict.fromkeys(source for window in holding for source in window.sources)),
        notes=tuple(dict.fromkeys(item.key for item in missing)),
        proposals=(Reschedule("later-vaccine", order, max(free)),) if can_move else (),
    )


def _until(free: Sequence[date], endless: Sequence[_Window], *, is_open: bool) -> str:
    """Say until when it is too early: "at least" where something else may take longer, and is not named beside it."""
    at_least = "at least " if is_open or len(endless) > 1 else ""
    if not free:
        return f"{at_least}until {endless[0].until}"
    besides = f" and {endless[0].besides}" if endless and not at_least else ""
    return f"{at_least}until {max(free)}{besides}"


def _after_car_t(history: TreatmentHistory, on: ClinicalDate, days: int) -> Iterator[_Window]:
    """Look at the latest infusion that is certain; one in doubt, or without a date, may lie nearer to the day."""
    if not history.infusions:
        return
    last = latest_infusion(history)
    answer = last.is_less_than(days, on)
    if last.infused is not None and answer is _YES:
        free = last.infused.latest + timedelta(days)
        yield _Window(_YES, f"{last.infused.days_until(on)} d after {last.product}", str(free), free, last.sources)
    if answer is _UNKNOWN or last.unsure:
        yield _Window(_UNKNOWN, "", "", None, last.doubts, Missing(last.missing))


def _before_cells(history: TreatmentHistory, on: ClinicalDate, settings: VaccineTiming) -> Iterator[_Window]:
    """Look for lymphodepletion among the drafts, or else for the infusion: it begins no more than some days before."""
    begins = [order for order in history.orders if order.kind is _LYMPHODEPLETION]
    for order in begins or [order for order in history.orders if order.is_car_t_infusion]:
        planned = planned_day(order, history)
        before = 0 if begins else settings.lymphodepletion_days
        start = ClinicalDate(planned.earliest - timedelta(before), planned.latest)
        is_near = on.days_until(start).less_than(settings.before_lymphodepletion_days)
        is_still = planned.days_until(on).less_than(settings.live_car_t_days)
        where = _beside_cells(on, planned, "lymphodepletion" if begins else order.therapy)
        after = f"{settings.live_car_t_days} d after the cells"
        missing = Missing("lymphodepletion")
        yield _Window(all_of(is_near, is_still), where, after, None, (), missing, after, _BEFORE_CELLS)


def _beside_cells(on: ClinicalDate, planned: ClinicalDate, name: str) -> str:
    ahead, since = on.days_until(planned), planned.days_until(on)
    if ahead.fewest > 0:
        return f"{ahead} d before planned {name}"
    return f"{since} d after planned {name}" if since.fewest > 0 else f"around the day of planned {name}"


def _around_bispecifics(history: TreatmentHistory, on: ClinicalDate, settings: VaccineTiming) -> Iterator[_Window]:
    """Look at what is being ordered, what goes on, and what was given shortly before the day of the vaccine."""
    after = settings.after_bispecific_days
    for other in history.orders:
        if is_bispecific(other) and other.drug is not None:
            ahead = on.days_until(other.planned or history.today)
            name = other.drug.name
            where = f"{ahead} d before {name} is planned" if ahead.fewest > 0 else f"while {name} is being started"
            yield _Window(
                answer=ahead.less_than(settings.before_bispecific_days),
                reason=where,
                until=f"{after} d after its last dose",
                free=None,
                sources=(),
                missing=Missing("bispecific"),
                besides=f"{after} d off {name}",
                variant=_card_for(other.drug, settings),
            )
    for course in courses_of(history):
        if course.last_dose is None:
            yield _Window(_UNKNOWN, "", "", None, course.sources[:1], Missing("bispecific"))
        else:
            yield _of_course(course, course.last_dose, on, history, settings)


def _of_course(
    course: Course, last: ClinicalDate, on: ClinicalDate, history: TreatmentHistory, settings: VaccineTiming
) -> _Window:
    """Judge one course: while it may go on, no day is known on which it will have ended for long enough."""
    name, after = course.drug.name, settings.after_bispecific_days
    is_sure = _YES if course.is_proven_or_reported else _UNKNOWN
    goes_on = _goes_on(course, last, history, settings)
    since = last.days_until(on)
    is_soon = since.less_than(after)
    window = _Window(
        answer=all_of(is_sure, any_of(is_soon, goes_on)),
        reason=f"{since} d after {name}",
        until=str(last.latest + timedelta(after)),
        free=last.latest + timedelta(after),
        sources=course.sources[:1],
        missing=Missing("bispecific"),
        variant=_card_for(course.drug, settings),
    )
    if goes_on is _NO:
        return window
    is_whether = is_sure is _YES and is_soon is _NO
    return window._replace(
        reason=f"while {name} is being given" if course.ongoing else f"{since} d after {name}, no end on record",
        until=f"{after} d after it has ended",
        free=None,
        missing=Missing("goes_on", name, detail=str(last)) if is_whether else Missing("bispecific"),
        besides=f"{after} d off {name}",
    )


def _goes_on(course: Course, last: ClinicalDate, history: TreatmentHistory, settings: VaccineTiming) -> Answer:
    """Whether a course is still being given, as it is as long as nobody has ended it, and its last dose is recent.

    Doses may be weeks apart, paused, or given elsewhere: for some time more it is open. CAR T cells end what was given
    before them.
    """
    if course.ongoing:
        return _YES
    if course.ended is _YES or infused_after(last, history) is _YES:
        return _NO
    since = last.days_until(history.today)
    if since.at_most(settings.goes_on_days) is _YES:
        return _YES
    return _NO if since.at_most(settings.may_go_on_days) is _NO else _UNKNOWN


def _card_for(drug: Drug, settings: VaccineTiming) -> str:
    return _APART if drug.id in settings.labelled_apart else _BISPECIFIC


def _low_cd4(history: TreatmentHistory, settings: VaccineTiming) -> Iterator[_Window]:
    answer, cd4 = low_cd4(history, settings.cd4_limit_per_ul, settings.cd4_lookback_days)
    if cd4 is None:
        return
    reason = f"with a CD4 count of {cd4}/µL ({cd4.on or 'undated'})"
    above = f"above {settings.cd4_limit_per_ul}/µL"
    yield _Window(answer, reason, f"it is {above}", None, (cd4.source,), Missing("cd4"), f"a CD4 count {above}")


def _after_immunoglobulin(history: TreatmentHistory, on: ClinicalDate, days: int) -> list[_Window]:
    """Look at the last dose of immunoglobulin that was given; what may have been given says nothing here."""
    _, last, sources = ever_given(history)
    if last is None:
        return []
    since, free = last.days_until(on), last.latest + timedelta(days)
    return [_Window(since.less_than(days), f"{since} d after immunoglobulin", str(free), free, sources[-1:])]

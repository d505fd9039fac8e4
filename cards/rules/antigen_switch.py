"""Antigen switch: after progression on therapy against an antigen, another antigen or another mechanism."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from cards.finding import (
    Conclusion,
    Missing,
    Outcome,
    Proposal,
    cannot_tell,
    not_applicable,
    satisfied,
    worst,
)
from cards.rulebook import Settings, order_rule
from fhir_mapping.model.dates import Answer, ClinicalDate, Days, latest_of
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.orders import OrderKind, ProposedOrder
from fhir_mapping.model.treatment import EndReason, Progression, SourceRef
from fhir_mapping.model.vocabulary import Antigen, Certainty, Drug, Mechanism, Topic


class Windows(Settings):
    """Numbers of R05, which are those of R05G as well."""

    on_or_after_last_dose_days: int
    shortly_after_days: int


@dataclass(frozen=True, slots=True)
class Switch:
    """What R05 or R05G found: the therapy that failed, when, and what is ordered now."""

    previous: str
    ordered: str
    last_given: ClinicalDate
    until: str
    progressed: ClinicalDate
    days_after: Days


class _Therapy(NamedTuple):
    """One therapy against an antigen: a course of a drug, or one CAR T infusion (a single dose)."""

    name: str
    drug: Drug | None
    mechanism: Mechanism | None
    is_car_t: bool
    first: ClinicalDate | None
    last: ClinicalDate | None
    is_ongoing: bool
    is_sure: bool
    target_known: bool
    end_reason: EndReason | None
    sources: tuple[SourceRef, ...]

    def order(self) -> tuple[date, date]:
        """Sort by the latest day on which it may last have been given; an undated one may be the latest of all."""
        return (self.last.latest, self.last.earliest) if self.last else (date.max, date.max)


_READS = frozenset({Topic.TREATMENT, Topic.CELL_THERAPY, Topic.PROGRESSION})
_VARIANTS = frozenset({"during", "shortly_after", "early_after_car_t", "later"})
_MISSING = frozenset({"progression", "progression_date", "therapy_dates", "given", "car_t_target"})


@order_rule(
    "R05", reads=_READS, settings=Windows, facts=Switch, variants=_VARIANTS, notes={"gprc5d_failed"}, missing=_MISSING
)
def bcma_again_after_progression(history: TreatmentHistory, order: ProposedOrder, settings: Windows) -> Conclusion:
    """Another BCMA-directed drug of the same mechanism is ordered after the last one failed early."""
    if not order.may_target(Antigen.BCMA):
        return not_applicable()
    answer = _again(Antigen.BCMA, history, order, settings)
    if answer.outcome is not Outcome.FLAGGED:
        return answer
    if history.has_failed(Antigen.GPRC5D):
        return answer._replace(notes=("gprc5d_failed",))
    is_ordered = any(other.drug is not None and Antigen.GPRC5D in other.drug.antigens for other in history.orders)
    return answer if is_ordered else answer._replace(proposals=(Proposal("gprc5d-bispecific"),))


@order_rule(
    "R05G", reads=_READS, settings=Windows, facts=Switch, variants=_VARIANTS, notes={"bcma_failed"}, missing=_MISSING
)
def gprc5d_again_after_progression(history: TreatmentHistory, order: ProposedOrder, settings: Windows) -> Conclusion:
    """Another GPRC5D-directed drug of the same mechanism is ordered after the last one failed early.

    Cells that nobody named are taken to be against BCMA, as all are that are approved: they concern R05 alone.
    """
    if order.drug is None or Antigen.GPRC5D not in order.drug.antigens:
        return not_applicable()
    answer = _again(Antigen.GPRC5D, history, order, settings)
    if answer.outcome is Outcome.FLAGGED and history.has_failed(Antigen.BCMA):
        return answer._replace(notes=("bcma_failed",))
    return answer


def _again(antigen: Antigen, history: TreatmentHistory, order: ProposedOrder, settings: Windows) -> Conclusion:
    """Judge an order against an antigen by the last therapy that was directed against it."""
    mechanism = _mechanism(order)
    if mechanism is None:
        return not_applicable()
    therapies = sorted(_therapies_against(antigen, history), key=_Therapy.order)
    if not therapies:
        return satisfied(absent={Topic.TREATMENT, Topic.CELL_THERAPY})
    dated: list[tuple[_Therapy, Conclusion]] = []
    doubtful: list[Conclusion] = []
    for therapy in _possible_latest(therapies):
        answer = _judge(therapy, mechanism, order, history, settings)
        if therapy.is_sure and therapy.last is not None:
            dated.append((therapy, answer))
        else:
            doubtful.append(answer)
    return worst([*_of_the_latest(dated), *doubtful])


def _mechanism(order: ProposedOrder) -> Mechanism | None:
    """Collection and lymphodepletion are steps towards CAR T cells, not the drug itself."""
    if order.drug is not None and order.kind is OrderKind.DRUG:
        return order.drug.mechanism
    return Mechanism.T_CELL_REDIRECTION if order.kind is OrderKind.CAR_T_INFUSION else None


def _therapies_against(antigen: Antigen, history: TreatmentHistory) -> Iterator[_Therapy]:
    for course in history.courses_against(antigen):
        yield _Therapy(
            name=course.drug.name,
            drug=course.drug,
            mechanism=course.drug.mechanism,
            is_car_t=False,
            first=course.first_dose,
            last=course.last_dose,
            is_ongoing=course.ongoing,
            is_sure=course.is_proven_or_reported,
            target_known=True,
            end_reason=course.end_reason,
            sources=course.sources[:1],  # the record that the last dose rests on
        )
    for infusion in history.infusions:
        target = infusion.targets(antigen)
        if target is Answer.NO:
            continue
        yield _Therapy(
            name=infusion.name,
            drug=infusion.product,
            mechanism=Mechanism.T_CELL_REDIRECTION,
            is_car_t=True,
            first=infusion.infused,
            last=infusion.infused,
            is_ongoing=False,
            is_sure=infusion.is_stated,
            target_known=target is Answer.YES,
            end_reason=None,
            sources=infusion.sources,
        )


def _possible_latest(therapies: list[_Therapy]) -> list[_Therapy]:
    """Keep every therapy that may have been the last one: imprecise dates leave more than one.

    If one was the last, its own last dose came no earlier than that of any other.
    """
    latest = latest_of([t.last for t in therapies if t.last is not None and t.is_sure and t.target_known])
    if latest is None:
        return therapies
    return [
        therapy
        if therapy.last is None or therapy.last.earliest >= latest.earliest
        else therapy._replace(last=ClinicalDate(latest.earliest, therapy.last.latest))
        for therapy in therapies
        if therapy.last is None or therapy.last.is_before(latest) is not Answer.YES
    ]


def _of_the_latest(judged: list[tuple[_Therapy, Conclusion]]) -> list[Conclusion]:
    """Leave it open where vague dates hide which of several therapies was the last, and that makes a difference."""
    answers = [answer for _, answer in judged]
    if len(answers) <= 1:
        return answers
    days = {therapy.last for therapy, _ in judged}
    is_one_day = len(days) <= 1 and all(day is None or day.is_exact for day in days)
    if is_one_day or len({answer.outcome for answer in answers}) <= 1:
        return answers
    vague = max((therapy for therapy, _ in judged), key=lambda therapy: therapy.last.width if therapy.last else 0)
    return [cannot_tell(Missing("therapy_dates", vague.name), evidence=vague.sources)]


def _judge(
    therapy: _Therapy,
    mechanism: Mechanism,
    order: ProposedOrder,
    history: TreatmentHistory,
    settings: Windows,
) -> Conclusion:
    if therapy.mechanism is not mechanism:
        return satisfied(absent={Topic.TREATMENT, Topic.CELL_THERAPY}, evidence=therapy.sources)
    if not therapy.is_sure:
        return cannot_tell(Missing("given", therapy.name), evidence=therapy.sources)
    if not therapy.target_known:
        return cannot_tell(Missing("car_t_target"), evidence=therapy.sources)
    if therapy.first is None or therapy.last is None:
        return cannot_tell(Missing("therapy_dates", therapy.name), evidence=therapy.sources)
    judged = [
        (_progressed(event, therapy, order, history, settings), is_judged)
        for event, is_judged in _progressions_to_judge(history, therapy.first, therapy.drug)
    ]
    sure = [answer for answer, is_judged in judged if is_judged is Answer.YES]
    answer = worst(sure) if sure else _without_progression(therapy)
    if len(sure) == len(judged):
        return answer
    everything = worst([answer, *(other for other, _ in judged)])
    if everything.outcome is answer.outcome:
        return answer
    return cannot_tell(Missing("progression_date", therapy.name), evidence=everything.evidence)


def _without_progression(therapy: _Therapy) -> Conclusion:
    if therapy.end_reason in {EndReason.TOXICITY, EndReason.COMPLETION}:
        return satisfied(absent={Topic.PROGRESSION, Topic.TREATMENT}, evidence=therapy.sources)
    return cannot_tell(Missing("progression", therapy.name), evidence=therapy.sources)


def _progressions_to_judge(
    history: TreatmentHistory, first: ClinicalDate, drug: Drug | None
) -> list[tuple[Progression, Answer]]:
    """Take the latest progression since the therapy began, and earlier ones that no new treatment followed.

    A worsening is often recorded at visit after visit; without treatment in between it is the same failure. Vague
    dates leave it open of some.
    """
    since = [p for p in history.progressions if p.on is None or p.on.is_after(first) is not Answer.NO]
    judged: list[tuple[Progression, Answer]] = []
    for event in since:
        latest = latest_of([other.on for other in since if other.on and other.on != event.on])
        is_treated = history.treated_between(event.on, latest, drug) if event.on and latest else Answer.NO
        if is_treated is not Answer.YES:
            judged.append((event, Answer.YES if is_treated is Answer.NO else Answer.UNKNOWN))
    return judged


def _progressed(
    progression: Progression,
    therapy: _Therapy,
    order: ProposedOrder,
    history: TreatmentHistory,
    settings: Windows,
) -> Conclusion:
    evidence = (progression.source, *therapy.sources)
    on, first, last = progression.on, therapy.first, therapy.last
    if on is None or progression.certainty is Certainty.POSSIBLE:
        return cannot_tell(Missing("progression_date", therapy.name), evidence=evidence)
    assert first is not None and last is not None  # noqa: S101, PT018 - undated therapies were answered before
    days = last.days_until(on)
    if first.is_before(on) is Answer.UNKNOWN:
        return cannot_tell(Missing("progression_date", therapy.name), evidence=evidence)
    match days.at_most(settings.shortly_after_days):
        case Answer.NO:
            everything = {Topic.TREATMENT, Topic.CELL_THERAPY, Topic.PROGRESSION}
            return satisfied(absent=everything, evidence=evidence)
        case Answer.UNKNOWN:
            return cannot_tell(Missing("progression_date", therapy.name), evidence=evidence)
        case Answer.YES:
            pass
    if therapy.is_car_t:
        variant = "early_after_car_t"
    elif days.at_most(0) is Answer.YES:
        variant = "during"
    elif days.at_most(settings.on_or_after_last_dose_days) is Answer.YES:
        variant = "shortly_after"
    else:
        variant = "later"
    return Conclusion(
        Outcome.FLAGGED,
        variant=variant,
        facts=Switch(
            previous=therapy.name,
            ordered=order.therapy,
            last_given=last,
            until="still listed as ongoing" if therapy.is_ongoing else f"last dose {last}",
            progressed=on,
            days_after=Days(max(days.fewest, 0), max(days.most, 0)),
        ),
        evidence=evidence,
    )

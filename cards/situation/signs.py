"""Signs that may be late effects of CAR T cells, in orders or problems, each held against the infusions before it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from cards.rulebook import Settings
from cards.situation.answers import all_of, any_of, opposite
from fhir_mapping.model.dates import Answer, ClinicalDate
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.orders import ProposedOrder
from fhir_mapping.model.patient import Problem
from fhir_mapping.model.treatment import CarTInfusion, SourceRef
from fhir_mapping.model.vocabulary import Certainty, DrugClass

_YES, _NO, _UNKNOWN = Answer.YES, Answer.NO, Answer.UNKNOWN


class Watch(Settings):
    """What the rules of a watch share: its days, and by concept the words for each sign."""

    counts_days: int
    new_problem_days: int
    orders: Mapping[str, str]
    problems: Mapping[str, str]


class Sign(NamedTuple):
    """What may be a late effect: of a problem, since when, and whether it is new; of a drug, its class."""

    words: str
    since: ClinicalDate | None = None
    is_new: Answer = _YES
    sources: tuple[SourceRef, ...] = ()
    drug_class: DrugClass | None = None


class Beside(NamedTuple):
    """A sign beside one infusion: whether it may be a late effect of these cells, and what leaves that open."""

    answer: Answer
    missing: str
    sign: Sign
    infusion: CarTInfusion


MISSING = frozenset({"infusion_date", "infusion_given", "problem"})


def in_orders(orders: Iterable[ProposedOrder], settings: Watch, drug_class: DrugClass) -> list[Sign]:
    """List the signs among draft orders: drugs of a class, and tests, procedures and referrals that are watched."""
    return [sign for order in orders for sign in _in_order(order, settings, drug_class)]


def _in_order(order: ProposedOrder, settings: Watch, drug_class: DrugClass) -> Iterator[Sign]:
    if order.drug is not None and order.drug.drug_class is drug_class:
        yield Sign(f"{order.drug.name} ordered", drug_class=drug_class)
    if order.asks_for:
        yield from (Sign(words) for concept, words in settings.orders.items() if concept in order.asks_for)


def in_problems(history: TreatmentHistory, settings: Watch) -> list[Sign]:
    """List the problems that are watched and not over."""
    return [
        Sign(
            settings.problems[problem.concept],
            problem.onset or problem.recorded,
            _is_new(problem, history, settings),
            (problem.source,),
        )
        for problem in history.problems
        if problem.concept in settings.problems and problem.active is not _NO
    ]


def _is_new(problem: Problem, history: TreatmentHistory, settings: Watch) -> Answer:
    """Whether a problem began, or was written down, lately; one that is only suspected leaves it open."""
    days = [day.days_until(history.today) for day in (problem.onset, problem.recorded) if day is not None]
    if not days:
        return _UNKNOWN
    answer = any_of(*[each.at_most(settings.new_problem_days) for each in days])
    return _UNKNOWN if answer is _YES and problem.certainty is not Certainty.STATED else answer


def beside_cells(
    signs: Sequence[Sign], cells: Sequence[CarTInfusion], history: TreatmentHistory, settings: Watch
) -> list[Beside]:
    """Hold each sign against each infusion, the latest infusion first."""
    return [_beside(sign, infusion, history, settings) for infusion in reversed(cells) for sign in signs]


def _beside(sign: Sign, infusion: CarTInfusion, history: TreatmentHistory, settings: Watch) -> Beside:
    """Judge one sign beside one infusion: is the sign new, and the infusion before it and recent enough?"""
    infused = infusion.infused
    if infused is None:
        within, is_after = _UNKNOWN, _YES
    else:
        within = infused.days_until(history.today).at_most(settings.counts_days)
        is_after = _YES if sign.since is None else opposite(sign.since.is_before(infused))
    was_given = _YES if infusion.is_stated else _UNKNOWN
    answer = all_of(was_given, within, is_after, sign.is_new)
    open_ = (("infusion_given", was_given), ("infusion_date", within), ("problem", _UNKNOWN))
    return Beside(answer, next(key for key, known in open_ if known is _UNKNOWN), sign, infusion)

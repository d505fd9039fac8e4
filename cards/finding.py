"""What a rule answers: one of four outcomes, with the facts, the evidence and what was missing."""

from collections.abc import Iterable
from datetime import date
from enum import IntEnum, StrEnum
from operator import attrgetter
from typing import NamedTuple

from fhir_mapping.model.orders import ProposedOrder
from fhir_mapping.model.treatment import SourceRef
from fhir_mapping.model.vocabulary import Topic


class Hook(StrEnum):
    """The moments at which an EHR asks us."""

    PATIENT_VIEW = "patient-view"
    ORDER_SELECT = "order-select"
    ORDER_SIGN = "order-sign"


class Outcome(IntEnum):
    """The four answers, in the order in which the worst of several is picked."""

    NOT_APPLICABLE = 0
    SATISFIED = 1
    CANNOT_TELL = 2
    FLAGGED = 3


class Missing(NamedTuple):
    """A fact that a rule needed: the key of its wording, and what that wording names."""

    key: str
    drug: str = ""
    topics: frozenset[Topic] = frozenset()
    detail: str = ""


class Proposal(NamedTuple):
    """A draft order to offer: the key of its template, and what the patient's chart lets us say in it.

    `start` and `end` bound the doses of a drug, or the days on which a service is to be done: a test before an event
    has that day as its end.
    """

    template: str
    recommended: bool = False
    with_dose: bool = False
    start: date | None = None
    end: date | None = None


class Reschedule(NamedTuple):
    """A draft order of this request to move to another day: it stays the EHR's own, and its date alone changes.

    `template` names the wording. It is not offered where the order cannot be echoed, or has no date to move.
    """

    template: str
    order: ProposedOrder
    to: date


class Conclusion(NamedTuple):
    """A rule's answer.

    `variant` picks the wording and `facts` fills it. `absent` names the Topics in which the answer rests on
    something not being there: it only stands while they were read completely.
    """

    outcome: Outcome
    variant: str = ""
    facts: object = None
    missing: tuple[Missing, ...] = ()
    evidence: tuple[SourceRef, ...] = ()
    absent: frozenset[Topic] = frozenset()
    notes: tuple[str, ...] = ()
    proposals: tuple[Proposal | Reschedule, ...] = ()


_NOT_APPLICABLE = Conclusion(Outcome.NOT_APPLICABLE)  # by far the most common answer


def not_applicable(*, absent: Iterable[Topic] = ()) -> Conclusion:
    """Answer that the rule does not concern this patient or order."""
    return Conclusion(Outcome.NOT_APPLICABLE, absent=frozenset(absent)) if absent else _NOT_APPLICABLE


def satisfied(*, absent: Iterable[Topic] = (), evidence: tuple[SourceRef, ...] = ()) -> Conclusion:
    """Answer that all is as the rule wants it."""
    return Conclusion(Outcome.SATISFIED, absent=frozenset(absent), evidence=evidence)


def cannot_tell(*missing: Missing, evidence: tuple[SourceRef, ...] = ()) -> Conclusion:
    """Answer that the chart does not hold what the rule needs."""
    return Conclusion(Outcome.CANNOT_TELL, missing=missing, evidence=evidence)


_outcome = attrgetter("outcome")


def worst(conclusions: Iterable[Conclusion]) -> Conclusion:
    """Pick the answer that must not be hidden by another; missing facts of all that cannot tell are kept."""
    found = list(conclusions)
    if len(found) == 1:
        return found[0]
    chosen = max(found, key=_outcome, default=_NOT_APPLICABLE)
    alike = [c for c in found if c.outcome is chosen.outcome]
    if len(alike) <= 1:
        return chosen
    return chosen._replace(
        absent=frozenset().union(*(c.absent for c in alike)),
        missing=tuple(dict.fromkeys(item for c in alike for item in c.missing)),
    )

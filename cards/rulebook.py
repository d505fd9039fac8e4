"""How a rule is written down: a decorated function, its settings, and everything its wording may mention."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Any

from pydantic import BaseModel, ConfigDict

from cards.finding import Conclusion, Hook
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.orders import ProposedOrder
from fhir_mapping.model.vocabulary import Topic


class Settings(BaseModel):
    """Base of every rule's numbers; the values stand in the knowledge files, never here."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True, slots=True)
class NoFacts:
    """The facts of a rule that words nothing."""


OrderFunction = Callable[[TreatmentHistory, ProposedOrder, Any], Conclusion]
PatientFunction = Callable[[TreatmentHistory, Hook, Any], Conclusion]


@dataclass(frozen=True, slots=True)
class Rule:
    """One registered rule; the loader holds its declarations against its wording.

    `reads` are the Topics that its answers rest on; `heeds` those that may only keep it silent, so that nothing waits
    for them. `judge_order` is called once per judged draft order, `judge_patient` once per request; of a rule that has
    both, the one for the patient answers when the chart is opened.
    """

    id: str
    family: str
    settings: type[Settings]
    facts: type
    variants: frozenset[str]
    missing: frozenset[str]
    notes: frozenset[str]
    reads: frozenset[Topic]
    heeds: frozenset[Topic] = frozenset()
    judge_order: OrderFunction | None = None
    judge_patient: PatientFunction | None = None
    new_starts_only: bool = False

    @property
    def topics(self) -> frozenset[Topic]:
        """Name every Topic that is asked for because of this rule."""
        return self.reads | self.heeds

    @property
    def fact_names(self) -> frozenset[str]:
        """Name everything that the rule's wording may mention."""
        return frozenset(field.name for field in fields(self.facts)) | frozenset(self.settings.model_fields)


REGISTERED: dict[str, Rule] = {}


def order_rule(
    rule_id: str,
    *,
    reads: Iterable[Topic],
    heeds: Iterable[Topic] = (),
    settings: type[Settings] = Settings,
    facts: type = NoFacts,
    variants: Iterable[str] = (),
    missing: Iterable[str] = (),
    notes: Iterable[str] = (),
    new_starts_only: bool = True,
    when_opened: PatientFunction | None = None,
) -> Callable[[OrderFunction], OrderFunction]:
    """Register a rule that judges one draft order at a time.

    With `new_starts_only`, an order that continues a running course of the same drug is none of its business;
    `when_opened` answers where a chart is opened and nothing is ordered.
    """

    def register(function: OrderFunction) -> OrderFunction:
        _add(
            Rule(
                id=rule_id,
                family=_family_of(function),
                settings=settings,
                facts=facts,
                variants=frozenset(variants),
                missing=frozenset(missing),
                notes=frozenset(notes),
                reads=frozenset(reads),
                heeds=frozenset(heeds),
                judge_order=function,
                judge_patient=when_opened,
                new_starts_only=new_starts_only,
            )
        )
        return function

    return register


def patient_rule(
    rule_id: str,
    *,
    reads: Iterable[Topic],
    heeds: Iterable[Topic] = (),
    settings: type[Settings] = Settings,
    facts: type = NoFacts,
    variants: Iterable[str] = (),
    missing: Iterable[str] = (),
    notes: Iterable[str] = (),
) -> Callable[[PatientFunction], PatientFunction]:
    """Register a rule that judges the patient once per request, whatever is ordered."""

    def register(function: PatientFunction) -> PatientFunction:
        _add(
            Rule(
                id=rule_id,
                family=_family_of(function),
                settings=settings,
                facts=facts,
                variants=frozenset(variants),
                missing=frozenset(missing),
                notes=frozenset(notes),
                reads=frozenset(reads),
                heeds=frozenset(heeds),
                judge_patient=function,
            )
        )
        return function

    return register


def _family_of(function: Callable[..., Conclusion]) -> str:
    return function.__module__.rpartition(".")[2]


def _add(rule: Rule) -> None:
    if rule.id in REGISTERED:
        raise ValueError(f"two rules are called {rule.id}")
    REGISTERED[rule.id] = rule

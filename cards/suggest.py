"""What a card offers to do with one click: drafts of new orders, and draft orders of the request on another day."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from cards.card import Action, Suggestion
from cards.compose import CardPlan
from cards.evaluate import Result
from cards.finding import Proposal, Reschedule
from cards.knowledge.loader import Knowledge
from cards.markdown import capitalised
from cards.orders import Ordering, describe, draft_order
from cards.reschedule import has_a_date_to_move, moved
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.orders import ProposedOrder


@dataclass(frozen=True, slots=True)
class Addressee:
    """Whom the draft orders are for, how a new uuid is made, and how the client takes orders.

    `drafts_as_sent` gives the JSON of the request's own drafts by reference, without those that cannot be handed back.
    """

    patient_id: str
    new_uuid: Callable[[], str]
    ordering: Ordering = field(default_factory=Ordering)
    drafts_as_sent: Callable[[], Mapping[str, bytes]] = dict


def suggestions(
    plan: CardPlan, history: TreatmentHistory, knowledge: Knowledge, addressee: Addressee
) -> Iterator[Suggestion]:
    """Offer each draft order once, what the facts ask for before what the rule always offers; one action each."""
    for proposal, result in _offered(plan):
        if isinstance(proposal, Reschedule):
            made = _move(proposal, knowledge, addressee)
        else:
            made = _create(proposal, result, history, knowledge, addressee)
        if made is not None:
            yield made


def _offered(plan: CardPlan) -> Iterator[tuple[Proposal | Reschedule, Result]]:
    """Give each proposal once; two drugs of one draft are one order to move."""
    offered: dict[tuple[str, str], tuple[Proposal | Reschedule, Result]] = {}
    for result in plan.results:
        for proposal in result.conclusion.proposals:
            offered.setdefault(_key_of(proposal), (proposal, result))
    for result in plan.results:
        for always in result.active.text.proposals:
            offered.setdefault(_key_of(Proposal(always.template)), (Proposal(always.template), result))
    yield from offered.values()


def _key_of(proposal: Proposal | Reschedule) -> tuple[str, str]:
    if isinstance(proposal, Reschedule):
        return ("update", proposal.order.reference)
    return ("create", proposal.template)


def _create(
    proposal: Proposal, result: Result, history: TreatmentHistory, knowledge: Knowledge, addressee: Addressee
) -> Suggestion | None:
    if proposal.with_dose and not addressee.ordering.with_doses:
        proposal = proposal._replace(with_dose=False)
    text = knowledge.orders[proposal.template]
    if not addressee.ordering.can_take(proposal.template, text):
        return None
    rule = result.active.text
    label = knowledge.sources[rule.source_of(result.conclusion.variant)].label
    condition = history.diagnosis.source
    resource = draft_order(
        text,
        proposal,
        addressee.patient_id,
        str(condition.reference) if condition and "/" in condition.reference else None,
        f"Suggested by rule {rule.id} ({rule.title}). Source: {label}.",
        addressee.ordering,
    )
    return Suggestion(
        label=text.label,
        uuid=addressee.new_uuid(),
        is_recommended=proposal.recommended,
        actions=(Action(type="create", description=describe(text, proposal), resource=resource),),
    )


def _move(proposal: Reschedule, knowledge: Knowledge, addressee: Addressee) -> Suggestion | None:
    order = proposal.order
    if not addressee.ordering.takes_updates or not has_a_date_to_move(order):
        return None
    raw = addressee.drafts_as_sent().get(order.reference)
    resource = moved(raw, proposal.to) if raw is not None else None
    if resource is None:
        return None
    text = knowledge.orders[proposal.template]
    values = {"drug": _name_of(order), "date": proposal.to.isoformat()}
    return Suggestion(
        label=capitalised(text.label.format_map(values)),
        uuid=addressee.new_uuid(),
        is_recommended=False,
        actions=(
            Action(type="update", description=capitalised(text.description.format_map(values)), resource=resource),
        ),
    )


def _name_of(order: ProposedOrder) -> str:
    """Name an order in our words: a label is shown as it stands, and may hold no text of a chart."""
    return order.drug.name if order.drug is not None else order.kind.value

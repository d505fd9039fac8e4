"""Eligibility: whether the chart shows what the label of a product asks for."""

from dataclasses import dataclass

from cards.finding import Conclusion, Missing, Outcome, cannot_tell, not_applicable, satisfied
from cards.labels import Label
from cards.rulebook import Settings, order_rule
from cards.situation import labels
from cards.situation.labels import CLASS, LINES, REFRACTORY, Criterion
from fhir_mapping.model.dates import Answer
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.orders import ProposedOrder
from fhir_mapping.model.treatment import Course, SourceRef
from fhir_mapping.model.vocabulary import Certainty, Drug, DrugClass, Topic


class Table(Settings):
    """The indications that R28 looks up."""

    labels: labels.Labels


@dataclass(frozen=True, slots=True)
class NotShown:
    """What R28 found: the product, the indication, its date, and what the chart does not show of it."""

    product: str
    indication: str
    label_date: str
    unmet: str
    in_short: str
    label: str


_KEYS = {LINES: "lines", CLASS: "class", REFRACTORY: "refractory"}


@order_rule(
    "R28",
    reads={Topic.TREATMENT, Topic.CELL_THERAPY, Topic.PROGRESSION},
    heeds={Topic.LINE_NUMBER},
    settings=Table,
    facts=NotShown,
    variants={"not_shown", "lines_and_class"},
    missing={"lines", "class", "refractory", "partner", "label_expired"},
)
def label_asks_for_more(history: TreatmentHistory, order: ProposedOrder, settings: Table) -> Conclusion:
    """The first order ever of a product, of whose label the chart does not show everything."""
    product = order.drug
    if product is None or _was_given(product, history):
        return not_applicable()
    rows = [label for label in settings.labels if label.product == product]
    if not rows:
        return not_applicable()
    answers = [_held_against(row, history) for row in _rows_of_these_orders(rows, history)]
    if len({answer.outcome for answer in answers}) > 1:
        return cannot_tell(*(_partner(row) for row in rows if row.beside), evidence=_evidence(history))
    return answers[0]


def _held_against(row: Label, history: TreatmentHistory) -> Conclusion:
    """Hold one indication against the chart."""
    name = row.product.name
    if row.expires < history.as_of:
        return cannot_tell(Missing("label_expired", name))
    found = list(labels.criteria(row, history))
    evidence = _evidence(history)
    unmet = [criterion for criterion in found if criterion.answer is Answer.NO]
    if unmet:
        kinds = {criterion.kind for criterion in unmet}
        return Conclusion(
            Outcome.FLAGGED,
            variant="lines_and_class" if {LINES, CLASS} <= kinds else "not_shown",
            facts=NotShown(
                product=name,
                indication=row.indication,
                label_date=row.label_date,
                unmet="; ".join(criterion.says for criterion in unmet),
                in_short=", ".join(criterion.short for criterion in unmet),
                label=row.source_label,
            ),
            evidence=evidence,
        )
    open_ = [
        Missing(_KEYS[criterion.kind], name, detail=_said(criterion, history))
        for criterion in found
        if criterion.answer is Answer.UNKNOWN
    ]
    if _is_beside(row, history) is not Answer.YES:
        open_.append(_partner(row))
    return cannot_tell(*open_, evidence=evidence) if open_ else satisfied(evidence=evidence)


def _partner(row: Label) -> Missing:
    return Missing("partner", row.product.name, detail=row.indication)


def _was_given(product: Drug, history: TreatmentHistory) -> bool:
    """Whether this product was given before: its label was looked at then."""
    if product.drug_class is DrugClass.CAR_T:
        return any(i.product == product and i.certainty is Certainty.STATED for i in history.infusions)
    return any(course.drug == product and course.is_proven_or_reported for course in history.courses)


def _rows_of_these_orders(rows: list[Label], history: TreatmentHistory) -> list[Label]:
    """Take the combination that is being ordered, where the label has one for it, else the drug alone; or both."""
    beside = [(row, _is_beside(row, history)) for row in rows if row.beside]
    combined = [row for row, answer in beside if answer is Answer.YES]
    if combined:
        return combined[:1]
    possible = [row for row, answer in beside if answer is Answer.UNKNOWN]
    alone = [row for row in rows if not row.beside]
    return [*alone[:1], *possible] or rows[:1]


def _is_beside(row: Label, history: TreatmentHistory) -> Answer:
    """Whether every partner is among the drafts, or is being given; one that may go on leaves it open."""
    if not row.beside:
        return Answer.YES
    present = {order.drug.id for order in history.orders if order.drug is not None}
    present |= {course.drug.id for course in history.courses if course.ongoing}
    if all(present & partner for partner in row.beside):
        return Answer.YES
    may_go_on = {course.drug.id for course in history.courses if _may_go_on(course, history)}
    return Answer.UNKNOWN if all((present | may_go_on) & partner for partner in row.beside) else Answer.NO


def _may_go_on(course: Course, history: TreatmentHistory) -> bool:
    return course.ended is not Answer.YES and (course.last_dose is None or course.last_dose.latest >= history.as_of)


def _said(criterion: Criterion, history: TreatmentHistory) -> str:
    return labels.counted_lines(history) if criterion.kind == LINES else criterion.says


def _evidence(history: TreatmentHistory) -> tuple[SourceRef, ...]:
    """Name the treatment that the count rests on."""
    given = (course for course in history.courses if course.is_proven_or_reported and course.drug.is_treatment)
    return tuple(course.sources[0] for course in given)

"""Whether a chart shows what a label asks for: lines of therapy, classes, refractoriness; each in three values."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, NamedTuple

from pydantic import SkipValidation

from cards.labels import Label
from fhir_mapping.model.dates import Answer, ClinicalDate
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.treatment import Course
from fhir_mapping.model.vocabulary import Certainty, DrugClass

Labels = Annotated[tuple[Label, ...], SkipValidation]  # made, and checked, by the loader

LINES, CLASS, REFRACTORY = "lines", "class", "refractory"


class Criterion(NamedTuple):
    """One thing that a label asks for: its kind, what it is in words and in short, and whether the chart shows it."""

    kind: str
    says: str
    short: str
    answer: Answer


def criteria(label: Label, history: TreatmentHistory) -> Iterator[Criterion]:
    """Hold a label against a chart."""
    yield _lines(label.lines_minimum, history)
    for drug_class in label.classes:
        long, short = _NAMES.get(drug_class, (drug_class.value, drug_class.value))
        yield Criterion(CLASS, f"an earlier {long}", short, history.exposed_to(drug_class))
    for drug in label.refractory_to:
        yield Criterion(REFRACTORY, (says := f"refractory to {drug.name}"), says, history.refractory_to(drug.id))


def _lines(wanted: int, history: TreatmentHistory) -> Criterion:
    """Ask for a number of lines; one is there as soon as any treatment is, so nothing has to be counted."""
    named = f"{wanted} line{'s' if wanted > 1 else ''}"
    if wanted == 1 and any(_is_a_line(course) for course in history.courses):
        return Criterion(LINES, f"at least {named} of therapy", f"≥{named}", Answer.YES)
    fewest, most = _before_these_orders(history)
    answer = Answer.UNKNOWN
    if fewest >= wanted:
        answer = Answer.YES
    elif most is not None and most < wanted:
        answer = Answer.NO
    counted = counted_lines(history)
    says = f"at least {named} of therapy ({counted} counted, from what was given and when the myeloma progressed)"
    return Criterion(LINES, says, f"≥{named} ({counted} counted)", answer)


def _is_a_line(course: Course) -> bool:
    """Whether a course was treatment of the myeloma for certain; an alkylator may only have prepared for cells."""
    may_prepare = course.drug.drug_class is DrugClass.ALKYLATOR
    return course.drug.is_treatment and not may_prepare and course.is_proven_or_reported


# As clinicians write them
_NAMES = {
    DrugClass.PROTEASOME_INHIBITOR: ("proteasome inhibitor", "PI"),
    DrugClass.IMID: ("IMiD", "IMiD"),
    DrugClass.ANTI_CD38: ("anti-CD38 antibody", "anti-CD38"),
}


def counted_lines(history: TreatmentHistory) -> str:
    """Write how many lines of therapy the chart shows: "2", "1 to 3" or "at least 1"."""
    fewest, most = _before_these_orders(history)
    if most is None:
        return f"at least {fewest}"
    return str(fewest) if fewest == most else f"{fewest} to {most}"


def _before_these_orders(history: TreatmentHistory) -> tuple[int, int | None]:
    """Give the fewest and the most lines; a number written down after all of them may be that of the coming line."""
    lines = history.lines
    is_less = any(d.number == lines.minimum and _may_be_ahead(d.on, history) for d in lines.documented)
    return lines.minimum - is_less, lines.maximum


def _may_be_ahead(on: ClinicalDate | None, history: TreatmentHistory) -> bool:
    """Whether no treatment was certainly given on or after the day on which a line number was written down."""
    given = [c.last_dose for c in history.courses if c.is_proven_or_reported and c.drug.antimyeloma]
    given += [infusion.infused for infusion in history.infusions if infusion.certainty is Certainty.STATED]
    return on is None or not any(day is not None and day.is_before(on) is Answer.NO for day in given)


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether a chart meets the label of a product; `is_likely` where nothing but the number of lines is in doubt."""

    product: str
    answer: Answer
    is_likely: bool


def fits_of_car_t(labels: tuple[Label, ...], history: TreatmentHistory) -> Iterator[Fit]:
    """Hold the label of every CAR T product against a chart; one that has expired says nothing."""
    for label in labels:
        if label.product.drug_class is not DrugClass.CAR_T or label.expires < history.as_of:
            continue
        found = list(criteria(label, history))
        answers = {criterion.answer for criterion in found}
        answer = next((each for each in (Answer.NO, Answer.UNKNOWN) if each in answers), Answer.YES)
        doubts = {criterion.kind for criterion in found if criterion.answer is Answer.UNKNOWN}
        yield Fit(label.product.name, answer, answer is not Answer.NO and doubts <= {LINES})

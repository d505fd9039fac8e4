"""The gates in front of all rules: myeloma, adult, alive and treated with more than comfort in mind."""

from dataclasses import dataclass
from datetime import date

from cards.finding import Hook, Missing
from fhir_mapping.model.coverage import Level
from fhir_mapping.model.dates import Answer, ClinicalDate
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.vocabulary import Topic


@dataclass(frozen=True, slots=True)
class Gate:
    """Whether rules are asked at all, and what keeps their answers from being trusted."""

    is_open: bool
    missing: tuple[Missing, ...] = ()


_CLOSED = Gate(is_open=False)
_OPEN = Gate(is_open=True)


def judge(history: TreatmentHistory, hook: Hook, adult_years: int) -> Gate:
    """Pass gates G0, G1, G3 and G4 (G2, the watched order, comes before the chart is read).

    Where the problem list cannot show the diagnosis, the rules are asked for those orders (or that history) alone
    that only make sense in myeloma, and what they find is called undecided.
    """
    if history.person.deceased or history.diagnosis.comfort_care_only:
        return _CLOSED
    if is_minor(history.person.born, history.as_of, adult_years):
        return _CLOSED
    if history.diagnosis.myeloma is Answer.YES:
        return _OPEN
    if not _concerns_engagers(history, hook):
        return _CLOSED
    level = history.coverage.of(Topic.DIAGNOSIS).level
    if history.diagnosis.myeloma is Answer.UNKNOWN:
        # On opening the chart, a suspicion is not worth a card
        return _CLOSED if hook is Hook.PATIENT_VIEW else Gate(True, (Missing("diagnosis_possible"),))
    if level is not Level.COMPLETE:
        return Gate(True, (Missing("diagnosis_unread"),))
    if history.diagnosis.problem_list_is_empty and hook is not Hook.PATIENT_VIEW:
        return Gate(True, (Missing("problem_list_empty"),))
    return _CLOSED


def _concerns_engagers(history: TreatmentHistory, hook: Hook) -> bool:
    if hook is not Hook.PATIENT_VIEW:
        return history.foreign_orders > 0 or any(order.needs_a_diagnosis for order in history.judged_orders)
    return bool(history.infusions) or any(course.drug.mechanism for course in history.courses)


def is_minor(born: ClinicalDate | None, as_of: date, adult_years: int) -> bool:
    """Whether the patient is certainly under age; one born on 29 February comes of age on 1 March."""
    if born is None:
        return False
    birth = born.earliest
    years = as_of.year - birth.year - ((as_of.month, as_of.day) < (birth.month, birth.day))
    return years < adult_years

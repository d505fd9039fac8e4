"""The day for which something is ordered."""

from fhir_mapping.model.dates import ClinicalDate
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.orders import ProposedOrder


def is_ahead(planned: ClinicalDate, history: TreatmentHistory) -> bool:
    """Whether a day may still come, be it today."""
    return planned.latest >= history.as_of


def from_today(planned: ClinicalDate, history: TreatmentHistory) -> ClinicalDate:
    """Leave out of a vague day what has passed: nothing is done on a day before it is ordered."""
    return ClinicalDate(max(planned.earliest, history.as_of), planned.latest)


def planned_day(order: ProposedOrder, history: TreatmentHistory) -> ClinicalDate:
    """Give the day of an order, or today where it names none or one that is past."""
    if order.planned is None or not is_ahead(order.planned, history):
        return history.today
    return from_today(order.planned, history)

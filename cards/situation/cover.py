"""Protection against herpes viruses and Pneumocystis: whether a drug gives it today, and the answer where none does."""

from collections.abc import Mapping

from cards.finding import Conclusion, Outcome
from cards.rulebook import Settings
from cards.situation.answers import OnRecord, on_record
from cards.situation.in_use import in_use
from fhir_mapping.model.dates import Answer
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.treatment import SourceRef
from fhir_mapping.model.vocabulary import Cover, Topic

_YES = Answer.YES  # looking a member up in its Enum costs as much as a call in Python 3.11


class CoverNumbers(Settings):
    """For how many days a dose protects, and how low and how recent a CD4 count keeps the question open."""

    recent_dose_days: int
    dose_covers_days: Mapping[str, int]
    cd4_stop_per_ul: int
    cd4_lookback_days: int


def protection(history: TreatmentHistory, settings: CoverNumbers, need: Cover) -> OnRecord:
    """Whether the patient is protected today: by a drug in force, a draft order, or a dose that still protects."""
    if any(o.drug and need in o.drug.covers and o.systemic for o in history.orders):
        return OnRecord(_YES)
    records = [care for care in history.supportive_care if care.covers(need)]
    recent_dose_days, covers_days = settings.recent_dose_days, settings.dose_covers_days
    return on_record([(in_use(care, history, recent_dose_days, covers_days), care.source) for care in records])


def unprotected(variant: str, facts: object, sources: tuple[SourceRef, ...]) -> Conclusion:
    """Answer that no drug protects: it only stands while all that could were read."""
    return Conclusion(
        Outcome.FLAGGED, variant=variant, facts=facts, evidence=sources, absent=frozenset({Topic.PROPHYLAXIS})
    )

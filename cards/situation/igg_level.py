"""Whether IgG is low: by its level, or by what an M-protein leaves of it."""

from typing import NamedTuple

from fhir_mapping.model.dates import Answer
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.results import LabResult, LabTest

# Looking a member up in its Enum costs as much as a call in Python 3.11
_M_PROTEIN = LabTest.M_PROTEIN_SERUM
_YES, _NO, _UNKNOWN = Answer.YES, Answer.NO, Answer.UNKNOWN

_MG_DL_IN_G_DL = 1000  # an M-protein comes in g/dL, IgG in mg/dL
_DIGITS = 6  # what is beyond is the noise of binary fractions


class IggLevel(NamedTuple):
    """Whether a level is low, what is missing where that is open, and what an M-protein leaves of it.

    `m_protein` is None where the level itself decides.
    """

    is_low: Answer
    missing: str = ""
    m_protein: LabResult | None = None
    remaining: LabResult | None = None


def level_of(igg: LabResult, history: TreatmentHistory, minimum: int, days_apart: int, plausible: float) -> IggLevel:
    """Judge an IgG level in mg/dL.

    What is measured as IgG is mostly M-protein where that is IgG. Nobody knows here of which class it is, so a level
    that is high enough is trusted only where it would be without it. One above what is `plausible` without M-protein
    is trusted only where none was found close in time.
    """
    is_enough = igg.at_least(minimum)
    if is_enough is not _YES:
        return IggLevel(_YES) if is_enough is _NO else IggLevel(_UNKNOWN, "igg_value")
    results = [lab for lab in history.labs if lab.test is _M_PROTEIN]
    if not results:
        return _unless_too_high(igg, plausible)
    beside = [m for m in results if m.is_readable and _days_apart(igg, m, days_apart)]
    m_protein = max(beside, key=lambda m: (m.high, m.low), default=None)
    if m_protein is None:
        latest = history.latest_lab(_M_PROTEIN)
        is_gone = latest is not None and latest.on is not None and latest.high <= 0
        return _unless_too_high(igg, plausible) if is_gone else IggLevel(_UNKNOWN, "m_protein")
    remaining = _less(igg, m_protein)
    if remaining.high <= 0:
        return IggLevel(_UNKNOWN, "m_protein")  # more than all IgG: it is of another class, or measured otherwise
    is_enough = remaining.at_least(minimum)
    if is_enough is _UNKNOWN:
        return IggLevel(_UNKNOWN, "m_protein")
    if is_enough is _YES:
        return _unless_too_high(remaining, plausible) if m_protein.low > 0 else IggLevel(_NO)
    shown = remaining._replace(low=max(remaining.low, 0.0))
    return IggLevel(_YES, m_protein=m_protein, remaining=shown)


def _unless_too_high(level: LabResult, plausible: float) -> IggLevel:
    """Trust a level that is high enough, unless it is so high that most of it may be M-protein."""
    return IggLevel(_NO) if level.at_most(plausible) is _YES else IggLevel(_UNKNOWN, "igg_high")


def _days_apart(igg: LabResult, m_protein: LabResult, days: int) -> bool:
    """Whether two results certainly lie at most so many days apart, whichever came first."""
    if igg.on is None or m_protein.on is None:
        return False
    both = (igg.on.days_until(m_protein.on), m_protein.on.days_until(igg.on))
    return all(since.at_most(days) is _YES for since in both)


def _less(igg: LabResult, m_protein: LabResult) -> LabResult:
    low = igg.low - m_protein.high * _MG_DL_IN_G_DL
    high = igg.high - m_protein.low * _MG_DL_IN_G_DL
    return igg._replace(low=round(low, _DIGITS), high=round(high, _DIGITS))

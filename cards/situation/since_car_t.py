"""How long ago the latest CAR T infusion was, where several are on record, or one that may not have taken place."""

from typing import NamedTuple

from fhir_mapping.model.dates import Answer, ClinicalDate, Days, latest_of
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.treatment import UNNAMED_CELLS, CarTInfusion, SourceRef

MISSING = frozenset({"infusion_date", "infusion_given"})
_NO, _UNKNOWN = Answer.NO, Answer.UNKNOWN


class LatestInfusion(NamedTuple):
    """The latest infusion that is certain and dated, the time in which it lies, and the infusions that are neither."""

    infusion: CarTInfusion | None
    infused: ClinicalDate | None
    unsure: tuple[CarTInfusion, ...]

    @property
    def product(self) -> str:
        """Name the cells."""
        return self.infusion.name if self.infusion is not None else UNNAMED_CELLS

    @property
    def sources(self) -> tuple[SourceRef, ...]:
        """Give the records of the infusion that is certain."""
        return self.infusion.sources if self.infusion is not None else ()

    @property
    def missing(self) -> str:
        """Name what is not known where it cannot be told how long ago it was: a date, or whether cells were given."""
        is_date = not self.unsure or any(infusion.infused is None for infusion in self.unsure)
        return "infusion_date" if is_date else "infusion_given"

    @property
    def doubts(self) -> tuple[SourceRef, ...]:
        """Give the records that leave it open: those of infusions in doubt, or the one whose date is too vague."""
        return tuple(source for infusion in self.unsure for source in infusion.sources) or self.sources

    def days_until(self, day: ClinicalDate) -> Days | None:
        """Count the days from the infusion that is certain."""
        return self.infused.days_until(day) if self.infused is not None else None

    def is_less_than(self, days: int, day: ClinicalDate) -> Answer:
        """Whether it was fewer than so many days before a day; an infusion in doubt can only be nearer."""
        since = self.days_until(day)
        answer = since.less_than(days) if since is not None else _NO
        return _UNKNOWN if self.unsure and answer is _NO else answer

    def is_at_most(self, days: int, day: ClinicalDate) -> Answer:
        """Whether it was so many days or fewer before a day."""
        return self.is_less_than(days + 1, day)


def latest_infusion(history: TreatmentHistory) -> LatestInfusion:
    """Find the latest infusion of CAR T cells; where none is on record, it was not within any number of days."""
    known = [infusion for infusion in history.infusions if infusion.infused is not None and infusion.is_stated]
    unsure = tuple(infusion for infusion in history.infusions if infusion.infused is None or not infusion.is_stated)
    latest = max(known, key=lambda i: i.infused.latest if i.infused else history.as_of, default=None)
    return LatestInfusion(latest, latest_of([i.infused for i in known if i.infused is not None]), unsure)

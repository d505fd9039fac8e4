"""What was given of a bispecific antibody last: when, at which level of its label, and how often before."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from cards.label_doses import LabelDoses, Level
from cards.rulebook import Settings
from cards.situation.results import recent_weight
from fhir_mapping.model.dates import Answer, ClinicalDate, latest_of
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.results import LabResult
from fhir_mapping.model.treatment import Amount, Dose
from fhir_mapping.model.vocabulary import Drug

WEEKLY, TWO_WEEKLY, FOUR_WEEKLY = 7, 14, 28  # days between doses, as label_doses.toml writes them
_NOISE = 1e-9  # of binary fractions, as a part of a dose


class DoseNumbers(Settings):
    """Numbers by which doses are recognised: how far one may lie from its level, and how far doses lie apart."""

    tolerance_percent: int
    weight_days: int
    weekly_most_days: int
    two_weekly_most_days: int
    four_weekly_most_days: int


class Range(NamedTuple):
    """A dose in the unit of its label, between two bounds: those of the weight, where it was worked out."""

    low: float
    high: float

    def exceeds(self, level: Level, numbers: DoseNumbers) -> Answer:
        """Whether it is more than a level."""
        most = level.amount * (1 + numbers.tolerance_percent / 100 + _NOISE)
        if self.high <= most:
            return Answer.NO
        return Answer.YES if self.low > most else Answer.UNKNOWN

    def reaches(self, level: Level, numbers: DoseNumbers) -> bool:
        """Whether it may be a level, or more."""
        return self.high >= level.amount * (1 - numbers.tolerance_percent / 100 - _NOISE)

    def is_at(self, level: Level, numbers: DoseNumbers) -> bool:
        """Whether it is a level for certain."""
        least = level.amount * (1 - numbers.tolerance_percent / 100 - _NOISE)
        return self.low >= least and self.exceeds(level, numbers) is Answer.NO


class Last(NamedTuple):
    """The last of some doses; `level` is None where their amounts do not tell it."""

    on: ClinicalDate
    level: Level | None
    doses: tuple[Dose, ...]


class Measured(NamedTuple):
    """A label, the patient's weight where one is known, and the numbers by which doses are held against them."""

    label: LabelDoses
    weight: LabResult | None
    numbers: DoseNumbers

    def amount(self, amount: Amount | None) -> Range | None:
        """Bring an amount to the unit of the label."""
        if amount is None:
            return None
        exact = amount.mg_per_kg if self.label.per_kg else amount.mg
        if exact is not None:
            return Range(exact, exact)
        if not self.label.per_kg or amount.mg is None or self.weight is None:
            return None
        return Range(amount.mg / self.weight.high, amount.mg / self.weight.low)

    def lacks_weight(self, amount: Amount | None) -> bool:
        """Whether an amount could be told if a weight were known."""
        if amount is None or not self.label.per_kg:
            return False
        return amount.mg_per_kg is None and self.weight is None

    def level(self, dose: Range | None) -> Level | None:
        """Find the level that a dose has for certain."""
        if dose is None:
            return None
        return next((level for level in self.label.levels if dose.is_at(level, self.numbers)), None)

    def last(self, doses: Iterable[Dose]) -> Last | None:
        """Find the last of some doses, those without a date apart; None where there is none."""
        dated = [(dose, dose.on) for dose in doses if dose.on is not None]
        on = latest_of([day for _, day in dated])
        if on is None:
            return None
        latest = tuple(dose for dose, day in dated if day.latest >= on.earliest)
        return Last(on, self._level_of(latest, is_one_day=on.is_exact), latest)

    def _level_of(self, doses: Sequence[Dose], *, is_one_day: bool) -> Level | None:
        """Tell the level of doses that may all be the last; several of one day may be parts, or one told twice."""
        counted = [dose for dose in doses if dose.source.resource_type != "Procedure"] or doses  # bills have no amount
        amounts = [self.amount(dose.amount) for dose in counted]
        known = [amount for amount in amounts if amount is not None]
        if len(known) < len(amounts):
            return None
        levels = {self.level(amount) for amount in known}
        if not is_one_day:
            return levels.pop() if len(levels) == 1 else None
        levels.add(self.level(Range(sum(each.low for each in known), sum(each.high for each in known))))
        levels.discard(None)
        return levels.pop() if len(levels) == 1 else None


def measured(label: LabelDoses, history: TreatmentHistory, numbers: DoseNumbers) -> Measured:
    """Get ready to hold doses against a label."""
    return Measured(label, recent_weight(history, numbers.weight_days) if label.per_kg else None, numbers)


def doses_of(drug: Drug, history: TreatmentHistory) -> list[Dose]:
    """Give what is on record of the doses of one drug."""
    return [dose for dose in history.doses if dose.drug == drug]


def gaps_before(last: ClinicalDate, given: Iterable[Dose]) -> Iterator[int]:
    """Count the days between the doses up to the last one, backwards; those with a vague date are passed over."""
    if not last.is_exact:
        return
    days = {dose.on.latest for dose in given if dose.on is not None and dose.on.is_exact}
    past = sorted((day for day in days if day <= last.latest), reverse=True)
    yield from ((later - earlier).days for later, earlier in pairwise(past))


def schedules(last: ClinicalDate, given: Iterable[Dose], ordered: int | None, numbers: DoseNumbers) -> frozenset[int]:
    """Say which schedules the doses up to the last one fit.

    Two gaps alike tell the schedule; one that is longer than a week may be a dose that was missed. Where doses do not
    tell, a weekly order stands for weekly doses before, and one for every 4 weeks makes these possible.
    """
    steps = [_schedule_of(gap, numbers) for gap in gaps_before(last, given)][:2]
    latest = steps[0] if steps else None
    if latest is None:
        if ordered == WEEKLY:
            return frozenset({WEEKLY})
        return frozenset({WEEKLY, TWO_WEEKLY, FOUR_WEEKLY} if ordered == FOUR_WEEKLY else {WEEKLY, TWO_WEEKLY})
    if latest == WEEKLY or steps == [latest, latest]:
        return frozenset({latest})
    return frozenset(days for days in (WEEKLY, TWO_WEEKLY, FOUR_WEEKLY) if days <= latest)


def _schedule_of(gap: int, numbers: DoseNumbers) -> int | None:
    """Name the schedule that a gap between two doses fits; None for a longer one."""
    if gap <= numbers.weekly_most_days:
        return WEEKLY
    if gap <= numbers.two_weekly_most_days:
        return TWO_WEEKLY
    return FOUR_WEEKLY if gap <= numbers.four_weekly_most_days else None

"""What may start a line: drugs, CAR T cells and transplants; and what only prepares for cells."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta

from fhir_mapping.catalog.loader import Catalog
from fhir_mapping.model.dates import Answer, ClinicalDate, latest_of
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.treatment import CarTInfusion, Course, Transplant, TransplantKind
from fhir_mapping.model.vocabulary import Certainty, Drug, Tier, Topic
from fhir_mapping.refractory import substance

_LIMITS = (
    "regimen_join",
    "treatment_pause",
    "lymphodepletion",
    "collection_to_infusion",
    "transplant_in_line",
    "tandem_transplant",
    "maintenance",
    "mobilisation",
    "conditioning",
)
_EVER = date(1900, 1, 1)  # nothing that a living patient was given is older
_TRANSPLANTS = {
    TransplantKind.AUTOLOGOUS: "autologous transplant",
    TransplantKind.ALLOGENEIC: "allogeneic transplant",
    TransplantKind.UNKNOWN: "stem cell transplant",
}


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """Treatment, by the day on which it may start a line: an order, on the day when it was written.

    What has no date may have been given on any day until today.
    """

    record: Course | CarTInfusion | Transplant
    drug: Drug | None
    key: str
    begins: ClinicalDate
    last: ClinicalDate
    certain: bool
    is_dated: bool

    @property
    def is_infusion(self) -> bool:
        """Whether CAR T cells were given."""
        return isinstance(self.record, CarTInfusion)

    @property
    def is_autologous(self) -> bool:
        """Whether it is a transplant of the patient's own cells."""
        return isinstance(self.record, Transplant) and self.record.kind is TransplantKind.AUTOLOGOUS

    @property
    def name(self) -> str:
        """Give our own name of what was given."""
        if isinstance(self.record, Transplant):
            return _TRANSPLANTS[self.record.kind]
        return self.drug.name if self.drug else "CAR T cells"

    @property
    def order(self) -> tuple[date, date, str, str]:
        """Sort by date, and by key and record where that does not tell."""
        return self.begins.earliest, self.begins.latest, self.key, self.record.sources[0].reference


@dataclass(frozen=True, slots=True)
class Preparation:
    """A drug that was given for cells; `target` is the infusion or transplant, None for a stem cell collection."""

    start: Start
    target: Start | None
    purpose: str


@dataclass(frozen=True, slots=True)
class Chart:
    """What the count rests on; everything that may start a line stands in order."""

    history: TreatmentHistory
    days: Mapping[str, int]
    maintenance: frozenset[str]  # drugs that maintain a response on their own
    collected: Mapping[ClinicalDate, bool]  # days of T-cell collections, and whether one certainly took place then
    drugs: list[Start]  # in order, as all that follow
    infusions: list[Start]
    transplants: list[Start]
    preparations: list[Preparation]
    undated_drugs: list[Start]  # one of each kind: they differ in nothing that others could ask
    widest: timedelta  # of the intervals in which the other drugs begin

    @property
    def starts(self) -> Iterator[Start]:
        """Give everything that may start a line."""
        yield from (*self.infusions, *self.drugs, *self.transplants)

    @property
    def may_hide_progression(self) -> bool:
        """Whether the myeloma may have progressed on any day: records are lost, or one has no date."""
        unread = not self.history.coverage.is_complete(Topic.PROGRESSION)
        return unread or any(event.on is None for event in self.history.progressions)

    def may_progress(self, after: date, until: date) -> bool:
        """Whether the myeloma may have progressed after one day and not after the other."""
        return self.may_hide_progression or any(
            event.on is not None and event.on.latest > after and event.on.earliest <= until
            for event in self.history.progressions
        )

    def started_between(self, key: str, after: date, until: date) -> Iterable[Start]:
        """Find other drugs, or cells, that may have been started after one day and before the other.

        Of the same drug without date, one is found.
        """
        first = bisect_left(self.drugs, after - self.widest, key=lambda start: start.begins.earliest)
        near = self.drugs[first : bisect_left(self.drugs, until, key=lambda start: start.begins.earliest)]
        begun = (other for other in (*self.undated_drugs, *near, *self.infusions) if other.key != key)
        return (other for other in begun if other.begins.latest > after and other.begins.earliest < until)

    def collections_for(self, infusion: Start) -> tuple[list[ClinicalDate], list[ClinicalDate]]:
        """Give the T-cell collections that may belong to an infusion, and those that certainly do."""
        limit = timedelta(self.days["collection_to_infusion"])
        first, last = infusion.begins.earliest, infusion.begins.latest
        possible = [on for on in self.collected if on.latest >= first - limit and on.earliest <= last]
        certain = [on for on in possible if last - limit <= on.earliest and on.latest <= first and self.collected[on]]
        return possible, certain

    def episode_from(self, infusion: Start) -> date:
        """Give the first day on which what was given may have been bridging for an infusion."""
        first = infusion.begins.earliest - timedelta(self.days["collection_to_infusion"])
        possible, certain = self.collections_for(infusion)
        return max(first, min(on.earliest for on in possible)) if certain else first

    def is_bridging(self, start: Start, infusion: Start) -> bool:
        """Whether a drug was certainly started between a collection and its infusion, without progression between."""
        given = infusion.begins
        return (infusion.certain and start.begins.latest <= given.earliest) and any(
            on.latest <= start.begins.earliest and not self.may_progress(on.earliest, given.latest)
            for on in self.collections_for(infusion)[1]
        )


def chart_of(history: TreatmentHistory, catalog: Catalog) -> Chart:
    """List what may start a line, without the drugs that certainly only prepare for cells."""
    courses = [course for course in history.courses if course.drug.is_treatment]
    chart = Chart(
        history=history,
        days={name: catalog.days(name) for name in _LIMITS},
        maintenance=frozenset(catalog.definitions["maintenance"]["drugs"]),
        collected=_days_of_collections(history),
        drugs=[],
        infusions=_starts_of(history.infusions, history, catalog),
        transplants=_starts_of(history.transplants, history, catalog),
        preparations=[],
        undated_drugs=[],
        widest=timedelta(0),
    )
    for start in _with_orders_joined(_starts_of(courses, history, catalog), chart):
        prepared = _prepared(start, chart, catalog)
        if prepared.get(Answer.YES):
            chart.preparations.append(prepared[Answer.YES])
        else:
            is_open = start.certain and Answer.UNKNOWN in prepared
            chart.drugs.append(replace(start, certain=False) if is_open else start)
    dated = [start.begins for start in chart.drugs if start.is_dated]
    undated = {start.key: start for start in chart.drugs if not start.is_dated}
    widest = max((begins.latest - begins.earliest for begins in dated), default=timedelta(0))
    return replace(chart, undated_drugs=list(undated.values()), widest=widest)


def _starts_of(
    records: Iterable[Course | CarTInfusion | Transplant], history: TreatmentHistory, catalog: Catalog
) -> list[Start]:
    return sorted((_start_of(record, history.today, catalog) for record in records), key=lambda start: start.order)


def _with_orders_joined(starts: list[Start], chart: Chart) -> list[Start]:
    """Take orders of a drug that were written again and again, without a long pause or progression, for one start.

    No dose is certain, but nothing says either that treatment was changed.
    """
    found: list[list[Start]] = []
    runs: dict[str, list[Start]] = {}  # by drug, the one that the next order may belong to
    for start in starts:
        run = runs.get(start.key) if _is_order(start) else None
        if run is not None and _goes_on(run[-1], start, chart):
            run.append(start)
            continue
        found.append([start])
        if _is_order(start):
            runs[start.key] = found[-1]
    return sorted(map(_joined, found), key=lambda start: start.order)


def _is_order(start: Start) -> bool:
    record = start.record
    is_ordered = isinstance(record, Course) and record.tier is Tier.PRESUMPTIVE
    return is_ordered and start.is_dated and record.certainty is Certainty.STATED


def _goes_on(order: Start, later: Start, chart: Chart) -> bool:
    first, last = order.begins.earliest, max(order.begins.latest, later.begins.latest)
    return (last - first).days <= chart.days["treatment_pause"] and not chart.may_progress(first, last)


def _joined(run: list[Start]) -> Start:
    if len(run) == 1:
        return run[0]
    sources = tuple(source for start in run for source in start.record.sources)
    last = latest_of([start.last for start in run]) or run[-1].last
    return replace(run[0], record=replace(run[0].record, sources=sources), last=last)


def _some_day(today: ClinicalDate) -> ClinicalDate:
    return ClinicalDate(_EVER, today.latest)


def _start_of(record: Course | CarTInfusion | Transplant, today: ClinicalDate, catalog: Catalog) -> Start:
    certain = record.tier <= Tier.REPORTED and record.certainty is Certainty.STATED
    if isinstance(record, CarTInfusion):
        key, on = f"infusion of {record.product.id if record.product else None}", record.infused or _some_day(today)
        return Start(record, record.product, key, on, on, certain, is_dated=record.infused is not None)
    if isinstance(record, Transplant):
        on = record.on or _some_day(today)
        return Start(record, None, f"transplant, {record.kind}", on, on, certain, is_dated=record.on is not None)
    key = substance(record.drug, catalog)
    if record.first_dose is None or record.last_dose is None:
        on = _some_day(today)
        return Start(record, record.drug, key, on, on, certain, is_dated=False)
    begins = record.first_dose if record.tier is not Tier.PRESUMPTIVE else record.sources[0].on or record.first_dose
    return Start(record, record.drug, key, begins, record.last_dose, certain, is_dated=True)


def _days_of_collections(history: TreatmentHistory) -> Mapping[ClinicalDate, bool]:
    days = [(c.collected or _some_day(history.today), c.certainty is Certainty.STATED) for c in history.collections]
    return {on: (on, True) in days for on, _ in days}


# --- What only prepares for cells ---


def _prepared(start: Start, chart: Chart, catalog: Catalog) -> dict[Answer, Preparation]:
    """Say for which cells a drug prepared, certainly or perhaps; for the first, where there are several."""
    found: dict[Answer, Preparation] = {}
    drug = start.drug.id if start.drug else None
    some_day = _some_day(chart.history.today)
    stem_cells = [on.collected or some_day for on in chart.history.stem_cell_collections]
    targets: Mapping[str, tuple[str, list[tuple[Start | None, ClinicalDate, bool]]]] = {
        "lymphodepletion": ("was lymphodepletion", [(i, i.begins, i.certain) for i in chart.infusions]),
        "conditioning": ("prepared for the transplant", [(t, t.begins, t.certain) for t in chart.transplants]),
        "mobilisation": ("mobilised stem cells", [(None, on, True) for on in sorted(stem_cells, key=_by_day)]),
    }
    for definition, (purpose, cells) in targets.items():
        if drug in catalog.definitions[definition]["drugs"]:
            for target, on, is_certain in cells:
                answer = _prepares(start, on, chart.days[definition], is_certain=is_certain)
                found.setdefault(answer, Preparation(start, target, purpose))
    return found


def _by_day(on: ClinicalDate) -> tuple[date, date]:
    return on.earliest, on.latest


def _prepares(start: Start, on: ClinicalDate, limit: int, *, is_certain: bool) -> Answer:
    """Whether a drug was begun at most so many days before the cells, and was over by then."""
    before = start.begins.days_until(on)
    if before.most < 0 or before.fewest > limit:
        return Answer.NO
    is_over = is_certain and before.fewest >= 0 and start.last.days_until(on).fewest >= 0
    return Answer.YES if is_over and before.most <= limit else Answer.UNKNOWN

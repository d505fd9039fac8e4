"""T-cell-engaging treatment that lowers antibodies: a bispecific that is given or ordered, or CAR T cells lately."""

from typing import NamedTuple

from cards.finding import Hook
from cards.situation import bispecific
from cards.situation.answers import any_of
from cards.situation.since_car_t import LatestInfusion, latest_infusion
from fhir_mapping.model.dates import Answer
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.treatment import SourceRef

# Looking a member up in its Enum costs as much as a call in Python 3.11
_PATIENT_VIEW, _YES, _NO = Hook.PATIENT_VIEW, Answer.YES, Answer.NO


class Engaged(NamedTuple):
    """Whether a patient is on a bispecific antibody or had CAR T cells lately, and what is to be said of it."""

    on_bispecific: Answer
    after_cells: Answer
    name: str = ""
    is_gprc5d_alone: bool = False
    sources: tuple[SourceRef, ...] = ()

    @property
    def answer(self) -> Answer:
        """Whether either holds."""
        return any_of(self.on_bispecific, self.after_cells)


NOT_ENGAGED = Engaged(_NO, _NO)


def engaged(history: TreatmentHistory, hook: Hook, after_last_dose_days: int, after_cells_days: int) -> Engaged:
    """Say what T-cell-engaging treatment matters: what is being ordered, or, with an open chart, what was given."""
    if hook is not _PATIENT_VIEW:
        drugs = bispecific.ordered(history)
        if not drugs:
            return NOT_ENGAGED
        is_gprc5d_alone = bispecific.bind_gprc5d_alone(drugs) and _is_gprc5d_alone(history)
        return Engaged(_YES, _NO, bispecific.names_of(drugs), is_gprc5d_alone)
    courses = bispecific.courses_of(history)
    if not courses and not history.infusions:
        return NOT_ENGAGED
    running = bispecific.running(courses, history, after_last_dose_days)
    cells = latest_infusion(history)
    after_cells = cells.is_at_most(after_cells_days, history.today)
    names = [bispecific.names_of(running.drugs)] if running.courses else []
    names += [cells.product] if after_cells is _YES else []
    return Engaged(
        on_bispecific=running.answer,
        after_cells=after_cells,
        name=" + ".join(names),
        is_gprc5d_alone=_is_gprc5d_alone(history),
        sources=(*running.sources, *_sources_of(cells, after_cells)),
    )


def _sources_of(cells: LatestInfusion, after_cells: Answer) -> tuple[SourceRef, ...]:
    if after_cells is _NO:
        return ()
    infusions = (cells.infusion,) if cells.infusion is not None else cells.unsure
    return tuple(infusion.sources[0] for infusion in infusions)


def _is_gprc5d_alone(history: TreatmentHistory) -> bool:
    """Whether all T-cell-engaging treatment on record binds GPRC5D alone; CAR T cells come with lymphodepletion."""
    drugs = [course.drug for course in bispecific.courses_of(history)]
    return not history.infusions and bispecific.bind_gprc5d_alone(drugs)

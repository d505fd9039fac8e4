"""Prophylaxis on bispecific antibodies: antivirals and Pneumocystis drugs until some time after the last dose."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from cards.finding import Conclusion, Hook, Missing, cannot_tell, not_applicable, satisfied
from cards.rulebook import patient_rule
from cards.situation import agents, bispecific
from cards.situation.agents import AntiviralNumbers, Choice, PneumocystisNumbers
from cards.situation.answers import OnRecord
from cards.situation.bispecific import Running
from cards.situation.cover import CoverNumbers, protection, unprotected
from cards.situation.results import low_cd4
from cards.situation.since_car_t import latest_infusion
from fhir_mapping.model.dates import Answer, ClinicalDate, Days
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.treatment import Course
from fhir_mapping.model.vocabulary import Cover, Drug, Topic

# Looking a member up in its Enum costs as much as a call in Python 3.11, and this is asked at every request
_PATIENT_VIEW = Hook.PATIENT_VIEW
_NAMES = {Cover.HSV_VZV: "antiviral", Cover.PJP: "PJP"}
_NO_BISPECIFIC = not_applicable(absent={Topic.TREATMENT})


class OnBispecific(CoverNumbers, AntiviralNumbers, PneumocystisNumbers):
    """Numbers of R17; those of R15 and R16 tell what these ask for already."""

    after_last_dose_days: int
    antiviral_after_cells_days: int
    pjp_after_cells_days: int
    pjp_after_cells_start_day: int


@dataclass(frozen=True, slots=True)
class Unprotected:
    """What R17 found: the drug, what is missing, and the last dose or the CD4 count where it matters."""

    drug: str
    missing: str
    last_dose: ClinicalDate | None = None
    days: Days | None = None
    cd4: str = ""
    cd4_date: ClinicalDate | None = None


@patient_rule(
    "R17",
    reads={Topic.TREATMENT, Topic.CELL_THERAPY, Topic.PROPHYLAXIS, Topic.ALLERGIES, Topic.LABS},
    settings=OnBispecific,
    facts=Unprotected,
    variants={"ordered", "ordered_gprc5d", "ongoing", "ongoing_gprc5d", "given", "given_gprc5d", "low_cd4"},
    missing=bispecific.MISSING | {"cover", "cd4"},
    notes=agents.ANTIVIRAL_NOTES | agents.PNEUMOCYSTIS_NOTES | {"other_cover_unclear"},
)
def prophylaxis_on_bispecific(history: TreatmentHistory, hook: Hook, settings: OnBispecific) -> Conclusion:
    """No antiviral, or no Pneumocystis drug, on a bispecific antibody or soon after its last dose."""
    if hook is not _PATIENT_VIEW:
        drugs = bispecific.ordered(history)
        if not drugs:
            return not_applicable()
        return _judge("ordered", drugs, Running(), history, settings)
    courses = bispecific.courses_of(history)
    if not courses:
        return _without_bispecific(history, settings)
    running = bispecific.running(courses, history, settings.after_last_dose_days)
    match running.answer:
        case Answer.YES:
            variant = "ongoing" if running.is_ongoing else "given"
            return _judge(variant, running.drugs, running, history, settings)
        case Answer.UNKNOWN:
            return _if_running(running, history, settings)
        case Answer.NO:
            return _later(courses, history, settings)


def _without_bispecific(history: TreatmentHistory, settings: OnBispecific) -> Conclusion:
    """Answer where none is on record: what was not read only matters to a patient who is not protected."""
    if history.coverage.is_complete(Topic.TREATMENT) and not history.unrecognised:
        return _NO_BISPECIFIC
    cover = [protection(history, settings, need) for need in _not_asked_for(history, settings)]
    return not_applicable() if all(each.answer is Answer.YES for each in cover) else _NO_BISPECIFIC


def _judge(
    variant: str, drugs: tuple[Drug, ...], running: Running, history: TreatmentHistory, settings: OnBispecific
) -> Conclusion:
    """Look for what protects a patient on bispecific antibodies."""
    wanted = _not_asked_for(history, settings)
    cover = {need: protection(history, settings, need) for need in wanted}
    missing = [need for need in wanted if cover[need].answer is Answer.NO]
    if not missing:
        return _covered(cover.values())
    last_dose = running.last_dose
    facts = Unprotected(
        drug=bispecific.names_of(drugs),
        missing=_named(missing),
        last_dose=last_dose,
        days=last_dose.days_until(history.today) if last_dose is not None else None,
    )
    end = last_dose.latest + timedelta(settings.after_last_dose_days) if last_dose and running.has_ended else None
    unclear = len(missing) < len(wanted) and any(cover[need].answer is Answer.UNKNOWN for need in wanted)
    suffix = "_gprc5d" if bispecific.bind_gprc5d_alone(drugs) else ""
    answer = unprotected(f"{variant}{suffix}", facts, running.sources)
    answer = answer._replace(notes=("other_cover_unclear",)) if unclear else answer
    return _with_drafts(answer, missing, history, settings, history.as_of, end)


def _not_asked_for(history: TreatmentHistory, settings: OnBispecific) -> tuple[Cover, ...]:
    """List what R15 and R16 do not ask for already, in the year after CAR T cells."""
    if not history.infusions:
        return tuple(_NAMES)
    cells, today = latest_infusion(history), history.today
    days = cells.days_until(today)
    asked = set()
    if cells.is_at_most(settings.antiviral_after_cells_days, today) is Answer.YES:
        asked.add(Cover.HSV_VZV)
    is_due = days is not None and days.less_than(settings.pjp_after_cells_start_day) is Answer.NO
    if is_due and cells.is_at_most(settings.pjp_after_cells_days, today) is Answer.YES:
        asked.add(Cover.PJP)
    return tuple(need for need in _NAMES if need not in asked)


def _named(needs: Iterable[Cover]) -> str:
    return " or ".join(_NAMES[need] for need in needs)


def _covered(found: Iterable[OnRecord]) -> Conclusion:
    """Answer where nothing is missing for certain, or other rules ask for all that is."""
    found = tuple(found)
    unclear = tuple(source for cover in found if cover.answer is Answer.UNKNOWN for source in cover.sources)
    if unclear:
        return cannot_tell(Missing("cover"), evidence=unclear)
    return satisfied(evidence=tuple(source for cover in found for source in cover.sources))


def _if_running(running: Running, history: TreatmentHistory, settings: OnBispecific) -> Conclusion:
    """Answer where it is not known that a bispecific antibody is being given: it only matters without protection."""
    cover = [protection(history, settings, need) for need in _not_asked_for(history, settings)]
    if all(each.answer is Answer.YES for each in cover):
        return _covered(cover)
    drug = running.unclear.drug.name if running.unclear is not None else ""
    return cannot_tell(Missing(running.missing, drug), evidence=running.sources)


def _later(courses: list[Course], history: TreatmentHistory, settings: OnBispecific) -> Conclusion:
    """Past that time, a recent low CD4 count alone keeps the question open; after CAR T cells R15 and R16 ask it."""
    given = [course for course in courses if course.is_proven_or_reported]
    past = satisfied(absent={Topic.TREATMENT}, evidence=tuple(course.sources[0] for course in given[-1:]))
    is_low, count = low_cd4(history, settings.cd4_stop_per_ul, settings.cd4_lookback_days)
    if is_low is Answer.NO or count is None or count.on is None:
        return past
    if not given or latest_infusion(history).infused is not None:
        return past
    cover = {need: protection(history, settings, need) for need in _NAMES}
    missing = [need for need in _NAMES if cover[need].answer is Answer.NO]
    if is_low is Answer.UNKNOWN and any(each.answer is not Answer.YES for each in cover.values()):
        return cannot_tell(Missing("cd4"), evidence=(count.source,))
    if not missing:
        return _covered(cover.values())
    last = Running(tuple(given))
    facts = Unprotected(
        drug=bispecific.names_of(last.drugs),
        missing=_named(missing),
        last_dose=last.last_dose,
        cd4=str(count),
        cd4_date=count.on,
    )
    answer = unprotected("low_cd4", facts, (*last.sources[-1:], count.source))
    return _with_drafts(answer, missing, history, settings, None, None)


def _with_drafts(
    answer: Conclusion,
    missing: Iterable[Cover],
    history: TreatmentHistory,
    settings: OnBispecific,
    start: date | None,
    end: date | None,
) -> Conclusion:
    choices: list[Choice] = []
    for need in missing:
        if need is Cover.HSV_VZV:
            choices.append(agents.choose_antiviral(history, settings))
        else:
            choices.append(agents.choose_pneumocystis_drug(history, settings))
    return agents.with_choices(answer, choices, start, end)

"""Sequencing: what the order of T-cell-redirecting therapies allows and prefers."""

from dataclasses import dataclass

from cards.finding import Conclusion, Missing, Outcome, cannot_tell, not_applicable, satisfied
from cards.rulebook import order_rule
from cards.situation import candidacy, car_t
from fhir_mapping.model.care import RefusedTherapy
from fhir_mapping.model.dates import Answer
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.orders import ProposedOrder
from fhir_mapping.model.treatment import CarTInfusion, Course
from fhir_mapping.model.vocabulary import Antigen, Drug, DrugClass, Topic


@dataclass(frozen=True, slots=True)
class Preferred:
    """The drug that is ordered, before which another therapy is preferred."""

    ordered: str


@order_rule("R02", reads={Topic.CELL_THERAPY})
def bispecific_after_car_t(history: TreatmentHistory, order: ProposedOrder, settings: object) -> Conclusion:
    """A bispecific antibody after CAR T cells needs no interval: keeps the washout rules silent for this order."""
    if order.drug is None or order.drug.drug_class is not DrugClass.BISPECIFIC or not history.infusions:
        return not_applicable()
    return satisfied()


@order_rule("R07", reads={Topic.TREATMENT, Topic.PROGRESSION}, variants={"option"})
def talquetamab_keeps_bcma_open(history: TreatmentHistory, order: ProposedOrder, settings: object) -> Conclusion:
    """After a BCMA bispecific antibody, a GPRC5D one can hold the disease: shown only beside R01 or R05."""
    if not order.may_target(Antigen.BCMA):
        return not_applicable()
    courses = [
        course
        for course in history.courses_against(Antigen.BCMA)
        if course.drug.drug_class is DrugClass.BISPECIFIC and course.is_proven_or_reported
    ]
    if not courses or history.has_failed(Antigen.GPRC5D):
        return not_applicable()
    if _is_under_way(history):
        return satisfied()
    return Conclusion(Outcome.FLAGGED, variant="option", evidence=tuple(c.sources[0] for c in courses))


def _is_under_way(history: TreatmentHistory) -> bool:
    def targets(drug: Drug | None) -> bool:
        return drug is not None and Antigen.GPRC5D in drug.antigens

    return any(targets(order.drug) for order in history.orders) or any(
        course.ongoing and targets(course.drug) for course in history.courses
    )


@order_rule(
    "R04",
    reads={Topic.TREATMENT, Topic.CELL_THERAPY},
    heeds=candidacy.TOPICS,
    settings=candidacy.Candidacy,
    facts=Preferred,
    variants={"preferred"},
    notes={"cd38_refractory", "bcma_before"},
    missing={"given", *car_t.MISSING},
)
def car_t_before_bcma_bispecific(
    history: TreatmentHistory, order: ProposedOrder, settings: candidacy.Candidacy
) -> Conclusion:
    """A first BCMA bispecific antibody is selected for a patient without CAR T cells, who may be fit for them."""
    drug = order.drug
    if drug is None or not _is_bcma(drug, DrugClass.BISPECIFIC):
        return not_applicable()
    before = _bcma_courses(history, DrugClass.BISPECIFIC)
    if any(course.is_proven_or_reported for course in before):
        return not_applicable()
    cells = car_t.car_t_before(history)
    if cells.answer is Answer.YES:
        return satisfied(evidence=cells.evidence)
    against = candidacy.spoken_against(history, order, settings, frozenset({RefusedTherapy.CAR_T}))
    if against is not None:
        return satisfied(evidence=against)
    return _left_open(cells, before) or _preferred(drug, notes=_left_out_of_the_trial(history, order))


def _left_out_of_the_trial(history: TreatmentHistory, order: ProposedOrder) -> tuple[str, ...]:
    """Say, beside a pair with an anti-CD38 antibody, which patients its trial left out."""
    partners = [o.drug for o in history.orders if o is not order] + [c.drug for c in history.courses if c.ongoing]
    if not any(drug is not None and drug.drug_class is DrugClass.ANTI_CD38 for drug in partners):
        return ()
    notes = []
    anti_cd38 = {course.drug.id for course in history.courses if course.drug.drug_class is DrugClass.ANTI_CD38}
    if any(history.refractory_to(drug) is Answer.YES for drug in anti_cd38):
        notes.append("cd38_refractory")
    if any(course.is_proven_or_reported for course in history.courses_against(Antigen.BCMA)):
        notes.append("bcma_before")
    return tuple(notes)


@order_rule(
    "R06",
    reads={Topic.TREATMENT, Topic.CELL_THERAPY},
    heeds=candidacy.TOPICS,
    settings=candidacy.Candidacy,
    facts=Preferred,
    variants={"preferred"},
    missing={"given", *car_t.MISSING},
)
def t_cell_redirection_before_conjugate(
    history: TreatmentHistory, order: ProposedOrder, settings: candidacy.Candidacy
) -> Conclusion:
    """A first BCMA antibody-drug conjugate is selected for a patient who has had no T-cell-redirecting therapy."""
    drug = order.drug
    if drug is None or not _is_bcma(drug, DrugClass.ADC):
        return not_applicable()
    before = _bcma_courses(history, DrugClass.ADC)
    if any(course.is_proven_or_reported for course in before):
        return not_applicable()
    cells = car_t.car_t_before(history)
    bispecifics = [course for course in history.courses if course.drug.drug_class is DrugClass.BISPECIFIC]
    given = [course for course in bispecifics if course.is_proven_or_reported]
    if given or cells.answer is Answer.YES:
        return satisfied(evidence=given[0].sources[:1] if given else cells.evidence)
    against = candidacy.spoken_against(history, order, settings, frozenset(RefusedTherapy))
    if against is not None:
        return satisfied(evidence=against)
    return _left_open(cells, [*bispecifics, *before]) or _preferred(drug)


def _is_bcma(drug: Drug, drug_class: DrugClass) -> bool:
    return drug.drug_class is drug_class and Antigen.BCMA in drug.antigens


def _bcma_courses(history: TreatmentHistory, drug_class: DrugClass) -> list[Course]:
    return [course for course in history.courses if _is_bcma(course.drug, drug_class)]


def _left_open(cells: car_t.Found, perhaps: list[Course]) -> Conclusion | None:
    """Say what leaves it open whether the order is a first one: cells, or a drug that was ordered at least."""
    if cells.answer is Answer.UNKNOWN:
        return cannot_tell(Missing(cells.missing), evidence=cells.evidence)
    if perhaps:
        return cannot_tell(Missing("given", perhaps[0].drug.name), evidence=perhaps[0].sources[:1])
    return None


def _preferred(drug: Drug, notes: tuple[str, ...] = ()) -> Conclusion:
    return Conclusion(
        Outcome.FLAGGED,
        variant="preferred",
        facts=Preferred(drug.name),
        absent=frozenset({Topic.TREATMENT, Topic.CELL_THERAPY}),
        notes=notes,
    )


@order_rule("R36", reads={Topic.TREATMENT, Topic.CELL_THERAPY})
def conjugate_after_t_cell_redirection(history: TreatmentHistory, order: ProposedOrder, settings: object) -> Conclusion:
    """A BCMA conjugate after T-cell redirection against BCMA works otherwise: keeps R05 and R06 silent.

    Where a conjugate that was given since may be hidden, they are not kept silent.
    """
    if order.drug is None or not _is_bcma(order.drug, DrugClass.ADC):
        return not_applicable()
    redirected = [
        *(
            (course.last_dose, course.sources)
            for course in _bcma_courses(history, DrugClass.BISPECIFIC)
            if course.is_proven_or_reported
        ),
        *((i.infused, i.sources) for i in history.infusions if _is_sure_bcma_infusion(i)),
    ]
    conjugates = _bcma_courses(history, DrugClass.ADC)
    for last, sources in redirected:
        if all(
            last is not None and course.last_dose is not None and course.last_dose.is_before(last) is Answer.YES
            for course in conjugates
        ):
            return satisfied(absent={Topic.TREATMENT}, evidence=sources[:1])
    return not_applicable()


def _is_sure_bcma_infusion(infusion: CarTInfusion) -> bool:
    return infusion.is_stated and infusion.targets(Antigen.BCMA) is Answer.YES

"""Exposure and refractoriness to drugs and classes, inferred from courses and progressions with three answers.

Refractory: the myeloma progressed during a drug or within 60 days of its last dose (E41b, E41c). No progression on
record is never evidence that there was none. CAR T cells are given once, so that definition does not reach them: to
a class that they belong to, refractoriness stays unknown unless another drug of it proves it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from fhir_mapping.catalog.loader import Catalog
from fhir_mapping.model.dates import Answer
from fhir_mapping.model.history import GapCode, TreatmentHistory
from fhir_mapping.model.treatment import CarTInfusion, Course, EndReason, Progression, SourceRef
from fhir_mapping.model.vocabulary import Certainty, Drug, DrugClass, Tier, Topic

Which = Callable[[Drug], bool]  # the drugs that a question is about

_RECORDS_OF_TREATMENT = frozenset(
    {
        "Immunization",
        "Medication",
        "MedicationAdministration",
        "MedicationDispense",
        "MedicationRequest",
        "MedicationStatement",
        "Procedure",
    }
)
_LOST = frozenset({GapCode.UNREADABLE, GapCode.VERSION_CONFLICT})


@dataclass(frozen=True, slots=True)
class ClassExposure:
    """Whether enough drugs of every class were given, and whether the myeloma is refractory to as many of each.

    `given` are the drugs that count for it, `sources` their records; `not_shown` the classes of which too few were
    proven. All is inferred.
    """

    exposed: Answer
    refractory: Answer
    given: tuple[Drug, ...]
    not_shown: tuple[DrugClass, ...]
    sources: tuple[SourceRef, ...] = ()
    inferred: bool = True


def all_treatment_was_read(history: TreatmentHistory) -> bool:
    """Whether treatment that is not in the history was not given: all was read, and every entry was recognised."""
    return _no_record_is_missing(history) and not history.unrecognised


def all_cells_were_read(history: TreatmentHistory) -> bool:
    """Whether CAR T cells that are not in the history were not given."""
    return _no_record_is_missing(history) and not any(entry.may_be_cell_therapy for entry in history.unrecognised)


def _no_record_is_missing(history: TreatmentHistory) -> bool:
    return (
        history.coverage.is_complete(Topic.TREATMENT)
        and history.coverage.is_complete(Topic.CELL_THERAPY)
        and not any(gap.code in _LOST and gap.resource_type in _RECORDS_OF_TREATMENT for gap in history.gaps)
    )


def substance(drug: Drug, catalog: Catalog) -> str:
    """Give the id that all products of one substance share."""
    shared: str = catalog.definitions["one_substance"]["drugs"].get(drug.id, drug.id)
    return shared


def exposed_to(history: TreatmentHistory, which: Which, catalog: Catalog) -> Answer:
    """Whether any of some drugs was given, be it one dose; an order alone, or a record without date, leaves it open."""
    return _any_answer([_was_given(record) for record in _records_of(history, which, catalog)], _absence(history))


def refractory_to(history: TreatmentHistory, which: Which, catalog: Catalog) -> Answer:
    """Whether the myeloma is refractory to any of some drugs.

    NO needs a whole picture: all was read, and each course was ended for toxicity or as planned, with the
    progression that followed dated, and later than the window. A drug that was not given is none to be refractory to.
    """
    window = catalog.days("refractory_window")
    answers = [
        _is_refractory(record, history, window) if isinstance(record, Course) else Answer.UNKNOWN
        for record in _records_of(history, which, catalog)
    ]
    return _any_answer(answers, _absence(history))


def class_exposed(history: TreatmentHistory, drug_class: DrugClass, catalog: Catalog) -> Answer:
    """Whether any drug of a class was given; one that may or may not count as one of the class leaves it open."""
    if any(course.drug.drug_class is drug_class and course.is_proven_or_reported for course in history.courses):
        return Answer.YES  # the most common answer, without sorting the others out
    given = [
        _counted(products, drug_class, exposed_to(history, _any_of(products), catalog))
        for products in _substances(history, drug_class, catalog)
    ]
    return _at_least(1, given, _absence(history))


def triple_class(history: TreatmentHistory, catalog: Catalog) -> ClassExposure:
    """Judge a proteasome inhibitor, an immunomodulatory drug and an anti-CD38 antibody."""
    return _class_exposure(history, catalog, "triple_class")


def penta_drug(history: TreatmentHistory, catalog: Catalog) -> ClassExposure:
    """Judge two proteasome inhibitors, two immunomodulatory drugs and an anti-CD38 antibody."""
    return _class_exposure(history, catalog, "penta_drug")


def _any_answer(answers: Iterable[Answer], absence: Answer) -> Answer:
    """Join answers by "or"; `absence` is what silence means: NO, or UNKNOWN where not all was read."""
    answers = {*answers, absence}
    if Answer.YES in answers:
        return Answer.YES
    return Answer.UNKNOWN if Answer.UNKNOWN in answers else Answer.NO


def _absence(history: TreatmentHistory) -> Answer:
    return Answer.NO if all_treatment_was_read(history) else Answer.UNKNOWN


def _records_of(history: TreatmentHistory, which: Which, catalog: Catalog) -> list[Course | CarTInfusion]:
    """List the courses of some drugs and the infusions; cells of an unnamed product may be any."""
    courses = [course for course in history.courses if which(course.drug)]
    if not history.infusions:
        return [*courses]
    may_be_any = any(which(drug) for drug in catalog.drugs.values() if drug.drug_class is DrugClass.CAR_T)
    infusions = [i for i in history.infusions if (which(i.product) if i.product else may_be_any)]
    return [*courses, *infusions]


def _was_given(record: Course | CarTInfusion) -> Answer:
    is_named = isinstance(record, Course) or record.product is not None
    is_proven = record.tier <= Tier.REPORTED and record.certainty is Certainty.STATED
    return Answer.YES if is_named and is_proven else Answer.UNKNOWN


def _is_refractory(course: Course, history: TreatmentHistory, window: int) -> Answer:
    if not course.is_proven_or_reported:
        return Answer.UNKNOWN
    if course.end_reason is EndReason.PROGRESSION:
        return Answer.YES
    answers = {_progressed_on(course, event, window) for event in history.progressions}
    if Answer.YES in answers:
        return Answer.YES
    if course.end_reason is None or course.ongoing or course.last_dose is None or Answer.UNKNOWN in answers:
        return Answer.UNKNOWN
    after = course.last_dose.plus(window)
    was_followed = any(
        event.on is not None and event.certainty is Certainty.STATED and after.is_before(event.on) is Answer.YES
        for event in history.progressions
    )
    return Answer.NO if was_followed and history.coverage.is_complete(Topic.PROGRESSION) else Answer.UNKNOWN


def _progressed_on(course: Course, event: Progression, window: int) -> Answer:
    """Whether a progression lies after the first dose and at most `window` days after the last.

    On the day of the first dose it is rather the reason for it than a failure of it, and leaves the answer open.
    """
    if event.on is None or course.last_dose is None:
        return Answer.UNKNOWN
    first = course.first_dose
    if first is not None and event.on.is_before(first) is Answer.YES:
        return Answer.NO
    in_time = course.last_dose.days_until(event.on).at_most(window)
    if in_time is Answer.NO:
        return Answer.NO
    is_sure = event.certainty is Certainty.STATED and first is not None and event.on.is_after(first) is Answer.YES
    return Answer.YES if is_sure and in_time is Answer.YES else Answer.UNKNOWN


def _class_exposure(history: TreatmentHistory, catalog: Catalog, definition: str) -> ClassExposure:
    exposed: dict[DrugClass, Answer] = {}
    refractory: list[Answer] = []
    given: list[Drug] = []
    counted: list[Drug] = []
    for name, count in catalog.definitions[definition]["classes"].items():
        substances = _substances(history, DrugClass(name), catalog)
        was_given = [
            _counted(products, name, exposed_to(history, _any_of(products), catalog)) for products in substances
        ]
        failed = [
            _counted(products, name, refractory_to(history, _any_of(products), catalog)) for products in substances
        ]
        exposed[DrugClass(name)] = _at_least(count, was_given, _absence(history))
        refractory.append(_at_least(count, failed, _absence(history)))
        shown = [drugs for drugs, answer in zip(substances, was_given, strict=True) if answer is Answer.YES]
        given += (drugs[0] for drugs in shown)
        counted += (drug for drugs in shown for drug in drugs)
    return ClassExposure(
        exposed=_all_of(exposed.values()),
        refractory=_all_of(refractory),
        given=tuple(given),
        not_shown=tuple(drug_class for drug_class, answer in exposed.items() if answer is not Answer.YES),
        sources=_sources_of(counted, history),
    )


def _sources_of(drugs: list[Drug], history: TreatmentHistory) -> tuple[SourceRef, ...]:
    """List the records that prove the doses of some drugs, and every progression, in an order of their own."""
    doses = [source for c in history.courses if c.drug in drugs and c.is_proven_or_reported for source in c.sources]
    progressions = [event.source for event in history.progressions]
    return tuple(sorted({*doses, *progressions}, key=lambda source: (source.reference, str(source.on))))


def _substances(history: TreatmentHistory, drug_class: DrugClass, catalog: Catalog) -> list[list[Drug]]:
    """Group the drugs on record that count, or may count, as one of a class; products of one substance together."""
    doubtful = catalog.definitions["doubtful_class"]["classes"]
    found: dict[str, list[Drug]] = defaultdict(list)
    for drug in sorted({course.drug for course in history.courses}, key=lambda drug: drug.id):
        if drug_class in {drug.drug_class, doubtful.get(drug.drug_class)}:
            found[substance(drug, catalog)].append(drug)
    return list(found.values())


def _any_of(drugs: list[Drug]) -> Which:
    return lambda drug: drug in drugs


def _counted(drugs: list[Drug], drug_class: str, answer: Answer) -> Answer:
    """Leave open what is true of a drug of which it is open whether it counts as one of the class."""
    return answer if drugs[0].drug_class == drug_class or answer is Answer.NO else Answer.UNKNOWN


def _at_least(count: int, answers: list[Answer], absence: Answer) -> Answer:
    """Whether at least `count` of some questions are answered by yes; there may be more where not all was read."""
    if answers.count(Answer.YES) >= count:
        return Answer.YES
    is_possible = len(answers) - answers.count(Answer.NO) >= count
    return Answer.UNKNOWN if is_possible or absence is Answer.UNKNOWN else Answer.NO


def _all_of(answers: Iterable[Answer]) -> Answer:
    """Join answers by "and"."""
    answers = set(answers)
    if Answer.NO in answers:
        return Answer.NO
    return Answer.UNKNOWN if Answer.UNKNOWN in answers else Answer.YES

"""Late effects of CAR T cells: enterocolitis, delayed neurotoxicity, second cancers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from cards.finding import Conclusion, Hook, Missing, Outcome, Proposal, cannot_tell, not_applicable, satisfied
from cards.rulebook import Settings, patient_rule
from cards.situation.answers import all_of, opposite
from cards.situation.signs import MISSING, Beside, Sign, Watch, beside_cells, in_orders, in_problems
from fhir_mapping.model.dates import Answer, ClinicalDate, Days
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.patient import OTHER_B_CELLS
from fhir_mapping.model.results import LabResult, LabTest
from fhir_mapping.model.treatment import UNNAMED_CELLS, CarTInfusion
from fhir_mapping.model.vocabulary import Antigen, Certainty, DrugClass, Tier, Topic

_YES, _NO, _UNKNOWN = Answer.YES, Answer.NO, Answer.UNKNOWN
_VIEW, _FLAGGED = Hook.PATIENT_VIEW, Outcome.FLAGGED
_ANTIDIARRHOEAL, _ANTIPARKINSON = DrugClass.ANTIDIARRHOEAL, DrugClass.ANTIPARKINSON
_PARKINSONISM = frozenset({"parkinsonism", "parkinson-disease"})


class GutWatch(Watch):
    """Settings of R37: `boxed` are the products whose label warns of it in a box, by id."""

    boxed: tuple[str, ...]


class NerveWatch(Watch):
    """Settings of R38: `unreported` are the products of which no delayed neurotoxicity was reported, by id."""

    unreported: tuple[str, ...]


class Lymphocytes(Settings):
    """Numbers of R38A: the product by id, its days, and the lymphocyte count in 10*9/L."""

    products: tuple[str, ...]
    first_day: int
    last_day: int
    alc_above: float


@dataclass(frozen=True, slots=True)
class SignAfterCells:
    """What was ordered or recorded so many days after the infusion of a product."""

    sign: str
    product: str
    infused: ClinicalDate
    days: Days


@dataclass(frozen=True, slots=True)
class CountAfterCells:
    """The lymphocyte count that R38A found, and the infusion before it."""

    alc: str
    measured: ClinicalDate
    day: Days
    product: str
    infused: ClinicalDate


@dataclass(frozen=True, slots=True)
class CellsGiven:
    """The cells that R39 found, and their date or a word that there is none."""

    given: str
    infused: str


@patient_rule(
    "R37",
    reads={Topic.CELL_THERAPY},
    settings=GutWatch,
    facts=SignAfterCells,
    variants={"boxed", "other"},
    missing=MISSING,
    notes={"product_unknown"},
)
def enterocolitis_after_car_t(history: TreatmentHistory, hook: Hook, settings: GutWatch) -> Conclusion:
    """Diarrhoea is treated, worked up or newly recorded in the year after CAR T cells."""
    signs = _signs(history, hook, settings, _ANTIDIARRHOEAL)
    if not signs:
        return not_applicable()
    found = beside_cells(signs, history.infusions, history, settings)
    # The cells that the box speaks of come first
    found.sort(key=lambda after: _names(after.infusion, settings.boxed), reverse=True)
    answer = _answered(found, history)
    if answer.outcome is not _FLAGGED:
        return answer
    cells = next(after.infusion for after in found if after.answer is _YES)
    return answer._replace(
        variant="boxed" if _names(cells, settings.boxed) else "other",
        proposals=_not_ordered_yet(
            history,
            {
                "gastroenterology-consult": "referral-gastroenterology",
                "c-difficile-test": "c-difficile",
                "cmv-dna-test": "cmv-dna",
            },
        ),
    )


@patient_rule(
    "R38",
    reads={Topic.CELL_THERAPY},
    settings=NerveWatch,
    facts=SignAfterCells,
    variants={"sign", "unreported"},
    missing=MISSING,
    notes={"product_unknown"},
)
def neurotoxicity_after_car_t(history: TreatmentHistory, hook: Hook, settings: NerveWatch) -> Conclusion:
    """A movement or cranial nerve disorder is treated, worked up or newly recorded in the year after BCMA CAR T cells.

    A drug for parkinsonism that was there before the cells is no sign of theirs.
    """
    signs = _signs(history, hook, settings, _ANTIPARKINSON)
    if not signs:
        return not_applicable()
    cells = [i for i in history.infusions if i.targets(Antigen.BCMA) is not _NO]
    found = [_unless_known(after, history) for after in beside_cells(signs, cells, history, settings)]
    # The cells of which it was reported come first, and those that nobody named count as such
    found.sort(key=lambda after: _names(after.infusion, settings.unreported))
    answer = _answered(found, history)
    if answer.outcome is not _FLAGGED:
        return answer
    infusion = next(after.infusion for after in found if after.answer is _YES)
    return answer._replace(
        variant="unreported" if _names(infusion, settings.unreported) else "sign",
        proposals=_not_ordered_yet(history, {"neurology-consult": "referral-neurology"}),
    )


@patient_rule(
    "R38A",
    reads={Topic.CELL_THERAPY, Topic.IMMUNITY},
    settings=Lymphocytes,
    facts=CountAfterCells,
    variants={"high"},
    missing={"infusion_date", "count"},
)
def lymphocytes_after_car_t(history: TreatmentHistory, hook: Hook, settings: Lymphocytes) -> Conclusion:
    """Lymphocytes rise high in the weeks after an infusion, in which delayed neurotoxicity may follow."""
    cells = [i for i in history.infusions if _names(i, settings.products) and i.is_stated]
    if not cells:
        return not_applicable(absent={Topic.CELL_THERAPY})
    answers = [(_is_in_weeks(i.infused, history.today, settings), i) for i in cells]
    now = [i for answer, i in answers if answer is _YES]
    if not now:
        is_open = any(answer is _UNKNOWN for answer, _ in answers)
        return cannot_tell(Missing("infusion_date"), evidence=cells[-1].sources[:1]) if is_open else not_applicable()
    infusion = now[-1]
    found = [(_is_high(lab, infusion, settings), lab) for lab in history.labs if lab.test is LabTest.ALC]
    high = [lab for answer, lab in found if answer is _YES]
    if not high:
        unclear = [lab.source for answer, lab in found if answer is _UNKNOWN]
        return cannot_tell(Missing("count"), evidence=tuple(unclear[:1])) if unclear else satisfied()
    count = max(high, key=lambda lab: lab.low)
    assert infusion.infused is not None and count.on is not None and infusion.product is not None  # noqa: S101, PT018
    facts = CountAfterCells(
        str(count), count.on, infusion.infused.days_until(count.on), infusion.product.name, infusion.infused
    )
    return Conclusion(_FLAGGED, variant="high", facts=facts, evidence=(count.source, *infusion.sources[:1]))


def _is_in_weeks(infused: ClinicalDate | None, day: ClinicalDate | None, settings: Lymphocytes) -> Answer:
    """Whether a day lies in the weeks after an infusion that are watched."""
    if infused is None or day is None:
        return _UNKNOWN
    days = infused.days_until(day)
    return all_of(opposite(days.less_than(settings.first_day)), days.at_most(settings.last_day))


def _is_high(lab: LabResult, infusion: CarTInfusion, settings: Lymphocytes) -> Answer:
    return all_of(_is_in_weeks(infusion.infused, lab.on, settings), opposite(lab.at_most(settings.alc_above)))


@patient_rule(
    "R39",
    reads={Topic.CELL_THERAPY},
    facts=CellsGiven,
    variants={"myeloma", "another_disease"},
    missing={"given"},
)
def second_cancers_after_car_t(history: TreatmentHistory, hook: Hook, settings: object) -> Conclusion:
    """CAR T cells were given at any time: new cancers are watched for as long as the patient lives.

    Of cells against another disease, and of a history that names no product, the warning holds as well.
    """
    given = [i for i in history.infusions if i.is_stated or _is_of_either_disease(i, history)]
    others = [o for o in history.other_cell_therapies if o.certainty is Certainty.STATED]
    if given:
        last = max(given, key=lambda i: i.infused.latest if i.infused else date.min)
        return Conclusion(
            _FLAGGED,
            variant="myeloma",
            facts=CellsGiven(last.name, _dated(last.infused)),
            evidence=tuple(i.sources[0] for i in given),
        )
    if others:
        return Conclusion(
            _FLAGGED,
            variant="another_disease",
            facts=CellsGiven(UNNAMED_CELLS, _dated(others[-1].infused)),
            evidence=tuple(o.source for o in others),
        )
    perhaps = [*(i.sources[0] for i in history.infusions), *(o.source for o in history.other_cell_therapies)]
    if perhaps:
        return cannot_tell(Missing("given"), evidence=tuple(perhaps[:1]))
    return satisfied(absent={Topic.CELL_THERAPY})


def _is_of_either_disease(infusion: CarTInfusion, history: TreatmentHistory) -> bool:
    """Whether a history code names CAR T cells, and only their target is in doubt: another disease has its own."""
    is_history = infusion.tier is Tier.UNDATED and infusion.product is None
    return is_history and (
        bool(history.other_cell_therapies) or any(p.concept == OTHER_B_CELLS for p in history.problems)
    )


def _dated(on: ClinicalDate | None) -> str:
    return "no date on record" if on is None else str(on)


def _signs(history: TreatmentHistory, hook: Hook, settings: Watch, drug_class: DrugClass) -> list[Sign]:
    """Look for signs among the orders, or where a chart is opened in the problem list."""
    if hook is _VIEW:
        return in_problems(history, settings)
    return in_orders(history.judged_orders, settings, drug_class)


def _unless_known(after: Beside, history: TreatmentHistory) -> Beside:
    """Take a drug for parkinsonism as no sign where that was recorded as there before the cells."""
    infused = after.infusion.infused
    if after.sign.drug_class is not _ANTIPARKINSON or infused is None:
        return after
    is_known = any(
        problem.concept in _PARKINSONISM
        and problem.certainty is Certainty.STATED
        and (since := problem.onset or problem.recorded) is not None
        and since.is_before(infused) is _YES
        for problem in history.problems
    )
    return after._replace(answer=_NO) if is_known else after


def _answered(found: Sequence[Beside], history: TreatmentHistory) -> Conclusion:
    """Answer for the first that is sure, else say what is open; without cells nothing is asked."""
    if not found:
        return not_applicable(absent={Topic.CELL_THERAPY})
    for after in found:
        infused = after.infusion.infused
        if after.answer is _YES and infused is not None:
            facts = SignAfterCells(after.sign.words, after.infusion.name, infused, infused.days_until(history.today))
            notes = () if after.infusion.product else ("product_unknown",)
            evidence = (*after.sign.sources, *after.infusion.sources[:1])
            return Conclusion(_FLAGGED, facts=facts, evidence=evidence, notes=notes)
    unclear = [after for after in found if after.answer is _UNKNOWN]
    if unclear:
        return cannot_tell(Missing(unclear[0].missing), evidence=unclear[0].infusion.sources[:1])
    return satisfied(absent={Topic.CELL_THERAPY}, evidence=found[0].infusion.sources[:1])


def _not_ordered_yet(history: TreatmentHistory, offers: Mapping[str, str]) -> tuple[Proposal, ...]:
    """Offer each draft order, by its template, unless what it asks for is among the drafts."""
    asked = frozenset().union(*(order.asks_for for order in history.orders))
    return tuple(Proposal(template) for template, concept in offers.items() if concept not in asked)


def _names(infusion: CarTInfusion, products: Iterable[str]) -> bool:
    return infusion.product is not None and infusion.product.id in products

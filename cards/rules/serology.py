"""Antibody tests: drawn before immunoglobulin and BCMA-directed therapy, read with care after it; HIV after CAR T."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from cards.finding import Conclusion, Hook, Missing, Outcome, Proposal, cannot_tell, not_applicable, satisfied
from cards.rulebook import Settings, patient_rule
from cards.situation.hiv import cells_with_vector, hiv_on_record
from cards.situation.immunoglobulin import Given, ever_given, given_within, sample_after_it
from cards.situation.infection_tests import is_ordered
from cards.situation.planned_day import planned_day
from cards.situation.results import was_within
from fhir_mapping.model.care import CAR_T_STEPS, PlanState
from fhir_mapping.model.dates import Answer, ClinicalDate, Days
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.orders import ProposedOrder
from fhir_mapping.model.treatment import SourceRef
from fhir_mapping.model.vocabulary import Antigen, DrugClass, Topic

# Looking a member up in its Enum costs as much as a call in Python 3.11, and every order is asked
_BCMA, _IMMUNOGLOBULIN = Antigen.BCMA, DrugClass.IMMUNOGLOBULIN
_YES, _NO, _UNKNOWN = Answer.YES, Answer.NO, Answer.UNKNOWN
_HBV_DNA = "hbv-dna"
_HEPATITIS_B_ANTIBODIES = frozenset({"anti-hbc-total", "anti-hbs"})
_TREATED = frozenset({Topic.TREATMENT, Topic.CELL_THERAPY})


class Titers(Settings):
    """The tests that count as titers, for how long, and how long after immunoglobulin they cannot be read; in days."""

    titers: Mapping[str, str]
    titer_days: int
    passive_days: int
    pending_counts_days: int


@dataclass(frozen=True, slots=True)
class BeforeItIsTooLate:
    """What R18 found: the immunoglobulin, or first drug against BCMA, that is ordered, and which titers are meant."""

    ordered: str
    titers: str


@patient_rule(
    "R18",
    reads={Topic.SCREENING, Topic.PROPHYLAXIS, Topic.TREATMENT, Topic.CELL_THERAPY},
    heeds={Topic.PLANS},
    settings=Titers,
    facts=BeforeItIsTooLate,
    variants={"before_immunoglobulin", "before_bcma"},
    missing={"immunoglobulin", "titers", "bcma_given"},
)
def titers_before_it_is_too_late(history: TreatmentHistory, _: Hook, settings: Titers) -> Conclusion:
    """No antibody titers before the first immunoglobulin, or before the first drug against BCMA."""
    orders = history.judged_orders
    immunoglobulin = next((o for o in orders if o.drug is not None and o.drug.drug_class is _IMMUNOGLOBULIN), None)
    if immunoglobulin is not None:
        answer = _before_immunoglobulin(history, immunoglobulin, settings)
        if answer.outcome is not Outcome.NOT_APPLICABLE:
            return answer
    bcma = _first_against_bcma(orders)
    return not_applicable() if bcma is None else _before_bcma(history, bcma, settings)


def _first_against_bcma(orders: tuple[ProposedOrder, ...]) -> ProposedOrder | None:
    return next((order for order in orders if order.may_target(_BCMA)), None)


def _before_immunoglobulin(history: TreatmentHistory, order: ProposedOrder, settings: Titers) -> Conclusion:
    """Judge an order of the first immunoglobulin ever, of a patient whose immunity BCMA-directed therapy lowers."""
    if not _has_to_do_with_bcma(history):
        return not_applicable(absent=_TREATED)
    given = ever_given(history)
    if given.answer is _YES:
        return not_applicable()
    drawn = tuple(result.source for result in history.serology if result.test in settings.titers)
    if drawn:
        return satisfied(evidence=drawn[-1:])
    if given.answer is _UNKNOWN:
        return cannot_tell(Missing("immunoglobulin"), evidence=given.evidence)
    return _drafted(history, order, "before_immunoglobulin", settings, {Topic.PROPHYLAXIS, Topic.SCREENING})


def _has_to_do_with_bcma(history: TreatmentHistory) -> bool:
    """Whether a drug against BCMA was given or is ordered, planned or prepared, as far as anything says so."""
    return (
        bool(history.courses_against(_BCMA))
        or any(infusion.targets(_BCMA) is not _NO for infusion in history.infusions)
        or any(order.may_target(_BCMA) for order in history.orders)
        or bool(history.collections)
        or any(
            plan.kind in CAR_T_STEPS
            and plan.state is not PlanState.UNCLEAR
            and (plan.product is None or _BCMA in plan.product.antigens)
            for plan in history.plans
        )
    )


def _before_bcma(history: TreatmentHistory, order: ProposedOrder, settings: Titers) -> Conclusion:
    """Judge an order of the first drug against BCMA; soon after immunoglobulin it is too late, which R19 says."""
    first = _first_course(history)
    if first is not None:
        return first
    given = given_within(history, history.today, settings.passive_days)
    if given.answer is _YES:
        return not_applicable()
    if given.answer is _UNKNOWN:
        return cannot_tell(Missing("immunoglobulin"), evidence=given.evidence)
    readable = _readable_titers(history, settings)
    if readable is not None:
        return readable
    return _drafted(history, order, "before_bcma", settings, {*_TREATED, Topic.PROPHYLAXIS, Topic.SCREENING})


def _first_course(history: TreatmentHistory) -> Conclusion | None:
    """Answer where BCMA-directed therapy was given before, or may have been; None for a first course."""
    courses = history.courses_against(_BCMA)
    infusions = [i for i in history.infusions if i.targets(_BCMA) is not _NO]
    if any(course.is_proven_or_reported for course in courses):
        return not_applicable()
    if any(infusion.is_stated and infusion.targets(_BCMA) is _YES for infusion in infusions):
        return not_applicable()
    doubtful = [course.sources[0] for course in courses] + [infusion.sources[0] for infusion in infusions]
    return cannot_tell(Missing("bcma_given"), evidence=tuple(doubtful[:1])) if doubtful else None


def _readable_titers(history: TreatmentHistory, settings: Titers) -> Conclusion | None:
    """Answer where titers were drawn lately, and not soon after immunoglobulin, or may have been; else None."""
    open_: list[SourceRef] = []
    today = history.today
    for result in history.serology:
        if result.test not in settings.titers:
            continue
        recent = was_within(result, today, settings.titer_days)
        if recent is _NO:
            continue
        passive = _UNKNOWN if result.on is None else sample_after_it(history, result.on, settings.passive_days)
        if recent is _YES and passive is _NO:
            return satisfied(evidence=(result.source,))
        if passive is not _YES:
            open_.append(result.source)
    return cannot_tell(Missing("titers"), evidence=tuple(open_[:1])) if open_ else None


def _drafted(
    history: TreatmentHistory, order: ProposedOrder, variant: str, settings: Titers, absent: set[Topic]
) -> Conclusion:
    """Flag, unless titers are being ordered for a day before the event."""
    event = planned_day(order, history)
    ordered = is_ordered(history, settings.titers.keys(), settings.pending_counts_days, by=event)
    if ordered is not _NO:
        return satisfied() if ordered is _YES else cannot_tell(Missing("titers"))
    by = _before(event, history.as_of)
    proposals = [Proposal("titer-panel", end=by)]
    if is_ordered(history, {"igg"}, settings.pending_counts_days, by=event) is not _YES:
        proposals.append(Proposal("igg-before-infusion", end=by))
    return Conclusion(
        Outcome.FLAGGED,
        variant=variant,
        facts=BeforeItIsTooLate(order.therapy, ", ".join(settings.titers.values())),
        absent=frozenset(absent),
        proposals=tuple(proposals),
    )


def _before(event: ClinicalDate, as_of: date) -> date | None:
    """Give the last day on which a test still comes before an event; None where no later day is planned."""
    return event.earliest if event.earliest > as_of else None


class AfterImmunoglobulin(Titers):
    """The antibody tests that R19 looks for besides the titers, by their names."""

    tests: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class MayBePassive:
    """What R19 found: the antibody tests, the drug beside which titers are wanted, and the last immunoglobulin."""

    tests: str
    given: ClinicalDate
    days: Days
    ordered: str = ""


@patient_rule(
    "R19",
    reads={Topic.PROPHYLAXIS},
    heeds={Topic.SCREENING, Topic.TREATMENT, Topic.CELL_THERAPY},
    settings=AfterImmunoglobulin,
    facts=MayBePassive,
    variants={"ordered", "titers", "both", "too_late_for_titers"},
    missing={"immunoglobulin"},
)
def antibodies_after_immunoglobulin(history: TreatmentHistory, _: Hook, settings: AfterImmunoglobulin) -> Conclusion:
    """An antibody test is ordered, or titers would be wanted, soon after immunoglobulin was given."""
    orders = history.judged_orders
    wanted = settings.tests
    asking = [order for order in orders if order.asks_for and not wanted.keys().isdisjoint(order.asks_for)]
    if asking:
        return _read_with_care(history, asking, settings)
    bcma = _first_against_bcma(orders)
    return not_applicable() if bcma is None else _too_late(history, bcma, settings)


def _read_with_care(
    history: TreatmentHistory, asking: list[ProposedOrder], settings: AfterImmunoglobulin
) -> Conclusion:
    """Judge tests that are ordered, each by the day for which it is."""
    days = [planned_day(order, history) for order in asking]
    found = [given_within(history, day, settings.passive_days) for day in days]
    concerned = [place for place, given in enumerate(found) if given.answer is _YES]
    if not concerned:
        open_ = [given for given in found if given.answer is _UNKNOWN]
        if open_:
            return cannot_tell(Missing("immunoglobulin"), evidence=open_[0].evidence)
        return satisfied(absent={Topic.PROPHYLAXIS})
    tests = frozenset().union(*(asking[place].asks_for for place in concerned))
    given, day = found[concerned[0]], days[concerned[0]]
    needs_dna = not tests.isdisjoint(_HEPATITIS_B_ANTIBODIES)
    has_dna = needs_dna and is_ordered(history, {_HBV_DNA}, settings.pending_counts_days) is _YES
    names = ", ".join(name for test, name in settings.tests.items() if test in tests)
    return Conclusion(
        Outcome.FLAGGED,
        variant=_variant(tests, settings),
        facts=_passive(names, given, day),
        evidence=given.evidence[-1:],
        proposals=(Proposal(_HBV_DNA),) if needs_dna and not has_dna else (),
    )


def _variant(tests: frozenset[str], settings: AfterImmunoglobulin) -> str:
    """Tell titers, which nothing replaces, from tests beside which there is one for antigen or nucleic acid."""
    if tests.isdisjoint(settings.titers):
        return "ordered"
    return "titers" if tests & settings.tests.keys() <= settings.titers.keys() else "both"


def _passive(tests: str, given: Given, day: ClinicalDate, ordered: str = "") -> MayBePassive:
    last = given.last or day  # what was given has a day, or it could not lie within days
    return MayBePassive(tests, last, last.days_until(day), ordered)


def _too_late(history: TreatmentHistory, order: ProposedOrder, settings: AfterImmunoglobulin) -> Conclusion:
    """Say it where R18 would ask for titers before the first drug against BCMA, had there been no immunoglobulin."""
    given = given_within(history, history.today, settings.passive_days)
    if given.answer is not _YES or _first_course(history) is not None:
        return not_applicable()
    if _readable_titers(history, settings) is not None:
        return not_applicable()
    return Conclusion(
        Outcome.FLAGGED,
        variant="too_late_for_titers",
        facts=_passive(", ".join(settings.titers.values()), given, history.today, order.therapy),
        evidence=given.evidence[-1:],
    )


class Vectors(Settings):
    """The CAR T products of R40 that are made with a lentiviral vector, by the ids of the catalogue."""

    lentiviral: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FalselyPositive:
    """What R40 found: the cells that were given, and when, where that is known."""

    product: str
    infused: str


@patient_rule(
    "R40",
    reads={Topic.CELL_THERAPY},
    heeds={Topic.SCREENING},
    settings=Vectors,
    facts=FalselyPositive,
    variants={"lentiviral", "vector_unknown"},
    missing={"infusion_given"},
    notes={"hiv_known"},
)
def hiv_test_finds_the_vector(history: TreatmentHistory, _: Hook, settings: Vectors) -> Conclusion:
    """A test for the nucleic acid of HIV is ordered after CAR T cells whose vector it may find."""
    if not any("hiv-nat" in order.asks_for for order in history.judged_orders):
        return not_applicable()
    cells = cells_with_vector(history, settings.lentiviral)
    if cells is None:
        return satisfied(absent={Topic.CELL_THERAPY})
    if not cells.is_given:
        return cannot_tell(Missing("infusion_given"), evidence=cells.evidence)
    known = hiv_on_record(history)
    is_drafted = any("hiv-ag-ab" in order.asks_for for order in history.orders)
    return Conclusion(
        Outcome.FLAGGED,
        variant="lentiviral" if cells.is_lentiviral is _YES else "vector_unknown",
        facts=FalselyPositive(cells.product, f" ({cells.infused})" if cells.infused else ""),
        evidence=cells.evidence,
        notes=("hiv_known",) if known else (),
        proposals=() if known or is_drafted else (Proposal("hiv-ag-ab", recommended=True),),
    )

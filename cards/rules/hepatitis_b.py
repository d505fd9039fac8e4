"""Hepatitis B that treatment may wake up: a positive marker without antiviral drug, or without a look at its DNA."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from cards.finding import Conclusion, Hook, Missing, Outcome, Proposal, cannot_tell, not_applicable, satisfied
from cards.rulebook import Settings, patient_rule
from cards.situation.agents import allergies_are_known
from cards.situation.answers import OnRecord, any_of, on_record
from cards.situation.hiv import hiv_on_record
from cards.situation.immunoglobulin import ever_given, sample_after_it
from cards.situation.in_use import in_use
from cards.situation.infection_tests import done_within, is_ordered
from cards.situation.results import filters_enough
from cards.situation.since_car_t import latest_infusion
from fhir_mapping.model.dates import Answer, ClinicalDate
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.orders import ProposedOrder
from fhir_mapping.model.patient import Allergen
from fhir_mapping.model.results import Finding, SerologyResult
from fhir_mapping.model.treatment import SourceRef
from fhir_mapping.model.vocabulary import Certainty, DrugClass, Topic

# Looking a member up in its Enum costs as much as a call in Python 3.11, and every order is asked
_WAKING = frozenset({DrugClass.BISPECIFIC, DrugClass.CAR_T, DrugClass.ANTI_CD38, DrugClass.ADC})
_ANTIVIRAL, _STATED = DrugClass.HBV_ANTIVIRAL, Certainty.STATED
_POSITIVE, _NEGATIVE, _INDETERMINATE = Finding.POSITIVE, Finding.NEGATIVE, Finding.INDETERMINATE
_YES, _NO, _UNKNOWN = Answer.YES, Answer.NO, Answer.UNKNOWN
_PATIENT_VIEW = Hook.PATIENT_VIEW
_HBSAG, _ANTI_HBC, _HBV_DNA = "hbsag", "anti-hbc-total", "hbv-dna"
_TESTS = (_HBSAG, _ANTI_HBC, _HBV_DNA)
_CARRIER = frozenset({"hbv-chronic", "hbv-carrier-or-hbsag-positive"})


class HepatitisB(Settings):
    """Numbers of R23, in days, and the names of the markers on its cards."""

    names: Mapping[str, str]
    after_car_t_days: int
    dna_days: int
    passive_days: int
    pending_counts_days: int
    recent_dose_days: int
    egfr_lookback_days: int
    egfr_minimum_for_dose: int


@dataclass(frozen=True, slots=True)
class Reactivation:
    """What R23 found: the marker with its day, the treatment, and, where it was once positive, the latest result."""

    marker: str
    therapy: str
    latest: str = ""


class _Marker(NamedTuple):
    """What is known of hepatitis B: the variant of the card, or that it is negative, or unknown."""

    variant: str
    marker: str = ""
    evidence: tuple[SourceRef, ...] = ()
    may_be_passive: bool = False
    latest: str = ""


@patient_rule(
    "R23",
    reads={Topic.SCREENING, Topic.PROPHYLAXIS, Topic.CELL_THERAPY},
    heeds={Topic.LABS, Topic.ALLERGIES},
    settings=HepatitisB,
    facts=Reactivation,
    variants={"infected", "once_positive", "exposed", "passive"},
    missing={"marker", "antiviral", "dna", "infusion"},
    notes={
        "may_be_passive",
        "hiv_known",
        "allergies_unread",
        "entecavir_allergy",
        "renal_function_unread",
        "renal_function_low",
    },
)
def hepatitis_b_unguarded(history: TreatmentHistory, hook: Hook, settings: HepatitisB) -> Conclusion:
    """A marker of hepatitis B is positive, and no antiviral drug and no look at the viral DNA is on record."""
    if hook is _PATIENT_VIEW:
        return _after_car_t(history, settings)
    order = next((o for o in history.judged_orders if _may_wake(o)), None)
    if order is None:
        return not_applicable()
    return _judged(history, order.therapy, settings)


def _may_wake(order: ProposedOrder) -> bool:
    return (order.drug is not None and order.drug.drug_class in _WAKING) or order.is_car_t_step


def _after_car_t(history: TreatmentHistory, settings: HepatitisB) -> Conclusion:
    """Judge a chart that is opened in the time after CAR T cells."""
    if not history.infusions:
        return not_applicable(absent={Topic.CELL_THERAPY})
    cells = latest_infusion(history)
    is_recent = cells.is_at_most(settings.after_car_t_days, history.today)
    if is_recent is _NO:
        return not_applicable()
    answer = _judged(history, cells.product, settings)
    if answer.outcome is Outcome.FLAGGED and is_recent is _UNKNOWN:
        return cannot_tell(Missing("infusion"), evidence=cells.doubts[:1])
    return answer


def _judged(history: TreatmentHistory, therapy: str, settings: HepatitisB) -> Conclusion:
    """Judge the markers first: most charts hold none that is positive."""
    marker = _marker(history, settings)
    if marker.variant == "unknown":
        return cannot_tell(Missing("marker"), evidence=marker.evidence)
    if marker.variant == "negative":
        return satisfied(evidence=marker.evidence)
    covered, sources = _antiviral(history, settings)
    if covered is _YES:
        return satisfied(evidence=sources)
    dna = _dna(history, settings)
    if marker.variant != "infected" and dna is _YES:
        return satisfied(evidence=marker.evidence)
    if covered is _UNKNOWN:
        return cannot_tell(Missing("antiviral"), evidence=sources)
    if marker.variant != "infected" and dna is _UNKNOWN:
        return cannot_tell(Missing("dna"), evidence=marker.evidence)
    answer = Conclusion(
        Outcome.FLAGGED,
        variant=marker.variant,
        facts=Reactivation(marker.marker, therapy, marker.latest),
        evidence=marker.evidence,
        absent=frozenset({Topic.PROPHYLAXIS})
        if marker.variant == "infected"
        else frozenset({Topic.PROPHYLAXIS, Topic.SCREENING}),
    )
    return _with_drafts(answer, marker, history, settings, needs_dna=dna is not _YES)


def _marker(history: TreatmentHistory, settings: HepatitisB) -> _Marker:
    """Find the marker that says most: infected, infected once, exposed, perhaps passive antibodies, or negative.

    The virus stays in the liver when HBsAg or its DNA is lost. An antibody that was positive once counts too, since
    treatment against plasma cells takes antibodies away; a test that was not done, or whose latest result is not
    clear, reassures nobody.
    """
    latest = {test: history.latest_serology(test) for test in _TESTS} if history.serology else {}
    for test in (_HBSAG, _HBV_DNA):
        result = latest.get(test)
        if result is not None and result.finding is _POSITIVE:
            return _Marker("infected", _named(test, result.on, settings), (result.source,))
    listed = [problem for problem in history.problems if problem.concept in _CARRIER]
    for problem in listed:
        if problem.certainty is _STATED:  # one that is over leaves the virus in the liver
            variant = "exposed" if problem.active is _NO else "infected"
            return _Marker(variant, settings.names["problem"], (problem.source,))
    for test in (_HBSAG, _HBV_DNA):
        once = _positive(test, history)
        if once:
            return _once_positive(once, latest[test], settings)
    positive = _positive(_ANTI_HBC, history)
    if positive:
        return _exposed(positive, history, settings)
    surface, core, dna = (latest.get(test) for test in _TESTS)
    unclear = [r for r in (surface, core, dna) if r is not None and r.finding is _INDETERMINATE]
    if listed or unclear or surface is None or core is None:
        return _Marker("unknown", evidence=(*(p.source for p in listed), *(r.source for r in unclear)))
    return _Marker("negative", evidence=(surface.source, core.source))


def _positive(test: str, history: TreatmentHistory) -> list[SerologyResult]:
    """List the positive results of a test, but for those that a result of the same day contradicts."""
    results = [result for result in history.serology if result.test == test]
    contradicted = {result.on for result in results if result.finding is not _POSITIVE}
    return [r for r in results if r.finding is _POSITIVE and (r.on is None or r.on not in contradicted)]


def _once_positive(once: list[SerologyResult], latest: SerologyResult | None, settings: HepatitisB) -> _Marker:
    """Name the last positive result of a test whose latest result is another, or not clear."""
    last = max(once, key=lambda result: result.on.latest if result.on is not None else date.min)
    since, sources = "not clear", [last.source]
    if latest is not None and latest.on is not None:
        since = f"{latest.finding} {latest.on}"
        sources.append(latest.source)
    marker = _named(last.test, last.on, settings)
    return _Marker("once_positive", marker, tuple(dict.fromkeys(sources)), latest=since)


def _exposed(positive: list[SerologyResult], history: TreatmentHistory, settings: HepatitisB) -> _Marker:
    """Tell the patient's own antibodies from those that immunoglobulin may have brought."""
    passive = [_may_be_passive(result, history, settings) for result in positive]
    # Of several, those that are surely the patient's own speak first
    weight = (_NO, _UNKNOWN, _YES)
    result, answer = min(zip(positive, passive, strict=True), key=lambda found: weight.index(found[1]))
    variant = "passive" if answer is _YES else "exposed"
    return _Marker(variant, _named(_ANTI_HBC, result.on, settings), (result.source,), answer is not _NO)


def _may_be_passive(result: SerologyResult, history: TreatmentHistory, settings: HepatitisB) -> Answer:
    if result.on is None:
        return _NO if ever_given(history).answer is _NO else _UNKNOWN
    return sample_after_it(history, result.on, settings.passive_days)


def _named(test: str, on: ClinicalDate | None, settings: HepatitisB) -> str:
    return settings.names[test] if on is None else f"{settings.names[test]} {on}"


def _antiviral(history: TreatmentHistory, settings: HepatitisB) -> OnRecord:
    """Whether a drug against hepatitis B is being given or ordered."""
    if any(o.drug is not None and o.drug.drug_class is _ANTIVIRAL for o in history.orders):
        return OnRecord(_YES)
    records = [care for care in history.supportive_care if care.drug.drug_class is _ANTIVIRAL]
    return on_record([(in_use(care, history, settings.recent_dose_days), care.source) for care in records])


def _dna(history: TreatmentHistory, settings: HepatitisB) -> Answer:
    """Whether the DNA of the virus was looked for lately, or is being ordered."""
    done = done_within(history, _HBV_DNA, history.today, settings.dna_days)
    if done.answer is _YES:
        return _YES
    return any_of(done.answer, is_ordered(history, {_HBV_DNA}, settings.pending_counts_days))


def _with_drafts(
    answer: Conclusion, marker: _Marker, history: TreatmentHistory, settings: HepatitisB, *, needs_dna: bool
) -> Conclusion:
    """Offer the DNA test first where an antibody alone is positive; no antiviral for one that may be passive."""
    dna = [Proposal(_HBV_DNA)] if needs_dna else []
    if marker.variant == "passive":
        return answer._replace(proposals=tuple(dna))
    note, antiviral = _entecavir(marker, history, settings)
    first = [*antiviral, *dna] if marker.variant == "infected" else [*dna, *antiviral]
    return answer._replace(notes=(note,) if note else (), proposals=(*first, Proposal("hepatology")))


def _entecavir(marker: _Marker, history: TreatmentHistory, settings: HepatitisB) -> tuple[str, list[Proposal]]:
    """Offer entecavir where nothing that was read speaks against it; a dose only with good renal function."""
    if marker.may_be_passive:
        return "may_be_passive", []
    if hiv_on_record(history):
        return "hiv_known", []
    if not allergies_are_known(history):
        return "allergies_unread", []
    if history.is_allergic_to(Allergen.ENTECAVIR):
        return "entecavir_allergy", []
    match filters_enough(history, settings.egfr_minimum_for_dose, settings.egfr_lookback_days):
        case Answer.YES:
            return "", [Proposal("entecavir", with_dose=True)]
        case Answer.NO:
            return "renal_function_low", [Proposal("entecavir")]
        case Answer.UNKNOWN:
            return "renal_function_unread", [Proposal("entecavir")]

"""Condition and AllergyIntolerance: the diagnosis, relapse, history of cells, problems, and allergies."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from msgspec import UNSET, Raw

from fhir_mapping import wire
from fhir_mapping.catalog.care_words import refused_in
from fhir_mapping.catalog.codes import codings_of
from fhir_mapping.catalog.loader import Catalog, texts_of
from fhir_mapping.catalog.phrases import DiagnosisWords, Said, read_diagnosis, read_words
from fhir_mapping.catalog.texts import words
from fhir_mapping.elements import Concepts, concepts_in
from fhir_mapping.model.care import Refusal, RefusedTherapy
from fhir_mapping.model.dates import Answer, ClinicalDate
from fhir_mapping.model.history import DataGap, GapCode
from fhir_mapping.model.patient import OTHER_B_CELLS, THROMBOSIS, Allergen, Allergy, Problem
from fhir_mapping.model.treatment import (
    CarTInfusion,
    Progression,
    SourceRef,
    Transplant,
    TransplantKind,
    UnrecognisedTreatment,
)
from fhir_mapping.model.vocabulary import Certainty, Tier
from fhir_mapping.readers.context import Context, label_of, source_of

_WRONG = {"refuted", "entered-in-error"}
_UNPROVEN = {"unconfirmed", "provisional", "differential"}
_RELAPSING = {"relapse", "recurrence"}
_OVER = {"inactive", "resolved"}
_PRESENT = {"active", *_RELAPSING}
_PAST = {"remission", *_OVER}
_CURRENT = {"", *_PRESENT}
_CERTAIN = {"", "confirmed"}
_POSSIBLE_MYELOMA = "possible-multiple-myeloma"
_MYELOMA = frozenset({"multiple-myeloma", "multiple-myeloma-remission", "multiple-myeloma-relapse", _POSSIBLE_MYELOMA})
_HISTORIES = frozenset({"history-car-t", "history-stem-cell-transplant"})
_CELL_THERAPY = frozenset({"history-cellular-therapy-other", "named-cell-therapy"})
# Concepts that are facts of their own, or say nothing of the patient's state
_NO_PROBLEM = _MYELOMA | {
    "history-car-t",
    *_CELL_THERAPY,
    "history-stem-cell-transplant",
    "history-antineoplastic",
    "encounter-antineoplastic",
    "sulfonamide-allergy",
    "comfort-care",
}
# Problems that whole families of codes stand for, and the pages that tell them
_BY_FAMILY = {OTHER_B_CELLS: "other_b_cell_malignancy", THROMBOSIS: "thrombosis"}
_CACHED_PROBLEMS = 4_096
_CACHED_ALLERGIES = 4_096
_BARRED = {
    Allergen.SULFONAMIDE: {"sulfamethoxazole-trimethoprim"},
    Allergen.TRIMETHOPRIM: set[str](),
    Allergen.ATOVAQUONE: {"atovaquone"},
    Allergen.ACYCLOVIR: {"acyclovir", "valacyclovir"},
    Allergen.ENTECAVIR: {"entecavir"},
}


@dataclass(frozen=True, slots=True)
class MyelomaEntry:
    """A problem list entry for multiple myeloma; `stated` is false for one that is only suspected."""

    stated: bool
    source: SourceRef


@dataclass(frozen=True, slots=True)
class ComfortCare:
    """A problem list entry that says the patient is in hospice or comfort care."""


@dataclass(frozen=True, slots=True)
class _Meaning:
    """What the code of a condition stands for; a problem is possible where its words leave it open.

    `refused` are the T-cell-redirecting therapies that its words call refused, or not suitable for the patient.
    """

    concepts: frozenset[str]
    problems: tuple[tuple[str, Certainty], ...]
    refused: tuple[RefusedTherapy, ...]


Fact = (
    MyelomaEntry
    | ComfortCare
    | Progression
    | CarTInfusion
    | Transplant
    | Problem
    | Allergy
    | Refusal
    | UnrecognisedTreatment
)


def names_myeloma(condition: wire.Condition, catalog: Catalog) -> bool:
    """Whether a problem list entry is about multiple myeloma at all, whatever it says of it."""
    return bool(catalog.condition(condition.code) & _MYELOMA)


def read_conditions(conditions: Iterable[wire.Condition], context: Context) -> Iterator[Fact]:
    """Turn problems into facts; most are none that a rule looks at."""
    catalog = context.catalog
    for condition in conditions:
        code = condition.code
        if code is not None and (meaning := _meaning(code, catalog)) is not None:
            yield from _facts_of(condition, code, meaning, context)


def _facts_of(condition: wire.Condition, code: wire.Concept, meaning: _Meaning, context: Context) -> Iterator[Fact]:
    """Read one problem; a refuted one yields nothing."""
    concepts = meaning.concepts
    verification = _codes(condition.verification_status)
    if verification & _WRONG:
        return
    recorded = context.past_day(condition.recorded_date, "Condition")
    source = source_of(condition, recorded)
    unproven = bool(verification & _UNPROVEN)
    if concepts & _MYELOMA:
        is_unsure = unproven or not concepts & (_MYELOMA - {_POSSIBLE_MYELOMA})
        yield MyelomaEntry(not is_unsure, source)
        yield from _relapse(condition, concepts, recorded, context, unproven=is_unsure)
    if concepts & _HISTORIES or meaning.problems:
        certainty = Certainty.POSSIBLE if unproven else context.certainty(condition)
        yield from _history_of_cells(concepts, certainty, source)
        yield from _problems(condition, meaning, certainty, recorded, context)
    if meaning.refused and not unproven and _is_current(condition, context):
        yield from (Refusal(label_of(code), recorded, source, therapy) for therapy in meaning.refused)
    if concepts & _CELL_THERAPY:
        yield UnrecognisedTreatment(label_of(code), may_be_cell_therapy=True, source=source)
    if "sulfonamide-allergy" in concepts:
        yield Allergy(Allergen.SULFONAMIDE, source)
    if "comfort-care" in concepts and _is_in_comfort_care(condition, code, context):
        yield ComfortCare()


@lru_cache(maxsize=_CACHED_PROBLEMS)
def _meaning(code: wire.Concept, catalog: Catalog) -> _Meaning | None:
    """Say what a code or text stands for, if anything; read once, since a chart repeats its conditions."""
    concepts = catalog.condition(code)
    problems = dict.fromkeys(sorted(concepts - _NO_PROBLEM), Certainty.STATED)
    for problem, page in _BY_FAMILY.items():
        said = _of_family(page, code, catalog, in_words=not concepts)
        if said is not None:
            problems[problem] = said
    refused = frozenset().union(*(refused_in(text, catalog) for text in texts_of(code)))
    if not (concepts or problems or refused):
        return None
    return _Meaning(concepts, tuple(problems.items()), tuple(sorted(refused)))


def _is_current(condition: wire.Condition, context: Context) -> bool:
    is_over = condition.abatement_date_time is not None or not _codes(condition.clinical_status) <= _CURRENT
    return not is_over and context.certainty(condition) is Certainty.STATED


def _of_family(page: str, code: wire.Concept, catalog: Catalog, *, in_words: bool) -> Certainty | None:
    """Say how sure a problem is that a whole family of codes stands for; words count where no code is known."""
    prefixes = tuple(catalog.recognition[page]["icd10cm_prefixes"])
    if any(system == "icd10cm" and plain.startswith(prefixes) for system, plain in codings_of(code)):
        return Certainty.STATED
    said = {_words_of(page, catalog).said_in(text) for text in texts_of(code)} if in_words else set()
    if Said.STATED in said:
        return Certainty.STATED
    return Certainty.POSSIBLE if Said.UNCLEAR in said else None


@lru_cache(maxsize=len(_BY_FAMILY))
def _words_of(page: str, catalog: Catalog) -> DiagnosisWords:
    return read_diagnosis(catalog.recognition[page])


def _history_of_cells(
    concepts: frozenset[str], certainty: Certainty, source: SourceRef
) -> Iterator[CarTInfusion | Transplant]:
    """Read codes that say cells were given at some time: never when, nor which."""
    if "history-car-t" in concepts:
        yield CarTInfusion(None, None, Tier.UNDATED, certainty, (source,))
    if "history-stem-cell-transplant" in concepts:
        yield Transplant(TransplantKind.UNKNOWN, None, Tier.UNDATED, certainty, (source,))


def _problems(
    condition: wire.Condition,
    meaning: _Meaning,
    certainty: Certainty,
    recorded: ClinicalDate | None,
    context: Context,
) -> Iterator[Problem]:
    """Read what the problem list says of each problem that a code stands for."""
    if not meaning.problems:
        return
    onset_day = condition.onset_date_time or (condition.onset_period or wire.NO_PERIOD).start
    onset = context.past_day(onset_day, "Condition")
    active = _active(condition, context)
    is_silent = not any(_codes(condition.clinical_status)) and not _names_an_end(condition)
    source = source_of(condition, recorded)
    for concept, said in meaning.problems:
        sure = Certainty.POSSIBLE if Certainty.POSSIBLE in {said, certainty} else Certainty.STATED
        yield Problem(concept, active, sure, onset, recorded, source, is_silent)


def _active(condition: wire.Condition, context: Context) -> Answer:
    """Whether a problem is present today: by its clinical status, or by the day on which it ended.

    A status that contradicts the day, or another status, leaves it open.
    """
    status = _codes(condition.clinical_status)
    abated = context.day(condition.abatement_date_time, "Condition")
    answers = {Answer.YES for code in status & _PRESENT if code} | {Answer.NO for code in status & _PAST if code}
    if abated is not None and abated.latest <= context.as_of:
        answers.add(Answer.NO)
    return answers.pop() if len(answers) == 1 else Answer.UNKNOWN


def _relapse(
    condition: wire.Condition,
    concepts: frozenset[str],
    recorded: ClinicalDate | None,
    context: Context,
    *,
    unproven: bool,
) -> Iterator[Progression]:
    """Read a relapse by its code, or by the clinical status, which may have changed after the entry was made."""
    certainty = Certainty.POSSIBLE if unproven else context.certainty(condition)
    if "multiple-myeloma-relapse" in concepts:
        yield Progression(recorded, certainty, source_of(condition, recorded))
    elif _codes(condition.clinical_status) & _RELAPSING:
        since = ClinicalDate(recorded.earliest, context.as_of) if recorded else None
        yield Progression(since, certainty, source_of(condition, since))


def read_allergy(allergy: wire.AllergyIntolerance, context: Context) -> Iterator[Allergy]:
    """Turn one allergy into a fact, if it bears on a draft order of ours, or may for all that it says."""
    if _codes(allergy.verification_status) & _WRONG:
        return
    source = source_of(allergy, context.past_day(allergy.recorded_date, "AllergyIntolerance"))
    substances = _substances(allergy)
    named = [concept for concept in (allergy.code, allergy.substance) if concept is not None]
    named += substances.read
    allergens = frozenset().union(*(_allergens(concept, context.catalog) for concept in named))
    if not substances.is_whole or not (allergens or any(_names_something(c, context.catalog) for c in named)):
        context.gaps.append(DataGap(GapCode.UNREADABLE, "AllergyIntolerance"))
        allergens |= {Allergen.UNKNOWN}
    for allergen in sorted(allergens):
        yield Allergy(allergen, source)


def _substances(allergy: wire.AllergyIntolerance) -> Concepts:
    """List what the patient reacted to, which may say more than the name of the allergy."""
    found: list[wire.Concept] = []
    is_whole = True
    for raw in wire.members_of(allergy.reaction):
        reaction = wire.decode(raw, dict[str, Raw])
        substances = concepts_in((reaction or {}).get("substance", UNSET))
        found += substances.read
        is_whole = is_whole and reaction is not None and substances.is_whole
    return Concepts(tuple(found), is_whole)


@lru_cache(maxsize=_CACHED_ALLERGIES)
def _names_something(concept: wire.Concept, catalog: Catalog) -> bool:
    """Whether an entry names any substance at all: in words, or without any by a code of a system that we know."""
    empty = frozenset(catalog.recognition["allergy_words"]["names_nothing"])
    texts = texts_of(concept)
    if texts:
        return any(not empty.issuperset(words(text)) for text in texts)
    return any(system in catalog.recognition["systems"] for system, _ in codings_of(concept))


@lru_cache(maxsize=_CACHED_ALLERGIES)
def _allergens(code: wire.Concept, catalog: Catalog) -> frozenset[Allergen]:
    """Find the allergens that an entry names, negated or not: what stands in a list of allergies is one."""
    texts = texts_of(code)
    drugs = {drug.id for drug in catalog.drug(code).drugs}
    found = {
        allergen
        for allergen, ids in _BARRED.items()
        if drugs & ids or any(catalog.signs[f"{allergen.value}_allergy"].named_in(text) for text in texts)
    }
    if "sulfonamide-allergy" in catalog.concepts("condition", code):
        found.add(Allergen.SULFONAMIDE)
    if Allergen.SULFONAMIDE in found:
        found.discard(Allergen.TRIMETHOPRIM)  # the combination is barred already
    return frozenset(found)


def _is_in_comfort_care(condition: wire.Condition, code: wire.Concept, context: Context) -> bool:
    """Whether an entry says so for certain, and of today: behind the gate that it closes, nothing is said any more."""
    if not (_codes(condition.clinical_status) <= _CURRENT and _codes(condition.verification_status) <= _CERTAIN):
        return False
    return (
        not _names_an_end(condition)
        and context.certainty(condition) is Certainty.STATED
        and _means_comfort_care(code, context.catalog)
    )


def _names_an_end(condition: wire.Condition) -> bool:
    """Whether an entry says in any form that the problem has ended, or will."""
    ends = (condition.abatement_period, condition.abatement_string, condition.abatement_age, condition.abatement_range)
    return condition.abatement_date_time is not None or any(end is not UNSET for end in ends)


@lru_cache(maxsize=_CACHED_PROBLEMS)
def _means_comfort_care(code: wire.Concept, catalog: Catalog) -> bool:
    """Whether some clause says that the patient is in hospice, or a code where no word speaks of it."""
    sign, mentions = catalog.signs["comfort_care"], frozenset(catalog.recognition["comfort_care"]["mentions"])
    clauses = [clause for text in texts_of(code) for clause in read_words(text).in_clauses() if sign.named_in(clause)]
    if not clauses:
        return "comfort-care" in catalog.concepts("condition", code)
    return any(sign.found_in(clause) and mentions.isdisjoint(clause.split()) for clause in clauses)


def _codes(status: wire.Concept | None) -> set[str]:
    """Read a status concept by its codes, or by its text where a sender gives no code."""
    if status is None:
        return set()
    codes = {coding.code.strip().lower() for coding in status.coding if coding.code}
    return codes or {(status.text or "").strip().lower()}

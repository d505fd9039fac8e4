"""Condition and AllergyIntolerance: the diagnosis, recorded relapse, CAR T history, and allergies."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from fhir_mapping import wire
from fhir_mapping.catalog.loader import Catalog, texts_of
from fhir_mapping.model.dates import ClinicalDate
from fhir_mapping.model.history import (
    Allergen,
    Allergy,
    CarTInfusion,
    Progression,
    SourceRef,
    UnrecognisedTreatment,
)
from fhir_mapping.model.vocabulary import Certainty, Tier
from fhir_mapping.readers.context import Context, source_of
from fhir_mapping.readers.medications import label_of

_WRONG = {"refuted", "entered-in-error"}
_UNPROVEN = {"unconfirmed", "provisional", "differential"}
_RELAPSING = {"relapse", "recurrence"}
_OVER = {"inactive", "resolved"}
_POSSIBLE_MYELOMA = "possible-multiple-myeloma"
_MYELOMA = frozenset({"multiple-myeloma", "multiple-myeloma-remission", "multiple-myeloma-relapse", _POSSIBLE_MYELOMA})
_CELL_THERAPY = frozenset({"history-cellular-therapy-other", "named-cell-therapy"})
_CACHED_ALLERGIES = 4_096
_BARRED = {
    Allergen.SULFONAMIDE: {"sulfamethoxazole-trimethoprim"},
    Allergen.TRIMETHOPRIM: set[str](),
    Allergen.ATOVAQUONE: {"atovaquone"},
    Allergen.ACYCLOVIR: {"acyclovir", "valacyclovir"},
}


@dataclass(frozen=True, slots=True)
class MyelomaEntry:
    """A problem list entry for multiple myeloma; `stated` is false for one that is only suspected."""

    stated: bool
    source: SourceRef


@dataclass(frozen=True, slots=True)
class ComfortCare:
    """A problem list entry that says the patient is in hospice or comfort care."""


Fact = MyelomaEntry | ComfortCare | Progression | CarTInfusion | Allergy | UnrecognisedTreatment


def names_myeloma(condition: wire.Condition, catalog: Catalog) -> bool:
    """Whether a problem list entry is about multiple myeloma at all, whatever it says of it."""
    return bool(catalog.condition(condition.code) & _MYELOMA)


def read_condition(condition: wire.Condition, context: Context) -> Iterator[Fact]:
    """Turn one problem into facts; a refuted one yields none."""
    concepts = context.catalog.condition(condition.code)
    if not concepts or condition.code is None:
        return
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
    if "history-car-t" in concepts:
        certainty = Certainty.POSSIBLE if unproven else context.certainty(condition)
        yield CarTInfusion(None, None, Tier.UNDATED, certainty, (source,))
    if concepts & _CELL_THERAPY:
        yield UnrecognisedTreatment(label_of(condition.code), may_be_cell_therapy=True, source=source)
    if "sulfonamide-allergy" in concepts:
        yield Allergy(Allergen.SULFONAMIDE, source)
    if "comfort-care" in concepts and not unproven and not (_codes(condition.clinical_status) & _OVER):
        yield ComfortCare()


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
    """Turn one allergy into a fact, if it bears on a draft order of ours."""
    if _codes(allergy.verification_status) & _WRONG or allergy.code is None:
        return
    source = source_of(allergy, context.past_day(allergy.recorded_date, "AllergyIntolerance"))
    for allergen in sorted(_allergens(allergy.code, context.catalog)):
        yield Allergy(allergen, source)


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


def _codes(status: wire.Concept | None) -> set[str]:
    """Read a status concept by its codes, or by its text where a sender gives no code."""
    if status is None:
        return set()
    codes = {coding.code.strip().lower() for coding in status.coding if coding.code}
    return codes or {(status.text or "").strip().lower()}

"""Why a drug was ended, from its coded or written reason; silence is no reason."""

from functools import lru_cache

from msgspec import UNSET

from fhir_mapping import wire
from fhir_mapping.catalog.loader import Catalog, texts_of
from fhir_mapping.catalog.phrases import Said
from fhir_mapping.elements import concepts_in
from fhir_mapping.model.history import DataGap, GapCode
from fhir_mapping.model.treatment import EndReason
from fhir_mapping.readers.context import Context

_CACHED_REASONS = 4_096
_SIGNS = (("reason_toxicity", EndReason.TOXICITY), ("reason_completion", EndReason.COMPLETION))


def end_reason(use: wire.MedicationUse, context: Context, *, ended: bool) -> EndReason | None:
    """Read why a drug was ended.

    `statusReason` gives it. `reasonCode` tells why the drug was given, and for an ended record only progression
    as the whole text counts there, since "relapsed myeloma" is what the drug was started for.
    """
    if use.status_reason is UNSET and (not ended or use.reason_code is UNSET):
        return None
    reasons = concepts_in(use.status_reason)
    stated = _stated(reasons.read, context.catalog)
    if not reasons.is_whole:
        context.gaps.append(DataGap(GapCode.PRUNED, type(use).__name__))
        if stated is not EndReason.PROGRESSION:
            stated = None  # what was lost may have been a progression
    if stated is not None or not ended:
        return stated
    sign = context.catalog.signs["reason_indication"]
    indication = (
        text for concept in context.concepts(use.reason_code, type(use).__name__) for text in texts_of(concept)
    )
    return EndReason.PROGRESSION if any(sign.said_in(text) is Said.STATED for text in indication) else None


@lru_cache(maxsize=_CACHED_REASONS)
def _stated(concepts: tuple[wire.Concept, ...], catalog: Catalog) -> EndReason | None:
    """Read all concepts of a reason; one that only hints at progression, or denies it, leaves the reason open."""
    if any("disease-status-progression" in catalog.concepts("lab", concept) for concept in concepts):
        return EndReason.PROGRESSION
    texts = [text for concept in concepts for text in texts_of(concept)]
    said = {catalog.signs["progression"].said_in(text) for text in texts}
    if Said.STATED in said:
        return EndReason.PROGRESSION
    if said - {Said.NOTHING}:
        return None
    return next((reason for sign, reason in _SIGNS if any(catalog.signs[sign].found_in(t) for t in texts)), None)

"""Why a drug was ended, from its coded or written reason; silence is no reason."""

from fhir_mapping import wire
from fhir_mapping.catalog.loader import texts_of
from fhir_mapping.model.history import EndReason
from fhir_mapping.readers.context import Context

_SIGNS = (
    ("reason_progression", EndReason.PROGRESSION),
    ("reason_toxicity", EndReason.TOXICITY),
    ("reason_completion", EndReason.COMPLETION),
)


def end_reason(use: wire.MedicationUse, context: Context, *, ended: bool) -> EndReason | None:
    """Read why a drug was ended.

    `statusReason` gives it. `reasonCode` tells why the drug was given, and for an ended record only the words
    for progression count there, since "relapsed myeloma" is what the drug was started for.
    """
    stated = _reason_in(wire.decode_concepts(use.status_reason), context)
    if stated is not None or not ended:
        return stated
    indication = wire.decode_concepts(use.reason_code)
    named = any("progress" in text.casefold() for concept in indication for text in texts_of(concept))
    reason = _reason_in(indication, context)
    return reason if named and reason is EndReason.PROGRESSION else None


def _reason_in(concepts: tuple[wire.Concept, ...], context: Context) -> EndReason | None:
    for concept in concepts:
        if "disease-status-progression" in context.catalog.concepts("lab", concept):
            return EndReason.PROGRESSION
        for text in texts_of(concept):
            for sign, reason in _SIGNS:
                if context.catalog.signs[sign].found_in(text):
                    return reason
    return None

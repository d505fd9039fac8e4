"""What the status of a drug record makes of it (status table of the clinical catalogue, section 2.2)."""

from collections.abc import Mapping

from fhir_mapping import wire
from fhir_mapping.readers.context import Standing

_STATEMENT = {
    "active": Standing.ACTIVE,
    "completed": Standing.ENDED,
    "stopped": Standing.ENDED,
    "on-hold": Standing.ON_HOLD,
    "intended": Standing.PLANNED,
    "not-taken": Standing.NOT_GIVEN,
    "unknown": Standing.POSSIBLE,
}
_ADMINISTRATION = {
    "in-progress": Standing.ACTIVE,
    "completed": Standing.ENDED,
    "stopped": Standing.ENDED,
    "on-hold": Standing.ON_HOLD,
    "not-done": Standing.NOT_GIVEN,
    "unknown": Standing.POSSIBLE,
}
_REQUEST = {
    "active": Standing.ACTIVE,
    "completed": Standing.ENDED,
    "stopped": Standing.ENDED,
    "on-hold": Standing.ON_HOLD,
    "draft": Standing.PLANNED,
    "cancelled": Standing.NOT_GIVEN,
    "unknown": Standing.POSSIBLE,
}
_DISPENSE = {
    "completed": Standing.ENDED,
    "stopped": Standing.ENDED,
    "in-progress": Standing.POSSIBLE,  # ready to be picked up
    "on-hold": Standing.ON_HOLD,
    "preparation": Standing.PLANNED,
    "cancelled": Standing.NOT_GIVEN,
    "declined": Standing.NOT_GIVEN,
    "unknown": Standing.POSSIBLE,
}
_STANDINGS: Mapping[type, Mapping[str, Standing]] = {
    wire.MedicationStatement: _STATEMENT,
    wire.MedicationAdministration: _ADMINISTRATION,
    wire.MedicationRequest: _REQUEST,
    wire.MedicationDispense: _DISPENSE,
}
_TAKEN = {None, "y"}  # else nobody knows
_STATED = {Standing.ACTIVE, Standing.ENDED}
_PLANNED_INTENTS = {"proposal", "plan", "option"}


def standing_of(use: wire.MedicationUse) -> Standing:
    """Translate the status; one that R4 does not know, or none, leaves the fact possible."""
    if type(use) is wire.MedicationRequest:
        if use.do_not_perform:
            return Standing.NOT_GIVEN
        if use.intent in _PLANNED_INTENTS:
            return Standing.PLANNED
    elif _older_fhir_says_not_given(use):
        return Standing.NOT_GIVEN
    standing = _STANDINGS[type(use)].get(use.status or "", Standing.POSSIBLE)
    if type(use) is wire.MedicationStatement and use.taken not in _TAKEN and standing in _STATED:
        return Standing.POSSIBLE
    return standing


def _older_fhir_says_not_given(use: wire.MedicationUse) -> bool:
    """Whether an element that R4 no longer has turns the record round: it must not be passed over."""
    if type(use) is wire.MedicationAdministration:
        return use.not_given or use.was_not_given
    if type(use) is wire.MedicationStatement:
        return use.was_not_taken or use.taken == "n"
    return type(use) is wire.MedicationDispense and use.not_done

"""What records say of the orders that they rest on: a dose missed, a supply not collected, an order halted."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import UNSET

from fhir_mapping import wire
from fhir_mapping.readers.context import LinkedOrders, Standing, local_reference
from fhir_mapping.readers.standings import standing_of
from fhir_mapping.versions import is_in_error

_HALTED = frozenset({"stopped", "on-hold", "cancelled"})
_OVER = frozenset({Standing.ENDED, Standing.ON_HOLD})


def orders_of(use: wire.MedicationUse) -> list[str]:
    """Name the orders that a record is, or rests on."""
    if type(use) is wire.MedicationRequest:
        return [f"MedicationRequest/{use.id}"] if use.id else []
    if type(use) is wire.MedicationAdministration:
        orders: Iterable[wire.Reference] = (use.request,) if use.request else ()
    else:
        orders = use.based_on if type(use) is wire.MedicationStatement else use.authorizing_prescription
    return [name for order in orders if (name := local_reference(order.reference))]


def linked_orders(by_type: Mapping[type, Sequence[Any]], sent: Iterable[wire.Resource]) -> LinkedOrders:
    """Index the orders by what the other records of a chart say of them.

    `sent` are all resources as they came, since an order that was entered in error stands in no list any more.
    """
    statements = [use for use in by_type[wire.MedicationStatement] if use.based_on]
    administrations = [use for use in by_type[wire.MedicationAdministration] if use.request]
    dispenses: Sequence[wire.MedicationDispense] = by_type[wire.MedicationDispense]
    # A fill that was cancelled may have been handed over elsewhere; one that was declined was not wanted
    declined = [dispense for dispense in dispenses if dispense.status == "declined" or dispense.not_done]
    halted = _not_given(statements) | frozenset(
        order for use in statements if standing_of(use) in _OVER and _is_plain(use) for order in orders_of(use)
    )
    if dispenses:
        orders: Sequence[wire.MedicationRequest] = by_type[wire.MedicationRequest]
        halted |= {f"MedicationRequest/{order.id}" for order in orders if order.status in _HALTED}
        taken_back = (r for r in sent if isinstance(r, wire.MedicationRequest) and is_in_error(r))
        standing = {order.id for order in orders}
        halted |= {f"MedicationRequest/{order.id}" for order in taken_back if order.id not in standing}
    return LinkedOrders(
        missed=_not_given([*administrations, *declined]),
        not_taken=_not_given(statements),
        not_collected=_not_given(declined),
        halted=halted,
    )


def _not_given(uses: Iterable[wire.MedicationUse]) -> frozenset[str]:
    """Name the orders of which a record says, without any modifier, that a dose was not given or taken."""
    return frozenset(
        order
        for use in uses
        if (orders := orders_of(use)) and standing_of(use) is Standing.NOT_GIVEN and _is_plain(use)
        for order in orders
    )


def _is_plain(use: wire.MedicationUse) -> bool:
    return use.modifier_extension is UNSET and use.implicit_rules is None

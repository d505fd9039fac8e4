"""Who calls: which FHIR servers its requests may name, and how it takes draft orders."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from cards.orders import Ordering, OwnCode
from cds_service.addresses import Base, bases_of
from cds_service.site import Dialect, Issuer, Site

# Epic names code systems by their OIDs, and takes an order's details from its own record of the code
_EPIC_RXNORM = "urn:oid:2.16.840.1.113883.6.88"


@dataclass(frozen=True, slots=True)
class Caller:
    """One client; `name` is its alias in log and records.

    A FHIR server is read without a token only where it is open; on this machine every server is, for a caller that
    may read from `loopback`.
    """

    name: str
    ordering: Ordering = field(default_factory=Ordering)
    fhir_bases: frozenset[Base] = frozenset()
    open_fhir_bases: frozenset[Base] = frozenset()
    loopback: bool = False

    def may_read(self, base: Base) -> bool:
        """Whether its requests may name this FHIR server."""
        return base in self.fhir_bases or self.may_read_without_token(base)

    def may_read_without_token(self, base: Base) -> bool:
        """Whether this FHIR server is read even when the request brings no token for it."""
        return base in self.open_fhir_bases or (self.loopback and base.is_loopback)


def caller_of(issuer: Issuer, site: Site) -> Caller:
    """Make the caller of an issuer that has been authenticated."""
    ordering = ordering_of(issuer.dialect, site)
    return Caller(issuer.name, ordering, bases_of(issuer.fhir_bases), bases_of(issuer.open_fhir_bases))


def anyone(fhir_bases: Sequence[str], site: Site) -> Caller:
    """Make the caller while authentication is off: it may name the servers of MMCDS_FHIR_BASES and this machine."""
    return Caller("anyone", ordering_of("standard", site), open_fhir_bases=bases_of(fhir_bases), loopback=True)


def ordering_of(dialect: Dialect, site: Site) -> Ordering:
    """Say how a client of this dialect takes orders, with the site's own codes."""
    own = {order.template: OwnCode(order.system, order.code, order.display) for order in site.orders}
    if dialect == "epic":
        return Ordering(own, rxnorm=_EPIC_RXNORM, needs_code=True, with_doses=site.draft_doses)
    return Ordering(own, with_doses=site.draft_doses)

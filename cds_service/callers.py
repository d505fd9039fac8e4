"""Who calls: which FHIR servers its requests may name, and in which dialect it takes its cards."""

from dataclasses import dataclass
from typing import Literal

from cds_service.addresses import Base, base_of
from cds_service.site import Issuer

Dialect = Literal["standard", "epic"]


@dataclass(frozen=True, slots=True)
class Caller:
    """One client; `name` is its alias in log and records.

    A FHIR server is read without a token only where it is open; on this machine every server is, for a caller that
    may read from `loopback`.
    """

    name: str
    dialect: Dialect = "standard"
    fhir_bases: frozenset[Base] = frozenset()
    open_fhir_bases: frozenset[Base] = frozenset()
    loopback: bool = False

    def may_read(self, base: Base) -> bool:
        """Whether its requests may name this FHIR server."""
        return base in self.fhir_bases or self.may_read_without_token(base)

    def may_read_without_token(self, base: Base) -> bool:
        """Whether this FHIR server is read even when the request brings no token for it."""
        return base in self.open_fhir_bases or (self.loopback and base.is_loopback)


def caller_of(issuer: Issuer) -> Caller:
    """Make the caller of an issuer that has been authenticated."""
    return Caller(issuer.name, issuer.dialect, _bases(issuer.fhir_bases), _bases(issuer.open_fhir_bases))


def anyone(fhir_bases: tuple[Base, ...]) -> Caller:
    """Make the caller while authentication is off: it may name the servers of MMCDS_FHIR_BASES and this machine."""
    return Caller("anyone", open_fhir_bases=frozenset(fhir_bases), loopback=True)


def _bases(addresses: tuple[str, ...]) -> frozenset[Base]:
    return frozenset(base for address in addresses if (base := base_of(address)) is not None)

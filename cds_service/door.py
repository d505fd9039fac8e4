"""The door: lets a call in under the name of its issuer, or turns it away without saying why."""

from pathlib import Path

from cds_service import telemetry
from cds_service.auth.keys import KeyRing
from cds_service.auth.replay import ReplayMemory
from cds_service.auth.tokens import Authenticator
from cds_service.callers import Caller, anyone, caller_of
from cds_service.errors import Unauthenticated
from cds_service.folders import shared_folder
from cds_service.metrics import Metrics
from cds_service.settings import Settings, unix_time
from cds_service.site import Site
from cds_service.transport import Transport, fetch_document

_KEYS_SECONDS = 2.0
_KEYS_BYTES = 65_536


class Door:
    """Says who calls."""

    def __init__(self, settings: Settings, site: Site, transport: Transport, metrics: Metrics) -> None:
        """Read the issuers' key files; raises SettingsError when one cannot be used."""
        self._metrics = metrics
        self._site = site
        self._anyone = anyone(settings.fhir_bases, site)
        self._authenticator = _authenticator(site, transport, shared_folder()) if settings.auth == "on" else None
        self._callers = {issuer.name: caller_of(issuer, site) for issuer in site.issuers}

    def admit(self, authorization: str | None, *paths: str) -> Caller:
        """Give the caller; its token must be made for one of these paths. Raises Unauthenticated, KeysUnavailable."""
        if self._authenticator is None:
            return self._anyone
        try:
            issuer = self._authenticator.authenticate(authorization, *paths)
        except Unauthenticated as error:
            self._metrics.count_rejection(error.reason)
            telemetry.warn("client turned away", reason=error.reason)
            raise
        return self._callers[issuer.name]

    def admit_to_discovery(self, authorization: str | None, path: str) -> None:
        """Let everybody see what is offered, unless the site has locked that too."""
        if self._site.lock_discovery:
            self.admit(authorization, path)

    def is_ready(self) -> bool:
        """Whether tokens of at least one issuer can be checked."""
        return self._authenticator is None or self._authenticator.is_ready()


def _authenticator(site: Site, transport: Transport, folder: Path) -> Authenticator:
    def fetch(url: str) -> bytes:
        return fetch_document(transport, url, seconds=_KEYS_SECONDS, limit_bytes=_KEYS_BYTES)

    keys = KeyRing(site.issuers, fetch, unix_time)
    memory = ReplayMemory(folder / "seen.sqlite", unix_time)
    return Authenticator(site, keys, memory, unix_time)

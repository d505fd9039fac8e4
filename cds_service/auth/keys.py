"""The public keys of each issuer: from a file, or fetched, kept, and fetched again when they may have changed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, Thread
from time import monotonic
from typing import Protocol

from cds_service import telemetry
from cds_service.auth.jwks import LONGEST_JWKS, Key, Keys, UnusableKeys, fitting, read_jwks
from cds_service.errors import KeysUnavailable, SettingsError
from cds_service.site import Issuer

# All in seconds
A_MOMENT = 0.5
FRESH_FOR = 3_600
KEPT_FOR = 86_400  # how long fetched keys are used while the issuer's server is down
COOL_DOWN = 30  # no issuer's server is asked more often than this, whatever callers send
STALE_COOL_DOWN = 300  # while keys are at hand: each failing try costs one caller the time of a fetch
MISSING_FOR = 120  # a key that the server did not have is not asked for again before this


class KeyRing:
    """The keys of all issuers of a site.

    An issuer with a key file is never asked for its keys: its jku is then only what its tokens may name.
    """

    def __init__(self, issuers: Sequence[Issuer], fetch: Callable[[str], bytes], now: Callable[[], float]) -> None:
        """Read the key files; fetch nothing yet. `fetch` gets one address and may fail with any exception.

        Raises SettingsError that lists the fault of every bad file.
        """
        self._sources: dict[str, _Source] = {}
        faults = []
        for issuer in issuers:
            if issuer.jwks_file is not None:
                try:
                    self._sources[issuer.name] = _Fixed(_read_file(issuer.jwks_file, issuer.algorithms))
                except UnusableKeys as error:
                    faults.append(f"issuers {issuer.name}: jwks_file {error}")
            elif issuer.jku is not None:
                self._sources[issuer.name] = _Remote(issuer, issuer.jku, fetch, now)
        if faults:
            raise SettingsError(faults)

    def key(self, issuer: Issuer, kid: str, algorithm: str) -> Key | None:
        """Find an issuer's key for an algorithm; None when the issuer has no such key.

        Raises KeysUnavailable when no key of the issuer is at hand at all.
        """
        return self._sources[issuer.name].find(kid, algorithm)

    def load_missing(self) -> bool:
        """Have the keys of issuers without any loaded, all at once; say whether those of any issuer are at hand.

        Waits for a moment only: who asks wants to know how things are, and asks again.
        """
        tries = [Thread(target=source.load, daemon=True) for source in self._sources.values() if not source.is_loaded()]
        for thread in tries:
            thread.start()
        give_up = monotonic() + A_MOMENT
        for thread in tries:
            thread.join(max(0.0, give_up - monotonic()))
        return any(source.is_loaded() for source in self._sources.values())


class _Source(Protocol):
    def find(self, kid: str, algorithm: str) -> Key | None:
        """Find a key, or raise KeysUnavailable."""

    def load(self) -> None:
        """Try to load keys where there are none."""

    def is_loaded(self) -> bool:
        """Say whether there are keys."""


@dataclass(frozen=True, slots=True)
class _Fixed:
    keys: Keys

    def find(self, kid: str, algorithm: str) -> Key | None:
        return fitting(self.keys, kid, algorithm)

    def load(self) -> None:
        pass

    def is_loaded(self) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class _Loaded:
    keys: Keys
    at: float


class _Remote:
    """Keys behind an address. Who needs only a key that is at hand never waits for another's fetch."""

    def __init__(self, issuer: Issuer, address: str, fetch: Callable[[str], bytes], now: Callable[[], float]) -> None:
        self._issuer = issuer
        self._address = address
        self._fetch = fetch
        self._now = now
        self._loaded: _Loaded | None = None  # replaced whole, so reading it needs no lock
        self._tried_at: float | None = None
        self._missing: dict[tuple[str, str], float] = {}  # grows by one per fetch at most
        self._fetching = Lock()

    def find(self, kid: str, algorithm: str) -> Key | None:
        if self._is_stale():
            self._refresh_unless_under_way(STALE_COOL_DOWN)
        key = fitting(self._at_hand(), kid, algorithm)
        if key is None and not self._is_known_to_be_missing(kid, algorithm):
            key = self._ask_for(kid, algorithm)
        if key is None and not self._at_hand():
            raise KeysUnavailable
        return key

    def load(self) -> None:
        if not self._at_hand():
            self._refresh_unless_under_way(COOL_DOWN)

    def is_loaded(self) -> bool:
        return bool(self._at_hand())

    def _ask_for(self, kid: str, algorithm: str) -> Key | None:
        with self._fetching:  # who had to wait here finds the keys that came meanwhile
            key = fitting(self._at_hand(), kid, algorithm)
            if key is None and self._refresh(COOL_DOWN):
                key = fitting(self._at_hand(), kid, algorithm)
                if key is None:
                    now = self._now()
                    self._missing = {name: at for name, at in self._missing.items() if now - at < MISSING_FOR}
                    self._missing[kid, algorithm] = now
            return key

    def _refresh_unless_under_way(self, cool_down: float) -> None:
        if self._fetching.acquire(blocking=False):
            try:
                self._refresh(cool_down)
            finally:
                self._fetching.release()

    def _refresh(self, cool_down: float) -> bool:
        """Fetch the keys unless that was tried just now; whoever calls holds the lock."""
        now = self._now()
        if self._tried_at is not None and 0 <= now - self._tried_at < cool_down:
            return False
        self._tried_at = now
        try:
            self._loaded = _Loaded(read_jwks(self._fetch(self._address), self._issuer.algorithms), self._now())
        except Exception as error:
            kept = "the last known ones stay in use" if self._at_hand() else "its tokens cannot be checked"
            telemetry.warn(f"keys not loaded: {kept}", issuer=self._issuer.name, fault=type(error).__name__)
            return False
        return True

    def _at_hand(self) -> Keys:
        loaded = self._loaded
        return loaded.keys if loaded is not None and self._now() - loaded.at < KEPT_FOR else {}

    def _is_stale(self) -> bool:
        return self._loaded is not None and self._now() - self._loaded.at >= FRESH_FOR

    def _is_known_to_be_missing(self, kid: str, algorithm: str) -> bool:
        at = self._missing.get((kid, algorithm))
        return at is not None and self._now() - at < MISSING_FOR


def _read_file(path: Path, algorithms: Sequence[str]) -> Keys:
    try:
        with path.open("rb") as file:
            body = file.read(LONGEST_JWKS + 1)
    except OSError as error:
        raise UnusableKeys(f"cannot be read: {error.strerror}") from None
    return read_jwks(body, algorithms)

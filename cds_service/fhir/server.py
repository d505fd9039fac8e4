"""What is remembered of each FHIR server between hooks: whether it answers, and which FHIR version it speaks."""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import msgspec

from cds_service.addresses import Base
from cds_service.transport import FetchFault, Transport, fetch_document

_FAILURES = 5
_WITHIN_SECONDS = 30.0
_OPEN_SECONDS = 30.0
_VERSION_KEPT_SECONDS = 24 * 3_600.0
_VERSION_RETRY_SECONDS = 600.0
_VERSION_SECONDS = 3.0
_METADATA_BYTES = 20_000_000
_MOST_SERVERS = 64


class Breaker:
    """Keeps hooks from waiting for one kind of search that a server does not answer.

    It counts hooks: after five without any answer within 30 s it opens; 30 s later one hook may try. One kind of
    search that hangs does not cost the others.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """Begin closed."""
        self._now = now
        self._lock = threading.Lock()
        self._failures: deque[float] = deque(maxlen=_FAILURES)
        self._opened: float | None = None

    def lets_through(self) -> bool:
        """Whether a hook may ask; of an open breaker, one hook in 30 s may."""
        with self._lock:
            if self._opened is None:
                return True
            if self._now() - self._opened < _OPEN_SECONDS:
                return False
            self._opened = self._now()  # this hook is the one that tries
            return True

    def note(self, *, answered: bool) -> None:
        """Note how one hook fared."""
        with self._lock:
            if answered:
                self._failures.clear()
                self._opened = None
                return
            now = self._now()
            self._failures.append(now)
            if len(self._failures) == _FAILURES and now - self._failures[0] <= _WITHIN_SECONDS:
                self._opened = now

    def give_back(self) -> None:
        """Note that a hook did not wait for its answer: of an open breaker, the next one may try."""
        with self._lock:
            if self._opened is not None:
                self._opened = self._now() - _OPEN_SECONDS


def is_readable_version(version: str) -> bool:
    """Whether a FHIR version is R4, or R4B, which differs in nothing that is read."""
    return version.startswith("4.")


class _Capability(msgspec.Struct, rename="camel"):
    fhir_version: str | None = None


@dataclass(slots=True)
class Server:
    """One FHIR server: its breakers by kind of search, the threads that ask it, and the version that it speaks."""

    base: Base
    pool: ThreadPoolExecutor
    _breakers: dict[str, Breaker] = field(default_factory=dict)
    _version: str | None = None
    _asking: "Future[None] | None" = None
    _ask_again: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def speaks_other_version(self) -> bool:
        """Whether the server is known to speak another version than FHIR R4."""
        return self._version is not None and not is_readable_version(self._version)

    def breaker(self, search: str) -> Breaker:
        """Give the breaker of one kind of search."""
        with self._lock:
            return self._breakers.setdefault(search, Breaker())

    def learn_version(self, transport: Transport) -> "Future[None] | None":
        """Have the version asked for, beside the searches and at most once a day; None when nobody is asking now."""
        with self._lock:
            if time.monotonic() >= self._ask_again:
                self._ask_again = time.monotonic() + _VERSION_RETRY_SECONDS
                self._asking = self.pool.submit(self._ask_version, transport)
            return self._asking if self._asking is not None and not self._asking.done() else None

    def _ask_version(self, transport: Transport) -> None:
        try:
            document = fetch_document(
                transport,
                f"{self.base}/metadata?_elements=fhirVersion",
                seconds=_VERSION_SECONDS,
                limit_bytes=_METADATA_BYTES,
            )
            version = msgspec.json.decode(document, type=_Capability).fhir_version
        except (FetchFault, msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            return  # the searches go on: what another version gives is no R4 either way
        if version:
            with self._lock:
                self._version, self._ask_again = version, time.monotonic() + _VERSION_KEPT_SECONDS


class Servers:
    """The FHIR servers that were asked lately; a few suffice, since a site names those that may be."""

    def __init__(self, transport: Transport, connections: int) -> None:
        """Take how requests are made, and how many may be under way at each server."""
        self.transport = transport
        self._connections = connections
        self._lock = threading.Lock()
        self._servers: OrderedDict[Base, Server] = OrderedDict()

    def at(self, base: Base) -> Server:
        """Give what is remembered of the server at an address."""
        with self._lock:
            server = self._servers.get(base)
            if server is None:
                pool = ThreadPoolExecutor(self._connections, thread_name_prefix="fhir")
                server = self._servers[base] = Server(base, pool)
                if len(self._servers) > _MOST_SERVERS:
                    self._servers.popitem(last=False)  # its threads end when the last hook that reads there does
            self._servers.move_to_end(base)
            return server

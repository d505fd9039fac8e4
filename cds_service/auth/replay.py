"""Remembers which tokens were used, for all worker processes of this host, so that none is used twice."""

import hashlib
import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Lock

from cds_service import telemetry

_WAIT_SECONDS = 0.25  # for another process that writes just now
_PURGE_EVERY = 60  # seconds
_FILE_PAUSE = 5  # seconds without the file after it failed, so that a locked one does not slow every call
_WARN_EVERY = 60  # seconds

_TABLE = "CREATE TABLE IF NOT EXISTS used (id BLOB PRIMARY KEY, until REAL NOT NULL) WITHOUT ROWID"
_INDEX = "CREATE INDEX IF NOT EXISTS used_until ON used (until)"
# One statement, so that of two processes with the same token exactly one sees a changed row
_REMEMBER = (
    "INSERT INTO used VALUES (:id, :until) "
    "ON CONFLICT (id) DO UPDATE SET until = excluded.until WHERE used.until < :now"
)
_PURGE = "DELETE FROM used WHERE until < ?"


class ReplayMemory:
    """Which tokens were used while they are valid; holds hashes alone.

    A file that cannot be used costs the view across processes, not the service: each process then has its own memory.
    """

    def __init__(self, path: Path, now: Callable[[], float]) -> None:
        """Take the place of the file, which is opened on first use: the master process may fork before."""
        self._path = path
        self._now = now
        self._by_process: dict[int, _Memory] = {}

    def is_new(self, issuer: str, jti: str, until: float) -> bool:
        """Remember a token until a moment; False if it was remembered before and its moment has not passed."""
        own = os.getpid()
        # SQLite forbids a connection to cross a fork, and a lock may be taken in the very moment of one
        memory = self._by_process.get(own) or self._by_process.setdefault(own, _Memory(self._path, self._now))
        return memory.is_new(hashlib.sha256(f"{len(issuer)}:{issuer}{jti}".encode()).digest(), until)


class _Memory:
    """The memory of one process: its connection to the file, and what it had to remember without."""

    def __init__(self, path: Path, now: Callable[[], float]) -> None:
        self._path = path
        self._now = now
        self._process = os.getpid()
        self._lock = Lock()
        self._connection: sqlite3.Connection | None = None
        self._without_file: dict[bytes, float] = {}
        self._file_again_at = 0.0
        self._warn_again_at = 0.0
        self._purge_again_at = 0.0

    def __del__(self) -> None:
        if self._connection is not None and os.getpid() == self._process:
            self._connection.close()

    def is_new(self, token: bytes, until: float) -> bool:
        with self._lock:
            now = self._now()
            is_time_to_purge = now >= self._purge_again_at
            if is_time_to_purge:
                self._purge_again_at = now + _PURGE_EVERY
                self._without_file = {key: end for key, end in self._without_file.items() if end >= now}
            if self._without_file.get(token, -1) >= now:
                return False
            if now >= self._file_again_at:
                try:
                    return self._is_new_in_file(token, until, now, is_time_to_purge)
                except (sqlite3.Error, OSError) as error:
                    self._do_without_file(error, now)
            self._without_file[token] = until
            return True

    def _is_new_in_file(self, token: bytes, until: float, now: float, is_time_to_purge: bool) -> bool:
        connection = self._connection = self._connection or _open(self._path)
        if is_time_to_purge:
            connection.execute(_PURGE, (now,))
        return connection.execute(_REMEMBER, {"id": token, "until": until, "now": now}).rowcount == 1

    def _do_without_file(self, error: Exception, now: float) -> None:
        self._file_again_at = now + _FILE_PAUSE
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None
        if now >= self._warn_again_at:
            self._warn_again_at = now + _WARN_EVERY
            telemetry.warn("security: used tokens are remembered in one process alone", fault=type(error).__name__)


def _open(path: Path) -> sqlite3.Connection:
    # One connection for all threads, always under the lock; every statement is a transaction of its own
    connection = sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        with suppress(sqlite3.OperationalError):  # another process may be switching just now, which serves us too
            connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute(_TABLE)
        connection.execute(_INDEX)
    except BaseException:
        connection.close()
        raise
    return connection

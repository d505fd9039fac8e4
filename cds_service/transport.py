"""One GET over a kept connection that ends at its deadline, whatever the server does.

A read timeout starts anew with each byte, so a server that drips its headers outlives any of them. Each request
therefore runs on a line whose socket another thread can shut down: that ends every read at once.
"""

import contextlib
import http
import os
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import certifi
import urllib3
from urllib3 import exceptions
from urllib3.connection import HTTPConnection, HTTPSConnection

from cds_service import __version__

_CONNECT_SECONDS = 0.5
_SHORTEST_WAIT_SECONDS = 0.01
_CHUNK_BYTES = 65_536
_HEADERS = {"User-Agent": f"mmcds/{__version__}", "Accept-Encoding": "gzip"}


class FetchFault(Exception):
    """A request that came to nothing; `label` is one word of a fixed list and holds nothing of the server's."""

    def __init__(self, label: str) -> None:
        """Take connection, tls, timeout, too_large, status or broken."""
        self.label = label
        super().__init__(label)


@dataclass(frozen=True, slots=True)
class Page:
    """What a server answered; header names are in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Line:
    """The line of one request; `cut` may be called from any thread, before, while and after it runs."""

    def __init__(self) -> None:
        """Begin without a connection."""
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._is_cut = False

    @property
    def is_cut(self) -> bool:
        """Whether nobody waits for the answer any more."""
        return self._is_cut

    def cut(self) -> None:
        """Shut the connection down: a read under way ends, and none begins."""
        with self._lock:
            self._is_cut = True
            self._shut()

    def _hold(self, connection: socket.socket | None) -> None:
        """Take hold of a connection by a handle of our own: the other one may be closed while the body still comes."""
        with self._lock:
            if self._socket is not None:
                self._socket.close()
            self._socket = None if connection is None else socket.socket(fileno=os.dup(connection.fileno()))
            if self._is_cut:
                self._shut()

    def _shut(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)


class Allowance:
    """How many bytes the answers of one hook may still have, all together."""

    def __init__(self, limit_bytes: int) -> None:
        """Begin with the whole limit."""
        self._left = limit_bytes
        self._lock = threading.Lock()

    def take(self, count: int) -> None:
        """Use some up; raises FetchFault when there are not so many left."""
        with self._lock:
            self._left -= count
            if self._left < 0:
                raise FetchFault("too_large")


_current = threading.local()  # .line: the line of the request that this thread makes


class _Cuttable:
    """Tells the line of the running request which connection it uses, be it new or kept."""

    sock: socket.socket | None

    def _new_conn(self) -> socket.socket:
        connection: socket.socket = super()._new_conn()  # type: ignore[misc]  # of the connection class beside this one
        _tell(connection)
        return connection

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is not None:
            _tell(self.sock)
        super().request(*args, **kwargs)  # type: ignore[misc]  # as above


def _tell(connection: socket.socket) -> None:
    line: Line | None = getattr(_current, "line", None)
    if line is not None:
        with contextlib.suppress(OSError):  # a kept connection may just have gone
            line._hold(connection)


class _HttpConnection(_Cuttable, HTTPConnection):
    pass


class _HttpsConnection(_Cuttable, HTTPSConnection):
    pass


class _HttpPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HttpConnection


class _HttpsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection


_POOLS = {"http": _HttpPool, "https": _HttpsPool}


@cache
def _trust(ca_file: Path | None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_file or certifi.where())


@dataclass(frozen=True, slots=True)
class Route:
    """How the outer world is reached: the certificates to trust instead of the usual ones, and the proxy."""

    ca_file: Path | None = None
    proxy: str | None = None


class Transport:
    """Makes requests; each thread keeps connections of its own.

    There is no session above them: no cookie, no .netrc and no proxy of the environment can come into a request.
    """

    def __init__(self, route: Route) -> None:
        """Take the way out, and load the certificates: the first hook would pay for them."""
        self._route = route
        self._trust = _trust(route.ca_file)
        self._managers = threading.local()

    def get(self, url: str, headers: Mapping[str, str], *, deadline: float, allowance: Allowance, line: Line) -> Page:
        """GET one address, without redirects; `deadline` is a reading of time.monotonic().

        Somebody has to cut the line then: a server that drips its headers outlives every timeout. Raises FetchFault.
        """
        left = deadline - time.monotonic()
        if left < _SHORTEST_WAIT_SECONDS or line.is_cut:
            raise FetchFault("timeout")
        _current.line = line
        has_begun = False
        try:
            response = self._manager().request(
                "GET",
                url,
                headers={**_HEADERS, **headers},
                timeout=urllib3.Timeout(connect=min(left, _CONNECT_SECONDS), read=left),
                redirect=False,
                retries=False,
                preload_content=False,
            )
            has_begun = True
            with contextlib.closing(response):
                body = _body(response, deadline, allowance)
        except (exceptions.HTTPError, OSError, ValueError) as error:
            # A cut line breaks, be it a moment before the deadline; the text of the error names the patient's address
            label = _label(error, has_begun=has_begun, is_over=time.monotonic() >= deadline)
            raise FetchFault("timeout" if line.is_cut else label) from None
        finally:
            _current.line = None
            line._hold(None)
        if line.is_cut:
            raise FetchFault("timeout")  # a line that was cut may look like the end of an empty answer
        return Page(response.status, {name.lower(): value for name, value in response.headers.items()}, body)

    def _manager(self) -> urllib3.PoolManager:
        manager: urllib3.PoolManager | None = getattr(self._managers, "manager", None)
        if manager is None:
            manager = self._managers.manager = self._new_manager()
        return manager

    def _new_manager(self) -> urllib3.PoolManager:
        """Verify with certificates that were loaded once, and let the line of a request know its connection."""
        manager: urllib3.PoolManager
        if self._route.proxy is None:
            manager = urllib3.PoolManager(ssl_context=self._trust)
        else:
            proxy = urllib3.util.parse_url(self._route.proxy)
            manager = urllib3.ProxyManager(
                proxy._replace(auth=None).url,
                proxy_headers=urllib3.make_headers(proxy_basic_auth=unquote(proxy.auth)) if proxy.auth else None,
                proxy_ssl_context=self._trust,
                ssl_context=self._trust,
            )
        manager.pool_classes_by_scheme = _POOLS
        return manager


def _body(response: urllib3.BaseHTTPResponse, deadline: float, allowance: Allowance) -> bytes:
    chunks = []
    for chunk in response.stream(_CHUNK_BYTES, decode_content=True):
        allowance.take(len(chunk))
        if time.monotonic() > deadline:
            raise FetchFault("timeout")
        chunks.append(chunk)
    return b"".join(chunks)


_NO_CONNECTION = (exceptions.NewConnectionError, exceptions.ProtocolError, exceptions.ProxyError, OSError)


def _label(error: Exception, *, has_begun: bool, is_over: bool) -> str:
    """Say in one word what went wrong before the answer began, or in the middle of it."""
    if isinstance(error, exceptions.SSLError):
        return "tls"
    is_refusal = isinstance(error, exceptions.NewConnectionError)  # which the library derives from a timeout
    if is_over or (isinstance(error, exceptions.TimeoutError | TimeoutError) and not is_refusal):
        return "timeout"
    return "connection" if not has_begun and isinstance(error, _NO_CONNECTION) else "broken"


def get_within(transport: Transport, url: str, headers: Mapping[str, str], *, seconds: float, limit_bytes: int) -> Page:
    """GET one address in the time given; a watchdog cuts the line of a server that drips. Raises FetchFault."""
    line = Line()
    watchdog = threading.Timer(seconds, line.cut)
    watchdog.daemon = True
    watchdog.start()
    try:
        deadline = time.monotonic() + seconds
        return transport.get(url, headers, deadline=deadline, allowance=Allowance(limit_bytes), line=line)
    finally:
        watchdog.cancel()


def fetch_document(transport: Transport, url: str, *, seconds: float, limit_bytes: int) -> bytes:
    """GET one small JSON document. Raises FetchFault, also for any status but 200."""
    page = get_within(transport, url, {"Accept": "application/json"}, seconds=seconds, limit_bytes=limit_bytes)
    if page.status != http.HTTPStatus.OK:
        raise FetchFault("status")
    return page.body

"""Servers that break HTTP below the level of a status: they drip, stall, reset, lie about lengths, or never end.

A behaviour takes over one connection once the request has been read. `misbehaving(behaviour)` is a server that does
nothing else; `tests.ehr.faulty.raw(behaviour)` breaks one resource type of a server that is otherwise sound. Where
a behaviour has a body, it is that of an empty search: who takes it for an answer has read "none on record".
"""

import contextlib
import itertools
import os
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from socketserver import StreamRequestHandler

from tests.ehr.listening import Listener

Behaviour = Callable[[socket.socket, threading.Event], None]

PATH = "/fhir/r4"
EMPTY_SEARCH = b'{"resourceType":"Bundle","type":"searchset","total":0,"entry":[]}'
_BYTE_SECONDS = 0.1
_PIECE = 1 << 20
_SENT_AT_A_TIME = 65_536
_packing = threading.Lock()


@dataclass(slots=True)
class Misbehaving:
    """A server that never answers properly."""

    base: str
    _listener: Listener

    @property
    def connections(self) -> int:
        """How many connections it has accepted."""
        return self._listener.connections


@contextlib.contextmanager
def misbehaving(behaviour: Behaviour, *, reads_request: bool = True) -> Iterator[Misbehaving]:
    """Run a server that treats every connection to the same behaviour, if wanted without reading the request."""

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            while reads_request and self.rfile.readline().strip():
                pass
            assert isinstance(self.server, Listener)
            behaviour(self.connection, self.server.closing)

    listener = Listener(Handler)
    with listener.running():
        yield Misbehaving(f"http://127.0.0.1:{listener.port}{PATH}", listener)


@contextlib.contextmanager
def unconnectable() -> Iterator[str]:
    """Give the base address of a port that listens and never accepts: connecting to it hangs.

    Its queue holds one connection and is full, so that Linux drops every further one without a word.
    """
    with contextlib.ExitStack() as sockets:
        listening = sockets.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(2):
            filler = sockets.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listening.getsockname())
        time.sleep(0.01)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}{PATH}"


@contextlib.contextmanager
def closed_port() -> Iterator[str]:
    """Give the base address of a port that is held and does not listen: connecting to it is refused."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}{PATH}"


def black_hole() -> Behaviour:
    """Never answer."""
    return lambda connection, closing: _wait(closing)


def closed_at_once() -> Behaviour:
    """Close the connection without an answer."""
    return lambda connection, closing: None


def slow_first_byte(seconds: float) -> Behaviour:
    """Answer an empty search, after a while."""

    def answer(connection: socket.socket, closing: threading.Event) -> None:
        if not closing.wait(seconds):
            connection.sendall(_head() + EMPTY_SEARCH)

    return answer


def header_drip(seconds_per_byte: float = _BYTE_SECONDS) -> Behaviour:
    """Send an empty search byte by byte, from the status line on."""
    return lambda connection, closing: _drip(connection, closing, _head() + EMPTY_SEARCH, seconds_per_byte)


def body_drip(seconds_per_byte: float = _BYTE_SECONDS) -> Behaviour:
    """Send the head of an empty search at once, and its body byte by byte."""

    def answer(connection: socket.socket, closing: threading.Event) -> None:
        connection.sendall(_head())
        _drip(connection, closing, EMPTY_SEARCH, seconds_per_byte)

    return answer


def reset_mid_body() -> Behaviour:
    """Send all of an empty search but its end, then reset the connection."""

    def answer(connection: socket.socket, closing: threading.Event) -> None:
        connection.sendall(_head() + EMPTY_SEARCH[:-10])
        closing.wait(0.02)  # a reset overtakes what is still under way
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(connection.detach())  # everybody else would say goodbye properly first

    return answer


def short_body(missing: int = 100) -> Behaviour:
    """Send an empty search that is shorter than its Content-Length says, and close."""
    return lambda connection, closing: connection.sendall(_head(len(EMPTY_SEARCH) + missing) + EMPTY_SEARCH)


def no_body(content_length: int | None = 0) -> Behaviour:
    """Send status 200 with nothing after it, and close."""
    return lambda connection, closing: connection.sendall(_head(content_length))


def gzip_bomb(megabytes: int = 256, layers: int = 1) -> Behaviour:
    """Send a small body that unpacks to an empty search with that many megabytes of white space in it.

    It is packed at the first connection, which takes a second, unless `packed_bomb` was called before.
    """

    def answer(connection: socket.socket, closing: threading.Event) -> None:
        with _packing:
            body = packed_bomb(megabytes, layers)
        encodings = ", ".join(["gzip"] * layers)
        connection.sendall(_head(len(body), f"Content-Encoding: {encodings}\r\n".encode()) + body)

    return answer


def endless_chunks() -> Behaviour:
    """Send an empty search with white space that never ends."""

    def answer(connection: socket.socket, closing: threading.Event) -> None:
        connection.sendall(_head(None, b"Transfer-Encoding: chunked\r\n"))
        connection.sendall(b"%x\r\n%b\r\n" % (len(EMPTY_SEARCH) - 1, EMPTY_SEARCH[:-1]))
        chunk = b"%x\r\n%b\r\n" % (_SENT_AT_A_TIME, b" " * _SENT_AT_A_TIME)
        while not closing.is_set():
            connection.sendall(chunk)

    return answer


def endless_headers(pause_seconds: float = 0.0) -> Behaviour:
    """Send one header after the other."""

    def answer(connection: socket.socket, closing: threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        for number in itertools.count():
            if closing.wait(pause_seconds):
                return
            connection.sendall(b"X-Filler-%d: %b\r\n" % (number, b"x" * 1_000))

    return answer


def endless_continue(pause_seconds: float = 0.001) -> Behaviour:
    """Say "100 Continue" for ever."""

    def answer(connection: socket.socket, closing: threading.Event) -> None:
        while not closing.wait(pause_seconds):
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

    return answer


@cache
def packed_bomb(megabytes: int, layers: int) -> bytes:
    """Pack the body of `gzip_bomb`, one megabyte of it in memory at a time."""
    packers = [zlib.compressobj(wbits=31) for _ in range(layers)]
    pieces: Iterator[bytes] = itertools.chain(
        (EMPTY_SEARCH[:-1],), itertools.repeat(b" " * _PIECE, megabytes), (EMPTY_SEARCH[-1:],)
    )
    for packer in packers:
        pieces = _packed(packer, pieces)
    return b"".join(pieces)


def _packed(packer: "zlib._Compress", pieces: Iterator[bytes]) -> Iterator[bytes]:
    yield from map(packer.compress, pieces)
    yield packer.flush()


def _head(content_length: int | None = len(EMPTY_SEARCH), more: bytes = b"") -> bytes:
    length = b"" if content_length is None else b"Content-Length: %d\r\n" % content_length
    kind = b"Content-Type: application/fhir+json\r\nConnection: close\r\n"
    return b"HTTP/1.1 200 OK\r\n" + kind + length + more + b"\r\n"


def _drip(connection: socket.socket, closing: threading.Event, text: bytes, seconds_per_byte: float) -> None:
    for byte in text:
        if closing.wait(seconds_per_byte):
            return
        connection.sendall(bytes((byte,)))


def _wait(closing: threading.Event) -> None:
    closing.wait()

"""The misbehaving servers do what their names say, and leave nothing behind."""

import socket
import threading
import time
import zlib
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.ehr import sockets
from tests.ehr.sockets import EMPTY_SEARCH, Behaviour, misbehaving

REQUEST = b"GET /fhir/r4/Condition?patient=synthetic-1 HTTP/1.1\r\nHost: x\r\n\r\n"
BREAK = "the connection broke"


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before


def heard(base: str, *, seconds: float = 5.0, most: int = 1 << 30) -> tuple[bytes, str]:
    """Ask, and give what arrived within a time, up to a size, and how it ended: "end", "time", "size" or a break."""
    address = urlsplit(base)
    assert address.hostname
    assert address.port
    give_up = time.monotonic() + seconds
    pieces: list[bytes] = []
    with socket.create_connection((address.hostname, address.port), timeout=seconds) as connection:
        connection.sendall(REQUEST)
        while True:
            connection.settimeout(max(give_up - time.monotonic(), 0.001))
            try:
                piece = connection.recv(1 << 20)
            except TimeoutError:
                return b"".join(pieces), "time"
            except OSError:
                return b"".join(pieces), BREAK
            if not piece:
                return b"".join(pieces), "end"
            pieces.append(piece)
            if sum(map(len, pieces)) > most:
                return b"".join(pieces), "size"


def heard_from(behaviour: Behaviour, **limits: float) -> tuple[bytes, str]:
    """Ask a server that does nothing else."""
    with misbehaving(behaviour) as server:
        answer = heard(server.base, **limits)  # type: ignore[arg-type]  # numbers either way
        assert server.connections == 1
    return answer


def test_a_black_hole_never_answers() -> None:
    assert heard_from(sockets.black_hole(), seconds=0.2) == (b"", "time")


def test_a_connection_closed_at_once_holds_nothing() -> None:
    assert heard_from(sockets.closed_at_once()) == (b"", "end")


def test_a_server_may_close_without_reading() -> None:
    with misbehaving(sockets.closed_at_once(), reads_request=False) as server:
        assert heard(server.base)[0] == b""


def test_a_slow_first_byte_is_a_sound_answer_after_a_while() -> None:
    started = time.monotonic()
    text, ending = heard_from(sockets.slow_first_byte(0.2))

    assert time.monotonic() - started >= 0.2
    assert text.endswith(EMPTY_SEARCH)
    assert ending == "end"


def test_headers_drip() -> None:
    text, ending = heard_from(sockets.header_drip(0.01), seconds=0.2)

    assert b"HTTP/1.1 2".startswith(text[:10])
    assert 1 <= len(text) <= 20
    assert ending == "time"


def test_a_body_drips_after_its_head() -> None:
    text, ending = heard_from(sockets.body_drip(0.01), seconds=0.2)
    _, body = text.split(b"\r\n\r\n")

    assert EMPTY_SEARCH.startswith(body)
    assert 1 <= len(body) <= 20
    assert ending == "time"


def test_what_drips_is_sound_in_the_end() -> None:
    assert heard_from(sockets.body_drip(0.001))[0].endswith(EMPTY_SEARCH)


def test_a_reset_comes_in_the_middle_of_the_body() -> None:
    text, ending = heard_from(sockets.reset_mid_body())

    assert text.endswith(EMPTY_SEARCH[:-10])
    assert ending == BREAK


def test_a_body_may_be_shorter_than_announced() -> None:
    text, ending = heard_from(sockets.short_body())

    assert b"Content-Length: %d\r\n" % (len(EMPTY_SEARCH) + 100) in text
    assert text.endswith(EMPTY_SEARCH)
    assert ending == "end"


@pytest.mark.parametrize("length", [0, None])
def test_there_may_be_no_body(length: int | None) -> None:
    text, ending = heard_from(sockets.no_body(length))

    assert text.endswith(b"\r\n\r\n")
    assert (b"Content-Length: 0" in text) is (length == 0)
    assert ending == "end"


@pytest.mark.parametrize("layers", [1, 2])
def test_a_gzip_bomb_is_small_and_unpacks_to_more_than_200_megabytes(layers: int) -> None:
    text, _ = heard_from(sockets.gzip_bomb(256, layers))
    head, body = text.split(b"\r\n\r\n", maxsplit=1)

    assert b"Content-Encoding: " + b", ".join([b"gzip"] * layers) in head
    assert len(body) < 500_000
    for _ in range(layers - 1):
        body = zlib.decompress(body, wbits=31)
    unpacker = zlib.decompressobj(wbits=31)
    first, size = unpacker.decompress(body, len(EMPTY_SEARCH) - 1), len(EMPTY_SEARCH) - 1
    while piece := unpacker.decompress(unpacker.unconsumed_tail, 1 << 20):
        size, last = size + len(piece), piece[-1:]
    assert first + last == EMPTY_SEARCH
    assert size > 256_000_000


@pytest.mark.parametrize(
    "behaviour",
    [sockets.endless_chunks(), sockets.endless_headers(), sockets.endless_continue(0.0)],
    ids=["chunks", "headers", "continue"],
)
def test_some_things_never_end(behaviour: Behaviour) -> None:
    assert heard_from(behaviour, most=200_000)[1] == "size"


def test_a_client_that_stops_reading_does_not_keep_a_server_alive() -> None:
    with misbehaving(sockets.endless_chunks()) as server, socket.socket() as connection:
        address = urlsplit(server.base)
        connection.connect((address.hostname, address.port))
        connection.sendall(REQUEST)
        time.sleep(0.1)
        started = time.monotonic()

    assert time.monotonic() - started < 2


def test_a_port_may_never_accept() -> None:
    with sockets.unconnectable() as base, pytest.raises(TimeoutError):
        heard(base, seconds=0.3)


def test_a_port_may_refuse() -> None:
    with sockets.closed_port() as base, pytest.raises(ConnectionRefusedError):
        heard(base)

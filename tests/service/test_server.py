"""The real server on a loopback port: it starts, holds out against odd clients, and ends when told to."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.service.calling import JSON, washout

ROOT = Path(__file__).parents[2]
LIMIT = 100_000
SERVICE = "/cds-services/mmcds-order-sign"
GOOD = json.dumps(washout()).encode()
CANARY = b"canary-4711"
HEAD = f"POST {SERVICE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {JSON}\r\n".encode()


@dataclass(frozen=True, slots=True)
class Running:
    """A server in a process of its own."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def ask(self, method: str, path: str, body: bytes | Iterator[bytes] | None = None) -> tuple[int, dict[str, object]]:
        """Ask over a connection of its own; give the status and the JSON body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, body, {"Content-Type": JSON})
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def connect(self) -> socket.socket:
        """Open a bare connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def exchange(self, sent: bytes) -> bytes:
        """Send bytes, end the sending side, and give whatever comes back."""
        received = b""
        with self.connect() as connection:
            try:
                connection.sendall(sent)
                connection.shutdown(socket.SHUT_WR)
                while chunk := connection.recv(65_536):
                    received += chunk
            except ConnectionError:
                pass  # the server may hang up on garbage at any point
        return received

    def answers(self) -> bool:
        """Whether an ordinary request gets its card."""
        status, body = self.ask("POST", SERVICE, GOOD)
        return status == 200 and "R01" in json.dumps(body)


def environment(**settings: str) -> dict[str, str]:
    """Give the environment of a server: this one's, without settings but those named."""
    inherited = {name: value for name, value in os.environ.items() if not name.upper().startswith("MMCDS_")}
    return inherited | {f"MMCDS_{name.upper()}": value for name, value in settings.items()}


def start(log: Path, **settings: str) -> Running:
    """Start a server and wait until it takes connections."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "cds_service", "serve"]
    with log.open("wb") as stream:
        process = subprocess.Popen(  # noqa: S603 - our own command
            command,
            cwd=ROOT,
            env=environment(port=str(port), **settings),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
        )
    running = Running(process, port, log)
    for _ in range(200):
        assert process.poll() is None, log.read_text()
        try:
            running.connect().close()
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return running
    stop(running)
    raise AssertionError(log.read_text())


def stop(running: Running) -> int:
    """End a server by its process id; give its exit status."""
    if running.process.poll() is None:
        running.process.send_signal(signal.SIGTERM)
    try:
        return running.process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        running.process.kill()
        running.process.wait(timeout=10)
        raise


@contextmanager
def served(log: Path, **settings: str) -> Iterator[Running]:
    """Run a server for the length of a block."""
    running = start(log, **settings)
    try:
        yield running
    finally:
        stop(running)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Run one server for all tests that leave it as it was."""
    log = tmp_path_factory.mktemp("server") / "log"
    with served(log, auth="off", as_of="2026-11-20", time_zone="America/New_York", body_limit_bytes=str(LIMIT)) as one:
        yield one


def chunked(*chunks: bytes) -> bytes:
    """Make a chunked body."""
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/cds-services"])
def test_the_server_is_up(server: Running, path: str) -> None:
    assert server.ask("GET", path)[0] == 200


def test_an_order_is_answered_with_its_card(server: Running) -> None:
    assert server.answers()


def test_a_body_without_announced_length_is_answered_too(server: Running) -> None:
    status, body = server.ask("POST", SERVICE, iter([GOOD[:100], GOOD[100:]]))

    assert status == 200
    assert "R01" in json.dumps(body)


@pytest.mark.parametrize("extra", [1, LIMIT])
def test_a_body_over_the_limit_is_refused(server: Running, extra: int) -> None:
    status, body = server.ask("POST", SERVICE, b" " * (LIMIT + extra))

    assert status == 413
    assert body["resourceType"] == "OperationOutcome"
    assert server.answers()


@pytest.mark.parametrize("extra", [1, LIMIT])
def test_a_body_over_the_limit_is_refused_without_announced_length_as_well(server: Running, extra: int) -> None:
    padding = b" " * (LIMIT - len(GOOD) + extra)

    status, body = server.ask("POST", SERVICE, iter([GOOD, padding]))

    assert status == 413
    assert body["resourceType"] == "OperationOutcome"
    assert server.answers()


def test_a_body_of_just_the_limit_is_answered_without_announced_length(server: Running) -> None:
    status, _ = server.ask("POST", SERVICE, iter([GOOD, b" " * (LIMIT - len(GOOD))]))

    assert status == 200


GARBAGE = {
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + CANARY + bytes(range(256)),
    "line without method": CANARY + b"\r\n\r\n",
    "header without colon": b"GET /healthz HTTP/1.1\r\nHost: x\r\nAuthorization Bearer " + CANARY + b"\r\n\r\n",
    "header name with a blank": b"GET /healthz HTTP/1.1\r\nHost: x\r\nAutho rization " + CANARY + b": x\r\n\r\n",
    "length that is no number": HEAD + b"Content-Length: " + CANARY + b"\r\n\r\n",
    "negative length": HEAD + b"Content-Length: -1\r\n\r\n" + CANARY,
    "two lengths": HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n" + CANARY,
    "length and chunks": HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(CANARY),
    "unknown transfer coding": HEAD + b"Transfer-Encoding: " + CANARY + b"\r\n\r\n",
    "expectation": HEAD + b"Expect: " + CANARY + b"\r\nContent-Length: 2\r\n\r\n{}",
    "endless line": b"GET /" + CANARY * 1_000 + b" HTTP/1.1\r\n\r\n",
    "too many headers": b"GET / HTTP/1.1\r\n" + b"X-A: " + CANARY + b"\r\n" * 1 + b"X-B: b\r\n" * 500 + b"\r\n",
    "chunk size that is no number": HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + CANARY + b"\r\n",
    "chunk longer than it says": HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n" + CANARY + b"\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_is_refused_without_repeating_it_and_the_next_request_works(server: Running, name: str) -> None:
    before = server.log.stat().st_size

    received = server.exchange(GARBAGE[name])

    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 4"), received
    assert json.loads(body)["resourceType"] == "OperationOutcome"
    assert CANARY not in received
    assert server.answers()
    assert CANARY not in server.log.read_bytes()[before:]


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        HEAD,
        HEAD + b"Content-Length: 1000\r\n\r\n" + GOOD[:100],
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
    ],
    ids=["nothing", "half a head", "half a body", "half a chunk"],
)
def test_a_client_that_breaks_off_gets_no_card_and_does_not_stop_the_next(server: Running, sent: bytes) -> None:
    assert b"cards" not in server.exchange(sent)
    assert server.answers()


def test_clients_that_never_finish_do_not_keep_others_waiting(server: Running) -> None:
    slow = [server.connect() for _ in range(4)]
    try:
        for index, connection in enumerate(slow):
            connection.sendall(HEAD + (b"Content-Length: 1000\r\n\r\n{" if index % 2 else b""))
        began = time.monotonic()

        assert server.answers()
        assert server.ask("GET", "/healthz")[0] == 200
        assert time.monotonic() - began < 5
    finally:
        for connection in slow:
            connection.close()


def test_one_connection_carries_several_requests(server: Running) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    statuses = []
    for body in (GOOD, b"{", GOOD):
        connection.request("POST", SERVICE, body, {"Content-Type": JSON})
        response = connection.getresponse()
        response.read()
        statuses.append(response.status)
    connection.close()

    assert statuses == [200, 400, 200]


def test_every_line_that_the_server_writes_is_json(server: Running) -> None:
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]

    assert lines[0]["switches"] == ["MMCDS_AUTH=off", "MMCDS_AS_OF"]
    assert lines[1]["event"] == "listening"


def test_told_to_end_it_ends_at_once_and_well(tmp_path: Path) -> None:
    with served(tmp_path / "log", auth="off") as running:
        assert running.ask("GET", "/readyz")[0] == 200
        began = time.monotonic()

        assert stop(running) == 0
        assert time.monotonic() - began < 5

    with pytest.raises(ConnectionRefusedError):
        running.connect()


def test_it_leaves_nothing_behind_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)

    with served(tmp_path / "log", auth="off") as running:
        assert running.answers()

    assert [path.name for path in tmp_path.iterdir()] == ["log"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "client authentication is on and no issuer is known"),
        ({"auth": "on"}, "client authentication is on and no public address is known"),
        ({"auth": "off", "site_file": "no-such-file.toml"}, "the site file cannot be read: No such file"),
        ({"env": "production", "auth": "off"}, "MMCDS_AUTH=off is refused in production"),
        ({"auth": "off", "as_of": "2021"}, "MMCDS_AS_OF: "),
        ({"auth": "off", "nope": "canary-4711"}, "MMCDS_NOPE is not a setting"),
    ],
)
def test_it_refuses_to_start_and_says_why(settings: dict[str, str], said: str) -> None:
    refused = subprocess.run(
        [sys.executable, "-m", "cds_service", "serve"],
        cwd=ROOT,
        env=environment(port="0", **settings),
        capture_output=True,
        timeout=30,
        check=False,
    )

    assert refused.returncode == 2
    assert said in refused.stderr.decode()
    assert "Traceback" not in refused.stderr.decode()
    assert CANARY not in refused.stderr

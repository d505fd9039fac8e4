"""CPU per request of a real server process on loopback, read from the operating system's own accounts."""

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_START_SECONDS = 20
SERVICE = "/cds-services/mmcds-order-select"


def mmcds(port: int) -> list[str]:
    """Give the command of our own service."""
    return [sys.executable, "-m", "cds_service", "serve"]


def floor_b(port: int) -> list[str]:
    """Give the command of the floor: one synchronous worker."""
    server = [sys.executable, "-m", "gunicorn", "--workers", "1", "--worker-class", "sync", "--log-level", "warning"]
    return [*server, "--bind", f"127.0.0.1:{port}", "tests.bench.floors:app"]


@contextmanager
def running(make_command: object, settings: dict[str, str]) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run a server on a free loopback port until the block ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert callable(make_command)
    environment = os.environ | settings | {"MMCDS_PORT": str(port)}
    with subprocess.Popen(  # noqa: S603 - our own commands
        make_command(port), env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    ) as process:
        try:
            _wait(port, process)
            yield process, port
        finally:
            process.terminate()


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + _START_SECONDS
    while time.monotonic() < give_up and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("the server did not start")


def milliseconds_per_request(
    process: subprocess.Popen[bytes], port: int, body: bytes, calls: int, token: Callable[[], str] | None = None
) -> float:
    """Give the CPU time of one request in milliseconds, all processes of the server together.

    With `token`, each request brings a new one; making it costs our time, not the server's.
    """
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        for _ in range(20):
            call(connection, body, token)
        before = _cpu_seconds(process.pid)
        for _ in range(calls):
            call(connection, body, token)
        return (_cpu_seconds(process.pid) - before) / calls * 1_000


def call(connection: http.client.HTTPConnection, body: bytes, token: Callable[[], str] | None = None) -> None:
    """Post one order-select request; anything but cards is an error."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token()}"} if token else {})
    connection.request("POST", SERVICE, body, headers)
    response = connection.getresponse()
    response.read()
    if response.status != http.client.OK:
        raise RuntimeError(f"the server answered {response.status}")


def _cpu_seconds(pid: int) -> float:
    family = [pid, *_children(pid)]
    return sum(_own_cpu_seconds(member) for member in family)


def _own_cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    user, system = int(fields[11]), int(fields[12])
    return (user + system) / _TICKS


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(child) for child in text.split()]

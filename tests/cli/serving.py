"""The service on a real loopback port, what it was asked, and the commands as an operator types them."""

import io
import json
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
from click.testing import CliRunner, Result
from werkzeug.serving import WSGIRequestHandler, make_server

from cds_service.app import create_app
from cds_service.settings import Settings
from tests.build import AS_OF
from tests.service.calling import KeepingRecorder

SETTINGS = Settings(auth="off", as_of=AS_OF.isoformat(), time_zone="America/New_York")


@dataclass(frozen=True, slots=True)
class Call:
    """One request that arrived."""

    path: str
    authorization: str | None
    body: dict[str, Any]


@dataclass(slots=True)
class Served:
    """A WSGI application on a port; it may be put in place after the port is known."""

    app: Any
    base: str = ""
    calls: list[Call] = field(default_factory=list)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Note the request and pass it on."""
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        self.calls.append(Call(environ["PATH_INFO"], environ.get("HTTP_AUTHORIZATION"), json.loads(body or b"{}")))
        answer: Iterable[bytes] = self.app(environ, start_response)
        return answer


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - the name of werkzeug
        """Say nothing."""


@contextmanager
def serving(app: Any = None) -> Iterator[Served]:
    """Serve an application, the shipped one without authentication by default."""
    served = Served(app or create_app(SETTINGS, recorder=KeepingRecorder()))
    server = make_server("127.0.0.1", 0, served, threaded=True, request_handler=_Quiet)
    served.base = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def run(command: click.Command, *arguments: object, env: Mapping[str, str | None] | None = None) -> Result:
    """Run a command; only exits may end it."""
    result = CliRunner().invoke(command, [str(argument) for argument in arguments], env=env)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def written(path: Path, content: Any) -> Path:
    """Write a JSON file and give its path."""
    path.write_text(json.dumps(content), encoding="utf-8")
    return path

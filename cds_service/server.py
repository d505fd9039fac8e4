"""Runs the application under gunicorn: workers of threads, the collector frozen once everything is loaded."""

import contextlib
import gc
import socket
from typing import Any

import msgspec
from flask import Flask, Response
from gunicorn import util
from gunicorn.app.base import BaseApplication
from gunicorn.http.errors import ParseException
from gunicorn.workers.gthread import ThreadWorker

from cds_service import telemetry
from cds_service.errors import MalformedRequest, operation_outcome
from cds_service.metrics import Metrics
from cds_service.routes import tell_caller
from cds_service.settings import Settings
from cds_service.site import Site

_THREADS = 8
_GRACEFUL_SECONDS = 5
_COLLECT_AFTER = 50_000  # allocations; requests make little garbage that only the collector can find


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn ships no types
    """Repeats nothing of what a client sent that is not HTTP, neither to the client nor in the log."""

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: BaseException) -> None:
        """Answer what never became a request."""
        telemetry.fault("request could not be read", exc)
        status = "400 Bad Request" if isinstance(exc, ParseException) else "500 Internal Server Error"
        body = msgspec.json.encode(operation_outcome("invalid", "The request could not be read as HTTP."))
        head = f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Type: application/json\r\n"
        with contextlib.suppress(OSError):
            util.write_nonblock(client, f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)


class Server(BaseApplication):  # type: ignore[misc]  # gunicorn ships no types
    """The WSGI server of one application."""

    def __init__(self, app: Flask, settings: Settings, site: Site, metrics: Metrics) -> None:
        """Take a finished application: it is loaded once, before the worker starts."""
        self._app = app
        app.register_error_handler(ParseException, _tell_of_broken_body)
        self._settings = settings
        self._workers = site.workers
        self._metrics = metrics
        super().__init__()

    def load_config(self) -> None:
        """Set what gunicorn needs to know."""
        for name, value in {
            "bind": f"{self._settings.host}:{self._settings.port}",
            "worker_class": Worker,
            "workers": self._workers,
            "threads": _THREADS,
            "preload_app": True,
            "graceful_timeout": _GRACEFUL_SECONDS,
            "loglevel": "warning",
            "control_socket_disable": True,
            "post_fork": lambda server, worker: freeze_collector(),
            "when_ready": self._say_ready,
        }.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Give the application."""
        return self._app

    def _say_ready(self, server: Any) -> None:
        if self._settings.admin_port is not None:
            self._metrics.serve(self._settings.host, self._settings.admin_port)
        telemetry.log("listening", address=f"http://{self._settings.host}:{self._settings.port}")


def _tell_of_broken_body(error: ParseException) -> Response:
    return tell_caller(MalformedRequest("The body does not end where its headers, or its chunks, say that it ends."))


def freeze_collector() -> None:
    """Leave everything that was loaded out of garbage collection, and collect seldom: requests leave no cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, 20, 20)

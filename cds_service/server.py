"""Runs the application under gunicorn: one worker of threads, the collector frozen once everything is loaded."""

import gc
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication

from cds_service import telemetry
from cds_service.errors import SettingsError
from cds_service.settings import Settings

_THREADS = 8
_GRACEFUL_SECONDS = 5
_COLLECT_AFTER = 50_000  # allocations; requests make little garbage that only the collector can find


class Server(BaseApplication):  # type: ignore[misc]  # gunicorn ships no types
    """The WSGI server of one application."""

    def __init__(self, app: Flask, settings: Settings) -> None:
        """Take a finished application: it is loaded once, before the worker starts."""
        self._app = app
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        """Set what gunicorn needs to know."""
        for name, value in {
            "bind": f"{self._settings.host}:{self._settings.port}",
            "worker_class": "gthread",
            "workers": 1,
            "threads": _THREADS,
            "preload_app": True,
            "graceful_timeout": _GRACEFUL_SECONDS,
            "loglevel": "warning",
            "post_fork": _freeze_collector,
            "when_ready": self._say_ready,
        }.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Give the application."""
        return self._app

    def _say_ready(self, server: Any) -> None:
        telemetry.log("listening", address=f"http://{self._settings.host}:{self._settings.port}")


def refuse_without_auth_switch(settings: Settings) -> None:
    """Client authentication is not there yet, so nobody may think that it is on.

    Raises SettingsError unless MMCDS_AUTH=off is set.
    """
    if settings.auth == "on":
        raise SettingsError(
            ["MMCDS_AUTH: this version cannot authenticate clients; set MMCDS_AUTH=off, with synthetic data only"]
        )


def _freeze_collector(server: Any, worker: Any) -> None:
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, 20, 20)

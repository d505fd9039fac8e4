"""Logs and decision records: the only module that logs, and only what is on its list of keys."""

import contextlib
import logging
import sys
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, fields
from typing import Any, Protocol

import structlog

# Libraries would name addresses, and with them patients
for _library in ("urllib3", "requests", "flask_cors"):
    logging.getLogger(_library).addHandler(logging.NullHandler())
    logging.getLogger(_library).propagate = False

# Nothing else may appear in a log line: no patient, user, order, hookInstance, header, body or exception text
ALLOWED_KEYS = frozenset(
    {
        "event",
        "level",
        "timestamp",
        "request_id",
        "service",
        "status",
        "label",
        "rules",
        "shown",
        "not_repeated",
        "feedback",
        "coverage",
        "gaps",
        "code_version",
        "knowledge_version",
        "milliseconds",
        "prefetch_key",
        "switches",
        "fault",
        "place",
        "address",
        "dropped_keys",
        "issuer",
        "reason",
        "origins",
    }
)


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """What was decided in one call, without patient data.

    `issuer` is the caller's alias; `rules` maps each rule to its outcomes, `coverage` each Topic to how completely it
    was read, `origins` each search to where it was read or to why it was not, `gaps` counts what could not be read by
    reason; `shown` and `not_repeated` name cards by their rules. `milliseconds` is the time from the last body byte to
    the answer.
    """

    request_id: str
    service: str
    status: int
    label: str
    issuer: str
    code_version: str
    knowledge_version: str
    rules: Mapping[str, tuple[str, ...]]
    shown: tuple[str, ...]
    not_repeated: tuple[str, ...]
    coverage: Mapping[str, str]
    origins: Mapping[str, str]
    gaps: Mapping[str, int]
    milliseconds: float


_DECIDED = tuple(field.name for field in fields(DecisionRecord))


class Recorder(Protocol):
    """Where decision records go."""

    def record(self, decision: DecisionRecord) -> None:
        """Keep one decision record."""


class LogRecorder:
    """Writes each decision record as one structured log line."""

    def record(self, decision: DecisionRecord) -> None:
        """Write the line."""
        log("decision", **{name: getattr(decision, name) for name in _DECIDED})


def keep(recorder: Recorder, decision: DecisionRecord) -> None:
    """Hand over a decision record; a recorder that fails costs the record, never the answer."""
    try:
        recorder.record(decision)
    except Exception as error:
        fault("decision not recorded", error, request_id=decision.request_id)


def configure_logging() -> None:
    """Send JSON lines to standard error; keys that are not on the list never get that far."""
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            _only_allowed_keys,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(sort_keys=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def log(event: str, **values: Any) -> None:
    """Write an informational line."""
    _write("info", event, values)


def warn(event: str, **values: Any) -> None:
    """Write a line that an operator should look at."""
    _write("warning", event, values)


def fault(event: str, error: BaseException, **values: Any) -> None:
    """Write a line about a fault of ours: the type of the exception and its place, never its text."""
    place, trace = "", error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        place = f"{code.co_filename.rpartition('/')[2]}:{trace.tb_lineno} in {code.co_name}"
        trace = trace.tb_next
    _write("error", event, {"fault": type(error).__name__, "place": place} | values)


def _write(level: str, event: str, values: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):  # a full disk or a closed pipe must not cost the answer
        getattr(structlog.get_logger(), level)(event, **values)


def _only_allowed_keys(logger: Any, method: str, values: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    dropped = sorted(values.keys() - ALLOWED_KEYS)
    for key in dropped:
        del values[key]
    if dropped:
        values["dropped_keys"] = dropped
    return values

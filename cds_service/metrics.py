"""Numbers for Prometheus: calls, times, refusals, rules, and where each search was read. No label names a patient."""

import contextlib
from collections import Counter as Tally
from collections.abc import Iterable, Mapping
from pathlib import Path

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, values
from prometheus_client.multiprocess import MultiProcessCollector

from cds_service import __version__
from cds_service.auth.tokens import REASONS
from cds_service.services import SERVICES
from cds_service.settings import share_metrics
from cds_service.telemetry import DecisionRecord, Recorder
from fhir_mapping.catalog.loader import SITE_MAP

_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0)  # seconds
UNRECOGNISED = "unrecognised treatment"
NOT_KNOWN = "not known"
ACCEPTED, OVERRIDDEN = "accepted", "overridden"
UNKNOWN_CARD = "unknown card"  # in the place of a rule
OTHER_REASON, COMMENT, NO_REASON = "other", "comment alone", "none"
_STATUSES = ("200", "400", "401", "412", "413", "415", "500", "503")


class Metrics:
    """The counters of one process, or of all workers together when a folder is shared.

    Every label set that is known beforehand begins at 0, so that the first event is an increase.
    """

    def __init__(self, shared: Path | None = None) -> None:
        """Make the counters; `shared` is an empty folder that the workers keep their numbers in."""
        self._shared = shared
        if shared is not None:
            # prometheus_client picks its kind of value when it is imported, which is too early for us
            share_metrics(shared)
            values.ValueClass = values.MultiProcessValue()  # type: ignore[no-untyped-call]  # it ships few types
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "cds_hook_requests", "Calls of a service by status", ["service", "code"], registry=self._registry
        )
        self._seconds = Histogram(
            "cds_hook_request_duration_seconds",
            "Time from the last byte of a call to its answer",
            ["service"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._rejections = Counter(
            "cds_auth_rejections", "Calls answered with 401, by reason", ["reason"], registry=self._registry
        )
        self._rules = Counter("cds_rule_evaluations", "Answers of a rule", ["rule", "result"], registry=self._registry)
        self._searches = Counter(
            "cds_searches",
            "Searches of the chart by where they were read, or why not",
            ["key", "origin"],
            registry=self._registry,
        )
        self._drugs = Counter(
            "mmcds_drug_entries",
            "Drug entries of charts by what they were recognised by, or not",
            ["how"],
            registry=self._registry,
        )
        self._shown = Counter(
            "cds_cards_shown", "Cards shown, by the rule that names them", ["rule"], registry=self._registry
        )
        self._not_repeated = Counter(
            "cds_cards_not_repeated",
            "Cards not shown again after their user had overridden them, by the rule that would have named them",
            ["rule"],
            registry=self._registry,
        )
        self._feedback = Counter(
            "cds_card_feedback", "What became of cards, each counted once", ["rule", "outcome"], registry=self._registry
        )
        self._reasons = Counter(
            "cds_card_override_reasons", "Why cards were overridden", ["rule", "reason"], registry=self._registry
        )
        build = Gauge(
            "cds_build_info", "The version that runs", ["version"], registry=self._registry, multiprocess_mode="max"
        )
        build.labels(__version__).set(1)
        for service in SERVICES:
            self._seconds.labels(service)
            for status in _STATUSES:
                self._requests.labels(service, status)
        for reason in REASONS:
            self._rejections.labels(reason)
        # Looking a label set up costs more than counting it, and there are some two dozen at most
        self._by_how = {how: self._drugs.labels(how) for how in (SITE_MAP, UNRECOGNISED, NOT_KNOWN)}

    def count_rejection(self, reason: str) -> None:
        """Count a call that was turned away."""
        self._rejections.labels(reason).inc()

    def count_drugs(self, entries: Mapping[str, int]) -> None:
        """Count the drug entries of one chart by how each was recognised, in words of our tables.

        Numbers that cannot be written cost nothing else.
        """
        with contextlib.suppress(OSError, ValueError):
            for how, times in entries.items():
                child = self._by_how.get(how)
                if child is None:
                    child = self._by_how[how] = self._drugs.labels(how)
                child.inc(times)

    def expect_cards(self, reasons: Mapping[str, Iterable[str]]) -> None:
        """Begin at 0 for the cards of these rules, and the reasons with which each can be overridden."""
        for rule, offered in reasons.items():
            self._shown.labels(rule)
            self._not_repeated.labels(rule)
            for reason in (*offered, OTHER_REASON, COMMENT, NO_REASON):
                self._reasons.labels(rule, reason)
        for rule in (*reasons, UNKNOWN_CARD):
            for outcome in (ACCEPTED, OVERRIDDEN):
                self._feedback.labels(rule, outcome)

    def count_feedback(self, rule: str, outcome: str, reason: str | None = None) -> None:
        """Count what became of one card; numbers that cannot be written cost nothing else."""
        with contextlib.suppress(OSError, ValueError):
            self._feedback.labels(rule, outcome).inc()
            if reason is not None:
                self._reasons.labels(rule, reason).inc()

    def count(self, decision: DecisionRecord) -> None:
        """Count one call of a service."""
        self._requests.labels(decision.service, str(decision.status)).inc()
        self._seconds.labels(decision.service).observe(decision.milliseconds / 1_000)
        for rule, outcomes in decision.rules.items():
            for result, times in Tally(outcomes).items():
                self._rules.labels(rule, result).inc(times)
        for rule in decision.shown:
            self._shown.labels(rule).inc()
        for rule in decision.not_repeated:
            self._not_repeated.labels(rule).inc()
        for key, origin in decision.origins.items():
            self._searches.labels(key, origin).inc()

    def exposition(self) -> bytes:
        """Write all numbers in Prometheus' text format."""
        return generate_latest(self._for_reading())

    def serve(self, host: str, port: int) -> None:
        """Answer Prometheus at an address of its own, in a thread of this process."""
        prometheus_client.start_http_server(port, host, self._for_reading())

    def _for_reading(self) -> CollectorRegistry:
        if self._shared is None:
            return self._registry
        together = CollectorRegistry()
        MultiProcessCollector(together, path=str(self._shared))  # type: ignore[no-untyped-call]  # as above
        return together


class CountingRecorder:
    """Counts each decision record before it is kept elsewhere."""

    def __init__(self, metrics: Metrics, recorder: Recorder) -> None:
        """Take the counters and the recorder that keeps the record."""
        self._metrics = metrics
        self._recorder = recorder

    def record(self, decision: DecisionRecord) -> None:
        """Count and keep; numbers that cannot be written cost nothing else."""
        with contextlib.suppress(OSError, ValueError):
            self._metrics.count(decision)
        self._recorder.record(decision)

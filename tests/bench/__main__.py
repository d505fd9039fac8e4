"""Prints the budgets P1, P2, P3, P5 and P6 with their figures: `make bench`."""

import http.client
import json
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import orjson
from requests import Session

from cards.finding import Hook
from cds_service.assess import assess
from cds_service.server import freeze_collector
from tests.bench import serving
from tests.bench.charts import busy_request
from tests.bench.client import trusted_client
from tests.build import AS_OF, PATIENT, assessor
from tests.ehr.server import Ehr

_SERVICE = {"MMCDS_AS_OF": AS_OF.isoformat(), "MMCDS_HOST": "127.0.0.1"}
_SERVER_SECONDS = 0.03


def _milliseconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return (time.process_time() - started) * 1_000


def _ratio(ours: Callable[[], object], floor: Callable[[], object], runs: int) -> tuple[float, float, float]:
    """Run both in turn; give the median of the pairwise ratios and both medians in milliseconds."""
    for work in (ours, floor) * 5:
        work()
    pairs = [(_milliseconds(ours), _milliseconds(floor)) for _ in range(runs)]
    return (
        statistics.median(a / b for a, b in pairs),
        statistics.median(a for a, _ in pairs),
        statistics.median(b for _, b in pairs),
    )


def _answer(body: bytes) -> Callable[[], object]:
    return lambda: assess(body, Hook.ORDER_SELECT, assessor())


def _line(name: str, what: str, figure: float, budget: float | None, more: str) -> bool:
    is_met = budget is None or figure <= budget
    verdict = "" if budget is None else f"  budget <= {budget:g}  {'met' if is_met else 'NOT MET'}"
    click.echo(f"{name:8} {what:58} {figure:6.2f}{verdict}   ({more})")
    return is_met


def main() -> int:
    """Measure and print; 1 when a budget is not met."""
    click.echo(
        "CPU time, this machine, this run; only the ratios are meant to last. Floor A = orjson.loads of the body."
    )
    small, large = busy_request(200), busy_request(2_000)
    freeze_collector()  # as the service does once it is loaded
    met = []
    ratio, ours_small, floor = _ratio(_answer(small), lambda: orjson.loads(small), 200)
    size = f"{len(small) / 1_000:.0f} kB, {ours_small:.2f} ms against {floor:.2f} ms"
    met.append(_line("P2", "decode, history, rules, cards: 200 resources / floor A", ratio, 0.8, size))
    ratio, ours_large, floor = _ratio(_answer(large), lambda: orjson.loads(large), 30)
    size = f"{len(large) / 1_000:.0f} kB, {ours_large:.2f} ms against {floor:.2f} ms"
    met.append(_line("P2", "the same: 2,000 resources / floor A", ratio, 0.4, size))
    met.append(_line("P3", "2,000 resources / 200 resources", ours_large / ours_small, 11, "medians of the above"))
    unwatched, healthy = busy_request(250, drug="metformin"), busy_request(250, myeloma_on_record=False)
    whole = busy_request(250)
    for what, body in (("order not watched", unwatched), ("patient without myeloma", healthy)):
        ratio, ours, full = _ratio(_answer(body), _answer(whole), 100)
        met.append(
            _line("P6", f"{what} / full request, in process", ratio, 0.5, f"{ours:.2f} ms against {full:.2f} ms")
        )
    met.append(_whole_request(whole))
    met.append(_fallback())
    return 0 if all(met) else 1


def _whole_request(body: bytes) -> bool:
    calls = 300
    with serving.running(serving.floor_b, {}) as (process, port):
        floor = serving.milliseconds_per_request(process, port, body, calls)
    with TemporaryDirectory() as folder:
        settings, token = trusted_client(Path(folder))
        with serving.running(serving.mmcds, _SERVICE | settings) as (process, port):
            ours = serving.milliseconds_per_request(process, port, body, calls, token)
    detail = f"{ours:.2f} ms against {floor:.2f} ms"
    is_met = _line("P1", "whole request, ES384, 250 resources / floor B", ours / floor, 0.7, detail)
    click.echo("         P1 without the store and the metrics, and with the rules that exist.")
    click.echo("         Floor B = bare Flask on gunicorn, standard json, a fixed card.")
    return is_met


def _fallback() -> bool:
    """Time a hook without prefetch against one search of the same server: both by the clock on the wall."""
    request = json.loads(busy_request(30))
    chart = request.pop("prefetch")
    with (
        Ehr(chart, delay_seconds=_SERVER_SECONDS) as ehr,
        serving.running(serving.mmcds, _SERVICE | {"MMCDS_AUTH": "off"}) as (_, port),
    ):
        body = json.dumps(request | {"fhirServer": ehr.base}).encode()
        search = f"{ehr.base}/Condition?patient={PATIENT}"
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection, Session() as session:
            ours, floor = wall(lambda: serving.call(connection, body)), wall(lambda: session.get(search))
    detail = f"{ours:.0f} ms against {floor:.0f} ms"
    return _line("P5", "no prefetch: all searches, 30 ms each / one search", ours / floor, 1.6, detail)


def wall(work: Callable[[], object], runs: int = 60) -> float:
    """Give the median time of one call in milliseconds, by the clock on the wall."""
    for _ in range(10):
        work()
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1_000


if __name__ == "__main__":
    sys.exit(main())

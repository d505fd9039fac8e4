"""Servers that break HTTP itself: late, dripping, cut, lying about lengths, or without an end."""

import gc
import threading
import time
import tracemalloc

import pytest
from werkzeug.test import TestResponse

from cds_service.transport import Allowance, FetchFault, Line, Route, Transport
from tests.ehr import faulty, sockets
from tests.ehr.faulty import raw
from tests.ehr.server import serving
from tests.ehr.sockets import Behaviour, misbehaving
from tests.faults.asking import (
    DEADLINE_SECONDS,
    GRACE_SECONDS,
    LISTS,
    NEEDED,
    TYPES,
    best_seconds,
    expect_degraded,
    expect_refusal,
    expect_refused,
    gap_card,
    hasty_service,
    is_full,
    make_service,
    ordinary,
    quiet_chart,
    swift,
    washout_chart,
)

MEGABYTE = 1 << 20
CAP_BYTES = 20_000_000
LIST = "MedicationStatement"

TIMELESS = {
    "black hole": sockets.black_hole(),
    "slow first byte": sockets.slow_first_byte(3),
    "header drip": sockets.header_drip(),
    "body drip": sockets.body_drip(),
    "endless chunks": sockets.endless_chunks(),
    "endless headers": sockets.endless_headers(),
    "slow endless headers": sockets.endless_headers(0.05),
    "endless continue": sockets.endless_continue(),
    "gzip bomb": sockets.gzip_bomb(),
    "gzip bomb in gzip": sockets.gzip_bomb(layers=2),
}
ROW = {
    "black hole": "05",
    "slow first byte": "05",
    "header drip": "06",
    "slow endless headers": "06",
    "endless headers": "06",
    "endless continue": "06",
    "body drip": "07",
    "endless chunks": "07",
    "gzip bomb": "11",
    "gzip bomb in gzip": "11",
}


@pytest.fixture(autouse=True, scope="module")
def _bombs_are_ready() -> None:
    for layers in (1, 2):
        sockets.packed_bomb(256, layers)


def test_fm_05_a_line_that_is_cut_a_moment_before_the_deadline_was_late_and_not_out_of_reach() -> None:
    line = Line()
    with misbehaving(sockets.black_hole()) as server:
        threading.Timer(0.3, line.cut).start()

        with pytest.raises(FetchFault) as fault:
            Transport(Route()).get(
                server.base, {}, deadline=time.monotonic() + 30, allowance=Allowance(MEGABYTE), line=line
            )

    assert fault.value.label == "timeout"


@pytest.mark.parametrize("behaviour", TIMELESS.values(), ids=[f"{ROW[name]} {name}" for name in TIMELESS])
def test_fm_05_06_07_11_a_server_that_takes_for_ever_is_cut_at_the_deadline(behaviour: Behaviour) -> None:
    service = hasty_service()
    with misbehaving(behaviour) as server:
        expect_refusal(service.ask(server.base))

        assert best_seconds(lambda: service.ask(server.base)) < DEADLINE_SECONDS + GRACE_SECONDS
        assert server.connections >= len(TYPES)

    with serving(washout_chart()) as ehr:
        ordinary(service, ehr)


@pytest.mark.parametrize("behaviour", TIMELESS.values(), ids=[f"{ROW[name]} {name}" for name in TIMELESS])
def test_fm_05_06_07_11_what_arrived_in_time_is_used(behaviour: Behaviour) -> None:
    service = hasty_service()
    with serving(quiet_chart(), faults={LIST: raw(behaviour)}) as ehr:
        assert NEEDED[LIST] in gap_card(service.ask(ehr.base))

        assert best_seconds(lambda: service.ask(ehr.base)) < DEADLINE_SECONDS + GRACE_SECONDS
        ordinary(service, ehr)


def test_fm_05_everything_late_is_nothing_read() -> None:
    service = hasty_service()
    with serving(washout_chart(), delay_seconds=2) as ehr:
        expect_refusal(service.ask(ehr.base))
        assert best_seconds(lambda: service.ask(ehr.base)) < DEADLINE_SECONDS + GRACE_SECONDS
        ehr.delay_seconds = 0

        ordinary(service, ehr)


def test_fm_05_late_but_in_time_is_a_full_answer() -> None:
    with serving(washout_chart(), delay_seconds=0.2) as ehr:
        assert is_full(make_service().ask(ehr.base))


def test_fm_06_other_requests_go_on_while_a_server_drips() -> None:
    service = make_service()
    slow: list[TestResponse] = []
    with misbehaving(sockets.header_drip()) as server, serving(washout_chart()) as ehr:
        assert is_full(service.ask(ehr.base))
        threads = [threading.Thread(target=lambda: slow.append(service.ask(server.base))) for _ in range(2)]
        for thread in threads:
            thread.start()
        with swift(1):
            assert is_full(service.ask(ehr.base))
        for thread in threads:
            thread.join()

    assert [answer.status_code for answer in slow] == [412, 412]


BROKEN = {
    "08 reset in the body": sockets.reset_mid_body(),
    "09 shorter than announced": sockets.short_body(),
    "10 no body": sockets.no_body(),
    "10 no body and no length": sockets.no_body(None),
    "08 closed at once": sockets.closed_at_once(),
}


@pytest.mark.parametrize("kind", LISTS)
@pytest.mark.parametrize("behaviour", BROKEN.values(), ids=BROKEN.keys())
def test_fm_08_09_10_a_broken_answer_is_a_failure_never_an_empty_list(behaviour: Behaviour, kind: str) -> None:
    expect_degraded(raw(behaviour), kind, at_most=2)


@pytest.mark.parametrize("behaviour", BROKEN.values(), ids=BROKEN.keys())
def test_fm_08_09_10_nothing_but_broken_answers_is_nothing_read(behaviour: Behaviour) -> None:
    expect_refused(raw(behaviour), at_most=2)


@pytest.mark.parametrize("kind", LISTS)
def test_fm_10_status_200_with_an_empty_body_is_a_failure(kind: str) -> None:
    expect_degraded(faulty.empty_body(), kind)


@pytest.mark.parametrize("code", [201, 202, 204, 206])
def test_fm_10_another_good_status_is_not_an_answer_either(code: int) -> None:
    expect_degraded(faulty.empty_body(code), LIST)


@pytest.mark.parametrize("layers", [1, 2])
def test_fm_11_a_gzip_bomb_does_not_fill_the_memory(layers: int) -> None:
    service = make_service()
    with misbehaving(sockets.gzip_bomb(256, layers)) as server:
        gc.collect()
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            expect_refusal(service.ask(server.base))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    assert peak - before < CAP_BYTES + 20 * MEGABYTE

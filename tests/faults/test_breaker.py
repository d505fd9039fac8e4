"""The circuit breaker: a server that does not answer is left alone for a while, the others are not."""

import threading
import time

import pytest

from tests.build import ALL_KEYS, bundle, condition
from tests.ehr.faulty import Fault, html_login, raw, status
from tests.ehr.server import serving
from tests.ehr.sockets import black_hole, misbehaving
from tests.faults.asking import (
    TYPES,
    authorization,
    expect_refusal,
    gap_card,
    hasty_service,
    is_full,
    make_service,
    ordinary,
    quiet_chart,
    swift,
    washout_chart,
)
from tests.service.calling import cards

HOOKS = 5
OPEN_SECONDS = 30
DOWN: dict[str, Fault] = {
    "error": status(503),
    "silence": raw(black_hole()),
}


@pytest.mark.parametrize("fault", DOWN.values(), ids=DOWN.keys())
def test_fm_38_after_five_failing_hooks_a_server_is_left_alone(fault: Fault) -> None:
    service = make_service(deadline_seconds=0.3)
    with serving(washout_chart(), faults=dict.fromkeys([*TYPES, "metadata"], fault)) as ehr:
        for _ in range(HOOKS):
            expect_refusal(service.ask(ehr.base))
        time.sleep(0.1)  # what was cut off may still be on its way to the server's list
        so_far = ehr.connections, len(ehr.requests)
        started = time.perf_counter()
        expect_refusal(service.ask(ehr.base), "left alone")
        took = time.perf_counter() - started

        assert took < 0.1
        assert (ehr.connections, len(ehr.requests)) == so_far


def test_fm_38_another_server_is_read_meanwhile() -> None:
    service = make_service()
    with serving(washout_chart(), faults=dict.fromkeys(TYPES, status(503))) as ehr, serving(washout_chart()) as other:
        for _ in range(HOOKS + 1):
            expect_refusal(service.ask(ehr.base))

        ordinary(service, other)


def test_fm_38_what_was_sent_still_counts_while_a_server_is_left_alone() -> None:
    service = make_service()
    with serving(washout_chart(), faults=dict.fromkeys(TYPES, status(503))) as ehr:
        for _ in range(HOOKS + 1):
            expect_refusal(service.ask(ehr.base))

        assert is_full(service.ask(ehr.base, prefetch=washout_chart()))
        assert "procedures" in gap_card(service.ask(ehr.base, prefetch=quiet_chart(without=["procedures"])))


def test_fm_38_one_hook_with_many_failing_requests_counts_once() -> None:
    service = make_service()
    with serving(washout_chart(), faults=dict.fromkeys(TYPES, status(503))) as ehr:
        for _ in range(HOOKS - 1):
            expect_refusal(service.ask(ehr.base))

        ordinary(service, ehr)


def test_fm_38_hooks_that_fail_now_and_then_do_not_add_up() -> None:
    service = make_service()
    with serving(washout_chart()) as ehr:
        for _ in range(3):
            ehr.faults = dict.fromkeys(TYPES, status(503))
            for _ in range(HOOKS - 2):
                expect_refusal(service.ask(ehr.base))
            ordinary(service, ehr)


@pytest.mark.parametrize(
    "fault", [status(403), status(404), html_login()], ids=["forbidden", "not found", "login page"]
)
def test_fm_38_a_server_that_refuses_one_user_answers_the_next(fault: Fault) -> None:
    service = make_service()
    with serving(washout_chart(), faults=dict.fromkeys(TYPES, fault)) as ehr:
        for _ in range(HOOKS + 1):
            expect_refusal(service.ask(ehr.base))

        ordinary(service, ehr)


def test_fm_38_one_failing_list_does_not_cut_off_the_others() -> None:
    service = make_service()
    with serving(quiet_chart(), faults={"MedicationStatement": status(503)}) as ehr:
        for _ in range(HOOKS + 2):
            said = gap_card(service.ask(ehr.base))
            assert "medication statements" in said
            assert "problem list" not in said

        assert len(ehr.asked("Condition")) == HOOKS + 2
        assert len(ehr.asked("MedicationStatement")) == 2 * HOOKS  # each asked twice, until the breaker opened


def test_fm_38_searches_that_nobody_waited_for_do_not_count_against_the_server() -> None:
    service = make_service()
    with serving(washout_chart(), delay_seconds=0.03) as ehr:
        for _ in range(HOOKS + 2):
            other = {"conditions": bundle([condition("I10")])}  # no myeloma, so the rest is not waited for
            assert cards(service.ask(ehr.base, prefetch=other)) == []
        assert is_full(service.ask(ehr.base))


def test_fm_38_a_token_that_ends_at_once_does_not_count_against_the_server() -> None:
    service = make_service()
    with serving(washout_chart(), delay_seconds=0.03) as ehr:
        for _ in range(HOOKS + 2):
            expect_refusal(service.ask(ehr.base, fhirAuthorization=authorization(expires_in=0.001)))
        assert is_full(service.ask(ehr.base))


@pytest.mark.deep
def test_fm_38_after_thirty_seconds_one_hook_tries_and_a_recovered_server_is_read_again() -> None:
    service = make_service()
    with serving(washout_chart(), faults=dict.fromkeys(TYPES, status(503))) as ehr:
        for _ in range(HOOKS):
            expect_refusal(service.ask(ehr.base))
        opened = time.monotonic()
        so_far = len(ehr.requests)
        while time.monotonic() - opened < OPEN_SECONDS - 1:
            expect_refusal(service.ask(ehr.base), "left alone")
            time.sleep(1)
        assert len(ehr.requests) == so_far

        time.sleep(2)
        threads = [threading.Thread(target=service.ask, args=(ehr.base,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert so_far < len(ehr.requests) <= so_far + 2 * (len(ALL_KEYS) + 1)

        time.sleep(OPEN_SECONDS + 1)
        ordinary(service, ehr)
        ordinary(service, ehr)


def test_fm_38_many_hooks_at_a_silent_server_end_in_time_and_others_go_on() -> None:
    service = hasty_service()
    with misbehaving(black_hole()) as server, serving(washout_chart()) as ehr:
        threads = [threading.Thread(target=service.ask, args=(server.base,)) for _ in range(12)]
        with swift(3):
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        assert is_full(service.ask(ehr.base))

"""Statuses other than 200: what is tried again, what is not, and what each of them costs."""

import time

import pytest
from structlog.testing import capture_logs

from tests.build import ALL_KEYS
from tests.ehr.faulty import Fault, garbage, raw, redirect, sound_but, status
from tests.ehr.server import serving
from tests.ehr.sockets import reset_mid_body
from tests.faults.asking import (
    LISTS,
    NEEDED,
    TYPES,
    expect_degraded,
    expect_refusal,
    expect_refused,
    gap_card,
    is_full,
    make_service,
    ordinary,
    quiet_chart,
    swift,
    tries,
    washout_chart,
)
from tests.service.calling import cards, codes

LIST = "MedicationStatement"
VALID, REVOKED = "canary-in-a-valid-token", "canary-in-a-revoked-token"
SERVER_ERRORS = [500, 502, 503, 504]


@pytest.mark.parametrize("code", SERVER_ERRORS)
def test_fm_12_a_server_error_is_tried_once_more_at_most(code: int) -> None:
    expect_degraded(status(code, "upstream"), LIST, at_most=2)
    expect_refused(status(code, "upstream"), at_most=2)


@pytest.mark.parametrize("kind", LISTS)
def test_fm_12_any_list_may_be_the_one_that_fails(kind: str) -> None:
    expect_degraded(status(503), kind, at_most=2)


@pytest.mark.parametrize("code", [502, 503, 504])
@pytest.mark.parametrize("kind", TYPES)
def test_fm_12_an_error_that_passes_costs_nothing(code: int, kind: str) -> None:
    with serving(washout_chart(), faults={kind: status(code).first(1)}) as ehr:
        assert is_full(make_service().ask(ehr.base))
        assert tries(ehr, kind) == 2


@pytest.mark.parametrize("after", [None, "4", "3600", "soon", "-1", "0.1", "Wed, 21 Oct 2037 07:28:00 GMT", "9" * 400])
def test_fm_13_a_throttled_list_is_asked_again_only_when_that_fits(after: str | None) -> None:
    headers = {} if after is None else {"Retry-After": after}

    expect_degraded(status(429, "slow down", headers=headers), LIST, at_most=2 if after is None else 1)


def test_fm_13_a_retry_that_fits_is_made_not_before_its_time() -> None:
    fault = status(429, headers={"Retry-After": "1"}).first(1)
    with serving(washout_chart(), faults={LIST: fault}) as ehr:
        started = time.perf_counter()
        assert is_full(make_service().ask(ehr.base))

        assert 1 <= time.perf_counter() - started < 3
        assert len(ehr.asked(LIST)) == 2


def test_fm_13_a_server_that_throttles_everything_is_left_alone() -> None:
    service = make_service()
    fault = status(429, "slow down", headers={"Retry-After": "60"})
    with serving(washout_chart(), faults=dict.fromkeys(TYPES, fault)) as ehr:
        for _ in range(5):
            expect_refusal(service.ask(ehr.base))
        so_far = len(ehr.requests)

        expect_refusal(service.ask(ehr.base))

        assert len(ehr.requests) == so_far


def test_fm_14_a_refused_token_is_not_tried_again() -> None:
    service = make_service()
    with serving(washout_chart(), token=VALID) as ehr:
        expect_refusal(service.ask(ehr.base, token=REVOKED), "refused the access token")

        assert all(tries(ehr, kind) == 1 for kind in TYPES)
        assert is_full(service.ask(ehr.base, token=VALID))


def test_fm_14_refused_tokens_do_not_open_the_breaker() -> None:
    service = make_service()
    with serving(washout_chart(), token=VALID) as ehr:
        for _ in range(6):
            expect_refusal(service.ask(ehr.base, token=REVOKED))

        assert is_full(service.ask(ehr.base, token=VALID))


@pytest.mark.parametrize(
    "fault", [None, status(500), garbage(), redirect("http://127.0.0.1:1/"), raw(reset_mid_body())]
)
def test_fm_14_no_answer_and_no_log_holds_a_token_or_what_the_server_said(
    fault: Fault | None, capsys: pytest.CaptureFixture[str]
) -> None:
    service = make_service()
    with serving(quiet_chart(), token=VALID, faults={LIST: fault} if fault else {}) as ehr, capture_logs() as lines:
        answers = [service.ask(ehr.base, token=token).text for token in (VALID, REVOKED)]
        assert {r.headers.get("authorization") for r in ehr.asked(LIST)} == {f"Bearer {VALID}", f"Bearer {REVOKED}"}
    printed = capsys.readouterr()

    everything = f"{answers} {lines} {service.records} {printed.out} {printed.err}"
    assert [word for word in (VALID, REVOKED, "token required", "127.0.0.1") if word in everything] == []


@pytest.mark.parametrize(("code", "word"), [(401, "unauthorized"), (403, "forbidden"), (503, "server_error")])
def test_fm_14_the_decision_record_of_a_refusal_says_why(code: int, word: str) -> None:
    service = make_service()
    with serving(washout_chart(), faults=dict.fromkeys(TYPES, status(code))) as ehr:
        expect_refusal(service.ask(ehr.base))

    assert set(service.records[-1].origins.values()) == {word}


@pytest.mark.parametrize("kind", ["Patient", *LISTS])
def test_fm_15_one_forbidden_type_is_said_and_not_tried_again(kind: str) -> None:
    expect_degraded(status(403, "scope"), kind, at_most=1)


@pytest.mark.parametrize("kind", ["AllergyIntolerance", "Observation"])
def test_fm_15_a_forbidden_type_does_not_spoil_rules_that_do_not_need_it(kind: str) -> None:
    with serving(washout_chart(), faults={kind: status(403)}) as ehr:
        assert codes(make_service().ask(ehr.base))[0] == "R01"


@pytest.mark.parametrize("code", [401, 403, 404, 410])
def test_fm_16_a_patient_whom_the_server_does_not_give_is_nothing_read(code: int) -> None:
    expect_refused(status(code, "no such patient", headers={}), at_most=1)


def test_fm_16_a_patient_who_is_not_there_never_has_an_empty_chart() -> None:
    service = make_service()
    with serving(quiet_chart()) as ehr:
        ehr.state = dict.fromkeys(ALL_KEYS, "none")
        with swift():
            answer = service.ask(ehr.base)

        assert answer.status_code == 412 or NEEDED["Patient"] in gap_card(answer)
        ordinary(service, ehr)


@pytest.mark.parametrize("code", [201, 202, 206, 226, 300, 400, 403, 404, 418, 451, 500, 503, 599])
def test_fm_15_a_list_under_any_status_but_200_is_no_list(code: int) -> None:
    expect_degraded(sound_but(code), LIST, at_most=2)


@pytest.mark.parametrize("code", [300, 301, 302, 303, 304, 307, 308])
def test_fm_36_a_redirect_is_a_failure(code: int) -> None:
    with serving(washout_chart()) as other:
        expect_degraded(redirect(f"{other.base}/{LIST}?patient=synthetic-1", code), LIST, at_most=1)

        assert other.requests == []


def test_fm_36_a_redirect_on_the_same_server_is_a_failure_too() -> None:
    service = make_service()
    with serving(quiet_chart()) as ehr:
        ehr.faults = {LIST: redirect(f"{ehr.base}/{LIST}?patient=synthetic-1&_page=1")}

        assert NEEDED[LIST] in gap_card(service.ask(ehr.base))
        assert len(ehr.asked(LIST)) == 1


def test_fm_36_a_token_is_never_carried_to_where_a_redirect_points() -> None:
    with serving(washout_chart()) as other, serving(washout_chart()) as ehr:
        ehr.faults = dict.fromkeys(TYPES, redirect(f"{other.base}/Patient/synthetic-1", 307))

        expect_refusal(make_service().ask(ehr.base, token="secret"))  # noqa: S106 - no secret

        assert other.requests == []


def test_fm_15_with_everything_readable_there_is_nothing_to_say() -> None:
    with serving(quiet_chart()) as ehr:
        assert cards(make_service().ask(ehr.base)) == []

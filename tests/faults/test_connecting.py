"""Servers that cannot be reached: unknown names, refused and hanging connections, certificates that prove nothing."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cds_service.site import Site
from tests.build import ALL_KEYS
from tests.ehr.certificates import Authority
from tests.ehr.server import serving
from tests.ehr.sockets import closed_port, unconnectable
from tests.faults.asking import (
    DEADLINE_SECONDS,
    GRACE_SECONDS,
    NEEDED,
    best_seconds,
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

LIST = "MedicationStatement"
NOWHERE = "http://ehr.invalid/fhir/r4"


def name_not_found(*_: Any, **__: Any) -> Any:
    """Fail as the resolver does for a name that does not exist."""
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@pytest.fixture
def hanging_resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let every look-up of a name hang until the test is over."""
    is_over = threading.Event()

    def hang(*_: Any, **__: Any) -> Any:
        is_over.wait(20)
        name_not_found()

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    yield
    is_over.set()


def test_fm_01_an_unknown_host_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    service = make_service(fhir_bases=(NOWHERE,))
    with monkeypatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", name_not_found)

        expect_refusal(service.ask(NOWHERE))
        assert best_seconds(lambda: service.ask(NOWHERE)) < 0.3

    with serving(washout_chart()) as ehr:
        ordinary(service, ehr)


def test_fm_01_a_resolver_that_hangs_is_not_waited_for(hanging_resolver: None) -> None:
    service = make_service(fhir_bases=(NOWHERE,), deadline_seconds=DEADLINE_SECONDS)

    expect_refusal(service.ask(NOWHERE))
    assert best_seconds(lambda: service.ask(NOWHERE)) < DEADLINE_SECONDS + GRACE_SECONDS


def test_fm_01_the_breaker_counts_unknown_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    service = make_service(fhir_bases=(NOWHERE,))
    looked_up = []

    def note(*asked: Any, **__: Any) -> Any:
        looked_up.append(asked)
        name_not_found()

    monkeypatch.setattr(socket, "getaddrinfo", note)
    for _ in range(5):
        expect_refusal(service.ask(NOWHERE))
    so_far = len(looked_up)

    expect_refusal(service.ask(NOWHERE))

    assert so_far >= 5
    assert len(looked_up) == so_far


def test_fm_02_a_refused_connection_is_tried_once_more_and_then_told(monkeypatch: pytest.MonkeyPatch) -> None:
    service = make_service()
    attempts = noted_connects(monkeypatch)
    with closed_port() as base:
        with swift():
            expect_refusal(service.ask(base))

        assert len(ALL_KEYS) < len(attempts) <= 2 * (len(ALL_KEYS) + 1)

    with serving(washout_chart()) as ehr:
        ordinary(service, ehr)


def test_fm_02_a_second_attempt_that_succeeds_is_as_good_as_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    noted_connects(monkeypatch, refused=len(ALL_KEYS) // 2)
    with serving(washout_chart()) as ehr:
        assert is_full(make_service().ask(ehr.base))


def noted_connects(monkeypatch: pytest.MonkeyPatch, *, refused: int = 0) -> list[Any]:
    """Note every attempt to connect, and refuse the first of them."""
    attempts: list[Any] = []
    lock = threading.Lock()
    connect = socket.socket.connect

    def note(self: socket.socket, address: Any) -> None:
        with lock:
            attempts.append(address)
            is_refused = len(attempts) <= refused
        if is_refused:
            raise ConnectionRefusedError(111, "Connection refused")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", note)
    return attempts


def test_fm_03_a_connection_that_hangs_is_cut_at_the_deadline() -> None:
    service = hasty_service()
    with unconnectable() as base:
        expect_refusal(service.ask(base))

        assert best_seconds(lambda: service.ask(base)) < DEADLINE_SECONDS + GRACE_SECONDS

    with serving(washout_chart()) as ehr:
        ordinary(service, ehr)


def test_fm_03_connecting_takes_half_a_second_at_most_however_late_the_deadline() -> None:
    with unconnectable() as base, swift(2.5):
        expect_refusal(make_service(deadline_seconds=8).ask(base))


def test_fm_03_what_was_sent_counts_while_the_server_cannot_be_reached() -> None:
    sent = quiet_chart(without=["medicationStatements"])
    with unconnectable() as base:
        assert NEEDED[LIST] in gap_card(make_service().ask(base, prefetch=sent))


@pytest.mark.parametrize(
    ("fault", "trusts"),
    [({}, False), ({"expired": True}, True), ({"elsewhere": True}, True)],
    ids=["unknown authority", "expired", "another host"],
)
def test_fm_04_a_certificate_that_proves_nothing_ends_it(tmp_path: Path, fault: dict[str, bool], trusts: bool) -> None:
    authority = Authority(tmp_path)
    service = make_service(Site(ca_file=authority.ca_file) if trusts else None)
    with serving(washout_chart(), tls=authority.server(**fault)) as ehr:
        with swift():
            expect_refusal(service.ask(ehr.base), "certificate is not trusted")
        assert NEEDED[LIST] in gap_card(service.ask(ehr.base, prefetch=quiet_chart(without=["medicationStatements"])))

        assert service.records[-1].origins["medicationStatements"] == "tls"
        assert ehr.connections > 0
        assert ehr.requests == []


def test_fm_04_a_sound_certificate_is_taken(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with serving(washout_chart(), tls=authority.server()) as ehr:
        assert is_full(make_service(Site(ca_file=authority.ca_file)).ask(ehr.base))


def test_fm_04_nothing_goes_out_in_the_clear_when_tls_fails() -> None:
    with serving(washout_chart()) as ehr:
        expect_refusal(make_service().ask(ehr.base.replace("http://", "https://")))

        assert ehr.requests == []

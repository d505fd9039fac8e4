"""A FHIR server that is not allowed is never contacted, however its address is written."""

import json
import socket
from typing import Any

import pytest

from cards.finding import Hook
from cds_service.addresses import Base, base_of
from cds_service.app import make_assessor
from cds_service.assess import assess
from cds_service.callers import Caller
from cds_service.errors import DataUnavailable
from tests.build import draft_collection, hook_request
from tests.ehr.server import serving
from tests.faults.asking import (
    CANARY,
    authorization,
    expect_refusal,
    is_full,
    make_service,
    security_events,
    washout_chart,
)
from tests.service.calling import SETTINGS

HOST = "ehr.test"

NOT_ALLOWED = {
    "user name": "http://user@ehr.test:{port}/fhir/r4",
    "user name and password": "http://user:word@127.0.0.1:{port}/fhir/r4",
    "user name that looks like the host": "http://ehr.test:{port}@evil.test:{port}/fhir/r4",
    "file": "file:///etc/hostname",
    "ftp": "ftp://ehr.test:{port}/fhir/r4",
    "data": "data:application/fhir+json,{}",
    "no scheme": "ehr.test:{port}/fhir/r4",
    "no host": "http:///fhir/r4",
    "other scheme": "https://ehr.test:{port}/fhir/r4",
    "other host": "http://evil.test:{port}/fhir/r4",
    "host as a suffix": "http://notehr.test:{port}/fhir/r4",
    "host as a prefix": "http://ehr.test.evil.test:{port}/fhir/r4",
    "host below": "http://sub.ehr.test:{port}/fhir/r4",
    "dot at the end of the host": "http://ehr.test.:{port}/fhir/r4",
    "dot at the end of an address": "http://127.0.0.1.:{port}/fhir/r4",
    "dot at the end of localhost": "http://localhost.:{port}/fhir/r4",
    "other port": "http://ehr.test:{other}/fhir/r4",
    "default port": "http://ehr.test/fhir/r4",
    "no port after the colon": "http://ehr.test:/fhir/r4",
    "path above": "http://ehr.test:{port}/fhir",
    "path below": "http://ehr.test:{port}/fhir/r4/tenant",
    "path in capitals": "http://ehr.test:{port}/FHIR/r4",
    "path up and down": "http://ehr.test:{port}/fhir/r5/../r4",
    "path encoded": "http://ehr.test:{port}/fhir/%72%34",
    "path up, encoded": "http://127.0.0.1:{port}/fhir/%2e%2e/r4",
    "two slashes": "http://127.0.0.1:{port}//fhir/r4",
    "query": "http://127.0.0.1:{port}/fhir/r4?x=1",
    "fragment": "http://127.0.0.1:{port}/fhir/r4#x",
    "private address": "http://10.0.0.1:{port}/fhir/r4",
    "metadata address of clouds": "http://169.254.169.254/latest",
    "mapped address": "http://[::ffff:127.0.0.1]:{port}/fhir/r4",
    "mapped address, hexadecimal": "http://[::ffff:7f00:1]:{port}/fhir/r4",
    "zone": "http://[fe80::1%25lo]:{port}/fhir/r4",
    "any address": "http://0.0.0.0:{port}/fhir/r4",
    "address as a number": "http://2130706433:{port}/fhir/r4",
    "address in hexadecimal": "http://0x7f000001:{port}/fhir/r4",
    "address in octal": "http://0177.0.0.1:{port}/fhir/r4",
    "short address": "http://127.1:{port}/fhir/r4",
    "blank ahead": " http://127.0.0.1:{port}/fhir/r4",
    "blank behind": "http://127.0.0.1:{port}/fhir/r4 ",
    "line break": "http://127.0.0.1:{port}/fhir\n/r4",
    "tab": "http://127.0.\t0.1:{port}/fhir/r4",
    "NUL": "http://127.0.0.1:{port}/fhir/r4\0",
    "backslash": "http:\\\\127.0.0.1:{port}\\fhir\\r4",
    "backslash and user name": "http://127.0.0.1:{port}\\@evil.test/fhir/r4",
    "wide full stops": "http://127\u30020\u30020\u30021:{port}/fhir/r4",
    "circled digits": "http://\u2460\u2461\u2466.0.0.1:{port}/fhir/r4",
    "empty": "",
    "very long": "http://127.0.0.1:{port}/fhir/r4" + "/x" * 5_000,
}


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let every name lead to this machine, and note which were asked for."""
    names: list[str] = []

    def resolve(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        names.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return names


def port_of(address: str) -> str:
    """Give the port of a base address."""
    return address.split(":")[2].partition("/")[0]


@pytest.mark.parametrize("server", NOT_ALLOWED.values(), ids=NOT_ALLOWED.keys())
def test_fm_57_a_server_that_is_not_allowed_is_never_contacted(server: str, looked_up: list[str]) -> None:
    with serving(washout_chart()) as ehr, serving(washout_chart()) as other:
        service = make_service(fhir_bases=(f"http://{HOST}:{port_of(ehr.base)}/fhir/r4",))
        address = server.replace("{port}", port_of(ehr.base)).replace("{other}", port_of(other.base))

        answer, events = security_events(lambda: service.ask(address, token=CANARY))
        expect_refusal(answer, "not on the list")
        assert is_full(service.ask(address, token=CANARY, prefetch=washout_chart()))

        assert (ehr.connections, other.connections, looked_up) == (0, 0, [])
        assert len(events) == 1


@pytest.mark.parametrize("server", [7, True, None, [], {}, ["http://127.0.0.1/fhir"]])
def test_fm_57_a_server_that_is_no_text_is_none(server: Any) -> None:
    service = make_service()

    expect_refusal(service.ask(None, fhirServer=server))
    assert is_full(service.ask(None, fhirServer=server, prefetch=washout_chart()))


@pytest.mark.parametrize("path", ["/fhir/r4", "/fhir/r4/"])
@pytest.mark.parametrize("host", [HOST, "EHR.Test"])
def test_fm_57_case_of_the_host_and_a_last_slash_do_not_matter(host: str, path: str, looked_up: list[str]) -> None:
    with serving(washout_chart()) as ehr:
        service = make_service(fhir_bases=(f"http://{HOST}:{port_of(ehr.base)}/fhir/r4",))

        assert is_full(service.ask(f"http://{host}:{port_of(ehr.base)}{path}"))
        assert set(looked_up) == {HOST}


def test_fm_57_servers_are_bound_to_their_caller() -> None:
    assessor = make_assessor(SETTINGS)
    with serving(washout_chart()) as own, serving(washout_chart()) as other:
        caller = Caller("a-hospital", fhir_bases=frozenset({base(own.base)}))

        def shown(server: str, **more: Any) -> tuple[str, ...]:
            request = hook_request(Hook.ORDER_SIGN, None, [draft_collection("2026-11-20")]) | more
            return assess(
                json.dumps(request | {"fhirServer": server}).encode(), Hook.ORDER_SIGN, assessor, caller
            ).shown

        assert shown(own.base, fhirAuthorization=authorization()) == ("R01",)
        so_far = own.connections
        for server in (other.base, own.base.replace("127.0.0.1", "localhost"), f"{own.base}/x", own.base[:-1]):
            with pytest.raises(DataUnavailable):
                shown(server, fhirAuthorization=authorization())
        with pytest.raises(DataUnavailable):
            shown(own.base)  # without a token, and not an open server

        assert (own.connections, other.connections) == (so_far, 0)


def base(text: str) -> Base:
    """Read a base address that is known to be one."""
    found = base_of(text)
    assert found is not None
    return found

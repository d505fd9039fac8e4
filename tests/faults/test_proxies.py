"""A proxy between the service and the EHR: its password stays with it, and the EHR's token does not depend on it."""

from base64 import b64encode
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from cds_service.site import Site
from tests.ehr.certificates import Authority
from tests.ehr.proxying import proxying
from tests.ehr.server import serving
from tests.ehr.sockets import closed_port
from tests.faults.asking import CANARY, expect_refusal, is_full, make_service, washout_chart

BASIC = "Basic " + b64encode(b"synthetic:p@ss:word").decode()


def address(port: int) -> str:
    """Write the address of a proxy with a user and a password, percent-encoded as settings have it."""
    return f"http://synthetic:p%40ss%3Aword@127.0.0.1:{port}"


def test_plain_requests_go_to_the_proxy_with_its_password_and_on_without_it() -> None:
    with serving(washout_chart()) as ehr, proxying() as proxy:
        assert is_full(make_service(proxy=address(proxy.port)).ask(ehr.base, token=CANARY))

        lines, headers = zip(*proxy.asked, strict=True)
        assert all(line.startswith(f"GET {ehr.base}/") for line in lines)
        assert {each["proxy-authorization"] for each in headers} == {BASIC}
        assert ehr.requests
        assert not any("proxy-authorization" in request.headers for request in ehr.requests)
        assert any(request.headers.get("authorization") == f"Bearer {CANARY}" for request in ehr.requests)


def test_tls_goes_through_the_proxy_in_a_tunnel_that_it_cannot_look_into(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with serving(washout_chart(), tls=authority.server()) as ehr, proxying() as proxy:
        service = make_service(Site(ca_file=authority.ca_file), proxy=address(proxy.port))

        assert is_full(service.ask(ehr.base, token=CANARY))
        assert {line.partition(" ")[0] for line, _ in proxy.asked} == {"CONNECT"}
        assert {headers["proxy-authorization"] for _, headers in proxy.asked} == {BASIC}
        assert CANARY not in repr(proxy.asked)


def test_a_proxy_that_is_down_is_a_server_out_of_reach() -> None:
    with serving(washout_chart()) as ehr, closed_port() as nobody:
        service = make_service(proxy=address(int(urlsplit(nobody).netloc.partition(":")[2])))

        expect_refusal(service.ask(ehr.base), "could not be reached")
        assert not ehr.requests


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_proxy_of_the_environment_is_not_asked(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(washout_chart()) as ehr, proxying() as proxy:
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")

        assert is_full(make_service().ask(ehr.base))
        assert not proxy.asked

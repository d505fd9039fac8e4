"""A proxy on loopback: it hands plain requests on, opens tunnels, and keeps what it was asked."""

import contextlib
import http.client
import select
import socket
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlsplit

from tests.ehr.listening import Listener

_NOT_HANDED_ON = frozenset({"proxy-authorization", "connection", "host"})
_CHUNK_BYTES = 65_536


class Proxy:
    """What a proxy was asked for: the first line of each request, and its headers with names in small letters."""

    def __init__(self) -> None:
        """Begin without any."""
        self.asked: list[tuple[str, Mapping[str, str]]] = []
        self.port = 0


@contextlib.contextmanager
def proxying() -> Iterator[Proxy]:
    """Run a proxy."""
    proxy = Proxy()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            self._keep()
            target = urlsplit(self.path)
            assert target.hostname is not None
            with contextlib.closing(http.client.HTTPConnection(target.hostname, target.port, timeout=5)) as ehr:
                headers = {name: value for name, value in self.headers.items() if name.lower() not in _NOT_HANDED_ON}
                ehr.request("GET", f"{target.path}?{target.query}", headers=headers)
                answer = ehr.getresponse()
                body = answer.read()
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.headers["Content-Type"])
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_CONNECT(self) -> None:
            self._keep()
            host, _, port = self.path.partition(":")
            with socket.create_connection((host, int(port)), timeout=5) as ehr:
                self.send_response(200)
                self.end_headers()
                ends = {self.connection: ehr, ehr: self.connection}
                while True:
                    for end in select.select(list(ends), [], [])[0]:
                        data = end.recv(_CHUNK_BYTES)
                        if not data:
                            self.close_connection = True
                            return
                        ends[end].sendall(data)

        def _keep(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            proxy.asked.append((self.requestline, headers))

    listener = Listener(Handler)
    proxy.port = listener.port
    with listener.running():
        yield proxy

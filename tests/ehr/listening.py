"""What every server of these tests is made of: a listener with a thread per connection that ends without a trace."""

import contextlib
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from socketserver import BaseRequestHandler, ThreadingTCPServer

_POLL_SECONDS = 0.01


class Listener(ThreadingTCPServer):
    """Listens on a free loopback port; `closing` is set, and every connection cut, when its block ends."""

    daemon_threads = False  # so that server_close waits for each of them
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, handler: type[BaseRequestHandler], tls: ssl.SSLContext | None = None) -> None:
        """Start to listen; with `tls`, every connection begins with a handshake."""
        super().__init__(("127.0.0.1", 0), handler)
        self.closing = threading.Event()
        self.connections = 0
        self._tls = tls
        self._open: set[socket.socket] = set()
        self._failures: list[BaseException] = []

    @property
    def port(self) -> int:
        """The port that was free."""
        return int(self.server_address[1])

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Serve until the block ends; raises what went wrong in a handler, other than a connection that broke."""
        thread = threading.Thread(target=self.serve_forever, args=(_POLL_SECONDS,), name=f"listener-{self.port}")
        thread.start()
        try:
            yield
        finally:
            self.closing.set()
            self.shutdown()
            thread.join()
            for connection in list(self._open):
                with contextlib.suppress(OSError):
                    # Not the TLS socket's own method: that would pull the rug from under the thread that reads
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)
            self.server_close()
        if self._failures:
            raise self._failures[0]

    def get_request(self) -> tuple[socket.socket, object]:
        """Take the next connection."""
        connection, address = self.socket.accept()
        if self._tls is not None:
            # The handshake waits for the thread of the connection, so that it cannot hold up the others
            connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        self.connections += 1
        self._open.add(connection)
        return connection, address

    def close_request(self, request: object) -> None:
        """Close a connection."""
        assert isinstance(request, socket.socket)
        self._open.discard(request)
        request.close()

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep what went wrong, unless the client went away or was sent away."""
        error = sys.exception()
        if error is not None and not isinstance(error, OSError):
            self._failures.append(error)

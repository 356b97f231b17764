"""An HTTP server in a thread, for doubles of services that are asked over HTTP."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

_POLL_S = 0.02


class Handler(BaseHTTPRequestHandler):
    """A handler that writes no log; a subclass has `do_GET` and the like."""

    def reply(self, body: bytes, media_type: str = "application/json", status: int = 200, **headers: str) -> None:
        """Send a whole response; further headers are named with `_` for `-`."""
        self.send_response(status)
        sent = {"Content-Type": media_type, "Content-Length": str(len(body))} | headers
        for name, value in sent.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Write nothing."""


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # a client may hang up
            super().handle_error(request, client_address)


@contextmanager
def serving_http(handler: type[Handler]) -> Iterator[str]:
    """Serve on a free port until the block ends; the value is the base URL."""
    server = _Server(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, args=(_POLL_S,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

"""Send bytes to a service, and read what comes back, whatever that is."""

import contextlib
import http.client
import socket
from urllib.parse import urlsplit

import msgspec

_MOST_BYTES = 64 * 1024 * 1024


class Answer(msgspec.Struct, frozen=True):
    """An answer: status 0 where the connection was closed, or nothing came, instead of one."""

    status: int
    headers: dict[str, str]
    body: bytes


NONE = Answer(0, {}, b"")


def exchange(url: str, data: bytes, *, method: str, within_s: float) -> Answer:
    """Send a request, return its answer.

    Raises:
        TimeoutError: there was none within `within_s` seconds.
    """
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=within_s) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may answer before it has read everything
            connection.sendall(data)
        response = http.client.HTTPResponse(connection, method=method)
        try:
            response.begin()
            body = response.read(_MOST_BYTES)
        except (http.client.HTTPException, ConnectionError, ValueError):
            return NONE
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, body)

"""A client that costs next to nothing: one connection, one request after the other."""

import http.client
import socket
import statistics
import time
from typing import Any, Self

import msgspec

from bench.query.served import Served


class Got(msgspec.Struct, frozen=True):
    """An answer, and the milliseconds from the first byte sent to the last one read. Header names are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes
    took_ms: float


class KeepAlive:
    """A connection to a process."""

    def __init__(self, served: Served) -> None:
        self._socket = socket.create_connection(("127.0.0.1", served.port), timeout=120)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._head = f"Host: 127.0.0.1:{served.port}\r\nAuthorization: {served.authorization}\r\n"

    def __enter__(self) -> Self:
        """Return the open connection."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self._socket.close()

    def get(self, target: str, **headers: str) -> Got:
        """Ask for `target`; headers are named with underscores."""
        more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        request = f"GET {target} HTTP/1.1\r\n{self._head}{more}\r\n".encode()
        begun_s = time.perf_counter()
        self._socket.sendall(request)
        buffer = b""
        while (end := buffer.find(b"\r\n\r\n")) < 0:
            buffer += self._received()
        first, *lines = buffer[:end].decode("latin-1").split("\r\n")
        fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        body = bytearray(buffer[end + 4 :])
        while len(body) < int(fields.get("content-length", 0)):
            body += self._received()
        took_ms = (time.perf_counter() - begun_s) * 1_000
        return Got(int(first.split(" ")[1]), fields, bytes(body), took_ms)

    def _received(self) -> bytes:
        data = self._socket.recv(256 * 1024)
        if not data:
            raise SystemExit("the server closed the connection")
        return data


def stream(served: Served, target: str, **headers: str) -> http.client.HTTPResponse:
    """Ask for `target` on a connection of its own, and return the answer to be read; it must be 200."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=120)
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("GET", target, headers={"Authorization": served.authorization, **sent})
    answer = connection.getresponse()
    if answer.status != 200:
        raise SystemExit(f"{target} was answered {answer.status}: {answer.read(2000)!r}")
    return answer


def percentiles(values_ms: list[float]) -> dict[str, Any]:
    """Return the count, the median, and what 95 and 99 of a hundred did not exceed (milliseconds)."""
    cuts = statistics.quantiles(values_ms, n=100, method="inclusive")
    return {
        "count": len(values_ms),
        "p50_ms": round(cuts[49], 3),
        "p95_ms": round(cuts[94], 3),
        "p99_ms": round(cuts[98], 3),
    }

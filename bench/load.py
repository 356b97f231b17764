"""A load of keep-alive HTTP/1.1 connections that each repeat one request.

Raw asyncio, so that the load is not the limit.
"""

import asyncio
import sys
import time
from typing import cast

import msgspec
import uvloop


class _Connection(asyncio.Protocol):
    """Sends the request again as soon as the answer's head is there; expects answers without a body."""

    def __init__(self, request: bytes, tally: "Tally") -> None:
        self._request, self._tally, self._buffer = request, tally, b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._buffer.endswith(b"\r\n\r\n"):
            self._tally.add(self._buffer[9:12])
            self._buffer = b""
            if self._transport is not None:
                self._transport.write(self._request)


class Tally:
    """Counts the answers by status."""

    def __init__(self) -> None:
        self.by_status: dict[str, int] = {}

    def add(self, status: bytes) -> None:
        """Count one answer."""
        text = status.decode()
        self.by_status[text] = self.by_status.get(text, 0) + 1


async def run(port: int, request: bytes, connections: int, warm_s: float, seconds: float) -> dict[str, float]:
    """Load the server and return requests a second and the share of answers that were not 204."""
    tally, loop = Tally(), asyncio.get_running_loop()
    opened = [
        await loop.create_connection(lambda: _Connection(request, tally), "127.0.0.1", port) for _ in range(connections)
    ]
    await asyncio.sleep(warm_s)
    tally.by_status.clear()
    started = time.perf_counter()
    await asyncio.sleep(seconds)
    elapsed = time.perf_counter() - started
    counts = dict(tally.by_status)
    for transport, _ in opened:
        transport.abort()
    total = sum(counts.values())
    return {"per_second": total / elapsed, "not_204": 1 - counts.get("204", 0) / total if total else 1.0}


def main() -> None:
    """Read one order as JSON from stdin (port, head, body, connections, warm_s, seconds); print the result."""
    order = msgspec.json.decode(sys.stdin.buffer.read())
    request = order["head"].encode() + order["body"].encode()
    result = uvloop.run(run(order["port"], request, order["connections"], order["warm_s"], order["seconds"]))
    sys.stdout.write(msgspec.json.encode(result).decode() + "\n")


if __name__ == "__main__":
    main()

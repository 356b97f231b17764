"""What one core of the service takes: pushes a second through the whole of it, and processor time for each.

Every push is another message of about 1 KB, with its token verified, its record checked and its row acknowledged by
a write server that takes 20 ms (`tests/misbehaving`). The service has one core, the load and the write server the
other. Where these two are the limit, the processor time for each push still says what a core would take; capacity is
reckoned by that (bench/capacity.py). Writes bench/results/push_rate.json.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import time
from itertools import count
from pathlib import Path
from typing import Any, cast

import uvloop

from bench.append_latency import RESULT as APPEND_LATENCY
from bench.machine import machine_before
from bench.usage import cpu_s
from tests.process import Process, serving
from tests.service import authorization, envelope

RESULT = APPEND_LATENCY.with_name("push_rate.json")
CONNECTIONS = 256
_RECORD_BYTES = 1_000


def template(token: str) -> bytes:
    """Return a push of a record of about 1 KB, with a place for the message's number where its two ids are."""
    record = {"id": "r", "timestamp": "2026-01-31T12:00:00Z", "data": {"text": ""}}
    record["data"] = {"text": "x" * (_RECORD_BYTES - len(json.dumps(record)))}
    body = envelope(json.dumps(record).encode(), "%012d")
    length = len(body) + 2 * (12 - len("%012d"))
    head = (
        "POST /pubsub/push HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {length}\r\nAuthorization: {token}\r\n\r\n"
    )
    return head.encode() + body


class PushConnection(asyncio.Protocol):
    """Pushes the next message as soon as the last one was answered."""

    def __init__(self, load: "Load") -> None:
        self._load, self._buffer = load, b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Push the first message."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._load.next())

    def data_received(self, data: bytes) -> None:
        """Count an answer, and push the next message."""
        self._buffer += data
        if self._buffer.endswith(b"\r\n\r\n") and self._transport is not None:
            if self._buffer[9:12] != b"204":
                raise SystemExit(f"a push was answered {self._buffer!r}")
            self._load.answered += 1
            self._buffer = b""
            self._transport.write(self._load.next())


class Load:
    """Counts answers and hands out messages."""

    def __init__(self) -> None:
        self.answered = 0
        self._numbers, self._template = count(), template(authorization()["Authorization"])  # one for all, as Pub/Sub

    def next(self) -> bytes:
        """Return the next push."""
        number = next(self._numbers)
        return self._template % (number, number)


async def one_round(process: Process, load: Load, seconds: float) -> dict[str, float]:
    """Return what the service took in `seconds`."""
    answered, used_s, begun_s = load.answered, cpu_s(process.process.pid), time.perf_counter()
    await asyncio.sleep(seconds)
    requests, elapsed_s = load.answered - answered, time.perf_counter() - begun_s
    used_s = cpu_s(process.process.pid) - used_s
    return {
        "requests_per_s": round(requests / elapsed_s, 1),
        "cpu_ms_per_request": round(used_s * 1_000 / requests, 4),
        "cores": round(used_s / elapsed_s, 3),
    }


async def measure(url: str, rounds: int, seconds: float) -> list[dict[str, float]]:
    """Return what each round found, after one to warm up."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[:1])  # the service inherits it
    settings = {
        "backend": "bigquery",
        "bigquery_project": "p",
        "bigquery_dataset": "d",
        "bigquery_storage_url": url,
        "bigquery_rest_url": "http://127.0.0.1:1",  # nobody asks for a record back
    }
    async with serving(Path("unused"), **settings) as (process, _):
        os.sched_setaffinity(0, cores[1:] or cores)
        load, loop = Load(), asyncio.get_running_loop()
        port = int(process.url.rpartition(":")[2])
        opened = [
            await loop.create_connection(lambda: PushConnection(load), "127.0.0.1", port) for _ in range(CONNECTIONS)
        ]
        found = [await one_round(process, load, seconds) for _ in range(rounds + 1)]
        for transport, _ in opened:
            transport.abort()
    return found[1:]


async def run(options: argparse.Namespace) -> dict[str, Any]:
    """Start the write server in a process of its own, and measure against it."""
    cores = sorted(os.sched_getaffinity(0))
    command = [sys.executable, "-m", "bench.append_latency", "--be-the-store", f"--ack-ms={options.ack_ms}"]
    if len(cores) > 1:
        command = ["taskset", "-c", str(cores[1]), *command]
    store = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    if store.stdout is None or store.stdin is None:
        raise SystemExit("the write server has no pipes")
    before = machine_before()
    try:
        url = (await store.stdout.readline()).decode().strip()
        rounds = await measure(url, options.rounds, options.seconds)
    finally:
        store.stdin.close()
        await store.wait()
    middle = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
    return {
        "machine": before,
        "store_ack_ms": options.ack_ms,
        "connections": CONNECTIONS,
        "record_bytes": _RECORD_BYTES,
        "rounds": rounds,
        "push": middle,
    }


def main() -> None:
    """Measure, print and keep the result."""
    parser = argparse.ArgumentParser(prog="python -m bench.push_rate", description=__doc__)
    parser.add_argument("--ack-ms", type=float, default=20.0, help="how long the store takes (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds after the first (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=4.0, help="each round's length (default: %(default)s)")
    result = json.dumps(uvloop.run(run(parser.parse_args())), indent=2)
    print(result)
    RESULT.write_text(result + "\n")


if __name__ == "__main__":
    main()

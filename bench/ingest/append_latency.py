"""What the service adds to the store's own acknowledgement, for a steady trickle of messages.

A write server that acknowledges after a fixed time is asked in turn, once a second each: by one bare AppendRows
call, and by a push over HTTP to the running service, with its token verified, its record checked and its row
acknowledged. The difference is what the service adds, HTTP included; a request that does nothing says how much
of it HTTP and the measuring client are. All in one run, as the machine's pace varies.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import uvloop

from app.runtime.clock import SystemClock
from bench.machine import machine
from bench.places import RESULTS
from sluice.testing.misbehaving.faults import Fault
from sluice.testing.misbehaving.plain_client import calling
from sluice.testing.misbehaving.server import misbehaving
from sluice.testing.process import serving
from sluice.testing.service import authorization, envelope

RECORD = b'{"id": "a", "timestamp": "2026-01-31T12:00:00Z", "data": {"total": 12.5}}'
RESULT = RESULTS / "append_latency.json"


async def serve_store(ack_ms: float) -> None:
    """Be the write server, until the standard input ends."""
    async with misbehaving(SystemClock()) as server:
        server.decide = lambda _: Fault(answer_delay_s=ack_ms / 1000)
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


async def measure(url: str, count: int, pause_s: float) -> dict[str, list[float]]:
    """Return milliseconds of each bare append and of each push."""
    times: dict[str, list[float]] = {"bare append": [], "push to the service": [], "request for nothing": []}
    settings = {
        "backend": "bigquery",
        "bigquery_project": "p",
        "bigquery_dataset": "d",
        "bigquery_storage_url": url,
        "bigquery_rest_url": "http://127.0.0.1:1",  # nobody asks for a record back
    }
    headers = authorization()  # one token for all, as Pub/Sub sends it
    async with serving(Path("unused"), **settings) as (_, client), calling(url) as bare:
        for number in range(-2, count):  # two to open the connections
            await asyncio.sleep(pause_s / 3)
            begun_s = time.perf_counter()
            await bare.send(f"bare-{number}")
            await bare.receive()
            bare_s = time.perf_counter() - begun_s
            await asyncio.sleep(pause_s / 3)
            begun_s = time.perf_counter()
            await client.get("/health/live")
            nothing_s = time.perf_counter() - begun_s
            await asyncio.sleep(pause_s / 3)
            body = envelope(RECORD, f"m{number}")
            begun_s = time.perf_counter()
            answer = await client.post("/pubsub/push", content=body, headers=headers)
            push_s = time.perf_counter() - begun_s
            if answer.status_code != 204:
                raise SystemExit(f"the service answered {answer.status_code}: {answer.text}")
            if number >= 0:
                times["bare append"].append(bare_s * 1000)
                times["push to the service"].append(push_s * 1000)
                times["request for nothing"].append(nothing_s * 1000)
    return times


def summary(times: dict[str, list[float]]) -> dict[str, Any]:
    """Return the medians and the slowest tenth of each, and what the service adds."""
    found: dict[str, Any] = {
        name: {
            "p50_ms": round(statistics.median(values), 2),
            "p90_ms": round(statistics.quantiles(values, n=10)[-1], 2),
        }
        for name, values in times.items()
    }
    bare, pushed, nothing = (statistics.median(values) for values in times.values())
    found["added_p50_ms"] = round(pushed - bare, 2)
    found["added_without_http_p50_ms"] = round(pushed - bare - nothing, 2)
    return found


async def run(options: argparse.Namespace) -> dict[str, Any]:
    """Start the write server in a process of its own, and measure against it."""
    store = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench.ingest.append_latency",
        "--be-the-store",
        f"--ack-ms={options.ack_ms}",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    if store.stdout is None or store.stdin is None:
        raise SystemExit("the write server has no pipes")
    url = (await store.stdout.readline()).decode().strip()
    try:
        times = await measure(url, options.count, options.pause_s)
    finally:
        store.stdin.close()
        await store.wait()
    return {"machine": machine(), "store_ack_ms": options.ack_ms, "messages": options.count, **summary(times)}


def main() -> None:
    """Measure, print, and keep the result with --save."""
    parser = argparse.ArgumentParser(prog="python -m bench.ingest.append_latency", description=__doc__)
    parser.add_argument("--ack-ms", type=float, default=20.0, help="how long the store takes (default: %(default)s)")
    parser.add_argument("--count", type=int, default=30, help="messages (default: %(default)s)")
    parser.add_argument("--pause-s", type=float, default=1.0, help="between messages (default: %(default)s)")
    parser.add_argument("--save", action="store_true", help=f"keep the result in {RESULT.name}")
    parser.add_argument("--be-the-store", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.be_the_store:
        uvloop.run(serve_store(options.ack_ms))
        return
    result = json.dumps(uvloop.run(run(options)), indent=2)
    print(result)
    if options.save:
        RESULT.write_text(result + "\n")


if __name__ == "__main__":
    main()

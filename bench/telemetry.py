"""What looking costs: pushes a second with traces, metrics and logs on, and with all of them off.

Two services run side by side on one core, over a store that acknowledges after a fixed time; the load, on the other
core, goes to one and then to the other, many times over, and each pair of rounds gives a ratio. "On" is 1 % of the
messages traced and sent to a collector (OTLP), metrics sent there too and scraped at `/metrics`, every ten seconds,
logs written. Beside it: one value into our histogram and into OpenTelemetry's. Writes bench/results/telemetry.json.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import uvloop
from aiohttp import web
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from app.telemetry.histogram import Histogram
from app.telemetry.instruments import PUBLISH_TO_STORED, REQUEST_DURATION, Instrument
from bench.append_latency import RESULT as APPEND_LATENCY
from bench.machine import machine_before
from bench.push_rate import Load, PushConnection
from bench.usage import cpu_s
from tests import tokens
from tests.process import free_port, served_keys

RESULT = APPEND_LATENCY.with_name("telemetry.json")
CONNECTIONS = 1_024  # more than wait for the store at any time, so that the core is what limits
_RATIO = 0.01
_SCRAPE_S = 10.0
_VALUES = 200_000


class Pushed:
    """A service under load, or waiting for its turn."""

    def __init__(self, pid: int, port: int) -> None:
        self.pid, self.port, self.load = pid, port, Load()
        self.rounds: list[dict[str, float]] = []

    async def round(self, seconds: float) -> None:
        """Push for `seconds`, and keep what the service took."""
        loop = asyncio.get_running_loop()
        opened = [
            await loop.create_connection(lambda: PushConnection(self.load), "127.0.0.1", self.port)
            for _ in range(CONNECTIONS)
        ]
        await asyncio.sleep(min(seconds / 4, 0.5))
        answered, used_s, begun_s = self.load.answered, cpu_s(self.pid), time.perf_counter()
        await asyncio.sleep(seconds)
        requests, elapsed_s = self.load.answered - answered, time.perf_counter() - begun_s
        used_s = cpu_s(self.pid) - used_s
        for transport, _ in opened:
            transport.abort()
        await asyncio.sleep(0.1)  # what was under way ends, so that the next round has the core for itself
        self.rounds.append(
            {
                "requests_per_s": round(requests / elapsed_s, 1),
                "cpu_ms_per_request": round(used_s * 1_000 / requests, 4),
                "cores": round(used_s / elapsed_s, 3),
            }
        )


@asynccontextmanager
async def service(folder: Path, ack_ms: float, keys_url: str, **settings: str) -> AsyncIterator[Pushed]:
    """Run a service of its own on this process's cores until the block ends."""
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SLUICE_", "PORT"))}
    environment |= {
        "SLUICE_PORT": str(port),
        "SLUICE_DATA_PATH": ":memory:",
        "SLUICE_TOKEN_ISSUER": tokens.ISSUER,
        "SLUICE_TOKEN_KEYS_URL": keys_url,
        "SLUICE_PUSH_AUDIENCE": tokens.AUDIENCE,
        "SLUICE_PUSH_PRINCIPALS": tokens.PUSHER,
        "SLUICE_DEDUPE_MAX_MESSAGES": "20000",
    }
    environment |= {f"SLUICE_{name.upper()}": value for name, value in settings.items()}
    with (folder / f"{port}.log").open("wb") as said:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bench.telemetry_service", str(ack_ms), env=environment, stdout=said, stderr=said
        )
    try:
        async with httpx.AsyncClient() as client:
            while not await _answers(client, port):
                if process.returncode is not None:
                    raise SystemExit((folder / f"{port}.log").read_text()[-2_000:])
                await asyncio.sleep(0.05)
        yield Pushed(process.pid, port)
    finally:
        process.kill()
        await process.wait()


async def _answers(client: httpx.AsyncClient, port: int) -> bool:
    try:
        return (await client.get(f"http://127.0.0.1:{port}/health/ready")).status_code == 200
    except httpx.TransportError:
        return False


@asynccontextmanager
async def collector() -> AsyncIterator[tuple[str, dict[str, int]]]:
    """Be a collector that takes whatever comes; the values are its URL, and how many requests each path got."""
    taken: dict[str, int] = {}

    async def take(request: web.Request) -> web.Response:
        await request.read()
        taken[request.path] = taken.get(request.path, 0) + 1
        return web.Response(content_type="application/x-protobuf")

    app = web.Application()
    app.router.add_post("/{path:.*}", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}", taken
    finally:
        await runner.cleanup()


async def _scrape(port: int) -> None:
    async with httpx.AsyncClient() as client:
        while True:
            await asyncio.sleep(_SCRAPE_S)
            (await client.get(f"http://localhost:{port}/metrics")).raise_for_status()


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Return what each kind of service took, round by round, and the ratios of neighbours."""
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder, served_keys() as keys_url:
        async with collector() as (url, taken):
            watched = {
                "traces": "otlp",
                "trace_ratio": str(_RATIO),
                "max_traces_per_s": "100000",
                "metrics": "prometheus,otlp",
                "metrics_interval_s": "10",
                "otlp_url": url,
            }
            os.sched_setaffinity(0, cores[:1])  # the services inherit it
            async with (
                service(Path(folder), options.ack_ms, keys_url, metrics="") as bare,
                service(Path(folder), options.ack_ms, keys_url, **watched) as looked_at,
            ):
                os.sched_setaffinity(0, cores[1:] or cores)
                scraping = asyncio.create_task(_scrape(looked_at.port))
                await bare.round(options.seconds)
                await looked_at.round(options.seconds)
                for pair in range(options.rounds):
                    for one in (bare, looked_at) if pair % 2 else (looked_at, bare):
                        await one.round(options.seconds)
                scraping.cancel()
            os.sched_setaffinity(0, cores)
    if not taken.get("/v1/traces") or not taken.get("/v1/metrics"):
        raise SystemExit(f"the collector got {taken}: telemetry was not on")
    return _summary(bare.rounds[1:], looked_at.rounds[1:], taken)


def _summary(off: list[dict[str, float]], on: list[dict[str, float]], taken: dict[str, int]) -> dict[str, Any]:
    ratios = [with_all["requests_per_s"] / without["requests_per_s"] for without, with_all in zip(off, on, strict=True)]
    return {
        "off": {name: statistics.median(one[name] for one in off) for name in off[0]},
        "on": {name: statistics.median(one[name] for one in on) for name in on[0]},
        "throughput_ratios": [round(ratio, 3) for ratio in ratios],
        "throughput_ratio": round(statistics.median(ratios), 3),
        "collector_requests": taken,
    }


def recording() -> dict[str, float]:
    """Return the nanoseconds that one value takes: in our histogram and in OpenTelemetry's."""
    found: dict[str, float] = {}
    cases: list[tuple[str, Instrument, tuple[str | int, ...]]] = [
        ("without attributes", PUBLISH_TO_STORED, ()),
        ("with four attributes", REQUEST_DURATION, ("/pubsub/push", "POST", 204, "push")),
    ]
    for case, instrument, values in cases:
        ours = Histogram(instrument)
        provider = MeterProvider([InMemoryMetricReader()])
        theirs = provider.get_meter("bench").create_histogram(
            instrument.name, explicit_bucket_boundaries_advisory=instrument.bounds
        )
        attributes = dict(zip(instrument.attributes, values, strict=True))
        begun_ns = time.perf_counter_ns()
        for _ in range(_VALUES):
            ours.record(0.12, *values)
        middle_ns = time.perf_counter_ns()
        for _ in range(_VALUES):
            theirs.record(0.12, attributes)
        found[f"ours, {case}"] = round((middle_ns - begun_ns) / _VALUES)
        found[f"OpenTelemetry's, {case}"] = round((time.perf_counter_ns() - middle_ns) / _VALUES)
        provider.shutdown()
    return found


def main() -> None:
    """Measure, print and keep the result."""
    parser = argparse.ArgumentParser(prog="python -m bench.telemetry", description=__doc__)
    parser.add_argument("--ack-ms", type=float, default=20.0, help="how long the store takes (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=9, help="pairs of rounds (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=3.0, help="each round's length (default: %(default)s)")
    options = parser.parse_args()
    before = machine_before()
    found = uvloop.run(measure(options))
    result = {
        "machine": before,
        "store_ack_ms": options.ack_ms,
        "connections": CONNECTIONS,
        "trace_ratio": _RATIO,
        "push": found,
        "record_ns": recording(),
    }
    text = json.dumps(result, indent=2)
    print(text)
    RESULT.write_text(text + "\n")


if __name__ == "__main__":
    main()

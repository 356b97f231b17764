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
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import uvloop
from aiohttp import web
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from app.telemetry.instruments import PUBLISH_TO_STORED, REQUEST_DURATION, Instrument
from app.telemetry.metrics import Histogram
from bench.ingest.contenders import Contender, Cores, running
from bench.ingest.messages import Case
from bench.ingest.rounds import load, order_of
from bench.machine import machine_before
from bench.places import RESULTS
from sluice.testing import tokens
from sluice.testing.process import free_port, served_keys

RESULT = RESULTS / "telemetry.json"
CASE = Case(in_flight=1_024)  # more than wait for the store at any time, so that the core is what limits
_RATIO = 0.01
_SCRAPE_S = 10.0
_VALUES = 200_000


def settings(keys_url: str, **more: str) -> dict[str, str]:
    """Return a service's settings, with `more` of them."""
    return {
        "SLUICE_DATA_PATH": ":memory:",
        "SLUICE_TOKEN_ISSUER": tokens.ISSUER,
        "SLUICE_TOKEN_KEYS_URL": keys_url,
        "SLUICE_PUSH_AUDIENCE": tokens.AUDIENCE,
        "SLUICE_PUSH_PRINCIPALS": tokens.PUSHER,
        "SLUICE_DEDUPE_MAX_MESSAGES": "20000",
        **{f"SLUICE_{name.upper()}": value for name, value in more.items()},
    }


async def one_round(service: Contender, cores: Cores, seconds: float) -> dict[str, float]:
    """Push for `seconds`, and return what the service took."""
    loaded = await load(order_of([service], CASE, seconds), cores.load)
    service.pushed += loaded.answered
    if loaded.failed:
        raise SystemExit(f"{loaded.failed} of {loaded.answered} pushes were not answered 204")
    return {
        "requests_per_s": round(loaded.messages / loaded.seconds, 1),
        "cpu_ms_per_request": round(loaded.cpu_s * 1_000 / loaded.messages, 4),
        "cores": round(loaded.cpu_s / loaded.seconds, 3),
    }


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
    cores = Cores.of_this_machine()
    os.sched_setaffinity(0, cores.load)  # the collector's, the keys' and the scraper's
    words = ["bench.telemetry.service", f"--ack-ms={options.ack_ms}"]
    with served_keys() as keys_url:
        async with collector() as (url, taken):
            watched = {
                "traces": "otlp",
                "trace_ratio": str(_RATIO),
                "max_traces_per_s": "100000",
                "metrics": "prometheus,otlp",
                "metrics_interval_s": "10",
                "otlp_url": url,
            }
            async with (
                running("bare", words, settings(keys_url, metrics=""), cores.service) as bare,
                running("looked at", words, settings(keys_url, **watched), cores.service) as looked_at,
            ):
                scraping = asyncio.create_task(_scrape(looked_at.port))
                await one_round(bare, cores, options.seconds)
                await one_round(looked_at, cores, options.seconds)
                off, on = list[dict[str, float]](), list[dict[str, float]]()
                for pair in range(options.rounds):
                    for service, found in ((bare, off), (looked_at, on))[:: 1 if pair % 2 else -1]:
                        found.append(await one_round(service, cores, options.seconds))
                scraping.cancel()
    if not taken.get("/v1/traces") or not taken.get("/v1/metrics"):
        raise SystemExit(f"the collector got {taken}: telemetry was not on")
    return _summary(off, on, taken)


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
    parser = argparse.ArgumentParser(prog="python -m bench.telemetry.overhead", description=__doc__)
    parser.add_argument("--ack-ms", type=float, default=20.0, help="how long the store takes (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=9, help="pairs of rounds (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=3.0, help="each round's length (default: %(default)s)")
    options = parser.parse_args()
    before = machine_before()
    found = uvloop.run(measure(options))
    result = {
        "machine": before,
        "store_ack_ms": options.ack_ms,
        "connections": CASE.in_flight,
        "trace_ratio": _RATIO,
        "push": found,
        "record_ns": recording(),
    }
    text = json.dumps(result, indent=2)
    print(text)
    RESULT.write_text(text + "\n")


if __name__ == "__main__":
    main()

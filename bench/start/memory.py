"""What memory the service holds: idle, under load, after a burst, and whether bursts leave something behind each time.

With each store, one process: idle once it is ready; under a load of 512 messages of 1 KB at once; and after each of
eight equal bursts of 1,000 messages of 10 KB at once, when it was quiet for a while. What a burst leaves behind once is
room that the allocators keep, and how much of it they gave back already swings; what grows with every burst would never
end. So "no growth" is: the line through what the eight have left rises by at most 2.5 MiB a burst.

What grows by design is the memory of messages that were stored, up to a bound (`dedupe_max_messages`); here it
is lowered, so that it is full before the first burst ends. What one remembered message takes is measured beside it.
Resident memory (RSS) counts pages of shared libraries whole, PSS by how many share them. Writes
bench/results/memory.json.
"""

import argparse
import asyncio
import json
import os
import tempfile
import tracemalloc
from collections.abc import Mapping
from pathlib import Path
from statistics import linear_regression
from typing import Any

import msgspec
import uvloop

from app.ingest.write.dedupe import Dedupe
from app.runtime.clock import SystemClock
from app.settings.load import Settings
from bench.ingest.contenders import Contender, Cores, Store, running, service_settings
from bench.ingest.load import Order
from bench.ingest.messages import Case
from bench.ingest.rounds import load
from bench.machine import machine_before
from bench.places import RESULTS
from bench.usage import Watch
from sluice.testing.service import authorization
from tests.support.process import served_keys

RESULT = RESULTS / "memory.json"
LOAD, BURST = Case(), Case(record_bytes=10_000, in_flight=1_000)
BURSTS = 8
GROWTH_MIB = 2.5
_REMEMBERED = 1_000  # no more than the connections of a burst, each of which pushes at least one message
_COUNTED = 50_000
_SETTLED_S = 1.0  # what a start leaves to be done, such as the look at the tables


class Held(msgspec.Struct, frozen=True):
    """What a process holds, in MiB; `anonymous` is its own: what no file is behind."""

    rss: float
    pss: float
    anonymous: float


def held(pid: int) -> Held:
    """Return what the kernel says of a process."""
    return read_held(Path(f"/proc/{pid}/smaps_rollup").read_text())


def read_held(said: str) -> Held:
    """Read a `smaps_rollup` (proc(5)), which counts in kB."""
    words = [line.split() for line in said.splitlines()]
    kib = {name: int(value) for name, value, unit in (each for each in words if len(each) == 3) if unit == "kB"}
    return Held(*(round(kib[name] / 1_024, 1) for name in ("Rss:", "Pss:", "Anonymous:")))


def growth_mib(after: list[Held]) -> float:
    """Return by how much more is held after each burst than after the one before, by the line through all of them."""
    return round(linear_regression(range(len(after)), [each.rss for each in after]).slope, 1)


def bytes_a_message() -> float:
    """Return what remembering one pushed message takes, by what Python has allocated for many of them."""
    memory: Dedupe[str] = Dedupe(max_weight=_COUNTED, max_age_s=900.0, elapsed_us=SystemClock().elapsed_us)
    tracemalloc.start()
    for number in range(3 * _COUNTED):  # dictionaries in which much was forgotten are larger than those just filled
        key = f"{10**16 + number}:{1_769_860_800_123_000 + number}"  # as app/ingest/decode/envelope.py makes it
        memory.claim(key)
        memory.settle(key, "stored", stored=True)  # all that went well share one result
    allocated, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return round(allocated / _COUNTED, 1)


async def push(contender: Contender, case: Case, cores: Cores, seconds: float) -> dict[str, Any]:
    """Load the service for so long; return what it held meanwhile (MiB), and what it took."""
    order = Order(
        ports=[contender.port],
        case=case,
        authorization=authorization()["Authorization"],
        seconds=seconds,
        warm_s=0.0,
        pids=contender.pids,
        first=contender.pushed,
    )
    with Watch(contender.process.pid) as watch:
        pushing = asyncio.ensure_future(load(order, cores.load))
        await asyncio.sleep(seconds * 0.7)  # by then it is warm
        meanwhile = held(contender.process.pid)
        loaded = await pushing
    contender.pushed += loaded.answered
    if loaded.failed or loaded.answered < _REMEMBERED:
        raise SystemExit(f"{loaded.failed} of {loaded.answered} pushes failed: nothing to measure")
    return {
        "messages": loaded.answered,
        "messages_per_s": round(loaded.messages / loaded.seconds, 1),
        "meanwhile": meanwhile,
        "peak_rss": round(watch.peak_mib, 1),
    }


async def measure(settings: Mapping[str, str], cores: Cores, options: argparse.Namespace) -> dict[str, Any]:
    """Return what one service holds, from its start to the end of the last burst."""
    numbers = json.dumps({"dedupe_max_messages": _REMEMBERED})
    async with running("sluice", ["tests.support.with_numbers", numbers], settings, cores.service) as contender:
        await asyncio.sleep(_SETTLED_S)
        idle = held(contender.process.pid)
        under_load = await push(contender, LOAD, cores, options.seconds)
        bursts, after = [], []
        for _ in range(BURSTS):
            bursts.append(await push(contender, BURST, cores, options.burst_seconds))
            await asyncio.sleep(options.quiet_seconds)
            after.append(held(contender.process.pid))
        grown = growth_mib(after)
        return {
            "idle": idle,
            "under_load": under_load,
            "bursts": [{**burst, "after": quiet} for burst, quiet in zip(bursts, after, strict=True)],
            "growth_rss": grown,
            "grows": grown > GROWTH_MIB,
        }


async def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure with each store, one after the other."""
    cores, found = Cores.of_this_machine(), dict[str, Any]()
    os.sched_setaffinity(0, cores.load)  # the keys are served from here
    with served_keys() as keys_url, tempfile.TemporaryDirectory() as folder:
        async with Store.open(cores.load) as store:
            plain = service_settings(store.grpc_url, keys_url)
            plain["SLUICE_DATA_PATH"] = str(Path(folder) / "new.duckdb")
            for backend in ("embedded", "bigquery"):
                found[backend] = await measure({**plain, "SLUICE_BACKEND": backend}, cores, options)
    return found


def main() -> None:
    """Measure, print and keep the result."""
    parser = argparse.ArgumentParser(prog="python -m bench.start.memory", description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="the load's length (default: %(default)s)")
    parser.add_argument("--burst-seconds", type=float, default=2.0, help="each burst's (default: %(default)s)")
    parser.add_argument("--quiet-seconds", type=float, default=1.5, help="after each burst (default: %(default)s)")
    options = parser.parse_args()
    before = machine_before()
    a_message, default = bytes_a_message(), Settings().ingest.dedupe_max_messages
    result = {
        "machine": before,
        "unit": "MiB",
        "margin": GROWTH_MIB,
        "load": LOAD,
        "burst": BURST,
        "remembered": {
            "messages": _REMEMBERED,
            "bytes_a_message": a_message,
            "default_messages": default,
            "default_mib": round(a_message * default / 1024**2, 1),
        },
        "backends": uvloop.run(run(options)),
    }
    text = json.dumps(msgspec.to_builtins(result), indent=2)
    print(text)
    RESULT.write_text(text + "\n")


if __name__ == "__main__":
    main()

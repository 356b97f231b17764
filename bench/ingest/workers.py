"""How it scales on one machine: one and two instances, each with a core of its own as far as there are cores.

What counts is the processor time for a message, which is what one more core is worth and what it costs. Where there
are two cores, the load and the store share them with the second instance, so that its messages a second are fewer
than they would be. Writes bench/results/workers.json.
"""

import argparse
import asyncio
import json
import os
import statistics
from contextlib import AsyncExitStack
from typing import Any

import msgspec

from bench.ingest.contenders import SLUICE, Contender, commands, running
from bench.ingest.messages import Case
from bench.ingest.rounds import Field, field_of, load, order_of
from bench.machine import machine_before
from bench.places import RESULTS

RESULT = RESULTS / "workers.json"
CASES = (Case(), Case(in_flight=1_000), Case(record_bytes=10_000))
WORKERS = (1, 2)


async def measure(rounds: int, seconds: float) -> list[dict[str, Any]]:
    """Return what so many instances took together, under each case."""
    cores, cells = sorted(os.sched_getaffinity(0)), []
    async with field_of(CASES[0].ack_ms) as field, AsyncExitStack() as stack:
        words, settings = commands(field.store, field.keys_url, CASES[0].ack_ms)[SLUICE]
        started: list[Contender] = []
        for number in range(max(WORKERS)):
            core = [cores[number % len(cores)]]
            started.append(await stack.enter_async_context(running(SLUICE, words, settings, core)))
        found: dict[tuple[int, Case], list[tuple[float, float]]] = {}
        for _ in range(rounds):
            for case in CASES:
                for workers in WORKERS:
                    found.setdefault((workers, case), []).append(await _round(field, started[:workers], case, seconds))
        for (workers, case), each in found.items():
            cells.append(
                {
                    "workers": workers,
                    "case": msgspec.to_builtins(case),
                    "messages_per_s": round(statistics.median(per_s for per_s, _ in each), 1),
                    "cpu_us_per_message": round(statistics.median(cpu_us for _, cpu_us in each), 2),
                }
            )
    return cells


async def _round(field: Field, instances: list[Contender], case: Case, seconds: float) -> tuple[float, float]:
    order = order_of(instances, case, seconds)
    loaded = await load(order, field.cores.load)
    if loaded.failed:
        raise SystemExit(f"{loaded.failed} of {loaded.answered} pushes were not answered 204")
    for instance in instances:
        instance.pushed += loaded.answered
    return loaded.messages / loaded.seconds, loaded.cpu_s * 1e6 / loaded.messages


def main() -> None:
    """Measure, print, and keep the result."""
    parser = argparse.ArgumentParser(prog="python -m bench.ingest.workers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="of each number and case (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each round (default: %(default)s)")
    options = parser.parse_args()
    before = machine_before()
    cells = asyncio.run(measure(options.rounds, options.seconds))
    text = json.dumps({"machine": before, "cells": cells}, indent=2)
    RESULT.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()

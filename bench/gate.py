"""Fail where the working tree takes more than 5 % more processor time than the last commit that landed.

    python -m bench.gate [--base COMMIT]          make bench-gate BASE=COMMIT

Several processes of each run side by side on one core, started only by the service's command: so the two still compare
where modules have moved. They are loaded in turn, and a ratio is that of two neighbouring rounds. A round counts all
that it cost to answer all of its messages. One process is up to a tenth slower than the next one of the same code, and
other programs disturb both; so whatever is slower in the median is measured again with new processes, and only what is
slower three times fails. One stage is compared without a server and without a base: opening a push with its decoding.
"""

import argparse
import asyncio
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack

import msgspec

from app.ingest.decode.envelope import open_push
from bench.base import base_of, program_of, subject_of
from bench.ingest.compare import FIRST, MANY
from bench.ingest.contenders import SLUICE, THIS, Contender, Program, running, service_settings
from bench.ingest.load import Load
from bench.ingest.messages import Case, request_template
from bench.ingest.rounds import Field, check_stored, field_of, order_of
from bench.places import ROOT
from bench.usage import cpu_s

MOST_TIMES_THE_BASE, MOST_TIMES_THE_DECODING = 1.05, 1.5
CASES = (FIRST, MANY)
_ATTEMPTS, _PAIRS, _ROUNDS, _ROUND_S = 3, 2, 10, 0.2
_OPENINGS = 200

Costs = Mapping[Case, Sequence[tuple[float, float]]]
"""The microseconds of a message in the change and in the base, for each pair of rounds."""


async def slower_cases(measure: Callable[[Sequence[Case]], Awaitable[Costs]]) -> Sequence[Case]:
    """Return the cases in which the change takes too long each time that it is measured."""
    cases: Sequence[Case] = CASES
    for _ in range(_ATTEMPTS):
        costs = await measure(cases)
        for case in cases:
            print(_line(case, costs[case]))
        cases = [case for case in cases if ratio(costs[case]) > MOST_TIMES_THE_BASE]
        if not cases:
            break
    return cases


def ratio(costs: Sequence[tuple[float, float]]) -> float:
    """Return how many times the processor time of the base the change takes: the median of the pairs."""
    return statistics.median(change / base for change, base in costs)


def _line(case: Case, costs: Sequence[tuple[float, float]]) -> str:
    change_us, base_us = (statistics.median(side) / case.records for side in zip(*costs, strict=True))
    what = "a record, 100 in a message" if case.records > 1 else "a message of one record"
    return (
        f"{what}: {change_us:.1f} us of the processor, {base_us:.1f} in the base; "
        f"{ratio(costs):.3f} times in the median of {len(costs)} pairs, at most {MOST_TIMES_THE_BASE}"
    )


async def measure_costs(change: Program, base: Program, cases: Sequence[Case]) -> Costs:
    """Load new processes of both in turn."""
    costs: dict[Case, list[tuple[float, float]]] = {case: [] for case in cases}
    async with field_of(FIRST.ack_ms) as field, AsyncExitStack() as stack:
        settings = service_settings(field.store.grpc_url, field.keys_url)
        pairs = [
            [
                await stack.enter_async_context(running(name, ["app"], settings, field.cores.service, program))
                for name, program in ((SLUICE, change), ("the base", base))
            ]
            for _ in range(_PAIRS)
        ]
        os.sched_setaffinity(0, field.cores.load)  # this process is the load
        for each in (service for pair in pairs for service in pair):
            for case in cases:  # the first requests of a process are not like those that follow
                await _cost_us(field, each, case)
        for number in range(_ROUNDS):
            for case in cases:
                for one, other in pairs:
                    if number % 2:
                        base_us = await _cost_us(field, other, case)
                        costs[case].append((await _cost_us(field, one, case), base_us))
                    else:
                        costs[case].append((await _cost_us(field, one, case), await _cost_us(field, other, case)))
    return costs


async def _cost_us(field: Field, service: Contender, case: Case) -> float:
    """Return the processor time of a message, from the first one until all are answered, on open connections."""
    before, load = await field.store.rows(), Load(order_of([service], case, _ROUND_S))
    load.lap(0.0)
    begun_s = sum(map(cpu_s, service.pids))
    messages = load.lap(_ROUND_S)
    used_s = sum(map(cpu_s, service.pids)) - begun_s
    load.close()
    service.pushed += load.answered
    if load.failures:
        raise SystemExit(f"{service.name}: pushes were answered {load.failures}")
    check_stored(service, load.answered * case.records, await field.store.rows() - before)
    return used_s / messages * 1e6


class _Message(msgspec.Struct):
    data: bytes


class _Push(msgspec.Struct):
    message: _Message


def opening_in_decodings() -> float:
    """Return how many times the decoding of its JSON and base64 it takes to open a push of 100 records of 1 KB."""
    template, places = request_template(MANY, "Bearer x")
    body = (template % ((1,) * places)).partition(b"\r\n\r\n")[2]
    decode = msgspec.json.Decoder(_Push).decode
    opening_s, decoding_s = [], []
    for _ in range(_OPENINGS):
        opening_s.append(_seconds(lambda: open_push({}, body)))
        decoding_s.append(_seconds(lambda: decode(body)))
    return min(opening_s) / min(decoding_s)


def _seconds(act: Callable[[], object]) -> float:
    begun_s = time.perf_counter()
    act()
    return time.perf_counter() - begun_s


def main() -> None:
    """Measure, and say what is slower."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.gate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--base", metavar="COMMIT", help="compare with this one (default: the last one that landed)")
    base = base_of(ROOT, parser.parse_args().base)
    print(f"base: {subject_of(ROOT, base)}")
    opening = opening_in_decodings()
    print(f"opening a push of 134 KB: {opening:.2f} times its decoding, at most {MOST_TIMES_THE_DECODING}")
    with program_of(ROOT, base) as program:
        slower = asyncio.run(slower_cases(lambda cases: measure_costs(THIS, program, cases)))
    if slower or opening > MOST_TIMES_THE_DECODING:
        sys.exit("slower than it may be: see above")
    print("no slower than it may be")


if __name__ == "__main__":
    main()

"""What one heavy message costs: processor time, the longest time the event loop is blocked, and memory.

    python -m bench.ingest.heavy_messages [--store embedded|null] [CASE …]

The service's own pipeline processes each case in a fresh process, twice: once for the processor time of the event
loop's thread and of the whole process, and once beside a task that notes how long each turn of the loop takes. A
stretch is processor time too, so that other load on the machine does not count. The machine's pace comes first: the
cost of a bare ASGI answer, which is 20 µs on the machine that the limits are stated for (docs/limits.md).
"""

import argparse
import asyncio
import gc
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from app.ingest.decode.envelope import Message
from app.ingest.decode.heavy import HeavyReads
from app.ingest.pipeline import Pipeline, Pipelines
from app.ingest.verdict import NotDurableError, Throttled, Verdict
from app.record import Record
from app.runtime.clock import SystemClock
from app.runtime.ledger import Ledger
from app.runtime.memory import search_seldom_for_cycles
from app.schema.table import Table
from app.stores.bigquery.proto_rows import ProtoRowEncoder
from app.stores.duckdb.store import EmbeddedStore
from app.stores.sink import Appender, Outcome, RowEncode, SetupError, Stored
from app.streams import single_stream
from bench.ingest.contenders import Cores, running
from bench.ingest.heavy_cases import CASES
from bench.ingest.messages import Case
from bench.ingest.rounds import load, order_of
from tests.support.unwatched import environment_of

_AT_ONCE = 10
_PEAK = re.compile(r"VmHWM:\s*(\d+)")  # absent of a process that has ended


class Cost(msgspec.Struct, frozen=True):
    """What a case has cost."""

    loop_s: float
    worker_s: float
    worker_mib: float
    stretch_s: float
    peak_mib: float
    before_mib: float
    outcome: str


class NullAppender:
    """Encodes rows for BigQuery, and acknowledges them at once."""

    max_in_flight = target_in_flight = 4
    lateness_limits = None

    def __init__(self, table: Table) -> None:
        self._encoder = ProtoRowEncoder(table)
        self.rows = self.bytes = 0

    def encoder(self, envelope: Mapping[str, Any]) -> RowEncode:
        """Return what encodes the records of a message."""
        return self._encoder.encoder(envelope)

    async def append(self, rows: Sequence[bytes]) -> Outcome:
        """Count the rows."""
        self.rows += len(rows)
        self.bytes += sum(map(len, rows))
        return Stored()

    def rekeyed(self, row: bytes, lateness: int) -> bytes:
        """Return `row`: nothing is late here."""
        return row

    async def check(self) -> SetupError | None:
        """Find nothing."""
        return None

    async def close(self) -> None:
        """Do nothing."""


async def _processed(pipeline: Pipeline, ledger: Ledger, message: Message) -> Verdict:
    """Process a message that came from a caller, as a request does."""
    reservation = ledger.hold("caller", len(message.data))
    if reservation is None:
        return Throttled("busy", 1.0)
    try:
        return (await pipeline.process(message, reservation=reservation)).verdict
    except NotDurableError as error:
        return error.verdict
    finally:
        reservation.release()


async def _longest_stretch(ended: asyncio.Event) -> float:
    """Return the longest turn of the loop until `ended`, in seconds of processor time."""
    longest_s, last_s = 0.0, time.thread_time()
    while not ended.is_set():
        await asyncio.sleep(0)
        now_s = time.thread_time()
        longest_s, last_s = max(longest_s, now_s - last_s), now_s
    return longest_s


async def _cost(make: Callable[[str], Message], count: int, store: str) -> Cost:
    clock = SystemClock()
    environment = environment_of(clock)
    settings, metrics = environment.settings, environment.metrics
    streams = single_stream(Record)
    tables = (*streams.tables, streams.rejects)
    path = tempfile.mkdtemp() + "/bench.duckdb"
    embedded = EmbeddedStore.open(path, tables, clock) if store == "embedded" else None
    ledger = Ledger(max_bytes=settings.ingest.max_in_flight_bytes)
    appenders: dict[str, Appender] = {
        table.name: embedded.appender(table) if embedded else NullAppender(table) for table in tables
    }
    pipelines = Pipelines(
        environment,
        streams,
        appenders,
        system="bench",
        heavy=HeavyReads(settings.store, settings.ingest, clock),
    )
    messages = [make(str(number)) for number in range(count)]
    again = [make(f"{number}-again") for number in range(count)]
    search_seldom_for_cycles()
    before_mib = _peak_mib()
    loop_s = time.thread_time()
    pipeline = pipelines.by_stream["records"]
    verdicts = await asyncio.gather(*(_processed(pipeline, ledger, message) for message in messages))
    loop_s = time.thread_time() - loop_s
    peak_mib = _peak_mib()
    gc.collect()
    ended = asyncio.Event()
    watching = asyncio.ensure_future(_longest_stretch(ended))
    await asyncio.sleep(0)
    await asyncio.gather(*(_processed(pipeline, ledger, message) for message in again))
    ended.set()
    worker_mib = _worker_peak_mib()
    await pipelines.close()
    worker = resource.getrusage(resource.RUSAGE_CHILDREN)
    if embedded:
        embedded.close()
    outcomes = ", ".join(f"{count} {name}" for name, count in Counter(type(each).__name__ for each in verdicts).items())
    rejected = ", ".join(f"{number} {reason}" for (reason, _), number in (+metrics.rejected_records).items())
    return Cost(
        loop_s,
        (worker.ru_utime + worker.ru_stime) / 2,
        worker_mib,
        await watching,
        peak_mib,
        before_mib,
        f"{outcomes}; twice: {metrics.stored_records} stored{rejected and ', rejects: '}{rejected}",
    )


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _worker_peak_mib() -> float:
    """Return the peak memory of the worker process; 0 if there is none, or it has just ended."""
    tasks = Path("/proc/self/task").glob("*/children")
    children = [pid for task in tasks for pid in task.read_text(encoding="ascii").split()]
    texts = [Path(f"/proc/{pid}/status").read_text(encoding="ascii") for pid in children]
    return max((int(each[1]) / 1024 for text in texts if (each := _PEAK.search(text))), default=0.0)


async def _pace_us() -> float:
    """Return what a bare ASGI answer costs now, in microseconds of processor time."""
    cores = Cores.of_this_machine()
    async with running("bare", ["bench.ingest.ceilings", "bare"], {}, cores.service) as started:
        order = msgspec.structs.replace(order_of([started], Case(in_flight=64), 1.5), warm_s=0.5)
        loaded = await load(order, cores.load)
    return loaded.cpu_s / loaded.messages * 1e6


def main() -> None:
    """Measure the cases, each in a process of its own, and print a table."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.ingest.heavy_messages",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)} (default: all)")
    parser.add_argument("--store", choices=("embedded", "null"), default="null")
    parser.add_argument("--at-once", type=int, default=0, help="only this many of each at once (default: 1 and 10)")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        cost = asyncio.run(_cost(CASES[options.cases[0]](), options.at_once, options.store))
        sys.stdout.write(msgspec.json.encode(cost).decode() + "\n")
        return
    print(f"an empty ASGI answer: {asyncio.run(_pace_us()):.1f} µs of processor time now (20 µs at full pace)")
    print(
        "| message | at once | loop, s | worker, s | longest stretch, ms | memory, MiB | the worker's, MiB | outcome |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |", flush=True)
    for case in options.cases or CASES:
        for count in [options.at_once] if options.at_once else (1, _AT_ONCE):
            words = [case, "--alone", "--store", options.store, "--at-once", str(count)]
            command = [sys.executable, "-m", "bench.ingest.heavy_messages", *words]
            ran = subprocess.run(command, stdout=subprocess.PIPE, check=True)
            cost = msgspec.json.decode(ran.stdout, type=Cost)
            print(
                f"| {case} | {count} | {cost.loop_s:.3f} | {cost.worker_s:.3f} | {cost.stretch_s * 1e3:.1f} "
                f"| {cost.before_mib:.0f} to {cost.peak_mib:.0f} | {cost.worker_mib:.0f} | {cost.outcome} |",
                flush=True,
            )


if __name__ == "__main__":
    main()

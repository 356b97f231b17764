"""`python -m tests.soak.service SOCKET SEED RATE`: the service, with a debug socket that production has not got.

A line of JSON on the socket is a Command, and is answered by a line of JSON, an Inside. Faults of the store, steps of
the time of day and the look inside are the runner's: nothing of the product knows about them.
"""

import asyncio
import ctypes
import gc
import os
import sys
import time
import tracemalloc
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from app.__main__ import _leave  # isort: skip - first, as it tells the allocators what to do before they are loaded

from app.main import create_app
from app.runtime.clock import SystemClock
from app.runtime.memory import return_large_blocks, trimmer
from app.schema.table import Table
from app.server import serve
from app.settings.load import load_settings
from app.stores.sink import Appender
from app.telemetry.logs import configure_logging
from tests.soak.faults import Faults, FaultyAppender, Inside

_TOP = 15


class Command(msgspec.Struct, frozen=True):
    """What to do before a look: let faults happen or not, set the time of day off, trace the heap, tidy up."""

    faults: bool | None = None
    clock_off_s: float | None = None
    trace: bool | None = None
    collect: bool = False


class Bench:
    """The service's process, as seen from inside."""

    def __init__(self, seed: int, rate: float) -> None:
        self.faults = Faults(seed, rate)
        self._off_ns = 0
        self._appenders: list[Appender] = []
        self._searches: dict[str, tuple[int, int]] = {}
        self._search_begun_s = 0.0
        gc.callbacks.append(self._searched)
        self.clock = SystemClock(wall_us=lambda: (time.time_ns() + self._off_ns) // 1000)
        """Its time of day can be set off; what it measures stays at its pace."""

    def wrap(self, _: Table, appender: Appender) -> FaultyAppender:
        """Put the faults before an Appender."""
        self._appenders.append(appender)
        return FaultyAppender(appender, self.faults)

    async def listen(self, path: str) -> None:
        """Answer commands at a Unix socket, for ever."""
        server = await asyncio.start_unix_server(self._serve, path)
        async with server:
            await server.serve_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # The service ends, or whoever asks has left before the answer; asyncio would log that as an error.
        with suppress(asyncio.CancelledError, ConnectionError):
            while line := await reader.readline():
                self._do(msgspec.json.decode(line, type=Command))
                inside = await asyncio.to_thread(self._look, len(asyncio.all_tasks()))
                writer.write(msgspec.json.encode(inside) + b"\n")
                await writer.drain()
        writer.close()

    def _do(self, command: Command) -> None:
        if command.faults is not None:
            self.faults.on = command.faults
        if command.clock_off_s is not None:
            self._off_ns = round(command.clock_off_s * 1e9)
        if command.trace is not None:
            tracemalloc.start(1) if command.trace else tracemalloc.stop()

        if command.collect:
            gc.collect()
            if (trim := trimmer()) is not None:
                trim()

    def _look(self, tasks: int) -> Inside:
        malloc = _mallinfo()
        return Inside(
            tasks=tasks,
            blocks=sys.getallocatedblocks(),
            malloc_used=malloc[7],
            malloc_free=malloc[8],
            malloc_mapped=malloc[4],
            duckdb=self._duckdb(),
            faults=dict(self.faults.counts),
            searches=dict(self._searches),
            heap=_heap(),
        )

    def _searched(self, phase: str, info: dict[str, int]) -> None:
        """Note a run of the garbage collector: how often, how long at most."""
        if phase == "start":
            self._search_begun_s = time.perf_counter()
            return
        took_us = round((time.perf_counter() - self._search_begun_s) * 1e6)
        count, longest_us = self._searches.get(str(info["generation"]), (0, 0))
        self._searches[str(info["generation"])] = (count + 1, max(longest_us, took_us))

    def _duckdb(self) -> dict[str, int]:
        """Ask DuckDB, by the connection that the embedded store writes with, where there is one."""
        store = getattr(self._appenders[0], "_store", None)
        connection: Any = getattr(store, "_connection", None)
        if connection is None:
            return {}
        rows = connection.cursor().execute("SELECT tag, memory_usage_bytes FROM duckdb_memory()").fetchall()
        return {tag: size for tag, size in rows if size}


def _mallinfo() -> list[int]:
    """Return the C library's ten counts (mallinfo2(3)): 4 is mapped, 7 in use, 8 free; zeros where it has none."""

    class _Info(ctypes.Structure):
        _fields_ = [(f"f{n}", ctypes.c_size_t) for n in range(10)]

    try:
        ask = ctypes.CDLL(None).mallinfo2
    except (AttributeError, OSError):
        return [0] * 10
    ask.restype = _Info
    info = ask()
    return [getattr(info, f"f{n}") for n in range(10)]


def _heap() -> dict[str, int]:
    if not tracemalloc.is_tracing():
        return {}
    found = tracemalloc.take_snapshot().statistics("lineno")[:_TOP]
    return {str(each.traceback[0]): each.size for each in found}


async def _run(path: str, bench: Bench) -> None:
    settings = load_settings(os.environ)
    service = create_app(settings, clock=bench.clock, wrap_appender=bench.wrap)
    listening = asyncio.create_task(bench.listen(path))
    try:
        await serve(service, settings.server)
    finally:
        listening.cancel()


def main() -> None:
    """Serve until SIGTERM."""
    return_large_blocks()
    path, seed, rate = sys.argv[1:]
    configure_logging()
    uvloop.run(_run(path, Bench(int(seed), float(rate))))
    Path(path).unlink(missing_ok=True)
    _leave(0)


if __name__ == "__main__":
    main()

"""The server: BigQueryWrite over real sockets, each request met by the Fault that the test decides."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio

from app.runtime.clock import Clock
from sluice.testing.misbehaving.faults import NONE, Arrival, Decide, EndStream
from sluice.testing.misbehaving.rows import Commit, Shelf
from sluice.testing.misbehaving.stream import MAX_REQUEST_BYTES, Stream
from sluice.testing.misbehaving.wire import Wire

_SERVICE = "google.cloud.bigquery.storage.v1.BigQueryWrite"


class MisbehavingServer:
    """A BigQueryWrite server behind a Wire. What is set on it counts for the requests that arrive afterwards."""

    def __init__(self, clock: Clock, *, max_receive_bytes: int = -1) -> None:
        self.clock = clock
        self.shelf = Shelf()
        self.arrivals: list[Arrival] = []
        self.violations: list[str] = []
        """What no client of BigQuery may do, in words."""
        self.decide: Decide = lambda _: NONE
        self.is_bad: Callable[[str], bool] = lambda row_id: row_id.startswith("bad")
        """By its id, whether a row cannot be stored."""
        self.refuse_streams: EndStream | None = None
        """How a new stream ends before anything is read of it."""
        self.lacks: frozenset[str] = frozenset()
        """The dotted paths of columns that the table lacks: a request whose writer schema has one is refused."""
        self.names_rows = False
        """Whether it refuses the rows that use such a column by name instead of the schema, as local-bigquery does."""
        self.max_request_bytes = MAX_REQUEST_BYTES
        self.wire = Wire(0)
        self.streams: list[Stream] = []
        self._gates: dict[str, asyncio.Event] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        limits = [("grpc.max_receive_message_length", max_receive_bytes), ("grpc.so_reuseport", 0)]
        self._server = grpc.aio.server(options=limits)

    @property
    def url(self) -> str:
        """The address for a client, as a setting names it."""
        return f"http://127.0.0.1:{self.wire.port}"

    @property
    def open_streams(self) -> int:
        """How many streams are open now."""
        return sum(stream.open for stream in self.streams)

    def gate(self, name: str) -> asyncio.Event:
        """Return the gate that faults name; the test opens it by `set()`."""
        return self._gates.setdefault(name, asyncio.Event())

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `work` beside the stream that began it: a commit outlives its stream."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def keep(self, arrival: Arrival, rows: tuple[dict[str, Any], ...]) -> None:
        """Store rows."""
        self.shelf.commits.append(Commit(table=arrival.table, rows=rows, commit_us=self.clock.now_us()))

    async def start(self) -> None:
        """Listen."""
        handlers: dict[str, Any] = {"AppendRows": grpc.stream_stream_rpc_method_handler(self._append_rows)}
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, handlers),))
        self.wire.target_port = self._server.add_insecure_port("127.0.0.1:0")
        await self._server.start()
        await self.wire.up()

    async def stop(self) -> None:
        """End everything at once."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.wire.close()
        await self._server.stop(None)

    async def _append_rows(self, _: AsyncIterator[bytes], context: Any) -> None:
        stream = Stream(self, context, len(self.streams) + 1)
        self.streams.append(stream)
        await stream.serve()


@asynccontextmanager
async def misbehaving(clock: Clock, **options: int) -> AsyncIterator[MisbehavingServer]:
    """Run a server until the block ends, and fail when a client did what none may do."""
    server = MisbehavingServer(clock, **options)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
    assert server.violations == [], server.violations

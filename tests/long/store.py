"""A write server that misbehaves and keeps nothing itself: what it takes, and every read, goes to a real store."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import grpc
import grpc.aio
import msgspec

from app.runtime.clock import MICROSECONDS, Clock
from app.stores.bigquery.client import BigQueryClients, TableAddress
from sluice.testing.misbehaving import answers
from sluice.testing.misbehaving.faults import Arrival, EndStream, Fault
from sluice.testing.misbehaving.rows import Row
from sluice.testing.misbehaving.server import MisbehavingServer
from sluice.testing.misbehaving.stream import Stream, _EndError, _Turn
from sluice.testing.pace import patience_s

_METHOD = "/google.cloud.bigquery.storage.v1.BigQueryWrite/AppendRows"
_READS = "google.cloud.bigquery.storage.v1.BigQueryRead"
_MAX_ROWS, _MAX_BYTES = 4_000, 3_500_000  # local-bigquery receives 4 MiB
_ANSWERS_WITHIN_S = patience_s(20.0)
_CHANNEL_OPTIONS = (("grpc.use_local_subchannel_pool", 1), ("grpc.max_reconnect_backoff_ms", 500))


class StoreTroubleError(Exception):
    """The real store did not take the rows, or they came too late to be sent there."""


class _Load(msgspec.Struct, kw_only=True):
    rows: list[bytes]
    descriptor: Any
    stamp_us: int
    stored: "asyncio.Future[None]"


class Line:
    """One stream to the real store for one table. What waits while an append is under way shares the next one."""

    def __init__(self, channel: grpc.aio.Channel, write_stream: str, clock: Clock, send_within_s: float) -> None:
        self._channel, self._write_stream, self._clock = channel, write_stream, clock
        self._send_within_us = round(send_within_s * MICROSECONDS)
        self._waiting: deque[_Load] = deque()
        self._due = asyncio.Event()
        self._call: Any = None
        self.counts: Counter[str] = Counter()
        self.latest_s = 0.0
        """The longest that a row was on its way, from its stamp to the store's answer."""

    async def append(self, rows: list[bytes], descriptor: Any, stamp_us: int) -> None:
        """Store `rows`.

        Raises:
            StoreTroubleError: they may not be stored.
        """
        stored = asyncio.get_running_loop().create_future()
        self._waiting.append(_Load(rows=rows, descriptor=descriptor, stamp_us=stamp_us, stored=stored))
        self._due.set()
        await stored

    async def run(self) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            while self._waiting:
                await self._carry(self._next())

    def _next(self) -> list[_Load]:
        taken: list[_Load] = []
        rows = size = 0
        while self._waiting:
            load = self._waiting[0]
            rows, size = rows + len(load.rows), size + sum(map(len, load.rows))
            if taken and (rows > _MAX_ROWS or size > _MAX_BYTES):
                break
            self._waiting.popleft()
            # The store is asked in time for it to commit within the margin, or not at all.
            if self._clock.now_us() - load.stamp_us > self._send_within_us:
                self.counts["came too late for the real store"] += 1
                load.stored.set_exception(StoreTroubleError("too late"))
            else:
                taken.append(load)
        return taken

    async def _carry(self, loads: list[_Load]) -> None:
        if not loads:
            return
        try:
            async with asyncio.timeout(_ANSWERS_WITHIN_S):
                await self._send(loads)
        except (TimeoutError, grpc.aio.AioRpcError, asyncio.InvalidStateError, StoreTroubleError) as error:
            self.counts["not taken by the real store"] += 1
            self._call = None
            for load in loads:
                load.stored.set_exception(StoreTroubleError(str(error)))
            return
        oldest_us = min(load.stamp_us for load in loads)
        self.latest_s = max(self.latest_s, (self._clock.now_us() - oldest_us) / MICROSECONDS)
        for load in loads:
            load.stored.set_result(None)

    async def _send(self, loads: list[_Load]) -> None:
        request = answers.Request(write_stream=self._write_stream, trace_id="chaos")
        for load in loads:
            request.proto_rows.rows.serialized_rows.extend(load.rows)
        if self._call is None:
            metadata = (("x-goog-request-params", f"write_stream={self._write_stream}"),)
            self._call = self._channel.stream_stream(_METHOD)(metadata=metadata)
            request.proto_rows.writer_schema.proto_descriptor.CopyFrom(loads[0].descriptor)
        await self._call.write(request.SerializeToString())
        response = await self._call.read()
        if response is grpc.aio.EOF:
            raise StoreTroubleError("the real store closed the stream")
        answer = answers.Response.FromString(response)
        if answer.error.code or answer.row_errors:
            raise StoreTroubleError(str(answer))


class ForwardingServer(MisbehavingServer):
    """A MisbehavingServer before a real store at `storage_url`."""

    def __init__(self, clock: Clock, storage_url: str, *, send_within_s: float) -> None:
        super().__init__(clock)
        self._target = storage_url.removeprefix("http://")
        self._channel: Any = None
        self._send_within_s = send_within_s
        self._carriers: list[asyncio.Task[None]] = []
        self.lines: dict[str, Line] = {}
        self.commits: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._channel = grpc.aio.insecure_channel(self._target, options=_CHANNEL_OPTIONS)  # of the running loop
        reads: dict[str, Any] = {
            method: grpc.unary_stream_rpc_method_handler(partial(self._read, f"/{_READS}/{method}"))
            for method in ("CreateReadSession", "ReadRows")
        }
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_READS, reads),))
        await super().start()

    async def _read(self, method: str, request: bytes, context: Any) -> AsyncIterator[bytes]:
        """Let the real store answer a read; one answer of several is one answer on the wire."""
        try:
            async for answer in self._channel.unary_stream(method)(request):
                yield answer
        except grpc.aio.AioRpcError as error:
            await context.abort(error.code(), error.details())

    def line(self, write_stream: str) -> Line:
        if write_stream not in self.lines:
            self.lines[write_stream] = Line(self._channel, write_stream, self.clock, self._send_within_s)
            self._carriers.append(asyncio.ensure_future(self.lines[write_stream].run()))
        return self.lines[write_stream]

    async def settled(self) -> None:
        """Wait until nothing is on its way to the real store any more."""
        while self.commits:
            await asyncio.wait(self.commits)

    async def outage(self, seconds: float) -> None:
        """Be gone for a while."""
        self.wire.down()
        for link in self.wire.open_links:
            link.cut()
        await self.clock.sleep(seconds)
        await self.wire.up()

    async def stop(self) -> None:
        for task in self._carriers:
            task.cancel()
        await asyncio.gather(*self._carriers, return_exceptions=True)
        await super().stop()
        if self._channel is not None:
            await self._channel.close()

    async def _append_rows(self, _: Any, context: Any) -> None:
        stream = _ForwardingStream(self, context, len(self.streams) + 1)
        self.streams.append(stream)
        await stream.serve()


class _ForwardingStream(Stream):
    """A stream whose commits are those of the real store."""

    def __init__(self, server: ForwardingServer, context: Any, number: int) -> None:
        super().__init__(server, context, number)
        self._to = server
        self._data = b""
        self._trouble: dict[asyncio.Task[None], str] = {}
        """Why a commit failed, for the answer that waits for it."""

    def _arrive(self, data: bytes) -> None:
        self._data = data
        super()._arrive(data)

    def _commit(self, arrival: Arrival, rows: tuple[Row, ...], fault: Fault, *, stores: bool) -> Any:
        return self._forward(self._data, rows, fault, stores=stores)

    async def _forward(self, data: bytes, rows: tuple[Row, ...], fault: Fault, *, stores: bool) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._to.commits.add(task)
        task.add_done_callback(self._to.commits.discard)
        if fault.commit_gate:
            await self._to.gate(fault.commit_gate).wait()
        if fault.commit_delay_s:
            await self._to.clock.sleep(fault.commit_delay_s)
        if not stores:
            return
        request = answers.Request.FromString(data)
        line = self._to.line(request.write_stream)
        serialized = list(request.proto_rows.rows.serialized_rows)
        try:
            await line.append(serialized, self.descriptors[-1], rows[0]["ingest_time"])
        except StoreTroubleError as trouble:
            self._trouble[task] = str(trouble)

    async def _answer(self, turn: _Turn) -> None:
        if turn.fault.awaits_commit:
            await asyncio.wait([turn.committed])
            if turn.committed in self._trouble:
                raise _EndError(EndStream("INTERNAL", self._trouble[turn.committed][:200]))
        await super()._answer(turn)


def counted(place: TableAddress) -> tuple[dict[str, int], dict[str, int]]:
    """Count the rows of each delivery key in the tables of records and of rejects, asking the real store itself."""
    access = BigQueryClients(place)
    counts = []
    for table in ("records", "records_rejected"):
        sql = (
            f"SELECT delivery_key, COUNT(*) AS n FROM `{place.table_id(table)}` "  # noqa: S608 - our own names
            "WHERE ingest_time > TIMESTAMP '2000-01-01' GROUP BY delivery_key"
        )
        counts.append({row["delivery_key"]: row["n"] for row in access.client().query_and_wait(sql)})
    access.close()
    return counts[0], counts[1]

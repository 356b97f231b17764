"""One AppendRows stream: requests are read as they come, rows commit by themselves, answers keep the order."""

import asyncio
import re
from typing import TYPE_CHECKING, Any, assert_never

import grpc
import grpc.aio
import msgspec

from sluice.testing.misbehaving import answers
from sluice.testing.misbehaving.faults import (
    EXTRA_FIELDS,
    Acknowledge,
    Arrival,
    Cut,
    EndStream,
    Fault,
    Freeze,
    Refuse,
    Remark,
    Silence,
)
from sluice.testing.misbehaving.rows import Row, RowReader, fields_of

if TYPE_CHECKING:
    from sluice.testing.misbehaving.server import MisbehavingServer

MAX_REQUEST_BYTES = 10_485_760
_DEFAULT_STREAM = re.compile(r"projects/[^/]+/datasets/[^/]+/tables/([^/]+)/streams/_default")


class _Turn(msgspec.Struct, kw_only=True):
    """A request that was read and waits for its answer: what befalls it, and the server's objection to it, if any."""

    write_stream: str
    fault: Fault
    refusal: Any
    committed: "asyncio.Task[None]"


class _EndError(Exception):
    def __init__(self, end: EndStream) -> None:
        self.end = end


class Stream:
    """One call of AppendRows, from its first request to its end."""

    def __init__(self, server: "MisbehavingServer", context: Any, number: int) -> None:
        self._server, self._context, self.number = server, context, number
        self._reader: RowReader | None = None
        self._table = ""
        self._turns: asyncio.Queue[_Turn | None] = asyncio.Queue()
        self._early_end: asyncio.Future[EndStream] = asyncio.get_running_loop().create_future()
        self._arrived = 0
        self.open = True
        self.descriptors: list[Any] = []
        """The writer schemas that travelled, as often as they did."""

    async def serve(self) -> None:
        """Serve the call until either side ends it."""
        ending = [asyncio.ensure_future(part) for part in (self._answers(), self._end_early())]
        # Of a stream that is refused nothing is read: what it carries must neither arrive nor be kept.
        reading = [] if self._server.refuse_streams is not None else [asyncio.ensure_future(self._read())]
        parts = [*ending, *reading]
        try:
            await asyncio.wait(ending, return_when=asyncio.FIRST_COMPLETED)
            for part in ending:
                if part.done():
                    part.result()
        except _EndError as over:
            code, message, trailers = answers.ending(over.end)
            if code is not grpc.StatusCode.OK:
                await self._context.abort(code, message, trailers)
        finally:
            self.open = False
            for part in parts:
                part.cancel()
            await asyncio.gather(*parts, return_exceptions=True)

    async def _answers(self) -> None:
        if "x-goog-request-params" not in {key for key, _ in self._context.invocation_metadata()}:
            self._violation("no x-goog-request-params in the metadata")
        if self._server.refuse_streams is not None:
            raise _EndError(self._server.refuse_streams)
        while (turn := await self._turns.get()) is not None:
            await self._answer(turn)

    async def _end_early(self) -> None:
        raise _EndError(await self._early_end)

    async def _read(self) -> None:
        while (data := await self._context.read()) is not grpc.aio.EOF:
            self._arrive(data)
        self._turns.put_nowait(None)  # the client has nothing more to say

    def _arrive(self, data: bytes) -> None:
        request = answers.Request.FromString(data)
        self._arrived += 1
        self._check(request)
        serialized = list(request.proto_rows.rows.serialized_rows)
        rows = tuple(row for each in serialized if (row := self._row(each)) is not None)
        arrival = Arrival(
            connection=self.number,
            number=self._arrived,
            ordinal=len(self._server.arrivals) + 1,
            table=self._table,
            ids=tuple(row.get("id", "") for row in rows),
            byte_count=len(data),
            arrival_us=self._server.clock.now_us(),
        )
        self._server.arrivals.append(arrival)
        fault = self._server.decide(arrival)
        if fault.at_once and isinstance(fault.answer, EndStream) and not self._early_end.done():
            self._early_end.set_result(fault.answer)
        refusal = self._refusal(request.write_stream, arrival, rows, fault)
        stores = fault.stores and refusal is None
        self._turns.put_nowait(
            _Turn(
                write_stream=request.write_stream,
                fault=fault,
                refusal=refusal,
                committed=self._server.spawn(self._commit(arrival, rows, fault, stores=stores)),
            )
        )

    def _check(self, request: Any) -> None:
        """Note what no client may do; learn the writer schema, which stays for the stream."""
        named = _DEFAULT_STREAM.fullmatch(request.write_stream)
        if named is None:
            self._violation(f"write_stream is {request.write_stream!r}")
        else:
            self._table = named[1]
        if not request.trace_id:
            self._violation("no trace_id")
        if request.HasField("offset"):
            self._violation("an offset, on the default stream")
        if not request.proto_rows.rows.serialized_rows:
            self._violation("no rows")
        if request.proto_rows.HasField("writer_schema"):
            self.descriptors.append(request.proto_rows.writer_schema.proto_descriptor)
            self._reader = RowReader(self.descriptors[-1])
        elif self._reader is None:
            self._violation("no writer schema in the first request")

    def _row(self, serialized: bytes) -> Row | None:
        if self._reader is None:
            return None
        try:
            return self._reader.read(serialized)
        except ValueError as error:
            self._violation(str(error))
            return None

    def _refusal(self, write_stream: str, arrival: Arrival, rows: tuple[Row, ...], fault: Fault) -> Any:
        """Return what the server has to object to the request by itself, or None."""
        server = self._server
        if arrival.byte_count > server.max_request_bytes:
            if arrival.byte_count > MAX_REQUEST_BYTES:
                self._violation(f"a request of {arrival.byte_count} bytes")
            text = f"AppendRows request too large: {arrival.byte_count} limit {server.max_request_bytes}"
            return answers.refused(write_stream, Refuse("INVALID_ARGUMENT", text))
        if server.names_rows:
            unknown = {index: min(found) for index, row in enumerate(rows) if (found := server.lacks & row.keys())}
            if unknown:
                return answers.columns_unknown(write_stream, unknown)
        elif self.descriptors and server.lacks & fields_of(self.descriptors[-1]):
            return answers.refused(write_stream, EXTRA_FIELDS)
        if isinstance(fault.answer, Refuse):
            return answers.refused(write_stream, fault.answer)
        bad = [index for index, row_id in enumerate(arrival.ids) if server.is_bad(row_id)]
        return answers.rows_refused(write_stream, bad, len(arrival.ids), fault.listing) if bad else None

    async def _commit(self, arrival: Arrival, rows: tuple[Row, ...], fault: Fault, *, stores: bool) -> None:
        server = self._server
        if fault.commit_gate:
            await server.gate(fault.commit_gate).wait()
        if fault.commit_delay_s:
            await server.clock.sleep(fault.commit_delay_s)
        if stores:
            server.keep(arrival, rows)

    async def _answer(self, turn: _Turn) -> None:
        fault = turn.fault
        if fault.awaits_commit:
            await asyncio.wait([turn.committed])
        if fault.answer_gate:
            await self._server.gate(fault.answer_gate).wait()
        if fault.answer_delay_s:
            await self._server.clock.sleep(fault.answer_delay_s)
        await self._say(turn)

    async def _say(self, turn: _Turn) -> None:
        answer = turn.fault.answer
        match answer:
            case EndStream():
                raise _EndError(answer)
            case Cut():
                self._link().cut()
                await asyncio.Event().wait()
            case Freeze():
                self._link().freeze()
                await asyncio.Event().wait()
            case Silence():
                await asyncio.Event().wait()
            case Remark():
                await self._context.write(answers.Response().SerializeToString())
                await asyncio.Event().wait()
            case Acknowledge() if turn.refusal is None:
                await self._context.write(answers.acknowledged(turn.write_stream).SerializeToString())
            case Acknowledge() | Refuse():
                await self._context.write(turn.refusal.SerializeToString())
            case _:
                assert_never(answer)

    def _link(self) -> Any:
        return self._server.wire.link(int(self._context.peer().rpartition(":")[2]))

    def _violation(self, what: str) -> None:
        self._server.violations.append(f"connection {self.number}, request {self._arrived}: {what}")

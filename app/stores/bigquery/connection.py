"""AppendRows streams, one to N for a table: on each, requests go out in order and are answered in order.

https://cloud.google.com/bigquery/docs/reference/storage/rpc/google.cloud.bigquery.storage.v1#bigquerywrite
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import lru_cache
from typing import Any

import grpc.aio
from google.cloud.bigquery_storage_v1 import types
from google.protobuf.descriptor_pb2 import DescriptorProto
from google.rpc.code_pb2 import Code
from google.rpc.status_pb2 import Status

from app.runtime.clock import MICROSECONDS, Clock
from app.stores.bigquery.failures import (
    StreamEnd,
    answers_a_request,
    outcome_of_error,
    outcome_of_response,
    outcomes_of_end,
    speaks_of_one,
)
from app.stores.bigquery.proto_rows import varint
from app.stores.sink import Outcome, Uncertain
from app.stores.stamping import AttemptStamp, ClockTroubleError

_REQUEST: Any = types.AppendRowsRequest.pb()
_DATA: Any = types.AppendRowsRequest.ProtoData.pb()
_LENGTHS = 16_384  # cached row headers, by row length: the rows of a table have similar lengths
_log = logging.getLogger("sluice.storage_write")
_METHOD = "/google.cloud.bigquery.storage.v1.BigQueryWrite/AppendRows"
_RESPONSE: Any = types.AppendRowsResponse.pb()
_STATUS_KEY = "grpc-status-details-bin"
_STAMP_BYTES = 10  # roughly: a tag and the microseconds
_MIN_KEEPALIVE_TIMEOUT_S, _MAX_KEEPALIVE_TIMEOUT_S = 1.0, 10.0
# One connection carries about 10 MB/s (https://cloud.google.com/bigquery/docs/write-api-best-practices), so more
# bytes in flight on it only wait. Several requests in flight hide the latency of each.
MAX_REQUESTS, MAX_BYTES = 8, 10_000_000
MAX_CONNECTIONS = 4  # to a table of records; infra/terraform compares their number with BigQuery's quota
# A stream that ended because of one of several requests, unknown which, would end like that again. For a while, each
# connection carries one request at a time, so that the next end is about one request only.
ALONE_US = 60 * MICROSECONDS


def _tag(message: Any, field: str) -> bytes:
    return varint(message.DESCRIPTOR.fields_by_name[field].number << 3 | 2)  # 2: a length follows, then that many bytes


_PROTO_ROWS, _ROWS = _tag(_REQUEST, "proto_rows"), _tag(_DATA, "rows")
_ROW = _tag(types.ProtoRows.pb(), "serialized_rows")


class AppendRequests:
    """Writes the AppendRows requests of one stream as bytes, so that each row is copied once on its way to the wire.

    With the client's message types, a request would copy each row five times. On the wire, a message
    is a sequence of fields, each a tag, a length and its content
    (https://protobuf.dev/programming-guides/encoding/#structure). A `first` request also carries what applies to all
    that follow.
    """

    def __init__(self, stream: str, trace_id: str, descriptor: DescriptorProto) -> None:
        same = {"write_stream": stream, "trace_id": trace_id}
        default = types.AppendRowsRequest.MissingValueInterpretation.DEFAULT_VALUE
        self._head: bytes = _REQUEST(**same).SerializeToString()
        self._first_head: bytes = _REQUEST(**same, default_missing_value_interpretation=default).SerializeToString()
        self._schema: bytes = _DATA(writer_schema={"proto_descriptor": descriptor}).SerializeToString()

    def write(self, rows: Sequence[bytes], end: bytes, *, first: bool) -> bytes:
        """Return the request that appends `rows`, each followed by `end`, its stamp."""
        parts = [b""]
        for row in rows:
            parts += (_before(len(row) + len(end)), row, end)
        size = sum(map(len, parts))
        schema = self._schema if first else b""
        before_rows = schema + _ROWS + varint(size)
        head = self._first_head if first else self._head
        parts[0] = head + _PROTO_ROWS + varint(len(before_rows) + size) + before_rows
        return b"".join(parts)


@lru_cache(_LENGTHS)
def _before(size: int) -> bytes:
    return _ROW + varint(size)


def channel_options(late_commit_margin_s: float) -> list[tuple[str, Any]]:
    """Return the options of a channel for appends.

    The default back-off of a channel keeps failing long after the server is back, and channels that share a TCP
    connection share its limit. Keep-alives detect a connection that died silently. On Linux, their timeout is also how
    long the kernel tries to deliver bytes (TCP_USER_TIMEOUT), so it must not exceed the late-commit margin.
    """
    timeout_s = min(max(late_commit_margin_s, _MIN_KEEPALIVE_TIMEOUT_S), _MAX_KEEPALIVE_TIMEOUT_S)
    return [
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 500),
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", round(timeout_s * 1000)),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", -1),
    ]


class _Request:
    """A request in flight, and the future of its outcome."""

    def __init__(self, size: int) -> None:
        self.size, self.is_sent = size, False
        self.outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    def settle(self, outcome: Outcome) -> None:
        if not self.outcome.done():  # else its caller has stopped waiting
            self.outcome.set_result(outcome)


class Connection:
    """One stream to the default stream of one table, on a channel of its own.

    `lacking`: the columns that its writer schema leaves out, so no row may have a value for them.
    `retired`: it accepts no new requests, as it ended or did not answer in time. `ends_for_one`: it ended because of
    one of several requests in flight; it is unknown which.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        stream: str,
        descriptor: DescriptorProto,
        trace_id: str,
        *,
        lacking: frozenset[str] = frozenset(),
    ) -> None:
        self.lacking = lacking
        self.retired = self.ends_for_one = False
        self.bytes_in_flight = 0
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the stream has ended, for any reason."""
        self._channel = channel
        self._in_flight: deque[_Request] = deque()
        self._turn = asyncio.Lock()
        self._has_sent = False
        self._opening: asyncio.Task[None] | None = None
        self._requests = AppendRequests(stream, trace_id, descriptor)
        # Not the client's append_rows, whose retry would repeat the call with requests that were already sent.
        append_rows: Any = channel.stream_stream(_METHOD, response_deserializer=_RESPONSE.FromString)
        self._call = append_rows(metadata=(("x-goog-request-params", f"write_stream={stream}"),))
        self._receiving = asyncio.ensure_future(self._receive())

    @property
    def requests_in_flight(self) -> int:
        """How many requests are not answered yet."""
        return len(self._in_flight)

    @property
    def is_awaited(self) -> bool:
        """Whether any caller still waits for an answer."""
        return any(not request.outcome.done() for request in self._in_flight)

    async def append(self, rows: Sequence[bytes], stamp: AttemptStamp) -> Outcome:
        """Send `rows` as one request and wait for its answer.

        `stamp` is taken once the stream is open and it is the request's turn; each row ends with it.

        Cancelling retires the connection: a sent request cannot be taken back, and those behind it wait as well. An
        unsent request is never sent. If it is just being written, the stream is ended, as its time of arrival would be
        unknown.
        """
        request = _Request(sum(map(len, rows)) + len(rows) * _STAMP_BYTES)
        self._in_flight.append(request)
        self.bytes_in_flight += request.size
        try:
            async with self._turn:  # first come, first served: answers come in the order of the requests
                if not request.outcome.done():  # else the stream has ended meanwhile
                    await self._write(request, rows, stamp)
            return await request.outcome
        except asyncio.CancelledError:
            self.retired = True
            if not request.is_sent and request in self._in_flight:  # by its turn, its stamp would be too old to send
                self._in_flight.remove(request)
                self.bytes_in_flight -= request.size
            raise

    async def close(self) -> None:
        """End the stream; what is in flight is Uncertain."""
        self.retired = True
        self._settle_all([Uncertain("the connection was closed")] * len(self._in_flight))
        self._receiving.cancel()
        self._call.cancel()
        if self._opening is not None:  # the end of the call does not stop a client that is still connecting
            self._opening.cancel()
        await asyncio.gather(self._receiving, return_exceptions=True)
        await self._channel.close()
        del self._receiving  # its traceback refers back here, and would keep the socket open until collected

    async def _write(self, request: _Request, rows: Sequence[bytes], stamp: AttemptStamp) -> None:
        """Send a request; if the stream has ended, `_receive` reports that once it has read the remaining answers."""
        try:
            await self._open()
            # The first request has the schema, which the server remembers for the life of the stream.
            message = self._requests.write(rows, stamp.take(), first=not self._has_sent)
            while stamp.is_stale():  # the process was stopped just now
                message = self._requests.write(rows, stamp.take(), first=not self._has_sent)
            request.is_sent = self._has_sent = True
            await self._call.write(message)
        except ClockTroubleError as trouble:
            if request in self._in_flight:  # else the stream has ended meanwhile
                self._in_flight.remove(request)
                self.bytes_in_flight -= request.size
                request.settle(Uncertain(str(trouble)))
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError, grpc.aio.UsageError):
            self.retired = True
        except asyncio.CancelledError:
            self.retired = True
            self._call.cancel()
            if _is_cancelled(asyncio.current_task()):
                raise
            # else the stream was cancelled, which the client reports to its writer in this way
        except Exception:
            _log.exception("a request could not be sent; closing the connection")
            self.retired = True
            self._call.cancel()

    async def _open(self) -> None:
        """Wait until the stream is open: a request sent earlier would wait in the client while its stamp ages."""
        if self._opening is None:
            self._opening = asyncio.ensure_future(self._call.wait_for_connection())
            self._opening.add_done_callback(lambda opening: opening.cancelled() or opening.exception())
        await self._opening  # one caller at a time; cancelling it ends the stream as well

    async def _receive(self) -> None:
        end = StreamEnd(Code.INTERNAL, "the connection failed")
        try:
            while (response := await self._call.read()) is not grpc.aio.EOF:
                self._answer(response)
            end = await self._end()
        except grpc.aio.AioRpcError as error:
            end = _ended(error.code(), error.details(), error.trailing_metadata())
        finally:
            self.retired = True
            self.ends_for_one = len(self._in_flight) > 1 and speaks_of_one(outcome_of_error(end))
            self._settle_all(outcomes_of_end(end, len(self._in_flight)))
            self.ended.set_result(None)

    async def _end(self) -> StreamEnd:
        code, detail = await self._call.code(), await self._call.details()
        return _ended(code, detail, await self._call.trailing_metadata())

    def _answer(self, response: Any) -> None:
        if not answers_a_request(response) or not self._in_flight or not self._in_flight[0].is_sent:
            # Answers match requests only by order, which can no longer be trusted.
            _log.warning("BigQuery sent a response that matches no request; closing the connection")
            self._call.cancel()
            return
        request = self._in_flight.popleft()
        self.bytes_in_flight -= request.size
        request.settle(outcome_of_response(response))

    def _settle_all(self, outcomes: list[Outcome]) -> None:
        for request, outcome in zip(self._in_flight, outcomes, strict=True):
            request.settle(outcome)
        self._in_flight.clear()
        self.bytes_in_flight = 0


def _is_cancelled(task: "asyncio.Task[Any] | None") -> bool:
    return task is None or task.cancelling() > 0


def _ended(code: grpc.StatusCode, detail: str | None, trailing: Any) -> StreamEnd:
    """Return how a call ended; the rich status, if there is one, is in the trailing metadata."""
    for key, value in trailing or ():
        if key == _STATUS_KEY:
            status = Status()
            with suppress(Exception):  # it is only read for the details
                status.ParseFromString(value)
                return StreamEnd.of_status(status)
    return StreamEnd(code.value[0], detail or "the server closed the stream")


class ConnectionsClosedError(Exception):
    """The connections are closed, so none can be lent."""


class Connections:
    """Lends connections that have room for a request, opening up to `max_connections` of them.

    BigQuery closes a connection after 600 s without a request.
    """

    def __init__(self, open_connection: Callable[[], Connection], clock: Clock, max_connections: int) -> None:
        self._open_connection, self._clock, self._max = open_connection, clock, max_connections
        self._open: list[Connection] = []
        self._queue = asyncio.Lock()  # the first to come waits for room, the others for the first
        self._room = asyncio.Event()
        self._closing: set[asyncio.Task[None]] = set()
        self._alone_until_us = 0
        self._closed = False

    def __len__(self) -> int:
        """Return how many connections are open."""
        return len(self._open)

    @asynccontextmanager
    async def lend(self, size: int) -> AsyncIterator[Connection]:
        """Lend a connection with room for a request of `size` bytes, waiting for one if all are busy.

        Raises:
            ConnectionsClosedError: they were closed.
        """
        async with self._queue:
            while (connection := self._with_room(size)) is None:
                self._room.clear()
                await self._room.wait()
        try:
            yield connection
        finally:
            self._give_back(connection)

    def retire(self) -> None:
        """Use no open connection for a new request; the next request opens a fresh one."""
        for connection in list(self._open):
            connection.retired = True
            self._give_back(connection)

    async def close(self) -> None:
        """Close every connection; callers that wait for one get ConnectionsClosedError."""
        self._closed = True
        for connection in list(self._open):
            self._drop(connection)
        self._room.set()
        await asyncio.gather(*self._closing, return_exceptions=True)

    def _with_room(self, size: int) -> Connection | None:
        if self._closed:
            raise ConnectionsClosedError
        most = 1 if self._clock.elapsed_us() < self._alone_until_us else MAX_REQUESTS
        usable = [connection for connection in self._open if not connection.retired]
        for connection in usable:  # in order of opening, so that the last ones can fall idle
            busy = connection.requests_in_flight
            if not busy or (busy < most and connection.bytes_in_flight + size <= MAX_BYTES):
                return connection
        if len(usable) >= self._max:
            return None
        opened = self._open_connection()
        opened.ended.add_done_callback(lambda _: self._give_back(opened))
        self._open.append(opened)
        _log.info("connection %d opened", len(self._open))
        return opened

    def _give_back(self, connection: Connection) -> None:
        if connection.ends_for_one:
            self._alone_until_us = self._clock.elapsed_us() + ALONE_US
        if connection.retired and not connection.is_awaited and connection in self._open:
            self._drop(connection)
        self._room.set()

    def _drop(self, connection: Connection) -> None:
        self._open.remove(connection)
        task = asyncio.ensure_future(connection.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

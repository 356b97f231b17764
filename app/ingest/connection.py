"""One AppendRows stream: requests go out in order and are answered in order.

https://cloud.google.com/bigquery/docs/reference/storage/rpc/google.cloud.bigquery.storage.v1#bigquerywrite
"""

import asyncio
import logging
from collections import deque
from contextlib import suppress
from typing import Any

import grpc.aio
from google.cloud.bigquery_storage_v1 import types
from google.cloud.bigquery_storage_v1.services.big_query_write.transports import BigQueryWriteGrpcAsyncIOTransport
from google.protobuf.descriptor_pb2 import DescriptorProto
from google.rpc.code_pb2 import Code
from google.rpc.status_pb2 import Status

from app.ingest.answers import StreamEnd, outcome_of_response, outcomes_of_end
from app.ingest.appender import Outcome, Uncertain

_log = logging.getLogger("sluice.storage_write")
_STATUS_KEY = "grpc-status-details-bin"

# The default back-off of a channel keeps failing long after the server is back, and channels that share a TCP
# connection share its limit. Keep-alives find a connection that died without a word.
CHANNEL_OPTIONS: tuple[tuple[str, Any], ...] = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
)

_Entry = tuple[asyncio.Future[Outcome], int]
"""A request in flight: who waits for its answer, and its size in bytes."""


class Connection:
    """One stream to the default stream of one table, on a channel of its own.

    `retired` says that it takes no new requests: it ended, or did not answer in time. `updated_schema` says that
    an answer told of a change of the table.
    """

    def __init__(self, channel: grpc.aio.Channel, stream: str, descriptor: DescriptorProto, trace_id: str) -> None:
        self.retired = False
        self.updated_schema = False
        self.bytes_in_flight = 0
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the stream has ended, whoever ended it."""
        self._channel, self._stream, self._descriptor, self._trace_id = channel, stream, descriptor, trace_id
        self._in_flight: deque[_Entry] = deque()
        self._outbox: asyncio.Queue[tuple[Any, _Entry]] = asyncio.Queue()
        # Not the client's append_rows: its retry would run the call again with requests that were sent already.
        append_rows: Any = BigQueryWriteGrpcAsyncIOTransport(channel=channel).append_rows
        self._call = append_rows(metadata=(("x-goog-request-params", f"write_stream={stream}"),))
        self._sending = asyncio.ensure_future(self._send())
        self._receiving = asyncio.ensure_future(self._receive())

    @property
    def requests_in_flight(self) -> int:
        """How many requests are not answered yet."""
        return len(self._in_flight)

    @property
    def is_awaited(self) -> bool:
        """Whether anybody still waits for an answer."""
        return any(not future.done() for future, _ in self._in_flight)

    async def append(self, rows: list[bytes]) -> Outcome:
        """Send `rows` as one request and wait for its answer; being cancelled retires the connection.

        Whoever gives up cannot take the request back, and what is behind it waits as well.
        """
        request = types.AppendRowsRequest.pb()(write_stream=self._stream, trace_id=self._trace_id)
        request.proto_rows.rows.serialized_rows.extend(rows)
        size = sum(map(len, rows))
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        entry = (answer, size)
        self._in_flight.append(entry)
        self.bytes_in_flight += size
        self._outbox.put_nowait((request, entry))
        try:
            return await answer
        except asyncio.CancelledError:
            self.retired = True
            raise

    async def close(self) -> None:
        """End the stream; what is in flight is Uncertain."""
        self.retired = True
        self._sending.cancel()
        self._receiving.cancel()
        self._call.cancel()
        await asyncio.gather(self._sending, self._receiving, return_exceptions=True)
        self._answer_all([Uncertain("the connection was closed")] * len(self._in_flight))
        await self._channel.close()
        del self._sending, self._receiving  # their tracebacks lead back here, and would hold the socket until collected

    async def _send(self) -> None:
        first = True
        while True:
            request, entry = await self._outbox.get()
            if entry[0].done():  # given up before it was sent, so its stamp is too old to be sent at all
                self._in_flight.remove(entry)
                self.bytes_in_flight -= entry[1]
                continue
            if first:  # the schema is remembered by the server for the life of the stream
                request.proto_rows.writer_schema.proto_descriptor.CopyFrom(self._descriptor)
                request.default_missing_value_interpretation = (
                    types.AppendRowsRequest.MissingValueInterpretation.DEFAULT_VALUE
                )
                first = False
            try:
                await self._call.write(request)
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError, grpc.aio.UsageError):
                return  # the stream has ended, which `_receive` sees as well and tells

    async def _receive(self) -> None:
        end = StreamEnd(Code.INTERNAL, "the connection failed")
        try:
            while (response := await self._call.read()) is not grpc.aio.EOF:
                self._answer(types.AppendRowsResponse.pb(response))
            end = await self._end()
        except grpc.aio.AioRpcError as error:
            end = _ended(error.code(), error.details(), error.trailing_metadata())
        finally:
            self.retired = True
            self._answer_all(outcomes_of_end(end, [size for _, size in self._in_flight]))
            self.ended.set_result(None)

    async def _end(self) -> StreamEnd:
        code, detail = await self._call.code(), await self._call.details()
        return _ended(code, detail, await self._call.trailing_metadata())

    def _answer(self, response: Any) -> None:
        if response.HasField("updated_schema"):
            self.updated_schema = True
        if not self._in_flight:
            _log.warning("an answer came to no request; the connection is closed")
            self._call.cancel()
            return
        answer, size = self._in_flight.popleft()
        self.bytes_in_flight -= size
        if not answer.done():
            answer.set_result(outcome_of_response(response))

    def _answer_all(self, outcomes: list[Outcome]) -> None:
        for (answer, _), outcome in zip(self._in_flight, outcomes, strict=True):
            if not answer.done():
                answer.set_result(outcome)
        self._in_flight.clear()
        self.bytes_in_flight = 0


def _ended(code: grpc.StatusCode, detail: str | None, trailing: Any) -> StreamEnd:
    """Return how a call ended; the rich status, where there is one, travels among the trailing metadata."""
    for key, value in trailing or ():
        if key == _STATUS_KEY:
            status = Status()
            with suppress(Exception):  # it is only read for the details
                status.ParseFromString(value)
                return StreamEnd.of_status(status)
    return StreamEnd(code.value[0], detail or "the server closed the stream")

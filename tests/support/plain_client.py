"""A client without wits: it sends what it is told and shows what comes back."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto

from sluice.testing.misbehaving import answers

STREAM = "projects/p/datasets/d/tables/records/streams/_default"
_METHOD = "/google.cloud.bigquery.storage.v1.BigQueryWrite/AppendRows"
SCHEMA = DescriptorProto(
    name="Row",
    field=[
        FieldDescriptorProto(
            name="id",
            number=1,
            type=FieldDescriptorProto.TYPE_STRING,
            label=FieldDescriptorProto.LABEL_REQUIRED,
        )
    ],
)


def row(row_id: str) -> bytes:
    """Return a serialised row of SCHEMA."""
    return b"\x0a" + bytes([len(row_id)]) + row_id.encode()


class Unstamped:
    """A stamp for rows that need none, or have theirs already."""

    def take(self) -> bytes:
        """Return nothing to end a row with."""
        return b""

    def is_stale(self) -> bool:
        """Say that it is never too old."""
        return False


class PlainClient:
    """One AppendRows call."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self._first = True

    async def send(self, *ids: str, **fields: Any) -> None:
        """Send rows of these ids; `fields` replace those of a good request."""
        request = answers.Request(**{"write_stream": STREAM, "trace_id": "test", **fields})
        request.proto_rows.rows.serialized_rows.extend(row(each) for each in ids)
        if self._first:
            request.proto_rows.writer_schema.proto_descriptor.CopyFrom(SCHEMA)
            self._first = False
        await self.send_raw(request)

    async def send_raw(self, request: Any) -> None:
        """Send a request as it is."""
        await self._call.write(request.SerializeToString())

    async def receive(self) -> Any:
        """Return the next answer; EOF at the end."""
        data = await self._call.read()
        return data if data is grpc.aio.EOF else answers.Response.FromString(data)

    async def finish(self) -> None:
        """Say that no more requests come."""
        await self._call.done_writing()

    async def ended(self) -> grpc.StatusCode:
        """Wait for the end of the stream; return how it ended."""
        code: grpc.StatusCode = await self._call.code()
        return code

    async def details(self) -> str:
        """Return the text with which the stream ended."""
        text: str = await self._call.details()
        return text

    async def trailers(self) -> dict[str, Any]:
        """Return what came with the end of the stream."""
        return dict(await self._call.trailing_metadata())


@asynccontextmanager
async def calling(url: str, metadata: bool = True) -> AsyncIterator[PlainClient]:  # noqa: FBT001, FBT002 - a test's switch
    """Open a connection of its own and a call on it."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(url.removeprefix("http://"), options=options) as channel:
        sent = (("x-goog-request-params", f"write_stream={STREAM}"),) if metadata else ()
        call: Any = channel.stream_stream(_METHOD)(metadata=sent)
        try:
            yield PlainClient(call)
        finally:
            call.cancel()

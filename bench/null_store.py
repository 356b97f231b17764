"""BigQueryWrite with nothing behind it: what a contender appends is counted, and acknowledged later.

Each request is acknowledged `ack_ms` after it has arrived, never sooner, and only then do its rows count; requests of
one stream overlap, and are answered in order. Nothing is faked: a stream must say its schema before its first row.

Prints where it listens as one line of JSON, then answers each line of its standard input with one, until that ends:

    ack 100   from now on acknowledge after 100 ms   {"ack_ms":100.0}
    counts    what was acknowledged since the start  {"rows":1,"requests":1,"bytes":1000}
"""

import argparse
import asyncio
import selectors
import sys
from typing import Any

import grpc
import grpc.aio
import msgspec
from google.cloud.bigquery_storage_v1 import types

_SERVICE = "google.cloud.bigquery.storage.v1.BigQueryWrite"
_Request: Any = types.AppendRowsRequest.pb()
_Response: Any = types.AppendRowsResponse.pb()


class Tally:
    """Counts acknowledged rows, requests and bytes; `ack_s` counts for requests that arrive from then on."""

    def __init__(self, ack_s: float) -> None:
        self.ack_s = ack_s
        self._rows = self._requests = self._bytes = 0

    def add(self, rows: int, size: int) -> None:
        """Count one request of `size` bytes."""
        self._rows += rows
        self._requests += 1
        self._bytes += size

    def counts(self) -> dict[str, int]:
        """Return the counts since the start."""
        return {"rows": self._rows, "requests": self._requests, "bytes": self._bytes}


class _Stream:
    """One call of AppendRows: one task reads and counts, another answers each request when its time has come."""

    def __init__(self, context: Any, tally: Tally) -> None:
        self._context, self._tally = context, tally
        self._loop = asyncio.get_running_loop()
        self._due: asyncio.Queue[tuple[float, int, int] | None] = asyncio.Queue()
        self._answer = b""

    async def serve(self) -> None:
        answering = asyncio.ensure_future(self._acknowledge())
        try:
            await self._read()
            self._due.put_nowait(None)  # the client has nothing more to say
            await answering
        finally:
            answering.cancel()

    async def _read(self) -> None:
        while (data := await self._context.read()) is not grpc.aio.EOF:
            arrival_s = self._loop.time()
            request = _Request.FromString(data)
            if not self._answer:
                if not request.proto_rows.writer_schema.proto_descriptor.field:
                    await self._context.abort(
                        grpc.StatusCode.INVALID_ARGUMENT, "the first request of a stream carries no writer_schema"
                    )
                # The default stream has no offsets, so its answers are all the same.
                answer = _Response(append_result={}, write_stream=request.write_stream)
                self._answer = answer.SerializeToString()
            rows = len(request.proto_rows.rows.serialized_rows)
            self._due.put_nowait((arrival_s + self._tally.ack_s, rows, len(data)))

    async def _acknowledge(self) -> None:
        while (due := await self._due.get()) is not None:
            due_s, rows, size = due
            if (left_s := due_s - self._loop.time()) > 0:
                await asyncio.sleep(left_s)
            self._tally.add(rows, size)
            await self._context.write(self._answer)


async def _listen(tally: Tally) -> tuple[grpc.aio.Server, str]:
    """Serve BigQueryWrite on a free port; return the server and its address."""

    async def append_rows(_: Any, context: Any) -> None:
        await _Stream(context, tally).serve()

    async def get_write_stream(request: bytes, _: Any) -> bytes:
        name = types.GetWriteStreamRequest.pb().FromString(request).name
        stream = types.WriteStream.pb()(name=name, type_=types.WriteStream.Type.COMMITTED, location="EU")
        answer: bytes = stream.SerializeToString()
        return answer

    server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0)])
    handlers: dict[str, Any] = {
        "AppendRows": grpc.stream_stream_rpc_method_handler(append_rows),
        "GetWriteStream": grpc.unary_unary_rpc_method_handler(get_write_stream),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    return server, f"http://127.0.0.1:{port}"


async def serve(ack_ms: float) -> None:
    """Be the store, and do as the lines of the standard input say, until it ends."""
    tally, loop = Tally(ack_ms / 1_000), asyncio.get_running_loop()
    server, grpc_url = await _listen(tally)
    _say({"grpc": grpc_url})
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        match line.split():
            case ["ack", milliseconds]:
                tally.ack_s = float(milliseconds) / 1_000
                _say({"ack_ms": float(milliseconds)})
            case ["counts"]:
                _say(tally.counts())
            case words:
                raise SystemExit(f"expected `ack MILLISECONDS` or `counts`, not {words}")
    await server.stop(None)


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")
    sys.stdout.flush()


def main() -> None:
    """Be the store."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.null_store",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--ack-ms", type=float, default=20.0, help="how long a request takes (default: %(default)s)")
    options = parser.parse_args()
    # Only select() waits to the microsecond: epoll's timers, uvloop's too, have whole milliseconds. It takes no more
    # of the processor than they do, as connections are few.
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())) as runner:
        runner.run(serve(options.ack_ms))


if __name__ == "__main__":
    main()

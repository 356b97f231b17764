"""The lifecycle of reads: each one ends when its client disconnects, and all of them when the service stops."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, TypeVar

import msgspec
from litestar import Request, Response
from litestar.response.base import ASGIResponse
from litestar.types import HTTPResponseBodyEvent, Receive, Scope, Send

from app.http.bodies import CLIENT_LEFT, STOPPING, cut_short, disconnected
from app.http.problems import ProblemError
from app.runtime.clock import MICROSECONDS, Clock
from app.runtime.deadlines import first_within, set_within
from app.stores.source import (
    QueryError,
    QueryTimeoutError,
    QueryTooExpensiveError,
    StoreBusyError,
)
from app.telemetry.redaction import first_line

_CLIENT_CLOSED_REQUEST = 499  # no client reads it; it is a known status in access logs
_ENDING_S = 1.0
_Result = TypeVar("_Result")
# The server copies what it is given, and takes some messages of a response before the client has read the first:
# thirty tails that read nothing held twelve megabytes each of three large records.
_SENT_BYTES = 1 << 18
SendPiece = Callable[[bytes], Awaitable[None]]
END_OF_BODY: HTTPResponseBodyEvent = {"type": "http.response.body", "body": b"", "more_body": False}
# After a quota error BigQuery advises to wait a few seconds; an outage, or a missing table, lasts longer.
_BUSY_RETRY_S = 5
_UNAVAILABLE_RETRY_S = 30
_log = logging.getLogger("sluice.query")


class Reads:
    """Runs reads; at shutdown the service waits for them and then cancels the rest."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._running: set[asyncio.Task[Any]] = set()
        self._closed = False
        self.stopping = asyncio.Event()
        """Set as soon as shutdown begins; reads that only wait for new rows then stop waiting."""

    async def run(self, request: Request[Any, Any, Any], work: Coroutine[Any, Any, Response[bytes]]) -> Response[bytes]:
        """Return the result of `work`; cancel it if the client disconnects or the service stops first.

        Raises:
            ProblemError: the store gave no answer, which is logged, or the service is stopping.
        """
        ended = await self._ended(request, work)
        if ended is None:
            return Response(b"", status_code=_CLIENT_CLOSED_REQUEST)
        if ended.cancelled():
            raise _stopping()
        try:
            return ended.result()
        except QueryError as error:
            _log.warning("a query failed: %s", error)
            raise problem_of(error) from error

    def check_open(self) -> None:
        """Reject a read that would only start to wait.

        Raises:
            ProblemError: the service is stopping.
        """
        if self.stopping.is_set():
            raise _stopping()

    async def stream(self, request: Request[Any, Any, Any], sending: Coroutine[Any, Any, None]) -> None:
        """Await `sending`, which streams a response; cancel it if the client disconnects or the service stops.

        A cancelled stream stays without its end, so that the client can detect it.

        Raises:
            ProblemError: the service is stopping, and nothing was sent.
        """
        ended = await self._ended(request, sending)
        if ended is not None and ended.cancelled():
            cut_short(request.scope, STOPPING)
        elif ended is not None:
            ended.result()

    async def _ended(
        self, request: Request[Any, Any, Any], work: Coroutine[Any, Any, _Result]
    ) -> asyncio.Task[_Result] | None:
        """Return `work` as a task that has ended, cancelled if the service stopped; None if its client left before.

        If this call is cancelled, it cancels `work`, too, and waits until it has ended.
        """
        if self._closed:
            work.close()
            raise _stopping()
        working, leaving = asyncio.create_task(work), asyncio.create_task(disconnected(request.receive))
        self._running.add(working)
        working.add_done_callback(self._running.discard)
        try:
            await asyncio.wait([working, leaving], return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                return working
            leaving.result()  # a failing `receive` is a defect, not a disconnect
            cut_short(request.scope, CLIENT_LEFT, logging.INFO)
            return None
        finally:
            working.cancel()
            leaving.cancel()
            await asyncio.gather(working, leaving, return_exceptions=True)

    async def pause(self, seconds: float) -> bool:
        """Wait for `seconds`; return False at once when shutdown begins."""
        return not await set_within(self._clock, seconds, self.stopping)

    async def drain(self, grace_s: float) -> None:
        """Wait up to `grace_s` seconds for all reads to finish; then cancel the rest and accept no more."""
        self.stopping.set()
        until_us = self._clock.elapsed_us() + round(grace_s * MICROSECONDS)
        while self._running and (left_us := until_us - self._clock.elapsed_us()) > 0:
            await first_within(self._clock, left_us / MICROSECONDS, *self._running)
        self._closed = True
        ending = [*self._running]
        for task in ending:
            task.cancel()
        if ending:  # until the store has been told to stop, too, which takes a few turns of the loop
            await asyncio.wait(ending, timeout=_ENDING_S)


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """The body of a streamed response: `send_pieces` sends it piece by piece, and `close` is awaited at the end."""

    reads: Reads
    send_pieces: Callable[[SendPiece], Awaitable[None]]
    close: Callable[[], Awaitable[None]]


class StreamedResponse(Response[bytes]):
    """A response whose body is a stream; None: the response to a HEAD."""

    def __init__(self, headers: Mapping[str, str], media_type: str, stream: Stream | None) -> None:
        super().__init__(b"", headers={**headers, "Content-Type": media_type}, media_type=media_type)
        self._stream = stream

    def to_asgi_response(self, app: Any, request: Request[Any, Any, Any], **_: Any) -> ASGIResponse:
        """Return the ASGI response that sends the stream."""
        return _Streamed(request, self._stream, headers=self.headers, media_type=self.media_type)


class _Streamed(ASGIResponse):
    """Sends a stream until its end; a failure breaks it off, so that the client can detect it."""

    _should_set_content_length = False

    def __init__(self, request: Request[Any, Any, Any], stream: Stream | None, **options: Any) -> None:
        super().__init__(**options)
        self._request, self._stream = request, stream

    async def __call__(self, _: Scope, __: Receive, send: Send) -> None:
        stream = self._stream
        if stream is None:
            await self.start_response(send)
            await send(END_OF_BODY)
            return
        try:
            await stream.reads.stream(self._request, self._send_all(stream, send))
        finally:
            await stream.close()

    async def _send_all(self, stream: Stream, send: Send) -> None:
        async def send_piece(piece: bytes) -> None:
            for start in range(0, len(piece), _SENT_BYTES):
                part = piece[start : start + _SENT_BYTES]
                await send({"type": "http.response.body", "body": part, "more_body": True})

        try:
            await self.start_response(send)
            await stream.send_pieces(send_piece)
        except QueryError as error:
            cut_short(self._request.scope, str(error))
        except Exception as error:  # a defect; its text may hold SQL from the second line on
            cut_short(self._request.scope, f"{type(error).__name__}: {first_line(error)}", logging.ERROR)
        else:
            await send(END_OF_BODY)


def _stopping() -> ProblemError:
    return later("unavailable", "the instance is shutting down", 1)


def problem_of(error: QueryError) -> ProblemError:
    """Return the problem for a failed query.

    It contains neither SQL nor the store's own messages, which name projects, tables and accounts. Those are logged.
    """
    match error:
        case QueryTooExpensiveError(limit_bytes=limit_bytes, needed_bytes=needed_bytes):
            needed = "more than the limit of" if needed_bytes is None else f"{needed_bytes} bytes; the limit is"
            members = {"limit_bytes": limit_bytes} | ({} if needed_bytes is None else {"needed_bytes": needed_bytes})
            detail = f"the query would read {needed} {limit_bytes} bytes"
            return ProblemError("query_too_expensive", detail, members=members)
        case QueryTimeoutError(timeout_s=timeout_s):
            detail = f"the query timed out after {timeout_s:g} seconds"
            return ProblemError("query_timeout", detail, members={"timeout_s": timeout_s})
        case StoreBusyError():
            detail = f"the store is overloaded; try again in {_BUSY_RETRY_S} seconds"
            return later("store_busy", detail, _BUSY_RETRY_S)
        case _:
            detail = f"the store is unavailable; try again in {_UNAVAILABLE_RETRY_S} seconds"
            return later("store_unavailable", detail, _UNAVAILABLE_RETRY_S)


def later(code: str, detail: str, retry_s: int) -> ProblemError:
    """Return a problem that passes: its response says when to ask again."""
    return ProblemError(code, detail, members={"retry_after_s": retry_s}, headers={"Retry-After": str(retry_s)})

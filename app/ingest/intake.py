"""Take in a request's body within limits: how much may be in flight, how large, how slowly it may come.

The place in flight is taken before the body is read, by its declared length, so that bodies that are still
arriving count too.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, assert_never

from litestar.types import Receive

from app.clock import MICROSECONDS, Clock
from app.deadlines import Deadlines, TimeLimit
from app.errors import ProblemError
from app.ingest.admission import Admission, Refusal
from app.ingest.verdict import Throttled, Unavailable


class Intake:
    """Reads bodies. Whoever got one gives its place back with `release`."""

    def __init__(self, admission: Admission, clock: Clock, *, max_body_bytes: int, read_deadline_s: float) -> None:
        self._admission, self._clock, self._max_body_bytes = admission, clock, max_body_bytes
        self._read_deadline_s, self._read_deadline_us = read_deadline_s, round(read_deadline_s * MICROSECONDS)
        self._deadlines: Deadlines[TimeLimit] = Deadlines(clock)

    async def read(self, headers: Mapping[bytes, bytes], receive: Receive, begun_us: int | None = None) -> bytes:
        """Return the body of a request, which takes up a place in flight until it is released.

        `headers` are by name; `begun_us` (the clock's `elapsed_us`) is when the request began, now by default.

        Raises:
            ProblemError: busy, draining, too_large, slow_body or incomplete_body; then nothing is to be released.
        """
        length = headers.get(b"content-length", b"")
        declared = int(length) if length.isdigit() else 0
        if declared > self._max_body_bytes:
            raise self._too_large()
        limit = TimeLimit()
        refusal = self._admission.enter(declared)
        if refusal is not None:
            raise _not_admitted(refusal)
        begun_us = begun_us or self._clock.elapsed_us()
        self._deadlines.begin(limit, begun_us + self._read_deadline_us)
        try:
            event: Any = await receive()
            body: bytes = event.get("body", b"")
            # Nearly always all is there, although the server says it only with the next event: that is not waited for.
            if not declared or len(body) != declared:
                body = await self._rest(event, receive)
        except BaseException as error:
            self._admission.leave(declared)
            self._deadlines.end(limit)
            if limit.exceeded() and isinstance(error, asyncio.CancelledError):
                detail = f"the body was not complete after {self._read_deadline_s:g} s"
                raise ProblemError("slow_body", detail, headers={"Connection": "close"}) from None
            raise
        self._deadlines.end(limit)
        limit.exceeded()  # although it came: the server made nothing of the cancellation
        self._admission.adjust(len(body) - declared)
        return body

    async def _rest(self, event: Any, receive: Receive) -> bytes:
        """Return the body that begins with `event`."""
        chunks, size = list[bytes](), 0
        while True:
            if event["type"] != "http.request":
                raise ProblemError("incomplete_body", "the request ended before its body did")
            chunk = event.get("body", b"")
            chunks.append(self._within_limit(chunk, size))
            size += len(chunk)
            if not event.get("more_body"):
                return b"".join(chunks)
            event = await receive()

    def release(self, size: int) -> None:
        """Give back the place that a body of `size` bytes took up."""
        self._admission.leave(size)

    def _within_limit(self, chunk: bytes, before: int = 0) -> bytes:
        if before + len(chunk) > self._max_body_bytes:
            raise self._too_large()
        return chunk

    def _too_large(self) -> ProblemError:
        detail = f"the body is larger than {self._max_body_bytes} bytes"
        return ProblemError("too_large", detail, members={"max_body_bytes": self._max_body_bytes})


def _not_admitted(refusal: Refusal) -> ProblemError:
    match refusal:
        case Refusal.BUSY:
            detail = "as much is in flight as this instance takes"
            return ProblemError("busy", detail, headers={"Retry-After": "1"}, members={"retry_after_s": 1})
        case Refusal.DRAINING:
            return ProblemError("draining", "this instance is shutting down", headers={"Connection": "close"})
        case _:
            assert_never(refusal)


def not_durable(verdict: Unavailable | Throttled) -> ProblemError:
    """Return the problem of a message that did not become durable."""
    code = "busy" if isinstance(verdict, Throttled) else "unavailable"
    wait_s = max(1, round(verdict.retry_after_s))
    headers, members = {"Retry-After": str(wait_s)}, {"retry_after_s": wait_s}
    return ProblemError(code, verdict.detail, headers=headers, members=members)

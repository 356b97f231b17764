"""Take in a request's body within limits: how much may be in flight, how large, how slowly it may come.

The place in flight is taken before the body is read, by its declared length, so that bodies that are still
arriving count too.
"""

import asyncio
from typing import assert_never

from litestar.types import Receive

from app.errors import ProblemError
from app.ingest.admission import Admission, Refusal
from app.ingest.envelope import Headers
from app.ingest.verdict import Throttled, Unavailable


class Intake:
    """Reads bodies. Whoever got one gives its place back with `release`."""

    def __init__(self, admission: Admission, *, max_body_bytes: int, read_deadline_s: float) -> None:
        self._admission, self._max_body_bytes = admission, max_body_bytes
        self._read_deadline_s = read_deadline_s

    async def read(self, headers: Headers, receive: Receive) -> bytes:
        """Return the body of a request, which takes up a place in flight until it is released.

        Raises:
            ProblemError: busy, draining, too_large, slow_body or incomplete_body; then nothing is to be released.
        """
        declared = next((int(value) for name, value in headers if name == b"content-length" and value.isdigit()), 0)
        if declared > self._max_body_bytes:
            raise self._too_large()
        refusal = self._admission.enter(declared)
        if refusal is not None:
            raise _not_admitted(refusal)
        taken = declared
        try:
            async with asyncio.timeout(self._read_deadline_s):
                body = await self._chunks(receive)
            self._admission.adjust(len(body) - declared)
            taken = len(body)
        except TimeoutError:
            self._admission.leave(taken)
            detail = f"the body was not complete after {self._read_deadline_s:g} s"
            raise ProblemError("slow_body", detail, headers={"Connection": "close"}) from None
        except BaseException:
            self._admission.leave(taken)
            raise
        return body

    def release(self, body: bytes) -> None:
        """Give back the place that `body` took up."""
        self._admission.leave(len(body))

    async def _chunks(self, receive: Receive) -> bytes:
        chunks: list[bytes] = []
        size = 0
        while True:
            event = await receive()
            if event["type"] != "http.request":
                raise ProblemError("incomplete_body", "the request ended before its body did")
            chunk = event.get("body", b"")
            size += len(chunk)
            if size > self._max_body_bytes:
                raise self._too_large()
            chunks.append(chunk)
            if not event.get("more_body"):
                return chunks[0] if len(chunks) == 1 else b"".join(chunks)

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

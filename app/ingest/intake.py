"""Read a request's body within limits: how much may be in flight, how large it may be, how slowly it may arrive.

A request is admitted before its body is read, and is charged for each byte on arrival. So chunked bodies count like
any other, and a Content-Length without a body holds only what every message counts at least.
"""

from collections.abc import Mapping
from typing import Any, assert_never

from litestar.types import Receive

from app.http.problems import ProblemError
from app.ingest.admission import Admission, Refusal
from app.runtime.clock import MICROSECONDS, Clock
from app.runtime.deadlines import Deadlines, TimeLimit
from app.runtime.ledger import Holding

# While room is scarce, a stalled body gives its part back sooner.
_CROWDED_READ_DEADLINE_S = 5.0
_LOOK_AGAIN_S = 0.02


class Intake:
    """Reads bodies. The caller releases the holding of each."""

    def __init__(self, admission: Admission, clock: Clock, *, max_body_bytes: int, read_deadline_s: float) -> None:
        self._admission, self._clock, self._max_body_bytes = admission, clock, max_body_bytes
        self._read_deadline_us = round(read_deadline_s * MICROSECONDS)
        self._crowded_deadline_us = round(min(read_deadline_s, _CROWDED_READ_DEADLINE_S) * MICROSECONDS)
        self._ledger = admission.ledger
        self._deadlines: Deadlines[TimeLimit] = Deadlines(clock)

    async def read(
        self, headers: Mapping[bytes, bytes], receive: Receive, caller: str, begun_us: int | None = None
    ) -> tuple[bytes, Holding]:
        """Return the body of a request of `caller`, and its holding, which the caller releases.

        `headers` are by name. `begun_us` (the clock's `elapsed_us`) is when the request began, by default now.

        Raises:
            ProblemError: busy, draining, too_large, slow_body or incomplete_body; then nothing is held.
        """
        length = headers.get(b"content-length", b"")
        declared = int(length) if length.isdigit() else 0
        if declared > self._max_body_bytes:
            raise self._too_large()
        crowded = self._ledger.bytes * 2 >= self._ledger.max_bytes
        deadline_us = self._crowded_deadline_us if crowded else self._read_deadline_us
        holding = self._admission.enter(caller, declared)
        if isinstance(holding, Refusal):
            raise _not_admitted(holding)
        try:
            with TimeLimit(self._deadlines, (begun_us or self._clock.elapsed_us()) + deadline_us):
                event: Any = await receive()
                body: bytes = event.get("body", b"")
                # The first event nearly always has the whole body, which the server says only in the next one.
                if not declared or len(body) != declared:
                    body = await self._rest(event, receive, holding)
                elif not holding.grow(declared):
                    raise _not_admitted(Refusal.BUSY)  # noqa: TRY301 - every push passes here
        except BaseException as error:
            holding.release()
            if isinstance(error, TimeoutError):
                raise self._out_of_time(deadline_us) from None
            raise
        return body, holding

    async def drain(self, wait_s: float) -> None:
        """Wait for arriving bodies, at most `wait_s` seconds; then refuse those that are incomplete."""
        until_us = self._clock.elapsed_us() + round(wait_s * MICROSECONDS)
        while len(self._deadlines) and self._clock.elapsed_us() < until_us:
            await self._clock.sleep(_LOOK_AGAIN_S)
        for limit in self._deadlines.close():
            limit.overdue()

    async def _rest(self, event: Any, receive: Receive, holding: Holding) -> bytes:
        """Return the whole body; `event` holds its beginning."""
        chunks = list[bytes]()
        while True:
            if event["type"] != "http.request":
                raise ProblemError("incomplete_body", "the request ended before its body was complete")
            chunk = event.get("body", b"")
            if holding.size + len(chunk) > self._max_body_bytes:
                raise self._too_large()
            if not holding.grow(len(chunk)):
                raise _not_admitted(Refusal.BUSY)
            chunks.append(chunk)
            if not event.get("more_body"):
                return b"".join(chunks)
            event = await receive()

    def _too_large(self) -> ProblemError:
        detail = f"the body is larger than {self._max_body_bytes} bytes"
        return ProblemError("too_large", detail, members={"max_body_bytes": self._max_body_bytes})

    def _out_of_time(self, deadline_us: int) -> ProblemError:
        if self._admission.draining:
            return _not_admitted(Refusal.DRAINING)
        detail = f"the body was not complete after {deadline_us / MICROSECONDS:g} s"
        return ProblemError("slow_body", detail, headers={"Connection": "close"})


def _not_admitted(refusal: Refusal) -> ProblemError:
    match refusal:
        case Refusal.BUSY:
            detail = "too many messages are in flight on this instance, or too many of this caller"
            return ProblemError("busy", detail, headers={"Retry-After": "1"}, members={"retry_after_s": 1})
        case Refusal.DRAINING:
            return ProblemError("draining", "this instance is shutting down", headers={"Connection": "close"})
        case _:
            assert_never(refusal)

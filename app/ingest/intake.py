"""Admit requests that write, and read their bodies, within limits: bytes in flight, bytes of a body, and time.

A request is admitted before its body is read, and is charged for each byte on arrival. So chunked bodies count like
any other, and a Content-Length without a body holds only what every message counts at least. What is beyond a limit is
refused at once, which makes Pub/Sub slow down.

The streams share what is in flight, so that a slow table delays its own messages only. A stream may hold as much as is
free (a dynamic threshold, as in the buffers of switches: Choudhury and Hahne, 1998, https://doi.org/10.1109/90.664262).
Alone it can take half, two can take a third each, and k of them 1/(k+1); as much again always stays free for a stream
that has nothing in flight. No share must be configured, and none lies idle.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from litestar.types import Receive

from app.http.problems import ProblemError
from app.runtime.clock import MICROSECONDS, Clock
from app.runtime.deadlines import Deadlines, TimeLimit
from app.runtime.ledger import Ledger, Reservation

MESSAGE_BYTES = 48 * 1024
"""What a message in flight counts at least: its request, its tasks and its rows take memory however small it is."""
# While room is scarce, a stalled body gives its part back sooner.
_CROWDED_READ_DEADLINE_S = 5.0
_LOOK_AGAIN_S = 0.02


class Allowance(NamedTuple):
    """What a message may use: time, up to `deadline_us` on the clock's `elapsed_us`, and memory.

    Memory is charged to `reservation`, which the caller releases. Without one, it is not charged.
    """

    deadline_us: int
    reservation: Reservation | None = None

    def has_room(self, size: int) -> bool:
        """Charge `size` more bytes; return False, and charge nothing, if they do not fit."""
        return self.reservation is None or self.reservation.grow(size)


class StreamShares:
    """Counts the bytes in flight of each stream, within a total that all streams share."""

    def __init__(self, max_bytes: int) -> None:
        self._free_bytes, self._bytes = max_bytes, Counter[str]()

    def enter(self, stream: str, size: int) -> bool:
        """Count a message of `size` bytes; return False, and count nothing, if its stream already has its share.

        A message of a stream that has nothing in flight always enters, whatever its size.
        """
        held = self._bytes[stream]
        if held and held + size > self._free_bytes - size:
            return False
        self._bytes[stream] += size
        self._free_bytes -= size
        return True

    def leave(self, stream: str, size: int) -> None:
        """Uncount a message that entered."""
        self._bytes[stream] -= size
        self._free_bytes += size


class Intake:
    """Admits requests within the limit of one ledger, for everything made from them too, and reads their bodies.

    `admitted` counts them; once it is `draining`, it admits no more. The caller releases the reservation of each.
    """

    def __init__(self, clock: Clock, *, max_bytes: int, max_body_bytes: int, read_deadline_s: float) -> None:
        self.ledger = Ledger(max_bytes=max_bytes, least_bytes=MESSAGE_BYTES)
        self.admitted, self.draining = 0, False
        self._clock, self._max_body_bytes = clock, max_body_bytes
        self._read_deadline_us = round(read_deadline_s * MICROSECONDS)
        self._crowded_deadline_us = round(min(read_deadline_s, _CROWDED_READ_DEADLINE_S) * MICROSECONDS)
        self._deadlines: Deadlines[TimeLimit] = Deadlines(clock)

    async def read(
        self, headers: Mapping[bytes, bytes], receive: Receive, caller: str, begun_us: int = 0
    ) -> tuple[bytes, Reservation]:
        """Return the body of a request of `caller`, and its reservation, which the caller releases.

        `headers` are by name. `begun_us` (the clock's `elapsed_us`) is when the request began, by default now.

        Raises:
            ProblemError: busy, draining, too_large, slow_body or incomplete_body; then nothing is held.
        """
        length = headers.get(b"content-length", b"")
        declared = int(length) if length.isdigit() else 0
        if declared > self._max_body_bytes:
            raise self._too_large()
        crowded = self.ledger.bytes * 2 >= self.ledger.max_bytes
        deadline_us = self._crowded_deadline_us if crowded else self._read_deadline_us
        if self.draining:
            raise _draining()
        reservation = self.ledger.open(caller, declared)  # what is declared is checked, and charged on arrival
        if reservation is None:
            raise _busy()
        self.admitted += 1
        try:
            with TimeLimit(self._deadlines, (begun_us or self._clock.elapsed_us()) + deadline_us):
                event: Any = await receive()
                body: bytes = event.get("body", b"")
                # The first event nearly always has the whole body, which the server says only in the next one.
                if not declared or len(body) != declared:
                    body = await self._rest(event, receive, reservation)
                elif not reservation.grow(declared):
                    raise _busy()  # noqa: TRY301 - every push passes here
        except BaseException as error:
            reservation.release()
            if isinstance(error, TimeoutError):
                if self.draining:
                    raise _draining() from None
                detail = f"the body was not complete after {deadline_us / MICROSECONDS:g} s"
                raise ProblemError("slow_body", detail, headers={"Connection": "close"}) from None
            raise
        return body, reservation

    async def drain(self, grace_s: float) -> None:
        """Admit no more, and wait until all are answered, at most `grace_s` seconds.

        Bodies that are incomplete after a quarter of it are refused, so that the rest can be made durable and answered.
        """
        self.draining = True
        begun_us, grace_us = self._clock.elapsed_us(), round(grace_s * MICROSECONDS)
        while self.ledger.holdings and (passed_us := self._clock.elapsed_us() - begun_us) < grace_us:
            if passed_us * 4 >= grace_us:
                for limit in self._deadlines.close():
                    limit.overdue()
            await self._clock.sleep(_LOOK_AGAIN_S)

    async def _rest(self, event: Any, receive: Receive, reservation: Reservation) -> bytes:
        """Return the whole body; `event` holds its beginning."""
        chunks = list[bytes]()
        while True:
            if event["type"] != "http.request":
                raise ProblemError("incomplete_body", "the request ended before its body was complete")
            chunk = event.get("body", b"")
            if reservation.size + len(chunk) > self._max_body_bytes:
                raise self._too_large()
            if not reservation.grow(len(chunk)):
                raise _busy()
            chunks.append(chunk)
            if not event.get("more_body"):
                return b"".join(chunks)
            event = await receive()

    def _too_large(self) -> ProblemError:
        detail = f"the body is larger than {self._max_body_bytes} bytes"
        return ProblemError("too_large", detail, members={"max_body_bytes": self._max_body_bytes})


def _busy() -> ProblemError:
    detail = "too many messages are in flight on this instance, or too many of this caller"
    return ProblemError("busy", detail, headers={"Retry-After": "1"}, members={"retry_after_s": 1})


def _draining() -> ProblemError:
    return ProblemError("draining", "this instance is shutting down", headers={"Connection": "close"})

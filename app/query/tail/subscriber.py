"""One subscriber to a tail: the events it is sent, and when."""

import asyncio
from collections.abc import Awaitable, Callable

from app.http.problems import ProblemError
from app.query.tail import events
from app.query.tail.events import EventFormat, Reason
from app.query.tail.poller import BATCH_BYTES, PATIENCE_S, Poller, Reader, unexpected
from app.query.tail.recent import Batch, Room
from app.runtime.clock import MICROSECONDS, Clock, Timer
from app.runtime.ledger import Holding
from app.stores.query import Position

PING_S = 15.0
"""The maximum silence of a stream; also the grace past its end for a client that does not read."""
Send = Callable[[bytes | memoryview], Awaitable[None]]
_ROOM_AGAIN_S = 0.25


class Subscriber:
    """Follows a feed from a position on: everything up to `position` was sent, and nothing after it.

    It sends the rows of its poller. At first, or after it was too slow, those may not reach back to its position. Then
    it reads for itself, each attempt in a `turn`, until the poller's rows continue its own without a gap.
    """

    def __init__(  # noqa: PLR0913 - the parts of a stream
        self,
        start: Position,
        form: EventFormat,
        reader: Reader,
        *,
        clock: Clock,
        max_s: float,
        turn: asyncio.Semaphore,
        room: Room,
    ) -> None:
        self.position, self.form, self.reader = start, form, reader
        self._clock, self._max_s, self._turn, self._room = clock, max_s, turn, room
        self._last_position: Position | None = None  # the position in the last event without data
        self._woken = asyncio.Event()
        self._reason: Reason | None = None
        self._ping_is_due = False
        self._reading: asyncio.Task[Batch] | None = None
        self._own: Holding | None = None  # the memory of its own read
        self._next: Batch | None = None  # to be sent as soon as there is room
        self._sending: Batch | None = None
        self._short_since_us: int | None = None
        self._again: Timer | None = None

    def wake(self) -> None:
        """Check again whether there is something to send."""
        self._woken.set()

    def end(self, reason: Reason) -> None:
        """End the stream after the piece that is being sent."""
        self._reason = self._reason or reason
        self.wake()

    async def run(self, poller: Poller, send: Send) -> None:
        """Send the stream, each piece as soon as there is one, until it ends.

        Nothing more is sent once its time is over, or the store has failed for too long.
        """
        timers = [self._clock.call_later(self._max_s, lambda: self.end("time")), self._cut_later()]
        try:
            await send(events.opening(self.form, self.position))
            self._last_position = self.position
            await send(await self._follow(poller, send))
        finally:
            for timer in timers:
                timer.cancel()
            if self._reading is not None:
                self._reading.cancel()
                await asyncio.gather(self._reading, return_exceptions=True)
            self._reading = self._next = None
            self._pass()

    def _cut_later(self) -> Timer:
        """Cancel the task if its client reads nothing, so that not even the last event can be sent."""
        task = asyncio.current_task()

        def cut() -> None:
            if task is not None:
                task.cancel()

        return self._clock.call_later(self._max_s + PING_S, cut)

    async def _follow(self, poller: Poller, send: Send) -> bytes:
        """Send available rows and pings; return the last event."""
        ping = self._ping_later()
        try:
            while self._reason is None:
                self._woken.clear()
                piece = self._take(poller)
                if piece is None and self._ping_is_due:
                    piece = self._ping()
                if piece:
                    await send(piece)
                    del piece  # a view of memory that other subscribers wait for
                    self._pass()
                    ping.cancel()
                    ping = self._ping_later()
                elif piece is None:
                    await self._woken.wait()
            self._move_on(poller)
            return events.ending(self.form, self.position, self._reason)
        except ProblemError as problem:
            return events.failure(self.form, self.position, problem)
        finally:
            ping.cancel()
            if self._again is not None:
                self._again.cancel()

    def _take(self, poller: Poller) -> bytes | memoryview | None:
        """Return the events of the next rows; b"" after a range without rows; None if there is nothing yet.

        Raises:
            ProblemError: there will be nothing more.
        """
        batch, self._next = self._next or self._next_batch(poller), None
        if batch is None:
            return None
        piece: bytes | memoryview | None = b""
        if batch.rows:
            piece = batch.events(self.form, self.position, self._room)
            if piece is None:
                self._next = batch
                self._wait_for_room()
                return None
            self._sending, self._short_since_us = batch, None
        else:
            self._pass()
        self.position = batch.reaches
        return piece

    def _pass(self) -> None:
        """Release the memory of the piece that is now sent."""
        if self._sending is not None:
            self._sending.sent(self.form)
            self._sending = None
        if self._own is not None and self._reading is None and self._next is None:
            self._own.release()
            self._own = None

    def _wait_for_room(self) -> None:
        """Check again in a moment: other streams release memory as they are sent.

        Raises:
            ProblemError: `busy`: it has waited long.
        """
        now_us = self._clock.elapsed_us()
        if self._short_since_us is None:
            self._short_since_us = now_us
        if now_us - self._short_since_us >= PATIENCE_S * MICROSECONDS:
            detail = "too many large responses are waiting for slow clients; reconnect"
            raise ProblemError("busy", detail, members={"retry_after_s": 5}, headers={"Retry-After": "5"})
        self._again = self._clock.call_later(_ROOM_AGAIN_S, self.wake)

    def _next_batch(self, poller: Poller) -> Batch | None:
        if self._reading is not None:
            if not self._reading.done():
                return None
            reading, self._reading = self._reading, None
            failed = reading.exception()
            if isinstance(failed, Exception):
                raise unexpected(failed)
            if self._own is not None:
                self._own.shrink(self._own.size - reading.result().size_bytes)  # it was an estimate
            return reading.result()
        if poller.recent.holds(self.position):
            batch = poller.recent.behind(self.position)
            if batch is None and poller.problem is not None:
                raise poller.problem
            self._move_on(poller)
            return batch
        self._own = self._room(BATCH_BYTES)
        if self._own is None:
            self._wait_for_room()
            return None
        self._reading = asyncio.create_task(self.reader.next_batch_with_retry(self.position, self._turn))
        self._reading.add_done_callback(lambda _: self.wake())
        return None

    def _move_on(self, poller: Poller) -> None:
        """Advance past the range that the poller has read, if it has no rows."""
        recent = poller.recent
        if recent.holds(self.position) and recent.behind(self.position) is None:
            self.position = max(self.position, recent.reaches)

    def _ping(self) -> bytes:
        moved_to = self.position if self.position != self._last_position else None
        self._last_position = self.position
        return events.ping(self.form, moved_to)

    def _ping_later(self) -> Timer:
        self._ping_is_due = False
        return self._clock.call_later(PING_S, self._let_ping)

    def _let_ping(self) -> None:
        self._ping_is_due = True
        self.wake()

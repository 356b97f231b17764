"""One tail: a loop over the batches behind its position, until it ends; and the limit of their number."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from app.environment import Environment
from app.http.problems import ProblemError
from app.query.answer import tail_events as events
from app.query.answer.tail_events import EventFormat, Reason
from app.query.answer.tail_limit import TailLimit
from app.query.read.tail_reads import Batch, TailReads, unexpected
from app.query.request.filters import in_order
from app.runtime.clock import MICROSECONDS, Clock
from app.runtime.deadlines import first_within
from app.stores.query import Condition, Position

PING_S = 15.0
"""The maximum silence of a stream; also the grace past its end for a client that does not read."""
Send = Callable[[bytes], Awaitable[None]]


class Tails:
    """Admits as many tails of one table as `limiter` allows, whichever tables they follow."""

    def __init__(self, reads: TailReads, environment: Environment, limiter: TailLimit) -> None:
        self._reads, self._clock = reads, environment.clock
        self._max_s, self._limiter = environment.settings.query.tail_max_s, limiter

    def admit(self, caller: str, start: Position, form: EventFormat, conditions: tuple[Condition, ...]) -> "Tail":
        """Return a new tail of the rows after `start` that match `conditions`; it counts until it is closed.

        Raises:
            ProblemError: `busy`: there are as many as there may be, or as many of `caller`.
        """
        self._limiter.take(caller)
        together = in_order({repr(each): each for each in conditions}.values())

        async def read(begins: Position) -> Batch:
            return await self._reads.after(begins, together)

        return Tail(start, form, read, self._clock, max_s=self._max_s, close=lambda: self._limiter.give_back(caller))


class Tail:
    """Follows a feed from a position on: everything up to `position` was sent, and nothing after it."""

    def __init__(  # noqa: PLR0913 - the parts of a stream
        self,
        start: Position,
        form: EventFormat,
        read: Callable[[Position], Awaitable[Batch]],
        clock: Clock,
        *,
        max_s: float,
        close: Callable[[], None],
    ) -> None:
        self.position, self._form, self._read, self._clock = start, form, read, clock
        self._max_s, self.close = max_s, close
        self._ending = asyncio.Event()
        self._reason: Reason = "time"

    def end(self, reason: Reason) -> None:
        """End the stream after the piece that is being sent."""
        if not self._ending.is_set():
            self._reason = reason
            self._ending.set()

    async def run(self, send: Send) -> None:
        """Send the stream, each piece as soon as there is one, until it ends.

        Nothing more is sent once its time is over, or the store has failed for too long.
        """
        timers = [self._clock.call_later(self._max_s, lambda: self.end("time"))]
        if (task := asyncio.current_task()) is not None:  # its client reads nothing, not even the last event
            timers.append(self._clock.call_later(self._max_s + PING_S, partial(_cancel, task)))
        try:
            await send(events.opening(self._form, self.position))
            await send(await self._follow(send))
        finally:
            for timer in timers:
                timer.cancel()

    async def _follow(self, send: Send) -> bytes:
        """Send rows and pings; return the last event."""
        ending = asyncio.ensure_future(self._ending.wait())
        reading: asyncio.Future[Batch] | None = None
        stated, sent_us = self.position, self._clock.elapsed_us()
        try:
            while not self._ending.is_set():
                reading = reading or asyncio.ensure_future(self._read(self.position))
                silent_s = (sent_us - self._clock.elapsed_us()) / MICROSECONDS + PING_S
                if silent_s > 0:
                    await first_within(self._clock, silent_s, reading, ending)
                piece = b""
                if reading.done():
                    batch, reading = reading.result(), None
                    piece, self.position = batch.events(self._form) if batch.rows else b"", batch.reaches
                    del batch  # a client that reads slowly holds one piece, and no rows
                elif silent_s <= 0:
                    piece = events.ping(self._form, self.position if self.position != stated else None)
                    stated = self.position
                if piece:
                    await send(piece)
                    sent_us = self._clock.elapsed_us()
            return events.ending(self._form, self.position, self._reason)
        except ProblemError as problem:
            return events.failure(self._form, self.position, problem)
        except Exception as error:  # a defect: the client is told that there is nothing more
            return events.failure(self._form, self.position, unexpected(error))
        finally:
            ending.cancel()
            if reading is not None:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)


def _cancel(task: asyncio.Task[Any]) -> None:
    task.cancel()

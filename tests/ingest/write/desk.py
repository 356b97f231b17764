"""A dispatcher at a test's desk: its batches, and appends that end when the test says."""

import asyncio
import itertools
from collections.abc import Sequence

from app.ingest.write.batching import BatchLimits, Dispatcher, Pending, SharedTarget
from app.runtime.clock import MICROSECONDS
from sluice.testing.clock import FakeClock
from tests.ingest.scripted import turns

ACK_S = 0.016
"""How long an append takes; with a target of four, n in flight are n milliseconds apart."""


class Desk:
    """A dispatcher under a fake clock, over appends that end when the test says, or take `takes_s` by turns."""

    def __init__(
        self,
        *,
        target_in_flight: int = 4,
        max_in_flight: int = 8,
        acknowledged: bool = True,
        takes_s: Sequence[float] = (),
        clock: FakeClock | None = None,
        shared: SharedTarget | None = None,
    ) -> None:
        self.clock = clock or FakeClock()
        self.sent: list[list[bytes]] = []
        self.sent_us: list[int] = []
        self.answers: list[asyncio.Future[None]] = []
        self.most = 0
        self._takes_s = itertools.cycle(takes_s) if takes_s else None
        limits = BatchLimits(max_rows=3, max_bytes=1_000)
        self.dispatcher = Dispatcher(
            self._send,
            self.clock,
            limits,
            target_in_flight=target_in_flight,
            max_in_flight=max_in_flight,
            shared=shared,
        )
        if acknowledged:
            self.dispatcher.acknowledged(round(ACK_S * MICROSECONDS))

    async def _send(self, batch: list[Pending]) -> None:
        self.sent.append([row for each in batch for row in each.rows])
        self.sent_us.append(self.clock.elapsed_us())
        self.most = max(self.most, self.dispatcher.in_flight)
        if self._takes_s is not None:
            took_s = next(self._takes_s)
            await self.clock.sleep(took_s)
            self.dispatcher.acknowledged(round(took_s * MICROSECONDS))
            return
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.answers.append(answer)
        await answer

    def add(self, *rows: bytes) -> None:
        """Let each of `rows` wait, as a message of its own."""
        verdict = asyncio.get_running_loop().create_future
        for row in rows:
            self.dispatcher.add(Pending((row,), 0, len(row), 0, None, None, verdict()))

    async def added(self, *rows: bytes) -> None:
        """Let `rows` wait, and whatever that leads to happen."""
        self.add(*rows)
        await turns()

    async def answer(self, number: int) -> None:
        self.answers[number].set_result(None)
        await turns()

    @property
    def timers(self) -> int:
        return sum(timer.call is not None for _, _, timer in self.clock._timers)

"""Send waiting messages in batches: when, how much at once, and how many at a time.

This is group commit: while appends are in flight, the next batch fills. A full batch goes out while fewer than
`max_in_flight` are in flight. Any other goes out while fewer than `target_in_flight` are, as AppendSpacing allows.

An append costs the same for ten tables as for one. So the tables of all streams share the target. It is reached once
as many appends are in flight, or as many tables busy. A table with an append in flight then fills its next batch until
that one ends, but no longer than APART_US allows, as the store may be slow. With more busy tables than that, each lets
a little time pass between its appends. None ever waits for another to end: that one may hang.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextvars import Context
from typing import Any

import msgspec
from opentelemetry.trace import Span

from app.ingest.verdict import DURABLE, LATE, Throttled, Unavailable, Verdict
from app.runtime.clock import MICROSECONDS, Clock, Timer
from app.stores.sink import RowError

_NEW = 1 / 8  # weight of the latest acknowledgement in the moving average
_BUSY_US = 250_000  # so long after its last acknowledgement a table counts as busy
_LONGEST_US = 100_000  # between two appends of a table, for the sake of others, however slow the store was
APART_US = 3_000
"""Between two appends of a table while it shares a target that is reached, for each busy table.

So all tables together begin at most 333 appends a second, which take a fifth of a processor. Full
batches, and those of a table without an append in flight, do not count.
"""


OnRefused = Callable[[Mapping[int, RowError]], Awaitable[Verdict]]
"""Makes the refusal of rows durable, by their positions in the message; the writer waits for it before it answers."""


class Refusals(msgspec.Struct):
    """The refusals of one message.

    `since` numbers the last append that had begun when the first one arrived: a later append that is stored shows that
    the table takes rows. `alone` counts refused appends of this message alone, `deliveries` those that ended without a
    decision.
    """

    since: int
    alone: int = 0
    deliveries: int = 0


class Pending(msgspec.Struct, eq=False):
    """A message, or a part of one that fits an append, and the future of its verdict.

    `first` is the position of its first row in the message. `begun_us` is when it began to wait (the clock's
    `elapsed_us`). `reject` makes the refusal of a row durable. `span` is the message's span if it is traced. `key`
    identifies the message in every delivery. `refusals` are None until the store refuses an append that holds it.
    """

    rows: Sequence[bytes]
    first: int
    byte_count: int
    begun_us: int
    reject: OnRefused | None
    span: Span | None
    verdict: asyncio.Future[Verdict]
    key: str = ""
    refusals: Refusals | None = None
    durable_rows: int = 0

    def settle(self, rows: int) -> None:
        """Count `rows` as durable; the last one answers the waiter."""
        self.durable_rows += rows
        if self.durable_rows == len(self.rows) and not self.verdict.done():
            self.verdict.set_result(DURABLE)

    def fail(self, verdict: Unavailable | Throttled) -> None:
        """Answer the waiter that the rows are not durable, unless it has its answer."""
        if not self.verdict.done():
            self.verdict.set_result(verdict)

    def overdue(self) -> None:
        """Answer the waiter that its deadline has passed; the rows may still be stored."""
        self.fail(LATE)


def fail(messages: Iterable[Pending], verdict: Unavailable | Throttled) -> None:
    """Answer the waiters that their rows are not durable."""
    for message in messages:
        message.fail(verdict)


class BatchLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The limits of one append."""

    max_rows: int
    max_bytes: int


class Batcher:
    """A queue of messages that hands out batches, first in, first out. A message over the limits goes alone."""

    def __init__(self, limits: BatchLimits) -> None:
        self._limits = limits
        self._waiting: deque[Pending] = deque()
        self._rows = self._bytes = 0

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._waiting)

    @property
    def oldest(self) -> Pending | None:
        """The one that has waited longest."""
        return self._waiting[0] if self._waiting else None

    @property
    def is_full(self) -> bool:
        """Whether those that wait would fill an append."""
        return self._rows >= self._limits.max_rows or self._bytes >= self._limits.max_bytes

    def add(self, message: Pending) -> None:
        """Put `message` at the end."""
        self._waiting.append(message)
        self._rows += len(message.rows)
        self._bytes += message.byte_count

    def take(self) -> list[Pending]:
        """Remove and return the next batch; empty when nothing waits."""
        if self._rows <= self._limits.max_rows and self._bytes <= self._limits.max_bytes:
            return self.take_all()
        batch: list[Pending] = []
        rows = size = 0
        while self._waiting:
            message = self._waiting[0]
            rows += len(message.rows)
            size += message.byte_count
            if batch and (rows > self._limits.max_rows or size > self._limits.max_bytes):
                break
            batch.append(self._waiting.popleft())
            self._rows -= len(message.rows)
            self._bytes -= message.byte_count
        return batch

    def take_all(self) -> list[Pending]:
        """Remove and return everything."""
        messages = list(self._waiting)
        self._waiting.clear()
        self._rows = self._bytes = 0
        return messages


def parts_of(rows: Sequence[bytes], size: int, limits: BatchLimits) -> list[tuple[Sequence[bytes], int, int]]:
    """Cut the rows of a message, of `size` bytes, into parts that each fit one append; nearly always there is one.

    Each part comes with the position of its first row, and with its size in bytes.
    """
    if size <= limits.max_bytes and len(rows) <= limits.max_rows:
        return [(rows, 0, size)]
    parts, start, total = list[tuple[Sequence[bytes], int, int]](), 0, 0
    for position, row in enumerate(rows):
        if position > start and (position - start >= limits.max_rows or total + len(row) > limits.max_bytes):
            parts.append((rows[start:position], start, total))
            start, total = position, 0
        total += len(row)
    return [*parts, (rows[start:], start, total)]


class SharedTarget:
    """What the tables that share a target do together.

    `in_flight` counts their appends in flight, and `busy` the tables that were acknowledged a moment ago. A table that
    hangs is not acknowledged, and so not busy.
    """

    def __init__(self) -> None:
        self.in_flight, self.busy = 0, 0
        self._acknowledged_us: dict[object, int] = {}

    def acknowledged(self, table: object, now_us: int) -> None:
        """Record that an append of `table` was acknowledged."""
        self._acknowledged_us[table] = now_us
        self.busy = sum(now_us - at_us < _BUSY_US for at_us in self._acknowledged_us.values())


class AppendSpacing:
    """Returns how soon an append that is not full may follow the last one; `elapsed_us` is a monotonic clock.

    An append costs the same however small, so few should be in flight at once; yet a message should wait little. If
    appends left immediately, the first few messages of a burst would fill every in-flight slot with tiny batches, and
    the rest would wait a full round trip. So appends are spread over the time that an acknowledgement takes. With n in
    flight, the next one follows after n/N² of that time. This is no delay for a trickle, and settles at N in flight
    (`target_in_flight`).
    """

    def __init__(self, elapsed_us: Callable[[], int], target_in_flight: int) -> None:
        self._elapsed_us, self._target_in_flight = elapsed_us, target_in_flight
        self._last_us = elapsed_us()
        self._takes_us = 0.0

    def begun(self) -> None:
        """Record that an append begins."""
        self._last_us = self._elapsed_us()

    def acknowledged(self, took_us: int) -> None:
        """Record how long the store took to acknowledge an append."""
        self._takes_us = self._takes_us + (took_us - self._takes_us) * _NEW if self._takes_us else float(took_us)

    def wait_us(self, in_flight: int, busy: int = 1, *, target_is_reached: bool = False) -> int:
        """Return how long the next append must wait; 0 means that it may go.

        `in_flight` are in flight, and `busy` tables share the target. With none in flight, an append waits only if
        those tables would exceed the target with one append each, and then for _LONGEST_US at most. If the tables have
        reached the target together, the distance does not depend on the store.
        """
        target = self._target_in_flight
        if in_flight and target_is_reached:
            distance_us: float = APART_US * max(busy, target)
        elif in_flight:
            distance_us = self._takes_us * in_flight / target**2
        elif busy > target:
            distance_us = min(self._takes_us * busy / target, _LONGEST_US)
        else:
            return 0
        return max(round(self._last_us + distance_us) - self._elapsed_us(), 0)


class Dispatcher:
    """Hands batches to `send`, which returns when no row of the batch is waited for any more."""

    def __init__(  # noqa: PLR0913 - what batches of one table need
        self,
        send: Callable[[list[Pending]], Awaitable[None]],
        clock: Clock,
        limits: BatchLimits,
        *,
        target_in_flight: int,
        max_in_flight: int,
        shared: SharedTarget | None = None,
    ) -> None:
        self._send, self._clock = send, clock
        self._target_in_flight, self.max_in_flight = target_in_flight, max_in_flight
        self.waiting = Batcher(limits)
        self._tasks: set[asyncio.Task[None]] = set()
        self._due: asyncio.Handle | Timer | None = None
        self._is_due_soon = self._closed = False
        self.in_flight = 0
        """How many batches are in flight with `send`."""
        self._spacing = AppendSpacing(clock.elapsed_us, target_in_flight)
        self._shared = shared or SharedTarget()

    def add(self, part: Pending) -> None:
        """Queue a part; messages that arrive in the same iteration of the event loop share a batch."""
        self.waiting.add(part)
        if self._due is None or (self.waiting.is_full and not self._is_due_soon):
            self._plan()

    def acknowledged(self, took_us: int) -> None:
        """Record how long the store took to acknowledge an append."""
        self._spacing.acknowledged(took_us)
        self._shared.acknowledged(self, self._clock.elapsed_us())

    async def close(self) -> None:
        """Cancel all work in flight, and drop all waiting parts."""
        self._closed = True
        self._unplan()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.waiting.take_all()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` in the background, until `close`."""
        # In a context of its own: the other messages do not belong to the trace of the one that started it.
        task = asyncio.get_running_loop().create_task(work, context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _plan(self) -> None:
        """Schedule the next batch; if none may go yet, the end of an append schedules it."""
        wait_us = self._wait_us()
        if wait_us == 0:
            self._unplan()
            self._due, self._is_due_soon = asyncio.get_running_loop().call_soon(self._dispatch), True
        elif wait_us is not None and self._due is None:
            self._due = self._clock.call_later(wait_us / MICROSECONDS, self._dispatch)

    def _unplan(self) -> None:
        if self._due is not None:
            self._due.cancel()
        self._due, self._is_due_soon = None, False

    def _wait_us(self) -> int | None:
        """Return how long the next batch must still wait; None if it waits for an append to end."""
        if self.waiting.is_full and self.in_flight < self.max_in_flight:
            return 0
        if self.in_flight >= self._target_in_flight:
            return None
        shared = self._shared
        is_reached = max(shared.in_flight, shared.busy) >= self._target_in_flight
        return self._spacing.wait_us(self.in_flight, shared.busy, target_is_reached=is_reached)

    def _dispatch(self) -> None:
        self._unplan()
        while len(self.waiting) and not self._closed:
            if self._wait_us() != 0:
                self._plan()
                return
            self.in_flight += 1
            self._shared.in_flight += 1
            self._spacing.begun()
            self.spawn(self._run(self.waiting.take()))

    async def _run(self, batch: list[Pending]) -> None:
        try:
            await self._send(batch)
        finally:
            self.in_flight -= 1
            self._shared.in_flight -= 1
            self._dispatch()

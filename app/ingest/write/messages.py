"""Messages that wait until their rows are durable, the groups of rows appended together, and refusals remembered."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

import msgspec
from opentelemetry.trace import Span

from app.ingest.verdict import DURABLE, LATE, Throttled, Unavailable, Verdict
from app.stores.sink import RowError

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


Slot = tuple[Pending, int]
"""One row: the part of a message that holds it, and its position there."""


class Group(msgspec.Struct, frozen=True):
    """Rows that are appended together.

    `lateness` is 0 or the number of the key under which they are appended again because they were late
    (app.stores.sink): then they are appended even if their messages were abandoned.
    """

    slots: Sequence[Slot]
    lateness: int = 0

    def messages(self) -> list[Pending]:
        """Return the messages of these rows, each once, in order."""
        return list(dict.fromkeys(message for message, _ in self.slots))

    def of(self, slots: Sequence[Slot]) -> "Group":
        """Return some of the rows as a group of their own."""
        return Group(slots, self.lateness)

    def halves(self) -> tuple["Group", "Group"]:
        """Halve the group, between two messages if there are several. The larger half comes first."""
        slots = self.slots
        middle = len(slots) // 2
        between = [index for index in range(1, len(slots)) if slots[index - 1][0] is not slots[index][0]]
        cut = min(between, key=lambda index: abs(index - middle), default=middle)
        larger, smaller = sorted((slots[cut:], slots[:cut]), key=len, reverse=True)
        return self.of(larger), self.of(smaller)

    def without(self, errors: Mapping[int, RowError]) -> dict[Pending, list[Slot]]:
        """Return the rows but those at these positions, by message."""
        rest: dict[Pending, list[Slot]] = {}
        for position, slot in enumerate(self.slots):
            if position not in errors:
                rest.setdefault(slot[0], []).append(slot)
        return rest

    def refused(self, errors: Mapping[int, RowError]) -> dict[Pending, dict[int, RowError]]:
        """Return the errors by message, and by position in it; `errors` are by position in the group."""
        refused: dict[Pending, dict[int, RowError]] = {}
        for position, error in errors.items():
            message, index = self.slots[position]
            refused.setdefault(message, {})[message.first + index] = error
        return refused


def group_of(messages: Iterable[Pending]) -> Group:
    """Return all rows of `messages`."""
    return Group([(message, index) for message in messages for index in range(len(message.rows))])

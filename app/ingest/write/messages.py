"""A message that waits until its rows are durable, and the groups of rows that are appended together."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

import msgspec
from opentelemetry.trace import Span

from app.ingest.verdict import DURABLE, LATE, Throttled, Unavailable, Verdict
from app.ingest.write.refusals import Refusals
from app.stores.sink import RowError


class Refused(msgspec.Struct, frozen=True):
    """A row the store refused: its position among the rows submitted, and why."""

    position: int
    error: RowError


OnRefused = Callable[[Sequence[Refused]], Awaitable[Verdict]]
"""Makes the refusal of rows durable; the writer waits for that before it answers the message."""


class Pending:
    """A message, or a part of one that fits an append, and the future of its verdict.

    `first` is the position of its first row in the message. `begun_us` is when it began to wait (the clock's
    `elapsed_us`). `reject` makes the refusal of a row durable. `span` is the message's span if it is traced. `key`
    identifies the message in every delivery. `refusals` are None until the store refuses an append that holds it.
    """

    __slots__ = (
        "begun_us",
        "byte_count",
        "first",
        "key",
        "open_rows",
        "refusals",
        "reject",
        "row_count",
        "rows",
        "span",
        "verdict",
    )

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of one wait; positional, as there is one for each message
        self,
        rows: Sequence[bytes],
        first: int,
        byte_count: int,
        begun_us: int,
        reject: OnRefused | None,
        span: Span | None,
        verdict: asyncio.Future[Verdict],
        key: str = "",
    ) -> None:
        self.rows, self.first, self.byte_count, self.begun_us = rows, first, byte_count, begun_us
        self.reject, self.span, self.verdict, self.key = reject, span, verdict, key
        self.row_count = self.open_rows = len(rows)
        self.refusals: Refusals | None = None

    def settle(self, rows: int) -> None:
        """Count `rows` as durable; the last one answers the waiter."""
        self.open_rows -= rows
        if not self.open_rows and not self.verdict.done():
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


async def verdict_of(parts: Sequence[Pending], begun: int, begin: Callable[[Sequence[Pending]], None]) -> Verdict:
    """Return the verdict on a message in several parts: that of the first part, by position, that is not durable.

    The first `begun` parts wait for the store already. Whenever a part is durable, `begin` adds the next one behind the
    messages that have arrived meanwhile, so that a large message does not hold up small ones. After a failure no more
    parts are added, since the whole message will be delivered again.
    """
    verdict: Verdict = DURABLE
    for number, part in enumerate(parts):
        if number >= begun:
            break
        outcome = await part.verdict
        if verdict is DURABLE:
            verdict = outcome
        if verdict is DURABLE and begun < len(parts):
            begin(parts[begun : begun + 1])
            begun += 1
    return verdict


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

    def refused(self, errors: Mapping[int, RowError]) -> dict[Pending, list[Refused]]:
        """Return the refused rows by message; `errors` are by position in the group."""
        refused: dict[Pending, list[Refused]] = {}
        for position, error in errors.items():
            message, index = self.slots[position]
            refused.setdefault(message, []).append(Refused(message.first + index, error))
        return refused


def group_of(messages: Iterable[Pending]) -> Group:
    """Return all rows of `messages`."""
    return Group([(message, index) for message in messages for index in range(message.row_count)])

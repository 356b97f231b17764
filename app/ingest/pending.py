"""Some rows of one message on their way to the store, and the future of their verdict."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

import msgspec
from opentelemetry.trace import Span

from app.ingest.verdict import DURABLE, Throttled, Unavailable, Verdict
from app.stores.sink import RowError

LATE = Unavailable("the records were not stored within the request's time budget", 1.0)


class Refused(msgspec.Struct, frozen=True):
    """A row the store refused: its position among the rows submitted, and why."""

    position: int
    error: RowError


OnRefused = Callable[[Sequence[Refused]], Awaitable[Verdict]]
"""Makes the refusal of rows durable; the writer waits for that before it answers the message."""


class Pending:
    """Some rows of one message, and the future of their verdict.

    `first` is the position of the first one among the message's rows. `begun_us` is when it began to wait (the clock's
    `elapsed_us`). `reject` makes the refusal of a row durable. `span` is the message's span if it is traced. `key`
    identifies the message in every delivery.
    """

    __slots__ = (
        "begun_us",
        "byte_count",
        "first",
        "key",
        "open_rows",
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


PendingRow = tuple[Pending, int]
"""One row: the part of a message that holds it, and its position there."""


def slots_of(batch: Iterable[Pending]) -> list[PendingRow]:
    """Return every row of `batch`."""
    return [(pending, index) for pending in batch for index in range(pending.row_count)]


def messages_of(slots: Iterable[PendingRow]) -> list[Pending]:
    """Return the parts that these rows belong to, each once, in order."""
    return list(dict.fromkeys(pending for pending, _ in slots))


def rows_of(slots: Iterable[PendingRow]) -> list[bytes]:
    """Return the rows themselves."""
    return [pending.rows[index] for pending, index in slots]


def halves(slots: Sequence[PendingRow]) -> tuple[Sequence[PendingRow], Sequence[PendingRow]]:
    """Halve `slots`, between two messages if there are several. The larger half comes first."""
    middle = len(slots) // 2
    between = [index for index in range(1, len(slots)) if slots[index - 1][0] is not slots[index][0]]
    cut = min(between, key=lambda index: abs(index - middle), default=middle)
    larger, smaller = sorted((slots[cut:], slots[:cut]), key=len, reverse=True)
    return larger, smaller


def refused_of(slots: Sequence[PendingRow], errors: Mapping[int, RowError]) -> dict[Pending, list[Refused]]:
    """Return the refused rows by message; `errors` are by position in `slots`."""
    refusals: dict[Pending, list[Refused]] = {}
    for position, error in errors.items():
        pending, index = slots[position]
        refusals.setdefault(pending, []).append(Refused(pending.first + index, error))
    return refusals

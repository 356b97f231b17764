"""Some rows of one message on their way to the store, and the future its waiter holds."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import msgspec
from opentelemetry.trace import Span

from app.ingest.appender import RowError
from app.ingest.verdict import Durable, Throttled, Unavailable, Verdict


class Refused(msgspec.Struct, frozen=True):
    """A row the store refused: its position among the rows submitted, and why."""

    position: int
    error: RowError


RejectRows = Callable[[Sequence[Refused]], Awaitable[Verdict]]
"""Makes the refusal of rows durable; the writer waits for it before the message is told."""


class Pending:
    """Some rows of one message, and the future its waiter holds; `span` is the message's, where it is traced."""

    def __init__(
        self, rows: Sequence[bytes], first: int, begun_us: int, reject: RejectRows | None, span: Span | None = None
    ) -> None:
        self.rows, self.first, self.begun_us, self.reject, self.span = rows, first, begun_us, reject, span
        self.row_count = self.open_rows = len(rows)
        self.byte_count = sum(map(len, rows))
        self.verdict: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()

    def settle(self, rows: int) -> None:
        """Count `rows` as durable; the last one answers the waiter."""
        self.open_rows -= rows
        if not self.open_rows and not self.verdict.done():
            self.verdict.set_result(Durable())

    def fail(self, verdict: Unavailable | Throttled) -> None:
        """Answer the waiter that the rows are not durable, unless it was answered."""
        if not self.verdict.done():
            self.verdict.set_result(verdict)

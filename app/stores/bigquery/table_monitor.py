"""The result of the latest check of a live table, shared by the table's appends and queries."""

import asyncio
from collections.abc import Awaitable, Callable

from app.runtime.clock import Clock
from app.runtime.deadlines import first_within
from app.schema.table import Table
from app.stores.sink import ColumnsPending, SetupError

Check = Callable[[], Awaitable[SetupError | ColumnsPending | None]]


class TableMonitor:
    """Checks one live table and remembers the result; concurrent callers share a check.

    `missing` are the dotted paths of the optional columns that the table lacks. A check that fails does not change
    them. `begun_us` is when the latest complete check began, and `ended_us` when it ended (the clock's `elapsed_us`);
    None before the first. `has_answer` says whether any check has found which columns it has.
    """

    def __init__(self, table: Table, check: Check, clock: Clock) -> None:
        self.table, self._check, self._clock = table, check, clock
        self.result: SetupError | ColumnsPending | None = None
        self.missing: frozenset[str] = frozenset()
        self.has_answer = False
        self.begun_us: int | None = None
        self.ended_us: int | None = None
        self._checking: asyncio.Task[SetupError | ColumnsPending | None] | None = None

    def begin(self) -> "asyncio.Task[SetupError | ColumnsPending | None]":
        """Return the running check, or start one."""
        if self._checking is None or self._checking.done():
            self._checking = asyncio.create_task(self._check_once())
        return self._checking

    async def since(self, since_us: int, within_s: float) -> None:
        """Wait, at most `within_s` seconds, until a check is complete that began at `since_us` or later."""
        waiting = asyncio.ensure_future(self._since(since_us))
        try:
            await first_within(self._clock, within_s, waiting)
        finally:
            waiting.cancel()

    async def _since(self, since_us: int) -> None:
        while self.begun_us is None or self.begun_us < since_us:
            await asyncio.shield(self.begin())

    def close(self) -> None:
        """Stop a running check."""
        if self._checking is not None:
            self._checking.cancel()

    async def _check_once(self) -> SetupError | ColumnsPending | None:
        begun_us = self._clock.elapsed_us()
        self.result = await self._check()
        self.begun_us, self.ended_us = begun_us, self._clock.elapsed_us()
        match self.result:
            case None:
                self.missing, self.has_answer = frozenset(), True
            case ColumnsPending(missing):
                self.missing, self.has_answer = missing, True
            case SetupError():
                pass
        return self.result

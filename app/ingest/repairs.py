"""Append late rows once more, so that readers who have passed their stamps still see them.

Every order of events is safe:

- Stopped before the rows are sent: they get a new stamp when they are sent, and are not late.
- Stopped after they are sent: the acknowledgement is read too late or never, and the rows may have become readable at
  any time since. They are appended under a new key, and the message is durable once that append is.
- Stopped again during the repair: the new rows may be late too, so they are repaired under yet another key. A reader
  sees the record once more for each such stop, so at most twice after one.
- The sender times out and delivers the message again under its plain key. A reader who has passed the late
  rows treats that delivery as a copy of them, and never sees it. So a repair continues after its message is abandoned.
- The row was not stored late after all: readers see both rows, as they have different keys.

What remains: a process that ends between a late commit and its repair, and a commit that comes later than the margin
after we abandoned the rows (docs/runbook.md).
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

from app.ingest.appends import Appends
from app.ingest.pending import PendingRow, halves, messages_of, refused_of, rows_of
from app.ingest.retry_policy import (
    RETRY_MAX_S,
    Bisect,
    Complete,
    Isolate,
    Postpone,
    RejectRows,
    Repair,
    Retry,
    Trip,
    decide,
)
from app.runtime.deadlines import set_within
from app.stores.sink import Outcome, Stored, Uncertain

_log = logging.getLogger("sluice.writer")
_PAUSE_LOOK_S = 1.0
_CLOSES_WITHIN_S = 1.0


class Repairs:
    """The repairs of one table. `hold` is called with the bytes that a repair holds, and with minus that at its end."""

    def __init__(self, appends: Appends, hold: Callable[[int], None]) -> None:
        self._appends, self._health, self._hold = appends, appends.health, hold
        self._open = 0
        self._idle = asyncio.Event()

    def begin(self, slots: Sequence[PendingRow]) -> None:
        """Append these late rows under another key, even if their messages were abandoned."""
        self._note(slots)
        self._spawn(slots, 1)

    async def close(self) -> None:
        """Give repairs in progress a moment to end, as nothing resumes them later."""
        if self._open:
            await set_within(self._appends.clock, _CLOSES_WITHIN_S, self._idle)

    def _note(self, slots: Sequence[PendingRow]) -> None:
        self._appends.watch.late(self._appends.table, len(slots))
        _log.warning(
            "table %s: %d rows of %d messages were committed so late after their timestamp that readers may "
            "have passed them; they are appended once more under another key",
            self._appends.table,
            len(slots),
            len(messages_of(slots)),
        )

    def _spawn(self, slots: Sequence[PendingRow], lateness: int) -> None:
        self._open += 1
        self._idle.clear()
        self._appends.spawn(self._repair(slots, lateness))

    async def _repair(self, slots: Sequence[PendingRow], lateness: int) -> None:
        size = sum(map(len, rows_of(slots)))
        self._hold(size)
        is_done = False
        try:
            await self._append(slots, lateness)
            is_done = True
        finally:
            self._hold(-size)
            self._open -= 1
            if not self._open:
                self._idle.set()
            if not is_done:
                _log.error(
                    "table %s: %d late rows were not repaired: readers that have passed them will not see them",
                    self._appends.table,
                    len(slots),
                )

    async def _append(self, slots: Sequence[PendingRow], lateness: int) -> None:
        failures, rekeyed = 0, self._appends.appender.rekeyed
        while slots:
            await self._pause_over()
            rows = [rekeyed(row, lateness) for row in rows_of(slots)]
            outcome = await self._appends.attempt(rows, messages_of(slots))
            if isinstance(outcome, Stored | Uncertain) and outcome.late:
                self._note(slots)
                lateness += 1
            failures += 1
            slots = await self._after(outcome, slots, lateness, failures)

    async def _after(  # noqa: C901 - one branch for each step
        self, outcome: Outcome, slots: Sequence[PendingRow], lateness: int, failures: int
    ) -> Sequence[PendingRow]:
        """Return the rows that this repair still has to append, after its `failures`-th attempt."""
        health = self._health
        counted = health.circuit.trips if not isinstance(outcome, Uncertain) else failures
        match decide(outcome, len(slots), 1, counted):
            case Complete():
                health.stored()
                for pending, _ in slots:
                    pending.settle(1)
                return ()
            case Repair():
                pass
            case Retry(detail, max_delay_s):
                health.uncertain(detail, failures)
                await self._appends.clock.sleep(max_delay_s)
            case RejectRows(errors):
                self._appends.reject(refused_of(slots, errors))
                return [slot for position, slot in enumerate(slots) if position not in errors]
            case Bisect() | Isolate():
                if len(slots) > 1:
                    for half in halves(slots):
                        self._spawn(half, lateness)
                    return ()
                await self._appends.clock.sleep(RETRY_MAX_S)  # sent before, so the row is not at fault
            case Postpone(detail=detail):
                health.lack(detail)
                await self._appends.clock.sleep(RETRY_MAX_S)
            case Trip() as trip:
                health.trip(trip)
        return slots

    async def _pause_over(self) -> None:
        while (pause := self._health.pause()) is not None:
            await self._appends.clock.sleep(min(pause.retry_after_s, _PAUSE_LOOK_S))

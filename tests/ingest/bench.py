"""A writer on the bench: over a scripted Appender, under a fake clock."""

import asyncio
from collections.abc import Mapping

from app.ingest.verdict import Durable, Verdict
from app.ingest.write.batching import BatchLimits, OnRefused
from app.ingest.write.table_writer import TableWriter
from app.runtime.clock import MICROSECONDS
from app.settings.load import Settings
from app.stores.sink import RowError, SinkState
from sluice.testing.clock import FakeClock
from tests.ingest.scripted import Reply, ScriptedAppender, constant
from tests.support.unwatched import environment_of

ROOMY = BatchLimits(max_rows=100, max_bytes=10_000)


class Bench:
    """A writer over a scripted Appender, under a fake clock."""

    def __init__(
        self, *replies: Reply, limits: BatchLimits = ROOMY, target_in_flight: int = 1, max_in_flight: int | None = None
    ) -> None:
        self.clock = FakeClock()
        self.appender = ScriptedAppender(*replies)
        self.appender.target_in_flight, self.appender.max_in_flight = (
            target_in_flight,
            max_in_flight or target_in_flight,
        )
        self.writer = self.over(self.appender, limits)
        self.rejected: list[bytes] = []
        """The rows of delivered messages that were rejected, in order."""
        self.rejects_verdict: Verdict = Durable()

    def over(self, appender: ScriptedAppender, limits: BatchLimits = ROOMY) -> TableWriter:
        settings = Settings().replace(
            max_batch_rows=limits.max_rows, max_batch_bytes=limits.max_bytes, max_in_flight_bytes=100_000
        )
        return TableWriter(appender, environment_of(self.clock, settings), table="records", jitter=constant(1.0))

    def submit(
        self,
        *rows: bytes,
        budget_s: float = 30.0,
        reject: OnRefused | None = None,
        key: str = "",
    ) -> asyncio.Task[Verdict]:
        """Submit `rows` as one message; the task is its waiter."""
        deadline_us = self.clock.elapsed_us() + round(budget_s * MICROSECONDS)
        return asyncio.create_task(self.writer.submit(rows, deadline_us, reject, key=key))

    def deliver(self, key: str, *rows: bytes, budget_s: float = 30.0) -> asyncio.Task[Verdict]:
        """Submit a message that is known by `key`; rows of it that are refused end in `rejected`."""

        async def reject(refused: Mapping[int, RowError]) -> Verdict:
            if isinstance(self.rejects_verdict, Durable):
                self.rejected += [rows[position] for position in refused]
            return self.rejects_verdict

        return self.submit(*rows, budget_s=budget_s, reject=reject, key=key)

    def state(self) -> SinkState:
        return self.writer.health.state

"""Stores that refuse rows, and a writer over one."""

from collections.abc import Callable, Sequence

from app.ingest.write.batching import BatchLimits
from app.stores.sink import Outcome, RowError, RowsRefused, SetupError, SinkState, Stored
from sluice.testing.clock import FakeClock
from tests.ingest.bench import Bench
from tests.ingest.scripted import ScriptedAppender, turns

LARGE = BatchLimits(max_rows=5_000, max_bytes=1_000_000)
DOWN = SetupError(SinkState.UNREACHABLE, "connection refused")


def unnamed(rows: list[bytes]) -> Outcome:
    """Refuse an append with any bad row, and name none."""
    return RowsRefused({}, "invalid") if any(row.startswith(b"bad") for row in rows) else Stored()


def one_by_one(rows: list[bytes]) -> Outcome:
    """Refuse an append with any bad row, and name the first."""
    first = next((position for position, row in enumerate(rows) if row.startswith(b"bad")), None)
    return Stored() if first is None else RowsRefused({first: RowError("bad")})


def every(outcome: Outcome) -> Callable[[list[bytes]], Outcome]:
    """Answer every append so."""
    return lambda _: outcome


def bad(count: int) -> list[bytes]:
    """Return so many rows that the store refuses."""
    return [b"bad%d" % number for number in range(count)]


class Remote(ScriptedAppender):
    """A store that takes its time for each answer, in which others go on."""

    clock: FakeClock | None = None
    ack_s = 0.0
    in_flight = most = 0

    async def append(self, rows: Sequence[bytes]) -> Outcome:
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        await (self.clock.sleep(self.ack_s) if self.clock else turns(5))
        self.in_flight -= 1
        return await super().append(rows)


def bench(decide: Callable[[list[bytes]], Outcome]) -> Bench:
    """Return a writer over a store that decides so."""
    made = Bench()
    made.appender = Remote()
    made.appender.decide = decide
    made.writer = made.over(made.appender, LARGE)
    return made

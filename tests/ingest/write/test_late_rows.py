"""Rows that are late are appended once more under another key: each order of events, under a fake clock."""

import asyncio
import logging
from collections.abc import Sequence

import pytest

from app.ingest.verdict import Durable, Throttled, Unavailable
from app.ingest.write.retry_policy import RETRY_MAX_S
from app.settings.load import Settings
from app.stores.sink import (
    Outcome,
    QuotaExceeded,
    RowsHeld,
    SinkState,
    Stored,
    Uncertain,
    lateness_limits,
)
from app.stores.stamping import LateCancellationError
from tests.ingest.bench import Bench
from tests.ingest.scripted import Reply, ScriptedAppender, reply_later, turns

LIMITS = lateness_limits(Settings().store)
LATE = Stored(late=True)
GONE, LONG_GONE = Uncertain("gone"), Uncertain("gone", late=True)


def late_bench(*replies: Reply) -> Bench:
    """Return a writer over a store with a horizon of its own."""
    bench = Bench(*replies)
    bench.appender.lateness_limits = LIMITS
    return bench


async def test_a_late_batch_is_counted_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Somebody should know that the process was held up; nothing of it is left when it is stored again."""
    caplog.set_level(logging.WARNING, "sluice.writer")
    bench = late_bench(LATE, Stored(), LATE)
    assert await asyncio.gather(*[bench.submit(b"a", b"b"), bench.submit(b"c")]) == [Durable()] * 2
    assert await bench.submit(b"d") == Durable()
    assert bench.writer._metrics.late_rows == {"records": 4}
    assert (bench.writer._open_bytes, len(caplog.messages)) == (0, 2)
    assert caplog.messages[0] == (
        "table records: 3 rows of 2 messages were committed so late after their timestamp that readers may have passed "
        "them; they are appended once more under another key"
    )


@pytest.mark.parametrize(
    ("replies", "batches"),
    [
        ([LONG_GONE], [[b"a"], [b"a~late1"]]),
        ([GONE], [[b"a"], [b"a"]]),
        ([LATE, LATE], [[b"a"], [b"a~late1"], [b"a~late2"]]),
        ([LATE, LONG_GONE], [[b"a"], [b"a~late1"], [b"a~late2"]]),
        ([LATE, GONE, GONE], [[b"a"], *[[b"a~late1"]] * 3]),
    ],
    ids=["ended late", "given up in time", "a late repair", "a repair that ended late", "a repair without an answer"],
)
async def test_a_retry_has_another_key_exactly_where_the_attempt_was_late(
    replies: list[Outcome], batches: list[list[bytes]]
) -> None:
    """A late copy may turn up behind readers, and would hide a retry under the same key; a copy in time counts."""
    bench = late_bench(*replies)
    waiting = bench.submit(b"a")
    await bench.clock.advance(2)
    assert await waiting == Durable()
    assert bench.appender.batches == batches


@pytest.mark.parametrize(("stopped_us", "stored"), [(40_000_000, b"a~late1"), (9_950_000, b"a")])
async def test_a_process_stopped_during_a_pause_between_attempts_retries_under_another_key(
    stopped_us: int, stored: bytes
) -> None:
    """What was given up may have left this process only now; the pause itself does not count."""
    bench = late_bench(GONE)
    waiting = bench.submit(b"a")
    await turns()
    bench.clock._now_us += stopped_us  # the time of day shows it, and no timer has rung
    await bench.clock.advance(0.1)
    assert await waiting == Durable()
    assert bench.appender.stored == [stored]


async def test_a_repair_that_lacks_a_column_waits_for_it() -> None:
    """No delivery repeats its key, so it is not given up."""
    bench = late_bench(LATE, RowsHeld(frozenset({0}), "it lacks x"))
    waiting = bench.submit(b"a")
    await bench.clock.advance(RETRY_MAX_S - 0.1)
    assert len(bench.appender.batches) == 2
    await bench.clock.advance(0.2)
    assert await waiting == Durable()
    assert bench.appender.stored == [b"a", b"a~late1"]


async def test_a_repair_waits_for_a_pause_to_end() -> None:
    """It asks nothing of a store that was told to be left alone, and does not forget."""
    bench = late_bench(LATE, QuotaExceeded("rows"))
    waiting = bench.submit(b"a", budget_s=5.0)
    await bench.clock.advance(6)
    assert isinstance(await waiting, Unavailable)
    assert bench.state() is SinkState.QUOTA_EXHAUSTED
    assert len(bench.appender.batches) == 2
    await bench.clock.advance(6)
    assert bench.appender.stored == [b"a", b"a~late1"]
    assert (bench.state(), bench.writer._open_bytes) == (SinkState.ACTIVE, 0)


class Slow(ScriptedAppender):
    """Says that it was cancelled late."""

    async def append(self, rows: Sequence[bytes]) -> Outcome:
        """Wait to be cancelled, once."""
        if not self.batches:
            self.batches.append(list(rows))
            try:
                await reply_later()
            except asyncio.CancelledError:
                raise LateCancellationError from None
        return await super().append(rows)


async def test_an_attempt_that_was_cancelled_late_is_retried_under_another_key() -> None:
    """Its deadline rang when the process woke up."""
    bench = late_bench()
    slow = Slow()
    slow.lateness_limits = LIMITS
    bench.writer = bench.over(slow)
    waiting = bench.submit(b"a")
    await bench.clock.advance(11)
    assert await waiting == Durable()
    assert slow.stored == [b"a~late1"]


async def test_what_a_repair_holds_counts_as_waiting_for_the_store() -> None:
    """Senders that gave up do not make room for others without end."""
    bench = late_bench(LATE, *[GONE] * 100)
    large = bench.submit(b"x" * 90_000, budget_s=1.0)
    await bench.clock.advance(2)
    assert isinstance(await large, Unavailable)
    assert isinstance(await bench.submit(b"y" * 20_000), Throttled)


async def test_closing_the_writer_gives_a_repair_a_moment() -> None:
    """Nobody else will do it."""
    repaired = reply_later()
    bench = late_bench(LATE, repaired)
    waiting = bench.submit(b"a", budget_s=1.0)
    await bench.clock.advance(2)
    closing = asyncio.create_task(bench.writer.close())
    await turns()
    assert not closing.done()
    repaired.set_result(Stored())
    await closing
    assert isinstance(await waiting, Unavailable)
    assert bench.appender.stored == [b"a", b"a~late1"]


async def test_a_repair_that_the_end_of_the_process_cuts_short_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """The rest of the promise is somebody's to keep."""
    bench = late_bench(LATE, reply_later())
    waiting = bench.submit(b"a")
    await turns()
    closing = asyncio.create_task(bench.writer.close())
    await bench.clock.advance(1)
    await closing
    assert isinstance(await waiting, Unavailable)
    assert caplog.messages[-1] == (
        "table records: 1 late rows were not stored again: readers that have passed them will not see them"
    )

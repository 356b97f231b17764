"""The writer when the store is in trouble: back-off, budgets, named states, pauses."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise

import pytest

from app.ingest.verdict import Durable, Throttled, Unavailable
from app.runtime.clock import MICROSECONDS
from app.stores.sink import Outcome, QuotaExceeded, RowsRefused, SinkState, Stored, Uncertain
from tests.ingest.bench import Bench
from tests.ingest.scripted import ScriptedAppender, reply_later, turns


async def test_retries_back_off_and_never_outlive_the_budget() -> None:
    """The delays double to a ceiling; the waiter is told when its budget ends, not later."""
    bench = Bench(*[Uncertain("gone")] * 100)
    started_us = bench.clock.now_us()
    waiting = bench.submit(b"a", budget_s=8.0)
    times: list[float] = []
    while not waiting.done():
        seen = len(bench.appender.batches)
        await bench.clock.advance(0.05)
        if len(bench.appender.batches) > seen:
            times.append((bench.clock.now_us() - started_us) / MICROSECONDS)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert gaps == sorted(gaps)
    assert 2 < len(times) < 10
    assert isinstance(await waiting, Unavailable)
    assert 8.0 <= (bench.clock.now_us() - started_us) / MICROSECONDS < 8.2


async def test_a_deadline_ends_the_wait_and_not_the_attempt() -> None:
    """A message near its end does not cut short the append it shares with others: a slow store is not asked twice."""
    answer = reply_later()
    bench = Bench(answer)
    hurried, patient = bench.submit(b"hurried", budget_s=0.2), bench.submit(b"patient", budget_s=30.0)
    await bench.clock.advance(0.3)
    assert isinstance(await hurried, Unavailable)
    assert not patient.done()
    answer.set_result(Stored())
    assert await patient == Durable()
    assert bench.appender.batches == [[b"hurried", b"patient"]]


async def test_a_stop_while_bisecting_ends_the_whole_batch() -> None:
    """The store said that it wants less: the other halves are not tried, and the pause is the first one's."""
    bench = Bench(RowsRefused({}), RowsRefused({}), QuotaExceeded("rows"))
    waiting = [bench.submit(str(number).encode()) for number in range(8)]
    told = await asyncio.gather(*waiting)
    assert [type(each) for each in told] == [Throttled] * 8
    assert len(bench.appender.batches) == 3
    assert all(isinstance(each, Throttled) and each.retry_after_s == 10 for each in told)


async def test_a_defect_of_the_writer_leaves_nobody_waiting(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever breaks, the message is answered, the log says so, and the next batch goes out."""
    with monkeypatch.context() as broken:
        broken.setattr("app.ingest.write.health.SinkHealth.stored", lambda _: 1 / 0)
        assert isinstance(await bench.submit(b"a"), Unavailable)
    assert [record.getMessage() for record in caplog.records] == ["a batch failed unexpectedly"]
    assert await bench.submit(b"b") == Durable()


async def test_an_uncertain_store_shows_as_unreachable_until_it_answers(caplog: pytest.LogCaptureFixture) -> None:
    """The state has a name while it lasts and goes away by itself."""
    answer = reply_later()
    bench = Bench(Uncertain("gone"), Uncertain("gone"), answer)
    waiting = bench.submit(b"a")
    await turns()
    assert bench.state() is SinkState.ACTIVE, "a connection that ends is no news"
    await bench.clock.advance(0.5)
    assert (bench.state(), bench.writer.health.detail) == (SinkState.UNREACHABLE, "gone")
    answer.set_result(Stored())
    await waiting
    assert bench.state() is SinkState.ACTIVE
    assert [record.getMessage() for record in caplog.records] == [
        "table records: UNREACHABLE: gone",
        "table records: ACTIVE, after UNREACHABLE",
    ]


class Cancelling(ScriptedAppender):
    """Ends with a cancellation that nobody asked for, as a library may let one out."""

    async def append(self, rows: Sequence[bytes]) -> Outcome:
        """End so."""
        raise asyncio.CancelledError


async def test_a_cancellation_out_of_nowhere_leaves_nobody_waiting(bench: Bench) -> None:
    """Its messages are told at once, not when their budgets end."""
    bench.writer = bench.over(Cancelling())
    waiting = bench.submit(b"a")
    await turns()
    assert await waiting == Unavailable("the append was abandoned", 1.0)


class Stubborn(ScriptedAppender):
    """Takes no notice of being cancelled: its rows are stored a little later."""

    async def append(self, rows: Sequence[bytes]) -> Outcome:
        """Wait to be cancelled, and store the rows."""
        with suppress(asyncio.CancelledError):
            await reply_later()
        return await super().append(rows)


async def test_an_outcome_counts_although_it_came_when_the_attempt_was_over(bench: Bench) -> None:
    """The rows are stored, and are not sent again; what comes after the attempt is not cancelled."""
    stubborn = Stubborn()
    bench.writer = bench.over(stubborn)
    waiting = bench.submit(b"a")
    await bench.clock.advance(11)
    assert await waiting == Durable()
    assert stubborn.batches == [[b"a"]]
    assert bench.state() is SinkState.ACTIVE

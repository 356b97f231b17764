"""The writer when the store is in trouble: back-off, budgets, named states, pauses."""

import asyncio
from itertools import pairwise

import pytest

from app.clock import MICROSECONDS
from app.ingest.appender import (
    QuotaExceeded,
    SetupError,
    SinkState,
    Stored,
    Uncertain,
)
from app.ingest.verdict import Durable, Throttled, Unavailable, Verdict
from tests.ingest.bench import Bench
from tests.ingest.scripted import reply_later, turns


async def test_retries_back_off_and_never_outlive_the_budget() -> None:
    """The delays double to a ceiling; the waiter is told when its budget ends, not later."""
    bench = Bench(*[Uncertain("gone")] * 100)
    started_us = bench.clock.now_us()
    waiting = bench.submit(b"a", budget_s=8.0)
    times: list[float] = []
    seen = 0
    while not waiting.done():
        await bench.clock.advance(0.05)
        if len(bench.appender.batches) > seen:
            seen = len(bench.appender.batches)
            times.append((bench.clock.now_us() - started_us) / MICROSECONDS)
    gaps = [later - earlier for earlier, later in pairwise(times)][:-1]  # the last is cut short by the budget
    assert gaps == sorted(gaps)
    assert 2 < len(times) < 10
    told = await waiting
    assert isinstance(told, Unavailable)
    assert 8.0 <= (bench.clock.now_us() - started_us) / MICROSECONDS < 8.2


async def test_an_older_message_that_runs_out_of_time_leaves_the_younger_ones_in_the_batch() -> None:
    """Only the late one is told; the rest is appended again."""
    bench = Bench(*[Uncertain("gone")] * 4)
    old, young = bench.submit(b"old", budget_s=0.2), bench.submit(b"young", budget_s=30.0)
    await bench.clock.advance(0.5)
    assert isinstance(await old, Unavailable)
    assert not young.done()
    await bench.clock.advance(20)
    assert await young == Durable()
    assert bench.appender.stored == [b"young"]


async def test_an_attempt_never_takes_longer_than_what_the_oldest_message_has_left() -> None:
    """A silent store does not keep a message waiting beyond its budget."""
    bench = Bench(reply_later(), reply_later())
    waiting = bench.submit(b"a", budget_s=4.0)
    await bench.clock.advance(4.1)
    assert isinstance(await waiting, Unavailable)


async def test_a_failing_appender_is_treated_as_uncertain() -> None:
    """An exception is a defect, not a loss: the rows are sent again."""
    bench = Bench(RuntimeError("a defect"))
    waiting = bench.submit(b"a")
    await bench.clock.advance(1)
    assert await waiting == Durable()


async def test_an_uncertain_store_shows_as_unreachable_until_it_answers() -> None:
    """The state has a name while it lasts and goes away by itself."""
    answer = reply_later()
    bench = Bench(Uncertain("gone"), answer)
    waiting = bench.submit(b"a")
    await bench.clock.advance(0.2)
    assert bench.writer.state.value == "UNREACHABLE"
    answer.set_result(Stored())
    await waiting
    assert bench.writer.state.value == "ACTIVE"


@pytest.mark.parametrize(
    ("reply", "verdict", "state", "pauses_s"),
    [
        (QuotaExceeded("rows"), Throttled, SinkState.QUOTA_EXHAUSTED, [10, 20, 40]),
        (SetupError(SinkState.NOT_FOUND, "table"), Unavailable, SinkState.NOT_FOUND, [30, 60, 120]),
    ],
)
async def test_pauses_double_while_the_store_stays_so(
    reply: QuotaExceeded | SetupError, verdict: type[Verdict], state: SinkState, pauses_s: list[int]
) -> None:
    """Between two looks at a store that said no, everything is answered without asking it."""
    bench = Bench(reply, reply, reply)
    for count, pause_s in enumerate(pauses_s, start=1):
        assert isinstance(await bench.submit(b"a"), verdict)
        assert bench.writer.state is state
        await bench.clock.advance(pause_s - 1)
        assert isinstance(await bench.submit(b"a"), verdict)
        assert len(bench.appender.batches) == count
        await bench.clock.advance(1.1)
    assert await bench.submit(b"a") == Durable()
    assert bench.writer.state is SinkState.ACTIVE


async def test_a_stop_answers_those_who_wait_behind_it_too() -> None:
    """Whoever waits for the next batch is told at once, not after a budget."""
    answer = reply_later()
    bench = Bench(answer)
    first = bench.submit(b"a")
    await turns()
    second = bench.submit(b"b")
    await turns()
    answer.set_result(SetupError(SinkState.PERMISSION_DENIED, "no"))
    assert [type(told) for told in await asyncio.gather(first, second)] == [Unavailable, Unavailable]

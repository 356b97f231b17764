"""The writer: group commit, one future a message, back-off, budgets, drain. Start reading here."""

import asyncio
from collections.abc import Sequence
from itertools import pairwise

import pytest

from app.clock import MICROSECONDS, FakeClock
from app.ingest.appender import (
    Outcome,
    QuotaExceeded,
    RowError,
    RowsRefused,
    SetupError,
    SinkState,
    Stored,
    Uncertain,
)
from app.ingest.batcher import BatchLimits
from app.ingest.verdict import Durable, Throttled, Unavailable, Verdict
from app.ingest.writer import Refused, RejectRows, Writer
from tests.ingest.scripted import Reply, ScriptedAppender, constant, reply_later, turns

ROOMY = BatchLimits(max_rows=100, max_bytes=10_000)


class Bench:
    """A writer over a scripted Appender, under a fake clock."""

    def __init__(self, *replies: Reply, limits: BatchLimits = ROOMY) -> None:
        self.clock = FakeClock()
        self.appender = ScriptedAppender(*replies)
        self.writer = Writer(self.appender, self.clock, limits, append_deadline_s=10.0, jitter=constant(1.0))

    def submit(self, *rows: bytes, budget_s: float = 30.0, reject: RejectRows | None = None) -> asyncio.Task[Verdict]:
        """Submit `rows` as one message; the task is its waiter."""
        deadline_us = self.clock.now_us() + round(budget_s * MICROSECONDS)
        return asyncio.create_task(self.writer.submit(rows, deadline_us, reject))


async def test_messages_that_arrive_together_share_an_append() -> None:
    """What is submitted in one turn of the loop goes out as one batch, in order."""
    bench = Bench()
    waiting = [bench.submit(b"a"), bench.submit(b"b"), bench.submit(b"c")]
    assert await asyncio.gather(*waiting) == [Durable()] * 3
    assert bench.appender.batches == [[b"a", b"b", b"c"]]


async def test_a_lone_message_goes_out_at_once() -> None:
    """Nothing waits for company: the first append needs no time to pass."""
    bench = Bench()
    assert await bench.submit(b"a") == Durable()
    assert bench.appender.batches == [[b"a"]]


async def test_the_next_batch_fills_while_an_append_is_in_flight() -> None:
    """Group commit: what arrives meanwhile goes out together, right after."""
    first_answer = reply_later()
    bench = Bench(first_answer)
    waiting = [bench.submit(b"a")]
    await turns()
    waiting += [bench.submit(b"b"), bench.submit(b"c")]
    await turns()
    assert bench.appender.batches == [[b"a"]]
    assert bench.writer.waiting == 2
    first_answer.set_result(Stored())
    assert await asyncio.gather(*waiting) == [Durable()] * 3
    assert bench.appender.batches == [[b"a"], [b"b", b"c"]]


async def test_a_message_larger_than_an_append_goes_out_in_several_and_is_answered_once() -> None:
    """Its waiter is told when the last of them is durable."""
    second_answer = reply_later()
    bench = Bench(Stored(), second_answer, limits=BatchLimits(max_rows=2, max_bytes=10_000))
    waiting = bench.submit(b"a", b"b", b"c")
    await turns()
    assert not waiting.done()
    second_answer.set_result(Stored())
    assert await waiting == Durable()
    assert bench.appender.batches == [[b"a", b"b"], [b"c"]]


async def test_outcomes_are_not_crossed_between_messages() -> None:
    """A refused row concerns its own message only; positions are those of the rows submitted."""
    told: list[Refused] = []

    async def reject(refused: Sequence[Refused]) -> Verdict:
        told.extend(refused)
        return Durable()

    bench = Bench(RowsRefused({2: RowError("bad")}))
    waiting = [bench.submit(b"a", reject=reject), bench.submit(b"b", b"c", reject=reject), bench.submit(b"d")]
    assert await asyncio.gather(*waiting) == [Durable()] * 3
    assert told == [Refused(1, RowError("bad"))]
    assert bench.appender.stored == [b"a", b"b", b"d"]


async def test_positions_count_over_all_appends_of_a_split_message() -> None:
    """The second part's first row is the third of the message."""
    told: list[int] = []

    async def reject(refused: Sequence[Refused]) -> Verdict:
        told.extend(each.position for each in refused)
        return Durable()

    bench = Bench(Stored(), RowsRefused({0: RowError("bad")}), limits=BatchLimits(max_rows=2, max_bytes=10_000))
    assert await bench.submit(b"a", b"b", b"c", b"d", reject=reject) == Durable()
    assert told == [2]


async def test_a_refused_row_without_anybody_to_take_it_makes_its_message_unavailable() -> None:
    """A row of the rejects table that is refused must not pass for stored; the others are."""
    bench = Bench(RowsRefused({0: RowError("bad")}))
    bad, good = bench.submit(b"a"), bench.submit(b"b")
    assert isinstance(await bad, Unavailable)
    assert await good == Durable()


@pytest.mark.parametrize("bad", range(8))
async def test_bisecting_finds_the_one_bad_row_of_a_batch(bad: int) -> None:
    """Without a list the batch is halved until the bad row is alone; all others are stored."""
    rows = [str(index).encode() for index in range(8)]

    class Picky(ScriptedAppender):
        async def append(self, batch: Sequence[bytes]) -> Outcome:
            self.replies = [RowsRefused({})] if rows[bad] in batch else []
            return await super().append(batch)

    told: list[int] = []

    async def reject(refused: Sequence[Refused]) -> Verdict:
        told.extend(each.position for each in refused)
        return Durable()

    bench = Bench()
    picky = Picky()
    bench.writer = Writer(picky, bench.clock, ROOMY, append_deadline_s=10.0)
    assert await bench.submit(*rows, reject=reject) == Durable()
    assert told == [bad]
    assert picky.stored == [row for row in rows if row != rows[bad]]


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


async def test_drain_waits_for_what_was_submitted() -> None:
    """Shutting down answers everybody with the truth."""
    answer = reply_later()
    bench = Bench(answer)
    waiting = [bench.submit(b"a")]
    await turns()
    waiting.append(bench.submit(b"b"))
    await turns()
    draining = asyncio.create_task(bench.writer.drain(8.0))
    await turns()
    assert not draining.done()
    answer.set_result(Stored())
    await draining
    assert await asyncio.gather(*waiting) == [Durable(), Durable()]


async def test_drain_gives_up_after_its_grace_and_leaves_nobody_waiting() -> None:
    """What is still open then is to be delivered again."""
    bench = Bench(reply_later())
    waiting = [bench.submit(b"a")]
    await turns()
    waiting.append(bench.submit(b"b"))
    await turns()
    draining = asyncio.create_task(bench.writer.drain(8.0))
    await bench.clock.advance(8.1)
    await draining
    assert [type(told) for told in await asyncio.gather(*waiting)] == [Unavailable, Unavailable]


async def test_drain_gives_up_on_rejections_too() -> None:
    """A message whose rejection hangs is answered like any other."""

    async def never(_: object) -> Verdict:
        await bench.clock.sleep(1e6)
        return Durable()

    bench = Bench(RowsRefused({0: RowError("bad")}))
    waiting = bench.submit(b"a", reject=never)
    await turns()
    draining = asyncio.create_task(bench.writer.drain(8.0))
    await bench.clock.advance(8.1)
    await draining
    assert isinstance(await waiting, Unavailable)


async def test_the_oldest_wait_is_the_first_waiters() -> None:
    """Health shows for how long a message has waited for an append."""
    bench = Bench(reply_later())
    bench.submit(b"a")
    await turns()
    assert bench.writer.oldest_wait_s == 0.0
    waiting = bench.submit(b"b")
    await bench.clock.advance(3)
    assert bench.writer.oldest_wait_s == pytest.approx(3, abs=0.01)
    waiting.cancel()

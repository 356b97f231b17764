"""The writer: group commit, one future a message, back-off, budgets, drain. Start reading here."""

import asyncio
from collections.abc import Mapping

import pytest

from app.ingest.verdict import Durable, Throttled, Unavailable, Verdict
from app.ingest.write.batching import Pending
from app.ingest.write.table_writer import Group
from app.stores.sink import RowError, RowsRefused, SinkState, Stored
from tests.ingest.bench import Bench
from tests.ingest.scripted import reply_later, turns


async def test_messages_that_arrive_together_share_an_append(bench: Bench) -> None:
    """What is submitted in one turn of the loop goes out as one batch, in order."""
    waiting = [bench.submit(b"a"), bench.submit(b"b"), bench.submit(b"c")]
    assert await asyncio.gather(*waiting) == [Durable()] * 3
    assert bench.appender.batches == [[b"a", b"b", b"c"]]


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


async def test_a_refused_row_without_anybody_to_take_it_makes_its_message_unavailable() -> None:
    """A row of the rejects table that is refused must not pass for stored; the others are."""
    bench = Bench(RowsRefused({0: RowError("bad")}))
    bad, good = bench.submit(b"a"), bench.submit(b"b")
    assert await bad == Unavailable("the store refused the row: bad", 30.0)
    assert await good == Durable()


async def test_a_rejection_that_is_not_durable_or_fails_is_its_messages_answer() -> None:
    """Neither is acknowledged."""
    down = Unavailable("the rejects are down", 7.0)

    async def fail(_: Mapping[int, RowError]) -> Verdict:
        raise ZeroDivisionError

    bench = Bench(RowsRefused({0: RowError("bad"), 1: RowError("bad")}))
    bench.rejects_verdict = down
    told = bench.deliver("a", b"a"), bench.submit(b"b", reject=fail)
    assert [*await asyncio.gather(*told)] == [down, Unavailable("the append was abandoned", 1.0)]


@pytest.mark.parametrize(
    ("sizes", "halves"), [([1, 3], (1, 3)), ([3, 1], (3, 1)), ([1, 1, 4], (2, 4)), ([2, 2, 4], (4, 4)), ([5], (2, 3))]
)
async def test_a_group_is_halved_between_two_messages_near_its_middle(
    sizes: list[int], halves: tuple[int, int]
) -> None:
    """Only a lone message is cut itself."""
    new = asyncio.get_running_loop().create_future
    messages = [Pending([b"r"] * size, 0, size, 0, None, None, new()) for size in sizes]
    slots = [(message, index) for message in messages for index in range(len(message.rows))]
    second, first = Group(slots, 1).halves()
    assert ([*first.slots, *second.slots], first.lateness, second.lateness) == (slots, 1, 1)
    assert (len(first.slots), len(second.slots)) == halves


async def test_what_waits_for_the_store_is_bounded_in_bytes() -> None:
    """A small compressed message may be a large batch: beyond the limit it is refused at once, but never alone."""
    answer = reply_later()
    bench = Bench(answer)
    alone = bench.submit(b"x" * 200_000)
    await turns()
    refused = await bench.submit(b"y")
    assert refused == Throttled("too many messages wait for the store on this instance", 1.0)
    answer.set_result(Stored())
    assert await alone == Durable()
    assert await bench.submit(b"y") == Durable()


async def test_a_message_whose_time_is_up_is_not_begun(bench: Bench) -> None:
    """It would be delivered again, and stored twice."""
    assert isinstance(await bench.submit(b"a", budget_s=0.0), Unavailable)
    assert bench.appender.batches == []


async def test_close_leaves_nobody_waiting() -> None:
    """What is in flight, what waits behind it and what comes after are all to be delivered again."""
    bench = Bench(reply_later())
    waiting = [bench.submit(b"a")]
    await turns()
    waiting.append(bench.submit(b"b"))
    await turns()
    await bench.writer.close()
    waiting.append(bench.submit(b"c"))
    assert await asyncio.gather(*waiting) == [Unavailable("the instance is shutting down", 1.0)] * 3
    assert len(bench.appender.batches) == 1


@pytest.mark.parametrize("spare_turns", range(6))
async def test_close_in_the_turn_in_which_an_append_ends_leaves_nobody_waiting(spare_turns: int) -> None:
    """The next batch may have been taken and not begun: its waiters are told all the same."""
    answer = reply_later()
    bench = Bench(answer)
    waiting = [bench.submit(b"a")]
    await turns()
    waiting.append(bench.submit(b"b"))
    await turns()
    answer.set_result(Stored())
    await turns(spare_turns)
    await bench.writer.close()
    told = await asyncio.gather(*waiting)
    assert {type(each) for each in told} <= {Durable, Unavailable}
    assert bench.writer._open_bytes == 0


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


async def test_each_append_is_measured_by_its_outcome() -> None:
    """How long it took and how it ended, its rows and their bytes; one without an answer is an outcome, too."""
    late = reply_later()
    bench = Bench(RuntimeError("x"), late, RuntimeError("a defect"), Stored())
    metrics, waiting = bench.writer._metrics, bench.submit(b"ab", b"c", budget_s=60.0)
    await turns()
    assert bench.writer.oldest_wait_s == 0.0
    await bench.clock.advance(0.1)
    assert bench.state() is SinkState.ACTIVE
    await bench.clock.advance(10)
    assert (bench.state(), bench.writer.health.detail) == (
        SinkState.UNREACHABLE,
        "the store did not answer within 10 s",
    )
    await bench.clock.advance(0.2)
    assert bench.writer.health.detail == "RuntimeError: a defect"
    await bench.clock.advance(0.4)
    assert await waiting == Durable()
    found = {
        name: [(*attributes.values(), sum(point.counts), point.total) for attributes, point in histogram.points()]
        for name, histogram in (("rows", metrics.append_rows), ("size", metrics.append_size))
    }
    assert found == {"rows": [("records", 4, 8.0)], "size": [("records", 4, 12.0)]}
    took = {(*attributes.values(),): sum(point.counts) for attributes, point in metrics.append_duration.points()}
    assert {key: count for key, count in took.items() if count} == {
        ("records", "uncertain"): 3,
        ("records", "stored"): 1,
    }

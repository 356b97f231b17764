"""Whether it is the table or the message that is wrong, when messages are refused alone and nobody knows why."""

import asyncio

import pytest

from app.ingest.suspects import ALONE_REFUSALS
from app.ingest.verdict import Durable, Unavailable
from app.stores.sink import RowsRefused, SetupError, SinkState, Stored
from tests.ingest.refusing import DOWN, Remote, bad, bench, deliver_until_durable, every, unnamed


async def test_four_bad_rows_of_one_message_that_nobody_names_stop_nobody() -> None:
    """Its own delivery comes back; the table is not blamed, and other messages are stored at once."""
    made = bench(unnamed)
    told = await made.deliver("poison", *bad(4))
    assert isinstance(told, Unavailable)
    assert told.retry_after_s == 10.0
    assert made.state() is SinkState.ACTIVE
    assert made.rejected == []
    assert await made.deliver("good", b"good") == Durable()


async def test_a_lone_suspect_is_rejected_after_a_few_deliveries_if_the_table_looks_right() -> None:
    """Without any other message there is nothing to compare it with."""
    made = bench(unnamed)
    assert await deliver_until_durable(made, "poison", *bad(4)) == ALONE_REFUSALS
    assert sorted(made.rejected) == bad(4)
    assert made.state() is SinkState.ACTIVE


async def test_a_lone_suspect_is_not_rejected_where_the_table_is_wrong() -> None:
    """The look before the rejection finds it, and stops the table as any look does."""
    made = bench(unnamed)
    made.appender.obstacle = SetupError(SinkState.SCHEMA_MISMATCH, "column x is missing")
    for _ in range(ALONE_REFUSALS):
        assert isinstance(await made.deliver("poison", *bad(2)), Unavailable)
    assert made.rejected == []
    assert (made.state(), made.writer.health.detail) == (SinkState.SCHEMA_MISMATCH, "column x is missing")


async def test_a_lone_suspect_waits_for_a_look_that_can_be_made() -> None:
    """That nobody can look at the table is no evidence."""
    made = bench(unnamed)
    made.appender.obstacle = DOWN
    for _ in range(ALONE_REFUSALS + 2):
        assert isinstance(await made.deliver("poison", b"bad"), Unavailable)
    made.appender.obstacle = None
    assert await made.deliver("poison", b"bad") == Durable()
    assert made.rejected == [b"bad"]


@pytest.mark.parametrize(("messages", "is_blamed"), [(1, False), (2, False), (3, True), (10, True)])
async def test_the_table_is_blamed_only_when_different_messages_agree(messages: int, *, is_blamed: bool) -> None:
    """However often the same ones are refused."""
    made = bench(every(RowsRefused({}, "cannot append to this kind of table")))
    for number in range(messages):
        assert isinstance(await made.deliver(f"m{number}", b"x", b"y"), Unavailable)
    assert made.rejected == []
    assert made.state() is (SinkState.SCHEMA_MISMATCH if is_blamed else SinkState.ACTIVE)
    if is_blamed:
        assert "cannot append to this kind of table" in made.writer.health.detail
        made.appender.decide = every(Stored())
        await made.clock.advance(31)
        assert await made.deliver("m0", b"x", b"y") == Durable()
        assert made.state() is SinkState.ACTIVE


async def test_messages_that_were_refused_before_something_was_stored_do_not_blame_the_table() -> None:
    """It takes rows, so each of them is judged by itself."""
    made = bench(unnamed)
    for number in range(6):
        assert isinstance(await made.deliver(f"poison{number}", b"bad"), Unavailable)
        assert await made.deliver(f"good{number}", b"good") == Durable()
    assert made.state() is SinkState.ACTIVE
    assert made.rejected == []


async def test_a_table_that_refuses_everything_is_blamed_before_all_of_a_large_batch_was_tried() -> None:
    """Where each append takes a twentieth of a second, five seconds of refusals are enough."""
    made = bench(every(RowsRefused({}, "no")))
    assert isinstance(made.appender, Remote)
    made.appender.ack_s, made.appender.clock = 0.05, made.clock
    messages = [made.deliver(f"m{number}", b"x") for number in range(500)]
    await made.clock.advance(6)
    assert made.state() is SinkState.SCHEMA_MISMATCH
    assert all(isinstance(each, Unavailable) for each in await asyncio.gather(*messages))
    assert len(made.appender.batches) < 250
    assert made.rejected == []


@pytest.mark.parametrize("good", [b"good", b"a good one behind all the bad ones"])
async def test_many_bad_messages_in_a_row_do_not_pass_for_a_bad_table(good: bytes) -> None:
    """A single good one among them shows that it is not."""
    made = bench(unnamed)
    poison = [made.deliver(f"poison{number}", b"bad%d" % number) for number in range(40)]
    assert await made.deliver("good", good) == Durable()
    assert await asyncio.gather(*poison) == [Durable()] * 40
    assert sorted(made.rejected) == sorted(bad(40))
    assert made.state() is SinkState.ACTIVE


async def test_after_a_message_was_found_guilty_those_who_are_far_from_it_are_tried_first() -> None:
    """What comes from one producer comes together, so whether it is the table shows elsewhere."""
    made = bench(unnamed)
    rows = [*bad(8), *[b"good%d" % number for number in range(8)]]
    told = await asyncio.gather(*[made.deliver(f"m{number}", row) for number, row in enumerate(rows)])
    assert told == [Durable()] * 16
    shared = [batch for batch in made.appender.batches if len(batch) > 1 or batch[0].startswith(b"good")]
    assert shared.index(rows[8:]) <= 4, "after halving down to one bad message"

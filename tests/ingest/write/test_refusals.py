"""Messages that the store refuses: what becomes of them, of their neighbours and of the table. The machine has more."""

import asyncio

import pytest

from app.ingest.verdict import Durable, Unavailable
from app.ingest.write.retry_policy import MAX_DELIVERIES, MAX_REFUSALS
from app.stores.sink import RowsRefused, SetupError, SinkState, Stored
from tests.ingest.scripted import reply_later, turns
from tests.ingest.write.refusing import DOWN, Remote, bad, bench, every, one_by_one, unnamed


async def test_a_message_refused_alone_stops_nobody_and_is_rejected_after_three_deliveries() -> None:
    """With no other message to compare it with; each delivery costs an append, and the first one two."""
    made = bench(unnamed)
    for delivery in range(MAX_DELIVERIES - 1):
        told = await made.deliver("poison", *bad(4))
        assert isinstance(told, Unavailable)
        assert (told.retry_after_s, made.state(), made.rejected) == (10.0, SinkState.ACTIVE, [])
        assert len(made.appender.batches) == 2 + delivery
    assert await made.deliver("poison", *bad(4)) == Durable()
    assert made.rejected == bad(4)


async def test_a_message_refused_alone_is_rejected_at_its_next_delivery_if_another_was_stored() -> None:
    """It comes without neighbours then, and one that is stored at last is like any other."""
    made = bench(unnamed)
    assert isinstance(await made.deliver("poison", b"bad"), Unavailable)
    assert isinstance(await made.deliver("other", b"bad too"), Unavailable)
    assert await made.deliver("good", b"good") == Durable()
    made.appender.batches.clear()
    told = [*await asyncio.gather(made.deliver("poison", b"bad"), made.deliver("good too", b"good too"))]
    assert told == [Durable()] * 2
    assert sorted(made.appender.batches) == [[b"bad"], [b"good too"]]
    assert made.rejected == [b"bad"]
    made.appender.decide = every(Stored())
    assert await made.deliver("other", b"bad too") == Durable()
    made.appender.batches.clear()
    await asyncio.gather(made.deliver("other", b"bad too"), made.deliver("good", b"good"))
    assert made.appender.batches == [[b"bad too", b"good"]]


async def test_what_was_in_flight_when_a_message_was_refused_shows_nothing() -> None:
    """The table may have broken between the two; only an append that began later can show that it takes rows."""
    first, second = reply_later(), reply_later()
    made = bench(every(RowsRefused({})))
    made.appender.replies = [first, second]
    made.appender.target_in_flight = made.appender.max_in_flight = 2
    made.writer = made.over(made.appender)
    early, message = made.deliver("early", b"early"), None
    await turns()
    message = made.deliver("m", b"m")
    await turns()
    second.set_result(RowsRefused({}))
    await turns(3)
    first.set_result(Stored())
    assert [await early, type(await message)] == [Durable(), Unavailable]
    assert isinstance(await made.deliver("m", b"m"), Unavailable)
    assert made.rejected == []


@pytest.mark.parametrize("obstacle", [SetupError(SinkState.SCHEMA_MISMATCH, "column x is missing"), DOWN])
async def test_a_message_is_not_rejected_if_the_table_is_wrong_or_cannot_be_checked(obstacle: SetupError) -> None:
    """An obstacle stops the table as any check does; without an answer the message is delivered again."""
    made = bench(unnamed)
    made.appender.obstacle = obstacle
    for _ in range(MAX_DELIVERIES):
        assert isinstance(await made.deliver("poison", b"bad"), Unavailable)
    assert made.rejected == []
    assert made.state() is (SinkState.ACTIVE if obstacle is DOWN else obstacle.state)
    made.appender.obstacle = None
    await made.clock.advance(31)
    assert await made.deliver("poison", b"bad") == Durable()
    assert made.rejected == [b"bad"]


@pytest.mark.parametrize(("messages", "trips"), [(1, False), (2, False), (3, True), (10, True)])
async def test_a_table_trips_if_three_messages_are_refused_and_none_is_stored(messages: int, *, trips: bool) -> None:
    """Nothing is rejected, however often they come; the first one that is stored ends it."""
    made = bench(every(RowsRefused({}, "cannot append to this kind of table")))
    for number in range(messages):
        assert isinstance(await made.deliver(f"m{number}", b"x", b"y"), Unavailable)
    assert made.state() is (SinkState.SCHEMA_MISMATCH if trips else SinkState.ACTIVE)
    if trips:
        assert "cannot append to this kind of table" in made.writer.health.detail
        for _ in range(MAX_DELIVERIES):
            await made.clock.advance(301)
            assert isinstance(await made.deliver("m0", b"x", b"y"), Unavailable)
        assert made.rejected == []
        made.appender.decide = every(Stored())
        await made.clock.advance(301)
        assert await made.deliver("m0", b"x", b"y") == Durable()
        assert made.state() is SinkState.ACTIVE


async def test_after_a_pause_bad_messages_do_not_trip_the_table_while_a_good_one_waits() -> None:
    """It would never be stored otherwise."""
    made = bench(unnamed)
    for number in range(3):
        assert isinstance(await made.deliver(f"poison{number}", b"bad%d" % number), Unavailable)
    assert made.state() is SinkState.SCHEMA_MISMATCH
    await made.clock.advance(30)
    poison = [made.deliver(f"poison{number}", b"bad%d" % number) for number in range(3)]
    assert await made.deliver("good", b"good") == Durable()
    await asyncio.gather(*poison)
    assert made.state() is SinkState.ACTIVE


async def test_after_a_message_was_refused_alone_those_far_from_it_are_tried_first() -> None:
    """What comes from one producer comes together, so whether it is the table shows elsewhere."""
    made = bench(unnamed)
    rows = [*bad(8), *[b"good%d" % number for number in range(8)]]
    told = await asyncio.gather(*[made.deliver(f"m{number}", row) for number, row in enumerate(rows)])
    assert told == [Durable()] * 16
    assert made.appender.batches.index(rows[8:]) <= 5, "after halving down to one bad message"


@pytest.mark.parametrize("count", [20, 600])
async def test_bad_rows_named_one_at_a_time_cost_their_neighbours_one_append(count: int) -> None:
    """After the first one the message goes on alone, and is rejected whole when it has cost enough appends."""
    made = bench(one_by_one)
    poison = made.deliver("poison", b"good of the poison", *bad(count))
    neighbours = [made.deliver(f"m{number}", b"good%d" % number) for number in range(20)]
    assert await asyncio.gather(*neighbours) == [Durable()] * 20
    assert len([batch for batch in made.appender.batches if b"good0" in batch]) == 2
    assert await poison == Durable()
    assert len(made.appender.batches) <= 3 + MAX_REFUSALS
    assert set(bad(count)) <= set(made.rejected)
    assert (b"good of the poison" in made.rejected) is (count == 600)
    assert made.state() is SinkState.ACTIVE


async def test_isolated_messages_have_one_append_in_flight() -> None:
    """However many there are, they take little from everybody else; each ends with its deadline."""
    made = bench(unnamed)
    assert isinstance(made.appender, Remote)
    for number in range(2):
        assert isinstance(await made.deliver(f"m{number}", b"bad%d" % number), Unavailable)
    assert await made.deliver("good", b"good") == Durable()
    made.appender.most = 0
    assert await asyncio.gather(*[made.deliver(f"m{n}", b"bad%d" % n) for n in range(2)]) == [Durable()] * 2
    assert made.appender.most == 1


async def test_the_refusals_of_the_latest_messages_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message without a key cannot be recognized."""
    monkeypatch.setattr("app.ingest.write.table_writer._MAX_REMEMBERED", 2)
    made = bench(unnamed)
    for key in ("a", "b", "a", "good", "", "c"):
        await made.deliver(key, b"good" if key == "good" else b"bad")
    assert [*made.writer._refused] == ["a", "c"]

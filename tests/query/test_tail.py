"""What the subscribers of a tail are sent, and what that asks of the store."""

import asyncio
from typing import Any

import pytest

from app.query.params.filters import parse_filters
from app.query.tail.poller import Reader
from app.query.tail.recent import Batch, Recent
from app.settings.fields import MIB
from app.settings.query import QuerySettings
from app.stores.query import Condition, Position
from tests.contract.shelf import FIELDS
from tests.contract.stores import T0_US
from tests.query.tail_stage import BEGIN, POLL_S, Stage, place_of


def at(stamp_us: int) -> Position:
    """Return the place before everything of an instant after T0_US."""
    return Position(T0_US + stamp_us, "")


def source(text: str) -> tuple[Condition, ...]:
    """Return the condition that the source is `text`."""
    return parse_filters(FIELDS, [("source", text)])


async def test_a_stream_begins_with_its_place_and_sends_records_as_they_settle(stage: Stage) -> None:
    """Each with the cursor behind it, and none before its place in the order is final."""
    listener = stage.listen()
    await stage.turn()
    assert listener.source.retry_ms == 2_000
    assert place_of(listener.source.last_event_id) == BEGIN
    stage.sheet.put(30, 10, settle=False)
    await stage.turn(POLL_S)
    assert listener.events == []
    stage.sheet.settled_us = T0_US + 20
    await stage.turn(POLL_S)
    assert listener.keys == ["k1"]
    stage.sheet.settled_us = T0_US + 31
    await stage.turn(POLL_S)
    assert [event.name for event in listener.events] == ["record", "record"]
    assert [event.data for event in listener.events] == [{"id": "k1"}, {"id": "k0"}]
    assert [place_of(event.id) for event in listener.events] == [Position(T0_US + 10, "k1"), Position(T0_US + 30, "k0")]
    await listener.hang_up()


async def test_a_store_that_knows_of_new_rows_is_asked_only_when_there_are_some(stage: Stage) -> None:
    """Time passes without a query, the place moves on with the horizon, and a new row is found all the same."""
    stage.sheet.version = 0
    listener = stage.listen()
    await stage.turn(POLL_S)
    stage.sheet.asked.clear()
    stage.sheet.settled_us += 1_000
    await stage.turn(20 * POLL_S)
    assert stage.sheet.asked == []
    (place,) = stage.sheet.put(2_000)
    await stage.turn(2 * POLL_S)
    assert [begins for begins, _ in stage.sheet.asked] == [Position(T0_US + 1_000, "")]
    assert [place_of(event.id) for event in listener.events] == [place]
    await listener.hang_up()


async def test_equal_filters_share_one_poller_and_what_it_writes(stage: Stage) -> None:
    """All that one caller may have cost the store as much as one, and a row is written once a choice of fields."""
    listeners = [stage.listen(fields="id,source" if number % 2 else "id") for number in range(75)]
    await stage.turn()
    stage.sheet.asked.clear()
    stage.sheet.put(10)
    await stage.turn(POLL_S)
    assert len(stage.sheet.asked) == 1
    assert {len(listener.keys) for listener in listeners} == {1}
    assert len({id(listener.pieces[-1]) for listener in listeners}) == 2
    for listener in listeners:
        await listener.hang_up()


async def test_other_filters_have_a_poller_of_their_own(stage: Stage) -> None:
    """In whatever order they are named, and however often."""
    both = source("a") + parse_filters(FIELDS, [("id.prefix", "k")])
    listeners = [
        stage.listen(conditions=conditions) for conditions in (source("a"), source("b"), both, both[::-1], both * 2)
    ]
    await stage.turn()
    stage.sheet.asked.clear()
    await stage.turn(POLL_S)
    stage.sheet.settled_us += 1
    await stage.turn(POLL_S)
    assert len(stage.sheet.asked) == 6
    assert len({repr(conditions) for _, conditions in stage.sheet.asked}) == 3
    for listener in listeners:
        await listener.hang_up()


async def test_the_last_subscriber_ends_the_poller_and_its_query(stage: Stage) -> None:
    """Nobody asks the store for nobody."""
    one, other = stage.listen(), stage.listen()
    await stage.turn()
    await one.hang_up()
    stage.sheet.answers.clear()
    await stage.turn(POLL_S)
    assert stage.sheet.given_up == 0
    await other.hang_up()
    assert stage.sheet.given_up == 1
    asked = len(stage.sheet.asked)
    await stage.turn(10 * POLL_S)
    assert len(stage.sheet.asked) == asked


async def test_who_begins_in_the_past_catches_up_by_itself_and_then_joins() -> None:
    """Page by page up to where the poller reads, and no query of its own from there on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.query.tail.poller.MAX_LIMIT", 2)
        stage = Stage()
        hour_us = 3_600_000_000
        stage.sheet.put(1, 2, 3, 4, 5)
        stage.sheet.settled_us = T0_US + hour_us
        listener = stage.listen()
        await stage.turn()
        own, second = Position(T0_US + 2, "k1"), Position(T0_US + 4, "k3")
        assert [begins for begins, _ in stage.sheet.asked] == [at(hour_us), BEGIN, own, second]
        assert listener.keys == ["k0", "k1", "k2", "k3", "k4"]
        stage.sheet.asked.clear()
        stage.sheet.put(hour_us + 7)
        await stage.turn(POLL_S)
        assert listener.keys == ["k0", "k1", "k2", "k3", "k4", "k5"]
        assert stage.sheet.asked == [(at(hour_us), ())]
        await listener.hang_up()


async def test_a_new_poller_begins_where_its_first_subscriber_stands_if_that_is_near(stage: Stage) -> None:
    """After a short break one query finds what was missed, for all who come back."""
    stage.sheet.put(1, 5)
    listener = stage.listen(at(2))
    await stage.turn()
    assert listener.keys == ["k1"]
    assert stage.sheet.asked == [(at(2), ())]
    late = stage.listen(at(3))
    await stage.turn()
    assert late.keys == ["k1"]
    assert len(stage.sheet.asked) == 1
    await listener.hang_up()
    await late.hang_up()


async def test_a_slow_subscriber_takes_no_memory_and_loses_nothing() -> None:
    """What it did not take in time is dropped; when it reads again, it fetches that itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.query.tail.poller.MAX_LIMIT", 2)
        patch.setattr("app.query.tail.poller.MAX_LIMIT", 2)
        stage = Stage()
        slow, quick = stage.listen(), stage.listen()
        await stage.turn()
        slow.reads.clear()
        for number in range(30):
            stage.sheet.put(10 + number)
            await stage.turn(POLL_S)
        (poller,) = stage.hub._pollers.values()
        assert sum(len(batch.rows) for batch in poller.recent._batches) <= 4
        everything = [f"k{number}" for number in range(30)]
        assert quick.keys == everything
        assert slow.keys == []
        stage.sheet.asked.clear()
        slow.read()
        await stage.turn()
        assert slow.keys == everything
        assert len(stage.sheet.asked) >= 10  # its own, two rows each
        stage.sheet.put(100)
        await stage.turn(POLL_S)
        assert slow.keys == quick.keys == [*everything, "k30"]
        await slow.hang_up()
        await quick.hang_up()


async def test_few_catch_up_at_the_same_time(stage: Stage) -> None:
    """After a restart everybody wants to, and who wants a page should not wait for all of them."""
    stage.sheet.settled_us += 3_600_000_000
    stage.sheet.answers.clear()
    listeners = [stage.listen() for _ in range(10)]
    await stage.turn()
    assert len([begins for begins, _ in stage.sheet.asked if begins == BEGIN]) == 4
    stage.sheet.answers.set()
    await stage.turn()
    assert len([begins for begins, _ in stage.sheet.asked if begins == BEGIN]) == 10
    await asyncio.gather(*(listener.hang_up() for listener in listeners))


@pytest.mark.parametrize("begins", [at(10), Position(T0_US + 10, "k")])
async def test_a_place_before_which_this_instance_is_not_settled_stays(stage: Stage, begins: Position) -> None:
    """Instances' clocks differ, and a cursor may come from one that is ahead."""
    feed: Any = stage.sheet
    batch = await Reader(feed, (), QuerySettings(), stage.clock).batch(begins)
    assert (batch.rows, batch.reaches, batch.more) == ([], begins, False)
    listener = stage.listen(begins)
    stage.sheet.put(9, 11, settle=False)
    await stage.turn(POLL_S)
    stage.sheet.settled_us = T0_US + 12
    await stage.turn(POLL_S)
    assert listener.keys == ["k1"]
    await listener.hang_up()


async def test_a_record_that_is_larger_than_what_is_kept_is_shared_all_the_same() -> None:
    """The newest batch is always there: not everybody has to fetch it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.query.tail_stage.ROW_BYTES", 5 * MIB)
        stage = Stage()
        listeners = [stage.listen() for _ in range(3)]
        await stage.turn()
        stage.sheet.asked.clear()
        stage.sheet.put(10)
        await stage.turn(POLL_S)
        assert [listener.keys for listener in listeners] == [["k0"]] * 3
        assert len(stage.sheet.asked) == 1
        for listener in listeners:
            await listener.hang_up()


def test_what_was_found_is_forgotten_once_something_was_erased() -> None:
    """A subscriber that stands before it reads by itself, and finds the erased record no more."""
    begins, reaches = Position(T0_US, ""), Position(T0_US + 10, "")
    recent = Recent(begins, None, max_rows=10, max_bytes=1_000)
    recent.add(Batch([], begins, reaches))
    recent.clear()
    assert (recent.begins, recent.reaches) == (reaches, reaches)
    assert not recent.holds(begins)
    assert recent.holds(reaches)
    assert recent.behind(begins) is None

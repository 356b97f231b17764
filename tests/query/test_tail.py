"""What the subscribers of a tail are sent, and what that asks of the store."""

import pytest

from app.stores.query import Position
from tests.contract.stores import T0_US
from tests.query.tail_stage import BEGIN, POLL_S, Stage, place_of


def at(stamp_us: int) -> Position:
    """Return the place before everything of an instant after T0_US."""
    return Position(T0_US + stamp_us, "")


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
    """Time passes without a query, and a new row is found all the same."""
    stage.sheet.number = 0
    listener = stage.listen()
    await stage.turn(POLL_S)
    stage.sheet.asked.clear()
    stage.sheet.settled_us += 1_000
    await stage.turn(20 * POLL_S)
    assert stage.sheet.asked == []
    (place,) = stage.sheet.put(2_000)
    await stage.turn(2 * POLL_S)
    assert [begins for begins, _ in stage.sheet.asked] == [BEGIN]
    assert [place_of(event.id) for event in listener.events] == [place]
    await listener.hang_up()


async def test_equal_tails_share_one_read_and_what_it_writes(stage: Stage) -> None:
    """A hundred cost the store as much as one, and each row is written once."""
    listeners = [stage.listen() for _ in range(100)]
    await stage.turn()
    stage.sheet.asked.clear()
    stage.sheet.put(10)
    await stage.turn(POLL_S)
    assert len(stage.sheet.asked) == 1
    assert {len(listener.keys) for listener in listeners} == {1}
    assert len({id(listener.pieces[-1]) for listener in listeners}) == 1
    for listener in listeners:
        await listener.hang_up()


async def test_tails_that_were_opened_since_the_last_row_share_what_they_read(stage: Stage) -> None:
    """Thirty that began at instants of their own kept a copy each of a large record."""
    stage.sheet.number = 0
    listeners = []
    for _ in range(5):
        stage.sheet.settled_us += 1_000
        listeners.append(stage.listen(at(stage.sheet.settled_us - T0_US)))
        await stage.turn()
    (place,) = stage.sheet.put(10_000)
    await stage.turn(POLL_S)
    assert [len(listener.keys) for listener in listeners] == [1] * 5
    assert len({id(listener.pieces[-1]) for listener in listeners}) == 1
    late = stage.listen(Position(place.ingest_us + 1, ""))
    await stage.turn(POLL_S)
    assert late.keys == []
    for listener in (*listeners, late):
        await listener.hang_up()


async def test_the_last_tail_ends_the_query_that_it_waits_for(stage: Stage) -> None:
    """Nobody asks the store for nobody."""
    one, other = stage.listen(), stage.listen()
    await stage.turn()
    await one.hang_up()
    stage.sheet.answers.clear()
    stage.sheet.settled_us += 1
    await stage.turn(POLL_S)
    assert stage.sheet.given_up == 0
    await other.hang_up()
    assert stage.sheet.given_up == 1
    asked = len(stage.sheet.asked)
    await stage.turn(10 * POLL_S)
    assert len(stage.sheet.asked) == asked


async def test_a_slow_tail_takes_no_memory_and_loses_nothing() -> None:
    """What it did not take in time is dropped; when it reads again, it fetches that itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.query.answer.tail.MAX_LIMIT", 2)
        stage = Stage()
        slow, quick = stage.listen(), stage.listen()
        await stage.turn()
        slow.reads.clear()
        for number in range(30):
            stage.sheet.put(10 + number)
            await stage.turn(POLL_S)
        everything = [f"k{number}" for number in range(30)]
        assert quick.keys == everything
        assert slow.keys == []
        slow.read()
        for _ in range(4):
            await stage.turn()
        assert slow.keys == everything
        stage.sheet.put(100)
        await stage.turn(POLL_S)
        assert slow.keys == quick.keys == [*everything, "k30"]
        await slow.hang_up()
        await quick.hang_up()


@pytest.mark.parametrize("begins", [at(10), Position(T0_US + 10, "k")])
async def test_a_place_before_which_this_instance_is_not_settled_stays(stage: Stage, begins: Position) -> None:
    """Instances' clocks differ, and a cursor may come from one that is ahead."""
    listener = stage.listen(begins)
    stage.sheet.put(9, 11, settle=False)
    await stage.turn(POLL_S)
    assert (listener.place, listener.keys, stage.sheet.asked) == (begins, [], [])
    stage.sheet.settled_us = T0_US + 12
    await stage.turn(POLL_S)
    assert listener.keys == ["k1"]
    await listener.hang_up()


async def test_what_was_read_is_not_shared_any_more_once_something_was_erased(stage: Stage) -> None:
    """Who stands before it reads again, and finds the erased record no more."""
    for erases in (False, True):
        first = stage.listen()
        await stage.turn()
        (place,) = stage.sheet.put(10)
        await stage.turn(POLL_S)
        assert first.keys == ["k0"]
        if erases:
            stage.sheet.rows = [row for row in stage.sheet.rows if row["delivery_key"] != place.delivery_key]
            stage.generation += 1
        late = stage.listen()
        await stage.turn()
        assert late.keys == ([] if erases else ["k0"])
        for listener in (first, late):
            await listener.hang_up()
        stage.__init__()  # type: ignore[misc] # a new one


async def test_no_row_is_skipped_that_came_while_the_horizon_was_looked_at(stage: Stage) -> None:
    """The store's version is known before the horizon, and asked again behind it: only then are equal ones enough."""
    stage.sheet.number = 0
    horizon_us, hidden = stage.sheet.horizon_us, True

    def looking() -> int:
        """Store a row that the horizon does not cover yet, after it was looked at."""
        nonlocal hidden
        found_us = horizon_us()
        if hidden:
            hidden = False
            stage.sheet.put(10)
        return found_us

    stage.sheet.horizon_us = looking  # type: ignore[method-assign] # as a store of which another task asks
    listener = stage.listen()
    await stage.turn(POLL_S)
    assert (hidden, listener.keys) == (False, ["k0"])
    await listener.hang_up()

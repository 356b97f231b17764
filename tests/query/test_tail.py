"""What the subscribers of a tail are sent, what that asks of the store, and when it ends."""

import pytest

from app.query.answer.tail import PING_S
from app.stores.query import Position
from app.stores.source import StoreUnavailableError
from tests.contract.stores import T0_US
from tests.query.tail_stage import BEGIN, POLL_S, Stage, place_of


def at(stamp_us: int) -> Position:
    """Return the place before everything of an instant after T0_US."""
    return Position(T0_US + stamp_us, "")


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


async def test_a_quiet_stream_pings_and_tells_how_far_it_came(stage: Stage) -> None:
    """With a cursor where the horizon moved, without where it stands; and only where nothing else was said."""
    listener = stage.listen()
    await stage.turn(PING_S - 1)
    assert listener.source.comments == []
    stage.sheet.put(5)
    await stage.turn(1)
    assert listener.keys == ["k0"]
    stage.sheet.settled_us = T0_US + 1_000
    await stage.turn(PING_S)
    assert listener.source.comments == ["ping"]
    assert place_of(listener.source.last_event_id) == at(1_000)
    told = len(listener.pieces)
    await stage.turn(PING_S)
    assert listener.pieces[told:] == [b": ping\n\n"]
    assert len(listener.events) == 1
    await listener.hang_up()


async def test_a_stream_ends_itself_and_says_where() -> None:
    """After its time, with the cursor to go on from."""
    stage = Stage(tail_max_s=20)
    listener = stage.listen()
    await stage.turn(19)
    stage.sheet.settled_us = T0_US + 10
    await stage.turn(2)
    assert listener.has_ended()
    (end,) = listener.events
    assert (end.name, end.data, place_of(end.id)) == ("end", {"reason": "time"}, at(10))


@pytest.mark.parametrize("horizon", [at(1), at(3_600_000_000)])
async def test_a_stopping_service_ends_streams_at_once(stage: Stage, horizon: Position) -> None:
    """Also those that wait for a query of their own."""
    stage.sheet.settled_us = horizon.ingest_us
    stage.sheet.answers.clear()
    listener = stage.listen()
    await stage.turn()
    stage.stopping.set()
    await stage.turn()
    assert listener.has_ended()
    (end,) = listener.events
    assert (end.name, end.data, place_of(end.id)) == ("end", {"reason": "stopping"}, BEGIN)
    assert stage.sheet.given_up >= 1


async def test_a_failure_ends_streams_with_the_problem(stage: Stage) -> None:
    """Clients come back as late as it says, where they were."""
    stage.sheet.failure = StoreUnavailableError("no table")
    listener = stage.listen()
    await stage.turn()
    stage.sheet.put(5)
    await stage.turn(POLL_S)
    assert listener.has_ended()
    (error,) = listener.events
    assert (error.name, error.data["code"], error.data["retry_after_s"]) == ("error", "store_unavailable", 30)
    assert (place_of(error.id), listener.source.retry_ms) == (BEGIN, 30_000)
    stage.sheet.failure = None
    again = stage.listen(listener.place)
    await stage.turn(POLL_S)
    assert again.keys == ["k0"]
    await again.hang_up()
    assert stage.is_idle

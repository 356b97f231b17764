"""When a tail says that there is nothing, when it ends, and what comes of a store that fails."""

import pytest

from app.query.answer.tail import PING_S
from app.stores.query import Position
from app.stores.source import StoreUnavailableError
from tests.contract.stores import T0_US
from tests.query.tail_stage import BEGIN, POLL_S, Stage, place_of
from tests.query.test_tail import at


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

"""What a body is charged for while it arrives, and what becomes of it when the service stops."""

import asyncio
from typing import Any

import pytest

from app.http.problems import ProblemError
from tests.ingest.scripted import turns
from tests.ingest.test_intake import Door, chunk, events


async def test_each_part_is_charged_when_it_arrives() -> None:
    """A body that says nothing of its length counts as soon as it is here, before it is whole."""
    door, more = Door(), asyncio.Event()

    async def receive() -> dict[str, Any]:
        await more.wait()
        more.clear()
        return chunk(b"x" * 30)

    reading = door.reading(receive)
    await turns()
    assert door.held == (1, 0, 1)
    for held in (30, 60, 90):
        more.set()
        await turns()
        assert door.held == (1, held, 1)
    reading.cancel()
    await asyncio.wait([reading])
    assert door.held == (0, 0, 0)


async def test_a_part_for_which_there_is_no_room_is_429_and_what_came_before_is_given_back() -> None:
    """Uploads without a length cannot come to more than may be in flight."""
    door = Door()
    door.intake.ledger.max_bytes = door.intake.ledger.max_bytes_of_one = 100
    held = door.reading(events(chunk(b"x" * 60)), caller="b")
    await turns()
    with pytest.raises(ProblemError) as raised:
        await door.reading(events(chunk(b"x" * 40), chunk(b"x")))
    assert (raised.value.status, raised.value.code) == (429, "busy")
    assert door.held == (1, 60, 1)
    held.cancel()


async def test_announced_bodies_that_do_not_come_leave_room_for_those_of_others() -> None:
    """Ten requests with a Content-Length and nothing behind it were enough to have every push refused."""
    door = Door()
    silent = [door.reading(events(), declared=100, caller="greedy") for _ in range(20)]
    await turns()
    assert door.held == (20, 0, 20)
    for _ in range(20):
        body, reservation = await door.reading(events(chunk(b"x" * 100, more=False)), declared=100, caller="modest")
        assert len(body) == 100
        reservation.release()
    for each in silent:
        each.cancel()


async def test_a_stalled_body_has_less_time_while_room_is_short() -> None:
    """One that begins when half of it is taken gives its own back sooner."""
    door = Door(message_bytes=250)
    patient = [door.reading(events(), caller=name) for name in "ab"]
    await turns()
    hurried = door.reading(events(), caller="c")
    await door.clock.advance(5)
    with pytest.raises(ProblemError, match="not complete after 5 s"):
        hurried.result()
    assert [each.done() for each in patient] == [False, False]
    for each in patient:
        each.cancel()


async def test_a_body_that_is_arriving_when_the_service_stops_may_still_arrive() -> None:
    """One that does not within a quarter of the grace is answered 503, as a request that came later would be."""
    door, rest = Door(), asyncio.Event()

    async def receive() -> dict[str, Any]:
        await rest.wait()
        return chunk(b"x", more=False)

    stalled, arriving = door.reading(events(chunk(b"x"))), door.reading(receive)
    await turns()
    stopping = asyncio.create_task(door.intake.drain(8.0))
    await door.clock.advance(1)
    with pytest.raises(ProblemError, match="shutting down"):
        await door.reading(events())
    rest.set()
    body, reservation = await arriving
    assert (body, stalled.done()) == (b"x", False)
    await door.clock.advance(1.1)
    with pytest.raises(ProblemError, match="shutting down"):
        await stalled
    assert not stopping.done(), "a message that is here may be answered until the end of the grace"
    reservation.release()
    await door.clock.advance(0.1)
    assert stopping.done()

"""The error matrix: connections opened under load, and what waits for room."""

import asyncio

from app.ingest.verdict import Durable
from app.ingest.write.batching import BatchLimits
from app.stores.bigquery.connections import MAX_REQUESTS
from app.stores.sink import Stored, Uncertain
from sluice.testing.misbehaving.faults import Fault, Freeze, Silence, by_connection
from sluice.testing.misbehaving.waiting import until
from tests.ingest.scripted import turns
from tests.stores.bigquery.rig import APPEND_DEADLINE_S, Rig, rigged

# A batch that is not full waits while four are under way, so more than one connection takes full ones.
SINGLE = BatchLimits(max_rows=1, max_bytes=1_000_000)
BIG = BatchLimits(max_rows=500, max_bytes=20_000_000)


async def test_connections_are_opened_when_those_there_are_saturated() -> None:
    """When each has as many requests in flight as it may; each has a TCP connection and a writer schema of its own."""
    async with rigged(max_connections=3, limits=SINGLE) as rig:
        rig.server.decide = lambda _: Fault(answer_gate="load")
        messages = [await rig.sent(f"m{number}") for number in range(3 * MAX_REQUESTS)]
        taken = [arrival.connection for arrival in rig.server.arrivals]
        assert taken == [connection for connection in (1, 2, 3) for _ in range(MAX_REQUESTS)]
        assert [len(stream.descriptors) for stream in rig.server.streams] == [1, 1, 1]
        assert len(rig.server.wire.open_links) == 3
        waiting = rig.send("late")
        await turns()
        assert rig.writer.waiting == 1
        rig.server.gate("load").set()
        assert await rig.told(*messages, waiting) == [Durable()] * (len(messages) + 1)
        assert rig.server.open_streams == 3


async def test_bytes_in_flight_wait_for_room() -> None:
    """Ten megabytes on a connection: the third request waits for an answer rather than piling up."""
    async with rigged(limits=BIG) as rig:
        rig.server.decide = lambda arrival: Fault(answer_gate=arrival.ids[0])
        first, second = await rig.sent("a", padding=4_000_000), await rig.sent("b", padding=4_000_000)
        third = rig.send("c", padding=4_000_000)
        await turns(100)
        assert len(rig.server.arrivals) == 2
        rig.server.gate("a").set()
        assert await rig.told(first) == [Durable()]
        await rig.arrived(3)
        rig.server.gate("b").set()
        rig.server.gate("c").set()
        assert await rig.told(second, third) == [Durable(), Durable()]


async def test_appends_that_wait_for_room_are_not_forgotten_when_others_give_up() -> None:
    """A connection dies with one request on it and two waiting behind: all three are sent again and told."""
    async with rigged(limits=BIG) as rig:
        rig.server.decide = by_connection([Fault(stores=False, answer=Silence())])
        first = await rig.sent("a", padding=9_000_000)
        second = rig.send("b", padding=9_000_000)
        await turns(100)
        third = rig.send("c", padding=9_000_000)
        await turns(100)
        assert len(rig.server.arrivals) == 1
        await rig.clock.advance(APPEND_DEADLINE_S)
        assert await rig.told_later(first, second, third) == [Durable()] * 3
        assert set(rig.stored) == {"a", "b", "c"}


async def test_waiting_appends_given_up_at_one_moment_leave_the_rest_its_turn() -> None:
    """One on the connection and one in line behind it end together; the next in line is sent all the same."""
    async with rigged(limits=BIG) as rig:
        rig.server.decide = by_connection([Fault(answer=Silence())])
        rows = [rig.row(name, 0, name, 9_000_000) for name in ("a", "b", "c")]
        appends = []
        for row in rows:
            appends.append(asyncio.create_task(rig.appender.append([row])))
            await turns(100)
        await rig.arrived(1)
        appends[0].cancel()
        appends[1].cancel()
        await until(appends[2].done)
        assert appends[2].result() == Stored()
        assert rig.server.arrivals[-1].ids == ("c",)
        ended = await asyncio.gather(*appends, return_exceptions=True)
        assert [type(each) for each in ended] == [asyncio.CancelledError, asyncio.CancelledError, Stored]
        rig.sent_apart.update(("a", "b", "c"))


async def test_one_dead_connection_of_several_does_not_stop_the_others() -> None:
    """Half-open: its messages are sent again elsewhere after the append deadline; the others never wait."""
    async with rigged(max_connections=2, limits=SINGLE) as rig:
        frozen = [Fault(stores=False, answer=Freeze())] * MAX_REQUESTS
        rig.server.decide = by_connection(frozen)
        stuck = [await rig.sent("stuck0")]
        for number in range(1, MAX_REQUESTS):
            stuck.append(rig.send(f"stuck{number}"))
            await turns()
        quick = [await rig.sent(f"quick{number}") for number in range(3)]
        assert {arrival.connection for arrival in rig.server.arrivals[1:]} == {2}
        assert await rig.told(*quick) == [Durable()] * 3
        assert not any(message.is_told for message in stuck)
        await rig.clock.advance(APPEND_DEADLINE_S)
        assert await rig.told_later(*stuck) == [Durable()] * len(stuck)
        assert {row for row in rig.stored if row.startswith("stuck")} == {message.name for message in stuck}


async def test_appends_that_wait_for_room_are_told_when_the_service_ends(rig: Rig) -> None:
    """They are Uncertain at once, and no connection is opened for them."""
    rig.server.decide = lambda _: Fault(answer_gate="load")
    rows = [rig.row(f"m{number}", 0, f"m{number}", 0) for number in range(MAX_REQUESTS + 2)]
    rig.sent_apart.update(f"m{number}" for number in range(MAX_REQUESTS + 2))
    appends = [asyncio.create_task(rig.appender.append([row])) for row in rows]
    await rig.arrived(MAX_REQUESTS)
    await rig.appender.close()
    outcomes = await asyncio.gather(*appends, rig.appender.append(rows[:1]))
    assert [type(outcome) for outcome in outcomes] == [Uncertain] * (MAX_REQUESTS + 3)
    assert len(rig.server.streams) == 1

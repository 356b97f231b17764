"""The error matrix: connections opened under load, closed when idle, and what happens around both."""

import asyncio

import pytest

from app.ingest.verdict import Durable, Unavailable
from app.ingest.write.batching import BatchLimits
from app.stores.bigquery.connections import MAX_REQUESTS
from app.stores.sink import SinkState, Stored, Uncertain
from sluice.testing.misbehaving.faults import Fault, Freeze, Silence, by_connection, in_turn
from sluice.testing.misbehaving.waiting import until
from tests.ingest.scripted import turns
from tests.stores.bigquery.rig import APPEND_DEADLINE_S, Rig, rigged

# A batch that is not full waits while four are under way, so more than one connection takes full ones.
SINGLE = BatchLimits(max_rows=1, max_bytes=1_000_000)
BIG = BatchLimits(max_rows=500, max_bytes=20_000_000)
IDLE_S, EXTRA_IDLE_S, SERVER_IDLE_S = 540, 60, 600


def all_closed(rig: Rig) -> bool:
    """Say whether no TCP connection is left."""
    return not rig.server.open_streams and not rig.server.wire.open_links


async def saturate(rig: Rig) -> None:
    """Keep a second connection busy for once."""
    rig.server.decide = lambda _: Fault(answer_gate="load")
    messages = [await rig.sent(f"load{number}") for number in range(MAX_REQUESTS + 1)]
    assert rig.server.open_streams == 2
    rig.server.gate("load").set()
    assert await rig.told(*messages) == [Durable()] * len(messages)
    rig.server.decide = lambda _: Fault()


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


async def test_a_connection_that_load_had_called_for_is_closed_when_idle() -> None:
    """After a minute; the first one stays."""
    async with rigged(max_connections=2, limits=SINGLE) as rig:
        await saturate(rig)
        await rig.clock.advance(EXTRA_IDLE_S - 1)
        assert rig.server.open_streams == 2
        await rig.clock.advance(2)
        await until(lambda: rig.server.open_streams == 1)
        assert await rig.told(rig.send("b")) == [Durable()]
        assert rig.server.arrivals[-1].connection == 1


async def test_the_last_connection_is_closed_before_bigquery_does(rig: Rig) -> None:
    """At 540 s of silence; the next message finds a fresh connection and nobody hears of it."""
    rig.server.idle_close_s = SERVER_IDLE_S
    assert await rig.told(rig.send("a")) == [Durable()]
    await rig.clock.advance(IDLE_S - 1)
    assert rig.server.open_streams == 1
    await rig.clock.advance(2)
    await until(lambda: rig.server.open_streams == 0)
    assert await rig.told(rig.send("b")) == [Durable()]
    assert rig.stored == {"a": 1, "b": 1}
    assert len(rig.server.streams) == 2


async def test_an_idle_connection_that_bigquery_closes_costs_nobody_anything(rig: Rig) -> None:
    """Closed early, while nothing is in flight: the next append goes on a fresh one, once."""
    rig.server.idle_close_s = 100
    assert await rig.told(rig.send("a")) == [Durable()]
    await rig.clock.advance(101)
    await until(lambda: all_closed(rig))
    assert await rig.told(rig.send("b")) == [Durable()]
    assert rig.stored == {"a": 1, "b": 1}
    assert rig.stands() is SinkState.ACTIVE


async def test_an_append_that_crosses_the_close_of_its_idle_connection_is_sent_again(rig: Rig) -> None:
    """The request is on its way while the server closes: at most one copy more."""
    assert await rig.told(rig.send("a")) == [Durable()]
    rig.server.wire.open_links[0].cut()
    message = rig.send("b")
    assert await rig.told_later(message) == [Durable()]
    assert rig.stored["b"] in {1, 2}


async def test_a_request_under_way_keeps_its_connection_from_being_idle(rig: Rig) -> None:
    """Answers in a burst leave one idle time behind, not several: a later request is not cut off by an earlier one."""
    rig.server.decide = in_turn(Fault(answer_gate="burst"))
    messages = [await rig.sent(name) for name in "abc"]
    rig.server.gate("burst").set()
    assert await rig.told(*messages) == [Durable()] * 3
    await rig.clock.advance(IDLE_S - 5)
    rig.server.decide = in_turn(Fault(answer_gate="held"))
    late = await rig.sent("d")
    await rig.clock.advance(8)
    rig.server.gate("held").set()
    assert await rig.told(late) == [Durable()]
    assert rig.stored == {"a": 1, "b": 1, "c": 1, "d": 1}
    assert len(rig.server.streams) == 1


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


async def test_retired_connections_do_not_pile_up(rig: Rig) -> None:
    """A store that never answers costs one connection at a time, however long it lasts."""
    rig.server.decide = lambda _: Fault(stores=False, answer=Silence())
    for name in ("a", "b", "c"):
        (told,) = await rig.told_later(rig.send(name), step_s=0.2)
        assert isinstance(told, Unavailable)
        assert rig.server.open_streams <= 2
    assert len(rig.server.streams) >= 6


@pytest.mark.parametrize("stream_count", [1, 2])
async def test_closing_leaves_nothing_open(stream_count: int) -> None:
    """Every stream and every TCP connection is gone."""
    async with rigged(max_connections=stream_count, limits=SINGLE) as rig:
        rig.server.decide = lambda _: Fault(answer_gate="load")
        messages = [await rig.sent(f"m{number}") for number in range(MAX_REQUESTS * stream_count)]
        assert rig.server.open_streams == stream_count
        await rig.close()
        await until(lambda: all_closed(rig))
        assert [type(told) for told in await rig.told(*messages)] == [Unavailable] * len(messages)


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

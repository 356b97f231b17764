"""The error matrix: acknowledgements that are late or lost, connections that end or die, and what waits for room."""

import asyncio

import pytest

from app.ingest.verdict import Durable
from app.ingest.write.batching import BatchLimits
from app.stores.bigquery.connection import MAX_REQUESTS
from app.stores.sink import SinkState, Stored, Uncertain
from sluice.testing.misbehaving import faults
from sluice.testing.misbehaving.faults import Answer, Cut, EndStream, Fault, Freeze, Silence, by_connection, in_turn
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


INTERNAL = EndStream("INTERNAL", "Internal error encountered.")
ENDINGS = [faults.DRAINING, faults.RESTARTED, faults.OVERLOADED, INTERNAL, EndStream("OK"), Cut()]


@pytest.mark.parametrize(
    ("answer", "stores", "streams"),
    [*((end, stores, 2) for end in ENDINGS for stores in (True, False)), (faults.INTERNAL, False, 1)],
    ids=repr,
)
async def test_an_append_without_an_acknowledgement_is_sent_again(
    rig: Rig, answer: Answer, streams: int, *, stores: bool
) -> None:
    """If it was stored, there is a second copy. An error in an answer, unlike an end, keeps the connection."""
    rig.server.decide = in_turn(Fault(stores=stores, answer=answer))
    message = await rig.sent("a")
    assert await rig.told_later(message) == [Durable()]
    assert rig.stored == {"a": 1 + stores}
    assert len(rig.server.streams) == streams
    assert rig.stands() is SinkState.ACTIVE


async def test_a_stream_that_ends_with_several_in_flight_costs_none_of_them(rig: Rig) -> None:
    """Whether stored or not, all of them are sent again, and each is told of its own."""
    first = [Fault(answer_gate="end", answer=faults.DRAINING), Fault(), Fault(stores=False), Fault()]
    rig.server.decide = by_connection(first)
    messages = [await rig.sent(name) for name in "abcd"]
    await until(lambda: rig.stored == {"a": 1, "b": 1, "d": 1})
    rig.server.gate("end").set()
    assert await rig.told_later(*messages) == [Durable()] * 4
    assert rig.stored == {"a": 2, "b": 2, "c": 1, "d": 2}
    assert len(rig.server.streams) == 2


@pytest.mark.parametrize("stores", [True, False])
@pytest.mark.parametrize("answer", [Silence(), Freeze()], ids=["silent", "half-open"])
async def test_an_append_without_an_answer_is_sent_again_elsewhere(rig: Rig, answer: Answer, stores: bool) -> None:  # noqa: FBT001 - a parameter
    """After the append deadline, on a fresh connection; the old one takes nothing more."""
    rig.server.decide = by_connection([Fault(stores=stores, answer=answer)])
    message = await rig.sent("a")
    await rig.clock.advance(APPEND_DEADLINE_S - 0.1)
    assert len(rig.server.arrivals) == 1
    assert await rig.told_later(message) == [Durable()]
    assert rig.stored == {"a": 2 if stores else 1}
    assert [arrival.connection for arrival in rig.server.arrivals] == [1, 2]
    assert await rig.told(await rig.sent("b")) == [Durable()]
    assert rig.server.arrivals[-1].connection == 2


async def test_a_connection_that_thaws_late_answers_nobody(rig: Rig) -> None:
    """The acknowledgement of the first attempt comes after the second attempt: it is nobody's."""
    rig.server.decide = by_connection([Fault(answer_gate="first")], [Fault(answer_gate="second")])
    message = await rig.sent("a")
    link = rig.server.wire.open_links[0]
    link.freeze()
    rig.server.gate("first").set()
    await rig.clock.advance(APPEND_DEADLINE_S)
    await rig.arrived_later(2)
    link.thaw()
    other = await rig.sent("b")
    assert not message.is_told
    assert not other.is_told
    rig.server.gate("second").set()
    assert await rig.told(message, other) == [Durable(), Durable()]
    assert rig.stored == {"a": 2, "b": 1}

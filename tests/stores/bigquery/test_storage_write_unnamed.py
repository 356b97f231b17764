"""The error matrix: answers that do not say which request, message or row they are about."""

import pytest

from app.ingest.verdict import Durable, Unavailable
from app.ingest.write.batching import BatchLimits
from app.stores.bigquery.connections import ALONE_US
from app.stores.sink import SinkState
from sluice.testing.misbehaving.faults import Arrival, EndStream, Fault, Listing, Refuse, Remark, in_turn, not_stored
from sluice.testing.misbehaving.waiting import advance_until
from tests.ingest.scripted import turns
from tests.stores.bigquery.rig import Rig, rigged

INVALID = "Request contains an invalid argument."
ENDS = [
    EndStream("INVALID_ARGUMENT", INVALID),
    EndStream("INVALID_ARGUMENT", "AppendRows request too large: 11 limit 10"),
]
WHOLE_TABLE = "Cannot append to this kind of table."
BIG = BatchLimits(max_rows=5_000, max_bytes=9_000_000)


def end_over(rig: Rig, end: EndStream) -> None:
    """Let each request with the row "odd" end its stream at once; on the first, the others are never answered."""
    rig.server.is_bad = lambda row_id: row_id == "odd"

    def decide(arrival: Arrival) -> Fault:
        if "odd" in arrival.ids:
            return Fault(stores=False, answer=end, at_once=True)
        return Fault(answer_gate="never") if arrival.connection == 1 else Fault()

    rig.server.decide = decide


@pytest.mark.parametrize("end", ENDS, ids=["invalid", "too large"])
@pytest.mark.parametrize("position", [0, 1, 2])
async def test_a_stream_that_ends_over_one_of_several_requests_rejects_only_that_one(
    rig: Rig, position: int, end: EndStream
) -> None:
    """Sent one at a time it shows which; the store names no row of it, so its next delivery is rejected whole."""
    end_over(rig, end)
    messages = [await rig.sent(f"before{number}") for number in range(position)]
    messages.append(rig.send("m", "mate", "odd"))
    for number in range(2 - position):
        await turns()  # so that it gets a request of its own
        messages.append(rig.send(f"behind{number}"))
    told = dict(zip((message.name for message in messages), await rig.told_later(*messages), strict=True))
    refused = told.pop("m")
    assert [*told.values()] == [Durable()] * 2
    if end is ENDS[0]:
        assert isinstance(refused, Unavailable)
        assert await rig.told_later(rig.send("later")) == [Durable()]
        assert await rig.told_later(rig.send("m", "mate", "odd")) == [Durable()]
    assert rig.rejected == (["mate", "odd"] if end is ENDS[0] else ["odd"]), "for their size, rows are halved"
    assert set(rig.stored) - {"mate", "later"} == set(told)
    assert rig.stands() is SinkState.ACTIVE


async def test_after_an_end_that_is_about_one_of_several_each_connection_carries_one_at_a_time(rig: Rig) -> None:
    """For a minute, so that the next end can be about only one; then requests share connections again."""
    end_over(rig, ENDS[0])
    first = await rig.told_later(await rig.sent("a"), await rig.sent("m", "odd"))
    assert first[0] == Durable()
    alone_until_us = rig.clock.elapsed_us() + ALONE_US
    rig.server.decide = lambda arrival: Fault(answer_gate=str(arrival.ordinal))
    arrived = len(rig.server.arrivals)
    messages = []
    for number in range(3):
        messages.append(rig.send(f"m{number}"))
        await turns(100)
        await rig.clock.advance(0.2)  # appends keep a distance
    for number, message in enumerate(messages, arrived + 1):
        await rig.arrived(number)
        await rig.clock.advance(1)
        assert len(rig.server.arrivals) == number, "the others wait for their turn"
        rig.server.gate(str(number)).set()
        assert await rig.told(message) == [Durable()]
    await advance_until(rig.clock, lambda: rig.clock.elapsed_us() >= alone_until_us, step_s=1)
    together = []
    for number in range(3):
        together.append(rig.send(f"n{number}"))
        await turns(100)
        await rig.clock.advance(0.2)  # answers took a second, so appends keep a distance
        await rig.arrived(arrived + 4 + number)
    assert not any(message.is_told for message in together)
    for number in range(arrived + 4, arrived + 7):
        rig.server.gate(str(number)).set()
    assert await rig.told(*together) == [Durable()] * 3


@pytest.mark.parametrize("stores", [False, True])
@pytest.mark.parametrize("updated_schema", [False, True])
async def test_a_response_that_says_nothing_of_a_request_acknowledges_nothing(
    rig: Rig, *, updated_schema: bool, stores: bool
) -> None:
    """Whom the next answers would be for cannot be known: the stream is ended, and everything in flight sent again."""
    rig.server.decide = in_turn(
        Fault(stores=stores, answer_gate="said", answer=Remark(updated_schema=updated_schema)), Fault(stores=False)
    )
    first, second = await rig.sent("a"), await rig.sent("b")
    rig.server.gate("said").set()
    assert await rig.told_later(first, second) == [Durable()] * 2
    assert rig.stored == {"a": 1 + stores, "b": 1}
    assert {arrival.connection for arrival in rig.server.arrivals[2:]} == {2}
    assert rig.looks == updated_schema
    assert rig.stands() is SinkState.ACTIVE


async def test_a_table_that_refuses_every_row_without_naming_one_costs_no_row(rig: Rig) -> None:
    """Different messages are refused, each alone, and none is stored: it is the table, until it stores one again."""
    rig.server.is_bad = lambda row_id: row_id.startswith("odd")
    rig.server.decide = lambda _: not_stored(Refuse("INVALID_ARGUMENT", WHOLE_TABLE))
    told = await rig.told_later(*[rig.send(f"odd{number}") for number in range(50)])
    assert rig.rejected == []
    assert {each.retry_after_s for each in told if isinstance(each, Unavailable)} == {30}
    assert len(rig.server.arrivals) < 120
    assert rig.stands() is SinkState.SCHEMA_MISMATCH
    assert WHOLE_TABLE in rig.writer.health.detail
    await rig.clock.advance(30)
    assert isinstance((await rig.told(rig.send("odd-again")))[0], Unavailable)
    assert rig.rejected == []
    await rig.clock.advance(60)
    rig.server.decide = lambda _: Fault(listing="empty")
    assert await rig.told(rig.send("a"), rig.send("odd-later")) == [Durable()] * 2
    assert rig.stands() is SinkState.ACTIVE
    assert rig.rejected == ["odd-later"], "a lone bad message is rejected again"


@pytest.mark.parametrize("listing", ["empty", "out of range"])
async def test_messages_refused_without_a_row_being_named_are_rejected_however_many_there_come(
    rig: Rig, listing: Listing
) -> None:
    """As long as the table stores messages between them, it is the messages."""
    rig.server.decide = lambda _: Fault(listing=listing)
    for number in range(6):
        assert await rig.told(rig.send(f"m{number}", f"bad{number}"), rig.send(f"good{number}")) == [Durable()] * 2
    assert rig.rejected == [f"bad{number}" for number in range(6)]
    assert len(rig.stored) == 6
    assert rig.stands() is SinkState.ACTIVE


async def test_a_rows_own_error_that_speaks_of_a_schema_stays_the_rows() -> None:
    """What a row holds may be quoted to us: a producer's word does not stop the table."""
    quoted = not_stored(Refuse("INVALID_ARGUMENT", 'Field data: value {"schema": 1} cannot be converted'))
    async with rigged() as rig:
        rig.server.is_bad = lambda row_id: row_id == "odd"
        rig.server.decide = lambda arrival: quoted if "odd" in arrival.ids else Fault()
        messages = [rig.send("odd"), *[rig.send(f"m{number}") for number in range(20)]]
        assert await rig.told(*messages) == [Durable()] * 21
        assert rig.rejected == ["odd"]
        assert len(rig.stored) == 20
        assert rig.stands() is SinkState.ACTIVE


@pytest.mark.parametrize(
    "order", [pytest.param(("good", "full"), id="before it"), pytest.param(("full", "good"), id="behind it")]
)
async def test_the_neighbour_of_a_message_full_of_unnamed_bad_rows_is_stored_at_once(order: tuple[str, str]) -> None:
    """It costs two or three appends, however many rows are bad."""
    async with rigged(limits=BIG) as rig:
        rig.server.decide = lambda _: Fault(listing="empty")
        ids = {"full": [f"bad{number}" for number in range(1_000)], "good": ["good"]}
        messages = {name: rig.send(name, *ids[name]) for name in order}
        assert await rig.told_later(messages["good"]) == [Durable()]
        assert [arrival.ids for arrival in rig.server.arrivals].index(("good",)) <= 2
        assert await rig.told_later(messages["full"]) == [Durable()]
        assert sorted(rig.rejected) == sorted(ids["full"]), "whole, once it has cost enough appends"
        assert len(rig.server.arrivals) <= 10
        assert rig.stands() is SinkState.ACTIVE

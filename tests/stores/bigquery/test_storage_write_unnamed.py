"""The error matrix: answers that do not say which request, message or row they are about."""

import pytest

from app.ingest.verdict import Durable, Unavailable
from app.stores.sink import SinkState
from sluice.testing.misbehaving.faults import Arrival, EndStream, Fault, Refuse, Remark, in_turn, not_stored
from tests.ingest.scripted import turns
from tests.stores.bigquery.rig import Rig

INVALID = "Request contains an invalid argument."
ENDS = [
    EndStream("INVALID_ARGUMENT", INVALID),
    EndStream("INVALID_ARGUMENT", "AppendRows request too large: 11 limit 10"),
]
WHOLE_TABLE = "Cannot append to this kind of table."


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


@pytest.mark.parametrize("stores", [False, True])
async def test_a_response_that_says_nothing_of_a_request_acknowledges_nothing(rig: Rig, *, stores: bool) -> None:
    """Whom the next answers would be for cannot be known: the stream is ended, and everything in flight sent again."""
    rig.server.decide = in_turn(Fault(stores=stores, answer_gate="said", answer=Remark()), Fault(stores=False))
    first, second = await rig.sent("a"), await rig.sent("b")
    rig.server.gate("said").set()
    assert await rig.told_later(first, second) == [Durable()] * 2
    assert rig.stored == {"a": 1 + stores, "b": 1}
    assert {arrival.connection for arrival in rig.server.arrivals[2:]} == {2}
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

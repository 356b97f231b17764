"""The error matrix: messages that are refused go on alone, and cost nobody else anything."""

import pytest

from app.ingest.verdict import Durable, Unavailable
from app.ingest.write.batching import BatchLimits
from app.stores.sink import SinkState
from sluice.testing.misbehaving.faults import Fault, Refuse, not_stored
from tests.stores.bigquery.rig import Rig, rigged

BIG = BatchLimits(max_rows=5_000, max_bytes=9_000_000)
UNNAMED = not_stored(Refuse("INVALID_ARGUMENT", "Request contains an invalid argument."))


@pytest.mark.parametrize("count", [100, 600])
async def test_hundreds_of_bad_rows_named_one_by_one_hold_up_nobody(count: int) -> None:
    """Their neighbours are told after the second append; the message itself is rejected when it has cost enough."""
    async with rigged(limits=BIG) as rig:
        rig.server.decide = lambda _: Fault(listing="incomplete")
        ids = [f"bad{number}" for number in range(count)]
        poison, neighbours = rig.send("poison", *ids), [rig.send(f"m{number}") for number in range(10)]
        assert await rig.told(*neighbours) == [Durable()] * 10
        assert sum("m0" in arrival.ids for arrival in rig.server.arrivals) == 2
        assert await rig.told(poison) == [Durable()]
        assert sorted(rig.rejected) == sorted(ids)
        assert len(rig.server.arrivals) < 40
        assert rig.stands() is SinkState.ACTIVE


async def test_a_lone_message_that_is_refused_is_rejected_after_three_deliveries(rig: Rig) -> None:
    """Four rows that are refused without being named stop nobody, and are not delivered for ever."""
    rig.server.is_bad = lambda row_id: row_id.startswith("odd")
    rig.server.decide = lambda arrival: UNNAMED if any(each.startswith("odd") for each in arrival.ids) else Fault()
    ids = [f"odd{number}" for number in range(4)]
    for _ in range(2):
        assert isinstance((await rig.told(rig.send("poison", *ids)))[0], Unavailable)
        assert rig.stands() is SinkState.ACTIVE
        await rig.clock.advance(10)
    assert rig.rejected == []
    assert await rig.told(rig.send("poison", *ids)) == [Durable()]
    assert sorted(rig.rejected) == ids
    assert await rig.told(rig.send("good")) == [Durable()]
    assert rig.stands() is SinkState.ACTIVE


async def test_a_refused_message_that_comes_again_has_no_neighbours(rig: Rig) -> None:
    """It is known, and sent alone from the start."""
    rig.server.is_bad = lambda row_id: row_id == "odd"
    rig.server.decide = lambda arrival: UNNAMED if "odd" in arrival.ids else Fault()
    assert isinstance((await rig.told(rig.send("poison", "odd")))[0], Unavailable)
    assert await rig.told(rig.send("other")) == [Durable()]
    first = len(rig.server.arrivals)
    assert await rig.told(rig.send("poison", "odd"), rig.send("good")) == [Durable()] * 2
    assert {arrival.ids for arrival in rig.server.arrivals[first:]} == {("odd",), ("good",)}
    assert rig.rejected == ["odd"]

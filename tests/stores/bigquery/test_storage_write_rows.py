"""The error matrix: rows that BigQuery refuses, however it lists them."""

import pytest

from app.ingest.verdict import Durable, Unavailable
from app.stores.sink import SetupError, SinkState
from sluice.testing.misbehaving.faults import Fault, Listing
from tests.stores.bigquery.rig import Rig


def always(rig: Rig, listing: Listing) -> None:
    """Let the server name bad rows so in every answer."""
    rig.server.decide = lambda _: Fault(listing=listing)


@pytest.mark.parametrize("listing", ["complete", "incomplete"])
async def test_exactly_the_bad_rows_are_rejected(rig: Rig, listing: Listing) -> None:
    """However many are listed, the good rows are stored once, and every message of the batch is told."""
    always(rig, listing)
    messages = [
        rig.send("a", "a1", "bad-a2", "a3"),
        rig.send("b", "b1", "b2"),
        rig.send("c", "bad-c1", "bad-c2"),
        rig.send("d", "d1", "d2", "bad-d3"),
    ]
    assert await rig.told(*messages) == [Durable()] * 4
    assert rig.stored == {"a1": 1, "a3": 1, "b1": 1, "b2": 1, "d1": 1, "d2": 1}
    assert sorted(rig.rejected) == ["bad-a2", "bad-c1", "bad-c2", "bad-d3"]
    assert len(rig.server.streams) == 1
    assert rig.stands() is SinkState.ACTIVE


@pytest.mark.parametrize("listing", ["empty", "out of range"])
async def test_a_message_with_an_unlisted_bad_row_is_found_by_halving(rig: Rig, listing: Listing) -> None:
    """One among 64 costs some fourteen appends; it is rejected whole, and the others are stored once."""
    always(rig, listing)
    messages = [rig.send(f"m{number}", f"r{number}", "bad" if number == 37 else f"s{number}") for number in range(64)]
    assert await rig.told(*messages) == [Durable()] * 64
    assert rig.rejected == ["r37", "bad"]
    assert len(rig.stored) == 126
    assert set(rig.stored.values()) == {1}
    assert len(rig.server.arrivals) <= 15
    assert rig.stands() is SinkState.ACTIVE


async def test_a_bad_row_whose_rejection_cannot_be_stored_is_not_acknowledged(rig: Rig) -> None:
    """The message comes back; those beside it in the batch are told that they are durable."""
    rig.rejects_verdict = Unavailable("the rejects are down", 1.0)
    poor, lucky = rig.send("a", "a1", "bad"), rig.send("b")
    told = await rig.told(poor, lucky)
    assert told == [Unavailable("the rejects are down", 1.0), Durable()]
    assert rig.stored["b"] == 1
    rig.rejects_verdict = Durable()
    assert await rig.told(rig.send("a", "a1", "bad")) == [Durable()]
    assert set(rig.stored) == {"a1", "b"}


async def test_before_rows_are_blamed_the_table_is_looked_at(rig: Rig) -> None:
    """Every row is refused because the table was changed: nothing is rejected, and the state says why."""
    rig.table = SetupError(SinkState.SCHEMA_MISMATCH, "column x is missing")
    message = rig.send("a", "a1", "bad1")
    (told,) = await rig.told(message)
    assert isinstance(told, Unavailable)
    assert rig.rejected == []
    assert rig.looks == 1
    assert rig.stands() is SinkState.SCHEMA_MISMATCH

"""The error matrix: rows that BigQuery refuses, however it lists them."""

import pytest

from app.ingest.verdict import Durable, Unavailable
from app.stores.sink import SetupError, SinkState
from sluice.testing.misbehaving import faults
from sluice.testing.misbehaving.faults import Fault, Listing, Refuse, in_turn, not_stored
from tests.stores.bigquery.rig import Rig

UNLISTED = not_stored(Refuse("INVALID_ARGUMENT", "Request contains an invalid argument."))


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


async def test_a_listed_row_costs_one_more_append(rig: Rig) -> None:
    """With the complete list the rest is stored at the second try."""
    message = rig.send("a", "a1", "bad", "a2")
    assert await rig.told(message) == [Durable()]
    assert [arrival.ids for arrival in rig.server.arrivals] == [("a1", "bad", "a2"), ("a1", "a2")]


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


async def test_a_batch_of_bad_rows_alone_stores_nothing(rig: Rig) -> None:
    """Durable means that the rejections are."""
    assert await rig.told(rig.send("a", "bad1", "bad2")) == [Durable()]
    assert rig.stored == {}
    assert len(rig.server.arrivals) == 1


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


async def test_a_lost_acknowledgement_between_refusals_keeps_rows_and_reasons_together(rig: Rig) -> None:
    """The refusal, then a lost answer, then another refusal: positions are those of the request they answer."""
    rig.server.decide = in_turn(
        Fault(listing="incomplete"), Fault(listing="incomplete", answer=faults.DRAINING), Fault(listing="incomplete")
    )
    message = rig.send("a", "a1", "bad1", "a2", "bad2", "a3")
    assert await rig.told_later(message) == [Durable()]
    assert rig.rejected == ["bad1", "bad2"]
    assert rig.stored == {"a1": 1, "a2": 1, "a3": 1}


async def test_before_rows_are_blamed_the_table_is_looked_at(rig: Rig) -> None:
    """Every row is refused because the table was changed: nothing is rejected, and the state says why."""
    rig.table = SetupError(SinkState.SCHEMA_MISMATCH, "column x is missing")
    message = rig.send("a", "a1", "bad1")
    (told,) = await rig.told(message)
    assert isinstance(told, Unavailable)
    assert rig.rejected == []
    assert rig.looks == 1
    assert rig.stands() is SinkState.SCHEMA_MISMATCH


async def test_an_invalid_argument_that_names_no_row_is_halved_down_to_the_message(rig: Rig) -> None:
    """BigQuery may say only that something is wrong; if the table stores another message, it is this one."""
    rig.server.decide = lambda arrival: UNLISTED if "odd" in arrival.ids else Fault()
    rig.server.is_bad = lambda row_id: row_id == "odd"
    assert await rig.told(rig.send("a", "a1", "odd", "a2"), rig.send("b")) == [Durable()] * 2
    assert rig.rejected == ["a1", "odd", "a2"]
    assert rig.stored == {"b": 1}


async def test_while_messages_are_halved_the_table_is_looked_at_once(rig: Rig) -> None:
    """A look costs a request to another service; its finding holds for some seconds."""
    always(rig, "empty")
    messages = [rig.send(row_id) for row_id in ("bad1", *[f"r{number}" for number in range(30)], "bad2")]
    assert await rig.told(*messages) == [Durable()] * 32
    assert len(rig.server.arrivals) > 10
    assert rig.looks == 1


async def test_a_table_that_cannot_be_looked_at_does_not_hold_up_rejects(rig: Rig) -> None:
    """Looks go to another address than rows: after the first, the rows' own answers count without a finding."""
    rig.writer.record_check(await rig.appender.check())
    rig.table = SetupError(SinkState.UNREACHABLE, "no answer from the REST API")
    await rig.clock.advance(11)
    assert await rig.told(rig.send("a", "a1", "bad")) == [Durable()]
    assert rig.rejected == ["bad"]
    assert rig.stored == {"a1": 1}

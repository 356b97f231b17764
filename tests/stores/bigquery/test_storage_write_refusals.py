"""The error matrix: rows, requests and tables that BigQuery refuses, however it says so."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

import pytest

from app.ingest.verdict import Durable, Unavailable
from app.stores.sink import SetupError, SinkState
from sluice.testing.misbehaving.faults import Arrival, EndStream, Fault, Listing, Remark, in_turn
from tests.ingest.scripted import turns
from tests.stores.bigquery.rig import Rig, rigged


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


async def test_the_table_is_checked_before_rows_are_rejected(rig: Rig) -> None:
    """Every row is refused because the table was changed: nothing is rejected, and the state says why."""
    rig.table = SetupError(SinkState.SCHEMA_MISMATCH, "column x is missing")
    message = rig.send("a", "a1", "bad1")
    (told,) = await rig.told(message)
    assert isinstance(told, Unavailable)
    assert rig.rejected == []
    assert rig.looks == 1
    assert rig.stands() is SinkState.SCHEMA_MISMATCH


INVALID = "Request contains an invalid argument."
ENDS = [
    EndStream("INVALID_ARGUMENT", INVALID),
    EndStream("INVALID_ARGUMENT", "AppendRows request too large: 11 limit 10"),
]


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


ROWS = [f"row{number}" for number in range(8)]


Limited = Callable[[], AbstractAsyncContextManager[Rig]]


@asynccontextmanager
async def limited_by_bigquery() -> AsyncIterator[Rig]:
    """Run a rig whose BigQuery takes less than the service was set to send."""
    async with rigged() as rig:
        rig.server.max_request_bytes = 4_000
        yield rig


LIMITED = [limited_by_bigquery, partial(rigged, max_receive_bytes=4_000)]


@pytest.mark.parametrize("limited", LIMITED, ids=["BigQuery", "gRPC"])
async def test_a_request_that_is_too_large_is_halved(limited: Limited) -> None:
    """Every row is stored once; gRPC says RESOURCE_EXHAUSTED, which is no quota, and no sender is throttled."""
    async with limited() as rig:
        message = rig.send("a", *ROWS, padding=1_000)
        assert await rig.told_later(message) == [Durable()]
        assert rig.stored == dict.fromkeys(ROWS, 1)
        assert rig.rejected == []
        assert (len(rig.server.streams) == 1) is (limited is limited_by_bigquery), "only gRPC ends the stream"
        assert rig.stands() is SinkState.ACTIVE


@pytest.mark.parametrize("limited", LIMITED, ids=["BigQuery", "gRPC"])
async def test_a_row_that_is_too_large_is_rejected_and_no_other(limited: Limited) -> None:
    """It can never be stored, so it does not come back for ever."""
    async with limited() as rig:
        rig.server.is_bad = lambda row_id: row_id == "huge"
        small, huge = rig.send("a", "a1", "a2"), rig.send("b", "huge", padding=5_000)
        assert await rig.told_later(small, huge) == [Durable(), Durable()]
        assert rig.rejected == ["huge"]
        assert set(rig.stored) == {"a1", "a2"}

"""One stream, on real sockets: what is sent, and what is not sent any more."""

import asyncio
import tracemalloc

import grpc
import grpc.aio
import pytest

from app.stores.bigquery.connection import Connection, channel_options
from app.stores.sink import SetupError, SinkState, Stored, Uncertain
from app.stores.stamping import ClockTroubleError
from sluice.testing.clock import FakeClock
from sluice.testing.misbehaving import answers
from sluice.testing.misbehaving.faults import EndStream, Fault, Remark, not_stored
from sluice.testing.misbehaving.server import misbehaving
from sluice.testing.misbehaving.waiting import until
from tests.ingest.connecting import connected, megabytes, one_on_its_way, silent
from tests.ingest.scripted import turns
from tests.support.plain_client import SCHEMA, STREAM, Unstamped, row


@pytest.mark.slow
async def test_a_request_that_is_written_when_the_stream_is_ended_is_uncertain_at_once() -> None:
    """The client tells it as a cancellation, which is none of the task: whoever waits would never be told."""
    async with connected() as (server, connection):
        link, large, patient = await one_on_its_way(server, connection)
        connection._call.cancel()  # as when the server answers to no request
        assert [type(outcome) for outcome in await asyncio.gather(large, patient)] == [Uncertain, Uncertain]
        assert connection.retired
        link.thaw()
        await until(lambda: not server.open_streams)


async def test_an_answer_is_believed_though_the_client_has_not_said_yet_that_the_request_is_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The two come by different ways, in any order."""
    async with connected() as (server, connection):
        write, answered = connection._call.write, asyncio.Event()

        async def slowly(message: bytes) -> None:
            await write(message)
            await answered.wait()

        monkeypatch.setattr(connection._call, "write", slowly)
        append = asyncio.create_task(connection.append([row("a")], Unstamped()))
        await until(lambda: len(server.arrivals) == 2 and not connection.requests_in_flight)
        answered.set()
        assert await append == Stored()
        assert not connection.retired


async def test_what_waits_for_a_server_that_says_nothing_is_uncertain_when_the_connection_is_closed() -> None:
    """It takes the connection and never speaks, so that the first request is not even on its way."""
    async with silent() as connection:
        appends = [asyncio.create_task(connection.append([row(name)], Unstamped())) for name in ("a", "b")]
        await until(lambda: connection.requests_in_flight == 2)
        await turns()
        await connection.close()
        assert connection.ended.done()
        await until(lambda: all(append.done() for append in appends))
        assert [append.result() for append in appends] == [Uncertain("the connection was closed")] * 2


async def test_a_request_that_cannot_be_stamped_now_costs_the_connection_nothing() -> None:
    """It is not sent, and the next one is, whose answer is its own."""

    class Doubtful(Unstamped):
        def take(self) -> bytes:
            raise ClockTroubleError("the clock jumped")

    async with connected() as (server, connection):
        assert await connection.append([row("doubtful")], Doubtful()) == Uncertain("the clock jumped")
        assert (connection.requests_in_flight, connection.bytes_in_flight) == (0, 0)
        assert await connection.append([row("next")], Unstamped()) == Stored()
        assert [arrival.ids for arrival in server.arrivals] == [("first",), ("next",)]


async def test_a_request_that_cannot_be_made_ends_the_stream() -> None:
    """Whatever defect that is: nobody waits for an answer that cannot come."""

    class Defective(Unstamped):
        def take(self) -> bytes:
            raise RuntimeError("a defect")

    async with connected() as (_, connection):
        append = asyncio.create_task(connection.append([row("a")], Defective()))
        await until(append.done)
        assert isinstance(append.result(), Uncertain)
        assert connection.retired


@pytest.mark.parametrize("updated_schema", [False, True])
async def test_a_response_that_answers_nobody_ends_the_stream(*, updated_schema: bool) -> None:
    """By their order answers find their requests: after it, none could be believed."""
    async with connected() as (server, connection):
        server.decide = lambda _: Fault(stores=False, answer=Remark(updated_schema=updated_schema))
        outcomes = await asyncio.gather(
            connection.append([row("a")], Unstamped()), connection.append([row("b")], Unstamped())
        )
        assert [type(each) for each in outcomes] == [Uncertain, Uncertain]
        assert connection.updated_schema == updated_schema
        assert connection.retired
        assert not connection.ends_for_one
        await until(lambda: not server.open_streams)


async def test_an_answer_that_comes_before_the_request_was_sent_is_not_its_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It waits for its turn, or for the stream to open: nothing of it is stored, whatever the server says."""
    opened = asyncio.Event()

    async def open_later(_: Connection) -> None:
        await opened.wait()

    monkeypatch.setattr(Connection, "_open", open_later)
    async with misbehaving(FakeClock()) as server:
        server.speaks_first = True
        channel = grpc.aio.insecure_channel(server.url.removeprefix("http://"), options=channel_options(10.0))
        connection = Connection(channel, STREAM, SCHEMA, "test")
        appends = [asyncio.create_task(connection.append([row(name)], Unstamped())) for name in ("a", "b")]
        await until(connection.ended.done)
        opened.set()
        assert [type(outcome) for outcome in await asyncio.gather(*appends)] == [Uncertain, Uncertain]
        assert connection.retired
        assert server.arrivals == []
        await connection.close()


async def test_an_answer_that_nobody_waits_for_ends_the_stream() -> None:
    """The next one could not be believed."""
    async with misbehaving(FakeClock()) as server:
        server.speaks_first = True
        channel = grpc.aio.insecure_channel(server.url.removeprefix("http://"), options=channel_options(10.0))
        connection = Connection(channel, STREAM, SCHEMA, "test")
        await until(connection.ended.done)
        assert connection.retired
        assert not connection.ends_for_one
        assert connection._receiving.cancelled(), "by our own doing"
        await connection.close()


@pytest.mark.parametrize(
    ("end", "others", "blames"),
    [
        (EndStream("INVALID_ARGUMENT", "an argument"), 1, True),
        (EndStream("INVALID_ARGUMENT", "an argument"), 0, False),
        (EndStream("INVALID_ARGUMENT", "AppendRows request too large: 11 limit 10"), 1, True),
        (EndStream("UNAVAILABLE", "draining"), 1, False),
        (EndStream("NOT_FOUND", "no table"), 1, False),
        (EndStream("RESOURCE_EXHAUSTED", "no quota"), 1, False),
    ],
)
async def test_only_an_end_that_speaks_of_one_of_several_requests_ends_for_one(
    end: EndStream, others: int, *, blames: bool
) -> None:
    """One request alone is blamed itself, and an end that is about the stream or the table is nobody's fault."""
    async with connected() as (server, connection):
        server.decide = lambda arrival: (
            Fault(stores=False, answer=end, at_once=True) if "last" in arrival.ids else Fault(answer_gate="never")
        )
        appends = [asyncio.create_task(connection.append([row(f"o{number}")], Unstamped())) for number in range(others)]
        await until(lambda: len(server.arrivals) == 1 + others)
        appends.append(asyncio.create_task(connection.append([row("last")], Unstamped())))
        outcomes = await asyncio.gather(*appends)
        assert connection.ends_for_one is blames
        if blames:
            assert {type(outcome) for outcome in outcomes} == {Uncertain}


async def test_an_end_that_tells_of_the_schema_in_its_details_alone_blames_no_row() -> None:
    """By its code and its text it would be a row that cannot be stored."""
    async with connected() as (server, connection):
        server.decide = lambda _: not_stored(EndStream("INVALID_ARGUMENT", "m", "SCHEMA_MISMATCH_EXTRA_FIELDS"))
        told = await connection.append([row("a")], Unstamped())
        assert told == SetupError(SinkState.SCHEMA_MISMATCH, "INVALID_ARGUMENT: m")


async def test_an_end_whose_details_cannot_be_read_means_what_its_code_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """The details are only an addition to it."""
    async with connected() as (server, connection):
        unreadable = (("grpc-status-details-bin", b"\xff"),)
        monkeypatch.setattr(answers, "ending", lambda _: (grpc.StatusCode.NOT_FOUND, "no table", unreadable))
        server.decide = lambda _: not_stored(EndStream())
        told = await connection.append([row("a")], Unstamped())
        assert told == SetupError(SinkState.NOT_FOUND, "NOT_FOUND: no table")


@pytest.mark.parametrize(("margin_s", "timeout_ms"), [(0.001, 1_000), (5.0, 5_000), (60.0, 10_000)])
def test_a_dead_connection_is_given_up_within_the_margin_of_a_late_commit(margin_s: float, timeout_ms: int) -> None:
    """On Linux the kernel tries to deliver for as long as the keep-alive waits, and so could deliver late."""
    assert dict(channel_options(margin_s))["grpc.keepalive_timeout_ms"] == timeout_ms


async def test_an_idle_connection_does_not_hold_the_last_request() -> None:
    """Ten megabytes for each connection, for nine minutes, would be a lot."""
    async with connected() as (_, connection):
        rows = megabytes()
        tracemalloc.start()
        try:
            assert await connection.append(rows, Unstamped()) == Stored()
            taken = tracemalloc.take_snapshot()
        finally:
            tracemalloc.stop()
        of_requests = taken.filter_traces([tracemalloc.Filter(True, "*/bigquery/connection.py")])
        assert sum(trace.size for trace in of_requests.traces) < sum(map(len, rows)) / 10

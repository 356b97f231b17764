"""One stream whose requests are given up: what that costs the others on it."""

import asyncio

from app.stores.sink import Stored, Uncertain
from sluice.testing.misbehaving.faults import Fault, Refuse, in_turn, not_stored
from sluice.testing.misbehaving.waiting import until
from tests.ingest.connecting import connected, megabytes, one_on_its_way, silent
from tests.ingest.scripted import turns
from tests.support.plain_client import Unstamped, row


async def test_a_request_that_was_given_up_before_it_was_sent_is_never_sent() -> None:
    """Its stamp would be older than readers reckon with; the requests around it keep their answers."""
    async with connected() as (server, connection):
        (link,) = server.wire.open_links
        link.freeze()
        large = asyncio.create_task(connection.append(megabytes(), Unstamped()))
        late = asyncio.create_task(connection.append([row("late")], Unstamped()))
        patient = asyncio.create_task(connection.append([row("patient")], Unstamped()))
        await until(lambda: connection.requests_in_flight == 3)
        late.cancel()
        await asyncio.wait([late])
        assert connection.retired
        link.thaw()
        assert (await large, await patient) == (Stored(), Stored())
        assert [arrival.ids[0].strip() for arrival in server.arrivals] == ["first", "large 0", "patient"]
        assert (connection.requests_in_flight, connection.bytes_in_flight) == (0, 0)


async def test_a_request_that_was_given_up_while_it_was_written_ends_the_stream_and_never_arrives() -> None:
    """Nobody could say when it would; what waits behind it is Uncertain at once."""
    async with connected() as (server, connection):
        link, large, patient = await one_on_its_way(server, connection)
        large.cancel()
        await until(connection.ended.done)
        assert isinstance(await patient, Uncertain)
        assert connection.retired
        link.thaw()
        await until(lambda: not server.open_streams)
        assert [arrival.ids for arrival in server.arrivals] == [("first",)]


async def test_an_answer_finds_its_request_though_the_one_before_was_given_up() -> None:
    """What was sent is answered, whoever waits for it: the next one would be told what became of the first."""
    async with connected() as (server, connection):
        server.decide = in_turn(Fault(answer_gate="answers"), not_stored(Refuse("INTERNAL", "of the second")))
        appends = [asyncio.create_task(connection.append([row(name)], Unstamped())) for name in ("a", "b")]
        await until(lambda: len(server.arrivals) == 3)
        appends[0].cancel()
        await asyncio.wait(appends[:1])
        server.gate("answers").set()
        assert await appends[1] == Uncertain("INTERNAL: of the second")


async def test_one_that_gives_up_in_the_turn_in_which_the_connection_is_closed_is_just_cancelled() -> None:
    """There is nothing left of it to take back."""
    async with silent() as connection:
        appends = [asyncio.create_task(connection.append([row(name)], Unstamped())) for name in ("a", "b")]
        await until(lambda: connection.requests_in_flight == 2)
        await turns()
        closing = asyncio.create_task(connection.close())
        asyncio.get_running_loop().call_soon(appends[1].cancel)
        await asyncio.wait([closing, *appends])
        assert appends[1].cancelled()
        assert appends[0].result() == Uncertain("the connection was closed")
        assert (connection.requests_in_flight, connection.bytes_in_flight) == (0, 0)


async def test_one_that_gives_up_while_the_stream_opens_leaves_nobody_to_wait_for_it() -> None:
    """The stream is ended; each of those behind it would go on waiting for it until it gives up as well."""
    async with silent() as connection:
        appends = [asyncio.create_task(connection.append([row(name)], Unstamped())) for name in ("a", "b", "c")]
        await until(lambda: connection.requests_in_flight == 3)
        await turns()
        appends[0].cancel()
        await until(lambda: all(append.done() for append in appends))
        assert appends[0].cancelled()
        assert [type(append.result()) for append in appends[1:]] == [Uncertain, Uncertain]
        await connection.close()

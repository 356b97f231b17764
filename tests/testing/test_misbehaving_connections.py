"""Connections end, stall and are refused as the script says, and commits outlive them."""

import asyncio

import grpc
import grpc.aio
import pytest

from sluice.testing.clock import FakeClock
from sluice.testing.misbehaving import faults
from sluice.testing.misbehaving.faults import (
    Cut,
    EndStream,
    Fault,
    Freeze,
    Silence,
    in_turn,
)
from sluice.testing.misbehaving.server import misbehaving
from sluice.testing.misbehaving.waiting import until
from tests.support.plain_client import calling


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (faults.DRAINING, grpc.StatusCode.UNAVAILABLE),
        (faults.RESTARTED, grpc.StatusCode.ABORTED),
        (EndStream("INTERNAL", "oops"), grpc.StatusCode.INTERNAL),
        (EndStream("OK"), grpc.StatusCode.OK),
        (Cut(), grpc.StatusCode.UNAVAILABLE),
    ],
)
async def test_an_acknowledgement_can_be_lost_though_the_rows_are_stored(
    end: EndStream | Cut, code: grpc.StatusCode
) -> None:
    """The stream ends instead, with everything in flight."""
    async with misbehaving(FakeClock()) as server, calling(server.url) as client:
        server.decide = in_turn(Fault(), Fault(answer_gate="end", answer=end))
        await client.send("a")
        assert (await client.receive()).HasField("append_result")
        await client.send("b")
        await client.send("c")
        server.gate("end").set()
        assert await client.ended() is code
        await until(lambda: "b" in server.shelf.ids())


async def test_a_commit_can_land_after_the_stream_is_gone() -> None:
    """It lands when the test's clock says so."""
    clock = FakeClock()
    async with misbehaving(clock) as server:
        server.decide = in_turn(Fault(commit_delay_s=15))
        async with calling(server.url) as client:
            await client.send("a")
            await until(lambda: server.arrivals)
        await until(lambda: not server.open_streams)
        await clock.advance(14.9)
        assert server.shelf.ids() == []
        await clock.advance(0.2)
        assert server.shelf.ids() == ["a"]


async def test_a_request_over_grpcs_own_limit_ends_the_stream() -> None:
    """As RESOURCE_EXHAUSTED, which must not be taken for a quota."""
    async with misbehaving(FakeClock(), max_receive_bytes=300) as server, calling(server.url) as client:
        await client.send(*["x" * 100] * 3)
        assert await client.ended() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "larger than max" in await client.details()
    assert server.arrivals == []


async def test_an_idle_stream_is_closed_by_the_tests_clock() -> None:
    """Ten minutes after its last request, not after its first."""
    clock = FakeClock()
    async with misbehaving(clock) as server:
        server.idle_close_s = 600
        async with calling(server.url) as client:
            await client.send("a")
            await client.receive()
            await clock.advance(500)
            await client.send("b")
            await client.receive()
            await clock.advance(590)
            assert server.open_streams == 1
            await clock.advance(20)
            assert await client.ended() is grpc.StatusCode.ABORTED
            assert "inactive for 600 seconds" in await client.details()


async def test_a_stream_can_be_refused_at_its_opening() -> None:
    """Before anything is read."""
    async with misbehaving(FakeClock()) as server:
        server.refuse_streams = faults.DENIED
        async with calling(server.url) as client:
            assert await client.ended() is grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize("answer", [Silence(), Freeze()])
async def test_silence_answers_nothing_and_leaves_the_stream_open(answer: Silence | Freeze) -> None:
    """Only the client's own deadline ends it."""
    async with misbehaving(FakeClock()) as server, calling(server.url) as client:
        server.decide = in_turn(Fault(answer=answer))
        await client.send("a")
        waiting = asyncio.ensure_future(client.receive())
        await until(lambda: server.shelf.ids() == ["a"])
        await asyncio.wait([waiting], timeout=0.05)
        assert not waiting.done()
        assert server.open_streams == 1
        waiting.cancel()


async def test_draining_lets_open_streams_go_on_and_sends_new_ones_elsewhere() -> None:
    """GOAWAY: what is in flight is answered, and the address serves on."""
    async with misbehaving(FakeClock()) as server, calling(server.url) as old:
        server.decide = in_turn(Fault(answer_gate="held"))
        await old.send("a")
        await until(lambda: server.arrivals)
        await server.drain()
        async with calling(server.url) as fresh:
            await fresh.send("b")
            assert (await fresh.receive()).HasField("append_result")
        server.gate("held").set()
        assert (await old.receive()).HasField("append_result")
    assert sorted(server.shelf.ids()) == ["a", "b"]


async def test_a_server_that_is_down_refuses_connections_and_comes_back_at_the_same_address() -> None:
    """Open connections are the test's to cut or to keep."""
    async with misbehaving(FakeClock()) as server:
        url = server.url
        server.wire.down()
        async with calling(url) as client:
            assert await client.ended() is grpc.StatusCode.UNAVAILABLE
        await server.wire.up()
        assert server.url == url
        async with calling(url) as client:
            await client.send("a")
            assert (await client.receive()).HasField("append_result")
            server.wire.open_links[-1].cut()
            assert await client.ended() is grpc.StatusCode.UNAVAILABLE


async def test_a_frozen_connection_carries_on_when_it_thaws() -> None:
    """What was held back arrives late, and once."""
    async with misbehaving(FakeClock()) as server, calling(server.url) as client:
        await client.send("a")
        await client.receive()
        link = server.wire.open_links[-1]
        link.freeze()
        await client.send("b")
        waiting = asyncio.ensure_future(client.receive())
        await asyncio.wait([waiting], timeout=0.05)
        assert server.shelf.ids() == ["a"]
        link.thaw()
        assert (await waiting).HasField("append_result")
        assert server.shelf.ids() == ["a", "b"]

"""The misbehaving server behaves as its script says."""

import grpc
import grpc.aio
import pytest
from google.cloud.bigquery_storage_v1 import types

from sluice.testing.clock import FakeClock
from sluice.testing.misbehaving.server import MisbehavingServer, misbehaving
from sluice.testing.misbehaving.waiting import until
from tests.support.plain_client import STREAM, calling


async def test_without_a_fault_rows_are_stored_in_order_and_acknowledged() -> None:
    """What was sent can be read, with its connection and its time; the schema travels once."""
    clock = FakeClock()
    async with misbehaving(clock) as server, calling(server.url) as client:
        await client.send("a", "b")
        await client.send("c")
        assert (await client.receive()).HasField("append_result")
        assert (await client.receive()).write_stream == STREAM
        await client.finish()
        assert await client.ended() is grpc.StatusCode.OK
    assert server.shelf.ids("records") == ["a", "b", "c"]
    assert [(commit.connection, commit.number) for commit in server.shelf.commits] == [(1, 1), (1, 2)]
    assert [arrival.ids for arrival in server.arrivals] == [("a", "b"), ("c",)]
    assert len(server.streams[0].descriptors) == 1


@pytest.mark.parametrize(
    ("fields", "violation"),
    [
        ({"write_stream": ""}, "write_stream is ''"),
        ({"write_stream": "projects/p/datasets/d/tables/t/_default"}, "write_stream is"),
        ({"trace_id": ""}, "no trace_id"),
        ({"offset": {"value": 1}}, "an offset"),
    ],
)
async def test_what_no_client_may_do_fails_the_test(fields: dict[str, object], violation: str) -> None:
    """Each is noted, and the end of the block says so."""

    async def misuse() -> None:
        async with misbehaving(FakeClock()) as server, calling(server.url) as client:
            await client.send("a", **fields)
            await client.receive()

    with pytest.raises(AssertionError, match=violation):
        await misuse()


async def test_a_first_request_without_a_schema_or_a_call_without_metadata_fails_the_test() -> None:
    """The schema is the connection's own: one that travelled on another does not count."""
    server = MisbehavingServer(FakeClock())
    await server.start()
    async with calling(server.url) as good, calling(server.url, metadata=False) as bad:
        await good.send("a")
        await good.receive()
        await bad.send_raw(_without_schema())
        await bad.receive()
    await server.stop()
    assert any("no writer schema" in each for each in server.violations)
    assert any("x-goog-request-params" in each for each in server.violations)


def _without_schema() -> object:
    request = types.AppendRowsRequest.pb()(write_stream=STREAM, trace_id="t")
    request.proto_rows.rows.serialized_rows.append(b"\x0a\x01a")
    return request


async def test_a_row_that_the_schema_does_not_describe_fails_the_test() -> None:
    """Foreign fields and missing ones alike."""
    server = MisbehavingServer(FakeClock())
    await server.start()
    async with calling(server.url) as client:
        await client.send("a")
        for data in (b"\x12\x01a", b"\x0a\x01a\x12\x01a", b"\x0a\x09a"):
            request = types.AppendRowsRequest.pb()(write_stream=STREAM, trace_id="t")
            request.proto_rows.rows.serialized_rows.append(data)
            await client.send_raw(request)
        await until(lambda: len(server.arrivals) == 4)
    await server.stop()
    assert len(server.violations) == 3

"""The misbehaving server behaves as its script says."""

import asyncio
from typing import Any

import grpc
import grpc.aio
import msgspec
import pytest
from google.cloud.bigquery_storage_v1 import types
from google.rpc import status_pb2

from sluice.testing.clock import FakeClock
from sluice.testing.misbehaving import faults
from sluice.testing.misbehaving.faults import (
    Acknowledge,
    Fault,
    Listing,
    Refuse,
    by_connection,
    in_turn,
    not_stored,
)
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


async def test_answers_come_in_order_and_when_the_test_says() -> None:
    """A gate holds back its answer and those behind it; then they come in a burst."""
    async with misbehaving(FakeClock()) as server, calling(server.url) as client:
        server.decide = in_turn(Fault(answer_gate="first"), not_stored(faults.QUOTA), Fault())
        for row_id in ("a", "b", "c"):
            await client.send(row_id)
        await until(lambda: server.shelf.ids() == ["a", "c"])
        waiting = asyncio.ensure_future(client.receive())
        await asyncio.wait([waiting], timeout=0.05)
        assert not waiting.done()
        server.gate("first").set()
        assert (await waiting).HasField("append_result")
        assert (await client.receive()).error.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
        assert (await client.receive()).HasField("append_result")


@pytest.mark.parametrize(
    ("listing", "listed"),
    [("complete", [1, 3]), ("incomplete", [1]), ("empty", []), ("out of range", [4, 11])],
)
async def test_bad_rows_are_named_as_the_script_says_and_nothing_is_stored(listing: Listing, listed: list[int]) -> None:
    """All, some, none, or positions that do not exist."""
    async with misbehaving(FakeClock()) as server, calling(server.url) as client:
        server.decide = in_turn(Fault(listing=listing))
        await client.send("a", "bad1", "b", "bad2")
        answer = await client.receive()
        assert answer.error.code == 3
        assert [error.index for error in answer.row_errors] == listed
    assert server.shelf.ids() == []


async def test_an_error_can_carry_a_storage_error_in_band_and_at_the_end() -> None:
    """Packed in the status's details, as BigQuery does."""
    async with misbehaving(FakeClock()) as server, calling(server.url) as client:
        server.decide = in_turn(not_stored(faults.EXTRA_FIELDS), not_stored(faults.NOT_FOUND_ENDS_STREAM))
        await client.send("a")
        packed = (await client.receive()).error.details[0]
        found = types.StorageError.pb()()
        assert packed.Unpack(found)
        assert found.code == types.StorageError.StorageErrorCode.SCHEMA_MISMATCH_EXTRA_FIELDS
        await client.send("b")
        assert await client.ended() is grpc.StatusCode.NOT_FOUND
        status = status_pb2.Status.FromString((await client.trailers())["grpc-status-details-bin"])
        assert status.details[0].Unpack(found)
        assert found.code == types.StorageError.StorageErrorCode.TABLE_NOT_FOUND
    assert server.shelf.ids() == []


async def test_a_request_over_the_cap_is_refused_in_band() -> None:
    """In BigQuery's words; it is a violation unless the test allows it."""
    server = MisbehavingServer(FakeClock())
    server.max_request_bytes = 300
    await server.start()
    async with calling(server.url) as client:
        await client.send(*["x" * 100] * 3)
        assert "request too large" in (await client.receive()).error.message
        server.may_be_too_large = True
        await client.send(*["x" * 100] * 3)
        assert "request too large" in (await client.receive()).error.message
        await client.send("small")
        assert (await client.receive()).HasField("append_result")
    await server.stop()
    assert server.shelf.ids() == ["small"]
    assert [each for each in server.violations if "a request of" not in each] == []
    assert len(server.violations) == 1


async def test_each_connection_can_have_faults_of_its_own() -> None:
    """What one does not find, the next one does."""
    async with misbehaving(FakeClock()) as server:
        server.decide = by_connection([not_stored(faults.NOT_FOUND)] * 2)
        async with calling(server.url) as old:
            await old.send("a")
            assert (await old.receive()).HasField("error")
            async with calling(server.url) as fresh:
                await fresh.send("b")
                assert (await fresh.receive()).HasField("append_result")
            await old.send("c")
            assert (await old.receive()).HasField("error")
    assert server.shelf.ids() == ["b"]


async def test_an_acknowledgement_can_tell_of_a_changed_table() -> None:
    """With the columns as they are now."""
    async with misbehaving(FakeClock()) as server, calling(server.url) as client:
        server.decide = in_turn(Fault(answer=Acknowledge(updated_schema=True)))
        await client.send("a")
        answer = await client.receive()
        assert answer.HasField("append_result")
        assert [field.name for field in answer.updated_schema.fields] == ["added"]


async def test_the_default_stream_can_be_looked_at() -> None:
    """GetWriteStream answers with the name that was asked for."""
    async with misbehaving(FakeClock()) as server:
        async with grpc.aio.insecure_channel(server.url.removeprefix("http://")) as channel:
            method: Any = channel.unary_unary("/google.cloud.bigquery.storage.v1.BigQueryWrite/GetWriteStream")
            answer = await method(types.GetWriteStreamRequest.pb()(name=STREAM).SerializeToString())
        assert types.WriteStream.pb().FromString(answer).name == STREAM


def test_faults_are_values_that_survive_being_written_down() -> None:
    """So that another process can be told what to do."""
    fault = Fault(commit_delay_s=15, answer=Refuse("INTERNAL", "x"))
    assert msgspec.json.decode(msgspec.json.encode(fault), type=Fault) == fault

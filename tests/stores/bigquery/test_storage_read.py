"""Exports through the Storage Read API: one stream, taken up where it breaks, and an Arrow stream in the end."""

import io
from collections.abc import AsyncIterator
from typing import Any

import grpc
import nanoarrow  # type: ignore[import-untyped]
import pytest
from google.cloud.bigquery_storage_v1 import types
from nanoarrow.ipc import StreamWriter  # type: ignore[import-untyped]

from app.stores.bigquery.client import BigQueryClients, TableAddress
from app.stores.bigquery.source import read_table
from app.stores.source import END_OF_STREAM, streamed_bytes
from tests.stores.bigquery.rest_server import (
    DATASET,
    EXPORT,
    PROJECT,
    Answer,
    Call,
    Refusal,
    RestServer,
)

SERVICE = "google.cloud.bigquery.storage.v1.BigQueryRead"
TABLE = f"projects/{PROJECT}/datasets/_anonymous/tables/result"


class ReadServer:
    """The API over one table of batches; `breaks` says how many more times a call breaks off after one batch."""

    def __init__(self, batches: list[list[int]]) -> None:
        self.schema, self.batches = encoded(batches)
        self.rows = [len(batch) for batch in batches]
        self.breaks = 0
        self.session: Any = None
        self.offsets: list[int] = []
        self.url = ""

    async def create_read_session(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        self.session = request
        streams = [types.ReadStream(name="the-stream")] if self.rows else []
        session = types.ReadSession(streams=streams, arrow_schema={"serialized_schema": self.schema})
        return types.ReadSession.pb(session)

    async def read_rows(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[Any]:
        self.offsets.append(request.offset)
        at = 0
        for rows, batch in zip(self.rows, self.batches, strict=True):
            if at >= request.offset:
                answer = types.ReadRowsResponse(row_count=rows, arrow_record_batch={"serialized_record_batch": batch})
                if self.breaks < 0:
                    await context.abort(grpc.StatusCode.UNAVAILABLE, "nobody home")
                yield types.ReadRowsResponse.pb(answer)
                if self.breaks:
                    self.breaks -= 1
                    await context.abort(grpc.StatusCode.UNAVAILABLE, "drained")
            at += rows


def encoded(batches: list[list[int]]) -> tuple[bytes, list[bytes]]:
    """Return an Arrow schema and batches, each as the message that the API sends."""
    struct = nanoarrow.struct({"n": nanoarrow.int64()})
    sink = io.BytesIO()
    writer = StreamWriter.from_writable(sink)
    messages = []
    for batch in [[], *batches]:
        column = nanoarrow.c_array(batch, nanoarrow.int64())
        writer.write_array(nanoarrow.c_array_from_buffers(struct, len(batch), [None], children=[column]))
        messages.append(sink.getvalue())
        sink.seek(0)
        sink.truncate()
    empty = io.BytesIO()
    StreamWriter.from_writable(empty).write_stream(nanoarrow.c_array_stream([], struct))
    return empty.getvalue(), messages[1:]


@pytest.fixture
async def serve() -> AsyncIterator[Any]:
    """Give a function that serves a ReadServer."""
    servers = []

    async def start(api: ReadServer) -> ReadServer:
        server = grpc.aio.server()
        handlers: Any = {
            "CreateReadSession": grpc.unary_unary_rpc_method_handler(
                api.create_read_session,
                request_deserializer=types.CreateReadSessionRequest.pb().FromString,
                response_serializer=lambda answer: answer.SerializeToString(),
            ),
            "ReadRows": grpc.unary_stream_rpc_method_handler(
                api.read_rows,
                request_deserializer=types.ReadRowsRequest.pb().FromString,
                response_serializer=lambda answer: answer.SerializeToString(),
            ),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        api.url = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        await server.start()
        servers.append(server)
        return api

    yield start
    for server in servers:
        await server.stop(None)


def access_to(storage_url: str) -> BigQueryClients:
    """Return access to a Storage API at `storage_url`."""
    place = TableAddress(
        project=PROJECT, dataset=DATASET, location=None, rest_url="http://127.0.0.1:1", storage_url=storage_url
    )
    return BigQueryClients(place)


async def numbers(api: ReadServer) -> list[int]:
    """Read the whole table."""
    pieces = [piece async for piece in read_table(access_to(api.url), TABLE)]
    assert pieces[-1] == END_OF_STREAM
    return [row["n"] for row in nanoarrow.ArrayStream.from_readable(b"".join(pieces)).read_all().to_pylist()]


async def test_a_table_is_read_as_one_stream(serve: Any) -> None:
    """More than one would lose the order; and as Arrow, which is passed on as it comes."""
    api = await serve(ReadServer([[3, 2], [1]]))
    assert await numbers(api) == [3, 2, 1]
    assert api.session.max_stream_count == 1
    assert api.session.parent == f"projects/{PROJECT}"
    assert api.session.read_session.table == TABLE
    assert api.session.read_session.data_format == types.DataFormat.ARROW


async def test_a_stream_that_breaks_off_is_taken_up_where_it_broke(serve: Any) -> None:
    """Nothing is missing, and nothing comes twice."""
    api = await serve(ReadServer([[5, 4], [3], [2, 1]]))
    api.breaks = 2
    assert await numbers(api) == [5, 4, 3, 2, 1]
    assert api.offsets == [0, 2, 3]


def finished(call: Call) -> Answer:
    """Answer as BigQuery does of a job that is done, with its result in TABLE."""
    job = call.body.get("jobReference") or {"projectId": PROJECT, "jobId": call.path.rpartition("/")[2]}
    if call.what == "jobs.getQueryResults":
        return {"jobComplete": True, "jobReference": job, "totalRows": "2", "totalBytesProcessed": "1234"}
    destination = {"projectId": PROJECT, "datasetId": "_anonymous", "tableId": "result"}
    return {"jobReference": job, "configuration": {"query": {"destinationTable": destination}}}


async def test_an_export_runs_a_job_and_reads_its_result(bigquery: RestServer, serve: Any) -> None:
    """The table is the temporary one that BigQuery names."""
    api = await serve(ReadServer([[2], [1]]))
    bigquery.script = finished
    runner = bigquery.runner(bigquery_storage_url=api.url)
    billed = list[int]()
    streamed_bytes.set(billed)
    assert [piece async for piece in runner.arrow(EXPORT)] == [api.schema, *api.batches, END_OF_STREAM]
    assert billed == [1_234]
    assert api.session.read_session.table == TABLE
    assert "jobs.cancel" not in bigquery.seen()
    runner.close()


async def test_an_export_whose_first_answer_was_lost_is_found_again(bigquery: RestServer, serve: Any) -> None:
    """The second attempt has the same name, so it is told that the job exists."""
    api = await serve(ReadServer([[1]]))
    refusals = iter([Refusal(503, "backendError"), Refusal(409, "duplicate", "Already Exists: Job")])
    bigquery.script = lambda call: next(refusals) if call.what == "jobs.insert" else finished(call)
    runner = bigquery.runner(bigquery_storage_url=api.url)
    assert len([piece async for piece in runner.arrow(EXPORT)]) == 3
    names = {call.body["jobReference"]["jobId"] for call in bigquery.calls if call.what == "jobs.insert"}
    assert len(names) == 1
    runner.close()

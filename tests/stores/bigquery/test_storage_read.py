"""Exports through the Storage Read API: one stream, taken up where it breaks, and an Arrow stream in the end."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from google.api_core.exceptions import ServiceUnavailable
from google.cloud.bigquery_storage_v1 import types

from app.stores.bigquery import source
from app.stores.source import END_OF_STREAM, streamed_bytes
from tests.stores.bigquery.rest_server import EXPORT, PROJECT, Answer, Call, Refusal, RestServer

TABLE = f"projects/{PROJECT}/datasets/_anonymous/tables/result"


class ReadClient:
    """The client of the API over one table of batches; `breaks` says how many more calls break off after one batch."""

    rows = (2, 1, 2)
    breaks = 0

    def __init__(self) -> None:
        self.session: dict[str, Any] = {}
        self.offsets: list[int] = []

    async def create_read_session(self, **asked: Any) -> types.ReadSession:
        self.session = asked
        return types.ReadSession(streams=[types.ReadStream(name="s")], arrow_schema={"serialized_schema": b"schema"})

    async def read_rows(self, *, offset: int, **_: Any) -> "ReadCall":
        self.offsets.append(offset)
        return ReadCall(self, offset)


class ReadCall:
    """A call for the rows from an offset on."""

    def __init__(self, client: ReadClient, offset: int) -> None:
        self._client, self._offset = client, offset

    async def __aiter__(self) -> AsyncIterator[types.ReadRowsResponse]:
        """Yield the batches, unless it breaks off."""
        at = 0
        for rows in self._client.rows:
            if at >= self._offset:
                batch = {"serialized_record_batch": b"%d" % at}
                yield types.ReadRowsResponse(row_count=rows, arrow_record_batch=batch)
                if self._client.breaks:
                    self._client.breaks -= 1
                    raise ServiceUnavailable("drained")  # type: ignore[no-untyped-call]
            at += rows

    def cancel(self) -> None:
        """Do nothing."""


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> ReadClient:
    """Give the client that exports use."""
    found = ReadClient()
    monkeypatch.setattr(source, "BigQueryReadAsyncClient", lambda **_: found)
    return found


def finished(call: Call) -> Answer:
    """Answer as BigQuery does of a job that is done, with its result in TABLE."""
    job = call.body.get("jobReference") or {"projectId": PROJECT, "jobId": call.path.rpartition("/")[2]}
    if call.what == "jobs.getQueryResults":
        return {"jobComplete": True, "jobReference": job, "totalRows": "2", "totalBytesProcessed": "1234"}
    destination = {"projectId": PROJECT, "datasetId": "_anonymous", "tableId": "result"}
    return {"jobReference": job, "configuration": {"query": {"destinationTable": destination}}}


async def test_an_export_reads_the_result_of_a_job_as_one_stream(bigquery: RestServer, client: ReadClient) -> None:
    """More streams would lose the order. One that breaks off is taken up where it broke."""
    bigquery.script, client.breaks = finished, 2
    runner = bigquery.runner(bigquery_storage_url="http://127.0.0.1:1")
    billed = list[int]()
    streamed_bytes.set(billed)
    assert [piece async for piece in runner.arrow(EXPORT)] == [b"schema", b"0", b"2", b"3", END_OF_STREAM]
    assert (billed, client.offsets) == ([1_234], [0, 2, 3])
    assert (client.session["max_stream_count"], client.session["parent"]) == (1, f"projects/{PROJECT}")
    assert client.session["read_session"] == types.ReadSession(table=TABLE, data_format=types.DataFormat.ARROW)
    assert "jobs.cancel" not in bigquery.seen()
    runner.close()


async def test_an_export_whose_first_answer_was_lost_is_found_again(bigquery: RestServer, client: ReadClient) -> None:
    """The second attempt has the same name, so it is told that the job exists."""
    refusals = iter([Refusal(503, "backendError"), Refusal(409, "duplicate", "Already Exists: Job")])
    bigquery.script = lambda call: next(refusals) if call.what == "jobs.insert" else finished(call)
    runner = bigquery.runner(bigquery_storage_url="http://127.0.0.1:1")
    assert len([piece async for piece in runner.arrow(EXPORT)]) == 2 + len(client.rows)
    names = {call.body["jobReference"]["jobId"] for call in bigquery.calls if call.what == "jobs.insert"}
    assert len(names) == 1
    runner.close()

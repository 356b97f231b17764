"""A query that nobody waits for any more is given up in BigQuery, too."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.stores.bigquery.source import BigQueryRunner
from app.stores.bigquery.watermarks import INSTANCES
from app.stores.source import QueryTimeoutError
from tests.stores.bigquery.rest_server import (
    DATASET,
    LOCATION,
    NO_ROWS,
    PROJECT,
    QUERY,
    RUNNING,
    Answer,
    Call,
    RestServer,
)
from tests.support.process import serving


class Held:
    """A script: a query becomes a job at once, or as soon as `first` is set, and never ends."""

    def __init__(self) -> None:
        self.first, self.rest = threading.Event(), threading.Event()
        self.first.set()

    def __call__(self, call: Call) -> Answer:
        if call.what == "jobs.query":
            if INSTANCES in call.body["query"]:  # the watermarks, which a page reads first
                return NO_ROWS
            assert self.first.wait(30)
            return RUNNING
        if call.what == "jobs.insert":
            return {"jobReference": call.body["jobReference"]}
        assert self.rest.wait(30)
        return RUNNING


@pytest.fixture
def held() -> Iterator[Held]:
    """Give the script of a BigQuery whose queries last."""
    held = Held()
    yield held
    held.first.set()
    held.rest.set()


@pytest.fixture
def runner(bigquery: RestServer, held: Held) -> Iterator[BigQueryRunner]:
    """Give a runner over such a BigQuery."""
    bigquery.script = held
    runner = bigquery.runner()
    yield runner
    runner.close()


async def came(bigquery: RestServer, what: str) -> Call:
    """Wait for a call without holding the loop."""
    return await asyncio.to_thread(bigquery.wait_for, what)


async def cancelled(task: "asyncio.Future[Any]") -> None:
    """Cancel `task`, and wait for its end."""
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancelled_wait_cancels_the_job(bigquery: RestServer, held: Held, runner: BigQueryRunner) -> None:
    """At once, while another call still waits for the job's end; and once only."""
    task = asyncio.create_task(runner.rows(QUERY))
    await came(bigquery, "jobs.getQueryResults")
    await cancelled(task)
    call = await came(bigquery, "jobs.cancel")
    assert call.path.endswith(f"/projects/{PROJECT}/jobs/the-job/cancel")
    assert call.parameters["location"] == [LOCATION]
    held.rest.set()
    runner._threads.shutdown()
    assert bigquery.seen().count("jobs.cancel") == 1


async def test_a_query_given_up_before_it_is_a_job_is_cancelled_when_it_becomes_one(
    bigquery: RestServer, held: Held, runner: BigQueryRunner
) -> None:
    """Its name is known from the first answer on, for which BigQuery is given two seconds."""
    held.first.clear()
    task = asyncio.create_task(runner.rows(QUERY))
    await came(bigquery, "jobs.query")
    await cancelled(task)
    assert bigquery.seen() == ["jobs.query"]
    held.first.set()
    await came(bigquery, "jobs.cancel")
    runner._threads.shutdown()
    assert bigquery.seen() == ["jobs.query", "jobs.cancel"]


async def test_a_query_that_takes_too_long_is_cancelled(bigquery: RestServer, held: Held) -> None:
    """Its caller is told so."""
    bigquery.script = held
    runner = bigquery.runner(query_timeout_s=0.3)
    with pytest.raises(QueryTimeoutError):
        await runner.rows(QUERY)
    await came(bigquery, "jobs.cancel")
    runner.close()


async def test_a_client_that_hangs_up_ends_its_query(bigquery: RestServer, held: Held, tmp_path: Path) -> None:
    """Through the real server: the connection is cut, and the job is cancelled."""
    bigquery.script = held
    settings = {"bigquery_project": PROJECT, "bigquery_dataset": DATASET, "bigquery_location": LOCATION}
    settings |= {"backend": "bigquery", "roles": "query", "bigquery_rest_url": bigquery.url}
    async with serving(tmp_path / "unused", **settings) as (process, _):
        host, port = process.url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /v1/records HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await came(bigquery, "jobs.getQueryResults")
        assert "jobs.cancel" not in bigquery.seen()
        writer.close()
        await came(bigquery, "jobs.cancel")
        held.rest.set()

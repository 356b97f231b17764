"""All pages of a state over BigQuery come from one result, which is paid for once."""

import asyncio
from contextlib import nullcontext
from typing import Any

import msgspec
import pytest

from app.runtime.instants import DAY_US, SECOND_US, TimeRange, epoch_us
from app.stores.query import Position, State
from app.stores.source import Answer, QueryTooExpensiveError, StoreBusyError
from sluice.testing.clock import FakeClock
from tests.stores.bigquery import rest_server
from tests.stores.bigquery.rest_server import Call, Refusal, RestServer

ROWS = [(1_000 + number // 2, f"k{number:02}") for number in range(40)]
"""The stamp and the key of each row of the result."""
STATE = State(
    table="records",
    within=TimeRange(0, SECOND_US),
    lookback_us=1,
    columns=("ingest_time", "delivery_key"),
    limit=4,
    id_column="id",
    folded=TimeRange(0, SECOND_US),
)
_SCHEMA = {"fields": [{"name": "ingest_time", "type": "TIMESTAMP"}, {"name": "delivery_key", "type": "STRING"}]}


class Jobs:
    """Jobs by their names, all with the same result, of which the first few fail, each for its reason."""

    def __init__(self, *failures: Refusal) -> None:
        self._failures, self.known = list(failures), dict[str, Refusal | None]()
        self.are_running = False
        self.probes = 0
        """How many rows were read to find a position."""

    def __call__(self, call: Call) -> rest_server.Answer:
        if call.what == "jobs.insert":
            reference: dict[str, Any] = call.body["jobReference"]
            if reference["jobId"] in self.known:
                return Refusal(409, "duplicate", "Already Exists: Job")
            self.known[reference["jobId"]] = self._failures.pop(0) if self._failures else None
            return {"jobReference": reference}
        name = call.path.rpartition("/")[2]
        if (failure := self.known[name]) is not None:
            return failure
        if self.are_running:
            return {"jobComplete": False, "jobReference": {"jobId": name}}
        asked = {key: int(call.parameters[key][0]) for key in ("startIndex", "maxResults") if key in call.parameters}
        start, most = asked.get("startIndex", 0), asked["maxResults"]
        self.probes += most == 1
        rows = [{"f": [{"v": str(stamp)}, {"v": key}]} for stamp, key in ROWS[start : start + most]]
        result = {"jobComplete": True, "jobReference": {"jobId": name}, "totalBytesProcessed": "1234", "rows": rows}
        return result | {"schema": _SCHEMA, "totalRows": str(len(ROWS)), "pageToken": "more"}


def _places(answer: Answer) -> list[Position]:
    return [Position(epoch_us(row["ingest_time"]), row["delivery_key"]) for row in answer.rows]


async def test_all_pages_of_a_state_are_of_one_job(bigquery: RestServer) -> None:
    """In any instance; one that has not seen the page before looks for its end, one that has looks once."""
    bigquery.script = jobs = Jobs()
    one, other = bigquery.runner(), bigquery.runner()
    one.erasures = other.erasures = 0
    first = await one.rows(STATE)
    assert (_places(first), first.bytes_processed, jobs.probes) == ([Position(*row) for row in ROWS[:4]], 1_234, 0)
    for runner, most in ((one, 1), (other, 6)):
        jobs.probes = 0
        after = msgspec.structs.replace(STATE, within=TimeRange(1_000, SECOND_US), after=_places(first)[-2], limit=5)
        answer = await runner.rows(after)
        assert (_places(answer), answer.bytes_processed) == ([Position(*row) for row in ROWS[3:8]], 0)
        assert 0 < jobs.probes <= most
    assert len(jobs.known) == 1
    one.close()
    other.close()


async def test_an_erasure_makes_results_from_before_void(bigquery: RestServer) -> None:
    """They may have what was erased, or be lost after a day; who knows of no erasures reads no other's results."""
    bigquery.script = jobs = Jobs()
    one, other = bigquery.runner(), bigquery.runner()
    for day, one.erasures in enumerate((0, 1, 1, None)):
        one._clock = FakeClock(day * DAY_US)
        await one.rows(STATE)
        await one.rows(STATE)
    await other.rows(STATE)
    assert len(jobs.known) == 5
    one.close()
    other.close()


async def test_a_caller_who_leaves_ends_no_query_of_others(bigquery: RestServer) -> None:
    """They may wait for its result, or come back for it."""
    bigquery.script = jobs = Jobs()
    jobs.are_running = True
    runner = bigquery.runner()
    leaving = asyncio.create_task(runner.rows(STATE))
    call = await asyncio.to_thread(bigquery.wait_for, "jobs.insert")
    assert call.body["configuration"]["jobTimeoutMs"] == "300000"
    await asyncio.to_thread(bigquery.wait_for, "jobs.getQueryResults")
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    jobs.are_running = False
    assert (await runner.rows(STATE)).bytes_processed == 0
    assert "jobs.cancel" not in bigquery.seen()
    runner.close()


async def test_what_was_cancelled_is_made_again_at_once(bigquery: RestServer) -> None:
    """By other names, the last of this instance; any other failure stands, for all callers."""
    cancelled = Refusal(499, "stopped", "Job execution was cancelled: User requested cancellation")
    for failures, most in (([cancelled, cancelled], 3), ([Refusal(403, "quotaExceeded")], 1)):
        bigquery.script = jobs = Jobs(*failures)
        runner = bigquery.runner()
        runner.erasures = 0
        for _ in range(2):
            with nullcontext() if most == 3 else pytest.raises(StoreBusyError):
                await runner.rows(STATE)
        assert len(jobs.known) == most
        runner.close()


async def test_a_result_that_is_lost_is_made_again(bigquery: RestServer) -> None:
    """As is one whose job has failed for another caller; a failure of one's own is told."""
    bigquery.script = jobs = Jobs(Refusal(404, "notFound", "Not found: Table of the result"))
    runner = bigquery.runner()
    runner.erasures = 0
    with pytest.raises(Exception, match="Not found"):
        await runner.rows(STATE)
    assert (await runner.rows(STATE)).bytes_processed == 1_234
    assert len(jobs.known) == 2
    runner.close()


async def test_a_state_that_is_too_dear_is_refused(bigquery: RestServer) -> None:
    """By the limit of a page, which its job has."""
    bigquery.script = Jobs(Refusal(400, "bytesBilledLimitExceeded", "Query exceeded limit for bytes billed: 9"))
    runner = bigquery.runner()
    with pytest.raises(QueryTooExpensiveError):
        await runner.rows(STATE)
    (insert,) = [call for call in bigquery.calls if call.what == "jobs.insert"]
    assert int(insert.body["configuration"]["query"]["maximumBytesBilled"]) > 0
    runner.close()

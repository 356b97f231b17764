"""What BigQuery's failures become: for the caller of a runner, and for the client of the API."""

import asyncio
import logging
from collections.abc import Iterator
from datetime import datetime

import httpx
import pytest
from google.api_core.exceptions import BadRequest

from app.http.problems import CATALOGUE, ProblemError
from app.query.read.reads import answered
from app.stores.bigquery import jobs
from app.stores.bigquery.source import BigQueryRunner
from app.stores.source import (
    LookUpTooExpensiveError,
    QueryTimeoutError,
    QueryTooExpensiveError,
    StoreBusyError,
    StoreUnavailableError,
)
from sluice.testing.clock import FakeClock
from tests.contract.application import application, query_application
from tests.stores.bigquery.rest_server import (
    DATASET,
    JOB,
    NO_ROWS,
    PROJECT,
    QUERY,
    RUNNING,
    Answer,
    Call,
    HangUp,
    Refusal,
    RestServer,
)
from tests.support.process import free_port

TOO_EXPENSIVE = Refusal(
    400, "bytesBilledLimitExceeded", "Query exceeded limit for bytes billed: 1000000. 10485760 or higher required."
)
MISFIT = (StoreUnavailableError, "the table does not fit the record type: .*tail")


@pytest.fixture(autouse=True)
def _short_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_RETRY_S", 0.3)


@pytest.fixture
def runner(bigquery: RestServer) -> Iterator[BigQueryRunner]:
    """Give a runner over the API."""
    runner = bigquery.runner(query_max_bytes_billed=1_000_000)
    yield runner
    runner.close()


@pytest.mark.parametrize(
    ("refusal", "error", "words"),
    [
        (TOO_EXPENSIVE, QueryTooExpensiveError, "read 10485760 bytes; the limit is 50000000 bytes"),
        (Refusal(500, "bytesBilledLimitExceeded", TOO_EXPENSIVE.message), QueryTooExpensiveError, "10485760"),
        (Refusal(400, "resourcesExceeded"), QueryTooExpensiveError, "read more; the limit is 50000000 bytes"),
        (Refusal(400, "timeout", "Job timed out after 30 sec"), QueryTimeoutError, "30 s"),
        (Refusal(499, "stopped", "Job execution was cancelled: Job timed out after 30s"), QueryTimeoutError, "30 s"),
        (Refusal(504, ""), QueryTimeoutError, "30 s"),
        (Refusal(403, "quotaExceeded"), StoreBusyError, "quotaExceeded"),
        (Refusal(403, "rateLimitExceeded"), StoreBusyError, "rateLimitExceeded"),
        (Refusal(400, "jobRateLimitExceeded"), StoreBusyError, "jobRateLimitExceeded"),
        (Refusal(403, "userRateLimitExceeded"), StoreBusyError, "userRateLimitExceeded"),
        (Refusal(429, ""), StoreBusyError, "429"),
        (Refusal(401, "authError"), StoreUnavailableError, "credentials"),
        (Refusal(403, "accessDenied"), StoreUnavailableError, f"accessDenied for {PROJECT}.{DATASET}"),
        (Refusal(404, "notFound"), StoreUnavailableError, "notFound"),
        (Refusal(499, "stopped", "Job execution was cancelled"), StoreUnavailableError, "cancelled by another client"),
        (Refusal(500, "internalError"), StoreUnavailableError, "internalError"),
        (Refusal(503, "backendError"), StoreUnavailableError, "backendError"),
        (Refusal(502, ""), StoreUnavailableError, "502"),
        (Refusal(400, "invalid", 'Invalid dataset ID "a b"'), StoreUnavailableError, "Invalid dataset ID"),
        (Refusal(400, "invalid", "Invalid project ID 'A'"), StoreUnavailableError, "Invalid project ID"),
        (Refusal(400, "invalid", "Invalid table name"), StoreUnavailableError, "Invalid table name"),
        (Refusal(400, "invalid", "Invalid value for timeoutMs"), BadRequest, "timeoutMs"),
        (Refusal(400, "invalidQuery", "Unrecognized name: tail; Did you mean mail? at [1:8]"), *MISFIT),
        (Refusal(400, "invalidQuery", "Name tail not found inside candidate at [3:2]"), *MISFIT),
        (Refusal(400, "invalidQuery", "No such struct field tail"), *MISFIT),
        (Refusal(400, "invalidQuery", "Field name tail does not exist in STRUCT<id STRING>"), *MISFIT),
        (Refusal(400, "invalidQuery", "Syntax error"), BadRequest, "Syntax error"),
    ],
)
async def test_a_refusal_is_named(
    bigquery: RestServer, runner: BigQueryRunner, refusal: Refusal, error: type[Exception], words: str
) -> None:
    """By its reason where BigQuery gives one, else by its status; a query that is wrong is our own defect."""
    bigquery.script = lambda _: refusal
    with pytest.raises(error, match=words):
        await runner.rows(QUERY)


async def test_a_job_that_fails_later_is_named_alike(bigquery: RestServer, runner: BigQueryRunner) -> None:
    """The reason then comes with the job, and not with the first answer."""
    status = {"state": "DONE", "errorResult": {"reason": "bytesBilledLimitExceeded", "message": TOO_EXPENSIVE.message}}
    failed = {"jobReference": JOB, "status": status, "configuration": {"query": {}}}
    bigquery.script = lambda call: RUNNING if call.what == "jobs.query" else failed
    with pytest.raises(QueryTooExpensiveError) as raised:
        await runner.rows(QUERY)
    assert (raised.value.limit_bytes, raised.value.needed_bytes) == (50_000_000, 10_485_760)


async def test_a_passing_trouble_is_retried_as_the_same_request(
    bigquery: RestServer, runner: BigQueryRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its id is the same, so that BigQuery begins the query once."""
    monkeypatch.setattr(jobs, "_RETRY_S", 10.0)
    answers: Iterator[Answer] = iter([Refusal(503, "backendError"), Refusal(500, ""), NO_ROWS])
    bigquery.script = lambda _: next(answers)
    assert (await runner.rows(QUERY)).rows == []
    assert len({call.body["requestId"] for call in bigquery.calls}) == 1
    assert bigquery.seen() == ["jobs.query"] * 3


async def test_a_broken_connection_repeats_the_call_and_not_the_query(
    bigquery: RestServer, runner: BigQueryRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only jobs.query is asked anew, under another id: the calls for the job and its pages change nothing."""
    monkeypatch.setattr(jobs, "_RETRY_S", 10.0)
    schema = {"schema": {"fields": [{"name": "n", "type": "INTEGER"}]}, "totalRows": "1"}
    state = {"jobReference": JOB, "status": {"state": "RUNNING"}, "configuration": {"query": {}}}
    done = state | {"status": {"state": "DONE"}}
    script: list[tuple[str, Answer]] = [
        ("jobs.query", HangUp()),
        ("jobs.query", RUNNING),
        ("jobs.get", HangUp()),
        ("jobs.get", state),
        ("jobs.getQueryResults", HangUp()),
        ("jobs.getQueryResults", {"jobComplete": True, "jobReference": JOB} | schema),
        ("jobs.get", done),
        ("jobs.getQueryResults", HangUp()),
        ("jobs.getQueryResults", {"jobReference": JOB, "totalRows": "1", "rows": [{"f": [{"v": "1"}]}]}),
    ]
    bigquery.script = lambda _: script[len(bigquery.calls) - 1][1]
    assert (await runner.rows(QUERY)).rows == [{"n": 1}]
    assert bigquery.seen() == [what for what, _ in script]
    assert bigquery.calls[0].body["requestId"] != bigquery.calls[1].body["requestId"]


async def test_a_connection_that_stays_broken_does_not_begin_the_query_anew(
    bigquery: RestServer, runner: BigQueryRunner
) -> None:
    """The job is given up instead."""
    state = {"jobReference": JOB, "status": {"state": "RUNNING"}, "configuration": {"query": {}}}
    answers: dict[str, Answer] = {"jobs.query": RUNNING, "jobs.get": state, "jobs.getQueryResults": HangUp()}
    bigquery.script = lambda call: answers[call.what]
    with pytest.raises(StoreUnavailableError, match="cannot be reached"):
        await runner.rows(QUERY)
    assert bigquery.seen().count("jobs.query") == 1
    await asyncio.to_thread(bigquery.wait_for, "jobs.cancel")


@pytest.mark.parametrize("refusal", [Refusal(403, "quotaExceeded"), Refusal(404, "notFound"), TOO_EXPENSIVE])
async def test_what_would_fail_again_is_not_retried(
    bigquery: RestServer, runner: BigQueryRunner, refusal: Refusal
) -> None:
    """Least of all a refusal for want of quota."""
    bigquery.script = lambda _: refusal
    with pytest.raises(Exception, match=r"said the store|the query would read"):
        await runner.rows(QUERY)
    assert bigquery.seen() == ["jobs.query"]


async def test_nobody_at_the_address_is_named(bigquery: RestServer) -> None:
    """The message says which address it is."""
    bigquery.url = f"http://127.0.0.1:{free_port()}"
    runner = bigquery.runner()
    with pytest.raises(StoreUnavailableError, match=f"cannot be reached at {bigquery.url}"):
        await runner.rows(QUERY)
    runner.close()


@pytest.mark.parametrize(
    ("answer", "code", "members"),
    [
        (TOO_EXPENSIVE, "query_too_expensive", {"limit_bytes": 500 * 1024**3, "needed_bytes": 10_485_760}),
        (Refusal(400, "resourcesExceeded"), "query_too_expensive", {"limit_bytes": 500 * 1024**3}),
        (Refusal(504, ""), "query_timeout", {"timeout_s": 30.0}),
        (Refusal(403, "quotaExceeded"), "store_busy", {"retry_after_s": 5}),
        (Refusal(404, "notFound"), "store_unavailable", {"retry_after_s": 30}),
        (Refusal(400, "invalidQuery", "Unrecognized name: x"), "store_unavailable", {"retry_after_s": 30}),
        (Refusal(400, "invalidQuery"), "internal", {}),
    ],
)
async def test_a_failure_is_a_problem_that_tells_a_stranger_nothing(
    bigquery: RestServer, caplog: pytest.LogCaptureFixture, answer: Refusal, code: str, members: object
) -> None:
    """Its numbers are members, Retry-After says when to come back, and the store's own words are in the log only."""
    secret = "the store's own words"
    bigquery.script = lambda _: Refusal(answer.status, answer.reason, f"{secret}: {answer.message}")
    with caplog.at_level(logging.WARNING):
        found = await get(bigquery, "/v1/records")
    problem = found.json()
    assert (found.status_code, problem["code"]) == (CATALOGUE[code].status, code)
    known = {"type", "title", "status", "code", "detail"}
    assert {name: value for name, value in problem.items() if name not in known} == members
    if found.status_code == 503:
        assert found.headers["retry-after"] == str(problem["retry_after_s"])
    for word in (secret, PROJECT, DATASET, "SELECT", "ingest_time"):
        assert word not in found.text
    if code in {"store_busy", "store_unavailable", "internal"}:
        assert secret in caplog.text


async def test_a_look_up_that_is_too_expensive_has_words_of_its_own(bigquery: RestServer) -> None:
    """It has no window that could be shorter."""
    bigquery.script = lambda _: TOO_EXPENSIVE
    found = await get(bigquery, "/v1/records/an-id")
    problem = found.json()
    assert (found.status_code, problem["code"]) == (422, "look_up_too_expensive")
    limit = bigquery.settings().query.look_up_max_bytes_billed
    since = problem["searched_since"]
    words = f"the record was not found since {since}, and the read limit of one look-up is {limit} bytes"
    assert (problem["detail"], problem["limit_bytes"]) == (words, limit)
    assert datetime.fromisoformat(since).tzinfo is not None
    assert "window" not in found.text + CATALOGUE["look_up_too_expensive"].advice


async def test_versions_that_are_missing_are_said_to_be() -> None:
    """Where some were found, the record was."""

    async def read() -> None:
        raise LookUpTooExpensiveError(5, None, row_count=1, since_us=0)

    words = r"^not every version of the record was found since 1970-01-01T00:00:00Z, .* 5 bytes$"
    with pytest.raises(ProblemError, match=words):
        await answered(read())


async def get(bigquery: RestServer, path: str) -> httpx.Response:
    """Ask the API over `bigquery`."""
    runner = bigquery.runner()
    app = application(query_application(runner, FakeClock(), bigquery.settings()).routes)
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type] # httpx knows dicts only
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        found = await client.get(path)
    runner.close()
    return found


def test_the_script_of_these_tests_is_asked(bigquery: RestServer) -> None:
    """A server that answered by itself would make every test above pass or fail for its own reasons."""
    call = Call("jobs.query", "", {}, {})
    bigquery.script = lambda _: TOO_EXPENSIVE
    assert bigquery.answer(call) is TOO_EXPENSIVE

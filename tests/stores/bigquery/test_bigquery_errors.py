"""What BigQuery's failures become: for the caller of a runner, and for the client of the API."""

import logging
from collections.abc import Iterator

import httpx
import pytest
from google.api_core.exceptions import BadRequest

from app.http.problems import CATALOGUE
from app.stores.bigquery import jobs
from app.stores.bigquery.source import BigQueryRunner
from app.stores.source import (
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
    PROJECT,
    QUERY,
    RUNNING,
    Answer,
    HangUp,
    Refusal,
    RestServer,
)

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
        (Refusal(429, ""), StoreBusyError, "429"),
        (Refusal(401, "authError"), StoreUnavailableError, "token"),
        (Refusal(403, "accessDenied"), StoreUnavailableError, f"for {PROJECT}.{DATASET}, answered 403 accessDenied"),
        (Refusal(404, "notFound"), StoreUnavailableError, "notFound"),
        (Refusal(499, "stopped", "Job execution was cancelled"), StoreUnavailableError, "was cancelled"),
        (Refusal(500, "internalError"), StoreUnavailableError, "internalError"),
        (Refusal(503, "backendError"), StoreUnavailableError, "backendError"),
        (Refusal(502, ""), StoreUnavailableError, "502"),
        (Refusal(400, "invalid", 'Invalid dataset ID "a b"'), StoreUnavailableError, "Invalid dataset ID"),
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


async def test_a_passing_trouble_repeats_the_call_and_not_the_query(
    bigquery: RestServer, runner: BigQueryRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server error, one that says nothing, or a broken connection. Only jobs.query may begin the query again."""
    monkeypatch.setattr(jobs, "_RETRY_S", 10.0)
    done = {"jobComplete": True, "jobReference": JOB, "schema": {"fields": [{"name": "n", "type": "INTEGER"}]}}
    script: list[tuple[str, Answer]] = [
        ("jobs.query", Refusal(503, "backendError")),
        ("jobs.query", Refusal(500, "")),
        ("jobs.query", HangUp()),
        ("jobs.query", RUNNING),
        ("jobs.getQueryResults", HangUp()),
        ("jobs.getQueryResults", done | {"rows": [{"f": [{"v": "1"}]}], "pageToken": "next"}),
        ("jobs.getQueryResults", HangUp()),
        ("jobs.getQueryResults", {"jobComplete": True, "rows": []}),
    ]
    bigquery.script = lambda _: script[len(bigquery.calls) - 1][1]
    assert (await runner.rows(QUERY)).rows == [{"n": 1}]
    assert bigquery.seen() == [what for what, _ in script]


@pytest.mark.parametrize(
    ("answer", "code", "members"),
    [
        (TOO_EXPENSIVE, "query_too_expensive", {"limit_bytes": 500 * 1024**3, "needed_bytes": 10_485_760}),
        (Refusal(400, "resourcesExceeded"), "query_too_expensive", {"limit_bytes": 500 * 1024**3}),
        (Refusal(504, ""), "query_timeout", {"timeout_s": 30.0}),
        (Refusal(403, "quotaExceeded"), "store_busy", {"retry_after_s": 5}),
        (Refusal(404, "notFound"), "store_unavailable", {"retry_after_s": 30}),
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


async def get(bigquery: RestServer, path: str) -> httpx.Response:
    """Ask the API over `bigquery`."""
    runner = bigquery.runner()
    app = application(query_application(runner, FakeClock(), bigquery.settings()).routes)
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type] # httpx knows dicts only
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        found = await client.get(path)
    runner.close()
    return found

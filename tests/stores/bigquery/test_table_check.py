"""What a look at the live table finds, and what every failure of it means."""

import asyncio
import threading
from pathlib import Path

import pytest
from google.api_core import exceptions
from google.auth.exceptions import DefaultCredentialsError, RefreshError, TransportError

from app.record import Record
from app.schema.table import records_table
from app.stores.bigquery.client import AccessError, BigQueryClients, TableAddress
from app.stores.bigquery.failures import is_table_missing, setup_error
from app.stores.bigquery.table_check import check_table
from app.stores.sink import ColumnsPending, SetupError, SinkState
from sluice.testing.pace import patience_s
from tests.table_server import Answer, TableServer, found, refused, resource_of, serving_tables

ROOT = Path(__file__).resolve().parents[3]
TABLE = records_table(Record)
NAME = "my-project.events.records"


def _place(url: str) -> TableAddress:
    return TableAddress(
        project="my-project", dataset="events", location=None, rest_url=url, storage_url="http://127.0.0.1:1"
    )


async def _checked(server: TableServer, timeout_s: float = 10.0) -> SetupError | ColumnsPending | None:
    access = BigQueryClients(_place(server.url))
    try:
        return await check_table(access, TABLE, timeout_s)
    finally:
        access.close()


async def test_a_table_is_compared_with_the_declaration_in_one_request() -> None:
    """One with a column more fits, one without an optional column takes rows, and one with other partitions none."""
    resource = resource_of(TABLE)
    fields = resource["schema"]["fields"]
    with serving_tables({"records": found(resource)}) as server:
        assert await _checked(server) is None
        resource["schema"]["fields"] = [*fields, {"name": "new", "type": "STRING"}]
        server.answers["records"] = found(resource)
        assert await _checked(server) is None
        resource["schema"]["fields"] = [each for each in fields if each["name"] != "source"]
        server.answers["records"] = found(resource)
        pending = await _checked(server)
        server.answers["records"] = found(resource | {"timePartitioning": {"type": "DAY", "field": "ingest_time"}})
        obstacle = await _checked(server)
        assert len(server.asked) == 4
    assert pending == ColumnsPending(
        frozenset({"source"}),
        f"{NAME} lacks columns of the record type: source is missing from the table; the record type declares NULLABLE "
        "STRING: add it with Terraform. `sluice schema diff` lists all differences; docs/record-types.md says "
        "how to resolve them",
    )
    assert obstacle == SetupError(
        SinkState.SCHEMA_MISMATCH,
        f"{NAME} does not fit the record type: The record type requires partitions by HOUR of ingest_time, which the "
        "table has not. This cannot be changed: recreate the table. `sluice schema diff` lists all differences; "
        "docs/record-types.md says how to resolve them",
    )


MISSING = refused(404, "notFound", "Not found: Table my-project:events.records")
_SERVED = [
    (MISSING, SinkState.NOT_FOUND, "create it with `terraform apply`"),
    (refused(400, "invalid", 'Invalid project ID "x y".'), SinkState.NOT_FOUND, "SLUICE_BIGQUERY_PROJECT"),
    (refused(403, "accessDenied", "Access Denied: Table x"), SinkState.PERMISSION_DENIED, "roles/bigquery.dataEditor"),
    (refused(401, "authError", "Invalid Credentials"), SinkState.PERMISSION_DENIED, "without a token"),
    (refused(403, "rateLimitExceeded", "Exceeded rate limits"), SinkState.QUOTA_EXHAUSTED, "Exceeded rate limits"),
    (refused(503, "backendError", "Try later"), SinkState.UNREACHABLE, "answered 503 backendError: Try later"),
    (Answer(body=b"<html>\nhello</html>"), SinkState.UNREACHABLE, "does not answer like BigQuery"),
    (Answer(body=b'{"schema": {"fields": [{}]}}'), SinkState.UNREACHABLE, "does not answer like BigQuery"),
    (Answer(status=502, body=b'{"error": {"errors": ["x"], "message": 5}}'), SinkState.UNREACHABLE, "answered 502"),
]


@pytest.mark.parametrize(("answer", "state", "words"), _SERVED)
async def test_every_answer_becomes_a_state_at_the_first_request(answer: Answer, state: SinkState, words: str) -> None:
    """Whatever the server says, the check ends in a state and one line, and asks once only."""
    with serving_tables({"records": answer}) as server:
        obstacle = await _checked(server)
        assert isinstance(obstacle, SetupError)
        assert obstacle.state is state
        assert words in obstacle.detail
        assert "\n" not in obstacle.detail
        assert "prettyPrint" not in obstacle.detail
        assert len(server.asked) == 1


async def test_a_server_that_does_not_answer_is_unreachable() -> None:
    """Whether it refuses the connection or hangs."""
    with serving_tables({"records": found(resource_of(TABLE), hangs=True)}) as server:
        hanging = await _checked(server, timeout_s=0.2)
    refusing = await _checked(server)
    for obstacle, words in ((hanging, "does not answer in time"), (refusing, "cannot be reached: Connection refused")):
        assert isinstance(obstacle, SetupError)
        assert obstacle.state is SinkState.UNREACHABLE
        assert f"{server.url} {words} (SLUICE_BIGQUERY_REST_URL)" in obstacle.detail


@pytest.mark.parametrize(
    ("error", "state", "words"),
    [
        (AccessError("no usable Google credentials: x"), SinkState.PERMISSION_DENIED, "no usable Google credentials"),
        (RefreshError("invalid_grant"), SinkState.PERMISSION_DENIED, "without a token: invalid_grant"),
        (RefreshError("busy", retryable=True), SinkState.UNREACHABLE, "busy"),
        (TransportError("oauth2 is down"), SinkState.UNREACHABLE, "oauth2 is down"),
        (DefaultCredentialsError("none"), SinkState.PERMISSION_DENIED, "none"),
        (RuntimeError("a\nb" * 1_000), SinkState.UNREACHABLE, "RuntimeError: a ba b"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_failure_without_an_answer_has_one_meaning(error: Exception, state: SinkState, words: str) -> None:
    """Each becomes a state and a line that names what to look at."""
    found_error = setup_error(error, _place("https://bigquery.googleapis.com"), "records")
    assert found_error.state is state
    assert words in found_error.detail
    assert "\n" not in found_error.detail
    assert len(found_error.detail) < 1_000


def test_only_an_answer_about_the_table_says_that_it_is_missing() -> None:
    """The dataset may be missing instead, or another server have answered."""
    told = [exceptions.NotFound(text) for text in ("Not found: Table x", "Not found: Dataset x", "<html>")]  # type: ignore[no-untyped-call]
    assert [is_table_missing(each) for each in told] == [True, False, False]


async def test_a_check_that_hangs_holds_up_neither_its_caller_nor_the_end_of_the_process() -> None:
    """It can be cancelled, and its thread is one that the process does not wait for."""
    with serving_tables({"records": found(resource_of(TABLE), hangs=True)}) as server:
        check = asyncio.create_task(check_table(BigQueryClients(_place(server.url)), TABLE, 600))
        assert await asyncio.to_thread(server.reached.wait, patience_s(60))
        check.cancel()
        await asyncio.wait([check])
        assert {each.daemon for each in threading.enumerate() if each.name == "table-check"} == {True}

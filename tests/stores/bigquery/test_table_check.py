import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from google.api_core import exceptions
from google.auth.exceptions import DefaultCredentialsError, RefreshError, TransportError

from app.record import Record
from app.schema.table import records_table
from app.stores.bigquery.client import AccessError, BigQueryClients, TableAddress
from app.stores.bigquery.table_check import check_table, missing_part, setup_error
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


async def test_a_table_that_fits_stands_in_nobodys_way() -> None:
    """A table as declared, and one that has a column more, are no errors; each look is one request."""
    resource = resource_of(TABLE)
    with serving_tables({"records": found(resource)}) as server:
        assert await _checked(server) is None
        resource["schema"]["fields"].append({"name": "new", "type": "STRING"})
        server.answers["records"] = found(resource)
        assert await _checked(server) is None
        path = "/bigquery/v2/projects/my-project/datasets/events/tables/records"
        assert server.asked == [path, path]


async def test_a_table_that_lacks_an_optional_column_takes_rows() -> None:
    """Which columns, and what to do; one that breaks beside it counts alone."""
    resource = resource_of(TABLE)
    resource["schema"]["fields"] = [each for each in resource["schema"]["fields"] if each["name"] != "source"]
    with serving_tables({"records": found(resource)}) as server:
        pending = await _checked(server)
        server.answers["records"] = found(resource | {"timePartitioning": {"type": "DAY", "field": "ingest_time"}})
        obstacle = await _checked(server)
    assert pending == ColumnsPending(
        frozenset({"source"}),
        f"{NAME} lacks columns of the record type: source is missing from the table; the record type declares NULLABLE "
        "STRING: add it with Terraform. `sluice schema diff` lists all differences; docs/record-types.md says "
        "how to resolve them",
    )
    assert isinstance(obstacle, SetupError)
    assert "source is missing" not in obstacle.detail


async def test_a_table_that_lacks_a_column_of_the_envelope_is_a_mismatch() -> None:
    """Every row uses it, so nothing could be stored without it."""
    resource = resource_of(TABLE)
    resource["schema"]["fields"] = [each for each in resource["schema"]["fields"] if each["name"] != "trace_id"]
    with serving_tables({"records": found(resource)}) as server:
        obstacle = await _checked(server)
    assert isinstance(obstacle, SetupError)
    assert obstacle.state is SinkState.SCHEMA_MISMATCH


async def test_a_table_that_does_not_fit_is_a_mismatch() -> None:
    """What breaks is told in full, what is only noted is not, and where to look further."""
    resource = resource_of(
        TABLE,
        timePartitioning={"type": "DAY", "field": "ingest_time"},
        clustering={"fields": ["source"]},
        requirePartitionFilter=False,
    )
    with serving_tables({"records": found(resource)}) as server:
        obstacle = await _checked(server)
    assert obstacle == SetupError(
        SinkState.SCHEMA_MISMATCH,
        f"{NAME} does not fit the record type: The table has partitions by DAY of ingest_time; the record type "
        "requires partitions by HOUR of ingest_time. This cannot be changed: recreate the table. `sluice schema "
        "diff` lists all differences; docs/record-types.md says how to resolve them",
    )


_SERVED = [
    (
        refused(404, "notFound", "Not found: Table my-project:events.records"),
        SinkState.NOT_FOUND,
        f"the table {NAME} does not exist",
    ),
    (refused(403, "accessDenied", "Access Denied: Table x"), SinkState.PERMISSION_DENIED, "roles/bigquery.dataEditor"),
    (refused(401, "authError", "Invalid Credentials"), SinkState.PERMISSION_DENIED, "BigQuery refuses the credentials"),
    (refused(403, "rateLimitExceeded", "Exceeded rate limits"), SinkState.QUOTA_EXHAUSTED, "Exceeded rate limits"),
    (refused(503, "backendError", "Try later"), SinkState.UNREACHABLE, "answered 503 about"),
    (refused(500, "internalError", "Oops"), SinkState.UNREACHABLE, "Oops"),
    (Answer(body=b"<html>\nhello</html>"), SinkState.UNREACHABLE, "does not answer like BigQuery"),
    (Answer(body=b'{"schema": {"fields": [{}]}}'), SinkState.UNREACHABLE, "does not answer like BigQuery"),
    (
        Answer(status=404, body=b"<html>\nno</html>"),
        SinkState.NOT_FOUND,
        "answered 404 about my-project.events.records",
    ),
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
        assert len(server.asked) == 1


async def test_an_address_where_nobody_listens_is_unreachable() -> None:
    """A refused connection is told in three words, with the address and its setting."""
    with serving_tables({}) as server:
        url = server.url
    access = BigQueryClients(_place(url))
    obstacle = await check_table(access, TABLE)
    access.close()
    detail = f"{url} (SLUICE_BIGQUERY_REST_URL) cannot be reached: Connection refused"
    assert obstacle == SetupError(SinkState.UNREACHABLE, detail)


async def test_a_server_that_hangs_is_given_up() -> None:
    """Without an answer within the time the store is unreachable."""
    with serving_tables({"records": found(resource_of(TABLE), hangs=True)}) as server:
        obstacle = await _checked(server, timeout_s=0.2)
        assert isinstance(obstacle, SetupError)
        assert obstacle.state is SinkState.UNREACHABLE
        assert obstacle.detail.endswith("does not answer in time")


async def test_the_loop_goes_on_while_the_table_is_looked_at() -> None:
    """The answer waits for a turn of the same loop, so a check that blocked it would never have one."""
    with serving_tables({"records": found(resource_of(TABLE), hangs=True)}) as server:
        check = asyncio.create_task(_checked(server))
        await asyncio.to_thread(server.reached.wait)
        server.release.set()
        assert await check is None


async def test_credentials_that_take_too_long_are_given_up_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the request something may hang as well: the whole has a limit of its own."""
    with serving_tables({}) as server:
        access = BigQueryClients(_place(server.url))
        monkeypatch.setattr(access, "client", server.release.wait)
        obstacle = await check_table(access, TABLE, timeout_s=0.05)
        assert isinstance(obstacle, SetupError)
        assert obstacle.state is SinkState.UNREACHABLE
        assert server.asked == []


def test_a_process_does_not_wait_for_a_check_that_hangs() -> None:
    """The service can end while BigQuery does not answer, whoever was waiting for the check."""
    script = """
import asyncio, sys
from app.stores.bigquery.client import BigQueryClients, TableAddress
from app.stores.bigquery.table_check import check_table
from app.record import Record
from app.schema.table import records_table
async def main():
    place = TableAddress(project="p", dataset="d", location=None, rest_url=sys.argv[1], storage_url=sys.argv[1])
    check = asyncio.create_task(check_table(BigQueryClients(place), records_table(Record), 600))
    await asyncio.to_thread(sys.stdin.readline)
    check.cancel()
    await asyncio.wait([check])
    print(check.cancelled())
asyncio.run(main())
"""
    with serving_tables({"records": found(resource_of(TABLE), hangs=True)}) as server:
        process = subprocess.Popen(
            [sys.executable, "-c", script, server.url],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert server.reached.wait(patience_s(60))
        assert process.communicate(b"\n", timeout=patience_s(30))[0] == b"True\n"


def _http(kind: Callable[..., exceptions.GoogleAPICallError], message: str) -> exceptions.GoogleAPICallError:
    url = "https://bigquery.googleapis.com/bigquery/v2/projects/my-project/datasets/events/tables/records"
    return kind(f"GET {url}?prettyPrint=false: {message}", errors=[])


@pytest.mark.parametrize(
    ("error", "state", "words"),
    [
        (
            _http(exceptions.NotFound, f"Not found: Table {NAME}"),
            SinkState.NOT_FOUND,
            "the table my-project.ev",
        ),
        (_http(exceptions.NotFound, "Not found: Dataset my-project:events"), SinkState.NOT_FOUND, "BIGQUERY_DATASET"),
        (_http(exceptions.NotFound, "Not found: Project my-project"), SinkState.NOT_FOUND, "SLUICE_BIGQUERY_PROJECT"),
        (
            _http(exceptions.BadRequest, 'Invalid project ID "x y".'),
            SinkState.NOT_FOUND,
            "project my-project does not exist",
        ),
        (_http(exceptions.BadRequest, 'Invalid dataset ID "a-b".'), SinkState.NOT_FOUND, "no dataset events"),
        (
            _http(exceptions.BadRequest, "No."),
            SinkState.UNREACHABLE,
            "answered 400 about my-project.events.records: No.",
        ),
        (_http(exceptions.Forbidden, "Access Denied"), SinkState.PERMISSION_DENIED, "Access Denied (the service needs"),
        (_http(exceptions.Unauthorized, "Invalid"), SinkState.PERMISSION_DENIED, "permission to check my-project"),
        (_http(exceptions.TooManyRequests, "Slower"), SinkState.QUOTA_EXHAUSTED, "is exhausted: Slower"),
        (AccessError("no usable Google credentials: x"), SinkState.PERMISSION_DENIED, "no usable Google credentials"),
        (
            RefreshError("invalid_grant"),
            SinkState.PERMISSION_DENIED,
            "BigQuery refuses the credentials, so my-project.events.records",
        ),
        (RefreshError("busy", retryable=True), SinkState.UNREACHABLE, "cannot get an access token"),
        (TransportError("oauth2 is down"), SinkState.UNREACHABLE, "oauth2 is down"),
        (DefaultCredentialsError("none"), SinkState.PERMISSION_DENIED, "none"),
        (TimeoutError(), SinkState.UNREACHABLE, "does not answer in time"),
        (ConnectionResetError(104, "Connection reset by peer"), SinkState.UNREACHABLE, "Connection reset by peer"),
        (RuntimeError("a\nb" * 1_000), SinkState.UNREACHABLE, "RuntimeError: a ba b"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_exception_has_one_meaning(error: Exception, state: SinkState, words: str) -> None:
    """Each becomes a state and a line that names what to look at, without the client's own preface."""
    found_error = setup_error(error, _place("https://bigquery.googleapis.com"), "records")
    assert found_error.state is state
    assert words in found_error.detail
    assert "\n" not in found_error.detail
    assert "prettyPrint" not in found_error.detail
    assert len(found_error.detail) < 1_000


def test_the_words_of_the_answer_say_which_part_is_missing() -> None:
    """Only an answer of BigQuery about a name is believed."""
    assert missing_part(_http(exceptions.NotFound, "Not found: Table my-project:events.dataset")) == "table"
    assert missing_part(_http(exceptions.NotFound, "Not found: Dataset my-project:table")) == "dataset"
    assert missing_part(_http(exceptions.NotFound, "<html>")) is None
    assert missing_part(_http(exceptions.Forbidden, "Not found: Table x")) is None
    assert missing_part(OSError("Not found: Table x")) is None

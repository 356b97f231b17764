"""What BigQuery is really asked: every query carries its guards, and one place asks."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlglot
from sqlglot import exp

from app.runtime.instants import MAX_US, MIN_US
from app.settings.fields import GIB
from app.stores.bigquery.client import TableAddress
from app.stores.bigquery.jobs import job_configuration
from app.stores.bigquery.watermarks import INSTANCES
from app.stores.query import Purpose, Scalar
from app.stores.sql.statement import Statement
from sluice.testing.clock import FakeClock
from tests.contract.application import application, query_application
from tests.contract.stores import RECORDS, REJECTS
from tests.stores.bigquery.rest_server import (
    DATASET,
    JOB,
    LOCATION,
    PROJECT,
    QUERY,
    RUNNING,
    SETTINGS,
    Answer,
    Call,
    RestServer,
)

APP = Path(__file__).parents[3] / "app"
# What makes or runs a job with Google's client library.
_MAKES_JOBS = re.compile(r"JobConfig\b|_and_wait\(|client\(?\)?\.query\(|\.(load|extract|copy)_table|api_request")


def resource(purpose: Purpose = "page", *, is_cheap: bool = False, **parameters: Scalar) -> dict[str, Any]:
    """Return the job's configuration as it is sent."""
    statement = Statement(sql="SELECT 1", parameters=parameters, purpose=purpose, is_cheap=is_cheap)
    return job_configuration(statement, TableAddress.of(SETTINGS.store), SETTINGS)


@pytest.mark.parametrize(
    ("purpose", "is_cheap", "limit", "timeout_ms"),
    [
        ("page", False, 10 * GIB, 30_000),
        ("page", True, 500 * GIB, 30_000),
        ("look_up", False, 100 * GIB, 30_000),
        ("look_up", True, None, 30_000),
        ("export", False, 10 * GIB, 300_000),
    ],
)
def test_a_job_has_all_its_guards(purpose: Purpose, limit: int | None, timeout_ms: int, *, is_cheap: bool) -> None:
    """The bytes and the time that its purpose allows, whom it is billed to, and where its tables are.

    BigQuery compares with an estimate that ignores clustering: what is cheap has a high limit. That of a look-up by an
    index is the whole table, so it has none.
    """
    found = resource(purpose, is_cheap=is_cheap)
    assert found["query"].get("maximumBytesBilled") == (None if limit is None else str(limit))
    assert found["jobTimeoutMs"] == str(timeout_ms)
    assert found["labels"] == {"service": "sluice", "purpose": purpose}
    assert found["query"]["defaultDataset"] == {"projectId": PROJECT, "datasetId": DATASET}
    assert found["query"]["useLegacySql"] is False


@pytest.mark.parametrize(
    ("name", "value", "type_", "text"),
    [
        ("limit", 5, "INT64", "5"),
        ("big", -(2**63), "INT64", str(-(2**63))),
        ("from_us", 1_700_000_000_000_001, "TIMESTAMP", "2023-11-14 22:13:20.000001+00:00"),
        ("from_us", MIN_US, "TIMESTAMP", "0001-01-01 00:00:00+00:00"),
        ("from_us", MAX_US, "TIMESTAMP", "9999-12-31 23:59:59.999999+00:00"),
        ("flag_us", True, "BOOL", "true"),
        ("flag", False, "BOOL", "false"),
        ("share", 1.5, "FLOAT64", "1.5"),
        ("id", "é'\n", "STRING", "é'\n"),
        ("key", b"\x00\xff", "BYTES", "AP8="),
    ],
)
def test_a_parameter_has_the_type_of_its_value(name: str, value: Scalar, type_: str, text: Any) -> None:
    """An integer whose name ends in _us is an instant, exact to the microsecond; nothing is in the text of the SQL."""
    parameters: Any = {name: value}
    found = resource(**parameters)["query"]
    assert found["parameterMode"] == "NAMED"
    (parameter,) = found["queryParameters"]
    assert parameter == {"name": name, "parameterType": {"type": type_}, "parameterValue": {"value": text}}


def test_nobody_else_makes_jobs() -> None:
    """A job that is made elsewhere would have no guards."""
    makers = [path.relative_to(APP).as_posix() for path in APP.rglob("*.py") if _MAKES_JOBS.search(path.read_text())]
    assert makers == ["stores/bigquery/jobs.py"]


def field(name: str, type_: str, mode: str = "NULLABLE", fields: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    """Return a column of an answer's schema."""
    return {"name": name, "type": type_, "mode": mode, "fields": list(fields)}


def answer_of(*columns: tuple[dict[str, Any], Any]) -> dict[str, Any]:
    """Return the answer that has one row."""
    return {
        "jobComplete": True,
        "totalRows": "1",
        "schema": {"fields": [column for column, _ in columns]},
        "rows": [{"f": [{"v": value} for _, value in columns]}],
    }


@pytest.fixture
async def client(bigquery: RestServer) -> Any:
    """Give a client of the query routes over BigQuery."""
    runner = bigquery.runner()
    app = application(query_application(runner, FakeClock(), bigquery.settings()).routes)
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type] # httpx knows dicts only
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client
    runner.close()


@pytest.mark.parametrize(
    ("url", "purpose"),
    [
        ("/v1/records", "page"),
        ("/v1/records?since=-P2D&order=desc", "page"),
        ("/v1/rejects", "page"),
        ("/v1/records/an-id", "look_up"),
        ("/v1/records/an-id?versions=all", "look_up"),
        ("/v1/records/an/id", "look_up"),
    ],
)
async def test_every_query_of_every_endpoint_is_guarded(
    client: httpx.AsyncClient, bigquery: RestServer, url: str, purpose: str
) -> None:
    """Limits, labels, dataset and location go out with it, and each scan names the partitions it needs."""
    assert (await client.get(url)).status_code == (200 if purpose == "page" else 404)
    assert of_tables(bigquery)
    for call in of_tables(bigquery):
        settings = bigquery.settings()
        limit = (
            settings.query.look_up_max_bytes_billed if purpose == "look_up" else settings.query.query_max_bytes_billed
        )
        assert (call.what, call.path) == ("jobs.query", f"/bigquery/v2/projects/{PROJECT}/queries")
        assert call.body["maximumBytesBilled"] == str(limit)
        assert call.body["timeoutMs"] == 2000
        assert call.body["labels"] == {"service": "sluice", "purpose": purpose}
        assert call.body["location"] == LOCATION
        assert call.body["jobCreationMode"] == "JOB_CREATION_OPTIONAL"
        assert call.body["formatOptions"] == {"useInt64Timestamp": True}
        assert bounded_scans(call.body["query"]) == (2 if purpose == "page" else 1)
        assert_parameters(call.body)


async def test_watermarks_are_read_first_within_the_limits_of_a_short_query(
    client: httpx.AsyncClient, bigquery: RestServer
) -> None:
    """One query of two minutes, which may be estimated at fifty times what it bills."""
    await client.get("/v1/records")
    marks = [call for call in bigquery.calls if INSTANCES in call.body["query"]]
    assert [bigquery.calls[0]] == marks
    assert marks[0].body["maximumBytesBilled"] == str(50 * bigquery.settings().query.query_max_bytes_billed)
    assert marks[0].body["labels"] == {"service": "sluice", "purpose": "horizon"}


def of_tables(bigquery: RestServer) -> list[Call]:
    """Return the calls that are about records or rejects, not about watermarks."""
    return [call for call in bigquery.calls if INSTANCES not in call.body["query"]]


def bounded_scans(sql: str) -> int:
    """Return how many scans of a table there are; each is bounded in time by parameters."""
    tree = sqlglot.parse_one(sql, read="bigquery")
    scans = [table for table in tree.find_all(exp.Table) if table.name in {RECORDS.name, REJECTS.name}]
    for scan in scans:
        select = scan.parent_select
        assert select is not None
        where = select.args["where"].sql("bigquery")
        assert "`ingest_time` >= @" in where
        assert "`ingest_time` < @" in where
    return len(scans)


def assert_parameters(body: dict[str, Any]) -> None:
    """Every parameter of the text is given, and no other."""
    text = sqlglot.parse_one(body["query"], read="bigquery")
    named = {node.name for node in text.find_all(exp.Parameter)}
    given = {parameter["name"]: parameter["parameterType"]["type"] for parameter in body["queryParameters"]}
    assert set(given) == named
    assert {given[name] for name in named if name.endswith("_us")} == {"TIMESTAMP"}


async def test_a_long_query_and_a_long_answer_are_read_to_the_end(bigquery: RestServer) -> None:
    """First it becomes a job that is waited for; then its pages are fetched one by one, in order."""
    column = field("n", "INTEGER")
    answers: Iterator[Answer] = iter(
        [
            RUNNING,
            RUNNING,
            answer_of((column, "1")) | {"jobReference": JOB, "pageToken": "next", "totalBytesProcessed": "7"},
            {"jobComplete": True, "jobReference": JOB, "rows": [{"f": [{"v": "2"}]}]},
        ]
    )
    bigquery.script = lambda _: next(answers)
    runner = bigquery.runner()
    answer = await runner.rows(QUERY)
    runner.close()
    assert (answer.rows, answer.bytes_processed) == ([{"n": 1}, {"n": 2}], 7)
    assert bigquery.seen() == ["jobs.query", *["jobs.getQueryResults"] * 3]
    assert bigquery.calls[-1].parameters["pageToken"] == ["next"]

"""What BigQuery is really asked, by each endpoint and for each purpose."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
import sqlglot
from sqlglot import exp

from app.stores.bigquery.watermarks.marks import INSTANCES
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
    Answer,
    Call,
    RestServer,
)


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
        assert call.body["jobTimeoutMs"] == "30000"
        assert call.body["timeoutMs"] == 2000
        assert call.body["labels"] == {"service": "sluice", "purpose": purpose}
        assert call.body["defaultDataset"] == {"projectId": PROJECT, "datasetId": DATASET}
        assert call.body["location"] == LOCATION
        assert call.body["jobCreationMode"] == "JOB_CREATION_OPTIONAL"
        assert call.body["useLegacySql"] is False
        assert call.body["formatOptions"] == {"useInt64Timestamp": True}
        assert bounded_scans(call.body["query"]) == (2 if purpose == "page" else 1)
        assert_parameters(call.body)


async def test_slices_end_where_the_partitions_do(client: httpx.AsyncClient, bigquery: RestServer) -> None:
    """The first one is the rest of an hour, or a minute of it and the next one; then come whole hours."""
    await client.get("/v1/records?since=-P2D")
    spans, ends = [], []
    for call in of_tables(bigquery)[:2]:
        given = {each["name"]: each["parameterValue"]["value"] for each in call.body["queryParameters"]}
        ends.append(datetime.fromisoformat(given["to_us"]))
        spans.append(ends[-1] - datetime.fromisoformat(given["from_us"]))
    assert [(end.minute, end.second, end.microsecond) for end in ends] == [(0, 0, 0)] * 2
    assert timedelta(minutes=1) <= spans[0] <= timedelta(minutes=61)
    assert ends[1] - ends[0] == spans[1] <= timedelta(hours=7)


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


async def test_a_value_of_every_type_comes_as_the_runner_promises(bigquery: RestServer) -> None:
    """Instants are exact, JSON is the text it was stored as, and whatever is NULL is None."""
    inner = (field("n", "INTEGER"), field("at", "TIMESTAMP", "REPEATED"))
    columns = (
        (field("bool", "BOOLEAN"), "true"),
        (field("int", "INTEGER"), str(2**63 - 1)),
        (field("float", "FLOAT"), "-Infinity"),
        (field("numeric", "NUMERIC"), "0.000000001"),
        (field("widened", "BIGNUMERIC"), "-0.00000000000000000000000000000000000001"),
        (field("string", "STRING"), "é"),
        (field("bytes", "BYTES"), "AP8="),
        (field("timestamp", "TIMESTAMP"), "-62135596799999999"),
        (field("date", "DATE"), "0001-01-01"),
        (field("time", "TIME"), "23:59:59.000001"),
        (field("json", "JSON"), '{"n":1.50,"n2":1e400}'),
        (field("struct", "RECORD", fields=inner), {"f": [{"v": "1"}, {"v": [{"v": "1"}]}]}),
        (field("structs", "RECORD", "REPEATED", inner), [{"v": {"f": [{"v": None}, {"v": []}]}}]),
        (field("strings", "STRING", "REPEATED"), [{"v": "a"}]),
        (field("required", "STRING", "REQUIRED"), "b"),
        (field("null", "JSON"), None),
    )
    bigquery.script = lambda _: answer_of(*columns)
    runner = bigquery.runner()
    (row,) = (await runner.rows(QUERY)).rows
    runner.close()
    assert bytes(row.pop("json")) == b'{"n":1.50,"n2":1e400}'
    assert row == {
        "bool": True,
        "int": 2**63 - 1,
        "float": float("-inf"),
        "numeric": Decimal("0.000000001"),
        "widened": Decimal("-1E-38"),
        "string": "é",
        "bytes": b"\x00\xff",
        "timestamp": datetime(1, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
        "date": date(1, 1, 1),
        "time": time(23, 59, 59, 1),
        "struct": {"n": 1, "at": [datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC)]},
        "structs": [{"n": None, "at": []}],
        "strings": ["a"],
        "required": "b",
        "null": None,
    }


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

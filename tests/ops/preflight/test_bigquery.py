"""The checks that need a BigQuery, before one: every statement as a dry run, and an append without rows."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any, get_args

import msgspec
import pytest

from app.record import Record
from app.schema.filters import checked_table
from app.schema.table import rejects_table
from app.stores.bigquery.client import BigQueryClients, TableAddress
from app.stores.bigquery.watermarks.marks import instances_table
from app.stores.query import Deletion, Query
from app.stores.sink import QuotaExceeded, RowsRefused, SetupError, SinkState, Stored, Uncertain
from sluice.ops.preflight.append import judge_outcomes
from sluice.ops.preflight.finding import Failed, Held, NotLooked
from sluice.ops.preflight.statements import every_query
from tests.long_form import long
from tests.ops.preflight.asking import ask
from tests.support.google_cloud.project import Project, healthy
from tests.support.local_bigquery import Double

RECORDS, REJECTS = checked_table(Record), rejects_table()


@pytest.fixture
def place(local_bigquery: Double) -> Iterator[TableAddress]:
    """Make a dataset with the two tables."""
    made = local_bigquery.fresh(RECORDS, REJECTS, instances_table())
    yield made
    local_bigquery.drop(made)


def told(place: TableAddress) -> tuple[Project, list[str]]:
    """Return a project whose service uses `place`, and the options that lead there."""
    project = healthy(RECORDS, REJECTS)
    project.environ |= {"SLUICE_BIGQUERY_PROJECT": place.project, "SLUICE_BIGQUERY_DATASET": place.dataset}
    endpoints = ("bigquery.googleapis.com", place.rest_url), ("bigquerystorage.googleapis.com", place.storage_url)
    return project, [option for host, url in endpoints for option in ("--endpoint", f"{host}={url}")]


@pytest.mark.parametrize(
    "checks", [["append"], pytest.param(["statements", "append"], marks=long)], ids=["append", "statements"]
)
def test_statements_and_an_append_hold(
    checks: list[str], place: TableAddress, capsys: pytest.CaptureFixture[str]
) -> None:
    """BigQuery accepts them, and nothing is stored."""
    project, options = told(place)
    _, found = ask(project, capsys, *options, "--only", *checks)
    assert {name: kind for name, (kind, _) in found.items()} == dict.fromkeys(checks, "held"), found
    access = BigQueryClients(place)
    counted = access.client().query_and_wait(
        f"SELECT COUNT(*) AS n FROM `{place.table_id(RECORDS.name)}` WHERE ingest_time > '2000-01-01'"  # noqa: S608 - the test's own table
    )
    assert [row.n for row in counted] == [0]
    access.close()


@long
def test_a_missing_table_fails_both(place: TableAddress, capsys: pytest.CaptureFixture[str]) -> None:
    """The append says which, and what to do; the statements quote BigQuery."""
    project, options = told(place)
    access = BigQueryClients(place)
    access.client().delete_table(place.table_id(REJECTS.name))
    access.close()
    _, found = ask(project, capsys, *options, "--only", "statements", "append")
    assert found["append"][0] == found["statements"][0] == "failed"
    assert "NOT_FOUND" in found["append"][1]
    assert "terraform apply" in found["append"][1].partition("Cure: ")[2]
    assert REJECTS.name in found["statements"][1]


def test_a_column_of_another_type_fails_the_append(place: TableAddress, capsys: pytest.CaptureFixture[str]) -> None:
    """It is the service's own check of the table that says so."""
    project, options = told(place)
    access, client = BigQueryClients(place), BigQueryClients(place).client()
    name = place.table_id(RECORDS.name)
    resource: dict[str, Any] = client.get_table(name).to_api_repr()
    resource["schema"]["fields"][0]["type"] = "INTEGER"
    client.delete_table(name)
    from google.cloud.bigquery import Table as LiveTable  # noqa: PLC0415 - of this test only

    kept = {key: resource[key] for key in ("tableReference", "schema", "timePartitioning", "clustering")}
    client.create_table(LiveTable.from_api_repr(kept))
    access.close()
    _, found = ask(project, capsys, *options, "--only", "append")
    assert found["append"][0] == "failed"
    assert "SCHEMA_MISMATCH" in found["append"][1]


def test_every_statement_of_the_service_is_among_them() -> None:
    """Rendering them reaches every line of app/stores/sql that makes text, and there is one of each kind of query."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.ops.preflight.reached"], capture_output=True, text=True, check=True
    )
    assert run.stdout == ""
    kinds = {type(query) for query in every_query(RECORDS, REJECTS)}
    assert kinds == {*get_args(Query), Deletion}


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        (Stored(), Held),
        (RowsRefused({}, "rows must be specified"), Held),
        (SetupError(SinkState.NOT_FOUND, "gone"), Failed),
        (SetupError(SinkState.PERMISSION_DENIED, "no"), Failed),
        (SetupError(SinkState.SCHEMA_MISMATCH, "x"), Failed),
        (QuotaExceeded("bytes"), Failed),
        (Uncertain("no answer"), NotLooked),
    ],
)
def test_the_worst_outcome_of_an_append_counts(outcome: Any, kind: type[msgspec.Struct]) -> None:
    """One table that accepts rows does not make up for another that does not."""
    assert isinstance(judge_outcomes({"records": Stored(), "records_rejected": outcome}), kind)

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.record import Record
from app.schema.table import records_table, rejects_table
from app.stores.bigquery.watermarks import instances_table
from app.stores.erasures import erasures_table
from sluice.local.flights.record import Flight
from sluice.testing.pace import patience_s
from tests.cli.schema_command import main
from tests.table_server import TableServer, found, refused, resource_of, serving_tables

ROOT = Path(__file__).resolve().parents[2]
FITTING = {
    "records": found(resource_of(records_table(Record))),
    "records_rejected": found(resource_of(rejects_table())),
    "_instances": found(resource_of(instances_table())),
    "_erasures": found(resource_of(erasures_table())),
}


def _environ(server: TableServer, **more: str) -> dict[str, str]:
    return {
        "SLUICE_BIGQUERY_REST_URL": server.url,
        "SLUICE_BIGQUERY_PROJECT": "my-project",
        "SLUICE_BIGQUERY_DATASET": "events",
        **more,
    }


def _run(environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does, with no other setting of the service."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SLUICE_")}
    return subprocess.run(
        [sys.executable, "-m", "sluice", "schema", *arguments],
        cwd=ROOT,
        env=clean | environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=patience_s(60),
    )


def test_tables_that_fit_are_said_to() -> None:
    """All tables are looked at, and the status is 0; other settings, refused or unknown, keep nobody from looking."""
    with serving_tables(FITTING) as server:
        ran = _run(_environ(server, SLUICE_HOST="sluice.example", SLUICE_FUTURE="1", SLUICE_SETTLE_S="1"), "diff")
    assert (ran.returncode, ran.stderr) == (0, "")
    tables = ("records", "records_rejected", "_instances", "_erasures")
    assert ran.stdout == "".join(f"my-project.events.{table}: fits\n" for table in tables)


def _flights_of_last_year() -> dict[str, Any]:
    """Return a table of flights that was made before its record type changed."""
    resource = resource_of(records_table(Flight), requirePartitionFilter=False)
    fields = {field["name"]: field for field in resource["schema"]["fields"]}
    del fields["tail_number"]
    fields["distance_miles"]["type"] = "INTEGER"
    resource["schema"]["fields"] = [*fields.values(), {"name": "gate", "type": "STRING", "mode": "NULLABLE"}]
    return resource


def test_the_document_shows_what_is_printed() -> None:
    """docs/record-types.md has the very lines, and the status is 1."""
    with serving_tables({"records": found(_flights_of_last_year())}) as server:
        ran = _run(_environ(server, SLUICE_RECORD="sluice.local.flights.record:Flight"), "diff")
    assert (ran.returncode, ran.stderr) == (1, "")
    assert f"\n```text\n{ran.stdout}```\n" in (ROOT / "docs/record-types.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("status", "reason", "message", "words"),
    [
        (404, "notFound", "Not found: Dataset my-project:events", "NOT_FOUND: my-project.events.records_rejected"),
        (403, "accessDenied", "Access Denied: x", "PERMISSION_DENIED: my-project.events.records_rejected"),
        (500, "internalError", "Oops", "UNREACHABLE: my-project.events.records_rejected"),
    ],
)
def test_only_a_missing_table_is_a_difference(
    status: int, reason: str, message: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Anything else that keeps the command from looking has the status 2, also after a table was looked at."""
    answers = {**FITTING, "records_rejected": refused(status, reason, message)}
    with serving_tables(answers) as server:
        assert main(["diff"], _environ(server)) == 2
    printed = capsys.readouterr()
    assert printed.out == "my-project.events.records: fits\n"
    assert printed.err.startswith(words)
    assert printed.err.count("\n") == 1

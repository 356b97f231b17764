"""An independent BigQuery, local-bigquery, as a process that ends with the caller.

It runs in an environment of its own, which needs Python 3.13. Many tests share one, each with
a dataset of its own: `double.fresh(*tables)`.
"""

import os
import select
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from app.schema.table import Table
from app.stores.bigquery.client import BigQueryClients, TableAddress
from app.stores.bigquery.watermarks.marks import instances_table
from sluice.local.bigquery.provision import provision
from sluice.testing.pace import patience_s

ROOT = Path(__file__).parents[2]
READY_WITHIN_S = patience_s(100.0)
STOP_WITHIN_S = patience_s(60.0)


class Double(msgspec.Struct, frozen=True):
    """The running local-bigquery; `place` is where it is, and a dataset that has the default record's tables."""

    place: TableAddress

    def fresh(self, *tables: Table) -> TableAddress:
        """Make a dataset with these tables and that of watermarks; return its place. Blocks for tenths of a second."""
        place = msgspec.structs.replace(self.place, dataset=f"test_{uuid.uuid4().hex}")
        provision(place, {table.name: table for table in (*tables, instances_table())}.values())
        return place

    def drop(self, place: TableAddress) -> None:
        """Remove a dataset that `fresh` made, with what it holds."""
        access = BigQueryClients(place)
        access.client().delete_dataset(place.dataset, delete_contents=True, not_found_ok=True)
        access.close()


@contextmanager
def running(folder: Path) -> Iterator[Double]:
    """Run it until the block ends; it ends by itself when this process is killed."""
    command = [sys.executable, "-m", "tests.support.local_bigquery_process", str(folder)]
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("COVERAGE_", "SLUICE_"))}
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environ,
        stdin=subprocess.PIPE,  # its end is what stops the process
        stdout=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for pytest
    ) as process:
        try:
            assert process.stdout is not None
            ready, _, _ = select.select([process.stdout], [], [], READY_WITHIN_S)
            line = process.stdout.readline() if ready else b""
            if not line:
                process.terminate()
                raise AssertionError(f"local-bigquery did not start: {log_of(folder)}")
            yield Double(msgspec.json.decode(line, type=TableAddress))
        finally:
            assert process.stdin is not None
            process.stdin.close()
            status = process.wait(STOP_WITHIN_S)
    assert status == 0, f"local-bigquery ended with status {status}: {log_of(folder)}"


def log_of(folder: Path) -> str:
    """Return what it wrote."""
    log = folder / "local-bigquery.log"
    return log.read_text() if log.exists() else "it wrote no log"

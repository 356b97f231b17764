"""A BigQuery for the tests that nobody here wrote: one local-bigquery a session, started when first asked for.

A test asks for the fixture `local_bigquery` and takes a dataset of its own with `local_bigquery.fresh(*tables)`.
Where there is no Python that local-bigquery runs on, such tests are skipped and the summary says so; with
REQUIRE_LOCAL_BIGQUERY set, as the CI does, they fail.
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
import pytest

from app.schema.table import Table
from app.stores.bigquery.client import BigQueryClients, TableAddress
from dev.local_bigquery.errors import LocalBigQueryError, NoPythonError
from dev.local_bigquery.install import install
from dev.local_bigquery.provision import provision
from tests.pace import patience_s

ROOT = Path(__file__).parent.parent
REQUIRED = "REQUIRE_LOCAL_BIGQUERY"
READY_WITHIN_S = patience_s(100.0)
STOP_WITHIN_S = patience_s(60.0)


class Double(msgspec.Struct, frozen=True):
    """The running local-bigquery; `place` is where it is, and a dataset that has the default record's tables."""

    place: TableAddress

    def fresh(self, *tables: Table) -> TableAddress:
        """Make a dataset with these tables and return its place; blocking, a few tenths of a second."""
        place = msgspec.structs.replace(self.place, dataset=f"test_{uuid.uuid4().hex}")
        provision(place, tables)
        return place

    def drop(self, place: TableAddress) -> None:
        """Remove a dataset that `fresh` made, with what it holds."""
        access = BigQueryClients(place)
        access.client().delete_dataset(place.dataset, delete_contents=True, not_found_ok=True)
        access.close()


class Preparation:
    """Installs local-bigquery before the first test runs: that may take longer than a test may."""

    def __init__(self) -> None:
        self.trouble: LocalBigQueryError | None = None

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Install it if a test that was collected asks for it."""
        asking = any("local_bigquery" in getattr(item, "fixturenames", ()) for item in session.items)
        if not asking or session.config.option.collectonly:
            return
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        try:
            install(lambda text: reporter.write_line(text) if reporter else None)
        except LocalBigQueryError as error:
            self.trouble = error


PREPARATION = "local-bigquery-preparation"


@pytest.fixture(scope="session")
def local_bigquery(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Double]:
    """Run a local-bigquery until the session ends, however it ends."""
    preparation = request.config.pluginmanager.get_plugin(PREPARATION)
    assert isinstance(preparation, Preparation)
    give_up_over(preparation.trouble, required=bool(os.environ.get(REQUIRED)))
    with running(tmp_path_factory.mktemp("local-bigquery")) as double:
        yield double


def give_up_over(trouble: LocalBigQueryError | None, *, required: bool) -> None:
    """Skip the test where there is no Python for it, unless it is required; fail it over any other trouble."""
    if isinstance(trouble, NoPythonError) and not required:
        pytest.skip(f"NOT tested here: what needs a BigQuery. {trouble}")
    if trouble is not None:
        pytest.fail(str(trouble), pytrace=False)


@contextmanager
def running(folder: Path) -> Iterator[Double]:
    """Run `python -m dev bigquery` until the block ends; it ends by itself when this process is killed."""
    command = [sys.executable, "-m", "dev", "bigquery", "--json", "--folder", str(folder)]
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

"""local-bigquery is run with the service's tables made, for people and for tests, and never outlives them."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from google.cloud import bigquery

from app.record import Record
from app.schema.table import records_table, rejects_table
from app.stores.bigquery.client import BigQueryClients, TableAddress
from app.stores.bigquery.table_layout import LAYOUT, differences
from sluice.local.bigquery.errors import InUseError, ProvisionError
from sluice.local.bigquery.install import install
from sluice.local.bigquery.process import LocalBigQuery
from sluice.local.bigquery.provision import provision
from sluice.local.child import Leash
from sluice.local.flights.record import Flight
from sluice.testing.pace import patience_s
from tests.support.local_bigquery import ROOT, Double

WITHIN_S = patience_s(60.0)
RECORDS, REJECTS, FLIGHTS = records_table(Record), rejects_table(), records_table(Flight)


@pytest.fixture
def place(local_bigquery: Double) -> TableAddress:
    """Return a dataset with both tables."""
    return local_bigquery.fresh(RECORDS, REJECTS)


@pytest.fixture
def client(place: TableAddress) -> Iterator[bigquery.Client]:
    """Return Google's client."""
    access = BigQueryClients(place)
    yield access.client()
    access.close()


def test_the_tables_are_as_declared(place: TableAddress, client: bigquery.Client) -> None:
    """Google's client finds the tables, with the columns and the layout of the declaration."""
    assert {table.table_id for table in client.list_tables(place.dataset)} == {
        "_instances",
        "records",
        "records_rejected",
    }
    for table in (RECORDS, REJECTS):
        made = client.get_table(place.table_id(table.name))
        assert differences(table, made.to_api_repr()) == []
        assert made.to_api_repr().items() >= LAYOUT.items()


def test_tables_that_fit_are_kept(place: TableAddress, client: bigquery.Client) -> None:
    """Making the tables again changes nothing, and keeps the rows."""
    values = {
        **dict.fromkeys(("id", "delivery_key"), "a"),
        **dict.fromkeys(("timestamp", "ingest_time"), "2026-01-31T12:00:00Z"),
        "attributes": "{}",
        "message_index": 0,
    }
    assert client.insert_rows_json(place.table_id("records"), [values]) == []
    provision(place, [RECORDS, REJECTS])
    sql = f"SELECT id FROM `{place.table_id('records')}` WHERE ingest_time > TIMESTAMP '2026-01-01'"  # noqa: S608 - ours
    assert [row["id"] for row in client.query_and_wait(sql)] == ["a"]


def test_a_table_that_does_not_fit_is_named(place: TableAddress) -> None:
    """Another record type's table is not changed: the message says what differs, and what to do."""
    with pytest.raises(
        ProvisionError, match=r"records is there and does not fit Flight: .*flight_date.* another folder"
    ):
        provision(place, [FLIGHTS])


@pytest.mark.usefixtures("local_bigquery")
async def test_what_was_stored_is_there_after_a_restart_and_nobody_else_uses_the_folder(tmp_path: Path) -> None:
    """A second start finds the tables of the first, which ends with status 0; one beside it says why it fails."""
    installation = install(print)
    for tables in ([FLIGHTS], []):
        async with Leash() as leash:
            running = await LocalBigQuery.start(installation, leash, tmp_path)
            try:
                await running.wait_until_ready()
                with pytest.raises(InUseError, match="another local BigQuery keeps its data in"):
                    await LocalBigQuery.start(installation, leash, tmp_path)
                await asyncio.to_thread(provision, running.place, tables)
                access = BigQueryClients(running.place)
                names = [table.table_id for table in access.client().list_tables(running.place.dataset)]
                access.close()
                assert names == ["records"]
            finally:
                assert await running.child.stop(WITHIN_S) == 0


@pytest.mark.usefixtures("local_bigquery")
async def test_it_ends_when_whoever_started_it_is_killed(tmp_path: Path) -> None:
    """A killed pytest leaves no local-bigquery behind, as nothing holds its standard input open any more."""
    script = (
        "import signal\nfrom pathlib import Path\nfrom tests.support.local_bigquery import running\n"
        f"with running(Path({str(tmp_path)!r})) as double:\n"
        "    print(double.place.rest_url, flush=True)\n    signal.pause()\n"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    url = urlsplit((await parent.stdout.readline()).decode().strip())
    reader, writer = await asyncio.open_connection("127.0.0.1", url.port)
    parent.kill()
    await parent.wait()
    async with asyncio.timeout(WITHIN_S):
        assert await reader.read() == b"", "the other end is closed"
    writer.close()
    await writer.wait_closed()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", url.port)

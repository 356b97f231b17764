"""local-bigquery is run with the service's tables made, for people and for tests, and never outlives them."""

import asyncio
from pathlib import Path

import pytest

from app.record import Record
from app.schema.table import records_table, rejects_table
from app.stores.bigquery.client import BigQueryClients, TableAddress
from sluice.local.bigquery.errors import InUseError, ProvisionError
from sluice.local.bigquery.install import install
from sluice.local.bigquery.process import LocalBigQuery
from sluice.local.bigquery.provision import provision
from sluice.local.child import Leash
from sluice.local.flights.record import Flight
from sluice.testing.pace import patience_s
from tests.long_form import long
from tests.support.local_bigquery import Double

WITHIN_S = patience_s(60.0)
RECORDS, REJECTS, FLIGHTS = records_table(Record), rejects_table(), records_table(Flight)


@pytest.fixture
def place(local_bigquery: Double) -> TableAddress:
    """Return a dataset with both tables."""
    return local_bigquery.fresh(RECORDS, REJECTS)


def test_a_table_that_does_not_fit_is_named(place: TableAddress) -> None:
    """Another record type's table is not changed: the message says what differs, and what to do."""
    with pytest.raises(
        ProvisionError, match=r"records is there and does not fit Flight: .*flight_date.* another folder"
    ):
        provision(place, [FLIGHTS])


@long
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

"""An independent BigQuery, local-bigquery, as a process that ends with the caller.

It runs in an environment of its own, which needs Python 3.13. Many tests share one, each with
a dataset of its own: `double.fresh(*tables)`.
"""

import asyncio
import uuid
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import msgspec

from app.schema.table import Table
from app.stores.bigquery.client import BigQueryClients, TableAddress
from app.stores.bigquery.watermarks import instances_table
from app.stores.erasures import erasures_table
from sluice.local.bigquery.install import install
from sluice.local.bigquery.process import LocalBigQuery
from sluice.local.bigquery.provision import provision, tables_of
from sluice.local.child import Leash
from sluice.local.declared import Declared
from sluice.testing.pace import patience_s

STOP_WITHIN_S = patience_s(60.0)


class Double(msgspec.Struct, frozen=True):
    """The running local-bigquery; `place` is where it is, and a dataset that has the default record's tables."""

    place: TableAddress

    def fresh(self, *tables: Table) -> TableAddress:
        """Make a dataset with these tables and that of watermarks; return its place. Blocks for tenths of a second."""
        place = msgspec.structs.replace(self.place, dataset=f"test_{uuid.uuid4().hex}")
        provision(place, {table.name: table for table in (*tables, instances_table(), erasures_table())}.values())
        return place

    def drop(self, place: TableAddress) -> None:
        """Remove a dataset that `fresh` made, with what it holds."""
        access = BigQueryClients(place)
        access.client().delete_dataset(place.dataset, delete_contents=True, not_found_ok=True)
        access.close()


def settings_of(place: TableAddress) -> dict[str, str]:
    """Return the settings of a service over a dataset; its rows are final as soon as the clocks' rules allow."""
    return {
        "backend": "bigquery",
        "bigquery_project": place.project,
        "bigquery_dataset": place.dataset,
        "bigquery_rest_url": place.rest_url,
        "bigquery_storage_url": place.storage_url,
        "append_deadline_s": "2",
        "late_commit_margin_s": "1",
        "clock_skew_s": "0.5",
        "settle_s": "4",
        "poll_s": "1",
    }


@contextmanager
def running(folder: Path) -> Iterator[Double]:
    """Run it until the block ends; it ends by itself when this process is killed."""
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        undo = AsyncExitStack()
        leash = runner.run(undo.enter_async_context(Leash()))
        double = runner.run(LocalBigQuery.start(install(lambda _: None), leash, folder))
        try:
            runner.run(double.wait_until_ready())
            provision(double.place, tables_of(Declared()))
            yield Double(double.place)
        finally:
            status = runner.run(double.child.stop(STOP_WITHIN_S))
            runner.run(undo.aclose())
    assert status == 0, f"local-bigquery ended with status {status}; it logged to {folder}"

"""Datasets in a real project that exist for one run: each expires by itself, carries a label, and names its run.

They take the place of local-bigquery's (tests/support/local_bigquery.py), so the same tests run over both.
"""

import re
import time
import uuid
from collections.abc import Callable, Iterable

import msgspec
from google.cloud import bigquery

from app.schema.table import Table
from app.stores.bigquery.client import BigQueryClients, TableAddress
from app.stores.bigquery.watermarks import instances_table
from app.stores.erasures import erasures_table
from sluice.local.bigquery.provision import provision
from tests.support.local_bigquery import Double

LABEL, LABEL_VALUE = "sluice-test", "throwaway"
LIVES_S = 86_400
_NAME = re.compile(r"sluice_test_(\d{10})_([0-9a-f]{8})_[0-9a-f]{8}")


def new_run() -> str:
    """Return the name of a run: when it began, and a part by chance."""
    return f"{int(time.time()):010d}_{uuid.uuid4().hex[:8]}"


class Throwaway(Double, frozen=True):
    """A BigQuery whose datasets are thrown away; `run` is in the name of each."""

    run: str

    def fresh(self, *tables: Table) -> TableAddress:
        """Make a dataset with these tables; tables that are not deleted expire within a day."""
        place = msgspec.structs.replace(self.place, dataset=f"sluice_test_{self.run}_{uuid.uuid4().hex[:8]}")
        access = BigQueryClients(place)
        try:
            dataset = bigquery.Dataset(f"{place.project}.{place.dataset}")
            dataset.location = place.location
            dataset.default_table_expiration_ms = LIVES_S * 1_000
            dataset.labels = {LABEL: LABEL_VALUE}
            access.client().create_dataset(dataset)
        finally:
            access.close()
        provision(place, {table.name: table for table in (*tables, instances_table(), erasures_table())}.values())
        return place


def drop_run(place: TableAddress, run: str) -> list[str]:
    """Delete the datasets of a run; return their names."""
    return _drop(place, lambda _, name_run: name_run == run)


def sweep(place: TableAddress, now_s: float) -> list[str]:
    """Delete what runs that began more than a day ago have left; return the names."""
    return _drop(place, lambda began_s, _: began_s < now_s - LIVES_S)


def _drop(place: TableAddress, is_due: Callable[[int, str], bool]) -> list[str]:
    access = BigQueryClients(place)
    try:
        due = [name for name in _labelled(access.client()) if is_due(*_parts(name))]
        for name in due:
            access.client().delete_dataset(f"{place.project}.{name}", delete_contents=True, not_found_ok=True)
    finally:
        access.close()
    return due


def _labelled(client: bigquery.Client) -> Iterable[str]:
    """Return the datasets that have both the name and the label: never another owner's."""
    for listed in client.list_datasets():
        if _NAME.fullmatch(listed.dataset_id) and listed.labels.get(LABEL) == LABEL_VALUE:
            yield listed.dataset_id


def _parts(name: str) -> tuple[int, str]:
    parts = _NAME.fullmatch(name)
    assert parts is not None
    return int(parts[1]), f"{parts[1]}_{parts[2]}"

"""What `make test-cloud` deletes, before local-bigquery."""

import time
from collections.abc import Iterator

import msgspec
import pytest
from google.cloud import bigquery

from app.schema.table import rejects_table
from app.stores.bigquery.client import BigQueryClients
from tests.support.local_bigquery import Double
from tests.support.throwaway import LABEL, LABEL_VALUE, LIVES_S, Throwaway, drop_run, new_run, sweep


@pytest.fixture
def client(local_bigquery: Double) -> Iterator[bigquery.Client]:
    """Give a client of the double."""
    access = BigQueryClients(local_bigquery.place)
    yield access.client()
    access.close()


def throwaways(client: bigquery.Client) -> list[str]:
    """Return the datasets that runs have left."""
    return [each.dataset_id for each in client.list_datasets() if each.dataset_id.startswith("sluice_test_")]


def test_only_what_is_ours_and_old_is_swept(local_bigquery: Double, client: bigquery.Client) -> None:
    """A dataset with the name and without the label is somebody's own; one of today may still be in use."""
    run, place = new_run(), msgspec.structs.replace(local_bigquery.place, location="US")
    made = Throwaway(place, run).fresh(rejects_table())
    own, old = (f"sluice_test_{1_600_000_000}_0a0b0c0d_0000000{number}" for number in range(2))
    client.create_dataset(own)
    left = bigquery.Dataset(f"{place.project}.{old}")
    left.labels = {LABEL: LABEL_VALUE}
    client.create_dataset(left)
    assert sweep(place, time.time()) == [old]
    assert set(throwaways(client)) == {made.dataset, own}
    found = client.get_dataset(made.dataset)
    assert found.labels == {LABEL: LABEL_VALUE}
    assert found.default_table_expiration_ms == LIVES_S * 1_000
    assert drop_run(place, run) == [made.dataset]
    client.delete_dataset(own)

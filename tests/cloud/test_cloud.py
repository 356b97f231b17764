"""`make test-cloud` before local-bigquery: the same path, with the addresses of a double."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator

import msgspec
import pytest
from google.cloud import bigquery

from app.schema.table import rejects_table
from app.stores.bigquery.client import BigQueryClients
from tests.cloud.plugin import RECORD
from tests.support.local_bigquery import Double
from tests.support.process import ROOT
from tests.support.throwaway import LABEL, LABEL_VALUE, LIVES_S, Throwaway, drop_run, new_run, sweep

FEW = "tests/contract/test_round_trip.py"


@pytest.fixture
def client(local_bigquery: Double) -> Iterator[bigquery.Client]:
    """Give a client of the double."""
    access = BigQueryClients(local_bigquery.place)
    yield access.client()
    access.close()


def command(double: Double, *options: str) -> list[str]:
    """Return the command for a double."""
    urls = ("--rest-url", double.place.rest_url, "--storage-url", double.place.storage_url)
    return [sys.executable, "-m", "tests.cloud", "--project", double.place.project, "--location", "US", *urls, *options]


def environ(**more: str) -> dict[str, str]:
    """Return an environment that does not measure the run's own coverage."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("COVERAGE_", "COV_"))} | more


def throwaways(client: bigquery.Client) -> list[str]:
    """Return the datasets that runs have left."""
    return [each.dataset_id for each in client.list_datasets() if each.dataset_id.startswith("sluice_test_")]


@pytest.mark.long
def test_a_run_says_its_bound_and_leaves_nothing(local_bigquery: Double, client: bigquery.Client) -> None:
    """It passes, within the bound that it said first; leftovers of an older run are gone, too."""
    old = f"sluice_test_{int(time.time()) - LIVES_S - 60}_0a0b0c0d_00000000"
    left = bigquery.Dataset(f"{local_bigquery.place.project}.{old}")
    left.labels = {LABEL: LABEL_VALUE}
    client.create_dataset(left)
    run = subprocess.run(
        command(local_bigquery, "--yes", FEW), cwd=ROOT, env=environ(), capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    first, *rest = run.stdout.splitlines()
    assert "at list prices" in first
    assert f"deleted what older runs have left: {old}" in rest
    assert rest[1].startswith("fresh rows: "), "before the tests"
    assert rest[-2].startswith("fresh rows: "), "and after them"
    assert " passed" in run.stdout
    assert "queries: " in run.stdout
    assert "bytes billed: " in run.stdout
    assert isinstance(json.loads(RECORD.read_text()), dict)
    assert rest[-1].startswith("deleted ")
    assert throwaways(client) == []


def test_nothing_runs_without_a_yes(local_bigquery: Double, client: bigquery.Client) -> None:
    """An end of input is a no."""
    run = subprocess.run(
        command(local_bigquery, FEW),
        cwd=ROOT,
        env=environ(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    assert run.returncode == 2
    assert b"nothing was run" in run.stderr
    assert throwaways(client) == []


def test_only_what_is_ours_and_old_is_swept(local_bigquery: Double, client: bigquery.Client) -> None:
    """A dataset with the name and without the label is somebody's own; one of today may still be in use."""
    run, place = new_run(), msgspec.structs.replace(local_bigquery.place, location="US")
    made = Throwaway(place, run).fresh(rejects_table())
    own = f"sluice_test_{1_600_000_000}_0a0b0c0d_00000001"
    client.create_dataset(own)
    assert sweep(place, time.time()) == []
    assert set(throwaways(client)) == {made.dataset, own}
    found = client.get_dataset(made.dataset)
    assert found.labels == {LABEL: LABEL_VALUE}
    assert found.default_table_expiration_ms == LIVES_S * 1_000
    assert drop_run(place, run) == [made.dataset]
    client.delete_dataset(own)

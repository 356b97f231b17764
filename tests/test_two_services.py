"""Two services from one image: a record that one of them stored is read from the other, as Terraform sets them up."""

import re
from pathlib import Path

import pytest

from app.record import Record
from app.schema.table import records_table, rejects_table
from app.settings.load import load_settings
from sluice.testing.service import authorization, envelope
from tests.smoking import smoke
from tests.support.local_bigquery import Double, settings_of
from tests.support.process import serving
from tests.test_terraform import FOLDER, environment

TABLES = (records_table(Record), rejects_table())


def left_out(role: str) -> dict[str, str]:
    """Return what services.tf sets differently for a service that lacks `role`."""
    found = re.search(rf"service\.{role} \? {{}} : {{ (.*) }},", (FOLDER / "services.tf").read_text())
    assert found is not None
    return dict(re.findall(r'(SLUICE_\w+) = "([^"]*)"', found[1]))


HALVES = {
    "ingest": {"SLUICE_ROLES": "ingest", **left_out("queries")},
    "query": {"SLUICE_ROLES": "query", **left_out("ingests")},
}


@pytest.mark.parametrize("role", HALVES)
def test_each_of_two_starts_with_what_terraform_tells_it(role: str) -> None:
    """The settings of the other half are left out, and those that remain are valid on Cloud Run."""
    environ = {**environment(), "SLUICE_PLATFORM_IAM": "off", "K_SERVICE": "sluice", "PORT": "8080", **HALVES[role]}
    settings = load_settings(environ)
    assert settings.server.roles == (role,)
    assert bool(settings.auth.push_principals) == bool(settings.auth.heartbeat_signature) == (role == "ingest")
    assert bool(settings.query.cache_url) == (role == "query")
    assert settings.auth.api_principals


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_what_one_stores_the_other_shows(local_bigquery: Double, tmp_path: Path) -> None:
    """The smoke test of a deployment passes over two processes; each refuses what is the other's business."""
    place = local_bigquery.fresh(*TABLES)
    store = settings_of(place)
    query = {name.removeprefix("SLUICE_").lower(): value for name, value in HALVES["query"].items()}
    try:
        async with (
            serving(tmp_path / "a", **store, roles="ingest") as (ingest, ingest_client),
            serving(tmp_path / "b", **store, **query) as (reader, reader_client),
        ):
            ended = await smoke("--url", reader.url, "--ingest-url", ingest.url, "--json")
            assert ended.status == 0, ended.out + ended.said
            pushed = await reader_client.post("/pubsub/push", content=envelope(b"{}"), headers=authorization())
            assert pushed.status_code == 404
            assert (await reader_client.post("/v1/records", json={})).status_code in {404, 405}
            assert (await ingest_client.get("/v1/records")).status_code in {404, 405}
            ended = await smoke("--url", reader.url, "--json")
            assert "give --ingest-url" in ended.step("schema")
    finally:
        local_bigquery.drop(place)

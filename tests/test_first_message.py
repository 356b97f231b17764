"""The first message of docs/deploy.md arrives: it is visible in the API, and its SQL finds it in BigQuery."""

import asyncio
import re
import shlex
import subprocess
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import msgspec
import pytest
from google.api_core.exceptions import BadRequest
from google.cloud import bigquery

from app.record import Record
from app.runtime.clock import SystemClock
from app.schema.table import records_table, rejects_table
from app.stores.bigquery.client import BigQueryClients
from sluice.testing.service import SETTINGS, authorization, envelope, running
from tests.documents import blocks
from tests.support.local_bigquery import Double
from tests.test_terraform import text_of

DOCUMENT = Path(__file__).parent.parent / "docs" / "deploy.md"
(BLOCK,) = (block.text for block in blocks(DOCUMENT) if "gcloud pubsub topics publish $TOPIC" in block.text)
COMMANDS = {line.split()[0]: line for line in BLOCK.replace("\\\n", " ").splitlines() if line.strip()}
TABLES = (records_table(Record), rejects_table())


def message() -> bytes:
    """Return what the document publishes."""
    (given,) = (word for word in shlex.split(COMMANDS["gcloud"]) if word.startswith("--message="))
    return given.removeprefix("--message=").encode()


def address() -> str:
    """Return what the document asks of the API, from the path on."""
    url = urlsplit(shlex.split(COMMANDS["curl"])[-1])
    return f"{url.path.removeprefix('$URL')}?{url.query}"


def statement(dataset: str) -> str:
    """Return the document's SQL as the shell hands it over, of a dataset."""
    script = 'bq() { printf %s "${@: -1}"; }; ' + COMMANDS["bq"]
    environ = {"DATASET": dataset, "PROJECT": "p", "PATH": "/usr/bin:/bin"}
    return subprocess.run(["bash", "-c", script], env=environ, capture_output=True, text=True, check=True).stdout


def view(dataset: str) -> bigquery.Table:
    """Return the view of the last seven days, as Terraform makes it."""
    made = re.search(
        r'resource "google_bigquery_table" "recent".*?^}', text_of("bigquery.tf"), re.DOTALL | re.MULTILINE
    )
    assert made is not None
    values = {
        "table": f"{dataset}.records",
        "look_back_s": "900",
        **dict(re.findall(r'(since|until) = "(.*)"', made[0])),
    }
    table = bigquery.Table(f"{dataset}.records_recent")
    table.view_query = re.sub(r"\$\{(\w+)\}", lambda found: values[found[1]], text_of("records_between.sql"))
    return table


async def test_the_first_message_is_visible_in_the_api() -> None:
    """It is published like a producer's, and read as the document reads it."""
    async with running(SETTINGS) as service:
        assert (await service.push_bytes(message())).status_code == 204
        answer: httpx.Response = await service.client.get(address())
        assert answer.status_code == 200
        (record,) = answer.json()["records"]
        sent = msgspec.json.decode(message())
        assert (record["id"], record["data"]) == (sent["id"], sent["data"])
        assert (await service.client.get("/v1/records?heartbeat=only")).json()["records"] == []


@pytest.mark.timeout(300)
def test_the_sql_finds_it_and_selecting_everything_is_refused(local_bigquery: Double) -> None:
    """BigQuery wants a condition on the partitions, and the view that the document's statement reads has one."""
    place = local_bigquery.fresh(*TABLES)
    settings = SETTINGS.replace(
        backend="bigquery",
        bigquery_project=place.project,
        bigquery_dataset=place.dataset,
        bigquery_rest_url=place.rest_url,
        bigquery_storage_url=place.storage_url,
    )

    async def publish() -> None:
        now = int(time.time())  # as SQL's CURRENT_TIMESTAMP() is the server's
        async with running(settings, SystemClock()) as service:
            answer = await service.client.post(
                "/pubsub/push", content=envelope(message()), headers=authorization(iat=now, exp=now + 600)
            )
            assert answer.status_code == 204

    asyncio.run(publish())
    access = BigQueryClients(place)
    try:
        client = access.client()
        client.create_table(view(f"{place.project}.{place.dataset}"))
        rows: list[bigquery.Row] = []
        while not rows:  # the stamps of an instance that has just joined lie seconds ahead
            rows = list(client.query(statement(f"{place.project}.{place.dataset}")).result())
        with pytest.raises(BadRequest, match=re.compile("partition", re.IGNORECASE)):
            client.query(f"SELECT * FROM `{place.project}.{place.dataset}.records`").result()  # noqa: S608 - ours
    finally:
        access.close()
        local_bigquery.drop(place)
    assert [row["id"] for row in rows] == ["first"]

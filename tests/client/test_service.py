"""Both clients against the service as a real process: they find the same, and new columns arrive."""

import asyncio
import inspect
import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from sluice.local.flights import load
from sluice.testing.pace import patience_s
from sluice_client import AsyncClient, Client, Feed, FileCursor, ProblemError
from tests.support.process import serving

_FLIGHTS = 1_500
STREAMS = "sluice.local.flights.streams:STREAMS"


@pytest.fixture
async def flights(tmp_path: Path) -> AsyncIterator[str]:
    """A service with flights."""
    async with serving(tmp_path / "s.duckdb", streams=STREAMS) as (service, _):
        yield service.url


async def everything(client: Any, folder: Path) -> dict[str, Any]:
    """Use each method of a client, blocking or not; return what it finds."""
    rows = list(itertools.islice(load.rows(), _FLIGHTS))
    state = FileCursor(folder / "c")
    published = await value(client.publish(rows, idempotency_key="flights"))
    bad = await value(client.publish([{"id": "bad"}, rows[0]], idempotency_key="bad"))
    walked = await items(client.walk("-PT1H"))
    pages = await items(client.state())
    first, again = [await items(client.follow(state=state, until_caught_up=True)) for _ in range(2)]
    loaded = await value(client.follow_into(str(folder / "f.duckdb"), until_caught_up=True))
    latest = await value(client.follow_into(str(folder / "latest.sqlite"), state=True, until_caught_up=True))
    exported = await value(client.export(folder / "f.csv", "-PT1H", file_format="csv"))
    streamed = await items(client.export_records("-PT1H", fields=["id"]))
    tailed = await items(client.tail("-PT1H"), 3)
    rejects = await items(client.walk("-PT1H", feed=Feed(rejects=True)))
    columns = await value(client.columns(Feed("flights")))
    with pytest.raises(ProblemError, match="404 not_found"):
        await items(client.walk(feed=Feed("nothing")))
    return {
        "published": [(result.index, result.status) for result in [*published, *bad]],
        "state": [record["id"] for page in pages for record in page.records],
        "walked": [record["id"] for record in walked],
        "pages": tuple(sum(len(page.records) for page in pages) for pages in (first, again)),
        "loaded": loaded.stored,
        "latest": latest.stored,
        "exported": exported.records,
        "streamed": [record["id"] for record in streamed],
        "tailed": [event.record["id"] for event in tailed],
        "rejects": [record["reason"] for record in rejects],
        "columns": [column.path for column in columns],
    }


async def value(returned: Any) -> Any:
    """Return what a method of either client returns."""
    return await returned if inspect.isawaitable(returned) else returned


async def items(returned: Any, most: int | None = None) -> list[Any]:
    """Return what an iterator of either client yields, `most` of it."""
    if not isinstance(returned, AsyncIterator):
        return list(itertools.islice(returned, most))
    found = list[Any]()
    async for item in returned:
        found.append(item)
        if len(found) == most:
            break
    return found


async def test_both_clients_do_the_same(flights: str, tmp_path: Path) -> None:
    """The second one repeats the first one's requests under the same keys, so nothing is stored twice."""
    folders = tmp_path / "blocking", tmp_path / "asynchronous"
    for folder in folders:
        folder.mkdir()
    async with asyncio.timeout(patience_s(120)):
        with Client(flights) as blocking:
            found = await everything(blocking, folders[0])
        assert len(found["walked"]) == _FLIGHTS + 1
        assert found["walked"] == found["streamed"]
        assert found["state"] == [*dict.fromkeys(reversed(found["walked"]))][::-1]
        assert found["pages"] == (_FLIGHTS + 1, 0)
        assert found["latest"] == len(found["state"])
        assert (found["loaded"], found["exported"]) == (_FLIGHTS + 1, _FLIGHTS + 1)
        assert found["rejects"] == ["invalid"]
        assert found["published"][-2:] == [(0, "rejected"), (1, "stored")]
        async with AsyncClient(flights) as client:
            assert await everything(client, folders[1]) == found
    with duckdb.connect(str(folders[0] / "f.duckdb")) as store:
        query = 'SELECT id, "schedule.departure_local", departure_time FROM records ORDER BY ingest_time, delivery_key'
        rows = store.execute(query).fetchall()
    assert [row[0] for row in rows] == found["walked"]

"""The embedded store deletes what is older than the retention, in pieces, and readers go on."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from app.record import RejectedRecord
from app.runtime.instants import DAY_US
from app.stores.duckdb import eraser as embedded_eraser
from app.stores.duckdb.eraser import Retention
from app.stores.duckdb.store import EmbeddedStore
from app.stores.sink import Stored
from app.stores.sql.statement import Statement
from sluice.testing.clock import FakeClock
from sluice.testing.service import GOOD, SETTINGS, running
from tests.contract.shelf import envelope
from tests.encoding import encoded
from tests.stores.duckdb.test_store import RECORDS, REJECTS, row

NOW_US = 1_800_000_000_000_000


def store_of(path: Path, clock: FakeClock, ages_days: list[int]) -> EmbeddedStore:
    """Return a store with a row of each age."""
    store = EmbeddedStore.open(str(path / "data.duckdb"), (RECORDS, REJECTS), clock)
    appender = store.appender(RECORDS)
    for number, days in enumerate(ages_days):
        stamp_us = NOW_US - days * DAY_US + number
        assert store._insert("records", appender._insert_sql, stamp_us, [row(appender, f"{days}-{number}")]) == Stored()
    return store


async def swept(retention: Retention, clock: FakeClock) -> int:
    """Return what a sweep deleted; time passes between its pieces."""
    sweep = asyncio.create_task(retention.sweep())
    async with asyncio.timeout(60):
        while not sweep.done():
            await clock.advance(1)
    return await sweep


async def ids(store: EmbeddedStore) -> list[str]:
    """Return the ids of all rows."""
    answer = await store.read(Statement(sql="SELECT id FROM `records` ORDER BY ingest_time", parameters={}))
    return [found["id"] for found in answer.rows]


async def test_old_rows_are_deleted_piece_by_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than fit into one piece, and those only; younger ones stay, and the number is returned."""
    monkeypatch.setattr(embedded_eraser, "_PIECE_ROWS", 3)
    clock = FakeClock(NOW_US)
    store = store_of(tmp_path, clock, [*range(20, 10, -1), 9, 5, 1])
    retention = Retention(store, (RECORDS, REJECTS), clock, 10)
    version = store.version("records")
    assert await swept(retention, clock) == 10
    assert await ids(store) == ["9-10", "5-11", "1-12"]
    assert store.version("records") > version, "what is kept of open windows is no longer valid"
    assert await swept(retention, clock) == 0
    store.close()


async def test_a_table_may_have_a_retention_of_its_own(tmp_path: Path) -> None:
    """A stream that says so; the others keep to the setting."""
    clock = FakeClock(NOW_US)
    store = store_of(tmp_path, clock, [9, 5, 1])
    own = msgspec.structs.replace(RECORDS, retention_days=4)
    assert await swept(Retention(store, (own, REJECTS), clock, 10), clock) == 2
    assert await ids(store) == ["1-2"]
    store.close()


async def test_rejects_are_kept_for_a_month(tmp_path: Path) -> None:
    """An erasure does not search them; a shorter retention is theirs, too."""
    clock = FakeClock(NOW_US)
    store = store_of(tmp_path, clock, [])
    appender = store.appender(REJECTS)
    for days in (31, 29, 9):
        reject = RejectedRecord(reason="invalid", detail="", field=None, payload=b"", part=0, parts=1)
        store._insert(
            REJECTS.name, appender._insert_sql, NOW_US - days * DAY_US, [encoded(appender, reject, envelope("a"))]
        )
    for days, count in ((400, 1), (10, 1)):
        assert await swept(Retention(store, (RECORDS, REJECTS), clock, days), clock) == count
    store.close()


async def test_a_cursor_before_the_oldest_record_goes_on(tmp_path: Path) -> None:
    """Of two pages the first is deleted before the second is read; the service sweeps every hour."""
    settings = SETTINGS.replace(data_path=str(tmp_path / "data.duckdb"), retention_days=1)
    clock = FakeClock(NOW_US)
    async with running(settings, clock) as service:
        for number in range(2):
            assert (await service.push({**GOOD, "id": f"{number}"}, message_id=f"{number}")).status_code == 204
            await clock.advance(1)
        asked, oldest = {"since": "-PT1H", "limit": "1"}, {"since": "-P3D"}
        first = (await service.client.get("/v1/records", params=asked)).json()
        assert [record["id"] for record in first["records"]] == ["0"]
        clock.advance_to(NOW_US + 2 * DAY_US)
        assert (await service.client.post("/v1/records", json={**GOOD, "id": "new"})).status_code == 201
        async with asyncio.timeout(60):
            while "0" in [
                each["id"] for each in (await service.client.get("/v1/records", params=oldest)).json()["records"]
            ]:
                await clock.advance(300)
        await clock.advance(1)
        resumed = await service.client.get("/v1/records", params={"cursor": first["resume_cursor"]})
        assert resumed.status_code == 200, resumed.text
        assert [record["id"] for record in resumed.json()["records"]] == ["new"]

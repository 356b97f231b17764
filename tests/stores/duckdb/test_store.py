"""DuckDB behind both seams: durability, the settled horizon, refusals, and opening what is there."""

import asyncio
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from app.ingest.decode.envelope import Message
from app.record import Record
from app.runtime.clock import SystemClock
from app.schema.table import records_table, rejects_table
from app.stores.duckdb.store import EmbeddedAppender, EmbeddedStore
from app.stores.sink import Stored, StoreError
from app.stores.sql.statement import Statement
from sluice.testing.clock import FakeClock
from sluice.testing.pace import patience_s
from tests.encoding import encoded, whole_envelope

RECORDS, REJECTS = records_table(Record), rejects_table()
COUNT = Statement(sql="SELECT COUNT(*) AS n FROM `records`", parameters={})


def opened(path: Path | str = ":memory:") -> EmbeddedStore:
    """Open a store of the default tables."""
    return EmbeddedStore.open(str(path), (RECORDS, REJECTS), SystemClock())


def row(appender: EmbeddedAppender, record_id: str = "a", *, key: str = "", **changed: Any) -> bytes:
    """Return an encoded row; its delivery's key is that of its record, unless one is given."""
    record = Record(id=record_id, timestamp=datetime(2026, 1, 31, 12, tzinfo=UTC), **changed)
    return encoded(appender, record, whole_envelope(Message(key=key or record_id, data=b"", attributes={"a": "b"})))


async def test_a_checkpoint_leaves_older_rows_where_they_are(tmp_path: Path) -> None:
    """Rewritten with every checkpoint, they would take as much memory as all rows of the last row group."""
    store = opened(tmp_path / "data.duckdb")
    appender = store.appender(RECORDS)
    found = Statement(sql="SELECT COUNT(DISTINCT row_group_id) AS n FROM pragma_storage_info('records')", parameters={})
    for groups in range(1, 6):
        assert await appender.append([row(appender, str(groups))]) == Stored()
        await store.checkpoint()
        assert (await store.read(found)).rows == [{"n": groups}]
    assert await store.write(lambda each: each.execute("DELETE FROM records WHERE id < '3'").fetchall()) == [(2,)]
    await store.checkpoint()
    assert (await store.read(found)).rows == [{"n": 3}], "what holds no row any more is given up"
    store.close()


async def test_the_horizon_stops_at_the_oldest_append_in_flight() -> None:
    """A row stamped before the horizon is visible; one in flight holds the horizon back until it landed."""
    store = opened()
    gate, entered = threading.Event(), threading.Event()
    insert = store._insert

    def slow_insert(table: str, sql: str, stamp_us: int, rows: Sequence[bytes]) -> Any:
        entered.set()
        gate.wait(10)
        return insert(table, sql, stamp_us, rows)

    store._insert = slow_insert  # type: ignore[assignment] # an append that takes its time
    appender = store.appender(RECORDS)
    before_us = store.horizon_us("records")
    first = asyncio.create_task(appender.append([row(appender, "a")]))
    await asyncio.to_thread(entered.wait, 10)
    second = asyncio.create_task(appender.append([row(appender, "b")]))
    await asyncio.sleep(0)
    held_us = store.horizon_us("records")
    assert before_us < held_us == store.horizon_us("records")
    assert store.horizon_us("records_rejected") > held_us
    first.cancel()  # a caller that gives up does not make the rows settled
    await asyncio.sleep(0)
    assert store.horizon_us("records") == held_us
    gate.set()
    await second
    assert store.horizon_us("records") > held_us
    query = Statement(sql="SELECT UNIX_MICROS(ingest_time) AS us FROM `records` ORDER BY 1", parameters={})
    stamps = (await store.read(query)).rows
    assert stamps[0] == {"us": held_us}
    assert len(stamps) == 2
    store.close()


async def test_an_append_that_was_given_up_before_it_began_never_happens() -> None:
    """Behind a busy writer, a caller that gives up takes its rows back, and the horizon is free of its stamp."""
    store = opened()
    gate, entered = threading.Event(), threading.Event()

    def busy() -> None:
        entered.set()
        gate.wait(10)

    store._writer.submit(busy)
    await asyncio.to_thread(entered.wait, 10)
    appender = store.appender(RECORDS)
    waiting = asyncio.create_task(appender.append([row(appender, "given-up")]))
    await asyncio.sleep(0)
    held_us = store.horizon_us("records")
    assert held_us == store.horizon_us("records")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    async with asyncio.timeout(patience_s(60)):
        while store.horizon_us("records") == held_us:  # noqa: ASYNC110 - nothing announces that a stamp is let go
            await asyncio.sleep(0)
    assert not gate.is_set(), "the stamp is gone although the writer is still busy"
    gate.set()
    assert await appender.append([row(appender, "kept")]) == Stored()
    assert (await store.read(Statement(sql="SELECT id FROM `records`", parameters={}))).rows == [{"id": "kept"}]
    store.close()


async def test_instants_that_python_cannot_hold_do_not_fail_the_page() -> None:
    """DuckDB hands them out as text, alone, in a list or in a struct; they stay that, and the others are as ever."""
    store = opened()
    store._connection.execute(
        "CREATE VIEW odd AS SELECT moment AS at, [moment, TIMESTAMP '2026-01-31'] AS many, {'at': moment} AS s "
        "FROM (SELECT TIMESTAMP '12026-01-31' AS moment)"
    )
    text, instant = "12026-01-31 00:00:00", datetime(2026, 1, 31, tzinfo=UTC)
    assert (await store.read(Statement(sql="SELECT * FROM `odd`", parameters={}))).rows == [
        {"at": text, "many": [text, instant], "s": {"at": text}}
    ]
    store.close()


async def test_time_never_goes_back_over_a_restart(tmp_path: Path) -> None:
    """A clock that was set back still stamps after everything in the file."""
    path = tmp_path / "data.duckdb"
    store = opened(path)
    appender = store.appender(RECORDS)
    await appender.append([row(appender)])
    store.close()
    slow = FakeClock(now_us=1_000_000)
    store = EmbeddedStore.open(str(path), (RECORDS, REJECTS), slow)
    (newest,) = (
        await store.read(Statement(sql="SELECT UNIX_MICROS(MAX(ingest_time)) AS us FROM `records`", parameters={}))
    ).rows
    assert slow.now_us() > newest["us"]
    store.close()


async def test_a_file_with_stamps_of_the_future_takes_no_rows_until_then(tmp_path: Path) -> None:
    """They would be stamped an hour ahead, or break the order of the file; the clock says so."""
    path = tmp_path / "data.duckdb"
    store = opened(path)
    assert isinstance(store._clock, SystemClock)
    assert store._clock.trouble() == ""
    appender = store.appender(RECORDS)
    await appender.append([row(appender)])
    store.close()
    behind = SystemClock(wall_us=lambda: time.time_ns() // 1000 - 3_600_000_000)
    store = EmbeddedStore.open(str(path), (RECORDS, REJECTS), behind)
    assert "ahead of the machine's clock" in behind.trouble()
    store.close()


def test_a_file_that_is_no_store_is_refused(tmp_path: Path) -> None:
    """The message names the file and what to do, without a hint at damage where there is none."""
    path = tmp_path / "data.duckdb"
    path.write_text("not a database" * 1000)
    with pytest.raises(StoreError, match=rf"{path} is damaged, or no DuckDB file: .* move it and {path}\.wal away"):
        opened(path)
    with pytest.raises(StoreError, match=r"^cannot open /dev/null/x \(SLUICE_DATA_PATH\): "):
        opened("/dev/null/x")


@pytest.mark.parametrize("damage", ["block", "end", "log"])
async def test_a_damaged_file_is_refused_with_what_to_do(tmp_path: Path, damage: str) -> None:
    """Wherever the damage is: the service must not begin an empty file in its place."""
    store, path = opened(tmp_path / "first.duckdb"), tmp_path / "data.duckdb"
    appender = store.appender(RECORDS)
    assert await appender.append([row(appender, "a")]) == Stored()
    await store.checkpoint()
    assert await appender.append([row(appender, "b")]) == Stored()
    data, log = (bytearray((tmp_path / name).read_bytes()) for name in ("first.duckdb", "first.duckdb.wal"))
    store.close()
    match damage:
        case "block":
            data[len(data) // 2 : len(data) // 2 + 64] = bytes(64)
            data[4_096:4_200] = data[8_192:8_296] = bytes(104)
        case "end":
            del data[20_000:]
        case "log":
            log[100:140] = bytes(40)
    path.write_bytes(data)
    (tmp_path / "data.duckdb.wal").write_bytes(log)
    with pytest.raises(StoreError, match=r"data\.duckdb is damaged, or no DuckDB file: .* Put a copy of it back"):
        opened(path)

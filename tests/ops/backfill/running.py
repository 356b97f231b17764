"""Run a backfill within a test, and read what it has stored."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app.record import Record
from app.runtime.clock import SystemClock
from app.runtime.instants import HOUR_US, TimeRange
from app.schema.table import REJECTS, rejects_table
from app.settings.load import Settings
from app.stores.backend import open_backend
from app.stores.query import Keys
from app.streams import single_stream
from sluice.ops.backfill.sources import find_objects
from sluice.ops.backfill.storing import Counts, Plan, backfill

STREAMS = single_stream(Record)


async def run(
    settings: Settings, source: Path | str, name: str = "test", *, counts: Counts | None = None, **how: Any
) -> Counts:
    """Run a backfill to its end; return its counts, or fill `counts` on the way."""
    counts = counts or Counts()
    await backfill(Plan(name=name, **how), settings, find_objects(str(source)), counts, SystemClock())
    return counts


async def stored_keys(settings: Settings) -> tuple[list[str], list[str]]:
    """Return the delivery keys of every row of the records, and of the rejects, copies included."""
    clock = SystemClock()
    backend = open_backend(settings, (*STREAMS.tables, rejects_table()), clock)
    try:
        now_us = clock.now_us()
        found = [
            (await backend.runner.rows(Keys(table=table, within=TimeRange(now_us - HOUR_US, now_us + HOUR_US)))).rows
            for table in (STREAMS.default.table.name, REJECTS)
        ]
    finally:
        await backend.close()
    records, rejects = ([str(row["delivery_key"]) for row in rows] for rows in found)
    return records, rejects


def record(number: int, **members: Any) -> dict[str, Any]:
    """Return a record of the default type."""
    return {"id": f"id{number}", "timestamp": "2026-01-31T12:00:00Z", **members}


def write_lines(path: Path, records: Sequence[Any]) -> Path:
    """Write NDJSON."""
    path.write_text("".join(json.dumps(each) + "\n" for each in records))
    return path

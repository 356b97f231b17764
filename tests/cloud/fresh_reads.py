"""What a read of rows bills that were stored a moment ago: the first measurement of a run over BigQuery itself.

New rows lie in `__UNPARTITIONED__`. Google documents neither for how long nor what a query of some of them bills, and
the price of following rests on both (docs/performance.md).
"""

import asyncio
import time
from datetime import UTC, datetime
from typing import Any, Self

from app.ingest.decode.envelope import Message
from app.record import Record
from app.runtime.clock import MICROSECONDS, SystemClock
from app.runtime.instants import TimeRange
from app.schema.table import Table, records_table, rejects_table
from app.settings.load import Settings
from app.stores.backend import open_backend
from app.stores.bigquery.client import BigQueryClients, TableAddress
from app.stores.query import Rows
from app.stores.sink import Stored
from tests.encoding import encoded, whole_envelope
from tests.support.throwaway import Throwaway

APPENDS, ROWS, ROW_BYTES = 16, 256, 8_000
STORED_BYTES = APPENDS * ROWS * ROW_BYTES
RECORDS: Table = records_table(Record)
_MB = 1e6
_UNPARTITIONED = """
SELECT COALESCE(SUM(total_rows), 0) AS fresh FROM `{dataset}.INFORMATION_SCHEMA.PARTITIONS`
WHERE table_name = 'records' AND partition_id = '__UNPARTITIONED__'
""".strip()


class FreshReads:
    """A table of 33 MB in 16 appends, of which `line` reads the last one."""

    def __init__(self, place: TableAddress, run: str) -> None:
        self._place = Throwaway(place, run).fresh(RECORDS, rejects_table())
        self._runner, self._clock = asyncio.Runner(), SystemClock()
        settings = Settings().replace(
            backend="bigquery",
            bigquery_project=place.project,
            bigquery_dataset=self._place.dataset,
            bigquery_location=place.location or "",
            bigquery_rest_url=place.rest_url,
            bigquery_storage_url=place.storage_url,
        )
        self._backend = open_backend(settings, [RECORDS, rejects_table()], self._clock)
        self._last_us = self._runner.run(self._store())
        self._stored_s = time.monotonic()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the store; the run deletes the dataset."""
        self._runner.run(self._close())
        self._runner.close()

    def line(self) -> str:
        """Read the rows of the last append, by the service's own query; return what that took, for a person."""
        fresh, processed = self._unpartitioned(), self._runner.run(self._read())
        read = "an unknown number of" if processed is None else f"{processed / _MB:,.1f}"
        return (
            f"fresh rows: {time.monotonic() - self._stored_s:,.0f} s after the last was stored, a read of "
            f"{STORED_BYTES / APPENDS / _MB:.1f} of {STORED_BYTES / _MB:.1f} MB processed {read} MB, and "
            f"{fresh:,} of {APPENDS * ROWS:,} rows lay in __UNPARTITIONED__"
        )

    async def _close(self) -> None:
        await self._backend.close()

    async def _store(self) -> int:
        """Append the rows; return when the last append began."""
        appender = self._backend.appender(RECORDS)
        for number in range(APPENDS):
            last_us = self._clock.now_us()
            outcome = await appender.append([_row(appender, f"{number}-{index}") for index in range(ROWS)])
            if outcome != Stored():
                raise SystemExit(f"the rows to be measured could not be stored: {outcome}")
        return last_us

    async def _read(self) -> int | None:
        query = Rows(
            table=RECORDS.name,
            within=TimeRange(self._last_us, self._last_us + 10 * MICROSECONDS),
            lookback_us=0,
            columns=tuple(column.name for column in RECORDS.columns),
            limit=1,
        )
        return (await self._backend.runner.rows(query)).bytes_processed

    def _unpartitioned(self) -> int:
        access = BigQueryClients(self._place)
        try:
            (row,) = access.client().query_and_wait(_UNPARTITIONED.format(dataset=self._place.dataset))
        finally:
            access.close()
        return int(row["fresh"])


def _row(appender: Any, name: str) -> bytes:
    record = Record(id=name, timestamp=datetime(2026, 1, 31, tzinfo=UTC), data="x" * ROW_BYTES)
    return encoded(appender, record, whole_envelope(Message(key=name, data=b"")))

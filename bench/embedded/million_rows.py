"""Rows of the last four weeks for `bench.embedded.millions`, in the embedded store's own layout."""

import time
from pathlib import Path

import duckdb
import msgspec

from app.record import Record
from app.runtime.instants import DAY_US, SECOND_US
from app.schema.table import records_table
from app.stores.duckdb.table_layout import duckdb_ddl

SPAN_US = 28 * DAY_US
RARE_SOURCE = "audit"
"""The source of one record in a thousand."""
CUSTOMERS = 50_000
_STEP = 50_000  # rows of one checkpoint, about as many as the service writes between two
_RECORDS = records_table(Record)

# Ids and keys are spread evenly, so no range of them lets DuckDB skip rows. One row in a thousand repeats the
# delivery, and the record, of one 60 before it: the feed serves that once.
_FILL = """
INSERT INTO records
SELECT
  'order-' || md5((original * 7919 % $ids)::VARCHAR)[:16],
  make_timestamp($start_us + (original::HUGEINT * $span_us // $rows)::BIGINT),
  CASE WHEN hash(original * 7) % 1000 = 0 THEN $rare
    ELSE (['app', 'checkout', 'kiosk', 'partner', 'web'])[1 + CAST(hash(original * 3) % 5 AS BIGINT)] END,
  '{"total":' || (hash(original) % 100000) / 4 || ',"currency":"EUR","customer":"customer-'
    || hash(original * 11) % $customers || '","items":[{"sku":"sku-' || hash(original * 13) % 1000 || '"}]}',
  'projects/a-project/subscriptions/sluice-push',
  CAST(1000000000000000 + original * 97 AS VARCHAR),
  make_timestamp($start_us + (original::HUGEINT * $span_us // $rows)::BIGINT),
  '{"kind":"order","region":"europe-west1"}',
  NULL,
  0,
  (1000000000000000 + original * 97) || ':' || ($start_us + (original::HUGEINT * $span_us // $rows)::BIGINT) || ':0',
  make_timestamp($start_us + (i::HUGEINT * $span_us // $rows)::BIGINT),
  md5(i::VARCHAR)
FROM (
  SELECT range AS i, CASE WHEN range % 1000 = 999 THEN range - 60 ELSE range END AS original FROM range($first, $beyond)
)
ORDER BY i
"""


class Rows(msgspec.Struct, frozen=True):
    """What a file holds: so many rows, evenly from `start_us` up to `end_us` (microseconds)."""

    count: int
    start_us: int
    end_us: int

    @property
    def originals(self) -> int:
        """How many of them are no copies."""
        return self.count - self.count // 1_000


def build_rows(path: Path, count: int) -> Rows:
    """Fill a file with `count` rows, in the order in which they would have arrived by now."""
    end_us = time.time_ns() // 1_000 - SECOND_US
    rows = Rows(count, end_us - SPAN_US, end_us)
    values = {
        "start_us": rows.start_us,
        "span_us": SPAN_US,
        "rows": count,
        "ids": count // 5,
        "rare": RARE_SOURCE,
        "customers": CUSTOMERS,
    }
    with duckdb.connect(str(path)) as connection:
        connection.execute(duckdb_ddl(_RECORDS))
        for first in range(0, count, _STEP):
            connection.execute(_FILL, {**values, "first": first, "beyond": min(first + _STEP, count)})
            connection.execute("CHECKPOINT")
    return rows


def some_ids(path: Path, count: int) -> list[str]:
    """Return `count` ids that are there, spread over the file."""
    sql = "SELECT id FROM records USING SAMPLE reservoir($count ROWS) REPEATABLE (7)".replace("$count", str(count))
    with duckdb.connect(str(path), read_only=True) as connection:
        return [record_id for (record_id,) in connection.execute(sql).fetchall()]

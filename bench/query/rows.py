"""A million default records for the measurements of the API: the last thirty days, up to this moment."""

import time
from pathlib import Path

import duckdb
import msgspec

from app.record import Record
from app.runtime.instants import DAY_US, SECOND_US
from app.schema.table import records_table
from app.stores.duckdb.table_layout import duckdb_ddl

SPAN_US = 30 * DAY_US
SOURCES = ("app", "checkout", "kiosk", "partner", "web")
RARE_SOURCE = "audit"
"""The source of one record in a thousand; the others have one of SOURCES, each as often."""
_RECORDS = records_table(Record)

# One row in a thousand repeats the delivery, and the record, of one 60 before it: the feed serves that once.
_FILL = """
INSERT INTO records
SELECT
  'order-' || original * 7919 % $ids,
  make_timestamp($start_us + original * $span_us // $rows),
  CASE WHEN hash(original * 7) % 1000 = 0 THEN $rare ELSE $sources[1 + CAST(hash(original * 3) % 5 AS BIGINT)] END,
  '{"total":' || (original % 1000) / 4 || ',"currency":"EUR","items":[{"sku":"sku-' || original % 100 || '"}]}',
  'projects/a-project/subscriptions/sluice-push',
  CAST(1000000000000000 + original AS VARCHAR),
  make_timestamp($start_us + original * $span_us // $rows),
  '{"kind":"order","region":"europe-west1"}',
  NULL,
  0,
  (1000000000000000 + original) || ':0',
  make_timestamp($start_us + i * $span_us // $rows),
  NULL
FROM (SELECT range AS i, CASE WHEN range % 1000 = 999 THEN range - 60 ELSE range END AS original FROM range($rows))
ORDER BY i
"""


class Rows(msgspec.Struct, frozen=True):
    """What a file holds: so many rows, the first stamped `start_us`, evenly up to `end_us` (microseconds)."""

    count: int
    start_us: int
    end_us: int

    @property
    def ids(self) -> int:
        """How many ids there may be: each has five versions, but for those of the rows that are copies."""
        return self.count // 5

    def id_of(self, number: int) -> str:
        """Return the id of the row of this number: as `_FILL` makes it."""
        original = number - 60 if number % 1_000 == 999 else number
        return f"order-{original * 7_919 % self.ids}"

    @property
    def gap_us(self) -> int:
        """The time from one row to the next."""
        return (self.end_us - self.start_us) // self.count

    def originals_between(self, since_us: int, until_us: int) -> int:
        """Return how many rows of a window are no copies: what a reader of all of it gets."""
        first = max(-(-(since_us - self.start_us) * self.count // SPAN_US), 0)
        last = min(-(-(until_us - self.start_us) * self.count // SPAN_US), self.count)
        return (last - first) - (last // 1000 - first // 1000)


def build_rows(path: Path, count: int) -> Rows:
    """Fill a file with `count` rows, in the order in which they would have arrived by now."""
    end_us = time.time_ns() // 1_000 - SECOND_US
    rows = Rows(count, end_us - SPAN_US, end_us)
    values = {"start_us": rows.start_us, "span_us": SPAN_US, "rows": count}
    with duckdb.connect(str(path)) as connection:
        connection.execute(duckdb_ddl(_RECORDS))
        connection.execute(_FILL, {**values, "ids": rows.ids, "sources": list(SOURCES), "rare": RARE_SOURCE})
    return rows

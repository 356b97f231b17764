"""A million default records for the measurements of the API: the last thirty days, up to this moment."""

import time
from pathlib import Path

import duckdb
import msgspec

from app.record import Record
from app.runtime.instants import DAY_US, SECOND_US
from app.schema.table import records_table
from app.stores.duckdb.recent_keys import RECENT_KEYS_DDL
from app.stores.duckdb.table_layout import duckdb_ddl, hash_column, hash_sql

SPAN_US = 30 * DAY_US
SOURCES = ("app", "checkout", "kiosk", "partner", "web")
RARE_SOURCE = "audit"
"""The source of one record in a thousand; the others have one of SOURCES, each as often."""
_RECORDS = records_table(Record)

_FILL = f"""
INSERT INTO records BY NAME
SELECT
  'order-' || i * 7919 % $ids AS id,
  make_timestamp($start_us + i * $span_us // $rows) AS timestamp,
  CASE WHEN hash(i * 7) % 1000 = 0 THEN $rare ELSE $sources[1 + CAST(hash(i * 3) % 5 AS BIGINT)] END AS source,
  '{{"total":' || (i % 1000) / 4 || ',"currency":"EUR","items":[{{"sku":"sku-' || i % 100 || '"}}]}}' AS data,
  'projects/a-project/subscriptions/sluice-push' AS subscription_name,
  CAST(1000000000000000 + i AS VARCHAR) AS message_id,
  timestamp AS publish_time,
  '{{"kind":"order","region":"europe-west1"}}' AS attributes,
  0 AS message_index,
  (1000000000000000 + i) || ':0' AS delivery_key,
  timestamp AS ingest_time,
  {hash_sql("id")} AS {hash_column(_RECORDS)}
FROM range($rows) AS numbers(i)
ORDER BY i
"""  # noqa: S608 - names of a declaration


class Rows(msgspec.Struct, frozen=True):
    """What a file holds: so many rows, the first stamped `start_us`, evenly up to `end_us` (microseconds)."""

    count: int
    start_us: int
    end_us: int
    versions: int

    @property
    def ids(self) -> int:
        """How many ids there are."""
        return self.count // self.versions

    def id_of(self, number: int) -> str:
        """Return the id of the row of this number: as `_FILL` makes it."""
        return f"order-{number * 7_919 % self.ids}"

    @property
    def gap_us(self) -> int:
        """The time from one row to the next."""
        return (self.end_us - self.start_us) // self.count

    def between(self, since_us: int, until_us: int) -> int:
        """Return how many rows a window has."""
        first = max(-(-(since_us - self.start_us) * self.count // SPAN_US), 0)
        last = min(-(-(until_us - self.start_us) * self.count // SPAN_US), self.count)
        return last - first


def build_rows(path: Path, count: int, versions: int = 5) -> Rows:
    """Fill a file with `count` rows, `versions` of each id, in the order in which they would have arrived by now."""
    end_us = time.time_ns() // 1_000 - SECOND_US
    rows = Rows(count, end_us - SPAN_US, end_us, versions)
    values = {"start_us": rows.start_us, "span_us": SPAN_US, "rows": count}
    with duckdb.connect(str(path)) as connection:
        connection.execute(duckdb_ddl(_RECORDS))
        connection.execute(RECENT_KEYS_DDL)
        connection.execute(_FILL, {**values, "ids": rows.ids, "sources": list(SOURCES), "rare": RARE_SOURCE})
    return rows

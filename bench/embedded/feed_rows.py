"""A million default records for `bench.embedded.feed_pages`, as they would lie in the embedded store."""

import duckdb
import msgspec

from app.record import Record
from app.runtime.instants import DAY_US, MINUTE_US, SECOND_US
from app.schema.table import records_table
from app.stores.duckdb.table_layout import duckdb_ddl

ROWS = 1_000_000
START_US = 1_767_225_600 * SECOND_US  # 2026-01-01T00:00:00Z
RECORDS = records_table(Record)

# A row's stamp is that of its batch; one row in a thousand repeats the delivery, and the record, of one 60 before it.
_FILL = """
INSERT INTO records
SELECT
  'order-' || (hash(original) % 200000),
  make_timestamp($start_us + original * $span_us // $rows),
  'checkout',
  '{"total":' || (original % 1000) / 4 || ',"currency":"EUR","items":[{"sku":"sku-' || original % 100 || '"}]}',
  'projects/a-project/subscriptions/sluice-push',
  CAST(1000000000000000 + original AS VARCHAR),
  make_timestamp($start_us + original * $span_us // $rows),
  '{"kind":"order","region":"europe-west1"}',
  NULL,
  0,
  (1000000000000000 + original) || ':0',
  make_timestamp($start_us + (i // $batch_rows) * $batch_rows * $span_us // $rows),
  NULL
FROM (SELECT range AS i, CASE WHEN range % 1000 = 999 THEN range - 60 ELSE range END AS original FROM range($rows))
ORDER BY i
"""


class Layout(msgspec.Struct, frozen=True):
    """How the rows lie: over which time, and in batches of how many."""

    span_us: int
    batch_rows: int


LAYOUTS = {"ten_minutes": Layout(10 * MINUTE_US, 50), "thirty_days": Layout(30 * DAY_US, 1)}


def build(path: str, layout: Layout) -> None:
    """Fill a file with a million rows, in the order they would arrive."""
    with duckdb.connect(path) as connection:
        connection.execute(duckdb_ddl(RECORDS))
        values = {"start_us": START_US, "span_us": layout.span_us, "rows": ROWS, "batch_rows": layout.batch_rows}
        connection.execute(_FILL, values)

"""The SQL of an export: every row of a time range that is not a copy, and the number of rows in each part.

Unlike a page (sql.pages), an export knows its candidates in advance: all rows of the range. So it checks for each row
whether its delivery has an earlier one. That costs half of finding the copies first, and a fifth of numbering the
look-back's rows where those are many (measured over a million rows in ten minutes).
"""

from app.stores.query import Count, Export, PartCounts
from app.stores.sql.conditions import where_clause
from app.stores.sql.originals import columns_text


def export_sql(query: Export) -> str:
    """Return the query of all rows of a range, without copies, in the order of the feed."""
    direction = " DESC" if query.descending else ""
    return f"""\
SELECT {columns_text(query.columns, "original.")}
{_originals(query)}
ORDER BY original.`ingest_time`{direction}, original.`delivery_key`{direction}
"""


def count_sql(query: Count) -> str:
    """Return the query that counts the rows of `export_sql`, or of a page."""
    return f"""\
SELECT COUNT(*) AS `records`
FROM (
SELECT original.`ingest_time`
{_originals(query)}{"" if query.cap is None else _LIMIT}
) AS original
"""  # noqa: S608 - as in sql.pages


def buckets_sql(query: PartCounts) -> str:
    """Return the query that counts the rows in each non-empty part of a range, copies included."""
    # The inner parentheses are for SQLGlot, as in sql.stats.
    return f"""\
SELECT DIV((UNIX_MICROS(original.`ingest_time`) - @start_micros), @width_micros) AS `bucket`, COUNT(*) AS `records`
FROM `{query.table}` AS original
WHERE original.`ingest_time` >= @from_us
    AND original.`ingest_time` < @to_us{_beyond(query)}{where_clause(query.conditions, "original.")}
GROUP BY `bucket`
ORDER BY `bucket`
"""  # noqa: S608 - as in sql.pages


def _originals(query: Export | Count) -> str:
    """Return FROM, WHERE and QUALIFY: of two rows of one delivery with the same timestamp one counts, as on a page."""
    return f"""\
FROM `{query.table}` AS original
WHERE original.`ingest_time` >= @from_us
    AND original.`ingest_time` < @to_us{_beyond(query)}{where_clause(query.conditions, "original.")}
    AND NOT EXISTS (
      SELECT 1
      FROM `{query.table}` AS earlier
      WHERE earlier.`delivery_key` = original.`delivery_key`
        AND earlier.`ingest_time` >= @lookback_from_us
        AND earlier.`ingest_time` < @to_us
        AND earlier.`ingest_time` < original.`ingest_time`
        AND earlier.`ingest_time` >= TIMESTAMP_SUB(original.`ingest_time`, INTERVAL @lookback_micros MICROSECOND)
    )
QUALIFY ROW_NUMBER() OVER (PARTITION BY original.`ingest_time`, original.`delivery_key`) = 1"""  # noqa: S608 - as in sql.pages


def _beyond(query: Export | Count | PartCounts) -> str:
    if query.after is None:
        return ""
    sign = "<" if query.descending else ">"
    same = f"original.`ingest_time` = @after_us AND original.`delivery_key` {sign} @after_key"
    return f"\n    AND (original.`ingest_time` {sign} @after_us OR ({same}))"


_LIMIT = "\nLIMIT @cap"

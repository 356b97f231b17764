"""The SQL of an export: every row of a stretch of time that is no copy, and how many rows lie where.

Unlike a page (sql.pages) an export knows its candidates beforehand: they are the stretch. So it asks of each whether
an earlier row of its delivery exists, which costs half of finding the copies first and a fifth of numbering the
look-back's rows where those are many (measured over a million rows in ten minutes).
"""

from collections.abc import Sequence

from app.query.params.filters import Condition
from app.query.sql.conditions import where_clause
from app.query.sql.originals import columns_text

BUCKETS = 1_000
"""Into how many parts, about, a stretch of time is cut to be counted."""


def export_sql(
    table: str, columns: Sequence[str], *, descending: bool, after: bool, conditions: Sequence[Condition] = ()
) -> str:
    """Return the query of all rows of a stretch that meet `conditions`, without copies, in the order of the feed.

    Parameters: @from_us, @to_us, @lookback_from_us and @lookback_micros as in `page_sql`; with `after`, @after_us and
    @after_key, the last row that was read before; and those of the conditions.
    """
    direction = " DESC" if descending else ""
    return f"""\
SELECT {columns_text(columns, "original.")}
{_originals(table, descending=descending, after=after, conditions=conditions)}
ORDER BY original.`ingest_time`{direction}, original.`delivery_key`{direction}
"""


def count_sql(table: str, *, descending: bool, after: bool, capped: bool, conditions: Sequence[Condition] = ()) -> str:
    """Return the query of how many rows `export_sql` gives, or a page would, under its parameters: `records`.

    Where it is `capped` it counts up to @cap.
    """
    return f"""\
SELECT COUNT(*) AS `records`
FROM (
SELECT original.`ingest_time`
{_originals(table, descending=descending, after=after, conditions=conditions)}{_LIMIT if capped else ""}
) AS original
"""  # noqa: S608 - as in sql.pages


def buckets_sql(table: str, *, descending: bool, after: bool, conditions: Sequence[Condition] = ()) -> str:
    """Return the query of how many rows of a stretch, copies and all, lie in each of its parts that has some.

    The columns are `bucket`, a part's number, and `records`, in ascending order. Parameters: as of `export_sql`, but
    for the look-back; @start_micros is @from_us as a number, and @width_micros how long a part is.
    """
    beyond = _beyond("original", descending=descending) if after else ""
    # The inner parentheses are for SQLGlot, as in sql.stats.
    return f"""\
SELECT DIV((UNIX_MICROS(original.`ingest_time`) - @start_micros), @width_micros) AS `bucket`, COUNT(*) AS `records`
FROM `{table}` AS original
WHERE original.`ingest_time` >= @from_us
    AND original.`ingest_time` < @to_us{beyond}{where_clause(conditions, "original.")}
GROUP BY `bucket`
ORDER BY `bucket`
"""  # noqa: S608 - as in sql.pages


def _originals(table: str, *, descending: bool, after: bool, conditions: Sequence[Condition]) -> str:
    """Return FROM, WHERE and QUALIFY: of two rows of one delivery with one stamp, one counts, as on a page."""
    beyond = _beyond("original", descending=descending) if after else ""
    return f"""\
FROM `{table}` AS original
WHERE original.`ingest_time` >= @from_us
    AND original.`ingest_time` < @to_us{beyond}{where_clause(conditions, "original.")}
    AND NOT EXISTS (
      SELECT 1
      FROM `{table}` AS earlier
      WHERE earlier.`delivery_key` = original.`delivery_key`
        AND earlier.`ingest_time` >= @lookback_from_us
        AND earlier.`ingest_time` < @to_us
        AND earlier.`ingest_time` < original.`ingest_time`
        AND earlier.`ingest_time` >= TIMESTAMP_SUB(original.`ingest_time`, INTERVAL @lookback_micros MICROSECOND)
    )
QUALIFY ROW_NUMBER() OVER (PARTITION BY original.`ingest_time`, original.`delivery_key`) = 1"""  # noqa: S608 - as in sql.pages


def _beyond(name: str, *, descending: bool) -> str:
    sign, stamp = "<" if descending else ">", f"{name}.`ingest_time`"
    same = f"{stamp} = @after_us AND {name}.`delivery_key` {sign} @after_key"
    return f"\n    AND ({stamp} {sign} @after_us OR ({same}))"


_LIMIT = "\nLIMIT @cap"

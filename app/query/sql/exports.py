"""The SQL of an export: every row of a time range that is not a copy, and the number of rows in each part.

Unlike a page (sql.pages), an export knows its candidates in advance: all rows of the range. So it checks for each row
whether its delivery has an earlier one. That costs half of finding the copies first, and a fifth of numbering the
look-back's rows where those are many (measured over a million rows in ten minutes).
"""

from collections.abc import Sequence

from app.query.params.filters import Condition
from app.query.sql.conditions import where_clause
from app.query.sql.originals import columns_text

BUCKETS = 1_000
"""The approximate number of parts into which a time range is cut for counting."""


def export_sql(
    table: str, columns: Sequence[str], *, descending: bool, after: bool, conditions: Sequence[Condition] = ()
) -> str:
    """Return the query of all rows of a range that match `conditions`, without copies, in the order of the feed.

    Parameters: @from_us, @to_us, @lookback_from_us and @lookback_micros as in `page_sql`; with `after`, @after_us and
    @after_key, the last row read before; and those of the conditions.
    """
    direction = " DESC" if descending else ""
    return f"""\
SELECT {columns_text(columns, "original.")}
{_originals(table, descending=descending, after=after, conditions=conditions)}
ORDER BY original.`ingest_time`{direction}, original.`delivery_key`{direction}
"""


def count_sql(table: str, *, descending: bool, after: bool, capped: bool, conditions: Sequence[Condition] = ()) -> str:
    """Return the query that counts the rows of `export_sql`, or of a page, under its parameters: `records`.

    If `capped`, it counts up to @cap.
    """
    return f"""\
SELECT COUNT(*) AS `records`
FROM (
SELECT original.`ingest_time`
{_originals(table, descending=descending, after=after, conditions=conditions)}{_LIMIT if capped else ""}
) AS original
"""  # noqa: S608 - as in sql.pages


def buckets_sql(table: str, *, descending: bool, after: bool, conditions: Sequence[Condition] = ()) -> str:
    """Return the query that counts the rows in each non-empty part of a range, copies included.

    The columns are `bucket`, a part's number, and `records`, in ascending order. Parameters: those of `export_sql`
    except the look-back; @start_micros is @from_us as a number, and @width_micros is the length of a part.
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
    """Return FROM, WHERE and QUALIFY: of two rows of one delivery with the same timestamp one counts, as on a page."""
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

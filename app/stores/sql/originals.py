"""The SQL that reads a time range in one scan, without copies: by id, as a whole, or to count it.

Each row is compared with the previous one of its `delivery_key`. This takes longer than the query of a page
(sql.pages), but needs no limit.
"""

from collections.abc import Sequence

from app.stores.query import Condition, LookUp
from app.stores.sql.conditions import where_clause


def originals_sql(table: str, columns: Sequence[str], *, inside: str = "") -> str:
    """Return a query of the rows that are not copies, from the look-back before a range to the end of the range.

    `columns` must include `ingest_time`. `inside` is a condition that a row and its copies share, to read less. The
    result includes the rows of the look-back: the caller excludes them by `ingest_time` >= @from_us.
    """
    previous = "LAG(`ingest_time`) OVER (PARTITION BY `delivery_key` ORDER BY `ingest_time`)"
    return f"""\
  SELECT {columns_text(columns)}
  FROM `{table}`
  WHERE `ingest_time` >= @lookback_from_us
    AND `ingest_time` < @to_us{inside}
  QUALIFY {previous} IS NULL
    OR {previous} < TIMESTAMP_SUB(`ingest_time`, INTERVAL @lookback_micros MICROSECOND)"""  # noqa: S608 - as in sql.pages


def look_up_sql(query: LookUp) -> str:
    """Return the query of the rows of a slice with one id, newest first and without copies.

    There are few such rows. A copy has the id of its original, and the table is clustered by id.
    """
    return f"""\
WITH original AS (
{originals_sql(query.table, query.columns, inside=f"{_NEXT_LINE}AND `{query.id_column}` = @id")}
)
SELECT {columns_text(query.columns, "original.")}
FROM original
WHERE original.`ingest_time` >= @from_us{where_clause(query.conditions, "original.")}
ORDER BY original.`ingest_time` DESC, original.`delivery_key` DESC
LIMIT @row_limit
"""  # noqa: S608 - as in sql.pages


def compared_columns(conditions: Sequence[Condition], *others: str) -> list[str]:
    """Return the columns that a query needs: `ingest_time`, the others, and those of the conditions."""
    top = [condition.path.partition(".")[0] for condition in conditions]
    return list(dict.fromkeys(["ingest_time", *others, *top]))


def columns_text(names: Sequence[str], prefix: str = "") -> str:
    """Return the column list of a SELECT."""
    return ", ".join(f"{prefix}`{name}`" for name in names)


_NEXT_LINE = "\n    "

"""The SQL that reads, counts, finds and deletes rows, in BigQuery's dialect.

Rows and counts look for an earlier row of each delivery: that costs a fifth of numbering the rows of the look-back
where those are many (docs/decisions/0004-what-a-copy-is.md). A look-up and statistics compare each row with the
previous one of its `delivery_key` in one scan.
"""

from collections.abc import Sequence

from app.stores.query import (
    IS_COPY,
    Condition,
    Count,
    Deletion,
    Keys,
    LookUp,
    Occurrences,
    Originals,
    Rows,
)
from app.stores.sql.conditions import where_clause

TARGET = "target"
"""The name of a DELETE's table where its current row is a query (app.stores.sql.projection)."""
_NEXT_LINE = "\n    "
_WITHIN = "`ingest_time` >= @from_us\n    AND `ingest_time` <= @to_us"  # the last instant included


def originals_sql(query: Originals, source: str, columns: Sequence[str], inside: str = "") -> str:
    """Return a query of the rows that are not copies, from the look-back before a range to the end of the range.

    `columns` must include `ingest_time`. `inside` is a condition that a row and its copies share, to read less. The
    result includes the rows of the look-back: the caller excludes them by `ingest_time` >= @from_us.
    """
    from_us, only = "@from_us", ""
    if query.lookback_us:
        previous = "LAG(`ingest_time`) OVER (PARTITION BY `delivery_key` ORDER BY `ingest_time`)"
        from_us = "@lookback_from_us"
        only = f"""
  QUALIFY {previous} IS NULL
    OR {previous} < TIMESTAMP_SUB(`ingest_time`, INTERVAL @lookback_micros MICROSECOND)"""
    return f"""\
  SELECT {columns_text(columns)}
  FROM {source}
  WHERE `ingest_time` >= {from_us}
    AND `ingest_time` < @to_us{inside}{only}"""  # noqa: S608 - as in rows_sql


def compared_columns(conditions: Sequence[Condition], *others: str) -> list[str]:
    """Return the columns that a query needs: `ingest_time`, the others, and those of the conditions."""
    top = [condition.path.partition(".")[0] for condition in conditions]
    return list(dict.fromkeys(["ingest_time", *others, *top]))


def columns_text(names: Sequence[str], prefix: str = "") -> str:
    """Return the column list of a SELECT."""
    return ", ".join(f"{prefix}`{name}`" for name in names)


def rows_sql(query: Rows, source: str) -> str:
    """Return the query of the next rows, without copies or with a mark on them; `source` replaces the table.

    (app.stores.sql.projection). With a look-back, each row is checked for an earlier one of its delivery.
    """
    direction = " DESC" if query.descending else ""
    limit = "" if query.limit is None else "\nLIMIT @row_limit"
    copies, mark, selected = _marked(query, source) if query.marks_copies else ("", "", _originals(query, source))
    return f"""\
{copies}SELECT {columns_text(query.columns, "original.")}{mark}
{selected}
ORDER BY original.`ingest_time`{direction}, original.`delivery_key`{direction}{limit}
"""


def _marked(query: Rows, source: str) -> tuple[str, str, str]:
    """Return a CTE of the copies, the column that marks them, and FROM and WHERE of all rows."""
    if not query.lookback_us:
        return "", f",\n  FALSE AS `{IS_COPY}`", _selected(query, source)
    same = "listed.`ingest_time` = original.`ingest_time` AND listed.`delivery_key` = original.`delivery_key`"
    return (
        f"WITH copies AS (\n{_copies_in_range(query)}\n)\n",
        f",\n  listed.`delivery_key` IS NOT NULL AS `{IS_COPY}`",
        _selected(query, source, f"\nLEFT JOIN copies AS listed ON {same}"),
    )


def _copies_in_range(query: Rows) -> str:
    previous = "LAG(`ingest_time`) OVER (PARTITION BY `delivery_key` ORDER BY `ingest_time`)"
    return f"""\
  SELECT `ingest_time`, `delivery_key`
  FROM `{query.table}`
  WHERE `ingest_time` >= @lookback_from_us
    AND `ingest_time` < @to_us
  GROUP BY `ingest_time`, `delivery_key`
  QUALIFY {previous} >= TIMESTAMP_SUB(`ingest_time`, INTERVAL @lookback_micros MICROSECOND)"""  # noqa: S608 - as in rows_sql


def count_sql(query: Count, source: str) -> str:
    """Return the query that counts the rows of `rows_sql`."""
    return f"""\
SELECT COUNT(*) AS `records`
FROM (
SELECT original.`ingest_time`
{_originals(query, source)}
) AS original
"""  # noqa: S608 - as in rows_sql


def keys_sql(query: Keys, source: str) -> str:
    """Return the query of the delivery keys of a range, copies included."""
    return f"""\
SELECT `delivery_key`
FROM {source}
WHERE `ingest_time` >= @from_us
    AND `ingest_time` < @to_us{where_clause(query.conditions)}
"""  # noqa: S608 - as in rows_sql


def _selected(query: Rows | Count, source: str, joined: str = "") -> str:
    """Return FROM and WHERE of the rows of a selection after its position, copies included."""
    after = query.after
    beyond = ""
    if after is not None:
        sign = "<" if query.descending else ">"
        same = f"original.`ingest_time` = @after_us AND original.`delivery_key` {sign} @after_key"
        beyond = f"\n    AND (original.`ingest_time` {sign} @after_us OR ({same}))"
    return f"""\
FROM {source} AS original{joined}
WHERE original.`ingest_time` >= @from_us
    AND original.`ingest_time` < @to_us{beyond}{where_clause(query.conditions, "original.")}"""


def _originals(query: Rows | Count, source: str) -> str:
    """Return FROM, WHERE and QUALIFY: of two rows of one delivery with the same timestamp one counts."""
    selected = _selected(query, source)
    if not query.lookback_us:
        return selected
    return f"""\
{selected}
    AND NOT EXISTS (
      SELECT 1
      FROM `{query.table}` AS earlier
      WHERE earlier.`delivery_key` = original.`delivery_key`
        AND earlier.`ingest_time` >= @lookback_from_us
        AND earlier.`ingest_time` < @to_us
        AND earlier.`ingest_time` < original.`ingest_time`
        AND earlier.`ingest_time` >= TIMESTAMP_SUB(original.`ingest_time`, INTERVAL @lookback_micros MICROSECOND)
    )
QUALIFY ROW_NUMBER() OVER (PARTITION BY original.`ingest_time`, original.`delivery_key`) = 1"""  # noqa: S608 - as in rows_sql


def occurrences_sql(query: Occurrences, source: str) -> str:
    """Return the query of the number of rows, and of their first and last stamps."""
    return f"""\
SELECT COUNT(*) AS `found`, MIN(`ingest_time`) AS `first`, MAX(`ingest_time`) AS `last`
FROM {source}
WHERE {_WITHIN}{where_clause(query.conditions)}
"""  # noqa: S608 - as in rows_sql


def deletion_sql(query: Deletion, row: str = "") -> str:
    """Return the DELETE of rows; `row` is a query of the current row, if its conditions need one."""
    target, conditions = f"`{query.table}`", where_clause(query.conditions)
    if row:
        target = f"{target} AS {TARGET}"
        conditions = f"{_NEXT_LINE}AND EXISTS (SELECT 1 FROM {row} WHERE TRUE{conditions})"  # noqa: S608 - as in rows_sql
    return f"""\
DELETE FROM {target}
WHERE {_WITHIN}{conditions}
"""  # noqa: S608 - as in rows_sql


_AND = "\n    AND "


def instants_sql(query: LookUp) -> str:
    """Return the query of when the rows with one id were stored, copies included, newest first.

    It covers the look-back as well, and names no column but the two that it needs.
    """
    return f"""\
SELECT `ingest_time`
FROM `{query.table}`
WHERE `ingest_time` >= @lookback_from_us
    AND `ingest_time` < @to_us
    AND `{query.id_column}` = @id
ORDER BY `ingest_time` DESC
LIMIT @row_limit
"""  # noqa: S608 - as in rows_sql


def look_up_sql(query: LookUp, source: str, instants: int = 0) -> str:
    """Return the query of the rows of a slice with one id, newest first and without copies.

    There are few such rows, and a copy has the id of its original. With `instants`, the rows at so many are read, which
    parameters name.
    """
    known = ", ".join(f"@{name}" for name in instant_names(instants))
    at = f"{_AND}`ingest_time` IN ({known})" if instants else ""
    return f"""\
WITH original AS (
{originals_sql(query, source, query.columns, f"{_AND}`{query.id_column}` = @id{at}")}
)
SELECT {columns_text(query.columns, "original.")}
FROM original
WHERE original.`ingest_time` >= @from_us{where_clause(query.conditions, "original.")}
ORDER BY original.`ingest_time` DESC, original.`delivery_key` DESC
LIMIT @row_limit
"""  # noqa: S608 - as in rows_sql


def instant_names(count: int) -> list[str]:
    """Return the names of the parameters that are the instants of a look-up."""
    return [f"at_{number}_us" for number in range(count)]

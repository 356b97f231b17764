"""The SQL of statistics, in BigQuery's dialect: one row for each non-empty bucket of each group.

The query first finds the largest groups and computes the metrics for those alone. So a field with a million values
costs a count of each, but neither a million medians nor a million rows.
"""

from app.schema.columns import Kind
from app.stores.query import Metric, Statistics
from app.stores.sql.conditions import where_clause
from app.stores.sql.rows import compared_columns, originals_sql

_PERCENTILES = {"p50": 50, "p95": 95}


def stats_sql(query: Statistics, source: str) -> str:
    """Return the query of the statistics of rows, without copies."""
    by, metrics, conditions = query.by, query.metrics, query.conditions
    values = {metric.path: metric.is_computed for metric in metrics if metric.path}
    paths = list(values)
    group = [f"{_column(by)} AS `group_key`"] if by else []
    # Without the inner parentheses SQLGlot 30 renders `(a - b) DIV c` for DuckDB as `a - b // c`.
    bucket = "DIV((UNIX_MICROS(original.`ingest_time`) - @first_micros), @bucket_micros) AS `bucket`"
    columns = [bucket, *group, *(f"{_value(*each)} AS `value_{index}`" for index, each in enumerate(values.items()))]
    read = [*([by] if by else []), *("publish_time" if is_computed else path for path, is_computed in values.items())]
    tops = [path.partition(".")[0] for path in read]
    measured = f"""\
WITH original AS (
{originals_sql(query, source, compared_columns(conditions, *tops))}
), measured AS (
  SELECT {_NEXT_COLUMN.join(columns)}
  FROM original
  WHERE original.`ingest_time` >= @from_us{where_clause(conditions, "original.")}
)"""  # noqa: S608 - as in sql.rows
    numbers = ["COUNT(*) AS `records`"]
    numbers += [
        f"{_number(metric, f'measured.`value_{paths.index(metric.path)}`')} AS `metric_{index}`"
        for index, metric in enumerate(metrics)
        if metric.path
    ]
    return measured + (_GROUPED if by else _WHOLE).format(
        numbers=_NEXT_NUMBER.join(numbers), max_groups=query.max_groups
    )


def _column(path: str) -> str:
    return "original." + ".".join(f"`{part}`" for part in path.split("."))


def _value(path: str, is_computed: bool) -> str:  # noqa: FBT001 - a pair of the values above
    if not is_computed:
        return _column(path)
    # `/` is never an integer division, in either store; the result is NULL if there is no publish_time.
    return f"(UNIX_MICROS({_column('ingest_time')}) - UNIX_MICROS({_column('publish_time')})) / 1000000"


def _number(metric: Metric, value: str) -> str:
    match metric.function:
        case "min" | "max":
            return f"{metric.function.upper()}({value})"
        case "count_distinct":
            return f"APPROX_COUNT_DISTINCT({value})"  # DuckDB counts exactly (app.stores.duckdb.source)
        case "sum":
            # Of whole numbers it is exact: NUMERIC has room for ten billion of the largest.
            return f"SUM(CAST({value} AS NUMERIC))" if metric.kind is Kind.INT64 else f"SUM({_as_float(value)})"
        case "avg":
            # DuckDB's sum of exact decimals may overflow; a sum of floating-point numbers cannot fail.
            return f"AVG({_as_float(value)})" if metric.kind is Kind.NUMERIC else f"AVG({value})"
        case percentile:
            # DuckDB 2.0's percentile exceeds the largest value if the values are few and all negative.
            value = _as_float(value)
            return f"LEAST(APPROX_QUANTILES({value}, 100)[OFFSET({_PERCENTILES[percentile]})], MAX({value}))"


def _as_float(value: str) -> str:
    return f"CAST({value} AS FLOAT64)"


_NEXT_COLUMN, _NEXT_NUMBER = ",\n    ", ",\n  "
_WHOLE = """
SELECT measured.`bucket`,
  {numbers}
FROM measured
GROUP BY measured.`bucket`
"""
_GROUPED = """, counted AS (
  SELECT measured.`group_key`, COUNT(*) AS `group_records`
  FROM measured
  GROUP BY measured.`group_key`
), largest AS (
  SELECT counted.`group_key`, counted.`group_records`
  FROM counted
  ORDER BY counted.`group_records` DESC, counted.`group_key`
  LIMIT {max_groups}
), placed AS (
  SELECT largest.`group_key`,
    ROW_NUMBER() OVER (ORDER BY largest.`group_records` DESC, largest.`group_key`) AS `place`,
    (SELECT COUNT(*) FROM counted) AS `group_count`
  FROM largest
)
SELECT placed.`place`, placed.`group_key`, placed.`group_count`, measured.`bucket`,
  {numbers}
FROM measured
JOIN placed ON placed.`group_key` IS NOT DISTINCT FROM measured.`group_key`
GROUP BY placed.`place`, placed.`group_key`, placed.`group_count`, measured.`bucket`
"""

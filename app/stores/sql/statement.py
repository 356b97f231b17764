"""Render the queries of the seam as statements in BigQuery's dialect: a text, and the parameters that it names. Pure.

Rows and counts look for an earlier row of each delivery: that costs a fifth of numbering the rows of the look-back
where those are many (docs/decisions/0004-what-a-copy-is.md). A look-up and statistics compare each row with the
previous one of its `delivery_key` in one scan.

Names are a record type's fields, which are identifiers; every value is a parameter. The keys of a JSON path are in the
text too, because BigQuery accepts only literals; `app.query.request.filters` lets only harmless ones through.
"""

from collections.abc import Mapping, Sequence
from typing import assert_never

import msgspec

from app.runtime.instants import MAX_US, MIN_US, clamp, to_text
from app.schema.columns import Kind
from app.stores.query import (
    IS_COPY,
    Condition,
    Count,
    Deletion,
    Keys,
    LookUp,
    Metric,
    Occurrences,
    Originals,
    Purpose,
    Query,
    Rows,
    Scalar,
    Selection,
    State,
    Statistics,
)
from app.stores.source import Plan

TARGET = "target"
"""The name of a DELETE's table where its current row is a query (app.stores.sql.projection)."""
MOST_INSTANTS = 1_000  # of a look-up; a statement may have 10,000 parameters
_WITHIN = "`ingest_time` >= @from_us\n    AND `ingest_time` <= @to_us"  # the last instant included
_AND = "\n    AND "


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """A statement in BigQuery's dialect; it names tables without their dataset.

    `parameters` are named (`@name` in the text). An instant is passed as integer microseconds under a name that ends in
    `_us`, and is a TIMESTAMP in the text. `max_bytes` limits the rows that are fetched, as in a Rows query. `is_cheap`:
    it should read far less than BigQuery's estimate, which knows neither clustering nor search indexes.
    """

    sql: str
    parameters: Mapping[str, Scalar]
    purpose: Purpose = "page"
    max_bytes: int | None = None
    is_cheap: bool = False

    def plan(self, estimated_bytes: int | None = None) -> Plan:
        """Return the statement as a Plan, in which instants are texts."""
        shown = {
            name: to_text(value) if name.endswith("_us") and type(value) is int else value
            for name, value in self.parameters.items()
        }
        return Plan(self.sql, shown, estimated_bytes)


def render(query: Query | Deletion, source: str = "") -> Statement:
    """Return the statement of `query`, which reads from `source` instead of the table, if it is given.

    Of a Deletion, `source` is the row that its conditions compare (app.stores.sql.projection).
    """
    text = _deletion(query, source) if isinstance(query, Deletion) else _text(query, source or f"`{query.table}`")
    max_bytes = query.max_bytes if isinstance(query, Rows) else None
    return Statement(sql=text, parameters=_parameters(query), purpose=query.purpose, max_bytes=max_bytes)


def _text(query: Query, source: str) -> str:
    match query:
        case Rows():
            return _state(query, source, source) if isinstance(query, State) else _rows(query, source)
        case LookUp():
            return _look_up(query, source)
        case Count():
            return _count(query, source)
        case Statistics():
            return _statistics(query, source)
        case Keys():
            return _keys(query, source)
        case Occurrences():
            return _occurrences(query, source)
        case _:
            assert_never(query)


def render_state(query: State, source: str, key_column: str) -> Statement:
    """Return the statement of `query`, which looks only at versions that share a value of `key_column` with its rows.

    All versions of an id have the same value there. The limit excludes nothing: by it DuckDB knows that the rows are
    fewer than the versions, and so which of them to hash.
    """
    limit = "" if query.most is None else f"\nLIMIT {1 << query.most.bit_length()}"  # few different texts
    keys = f"SELECT original.`{key_column}`\n{_selected(query.count, source)}{limit}"
    versions = f"(SELECT * FROM {source} WHERE `{key_column}` IN ({keys}))"  # noqa: S608 - names of a declaration
    text = _state(query, source, versions)
    return Statement(sql=text, parameters=_parameters(query), purpose=query.purpose, max_bytes=query.max_bytes)


def _parameters(query: Query | Deletion) -> dict[str, Scalar]:
    found = condition_parameters(query.conditions)
    match query:
        case Occurrences():
            found |= {"from_us": MIN_US, "to_us": MAX_US}
        case Deletion():
            found |= {"from_us": query.first_us, "to_us": query.last_us}
        case Selection(within=within):
            found |= {"from_us": within.from_us, "to_us": within.to_us}
        case _:
            assert_never(query)
    if isinstance(query, Originals) and query.lookback_us:
        read = query.folded if isinstance(query, State) else query.within
        lookback_from_us = clamp(read.from_us - query.lookback_us)
        found |= {"lookback_from_us": lookback_from_us, "lookback_micros": query.lookback_us}
    if isinstance(query, State):
        found |= {"folded_from_us": query.folded.from_us, "folded_to_us": query.folded.to_us}
        found |= {"last_key": query.last_key} if query.last_key else {}
        found |= condition_parameters(query.counted, len(query.conditions))
    if isinstance(query, Rows | Count) and query.after is not None:
        found |= {"after_us": query.after.ingest_us, "after_key": query.after.delivery_key}
    if isinstance(query, Rows | LookUp) and query.limit is not None:
        found["row_limit"] = query.limit
    if isinstance(query, LookUp):
        found["id"] = query.record_id
    if isinstance(query, Statistics):
        found |= {"first_micros": query.first_us, "bucket_micros": query.bucket_us}
    return found


def _rows(query: Rows, source: str) -> str:
    """Return the query of the next rows, without copies or with a mark on them."""
    direction = " DESC" if query.descending else ""
    limit = "" if query.limit is None else "\nLIMIT @row_limit"
    copies, mark, selected = _marked(query, source) if query.marks_copies else ("", "", _originals(query, source))
    return f"""\
{copies}SELECT {_columns(query.columns, "original.")}{mark}
{selected}
ORDER BY original.`ingest_time`{direction}, original.`delivery_key`{direction}{limit}
"""


def _state(query: State, source: str, versions: str) -> str:
    """Return the query of the rows that are the latest of the `versions` of their id."""
    direction = " DESC" if query.descending else ""
    limit = "" if query.limit is None else "\nLIMIT @row_limit"
    rank = [each for each in (query.sequence, "ingest_time", "delivery_key") if each]
    tops = (query.id_column, *rank, *(each.path.partition(".")[0] for each in query.counted))
    originals = _originals_from_lookback(query, versions, [*dict.fromkeys(tops)], folded="folded_")
    is_last = "version.`ingest_time` < TIMESTAMP_SUB(@folded_to_us, INTERVAL 1 MICROSECOND)"
    last = f"{_AND}({is_last} OR version.`delivery_key` <= @last_key)" if query.last_key else ""
    same = "latest.`ingest_time` = original.`ingest_time` AND latest.`delivery_key` = original.`delivery_key`"
    joined = f"\nJOIN latest ON {same}"
    deleted = f"original.`{query.deleted}`"
    alive = f"{_AND}({deleted} IS NULL OR NOT {deleted})" if query.deleted else ""
    once = f"\n{_ONCE}" if query.lookback_us else ""
    return f"""\
WITH latest AS (
  SELECT version.`ingest_time`, version.`delivery_key`
  FROM (
{originals}
  ) AS version
  WHERE version.`ingest_time` >= @folded_from_us{last}{where_clause(query.counted, "version.", len(query.conditions))}
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY version.`{query.id_column}` ORDER BY {", ".join(f"version.`{each}` DESC" for each in rank)}
  ) = 1
)
SELECT {_columns(query.columns, "original.")}
{_selected(query, source, joined)}{alive}{once}
ORDER BY original.`ingest_time`{direction}, original.`delivery_key`{direction}{limit}
"""  # noqa: S608 - names of a declaration


_ONCE = "QUALIFY ROW_NUMBER() OVER (PARTITION BY original.`ingest_time`, original.`delivery_key`) = 1"


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
  QUALIFY {previous} >= TIMESTAMP_SUB(`ingest_time`, INTERVAL @lookback_micros MICROSECOND)"""  # noqa: S608 - names of a declaration


def _count(query: Count, source: str) -> str:
    """Return the query that counts the rows of `_rows`."""
    return f"""\
SELECT COUNT(*) AS `records`
FROM (
SELECT original.`ingest_time`
{_originals(query, source)}
) AS original
"""  # noqa: S608 - names of a declaration


def _keys(query: Keys, source: str) -> str:
    """Return the query of the delivery keys of a range, copies included."""
    return f"""\
SELECT `delivery_key`
FROM {source}
WHERE `ingest_time` >= @from_us
    AND `ingest_time` < @to_us{where_clause(query.conditions)}
"""  # noqa: S608 - names of a declaration


def _selected(query: Rows | Count, source: str, joined: str = "") -> str:
    """Return FROM and WHERE of the rows of a selection after its position, copies included."""
    beyond = ""
    if query.after is not None:
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
{_ONCE}"""  # noqa: S608 - names of a declaration


def _occurrences(query: Occurrences, source: str) -> str:
    """Return the query of the number of rows, and of their first and last stamps."""
    return f"""\
SELECT COUNT(*) AS `found`, MIN(`ingest_time`) AS `first`, MAX(`ingest_time`) AS `last`
FROM {source}
WHERE {_WITHIN}{where_clause(query.conditions)}
"""  # noqa: S608 - names of a declaration


def _deletion(query: Deletion, row: str = "") -> str:
    """Return the DELETE of rows; `row` is a query of the current row, if its conditions need one."""
    target, conditions = f"`{query.table}`", where_clause(query.conditions)
    if row:
        target = f"{target} AS {TARGET}"
        conditions = f"{_AND}EXISTS (SELECT 1 FROM {row} WHERE TRUE{conditions})"  # noqa: S608 - names of a declaration
    return f"""\
DELETE FROM {target}
WHERE {_WITHIN}{conditions}
"""  # noqa: S608 - names of a declaration


def render_instants(query: LookUp, *, is_cheap: bool) -> Statement:
    """Return the statement of when the rows with the id of `query` were stored, newest first, copies included.

    It has one row more than MOST_INSTANTS at most, covers the look-back as well, and names no column but the two that
    it needs.
    """
    text = f"""\
SELECT `ingest_time`
FROM `{query.table}`
WHERE `ingest_time` >= @lookback_from_us
    AND `ingest_time` < @to_us
    AND `{query.id_column}` = @id
ORDER BY `ingest_time` DESC
LIMIT @row_limit
"""  # noqa: S608 - names of a declaration
    parameters = {
        "lookback_from_us": clamp(query.within.from_us - query.lookback_us),
        "to_us": query.within.to_us,
        "id": query.record_id,
        "row_limit": MOST_INSTANTS + 1,
    }
    return Statement(sql=text, parameters=parameters, purpose=query.purpose, is_cheap=is_cheap)


def render_look_up(
    query: LookUp, source: str = "", instants: Sequence[int] = (), *, is_cheap: bool = False
) -> Statement:
    """Return the statement of `query`; with `instants`, newest first, it reads the rows at those only.

    They must include those of every row that may be the original of another, within the look-back.
    """
    named = {f"at_{number}_us": at_us for number, at_us in enumerate(instants)}
    parameters = _parameters(query) | named
    if instants:
        parameters |= {"lookback_from_us": instants[-1], "to_us": instants[0] + 1}
    text = _look_up(query, source or f"`{query.table}`", [*named])
    return Statement(sql=text, parameters=parameters, purpose=query.purpose, is_cheap=is_cheap)


def _look_up(query: LookUp, source: str, instants: Sequence[str] = ()) -> str:
    """Return the query of the rows of a slice with one id, newest first and without copies.

    There are few such rows, and a copy has the id of its original. With `instants`, only the rows at those
    parameters are read.
    """
    at = f"{_AND}`ingest_time` IN ({', '.join(f'@{name}' for name in instants)})" if instants else ""
    return f"""\
WITH original AS (
{_originals_from_lookback(query, source, query.columns, f"{_AND}`{query.id_column}` = @id{at}")}
)
SELECT {_columns(query.columns, "original.")}
FROM original
WHERE original.`ingest_time` >= @from_us{where_clause(query.conditions, "original.")}
ORDER BY original.`ingest_time` DESC, original.`delivery_key` DESC
LIMIT @row_limit
"""  # noqa: S608 - names of a declaration


def _originals_from_lookback(
    query: Originals, source: str, columns: Sequence[str], inside: str = "", *, folded: str = ""
) -> str:
    """Return a query of the rows that are not copies, from the look-back before a range to the end of the range.

    `columns` must include `ingest_time`. `inside` is a condition that a row and its copies share, to read less. The
    result includes the rows of the look-back: the caller excludes them by `ingest_time` >= @from_us. The names of the
    range's parameters begin with `folded`.
    """
    from_us, only = f"@{folded}from_us", ""
    if query.lookback_us:
        previous = "LAG(`ingest_time`) OVER (PARTITION BY `delivery_key` ORDER BY `ingest_time`)"
        from_us = "@lookback_from_us"
        only = f"""
  QUALIFY {previous} IS NULL
    OR {previous} < TIMESTAMP_SUB(`ingest_time`, INTERVAL @lookback_micros MICROSECOND)"""
    return f"""\
  SELECT {_columns(columns)}
  FROM {source}
  WHERE `ingest_time` >= {from_us}
    AND `ingest_time` < @{folded}to_us{inside}{only}"""  # noqa: S608 - names of a declaration


_PERCENTILES = {"p50": 50, "p95": 95}


def _statistics(query: Statistics, source: str) -> str:
    """Return the query of the statistics of rows, without copies: one row for each non-empty bucket of each group.

    It first finds the largest groups and computes the metrics for those alone. So a field with a million values costs a
    count of each, but neither a million medians nor a million rows.
    """
    by, metrics, conditions = query.by, query.metrics, query.conditions
    values = {metric.path: metric.is_computed for metric in metrics if metric.path}
    paths = list(values)
    group = [f"{_column(by, 'original.')} AS `group_key`"] if by else []
    # Without the inner parentheses SQLGlot 30 renders `(a - b) DIV c` for DuckDB as `a - b // c`.
    bucket = "DIV((UNIX_MICROS(original.`ingest_time`) - @first_micros), @bucket_micros) AS `bucket`"
    columns = [bucket, *group, *(f"{_value(*each)} AS `value_{index}`" for index, each in enumerate(values.items()))]
    measured_paths = ["publish_time" if is_computed else path for path, is_computed in values.items()]
    read = ["ingest_time", *([by] if by else []), *measured_paths, *(each.path for each in conditions)]
    tops = [*dict.fromkeys(path.partition(".")[0] for path in read)]
    measured = f"""\
WITH original AS (
{_originals_from_lookback(query, source, tops)}
), measured AS (
  SELECT {_NEXT_COLUMN.join(columns)}
  FROM original
  WHERE original.`ingest_time` >= @from_us{where_clause(conditions, "original.")}
)"""  # noqa: S608 - names of a declaration
    numbers = ["COUNT(*) AS `records`"]
    numbers += [
        f"{_number(metric, f'measured.`value_{paths.index(metric.path)}`')} AS `metric_{index}`"
        for index, metric in enumerate(metrics)
        if metric.path
    ]
    return measured + (_GROUPED if by else _WHOLE).format(
        numbers=_NEXT_NUMBER.join(numbers), max_groups=query.max_groups
    )


def _value(path: str, is_computed: bool) -> str:  # noqa: FBT001 - a pair of the values above
    if not is_computed:
        return _column(path, "original.")
    # `/` is never an integer division, in either store; the result is NULL if there is no publish_time.
    return "(UNIX_MICROS(original.`ingest_time`) - UNIX_MICROS(original.`publish_time`)) / 1000000"


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


def _columns(names: Sequence[str], prefix: str = "") -> str:
    """Return the column list of a SELECT."""
    return ", ".join(f"{prefix}`{name}`" for name in names)


_COMPARED = {"eq": "=", "lt": "<", "lte": "<=", "gt": ">", "gte": ">="}


def where_clause(conditions: Sequence[Condition], prefix: str = "", first: int = 0) -> str:
    """Return the lines `AND …` that keep the rows matching all `conditions`; column names begin with `prefix`.

    Parameters are numbered from `first` on.
    """
    return "".join(f"\n    AND {_test(index, each, prefix)}" for index, each in enumerate(conditions, first))


def condition_parameters(conditions: Sequence[Condition], first: int = 0) -> dict[str, Scalar]:
    """Return the parameters that `where_clause` of the same arguments names."""
    return {
        name: value
        for index, each in enumerate(conditions, first)
        if each.operator != "isnull"
        for name, value in zip(_names(index, each), each.values, strict=True)
    }


def _test(index: int, condition: Condition, prefix: str) -> str:
    value = _compared(condition, prefix)
    names = [f"@{name}" for name in _names(index, condition)]
    match condition.operator:
        case "isnull":
            return f"{value} IS {'' if condition.values[0] else 'NOT '}NULL"
        case "ne":
            return f"({value} IS NULL OR {value} != {names[0]})"
        case "in":
            return f"{value} IN ({', '.join(names)})"
        case "prefix":
            return _begins(condition, prefix, names[0])
        case "outside":
            return f"({value} < {names[0]} OR {value} >= {names[1]})"
        case operator:
            return f"{value} {_COMPARED[operator]} {names[0]}"


def _begins(condition: Condition, prefix: str, name: str) -> str:
    begins = f"STARTS_WITH({_compared(condition, prefix)}, {name})"
    if condition.kind is not Kind.JSON:
        return begins
    is_text = f"""STARTS_WITH({_json_text(_column(condition.path, prefix), condition)}, '"')"""
    return f"({begins} AND {is_text})"  # a number has no prefix


def _column(path: str, prefix: str) -> str:
    return prefix + ".".join(f"`{part}`" for part in path.split("."))


def _compared(condition: Condition, prefix: str) -> str:
    column = _column(condition.path, prefix)
    if condition.kind is not Kind.JSON:
        return column
    if not condition.json_path and condition.operator == "isnull":
        return column
    if isinstance(condition.values[0], float):
        # Cast the JSON, in which a text keeps its quotes: "7" is not a number, and must not pass for one in a fixed
        # filter.
        return f"SAFE_CAST({_json_text(column, condition)} AS FLOAT64)"
    return f"JSON_VALUE({column}, '{_json_path(condition.json_path)}')"


def _json_text(column: str, condition: Condition) -> str:
    return f"TO_JSON_STRING(JSON_QUERY({column}, '{_json_path(condition.json_path)}'))"


def _json_path(keys: Sequence[str]) -> str:
    """Return the JSONPath; digits are a list index, because no path is both an index and a member's name."""
    return "$" + "".join(f"[{int(key)}]" if key.isascii() and key.isdecimal() else f'."{key}"' for key in keys)


def _names(index: int, condition: Condition) -> list[str]:
    suffix = "_us" if condition.kind is Kind.TIMESTAMP else ""
    if condition.operator in {"in", "outside"}:
        return [f"f{index}_{position}{suffix}" for position in range(len(condition.values))]
    return [f"f{index}{suffix}"]

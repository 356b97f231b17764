"""What a query reads instead of a table whose rows do not hold each column as declared. Pure.

Two layers, both plain projections, so conditions on the partition column still prune partitions. The lower one has
NULL in the place of columns that the table lacks. The upper one has promoted columns: the value of the rest's member
of their name where the row has none of its own, and the rest without the members that were taken out. So the rest of
the statement is the same as over the table: conditions, projections and statistics see one field.
"""

from collections.abc import Sequence
from typing import NamedTuple

from app.schema.columns import Column, Kind, Mode
from app.schema.table import Table
from app.stores.query import Deletion, LookUp, Query, State, Statistics
from app.stores.sql.statement import TARGET


def source_of(query: Query | Deletion, table: Table, missing: frozenset[str] = frozenset()) -> str:
    """Return the source with which `app.stores.sql.statement.render` reads a query: the table's name, or a projection.

    `missing` are the columns that the table lacks. Columns are promoted as far as `query` uses them. Of a Deletion, it
    is a query of the current row in parentheses, or "" if the row itself will do.
    """
    used = _used_columns(query)
    promoted = _promoted(table, used)
    if not isinstance(query, Deletion):
        return _promoting(table, _complete(table, missing), promoted)
    if not promoted and not used & missing:
        return ""
    needed = used | {column.name for column in (*promoted, table.rest) if promoted and column is not None}
    columns = [column for column in table.columns if column.name in needed]
    return _promoting(table, f"(SELECT {_values(columns, missing)})", promoted)


def _used_columns(query: Query | Deletion) -> frozenset[str]:
    """Return the names of the columns that a query returns, compares or measures."""
    paths = [*getattr(query, "columns", ()), *(condition.path for condition in getattr(query, "conditions", ()))]
    match query:
        case LookUp():
            paths.append(query.id_column)
        case State():
            paths += [query.id_column, query.sequence, query.deleted, *(each.path for each in query.counted)]
        case Statistics():
            paths += [query.by or "", *(metric.path for metric in query.metrics)]
        case _:
            pass
    return frozenset(path.partition(".")[0] for path in paths)


def _promoted(table: Table, used: frozenset[str]) -> tuple[Column, ...]:
    """Return the promoted columns that matter: all of them if the rest is shown, as it must not show them."""
    shows_rest = table.rest is not None and table.rest.name in used
    return tuple(column for column in table.promoted if shows_rest or column.name in used)


def _promoting(table: Table, source: str, promoted: Sequence[Column]) -> str:
    """Return `source` with the values of promoted columns, one layer for each: a layer sees the rest of the last."""
    rest = table.rest
    if rest is None:
        return source
    for column in promoted:
        member = member_of(column, rest)
        taken = f"{member.value} AS `{column.name}`, {member.rest} AS `{rest.name}`"
        source = f"(SELECT * REPLACE ({taken}) FROM {source})"  # noqa: S608 - names of a declaration
    return source


def _complete(table: Table, missing: frozenset[str]) -> str:
    """Return the table's name, or a query of it that adds the columns `missing`."""
    if not missing:
        return f"`{table.name}`"
    added = [f"{_null(column)} AS `{column.name}`" for column in table.columns if column.name in missing]
    return f"(SELECT {', '.join(['*', *added])} FROM `{table.name}`)"  # noqa: S608 - names of a declaration


def _values(columns: Sequence[Column], missing: frozenset[str]) -> str:
    """Return the columns of the current row in a SELECT, with those that are `missing`."""

    def value(column: Column) -> str:
        return _null(column) if column.name in missing else f"{TARGET}.`{column.name}`"

    return ", ".join(f"{value(column)} AS `{column.name}`" for column in columns)


def _null(column: Column) -> str:
    return f"CAST(NULL AS {_type(column)})"


def _type(column: Column) -> str:
    item = column.kind.value
    if column.kind is Kind.STRUCT:
        item = f"STRUCT<{', '.join(f'`{field.name}` {_type(field)}' for field in column.fields)}>"
    return f"ARRAY<{item}>" if column.mode is Mode.REPEATED else item


_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?"
_OFFSET = r"([Zz]|[+-](0[0-9]|1[0-3]):?[0-5][0-9]|[+-]14:?00)"
_INT = r"-?[0-9]{1,19}"
_FLOAT = r"-?[0-9].*"  # of JSON, which is a number if it begins like one


class Member(NamedTuple):
    """What is read of a promoted column: the expression of its value, and that of the rest without the member."""

    value: str
    rest: str


def member_of(column: Column, rest: Column) -> Member:
    """Return the expressions of a promoted column over a row with both columns."""
    own, kept, path = f"`{column.name}`", f"`{rest.name}`", f"'$.{column.name}'"
    text = f"TO_JSON_STRING(JSON_QUERY({kept}, {path}))"
    value = _converted(column.kind, text, f"JSON_VALUE({kept}, {path})")
    is_taken = f"{own} IS NULL AND ({text} = 'null' OR {value} IS NOT NULL)"
    return Member(f"COALESCE({own}, {value})", f"IF({is_taken}, JSON_REMOVE({kept}, {path}), {kept})")


def _converted(kind: Kind, text: str, value: str) -> str:
    """Return the value of a JSON scalar: `text` is its JSON, `value` the same without quotes."""
    is_text = f"STARTS_WITH({text}, '\"')"
    match kind:
        case Kind.BOOL:
            return f"CASE {text} WHEN 'true' THEN TRUE WHEN 'false' THEN FALSE END"
        case Kind.INT64:
            return _if(_like(text, _INT), f"SAFE_CAST({text} AS INT64)")
        case Kind.FLOAT64:
            return _if(_like(text, _FLOAT), f"SAFE_CAST({text} AS FLOAT64)")
        case Kind.TIMESTAMP:
            return _if(f"{is_text} AND {_is_instant(value)}", _instant(value))
        case _:  # a text; no other kind is promoted
            return _if(is_text, value)


def _is_instant(value: str) -> str:
    """Return whether a text is an instant within the years 1 to 9999 in UTC."""
    near_the_end = f"({value} < '0001-01-02' OR {value} >= '9999-12-31')"
    return (
        f"{_like(value, f'{_DAY}[Tt ]{_CLOCK}{_OFFSET}')} AND {value} >= '0001' "
        f"AND NOT ({near_the_end} AND NOT {_like(value, '.*([Zz]|[+-]00:?00)')})"
    )


def _instant(value: str) -> str:
    with_colon = rf"REGEXP_REPLACE(UPPER({value}), r'([+-][0-9]{{2}})([0-9]{{2}})$', r'\1:\2')"
    return f"SAFE_CAST({with_colon} AS TIMESTAMP)"


def _like(value: str, pattern: str) -> str:
    return f"REGEXP_CONTAINS({value}, r'^(?:{pattern})$')"


def _if(condition: str, value: str) -> str:
    return f"IF({condition}, {value}, NULL)"

"""What BigQuery bills for a statement over a table whose layout is known.

The rules, and where they are written:

- A query is billed for the columns that it names, in the partitions and blocks that its conditions do not exclude.
  Each table costs 10 MB at least (https://cloud.google.com/bigquery/pricing and
  https://cloud.google.com/bigquery/docs/estimate-costs).
- A condition that compares the partition column with a constant or a parameter excludes partitions
  (https://cloud.google.com/bigquery/docs/querying-partitioned-tables).
- One that compares the first clustering column likewise excludes blocks
  (https://cloud.google.com/bigquery/docs/clustered-tables).
- A subquery that is named twice may be evaluated twice (https://cloud.google.com/bigquery/docs/best-practices-performance-compute).
- Rows that were just written are in a buffer, and are not clustered yet.

What the documents leave open is a field of `Layout`. The statement is read as the service sends it, by SQLGlot, so a
change of the SQL changes the bill.
"""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
import sqlglot
from sqlglot import exp
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, traverse_scope

from app.runtime.instants import HOUR_US, MAX_US, MIN_US, SECOND_US
from app.stores.sql.statement import Statement

LEAST_BYTES = 10 * 1024**2
_PARTITION = "ingest_time"


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """How a table is stored: the first clustering column, and what BigQuery does not document.

    `block_bytes` is the size of a block, all columns together. `fresh_s` is how long a row stays in the buffer.
    `reads_twice`: a subquery that is named twice is billed twice. `id_index`: a search index finds the blocks of an id,
    except among fresh rows.
    """

    clustered_by: Literal["id", "ingest_time"] = "id"
    block_bytes: int = 64_000_000
    fresh_s: float = 60.0
    reads_twice: bool = True
    id_index: bool = False


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """What a table holds: rows since `begins_us` at an even rate until now, and the bytes of each column in a row."""

    rows_per_s: float
    column_bytes: Mapping[str, float]
    begins_us: int

    @property
    def row_bytes(self) -> float:
        """The bytes of a row."""
        return sum(self.column_bytes.values())

    def rows(self, from_us: float, to_us: float) -> float:
        """Return how many rows were stamped in [from_us, to_us)."""
        return max(to_us - max(from_us, self.begins_us), 0.0) / SECOND_US * self.rows_per_s


class Reference(msgspec.Struct, frozen=True):
    """One place where a statement names a table: how often it is evaluated, the columns, and what bounds the rows.

    `instants` are the only ones that matter, if a condition names them.
    """

    table: str
    times: int
    columns: frozenset[str]
    from_us: int
    to_us: int
    by_id: bool
    instants: tuple[int, ...] | None = None


def references(statement: Statement, columns: frozenset[str]) -> list[Reference]:
    """Return where `statement` names a table, whose `columns` are these."""
    tree = sqlglot.parse_one(statement.sql, dialect="bigquery")
    names = {table.name for table in tree.find_all(exp.Table)} - {cte.alias for cte in tree.find_all(exp.CTE)}
    schema: dict[str, object] = {name: dict.fromkeys(columns, "STRING") for name in names}
    tree = qualify(tree, schema=schema, dialect="bigquery", quote_identifiers=False, validate_qualify_columns=False)
    all_references: list[Reference] = []
    _collect(traverse_scope(tree)[-1], 1, statement.parameters, all_references)
    merged: dict[tuple[Any, ...], Reference] = {}
    for each in all_references:
        key = msgspec.structs.astuple(each)
        place = (key[0], *key[2:])
        times = merged[place].times if place in merged else 0
        merged[place] = msgspec.structs.replace(each, times=times + 1)
    return [*merged.values()]


def _collect(scope: Scope, times: int, parameters: Mapping[str, Any], collected: list[Reference]) -> None:
    where = scope.expression.args.get("where")
    tests = list(where.this.flatten()) if where is not None and isinstance(where.this, exp.And) else []
    tests = tests or ([where.this] if where is not None else [])
    for alias, (_, source) in scope.selected_sources.items():
        if isinstance(source, Scope):
            _collect(source, times, parameters, collected)
            continue
        columns = frozenset(column.name for column in scope.source_columns(alias))
        low, high = _bounds(tests, alias, parameters)
        by_id = any(isinstance(each, exp.EQ) and _is(each.this, alias, "id") for each in tests)
        collected.append(Reference(source.name, times, columns, low, high, by_id, _instants(tests, alias, parameters)))
    for below in scope.subquery_scopes:
        _collect(below, times, parameters, collected)


def _bounds(tests: list[Any], alias: str, parameters: Mapping[str, Any]) -> tuple[int, int]:
    """Return the instants that the conditions on the partition column leave; only those with a parameter count."""
    low, high = MIN_US, MAX_US
    for each in tests:
        if not isinstance(each, exp.GTE | exp.GT | exp.LT | exp.LTE) or not _is(each.this, alias, _PARTITION):
            continue
        name = each.expression.find(exp.Parameter)
        if name is None or any(True for _ in each.expression.find_all(exp.Column)):
            continue
        value = parameters[name.this.name]
        if isinstance(each, exp.GTE | exp.GT):
            low = max(low, value)
        else:
            high = min(high, value)
    return low, high


def _instants(tests: list[Any], alias: str, parameters: Mapping[str, Any]) -> tuple[int, ...] | None:
    """Return the parameters with which a condition compares the partition column for equality, or None."""
    for each in tests:
        if isinstance(each, exp.In) and _is(each.this, alias, _PARTITION):
            named = [value.find(exp.Parameter) for value in each.expressions]
            return tuple(parameters[name.this.name] for name in named if name is not None)
    return None


def _is(node: Any, alias: str, column: str) -> bool:
    return isinstance(node, exp.Column) and node.name == column and node.table == alias


def billed_bytes(statement: Statement, contents: Contents, layout: Layout, now_us: int) -> int:
    """Return what BigQuery bills for `statement` at `now_us`."""
    by_table: dict[str, float] = {}
    for each in references(statement, frozenset(contents.column_bytes)):
        times = each.times if layout.reads_twice else 1
        size = times * _bytes_of(each, contents, layout, now_us)
        by_table[each.table] = by_table.get(each.table, 0.0) + size
    return sum(max(round(size), LEAST_BYTES) for size in by_table.values())


def upper_bound(statement: Statement, contents: Contents, now_us: int) -> int:
    """Return what BigQuery compares with `maximum_bytes_billed`: whole partitions, as if nothing were clustered."""
    layout = Layout(clustered_by="id", fresh_s=0.0)
    tables = references(statement, frozenset(contents.column_bytes))
    return round(
        sum(
            each.times * _bytes_of(msgspec.structs.replace(each, by_id=False), contents, layout, now_us)
            for each in tables
        )
    )


def _bytes_of(each: Reference, contents: Contents, layout: Layout, now_us: int) -> float:
    width = sum(contents.column_bytes[name] for name in each.columns)
    if each.instants is not None and layout.clustered_by == "ingest_time":
        return _rows_near(each.instants, contents, layout, now_us) * width
    fresh_us = now_us - layout.fresh_s * SECOND_US
    first_us, last_us = each.from_us // HOUR_US * HOUR_US, -(-each.to_us // HOUR_US) * HOUR_US
    fresh = contents.rows(max(first_us, fresh_us), min(last_us, now_us)) * width
    if each.by_id and (layout.clustered_by == "id" or layout.id_index):
        hours = 1 if layout.clustered_by != "id" else _hours(max(first_us, contents.begins_us), min(last_us, fresh_us))
        block = min(layout.block_bytes, contents.rows_per_s * 3_600 * contents.row_bytes)
        return fresh + hours * block * width / contents.row_bytes
    if layout.clustered_by == "ingest_time":
        block_us = _block_us(contents, layout)
        first_us = max(first_us, int(each.from_us // block_us * block_us))
        last_us = min(last_us, int(-(-each.to_us // block_us) * block_us))
    if layout.clustered_by == "ingest_time" and each.from_us >= fresh_us:
        return fresh  # no clustered block has such a row
    return fresh + contents.rows(first_us, min(last_us, fresh_us)) * width


def _block_us(contents: Contents, layout: Layout) -> float:
    """Return how much time one block holds."""
    return layout.block_bytes / (contents.rows_per_s * contents.row_bytes) * SECOND_US


def _rows_near(instants: tuple[int, ...], contents: Contents, layout: Layout, now_us: int) -> float:
    """Return how many rows are in the blocks at some instants; of the fresh rows, all that are in their hours."""
    block_us, fresh_us = _block_us(contents, layout), now_us - layout.fresh_s * SECOND_US
    blocks = {at_us // block_us for at_us in instants if at_us < fresh_us}
    clustered = sum(contents.rows(block * block_us, min((block + 1) * block_us, fresh_us)) for block in blocks)
    hours = {at_us // HOUR_US * HOUR_US for at_us in instants}
    return clustered + sum(contents.rows(max(hour, fresh_us), min(hour + HOUR_US, now_us)) for hour in hours)


def _hours(from_us: float, to_us: float) -> float:
    return max(-(-(to_us - from_us) // HOUR_US), 0.0)

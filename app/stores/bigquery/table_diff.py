"""Compare a declaration with the table in BigQuery, and decide which differences matter.

A difference *breaks* if rows would be refused, changed, or not found again. The service then reports SCHEMA_MISMATCH
and appends nothing. A declared column that rows may lack is *pending* while the table lacks it: the service reports
COLUMNS_PENDING, stores rows that do not use it, and reads it as NULL. All other differences are only *noted*, above all
columns that the declaration lacks: a new column is added to the table first, and the image that fills it is deployed
afterwards.

Limits in the type (`STRING(10)`, `NUMERIC(10, 2)`) break, as they refuse or round values that the declaration allows.
BIGNUMERIC for a declared NUMERIC is noted: the Storage Write API takes the same text for both, and the wider type
holds every value (https://cloud.google.com/bigquery/docs/supported-data-types).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from app.schema.columns import Column, Kind, Mode
from app.schema.table import Table
from app.stores.bigquery.table_layout import LAYOUT, Layout

MAX_DESCRIPTION = 1_000
# Legacy SQL's names, which the REST API still uses; it accepts and may return either.
_STANDARD_NAMES = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL", "RECORD": "STRUCT"}
_KEEP = "declare it as in the table, or under another name"
_ANEW = "recreate the table"


class LiveColumn(msgspec.Struct, frozen=True, kw_only=True):
    """A column of the table: `kind` is its type's name in GoogleSQL, `limits` the text in brackets after it."""

    name: str
    kind: str
    mode: Mode
    limits: str = ""
    collation: str = ""
    has_default: bool = False
    fields: tuple["LiveColumn", ...] = ()


class LiveTable(msgspec.Struct, frozen=True, kw_only=True):
    """A table as BigQuery has it.

    `kind` is TABLE, VIEW, EXTERNAL, ...; `partition_type` is HOUR, DAY, MONTH, YEAR or RANGE, None without
    partitions; `partition_column` is None if partitions are by time of arrival.
    """

    kind: str
    columns: tuple[LiveColumn, ...]
    partition_type: str | None
    partition_column: str | None
    clustering: tuple[str, ...]
    requires_partition_filter: bool


class Difference(msgspec.Struct, frozen=True):
    """One difference: its place (a column's dotted path, or table, partitioning, clustering), and a sentence.

    One that neither `breaks` nor is `pending` is only noted.
    """

    path: str
    sentence: str
    breaks: bool
    pending: bool = False

    @property
    def word(self) -> str:
        """Its effect, as a report names it."""
        return "breaks" if self.breaks else "pending" if self.pending else "noted"


def live_table(resource: Mapping[str, Any]) -> LiveTable:
    """Read the Table resource of the REST API, as `google.cloud.bigquery.Table.to_api_repr` returns it.

    Raises:
        KeyError: a column has no name or type.
        ValueError: a column has a mode that BigQuery has not.
    """
    by_time, by_range = resource.get("timePartitioning"), resource.get("rangePartitioning")
    partitions = by_time or by_range or {}
    return LiveTable(
        kind=resource.get("type") or "TABLE",
        columns=_columns((resource.get("schema") or {}).get("fields") or ()),
        partition_type=by_time.get("type", "DAY") if by_time else ("RANGE" if by_range else None),
        partition_column=partitions.get("field"),
        clustering=tuple((resource.get("clustering") or {}).get("fields") or ()),
        # The member of `timePartitioning` is the older form of the same setting.
        requires_partition_filter=bool(
            resource.get("requirePartitionFilter") or partitions.get("requirePartitionFilter")
        ),
    )


def _columns(fields: Iterable[Mapping[str, Any]]) -> tuple[LiveColumn, ...]:
    return tuple(
        LiveColumn(
            name=field["name"],
            kind=_STANDARD_NAMES.get(field["type"].upper(), field["type"].upper()),
            mode=Mode((field.get("mode") or "NULLABLE").upper()),
            limits=", ".join(str(field[limit]) for limit in ("maxLength", "precision", "scale") if field.get(limit)),
            collation=field.get("collation") or "",
            has_default=bool(field.get("defaultValueExpression")),
            fields=_columns(field.get("fields") or ()),
        )
        for field in fields
    )


def differences(table: Table, live: LiveTable) -> list[Difference]:
    """Return how `live` differs from what `table` declares, in the declaration's order; empty if it does not."""
    if live.kind != "TABLE":
        text = f"It has the type {live.kind}, which does not allow appends: {_ANEW}."
        return [Difference("table", text, breaks=True)]
    envelope = frozenset(column.name for column in table.envelope)
    column_differences = _column_differences(table.columns, live.columns, "")
    # Every row has an envelope, so without a column of it nothing could be stored.
    columns = [
        msgspec.structs.replace(each, breaks=True, pending=False) if each.pending and each.path in envelope else each
        for each in column_differences
    ]
    return [*columns, *_layout_differences(LAYOUT, live)]


def _column_differences(
    declared: tuple[Column, ...], live: tuple[LiveColumn, ...], prefix: str
) -> Iterator[Difference]:
    remaining = {column.name.lower(): column for column in live}  # BigQuery's names are case-insensitive
    for column in declared:
        path, there = prefix + column.name, remaining.pop(column.name.lower(), None)
        if there is None:
            yield _missing(path, column)
            continue
        yield from _mode_differences(path, column, there)
        yield from _type_differences(path, column, there)
        if column.kind is Kind.STRUCT and there.kind == Kind.STRUCT.value:
            yield from _column_differences(column.fields, there.fields, f"{path}.")
    for there in remaining.values():
        yield _undeclared(prefix + there.name, there)


def _missing(path: str, column: Column) -> Difference:
    declared = f"{path} is missing from the table; the record type declares {column.mode.value} {column.kind.value}: "
    if column.mode is Mode.REQUIRED:
        return Difference(
            path,
            f"{declared}BigQuery cannot add a REQUIRED column to a table, so declare it optional and add it, or "
            f"{_ANEW}.",
            breaks=True,
        )
    return Difference(path, f"{declared}add it with Terraform.", breaks=False, pending=True)


def _undeclared(path: str, there: LiveColumn) -> Difference:
    what = f"{path} is {there.mode.value} {there.kind} in the table but not declared"
    if there.mode is Mode.REQUIRED and not there.has_default:
        return Difference(
            path, f"{what}, so no row would have a value for it: declare it, or relax it to NULLABLE.", breaks=True
        )
    filled = "has its default" if there.has_default else "remains empty"
    return Difference(path, f"{what}: it {filled} in new rows.", breaks=False)


def _mode_differences(path: str, column: Column, there: LiveColumn) -> Iterator[Difference]:
    if column.mode is there.mode:
        return
    what = f"{path} is {there.mode.value} in the table but {column.mode.value} in the record type"
    if Mode.REPEATED in (column.mode, there.mode):
        yield Difference(path, f"{what}, which cannot be changed: {_KEEP}.", breaks=True)
    elif there.mode is Mode.REQUIRED:
        yield Difference(path, f"{what}: relax it to NULLABLE with Terraform.", breaks=True)
    else:
        yield Difference(path, f"{what}: every new row has a value; older rows may not.", breaks=False)


def _type_differences(path: str, column: Column, there: LiveColumn) -> Iterator[Difference]:
    what = f"{path} is {there.kind} in the table but {column.kind.value} in the record type"
    if (column.kind, there.kind) == (Kind.NUMERIC, "BIGNUMERIC"):
        yield Difference(path, f"{what}: the wider type can store every value.", breaks=False)
    elif there.kind != column.kind.value:
        yield Difference(path, f"{what}, which cannot be changed: {_KEEP}.", breaks=True)
    if there.limits:
        yield Difference(
            path,
            f"{path} is {there.kind}({there.limits}) in the table but {column.kind.value} without limits in the "
            "record type, so BigQuery would refuse or round valid values: remove the limits.",
            breaks=True,
        )
    if there.collation:
        yield Difference(
            path,
            f"{path} has the collation {there.collation}, so different values would compare as equal: {_ANEW}, "
            "without a collation.",
            breaks=True,
        )


def _layout_differences(declared: Layout, live: LiveTable) -> Iterator[Difference]:
    expected = _partitions(declared.partition_type, declared.partition_column)
    actual = _partitions(live.partition_type, live.partition_column)
    if actual.lower() != expected.lower():
        text = f"The table has {actual}; the record type requires {expected}. This cannot be changed: {_ANEW}."
        yield Difference("partitioning", text, breaks=True)
    elif declared.require_partition_filter and not live.requires_partition_filter:
        text = (
            "The table allows queries without a partition filter, which may read the whole table: require the filter."
        )
        yield Difference("partitioning", text, breaks=False)
    if [name.lower() for name in live.clustering] != [name.lower() for name in declared.clustering]:
        text = (
            f"The table is clustered by {_names(live.clustering)} and not by {_names(declared.clustering)}, so reads "
            "cost more: change it with Terraform, in place."
        )
        yield Difference("clustering", text, breaks=False)


def _partitions(partition_type: str | None, column: str | None) -> str:
    if partition_type is None:
        return "no partitions"
    return f"partitions by {partition_type} of {column or 'ingestion time'}"


def _names(names: Sequence[str]) -> str:
    return ", ".join(names) or "nothing"


def describe(all_differences: Sequence[Difference]) -> str:
    """Return `all_differences` as one line of at most MAX_DESCRIPTION characters, saying how many did not fit."""
    line = ""
    for position, difference in enumerate(all_differences):
        rest = f" And {len(all_differences) - position} more."
        if len(line) + len(difference.sentence) + len(rest) >= MAX_DESCRIPTION:
            return (line + rest).strip()
        line += f" {difference.sentence}"
    return line.strip()


def report(all_differences: Sequence[Difference]) -> str:
    """Return `all_differences` as lines, those that break first, then the pending ones; each ends with a line feed."""
    ordered = sorted(all_differences, key=lambda difference: (not difference.breaks, not difference.pending))
    return "".join(f"  {each.word:7} {each.sentence}\n" for each in ordered)

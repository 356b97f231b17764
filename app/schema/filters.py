"""The fields that a query may filter and aggregate, and their operators."""

from collections.abc import Callable, Iterator

import msgspec

from app.record import RecordType
from app.schema.columns import PII, Column, Kind, Mode, Role, flat
from app.schema.protection import Hasher
from app.schema.refusals import refuse
from app.schema.table import RECORDS, Table, records_table

_EQUALITY = ("eq", "ne", "in", "isnull")
_ORDERED = ("eq", "ne", "lt", "lte", "gt", "gte", "in", "isnull")
_OPERATORS: dict[Kind, tuple[str, ...]] = {
    Kind.BOOL: ("eq", "ne", "isnull"),
    Kind.INT64: _ORDERED,
    Kind.FLOAT64: _ORDERED,
    Kind.NUMERIC: _ORDERED,
    Kind.STRING: (*_ORDERED, "prefix"),
    Kind.BYTES: _EQUALITY,
    Kind.TIMESTAMP: _ORDERED,
    Kind.DATE: _ORDERED,
    Kind.TIME: _ORDERED,
    Kind.JSON: (*_ORDERED, "prefix"),  # for the scalar at a path below it: as text, but lt to gte as a number
}
OPERATORS = frozenset(operator for operators in _OPERATORS.values() for operator in operators)
AGGREGABLE = frozenset({Kind.INT64, Kind.FLOAT64, Kind.NUMERIC})
GROUPABLE = frozenset(Kind) - {Kind.BYTES, Kind.JSON, Kind.STRUCT}
# The feed's own parameters; a filter with such a name would be ambiguous.
PARAMETERS = frozenset(
    {
        "since",
        "until",
        "cursor",
        "limit",
        "order",
        "fields",
        "count",
        "freshness",
        "wait",
        "format",
        "explain",
    }
    | {"versions", "bucket", "by", "metric", "end", "csv_guard", "heartbeat", "as_of", "tombstones"}
)


class FilterField(msgspec.Struct, frozen=True, kw_only=True):
    """A field that queries may name by its dotted `path`; `operators` is empty when it may not be filtered."""

    path: str
    kind: Kind
    operators: tuple[str, ...]
    groupable: bool
    aggregable: bool
    is_uuid: bool = False


class HashedField(FilterField, frozen=True, kw_only=True):
    """A field whose values are hashed: queries give the value, or its hash."""

    hasher: Callable[[str], str]


def checked_table(
    record_type: RecordType, *, name: str = RECORDS, retention_days: int | None = None, hasher: Hasher | None = None
) -> Table:
    """Return the table of `record_type`, with all the checks that the service makes at start-up.

    Without a `hasher` it only describes fields with the role `pii:hash`.

    Raises:
        RecordTypeError: the type cannot be stored, or a field cannot play its role.
    """
    table = records_table(record_type, name=name, retention_days=retention_days, hasher=hasher)
    filter_table(table)
    return table


def filter_table(table: Table) -> dict[str, FilterField]:
    """Return the fields with the role `filter` or `aggregate`, and the id, by dotted path.

    Raises:
        RecordTypeError: a field's kind cannot do what its role says, or its name is a parameter's.
    """
    return {field.path: field for field in _fields(table.record_type.__name__, table.columns, "")}


def _fields(type_name: str, columns: tuple[Column, ...], prefix: str) -> Iterator[FilterField]:
    for column in columns:
        path, is_list, is_struct = prefix + column.name, column.mode is Mode.REPEATED, column.kind is Kind.STRUCT
        roles = column.roles & {Role.FILTER, Role.AGGREGATE, Role.ID}
        inner = is_list and any(each.roles - PII for _, each in flat(column.fields))
        for wrong, reason in (
            (
                roles and (is_list or is_struct),
                "a list or a Struct cannot be compared; give the role to a field inside it",
            ),
            (roles and path in PARAMETERS, "a parameter has the same name; remove the role"),
            (inner, "fields inside a list cannot be compared; remove their roles"),
        ):
            if wrong:
                raise refuse(f"{type_name}.{path}", reason)
        if roles:
            yield _field(path, column)
        if not is_list:
            yield from _fields(type_name, column.fields, f"{path}.")


def _field(path: str, column: Column) -> FilterField:
    aggregate, filters = Role.AGGREGATE in column.roles, column.roles & {Role.FILTER, Role.ID}
    if Role.HASH in column.roles:
        operators = _EQUALITY if filters else ()
        known = FilterField(path=path, kind=column.kind, operators=operators, groupable=aggregate, aggregable=False)
        if column.hasher is None:
            return known
        return HashedField(**msgspec.structs.asdict(known), hasher=column.hasher)
    return FilterField(
        path=path,
        kind=column.kind,
        operators=_OPERATORS[column.kind] if filters else (),
        groupable=aggregate and column.kind in GROUPABLE,
        aggregable=aggregate and column.kind in AGGREGABLE,
        is_uuid=column.is_uuid,
    )

"""An example of a record: the examples that its type declares, else the simplest values that satisfy it.

People may send an example as it is shown, so it is verified first: like an incoming record, it passes through the
type's own decoder and the storability checks.
"""

from typing import Any

import msgspec

from app.schema.checks import compile_checks
from app.schema.columns import Column, Kind, Mode
from app.schema.plain_values import NoValueError, plain_value, template_value
from app.schema.table import REJECTS, Table

# For a record that arrived by Pub/Sub; `_BY_KIND` covers columns not named here.
_ENVELOPE: dict[str, Any] = {
    "subscription_name": "projects/example/subscriptions/records",
    "message_id": "9172635445566778",
    "publish_time": "2026-01-31T12:00:00.123Z",
    "attributes": {"origin": "checkout"},
    "ordering_key": None,
    "message_index": 0,
    "delivery_key": "9172635445566778-1769860800123000:0",
    "ingest_time": "2026-01-31T12:00:00.456789Z",
    "trace_id": None,
}

_REJECT: dict[str, Any] = {
    "reason": "invalid",
    "detail": "Expected `str`, got `int` - at `$.source`",
    "field": "source",
    "payload": "eyJpZCI6ICJvcmRlci0xMDQyIiwgInRpbWVzdGFtcCI6ICIyMDI2LTAxLTMxVDEyOjAwOjAwWiIsICJzb3VyY2UiOiA3fQ==",
    "part": 0,
    "parts": 1,
}


def example_record(table: Table) -> dict[str, Any] | None:
    """Return a record that the service would store, as JSON; None if none can be derived from the declaration."""
    if table.name == REJECTS:
        return _REJECT
    for is_declared in (True, False):  # False: without the declared examples and defaults, if those are invalid
        try:
            example = plain_value(msgspec.inspect.type_info(table.record_type), is_declared=is_declared)
        except NoValueError:
            return None
        if table.versions is not None and table.versions.member in example:
            name = table.versions.names[-1]
            kinds = {column.name: column.kind for column in table.record}
            example[table.versions.member] = int(name) if kinds[table.versions.member] is Kind.INT64 else name
        if _is_storable(example, table):
            return _as_sent(example, table)
    return None


def template_record(table: Table) -> dict[str, Any]:
    """Return a template of a record, for when `example_record` has none: `<...>` is a value to fill in."""
    return _as_sent(template_value(msgspec.inspect.type_info(table.record_type)), table)


def _as_sent(record: dict[str, Any], table: Table) -> dict[str, Any]:
    """Return a record without its rest, which the service fills."""
    return {name: value for name, value in record.items() if table.rest is None or name != table.rest.name}


def _is_storable(example: Any, table: Table) -> bool:
    """Return whether the record would be stored; the type's own code may raise anything."""
    try:
        record = msgspec.json.decode(msgspec.json.encode(example), type=table.record_type)
        return compile_checks(table.record)(record) is None
    except Exception:
        return False


def example_row(columns: tuple[Column, ...], record: dict[str, Any] | None) -> dict[str, Any]:
    """Return a row of `columns` as it is served, with the values of `record` if it has them."""
    known = _ENVELOPE | (record or {})
    return {
        column.name: known[column.name] if column.name in known else _plain(column, missing=record is not None)
        for column in columns
    }


_BY_KIND: dict[Kind, Any] = {
    Kind.BOOL: True,
    Kind.INT64: 1,
    Kind.FLOAT64: 1.5,
    Kind.NUMERIC: "12.5",
    Kind.STRING: "text",
    Kind.BYTES: "AAEC",
    Kind.TIMESTAMP: "2026-01-31T12:00:00Z",
    Kind.DATE: "2026-01-31",
    Kind.TIME: "12:00:00",
    Kind.JSON: {},
}


def _plain(column: Column, *, missing: bool) -> Any:
    """Return a value of the column's type; null if the record omits it and it may be null."""
    if column.mode is Mode.REPEATED:
        return []
    if missing and column.mode is Mode.NULLABLE:
        return None
    if column.kind is Kind.STRUCT:
        return {field.name: _plain(field, missing=missing) for field in column.fields}
    return _BY_KIND[column.kind]

"""Promotion by the decoder of ingest itself: what a member of a rest would be in its column."""

import uuid
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from app.schema.checks import value_check
from app.schema.columns import Column, Kind, Mode
from app.schema.table import Table

_TYPES: dict[Kind, Any] = {
    Kind.BOOL: bool,
    Kind.INT64: int,
    Kind.FLOAT64: float,
    Kind.NUMERIC: Decimal,
    Kind.STRING: str,
    Kind.BYTES: bytes,
    Kind.TIMESTAMP: Annotated[datetime, Meta(tz=True)],
    Kind.DATE: date,
    Kind.TIME: Annotated[time, Meta(tz=False)],
    Kind.JSON: Any,
}


def promoted(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as readers see it: values of members that the row's rest holds, and the rest without them."""
    if not table.promoted or table.rest is None or row[table.rest.name] is None:
        return row
    rest = msgspec.json.decode(row[table.rest.name], type=dict[str, msgspec.Raw])
    found = dict[str, Any]()
    for column in table.promoted:
        if column.name in rest and row[column.name] in (None, []):
            is_taken, value = decoded(column, bytes(rest[column.name]))
            if is_taken:
                found[column.name] = value
    kept = {name: value for name, value in rest.items() if name not in found}
    return {**row, **found, table.rest.name: msgspec.Raw(msgspec.json.encode(kept))}


def decoded(column: Column, text: bytes) -> tuple[bool, Any]:
    """Return whether ingest takes JSON for a column of this kind, and the value that it stores."""
    kind: Any = uuid.UUID if column.is_uuid else dict[str, Any] if column.is_object else _TYPES[column.kind]
    is_list, check = column.mode is Mode.REPEATED, value_check(column)
    try:
        values: Any = msgspec.json.decode(text, type=list[kind] if is_list else kind | None)
    except msgspec.ValidationError:
        return False, None
    items = values if is_list else [values]
    if check is not None and any(item is not None and check(item) for item in items):
        return False, None
    stored = [_stored(column, item) for item in items]
    return True, stored if is_list else stored[0]


def _stored(column: Column, value: Any) -> Any:
    match value:
        case None:
            return None
        case uuid.UUID():
            return str(value)
        case datetime():
            return value.astimezone(UTC)
        case _ if column.kind is Kind.JSON:
            return msgspec.Raw(msgspec.json.encode(value))
        case _:
            return value

"""Promotion by the decoder of ingest itself: what a member of a rest would be in its column."""

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from app.schema.columns import Column, Kind
from app.schema.table import Table
from app.schema.values import value_check

_TYPES: dict[Kind, Any] = {
    Kind.BOOL: bool,
    Kind.INT64: int,
    Kind.FLOAT64: float,
    Kind.STRING: str,
    Kind.TIMESTAMP: Annotated[datetime, Meta(tz=True)],
}


def promoted(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as readers see it: values of members that the row's rest holds, and the rest without them."""
    if not table.promoted or table.rest is None or row[table.rest.name] is None:
        return row
    rest = msgspec.json.decode(row[table.rest.name], type=dict[str, msgspec.Raw])
    found = dict[str, Any]()
    for column in table.promoted:
        if column.name in rest and row[column.name] is None:
            is_taken, value = decoded(column, bytes(rest[column.name]))
            if is_taken:
                found[column.name] = value
    kept = {name: value for name, value in rest.items() if name not in found}
    return {**row, **found, table.rest.name: msgspec.Raw(msgspec.json.encode(kept))}


def decoded(column: Column, text: bytes) -> tuple[bool, Any]:
    """Return whether ingest takes JSON for a column of this kind, and the value that it stores."""
    check = value_check(column)
    try:
        value: Any = msgspec.json.decode(text, type=_TYPES[column.kind] | None)
    except msgspec.ValidationError:
        return False, None
    if value is not None and check is not None and check(value):
        return False, None
    return True, value.astimezone(UTC) if isinstance(value, datetime) else value

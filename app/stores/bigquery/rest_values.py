"""Turn the cells of BigQuery's REST answers into values.

Every cell travels as text: https://cloud.google.com/bigquery/docs/reference/rest/v2/jobs/getQueryResults. Timestamps
are integer microseconds (`useInt64Timestamp`), which is exact. The client library's own conversion parses JSON columns,
and so changes the notation of their numbers; here they stay text.
"""

from base64 import b64decode
from collections.abc import Callable, Sequence
from datetime import date, time
from decimal import Decimal
from typing import Any, Protocol

import msgspec

from app.runtime.instants import from_epoch_us

_Decode = Callable[[Any], Any]


class Field(Protocol):
    """A column of a result, as the client library describes it; `field_type` is a standard or legacy SQL name."""

    name: str
    field_type: str
    mode: str
    fields: Sequence["Field"]


def row_decoder(fields: Sequence[Field]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return the function that turns a row of an answer into values by column name.

    Raises:
        ValueError: a column's type has no value that a QueryRunner could promise.
    """
    columns = [(field.name, _decoder(field)) for field in fields]

    def decode(row: dict[str, Any]) -> dict[str, Any]:
        return {name: decode_cell(cell["v"]) for (name, decode_cell), cell in zip(columns, row["f"], strict=True)}

    return decode


def _decoder(field: Field) -> _Decode:
    kind = field.field_type.upper()
    if kind in {"RECORD", "STRUCT"}:
        item: _Decode = row_decoder(field.fields)
    elif kind in _SCALARS:
        item = _SCALARS[kind]
    else:
        raise ValueError(f"the column {field.name} has the type {kind}, which no record type declares")
    return _list_decoder(item) if field.mode == "REPEATED" else _nullable_decoder(item)


def _nullable_decoder(item: _Decode) -> _Decode:
    def decode(value: Any) -> Any:
        return None if value is None else item(value)

    return decode


def _list_decoder(item: _Decode) -> _Decode:
    def decode(values: list[dict[str, Any]] | None) -> list[Any]:
        return [item(value["v"]) for value in values or ()]  # a NULL list was stored as an empty one

    return decode


_SCALARS: dict[str, _Decode] = {
    "BOOL": lambda text: text.lower() == "true",
    "INT64": int,
    "FLOAT64": float,  # parses NaN, Infinity and -Infinity too
    "NUMERIC": Decimal,
    "BIGNUMERIC": Decimal,  # BigQuery widens a NUMERIC column to it in place
    "STRING": str,
    "BYTES": b64decode,
    "TIMESTAMP": lambda text: from_epoch_us(int(text)),
    "DATE": date.fromisoformat,
    "TIME": time.fromisoformat,
    "JSON": lambda text: msgspec.Raw(text.encode()),
}
_SCALARS |= {"BOOLEAN": _SCALARS["BOOL"], "INTEGER": _SCALARS["INT64"], "FLOAT": _SCALARS["FLOAT64"]}

"""Convert rows to their served form: the requested columns, with values as JSON represents them.

Instants are RFC 3339 in UTC, exact decimals are strings in plain notation, bytes are base64, and JSON columns appear
as the JSON they hold. The store returns an instant beyond Python's years as text, and it is served as that text.
"""

from collections.abc import Callable
from typing import Any

from app.schema.columns import Column, Kind, Mode
from app.schema.decimals import plain_decimal
from app.stores.source import Row

Convert = Callable[[Any], Any]


class ServedRows:
    """Converts a store's rows to the served ones, without modifying them; other columns are ignored."""

    def __init__(self, columns: tuple[Column, ...]) -> None:
        self._names = [column.name for column in columns]
        self._conversions = _conversions(columns)

    def of(self, rows: list[Row]) -> list[Row]:
        """Return the served form of `rows`, ready for a JSON encoder."""
        names = self._names
        # The usual page: nothing to convert and all columns requested. Copying takes three times as long as encoding.
        if not self._conversions and all(map(names.__eq__, map(list, rows))):
            return rows
        found = [{name: row[name] for name in names} for row in rows]
        for name, convert in self._conversions:
            for row in found:
                if row[name] is not None:
                    row[name] = convert(row[name])
        return found


def converter(column: Column) -> Convert | None:
    """Return the function that converts a column's value (not None) for JSON; None: no conversion is needed.

    Exact decimals become text, at any depth. Only the declared fields of a STRUCT are served, although others may
    have added fields to the table.
    """
    item: Convert | None = plain_decimal if column.kind is Kind.NUMERIC else None
    if column.kind is Kind.STRUCT:
        item = _struct_converter(column.fields)
    if item is not None and column.mode is Mode.REPEATED:
        return _list_converter(item)
    return item


def _conversions(columns: tuple[Column, ...]) -> list[tuple[str, Convert]]:
    return [(column.name, convert) for column in columns if (convert := converter(column)) is not None]


def _struct_converter(fields: tuple[Column, ...]) -> Convert:
    # A field that the table does not have yet reads as it will in BigQuery once it is added.
    absent = {field.name: () if field.mode is Mode.REPEATED else None for field in fields}
    inner = _conversions(fields)

    def convert(value: Row) -> Row:
        served = {name: value.get(name, nothing) for name, nothing in absent.items()}
        for name, convert_field in inner:
            if served[name] is not None:
                served[name] = convert_field(served[name])
        return served

    return convert


def _list_converter(item: Convert) -> Convert:
    def convert(values: list[Any]) -> list[Any]:
        return [item(value) for value in values]

    return convert

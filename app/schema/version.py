"""A short name for the shape of a table's rows: it changes when, and only when, rows would look different."""

import hashlib
from typing import Any

import msgspec

from app.schema.columns import Column
from app.schema.table import Table

_LENGTH = 12  # hexadecimal digits


def schema_version(table: Table) -> str:
    """Return the hash of the table's name and columns: their names, types, modes and order.

    Descriptions and roles do not count. They change nothing in a row.
    """
    shape = [table.name, _shape(table.columns)]
    return hashlib.sha256(msgspec.json.encode(shape)).hexdigest()[:_LENGTH]


def _shape(columns: tuple[Column, ...]) -> list[Any]:
    return [[column.name, column.kind.value, column.mode.value, _shape(column.fields)] for column in columns]

"""A short version of a table's row shape: it changes if and only if rows would look different."""

import hashlib
from typing import Any

import msgspec

from app.schema.columns import Column
from app.schema.table import Table

_LENGTH = 12  # hexadecimal digits


def schema_version(table: Table) -> str:
    """Return the hash of the table's name and columns: their names, types, modes and order.

    Descriptions and roles are excluded, because they do not change a row.
    """
    shape = [table.name, _shape(table.columns)]
    return hashlib.sha256(msgspec.json.encode(shape)).hexdigest()[:_LENGTH]


def _shape(columns: tuple[Column, ...]) -> list[Any]:
    return [[column.name, column.kind.value, column.mode.value, _shape(column.fields)] for column in columns]

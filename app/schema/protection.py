"""Remove personal data from a record before it becomes a row: once compiled for a table, whatever its store. Pure."""

from collections.abc import Callable
from typing import Any

from msgspec.structs import force_setattr

from app.schema.columns import PII, Column, Kind, Mode, Role, columns_of, flat
from app.schema.pii import MARK, Hasher
from app.schema.table import Table

Protect = Callable[[Any], None]
"""Replaces the values of a record that must not be stored, in place. A second time it changes nothing."""


def compile_protection(table: Table) -> Protect | None:
    """Return what protects the records of a table; None if its type has no personal data.

    Dropped values have no column, and are removed all the same: an encoder may look at the whole record.
    """
    return _protect(columns_of(table.record_type), table.hasher)


def holds_personal_data(table: Table) -> bool:
    """Return whether any version of the record type has a field with such a role, stored or dropped."""
    return any(column.roles & PII for columns in declared_columns(table) for _, column in flat(columns))


def declared_columns(table: Table) -> list[tuple[Column, ...]]:
    """Return the declared columns of each version, or of the only type, with those that are dropped."""
    types = table.versions.types if table.versions is not None else (table.record_type,)
    return [columns_of(each) for each in types]


def _protect(columns: tuple[Column, ...], hasher: Hasher | None) -> Protect | None:
    changes = [(column.attribute, change) for column in columns if (change := _change(column, hasher)) is not None]
    if not changes:
        return None

    def protect(record: Any) -> None:
        for attribute, change in changes:
            value = getattr(record, attribute)
            if value is not None:
                force_setattr(record, attribute, change(value))

    return protect


def _change(column: Column, hasher: Hasher | None) -> Callable[[Any], Any] | None:
    """Return the function from a value to the one that is stored; None if the value stays."""
    repeated = column.mode is Mode.REPEATED
    if Role.DROP in column.roles:
        return lambda _: None
    if Role.REDACT in column.roles:
        fixed = MARK if column.mode is Mode.REQUIRED else None
        return (lambda _: []) if repeated else (lambda _: fixed)
    item: Callable[[Any], Any] | None = None
    if Role.HASH in column.roles:
        item = hasher
        if item is None:
            raise ValueError(f"{column.name}: there is no secret to hash with")
    elif column.kind is Kind.STRUCT and (protect := _protect(column.fields, hasher)) is not None:
        item = _in_place(protect)
    if item is None:
        return None
    each = item
    return (lambda values: [each(value) for value in values]) if repeated else each


def _in_place(protect: Protect) -> Callable[[Any], Any]:
    def change(value: Any) -> Any:
        protect(value)
        return value

    return change

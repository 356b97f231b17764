"""Which columns remain of the fields with personal data, and which of their roles cannot be. Pure."""

import msgspec

from app.schema.columns import PII, Column, Kind, Mode, Role
from app.schema.pii import Hasher
from app.schema.refusals import Faults


def stored_columns(columns: tuple[Column, ...], path: str, hasher: Hasher | None, faults: Faults) -> tuple[Column, ...]:
    """Return the columns that a table has: without those whose values are dropped, and with the hasher.

    What cannot be done is added to `faults`, below `path`.
    """
    stored = list[Column]()
    for column in columns:
        below = f"{path}.{column.name}"
        for reason in _faults(column):
            faults.add(below, reason)
        fields = stored_columns(column.fields, below, hasher, faults)
        if Role.DROP in column.roles:
            continue
        if column.fields and not fields:
            faults.add(below, "every field is dropped; drop the Struct itself")
        hashes = hasher if Role.HASH in column.roles else None
        stored.append(msgspec.structs.replace(column, fields=fields, hasher=hashes))
    if columns and not stored and "." not in path:
        faults.add(path, "every field is dropped; there is nothing to store")
    return tuple(stored)


def is_text(column: Column) -> bool:
    """Return whether a column may hold any text."""
    return column.kind is Kind.STRING and not column.closed and not column.is_uuid


def _faults(column: Column) -> list[str]:
    """Return why the roles of a column cannot be: its type, or another role that needs the value."""
    personal, others, reasons = column.roles & PII, column.roles - PII, list[str]()
    if len(personal) > 1:
        reasons.append(f"{' and '.join(sorted(role.value for role in personal))} exclude each other")
    if Role.HASH in personal and not is_text(column):
        reasons.append("pii:hash makes a text: declare str, or use pii:redact or pii:drop")
    if Role.REDACT in personal and column.mode is Mode.REQUIRED and not is_text(column):
        reasons.append("pii:redact needs a value to store instead: declare str or an optional field, or use pii:drop")
    if personal & {Role.REDACT, Role.DROP} and others:
        named = ", ".join(sorted(role.value for role in others))
        reasons.append(f"the value is not stored, so the field cannot have the role {named}; use pii:hash")
    return reasons

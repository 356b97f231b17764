"""The roles of columns: which remain of fields with personal data, which can be promoted, and which cannot be. Pure."""

import msgspec

from app.schema.columns import PII, Column, Kind, Mode, Role, flat
from app.schema.protection import Hasher
from app.schema.refusals import refuse


def stored_columns(columns: tuple[Column, ...], path: str, hasher: Hasher | None) -> tuple[Column, ...]:
    """Return the columns that a table has: without those whose values are dropped, and with the hasher.

    Raises:
        RecordTypeError: a role, of a column below `path`, cannot be played.
    """
    stored = list[Column]()
    for column in columns:
        below = f"{path}.{column.name}"
        for reason in _faults(column):
            raise refuse(below, reason)
        fields = stored_columns(column.fields, below, hasher)
        if Role.DROP not in column.roles:
            hashes = hasher if Role.HASH in column.roles else None
            stored.append(msgspec.structs.replace(column, fields=fields, hasher=hashes))
    if columns and not stored:
        raise refuse(path, "every field is dropped; there is nothing to store")
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


MOST = 20
"""How many columns a type may promote: the SQL that reads the rest grows with each."""
_KINDS = frozenset({Kind.BOOL, Kind.INT64, Kind.FLOAT64, Kind.STRING, Kind.TIMESTAMP})
"""Both stores convert a JSON value to these as ingest does."""


def refuse_unpromotable(columns: tuple[Column, ...], path: str) -> None:
    """Check the columns with the role `promoted`.

    Raises:
        RecordTypeError: a column below `path` cannot have it.
    """
    keeps = any(Role.REST in column.roles for column in columns)
    promoted = [(below, column) for below, column in flat(columns) if Role.PROMOTED in column.roles]
    for below, column in promoted:
        personal = ", ".join(sorted(role.value for role in column.roles & PII))
        for wrong, reason in (
            ("." in below, "only a field of the record type itself can be promoted; remove the role"),
            (not keeps, "there is no rest to promote it from; declare a field with the role rest"),
            (column.kind not in _KINDS or column.is_uuid or column.mode is Mode.REPEATED, _NOT_PROMOTED),
            (
                column.mode is Mode.REQUIRED,
                "a promoted field must be optional: older records may lack it; use … | None",
            ),
            (bool(personal), f"older records hold the value in their rest, where {personal} {_ERASE_THOSE}"),
        ):
            if wrong:
                raise refuse(f"{path}.{below}", reason)
    if len(promoted) > MOST:
        raise refuse(
            path,
            f"{len(promoted)} fields are promoted, and every query of the rest grows with each; at most {MOST} can "
            "be: remove the role where no record in the table needs it any more",
        )


_NOT_PROMOTED = (
    "only bool, int, float, str and datetime can be promoted; remove the role: the field begins with its column, and "
    "older records keep the member in their rest"
)
_ERASE_THOSE = "does not apply; remove the role promoted, and erase those records"

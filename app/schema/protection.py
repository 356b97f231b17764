"""Personal data: the keyed hash that replaces a value, and its removal from records before they become rows. Pure."""

import hmac
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from msgspec.structs import force_setattr

from app.schema.columns import PII, Column, Kind, Mode, Role, columns_of, flat

if TYPE_CHECKING:
    from app.schema.table import Table

MARK = "redacted"
"""Replaces a text that was redacted."""
MIN_SECRET_LENGTH = 32
_PREFIX = "hmac:"
_HASHED = re.compile(r"hmac:[0-9a-f]{64}")


class Hasher:
    """Hashes texts with a secret: equal texts have equal hashes, in every field and stream.

    A hash stays as it is, so that a stored one can be looked up, and a replayed one is not hashed twice.
    """

    __slots__ = ("_key",)

    def __init__(self, secret: str) -> None:
        """Keep the key; it is not shown."""
        self._key = secret.encode()

    def __call__(self, text: str) -> str:
        """Return the hash of a text: `hmac:` and 64 hexadecimal digits (HMAC-SHA-256 of its UTF-8)."""
        if _HASHED.fullmatch(text):
            return text
        return self.of_bytes(text.encode("utf-8", "surrogatepass"))

    def of_bytes(self, data: bytes) -> str:
        """Return the hash of bytes."""
        return _PREFIX + self.digest(data)

    def digest(self, data: bytes) -> str:
        """Return the HMAC-SHA-256 of bytes, as 64 hexadecimal digits."""
        return hmac.digest(self._key, data, "sha256").hex()

    def __repr__(self) -> str:
        """Do not show the key."""
        return "Hasher(…)"


def hasher_of(secret: str) -> Hasher | None:
    """Return the hasher of a secret; None without one."""
    return Hasher(secret) if secret else None


Protect = Callable[[Any], None]
"""Replaces the values of a record that must not be stored, in place. A second time it changes nothing."""


def compile_protection(table: "Table") -> Protect | None:
    """Return what protects the records of a table; None if its type has no personal data.

    Dropped values have no column, and are removed all the same: an encoder may look at the whole record.
    """
    return _protect(columns_of(table.record_type), table.hasher)


def holds_personal_data(table: "Table") -> bool:
    """Return whether any version of the record type has a field with such a role, stored or dropped."""
    return any(column.roles & PII for columns in declared_columns(table) for _, column in flat(columns))


def declared_columns(table: "Table") -> list[tuple[Column, ...]]:
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

"""A table: the columns of a record type and those of the envelope."""

import hashlib
from typing import Any

import msgspec

from app.record import Envelope, RecordTypeError, RejectedRecord
from app.schema.columns import Column, Kind, Mode, Role, columns_of, flat

RECORDS = "records"
REJECTS = "records_rejected"


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A table of the store.

    `record` holds the declared columns, `envelope` those the service adds. `id` is the column that `/v1/records/{id}`
    searches, None if the declaration names none. `retention_days` is how long its rows are kept, None if as long as
    SLUICE_RETENTION_DAYS says. `may_omit`: where the live table lacks an optional column, rows are stored without their
    values for it. Otherwise such rows wait until it has the column.
    """

    name: str
    record_type: type[msgspec.Struct]
    record: tuple[Column, ...]
    envelope: tuple[Column, ...]
    id: Column | None
    retention_days: int | None = None
    may_omit: bool = False

    @property
    def columns(self) -> tuple[Column, ...]:
        """All columns in the table's order: the record's, then the envelope's."""
        return self.record + self.envelope


def records_table(
    record_type: type[msgspec.Struct], *, name: str = RECORDS, retention_days: int | None = None
) -> Table:
    """Derive the table of `record_type`.

    Raises:
        RecordTypeError: a field has no mapping, takes a reserved name, or the id is not one.
    """
    return _table(name, record_type, retention_days)


def rejects_table() -> Table:
    """Return the table of rejected records.

    Its columns are the service's own: a reject without a new one is better than a message that is not acknowledged.
    """
    return msgspec.structs.replace(_table(REJECTS, RejectedRecord), may_omit=True)


def _table(name: str, record_type: type[msgspec.Struct], retention_days: int | None = None) -> Table:
    columns, envelope = columns_of(record_type), columns_of(Envelope)
    reserved = {column.name for column in envelope}
    for column in columns:
        if column.name.lower() in reserved:
            path = f"{record_type.__name__}.{column.name}"
            raise RecordTypeError(f"{path}: the service adds a column with this name; rename the field")
    return Table(
        name=name,
        record_type=record_type,
        record=columns,
        envelope=envelope,
        id=_id_column(record_type.__name__, columns),
        retention_days=retention_days,
    )


def _id_column(type_name: str, columns: tuple[Column, ...]) -> Column | None:
    marked = [(path, column) for path, column in flat(columns) if Role.ID in column.roles]
    if not marked:
        return None
    if len(marked) > 1:
        paths = ", ".join(path for path, _ in marked)
        raise RecordTypeError(f"{type_name}: at most one field may be the id, not {len(marked)} ({paths})")
    path, column = marked[0]
    if column not in columns or column.mode is not Mode.REQUIRED or column.kind not in {Kind.STRING, Kind.INT64}:
        raise RecordTypeError(f"{type_name}.{path}: the id must be a required str, UUID or int at the top level")
    return column


def schema_version(table: Table) -> str:
    """Return a hash of 12 hexadecimal digits of the table's name and columns: their names, types, modes and order.

    Descriptions and roles are excluded, because they do not change a row.
    """
    shape = [table.name, _shape(table.columns)]
    return hashlib.sha256(msgspec.json.encode(shape)).hexdigest()[:12]


def _shape(columns: tuple[Column, ...]) -> list[Any]:
    return [[column.name, column.kind.value, column.mode.value, _shape(column.fields)] for column in columns]

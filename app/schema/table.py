"""A table: the columns of a record type and those of the envelope."""

import hashlib
from typing import Any

import msgspec

from app.record import Envelope, RecordType, RejectedRecord, Versions
from app.schema.columns import Column, Kind, Mode, Role, columns_of, flat, sound_columns
from app.schema.pii import Hasher
from app.schema.refusals import Faults, refuse
from app.schema.roles import refuse_unpromotable, stored_columns
from app.schema.versions import check_older, newest_of

RECORDS = "records"
REJECTS = "records_rejected"


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A table of the store.

    `record` holds the declared columns, `envelope` those the service adds. `id` is the column that `/v1/records/{id}`
    searches, None if the declaration names none. `retention_days` is how long its rows are kept, None if as long as
    SLUICE_RETENTION_DAYS says. `may_omit`: where the live table lacks an optional column, rows are stored without their
    values for it. Otherwise such rows wait until it has the column. `versions` are those of the record type, and
    `record_type` is the newest. `hasher` hashes its personal data; None for a table that only describes.
    """

    name: str
    record_type: type[msgspec.Struct]
    record: tuple[Column, ...]
    envelope: tuple[Column, ...]
    id: Column | None
    retention_days: int | None = None
    may_omit: bool = False
    versions: Versions | None = None
    hasher: Hasher | None = None

    @property
    def columns(self) -> tuple[Column, ...]:
        """All columns in the table's order: the record's, then the envelope's."""
        return self.record + self.envelope

    @property
    def rest(self) -> Column | None:
        """The column that keeps undeclared members; None if the type does not keep them."""
        return next((column for column in self.record if Role.REST in column.roles), None)

    @property
    def promoted(self) -> tuple[Column, ...]:
        """The columns that read the rest's member of their name where they have no value."""
        return tuple(column for column in self.record if Role.PROMOTED in column.roles)


def records_table(
    record_type: RecordType, *, name: str = RECORDS, retention_days: int | None = None, hasher: Hasher | None = None
) -> Table:
    """Derive the table of `record_type`; without a `hasher` it only describes fields with the role `pii:hash`.

    Raises:
        RecordTypeError: a field has no mapping, takes a reserved name, or the id is not one; each fault is named.
    """
    table, faults = sound_table(record_type, name=name, retention_days=retention_days, hasher=hasher)
    faults.report()
    return table


def rejects_table() -> Table:
    """Return the table of rejected records.

    Its columns are the service's own: a reject without a new one is better than a message that is not acknowledged.
    """
    return msgspec.structs.replace(records_table(RejectedRecord, name=REJECTS), may_omit=True)


def sound_table(
    record_type: RecordType, *, name: str, retention_days: int | None, hasher: Hasher | None
) -> tuple[Table, Faults]:
    """Return the table of the fields of `record_type` without a fault, and the faults of all others."""
    versions = record_type if isinstance(record_type, Versions) else None
    newest = newest_of(record_type)
    (declared, faults), envelope = sound_columns(newest), columns_of(Envelope)
    refuse_unpromotable(declared, newest.__name__, faults)
    columns = stored_columns(declared, newest.__name__, hasher, faults)
    if versions is not None:
        with faults.collected():
            check_older(versions)
    reserved = {column.name for column in envelope}
    for column in columns:
        if column.name.lower() in reserved:
            path = f"{newest.__name__}.{column.name}"
            faults.add(path, "the service adds a column with this name; rename the field")
    record_id = None
    with faults.collected():
        record_id = _id_column(newest.__name__, columns)
    table = Table(
        name=name,
        record_type=newest,
        record=columns,
        envelope=envelope,
        id=record_id,
        retention_days=retention_days,
        versions=versions,
        hasher=hasher,
    )
    return table, faults


def _id_column(type_name: str, columns: tuple[Column, ...]) -> Column | None:
    marked = [(path, column) for path, column in flat(columns) if Role.ID in column.roles]
    if not marked:
        return None
    if len(marked) > 1:
        paths = ", ".join(path for path, _ in marked)
        raise refuse(type_name, f"at most one field may be the id, not {len(marked)} ({paths})")
    path, column = marked[0]
    if column not in columns or column.mode is not Mode.REQUIRED or column.kind not in {Kind.STRING, Kind.INT64}:
        raise refuse(f"{type_name}.{path}", "the id must be a required str, UUID or int at the top level")
    return column


def schema_version(table: Table) -> str:
    """Return a hash of 12 hexadecimal digits of the table's name and columns: their names, types, modes and order.

    Descriptions and roles are excluded, because they do not change a row; except `promoted`, which changes what is read
    of older rows.
    """
    shape = [table.name, _shape(table.columns)]
    return hashlib.sha256(msgspec.json.encode(shape)).hexdigest()[:12]


def _shape(columns: tuple[Column, ...]) -> list[Any]:
    return [
        [column.name, column.kind.value, column.mode.value, _shape(column.fields)]
        + ([Role.PROMOTED.value] if Role.PROMOTED in column.roles else [])
        for column in columns
    ]

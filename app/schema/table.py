"""A table: the columns of a record type and those of the envelope."""

import hashlib
from typing import Any, get_type_hints

import msgspec

from app.record import Envelope, RecordType, RejectedRecord, Versions
from app.schema.columns import PII, Column, Kind, Mode, Role, columns_of, flat, is_text
from app.schema.protection import Hasher
from app.schema.refusals import refuse

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

    def kept_days(self, default_days: int) -> int:
        """Return how many days its rows are kept; `default_days` is SLUICE_RETENTION_DAYS."""
        days = self.retention_days or default_days
        return min(days, REJECT_DAYS) if self.name == REJECTS else days

    @property
    def rest(self) -> Column | None:
        """The column that keeps undeclared members; None if the type does not keep them."""
        return next((column for column in self.record if Role.REST in column.roles), None)

    @property
    def deleted(self) -> Column | None:
        """The column that marks tombstones, None if no version is one."""
        return next((column for column in self.record if Role.DELETED in column.roles), None)

    @property
    def sequence(self) -> Column | None:
        """The column that ranks the versions of an id, None if the order of the feed does."""
        return next((column for column in self.record if Role.SEQUENCE in column.roles), None)

    @property
    def promoted(self) -> tuple[Column, ...]:
        """The columns that read the rest's member of their name where they have no value."""
        return tuple(column for column in self.record if Role.PROMOTED in column.roles)


def records_table(
    record_type: RecordType, *, name: str = RECORDS, retention_days: int | None = None, hasher: Hasher | None = None
) -> Table:
    """Derive the table of `record_type`; without a `hasher` it only describes fields with the role `pii:hash`.

    Raises:
        RecordTypeError: a field has no mapping, takes a reserved name, or cannot play its role; or versions are wrong.
    """
    versions = record_type if isinstance(record_type, Versions) else None
    newest = _newest_of(record_type)
    declared, envelope = columns_of(newest), columns_of(Envelope)
    _refuse_unpromotable(declared, newest.__name__)
    columns = _stored_columns(declared, newest.__name__, hasher)
    if versions is not None:
        _check_older(versions)
    reserved = {column.name for column in envelope}
    for column in columns:
        if column.name.lower() in reserved:
            path = f"{newest.__name__}.{column.name}"
            raise refuse(path, "the service adds a column with this name; rename the field")
    return Table(
        name=name,
        record_type=newest,
        record=columns,
        envelope=envelope,
        id=_id_of(newest.__name__, columns),
        retention_days=retention_days,
        versions=versions,
        hasher=hasher,
    )


REJECT_DAYS = 30
"""How long rejects are kept at most: an erasure does not search their bytes, so a person's data is gone within it."""


def rejects_table() -> Table:
    """Return the table of rejected records.

    Its columns are the service's own: a reject without a new one is better than a message that is not acknowledged.
    """
    return msgspec.structs.replace(records_table(RejectedRecord, name=REJECTS), may_omit=True)


_SINGLE: dict[Role, tuple[set[Kind], set[Mode], str]] = {
    Role.ID: ({Kind.STRING, Kind.INT64}, {Mode.REQUIRED}, "the id must be a required str, UUID or int"),
    Role.DELETED: ({Kind.BOOL}, {Mode.REQUIRED, Mode.NULLABLE}, "the mark of tombstones must be a bool"),
    Role.SEQUENCE: (
        {Kind.INT64, Kind.TIMESTAMP},
        {Mode.REQUIRED, Mode.NULLABLE},
        "the sequence must be an int or datetime",
    ),
}
"""The roles that one field at the top level may have, by its kinds and modes."""


def _id_of(type_name: str, columns: tuple[Column, ...]) -> Column | None:
    """Return the id, and check the roles that depend on it.

    Raises:
        RecordTypeError: a field cannot have its role, or two have it, or `deleted` or `sequence` lacks an id.
    """
    found = {role: _single(type_name, columns, role) for role in _SINGLE}
    record_id = found[Role.ID]
    for role in (Role.DELETED, Role.SEQUENCE):
        if record_id is None and (column := found[role]) is not None:
            reason = f"without an id there are no versions; give one field the role id, or remove the role {role.value}"
            raise refuse(f"{type_name}.{column.name}", reason)
    return record_id


def _single(type_name: str, columns: tuple[Column, ...], role: Role) -> Column | None:
    marked = [(path, column) for path, column in flat(columns) if role in column.roles]
    if not marked:
        return None
    if len(marked) > 1:
        paths = ", ".join(path for path, _ in marked)
        raise refuse(type_name, f"at most one field may have the role {role.value}, not {len(marked)} ({paths})")
    path, column = marked[0]
    kinds, modes, expected = _SINGLE[role]
    if "." in path or column.mode not in modes or column.kind not in kinds:
        raise refuse(f"{type_name}.{path}", f"{expected} at the top level")
    return column


def _newest_of(record_type: RecordType) -> type[msgspec.Struct]:
    """Return the type whose records are stored.

    Raises:
        RecordTypeError: the versions are not several Structs, each with a name of its own.
    """
    if not isinstance(record_type, Versions):
        return record_type
    types, names = record_type.types, record_type.names
    for wrong, reason in (
        (len(types) < 2, f"{len(types)} types: expected at least two, oldest first"),
        (not all(isinstance(each, type) and issubclass(each, msgspec.Struct) for each in types), _NO_STRUCT),
        (len({getattr(each, "__name__", each) for each in types}) < len(types), "two types have the same name"),
        (len(names) != len(types), f"{len(names)} names for {len(types)} types"),
        (len(set(names)) < len(names) or not all(names), f"names={names!r}: expected a different text for each"),
        (bool(record_type.member and record_type.attribute), "attribute or member names the version, not both"),
    ):
        if wrong:
            raise refuse("Versions", reason)
    return record_type.newest


_NO_STRUCT = "expected types that are msgspec.Struct"


def _check_older(versions: Versions) -> None:
    """Check the older types, their upgrades, and the member that names the version.

    Raises:
        RecordTypeError: one of them is wrong.
    """
    for older, name, then in zip(versions.types, versions.names, versions.types[1:], strict=False):
        _stored_columns(columns_of(older), older.__name__, None)
        _check_upgrade(versions, older, name, then)
        if _has_rest(older) and not _has_rest(then):
            reason = f"{older.__name__} keeps undeclared members, which this version would lose: give it a rest, too"
            raise refuse(then.__name__, reason)
    if versions.member:
        for each in versions.types[1:]:
            _check_member(each, versions)


def _check_upgrade(versions: Versions, older: type[msgspec.Struct], name: str, then: type[msgspec.Struct]) -> None:
    upgrade = versions.upgrade_of(older)
    path = f"{older.__name__}.upgrade"
    if not callable(upgrade):
        reason = (
            f"version {name} has no way to become {then.__name__}: define `def upgrade(self) -> {then.__name__}`, "
            f"or pass Versions(…, upgrades={{{older.__name__}: function}})"
        )
        raise refuse(path, reason)
    try:
        returned = get_type_hints(upgrade).get("return", then)
    except Exception:  # an annotation that cannot be resolved here says nothing
        return
    if returned is not then and returned is not Any:
        named = getattr(returned, "__name__", returned)
        raise refuse(path, f"it returns {named}: expected {then.__name__}, the next version")


def _has_rest(declared: type[msgspec.Struct]) -> bool:
    return any(Role.REST in column.roles for column in columns_of(declared))


def _check_member(declared: type[msgspec.Struct], versions: Versions) -> None:
    kinds = {column.name: column.kind for column in columns_of(declared)}
    kind, path = kinds.get(versions.member), f"{declared.__name__}.{versions.member}"
    if kind not in {Kind.STRING, Kind.INT64}:
        raise refuse(path, "the member names the version, and must be declared as text or a whole number")
    if kind is Kind.INT64 and not all(name.isdecimal() for name in versions.names):
        raise refuse(path, f"the member is a whole number, and the names are not: {', '.join(versions.names)}")


def _stored_columns(columns: tuple[Column, ...], path: str, hasher: Hasher | None) -> tuple[Column, ...]:
    """Return the columns that a table has: without those whose values are dropped, and with the hasher.

    Raises:
        RecordTypeError: a role, of a column below `path`, cannot be played.
    """
    stored = list[Column]()
    for column in columns:
        below = f"{path}.{column.name}"
        for reason in _role_faults(column):
            raise refuse(below, reason)
        fields = _stored_columns(column.fields, below, hasher)
        if Role.DROP not in column.roles:
            hashes = hasher if Role.HASH in column.roles else None
            stored.append(msgspec.structs.replace(column, fields=fields, hasher=hashes))
    if columns and not stored:
        raise refuse(path, "every field is dropped; there is nothing to store")
    return tuple(stored)


def _role_faults(column: Column) -> list[str]:
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


_PROMOTABLE = frozenset({Kind.BOOL, Kind.INT64, Kind.FLOAT64, Kind.STRING, Kind.TIMESTAMP})
"""Both stores convert a JSON value to these as ingest does."""


def _refuse_unpromotable(columns: tuple[Column, ...], path: str) -> None:
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
            (column.kind not in _PROMOTABLE or column.is_uuid or column.mode is Mode.REPEATED, _NOT_PROMOTED),
            (
                column.mode is Mode.REQUIRED,
                "a promoted field must be optional: older records may lack it; use … | None",
            ),
            (bool(personal), f"older records hold the value in their rest, where {personal} {_ERASE_THOSE}"),
        ):
            if wrong:
                raise refuse(f"{path}.{below}", reason)


_NOT_PROMOTED = (
    "only bool, int, float, str and datetime can be promoted; remove the role: the field begins with its column, and "
    "older records keep the member in their rest"
)
_ERASE_THOSE = "does not apply; remove the role promoted, and erase those records"


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

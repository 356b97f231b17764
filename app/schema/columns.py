"""Walk a msgspec.Struct and map each field to a column, or refuse it with a reason.

The columns have BigQuery's types (https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types).
Every other derivation starts from them.
"""

import enum
import re
from collections.abc import Callable
from typing import get_origin, get_type_hints

import msgspec
from msgspec import inspect

from app.schema.refusals import mentions_unset, reason_for, refuse, refuse_unjsonable, type_info
from app.schema.undeclared_members import refuse_silent_loss

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
MAX_DEPTH = 15  # BigQuery's limit for nested RECORDs
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,299}")
# https://cloud.google.com/bigquery/docs/schemas#column_names
_RESERVED_PREFIXES = (
    "_table_",
    "_file_",
    "_partition",
    "_row_timestamp",
    "__root__",
    "_colidentifier",
    "_change_",
    "_sluice_",
)


class Kind(enum.Enum):
    """A column's type, by BigQuery's names."""

    BOOL = "BOOL"
    INT64 = "INT64"
    FLOAT64 = "FLOAT64"
    NUMERIC = "NUMERIC"
    STRING = "STRING"
    BYTES = "BYTES"
    TIMESTAMP = "TIMESTAMP"
    DATE = "DATE"
    TIME = "TIME"
    JSON = "JSON"
    STRUCT = "STRUCT"


class Mode(enum.Enum):
    """Whether a column always has a value, may have one, or has a list of them."""

    REQUIRED = "REQUIRED"
    NULLABLE = "NULLABLE"
    REPEATED = "REPEATED"


class Role(enum.Enum):
    """What a field may be used for, as declared in `Meta(extra={"sluice": [...]})`."""

    ID = "id"
    DELETED = "deleted"
    SEQUENCE = "sequence"
    FILTER = "filter"
    AGGREGATE = "aggregate"
    REST = "rest"
    PROMOTED = "promoted"
    HASH = "pii:hash"
    REDACT = "pii:redact"
    DROP = "pii:drop"


PII = frozenset({Role.HASH, Role.REDACT, Role.DROP})
"""What becomes of personal data before anything is stored; a field has one of them at most."""


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """One field of the record as every store sees it.

    `name` is the name of the column and in JSON, `attribute` the name in the Struct. `fields` is empty unless `kind` is
    STRUCT. `closed` says that the type allows only a fixed set of values (Enum, Literal). `is_uuid` says that the text
    is a UUID, which is stored in lower case with hyphens. `hasher` hashes the values of a field with the role
    `pii:hash`; it is None for a table that only describes.
    """

    name: str
    attribute: str
    kind: Kind
    mode: Mode
    description: str = ""
    roles: frozenset[Role] = frozenset()
    fields: tuple["Column", ...] = ()
    closed: bool = False
    is_uuid: bool = False
    hasher: Callable[[str], str] | None = None


def columns_of(record_type: type[msgspec.Struct]) -> tuple[Column, ...]:
    """Return the columns of `record_type`, in the order of its fields.

    Raises:
        RecordTypeError: a field has no mapping, or a Struct does not say what becomes of members that it does not
            declare; the message has the path and the reason.
    """
    info = type_info(record_type)
    columns = _struct_columns(info, record_type.__name__, ())
    refuse_silent_loss(info, record_type.__name__)
    return columns


def _struct_columns(info: inspect.StructType, path: str, outer: tuple[type, ...]) -> tuple[Column, ...]:
    cls = info.cls
    declared = get_origin(cls) or cls  # for a generic Struct, `cls` is the alias with its arguments
    for wrong, reason in (
        (cls in outer, f"{cls.__name__} contains itself, which a table cannot: use dict[str, Any] for a JSON column"),
        (len(outer) >= MAX_DEPTH, f"nested deeper than {MAX_DEPTH} levels, BigQuery's limit"),
        (info.array_like, "an array_like struct has no field names in JSON; remove array_like=True"),
        (info.tag_field is not None, "a tagged struct adds a field that has no column; remove tag=…"),
        (declared.__struct_config__.omit_defaults, "omit_defaults=True would store a default as NULL; remove it"),
        (not declared.__struct_fields__, f"{cls.__name__} has no fields"),
    ):
        if wrong:
            raise refuse(path, reason)
    hints, columns = get_type_hints(declared, include_extras=True), dict[str, Column]()
    for field in info.fields:
        below = f"{path}.{field.encode_name}"
        if mentions_unset(hints[field.name]):  # msgspec.inspect omits it
            raise refuse(below, "UNSET has no column value; use None")
        column = _column(field, below, (*outer, cls))
        twin = columns.setdefault(column.name.lower(), column)
        if twin is not column:
            raise refuse(
                path,
                f"{twin.name} and {column.name} differ only in case, which column names ignore; rename one of them",
            )
    return tuple(columns.values())


def _column(field: inspect.Field, path: str, outer: tuple[type, ...]) -> Column:
    name = field.encode_name
    problem = name_problem(name)
    if problem is not None:
        raise refuse(path, problem)
    info, description, roles = _unwrap_metadata(field.type, path)
    info, optional = _unwrap_optional(info, path)
    info, inner_description, inner_roles = _unwrap_metadata(info, path)
    description, roles = description or inner_description, roles | inner_roles
    mode = Mode.REQUIRED if field.required and not optional else Mode.NULLABLE
    if isinstance(info, inspect.ListType):
        if optional:
            reason = "BigQuery does not distinguish a missing list from an empty one; use list[…] with an empty default"
            raise refuse(path, reason)
        mode, path = Mode.REPEATED, f"{path}[]"
        info, _, item_roles = _unwrap_metadata(info.item_type, path)
        roles = roles | item_roles
        info, item_optional = _unwrap_optional(info, path)
        if item_optional:
            raise refuse(path, "a BigQuery list cannot contain null; declare the items as not Optional")
        info, _, _ = _unwrap_metadata(info, path)
        if isinstance(info, inspect.ListType):
            raise refuse(path, "BigQuery does not support lists of lists; wrap the inner list in a Struct")
        if isinstance(info, inspect.AnyType):
            raise refuse(
                path, "a list of Any may contain null, which a BigQuery list cannot; declare the whole list as Any"
            )
    kind, fields = _kind(info, path, outer)
    if kind is Kind.JSON and mode is Mode.REQUIRED and isinstance(info, inspect.AnyType):
        mode = Mode.NULLABLE  # Any includes null
    return Column(
        name=name,
        attribute=field.name,
        kind=kind,
        mode=mode,
        description=description,
        roles=roles,
        fields=fields,
        closed=isinstance(info, inspect.EnumType | inspect.LiteralType),
        is_uuid=isinstance(info, inspect.UUIDType),
    )


def name_problem(name: str) -> str | None:
    """Return why no column can have this name, or None."""
    if not _NAME.fullmatch(name):
        return "a column name must consist of letters, digits and underscores, and must not begin with a digit"
    if name.lower().startswith(_RESERVED_PREFIXES):
        return "the prefix is reserved by BigQuery or by the service; rename the field"
    return None


def _unwrap_metadata(info: inspect.Type, path: str) -> tuple[inspect.Type, str, frozenset[Role]]:
    description, roles = "", frozenset[Role]()
    while isinstance(info, inspect.Metadata):
        description = description or (info.extra_json_schema or {}).get("description", "")
        for word in (info.extra or {}).get("sluice", ()):
            try:
                roles |= {Role(word)}
            except ValueError:
                known = ", ".join(role.value for role in Role)
                raise refuse(path, f'unknown role {word!r} in extra={{"sluice": …}}; the roles are {known}') from None
        info = info.type
    return info, description, roles


def _unwrap_optional(info: inspect.Type, path: str) -> tuple[inspect.Type, bool]:
    if not isinstance(info, inspect.UnionType):
        return info, False
    members = [member for member in info.types if not isinstance(member, inspect.NoneType)]
    if len(members) != 1:
        names = " | ".join(type(member).__name__.removesuffix("Type").lower() for member in members)
        raise refuse(path, f"a column must have one type, not {names}; use Any for a JSON column")
    return members[0], len(members) < len(info.types)


def _kind(info: inspect.Type, path: str, outer: tuple[type, ...]) -> tuple[Kind, tuple[Column, ...]]:
    match info:
        case inspect.StructType():
            return Kind.STRUCT, _struct_columns(info, path, outer)
        case inspect.EnumType():
            return _kind_of_values([member.value for member in info.cls], path), ()
        case inspect.LiteralType():
            return _kind_of_values(list(info.values), path), ()
        case inspect.DateTimeType() if info.tz is False:
            raise refuse(
                path, "a time without an offset is ambiguous; use Meta(tz=True), or separate date and time fields"
            )
        case inspect.TimeType() if info.tz:
            raise refuse(path, "a TIME column has no offset; use datetime, or Meta(tz=False)")
        case inspect.DictType():
            refuse_unjsonable(info, path)
            return Kind.JSON, ()
        case _ if (kind := _SCALARS.get(type(info))) is not None:
            return kind, ()
        case _:
            raise refuse(path, reason_for(info))


def _kind_of_values(values: list[object], path: str) -> Kind:
    types = {type(value) for value in values}
    if types == {str}:
        return Kind.STRING
    if types == {int}:
        return Kind.INT64  # msgspec itself refuses values beyond 64 bits
    raise refuse(path, "the values of an Enum or Literal must be all str or all int")


_SCALARS: dict[type[inspect.Type], Kind] = {
    inspect.BoolType: Kind.BOOL,
    inspect.IntType: Kind.INT64,
    inspect.FloatType: Kind.FLOAT64,
    inspect.DecimalType: Kind.NUMERIC,
    inspect.StrType: Kind.STRING,
    inspect.UUIDType: Kind.STRING,
    inspect.BytesType: Kind.BYTES,
    inspect.DateTimeType: Kind.TIMESTAMP,  # `checks` refuses a value without an offset
    inspect.DateType: Kind.DATE,
    inspect.TimeType: Kind.TIME,
    inspect.AnyType: Kind.JSON,
}


def flat(columns: tuple[Column, ...], prefix: str = "") -> list[tuple[str, Column]]:
    """Return every column with its dotted path, nested ones after the STRUCT that holds them."""
    entries: list[tuple[str, Column]] = []
    for column in columns:
        entries.append((prefix + column.name, column))
        entries.extend(flat(column.fields, f"{prefix}{column.name}."))
    return entries


def is_text(column: Column) -> bool:
    """Return whether a column may hold any text."""
    return column.kind is Kind.STRING and not column.closed and not column.is_uuid

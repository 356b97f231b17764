"""Walk a msgspec.Struct and say which column holds each field, or why none can.

The columns are BigQuery's types (https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types);
every other derivation starts from them.
"""

import enum
import re

import msgspec
from msgspec import inspect

from app.record import RecordTypeError

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
MAX_DEPTH = 15  # BigQuery's limit of nested RECORDs
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
    FILTER = "filter"
    AGGREGATE = "aggregate"


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """One field of the record as every store sees it.

    `name` is the column's and JSON's name, `attribute` the Struct's; `fields` is empty unless `kind` is
    STRUCT; `closed` says that the type allows a fixed set of values only (Enum, Literal).
    """

    name: str
    attribute: str
    kind: Kind
    mode: Mode
    description: str = ""
    roles: frozenset[Role] = frozenset()
    fields: tuple["Column", ...] = ()
    closed: bool = False


def columns_of(record_type: type[msgspec.Struct]) -> tuple[Column, ...]:
    """Return the columns of `record_type`, in the order of its fields.

    Raises:
        RecordTypeError: a field has no mapping; the message names its path and the reason.
    """
    try:
        info = inspect.type_info(record_type)
    except (TypeError, ValueError, NameError) as error:
        raise _refuse(record_type.__name__, f"msgspec cannot use this declaration: {error}") from error
    if not isinstance(info, inspect.StructType):  # pragma: no branch - load_record_type saw to it
        raise RecordTypeError(f"{record_type.__name__} is not a msgspec.Struct")
    return _struct_columns(info, record_type.__name__, ())


def _refuse(path: str, reason: str) -> RecordTypeError:
    return RecordTypeError(f"{path}: {reason}")


def _struct_columns(info: inspect.StructType, path: str, outer: tuple[type, ...]) -> tuple[Column, ...]:
    cls = info.cls
    config = cls.__struct_config__
    if cls in outer:
        raise _refuse(path, f"{cls.__name__} contains itself; a table cannot. Use dict[str, Any] for a JSON column")
    if len(outer) >= MAX_DEPTH:
        raise _refuse(path, f"nested deeper than {MAX_DEPTH} levels, BigQuery's limit")
    if info.array_like:
        raise _refuse(path, "array_like structs have no field names in JSON; remove array_like=True")
    if info.tag_field is not None:
        raise _refuse(path, "tagged structs add a field that has no column; remove tag=…")
    if config.omit_defaults:
        raise _refuse(path, "omit_defaults=True would store a default as NULL; remove it")
    if not info.fields:
        raise _refuse(path, f"{cls.__name__} has no fields")
    columns = tuple(_column(field, f"{path}.{field.encode_name}", (*outer, cls)) for field in info.fields)
    seen: dict[str, str] = {}
    for column in columns:
        twin = seen.setdefault(column.name.lower(), column.name)
        if twin != column.name:
            raise _refuse(path, f"{twin} and {column.name} differ only in case; column names do not")
    return columns


def _column(field: inspect.Field, path: str, outer: tuple[type, ...]) -> Column:
    name = field.encode_name
    if not _NAME.fullmatch(name):
        raise _refuse(path, "a column name has letters, digits and underscores, and does not begin with a digit")
    if name.lower().startswith(_RESERVED_PREFIXES):
        raise _refuse(path, "BigQuery keeps names with this prefix for itself")
    info, description, roles = _unwrap_metadata(field.type, path)
    info, optional = _unwrap_optional(info, path)
    info, inner_description, inner_roles = _unwrap_metadata(info, path)
    description, roles = description or inner_description, roles | inner_roles
    mode = Mode.REQUIRED if field.required and not optional else Mode.NULLABLE
    if isinstance(info, inspect.ListType):
        if optional:
            reason = "BigQuery cannot tell a missing list from an empty one; use list[…] with an empty default"
            raise _refuse(path, reason)
        mode, path = Mode.REPEATED, f"{path}[]"
        info, _, item_roles = _unwrap_metadata(info.item_type, path)
        roles = roles | item_roles
        info, item_optional = _unwrap_optional(info, path)
        if item_optional:
            raise _refuse(path, "a list cannot hold null in BigQuery; make the items not Optional")
        info, _, _ = _unwrap_metadata(info, path)
        if isinstance(info, inspect.ListType):
            raise _refuse(path, "BigQuery has no lists of lists; wrap the inner list in a Struct")
        if isinstance(info, inspect.AnyType):
            raise _refuse(path, "a list of Any may hold null, which BigQuery's lists cannot; use Any for the whole")
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
    )


def _unwrap_metadata(info: inspect.Type, path: str) -> tuple[inspect.Type, str, frozenset[Role]]:
    description, roles = "", frozenset[Role]()
    while isinstance(info, inspect.Metadata):
        description = description or (info.extra_json_schema or {}).get("description", "")
        for word in (info.extra or {}).get("sluice", ()):
            try:
                roles |= {Role(word)}
            except ValueError:
                known = ", ".join(role.value for role in Role)
                raise _refuse(path, f'unknown role {word!r} in extra={{"sluice": …}}; known: {known}') from None
        info = info.type
    return info, description, roles


def _unwrap_optional(info: inspect.Type, path: str) -> tuple[inspect.Type, bool]:
    if not isinstance(info, inspect.UnionType):
        return info, False
    if any(isinstance(member, inspect.CustomType) and member.cls is msgspec.UnsetType for member in info.types):
        raise _refuse(path, "UNSET has no column value; use None")
    members = [member for member in info.types if not isinstance(member, inspect.NoneType)]
    if len(members) != 1:
        names = " | ".join(type(member).__name__.removesuffix("Type").lower() for member in members)
        raise _refuse(path, f"a column has one type, not {names}; use Any for a JSON column")
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
            raise _refuse(path, "a time without an offset is no instant; use Meta(tz=True), or a date and a time field")
        case inspect.TimeType() if info.tz:
            raise _refuse(path, "a TIME column has no offset; use datetime, or Meta(tz=False)")
        case inspect.DictType():
            _check_json(info, path)
            return Kind.JSON, ()
        case _ if (kind := _SCALARS.get(type(info))) is not None:
            return kind, ()
        case _:
            raise _refuse(path, _REFUSALS.get(type(info), f"{type(info).__name__} has no column type; {_USE_ANY}"))


def _check_json(info: inspect.Type, path: str) -> None:
    """Refuse what JSON cannot carry inside a JSON column."""
    match info:
        case inspect.Metadata():
            _check_json(info.type, path)
        case inspect.UnionType():
            for member in info.types:
                _check_json(member, path)
        case inspect.ListType():
            _check_json(info.item_type, f"{path}[]")
        case inspect.DictType():
            if not isinstance(_unwrap_metadata(info.key_type, path)[0], inspect.StrType):
                raise _refuse(path, "a JSON object's keys are strings; use dict[str, …]")
            _check_json(info.value_type, f"{path}.*")
        case inspect.CustomType() | inspect.ExtType() | inspect.RawType():
            raise _refuse(path, _REFUSALS[type(info)])
        case _:
            return


def _kind_of_values(values: list[object], path: str) -> Kind:
    types = {type(value) for value in values}
    if types == {str}:
        return Kind.STRING
    if types == {int}:
        if not all(INT64_MIN <= value <= INT64_MAX for value in values if isinstance(value, int)):
            raise _refuse(path, "a value does not fit in 64 bits")
        return Kind.INT64
    raise _refuse(path, "the values of an Enum or Literal must be all str or all int to fit one column")


_USE_ANY = "use dict[str, Any] or Any for a JSON column"
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
_REFUSALS: dict[type[inspect.Type], str] = {
    inspect.TimeDeltaType: "BigQuery has no duration that clients agree on; use seconds as int or float",
    inspect.NoneType: "a column that is always null holds nothing",
    inspect.VarTupleType: "use list[…]",
    inspect.TupleType: "a tuple's positions have no names; use a Struct",
    inspect.SetType: "a set has no order to store; use list[…]",
    inspect.FrozenSetType: "a set has no order to store; use list[…]",
    inspect.DataclassType: "use msgspec.Struct for nested records",
    inspect.TypedDictType: "use msgspec.Struct for nested records",
    inspect.NamedTupleType: "use msgspec.Struct for nested records",
    inspect.ByteArrayType: "use bytes",
    inspect.MemoryViewType: "use bytes",
    inspect.RawType: f"Raw is not validated; {_USE_ANY}",
    inspect.ExtType: "Ext exists in MessagePack only",
    inspect.CustomType: "not a type of msgspec; declare it with bool, int, float, Decimal, "
    "str, bytes, datetime, date, time, UUID, Enum, Literal, list, Struct, dict, Any",
}


def flat(columns: tuple[Column, ...], prefix: str = "") -> list[tuple[str, Column]]:
    """Return every column with its dotted path, nested ones after the STRUCT that holds them."""
    found: list[tuple[str, Column]] = []
    for column in columns:
        found.append((prefix + column.name, column))
        found.extend(flat(column.fields, f"{prefix}{column.name}."))
    return found

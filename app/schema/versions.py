"""The versions of a record type: what a declaration of them must say, and the JSON Schema of all. Pure."""

from typing import Any, get_type_hints

import msgspec
from msgspec import inspect

from app.record import RecordType, Versions
from app.schema.columns import Kind, sound_columns
from app.schema.json_schema import record_schema
from app.schema.personal_columns import stored_columns
from app.schema.refusals import Faults, refuse
from app.schema.undeclared_members import rest_field


def newest_of(record_type: RecordType) -> type[msgspec.Struct]:
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


_NO_REST = (
    "a type with versions cannot keep undeclared members, as an upgrade would not see them; choose "
    'forbid_unknown_fields=True or undeclared: ClassVar = "drop"'
)
_NO_STRUCT = "expected types that are msgspec.Struct"


def check_older(versions: Versions) -> None:
    """Check the older types, their upgrades, and the member that names the version.

    Raises:
        RecordTypeError: naming everything that is wrong.
    """
    faults = Faults()
    following = zip(versions.types, versions.names, versions.types[1:], strict=False)
    for older, name, then in following:
        columns, own = sound_columns(older)
        stored_columns(columns, older.__name__, None, own)
        with faults.collected():
            own.report()
        with faults.collected():
            _check_upgrade(versions, older, name, then)
    for each in versions.types:
        with faults.collected():
            if _keeps(each):
                raise refuse(each.__name__, _NO_REST)
    if versions.member:
        for each in versions.types[1:]:
            with faults.collected():
                _check_member(each, versions)
    faults.report()


def _keeps(declared: type[msgspec.Struct]) -> bool:
    info = inspect.type_info(declared)
    return isinstance(info, inspect.StructType) and rest_field(info) is not None


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


def _check_member(declared: type[msgspec.Struct], versions: Versions) -> None:
    kinds = {column.name: column.kind for column in sound_columns(declared)[0]}
    kind, path = kinds.get(versions.member), f"{declared.__name__}.{versions.member}"
    if kind not in {Kind.STRING, Kind.INT64}:
        raise refuse(path, "the member names the version, and must be declared as text or a whole number")
    if kind is Kind.INT64 and not all(name.isdecimal() for name in versions.names):
        raise refuse(path, f"the member is a whole number, and the names are not: {', '.join(versions.names)}")


def json_schema(record_type: type[msgspec.Struct], versions: Versions | None) -> dict[str, Any]:
    """Return the JSON Schema of a record; of all versions, newest first, if there are several."""
    if versions is None:
        return record_schema(record_type)
    schemas, named = msgspec.json.schema_components(reversed(versions.types), ref_template="#/$defs/{name}")
    return {"anyOf": [*schemas], "$defs": named}

"""The versions of a record type: what a declaration of them must say. Pure."""

from typing import Any, get_type_hints

import msgspec

from app.record import RecordType, Versions
from app.schema.columns import Kind, Role, sound_columns
from app.schema.refusals import Faults, refuse
from app.schema.roles import stored_columns


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
        with faults.collected():
            _check_rest(older, then)
    if versions.member:
        for each in versions.types[1:]:
            with faults.collected():
                _check_member(each, versions)
    faults.report()


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


def _check_rest(older: type[msgspec.Struct], then: type[msgspec.Struct]) -> None:
    if any(Role.REST in column.roles for column in sound_columns(older)[0]) and not any(
        Role.REST in column.roles for column in sound_columns(then)[0]
    ):
        reason = f"{older.__name__} keeps undeclared members, which this version would lose: give it a rest, too"
        raise refuse(then.__name__, reason)


def _check_member(declared: type[msgspec.Struct], versions: Versions) -> None:
    kinds = {column.name: column.kind for column in sound_columns(declared)[0]}
    kind, path = kinds.get(versions.member), f"{declared.__name__}.{versions.member}"
    if kind not in {Kind.STRING, Kind.INT64}:
        raise refuse(path, "the member names the version, and must be declared as text or a whole number")
    if kind is Kind.INT64 and not all(name.isdecimal() for name in versions.names):
        raise refuse(path, f"the member is a whole number, and the names are not: {', '.join(versions.names)}")

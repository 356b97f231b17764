"""Read records of several versions of one type: which version a record is, and how it becomes the newest. Pure.

A record is decoded by the type of its version and upgraded step by step. Each step is validated again as JSON, because
a Struct that Python code makes is not validated. An `upgrade` that raises is that record's error.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from app.ingest.decode.faults import FaultFinder, FieldFault, fault_of
from app.record import Versions
from app.schema.columns import columns_of
from app.schema.undeclared_members import NONE_UNDECLARED, RestError, Undeclared, UndeclaredReader, undeclared_reader

_MAX_NAME_BYTES = 100


class _Version(NamedTuple):
    """A version: its name, its type and decoder, what makes its records those of the next, and two readers of JSON."""

    name: str
    type: Any
    decoder: Any
    upgrade: Callable[[Any], Any] | None
    faults: FaultFinder
    undeclared: UndeclaredReader | None


class VersionedError(Exception):
    """A record cannot become one of the newest version; `fault` says why."""

    def __init__(self, fault: FieldFault) -> None:
        super().__init__(fault.detail)
        self.fault = fault


class VersionReader:
    """Reads the records of one type that has versions."""

    def __init__(self, versions: Versions) -> None:
        self._attribute, self._member, self._newest = versions.attribute, versions.member, len(versions.types) - 1
        self._versions = [
            _Version(
                name,
                each,
                msgspec.json.Decoder(each),
                versions.upgrade_of(each),
                FaultFinder(each, columns_of(each)),
                undeclared_reader(each),
            )
            for name, each in zip(versions.names, versions.types, strict=True)
        ]
        self._by_name = {version.name: index for index, version in enumerate(self._versions)}
        named = msgspec.field(default=msgspec.Raw(b""), name=self._member or "version")
        self._peek: Any = msgspec.json.Decoder(msgspec.defstruct("Peek", [("version", msgspec.Raw, named)]))

    def decode(self, piece: bytes, attributes: Mapping[str, str]) -> tuple[msgspec.Struct, Undeclared]:
        """Return the record in `piece`, of a message with these attributes, as one of the newest version.

        The other value counts the undeclared members that its version keeps or drops.

        Raises:
            VersionedError: its version is unknown, its rest cannot be filled, or an upgrade failed.
            msgspec.DecodeError: it is not JSON, or not a record of its version.
        """
        start = self.index_of(piece, attributes)
        version = self._versions[start]
        record: msgspec.Struct = version.decoder.decode(piece)
        undeclared = NONE_UNDECLARED
        if version.undeclared is not None:
            try:
                undeclared = version.undeclared.take(record, piece)
            except RestError as error:
                raise VersionedError(FieldFault(error.name, str(error))) from None
        for index in range(start, self._newest):
            record = self._upgraded(record, index)
        return record, undeclared

    def faults_of(self, piece: bytes, attributes: Mapping[str, str]) -> tuple[FaultFinder | None, str]:
        """Return what finds the errors of a record of this version, and the name for their texts; none if unknown."""
        try:
            version = self._versions[self.index_of(piece, attributes)]
        except (VersionedError, msgspec.DecodeError, UnicodeDecodeError):
            return None, ""
        return version.faults, f"version {version.name}: "

    @property
    def accepts_undeclared(self) -> bool:
        """Whether any version keeps or drops undeclared members."""
        return any(version.undeclared is not None for version in self._versions)

    def index_of(self, piece: bytes, attributes: Mapping[str, str]) -> int:
        """Return the position of the version of a record: the one that it names, or the oldest.

        Raises:
            VersionedError: its version is unknown.
            msgspec.DecodeError: it is no JSON object.
        """
        name = self._name(self._peek.decode(piece).version) if self._member else attributes.get(self._attribute, "")
        index = self._by_name.get(name) if name else 0
        if index is None:
            where = f"member `{self._member}`" if self._member else f"attribute `{self._attribute}`"
            detail = f"unknown version {name[:40]!r} in the {where}: expected one of {', '.join(self._by_name)}"
            raise VersionedError(FieldFault(self._member or None, detail))
        return index

    @staticmethod
    def _name(raw: msgspec.Raw) -> str:
        data = bytes(raw)
        if len(data) > _MAX_NAME_BYTES:
            return data[:_MAX_NAME_BYTES].decode(errors="replace")
        value = msgspec.json.decode(data) if data else None
        return "" if value is None else str(value)

    def _upgraded(self, record: msgspec.Struct, index: int) -> msgspec.Struct:
        version, then = self._versions[index], self._versions[index + 1]
        try:
            made = None if version.upgrade is None else version.upgrade(record)
            encoded = msgspec.json.encode(made) if isinstance(made, then.type) else None
        except Exception as error:  # any error in the declaration's own code is the record's
            detail = f"the upgrade to version {then.name} raised {type(error).__name__}: {error}"
            raise VersionedError(FieldFault(None, detail, detail)) from None
        if encoded is None:
            expected = f"returned {type(made).__name__}: expected {then.type.__name__}"
            raise VersionedError(FieldFault(None, f"the upgrade to version {then.name} {expected}"))
        try:
            upgraded: msgspec.Struct = then.decoder.decode(encoded)
        except Exception as error:  # likewise
            fault = fault_of(error)
            detail = f"after the upgrade to version {then.name}: {fault.detail}"
            raise VersionedError(fault._replace(detail=detail)) from None
        if version.undeclared is not None and then.undeclared is not None:
            then.undeclared.carry_over(version.undeclared.rest_in(record), upgraded)
        return upgraded

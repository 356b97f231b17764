"""Remove personal data from rejects: from the bytes of the record, and from what its errors quote. Pure.

A record that is a JSON object is scrubbed member by member: hashed, redacted and dropped as its type says. The value of
every member that the type does not declare becomes the mark, since it may be a misspelt field. Bytes that cannot be
read as one object are not kept: the detail says how many there were, and their keyed hash.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from app.ingest.decode.rejects import Reject
from app.ingest.decode.versions import VersionedError, VersionReader
from app.record import Versions
from app.schema.columns import PII, Column, Kind, Mode, Role
from app.schema.protection import MARK, Hasher, declared_columns, holds_personal_data
from app.schema.roles import is_text
from app.schema.table import Table

SCRUBBED, WITHHELD = "scrubbed", "withheld"
"""The states of a reject whose bytes are not those that were sent."""
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_items = msgspec.json.Decoder(list[msgspec.Raw])
_text = msgspec.json.Decoder(str)


class _Node(NamedTuple):
    """What becomes of a member: its column, and the members inside it if it is a Struct."""

    column: Column
    inner: "_Members | None"


_Members = Mapping[str, _Node]


def scrubber_of(table: Table, hasher: Hasher | None) -> "RejectScrubber | None":
    """Return the scrubber of the rejects of `table`; None if no version of its type holds personal data."""
    return RejectScrubber(declared_columns(table), table.versions, hasher) if holds_personal_data(table) else None


class RejectScrubber:
    """Scrubs the rejects of one table; `columns` are those of each version, or of the only type."""

    def __init__(self, columns: Sequence[tuple[Column, ...]], versions: Versions | None, hasher: Hasher | None) -> None:
        self._members, self._hasher = [_nodes(each) for each in columns], hasher
        self._versions = None if versions is None else VersionReader(versions)

    def scrubbed(self, rejected: Reject, attributes: Mapping[str, str]) -> Reject:
        """Return a reject of a message with these attributes, without personal data; its texts have no values."""
        try:
            raw = msgspec.json.encode(self._object(rejected.raw, self._nodes_of(rejected.raw, attributes)))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, VersionedError):
            return withheld(rejected, self._hasher)
        return msgspec.structs.replace(rejected, raw=raw, state=SCRUBBED)

    def _nodes_of(self, raw: bytes, attributes: Mapping[str, str]) -> _Members:
        if self._versions is None:
            return self._members[0]
        return self._members[self._versions.index_of(raw, attributes)]

    def _object(self, raw: bytes, nodes: _Members) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for name, value in _members.decode(raw).items():
            node = nodes.get(name)
            if node is None:
                kept[name] = MARK
            elif Role.DROP not in node.column.roles:
                kept[name] = self._value(value, node)
        return kept

    def _value(self, value: msgspec.Raw, node: _Node, *, is_item: bool = False) -> Any:
        raw = bytes(value)
        if raw == b"null" or (node.inner is None and not node.column.roles & PII):
            return value
        if Role.REDACT in node.column.roles:
            return _redacted(node.column)
        try:
            if node.column.mode is Mode.REPEATED and not is_item:
                return [self._value(item, node, is_item=True) for item in _items.decode(raw)]
            if node.inner is not None:
                return self._object(raw, node.inner)
            return MARK if self._hasher is None else self._hasher(_text.decode(raw))
        except msgspec.DecodeError:  # no text, list or object: whatever it is, it is where personal data belongs
            return MARK


def _redacted(column: Column) -> Any:
    """Return what replaces a redacted value in a reject: what the type is most likely to accept in a replay."""
    if column.mode is Mode.REPEATED:
        return []
    return MARK if is_text(column) else None


def withheld(rejected: Reject, hasher: Hasher | None) -> Reject:
    """Return a reject without its bytes, whose detail says how many there were, and their hash if there is a secret."""
    hashed = "" if hasher is None else f", {hasher.of_bytes(rejected.raw)}"
    detail = f"{rejected.detail} (the {len(rejected.raw)} bytes are withheld, as they may hold personal data{hashed})"
    return msgspec.structs.replace(rejected, detail=detail, raw=b"", state=WITHHELD)


def _nodes(columns: tuple[Column, ...]) -> _Members:
    return {
        column.name: _Node(column, _nodes(column.fields) if column.kind is Kind.STRUCT else None) for column in columns
    }

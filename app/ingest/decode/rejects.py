"""Rejected records as rows of the rejects table: the reason, the field, and the original bytes. Pure.

Personal data are removed from the bytes of the record, and from what its errors quote. A record that is a JSON object
is scrubbed member by member: hashed, redacted and dropped as its type says. The value of every member that the type
does not declare becomes the mark, since it may be a misspelt field. Bytes that cannot be read as one object are not
kept: the detail says how many there were, and their keyed hash.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from app.ingest.decode.envelope import Message
from app.ingest.decode.faults import MAX_FAULTS, FieldFault
from app.ingest.decode.payload import is_ndjson_type
from app.ingest.decode.versions import VersionedError, VersionReader
from app.record import RejectedRecord, RejectReason, Versions
from app.schema.columns import PII, Column, Kind, Mode, Role, is_text
from app.schema.protection import MARK, Hasher, declared_columns, holds_personal_data
from app.schema.table import Table
from app.stores.sink import RowEncode, part_key

_MAX_FIELD, _MAX_DETAIL, _MAX_LISTED, _MAX_ENCODING = 300, 1_000, 300, 40
STATE = "sluice-payload"
"""The attribute of a reject whose bytes are not those that were sent."""
SCRUBBED, WITHHELD = "scrubbed", "withheld"
"""The states of a reject whose bytes are not those that were sent."""
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_items = msgspec.json.Decoder(list[msgspec.Raw])
_text = msgspec.json.Decoder(str)


_COLUMN_BYTES = 1_000
"""The most that the columns of a reject's row take, without its payload, attributes, detail and field."""


class Reject(msgspec.Struct, frozen=True, kw_only=True):
    """A record of a message that cannot be stored, made by `reject`. `raw` holds its bytes.

    If it has several errors, `faults` holds each, `field` the path of the first, and `detail` names all. `state` says
    what became of bytes that are not those that were sent.
    """

    index: int
    reason: RejectReason
    detail: str
    field: str | None
    raw: bytes
    faults: tuple[FieldFault, ...] = ()
    state: str = ""


def reject(index: int, reason: RejectReason, detail: str, *, raw: bytes, field: str | None = None) -> Reject:
    """Return the reject of a record; quotes from the record are truncated, so that the row stays small."""
    return Reject(
        index=index,
        reason=reason,
        detail=detail[:_MAX_DETAIL],
        field=field and field[:_MAX_FIELD],
        raw=raw,
    )


def with_faults(rejected: Reject, faults: Sequence[FieldFault], version: str = "") -> Reject:
    """Return the reject of a record with these errors, whose detail begins with the name of the record's version."""
    cut = tuple(
        dict.fromkeys(FieldFault(each.field and each.field[:_MAX_FIELD], each.detail[:_MAX_LISTED]) for each in faults)
    )
    if len(cut) == 1:  # its text may be longer than one of several
        return msgspec.structs.replace(rejected, detail=version + faults[0].detail[:_MAX_DETAIL], faults=())
    number = f"at least {MAX_FAULTS}" if len(cut) == MAX_FAULTS else str(len(cut))
    detail = f"{version}{number} errors: " + "; ".join(fault.detail for fault in cut)
    return msgspec.structs.replace(rejected, detail=detail, faults=cut)


def _envelope(message: Message, state: str) -> dict[str, Any]:
    """Return the envelope of a reject, with everything that a replay needs to read the bytes in the same way.

    Over HTTP, the type and the encoding are headers. Here they become attributes, as in a pushed message; so does the
    `state` of the bytes.
    """
    envelope = message.envelope()
    attributes = {**message.attributes, STATE: state} if state else dict(message.attributes)
    if message.message_id is not None:
        return envelope | {"attributes": attributes}
    if is_ndjson_type(message.content_type):
        attributes["content-type"] = message.content_type.partition(";")[0].strip().lower()
    if message.content_encoding:
        attributes["content-encoding"] = message.content_encoding.strip().lower()[:_MAX_ENCODING]
    return envelope | {"attributes": attributes}


class RejectBudget:
    """Counts the rejects of one message, and the bytes that their rows will take, before any row is made.

    Every row repeats the message's attributes, so a small message could produce gigabytes.
    """

    def __init__(self, message: Message, *, max_rejects: int, max_bytes: int) -> None:
        self._message, self._max_rejects, self._max_bytes = message, max_rejects, max_bytes
        self._envelope_bytes = self._bytes = self._count = 0
        self._first: Reject | None = None

    def allows(self, rejected: Reject) -> bool:
        """Count one more reject; return whether all of them are still within the limits."""
        if self._first is None:
            self._first = rejected
            self._envelope_bytes = _COLUMN_BYTES + len(msgspec.json.encode(self._message.attributes))
        self._count += 1
        quoted = len(rejected.detail) + len(rejected.field or "")
        self._bytes += self._envelope_bytes + quoted + (len(rejected.raw) + 2) // 3 * 4  # base64
        if self._count == 1:
            return True  # rejecting the whole message would be no smaller
        return self._count <= self._max_rejects and self._bytes <= self._max_bytes

    def exceeded(self, read: int, of: int) -> Reject:
        """Return a single reject for the whole message, of which `read` of `of` records were read."""
        first = self._first
        if first is None:
            raise ValueError("nothing was rejected")
        place = f" at `{first.field}`" if first.field else ""
        detail = (
            f"{self._count} of the first {read} records (of {of}) were rejected, {self._bytes} bytes as rows: "
            f"expected at most {self._max_rejects} rejects and {self._max_bytes} bytes in one message. The "
            f"first was record {first.index}, {first.reason}{place}: {first.detail}"
        )
        return reject(0, "too_many_rejects", detail, raw=self._message.data, field=first.field)


def combined(rejects: Sequence[Reject], *, is_ndjson: bool) -> Reject:
    """Return one reject in place of several; its bytes are those of all of them, as an array or as lines.

    A replay of it is a message of exactly these records.
    """
    first, raws = rejects[0], [each.raw for each in rejects]
    indexes = ", ".join(str(each.index) for each in rejects[:50]) + (", …" if len(rejects) > 50 else "")
    detail = f"the store refused {len(rejects)} rows (records {indexes}); the first error: {first.detail}"
    raw = b"\n".join(raws) if is_ndjson else b"[" + b",".join(raws) + b"]"
    return reject(first.index, "too_many_rejects", detail, raw=raw, field=first.field)


def prefix_of(stream: str) -> str:
    """Return the prefix of the delivery keys of rejects of `stream`, or of no stream if it is empty.

    Pub/Sub may deliver one message to two streams, and the rejects of both count. The default stream needs no prefix.
    """
    return f"{stream}/"


UNROUTABLE_PREFIX = prefix_of("")


def reject_keys(message: Message, rejected: Reject, max_part_bytes: int, *, prefix: str) -> list[str]:
    """Return the delivery keys of the rows of a reject: one, or several if its bytes are more than `max_part_bytes`."""
    # Reads leave out canaries by the beginning of their keys.
    delivery_key = ("" if message.is_canary else prefix) + message.delivery_key(rejected.index)
    parts = max(-(-len(rejected.raw) // max_part_bytes), 1)
    return [part_key(delivery_key, part) for part in range(parts)]


def encode_rejects(  # noqa: PLR0913 - the parts of a row
    message: Message,
    rejects: Iterable[Reject],
    encoder: Callable[[Mapping[str, Any]], RowEncode],
    max_part_bytes: int,
    *,
    stream: str | None,
    prefix: str = "",
) -> Iterator[bytes]:
    """Yield the rows of the rejects of a message to `stream`, one for each of their keys."""
    encoders: dict[str, RowEncode] = {}  # the rows of one state share the encoded envelope
    for rejected in rejects:
        encode = encoders.get(rejected.state) or encoder(_envelope(message, rejected.state))
        encoders[rejected.state] = encode
        keys = reject_keys(message, rejected, max_part_bytes, prefix=prefix)
        for part, key in enumerate(keys):
            start = part * max_part_bytes
            row = RejectedRecord(
                reason=rejected.reason,
                detail=rejected.detail,
                field=rejected.field,
                payload=rejected.raw[start : start + max_part_bytes],
                part=part,
                parts=len(keys),
                stream=stream,
            )
            yield encode(row, rejected.index, key)


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

"""Rejected records as rows of the rejects table: the reason, the field, and the original bytes. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from app.ingest.decode.envelope import Message
from app.ingest.decode.faults import MAX_FAULTS, FieldFault
from app.ingest.decode.hints import is_ndjson_type
from app.record import RejectedRecord, RejectReason
from app.stores.sink import RowEncode, part_key

_MAX_FIELD, _MAX_DETAIL, _MAX_LISTED, _MAX_ENCODING = 300, 1_000, 300, 40
STATE = "sluice-payload"
"""The attribute of a reject whose bytes are not those that were sent."""
_COLUMN_BYTES = 1_000
"""The most that the columns of a reject's row take, without its payload, attributes, detail and field."""


class Reject(msgspec.Struct, frozen=True, kw_only=True):
    """A record of a message that cannot be stored, made by `reject`. `raw` holds its bytes.

    If it has several errors, `faults` holds each, `field` the path of the first, and `detail` names all. `state` says
    what became of bytes that are not those that were sent (app.ingest.decode.scrubbing).
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


def original_key(reject_key: str, stream: str | None) -> str:
    """Return the delivery key that a rejected record had in `stream`, without the prefix."""
    return reject_key.removeprefix(prefix_of(stream or ""))


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

"""What could not be stored, as rows of the rejects table: the reason, the field, and the bytes as they came."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from app.ingest.appender import RowEncode
from app.ingest.envelope import Message
from app.ingest.hints import is_ndjson_type
from app.record import RejectedRecord

_MAX_FIELD, _MAX_DETAIL = 300, 1_000
_MAX_ENCODING = 40


class Reject(msgspec.Struct, frozen=True, kw_only=True):
    """A record that cannot be stored, made by `reject`. `reason` is one of RejectedRecord's; `raw` its bytes."""

    message: Message
    index: int
    reason: str
    detail: str
    field: str | None
    raw: bytes


def reject(  # noqa: PLR0913 - the parts of one reject
    message: Message, index: int, reason: str, detail: str, *, raw: bytes, field: str | None = None
) -> Reject:
    """Return the reject of a record; what it quotes of the record is cut, so that the reject's row stays small."""
    return Reject(
        message=message,
        index=index,
        reason=reason,
        detail=detail[:_MAX_DETAIL],
        field=field and field[:_MAX_FIELD],
        raw=raw,
    )


def _envelope(message: Message) -> dict[str, Any]:
    """Return the envelope of a message, with what a replay needs to read the bytes as they were read.

    Over HTTP the type and the encoding are headers; as attributes they are what a pushed message has.
    """
    envelope = message.envelope()
    if message.message_id is not None or not (message.content_type or message.content_encoding):
        return envelope
    attributes = dict(message.attributes)
    if is_ndjson_type(message.content_type):
        attributes["content-type"] = message.content_type.partition(";")[0].strip().lower()
    if message.content_encoding:
        attributes["content-encoding"] = message.content_encoding.strip().lower()[:_MAX_ENCODING]
    return envelope | {"attributes": attributes}


def encode_reject(
    rejected: Reject, encoder: Callable[[Mapping[str, Any]], RowEncode], max_part_bytes: int
) -> list[bytes]:
    """Return the rows of a reject: one, or several when its bytes are more than `max_part_bytes`.

    The first part keeps the record's delivery key, so that a replay can keep it too; the others add their
    number, as two rows of one key would pass for copies.
    """
    cuts = range(0, max(len(rejected.raw), 1), max_part_bytes)
    encode, delivery_key = encoder(_envelope(rejected.message)), rejected.message.delivery_key(rejected.index)
    rows = []
    for part, start in enumerate(cuts):
        row = RejectedRecord(
            reason=rejected.reason,  # type: ignore[arg-type] # the reasons are literals where they are made
            detail=rejected.detail,
            field=rejected.field,
            payload=rejected.raw[start : start + max_part_bytes],
            part=part,
            parts=len(cuts),
        )
        rows.append(encode(row, rejected.index, f"{delivery_key}#{part}" if part else delivery_key))
    return rows

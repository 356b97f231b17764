"""What could not be stored, as rows of the rejects table: the reason, the field, and the bytes as they came."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from app.ingest.appender import RowEncode
from app.ingest.envelope import Message
from app.record import RejectedRecord

_MAX_FIELD, _MAX_DETAIL = 300, 1_000


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


def encode_reject(
    rejected: Reject, encoder: Callable[[Mapping[str, Any]], RowEncode], max_part_bytes: int
) -> list[bytes]:
    """Return the rows of a reject: one, or several when its bytes are more than `max_part_bytes`.

    The first part keeps the record's delivery key, so that a replay can keep it too; the others add their
    number, as two rows of one key would pass for copies.
    """
    cuts = range(0, max(len(rejected.raw), 1), max_part_bytes)
    encode, delivery_key = encoder(rejected.message.envelope()), rejected.message.delivery_key(rejected.index)
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

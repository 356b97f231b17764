"""What could not be stored, as rows of the rejects table: the reason, the field, and the bytes as they came."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from app.ingest.envelope import Message
from app.record import RejectedRecord


class Reject(msgspec.Struct, frozen=True, kw_only=True):
    """A record that cannot be stored. `reason` is one of RejectedRecord's; `raw` the record's bytes."""

    message: Message
    index: int
    reason: str
    detail: str
    field: str | None
    raw: bytes


def encode_reject(
    reject: Reject, encode: Callable[[msgspec.Struct, Mapping[str, Any]], bytes], max_part_bytes: int
) -> list[bytes]:
    """Return the rows of a reject: one, or several when its bytes are more than `max_part_bytes`.

    The first part keeps the record's delivery key, so that a replay can keep it too; the others add their
    number, as two rows of one key would pass for copies.
    """
    cuts = range(0, max(len(reject.raw), 1), max_part_bytes)
    rows = []
    for part, start in enumerate(cuts):
        row = RejectedRecord(
            reason=reject.reason,  # type: ignore[arg-type] # the reasons are literals where they are made
            detail=reject.detail,
            field=reject.field,
            payload=reject.raw[start : start + max_part_bytes],
            part=part,
            parts=len(cuts),
        )
        envelope = reject.message.envelope(reject.index)
        if part:
            envelope["delivery_key"] += f"#{part}"
        rows.append(encode(row, envelope))
    return rows

"""The parameters that the queries share. Pure."""

from app.query.cursor import Position
from app.query.params.page import Window
from app.query.slices import Slice
from app.runtime.instants import clamp
from app.stores.source import Scalar


def bounds(part: Slice | Window, lookback_us: int) -> dict[str, Scalar]:
    """Return the bounds of a query, in microseconds since the epoch: the time range and the look-back before it."""
    from_us, to_us = (part.from_us, part.to_us) if isinstance(part, Slice) else (part.since_us, part.until_us)
    return {
        "from_us": from_us,
        "to_us": to_us,
        "lookback_from_us": clamp(from_us - lookback_us),
        "lookback_micros": lookback_us,
    }


def place(after: Position | None) -> dict[str, Scalar]:
    """Return the position after which to read; empty without one."""
    return {} if after is None else {"after_us": after.ingest_us, "after_key": after.delivery_key}

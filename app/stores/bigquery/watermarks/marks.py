"""The table `_instances`: its columns, its rows, and the statement that reads each instance's newest mark. Pure."""

import functools
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from app.runtime.instants import epoch_us, from_epoch_us
from app.schema.table import Table, records_table
from app.stores.bigquery.watermarks.rules import Limits, Mark, State
from app.stores.sink import RowEncode
from app.stores.sql.statement import Statement

INSTANCES = "_instances"  # no stream may have this name
RETENTION_DAYS = 1


class InstanceMark(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far one instance has settled."""

    instance: Annotated[str, Meta(description="The instance: random, and another one at each start.")]
    state: Annotated[State, Meta(description="`live`; or `bye`, after which this instance stores nothing any more.")]
    through: Annotated[
        datetime,
        Meta(tz=True, description="What this instance stamped earlier is stored, or will never be, in every table."),
    ]
    written: Annotated[datetime, Meta(tz=True, description="When it said so, by its clock.")]


@functools.cache
def instances_table() -> Table:
    """Return the table of marks, which are kept for a day."""
    return records_table(InstanceMark, name=INSTANCES, retention_days=RETENTION_DAYS)


ENVELOPE: dict[str, Any] = {
    **dict.fromkeys(("subscription_name", "message_id", "publish_time", "ordering_key", "trace_id")),
    "attributes": {},
}
"""The envelope of every mark: none has come in a message."""


def encode(encoder: RowEncode, mark: Mark) -> bytes:
    """Return the row of `mark`; `encoder` is that of ENVELOPE."""
    row = InstanceMark(
        instance=mark.instance,
        state=mark.state,
        through=from_epoch_us(mark.through_us),
        written=from_epoch_us(mark.written_us),
    )
    return encoder(row, 0, f"{mark.instance}:{mark.written_us}")


_NEWEST = """
SELECT instance, state, through, written
FROM `_instances`
WHERE ingest_time >= @from_us
QUALIFY ROW_NUMBER() OVER (PARTITION BY instance ORDER BY written DESC) = 1
""".strip()


def newest_marks(asked_us: int, limits: Limits) -> Statement:
    """Return the statement that reads the newest mark of each instance that is not forgotten at `asked_us`.

    A row is stamped when its mark is sent, never before it was made; the two clocks may differ by twice the skew.
    """
    from_us = asked_us - limits.forgotten_us - 2 * limits.skew_us
    return Statement(sql=_NEWEST, parameters={"from_us": from_us}, purpose="horizon", is_cheap=True)


def mark_of(row: dict[str, Any]) -> Mark:
    """Return the mark in a row of that statement."""
    return Mark(row["instance"], State(row["state"]), epoch_us(row["through"]), epoch_us(row["written"]))

"""Count the undeclared members that a record type drops, of the records that were stored."""

import asyncio
import logging
from collections.abc import Callable, Container, Mapping

from app.ingest.envelope import Message
from app.ingest.record_versions import VersionReader
from app.ingest.rows import Rows
from app.schema.table import Table
from app.schema.undeclared_members import count_dropped
from app.telemetry.metrics import Metrics

_log = logging.getLogger("sluice.ingest")
_YIELD_BYTES = 64 * 1024  # a fraction of a millisecond between two turns of the event loop


class DroppedMembers:
    """Counts dropped members if the record type drops any; for any other, `counts` is False and nothing is read."""

    def __init__(self, table: Table, metrics: Metrics) -> None:
        self._count_of, self._metrics = _counter(table), metrics
        self.counts = self._count_of is not None

    async def count(self, message: Message, rows: Rows, refused: Container[int]) -> None:
        """Count the members dropped from `rows`, except those at the indexes `refused`, yielding between records.

        The log line names the message and how many, never a member: undeclared names are content of the record.
        """
        if self._count_of is None:
            return
        dropped = unyielded = 0
        for row in rows:
            if row.index in refused:
                continue
            dropped += self._count_of(row.raw, message.attributes)
            unyielded += len(row.raw)
            if unyielded >= _YIELD_BYTES:
                unyielded = 0
                await asyncio.sleep(0)
        if dropped:
            self._metrics.dropped_members += dropped
            _log.warning(
                "dropped %d undeclared members of message %s, as the record type requires",
                dropped,
                message.message_id or message.key,
            )


def _counter(table: Table) -> Callable[[bytes, Mapping[str, str]], int] | None:
    """Return what counts the members that a record of a message with some attributes drops; None if none ever does."""
    if table.versions is not None:
        versions = VersionReader(table.versions)
        return versions.count_dropped if versions.drops else None
    count = count_dropped(table.record_type)
    return None if count is None else lambda raw, _: count(raw)

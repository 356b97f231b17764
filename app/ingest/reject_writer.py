"""Make rejects durable: rows of the one table of rejects, whatever their stream."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from app.environment import Environment
from app.ingest.decode.envelope import Message
from app.ingest.decode.rejects import Reject, encode_rejects, reject_keys
from app.ingest.intake import Allowance
from app.ingest.verdict import DURABLE, NO_ROOM, Durable, Throttled, Unavailable, Verdict
from app.ingest.write.earlier import EarlierCopies, not_looked_up
from app.ingest.write.table_writer import TableWriter
from app.schema.table import REJECTS
from app.settings.rules import ENVELOPE_BYTES
from app.stores.sink import RowEncode
from app.stores.source import QueryError
from app.telemetry.metrics import NO_STREAM

_log = logging.getLogger("sluice.ingest")
_YIELD_BYTES, _ROW_COUNTS_BYTES = 1024 * 1024, 10_000  # a few milliseconds between two turns of the event loop


class RejectWriter:
    """Writes the rejects of all streams."""

    def __init__(
        self,
        writer: TableWriter,
        encoder: Callable[[Mapping[str, Any]], RowEncode],
        environment: Environment,
        *,
        max_batch_bytes: int,
        earlier: EarlierCopies | None = None,
    ) -> None:
        self.writer, self._encoder, self._metrics = writer, encoder, environment.metrics
        self._earlier = earlier
        # Base64 makes the bytes a third longer, and the row has an envelope.
        self.max_part_bytes = max((max_batch_bytes - ENVELOPE_BYTES) * 3 // 4, 1)
        """The most bytes of a reject in one row."""

    async def store(
        self,
        message: Message,
        rejects: Sequence[Reject],
        stream: str | None,
        prefix: str,
        allowance: Allowance,
    ) -> Verdict:
        """Store the rejects of one message of `stream`; None if no stream takes it.

        Their delivery keys begin with `prefix`: two streams may reject the same message, and both rejects count.
        """
        if self._earlier is not None and self._earlier.concerns(message):
            try:
                rejects = await self._new(message, rejects, prefix, self._earlier)
            except QueryError as error:
                return not_looked_up(error)
            if not rejects:
                return DURABLE
        encoded = await self._encoded(message, rejects, stream, prefix, allowance)
        if encoded is None:
            return NO_ROOM
        verdict = await self.writer.submit(encoded, allowance.deadline_us, span=message.span)
        if isinstance(verdict, Throttled):  # the store accepts records, so the caller need not slow down
            verdict = Unavailable(verdict.detail, verdict.retry_after_s)
        if isinstance(verdict, Durable):
            self._note(message, rejects, stream or NO_STREAM)
        return verdict

    async def _encoded(
        self, message: Message, rejects: Sequence[Reject], stream: str | None, prefix: str, allowance: Allowance
    ) -> list[bytes] | None:
        """Return the rows of rejects, and let other requests proceed in between; None if there is no room for them."""
        encoded, since = list[bytes](), 0
        for row in encode_rejects(message, rejects, self._encoder, self.max_part_bytes, stream=stream, prefix=prefix):
            if not allowance.has_room(len(row)):
                return None
            encoded.append(row)
            since += len(row) + _ROW_COUNTS_BYTES
            if since > _YIELD_BYTES:
                since = 0
                await asyncio.sleep(0)
        return encoded

    async def _new(
        self, message: Message, rejects: Sequence[Reject], prefix: str, earlier: EarlierCopies
    ) -> list[Reject]:
        """Return the rejects of which some row is not stored yet."""
        keys = [reject_keys(message, each, self.max_part_bytes, prefix=prefix) for each in rejects]
        stored = await earlier.stored(REJECTS, message, [key for each in keys for key in each])
        return [each for each, own in zip(rejects, keys, strict=True) if not stored.issuperset(own)]

    def _note(self, message: Message, rejects: Sequence[Reject], stream: str) -> None:
        for each in rejects:
            self._metrics.rejected_records[each.reason, stream] += 1
        first = rejects[0]
        # The name of an undeclared field is content of the record, so it is not logged.
        field = "an unknown field" if "unknown field" in first.detail else first.field or "no field named"
        _log.warning(
            "rejected %d of the records of message %s; first reason: %s (%s)",
            len(rejects),
            message.message_id or message.key,
            first.reason,
            field,
        )

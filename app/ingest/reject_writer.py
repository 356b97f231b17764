"""Make rejects durable: rows of the one table of rejects, whatever their stream."""

import logging
from collections.abc import Sequence

from app.ingest.decode.rejects import Reject, encode_rejects, reject_keys
from app.ingest.earlier import EarlierCopies, not_looked_up
from app.ingest.time_slicing import CooperativeRunner
from app.ingest.verdict import DURABLE, Durable, Throttled, Unavailable, Verdict
from app.ingest.write.table_writer import TableWriter
from app.runtime.ledger import Holding
from app.schema.table import REJECTS
from app.settings.rules import ENVELOPE_BYTES
from app.stores.sink import Appender
from app.stores.source import QueryError
from app.telemetry.metrics import NO_STREAM, Metrics

_log = logging.getLogger("sluice.ingest")


class RejectWriter:
    """Writes the rejects of all streams."""

    def __init__(  # noqa: PLR0913 - what it writes with
        self,
        writer: TableWriter,
        appender: Appender,
        cooperative: CooperativeRunner,
        metrics: Metrics,
        *,
        max_batch_bytes: int,
        earlier: EarlierCopies | None = None,
    ) -> None:
        self.writer, self._encoder, self._cooperative, self._metrics = writer, appender.encoder, cooperative, metrics
        self._earlier = earlier
        # Base64 makes the bytes a third longer, and the row has an envelope.
        self.max_part_bytes = max((max_batch_bytes - ENVELOPE_BYTES) * 3 // 4, 1)
        """The most bytes of a reject in one row."""

    async def store(
        self, rejects: Sequence[Reject], stream: str | None, prefix: str, deadline_us: int, holding: Holding | None
    ) -> Verdict:
        """Store the rejects of one message of `stream`; None if no stream takes it.

        Their delivery keys begin with `prefix`: two streams may reject the same message, and both rejects count.
        """
        if self._earlier is not None and self._earlier.concerns(rejects[0].message):
            try:
                rejects = await self._new(rejects, prefix, self._earlier)
            except QueryError as error:
                return not_looked_up(error)
            if not rejects:
                return DURABLE
        steps = encode_rejects(rejects, self._encoder, self.max_part_bytes, stream=stream, prefix=prefix)
        encoded = await self._cooperative.run(steps, deadline_us, holding)
        if isinstance(encoded, Unavailable | Throttled):
            return encoded
        verdict = await self.writer.submit(encoded, deadline_us, span=rejects[0].message.span)
        if isinstance(verdict, Throttled):  # the store accepts records, so the caller need not slow down
            verdict = Unavailable(verdict.detail, verdict.retry_after_s)
        if isinstance(verdict, Durable):
            self._note(rejects, stream or NO_STREAM)
        return verdict

    async def _new(self, rejects: Sequence[Reject], prefix: str, earlier: EarlierCopies) -> list[Reject]:
        """Return the rejects of which some row is not stored yet."""
        keys = [reject_keys(each, self.max_part_bytes, prefix=prefix) for each in rejects]
        stored = await earlier.stored(REJECTS, rejects[0].message, [key for each in keys for key in each])
        return [each for each, own in zip(rejects, keys, strict=True) if not stored.issuperset(own)]

    def _note(self, rejects: Sequence[Reject], stream: str) -> None:
        for each in rejects:
            self._metrics.rejected_records[each.reason, stream] += 1
        first = rejects[0]
        # The name of an undeclared field is content of the record, so it is not logged.
        field = "an unknown field" if "unknown field" in first.detail else first.field or "no field named"
        message = first.message.message_id or first.message.key
        _log.warning(
            "rejected %d of the records of message %s; first reason: %s (%s)",
            len(rejects),
            message,
            first.reason,
            field,
        )

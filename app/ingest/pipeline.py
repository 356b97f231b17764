"""The stages every message goes through, whoever sent it, and what became of it."""

import asyncio
import logging
from collections.abc import Sequence

import msgspec

from app.clock import MICROSECONDS, Clock
from app.ingest.appender import Appender
from app.ingest.batcher import BatchLimits
from app.ingest.dedupe import Claimed, Conflict, Dedupe, InFlight, Remembered
from app.ingest.envelope import Message
from app.ingest.pending import Refused
from app.ingest.records import Limits, RecordReader, Row
from app.ingest.rejects import Reject, encode_reject
from app.ingest.verdict import Durable, Unavailable, Verdict
from app.ingest.writer import Writer, WriterLimits
from app.schema.table import Table
from app.settings import ENVELOPE_BYTES, Settings
from app.telemetry import Counters

_log = logging.getLogger("sluice.ingest")


class Receipt(msgspec.Struct, frozen=True):
    """What became of a message: the verdict on the whole, its good rows and its rejects by index."""

    verdict: Verdict
    rows: tuple[tuple[int, str | int | None], ...] = ()
    """Index and id of each record that was stored."""
    rejects: tuple[Reject, ...] = ()


class Pipeline:
    """Takes messages until they are durable. `admission` is asked by those who call, `process` never refuses."""

    def __init__(  # noqa: PLR0913 - the dependencies of the whole way in
        self,
        *,
        table: Table,
        records: Appender,
        rejects: Appender,
        settings: Settings,
        clock: Clock,
        counters: Counters,
    ) -> None:
        limits = Limits(
            max_decompressed_bytes=settings.max_decompressed_bytes,
            max_records_per_message=settings.max_records_per_message,
            max_record_bytes=settings.max_record_bytes,
        )
        writer_limits = WriterLimits(
            batch=BatchLimits(max_rows=settings.max_batch_rows, max_bytes=settings.max_batch_bytes),
            append_deadline_s=settings.append_deadline_s,
            max_open_bytes=settings.max_in_flight_bytes,
        )
        self._reader = RecordReader(table, records.encode, limits)
        self._encode_reject = rejects.encode
        # In base64 the bytes grow by a third, and the row has an envelope.
        self._max_part_bytes = max((settings.max_batch_bytes - ENVELOPE_BYTES) * 3 // 4, 1)
        self._clock, self._counters = clock, counters
        self._budget_us = round(settings.request_budget_s * MICROSECONDS)
        self._dedupe: Dedupe[Receipt] = Dedupe(
            max_messages=settings.dedupe_max_messages, max_age_s=settings.dedupe_lookback_s, now_us=clock.now_us
        )
        self.records = Writer(records, clock, writer_limits)
        self.rejects = Writer(rejects, clock, writer_limits)

    async def process(self, message: Message, digest: str = "") -> Receipt | Conflict:
        """Make `message` durable and say what became of it.

        `digest` tells two messages of one key apart (an Idempotency-Key used with another body): Conflict.
        """
        match self._dedupe.claim(message.key, digest):
            case Claimed():
                pass
            case InFlight(result):
                self._counters.duplicate_messages += 1
                return await asyncio.shield(result)
            case Remembered(receipt):
                self._counters.duplicate_messages += 1
                return receipt
            case Conflict() as conflict:
                return conflict
        receipt = Receipt(Unavailable("the message was given up", 1.0))
        try:
            receipt = await self._store(message)
        finally:
            durable = isinstance(receipt.verdict, Durable)
            # A push is answered by its verdict alone: the rest need not be remembered.
            kept = receipt if digest or not durable else _DURABLE
            self._dedupe.settle(message.key, kept, stored=durable)
        return receipt

    async def drain(self, grace_s: float) -> None:
        """Wait until what was admitted is answered, at most `grace_s` seconds: records first, then rejects."""
        begun_us = self._clock.now_us()
        await self.records.drain(grace_s)
        left_s = grace_s - (self._clock.now_us() - begun_us) / MICROSECONDS
        await self.rejects.drain(max(left_s, 0.0))

    async def _store(self, message: Message) -> Receipt:
        """Decode, append, and wait: first for the rejects, then for the records."""
        rows, rejects = self._reader.read(message)
        deadline_us = self._clock.now_us() + self._budget_us
        refused: list[Reject] = []

        async def reject_refused(found: Sequence[Refused]) -> Verdict:
            made = [_refusal(rows[refusal.position], refusal) for refusal in found]
            verdict = await self._store_rejects(made, deadline_us)
            if isinstance(verdict, Durable):
                refused.extend(made)
            return verdict

        verdict: Verdict = Durable()
        if rejects:
            verdict = await self._store_rejects(rejects, deadline_us)
        if rows and isinstance(verdict, Durable):
            verdict = await self.records.submit([row.encoded for row in rows], deadline_us, reject_refused)
        if not isinstance(verdict, Durable):
            return Receipt(verdict)
        gone = {reject.index for reject in refused}
        stored = tuple((row.index, row.id) for row in rows if row.index not in gone)
        self._counters.stored_records += len(stored)
        return Receipt(verdict, stored, (*rejects, *refused))

    async def _store_rejects(self, rejects: Sequence[Reject], deadline_us: int) -> Verdict:
        encoded = [
            row for reject in rejects for row in encode_reject(reject, self._encode_reject, self._max_part_bytes)
        ]
        verdict = await self.rejects.submit(encoded, deadline_us)
        if isinstance(verdict, Durable):
            for reject in rejects:
                self._counters.rejected_records[reject.reason] += 1
            first = rejects[0]
            message, field = first.message.message_id or first.message.key, first.field or "no field named"
            _log.warning("rejected %d of message %s, first: %s (%s)", len(rejects), message, first.reason, field)
        return verdict


_DURABLE = Receipt(Durable())


def _refusal(row: Row, refusal: Refused) -> Reject:
    return Reject(
        message=row.message,
        index=row.index,
        reason="refused",
        detail=refusal.error.detail,
        field=refusal.error.field,
        raw=row.raw,
    )

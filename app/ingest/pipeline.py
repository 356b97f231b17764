"""The stages that every message goes through, whatever its sender, and its receipt."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from app.environment import Environment
from app.http.problems import FieldError, ProblemError
from app.ingest.decode.envelope import Message
from app.ingest.decode.heavy import HeavyReads
from app.ingest.decode.reader import Decoded, RecordId, RecordReader, Rows
from app.ingest.decode.rejects import UNROUTABLE_PREFIX, Reject, encode_rejects, reject, reject_keys, withheld
from app.ingest.intake import MESSAGE_BYTES, Allowance, StreamShares
from app.ingest.verdict import DURABLE, NO_ROOM, Durable, Throttled, Unavailable, Verdict
from app.ingest.write.dedupe import Dedupe, InFlight, New, Seen
from app.ingest.write.earlier import EarlierCopies, not_looked_up
from app.ingest.write.table_writer import TableWriter
from app.record import RejectReason
from app.runtime.clock import MICROSECONDS
from app.runtime.ledger import Holding
from app.schema.protection import hasher_of
from app.schema.table import REJECTS, Table
from app.settings.ingest import ENVELOPE_BYTES
from app.stores.sink import RowEncode, RowError
from app.stores.source import QueryError
from app.telemetry.metrics import NO_STREAM

_log = logging.getLogger("sluice.ingest")
_UNIT_BYTES = 300
_YIELD_BYTES, _ROW_COUNTS_BYTES = 1024 * 1024, 10_000  # a few milliseconds between two turns of the event loop


class Receipt(msgspec.Struct, frozen=True, gc=False):  # remembered in large numbers, and free of cycles
    """The result of a message: the verdict on the whole and, on request, the result for each record."""

    verdict: Verdict
    stored: tuple[tuple[int, RecordId], ...] = ()
    """Index and id of each record that was stored."""
    rejected: tuple[Reject, ...] = ()
    """Without their bytes."""
    known: int = 0
    """How many records were in the table already, as `EarlierCopies` found."""

    @property
    def weight(self) -> int:
        """Its size in memory, in units of about 300 bytes."""
        if not self.stored and not self.rejected:
            return 1
        records = len(self.stored) + len(self.rejected)
        return 1 + records + len(msgspec.msgpack.encode((self.stored, self.rejected))) // _UNIT_BYTES


class One(msgspec.Struct, frozen=True):
    """The one record that a message may hold: the name of the id field, the id as a text, and as it is stored.

    The stored id is None if the text cannot be one.
    """

    name: str
    text: str
    record_id: RecordId | None

    def check(self, read: Decoded) -> None:
        """Check that nothing but this record was read; what is no record of the type is a reject like any other.

        Raises:
            ProblemError: `id_mismatch`.
        """
        ids = read.rows.ids
        if len(ids) + len(read.rejects) != 1 or (ids and ids[0] != self.record_id):
            wrong = FieldError(name=self.name, message="must be the id in the path", example=self.text[:128])
            detail = f"expected one record whose `{self.name}` is the id in the path"
            raise ProblemError("id_mismatch", detail, errors=(wrong,))


class RejectWriter:
    """Writes the rejects of all streams."""

    def __init__(
        self,
        environment: Environment,
        writer: TableWriter,
        encoder: Callable[[Mapping[str, Any]], RowEncode],
        earlier: EarlierCopies | None = None,
    ) -> None:
        self._writer, self._encoder, self._metrics, self._earlier = writer, encoder, environment.metrics, earlier
        # Base64 makes the bytes a third longer, and the row has an envelope.
        self.max_part_bytes = max((environment.settings.ingest.max_batch_bytes - ENVELOPE_BYTES) * 3 // 4, 1)
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
        verdict = await self._writer.submit(encoded, allowance.deadline_us, span=message.span)
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


class Shared(msgspec.Struct, frozen=True, kw_only=True):
    """What the pipelines of all streams share.

    Without `heavy`, the event loop reads heavy messages, too. `earlier` finds records that the table has held for long;
    without it, only reads recognise copies. Without `shares`, a stream may use everything.
    """

    environment: Environment
    dedupe: Dedupe[Receipt]
    rejects: RejectWriter
    heavy: HeavyReads | None = None
    earlier: EarlierCopies | None = None
    shares: StreamShares | None = None


class Pipeline:
    """Makes the messages of one stream durable.

    The keys of a stream other than the default one begin with `prefix`, since Pub/Sub may deliver one message to two
    streams. `on_canary` is called for each stored canary, with its first record's delivery key and its publish time
    (microseconds since the epoch).
    """

    def __init__(  # noqa: PLR0913 - the parts of one stream
        self,
        shared: Shared,
        table: Table,
        encoder: Callable[[Mapping[str, Any]], RowEncode],
        records: TableWriter,
        *,
        prefix: str = "",
        on_canary: Callable[[str, int], None] | None = None,
    ) -> None:
        settings = shared.environment.settings
        self.stream, self._prefix, self._earlier = table.name, prefix, shared.earlier
        self._limits, self._heavy, self._hasher = settings.ingest, shared.heavy, hasher_of(settings.store.pii_secret)
        self._reader = RecordReader(table, encoder, settings.ingest, self._hasher)
        self._clock, self._metrics, self._on_canary = shared.environment.clock, shared.environment.metrics, on_canary
        self._budget_us = round(settings.ingest.request_budget_s * MICROSECONDS)
        self._dedupe, self.records, self.rejects = shared.dedupe, records, shared.rejects
        self._shares = shared.shares

    def digest(self, key: str) -> str | None:
        """Return the digest of the message with this `key`; None if this instance knows of none."""
        return self._dedupe.digest(self._prefix + key)

    async def process(
        self,
        message: Message,
        *,
        digest: str = "",
        detailed: bool = False,
        holding: Holding | None = None,
        only: One | None = None,
    ) -> Receipt:
        """Make `message` durable and return its receipt; `detailed` adds the result for each record.

        Everything made from the message is charged to `holding`, which the caller releases. A message that was read at
        once is not charged: its rows are about as large as its body, and the writer limits the bytes of all rows.
        """
        size = max(len(message.data), MESSAGE_BYTES)
        if self._shares is not None and not self._shares.enter(self.stream, size):
            return Receipt(
                Throttled(f"too many messages of the stream {self.stream} are in flight on this instance", 1.0)
            )
        try:
            # Drop a known copy: it is answered as the first one.
            key = (UNROUTABLE_PREFIX if message.unroutable else self._prefix) + message.key
            match self._dedupe.claim(key, digest):
                case New():
                    pass
                case InFlight(result):
                    self._metrics.duplicate_messages[self.stream] += 1
                    return await asyncio.shield(result)
                case Seen(receipt):
                    self._metrics.duplicate_messages[self.stream] += 1
                    return receipt
            receipt = Receipt(_GIVEN_UP)
            try:
                receipt = await self._store(message, holding, only, detailed=detailed)
            finally:
                stored = isinstance(receipt.verdict, Durable)
                self._dedupe.settle(key, receipt, stored=stored, weight=receipt.weight)
            return receipt
        finally:
            if self._shares is not None:
                self._shares.leave(self.stream, size)

    async def _store(  # noqa: C901, PLR0911, PLR0912 - the stages, in one place
        self, message: Message, holding: Holding | None, only: One | None, *, detailed: bool
    ) -> Receipt:
        """Decode, append, and wait: first for the rejects, then for the records."""
        allowance = Allowance(self._clock.elapsed_us() + self._budget_us, holding)
        if message.unroutable:
            rejected = reject(0, "unroutable", message.unroutable, raw=message.data)
            if message.may_be_personal:
                rejected = withheld(rejected, self._hasher)
            verdict = await self.rejects.store(message, (rejected,), None, UNROUTABLE_PREFIX, allowance)
            return _receipt_of_reject(verdict, rejected)
        # Decode.
        read = self._reader.read_light(message)
        if read is None:
            heavy = await self._read_heavy(message, allowance)
            if isinstance(heavy, Unavailable | Throttled):
                return Receipt(heavy)
            read = heavy
        if only is not None:
            only.check(read)
        rows, rejects = read.rows, read.rejects
        known = 0
        if rows and self._earlier is not None and self._earlier.concerns(message):
            keys = [message.delivery_key(index) for index in rows.indexes]
            try:
                stored = await self._earlier.stored(self.stream, message, keys)
            except QueryError as error:
                return Receipt(not_looked_up(error))
            rows = rows.without({position for position, key in enumerate(keys) if key in stored})
            known = len(keys) - len(rows)
        # Store the rejects.
        refused: list[Reject] = []
        verdict = DURABLE
        if rejects:
            # Rejects are not stored again with each delivery while the records must wait.
            if rows and (refusal := self.records.refusal()) is not None:
                return Receipt(refusal)
            verdict = await self._store_rejects(message, rejects, allowance)
        # Append the rows.
        if rows and isinstance(verdict, Durable):
            # Bound for every push but rarely called, so the call itself makes whatever else it needs.
            reject_refused = partial(self._reject_refused, message, rows, refused, allowance)
            verdict = await self.records.submit(
                rows.encoded,
                allowance.deadline_us,
                reject_refused,
                message.span,
                key=message.key,
            )
        if not isinstance(verdict, Durable):
            return Receipt(verdict)
        if read.undeclared:
            self._note_undeclared(message, read)
        self._note_stored(message, rows, refused)
        if not detailed:
            return _STORED
        refused_rows = {each.index for each in refused}
        return Receipt(
            verdict,
            tuple((index, record_id) for index, record_id in rows.by_index() if index not in refused_rows),
            (*map(_without_bytes, rejects), *refused),
            known,
        )

    async def refuse(self, message: Message, reason: RejectReason, detail: str) -> Receipt:
        """Store `message` among the rejects, whole and unread, because its sender could not make records of it."""
        rejected = reject(0, reason, detail, raw=message.data)
        allowance = Allowance(self._clock.elapsed_us() + self._budget_us)
        return _receipt_of_reject(await self._store_rejects(message, (rejected,), allowance), rejected)

    async def _read_heavy(self, message: Message, allowance: Allowance) -> Decoded | Unavailable | Throttled:
        refusal = self.records.refusal()
        if refusal is not None:  # do not read the payload for nothing
            return refusal
        if self._heavy is None:
            return self._reader.read(message)
        return await self._heavy.read(self._reader, message, allowance)

    def _note_stored(self, message: Message, rows: Rows, refused: Sequence[Reject]) -> None:
        self._metrics.stored_records[self.stream] += len(rows) - len(refused)
        if message.published_us is not None:
            delay_us = max(self._clock.now_us() - message.published_us, 0)  # the publisher's clock may be ahead
            self._metrics.message_delay.record(delay_us / MICROSECONDS, self.stream)
            if self._on_canary is not None and message.is_canary and rows and not refused:
                self._on_canary(message.delivery_key(rows.indexes[0]), message.published_us)

    async def _reject_refused(
        self,
        message: Message,
        rows: Rows,
        refused: list[Reject],
        allowance: Allowance,
        refusals: Mapping[int, RowError],
    ) -> Verdict:
        """Store the rejects of the rows in `refusals`, which the store has refused, and add them to `refused`.

        If they exceed the limits of the message, one reject holds the bytes of all of `refusals`.
        """
        named = [
            reject(rows.indexes[position], "refused", error.detail, raw=b"", field=error.field)
            for position, error in refusals.items()
        ]
        allowed = self._limits.max_rejects_per_message - len(refused)
        if self._heavy is None or self._reader.is_small(message):
            made: Sequence[Reject] = self._reader.rejects_of(message, named, allowed)
        else:
            made = await self._heavy.rejects_of(self._reader, message, named, allowed)
        verdict = await self._store_rejects(message, made, allowance)
        if isinstance(verdict, Durable):
            refused.extend(named)
        return verdict

    async def _store_rejects(self, message: Message, rejects: Sequence[Reject], allowance: Allowance) -> Verdict:
        return await self.rejects.store(message, rejects, self.stream, self._prefix, allowance)

    def _note_undeclared(self, message: Message, read: Decoded) -> None:
        """Count the undeclared members of a message that is durable.

        The log line says how many were dropped, never which: their names are content of the record.
        """
        dropped = 0
        for (path, outcome), count in read.undeclared.items():
            self._metrics.seen_members[self.stream].note(path, outcome, count)
            self._metrics.undeclared_members[outcome, self.stream] += count
            dropped += count if outcome == "dropped" else 0
        if dropped:
            _log.warning(
                "dropped %d undeclared members of message %s, as the record type requires",
                dropped,
                message.message_id or message.key,
            )


_GIVEN_UP = Unavailable("the write was abandoned before it completed", 1.0)
_STORED = Receipt(DURABLE)


def _receipt_of_reject(verdict: Verdict, rejected: Reject) -> Receipt:
    return Receipt(verdict, (), (_without_bytes(rejected),)) if isinstance(verdict, Durable) else Receipt(verdict)


def _without_bytes(rejected: Reject) -> Reject:
    return msgspec.structs.replace(rejected, raw=b"")

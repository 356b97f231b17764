"""The stages of the messages of one stream, whatever their sender, and their receipts."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import msgspec

from app.environment import Environment
from app.ingest.decode.envelope import Message
from app.ingest.decode.heavy import HeavyReads
from app.ingest.decode.reader import Decoded, RecordId, RecordReader, Rows
from app.ingest.decode.rejects import UNROUTABLE_PREFIX, Reject, encode_rejects, prefix_of, reject, reject_keys
from app.ingest.intake import MESSAGE_BYTES, Allowance, StreamShares
from app.ingest.verdict import (
    DURABLE,
    NO_ROOM,
    Durable,
    NotDurableError,
    Throttled,
    Unavailable,
    Verdict,
    require_durable,
)
from app.ingest.write.batching import SharedTarget
from app.ingest.write.dedupe import Dedupe, EarlierCopies, not_looked_up
from app.ingest.write.table_writer import TableWriter
from app.runtime.clock import MICROSECONDS
from app.runtime.ledger import Reservation
from app.schema.protection import hasher_of
from app.schema.table import REJECTS, Table
from app.settings.ingest import ENVELOPE_BYTES
from app.stores.sink import Appender, RowError
from app.stores.source import QueryError
from app.streams import Streams
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


class Pipelines:
    """The pipelines of all streams, by name, and what they share: a memory, reads of heavy messages, and the rejects.

    `appenders` are keyed by the table's name, and `system` is the store's name in traces. `on_canary` is called for
    each stored canary, with its first record's delivery key and its publish time (microseconds since the epoch).
    Without `heavy`, the event loop reads heavy messages, too. `earlier` finds records that the table has held for long;
    without it, only reads recognise copies. Without `shares`, a stream may use everything.
    """

    def __init__(  # noqa: PLR0913 - the dependencies of all of ingest
        self,
        environment: Environment,
        streams: Streams,
        appenders: Mapping[str, Appender],
        *,
        system: str,
        heavy: HeavyReads | None = None,
        earlier: EarlierCopies | None = None,
        shares: StreamShares | None = None,
        on_canary: Callable[[str, int], None] | None = None,
    ) -> None:
        limits, target = environment.settings.ingest, SharedTarget()
        self.environment, self.appenders, self.on_canary = environment, appenders, on_canary
        self.heavy, self.earlier, self.shares = heavy, earlier, shares
        self.writers = {
            table.name: TableWriter(
                appenders[table.name],
                environment,
                table=table.name,
                system=system,
                shared=None if table is streams.rejects else target,  # rejects have a target of their own
            )
            for table in (*streams.tables, streams.rejects)
        }
        """The writer of each table, by the table's name."""
        self.dedupe = Dedupe[Receipt](
            max_weight=limits.dedupe_max_messages,
            max_age_s=environment.settings.query.dedupe_lookback_s,
            elapsed_us=environment.clock.elapsed_us,
        )
        self.by_stream = {
            table.name: Pipeline(self, table, is_default=table is streams.default.table) for table in streams.tables
        }

    async def close(self) -> None:
        """End all work; the messages that still wait get Unavailable."""
        if self.heavy is not None:
            await self.heavy.close()
        await asyncio.gather(*(writer.close() for writer in self.writers.values()))


class Pipeline:
    """The stages from the first look for copies to the last durable row, for the messages of one stream.

    They raise NotDurableError. `claim` and `settle` enclose all others. `PushEndpoint.take` calls them in order for a
    push, and `process` in the same order for all other messages: one more call would cost every push.
    """

    def __init__(self, shared: Pipelines, table: Table, *, is_default: bool) -> None:
        settings, appenders = shared.environment.settings, shared.appenders
        self.stream, self._limits = table.name, settings.ingest
        # Pub/Sub may deliver one message to two streams, and the rows and rejects of both count.
        self._prefix = "" if is_default else prefix_of(table.name)
        hasher = hasher_of(settings.store.pii_secret)
        self._reader = RecordReader(table, appenders[table.name].encoder, settings.ingest, hasher)
        self.decode_light = self._reader.read_light
        """Returns the rows and the rejects of a light message; None for any other."""
        self._clock, self._metrics = shared.environment.clock, shared.environment.metrics
        self._budget_us = round(settings.ingest.request_budget_s * MICROSECONDS)
        self.records, self._dedupe, self._heavy = shared.writers[table.name], shared.dedupe, shared.heavy
        self.earlier, self._shares = shared.earlier, shared.shares
        self._on_canary = shared.on_canary if is_default else None
        self._rejects, self._encoder_of_rejects = shared.writers[REJECTS], appenders[REJECTS].encoder
        # Base64 makes the bytes a third longer, and the row has an envelope.
        self.max_part_bytes = max((settings.ingest.max_batch_bytes - ENVELOPE_BYTES) * 3 // 4, 1)
        """The most bytes of a reject in one row."""

    def allowance(self, reservation: Reservation | None = None, begun_us: int = 0) -> Allowance:
        """Return what a message may use from `begun_us` on (the clock's `elapsed_us`; by default now).

        What is made from it is charged to `reservation`.

        A message that is read at once is not charged: its rows are about as large as its body, and the writer limits
        the bytes of all rows.
        """
        return Allowance((begun_us or self._clock.elapsed_us()) + self._budget_us, reservation)

    def digest(self, key: str) -> str | None:
        """Return the digest of the message with this `key`; None if this instance knows of none."""
        return self._dedupe.digest(self._prefix + key)

    def claim(self, message: Message, digest: str = "") -> Receipt | asyncio.Future[Receipt] | None:
        """Return the receipt of the first copy of `message`, now or later; None if there is none, and then `settle`."""
        key = (UNROUTABLE_PREFIX if message.unroutable else self._prefix) + message.key
        known = self._dedupe.claim(key, digest)
        if known is not None:
            self._metrics.duplicate_messages[self.stream] += 1
            return known
        if self._shares is not None and not self._shares.enter(self.stream, _size(message)):
            crowded = Throttled(f"too many messages of the stream {self.stream} are in flight on this instance", 1.0)
            self._dedupe.settle(key, Receipt(crowded), stored=False)
            raise NotDurableError(crowded)
        return None

    def settle(self, message: Message, receipt: Receipt) -> None:
        """Give `receipt` to all copies of a claimed message."""
        if self._shares is not None:
            self._shares.leave(self.stream, _size(message))
        key = (UNROUTABLE_PREFIX if message.unroutable else self._prefix) + message.key
        self._dedupe.settle(key, receipt, stored=receipt.verdict is DURABLE, weight=receipt.weight)

    async def decode_heavy(self, message: Message, allowance: Allowance) -> Decoded:
        """Return the rows and the rejects of a message that is not light, from the worker process."""
        if (refusal := self.records.refusal()) is not None:  # do not read the payload for nothing
            raise NotDurableError(refusal)
        if self._heavy is None:
            return self._reader.read(message)
        read = await self._heavy.read(self._reader, message, allowance)
        if not isinstance(read, Decoded):
            raise NotDurableError(read)
        return read

    async def without_stored(self, message: Message, decoded: Decoded) -> Decoded:
        """Return what was decoded without the rows that the table holds."""
        rows = decoded.rows
        if self.earlier is None or not rows or not self.earlier.concerns(message):
            return decoded
        keys = [message.delivery_key(index) for index in rows.indexes]
        try:
            stored = await self.earlier.stored(self.stream, message, keys)
        except QueryError as error:
            raise NotDurableError(not_looked_up(error)) from None
        return msgspec.structs.replace(
            decoded, rows=rows.without({position for position, key in enumerate(keys) if key in stored})
        )

    async def reject(self, message: Message, decoded: Decoded, allowance: Allowance) -> None:
        """Store the rejects; not again with each delivery while the records must wait."""
        if decoded.rows and (refusal := self.records.refusal()) is not None:
            raise NotDurableError(refusal)
        require_durable(await self.store_rejects(message, decoded.rejects, allowance))

    async def append(self, message: Message, rows: Rows, allowance: Allowance) -> Sequence[Reject]:
        """Append the rows, and wait until they are durable; return the rejects of those that the store refused."""
        refused: list[Reject] = []
        # Bound for every push but rarely called, so the call itself makes whatever else it needs.
        reject_refused = partial(self._reject_refused, message, rows, refused, allowance)
        verdict = await self.records.submit(
            rows.encoded, allowance.deadline_us, reject_refused, message.span, key=message.key
        )
        if verdict is not DURABLE:
            require_durable(verdict)
        return refused

    def note(self, message: Message, decoded: Decoded, refused: Sequence[Reject] = ()) -> None:
        """Count what has become durable."""
        rows = decoded.rows
        self._metrics.stored_records[self.stream] += len(rows) - len(refused)
        for outcome, count in decoded.undeclared.items():
            self._metrics.undeclared_members[outcome, self.stream] += count
        if message.published_us is not None and not message.unroutable:
            delay_us = max(self._clock.now_us() - message.published_us, 0)  # the publisher's clock may be ahead
            self._metrics.message_delay.record(delay_us / MICROSECONDS, self.stream)
            if self._on_canary is not None and message.is_canary and rows and not refused:
                self._on_canary(message.delivery_key(rows.indexes[0]), message.published_us)

    async def process(
        self,
        message: Message,
        *,
        digest: str = "",
        reservation: Reservation | None = None,
        check: Callable[[Decoded], None] | None = None,
    ) -> Receipt:
        """Make `message` durable, and return the result for each record; `check` may raise an error that ends it.

        Raises:
            NotDurableError: it is not durable.
        """
        if (known := self.claim(message, digest)) is not None:
            receipt = known if isinstance(known, Receipt) else await asyncio.shield(known)
            require_durable(receipt.verdict)
            return receipt
        receipt = ABANDONED
        try:
            allowance = self.allowance(reservation)
            decoded = read = self.decode_light(message) or await self.decode_heavy(message, allowance)
            if check is not None:
                check(decoded)
            if self.earlier is not None:
                decoded = await self.without_stored(message, read)
            if decoded.rejects:
                await self.reject(message, decoded, allowance)
            refused = await self.append(message, decoded.rows, allowance) if decoded.rows else ()
            self.note(message, decoded, refused)
            receipt = _receipt_of(decoded, refused, known=len(read.rows) - len(decoded.rows))
        except NotDurableError as error:
            receipt = Receipt(error.verdict)
            raise
        finally:
            self.settle(message, receipt)
        return receipt

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
        verdict = await self.store_rejects(message, made, allowance)
        if isinstance(verdict, Durable):
            refused.extend(named)
        return verdict

    async def store_rejects(self, message: Message, rejects: Sequence[Reject], allowance: Allowance) -> Verdict:
        """Store the rejects of one message."""
        stream, prefix = (None, UNROUTABLE_PREFIX) if message.unroutable else (self.stream, self._prefix)
        if self.earlier is not None and self.earlier.concerns(message):
            keys = [reject_keys(message, each, self.max_part_bytes, prefix=prefix) for each in rejects]
            try:
                stored = await self.earlier.stored(REJECTS, message, [key for each in keys for key in each])
            except QueryError as error:
                return not_looked_up(error)
            rejects = [each for each, own in zip(rejects, keys, strict=True) if not stored.issuperset(own)]
            if not rejects:
                return DURABLE
        encoded, since = list[bytes](), 0
        for row in encode_rejects(
            message, rejects, self._encoder_of_rejects, self.max_part_bytes, stream=stream, prefix=prefix
        ):
            if not allowance.has_room(len(row)):
                return NO_ROOM
            encoded.append(row)
            since += len(row) + _ROW_COUNTS_BYTES
            if since > _YIELD_BYTES:  # let other requests proceed
                since = 0
                await asyncio.sleep(0)
        verdict = await self._rejects.submit(encoded, allowance.deadline_us, span=message.span)
        if isinstance(verdict, Throttled):  # the store accepts records, so the caller need not slow down
            verdict = Unavailable(verdict.detail, verdict.retry_after_s)
        if isinstance(verdict, Durable):
            self._note_rejected(message, rejects, stream or NO_STREAM)
        return verdict

    def _note_rejected(self, message: Message, rejects: Sequence[Reject], stream: str) -> None:
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


ABANDONED = Receipt(Unavailable("the write was abandoned before it completed", 1.0))
STORED = Receipt(DURABLE)


def _size(message: Message) -> int:
    return max(len(message.data), MESSAGE_BYTES)


def _receipt_of(decoded: Decoded, refused: Sequence[Reject], *, known: int) -> Receipt:
    indexes = {each.index for each in refused}
    stored = tuple((index, record_id) for index, record_id in decoded.rows.by_index() if index not in indexes)
    rejected = [msgspec.structs.replace(each, raw=b"") for each in decoded.rejects]
    return Receipt(DURABLE, stored, (*rejected, *refused), known)

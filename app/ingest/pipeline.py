"""The stages that every message goes through, whatever its sender, and its receipt."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from app.ingest.decode.envelope import Message
from app.ingest.decode.faults import FieldFault
from app.ingest.decode.hints import is_ndjson_type
from app.ingest.decode.reader import Decoded, RecordReader
from app.ingest.decode.rejects import UNROUTABLE_PREFIX, Reject, RejectBudget, combined, reject
from app.ingest.decode.rows import RecordId, Row, Rows
from app.ingest.decode.scrubbing import scrubber_of, withheld
from app.ingest.dedupe import Dedupe, InFlight, New, Seen
from app.ingest.earlier import EarlierCopies, new_rows
from app.ingest.reject_writer import RejectWriter
from app.ingest.time_slicing import CooperativeRunner
from app.ingest.undeclared_members import UndeclaredMembers
from app.ingest.verdict import DURABLE, Durable, Throttled, Unavailable, Verdict
from app.ingest.write.messages import Refused
from app.ingest.write.table_writer import TableWriter
from app.record import RejectReason
from app.runtime.clock import MICROSECONDS, Clock
from app.runtime.deadlines import set_within
from app.runtime.ledger import Holding
from app.schema.pii import hasher_of
from app.schema.table import Table
from app.settings.load import Settings
from app.stores.sink import Appender
from app.telemetry.metrics import Metrics


class Rejection(msgspec.Struct, frozen=True):
    """Why one record of a message was rejected, without its bytes; `faults` is empty unless there are several."""

    index: int
    reason: str
    field: str | None
    detail: str
    faults: tuple[FieldFault, ...] = ()


class Receipt(msgspec.Struct, frozen=True, gc=False):  # remembered in large numbers, and free of cycles
    """The result of a message: the verdict on the whole and, on request, the result for each record."""

    verdict: Verdict
    stored: tuple[tuple[int, RecordId], ...] = ()
    """Index and id of each record that was stored."""
    rejected: tuple[Rejection, ...] = ()
    known: int = 0
    """How many records were in the table already, as `EarlierCopies` found."""

    @property
    def weight(self) -> int:
        """Its size in memory, in units of about 300 bytes: a record's texts may be long."""
        if not self.stored and not self.rejected:
            return 1
        ids = sum(1 + _length(record_id) // _TEXT_OF_A_UNIT for _, record_id in self.stored)
        texts = sum(1 + _length_of(each) // _TEXT_OF_A_UNIT for each in self.rejected)
        return 1 + ids + texts


_TEXT_OF_A_UNIT = 250


def _length(text: RecordId) -> int:
    return len(text) if isinstance(text, str) else 0


def _length_of(rejection: Rejection) -> int:
    """Return the characters of a rejection's texts; those of the single errors are about as long as the whole."""
    return (2 if rejection.faults else 1) * (len(rejection.detail) + _length(rejection.field))


class Pipeline:
    """Makes the messages of one stream durable.

    `dedupe`, `cooperative` and `rejects` are shared by all streams. The keys of a stream other than the default one
    begin with `prefix`, since Pub/Sub may deliver one message to two streams. `earlier` finds records that the table
    has held for long; without it, only reads recognise copies. `on_canary` is called for each
    stored canary, with its first record's delivery key and its publish time (microseconds since the epoch).
    """

    def __init__(  # noqa: PLR0913 - the dependencies of all of ingest
        self,
        *,
        table: Table,
        appender: Appender,
        records: TableWriter,
        rejects: RejectWriter,
        dedupe: Dedupe[Receipt],
        cooperative: CooperativeRunner,
        settings: Settings,
        clock: Clock,
        metrics: Metrics,
        prefix: str = "",
        earlier: EarlierCopies | None = None,
        on_canary: Callable[[str, int], None] | None = None,
    ) -> None:
        self.stream, self._prefix, self._earlier = table.name, prefix, earlier
        self._limits, self._cooperative = settings.ingest, cooperative
        self._reader = RecordReader(table, appender.encoder, settings.ingest)
        self._hasher = hasher_of(settings.store.pii_secret)
        self._undeclared, self._scrubber = UndeclaredMembers(table, metrics), scrubber_of(table, self._hasher)
        self._clock, self._metrics, self._on_canary = clock, metrics, on_canary
        self._budget_us = round(settings.ingest.request_budget_s * MICROSECONDS)
        self._dedupe, self.records, self.rejects = dedupe, records, rejects
        self._open = 0
        self._idle = asyncio.Event()

    def digest(self, key: str) -> str | None:
        """Return the digest of the message with this `key`; None if this instance knows of none."""
        return self._dedupe.digest(self._prefix + key)

    async def process(
        self, message: Message, *, digest: str = "", detailed: bool = False, holding: Holding | None = None
    ) -> Receipt:
        """Make `message` durable and return its receipt; `detailed` adds the result for each record.

        Everything made from the message is charged to `holding`, which the caller releases. A message that was read at
        once is not charged: its rows are about as large as its body, and the writer limits the bytes of all rows.
        """
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
        self._open += 1
        try:
            receipt = await self._store(message, holding, detailed=detailed)
        finally:
            durable = isinstance(receipt.verdict, Durable)
            self._dedupe.settle(key, receipt, stored=durable, weight=receipt.weight)
            self._open -= 1
            if not self._open:
                self._idle.set()
        return receipt

    async def idle(self, until_us: int) -> None:
        """Wait until every message is answered, at most until `until_us` on the clock's `elapsed_us`."""
        while self._open and (left_us := until_us - self._clock.elapsed_us()) > 0:
            self._idle.clear()
            await set_within(self._clock, left_us / MICROSECONDS, self._idle)

    async def _store(  # noqa: C901, PLR0911 - the stages, in one place
        self, message: Message, holding: Holding | None, *, detailed: bool
    ) -> Receipt:
        """Decode, append, and wait: first for the rejects, then for the records."""
        deadline_us = self._clock.elapsed_us() + self._budget_us
        if message.unroutable:
            return await self._store_unroutable(message, deadline_us, holding)
        refusal = self.records.refusal()
        if refusal is not None:  # do not decompress and decode the payload for nothing
            return Receipt(refusal)
        reading = self._reader.read_at_once(message)
        if reading is None or reading[1]:
            read = await self._read_in_steps(message, reading, deadline_us, holding)
            if isinstance(read, Unavailable | Throttled):
                return Receipt(read)
            reading = read
        rows, rejects = reading
        known = 0
        if rows and self._earlier is not None and self._earlier.concerns(message):
            new = await new_rows(self._earlier, self.stream, message, rows)
            if isinstance(new, Unavailable):
                return Receipt(new)
            rows, known = new, len(rows) - len(new)
        refused: list[Rejection] = []
        verdict: Verdict = DURABLE
        if rejects:
            verdict = await self._store_rejects(rejects, deadline_us, holding)
        if rows and isinstance(verdict, Durable):
            # Bound for every push but rarely called, so the call itself makes whatever else it needs.
            reject_refused = partial(self._reject_refused, message, rows, refused, deadline_us, holding)
            verdict = await self.records.submit(
                rows.encoded,
                deadline_us,
                reject_refused,
                message.span,
                key=message.key,
            )
        if not isinstance(verdict, Durable):
            return Receipt(verdict)
        if rejects or self._undeclared.looks:
            await self._undeclared.note(message, rows, {each.index for each in refused}, rejects)
        self._note_stored(message, rows, refused)
        if not detailed:
            return _STORED
        refused_rows = {each.index for each in refused}
        return Receipt(
            verdict,
            tuple((index, record_id) for index, record_id in rows.ids() if index not in refused_rows),
            (*map(_rejection, rejects), *refused),
            known,
        )

    async def refuse(self, message: Message, reason: RejectReason, detail: str) -> Receipt:
        """Store `message` among the rejects, whole and unread, because its sender could not make records of it."""
        rejected = reject(message, 0, reason, detail, raw=message.data)
        verdict = await self._store_rejects((rejected,), self._clock.elapsed_us() + self._budget_us, None)
        return Receipt(verdict, (), (_rejection(rejected),)) if isinstance(verdict, Durable) else Receipt(verdict)

    async def _read_in_steps(
        self, message: Message, at_once: Decoded | None, deadline_us: int, holding: Holding | None
    ) -> Decoded | Unavailable | Throttled:
        """Read a message that was not read at once, and remove personal data from its rejects."""
        if at_once is None:
            steps = self._reader.read(message)
            read = await self._cooperative.run(steps, deadline_us, holding, size=len(message.data))
            if isinstance(read, Unavailable | Throttled):
                return read
            at_once = read
        rows, rejects = at_once
        scrubbed = await self._scrubbed(rejects, deadline_us, holding)
        return scrubbed if isinstance(scrubbed, Unavailable | Throttled) else (rows, scrubbed)

    async def _scrubbed(
        self, rejects: Sequence[Reject], deadline_us: int, holding: Holding | None
    ) -> Sequence[Reject] | Unavailable | Throttled:
        """Return rejects without personal data."""
        if rejects and rejects[0].message.may_be_personal:
            return [withheld(each, self._hasher) for each in rejects]
        if self._scrubber is None or not rejects:
            return rejects
        return await self._cooperative.run(self._scrubber.all_of(rejects), deadline_us, holding)

    async def _store_unroutable(self, message: Message, deadline_us: int, holding: Holding | None) -> Receipt:
        """Store a message that no stream takes among the rejects, whole."""
        rejected = reject(message, 0, "unroutable", message.unroutable, raw=message.data)
        if message.may_be_personal:
            rejected = withheld(rejected, self._hasher)
        verdict = await self.rejects.store((rejected,), None, UNROUTABLE_PREFIX, deadline_us, holding)
        return Receipt(verdict, (), (_rejection(rejected),)) if isinstance(verdict, Durable) else Receipt(verdict)

    def _note_stored(self, message: Message, rows: Rows, refused: Sequence[Rejection]) -> None:
        self._metrics.stored_records[self.stream] += len(rows) - len(refused)
        if message.published_us is not None:
            delay_us = max(self._clock.now_us() - message.published_us, 0)  # the publisher's clock may be ahead
            self._metrics.message_delay.record(delay_us / MICROSECONDS, self.stream)
            if self._on_canary is not None and message.is_canary and rows and not refused:
                self._on_canary(message.delivery_key(rows[0].index), message.published_us)

    async def _reject_refused(  # noqa: PLR0913, PLR0917 - bound to a message by `partial`, for the writer
        self,
        message: Message,
        rows: Rows,
        refused: list[Rejection],
        deadline_us: int,
        holding: Holding | None,
        refusals: Sequence[Refused],
    ) -> Verdict:
        """Store the rejects of the rows in `refusals`, which the store has refused, and add them to `refused`.

        If they exceed the limits of the message, one reject holds the bytes of all of `refusals`.
        """
        limits = self._limits
        most = limits.max_rejects_per_message - len(refused)
        budget = RejectBudget(message, max_rejects=most, max_bytes=limits.max_message_bytes)
        made = [_refusal(message, rows[refusal.position], refusal) for refusal in refusals]
        scrubbed = await self._scrubbed(made, deadline_us, holding)
        if isinstance(scrubbed, Unavailable | Throttled):
            return scrubbed
        made = [*scrubbed]
        fits = all(budget.allows(each) for each in made)
        stored = made if fits else [combined(made, is_ndjson=is_ndjson_type(message.content_type))]
        verdict = await self._store_rejects(stored, deadline_us, holding)
        if isinstance(verdict, Durable):
            refused.extend(map(_rejection, made))
        return verdict

    async def _store_rejects(self, rejects: Sequence[Reject], deadline_us: int, holding: Holding | None) -> Verdict:
        return await self.rejects.store(rejects, self.stream, self._prefix, deadline_us, holding)


_GIVEN_UP = Unavailable("the write was abandoned before it completed", 1.0)
_STORED = Receipt(DURABLE)


def _refusal(message: Message, row: Row, refusal: Refused) -> Reject:
    error = refusal.error
    return reject(message, row.index, "refused", error.detail, raw=row.raw, field=error.field)


def _rejection(rejected: Reject) -> Rejection:
    return Rejection(rejected.index, rejected.reason, rejected.field, rejected.detail, rejected.faults)

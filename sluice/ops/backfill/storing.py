"""Store items through the ingest pipeline, each once, however often and however late the backfill is run again.

Before the first append, the keys of the backfill's own rows are read from the table and from the rejects; an item whose
key is there is skipped. They are read again while the backfill runs, so that another run of the same name is noticed
before its rows leave the look-back. Archived messages have keys of their own, which EarlierCopies looks up in batches.
"""

import asyncio
import sys
from collections.abc import Generator, Sequence
from contextlib import aclosing
from typing import assert_never

import msgspec

from app.auth.signatures import Proofs
from app.environment import Environment
from app.ingest.decode import rejects
from app.ingest.decode.envelope import Message
from app.ingest.pipeline import Pipelines, Receipt
from app.ingest.verdict import DURABLE, NotDurableError, require_durable
from app.ingest.write.dedupe import EarlierCopies
from app.query.answer.arrow import rows_of_arrow
from app.runtime.clock import MICROSECONDS, Clock
from app.runtime.instants import DAY_US, MIN_US, TimeRange
from app.schema.columns import Kind
from app.schema.table import REJECTS
from app.settings.load import Settings
from app.stores.backend import open_backend
from app.stores.query import Condition, Keys
from app.stores.sink import without_lateness
from app.stores.source import QueryRunner
from app.streams import Streams, load_streams
from app.telemetry.metrics import Metrics
from app.telemetry.tracing import Tracing
from sluice.ops.backfill.ledger import Ledger, State, mark_of, message_key, object_digest, prefix_of
from sluice.ops.backfill.sources import Item, Object, SourceError, read_items

_BATCH_BYTES = 8 * 1024**2
_SHOW_EVERY_US = 10 * MICROSECONDS
_SHOWN_REJECTS = 5
_RETRY_S, _MAX_RETRY_S = 0.2, 10.0
_LOOK_AGAIN_S = 0.25
_NDJSON = "application/x-ndjson"


class StoppedError(Exception):
    """The backfill cannot go on; the message says why. Stored records stay, and a second run continues."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The name of the data, and the stream of its records, "" for the first.

    Up to `batch_records` records are in flight.
    """

    name: str
    stream: str = ""
    batch_records: int = 2_000


class Counts(msgspec.Struct):
    """The records so far; of an archived message that was rejected whole, one.

    `known` are those that an earlier run, or a push, has stored; `rejected_before` those that an earlier run rejected.
    """

    stored: int = 0
    known: int = 0
    rejected: int = 0
    rejected_before: int = 0

    @property
    def total(self) -> int:
        """All records read."""
        return self.stored + self.known + self.rejected + self.rejected_before


async def backfill(plan: Plan, settings: Settings, objects: Sequence[Object], counts: Counts, clock: Clock) -> None:
    """Store the records of `objects`, and count them in `counts`; tell a person how it goes on standard error.

    Raises:
        RecordTypeError: there is no such stream.
        StoreError: the store cannot be opened.
        SourceError: a file cannot be read; all records before the fault are stored.
        StoppedError: the store accepts nothing, or a file was changed since an earlier run.
        QueryError: the store does not say what it holds.
    """
    streams = load_streams(settings.store)
    streams.table(plan.stream)
    tables = (*streams.tables, streams.rejects)
    backend = open_backend(settings, tables, clock)
    environment = Environment(
        settings=settings,
        clock=clock,
        metrics=Metrics([*streams.by_name]),
        tracing=Tracing(None),
    )
    lead_us = settings.store.max_lead_us
    pipelines = Pipelines(
        environment,
        streams,
        {each.name: backend.appender(each) for each in tables},
        system=backend.system,
        # Archived messages are looked up however old they are.
        earlier=EarlierCopies(backend.runner, clock, from_us=MIN_US, older_than_us=0, lead_us=lead_us),
    )
    watches = [asyncio.create_task(writer.watch()) for writer in pipelines.writers.values()]
    run = Backfill(plan, environment, streams, pipelines, backend.runner, counts)
    proofs = Proofs(settings.auth.signing_secret, settings.auth.heartbeat_signature)
    try:
        await run.prepare()
        for each in objects:
            await run.store(each.path, read_items(each, proofs, settings.server.max_body_bytes))
    finally:
        await pipelines.close()
        for watch in watches:
            watch.cancel()
        await asyncio.gather(*watches, return_exceptions=True)
        await backend.close()


def say(text: str) -> None:
    """Tell a person something."""
    print(text, file=sys.stderr, flush=True)


def summary(counts: Counts) -> str:
    """Return the counts in words."""
    before = f" ({counts.rejected_before:,} of them before)" if counts.rejected_before else ""
    rejected = counts.rejected + counts.rejected_before
    return f"{counts.stored:,} stored, {counts.known:,} already there, {rejected:,} rejected{before}"


class Backfill:
    """One run of a backfill into the plan's stream."""

    def __init__(  # noqa: PLR0913, PLR0917 - what one run is made of
        self,
        plan: Plan,
        environment: Environment,
        streams: Streams,
        pipelines: Pipelines,
        runner: QueryRunner,
        counts: Counts,
    ) -> None:
        self._plan, self._runner, self._counts = plan, runner, counts
        self._clock, self._settings, self._ledger = environment.clock, environment.settings, Ledger()
        self._table = streams.table(plan.stream)
        self._pipeline = pipelines.by_stream[self._table.name]
        self._rejects_prefix = "" if self._table is streams.default.table else rejects.prefix_of(self._table.name)
        self._key_column = tuple(column for column in self._table.envelope if column.name == "delivery_key")
        self._part_bytes = self._pipeline.max_part_bytes
        self._refresh_us = environment.lookback_us // 3
        # After a refresh, a batch must end well within the look-back, or the rows of another run would go unnoticed.
        self._patience_us = min(round(self._settings.ingest.stuck_s * MICROSECONDS), self._refresh_us)
        self._read_to_us = self._refreshed_us = 0
        self._durable_us = self._shown_us = self._clock.elapsed_us()

    async def prepare(self) -> None:
        """Read which records are stored. Wait for appends of a killed run first: they may still be committed.

        Raises:
            QueryError: the store does not say.
        """
        begun_us = self._clock.now_us()
        tables = (self._table.name, REJECTS)
        if any(self._runner.horizon_us(table) < begun_us for table in tables):
            settle_s = self._settings.store.settle_s
            say(f"waiting {settle_s:g} s for appends of an earlier run that may still be committed")
        while any(self._runner.horizon_us(table) < begun_us for table in tables):
            await self._clock.sleep(_LOOK_AGAIN_S)
        days = self._settings.store.retention_days
        self._read_to_us = begun_us - max(self._table.kept_days(days), days) * DAY_US
        await self._refresh()

    async def store(self, path: str, items: Generator[Item, None, None]) -> None:
        """Store the items of one object.

        Raises:
            SourceError: the object cannot be read any further; the items before are stored.
            StoppedError: the store accepts nothing, or the object has changed since an earlier run.
            QueryError: the store does not say what it holds.
        """
        digest = object_digest(path)
        reading = asyncio.create_task(asyncio.to_thread(self._take, items))
        try:
            while True:
                batch, failure = await reading
                if batch and failure is None:
                    reading = asyncio.create_task(asyncio.to_thread(self._take, items))
                await self._store_all(path, digest, batch)
                self._show(path)
                if failure is not None:
                    raise failure
                if not batch:
                    return
        finally:
            await asyncio.wait([reading])
            items.close()

    def _take(self, items: Generator[Item, None, None]) -> tuple[list[Item], SourceError | None]:
        """Return the next items, bounded by number and bytes, and the error that ended the reading."""
        batch, left = list[Item](), _BATCH_BYTES
        try:
            for item in items:
                batch.append(item)
                left -= len(item.data)
                if left <= 0 or len(batch) >= self._plan.batch_records:
                    break
        except SourceError as error:
            return batch, error
        return batch, None

    async def _store_all(self, path: str, digest: str, batch: Sequence[Item]) -> None:
        if not batch:
            return
        if self._clock.now_us() - self._refreshed_us > self._refresh_us:
            await self._refresh()
        new = [(item, message) for item in batch if (message := self._message(path, digest, item)) is not None]
        self._durable_us = self._clock.elapsed_us()
        try:
            async with asyncio.TaskGroup() as group:
                for item, message in new:
                    group.create_task(self._store(path, item, message))
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from None

    def _message(self, path: str, digest: str, item: Item) -> Message | None:
        """Return the message of an item; None if the store holds its record, or its rejection."""
        if item.message is not None:
            return item.message
        mark, parts = mark_of(item.data), max(-(-len(item.data) // self._part_bytes), 1)
        match state := self._ledger.state(digest, item.row, mark, parts=parts):
            case State.NEW:
                key = message_key(self._plan.name, digest, item.row, mark)
                # A line is one record, whatever it begins with. The usual one needs no type to be read as such.
                return Message(key=key, data=item.data, content_type="" if item.data[:1] == b"{" else _NDJSON)
            case State.STORED:
                self._counts.known += 1
                return None
            case State.REJECTED:
                self._counts.rejected_before += 1
                return None
            case State.CHANGED:
                raise StoppedError(
                    f"{path} has changed: its record {item.row} is not the one that --as {self._plan.name} has stored "
                    "from there. Backfill a changed file under another name, or only its new records as another file"
                )
        assert_never(state)

    async def _store(self, path: str, item: Item, message: Message) -> None:
        """Store a message, as often as it takes.

        Raises:
            StoppedError: nothing has become durable for too long.
        """
        pause_s = _RETRY_S
        while True:
            # The pipeline remembers a message that is in the files twice, and answers with its first receipt.
            is_repeated = self._pipeline.digest(message.key) is not None
            try:
                if item.fault is None:
                    receipt = await self._pipeline.process(message)
                else:
                    rejected = rejects.reject(0, item.fault.reason, item.fault.detail, raw=message.data)
                    allowance = self._pipeline.allowance()
                    require_durable(await self._pipeline.store_rejects(message, (rejected,), allowance))
                    receipt = Receipt(DURABLE, (), (rejected,))
            except NotDurableError as error:
                waited_us = self._clock.elapsed_us() - self._durable_us
                if waited_us > self._patience_us:
                    waited_s = waited_us // MICROSECONDS
                    raise StoppedError(f"nothing was stored for {waited_s} s: {error.verdict.detail}") from None
                await self._clock.sleep(pause_s)
                pause_s = min(2 * pause_s, _MAX_RETRY_S)
            else:
                self._durable_us = self._clock.elapsed_us()
                self._count(path, item.row, receipt, is_repeated=is_repeated)
                return

    def _count(self, path: str, row: int, receipt: Receipt, *, is_repeated: bool) -> None:
        if is_repeated:
            self._counts.known += len(receipt.stored) + receipt.known + len(receipt.rejected)
            return
        self._counts.stored += len(receipt.stored)
        self._counts.known += receipt.known
        for rejection in receipt.rejected:
            self._counts.rejected += 1
            if self._counts.rejected <= _SHOWN_REJECTS:
                field = f" `{rejection.field}`" if rejection.field else ""
                more = "; the next ones are only counted" if self._counts.rejected == _SHOWN_REJECTS else ""
                say(f"rejected: {path}, record {row}: {rejection.reason}{field}: {rejection.detail[:300]}{more}")

    def _show(self, path: str) -> None:
        """Show how far the backfill is, unless that was just shown."""
        now_us = self._clock.elapsed_us()
        if now_us - self._shown_us >= _SHOW_EVERY_US:
            self._shown_us = now_us
            say(f"{summary(self._counts)}  {path}")

    async def _refresh(self) -> None:
        """Read the keys of this backfill that were stored since the last time, by whichever run."""
        now_us = self._clock.now_us()
        own = prefix_of(self._plan.name)
        for table, prefix in ((self._table.name, ""), (REJECTS, self._rejects_prefix)):
            condition = Condition("delivery_key", (), "prefix", Kind.STRING, (prefix + own,))
            query = Keys(
                table=table,
                within=TimeRange(self._read_to_us, now_us + self._settings.store.max_lead_us),
                conditions=(condition,),
            )
            async with aclosing(self._runner.arrow(query)) as pieces:
                async for rows in rows_of_arrow(self._key_column, pieces):
                    for row in rows:
                        key = without_lateness(row["delivery_key"]).removeprefix(prefix)
                        self._ledger.note(key, is_reject=table == REJECTS)
        # What was stamped before this may become visible later: it is read again next time.
        self._read_to_us = min(self._runner.horizon_us(self._table.name), self._runner.horizon_us(REJECTS), now_us)
        self._refreshed_us = now_us

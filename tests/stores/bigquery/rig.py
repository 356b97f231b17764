"""The service's own writer in front of the misbehaving server, and a ledger of what each message was told."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import msgspec

from app.ingest.decode import envelope as envelope_of
from app.ingest.verdict import Durable, Verdict
from app.ingest.write.batching import BatchLimits
from app.ingest.write.table_writer import TableWriter
from app.record import Record
from app.runtime.clock import MICROSECONDS
from app.schema.table import Table, records_table
from app.settings.load import Settings
from app.stores.bigquery.client import BigQueryClients, TableAddress
from app.stores.bigquery.sink import StorageWriteAppender
from app.stores.bigquery.table_check import TableMonitor
from app.stores.sink import ColumnsPending, RowError, SetupError, SinkState, lateness_limits
from sluice.testing.clock import FakeClock
from sluice.testing.misbehaving.server import MisbehavingServer, misbehaving
from sluice.testing.misbehaving.waiting import advance_until, until
from tests.encoding import encoded, whole_envelope
from tests.support.unwatched import environment_of

BUDGET_S, APPEND_DEADLINE_S = 30.0, 10.0
LIMITS = BatchLimits(max_rows=500, max_bytes=1_000_000)
RECORDS = records_table(Record)


class Message(msgspec.Struct, eq=False):
    """A message on its way: the ids of its rows, and its waiter."""

    name: str
    ids: tuple[str, ...]
    waiter: "asyncio.Task[Verdict]"

    @property
    def is_told(self) -> bool:
        """Whether it was told what became of it."""
        return self.waiter.done()


class Rig:
    """A TableWriter over a StorageWriteAppender over real sockets, under a fake clock."""

    def __init__(
        self, server: MisbehavingServer, clock: FakeClock, max_connections: int, limits: BatchLimits, table: Table
    ) -> None:
        self.server, self.clock = server, clock
        self.table: SetupError | ColumnsPending | None = None
        """What a look at the live table finds."""
        self.looks = 0
        self.look_takes_s = 0.0
        self.rejects_verdict: Verdict = Durable()
        """What becomes of the rejection of a row."""
        self.rejected: list[str] = []
        self.padding: Callable[[str], int] = lambda _: 0
        """By its id, by how many bytes a row is longer."""
        self.source: Callable[[str], str | None] = lambda row_id: row_id if row_id.startswith("new") else None
        """By its id, a row's value for the optional column `source`."""
        self.messages: list[Message] = []
        self.sent_apart: set[str] = set()
        """Rows that a test gave the appender by itself; each is named as its message."""
        place = TableAddress(
            project="p", dataset="d", location=None, rest_url="http://127.0.0.1:1", storage_url=server.url
        )
        self.appender = StorageWriteAppender(
            BigQueryClients(place),
            table,
            clock,
            max_connections=max_connections,
            monitor=TableMonitor(table, self._look, clock),
            lateness_limits=lateness_limits(Settings().store),
        )
        settings = Settings().replace(max_batch_rows=limits.max_rows, max_batch_bytes=limits.max_bytes)
        self.writer = TableWriter(self.appender, environment_of(clock, settings), table="records", jitter=lambda: 1.0)

    def stands(self) -> SinkState:
        """How the writer says that the table stands."""
        return self.writer.health.state

    @property
    def stored(self) -> Counter[str]:
        """How often each row is stored."""
        return Counter(self.server.shelf.ids())

    def send(self, name: str, *ids: str, budget_s: float = BUDGET_S, padding: int = 0) -> Message:
        """Submit a message of rows with these ids; without any, of one that is named as the message."""
        ids = ids or (name,)
        rows = [self.row(name, index, row_id, padding) for index, row_id in enumerate(ids)]

        async def reject(refused: Mapping[int, RowError]) -> Verdict:
            if isinstance(self.rejects_verdict, Durable):
                self.rejected += [ids[position] for position in refused]
            return self.rejects_verdict

        deadline_us = self.clock.elapsed_us() + round(budget_s * MICROSECONDS)
        message = Message(name, ids, asyncio.create_task(self.writer.submit(rows, deadline_us, reject, key=name)))
        self.messages.append(message)
        return message

    def row(self, name: str, index: int, row_id: str, padding: int) -> bytes:
        """Return an encoded row of a message."""
        record = Record(
            id=row_id,
            timestamp=datetime(2026, 1, 31, tzinfo=UTC),
            source=self.source(row_id),
            data="x" * (padding or self.padding(row_id)),
        )
        envelope = whole_envelope(envelope_of.Message(key=name, data=b"", attributes={}), index)
        return encoded(self.appender, record, envelope)

    async def sent(self, name: str, *ids: str, padding: int = 0) -> Message:
        """Submit a message and wait until its request has arrived at the server."""
        arrived = len(self.server.arrivals)
        message = self.send(name, *ids, padding=padding)
        await self.arrived(arrived + 1)
        return message

    async def arrived(self, requests: int) -> None:
        """Wait, while the clock stands still, until so many requests have arrived in all."""
        await until(lambda: len(self.server.arrivals) >= requests)

    async def arrived_later(self, requests: int) -> float:
        """Move the clock on until so many requests have arrived in all; return by how many seconds."""
        return await advance_until(self.clock, lambda: len(self.server.arrivals) >= requests)

    async def told(self, *messages: Message) -> list[Verdict]:
        """Wait, while the clock stands still, and return what the messages were told."""
        await until(lambda: all(message.is_told for message in messages))
        return [message.waiter.result() for message in messages]

    async def told_later(self, *messages: Message, step_s: float = 0.02) -> list[Verdict]:
        """Move the clock on until the messages were told, and return what."""
        await advance_until(self.clock, lambda: all(message.is_told for message in messages), step_s=step_s)
        return [message.waiter.result() for message in messages]

    def check_ledger(self) -> None:
        """Fail unless what was told is so: nothing lost, nothing invented, nothing answered for another."""
        sent = {row_id: message.name for message in self.messages for row_id in message.ids}
        sent |= {row_id: row_id for row_id in self.sent_apart}
        for row in self.server.shelf.rows():
            assert row["delivery_key"].partition(":")[0] == sent[row["id"]], f"{row} is not as it was sent"
        stored, rejected = self.stored, set(self.rejected)
        for message in self.messages:
            if message.is_told and message.waiter.result() == Durable():
                lost = [each for each in message.ids if each not in stored and each not in rejected]
                assert not lost, f"{message.name} was told that it is durable, and {lost} are not"
        with_bad = {
            each for message in self.messages if any(map(self.server.is_bad, message.ids)) for each in message.ids
        }
        good = rejected - with_bad  # a message that is refused without a row being named is rejected whole
        assert not good, f"{good} were rejected for a neighbour"
        assert not [each for each in stored if self.server.is_bad(each)]

    async def close(self) -> None:
        await self.writer.close()
        await self.appender.close()
        await asyncio.gather(*(message.waiter for message in self.messages))

    async def _look(self) -> SetupError | ColumnsPending | None:
        self.looks += 1
        if self.look_takes_s:
            await self.clock.sleep(self.look_takes_s)
        return self.table


@asynccontextmanager
async def rigged(
    *, max_connections: int = 1, limits: BatchLimits = LIMITS, max_receive_bytes: int = -1, table: Table = RECORDS
) -> AsyncIterator[Rig]:
    """Run a rig until the block ends; then the ledger must be right, and the client must have kept the rules."""
    clock = FakeClock()
    async with misbehaving(clock, max_receive_bytes=max_receive_bytes) as server:
        rig = Rig(server, clock, max_connections, limits, table)
        try:
            yield rig
        finally:
            await rig.close()
        rig.check_ledger()

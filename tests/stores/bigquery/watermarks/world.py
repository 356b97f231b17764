"""A world of instances and readers over a scripted BigQuery: the service's own writer, appender, marks and horizon.

Only the store, the clocks and the processes are played. True time moves for all at once, but for processes that are
stopped. The store makes the rows of a request visible when the script says; a client that gave up may see that happen
within the late-commit margin, and no later.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from random import Random
from typing import Any, NamedTuple

from app.ingest.batcher import BatchLimits
from app.ingest.retry_policy import Durable, Verdict
from app.ingest.writer import Writer, WriterLimits
from app.record import Record
from app.runtime.clock import MICROSECONDS
from app.runtime.instants import from_epoch_us
from app.schema.table import Table, records_table
from app.settings.load import Settings
from app.stores.bigquery.client import BigQueryClients, TableAddress
from app.stores.bigquery.connection import Connection
from app.stores.bigquery.proto_rows import ProtoRowEncoder
from app.stores.bigquery.sink import StorageWriteAppender
from app.stores.bigquery.table_monitor import TableMonitor
from app.stores.bigquery.watermarks.announcing import Announcing
from app.stores.bigquery.watermarks.horizons import Horizons
from app.stores.bigquery.watermarks.marks import instances_table
from app.stores.bigquery.watermarks.setup import announcing_of, limits_of
from app.stores.sink import Outcome, RowsRefused, Stored, Uncertain, fence
from app.stores.source import Answer
from app.stores.sql.statement import Statement
from app.stores.stamping import ClockTroubleError, Stamp
from testing.clock import FakeClock
from testing.unwatched import unwatched
from tests.encoding import encoded

SETTINGS = Settings().replace(backend="bigquery", watermarks="read")
STORE = SETTINGS.store
T0_US = 1_700_000_000 * MICROSECONDS
RECORDS, INSTANCES = records_table(Record), instances_table()
_ENCODERS = {table.name: ProtoRowEncoder(table) for table in (RECORDS, INSTANCES)}
_ENVELOPE: dict[str, Any] = {
    **dict.fromkeys(("subscription_name", "message_id", "publish_time", "ordering_key", "trace_id")),
    "attributes": {},
    "message_index": 0,
}
_PLACE = TableAddress(project="p", dataset="d", location=None, rest_url="http://x", storage_url="http://x")
_FENCE = fence(
    settle_s=STORE.settle_s,
    clock_skew_s=STORE.clock_skew_s,
    late_commit_margin_s=STORE.late_commit_margin_s,
    append_deadline_s=STORE.append_deadline_s,
)
_SENT_FOR_S = STORE.append_deadline_s + STORE.late_commit_margin_s + 1.0  # with room for timers


class Fate(NamedTuple):
    """When the store makes the rows of a request visible, and when it answers; None: never. Unseen rows are refused."""

    commits_s: float | None
    answers_s: float | None


def _fate(random: Random, now_s: float, *, is_mark: bool) -> Fate:
    chance, later_s = random.random(), now_s + random.uniform(0, 20)
    if chance < (0.95 if is_mark else 0.8):
        return Fate(now_s, now_s)
    if chance < 0.97 and not is_mark:
        return random.choice(
            [
                Fate(now_s, now_s + 8),
                Fate(now_s + 8, now_s + 8),
                Fate(now_s, None),
                Fate(later_s, None),
                Fate(None, now_s + 3),
            ]
        )
    return Fate(None, None)


class Request:
    """Rows on their way to a table; None as the instance's outcome until it is told."""

    def __init__(self, owner: "Instance", table: str, rows: Sequence[bytes], sent_s: float) -> None:
        self.owner, self.table, self.rows, self.sent_s = owner, table, rows, sent_s
        self.outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.is_visible = False
        self.fate: Fate | None = None
        self.given_up_s: float | None = None
        """When its client gave it up, in true time."""

    def may_commit(self, now_s: float) -> bool:
        """Whether the store may still make its rows visible."""
        if self.is_visible or now_s > self.sent_s + _SENT_FOR_S:
            return False  # the latter only after its process was stopped, or crashed: the fence is for that
        return self.given_up_s is None or now_s <= self.given_up_s + STORE.late_commit_margin_s


class _Connection:
    """Stands for a Connection: it stamps at once and hands the request to the world."""

    retired = updated_schema = blames_one = False
    bytes_in_flight = 0

    def __init__(self, owner: "Instance", table: str, lacking: frozenset[str]) -> None:
        self.lacking = lacking
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._owner, self._table = owner, table
        self.requests_in_flight = 0

    @property
    def is_awaited(self) -> bool:
        return self.requests_in_flight > 0

    async def append(self, rows: Sequence[bytes], stamp: Stamp) -> Outcome:
        try:
            end = stamp.take()
        except ClockTroubleError as trouble:
            return Uncertain(str(trouble))
        request = self._owner.world.sent(self._owner, self._table, [row + end for row in rows])
        self.requests_in_flight += 1
        try:
            return await request.outcome
        except asyncio.CancelledError:
            self.retired = True
            request.given_up_s = self._owner.world.now_s
            raise
        finally:
            self.requests_in_flight -= 1

    async def close(self) -> None:
        self.retired = True


class _Appender(StorageWriteAppender):
    """The service's own, over scripted connections."""

    def __init__(self, owner: "Instance", table: Table, announcing: Announcing | None) -> None:
        super().__init__(
            BigQueryClients(_PLACE),
            table,
            owner.clock,
            max_connections=4 if announcing else 1,
            monitor=TableMonitor(table, _fits, owner.clock),
            fence=_FENCE,
            announcing=announcing,
        )
        self._owner = owner

    def _open_connection(self) -> Connection:
        return _Connection(self._owner, self._table.name, self._lacking)  # type: ignore[return-value]


async def _fits() -> None:
    """Say that the live table fits."""


class Instance:
    """One process: its clock is `offset_s` off the true time."""

    def __init__(self, world: "World", name: str, offset_s: float) -> None:
        self.world, self.name = world, name
        self.clock = FakeClock(T0_US + round((world.now_s + offset_s) * MICROSECONDS))
        self.is_running, self.missed_s = True, 0.0
        self.has_crashed = self.is_leaving = self.is_cut_off = False
        self._marks = _Appender(self, INSTANCES, None)
        self.announcing = announcing_of(SETTINGS, self.clock, self._marks, name)
        self.appender = _Appender(self, RECORDS, self.announcing)
        limits = WriterLimits(
            batch=BatchLimits(max_rows=10, max_bytes=1_000_000),
            append_deadline_s=STORE.append_deadline_s,
            max_open_bytes=1_000_000,
        )
        self.writer = Writer(
            self.appender, self.clock, limits, table="records", watch=unwatched(self.clock), jitter=lambda: 1.0
        )
        self.told: list[asyncio.Task[Verdict]] = []
        self.leaving: asyncio.Task[None] | None = None

    def send(self, key: str) -> None:
        """Submit a message of one row."""
        record = Record(id=key, timestamp=datetime(2026, 1, 31, tzinfo=UTC))
        row = encoded(self.appender, record, _ENVELOPE | {"delivery_key": key})
        deadline_us = self.clock.elapsed_us() + 45 * MICROSECONDS

        async def reject(_: object) -> Verdict:
            return Durable()

        self.told.append(asyncio.create_task(self.writer.submit([row], deadline_us, reject, key=key)))

    def leave(self) -> None:
        """End as after SIGTERM: no new messages, the writer drains, the store is closed."""
        self.is_leaving = True
        self.leaving = asyncio.create_task(self.close())

    async def close(self) -> None:
        await self.writer.close()
        await self.appender.close()
        await self.announcing.close()
        await self._marks.close()


class World:
    """The store, the instances, the readers, and the greatest horizon that a reader has had."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.instances: list[Instance] = []
        self.requests: list[Request] = []
        self.marks: list[dict[str, Any]] = []
        self.passed_us = self.seen = self.messages = 0
        self.lags_s: list[float] = []
        self.readers = {offset_s: self._reader(offset_s) for offset_s in (-2.0, 0.0, 2.0)}

    def _reader(self, offset_s: float) -> tuple[FakeClock, Horizons]:
        clock = FakeClock(T0_US + round(offset_s * MICROSECONDS))
        return clock, Horizons(limits_of(STORE), clock, self._read, 0.0)

    async def _read(self, statement: Statement) -> Answer:
        from_us = statement.parameters["from_us"]
        assert isinstance(from_us, int)
        newest: dict[str, dict[str, Any]] = {}
        for mark in self.marks:
            known = newest.get(mark["instance"])
            if mark["ingest_us"] >= from_us and (known is None or known["written"] < mark["written"]):
                newest[mark["instance"]] = mark
        return Answer(list(newest.values()))

    @property
    def running(self) -> list[Instance]:
        """The instances that can do anything."""
        return [each for each in self.instances if each.is_running and not each.is_leaving]

    def start(self, offset_s: float) -> None:
        """Start an instance."""
        self.instances.append(Instance(self, f"i{len(self.instances)}", offset_s))

    def sent(self, owner: Instance, table: str, rows: Sequence[bytes]) -> Request:
        """Take a request."""
        request = Request(owner, table, rows, self.now_s)
        self.requests.append(request)
        return request

    def commit(self, request: Request) -> None:
        """Make the rows of a request visible. No reader may have passed them."""
        request.is_visible = True
        decoded = [_ENCODERS[request.table].message.FromString(row) for row in request.rows]
        if request.table == INSTANCES.name:
            self.marks += [
                {
                    "instance": row.instance,
                    "state": row.state,
                    "through": from_epoch_us(row.through),
                    "written": from_epoch_us(row.written),
                    "ingest_us": row.ingest_time,
                }
                for row in decoded
            ]
            return
        for row in decoded:
            self.seen += 1
            assert row.ingest_time >= self.passed_us, (
                f"{row.delivery_key}, stamped {row.ingest_time - T0_US}, became visible at {self.now_s} s after a "
                f"horizon of {self.passed_us - T0_US}"
            )

    async def answer(self, request: Request, outcome: Outcome) -> None:
        """Tell the client what became of a request, unless its process cannot hear it."""
        if request.owner.is_running and not request.outcome.done():
            request.outcome.set_result(outcome)
            await turns()

    async def live(self, random: Random, seconds: float) -> None:
        """Let instances store messages and readers read; the store treats each request by chance."""
        for _ in range(round(2 * seconds)):
            for instance in self.running:
                if random.random() < 0.5:
                    self.messages += 1
                    instance.send(f"m{self.messages}")
            await self.advance(0.5, serving=False)
            for request in list(self.requests):
                await self._treat(request, random)
            self._forget()
            await self.read(random.choice([*self.readers]))

    async def _treat(self, request: Request, random: Random) -> None:
        fate = request.fate = request.fate or _fate(random, self.now_s, is_mark=request.table == INSTANCES.name)
        if request.owner.is_cut_off:
            return
        if fate.commits_s is not None and self.now_s >= fate.commits_s and request.may_commit(self.now_s):
            self.commit(request)
        if fate.answers_s is not None and self.now_s >= fate.answers_s and request.given_up_s is None:
            if request.is_visible:
                await self.answer(request, Stored())
            elif fate.commits_s is None:
                await self.refuse(request)

    async def serve(self) -> None:
        """Store and acknowledge whatever has come from instances that are not cut off."""
        for request in list(self.requests):
            if request.given_up_s is None and not request.owner.is_cut_off and request.owner.is_running:
                if not request.is_visible:
                    self.commit(request)
                await self.answer(request, Stored())
        self._forget()

    async def refuse(self, request: Request) -> None:
        """Refuse a request for good."""
        if not request.is_visible:
            self.requests.remove(request)
            await self.answer(request, RowsRefused({}, "no"))

    async def advance(self, seconds: float, *, serving: bool) -> None:
        """Let time pass in steps of half a second; if `serving`, the store answers at each."""
        for _ in range(round(seconds * 2)):
            self.now_s += 0.5
            for instance in self.instances:
                if instance.has_crashed:
                    continue
                instance.missed_s += 0.5
                if instance.is_running:
                    await self.resume(instance)
            for clock, _ in self.readers.values():
                await clock.advance(0.5)
            if serving:
                await self.serve()
            self._forget()

    async def resume(self, instance: Instance) -> None:
        """Let a process go on; its clock has gone on meanwhile."""
        instance.is_running = True
        missed_s, instance.missed_s = instance.missed_s, 0.0
        await instance.clock.jump(missed_s)

    async def read(self, offset_s: float) -> None:
        """Let a reader learn the horizon, and remember how far it thinks the table settled."""
        _, horizons = self.readers[offset_s]
        await horizons.learn()
        self.passed_us = max(self.passed_us, horizons.horizon_us())
        self.lags_s.append(self.now_s - (horizons.horizon_us() - T0_US) / MICROSECONDS)

    def crash(self, instance: Instance) -> None:
        """End a process at once; what it has sent may still be stored."""
        instance.is_running, instance.has_crashed = False, True
        instance.is_leaving = True

    async def close(self) -> None:
        """End everything."""
        current = asyncio.current_task()
        tasks = [task for task in asyncio.all_tasks() if task is not current]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self) -> None:
        self.requests = [
            each
            for each in self.requests
            if (each.is_visible and not each.outcome.done() and each.owner.is_running) or each.may_commit(self.now_s)
        ]


async def turns() -> None:
    """Let the loop run until nothing moves."""
    for _ in range(20):
        await asyncio.sleep(0)

"""A process of the service before a scripted BigQuery: its own clock, writer, appenders and watermarks."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

from app.ingest.verdict import Durable, Verdict
from app.ingest.write.table_writer import TableWriter
from app.record import Record
from app.runtime.clock import MICROSECONDS
from app.schema.table import Table, records_table
from app.settings.load import Settings
from app.stores.bigquery.client import BigQueryClients, TableAddress
from app.stores.bigquery.connection import Connection
from app.stores.bigquery.sink import StorageWriteAppender
from app.stores.bigquery.table_check import TableMonitor
from app.stores.bigquery.watermarks.announcing import Announcing
from app.stores.bigquery.watermarks.marks import instances_table
from app.stores.bigquery.watermarks.rules import Limits
from app.stores.sink import Outcome, Uncertain, fence
from app.stores.stamping import AttemptStamp, ClockTroubleError
from sluice.testing.clock import FakeClock
from tests.encoding import encoded
from tests.support.unwatched import environment_of

if TYPE_CHECKING:
    from tests.stores.bigquery.watermarks.world import World

SETTINGS = Settings().replace(backend="bigquery", poll_s=1e-6)
STORE = SETTINGS.store
T0_US = 1_700_000_000 * MICROSECONDS
RECORDS, INSTANCES = records_table(Record), instances_table()
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


def fate_of(random: Random, now_s: float, *, is_mark: bool) -> Fate:
    """Return what becomes of a request that has come now."""
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

    retired = ends_for_one = False
    bytes_in_flight = 0

    def __init__(self, owner: "Instance", table: str, lacking: frozenset[str]) -> None:
        self.lacking = lacking
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._owner, self._table = owner, table
        self.requests_in_flight = 0

    @property
    def is_awaited(self) -> bool:
        return self.requests_in_flight > 0

    async def append(self, rows: Sequence[bytes], stamp: AttemptStamp) -> Outcome:
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
        self.announcing = Announcing(name, Limits.of(STORE), self.clock, self._marks)
        self.appender = _Appender(self, RECORDS, self.announcing)
        environment = environment_of(self.clock, SETTINGS.replace(max_batch_rows=10))
        self.writer = TableWriter(self.appender, environment, table="records", jitter=lambda: 1.0)
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

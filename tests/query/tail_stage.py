"""A feed in memory whose rows appear and settle as a test says, and clients that read tails of it."""

import asyncio
from types import SimpleNamespace
from typing import Any

from app.query.answer.tail import MOST_READS, Tail, TailBatches
from app.query.read.feed import Budget
from app.query.request.cursor import position_in
from app.query.request.scan import Page, Scan, parse_fields, position_of, tail_scan
from app.runtime.instants import DAY_US, TimeRange, from_epoch_us
from app.settings.load import Settings
from app.stores.query import Condition, Position
from app.stores.source import Answer, Row
from sluice.testing.clock import FakeClock
from tests.contract.application import cache_of
from tests.contract.stores import RECORDS, T0_US
from tests.sse import Event, EventSource
from tests.support.unwatched import environment_of

POLL_S = 0.25
ROW_BYTES = 10
BEGIN = Position(T0_US, "")


class Sheet:
    """The rows of a table. `asked` tells the queries: where each began, and by which conditions."""

    def __init__(self) -> None:
        self.runner, self.table = SimpleNamespace(profile=SimpleNamespace(poll_s=POLL_S)), RECORDS
        self.environment: Any = None
        self.number: int | None = None
        """A number, where the store knows of every new row."""
        self.rows: list[Row] = []
        self.settled_us = T0_US
        self.asked: list[tuple[Position, tuple[Condition, ...]]] = []
        self.failure: Exception | None = None
        self.answers = asyncio.Event()
        """Cleared, the store is silent."""
        self.answers.set()
        self.given_up = 0

    def horizon_us(self) -> int:
        return self.settled_us

    def version(self) -> int | None:
        return self.number

    async def learn_horizon(self) -> None:
        """Learn nothing: what is settled is known."""

    def put(self, *stamps_us: int, settle: bool = True) -> list[Position]:
        """Store a row at each of these instants after T0_US, and let them settle."""
        rows = [_row(T0_US + stamp_us, f"k{len(self.rows) + number}") for number, stamp_us in enumerate(stamps_us)]
        self.rows = sorted(self.rows + rows, key=position_of)
        if self.number is not None:
            self.number += 1
        if settle:
            self.settled_us = max(self.settled_us, T0_US + max(stamps_us) + 1)
        return [position_of(row) for row in rows]

    async def page(self, scan: Scan, budget: Budget) -> Page:
        begins, limit = scan.after or Position(scan.window.from_us, ""), scan.limit or 0
        self.asked.append((begins, scan.conditions))
        try:
            await self.answers.wait()
        except asyncio.CancelledError:
            self.given_up += 1
            raise
        if self.failure is not None:
            raise self.failure
        until = Position(scan.window.to_us, "")
        found = [row for row in self.rows if begins < position_of(row) < until]
        budget.spend(Answer([], fetched_bytes=ROW_BYTES * len(found[:limit])))
        stopped_at = position_of(found[limit - 1]) if len(found) > limit else None
        return Page(scan=scan, rows=found[:limit], stopped_at=stopped_at)


def _row(ingest_us: int, key: str) -> Row:
    return {"id": key, "ingest_time": from_epoch_us(ingest_us), "delivery_key": key}


class Listener:
    """A client: what it has read so far, however often it had to connect.

    While it does not read, a piece fits on the way to it, and the next one has to wait.
    """

    def __init__(self, start: Position) -> None:
        self.start = start
        self.source = EventSource()
        self.events: list[Event] = []
        self.pieces: list[bytes] = []
        self.task: asyncio.Task[None] | None = None
        self.reads = asyncio.Event()
        self.reads.set()
        self._on_the_way: list[bytes] = []

    async def send(self, piece: bytes) -> None:
        """Take a piece from the service."""
        if not self.reads.is_set() and self._on_the_way:
            await self.reads.wait()
        self.pieces.append(piece)
        self._on_the_way.append(piece)
        if self.reads.is_set():
            self.read()

    def read(self) -> None:
        """Read what is on the way, and whatever comes."""
        self.reads.set()
        self._take(b"".join(self._on_the_way))

    def _take(self, piece: bytes) -> None:
        self._on_the_way = []
        self.events += self.source.feed(piece)

    async def hang_up(self, part: float = 0.0) -> None:
        """Break the connection, with only a `part` of what is on the way received."""
        assert self.task is not None
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        whole = b"".join(self._on_the_way)
        self._take(whole[: int(len(whole) * part)])
        self.source = EventSource(self.source.last_event_id)
        self.task = None
        self.reads.set()

    @property
    def keys(self) -> list[str]:
        """The records that it got, by their keys."""
        return [event.data["id"] for event in self.events if event.name == "record"]

    @property
    def place(self) -> Position:
        """Where it goes on when it connects again."""
        if not self.source.last_event_id:
            return self.start
        return place_of(self.source.last_event_id)

    def has_ended(self) -> bool:
        return self.task is not None and self.task.done()


def place_of(cursor: str) -> Position:
    """Return the place of a resume cursor."""
    return position_in(cursor, table=RECORDS.name, fingerprint="")


class Stage:
    """Tails over a sheet, and their clients."""

    def __init__(self, **settings: Any) -> None:
        self.clock, self.sheet = FakeClock(T0_US), Sheet()
        feed: Any = self.sheet
        self.max_s, self.generation = settings.get("tail_max_s", 240.0), 0
        self.sheet.environment = environment_of(self.clock, Settings().replace(**settings))
        self.cache = cache_of(self.clock, lambda: str(self.generation))
        self.stopping = asyncio.Event()
        self.batches = TailBatches(feed, self.cache, asyncio.Semaphore(MOST_READS))

    def listen(self, start: Position = BEGIN) -> Listener:
        """Return a new client that reads from `start` on."""
        listener = Listener(start)
        self.connect(listener)
        return listener

    def connect(self, listener: Listener) -> None:
        """Let a client go on where it was."""
        scan = Scan(
            table=RECORDS.name,
            window=TimeRange(0, 0),
            horizon_us=T0_US,
            columns=parse_fields(RECORDS.columns, "id"),
        )
        place = listener.place
        scan = tail_scan(scan, place if place.delivery_key else self.batches.start(place), T0_US, 31 * DAY_US)
        tail = Tail(scan, self.batches.after, self.clock, self.max_s, self.stopping)
        listener.task = asyncio.create_task(tail.run(listener.send))

    @property
    def is_idle(self) -> bool:
        """Whether nothing is read for anybody."""
        return not self.batches._looks and not self.cache._flights

    async def turn(self, seconds: float = 0.0) -> None:
        """Move the clock on, and let everybody run."""
        await self.clock.advance(seconds)

"""Followers of the embedded store, while four writers append to it: with threads, tasks and the clock as they are."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from random import Random

import pytest

from app.record import Record
from app.runtime.clock import SystemClock
from app.runtime.instants import epoch_us, to_text
from app.schema.table import Table
from app.stores.duckdb.store import EmbeddedAppender
from app.stores.query import Position
from app.stores.sink import Appender, Stored
from app.stores.sql.statement import Statement
from sluice.testing.service import Service, running
from tests.contract.follower.followers import Follower, Poll
from tests.contract.shelf import envelope
from tests.contract.stores import RECORDS
from tests.encoding import encoded
from tests.long_form import long

_MESSAGES = 120


class _Writers:
    """Four writers who share a queue of messages: what is not acknowledged comes again, and some of the rest, too."""

    def __init__(self, appender: EmbeddedAppender, random: Random) -> None:
        self._appender, self._random = appender, random
        self._queue = [f"k{number}" for number in range(_MESSAGES)]

    async def run(self) -> None:
        """Work until the queue is empty."""
        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(self._work())

    async def _work(self) -> None:
        while self._queue:
            key = self._queue.pop(self._random.randrange(len(self._queue)))
            attempt = asyncio.create_task(self._appender.append([self._row(key)]))
            if self._random.random() < 0.3:  # it crashes, before the row is sent, while it is stored, or thereafter
                for _ in range(self._random.randrange(40)):
                    await asyncio.sleep(0)
                attempt.cancel()
                await asyncio.wait([attempt])
                self._queue.append(key)
            else:
                assert await attempt == Stored()
                if self._random.random() < 0.2:  # the answer is lost
                    self._queue.append(key)

    def _row(self, key: str) -> bytes:
        record = Record(id=key, timestamp=datetime(2026, 1, 1, tzinfo=UTC), source="ab"[int(key[1:]) % 2])
        return encoded(self._appender, record, envelope(key))


async def _read(service: Service, follower: Follower, random: Random, *, is_over: Callable[[], bool]) -> None:
    """Follow until the writers are done, and then to the end."""
    last = False
    while not last:
        last = is_over()
        poll = Poll(limit=1000) if last else Poll(random.choice([1, 3, 1000]), walks=random.random() < 0.7)
        more = True
        while more:
            more = await _poll(service, follower, poll) and last
    await _poll(service, follower, Poll(walks=False))


async def _poll(service: Service, follower: Follower, poll: Poll) -> bool:
    return follower.hear(await service.client.get("/v1/records", params=follower.question(poll)), poll)


async def _stored(appender: EmbeddedAppender) -> list[Position]:
    """Return the places of all rows, in order."""
    sql = "SELECT delivery_key, ingest_time FROM `records`"
    rows = (await appender._store.read(Statement(sql=sql, parameters={}))).rows
    return sorted(Position(epoch_us(row["ingest_time"]), row["delivery_key"]) for row in rows)


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=long)])
async def test_followers_of_concurrent_writers_see_each_delivery_exactly_once(seed: int) -> None:
    """With stamps in flight, appends that are given up at any point, and copies."""
    appenders: dict[str, Appender] = {}

    def keep(table: Table, appender: Appender) -> Appender:
        return appenders.setdefault(table.name, appender)

    clock, random = SystemClock(), Random(seed)
    since = to_text(clock.now_us())
    async with running(clock=clock, wrap_appender=keep) as service:
        appender = appenders[RECORDS.name]
        assert isinstance(appender, EmbeddedAppender)
        writing = asyncio.create_task(_Writers(appender, random).run())
        followers = [Follower({}, since), Follower({}, since), Follower({"source": "a"}, since)]
        await asyncio.gather(
            writing, *(_read(service, follower, Random(seed), is_over=writing.done) for follower in followers)
        )
        stored = await _stored(appender)
    assert len(stored) == len({place.delivery_key for place in stored}) == _MESSAGES
    assert followers[0].seen == followers[1].seen == stored
    assert followers[2].seen == [place for place in stored if int(place.delivery_key[1:]) % 2 == 0]

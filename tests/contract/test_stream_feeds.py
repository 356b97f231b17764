"""The law of streams: the feed of each is that of a service of its own, whatever befalls the tables of the others.

The same messages go to one service with three streams, whose store misbehaves and one of whose tables is away for a
while. Stream by stream, they also go to services with a single type and nothing wrong.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from random import Random
from typing import Any, TypeVar

import msgspec
import pytest

from app.record import RejectedRecord
from app.runtime.instants import SECOND_US, to_text
from app.schema.table import Table, records_table
from app.settings.load import Settings
from app.stores.sink import (
    Appender,
    Outcome,
    QuotaExceeded,
    SetupError,
    SinkState,
    TableCheck,
    Uncertain,
)
from app.streams import load_streams
from sluice.testing.clock import FakeClock
from sluice.testing.service import Service, authorization, envelope, running
from tests.contract.stores import REJECTS, T0_US, Engine
from tests.contract.test_service import settings_of
from tests.long_form import IS_LONG, long
from tests.streams.market import STREAMS

SEEDS = 20 if IS_LONG else 1
MESSAGES = 30
SERVICE = "tests.streams.market:STREAMS"
GONE = SetupError(SinkState.NOT_FOUND, "somebody dropped it")
UNEQUAL = {"ingest_time", "trace_id"}
"""Columns that say when and in which trace a row was stored."""


Result = TypeVar("Result")


class Delivery(msgspec.Struct, frozen=True):
    """A message of a stream, and how it is addressed when there are several."""

    stream: str
    data: bytes
    number: int
    attributes: dict[str, str] | None = None
    has_path: bool = False
    twice: bool = False


def deliveries(random: Random) -> list[Delivery]:
    """Return messages of all streams: good and bad records, one or several, addressed in each way, some twice."""
    return [_delivery(random, number) for number in range(MESSAGES)]


def _delivery(random: Random, number: int) -> Delivery:
    stream = random.choice(["orders", "payments", "visits"])
    records = [_record(random, stream) for _ in range(random.choice([1, 1, 1, 3]))]
    data = msgspec.json.encode(records[0] if len(records) == 1 else records)
    if random.random() < 0.1:
        data = data[: len(data) // 2]  # no JSON
    # Orders are the first stream, and need no rule; visits declare no attribute of their own.
    declared: dict[str, dict[str, str] | None] = {"orders": None, "payments": {"ce-type": "payment.made"}}
    way = random.choice(["path", "attribute", "declared"])
    attributes = {"stream": stream} if way == "attribute" else declared.get(stream) if way == "declared" else None
    has_path = way == "path" or (way == "declared" and stream not in declared)
    return Delivery(stream, data, number, attributes, has_path, random.random() < 0.3)


def _record(random: Random, stream: str) -> dict[str, Any]:
    kind = {"orders": "order", "payments": "payment", "visits": "visit"}[stream]
    number = random.randrange(5)
    right: dict[str, dict[str, Any]] = {
        "orders": {"order_id": f"o{number}", "total": random.choice([None, 1.5])},
        "payments": {"number": number, "dropped": True},
        "visits": {"page": f"/{number}"},
    }
    wrong: dict[str, dict[str, Any]] = {
        "orders": {"total": "much"},
        "payments": {"number": "x"},
        "visits": {"paje": "/"},
    }
    return {"kind": kind, **(wrong if random.random() < 0.2 else right)[stream]}


class Chaotic:
    """An appender that misbehaves as the seed says; its table is away while `away` is set.

    `busy` counts its calls of a real store, during which the fake clock must stand still.
    """

    def __init__(self, appender: Appender, seed: int) -> None:
        self._appender, self._random, self.away, self.busy = appender, Random(seed), False, 0

    def __getattr__(self, name: str) -> Any:
        """Leave the rest to the appender."""
        return getattr(self._appender, name)

    async def append(self, rows: Sequence[bytes]) -> Outcome:
        """Fail before the rows are stored, or after, or not at all."""
        if self.away:
            return GONE
        fate = self._random.random()
        if fate < 0.1:
            return Uncertain("lost on the way there")
        if fate < 0.15:
            return QuotaExceeded("slow down")
        outcome = await self._in_time(self._appender.append(rows))
        return Uncertain("the answer was lost") if fate < 0.3 else outcome

    async def check(self) -> TableCheck:
        """Find what the appends find."""
        return GONE if self.away else await self._in_time(self._appender.check())

    async def _in_time(self, work: Awaitable[Result]) -> Result:
        self.busy += 1
        try:
            return await work
        finally:
            self.busy -= 1


class Driver(msgspec.Struct):
    """Plays Pub/Sub for a service whose clock stands still while a store works."""

    service: Service
    clock: FakeClock
    sinks: dict[str, Chaotic]

    async def deliver(self, one: Delivery) -> None:
        """Push a message until it is acknowledged; and once more if it is delivered twice."""
        for _ in range(2 if one.twice else 1):
            while (status := await self.push_once(one)) != 204:
                assert status in {429, 503}
                await self.clock.advance(10)

    async def push_once(self, one: Delivery) -> int:
        """Push a message; return the status."""
        path = f"/pubsub/push/{one.stream}" if self.sinks and one.has_path else "/pubsub/push"
        body = envelope(one.data, str(one.number), one.attributes)
        push = asyncio.create_task(self.service.client.post(path, content=body, headers=authorization()))
        while not push.done():
            await asyncio.sleep(0.001)
            if self.sinks and not any(sink.busy for sink in self.sinks.values()):
                await self.clock.advance(0.5)
        return push.result().status_code


async def feed(service: Service, path: str) -> list[dict[str, Any]]:
    """Follow a feed to its end; return its rows in the order of their keys, without what differs by nature."""
    found, asked = list[dict[str, Any]](), {"since": to_text(T0_US - SECOND_US), "limit": "15"}
    while True:
        answer = await service.client.get(path, params=asked)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += page["records"]
        if page["next_cursor"] is None:
            rows = [{name: value for name, value in row.items() if name not in UNEQUAL} for row in found]
            return sorted(rows, key=lambda row: (row["delivery_key"], row.get("part", 0)))
        asked = {"cursor": page["next_cursor"], "limit": "15"}


async def together(engine: Engine, settings: Settings, sent: Sequence[Delivery], seed: int) -> dict[str, Any]:
    """Return the feeds of the streams of one service, one of whose tables goes away and comes back."""
    clock, random, sinks = FakeClock(T0_US), Random(seed), dict[str, Chaotic]()

    def wrap(table: Table, appender: Appender) -> Appender:
        sinks[table.name] = Chaotic(appender, random.randrange(10**9))
        return sinks[table.name]

    async with running(settings, clock, wrap) as service:
        driver, sick = Driver(service, clock, sinks), random.choice([*STREAMS])
        sinks[sick].away = True
        early, rest = sent[: MESSAGES // 2], sent[MESSAGES // 2 :]
        held = [each for each in early if each.stream == sick]
        for each in early:
            if each.stream != sick:
                await driver.deliver(each)
        if held:
            assert await driver.push_once(held[0]) in {204, 503}  # 204 where all its records are rejects
        states = (await service.client.get("/health/ready")).json()["sinks"]
        assert all(states[stream]["state"] in {"ACTIVE", "QUOTA_EXHAUSTED"} for stream in STREAMS if stream != sick)
        sinks[sick].away = False
        for each in [*held, *rest]:
            await driver.deliver(each)
        await clock.advance(engine.settle_s + 60)
        return {
            stream: [await feed(service, f"/v1/streams/{stream}/{below}") for below in ("records", "rejects")]
            for stream in STREAMS
        }


async def alone(engine: Engine, settings: Settings, sent: Sequence[Delivery]) -> list[Any]:
    """Return the feeds of a service with a single type and a store that works."""
    clock = FakeClock(T0_US)
    async with running(settings, clock) as service:
        for each in sent:
            await Driver(service, clock, {}).deliver(each)
        await clock.advance(engine.settle_s + 60)
        return [await feed(service, path) for path in ("/v1/records", "/v1/rejects")]


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("engine", ["embedded", pytest.param("bigquery", marks=long)], indirect=True, scope="session")
def test_the_feed_of_each_stream_is_that_of_a_service_of_its_own(engine: Engine, seed: int) -> None:
    """Records and rejects, field by field and each once, though a table was away and acknowledgements were lost."""
    sent = deliveries(Random(seed))
    streams = load_streams(Settings().replace(streams=SERVICE).store)
    settings = settings_of(engine, REJECTS).replace(record="app.record:Record", streams=SERVICE)
    made = engine.loop.run(engine.settings([*streams.tables, REJECTS]))
    settings = settings.replace(data_path=made.store.data_path, bigquery_dataset=made.store.bigquery_dataset)
    shared = engine.loop.run(together(engine, settings, sent, seed))
    for stream, (records, rejects) in shared.items():
        own = settings_of(engine, records_table(streams.by_name[stream].table.record_type))
        expected = engine.loop.run(alone(engine, own, [each for each in sent if each.stream == stream]))
        assert records == expected[0], stream
        prefix = "" if stream == streams.default.name else f"{stream}/"
        assert rejects == [
            {**row, "delivery_key": prefix + row["delivery_key"], "stream": stream} for row in expected[1]
        ], stream
        assert len({row["delivery_key"] for row in records}) == len(records)


def test_the_law_can_fail() -> None:
    """The messages have every kind of record, and the columns compared are those of the rejects too."""
    sent = [each for seed in range(3) for each in deliveries(Random(seed))]
    assert {each.stream for each in sent} == set(STREAMS)
    assert {each.has_path for each in sent} == {each.twice for each in sent} == {True, False}
    assert UNEQUAL.isdisjoint(RejectedRecord.__struct_fields__)

"""How canaries are looked for: patiently, seldom, and a few at a time; over a feed that a test fills."""

import asyncio
from types import SimpleNamespace
from typing import cast

import msgspec

from app.health.canary import GIVE_UP_S, MAX_WAITING, CanaryWatch
from app.query.read.feed import Feed
from app.query.request.scan import Page, Scan
from app.record import Record
from app.runtime.clock import MICROSECONDS
from app.schema.table import records_table
from app.stores.source import StoreUnavailableError
from app.telemetry.metrics import Metrics
from sluice.testing.clock import FakeClock
from tests.support.unwatched import environment_of

POLL_S = 5.0


class Stage:
    """Heartbeats that are looked for in a feed, which shows what `shown` holds once `settle_s` have passed."""

    def __init__(self, settle_s: float = 0.0) -> None:
        self.clock, self.metrics, self.settle_s = FakeClock(), Metrics(), settle_s
        self.shown: set[str] = set()
        self.asked: list[tuple[str, ...]] = []
        """The keys of each look, in order."""
        self.fault: Exception | None = None
        self.table, self.runner = records_table(Record), SimpleNamespace(profile=SimpleNamespace(poll_s=POLL_S))
        self.canaries = CanaryWatch(
            cast("Feed", self), msgspec.structs.replace(environment_of(self.clock), metrics=self.metrics)
        )
        self.running = asyncio.create_task(self.canaries.run())

    async def learn_horizon(self) -> None:
        """Learn nothing: the settle time is known."""

    def horizon_us(self) -> int:
        return self.clock.now_us() - round(self.settle_s * MICROSECONDS)

    async def page(self, scan: Scan, _: object) -> Page:
        """Return those of the wanted rows that are shown."""
        (condition,) = scan.conditions
        assert scan.limit == len(condition.values)
        assert scan.window.from_us < scan.window.to_us <= self.horizon_us()
        assert [column.name for column in scan.columns] == ["delivery_key", "ingest_time"]
        self.asked.append(tuple(map(str, condition.values)))
        if self.fault is not None:
            raise self.fault
        return Page(scan=scan, rows=[{"delivery_key": key} for key in condition.values if key in self.shown])

    def stored(self, *keys: str, ago_s: float = 0.0) -> None:
        """Say that canaries were stored that were published so long ago."""
        for key in keys:
            self.canaries.stored(key, self.clock.now_us() - round(ago_s * MICROSECONDS))

    @property
    def seen(self) -> list[tuple[int, float]]:
        """How many were seen, and what their delays come to."""
        return [
            (sum(point.counts), round(point.total, 2))
            for _, point in self.metrics.canary_delay.points()
            if any(point.counts)
        ]

    async def end(self) -> None:
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)


async def test_nothing_is_asked_while_there_is_nothing_to_look_for() -> None:
    """Nor before a canary can be settled; all that are settled are asked for at once, and not again."""
    stage = Stage(settle_s=30)
    await stage.clock.advance(60)
    stage.stored("a", "b", ago_s=1)
    stage.shown |= {"a", "b"}
    await stage.clock.advance(29)
    assert stage.asked == []
    await stage.clock.advance(POLL_S)
    assert stage.asked == [("a", "b")]
    ((count, total_s),) = stage.seen
    assert count == 2
    assert 2 * 31 <= total_s <= 2 * (31 + POLL_S)
    await stage.clock.advance(600)
    assert len(stage.asked) == 1
    await stage.end()


async def test_what_is_not_there_yet_is_looked_for_at_each_poll() -> None:
    """Until it is there; a store that fails, or a defect, is asked again too."""
    stage = Stage()
    for stage.fault in (None, StoreUnavailableError("away"), ValueError("a defect")):
        stage.stored("a")
        await stage.clock.advance(POLL_S - 1)
        asked = len(stage.asked)
        await stage.clock.advance(4 * POLL_S)
        assert len(stage.asked) == asked + 4
    stage.fault = None
    stage.shown.add("a")
    await stage.clock.advance(POLL_S)
    assert [count for count, _ in stage.seen] == [1]
    assert stage.metrics.canaries_missed == 0
    await stage.end()


async def test_each_is_given_up_after_its_own_time() -> None:
    """And counted as missed, whatever the store says meanwhile."""
    stage = Stage()
    stage.fault = StoreUnavailableError("away")
    stage.stored("a")
    await stage.clock.advance(100)
    stage.stored("b")
    await stage.clock.advance(GIVE_UP_S - 100 + POLL_S)
    assert stage.metrics.canaries_missed == 1
    await stage.clock.advance(100)
    assert (stage.metrics.canaries_missed, stage.asked[-1]) == (2, ("b",))
    asked = len(stage.asked)
    await stage.clock.advance(100)
    assert len(stage.asked) == asked
    await stage.end()


async def test_a_flood_leaves_some_that_are_measured() -> None:
    """The first few, however many are published meanwhile; the others are neither seen nor missed."""
    stage = Stage()
    stage.stored(*(str(number) for number in range(1_000)))
    await stage.clock.advance(0)
    assert stage.asked == [tuple(str(number) for number in range(MAX_WAITING))]
    await stage.clock.advance(GIVE_UP_S + POLL_S)
    assert stage.metrics.canaries_missed == MAX_WAITING
    await stage.end()

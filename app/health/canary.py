"""Measure the end-to-end delay from a canary's publication until the feed shows it.

A canary is a message with the signed attribute `sluice-heartbeat` (app.ingest.decode.envelope). Its record is stored
like any other, and left out of reads. The instance that stored it polls the feed for it, as a consumer of canaries
would, once its place is settled. Only instances that both ingest and query do so: one that only ingests may lack the
permission to read.
"""

import asyncio
import logging
from collections.abc import Sequence

import msgspec

from app.environment import Environment
from app.query.read.feed import Budget, Feed
from app.query.request.scan import Scan
from app.runtime.clock import MICROSECONDS
from app.runtime.instants import TimeRange
from app.schema.columns import Kind
from app.stores.query import Condition
from app.stores.source import QueryError

GIVE_UP_S = 300.0
# One a minute is plenty. In a flood, the first ones are measured: if newer ones replaced them, none would be.
MAX_WAITING = 16
_COLUMNS = ("delivery_key", "ingest_time")
_log = logging.getLogger("sluice.heartbeat")


class _Canary(msgspec.Struct, frozen=True):
    """A stored heartbeat: its publication time, the window it lies in, and when to stop looking (`elapsed_us`)."""

    delivery_key: str
    published_us: int
    window: TimeRange
    given_up_us: int


class CanaryWatch:
    """Polls the feed for the canaries that this instance stored, a few at a time, until it shows them."""

    def __init__(self, feed: Feed, environment: Environment) -> None:
        self._feed, self._environment, self._settings = feed, environment, environment.settings
        self._clock, self._metrics = environment.clock, environment.metrics
        self._columns = tuple(column for column in feed.table.columns if column.name in _COLUMNS)
        self._waiting: dict[str, _Canary] = {}
        self._change = asyncio.Event()

    def stored(self, delivery_key: str, published_us: int) -> None:
        """Start looking for the row with this key, published at `published_us` (microseconds since the epoch).

        The row was stamped within the request's budget before now. If another instance stored an earlier copy, the
        feed shows that copy instead, which lies between the publication and now.
        """
        if len(self._waiting) >= MAX_WAITING:
            return
        now_us, s = self._clock.now_us(), self._settings
        earliest_us = now_us - round(s.query.dedupe_lookback_s * MICROSECONDS)
        published_by_us = published_us - round(s.store.clock_skew_s * MICROSECONDS)
        begun_us = now_us - round(s.ingest.request_budget_s * MICROSECONDS)
        window = TimeRange(max(min(published_by_us, begun_us), earliest_us), now_us)
        given_up_us = self._clock.elapsed_us() + round(GIVE_UP_S * MICROSECONDS)
        self._waiting[delivery_key] = _Canary(delivery_key, published_us, window, given_up_us)
        self._change.set()

    async def run(self) -> None:
        """Poll the feed while canaries are waiting, until cancelled."""
        while True:
            await self._change.wait()
            while self._waiting:
                try:
                    await self._look()
                except QueryError as error:
                    _log.info("cannot look for canaries: %s", type(error).__name__)
                except Exception:  # a bug here must not end the measurement
                    _log.exception("the search for canaries failed")
                self._give_up()
                await self._clock.sleep(self._feed.runner.profile.poll_s)
            self._change.clear()

    async def _look(self) -> None:
        await self._feed.learn_horizon()
        horizon_us = self._feed.horizon_us()
        settled = [each for each in self._waiting.values() if each.window.to_us <= horizon_us]
        shown_keys = await self._read(settled) if settled else set()
        for each in settled:
            if each.delivery_key in shown_keys and self._waiting.pop(each.delivery_key, None) is not None:
                delay_us = max(self._clock.now_us() - each.published_us, 0)  # stamped by another machine's clock
                self._metrics.canary_delay.record(delay_us / MICROSECONDS)

    async def _read(self, canaries: Sequence[_Canary]) -> set[str]:
        """Read one page of the feed; return the delivery keys of those of `canaries` that it shows."""
        keys = tuple(each.delivery_key for each in canaries)
        since_us = min(each.window.from_us for each in canaries)
        until_us = max(each.window.to_us for each in canaries)
        scan = Scan(
            table=self._feed.table.name,
            window=TimeRange(since_us, until_us),
            horizon_us=until_us,
            columns=self._columns,
            conditions=(Condition("delivery_key", (), "in", Kind.STRING, keys),),
            limit=len(keys),
        )
        page = await self._feed.page(scan, Budget(self._environment))
        return {row["delivery_key"] for row in page.rows}

    def _give_up(self) -> None:
        now_us = self._clock.elapsed_us()
        for each in [each for each in self._waiting.values() if each.given_up_us <= now_us]:
            del self._waiting[each.delivery_key]
            self._metrics.canaries_missed += 1
            _log.warning("the canary %s was stored %g s ago and is not readable yet", each.delivery_key, GIVE_UP_S)

"""Chaos: instances that are killed under load, over a store that misbehaves; nothing is lost, and nothing twice."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack

import msgspec

from app.runtime.clock import SystemClock
from app.stores.bigquery.client import TableAddress
from sluice.testing import tokens
from sluice.testing.misbehaving.wire import Wire
from tests.long.fleet import Fleet, fleet
from tests.long.load import Driver
from tests.long.messages import AT_STORE, CutReads, Event, Kill, Outage, Plan
from tests.long.result import Result, spread
from tests.long.run import Walk, followed
from tests.long.store import ForwardingServer, counted
from tests.long.weather import Weather
from tests.support.process import served_keys

INSTANCES = 2
# Quick for a service, but long enough for a store that shares two cores with everything else. What the store is
# given within the first 70 % of the margin has the rest of it to be committed.
APPEND_DEADLINE_S, MARGIN_S, SKEW_S, ACK_DEADLINE_S = 2.0, 3.0, 0.5, 9.0
SEND_WITHIN_S = APPEND_DEADLINE_S + MARGIN_S * 0.7
SETTINGS = {
    "backend": "bigquery",
    "append_deadline_s": str(APPEND_DEADLINE_S),
    "late_commit_margin_s": str(MARGIN_S),
    "clock_skew_s": str(SKEW_S),
    # A little more than it must be: what a busy machine's timers are late by is no lateness of rows, which are repaired
    # under another key and would be seen twice.
    "settle_s": str(APPEND_DEADLINE_S + MARGIN_S + SKEW_S + 2.0),
    "request_budget_s": "6",
    "ack_deadline_s": str(ACK_DEADLINE_S),
    "max_record_bytes": "1000000",
}
_SMALL = {"max_batch_bytes": 3_000_000}


class Conditions(msgspec.Struct, frozen=True, kw_only=True):
    """How hard a run is: the share of appends that something befalls, pauses for quota, messages in flight.

    A run that is not over `within_s` seconds has failed.
    """

    fault_rate: float
    max_quota: int
    in_flight: int
    within_s: float


class Chaos:
    """One run over the tables of `place`, which are empty; it is awaited once, by calling it."""

    def __init__(self, plan: Plan, place: TableAddress, conditions: Conditions, say: Callable[[str], None]) -> None:
        self._plan, self._place, self._conditions, self._say = plan, place, conditions, say
        self._weather = Weather(
            plan.seed,
            rate=conditions.fault_rate,
            max_quota=conditions.max_quota,
            deadline_s=APPEND_DEADLINE_S,
            margin_s=MARGIN_S,
        )
        self._events = sorted(plan.events, key=lambda event: event.at)
        self._due: asyncio.Queue[Event | None] = asyncio.Queue()
        self._store = ForwardingServer(SystemClock(), place.storage_url, send_within_s=SEND_WITHIN_S)
        self._store.decide, self._store.is_bad = self._weather, lambda row_id: AT_STORE in row_id
        self._reads = Wire(int(place.rest_url.rpartition(":")[2]))
        self._done = 0

    async def __call__(self) -> Result:
        """Do it, and return what was found."""
        async with AsyncExitStack() as undo:
            keys_url = undo.enter_context(served_keys())
            await self._store.start()
            undo.push_async_callback(self._store.stop)
            await self._reads.up()
            undo.push_async_callback(self._reads.close)
            settings = SETTINGS | {
                "token_keys_url": keys_url,
                "bigquery_project": self._place.project,
                "bigquery_dataset": self._place.dataset,
                "bigquery_rest_url": f"http://127.0.0.1:{self._reads.port}",
                "bigquery_storage_url": self._store.url,
                "poll_s": "1",
            }
            instances = await undo.enter_async_context(fleet(INSTANCES, settings, _SMALL))
            token = tokens.token()
            driver = Driver(instances, seed=self._plan.seed, token=lambda: token, ack_deadline_s=ACK_DEADLINE_S)
            began_s, within_s = time.monotonic(), self._conditions.within_s
            try:
                async with asyncio.timeout(within_s):
                    walk = await followed(instances, lambda _: self._work(instances, driver), self._plan.seed)
            except TimeoutError:
                slow = f"slow: not over after {within_s:g} s, when {self._done} messages were answered"
                return Result(counts={"requests": driver.outcomes}, wrong=[slow])
            return await self._result(instances, driver, walk, time.monotonic() - began_s)

    async def _work(self, instances: Fleet, driver: Driver) -> None:
        """Send everything while things go wrong; return when nothing is on its way to the store any more."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._let_happen(instances))
            await driver.run(self._plan.messages, in_flight=self._conditions.in_flight, progress=self._progress)
            self._due.put_nowait(None)
        await self._store.settled()
        self._say("everything is answered; the feeds are followed to their end and read again")

    def _progress(self, done: int) -> None:
        self._done = done
        while self._events and self._events[0].at <= done:
            self._due.put_nowait(self._events.pop(0))
        if done % max(len(self._plan.messages) // 10, 1) == 0:
            self._say(f"{done} of {len(self._plan.messages)} messages answered")

    async def _let_happen(self, instances: Fleet) -> None:
        """Let the events happen as they fall due; while an instance starts again, others go on."""
        async with asyncio.TaskGroup() as kills:
            while (event := await self._due.get()) is not None:
                match event.what:
                    case Kill(instance, number):
                        self._say(f"{number.name} for instance {instance}")
                        kills.create_task(instances.end(instance, number))
                    case Outage(seconds):
                        self._say(f"the write server is gone for {seconds:g} s")
                        await self._store.outage(seconds)
                    case CutReads():
                        for link in self._reads.open_links:
                            link.cut()

    async def _result(self, instances: Fleet, driver: Driver, walk: Walk, seconds: float) -> Result:
        tables = await asyncio.to_thread(counted, self._place)
        lines = self._store.lines.values()
        slowest_s = max((line.latest_s for line in lines), default=0.0)
        wrong = walk.wrong([*self._plan.messages], driver, instances, tables)
        wrong += [f"protocol: {each}" for each in self._store.violations]
        if wrong and slowest_s > APPEND_DEADLINE_S + MARGIN_S:
            wrong.insert(0, _TOO_SLOW.format(slowest_s, MARGIN_S))
        stored, rejected = tables
        return Result(
            counts={
                "requests": driver.outcomes,
                "answered, s": spread(sorted(driver.ack_s)),
                "faults": sum((line.counts for line in lines), self._weather.counts),
                "ended": {"times": instances.kills, **spread(sorted(stop.seconds for stop in instances.stops))},
                "pages": walk.pages,
                "stored": {
                    "records": len(stored),
                    "rows of them": sum(stored.values()),
                    "rejects": len(rejected),
                    "appends": len(self._store.arrivals),
                    "s for a commit, at most": slowest_s,
                    "s in all": seconds,
                },
            },
            wrong=wrong,
        )


_TOO_SLOW = (
    "note: the store took {:.1f} s for a commit, beyond the margin of {:g} s within which anything is promised: this "
    "machine is too slow or too busy for what follows to be certain"
)

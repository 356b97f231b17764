"""A process that is stopped between the stamp of rows and their acknowledgement: a follower misses none of them."""

import asyncio
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import cast

import httpx
import msgspec
import pytest

from app.runtime.clock import SystemClock
from app.stores.bigquery.client import BigQueryClients, TableAddress
from sluice.local.bigquery.provision import tables_of
from sluice.local.declared import Declared
from sluice.testing.misbehaving.faults import Arrival, Fault
from sluice.testing.misbehaving.waiting import until
from sluice.testing.service import authorization, envelope
from tests.long.fleet import Fleet, Instance
from tests.long.reader import Follower
from tests.long.store import ForwardingServer
from tests.support.local_bigquery import Double
from tests.support.process import served_keys

SETTINGS = {
    "backend": "bigquery",
    "append_deadline_s": "2",
    "late_commit_margin_s": "1",
    "clock_skew_s": "0.5",
    "settle_s": "5",
    "request_budget_s": "6",
    "ack_deadline_s": "60",
}
SUFFIX = "~late1"


class Stage:
    """An instance that ingests and may be stopped, one that is read meanwhile, and the store behind both."""

    def __init__(self, store: ForwardingServer, writes: Instance, reads: Instance, place: TableAddress) -> None:
        self.store, self.writes, self._reads, self._place = store, writes, reads, place
        self.follower = Follower(cast("Fleet", self), "/v1/records", datetime.now(UTC) - timedelta(minutes=1), 0)
        self.acknowledged: list[str] = []

    def url(self, _: random.Random) -> str:
        """Return where the follower reads, as a Fleet would."""
        return self._reads.url

    def send(self, number: signal.Signals) -> None:
        assert self.writes.running is not None
        self.writes.running.process.send_signal(number)

    async def push(self, row_id: str) -> None:
        """Deliver a message until it is acknowledged, as Pub/Sub does."""
        data = msgspec.json.encode({"id": row_id, "timestamp": "2026-01-31T12:00:00Z"})
        async with httpx.AsyncClient(base_url=self.writes.url, timeout=60) as client:
            while True:
                answer = await client.post(
                    "/pubsub/push", content=envelope(data, message_id=row_id), headers=authorization()
                )
                if answer.status_code == 204:
                    self.acknowledged.append(row_id)
                    return
                await asyncio.sleep(0.1)

    async def passed(self, instant: datetime) -> None:
        """Wait until the follower has read the feed beyond what was stamped before `instant`."""
        await until(lambda: self.follower.settled is not None and self.follower.settled > instant, within_s=30)

    def keys(self) -> set[str]:
        """Return the delivery keys of all rows there are; blocking."""
        access = BigQueryClients(self._place)
        try:
            table = self._place.table_id("records")
            sql = f"SELECT delivery_key FROM `{table}` WHERE ingest_time > TIMESTAMP '2000-01-01'"  # noqa: S608 - a name
            return {row["delivery_key"] for row in access.client().query_and_wait(sql)}
        finally:
            access.close()


@asynccontextmanager
async def staged(double: Double) -> AsyncIterator[Stage]:
    """Set up the stage, and follow the feed until the block ends."""
    place = double.fresh(*tables_of(Declared()))
    async with AsyncExitStack() as undo:
        store = ForwardingServer(SystemClock(), place.storage_url, send_within_s=600)
        await store.start()
        undo.push_async_callback(store.stop)
        settings = SETTINGS | {
            "token_keys_url": undo.enter_context(served_keys()),
            "bigquery_project": place.project,
            "bigquery_dataset": place.dataset,
            "bigquery_rest_url": place.rest_url,
            "bigquery_storage_url": store.url,
        }
        writes = Instance(0, settings | {"roles": "ingest"})
        reads = Instance(1, settings | {"roles": "query"})
        for instance in (writes, reads):
            undo.push_async_callback(instance.down)
        await asyncio.gather(writes.up(), reads.up())
        stage = Stage(store, writes, reads, place)
        following = asyncio.create_task(stage.follower.run())
        undo.callback(following.cancel)
        yield stage
        await store.settled()
        stage.follower.finish(datetime.now(UTC))
        async with asyncio.timeout(60):
            await following
        assert stage.follower.trouble == []
        seen = Counter(row["id"] for row in stage.follower.rows)
        assert not set(stage.acknowledged) - set(seen), "acknowledged, and never seen by a follower"


def held(row_id: str) -> Fault:
    """Return the fault that stores an append once the gate of this name is opened, and then acknowledges it."""
    return Fault(commit_gate=row_id)


@pytest.mark.slow
async def test_what_was_committed_while_the_process_was_stopped_reaches_a_follower_who_had_passed_it(
    local_bigquery: Double,
) -> None:
    """The row is stored behind the follower: it is stored once more where the follower will be."""
    async with staged(local_bigquery) as stage:
        await stage.push("before")
        late: list[Arrival] = []

        def decide(arrival: Arrival) -> Fault:
            if "stopped" not in arrival.ids or late:
                return Fault()
            late.append(arrival)
            return held("stopped")

        stage.store.decide = decide
        pushing = asyncio.create_task(stage.push("stopped"))
        await until(lambda: late)
        stage.send(signal.SIGSTOP)
        try:
            await stage.passed(datetime.now(UTC) + timedelta(seconds=0.5))
            stage.store.gate("stopped").set()
            await stage.store.settled()
        finally:
            stage.send(signal.SIGCONT)
        async with asyncio.timeout(60):
            await pushing
        await stage.push("after")
    keys = await asyncio.to_thread(stage.keys)
    plain = {key for key in keys if key.startswith("stopped:") and not key.endswith(SUFFIX)}
    assert len(plain) == 1
    assert {f"{key}{SUFFIX}" for key in plain} <= keys

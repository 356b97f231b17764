"""A process that is stopped between the stamp of rows and their acknowledgement: a follower misses none of them."""

import asyncio
import signal
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import httpx
import msgspec

from app.runtime.clock import SystemClock
from sluice.local.bigquery.provision import tables_of
from sluice.local.declared import Declared
from sluice.testing.misbehaving.faults import Arrival, Fault
from sluice.testing.misbehaving.waiting import until
from sluice.testing.service import authorization, envelope
from tests.long.fleet import Fleet, fleet
from tests.long.reader import Follower
from tests.long.store import ForwardingServer, counted
from tests.long_form import long
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
NAME = "stopped"
"""Of the message that is late, and of the gate that holds it."""


async def push(url: str, row_id: str) -> None:
    """Deliver a message until it is acknowledged, as Pub/Sub does."""
    data = msgspec.json.encode({"id": row_id, "timestamp": "2026-01-31T12:00:00Z"})
    async with httpx.AsyncClient(base_url=url, timeout=60, headers=authorization()) as client:
        body = envelope(data, message_id=row_id)
        while (await client.post("/pubsub/push", content=body)).status_code != 204:  # noqa: ASYNC110 - a process
            await asyncio.sleep(0.1)


@long
async def test_what_was_committed_while_the_process_was_stopped_reaches_a_follower_who_had_passed_it(
    local_bigquery: Double,
) -> None:
    """The row is stored behind the follower: it is stored once more where the follower will be."""
    place = local_bigquery.fresh(*tables_of(Declared()))
    late: list[Arrival] = []

    def decide(arrival: Arrival) -> Fault:
        if NAME not in arrival.ids or late:
            return Fault()
        late.append(arrival)
        return Fault(commit_gate=NAME)

    async with AsyncExitStack() as undo:
        store = ForwardingServer(SystemClock(), place.storage_url, send_within_s=600)
        store.decide = decide
        await store.start()
        undo.push_async_callback(store.stop)
        settings = SETTINGS | {
            "token_keys_url": undo.enter_context(served_keys()),
            "bigquery_project": place.project,
            "bigquery_dataset": place.dataset,
            "bigquery_rest_url": place.rest_url,
            "bigquery_storage_url": store.url,
        }
        instances = (await undo.enter_async_context(fleet(2, settings))).instances
        writes, reads = instances
        follower = Follower(Fleet([reads]), "/v1/records", datetime.now(UTC) - timedelta(minutes=1), 0)
        following = asyncio.create_task(follower.run())
        undo.callback(following.cancel)
        await push(writes.url, "before")
        pushing = asyncio.create_task(push(writes.url, NAME))
        await until(lambda: late)
        writes.send(signal.SIGSTOP)
        try:
            passed = datetime.now(UTC) + timedelta(seconds=0.5)
            await until(lambda: follower.settled is not None and follower.settled > passed, within_s=30)
            store.gate(NAME).set()
            await store.settled()
        finally:
            writes.send(signal.SIGCONT)
        async with asyncio.timeout(60):
            await pushing
        await push(writes.url, "after")
        await store.settled()
        follower.finish(datetime.now(UTC))
        async with asyncio.timeout(60):
            await following
    assert follower.trouble == []
    assert {row["id"] for row in follower.rows} == {"before", NAME, "after"}
    keys = (await asyncio.to_thread(counted, place))[0].keys()
    (plain,) = (key for key in keys if key.startswith(f"{NAME}:") and not key.endswith(SUFFIX))
    assert f"{plain}{SUFFIX}" in keys

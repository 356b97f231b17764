"""What waits in Pub/Sub, as the service tells it: from the local Pub/Sub."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import msgspec

from app.health.backlog import Backlog, BacklogError, BacklogWatch
from sluice.testing.clock import FakeClock
from sluice.testing.service import SETTINGS, authorization, running
from tests.support.http_server import Handler, serving_http

KEYED = SETTINGS.replace(api_principals=("reader@example.com",))
Reply = Callable[[str], tuple[int, bytes]]


@contextmanager
def serve(respond: Reply) -> Iterator[str]:
    """Answer each GET by its path, until the block ends; the value is the base URL."""

    class Answers(Handler):
        def do_GET(self) -> None:
            status, body = respond(self.path)
            self.reply(body, status=status)

    with serving_http(Answers) as url:
        yield url


async def test_it_is_asked_only_while_somebody_looks_and_once_a_period() -> None:
    """However many look. What is known is told at once, also while an answer is due; a failure keeps the numbers."""
    clock, asked, gate = FakeClock(), [], asyncio.Event()

    async def read() -> Backlog:
        asked.append(clock.elapsed_us())
        await gate.wait()
        if len(asked) == 2:
            raise BacklogError("the moon is full")
        return Backlog(at=f"t{len(asked)}")

    watch = BacklogWatch(read, clock, period_s=60)
    task = asyncio.create_task(watch.run())
    await clock.advance(300)
    assert asked == []
    for _ in range(5):
        assert watch.latest() == Backlog()
        await clock.advance(0)
    assert len(asked) == 1
    gate.set()
    await clock.advance(0)
    assert watch.latest() == Backlog(at="t1")
    await clock.advance(59)
    assert watch.latest() == Backlog(at="t1")
    assert len(asked) == 1
    await clock.advance(2)
    watch.latest()
    await clock.advance(0)
    assert watch.latest() == Backlog(at="t1", error="the moon is full")
    await clock.advance(61)
    watch.latest()
    await clock.advance(0)
    assert watch.latest() == Backlog(at="t3")
    assert len(asked) == 3
    task.cancel()


async def test_a_source_that_hangs_delays_no_probe() -> None:
    """The answer comes at once, and says later that there was none."""
    hanging = threading.Event()

    def respond(_: str) -> tuple[int, bytes]:
        hanging.wait(30)
        return 404, b""

    with serve(respond) as url:
        async with running(SETTINGS.replace(backlog=f"{url}/subscriptions")) as service:
            async with asyncio.timeout(10):
                ready = (await service.client.get("/health/ready")).json()
            assert ready["backlog"] == {"at": None, "subscriptions": [], "error": None}
            hanging.set()


async def test_only_those_who_may_read_are_told() -> None:
    """Others make the service ask nothing. A paused subscription counts, one for dead letters does not."""
    asked: list[str] = []

    def respond(path: str) -> tuple[int, bytes]:
        asked.append(path)
        return 200, msgspec.json.encode(
            {"subscriptions": [ONE, ONE | {"subscription": "dead-letters", "is_push": False}]}
        )

    with serve(respond) as url:
        async with running(KEYED.replace(backlog=f"{url}/subscriptions")) as service:
            assert (await service.client.get("/health/ready")).json()["backlog"] is None
            reader = authorization(email="reader@example.com")
            assert await known(service.client, reader) == [{"name": "orders-push", "messages": 3, "oldest_s": 4.1}]
    assert len(asked) >= 1
    async with running() as service:
        assert (await service.client.get("/health/ready")).json()["backlog"] is None


ONE = {
    "subscription": "projects/sluice-local/subscriptions/orders-push",
    "num_undelivered_messages": 3,
    "oldest_unacked_message_age": 4.06,
    "push_endpoint": "",
    "is_push": True,
}


async def known(client: httpx.AsyncClient, headers: dict[str, str]) -> Any:
    """Return the subscriptions, once there are any."""
    async with asyncio.timeout(30):
        found: list[Any] = []
        while not found:
            await asyncio.sleep(0.005)  # a client without sockets lets nobody else run
            found = (await client.get("/health/ready", headers=headers)).json()["backlog"]["subscriptions"]
    return found

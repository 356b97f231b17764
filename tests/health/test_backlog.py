"""What waits in Pub/Sub, as the service tells it: from the local Pub/Sub, and from Cloud Monitoring."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import msgspec
import pytest
from google.auth.credentials import Credentials
from google.cloud import monitoring_v3

from app.health.backlog import Backlog, BacklogError, BacklogWatch, Waiting
from app.health.backlog_sources import MESSAGES, OLDEST, backlog_watch
from app.settings.load import Settings
from sluice.testing.clock import FakeClock
from sluice.testing.http_server import Handler, serving_http
from sluice.testing.service import SETTINGS, authorization, running

KEYED = SETTINGS.replace(api_principals=("reader@example.com",))
CLOUD = SETTINGS.replace(backlog="cloud", telemetry_project="shop", backlog_subscriptions=("orders-push", "a.b"))
Reply = Callable[[str], tuple[int, bytes]]
NOW = datetime.fromtimestamp(1_700_000_000, UTC)


class Tokens(Credentials):
    """Credentials that can always be renewed."""

    def refresh(self, _: Any) -> None:
        """Get another token."""
        self.token = "token"


@contextmanager
def serve(respond: Reply) -> Iterator[str]:
    """Answer each GET by its path, until the block ends; the value is the base URL."""

    class Answers(Handler):
        def do_GET(self) -> None:
            status, body = respond(self.path)
            self.reply(body, status=status)

    with serving_http(Answers) as url:
        yield url


def series(name: str, *numbers: float, kind: str = "int64_value", minutes_ago: int = 2) -> dict[str, Any]:
    """Return a series of samples, the newest first, as Google's own message says it."""
    points = [
        {
            "interval": {"end_time": NOW - timedelta(minutes=minutes_ago + at)},
            "value": {kind: int(number) if kind == "int64_value" else number},
        }
        for at, number in enumerate(numbers)
    ]
    labels = {"project_id": "shop", "subscription_id": name}
    return {"resource": {"type": "pubsub_subscription", "labels": labels}, "points": points}


def answer(*found: dict[str, Any]) -> bytes:
    """Return the JSON that the API answers with, made by its own protocol buffers."""
    message = monitoring_v3.ListTimeSeriesResponse(time_series=list(found))
    return str(monitoring_v3.ListTimeSeriesResponse.to_json(message)).encode()


@contextmanager
def monitoring(
    monkeypatch: pytest.MonkeyPatch, reply: Callable[[str], tuple[int, bytes]]
) -> Iterator[tuple[Settings, list[str]]]:
    """Serve Cloud Monitoring: `reply` gives the answer for a metric. The value is the settings and what was asked."""
    monkeypatch.setattr("google.auth.default", lambda **_: (Tokens(), None))  # type: ignore[no-untyped-call]
    asked: list[str] = []

    def respond(path: str) -> tuple[int, bytes]:
        asked.append(path)
        wanted = parse_qs(urlsplit(path).query)["filter"][0]
        return reply(MESSAGES if MESSAGES in wanted else OLDEST)

    with serve(respond) as url:
        yield CLOUD.replace(cloud_monitoring_url=url), asked


async def told(watch: BacklogWatch | None, *, until: Callable[[Backlog], bool]) -> Backlog:
    """Return the first thing that a watch tells and that is as it should be."""
    assert watch is not None
    running_watch = asyncio.create_task(watch.run())
    async with asyncio.timeout(30):
        while not until(found := watch.latest()):  # noqa: ASYNC110 - it is told from a thread
            await asyncio.sleep(0.005)
    running_watch.cancel()
    return found


def is_told(found: Backlog) -> bool:
    """Return whether there are numbers, or a reason why not."""
    return found.at is not None or found.error is not None


async def test_cloud_monitoring_is_asked_as_it_demands_and_read_as_it_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two requests, of one metric each; the newest sample of each subscription, and the time of the oldest of those."""
    replies = {
        MESSAGES: answer(series("orders-push", 1_200, 1_100), series("a.b", 0, minutes_ago=3)),
        OLDEST: answer(series("orders-push", 178.46, kind="double_value")),
    }
    with monitoring(monkeypatch, lambda metric: (200, replies[metric])) as (settings, asked):
        found = await told(backlog_watch(settings, FakeClock()), until=is_told)
    assert found.subscriptions == (Waiting("a.b", 0, 0.0), Waiting("orders-push", 1_200, 178.5))
    assert (found.at, found.error) == ("2023-11-14T22:10:20.000Z", None)
    assert len(asked) == 2
    for path, metric in zip(asked, (MESSAGES, OLDEST), strict=True):
        assert urlsplit(path).path == "/v3/projects/shop/timeSeries"
        wanted = {name: values[0] for name, values in parse_qs(urlsplit(path).query).items()}
        assert (
            wanted["filter"]
            == f'metric.type = "{metric}" AND resource.labels.subscription_id = one_of("orders-push", "a.b")'
        )
        interval = monitoring_v3.TimeInterval(
            start_time=datetime.fromisoformat(wanted["interval.startTime"]),
            end_time=datetime.fromisoformat(wanted["interval.endTime"]),
        )
        assert interval.end_time - interval.start_time == timedelta(minutes=10)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ((403, b"{}"), "lacks the right monitoring.timeSeries.list"),
        ((401, b"{}"), "does not accept the service's credentials"),
        ((500, b"oh"), "Cloud Monitoring answered 500"),
        ((200, b"<html>"), "did not tell it"),
        ((200, b'{"timeSeries": 7}'), "did not tell it"),
        ((200, b"[" + b" " * 1_100_000 + b"]"), "larger than 1048576 bytes"),
        ((200, b"{}"), "has no samples of the last ten minutes"),
    ],
)
async def test_what_cannot_be_read_is_told_in_words(
    monkeypatch: pytest.MonkeyPatch, reply: tuple[int, bytes], words: str
) -> None:
    """With the cure, where there is one."""
    with monitoring(monkeypatch, lambda _: reply) as (settings, _):
        found = await told(backlog_watch(settings, FakeClock()), until=is_told)
    assert words in (found.error or "")
    assert found.at is None


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

"""One run of the demonstration against a running system: publish, follow, deliver again, read back, compare."""

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Self

import aiohttp
import msgspec
from rich.console import Console
from rich.progress import Progress

from sluice.local.demo.checks import Check, Observed, Row, check_all, of_run
from sluice.local.demo.plan import NUMBER, Plan
from sluice.local.demo.publish import Publisher, redeliver
from sluice.local.demo.readback import Feed, Reading
from sluice.local.demo.report import progress_bars
from sluice.local.environment import LocalStack
from sluice.local.flights.streams import STREAMS
from sluice.local.pubsub.ask import backlogs_at
from sluice.local.stack_settings import of_stream

STALLED_AFTER_S = 20.0
POLL_S, BIGQUERY_POLL_S = 0.05, 2.0
SLOWER = 5
"""How often the end of the flights' feed is polled; the other feeds, whose latency is not shown, so many times less.
Polling a local-bigquery faster would leave it no time for anything else."""
_REFRESH_S = 0.1
_DEFAULT = next(iter(STREAMS))


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a run: the checks, what each stream stored, and each reject with its defect."""

    checks: Sequence[Check]
    by_stream: Sequence[tuple[str, int, int, int]]
    """The name of each stream, its messages, records and rejects; an empty name: of no stream."""
    rejected: Sequence[tuple[str, Row]]


class Arrivals:
    """The rows of one run that have been read from some feeds so far."""

    def __init__(self, run: str) -> None:
        self._run = run
        self.rows: list[Row] = []
        self.by_feed: dict[str, list[Row]] = {}

    def add(self, feed: str, rows: list[Row]) -> None:
        """Add the rows of a page of a feed."""
        own = of_run(rows, self._run)
        self.rows += own
        self.by_feed.setdefault(feed, []).extend(own)

    def by_message(self) -> dict[int, Row]:
        """Return one row of each message."""
        return {int(row["attributes"][NUMBER]): row for row in self.rows}


class Followers:
    """Follows the feeds of all streams, and that of the rejects, in the background; an asynchronous context manager."""

    def __init__(self, session: aiohttp.ClientSession, stack: LocalStack, plan: Plan) -> None:
        self._poll_s = POLL_S if stack.place is None else BIGQUERY_POLL_S
        self._since = datetime.now(UTC).isoformat()
        api = f"{stack.url}/v1"
        self.streams = {name: Feed(session, f"{api}/streams/{name}/records") for name in STREAMS}
        self.own_rejects = {name: Feed(session, f"{api}/streams/{name}/rejects") for name in STREAMS}
        self.all_rejects = Feed(session, f"{api}/rejects")
        self.records, self.rejects = Arrivals(plan.run), Arrivals(plan.run)

    async def __aenter__(self) -> Self:
        """Start following."""
        self._tasks = [
            self._follow(name, feed, self.records, 1 if name == _DEFAULT else SLOWER)
            for name, feed in self.streams.items()
        ]
        self._tasks.append(self._follow("rejects", self.all_rejects, self.rejects, SLOWER))
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop following."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _follow(self, name: str, feed: Feed, arrivals: Arrivals, slower: int) -> asyncio.Task[None]:
        return asyncio.create_task(feed.follow(self._since, self._poll_s * slower, partial(arrivals.add, name)))

    async def wait_for(self, records: int, rejects: int) -> None:
        """Return when these counts have arrived, or nothing for STALLED_AFTER_S; raise what following raised."""
        loop = asyncio.get_running_loop()
        seen, changed_s = -1, loop.time()
        while len(self.records.rows) < records or len(self.rejects.rows) < rejects:
            for task in self._tasks:
                if task.done():
                    task.result()
            now = len(self.records.rows) + len(self.rejects.rows)
            if now != seen:
                seen, changed_s = now, loop.time()
            if loop.time() - changed_s > STALLED_AFTER_S:
                return
            await asyncio.sleep(_REFRESH_S / 2)

    async def read_all(self, feed: Feed) -> Reading:
        """Read a feed again from where following began."""
        return await feed.read_all(since=self._since)


def new_run_id() -> str:
    """Return a new name for a run, which distinguishes its records from those of other runs on the same store."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"


async def run_plan(console: Console, stack: LocalStack, plan: Plan) -> Result:
    """Publish the plan, read everything back and compare.

    Raises:
        FeedError: the service responded to a read with an error.
        google.api_core.exceptions.GoogleAPICallError: Pub/Sub refused a message.
    """
    published = 0

    def count_published() -> None:
        nonlocal published
        published += 1

    async with aiohttp.ClientSession() as session, Followers(session, stack, plan) as followers:
        publisher = Publisher(stack.pubsub, count_published)
        try:
            with progress_bars(console) as bars, _shown(bars, plan, followers, lambda: published):
                await _publish(plan, publisher, followers)
        finally:
            await publisher.close()
        console.print("Delivering some messages a second time, reading everything again, comparing …")
        rows = followers.records.by_message() | followers.rejects.by_message()
        twice = [message for message in plan.messages if message.redeliver]
        redelivered = await redeliver(session, stack.pubsub, f"{stack.url}/pubsub/push", twice, rows)
        readings = {name: await followers.read_all(feed) for name, feed in followers.streams.items()}
        rejects = await followers.read_all(followers.all_rejects)
        seen = Observed(
            message_ids=await publisher.message_ids(),
            subscriptions=_subscriptions(stack),
            feeds={name: of_run(reading.rows, plan.run) for name, reading in readings.items()},
            followed=followers.records.by_feed,
            resumed={
                name: of_run((await feed.read_all(cursor=readings[name].resume_cursor)).rows, plan.run)
                for name, feed in followers.streams.items()
            },
            rejects=of_run(rejects.rows, plan.run),
            own_rejects={
                name: of_run((await followers.read_all(feed)).rows, plan.run)
                for name, feed in followers.own_rejects.items()
            },
            redelivered=redelivered,
            backlogs=await asyncio.to_thread(backlogs_at, stack.pubsub.issuer),
        )
    return Result(
        checks=check_all(plan, seen),
        by_stream=_by_stream(plan, seen),
        rejected=_rejected(plan, seen.rejects),
    )


async def _publish(plan: Plan, publisher: Publisher, followers: Followers) -> None:
    """Publish the plan, and wait until it can be read."""
    await publisher.flood(plan.messages)
    await followers.wait_for(plan.good_count, plan.bad_count)


@contextmanager
def _shown(bars: Progress, plan: Plan, followers: Followers, published: Callable[[], int]) -> Iterator[None]:
    """Update the bars while the body runs."""
    publishing = bars.add_task("messages published", total=len(plan.messages))
    stored = bars.add_task("records readable", total=plan.good_count)

    def update() -> None:
        bars.update(publishing, completed=published())
        bars.update(stored, completed=len(followers.records.rows))

    async def keep_updating() -> None:
        while True:
            update()
            await asyncio.sleep(_REFRESH_S)

    task = asyncio.create_task(keep_updating())
    try:
        yield
    finally:
        task.cancel()
        update()


def _subscriptions(stack: LocalStack) -> dict[str, str]:
    base, shared = f"projects/{stack.pubsub.project}/subscriptions", stack.pubsub.subscription
    return {"": f"{base}/{shared}"} | {name: f"{base}/{of_stream(shared, name)}" for name in STREAMS}


def _by_stream(plan: Plan, seen: Observed) -> list[tuple[str, int, int, int]]:
    sent = Counter(message.stream for message in plan.messages)
    rejected = Counter(row["stream"] or "" for row in seen.rejects if row["part"] == 0)
    return [(name, sent[name], len(seen.feeds.get(name, ())), rejected[name]) for name in (*STREAMS, "")]


def _rejected(plan: Plan, rows: Sequence[Row]) -> list[tuple[str, Row]]:
    titles = {message.number: message.title for message in plan.messages if message.bad}
    return [(titles.get(int(row["attributes"][NUMBER]), "?"), row) for row in rows if row["part"] == 0]

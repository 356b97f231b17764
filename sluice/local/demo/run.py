"""One run of the demonstration against a running system: publish, follow, deliver again, read back, compare.

The feeds are read with the client library, as any consumer would read them.
"""

import asyncio
import os
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import aiohttp
import msgspec
from google.cloud.pubsub_v1 import PublisherClient
from google.cloud.pubsub_v1.types import PublisherOptions
from rich.console import Console

from sluice.local.demo.checks import Check, Observed, Row, check_all, of_run
from sluice.local.demo.plan import NUMBER, Plan, Planned
from sluice.local.environment import LocalStack
from sluice.local.flights.streams import STREAMS
from sluice.local.pubsub.message import MICROSECONDS, Delivery, Message
from sluice.local.pubsub.subscription import Backlog
from sluice.local.pusher import push_body
from sluice.local.stack_settings import Ready, subscription_name, topic_name
from sluice_client.async_client import AsyncClient
from sluice_client.protocol.requests import Feed

PUBLISH_WITHIN_S = 60.0
_JSON = {"Content-Type": "application/json"}
STALLED_AFTER_S = 20.0
BIGQUERY_POLL_S = 2.0
"""Polling a local-bigquery faster would leave it no time for anything else."""
_LOOK_EVERY_S = 0.05
_FEEDS = {name: Feed(name) for name in STREAMS}
_REJECTS = Feed(rejects=True)


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a run: the checks, and each reject with its defect."""

    checks: Sequence[Check]
    rejected: Sequence[tuple[str, Row]]


def new_run_id() -> str:
    """Return a new name for a run, which distinguishes its records from those of other runs on the same store."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"


async def run_plan(console: Console, stack: LocalStack, plan: Plan) -> Result:
    """Publish the plan, read everything back and compare.

    Raises:
        SluiceError: the service responded to a read with an error.
        google.api_core.exceptions.GoogleAPICallError: Pub/Sub refused a message.
    """
    since, poll_s = datetime.now(UTC).isoformat(), 0.0 if stack.place is None else BIGQUERY_POLL_S
    followed: dict[str, list[Row]] = {name: [] for name in STREAMS}
    rejects: list[Row] = []

    async def follow(feed: Feed, rows: list[Row]) -> None:
        async for page in client.follow(since, feed=feed, poll_s=poll_s):
            rows += of_run(page.records, plan.run)

    async with AsyncClient(stack.url) as client, aiohttp.ClientSession() as session:
        following = [asyncio.create_task(follow(feed, followed[name])) for name, feed in _FEEDS.items()]
        following.append(asyncio.create_task(follow(_REJECTS, rejects)))
        try:
            console.print(f"Publishing {len(plan.messages):,} messages, and following the feeds …")
            message_ids = await _publish(stack, plan)
            await _arrived(plan, following, followed, rejects)
            console.print("Delivering some messages a second time, reading everything again, comparing …")
            seen = {int(row["attributes"][NUMBER]): row for rows in (*followed.values(), rejects) for row in rows}
            twice = [message for message in plan.messages if message.redeliver]
            redelivered = await redeliver(session, stack.pubsub, f"{stack.url}/pubsub/push", twice, seen)
            feeds, resumed = {}, {}
            for name, feed in _FEEDS.items():
                feeds[name], cursor = await _read(client, feed, plan.run, since)
                pages = client.follow(cursor=cursor, feed=feed, wait_s=0, until_caught_up=True)
                resumed[name] = [row async for page in pages for row in of_run(page.records, plan.run)]
            async with session.get(f"{stack.pubsub.issuer}/subscriptions") as answer:
                backlogs = msgspec.convert((await answer.json())["subscriptions"], list[Backlog])
            all_rejects, _ = await _read(client, _REJECTS, plan.run, since)
            own_rejects = {
                name: (await _read(client, Feed(name, rejects=True), plan.run, since))[0] for name in STREAMS
            }
        finally:
            for task in following:
                task.cancel()
            await asyncio.gather(*following, return_exceptions=True)
    observed = Observed(
        message_ids=message_ids,
        subscriptions={name: subscription_name(stream=name) for name in ("", *STREAMS)},
        feeds=feeds,
        followed=followed,
        resumed=resumed,
        rejects=all_rejects,
        own_rejects=own_rejects,
        redelivered=redelivered,
        backlogs=backlogs,
    )
    return Result(checks=check_all(plan, observed), rejected=_rejected(plan, all_rejects))


async def _publish(stack: LocalStack, plan: Plan) -> dict[int, str]:
    publishing = asyncio.ensure_future(asyncio.to_thread(publish, stack.pubsub, plan.messages))
    try:
        return await asyncio.shield(publishing)
    finally:
        await asyncio.wait([publishing])  # when interrupted, too: its threads end while Pub/Sub still answers


async def _arrived(
    plan: Plan, following: Sequence[asyncio.Task[None]], followed: Mapping[str, Sequence[Row]], rejects: Sequence[Row]
) -> None:
    """Return when all has arrived, or nothing for STALLED_AFTER_S; raise what following raised."""
    loop = asyncio.get_running_loop()
    before, changed_s = -1, loop.time()
    while (records := sum(map(len, followed.values()))) < plan.good_count or len(rejects) < plan.bad_count:
        for task in following:
            if task.done():
                task.result()
        if records + len(rejects) != before:
            before, changed_s = records + len(rejects), loop.time()
        if loop.time() - changed_s > STALLED_AFTER_S:
            return
        await asyncio.sleep(_LOOK_EVERY_S)


async def _read(client: AsyncClient, feed: Feed, run: str, since: str) -> tuple[list[Row], str]:
    """Return all rows of the run, and the cursor behind them."""
    rows, cursor = list[Row](), ""
    async for page in client.pages(since, feed=feed):
        rows += of_run(page.records, run)
        cursor = page.resume_cursor
    return rows, cursor


def _rejected(plan: Plan, rows: Sequence[Row]) -> list[tuple[str, Row]]:
    titles = {message.number: message.title for message in plan.messages if message.bad}
    return [(titles.get(int(row["attributes"][NUMBER]), "?"), row) for row in rows if row["part"] == 0]


def publish(pubsub: Ready, messages: Sequence[Planned]) -> dict[int, str]:
    """Publish as fast as the client can; return Pub/Sub's id of each message, by its number.

    Raises:
        google.api_core.exceptions.GoogleAPICallError: Pub/Sub refused a message.
    """
    # The client library's own switch, which makes it use no credentials.
    os.environ["PUBSUB_EMULATOR_HOST"] = pubsub.pubsub
    client = PublisherClient(publisher_options=PublisherOptions(enable_message_ordering=True))
    try:
        futures = {}
        for each in messages:
            topic = topic_name(stream="" if each.is_shared else each.stream)
            sent = client.publish(topic, each.data, ordering_key=each.ordering_key, **each.attributes)
            futures[each.number] = sent
        return {number: future.result(PUBLISH_WITHIN_S) for number, future in futures.items()}
    finally:
        client.stop()
        client.transport.close()


async def redeliver(
    session: aiohttp.ClientSession,
    pubsub: Ready,
    push_url: str,
    messages: Sequence[Planned],
    rows: Mapping[int, Row],
) -> dict[int, int]:
    """Push these messages once more, as Pub/Sub does after a lost acknowledgement; return the statuses.

    A second delivery has the id and the publish time of the first, taken from the stored rows (`rows`, by message
    number). A message that was not stored cannot be redelivered and is left out.
    """
    async with session.post(f"{pubsub.issuer}/token") as response:
        response.raise_for_status()
        token = (await response.json())["token"]
    headers = _JSON | {"Authorization": f"Bearer {token}"}
    statuses = {}
    for message in messages:
        if message.number in rows:
            body = second_delivery(message, rows[message.number])
            url = push_url if message.is_shared else f"{push_url}/{message.stream}"
            async with session.post(url, data=body, headers=headers) as response:
                await response.read()
                statuses[message.number] = response.status
    return statuses


def second_delivery(message: Planned, row: Row) -> bytes:
    """Return the push of the message of `row`, delivered again."""
    published_us = round(datetime.fromisoformat(row["publish_time"]).timestamp() * MICROSECONDS)
    first = Message(message.data, message.attributes, message.ordering_key, row["message_id"], published_us)
    return push_body(row["subscription_name"], Delivery("", first, 2), with_attempt=True)

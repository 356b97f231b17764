"""Waiting for something to deliver."""

import asyncio

import pytest

from sluice.local.pubsub.broker import Broker
from sluice.local.pubsub.errors import NotFoundError
from sluice.local.pubsub.message import Draft
from sluice.local.pubsub.waiting import wait_ready
from tests.local.conftest import SUBSCRIPTION, TOPIC
from tests.local.endpoint import TIMEOUT_S, eventually


async def test_it_gives_up_after_its_timeout(subscribed: Broker) -> None:
    """Nothing published: False, and nobody is left watching."""
    assert await wait_ready(subscribed, SUBSCRIPTION, 0.01) is False
    assert subscribed.subscription(SUBSCRIPTION).watchers == set()


async def test_a_lease_that_runs_out_wakes_the_waiter(subscribed: Broker) -> None:
    """Time alone brings a message back, and the waiter notices without any other event."""
    subscribed.publish(TOPIC, [Draft(b"a")])
    subscribed.pull(SUBSCRIPTION, 1, 0.02)
    assert await wait_ready(subscribed, SUBSCRIPTION, TIMEOUT_S) is True
    assert [delivery.attempt for delivery in subscribed.pull(SUBSCRIPTION, 1)] == [2]


async def test_only_one_of_two_waiters_gets_the_message(subscribed: Broker) -> None:
    """Who comes too late goes on waiting, for the next one."""
    got: list[bytes] = []

    async def take_one() -> None:
        while True:
            await wait_ready(subscribed, SUBSCRIPTION)
            if deliveries := subscribed.pull(SUBSCRIPTION, 1):
                got.append(deliveries[0].message.data)
                return

    takers = [asyncio.create_task(take_one()) for _ in range(2)]
    await eventually(lambda: len(subscribed.subscription(SUBSCRIPTION).watchers) == 2)
    subscribed.publish(TOPIC, [Draft(b"a")])
    await eventually(lambda: len(got) == 1)
    subscribed.publish(TOPIC, [Draft(b"b")])
    async with asyncio.timeout(TIMEOUT_S):
        await asyncio.gather(*takers)
    assert got == [b"a", b"b"]


async def test_a_deleted_subscription_ends_the_wait(subscribed: Broker) -> None:
    """The waiter is told, rather than left waiting for what cannot come."""
    waiter = asyncio.create_task(wait_ready(subscribed, SUBSCRIPTION))
    await eventually(lambda: bool(subscribed.subscription(SUBSCRIPTION).watchers))
    subscribed.delete_subscription(SUBSCRIPTION)
    with pytest.raises(NotFoundError):
        async with asyncio.timeout(TIMEOUT_S):
            await waiter

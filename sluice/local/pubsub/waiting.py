"""Wait until a subscription has something to deliver."""

import asyncio

from sluice.local.pubsub.broker import Broker
from sluice.local.pubsub.message import MICROSECONDS


async def wait_ready(broker: Broker, name: str, timeout_s: float | None = None) -> bool:
    """Return True once a pull would return something, False after `timeout_s`.

    Raises NotFoundError if the subscription does not exist, or no longer exists.
    """
    give_up_us = None if timeout_s is None else broker.now_us() + round(timeout_s * MICROSECONDS)
    changed = asyncio.Event()
    subscription = broker.subscription(name)
    subscription.watchers.add(changed.set)
    try:
        while True:
            changed.clear()
            now_us = broker.now_us()
            if broker.subscription(name).has_ready(now_us):
                return True
            if give_up_us is not None and now_us >= give_up_us:
                return False
            moments_us = [at for at in (subscription.next_change_us(), give_up_us) if at is not None]
            wait_s = max(0.0, (min(moments_us) - now_us) / MICROSECONDS) if moments_us else None
            try:
                async with asyncio.timeout(wait_s):
                    await changed.wait()
            except TimeoutError:
                continue
    finally:
        subscription.watchers.discard(changed.set)

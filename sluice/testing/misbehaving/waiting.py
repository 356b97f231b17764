"""Wait for what real sockets bring, in real time, while the service's clock stands still or is moved along."""

import asyncio
from collections.abc import Callable
from typing import Any

from app.runtime.clock import MICROSECONDS
from sluice.testing.clock import FakeClock
from sluice.testing.pace import patience_s


async def until(condition: Callable[[], Any], within_s: float = 10.0) -> None:
    """Wait, in real time, until `condition` holds."""
    async with asyncio.timeout(patience_s(within_s)):
        while not condition():  # noqa: ASYNC110 - what is waited for is made of several things, without an event
            await asyncio.sleep(0.002)


async def advance_until(
    clock: FakeClock, condition: Callable[[], Any], *, step_s: float = 0.02, limit_s: float = 600.0
) -> float:
    """Move the fake clock on in small steps until `condition` holds; return by how many seconds."""
    begun_us = clock.elapsed_us()
    async with asyncio.timeout(patience_s(60)):
        while not condition():
            await asyncio.sleep(0.002)
            await clock.advance(step_s)
            assert clock.elapsed_us() - begun_us <= limit_s * MICROSECONDS, "in vain"
    return (clock.elapsed_us() - begun_us) / MICROSECONDS

"""Calls of a service that requests can do without, such as a shared cache."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from app.runtime.circuit_breaker import CircuitBreaker
from app.runtime.clock import MICROSECONDS, Clock

WARN_EVERY_S = 60.0
_Reply = TypeVar("_Reply")


class BestEffort:
    """Calls one service, within `deadline_s` seconds each, and skips it for `pause_s` seconds after a failure.

    So a service that hangs delays one request in each pause, not all. `warn` is called with a failure, at most once a
    minute.
    """

    def __init__(self, clock: Clock, *, deadline_s: float, pause_s: float, warn: Callable[[Exception], None]) -> None:
        self._clock, self._circuit = clock, CircuitBreaker(clock.elapsed_us)
        self._deadline_s, self._pause_s, self._warn = deadline_s, pause_s, warn
        self._silent_until_us = clock.elapsed_us()

    async def call(self, ask: Callable[[], Awaitable[_Reply]]) -> _Reply | None:
        """Return the reply of `ask`; None if it fails, is too slow, or is skipped."""
        if not self._circuit.allows():
            return None
        try:
            async with asyncio.timeout(self._deadline_s):
                reply = await ask()
        except Exception as error:  # whatever the client raises, the request is served
            self._circuit.trip(self._pause_s)
            if (now_us := self._clock.elapsed_us()) >= self._silent_until_us:
                self._silent_until_us = now_us + round(WARN_EVERY_S * MICROSECONDS)
                self._warn(error)
            return None
        self._circuit.close()
        return reply

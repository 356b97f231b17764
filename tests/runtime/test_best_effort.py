"""Calls that requests can do without: when the service is asked, and when its failures are logged."""

import asyncio

from app.runtime.deadlines import WARN_EVERY_S, BestEffort
from sluice.testing.clock import FakeClock

PAUSE_S = 5.0


class Service:
    """A service that replies with the number of the call, unless it fails or hangs; its caller keeps the warnings."""

    def __init__(self) -> None:
        self.clock, self.asked, self.fails, self.hangs = FakeClock(), 0, False, False
        self.reached, self.warnings = asyncio.Event(), list[str]()
        warn = lambda error: self.warnings.append(type(error).__name__)  # noqa: E731 - a callback of one line
        self._calls = BestEffort(self.clock, deadline_s=0.2, pause_s=PAUSE_S, warn=warn)

    async def ask(self) -> int | None:
        return await self._calls.call(self._reply)

    async def _reply(self) -> int:
        self.asked += 1
        self.reached.set()
        if self.fails:
            raise ConnectionError
        if self.hangs:
            await asyncio.Event().wait()
        return self.asked


async def test_while_a_service_fails_one_call_in_each_pause_tries_it() -> None:
    """The others get None at once; the failure is logged once a minute; a reply ends all that."""
    service = Service()
    service.fails = True
    assert [await service.ask() for _ in range(3)] == [None] * 3
    assert service.asked == 1
    for tries in range(2, round(WARN_EVERY_S / PAUSE_S) + 1):
        await service.clock.advance(PAUSE_S)
        assert [await service.ask() for _ in range(2)] == [None, None]
        assert (service.asked, service.warnings) == (tries, ["ConnectionError"])
    await service.clock.advance(PAUSE_S)
    await service.ask()
    assert len(service.warnings) == 2
    service.fails = False
    await service.clock.advance(PAUSE_S)
    first = service.asked
    assert [await service.ask() for _ in range(3)] == [first + 1, first + 2, first + 3]

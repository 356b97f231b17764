"""Calls that requests can do without: when the service is asked, and when its failures are logged."""

from app.runtime.deadlines import BestEffort
from sluice.testing.clock import FakeClock

PAUSE_S = 5.0


class Service:
    """A service that replies with the number of the call, unless it fails; its caller keeps the warnings."""

    def __init__(self) -> None:
        self.clock, self.asked, self.fails, self.warnings = FakeClock(), 0, False, list[str]()
        warn = lambda error: self.warnings.append(type(error).__name__)  # noqa: E731 - a callback of one line
        self._calls = BestEffort(self.clock, deadline_s=0.2, pause_s=PAUSE_S, warn=warn)

    async def ask(self) -> int | None:
        return await self._calls.call(self._reply)

    async def _reply(self) -> int:
        self.asked += 1
        if self.fails:
            raise ConnectionError
        return self.asked


async def test_while_a_service_fails_one_call_in_each_pause_tries_it() -> None:
    """The others get None at once; each failure is told; a reply ends all that."""
    service = Service()
    service.fails = True
    for tries in range(1, 4):
        assert [await service.ask() for _ in range(3)] == [None] * 3
        assert (service.asked, service.warnings) == (tries, ["ConnectionError"] * tries)
        await service.clock.advance(PAUSE_S)
    service.fails = False
    assert [await service.ask() for _ in range(3)] == [4, 5, 6]

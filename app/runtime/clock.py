"""A wall clock in microseconds that never stands still or goes back."""

import asyncio
import math
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

from app.runtime.time_of_day import TimeOfDay

MICROSECONDS = 1_000_000


class Moment(NamedTuple):
    """One instant by two clocks, to measure how long something took even if the process or the machine was stopped.

    `steady_us` also counts while the machine is suspended, if the platform supports it; `wall_us` is the machine's time
    of day, jumps included.
    """

    steady_us: int
    wall_us: int

    def until_us(self, later: "Moment") -> int:
        """Return the microseconds until `later`, by whichever clock says more."""
        return max(later.steady_us - self.steady_us, later.wall_us - self.wall_us)


class Timer(Protocol):
    """A scheduled call that can be cancelled."""

    def cancel(self) -> None:
        """Cancel the call."""


class Clock(Protocol):
    """The time interface of the service.

    Stamps and windows use `now_us`, the machine's time of day made monotonic. Durations use `elapsed_us`, which keeps
    its pace when the time of day is set back.
    """

    def now_us(self) -> int:
        """Return microseconds since the Unix epoch, greater at every call."""

    def elapsed_us(self) -> int:
        """Return microseconds since some moment, at the pace of real time."""

    def moment(self) -> Moment:
        """Return this instant, to be compared with a later one."""

    def trouble(self) -> str:
        """Return why nothing may be stamped now, in words; "" when the time of day can be trusted."""

    def advance_to(self, not_before_us: int) -> None:
        """Never again return a time at or before `not_before_us` from `now_us`."""

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds`."""

    def call_later(self, seconds: float, call: Callable[[], None]) -> Timer:
        """Call `call` after `seconds`."""


def _wall_us() -> int:
    return time.time_ns() // 1000


def _steady_us() -> int:
    """Return the clock that counts a suspended machine's time too, where there is one."""
    return time.clock_gettime_ns(_BOOT_CLOCK) // 1000


_BOOT_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class SystemClock(TimeOfDay):
    """The operating system's clock; a jump of its time of day is believed once it has lasted (runtime.time_of_day).

    Two stamps are never equal: the order of the feed and the embedded store's settled horizon rely on it.
    """

    def __init__(
        self,
        not_before_us: int = 0,
        *,
        wall_us: Callable[[], int] = _wall_us,
        steady_us: Callable[[], int] = _steady_us,
    ) -> None:
        super().__init__(wall_us, steady_us, not_before_us)

    def elapsed_us(self) -> int:
        """Return microseconds since some moment, at the pace of real time."""
        return time.monotonic_ns() // 1000

    def moment(self) -> Moment:
        """Return this instant, to be compared with a later one."""
        return Moment(self._steady_us(), self._wall_us())

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds`."""
        await asyncio.sleep(seconds)

    def call_later(self, seconds: float, call: Callable[[], None]) -> Timer:
        """Call `call` after `seconds`, in whole milliseconds: uvloop knows no others and rounds."""
        return asyncio.get_running_loop().call_later(math.ceil(seconds * 1_000) / 1_000, call)

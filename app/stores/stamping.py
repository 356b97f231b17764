"""The stamp of one attempt: when it was taken, and whether the attempt ended too late after it."""

import asyncio
from collections.abc import Callable

import msgspec

from app.runtime.clock import Clock, Moment
from app.stores.sink import STALE_US, LatenessLimits, Outcome, Stored, Uncertain


class LateCancellationError(asyncio.CancelledError):
    """An append was cancelled so long after its stamp that readers may have passed its rows, if they are stored."""


class ClockTroubleError(Exception):
    """The time of day cannot be trusted now, so nothing is stamped; the message says why."""


class AttemptStamp:
    """The stamp of one attempt; `encode` turns microseconds since the epoch into the end of a row.

    `announce` returns the stamp of an attempt of an announced instance; by default it is the time.
    """

    __slots__ = ("_announce", "_clock", "_encode", "_lateness_limits", "_taken_at")

    def __init__(
        self,
        clock: Clock,
        lateness_limits: LatenessLimits,
        encode: Callable[[int], bytes],
        announce: Callable[["AttemptStamp"], int] | None = None,
    ) -> None:
        self._clock, self._lateness_limits, self._encode, self._announce = clock, lateness_limits, encode, announce
        self._taken_at: Moment | None = None

    def take(self) -> bytes:
        """Return the bytes that end each row, stamped with the current time.

        Raises:
            ClockTroubleError: the time of day cannot be trusted.
        """
        trouble = self._clock.trouble()
        if trouble:
            raise ClockTroubleError(trouble)
        self._taken_at = self._clock.moment()
        return self._encode(self._clock.now_us() if self._announce is None else self._announce(self))

    def is_stale(self) -> bool:
        """Whether the stamp that was taken is too old to be sent."""
        return self._age_us() > STALE_US

    def judge(self, outcome: Outcome) -> Outcome:
        """Return `outcome`, marked as late if it came too long after the stamp."""
        if isinstance(outcome, Stored):
            return _STORED_LATE if self._age_us() > self._lateness_limits.stored_us else outcome
        if isinstance(outcome, Uncertain) and self._age_us() > self._lateness_limits.uncertain_us:
            return msgspec.structs.replace(outcome, late=True)
        return outcome

    def cancelled(self, error: asyncio.CancelledError) -> asyncio.CancelledError:
        """Return the exception to raise if the attempt is cancelled now."""
        return LateCancellationError() if self._age_us() > self._lateness_limits.uncertain_us else error

    def _age_us(self) -> int:
        """Return the age of the stamp; 0 if none was taken, since nothing was sent then."""
        return 0 if self._taken_at is None else self._taken_at.until_us(self._clock.moment())


_STORED_LATE = Stored(late=True)

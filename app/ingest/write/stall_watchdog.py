"""Detect a store that no longer answers while messages wait for it. Pure but for its clock."""

from collections.abc import Callable

from app.runtime.clock import MICROSECONDS

_SILENCE = 0.5  # of the limit: a longer gap without a message ends the stall


class StallWatchdog:
    """Detects a stalled writer: messages wait, and no append gets a definite answer.

    A writer is stalled when both have held for `limit_s` seconds. Messages have been waiting for the store; gaps of up
    to half of `limit_s` between two waits do not count. No append has had a definite answer: stored, refused, too
    large, quota or set-up, but not uncertain. So one message a minute, abandoned after half of it, shows an outage as
    well as a thousand a second do. One failed message and the silence after it do not. A pause is no stall either,
    since it refuses messages at once.
    """

    def __init__(self, elapsed_us: Callable[[], int], limit_s: float) -> None:
        self._elapsed_us, self._limit_us = elapsed_us, round(limit_s * MICROSECONDS)
        self._waiting = 0
        self._since_us: int | None = None  # start of the first wait without a definite answer since
        self._quiet_since_us = 0  # when the last wait ended
        self._is_answered = False  # since the last wait began

    def begin(self) -> None:
        """Record that a message begins to wait."""
        self._is_answered = False
        if not self._waiting:
            now_us = self._elapsed_us()
            if self._since_us is None or self._is_over(now_us):
                self._since_us = now_us
        self._waiting += 1

    def end(self) -> None:
        """Record that a message no longer waits, whatever its verdict."""
        self._waiting -= 1
        if not self._waiting:
            self._quiet_since_us = self._elapsed_us()
            if self._is_answered:
                self._since_us = None  # no message has waited in vain since that answer

    def answered(self) -> None:
        """Record that an append got a definite answer."""
        self._is_answered = True
        self._since_us = self._elapsed_us() if self._waiting else None

    @property
    def stuck_s(self) -> float | None:
        """How long messages have waited without an answer, in seconds, if that is too long; else None."""
        now_us = self._elapsed_us()
        if self._since_us is None or now_us - self._since_us < self._limit_us:
            return None
        if not self._waiting and self._is_over(now_us):
            return None
        return (now_us - self._since_us) / MICROSECONDS

    def _is_over(self, now_us: int) -> bool:
        """Whether the last wait ended so long ago that the next one starts a new period."""
        return now_us - self._quiet_since_us > self._limit_us * _SILENCE

"""Whether the store still answers those who wait for it. Pure but for its clock."""

from collections.abc import Callable

from app.runtime.clock import MICROSECONDS

_SILENCE = 0.5  # of the limit: a longer time without a message ends what was before it


class StallWatchdog:
    """Notices when a writer is stuck: messages wait, and no append gets a definite answer.

    Stuck is when both have held for `limit_s` seconds: messages have waited for the store, one after the other or all
    the time, with no more than half of `limit_s` between the end of one wait and the beginning of the next; and no
    append has got an answer that is definite: stored, refused, too large, quota or set-up, but not uncertain. So a
    message a minute, each given up after half of it, shows an outage as well as a thousand a second do; a message that
    failed and the silence after it do not; and a pause, in which messages are refused at once, is no wait.
    """

    def __init__(self, elapsed_us: Callable[[], int], limit_s: float) -> None:
        self._elapsed_us, self._limit_us = elapsed_us, round(limit_s * MICROSECONDS)
        self._waiting = 0
        self._since_us: int | None = None  # when the first wait began that no definite answer followed
        self._quiet_since_us = 0  # when the last wait ended
        self._is_answered = False  # since the last wait began

    def begin(self) -> None:
        """Take note that a message begins to wait."""
        self._is_answered = False
        if not self._waiting:
            now_us = self._elapsed_us()
            if self._since_us is None or self._is_over(now_us):
                self._since_us = now_us
        self._waiting += 1

    def end(self) -> None:
        """Take note that a message waits no longer, whatever became of it."""
        self._waiting -= 1
        if not self._waiting:
            self._quiet_since_us = self._elapsed_us()
            if self._is_answered:
                self._since_us = None  # nobody has waited in vain since that answer

    def answered(self) -> None:
        """Take note that an append got a definite answer."""
        self._is_answered = True
        self._since_us = self._elapsed_us() if self._waiting else None

    @property
    def stuck_s(self) -> float | None:
        """For how long messages have waited without an answer, in seconds, where that is too long; else None."""
        now_us = self._elapsed_us()
        if self._since_us is None or now_us - self._since_us < self._limit_us:
            return None
        if not self._waiting and self._is_over(now_us):
            return None
        return (now_us - self._since_us) / MICROSECONDS

    def _is_over(self, now_us: int) -> bool:
        """Whether nobody has waited for so long that the next wait is another story."""
        return now_us - self._quiet_since_us > self._limit_us * _SILENCE

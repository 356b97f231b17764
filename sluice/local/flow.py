"""Flow control: how many pushes may be in flight, and how long a subscription pauses. No I/O.

The rules follow https://cloud.google.com/pubsub/docs/push#push-backoff and "Quotas and limits" there. The push window
starts at a few requests. It opens exponentially while more than 99 % are acknowledged with a mean latency below one
second (linearly past 3,000), and closes on failures. A nack pauses the **whole subscription**, from 100 ms to 60 s,
doubling while nacks continue. The documentation gives no formula; the steps here are ours.
"""

INITIAL_WINDOW = 3
LINEAR_ABOVE = 3_000
HEALTHY_ACK_RATIO = 0.99
SLOW_LATENCY_S = 1.0
_SMOOTHING = 0.01  # the averages cover about the last hundred requests


class PushFlow:
    """The window and the back-off of one push subscription; times are seconds of any steady clock."""

    def __init__(self, *, min_backoff_s: float = 0.1, max_backoff_s: float = 60.0, max_window: int = 30_000) -> None:
        """Start with a small window. Raises ValueError when the limits contradict each other."""
        if not 0 < min_backoff_s <= max_backoff_s:
            raise ValueError(f"back-off of {min_backoff_s} s to {max_backoff_s} s: must satisfy 0 < min <= max")
        if max_window < 1:
            raise ValueError(f"a window of at most {max_window}: must be at least 1")
        self.backoff_s = 0.0
        self._min_backoff_s = min_backoff_s
        self._max_backoff_s = max_backoff_s
        self._max_window = max_window
        self._floor = min(INITIAL_WINDOW, max_window)
        self._window = float(self._floor)
        self._ack_ratio = 1.0
        self._latency_s = 0.0
        self._resume_s = float("-inf")
        self._epoch = 0

    @property
    def window(self) -> int:
        """How many requests may be in flight."""
        return int(self._window)

    @property
    def epoch(self) -> int:
        """The number of pauses so far; record it when a request starts."""
        return self._epoch

    def room(self, in_flight: int, now_s: float) -> int:
        """Return how many more requests may start now."""
        return 0 if now_s < self._resume_s else max(0, self.window - in_flight)

    def pause_s(self, now_s: float) -> float:
        """Return the remaining pause, 0 if there is none."""
        return max(0.0, self._resume_s - now_s)

    def acked(self, epoch: int, latency_s: float, in_flight: int) -> None:
        """Record an acknowledged request: its epoch, its latency and how many were in flight."""
        self._ack_ratio += _SMOOTHING * (1.0 - self._ack_ratio)
        self._latency_s += _SMOOTHING * (latency_s - self._latency_s)
        if epoch == self._epoch:
            halved_s = self.backoff_s / 2
            self.backoff_s = halved_s if halved_s >= self._min_backoff_s else 0.0
        if self._latency_s >= SLOW_LATENCY_S:
            self._window = max(float(self._floor), self._window - 1)
        elif self._ack_ratio > HEALTHY_ACK_RATIO and 2 * in_flight >= self.window:
            # Adding one per acknowledgement doubles the window each round trip. A window that is not full does
            # not grow: there is no evidence that the endpoint can handle more.
            step = 1.0 if self._window < LINEAR_ABOVE else LINEAR_ABOVE / 10 / self._window
            self._window = min(float(self._max_window), self._window + step)

    def nacked(self, epoch: int, now_s: float) -> None:
        """Record a failed request; only the first of an epoch pauses the subscription.

        The others were already in flight when it failed: a full window of failures is one event, not a thousand.
        """
        self._ack_ratio -= _SMOOTHING * self._ack_ratio
        if epoch != self._epoch:
            return
        self._epoch += 1
        self._window = max(float(self._floor), self._window / 2)
        self.backoff_s = min(max(self.backoff_s * 2, self._min_backoff_s), self._max_backoff_s)
        self._resume_s = now_s + self.backoff_s

    def reset_pause(self) -> None:
        """End the pause, as for a new endpoint."""
        self.backoff_s = 0.0
        self._resume_s = float("-inf")

"""A clock for state machines: it moves only when told to."""

MICROSECONDS = 1_000_000


class ManualClock:
    def __init__(self) -> None:
        self.time_us = 1_700_000_000 * MICROSECONDS

    def now_us(self) -> int:
        return self.time_us

    def advance(self, seconds: float) -> None:
        self.time_us += round(seconds * MICROSECONDS)

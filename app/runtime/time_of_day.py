"""The time of day, guarded against jumps of the machine's clock. Pure except for its two clocks.

Stamps order the feed and readers stop at a horizon, so a jump of the clock hides records. After a jump ahead, readers
wait for stamps in the future, or pass records that are stamped correctly later. After a jump back, rows land where
readers have already been. A steady clock distinguishes a jump from elapsed time. Neither clock is always right: the
time of day may be wrong for a moment, and the steady clock may stop while a virtual machine is suspended. So while they
disagree, nothing is stamped, and the time of day advances with the steady clock. A difference that lasts is believed.
"""

import logging
from collections.abc import Callable

_SECOND_US = 1_000_000
FOLLOWED_US = 1_500_000
"""A step of up to this size is followed at once: less than the skew that readers allow for, more than a leap second."""
BELIEVED_AFTER_US = 15 * _SECOND_US
"""A jump that lasts this long is believed: well within the budget of a message that arrives with it."""
_LOOK_US = 50_000
_SAME_US = 100_000  # two checks that are this close see the same step
_CREDIT_US = 5 * _SECOND_US  # the most that one check adds: what the clock did in a longer gap is unknown
_TORN_US = 10_000  # a longer pause between two readings of the steady clock invalidates the check

_log = logging.getLogger("sluice.clock")


class TimeOfDay:
    """Microseconds since the Unix epoch, by `wall_us` as long as `steady_us` confirms it.

    Times only grow, with one exception: if the time of day is set back permanently by more than `FOLLOWED_US`, it is
    followed. After `advance_to` has promised an order, `trouble` lasts instead until the time of day has caught up.
    """

    def __init__(self, wall_us: Callable[[], int], steady_us: Callable[[], int], not_before_us: int = 0) -> None:
        self._wall_us, self._steady_us = wall_us, steady_us
        self._looked_us = steady_us()
        self._offset_us = self._believed_us = self._candidate_us = wall_us() - self._looked_us
        self._lasted_us = 0
        self._disputed_us = 0
        """By how much the machine's time of day differs from ours; 0 while it is believed."""
        self._keeps_order = bool(not_before_us)
        self._last_us = not_before_us

    def now_us(self) -> int:
        """Return microseconds since the Unix epoch, greater at every call."""
        steady_us = self._steady_us()
        if steady_us - self._looked_us >= _LOOK_US:
            self._look(steady_us)
        now_us = steady_us + self._offset_us
        self._last_us = now_us = now_us if now_us > self._last_us else self._last_us + 1
        return now_us

    def trouble(self) -> str:
        """Return why nothing may be stamped now; "" while the time of day can be trusted."""
        steady_us = self._steady_us()
        self._look(steady_us)
        if self._disputed_us:
            return (
                f"the machine's clock jumped by {self._disputed_us / _SECOND_US:+.1f} s; the new time is "
                f"trusted once it has held for {BELIEVED_AFTER_US // _SECOND_US} s"
            )
        ahead_us = self._last_us - steady_us - self._offset_us
        if ahead_us > FOLLOWED_US:
            return (
                f"the newest timestamp is {ahead_us / _SECOND_US:.1f} s ahead of the machine's clock; "
                "timestamps resume when the clock has caught up"
            )
        return ""

    def advance_to(self, not_before_us: int) -> None:
        """Never again return a time at or before `not_before_us`, nor before any time returned since."""
        self._keeps_order = True
        self._last_us = max(self._last_us, not_before_us)

    def _look(self, steady_us: int) -> None:
        """Compare the clocks."""
        step_us = self._wall_us() - steady_us
        if self._steady_us() - steady_us > _TORN_US:
            return
        passed_us, self._looked_us = steady_us - self._looked_us, steady_us
        if abs(step_us - self._candidate_us) > _SAME_US:
            self._candidate_us, self._lasted_us = step_us, 0
        elif self._lasted_us < BELIEVED_AFTER_US:
            self._lasted_us += min(passed_us, _CREDIT_US)
        if self._lasted_us >= BELIEVED_AFTER_US:
            self._believe(step_us)
        jump_us = step_us - self._believed_us
        if abs(jump_us) <= FOLLOWED_US:
            self._offset_us, self._disputed_us = step_us, 0
            return
        if not self._disputed_us:
            _log.warning(
                "the clock jumped by %+.1f s: no record is timestamped until the time is confirmed",
                jump_us / _SECOND_US,
            )
        self._disputed_us = jump_us

    def _believe(self, step_us: int) -> None:
        back_us, self._believed_us = self._believed_us - step_us, step_us
        if back_us > FOLLOWED_US and not self._keeps_order:
            self._last_us = 0
        if self._disputed_us:
            _log.warning("the clock is %+.1f s off the expected time, and is now trusted", -back_us / _SECOND_US)

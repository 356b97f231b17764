"""How long after its stamp an append may end before readers may have passed its rows. Pure.

A reader stops at its settled horizon, `settle` behind its clock, which may be `skew` ahead of ours. So a row that
becomes readable within `settle - skew` of its stamp is ahead of every reader; one that may become readable later is
*late*. This cannot be ruled out: the process may be stopped, or the machine suspended, between stamp and
acknowledgement. A late row is appended again under a new key, so that it does not count as a copy of the first.

By default an attempt ends after 10 s. This allows 28 s for a row that was stored, and 18 s for one that may still be
stored within the late-commit margin of 10 s.
"""

import re

import msgspec

STALE_US = 1_000_000
"""A stamp older than this is not sent: the rows are stamped again."""
_TIMERS_US = 500_000
"""A timer may fire this much after its deadline. Settings without room for it lose it from the clock skew."""
_US = 1_000_000
_LATENESS = re.compile(r"~late[0-9]+\Z")


class Fence(msgspec.Struct, frozen=True, kw_only=True):
    """The limits, in microseconds since the stamp."""

    stored_us: int
    """For rows whose acknowledgement has come."""
    uncertain_us: int
    """For rows that the store may still commit, within the late-commit margin from now."""
    margin_us: int
    """How long after we abandon rows they may still become readable."""


def fence(*, settle_s: float, clock_skew_s: float, late_commit_margin_s: float, append_deadline_s: float) -> Fence:
    """Derive the limits from these settings; nothing else does."""
    stored_us = round((settle_s - clock_skew_s) * _US)
    margin_us = round(late_commit_margin_s * _US)
    in_time_us = round(append_deadline_s * _US) + _TIMERS_US
    return Fence(
        stored_us=max(stored_us, in_time_us),
        uncertain_us=max(stored_us - margin_us, in_time_us),
        margin_us=margin_us,
    )


def late_key(delivery_key: str, lateness: int) -> str:
    """Return the delivery key of a row that is appended again because it was late, for the `lateness`-th time.

    With its own key it is not a copy of the row that readers may have passed. They see it; later readers see both.
    """
    return f"{delivery_key}~late{lateness}"


def without_lateness(delivery_key: str) -> str:
    """Return the delivery key that a row had before `late_key` changed it; any other key as it is."""
    return _LATENESS.sub("", delivery_key)

"""How late an append may end after its stamp before its rows may lie behind readers. Pure.

A reader stops at its settled horizon, `settle` behind its clock, which may be `skew` ahead of ours. So a row that
became readable within `settle - skew` of its stamp is ahead of every reader; one that may have become readable later is
*late*. Nothing we do makes that impossible: the process may be stopped, or the machine suspended, between stamp and
acknowledgement. A late row is appended again under a key of its own, which no copy of it can hide.

By default an attempt ends after 10 s. This allows 28 s for a row that was stored, and 18 s for one that may still be
stored within the late-commit margin of 10 s.
"""

import re

import msgspec

STALE_US = 1_000_000
"""A stamp older than this is not sent: the rows are stamped again."""
_TIMERS_US = 500_000
"""A deadline may be noticed this much later. Where the settings leave no room it comes out of the clock skew."""
_US = 1_000_000
_LATENESS = re.compile(r"~late[0-9]+\Z")


class Fence(msgspec.Struct, frozen=True, kw_only=True):
    """The limits, in microseconds since the stamp."""

    stored_us: int
    """For rows whose acknowledgement has come."""
    uncertain_us: int
    """For rows that may still be stored, within the late-commit margin from now."""
    margin_us: int
    """How long after we gave up on them rows may become readable."""


def fence(*, settle_s: float, clock_skew_s: float, late_commit_margin_s: float, append_deadline_s: float) -> Fence:
    """Return the limits that follow from these settings: the only place where they are derived."""
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

    Another key, so that it is no copy of what may lie behind readers: they see it, and one who comes later sees both.
    """
    return f"{delivery_key}~late{lateness}"


def without_lateness(delivery_key: str) -> str:
    """Return the delivery key that a row had before `late_key` changed it; any other key as it is."""
    return _LATENESS.sub("", delivery_key)

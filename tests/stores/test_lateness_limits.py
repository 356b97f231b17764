"""When rows are late, by the settings; and the stamp of an attempt, which knows."""

import asyncio

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.query.request.cursor import Cursor, decode_cursor, encode_cursor
from app.runtime.clock import MICROSECONDS
from app.settings.load import Settings
from app.stores.query import Position
from app.stores.sink import Outcome, QuotaExceeded, RowsRefused, Stored, Uncertain, late_key, lateness_limits
from app.stores.stamping import AttemptStamp, LateCancellationError
from sluice.testing.clock import FakeClock

LIMITS = lateness_limits(Settings().store)


@given(deadline_s=st.floats(0.1, 50), margin_s=st.floats(0.1, 50), skew_s=st.floats(0.5, 5), spare_s=st.floats(0, 30))
def test_no_row_is_in_time_that_a_reader_may_have_passed(
    deadline_s: float, margin_s: float, skew_s: float, spare_s: float
) -> None:
    """And an attempt that just took all of its time is never late."""
    settle_s = deadline_s + margin_s + skew_s + spare_s
    limits = lateness_limits(
        msgspec.structs.replace(
            Settings().store,
            settle_s=settle_s,
            clock_skew_s=skew_s,
            late_commit_margin_s=margin_s,
            append_deadline_s=deadline_s,
        )
    )
    behind_a_reader_us = settle_s * MICROSECONDS
    assert limits.stored_us <= behind_a_reader_us + 1
    assert limits.uncertain_us + limits.margin_us <= behind_a_reader_us + 1
    assert min(limits.stored_us, limits.uncertain_us) > deadline_s * MICROSECONDS


def stamped(clock: FakeClock) -> AttemptStamp:
    """Return a stamp, not taken yet."""
    return AttemptStamp(clock, LIMITS, lambda us: b"%d" % us)


@pytest.mark.parametrize(
    ("outcome", "after_s", "judged"),
    [
        (Stored(), 27.9, Stored()),
        (Stored(), 28.1, Stored(late=True)),
        (Uncertain("gone"), 17.9, Uncertain("gone")),
        (Uncertain("gone"), 18.1, Uncertain("gone", late=True)),
        (QuotaExceeded("rows"), 1_000, QuotaExceeded("rows")),
        (RowsRefused({}), 1_000, RowsRefused({})),
    ],
)
async def test_an_outcome_is_late_by_the_time_since_the_stamp(
    outcome: Outcome, after_s: float, judged: Outcome
) -> None:
    """Not since the attempt began, as it may wait for a connection; what was not stored is never late."""
    clock = FakeClock()
    stamp = stamped(clock)
    await clock.advance(100)
    stamp.take()
    await clock.advance(after_s)
    assert stamp.judge(outcome) == judged


async def test_what_was_never_stamped_was_never_sent() -> None:
    """It waited for a connection all the time, and nothing of it can turn up."""
    clock = FakeClock()
    stamp = stamped(clock)
    await clock.advance(1_000)
    assert stamp.judge(Uncertain("gone")) == Uncertain("gone")
    error = asyncio.CancelledError()
    assert stamp.cancelled(error) is error


async def test_a_cancellation_tells_that_it_comes_late() -> None:
    """Rows that were given up may be stored within the margin from then on."""
    clock = FakeClock()
    stamp, error = stamped(clock), asyncio.CancelledError()
    stamp.take()
    await clock.advance(17.9)
    assert stamp.cancelled(error) is error
    await clock.advance(0.2)
    assert isinstance(stamp.cancelled(error), LateCancellationError)


@pytest.mark.parametrize("jump", ["steady", "wall"])
async def test_either_clock_tells_that_time_has_passed(jump: str) -> None:
    """A machine that was suspended may show it in one of them only."""
    clock = FakeClock()
    stamp = stamped(clock)
    stamp.take()
    if jump == "steady":
        clock._elapsed_us += 40 * MICROSECONDS
    else:
        clock._now_us += 40 * MICROSECONDS
    assert stamp.is_stale()
    assert stamp.judge(Stored()) == Stored(late=True)


def test_the_longest_keys_still_fit_a_cursor() -> None:
    """Of a replay, of a part of a reject, late for the thousandth time, and in a script of four bytes a character."""
    longest = late_key("\U0001f600" * 200 + "#999", 1_000)
    position = Position(2**53, longest)
    cursor = Cursor(
        table="records_rejected",
        descending=True,
        since_us=0,
        until_us=2**53 + 1,
        after=position,
        fingerprint="f" * 64,
        settled=position,
    )
    assert decode_cursor(encode_cursor(cursor), table="records_rejected", fingerprint="f" * 64) == cursor

"""The clocks: stamps that only grow, durations that keep their pace, and the fake's order."""

from app.runtime.clock import MICROSECONDS, Moment, SystemClock


def test_stamps_only_grow() -> None:
    """Twice in one microsecond, or after the machine's clock was set back a little, the next stamp is later."""
    times = iter([5_000_000, 5_000_000, 5_000_000, 5_000_000])
    clock = SystemClock(wall_us=lambda: 5_000_000, steady_us=lambda: next(times, 9_000_000))
    assert [clock.now_us() for _ in range(4)] == [5_000_000, 5_000_001, 5_000_002, 9_000_000]


def test_a_clock_starts_after_what_it_is_told() -> None:
    """The newest stamp of the store is behind every new one."""
    clock = SystemClock(wall_us=lambda: 1, steady_us=lambda: 1)
    clock.advance_to(7_000_000)
    assert clock.now_us() == 7_000_001
    clock.advance_to(3)
    assert clock.now_us() == 7_000_002


def test_a_moment_is_compared_by_the_clock_that_says_more() -> None:
    """A machine that was suspended may show it in either."""
    assert Moment(0, 0).until_us(Moment(5, 3)) == 5
    assert Moment(0, 0).until_us(Moment(5, 30)) == 30
    began = SystemClock().moment()
    assert 0 <= began.until_us(SystemClock().moment()) < 60 * MICROSECONDS

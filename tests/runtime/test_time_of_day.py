"""A time of day that jumps: nothing is stamped ahead of the true time, and what lasts is followed."""

import logging

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.runtime.time_of_day import BELIEVED_AFTER_US, FOLLOWED_US, TimeOfDay

SECOND_US, HOUR_US = 1_000_000, 3_600_000_000
TRUE_US = 1_700_000_000 * SECOND_US
BELIEVED_S = BELIEVED_AFTER_US // SECOND_US


class Machine:
    """A machine whose two clocks a test moves; the true time is the steady one's."""

    def __init__(self, not_before_us: int = 0) -> None:
        self.steady_us = 0
        self.error_us = 0
        """By how much the time of day is wrong."""
        self.torn_us = 0
        """For how long the process is held up within a look."""
        self.time = TimeOfDay(lambda: TRUE_US + self.steady_us + self.error_us, self._steady, not_before_us)

    def _steady(self) -> int:
        now_us = self.steady_us
        self.steady_us += self.torn_us
        return now_us

    @property
    def true_us(self) -> int:
        return TRUE_US + self.steady_us

    def stamp(self) -> int | None:
        """Return a stamp, None where none may be given."""
        return None if self.time.trouble() else self.time.now_us()

    def run(self, seconds: float) -> list[int]:
        """Let time pass; return by how much each stamp, one in a quarter of a second, is ahead of the true time."""
        ahead = []
        for _ in range(round(seconds * 4)):
            self.steady_us += SECOND_US // 4
            stamp_us = self.stamp()
            if stamp_us is not None:
                ahead.append(stamp_us - self.true_us)
        return ahead


@pytest.mark.parametrize("step_us", [HOUR_US, 2 * SECOND_US])
def test_a_clock_that_is_set_for_good_is_followed(step_us: int, caplog: pytest.LogCaptureFixture) -> None:
    """Forward and back; the log says when it jumped and when that was believed."""
    caplog.set_level(logging.WARNING, "sluice.clock")
    machine = Machine()
    machine.run(1)
    for error_us in (step_us, 0):
        machine.error_us = error_us
        assert machine.run(BELIEVED_S - 1) == []
        assert set(machine.run(2)) == {error_us}
    assert [record.getMessage().partition(" s")[2] for record in caplog.records] == [
        ": no record is timestamped until the time is confirmed",
        " off the expected time, and is now trusted",
    ] * 2


def test_where_the_order_was_promised_nothing_is_stamped_until_the_time_has_caught_up() -> None:
    """A file with stamps of the next hour: neither does its order break, nor do stamps run an hour ahead."""
    machine = Machine()
    machine.time.advance_to(TRUE_US + HOUR_US)
    assert machine.run(60) == []
    assert "59:" not in machine.time.trouble()
    assert "the newest timestamp is 3540.0 s ahead" in machine.time.trouble()
    assert machine.time.now_us() > TRUE_US + HOUR_US
    machine.steady_us = HOUR_US
    ahead = machine.run(10)
    assert len(ahead) == 40
    assert max(ahead) <= FOLLOWED_US


spells = st.lists(
    st.tuples(st.integers(-2 * HOUR_US, 2 * HOUR_US) | st.integers(-3 * SECOND_US, 3 * SECOND_US), st.integers(1, 40)),
    max_size=8,
)


def believable(spells: list[tuple[int, int]]) -> list[int]:
    """Return the errors that lasted, those that hardly differ from the one before taken together, and 0."""
    found, lasted = [0], 0
    for number, (error_us, seconds) in enumerate(spells):
        lasted = seconds + (lasted if number and abs(error_us - spells[number - 1][0]) < SECOND_US else 0)
        found += [error_us] if lasted >= BELIEVED_S else []
    return found


@given(spells=spells)
@example(spells=[(HOUR_US, 40)])
@example(spells=[(HOUR_US, 10), (HOUR_US, 10)])
@example(spells=[(HOUR_US, 14), (-HOUR_US, 14)])
def test_stamps_grow_and_are_right_again_whatever_the_time_of_day_did(spells: list[tuple[int, int]]) -> None:
    """With the order promised. Only what lasted is believed, and no stamp is further ahead than what was."""
    machine = Machine()
    machine.time.advance_to(0)
    lasting = believable(spells)
    last_us = 0
    for error_us, seconds in [*spells, (0, BELIEVED_S + 1)]:
        machine.error_us = error_us
        for _ in range(2 * seconds):
            machine.steady_us += SECOND_US // 2
            stamp_us = machine.stamp()
            if stamp_us is not None:
                assert stamp_us > last_us
                assert stamp_us - machine.true_us <= max(lasting) + 2 * FOLLOWED_US
                last_us = stamp_us
    if last_us <= machine.true_us + FOLLOWED_US:
        assert machine.stamp() is not None
    else:
        assert "ahead" in machine.time.trouble()
        machine.steady_us += last_us - machine.true_us
        assert machine.stamp() is not None


@given(spells=spells)
def test_without_a_promised_order_stamps_are_true_soon_after_the_last_jump(spells: list[tuple[int, int]]) -> None:
    """Within the time after which a jump is believed, in both directions."""
    machine = Machine()
    for error_us, seconds in spells:
        machine.error_us = error_us
        machine.run(seconds)
    machine.error_us = 0
    machine.run(BELIEVED_S + 1)
    stamp_us = machine.stamp()
    assert stamp_us is not None
    assert abs(stamp_us - machine.true_us) <= FOLLOWED_US

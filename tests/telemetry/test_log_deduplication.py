"""A fault that repeats is told a few times, then counted; and every line is either written or counted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.runtime.clock import MICROSECONDS
from app.telemetry.log_deduplication import LogDeduplicator, SuppressedLines


class Time:
    """What has elapsed, as a test says."""

    def __init__(self) -> None:
        self.elapsed_s = 0.0

    def elapsed_us(self) -> int:
        """Return it."""
        return round(self.elapsed_s * MICROSECONDS)


@pytest.fixture
def time() -> Time:
    """Return a time that stands still."""
    return Time()


def _passes(repetition: LogDeduplicator[str], template: str) -> bool:
    return repetition.passes(template, lambda: template)[0]


def test_five_lines_of_a_template_pass_in_a_minute(time: Time) -> None:
    """The others are kept back, and other templates are none of their business."""
    repetition = LogDeduplicator[str](time.elapsed_us)
    assert [_passes(repetition, "a") for _ in range(7)] == [True] * 5 + [False] * 2
    assert _passes(repetition, "b")
    time.elapsed_s = 59.9
    assert not _passes(repetition, "a")


def test_the_next_line_after_the_minute_says_how_many_there_were(time: Time) -> None:
    """And over how many seconds; then they are forgotten, and five more pass."""
    repetition = LogDeduplicator[str](time.elapsed_us)
    for number in range(1_239):
        repetition.passes("a", lambda number=number: f"line {number}")  # type: ignore[misc] # mypy sees no default
    time.elapsed_s = 74.2
    assert repetition.passes("a", lambda: "") == (True, SuppressedLines(1_234, 75, "line 5"))
    assert repetition.passes("a", lambda: "") == (True, None)
    assert repetition.over() == []
    assert repetition.rest() == []


def test_what_is_never_said_again_is_told_when_its_window_is_over(time: Time) -> None:
    """By whatever line comes next, once; and not before the window has ended."""
    repetition = LogDeduplicator[str](time.elapsed_us)
    assert repetition.over() == []
    for _ in range(8):
        _passes(repetition, "a")
    time.elapsed_s = 30
    assert repetition.over() == []
    time.elapsed_s = 60
    assert repetition.over() == [SuppressedLines(3, 60, "a")]
    assert repetition.over() == []


def test_a_sample_is_made_once_a_window(time: Time) -> None:
    """A line that is kept back costs next to nothing."""
    made = []
    repetition = LogDeduplicator[str](time.elapsed_us, max_lines=1)
    for _ in range(100):
        repetition.passes("a", lambda: made.append("a") or "a")  # type: ignore[func-returns-value] # counts the calls
    assert made == ["a"]


def test_a_stream_of_ever_new_templates_takes_no_more_memory(time: Time) -> None:
    """Beyond a thousand all others count as one, and lines of those that are known pass as before."""
    repetition = LogDeduplicator[str](time.elapsed_us)
    passed = sum(_passes(repetition, f"template {number}") for number in range(10_000))
    assert passed == 1_000 + 5
    assert len(repetition._windows) == 1_001
    assert _passes(repetition, "template 7")
    time.elapsed_s = 60
    assert _passes(repetition, "a new one")
    assert [untold.lines for untold in repetition.over()] == [8_995]
    assert len(repetition._windows) == 1


@given(
    st.lists(
        st.tuples(st.sampled_from("abcde"), st.sampled_from([0.0, 0.0, 0.0, 0.5, 7.0, 61.0]), st.booleans()),
        max_size=200,
    )
)
def test_every_line_is_written_or_counted_once(lines: list[tuple[str, float, bool]]) -> None:
    """Whatever comes when, and however few templates are remembered."""
    time = Time()
    repetition = LogDeduplicator[str](time.elapsed_us, max_lines=2, max_templates=3)
    written = counted = 0
    for template, pause_s, looks in lines:
        time.elapsed_s += pause_s
        passes, untold = repetition.passes(template, lambda: "")
        written += passes
        counted += 0 if untold is None else untold.lines
        if looks:
            counted += sum(each.lines for each in repetition.over())
    counted += sum(each.lines for each in repetition.rest())
    assert written + counted == len(lines)

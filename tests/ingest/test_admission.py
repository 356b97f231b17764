"""Back-pressure: how much may be in flight."""

from hypothesis import given
from hypothesis import strategies as st

from app.ingest.admission import Admission, Refusal


def test_messages_and_bytes_are_limited_and_given_back() -> None:
    """Each limit refuses by itself, and what leaves makes room."""
    admission = Admission(max_messages=2, max_bytes=100)
    assert [admission.enter(60), admission.enter(41)] == [None, Refusal.BUSY]
    assert [admission.enter(40), admission.enter(0)] == [None, Refusal.BUSY]
    admission.leave(60)
    assert admission.enter(60) is None


def test_a_lone_message_is_admitted_whatever_its_size() -> None:
    """A message larger than the limit on bytes is not refused for ever."""
    admission = Admission(max_messages=2, max_bytes=100)
    assert admission.enter(1000) is None
    assert admission.enter(1) is Refusal.BUSY


def test_draining_admits_nothing() -> None:
    """An instance that is shutting down says so."""
    admission = Admission(max_messages=2, max_bytes=100)
    admission.draining = True
    assert admission.enter(1) is Refusal.DRAINING
    assert admission.messages == 0


@given(st.lists(st.integers(0, 150)))
def test_counts_return_to_zero(sizes: list[int]) -> None:
    """Whatever was admitted and has left is forgotten exactly."""
    admission = Admission(max_messages=5, max_bytes=300)
    admitted = [size for size in sizes if admission.enter(size) is None]
    assert admission.messages == len(admitted) <= 5
    for size in admitted:
        admission.leave(size)
    assert (admission.messages, admission.bytes) == (0, 0)

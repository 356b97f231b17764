"""Back-pressure: how much may be in flight."""

from hypothesis import given
from hypothesis import strategies as st

from app.ingest.admission import MESSAGE_BYTES, Admission, Refusal
from app.runtime.ledger import Holding


def _entered(admission: Admission, size: int, caller: str = "a") -> Holding | Refusal:
    holding = admission.enter(caller, size)
    if isinstance(holding, Holding) and not holding.grow(size):
        holding.release()
        return Refusal.BUSY
    return holding


def test_bytes_are_limited_and_given_back() -> None:
    """What does not fit is refused, and what leaves makes room."""
    admission = Admission(100, message_bytes=0)
    first = _entered(admission, 60)
    assert isinstance(first, Holding)
    assert _entered(admission, 41, "b") is Refusal.BUSY
    assert isinstance(_entered(admission, 40, "b"), Holding)
    assert _entered(admission, 1, "c") is Refusal.BUSY
    first.release()
    assert isinstance(_entered(admission, 60, "d"), Holding)


def test_one_caller_cannot_take_all_the_room() -> None:
    """The last quarter is for others, who are admitted at once; requests that have sent nothing yet count too."""
    admission = Admission(4 * MESSAGE_BYTES)
    assert [isinstance(admission.enter("greedy", 0), Holding) for _ in range(4)] == [True, True, True, False]
    assert isinstance(admission.enter("modest", 0), Holding)


def test_a_lone_message_is_admitted_whatever_its_size() -> None:
    """A message larger than the limit on bytes is not refused for ever."""
    admission = Admission(100, message_bytes=0)
    assert isinstance(_entered(admission, 1000), Holding)
    assert _entered(admission, 1) is Refusal.BUSY


def test_draining_admits_nothing() -> None:
    """An instance that is shutting down says so."""
    admission = Admission(100, message_bytes=0)
    admission.draining = True
    assert admission.enter("a", 1) is Refusal.DRAINING
    assert admission.messages == 0


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 150))))
def test_counts_return_to_zero(requests: list[tuple[str, int]]) -> None:
    """Whatever was admitted and has left is forgotten exactly."""
    admission = Admission(300, message_bytes=60)
    held = [each for caller, size in requests if isinstance(each := _entered(admission, size, caller), Holding)]
    assert admission.messages == len(held) <= 5
    for holding in held:
        holding.release()
    assert (admission.messages, admission.bytes) == (0, 0)

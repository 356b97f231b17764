"""One ledger of bytes: limits, shares, and nothing left behind."""

from hypothesis import given
from hypothesis import strategies as st

from app.runtime.ledger import Ledger, Reservation

_CALLERS = st.sampled_from(["a", "b", "c"])


def _opened(ledger: Ledger, caller: str, size: int = 0) -> Reservation:
    reservation = ledger.open(caller, size)
    assert reservation is not None
    assert reservation.grow(size)
    return reservation


def test_a_caller_has_at_most_three_quarters_of_the_bytes() -> None:
    """What is left is for others, who get it at once."""
    ledger = Ledger(max_bytes=100)
    _opened(ledger, "greedy", 40)
    _opened(ledger, "greedy", 35)
    assert ledger.open("greedy", 1) is None
    _opened(ledger, "modest", 25)
    assert ledger.open("modest", 1) is None


def test_each_holding_costs_a_least_number_of_bytes() -> None:
    """So the limit bounds their number; bytes count beyond the least only."""
    ledger = Ledger(max_bytes=100, least_bytes=25)
    held = [_opened(ledger, "greedy") for _ in range(3)]
    assert ledger.open("greedy") is None
    assert held[0].grow(25)
    assert not held[0].grow(1)
    _opened(ledger, "modest", 25)
    assert ledger.open("third") is None
    held[1].release()
    assert (held[0].size, ledger.bytes, ledger.holdings) == (25, 75, 3)


def test_a_declared_length_is_no_charge() -> None:
    """Ten requests that announce everything and send nothing leave all the room to others."""
    ledger = Ledger(max_bytes=100)
    for _ in range(10):
        assert ledger.open("greedy", 70) is not None
    assert ledger.bytes == 0
    _opened(ledger, "modest", 75)


def test_a_request_that_is_alone_always_fits() -> None:
    """One over the limit could otherwise never be served."""
    ledger = Ledger(max_bytes=10)
    reservation = _opened(ledger, "a", 1_000)
    assert ledger.open("b") is None
    reservation.release()
    assert ledger.open("b", 1) is not None


@given(st.lists(st.tuples(_CALLERS, st.integers(0, 60), st.integers(0, 60)), max_size=40), st.randoms())
def test_nothing_is_left_behind(requests: list[tuple[str, int, int]], order: object) -> None:
    """Whatever was opened, grown and refused, in whatever order it ends: the ledger is empty afterwards."""
    ledger = Ledger(max_bytes=100, least_bytes=15)
    open_ = []
    for caller, first, more in requests:
        reservation = ledger.open(caller, first)
        if reservation is None:
            continue
        reservation.grow(first)
        reservation.grow(more)
        open_.append(reservation)
        assert ledger.holdings == 1 or ledger.bytes <= max(100, *(each.size for each in open_))
        assert ledger.bytes == sum(max(each.size, 15) for each in open_)
    order.shuffle(open_)  # type: ignore[attr-defined] # a random.Random
    for reservation in open_:
        reservation.release()
    assert (ledger.bytes, ledger.holdings) == (0, 0)
    assert not ledger._accounts

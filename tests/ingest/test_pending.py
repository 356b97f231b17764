"""The rows of a batch one by one: whose they are, and how they are halved."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.ingest.pending import Pending, Refused, halves, messages_of, refused_of, rows_of, slots_of
from app.stores.sink import RowError


def pending(*rows: bytes, first: int = 0, verdict: Any = None) -> Pending:
    """Return rows of a message, the first of which has the position `first` there."""
    return Pending(rows, first, sum(map(len, rows)), 0, None, None, verdict)


batches = st.lists(st.integers(1, 6), min_size=1, max_size=8).map(
    lambda counts: [
        pending(*(b"%d/%d" % (number, index) for index in range(count))) for number, count in enumerate(counts)
    ]
)


@given(batches)
def test_halves_of_the_rows_in_order_lose_nothing_and_the_larger_one_comes_first(batch: list[Pending]) -> None:
    """Neither is empty where there are two rows, so that halving ends; the order within each is kept."""
    slots = slots_of(batch)
    assert rows_of(slots) == [row for each in batch for row in each.rows]
    assert messages_of(slots) == batch
    larger, smaller = halves(slots)
    assert list(larger) + list(smaller) == slots or list(smaller) + list(larger) == slots
    assert len(larger) >= len(smaller)
    assert smaller or len(slots) == 1


@given(batches)
def test_a_message_is_halved_only_where_it_is_alone(batch: list[Pending]) -> None:
    """Its neighbours part from a bad one first; the cut is the one between messages that is nearest to the middle."""
    slots = slots_of(batch)
    larger, smaller = halves(slots)
    if len(batch) == 1:
        assert len(larger) - len(smaller) <= 1
    else:
        assert not set(messages_of(larger)) & set(messages_of(smaller))
        counts, cut = [each.row_count for each in batch], len(smaller)
        cuts = [sum(counts[:number]) for number in range(1, len(counts))]
        best = min(abs(each - len(slots) // 2) for each in cuts)
        assert best in {abs(cut - len(slots) // 2), abs(len(slots) - cut - len(slots) // 2)}


def test_refused_rows_are_named_by_their_places_in_their_messages() -> None:
    """A part of a message that was cut counts on from the part before it."""
    one, two = pending(b"a", b"b"), pending(b"c", b"d", first=5)
    slots = slots_of([one, two])
    bad, worse = RowError("bad"), RowError("worse")
    assert refused_of(slots, {1: bad, 2: worse, 3: bad}) == {
        one: [Refused(1, bad)],
        two: [Refused(5, worse), Refused(6, bad)],
    }
    assert refused_of(slots[3:], {0: bad}) == {two: [Refused(6, bad)]}
    assert refused_of(slots, {}) == {}

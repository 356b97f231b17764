"""The batcher's laws: nothing lost, nothing reordered, caps kept."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from app.ingest.batcher import Batcher, BatchLimits, chunks


class Item(msgspec.Struct, frozen=True):
    """A thing of some rows and bytes."""

    number: int
    row_count: int
    byte_count: int


items = st.lists(st.tuples(st.integers(1, 50), st.integers(1, 500))).map(
    lambda sizes: [Item(number, *size) for number, size in enumerate(sizes)]
)
limits = st.builds(BatchLimits, max_rows=st.integers(1, 60), max_bytes=st.integers(1, 800))


@given(items, limits)
def test_batches_are_the_queue_in_order_each_within_its_caps_and_full(queue: list[Item], limit: BatchLimits) -> None:
    """Only a lone item exceeds the caps, and a batch ends only where the next item would not have fitted."""
    batcher: Batcher[Item] = Batcher(limit)
    for item in queue:
        batcher.add(item)
    taken: list[Item] = []
    while batch := batcher.take():
        taken += batch
        rows, size = sum(item.row_count for item in batch), sum(item.byte_count for item in batch)
        assert len(batch) == 1 or (rows <= limit.max_rows and size <= limit.max_bytes)
        if (follower := batcher.oldest) is not None:
            rows, size = rows + follower.row_count, size + follower.byte_count
            assert rows > limit.max_rows or size > limit.max_bytes
    assert taken == queue
    assert len(batcher) == 0
    assert batcher.oldest is None


@given(st.lists(st.integers(0, 300)), limits)
def test_chunks_tile_the_rows_within_the_caps(sizes: list[int], limit: BatchLimits) -> None:
    """A message's rows are cut into consecutive ranges, each within the caps or a single row."""
    cut = chunks(sizes, limit)
    assert [position for part in cut for position in part] == list(range(len(sizes)))
    for part in cut:
        total = sum(sizes[position] for position in part)
        assert len(part) == 1 or (len(part) <= limit.max_rows and total <= limit.max_bytes)

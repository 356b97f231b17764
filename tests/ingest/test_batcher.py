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
def test_batches_are_the_queue_in_order(queue: list[Item], limit: BatchLimits) -> None:
    """Taking until nothing is left gives back every item once, in the order they came."""
    batcher: Batcher[Item] = Batcher(limit)
    for item in queue:
        batcher.add(item)
    taken: list[Item] = []
    while batch := batcher.take():
        taken += batch
    assert taken == queue
    assert len(batcher) == 0
    assert batcher.oldest is None


@given(items, limits)
def test_a_batch_keeps_its_caps_unless_it_is_one_item(queue: list[Item], limit: BatchLimits) -> None:
    """Only an item that is over the caps by itself goes over them, and goes alone."""
    batcher: Batcher[Item] = Batcher(limit)
    for item in queue:
        batcher.add(item)
    while batch := batcher.take():
        rows, size = sum(item.row_count for item in batch), sum(item.byte_count for item in batch)
        assert len(batch) == 1 or (rows <= limit.max_rows and size <= limit.max_bytes)


@given(items, limits)
def test_a_batch_is_as_full_as_the_next_item_allows(queue: list[Item], limit: BatchLimits) -> None:
    """A batch ends only where the next item would not have fitted: group commit wastes no append."""
    batcher: Batcher[Item] = Batcher(limit)
    for item in queue:
        batcher.add(item)
    while batch := batcher.take():
        if (follower := batcher.oldest) is not None:
            rows = sum(item.row_count for item in batch) + follower.row_count
            size = sum(item.byte_count for item in batch) + follower.byte_count
            assert rows > limit.max_rows or size > limit.max_bytes


@given(st.lists(st.integers(0, 300)), limits)
def test_chunks_tile_the_rows_within_the_caps(sizes: list[int], limit: BatchLimits) -> None:
    """A message's rows are cut into consecutive ranges, each within the caps or a single row."""
    cut = chunks(sizes, limit)
    assert [position for part in cut for position in part] == list(range(len(sizes)))
    for part in cut:
        total = sum(sizes[position] for position in part)
        assert len(part) == 1 or (len(part) <= limit.max_rows and total <= limit.max_bytes)

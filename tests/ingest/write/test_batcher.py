"""The batcher's laws: nothing lost, nothing reordered, caps kept."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from app.ingest.write.batching import Batcher, BatchLimits, Pending, parts_of

items = st.lists(st.tuples(st.integers(1, 50), st.integers(1, 500)))
limits = st.builds(BatchLimits, max_rows=st.integers(1, 60), max_bytes=st.integers(1, 800))


@given(items, limits)
def test_batches_are_the_queue_in_order_each_within_its_caps_and_full(
    sizes: list[tuple[int, int]], limit: BatchLimits
) -> None:
    """Only a lone message exceeds the caps, and a batch ends only where the next message would not have fitted."""
    loop = asyncio.new_event_loop()
    queue = [Pending([b""] * rows, 0, size, 0, None, None, loop.create_future()) for rows, size in sizes]
    loop.close()
    batcher = Batcher(limit)
    for message in queue:
        batcher.add(message)
    taken: list[Pending] = []
    while batch := batcher.take():
        taken += batch
        rows, size = sum(len(each.rows) for each in batch), sum(each.byte_count for each in batch)
        assert len(batch) == 1 or (rows <= limit.max_rows and size <= limit.max_bytes)
        if (follower := batcher.oldest) is not None:
            rows, size = rows + len(follower.rows), size + follower.byte_count
            assert rows > limit.max_rows or size > limit.max_bytes
    assert taken == queue
    assert (len(batcher), batcher.oldest) == (0, None)


@given(st.lists(st.integers(0, 300), min_size=1), limits)
def test_parts_tile_the_rows_within_the_caps(sizes: list[int], limit: BatchLimits) -> None:
    """A message's rows are cut into consecutive parts, each within the caps or a single row."""
    rows = [b"x" * size for size in sizes]
    parts = parts_of(rows, sum(sizes), limit)
    assert [row for part, _, _ in parts for row in part] == rows
    for part, first, size in parts:
        assert (part, sum(map(len, part))) == (rows[first : first + len(part)], size)
        assert len(part) == 1 or (len(part) <= limit.max_rows and size <= limit.max_bytes)

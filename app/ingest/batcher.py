"""Decide what the next append contains: first in, first out, within limits on rows and bytes."""

from collections import deque
from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

import msgspec


class Sized(Protocol):
    """An item that can wait for an append: rows that go together."""

    @property
    def row_count(self) -> int:
        """How many rows it has."""

    @property
    def byte_count(self) -> int:
        """How many bytes its rows have."""


Item = TypeVar("Item", bound=Sized)


class BatchLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The limits of one append."""

    max_rows: int
    max_bytes: int


class Batcher(Generic[Item]):
    """A queue of items that hands out batches. An item over the limits goes alone."""

    def __init__(self, limits: BatchLimits) -> None:
        self._limits = limits
        self._waiting: deque[Item] = deque()
        self._rows = self._bytes = 0

    def __len__(self) -> int:
        """Return how many items wait."""
        return len(self._waiting)

    @property
    def oldest(self) -> Item | None:
        """The item that has waited longest."""
        return self._waiting[0] if self._waiting else None

    @property
    def is_full(self) -> bool:
        """Whether the waiting items would fill an append."""
        return self._rows >= self._limits.max_rows or self._bytes >= self._limits.max_bytes

    def add(self, item: Item) -> None:
        """Put `item` at the end."""
        self._waiting.append(item)
        self._rows += item.row_count
        self._bytes += item.byte_count

    def take(self) -> list[Item]:
        """Remove and return the next batch; empty when nothing waits."""
        if self._rows <= self._limits.max_rows and self._bytes <= self._limits.max_bytes:
            return self.take_all()
        batch: list[Item] = []
        rows = size = 0
        while self._waiting:
            item = self._waiting[0]
            rows += item.row_count
            size += item.byte_count
            if batch and (rows > self._limits.max_rows or size > self._limits.max_bytes):
                break
            batch.append(self._waiting.popleft())
            self._rows -= item.row_count
            self._bytes -= item.byte_count
        return batch

    def take_all(self) -> list[Item]:
        """Remove and return everything."""
        items = list(self._waiting)
        self._waiting.clear()
        self._rows = self._bytes = 0
        return items


def chunks(sizes: list[int], limits: BatchLimits) -> list[range]:
    """Cut consecutive rows of these byte sizes into ranges that each fit one append."""
    cut: list[range] = []
    start = total = 0
    for position, size in enumerate(sizes):
        total += size
        if position > start and (position - start >= limits.max_rows or total > limits.max_bytes):
            cut.append(range(start, position))
            start, total = position, size
    if start < len(sizes):
        cut.append(range(start, len(sizes)))
    return cut


def parts_of(rows: Sequence[bytes], size: int, limits: BatchLimits) -> list[tuple[Sequence[bytes], int, int]]:
    """Cut the rows of a message, of `size` bytes, into parts that each fit one append; nearly always there is one.

    Each part comes with the position of its first row, and with its size in bytes.
    """
    if rows and size <= limits.max_bytes and len(rows) <= limits.max_rows:
        return [(rows, 0, size)]
    parts = [(rows[cut.start : cut.stop], cut.start) for cut in chunks([len(row) for row in rows], limits)]
    return [(part, first, sum(map(len, part))) for part, first in parts]

"""The rows of one message, of which the store needs the bytes; the rest is put together when somebody asks. Pure."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import msgspec

RecordId = str | int | None
"""None where the declaration names no id."""


class Pieces(Protocol):
    """The bytes of each record of a message, by its position there."""

    def __getitem__(self, index: int) -> bytes:
        """Return those of one."""
        ...


class Row(msgspec.Struct, frozen=True):
    """A validated record: its position in the message, its id, the row without `ingest_time`, and as it came."""

    index: int
    id: RecordId
    encoded: bytes
    raw: bytes


class Rows:
    """The rows of one message, in its order; those of records that were rejected are not among them.

    `encoded` are the rows for the store, each without the `ingest_time` that every attempt is stamped with.
    """

    __slots__ = ("_ids", "_indexes", "_pieces", "encoded")

    def __init__(
        self, encoded: Sequence[bytes], ids: Sequence[RecordId], indexes: Sequence[int], pieces: Pieces
    ) -> None:
        self.encoded, self._ids, self._indexes, self._pieces = encoded, ids, indexes, pieces

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self.encoded)

    def __getitem__(self, position: int) -> Row:
        """Return the row at `position` among these."""
        index = self._indexes[position]
        return Row(index, self._ids[position], self.encoded[position], self._pieces[index])

    def __iter__(self) -> Iterator[Row]:
        """Yield each row."""
        return (self[position] for position in range(len(self)))

    def ids(self) -> Iterator[tuple[int, RecordId]]:
        """Yield each row's position in the message, and its id."""
        return zip(self._indexes, self._ids, strict=True)


NO_ROWS = Rows((), (), (), ())

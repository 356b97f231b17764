"""The rows of one message: their bytes, for the store; everything else is assembled on demand. Pure."""

from collections.abc import Collection, Container, Iterator, Sequence
from typing import Protocol

import msgspec

RecordId = str | int | None
"""None if the record type names no id."""


class Pieces(Protocol):
    """The bytes of each record of a message, by its position in the message."""

    def __getitem__(self, index: int) -> bytes:
        """Return the bytes of the record at `index`."""


class Row(msgspec.Struct, frozen=True):
    """A validated record: position in the message, id, row without `ingest_time`, and original bytes."""

    index: int
    id: RecordId
    encoded: bytes
    raw: bytes


class Rows:
    """The rows of one message, in order, without those of rejected records.

    `encoded` are the rows for the store, without `ingest_time`, which every attempt stamps. `with_undeclared` are the
    positions in the message of records with undeclared members, if the type keeps any; a type that only drops them has
    them looked for when they are counted.
    """

    __slots__ = ("_ids", "_indexes", "_pieces", "encoded", "with_undeclared")

    def __init__(
        self,
        encoded: Sequence[bytes],
        ids: Sequence[RecordId],
        indexes: Sequence[int],
        pieces: Pieces,
        with_undeclared: Container[int] = (),
    ) -> None:
        self.encoded, self._ids, self._indexes, self._pieces = encoded, ids, indexes, pieces
        self.with_undeclared = with_undeclared

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self.encoded)

    def __getitem__(self, position: int) -> Row:
        """Return the row at `position`, counting only these rows."""
        index = self._indexes[position]
        return Row(index, self._ids[position], self.encoded[position], self._pieces[index])

    def __iter__(self) -> Iterator[Row]:
        """Yield each row."""
        return (self[position] for position in range(len(self)))

    def without(self, positions: Collection[int]) -> "Rows":
        """Return the rows but those at `positions`."""
        kept = [position for position in range(len(self)) if position not in positions]
        return Rows(
            [self.encoded[position] for position in kept],
            [self._ids[position] for position in kept],
            [self._indexes[position] for position in kept],
            self._pieces,
            self.with_undeclared,
        )

    def ids(self) -> Iterator[tuple[int, RecordId]]:
        """Yield each row's position in the message, and its id."""
        return zip(self._indexes, self._ids, strict=True)


NO_ROWS = Rows((), (), (), ())

"""The rows of one message, for the store. Pure."""

from collections.abc import Collection, Iterator, Sequence

import msgspec

RecordId = str | int | None
"""None if the record type names no id."""


class Rows(msgspec.Struct, frozen=True, gc=False):
    """The rows of one message, in order, without those of rejected records.

    `encoded` are the rows for the store, without `ingest_time`, which every attempt stamps. `ids` and `indexes` are
    their records' ids and positions in the message.
    """

    encoded: Sequence[bytes]
    ids: Sequence[RecordId]
    indexes: Sequence[int]

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self.encoded)

    def without(self, positions: Collection[int]) -> "Rows":
        """Return the rows but those at `positions`."""
        kept = [position for position in range(len(self)) if position not in positions]
        return Rows(
            [self.encoded[position] for position in kept],
            [self.ids[position] for position in kept],
            [self.indexes[position] for position in kept],
        )

    def by_index(self) -> Iterator[tuple[int, RecordId]]:
        """Yield each row's position in the message, and its id."""
        return zip(self.indexes, self.ids, strict=True)


NO_ROWS = Rows((), (), ())

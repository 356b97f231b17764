"""The seam of erasure: what a store must be able to do beside running queries."""

from typing import Protocol

from app.query.runner import Query, QueryError


class HeldBackError(QueryError):
    """The store does not let rows be deleted yet that were written a moment ago; nothing was deleted."""


class Eraser(Protocol):
    """Deletes rows from the tables of one store, and remembers for all instances that it did.

    `generation` is another number after every erasure. It is part of what answers are kept by, and of the entity tags
    of closed windows: what was answered before an erasure is not answered again. An instance that did not erase
    itself learns of it within `learns_within_s` seconds.
    """

    learns_within_s: float

    @property
    def generation(self) -> int:
        """The number, as far as this instance knows."""
        ...

    async def delete(self, query: Query) -> int:
        """Run a DELETE of BigQuery's dialect; return how many rows it removed.

        Raises:
            HeldBackError: some of the rows cannot be deleted yet.
            QueryError: the store gave no answer.
        """
        ...

    async def advance(self) -> None:
        """Make `generation` another number, here at once and elsewhere soon.

        Raises:
            QueryError: the store gave no answer.
        """
        ...
